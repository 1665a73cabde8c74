//! What audio and video messages hold: FLV tags, and what goes into them.
//!
//! RTMP carries the bodies of FLV tags: the payload of an audio or video message is what stands behind the header of an
//! FLV tag (Video File Format Specification 10.1, annex E). Nothing here copies media; payload is lent from where it
//! lies.
//!
//! | Module | What it is |
//! |---|---|
//! | [`flv`] | FLV files and their tags, in a slice: a clip in flash, say |
//! | [`aggregate`] | aggregate messages, taken apart while they arrive |
//! | [`video`], [`audio`] | what stands before the coded data of a message |
//! | [`avc`], [`aac`] | sequence headers, and the way from an encoder's output to a message |
//! | [`metadata`] | `onMetaData` from typed fields, and back |
//! | [`is_keyframe`], [`is_sequence_header`], [`is_disposable`] | what a message is good for, by its first bytes |

pub mod aac;
pub mod aggregate;
pub mod audio;
pub mod avc;
mod bits;
pub mod flv;
mod frame;
pub mod metadata;
pub mod video;

pub use frame::{is_disposable, is_keyframe, is_sequence_header};
