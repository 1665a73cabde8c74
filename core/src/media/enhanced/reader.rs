//! Splits incoming messages of Enhanced RTMP into pieces, each of one track.

use core::fmt;

use super::{
    AUDIO_MULTITRACK, FourCc, MANY_CODECS, MODIFIED, NANOSECONDS, NANOSECONDS_END, ONE_TRACK, Packet, TrackHeader,
    VIDEO_MULTITRACK, is_enhanced,
};
use crate::bytes::low_u32;
use crate::chunk::Fragment;
use crate::fmt::impl_format;
use crate::media::video::FrameType;
use crate::message::MessageKind;

/// A piece of one track of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackPiece<'d> {
    /// The header of the track.
    pub header: TrackHeader,
    /// Whether the message has sizes for several tracks.
    pub is_of_many: bool,
    /// The length of the track's body in bytes.
    pub length: u32,
    /// The position of `data` in the body of the track, in bytes.
    pub offset: u32,
    /// The position of `data` in the payload of the message, in bytes.
    pub position: u32,
    /// The bytes of this piece. They are empty only if the body is empty.
    pub data: &'d [u8],
}

impl_format!(
    ['d] TrackPiece<'d>,
    this => "TrackPiece {{ header: {}, offset: {}, {} bytes }}", this.header, this.offset, this.data.len()
);

/// Why the rest of a message is skipped. The connection can continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrackError {
    /// The message is not one of Enhanced RTMP: see [`video`](crate::media::video) and [`audio`](crate::media::audio).
    NotEnhanced,
    /// The message ends inside a header.
    Truncated,
    /// A track is longer than the rest of the message, or too short for its header.
    TrackSize {
        /// The size of the track in bytes.
        size: u32,
        /// The bytes that are left in the message.
        left: u32,
    },
    /// The modifier for nanoseconds has fewer than 3 bytes, or a value above 999,999.
    Nanoseconds(u32),
    /// The packet type is unknown, or not allowed here.
    Packet(u8),
    /// The type of a message of several tracks is unknown.
    Multitrack(u8),
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnhanced => f.write_str("not a message of Enhanced RTMP"),
            Self::Truncated => f.write_str("the message ends inside the header of a track"),
            Self::TrackSize { size, left } => write!(f, "a track of {size} bytes in {left} bytes"),
            Self::Nanoseconds(value) => write!(f, "a nanosecond offset of {value}"),
            Self::Packet(packet) => write!(f, "unknown packet type {packet}"),
            Self::Multitrack(kind) => write!(f, "unknown type {kind} of several tracks"),
        }
    }
}

impl core::error::Error for TrackError {}

/// The meaning of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Step {
    First,
    /// The size of a modifier: one byte, and two more if it is 255.
    ModifierSize,
    LongModifierSize,
    Modifier,
    /// The type of the modifier, and the packet type after it.
    ModifierType,
    /// A command, or the byte after the packet type of several tracks.
    Command,
    Multitrack,
    Codec,
    Track,
    TrackSize,
    CompositionTime,
    Body,
    /// The rest of the message is skipped.
    Skip,
}

/// Splits incoming messages of Enhanced RTMP into pieces, each of one track. Only the fields of the header are stored.
/// The pieces borrow the bytes of the fragments.
///
/// A reader handles one message at a time. Use one reader for audio and one for video, because their messages may be
/// interleaved. A fragment with offset 0 begins a message, even if the message before it was not finished.
///
/// Unknown modifiers and commands are skipped. Unknown codecs are returned like known ones. The work for each byte is
/// bounded.
///
/// ```
/// use embedded_rtmp::chunk::Fragment;
/// use embedded_rtmp::media::enhanced::{Packet, TrackPiece, TrackReader};
///
/// # fn show(_: TrackPiece<'_>) {}
/// # fn received(reader: &mut TrackReader, mut fragment: Fragment<'_>) {
/// loop {
///     match reader.next_piece(&mut fragment) {
///         Ok(Some(piece)) => show(piece),
///         Ok(None) => break,
///         Err(_) => break, // the rest of the message is skipped
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrackReader {
    step: Step,
    is_video: bool,
    /// The packet type so far, in four bits.
    packet: u8,
    multitrack: Option<u8>,
    header: TrackHeader,
    /// The field that is being read, and the number of its bytes that have arrived.
    field: u32,
    count: u8,
    /// The number of bytes that are left of a modifier or of the body of a track, and the length of the body.
    left: u32,
    length: u32,
    /// The position of the next byte in the message.
    position: u32,
}

impl Default for TrackReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TrackReader {
    /// Creates a reader that awaits a message.
    pub const fn new() -> Self {
        Self {
            step: Step::First,
            is_video: false,
            packet: 0,
            multitrack: None,
            header: TrackHeader {
                packet: Packet::SequenceEnd,
                codec: FourCc([0; 4]),
                track: None,
                frame: None,
                composition_time: 0,
                nanoseconds: 0,
            },
            field: 0,
            count: 0,
            left: 0,
            length: 0,
            position: 0,
        }
    }

    /// Takes the next piece from the front of a fragment of an audio or video message. Returns `None` when the fragment
    /// has no further piece. Each piece contains the header of its track, even if the header arrived in an earlier
    /// fragment.
    ///
    /// # Errors
    /// The message is not valid. The rest of it is skipped. The next message can be read.
    pub fn next_piece<'d>(&mut self, rest: &mut Fragment<'d>) -> Result<Option<TrackPiece<'d>>, TrackError> {
        if rest.is_first() {
            *self = Self { is_video: rest.header.kind == MessageKind::VIDEO, ..Self::new() };
        } else if rest.offset != self.position {
            self.step = Step::Skip;
        }
        let result = self.read(rest);
        if result.is_err() {
            self.step = Step::Skip;
        }
        result
    }

    fn read<'d>(&mut self, rest: &mut Fragment<'d>) -> Result<Option<TrackPiece<'d>>, TrackError> {
        loop {
            let wanted = match self.step {
                Step::Body => self.left,
                Step::Skip => u32::MAX,
                _ => 1,
            };
            if self.step == Step::Body && wanted == 0 {
                // The next track, if there is one.
                self.step = match self.multitrack {
                    None | Some(ONE_TRACK) => Step::Skip,
                    Some(MANY_CODECS) => Step::Codec,
                    Some(_) => Step::Track,
                };
                continue;
            }
            let (data, behind) = rest.data.split_at_checked(wanted as usize).unwrap_or((rest.data, &[]));
            let Some(first) = data.first() else {
                return self.check_end(rest.header.length).map(|()| None);
            };
            let position = self.position;
            self.position = position.wrapping_add(low_u32(data.len()));
            (rest.data, rest.offset) = (behind, self.position);
            match self.step {
                Step::Skip => {}
                Step::Body => {
                    let offset = self.length.wrapping_sub(self.left);
                    self.left = self.left.wrapping_sub(low_u32(data.len()));
                    return Ok(Some(self.piece(offset, position, data)));
                }
                _ => {
                    self.read_byte(*first, rest.header.length.saturating_sub(self.position))?;
                    if self.step == Step::Body && self.length == 0 {
                        return Ok(Some(self.piece(0, self.position, &[])));
                    }
                }
            }
        }
    }

    fn piece<'d>(&self, offset: u32, position: u32, data: &'d [u8]) -> TrackPiece<'d> {
        let is_of_many = self.multitrack.is_some_and(|kind| kind != ONE_TRACK);
        TrackPiece { header: self.header, is_of_many, length: self.length, offset, position, data }
    }

    /// Checks that the message may end here, if all of it was read.
    fn check_end(&mut self, length: u32) -> Result<(), TrackError> {
        let may_end = match self.step {
            Step::First | Step::Skip => true,
            // Between two tracks.
            Step::Codec | Step::Track => self.count == 0 && self.header.track.is_some(),
            _ => false,
        };
        let is_over = self.position >= length && length > 0;
        if is_over && !may_end { Err(TrackError::Truncated) } else { Ok(()) }
    }

    /// Reads a byte of a header, after which `left` bytes of the message are left.
    fn read_byte(&mut self, byte: u8, left: u32) -> Result<(), TrackError> {
        match self.step {
            Step::First => {
                let kind = if self.is_video { MessageKind::VIDEO } else { MessageKind::AUDIO };
                if !is_enhanced(kind, byte) {
                    return Err(TrackError::NotEnhanced);
                }
                self.header.frame = self.is_video.then_some(FrameType(byte >> 4 & 0x07));
                return self.set_packet(byte & 0x0F, left);
            }
            Step::ModifierSize if byte == 0xFF => self.step = Step::LongModifierSize,
            Step::ModifierSize => self.begin_modifier(u32::from(byte).wrapping_add(1)),
            Step::LongModifierSize => {
                if self.collect(byte, 2) {
                    self.begin_modifier(self.field.wrapping_add(1));
                }
            }
            Step::Modifier => {
                // Only the first 3 bytes of a modifier are used.
                if self.count < 3 {
                    self.field = self.field << 8 | u32::from(byte);
                    self.count = self.count.wrapping_add(1);
                }
                self.left = self.left.wrapping_sub(1);
                if self.left == 0 {
                    self.step = Step::ModifierType;
                }
            }
            Step::ModifierType => {
                if byte >> 4 == NANOSECONDS {
                    if self.count < 3 || self.field >= NANOSECONDS_END {
                        return Err(TrackError::Nanoseconds(self.field));
                    }
                    self.header.nanoseconds = self.field;
                }
                (self.field, self.count) = (0, 0);
                return self.set_packet(byte & 0x0F, left);
            }
            // FFmpeg writes `colorInfo` of a track as a command.
            Step::Command if self.packet == VIDEO_MULTITRACK && byte & 0x0F == Packet::Metadata.bits() => {
                return self.set_tracks(byte);
            }
            Step::Command => self.step = Step::Skip,
            Step::Multitrack => return self.set_tracks(byte),
            Step::Codec => {
                if self.collect(byte, 4) {
                    self.header.codec = FourCc(self.field.to_be_bytes());
                    match self.multitrack {
                        Some(_) => self.step = Step::Track,
                        None => return self.begin_body(left),
                    }
                }
            }
            Step::Track => {
                self.header.track = Some(byte);
                if self.multitrack == Some(ONE_TRACK) {
                    return self.begin_body(left);
                }
                self.step = Step::TrackSize;
            }
            Step::TrackSize => {
                if self.collect(byte, 3) {
                    let size = self.field;
                    if size > left {
                        return Err(TrackError::TrackSize { size, left });
                    }
                    return self.begin_body(size);
                }
            }
            Step::CompositionTime => {
                if self.collect(byte, 3) {
                    // The value is at the top of 32 bits, so that the shift extends the sign.
                    self.header.composition_time = (self.field << 8).cast_signed() >> 8;
                    self.step = Step::Body;
                }
            }
            Step::Body | Step::Skip => {}
        }
        Ok(())
    }

    /// Adds a byte to a field of `length` bytes. Returns whether it is complete.
    fn collect(&mut self, byte: u8, length: u8) -> bool {
        if self.count == 0 {
            self.field = 0;
        }
        self.field = self.field << 8 | u32::from(byte);
        self.count = self.count.wrapping_add(1);
        let is_complete = self.count >= length;
        if is_complete {
            self.count = 0;
        }
        is_complete
    }

    fn begin_modifier(&mut self, size: u32) {
        (self.left, self.field, self.count) = (size, 0, 0);
        self.step = Step::Modifier;
    }

    /// Handles a packet type. Modifiers, and the type that announces several tracks, may come before the packet type of
    /// the tracks.
    fn set_packet(&mut self, packet: u8, left: u32) -> Result<(), TrackError> {
        self.packet = packet;
        let multitrack = if self.is_video { VIDEO_MULTITRACK } else { AUDIO_MULTITRACK };
        let is_command = self.header.frame == Some(FrameType::COMMAND) && packet != Packet::Metadata.bits();
        self.step = match packet {
            MODIFIED => Step::ModifierSize,
            _ if is_command => Step::Command,
            _ if packet == multitrack => Step::Multitrack,
            _ => {
                self.header.packet = self.known(packet)?;
                Step::Codec
            }
        };
        // The byte of a command may be missing.
        if is_command && self.step == Step::Command && left == 0 {
            self.step = Step::Skip;
        }
        Ok(())
    }

    fn set_tracks(&mut self, types: u8) -> Result<(), TrackError> {
        let kind = types >> 4;
        if kind > MANY_CODECS {
            return Err(TrackError::Multitrack(kind));
        }
        self.header.packet = self.known(types & 0x0F)?;
        (self.multitrack, self.step) = (Some(kind), Step::Codec);
        Ok(())
    }

    fn known(&self, packet: u8) -> Result<Packet, TrackError> {
        let known = if self.is_video { Packet::of_video(packet) } else { Packet::of_audio(packet) };
        known.ok_or(TrackError::Packet(packet))
    }

    /// Begins the body, or the composition time before it. Both together have `size` bytes.
    fn begin_body(&mut self, size: u32) -> Result<(), TrackError> {
        let time = if self.is_video && self.header.has_composition_time() { 3 } else { 0 };
        self.header.composition_time = 0;
        let Some(length) = size.checked_sub(time) else {
            return Err(match self.multitrack {
                None | Some(ONE_TRACK) => TrackError::Truncated,
                _ => TrackError::TrackSize { size, left: size },
            });
        };
        (self.length, self.left) = (length, length);
        self.step = if time > 0 { Step::CompositionTime } else { Step::Body };
        Ok(())
    }
}
