//! What the writer remembers of one chunk stream.

use crate::chunk::ChunkStreamId;
use crate::chunk::header::{self, EXTENDED, Fields, Format};
use crate::message::{Header, Kind, StreamId, Timestamp};

/// The last message header on one chunk stream, and how much of its message is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) csid: ChunkStreamId,
    pub(super) kind: Kind,
    /// A message is begun and not finished.
    pub(super) open: bool,
    /// The type of its next chunk header.
    pub(super) next: Format,
    /// That header is the message's first.
    pub(super) first: bool,
    pub(super) timestamp: Timestamp,
    pub(super) length: u32,
    pub(super) stream: StreamId,
    /// The delta of the last type 1 or 2 header, which a type 3 header repeats; [`NO_DELTA`] after a type 0 header, since
    /// readers do not agree on what type 3 means there.
    pub(super) delta: u32,
    /// Payload bytes not yet out.
    pub(super) left: u32,
}

/// No delta is so large.
pub(super) const NO_DELTA: u32 = EXTENDED;

impl Track {
    /// No chunk stream's; all of it is zero, which takes the least flash to make.
    pub(super) const NONE: Track = Track {
        csid: ChunkStreamId(0),
        kind: Kind(0),
        open: false,
        next: Format::Full,
        first: false,
        timestamp: Timestamp(0),
        length: 0,
        stream: StreamId::CONNECTION,
        delta: 0,
        left: 0,
    };

    /// Whether it is a chunk stream's.
    pub(super) fn is_used(&self) -> bool {
        self.csid != Self::NONE.csid
    }

    /// The type of the shortest header that says `header` after what was before, and its delta.
    ///
    /// A delta that would need the extended form is not used: readers do not agree on what its repetition holds.
    pub(super) fn shortest(&self, header: &Header) -> (Format, u32) {
        let delta = header.timestamp.since(self.timestamp);
        if header.stream != self.stream || delta < 0 || delta as u32 >= NO_DELTA {
            return (Format::Full, NO_DELTA);
        }
        let delta = delta as u32;
        let format = if (header.length, header.kind) != (self.length, self.kind) {
            Format::SameStream
        } else if self.delta != delta {
            Format::SameLength
        } else {
            Format::Same
        };
        (format, delta)
    }

    /// The extended timestamp that stands in every chunk header of the message.
    pub(super) fn extended(&self) -> Option<u32> {
        // Only type 0 headers, which leave no delta behind, are ever extended.
        (self.delta == NO_DELTA && self.timestamp.0 >= EXTENDED).then_some(self.timestamp.0)
    }

    /// The next chunk's header: bytes, and where in them it begins and ends.
    pub(super) fn header(&self, format: Format) -> ([u8; header::MAX_SIZE], u8, u8) {
        let time = if format == Format::Full { self.timestamp.0.min(EXTENDED) } else { self.delta };
        let Track { kind, length, stream, .. } = *self;
        header::emit(self.csid, &Fields { format, time, length, kind, stream }, self.extended())
    }

    /// The header of a chunk that continues the message, where it is one byte.
    pub(super) fn plain_continuation(&self) -> Option<u8> {
        (!self.first && self.csid.value() < 64 && self.extended().is_none()).then_some(0xC0 | self.csid.value() as u8)
    }
}
