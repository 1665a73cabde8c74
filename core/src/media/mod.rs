//! The payload of audio and video messages.
//!
//! RTMP carries the bodies of FLV tags: the payload of an audio or video message is the data of an FLV tag, without the
//! tag's header (Video File Format Specification 10.1, annex E). Nothing in this module copies media. Payload is borrowed
//! from the caller's memory.
//!
//! | Module | What it is |
//! |---|---|
//! | [`flv`] | FLV files and their tags in a slice, such as a clip in flash |
//! | [`aggregate`] | aggregate messages, split into their messages as they arrive |
//! | [`video`], [`audio`] | the tag header before the coded data |
//! | [`enhanced`] | the tag header of Enhanced RTMP: tracks, and HEVC, AV1, VP9, Opus, FLAC … |
//! | [`avc`], [`aac`] | sequence headers, and conversion of an encoder's output to a message |
//! | [`hevc`], [`av1`], [`opus`] | the bodies of sequence headers of Enhanced RTMP, made from an encoder's output |
//! | [`silence`] | a silent audio track |
//! | [`metadata`] | `onMetaData` to and from typed fields |
//! | `mp4` | fragmented MP4 from the messages of a stream; feature `mp4` |
//! | [`FrameClass`] | the class of a message, by its first bytes: configuration, keyframe, disposable … |

pub mod aac;
pub mod aggregate;
pub mod audio;
pub mod av1;
pub mod avc;
mod bits;
pub mod enhanced;
pub mod flv;
mod frame;
pub mod hevc;
pub mod metadata;
#[cfg(feature = "mp4")]
pub mod mp4;
pub mod opus;
pub mod silence;
pub mod video;

pub use frame::FrameClass;
