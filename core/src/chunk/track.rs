//! What the reader remembers of one chunk stream.

use super::ChunkStreamId;
use crate::message::{Header, Kind, StreamId, Timestamp};

/// The last message header on one chunk stream, and how far its message has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    pub(super) csid: ChunkStreamId,
    pub(super) header: Header,
    /// What a type 3 header that begins a message adds to the timestamp, in ms.
    pub(super) delta: u32,
    /// Payload bytes handed on so far; 0 between two messages.
    pub(super) received: u32,
    /// The last timestamp field was extended, so a type 3 header repeats it (section 5.3.1.3).
    pub(super) extended: bool,
    /// This message's type 3 headers were seen not to repeat it, as some senders do.
    pub(super) unrepeated: bool,
    /// Used since the last search for a track to recycle.
    pub(super) recent: bool,
}

/// Whether a type 3 header is followed by the extended timestamp (section 5.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Present,
    Absent,
    /// More bytes decide.
    Undecided,
}

impl Track {
    pub(super) const fn new(csid: ChunkStreamId) -> Self {
        let header = Header { timestamp: Timestamp(0), length: 0, kind: Kind(0), stream: StreamId::CONNECTION };
        Self { csid, header, delta: 0, received: 0, extended: false, unrepeated: false, recent: true }
    }

    /// Begins a message `delta` ms after the one before.
    pub(super) fn begin_after(&mut self, delta: u32) {
        self.delta = delta;
        self.begin_at(self.header.timestamp.plus(delta));
    }

    /// Begins a message; one that was not finished is dropped.
    pub(super) fn begin_at(&mut self, timestamp: Timestamp) {
        self.header.timestamp = timestamp;
        self.received = 0;
        self.unrepeated = false;
    }

    /// Whether a part of a message is here and the rest is awaited.
    pub(super) fn is_partial(&self) -> bool {
        self.received > 0
    }

    /// Payload bytes that the message lacks.
    pub(super) fn missing(&self) -> u32 {
        self.header.length.saturating_sub(self.received)
    }

    /// Reads a type 3 header, which `after` follows, four bytes or the first few of them. Begins a message unless one is
    /// unfinished; where the answer is undecided, nothing has changed.
    ///
    /// Senders repeat the field as it was, a delta after type 1 and 2 headers, or the absolute timestamp, or nothing. In
    /// the middle of a message, bytes that are neither are payload, and so are those after the message's later headers.
    /// At the beginning of a message they are a new delta, which FFmpeg sends.
    pub(super) fn repeat(&mut self, after: &[u8]) -> Repeat {
        let begins = !self.is_partial();
        let repeat = if !self.extended || (self.unrepeated && !begins) {
            Repeat::Absent
        } else {
            let absolute = if begins { self.header.timestamp.plus(self.delta) } else { self.header.timestamp };
            let expected = [self.delta, absolute.0].iter().any(|value| value.to_be_bytes().starts_with(after));
            match after.first_chunk().copied().map(u32::from_be_bytes) {
                Some(_) if expected => Repeat::Present,
                _ if expected => Repeat::Undecided,
                _ if !begins || self.unrepeated => {
                    self.unrepeated = true;
                    Repeat::Absent
                }
                None => Repeat::Undecided,
                Some(delta) => {
                    self.delta = delta;
                    Repeat::Present
                }
            }
        };
        if begins && repeat != Repeat::Undecided {
            let unrepeated = self.unrepeated;
            self.begin_after(self.delta);
            self.unrepeated = unrepeated && repeat == Repeat::Absent;
        }
        repeat
    }

    /// Counts `length` payload bytes as handed on; answers where in the payload they begin.
    pub(super) fn advance(&mut self, length: usize) -> u32 {
        let offset = self.received;
        self.received = offset.saturating_add(length as u32);
        if self.missing() == 0 {
            self.received = 0;
        }
        offset
    }
}
