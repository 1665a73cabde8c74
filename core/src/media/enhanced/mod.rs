//! Enhanced RTMP: several tracks, and codecs without a number in FLV (E-RTMP v2-2026-01-31-r2, "Enhanced Audio" and
//! "Enhanced Video").
//!
//! ```text
//!  video  1 (1) frame type (3) packet type (4) ┐ · modifiers · [several tracks] · FourCC (32) · [track] ·
//!  audio  9 (4) packet type (4)                ┘             [composition time (24, signed)] · body
//! ```
//!
//! | Codec | [`FourCc`] | Body of a sequence header | Body of coded frames |
//! |---|---|---|---|
//! | AVC, HEVC, VVC | `avc1`, `hvc1`, `vvc1` | the configuration record | NAL units, each after its length |
//! | AV1 | `av01` | AV1CodecConfigurationRecord | one temporal unit |
//! | VP8, VP9 | `vp08`, `vp09` | VPCodecConfigurationRecord | one frame |
//! | AAC | `mp4a` | AudioSpecificConfig | one raw frame |
//! | Opus | `Opus` | `OpusHead` (RFC 7845) | one packet |
//! | FLAC | `fLaC` | the stream information block | one frame |
//! | AC-3, E-AC-3, MP3 | `ac-3`, `ec-3`, `.mp3` | empty | one frame |
//!
//! [`TrackHeader::emit`] writes the header of a message of one track. [`TrackReader`] splits incoming messages into
//! pieces, each of one track.
//!
//! ```
//! use embedded_rtmp::media::enhanced::{FourCc, HEADER_SIZE, TrackHeader};
//! use embedded_rtmp::media::video::FrameType;
//!
//! let mut buffer = [0; HEADER_SIZE];
//! let picture = TrackHeader::video(FourCc::HEVC, FrameType::KEY, 40);
//! assert_eq!(picture.emit(&mut buffer), b"\x91hvc1\0\0\x28");
//! // The same in track 1 of several.
//! let thumbnail = TrackHeader { track: Some(1), ..picture };
//! assert_eq!(thumbnail.emit(&mut buffer), b"\x96\x01hvc1\x01\0\0\x28");
//! ```

mod reader;

use super::audio;
use super::video::{self, FrameType};
use crate::bytes::Output;
use crate::message::MessageKind;

pub use crate::message::FourCc;
pub use reader::{TrackError, TrackPiece, TrackReader};

/// The length of the longest header that [`TrackHeader::emit`] writes, in bytes.
pub const HEADER_SIZE: usize = 15;

/// Returns the codec of a sequence header without Enhanced RTMP. `first` is the first byte of the message.
pub(crate) const fn legacy_codec(kind: MessageKind, first: u8) -> FourCc {
    match (kind, first & 0x0F, first >> 4) {
        (MessageKind::VIDEO, 12, _) => FourCc::HEVC,
        (MessageKind::VIDEO, 13, _) => FourCc::AV1,
        (MessageKind::VIDEO, 14, _) => FourCc::VVC,
        (MessageKind::VIDEO, _, _) => FourCc::AVC,
        (_, _, 13) => FourCc::OPUS,
        _ => FourCc::AAC,
    }
}

/// Returns whether a message that begins with `first` is one of Enhanced RTMP.
pub(crate) const fn is_enhanced(kind: MessageKind, first: u8) -> bool {
    match kind {
        MessageKind::VIDEO => first & video::ENHANCED != 0,
        MessageKind::AUDIO => first >> 4 == audio::ENHANCED,
        _ => false,
    }
}

/// The type of the body of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Packet {
    /// The configuration of the decoder.
    SequenceStart,
    /// A frame. For [some codecs](FourCc::has_composition_time), its header has a composition time.
    CodedFrames,
    /// The end of the sequence. There is no body.
    SequenceEnd,
    /// Video: a frame whose composition time is 0.
    CodedFramesX,
    /// Video: AMF0 values, such as `colorInfo` and its object.
    Metadata,
    /// Video: the configuration of an AV1 decoder as an MPEG-2 TS descriptor.
    Mpeg2TsSequenceStart,
    /// Audio: which channel belongs to which speaker.
    MultichannelConfig,
}

/// The packet types that come before another packet type in a header: several tracks, and modifiers.
pub(super) const VIDEO_MULTITRACK: u8 = 6;
pub(super) const AUDIO_MULTITRACK: u8 = 5;
pub(super) const MODIFIED: u8 = 7;

/// The types of headers with tracks.
const ONE_TRACK: u8 = 0;
const SAME_CODEC: u8 = 1;
const MANY_CODECS: u8 = 2;

/// The modifier that adds nanoseconds to the timestamp, and the exclusive upper limit of its value.
const NANOSECONDS: u8 = 0;
const NANOSECONDS_END: u32 = 1_000_000;

impl Packet {
    const fn of_video(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::SequenceStart,
            1 => Self::CodedFrames,
            2 => Self::SequenceEnd,
            3 => Self::CodedFramesX,
            4 => Self::Metadata,
            5 => Self::Mpeg2TsSequenceStart,
            _ => return None,
        })
    }

    const fn of_audio(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::SequenceStart,
            1 => Self::CodedFrames,
            2 => Self::SequenceEnd,
            4 => Self::MultichannelConfig,
            _ => return None,
        })
    }

    /// Returns the packet type as four bits.
    const fn bits(self) -> u8 {
        match self {
            Self::SequenceStart => 0,
            Self::CodedFrames => 1,
            Self::SequenceEnd => 2,
            Self::CodedFramesX => 3,
            Self::Metadata | Self::MultichannelConfig => 4,
            Self::Mpeg2TsSequenceStart => 5,
        }
    }
}

/// The header of one track, before its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrackHeader {
    /// The type of the body.
    pub packet: Packet,
    /// The codec.
    pub codec: FourCc,
    /// The track number. `None` means that the message has no track number and belongs to track 0.
    pub track: Option<u8>,
    /// The frame type of video, or `None` for audio.
    pub frame: Option<FrameType>,
    /// The presentation time minus the timestamp, in milliseconds: 24 bits, signed. Only [`Packet::CodedFrames`] of
    /// [some codecs](FourCc::has_composition_time) has it. Otherwise it is read as 0 and not written.
    pub composition_time: i32,
    /// Nanoseconds to add to the timestamp: 0 to 999,999.
    pub nanoseconds: u32,
}

impl TrackHeader {
    /// Creates the header of a picture. The packet type is [`Packet::CodedFrames`] for codecs that have a composition
    /// time.
    pub fn video(codec: FourCc, frame: FrameType, composition_time: i32) -> Self {
        let packet = Packet::CodedFrames;
        Self { packet, codec, track: None, frame: Some(frame), composition_time, nanoseconds: 0 }
    }

    /// The header of an audio frame.
    pub const fn audio(codec: FourCc) -> Self {
        let packet = Packet::CodedFrames;
        Self { packet, codec, track: None, frame: None, composition_time: 0, nanoseconds: 0 }
    }

    /// Returns the header for the sequence header of the same track.
    #[must_use]
    pub fn configuration(self) -> Self {
        let frame = self.frame.map(|_| FrameType::KEY);
        Self { packet: Packet::SequenceStart, frame, composition_time: 0, nanoseconds: 0, ..self }
    }

    /// Writes the header of a message with only this track into `buffer` and returns it. If a value has more bits than
    /// its field, the extra bits are ignored.
    pub fn emit<'b>(&self, buffer: &'b mut [u8; HEADER_SIZE]) -> &'b [u8] {
        let mut to = Output::new(buffer);
        self.emit_start(&mut to, ONE_TRACK);
        self.track.into_iter().for_each(|track| to.put(&[track]));
        self.emit_composition_time(&mut to);
        to.written().unwrap_or_default()
    }

    /// Writes the header of a message of several tracks into `buffer` and returns it. After it, write
    /// [`Self::emit_next_track`] and the body for each track. The packet type, the frame type and the nanoseconds of
    /// this header apply to all tracks.
    pub fn emit_tracks<'b>(&self, codecs: Codecs, buffer: &'b mut [u8; HEADER_SIZE]) -> &'b [u8] {
        let mut to = Output::new(buffer);
        let of_many = Self { track: Some(0), ..*self };
        of_many.emit_start(&mut to, codecs as u8);
        to.written().unwrap_or_default()
    }

    /// Writes the header of one of several tracks into `buffer` and returns it. `length` is that of the body, in bytes.
    pub fn emit_next_track<'b>(&self, codecs: Codecs, length: u32, buffer: &'b mut [u8; HEADER_SIZE]) -> &'b [u8] {
        let mut to = Output::new(buffer);
        if codecs == Codecs::Many {
            to.put(&self.codec.0);
        }
        let time = if self.has_composition_time() { 3 } else { 0 };
        let [_, size @ ..] = length.saturating_add(time).to_be_bytes();
        to.put(&[self.track.unwrap_or(0)]);
        to.put(&size);
        self.emit_composition_time(&mut to);
        to.written().unwrap_or_default()
    }

    fn has_composition_time(&self) -> bool {
        self.packet == Packet::CodedFrames && self.codec.has_composition_time()
    }

    /// Writes everything before the first track number.
    fn emit_start(&self, to: &mut Output<'_>, multitrack: u8) {
        let (high, multitrack_packet) = match self.frame {
            Some(frame) => (video::ENHANCED | (frame.0 & 0x07) << 4, VIDEO_MULTITRACK),
            None => (audio::ENHANCED << 4, AUDIO_MULTITRACK),
        };
        let packet = if self.track.is_some() { multitrack_packet } else { self.packet.bits() };
        if self.nanoseconds > 0 {
            let [_, nanoseconds @ ..] = self.nanoseconds.to_be_bytes();
            to.put(&[high | MODIFIED, 2]);
            to.put(&nanoseconds);
            to.put(&[NANOSECONDS << 4 | packet]);
        } else {
            to.put(&[high | packet]);
        }
        if self.track.is_some() {
            to.put(&[multitrack << 4 | self.packet.bits()]);
        }
        if multitrack != MANY_CODECS {
            to.put(&self.codec.0);
        }
    }

    fn emit_composition_time(&self, to: &mut Output<'_>) {
        if self.has_composition_time() {
            let [_, time @ ..] = self.composition_time.to_be_bytes();
            to.put(&time);
        }
    }
}

/// Whether the tracks of one message have the same codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Codecs {
    /// All tracks have the same codec.
    Same = SAME_CODEC,
    /// Each track has a codec of its own.
    Many = MANY_CODECS,
}

#[cfg(test)]
mod tests;
