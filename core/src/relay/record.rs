//! The header of a message in the ring, and the state of a message that is incomplete.

use crate::chunk::ChunkStreamId;
use crate::media::FrameClass;
use crate::message::{MessageKind, Timestamp};

/// The length of a [`Record`].
pub(super) const RECORD: usize = 8;

/// A message that is incomplete.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartialMessage {
    /// The chunk stream that it arrives on; `None` if there is no message.
    pub(super) csid: Option<ChunkStreamId>,
    pub(super) class: Option<FrameClass>,
    /// The track, if the class is known.
    pub(super) track: u8,
    pub(super) place: Place,
    /// The length of its payload, and how much of it has arrived.
    pub(super) length: u32,
    pub(super) arrived: u32,
}

impl PartialMessage {
    /// Whether players get it only when it is complete: if its class is not known yet, or if it is cached. A sequence header
    /// that ends with zeros would make everything after it undecodable.
    pub(super) const fn must_be_whole(&self) -> bool {
        matches!(self.class, None | Some(FrameClass::Configuration | FrameClass::Metadata(_)))
    }
}

/// A position in the ring: the number of bytes that were reserved before it. Packed so that it leaves no gaps in memory.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(super) struct Position(pub(super) u64);

/// The position of a message in the ring, and the number of messages before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) number: u32,
}

/// The header of a message in the ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// The kind of the message for players; 0 if it is not for them.
    pub(super) kind: u8,
    pub(super) wrapped: bool,
    pub(super) cut: bool,
    /// Whether it is the first message of its publisher.
    pub(super) first: bool,
    pub(super) length: u32,
    /// The timestamp; or, if the message was cut, the number of bytes that had arrived.
    pub(super) word: u32,
}

impl Record {
    const WRAPPED: u8 = 0x40;
    const CUT: u8 = 0x20;
    const FIRST: u8 = 0x80;

    pub(super) fn emit(&self) -> [u8; RECORD] {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(self.wrapped, Self::WRAPPED) | flag(self.cut, Self::CUT) | flag(self.first, Self::FIRST);
        let [_, l1, l2, l3] = self.length.to_be_bytes();
        let [t0, t1, t2, t3] = self.word.to_be_bytes();
        [self.kind & 0x1F | flags, l1, l2, l3, t0, t1, t2, t3]
    }

    pub(super) fn parse([kind, l1, l2, l3, t0, t1, t2, t3]: [u8; RECORD]) -> Self {
        Self {
            kind: kind & 0x1F,
            wrapped: kind & Self::WRAPPED != 0,
            cut: kind & Self::CUT != 0,
            first: kind & Self::FIRST != 0,
            length: u32::from_be_bytes([0, l1, l2, l3]),
            word: u32::from_be_bytes([t0, t1, t2, t3]),
        }
    }

    pub(super) const fn timestamp(&self) -> Timestamp {
        Timestamp(self.word)
    }

    /// Bytes at the start of the payload that are for servers alone.
    pub(super) const fn skip(&self) -> u32 {
        let selector = (self.kind == MessageKind::DATA_AMF3.0) as u32;
        if self.wrapped { selector.wrapping_add(16) } else { selector }
    }
}

/// The position of the payload of a record.
pub(super) const fn payload(at: u64) -> u64 {
    at.wrapping_add(RECORD as u64)
}
