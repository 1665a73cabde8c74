//! What the writer remembers of one chunk stream.

use crate::chunk::ChunkStreamId;
use crate::chunk::header::{self, EXTENDED, Fields, Format, LengthAndKind};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// The last message header on one chunk stream, and how much of its message is out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) csid: ChunkStreamId,
    pub(super) stage: Stage,
    /// The delta of the last type 1 or 2 header, in its 24 bits, which a type 3 header repeats; [`NO_DELTA`] after a type 0
    /// header, since readers do not agree on what type 3 means there.
    delta: [u8; 3],
    timestamp: Timestamp,
    length_and_kind: LengthAndKind,
    stream: StreamId,
    /// Payload bytes not yet out.
    pub(super) left: u32,
}

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is none, or it is finished.
    Closed,
    /// It begins with a header of this type.
    Begins(Format),
    Continues,
}

/// No delta is so large.
const NO_DELTA: u32 = EXTENDED;

impl Track {
    /// No chunk stream's; all of it is zero, which takes the least flash to make.
    pub(super) const NONE: Track = Track {
        csid: ChunkStreamId::NONE,
        stage: Stage::Closed,
        delta: [0; 3],
        timestamp: Timestamp(0),
        length_and_kind: LengthAndKind::new(0, MessageKind(0)),
        stream: StreamId::CONNECTION,
        left: 0,
    };

    /// Becomes [`Self::NONE`].
    pub(super) fn reset(&mut self) {
        *self = Self::NONE;
    }

    /// Begins a message on a chunk stream, whose last message this track has or had.
    #[inline(never)]
    pub(super) fn begin(&mut self, csid: ChunkStreamId, header: MessageHeader) {
        let MessageHeader { timestamp, length, kind, stream } = header;
        let length_and_kind = LengthAndKind::new(length, kind);
        let (format, delta) =
            if self.csid == csid { self.shortest(&header, length_and_kind) } else { (Format::Full, NO_DELTA) };
        let [_, delta @ ..] = delta.to_be_bytes();
        *self = Track { csid, stage: Stage::Begins(format), delta, timestamp, length_and_kind, stream, left: length };
    }

    /// Whether it is a chunk stream's.
    pub(super) fn is_used(&self) -> bool {
        self.csid != Self::NONE.csid
    }

    /// Whether a message is begun and not finished.
    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    fn delta(&self) -> u32 {
        let [a, b, c] = self.delta;
        u32::from_be_bytes([0, a, b, c])
    }

    /// The type of the shortest header that says `header` after what was before, and its delta.
    ///
    /// A delta that would need the extended form is not used: readers do not agree on what its repetition holds.
    fn shortest(&self, header: &MessageHeader, length_and_kind: LengthAndKind) -> (Format, u32) {
        let delta = header.timestamp.since(self.timestamp);
        if header.stream != self.stream || delta < 0 || delta as u32 >= NO_DELTA {
            return (Format::Full, NO_DELTA);
        }
        let delta = delta as u32;
        let format = if length_and_kind != self.length_and_kind {
            Format::SameStream
        } else if self.delta() != delta {
            Format::SameLength
        } else {
            Format::Same
        };
        (format, delta)
    }

    /// The extended timestamp that stands in every chunk header of the message.
    pub(super) fn extended(&self) -> Option<u32> {
        // Only type 0 headers, which leave no delta behind, are ever extended.
        (self.timestamp.0 >= EXTENDED && self.delta() == NO_DELTA).then_some(self.timestamp.0)
    }

    /// The next chunk's header: bytes, and where in them it begins and ends.
    pub(super) fn header(&self, format: Format) -> ([u8; header::MAX_SIZE], u8, u8) {
        let time = if format == Format::Full { self.timestamp.0.min(EXTENDED) } else { self.delta() };
        let Track { length_and_kind, stream, .. } = *self;
        header::emit(self.csid, &Fields { format, time, length_and_kind, stream }, self.extended())
    }

    /// The header of a chunk that continues the message, where it is one byte.
    pub(super) fn plain_continuation(&self) -> Option<u8> {
        let is_plain = self.stage == Stage::Continues && self.csid.value() < 64 && self.extended().is_none();
        is_plain.then_some(0xC0 | self.csid.value() as u8)
    }
}
