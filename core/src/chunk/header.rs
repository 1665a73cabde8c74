//! The chunk header: basic header, message header and extended timestamp (RTMP 1.0, section 5.3.1).
//!
//! ```text
//! | fmt:2 csid:6 | csid - 64: 0, 8 or 16 bits | message header: 11, 7, 3 or 0 bytes | extended timestamp: 0 or 4 bytes |
//! ```
//!
//! This is the codec alone: it neither knows which chunk streams exist nor what their last headers said.

use super::ChunkStreamId;
use crate::message::{MessageKind, StreamId};

/// The longest chunk header, in bytes: 3 of basic header, 11 of message header, 4 of extended timestamp.
pub const MAX_SIZE: usize = 18;

/// What the 24-bit timestamp field holds where an extended timestamp follows (section 5.3.1.3).
pub const EXTENDED: u32 = 0xFF_FFFF;

/// The message header of a chunk, which leaves out what is as it was before on its chunk stream (section 5.3.1.2).
///
/// Timestamps and deltas are the 24-bit fields as they stand; [`EXTENDED`] says that the true value follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChunkMessageHeader {
    /// Type 0, 11 bytes: all of it, with an absolute timestamp in ms.
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
    /// Type 1, 7 bytes: the message stream is as before.
    SameStream {
        /// The timestamp delta field.
        delta: u32,
        /// The length of the payload, in bytes.
        length: u32,
        /// The type of the message.
        kind: MessageKind,
    },
    /// Type 2, 3 bytes: all but the timestamp is as before.
    SameLength {
        /// The timestamp delta field.
        delta: u32,
    },
    /// Type 3, no bytes: the next part of a message, or a new one with all as before.
    Same,
}

impl ChunkMessageHeader {
    /// The timestamp or timestamp delta field; [`EXTENDED`] where the value follows the header. Type 3 has none.
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
    /// What follows the basic header.
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

/// The message header's fields as they stand, those that its type leaves out among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) format: Format,
    pub(super) time: u32,
    pub(super) length_and_kind: LengthAndKind,
    pub(super) stream: StreamId,
}

/// The length of a message and its type, as they follow one another in a header: 24 bits and 8.
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
        MessageKind(self.0 as u8)
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

    /// The size of the message header.
    const fn size(self) -> usize {
        match self {
            Format::Full => 11,
            Format::SameStream => 7,
            Format::SameLength => 3,
            Format::Same => 0,
        }
    }
}

/// The size of the basic and the message header that begin with `first`, in bytes: 1 to 14.
pub const fn size(first: u8) -> usize {
    basic_size(first) + Format::of(first).size()
}

const fn basic_size(first: u8) -> usize {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

/// Reads the header at the front of `window`. The fields that it does not have are what stands there.
#[inline]
pub(super) fn parse(window: &[u8; MAX_SIZE]) -> (ChunkStreamId, Fields) {
    let [first, second, third, ..] = *window;
    let csid = match first & 0x3F {
        0 => 64 + u32::from(second),
        1 => 64 + u32::from(second) + 256 * u32::from(third),
        id => u32::from(id),
    };
    let rest = window.get(basic_size(first)..).unwrap_or(&[]);
    // Always there: 3 of 18 bytes at most are the basic header.
    let [t0, t1, t2, l0, l1, l2, kind, s0, s1, s2, s3] = *rest.first_chunk().unwrap_or(&[0; 11]);
    let fields = Fields {
        format: Format::of(first),
        time: u32::from_be_bytes([0, t0, t1, t2]),
        length_and_kind: LengthAndKind(u32::from_be_bytes([l0, l1, l2, kind])),
        stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
    };
    (ChunkStreamId(csid), fields)
}

/// Writes a header: answers bytes, and where in them it begins and ends. The shortest form of the chunk stream id is
/// taken.
pub(super) fn emit(csid: ChunkStreamId, fields: &Fields, extended: Option<u32>) -> ([u8; MAX_SIZE], u8, u8) {
    let ([_, t0, t1, t2], [l0, l1, l2, kind]) = (fields.time.to_be_bytes(), fields.length_and_kind.0.to_be_bytes());
    let [s0, s1, s2, s3] = fields.stream.0.to_le_bytes();
    let format = (fields.format as u8) << 6;
    // The basic header ends where the fields begin.
    let ([b0, b1, b2], start) = match csid.0 {
        id @ ..64 => ([0, 0, format | id as u8], 2),
        id @ ..320 => ([0, format, id.wrapping_sub(64) as u8], 1),
        id => {
            let [low, high, ..] = id.wrapping_sub(64).to_le_bytes();
            ([format | 1, low, high], 0)
        }
    };
    let mut bytes = [b0, b1, b2, t0, t1, t2, l0, l1, l2, kind, s0, s1, s2, s3, 0, 0, 0, 0];
    let mut end = 3 + fields.format.size();
    if let Some(extended) = extended
        && let Some(place) = bytes.get_mut(end..).and_then(|rest| rest.first_chunk_mut())
    {
        *place = extended.to_be_bytes();
        end += 4;
    }
    (bytes, start, end as u8)
}

impl ChunkHeader {
    /// Reads the header at the front of `window`, of which [`size`] bytes count. The two-byte and the three-byte form of
    /// a chunk stream id are both taken for the ids that they share.
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

    /// Writes the header, in the shortest form that its chunk stream id has, and `extended` after it where there is
    /// one; answers the bytes and how many of them count.
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

    /// A header of every type: its fields, and its bytes.
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
        // The three-byte form of ids that have a shorter one.
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
