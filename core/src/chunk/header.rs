//! The chunk header: basic header, message header and extended timestamp (RTMP 1.0, section 5.3.1).
//!
//! ```text
//! | fmt:2 csid:6 | csid - 64: 0, 8 or 16 bits | message header: 11, 7, 3 or 0 bytes | extended timestamp: 0 or 4 bytes |
//! ```
//!
//! This is only the codec. It stores nothing about chunk streams and their last headers.

use super::ChunkStreamId;
use crate::message::{MessageKind, StreamId};

/// The longest chunk header, in bytes: 3 of basic header, 11 of message header, 4 of extended timestamp.
pub const MAX_SIZE: usize = 18;

/// The size of a type 0 header with a basic header of one byte.
pub(crate) const FULL_SIZE: usize = 12;

/// The value of the 24-bit timestamp field if an extended timestamp follows the header (section 5.3.1.3).
pub const EXTENDED: u32 = 0xFF_FFFF;

/// The message header of a chunk. It omits fields that are equal to those of the header before it on the chunk stream
/// (section 5.3.1.2).
///
/// Timestamps and deltas are the 24-bit fields. If a field is [`EXTENDED`], the value follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChunkMessageHeader {
    /// Type 0, 11 bytes: all fields, with an absolute timestamp in ms.
    Full {
        /// The timestamp field.
        timestamp: u32,
        /// The length of the payload, in bytes.
        length: u32,
        /// The type of the message.
        kind: MessageKind,
        /// The message stream.
        stream: StreamId,
    },
    /// Type 1, 7 bytes: without the message stream, and with a timestamp delta in ms.
    SameStream {
        /// The timestamp delta field.
        delta: u32,
        /// The length of the payload, in bytes.
        length: u32,
        /// The type of the message.
        kind: MessageKind,
    },
    /// Type 2, 3 bytes: only a timestamp delta in ms.
    SameLength {
        /// The timestamp delta field.
        delta: u32,
    },
    /// Type 3, no bytes: the next chunk of a message, or a new message with the fields and the delta of the last one.
    Same,
}

impl ChunkMessageHeader {
    /// Returns the timestamp or timestamp delta field: [`EXTENDED`] if the value follows the header, and `None` for type 3.
    #[must_use]
    pub const fn time_field(&self) -> Option<u32> {
        match *self {
            ChunkMessageHeader::Full { timestamp: field, .. }
            | ChunkMessageHeader::SameStream { delta: field, .. }
            | ChunkMessageHeader::SameLength { delta: field } => Some(field),
            ChunkMessageHeader::Same => None,
        }
    }

    const fn format(&self) -> Format {
        match self {
            ChunkMessageHeader::Full { .. } => Format::Full,
            ChunkMessageHeader::SameStream { .. } => Format::SameStream,
            ChunkMessageHeader::SameLength { .. } => Format::SameLength,
            ChunkMessageHeader::Same => Format::Same,
        }
    }
}

/// A chunk header without its extended timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkHeader {
    /// The chunk stream.
    pub csid: ChunkStreamId,
    /// The message header, which follows the basic header.
    pub message: ChunkMessageHeader,
}

/// The type of a chunk header: the first two bits of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Full,
    SameStream,
    SameLength,
    Same,
}

/// All fields of a message header, including those that its type omits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) format: Format,
    pub(super) time: u32,
    pub(super) length_and_kind: LengthAndKind,
    pub(super) stream: StreamId,
}

/// The length and the type of a message, which are next to each other in a header: 24 bits and 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LengthAndKind(u32);

impl LengthAndKind {
    pub(super) const fn new(length: u32, kind: MessageKind) -> Self {
        Self(length << 8 | kind.0 as u32)
    }

    pub(super) const fn length(self) -> u32 {
        self.0 >> 8
    }

    pub(super) const fn kind(self) -> MessageKind {
        let [.., kind] = self.0.to_be_bytes();
        MessageKind(kind)
    }
}

impl Format {
    const fn of(first: u8) -> Format {
        match first >> 6 {
            0 => Format::Full,
            1 => Format::SameStream,
            2 => Format::SameLength,
            _ => Format::Same,
        }
    }

    /// The size of the message header in bytes.
    const fn size(self) -> u8 {
        match self {
            Format::Full => 11,
            Format::SameStream => 7,
            Format::SameLength => 3,
            Format::Same => 0,
        }
    }
}

/// Returns the size of the basic and the message header that begin with `first`, in bytes: 1 to 14.
#[must_use]
pub const fn size(first: u8) -> usize {
    basic_size(first).wrapping_add(Format::of(first).size()) as usize
}

const fn basic_size(first: u8) -> u8 {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

/// Reads the header at the front of `window`. Fields that its type omits get the value of the bytes there.
#[inline]
pub(super) fn parse(window: &[u8; MAX_SIZE]) -> (ChunkStreamId, Fields) {
    let [first, second, third, ..] = *window;
    let csid = match first & 0x3F {
        0 => u32::from(second).wrapping_add(64),
        1 => u32::from(u16::from_le_bytes([second, third])).wrapping_add(64),
        id => u32::from(id),
    };
    let rest = window.get(usize::from(basic_size(first))..).unwrap_or(&[]);
    // Always `Some`: at most 3 of the 18 bytes are the basic header.
    let [t0, t1, t2, l0, l1, l2, kind, s0, s1, s2, s3] = *rest.first_chunk().unwrap_or(&[0; 11]);
    let fields = Fields {
        format: Format::of(first),
        time: u32::from_be_bytes([0, t0, t1, t2]),
        length_and_kind: LengthAndKind(u32::from_be_bytes([l0, l1, l2, kind])),
        stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
    };
    (ChunkStreamId(csid), fields)
}

/// Makes a header, with the shortest form of the chunk stream id. Returns bytes, and the positions of the header's start
/// and end in them.
pub(super) fn emit(csid: ChunkStreamId, fields: &Fields, extended: Option<u32>) -> ([u8; MAX_SIZE], u8, u8) {
    let ([_, t0, t1, t2], [l0, l1, l2, kind]) = (fields.time.to_be_bytes(), fields.length_and_kind.0.to_be_bytes());
    let [s0, s1, s2, s3] = fields.stream.0.to_le_bytes();
    let format = (fields.format as u8) << 6;
    // The basic header is right-aligned in three bytes, so that the fields have a fixed position.
    let ([id, ..], [low, high, ..]) = (csid.0.to_le_bytes(), csid.0.wrapping_sub(64).to_le_bytes());
    let ([b0, b1, b2], start) = match csid.0 {
        ..64 => ([0, 0, format | id], 2),
        64..320 => ([0, format, low], 1),
        _ => ([format | 1, low, high], 0),
    };
    let mut bytes = [b0, b1, b2, t0, t1, t2, l0, l1, l2, kind, s0, s1, s2, s3, 0, 0, 0, 0];
    let mut end = fields.format.size().wrapping_add(3);
    if let Some(extended) = extended
        && let Some(place) = bytes.get_mut(usize::from(end)..).and_then(|rest| rest.first_chunk_mut())
    {
        *place = extended.to_be_bytes();
        end = end.wrapping_add(4);
    }
    (bytes, start, end)
}

/// Makes the header of type 0 of a message with time 0, on a chunk stream with an id below 64. [`emit`] makes the same
/// bytes; of these fields, this takes 170 bytes of flash less.
pub(crate) fn emit_full(csid: ChunkStreamId, kind: MessageKind, stream: StreamId, length: u32) -> [u8; FULL_SIZE] {
    let ([id, ..], [_, l0, l1, l2]) = (csid.0.to_le_bytes(), length.to_be_bytes());
    let [s0, s1, s2, s3] = stream.0.to_le_bytes();
    [id, 0, 0, 0, l0, l1, l2, kind.0, s0, s1, s2, s3]
}

/// Returns the header of one byte that continues a message, or `None` if the chunk stream's id needs more.
pub(crate) const fn continuation(csid: ChunkStreamId) -> Option<u8> {
    let [id, ..] = csid.0.to_le_bytes();
    if csid.0 < 64 { Some(0xC0 | id) } else { None }
}

impl ChunkHeader {
    /// Reads the header at the front of `window`. Only the first [`size`] bytes of the window matter. A chunk stream id
    /// that has a shorter form may be in the longer one.
    #[must_use]
    pub fn parse(window: &[u8; MAX_SIZE]) -> ChunkHeader {
        let (csid, Fields { format, time, length_and_kind, stream }) = parse(window);
        let (length, kind) = (length_and_kind.length(), length_and_kind.kind());
        let message = match format {
            Format::Full => ChunkMessageHeader::Full { timestamp: time, length, kind, stream },
            Format::SameStream => ChunkMessageHeader::SameStream { delta: time, length, kind },
            Format::SameLength => ChunkMessageHeader::SameLength { delta: time },
            Format::Same => ChunkMessageHeader::Same,
        };
        ChunkHeader { csid, message }
    }

    /// Makes the bytes of the header, with the shortest form of the chunk stream id. `extended` is the extended timestamp,
    /// which follows the header. Returns the bytes, and how many of them are the header.
    #[must_use]
    pub fn emit(&self, extended: Option<u32>) -> ([u8; MAX_SIZE], usize) {
        let (format, time) = (self.message.format(), self.message.time_field().unwrap_or(0));
        let (length, kind, stream) = match self.message {
            ChunkMessageHeader::Full { length, kind, stream, .. } => (length, kind, stream),
            ChunkMessageHeader::SameStream { length, kind, .. } => (length, kind, StreamId(0)),
            _ => (0, MessageKind(0), StreamId(0)),
        };
        let (bytes, start, end) = emit(
            self.csid,
            &Fields { format, time, length_and_kind: LengthAndKind::new(length, kind), stream },
            extended,
        );
        let mut front = [0; MAX_SIZE];
        let header = bytes.get(usize::from(start)..usize::from(end)).unwrap_or(&[]);
        let length = crate::bytes::copy(header, &mut front);
        (front, length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> ChunkHeader {
        let mut window = [0xEE; MAX_SIZE];
        window[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(size(window[0]), bytes.len());
        ChunkHeader::parse(&window)
    }

    fn emit(header: ChunkHeader) -> std::vec::Vec<u8> {
        let (bytes, length) = header.emit(None);
        bytes[..length].to_vec()
    }

    fn csid(id: u32) -> ChunkStreamId {
        ChunkStreamId::new(id).unwrap()
    }

    /// A header of every type, as fields and as bytes.
    fn vectors() -> [(ChunkHeader, &'static [u8]); 4] {
        let full = ChunkMessageHeader::Full {
            timestamp: 0x010203,
            length: 0x040506,
            kind: MessageKind::VIDEO,
            stream: StreamId(1),
        };
        [
            (ChunkHeader { csid: csid(6), message: full }, &[0x06, 1, 2, 3, 4, 5, 6, 9, 1, 0, 0, 0]),
            (
                ChunkHeader {
                    csid: csid(4),
                    message: ChunkMessageHeader::SameStream { delta: 23, length: 7, kind: MessageKind::AUDIO },
                },
                &[0x44, 0, 0, 23, 0, 0, 7, 8],
            ),
            (ChunkHeader { csid: csid(63), message: ChunkMessageHeader::SameLength { delta: 40 } }, &[0xBF, 0, 0, 40]),
            (ChunkHeader { csid: csid(2), message: ChunkMessageHeader::Same }, &[0xC2]),
        ]
    }

    #[test]
    fn item_018_fields_of_every_type_and_a_little_endian_stream_id() {
        for (header, bytes) in vectors() {
            assert_eq!(parse(bytes), header);
            assert_eq!(emit(header), bytes);
        }
    }

    #[test]
    fn the_short_way_to_a_full_header_makes_the_same_bytes() {
        let (kind, stream, length) = (MessageKind::COMMAND, StreamId(0x0403_0201), 0x050607);
        let message = ChunkMessageHeader::Full { timestamp: 0, length, kind, stream };
        for id in 2..64 {
            assert_eq!(emit(ChunkHeader { csid: csid(id), message }), emit_full(csid(id), kind, stream, length));
        }
    }

    #[test]
    fn item_017_chunk_stream_ids_in_all_forms() {
        let same = |id| ChunkHeader { csid: csid(id), message: ChunkMessageHeader::Same };
        for (id, bytes) in [
            (2, &[0xC2][..]),
            (63, &[0xFF]),
            (64, &[0xC0, 0]),
            (319, &[0xC0, 255]),
            (320, &[0xC1, 0, 1]),
            (65_599, &[0xC1, 255, 255]),
        ] {
            assert_eq!(parse(bytes), same(id));
            assert_eq!(emit(same(id)), bytes, "the shortest form of {id}");
        }
        // Three-byte forms of ids that have a shorter form.
        assert_eq!(parse(&[0xC1, 0, 0]), same(64));
        assert_eq!(parse(&[0xC1, 255, 0]), same(319));
    }

    #[test]
    fn the_longest_header_fills_its_bytes() {
        let message = ChunkMessageHeader::Full {
            timestamp: EXTENDED,
            length: 5,
            kind: MessageKind::DATA,
            stream: StreamId(0x0403_0201),
        };
        let (bytes, length) = ChunkHeader { csid: csid(65_599), message }.emit(Some(0x0A0B_0C0D));
        assert_eq!(length, MAX_SIZE);
        assert_eq!(bytes, [1, 255, 255, 255, 255, 255, 0, 0, 5, 18, 1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D]);
    }
}
