//! The chunk header: basic header, message header and extended timestamp (RTMP 1.0, section 5.3.1).
//!
//! ```text
//! | fmt:2 csid:6 | csid - 64: 0, 8 or 16 bits | message header: 11, 7, 3 or 0 bytes | extended timestamp: 0 or 4 bytes |
//! ```
//!
//! This is the codec alone: it neither knows which chunk streams exist nor what their last headers said.

use super::ChunkStreamId;
use crate::message::{Kind, StreamId};

/// The longest chunk header, in bytes: 3 of basic header, 11 of message header, 4 of extended timestamp.
pub const MAX_SIZE: usize = 18;

/// What the 24-bit timestamp field holds where an extended timestamp follows (section 5.3.1.3).
pub const EXTENDED: u32 = 0xFF_FFFF;

/// The message header of a chunk, which leaves out what is as it was before on its chunk stream (section 5.3.1.2).
///
/// Timestamps and deltas are the 24-bit fields as they stand; [`EXTENDED`] says that the true value follows the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MessageHeader {
    /// Type 0, 11 bytes: all of it, with an absolute timestamp in ms.
    Full {
        /// The timestamp field.
        timestamp: u32,
        /// The length of the payload, in bytes.
        length: u32,
        /// The type of the message.
        kind: Kind,
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
        kind: Kind,
    },
    /// Type 2, 3 bytes: all but the timestamp is as before.
    SameLength {
        /// The timestamp delta field.
        delta: u32,
    },
    /// Type 3, no bytes: the next part of a message, or a new one with all as before.
    Same,
}

impl MessageHeader {
    /// The timestamp or timestamp delta field; [`EXTENDED`] where the value follows the header. Type 3 has none.
    pub const fn time_field(&self) -> Option<u32> {
        match *self {
            MessageHeader::Full { timestamp: field, .. }
            | MessageHeader::SameStream { delta: field, .. }
            | MessageHeader::SameLength { delta: field } => Some(field),
            MessageHeader::Same => None,
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
    pub message: MessageHeader,
}

/// The size of the basic and the message header that begin with `first`, in bytes: 1 to 14.
pub const fn size(first: u8) -> usize {
    let message = match first >> 6 {
        0 => 11,
        1 => 7,
        2 => 3,
        _ => 0,
    };
    basic_size(first) + message
}

const fn basic_size(first: u8) -> usize {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

impl ChunkHeader {
    /// Reads the header at the front of `window`, of which [`size`] bytes count. The two-byte and the three-byte form of
    /// a chunk stream id are both taken for the ids that they share.
    pub fn parse(window: &[u8; MAX_SIZE]) -> ChunkHeader {
        let [first, second, third, ..] = *window;
        let csid = match first & 0x3F {
            0 => 64 + u32::from(second),
            1 => 64 + u32::from(second) + 256 * u32::from(third),
            id => u32::from(id),
        };
        let rest = window.get(basic_size(first)..).unwrap_or(&[]);
        // Always there: 3 of 18 bytes at most are the basic header.
        let [t0, t1, t2, l0, l1, l2, kind, s0, s1, s2, s3] = *rest.first_chunk().unwrap_or(&[0; 11]);
        let time = u32::from_be_bytes([0, t0, t1, t2]);
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        let message = match first >> 6 {
            0 => MessageHeader::Full {
                timestamp: time,
                length,
                kind: Kind(kind),
                stream: StreamId(u32::from_le_bytes([s0, s1, s2, s3])),
            },
            1 => MessageHeader::SameStream { delta: time, length, kind: Kind(kind) },
            2 => MessageHeader::SameLength { delta: time },
            _ => MessageHeader::Same,
        };
        ChunkHeader { csid: ChunkStreamId(csid), message }
    }

    /// Writes the header, in the shortest form that its chunk stream id has, and `extended` after it where there is
    /// one; answers the bytes and how many of them count.
    pub fn emit(&self, extended: Option<u32>) -> ([u8; MAX_SIZE], usize) {
        let mut bytes = [0; MAX_SIZE];
        let mut fill = Fill { to: bytes.iter_mut(), length: 0 };
        let format = match self.message {
            MessageHeader::Full { .. } => 0x00,
            MessageHeader::SameStream { .. } => 0x40,
            MessageHeader::SameLength { .. } => 0x80,
            MessageHeader::Same => 0xC0,
        };
        let csid = self.csid.0;
        match csid.wrapping_sub(64).to_le_bytes() {
            _ if csid < 64 => fill.put(&[format | csid as u8]),
            [low, 0, ..] => fill.put(&[format, low]),
            [low, high, ..] => fill.put(&[format | 1, low, high]),
        }
        match self.message {
            MessageHeader::Full { timestamp, length, kind, stream } => {
                fill.time_length_kind(timestamp, length, kind);
                fill.put(&stream.0.to_le_bytes());
            }
            MessageHeader::SameStream { delta, length, kind } => fill.time_length_kind(delta, length, kind),
            MessageHeader::SameLength { delta } => fill.u24(delta),
            MessageHeader::Same => {}
        }
        if let Some(extended) = extended {
            fill.put(&extended.to_be_bytes());
        }
        let length = fill.length;
        (bytes, length)
    }
}

/// Fills the bytes of a header from the front.
struct Fill<'a> {
    to: core::slice::IterMut<'a, u8>,
    length: usize,
}

impl Fill<'_> {
    fn put(&mut self, bytes: &[u8]) {
        for (from, to) in bytes.iter().zip(self.to.by_ref()) {
            *to = *from;
        }
        self.length += bytes.len();
    }

    fn u24(&mut self, value: u32) {
        let [_, a, b, c] = value.to_be_bytes();
        self.put(&[a, b, c]);
    }

    fn time_length_kind(&mut self, time: u32, length: u32, kind: Kind) {
        self.u24(time);
        self.u24(length);
        self.put(&[kind.0]);
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
        let full =
            MessageHeader::Full { timestamp: 0x010203, length: 0x040506, kind: Kind::VIDEO, stream: StreamId(1) };
        [
            (ChunkHeader { csid: csid(6), message: full }, &[0x06, 1, 2, 3, 4, 5, 6, 9, 1, 0, 0, 0]),
            (
                ChunkHeader {
                    csid: csid(4),
                    message: MessageHeader::SameStream { delta: 23, length: 7, kind: Kind::AUDIO },
                },
                &[0x44, 0, 0, 23, 0, 0, 7, 8],
            ),
            (ChunkHeader { csid: csid(63), message: MessageHeader::SameLength { delta: 40 } }, &[0xBF, 0, 0, 40]),
            (ChunkHeader { csid: csid(2), message: MessageHeader::Same }, &[0xC2]),
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
        let same = |id| ChunkHeader { csid: csid(id), message: MessageHeader::Same };
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
        let message =
            MessageHeader::Full { timestamp: EXTENDED, length: 5, kind: Kind::DATA, stream: StreamId(0x0403_0201) };
        let (bytes, length) = ChunkHeader { csid: csid(65_599), message }.emit(Some(0x0A0B_0C0D));
        assert_eq!(length, MAX_SIZE);
        assert_eq!(bytes, [1, 255, 255, 255, 255, 255, 0, 0, 5, 18, 1, 2, 3, 4, 0x0A, 0x0B, 0x0C, 0x0D]);
    }
}
