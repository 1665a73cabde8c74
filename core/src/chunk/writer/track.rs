//! What the writer stores for one chunk stream.

use crate::chunk::ChunkStreamId;
use crate::chunk::header::{self, EXTENDED, Fields, Format, LengthAndKind};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// The last message header on a chunk stream, and how much of its message is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) csid: ChunkStreamId,
    pub(super) stage: Stage,
    /// The delta of the last type 1 or 2 header, which a type 3 header repeats; [`NO_DELTA`] after a type 0 header, because
    /// readers do not agree on the meaning of type 3 there.
    delta: [u8; 3],
    timestamp: Timestamp,
    length_and_kind: LengthAndKind,
    stream: StreamId,
    /// Payload bytes that are not written yet.
    pub(super) left: u32,
}

/// How much of a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There is no message, or it is finished.
    Closed,
    /// Nothing. The message begins with a header of this type.
    Begins(Format),
    /// At least the header.
    Continues,
}

/// Larger than every delta.
const NO_DELTA: u32 = EXTENDED;

impl Track {
    /// A track without a chunk stream.
    pub(super) const NONE: Track = Track {
        csid: ChunkStreamId::NONE,
        stage: Stage::Closed,
        delta: [0; 3],
        timestamp: Timestamp(0),
        length_and_kind: LengthAndKind::new(0, MessageKind(0)),
        stream: StreamId::CONNECTION,
        left: 0,
    };

    /// Belongs to no chunk stream any longer.
    pub(super) fn reset(&mut self) {
        (self.csid, self.stage) = (ChunkStreamId::NONE, Stage::Closed);
    }

    /// Begins a message. If the track belongs to another chunk stream, it is overwritten.
    #[inline(never)]
    pub(super) fn begin(&mut self, csid: ChunkStreamId, header: MessageHeader) {
        let MessageHeader { timestamp, length, kind, stream } = header;
        let length_and_kind = LengthAndKind::new(length, kind);
        let (format, delta) =
            if self.csid == csid { self.shortest(&header, length_and_kind) } else { (Format::Full, NO_DELTA) };
        let [delta @ .., _] = delta.to_le_bytes();
        *self = Track { csid, stage: Stage::Begins(format), delta, timestamp, length_and_kind, stream, left: length };
    }

    /// Whether the track belongs to a chunk stream.
    pub(super) fn is_used(&self) -> bool {
        self.csid != Self::NONE.csid
    }

    /// Whether a message is open.
    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    fn delta(&self) -> u32 {
        let [a, b, c] = self.delta;
        u32::from_le_bytes([a, b, c, 0])
    }

    /// The type of the shortest header for `header` after the previous one, and its delta.
    ///
    /// Deltas that need the extended form are not used: readers do not agree on what a type 3 header repeats then.
    fn shortest(&self, header: &MessageHeader, length_and_kind: LengthAndKind) -> (Format, u32) {
        let delta = header.timestamp.since(self.timestamp);
        if header.stream != self.stream || delta < 0 || delta.cast_unsigned() >= NO_DELTA {
            return (Format::Full, NO_DELTA);
        }
        let delta = delta.cast_unsigned();
        let format = if length_and_kind != self.length_and_kind {
            Format::SameStream
        } else if self.delta() != delta {
            Format::SameLength
        } else {
            Format::Same
        };
        (format, delta)
    }

    /// The extended timestamp, which every chunk header of the message has.
    pub(super) fn extended(&self) -> Option<u32> {
        // Only type 0 headers are ever extended. They leave no delta.
        (self.timestamp.0 >= EXTENDED && self.delta() == NO_DELTA).then_some(self.timestamp.0)
    }

    /// The next chunk's header: bytes, and the positions of the header's start and end in them.
    pub(super) fn header(&self, format: Format) -> ([u8; header::MAX_SIZE], u8, u8) {
        let time = if format == Format::Full { self.timestamp.0.min(EXTENDED) } else { self.delta() };
        let Track { length_and_kind, stream, .. } = *self;
        header::emit(self.csid, &Fields { format, time, length_and_kind, stream }, self.extended())
    }

    /// The header of a chunk that continues the message, if it has one byte.
    pub(super) fn plain_continuation(&self) -> Option<u8> {
        let is_plain = self.stage == Stage::Continues && self.extended().is_none();
        if is_plain { header::continuation(self.csid) } else { None }
    }
}
