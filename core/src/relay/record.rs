//! What stands before a message in the ring, and what is known of one that is not whole.

use crate::chunk::ChunkStreamId;
use crate::media::FrameClass;
use crate::message::{MessageKind, Timestamp};

/// The length of a [`Record`].
pub(super) const RECORD: usize = 8;

/// A message of which not all has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartialMessage {
    /// The chunk stream that it comes on; `None` where there is no message.
    pub(super) csid: Option<ChunkStreamId>,
    pub(super) class: Option<FrameClass>,
    pub(super) place: Place,
    /// Bytes of its payload, and how many of them have come.
    pub(super) length: u32,
    pub(super) arrived: u32,
}

impl PartialMessage {
    /// Whether players get it only when it is whole: as long as nobody knows what it is; and if it is one of those that
    /// are kept, for a sequence header of which the end is zeros would spoil all that comes after it.
    pub(super) const fn must_be_whole(&self) -> bool {
        matches!(self.class, None | Some(FrameClass::Configuration | FrameClass::Metadata(_)))
    }
}

/// A position in the ring: bytes that were ever reserved before it. Words of 32 bits leave no gaps where it is kept.
#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(super) struct Position(pub(super) u64);

/// Where a message stands in the ring, and how many there were before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) number: u32,
}

/// What stands before a message's payload in the ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// What the message is for players. Of kind 0 there is nothing for them.
    pub(super) kind: u8,
    pub(super) wrapped: bool,
    pub(super) cut: bool,
    pub(super) length: u32,
    /// The timestamp; of a message that was cut off, how much of it had arrived.
    pub(super) word: u32,
}

impl Record {
    const WRAPPED: u8 = 0x40;
    const CUT: u8 = 0x20;

    pub(super) fn emit(&self) -> [u8; RECORD] {
        let flags = if self.wrapped { Self::WRAPPED } else { 0 } | if self.cut { Self::CUT } else { 0 };
        let [_, l1, l2, l3] = self.length.to_be_bytes();
        let [t0, t1, t2, t3] = self.word.to_be_bytes();
        [self.kind & 0x1F | flags, l1, l2, l3, t0, t1, t2, t3]
    }

    pub(super) fn parse([kind, l1, l2, l3, t0, t1, t2, t3]: [u8; RECORD]) -> Self {
        Self {
            kind: kind & 0x1F,
            wrapped: kind & Self::WRAPPED != 0,
            cut: kind & Self::CUT != 0,
            length: u32::from_be_bytes([0, l1, l2, l3]),
            word: u32::from_be_bytes([t0, t1, t2, t3]),
        }
    }

    pub(super) const fn timestamp(&self) -> Timestamp {
        Timestamp(self.word)
    }

    /// Bytes at the front of the payload that are for servers alone.
    pub(super) const fn skip(&self) -> u32 {
        let selector = (self.kind == MessageKind::DATA_AMF3.0) as u32;
        if self.wrapped { selector.wrapping_add(16) } else { selector }
    }
}

/// Where the payload of a record begins.
pub(super) const fn payload(at: u64) -> u64 {
    at.wrapping_add(RECORD as u64)
}
