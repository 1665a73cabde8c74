//! What the reader remembers of one chunk stream.

use crate::chunk::header::LengthAndKind;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// The last message header on one chunk stream, and how far its message has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    /// The chunk stream's id, which has 17 bits, and those of the flags below that are set.
    id_and_flags: u32,
    pub(super) timestamp: Timestamp,
    pub(super) length_and_kind: LengthAndKind,
    pub(super) stream: StreamId,
    /// What a type 3 header that begins a message adds to the timestamp, in ms.
    pub(super) delta: u32,
    /// Payload bytes handed on so far; 0 between two messages.
    pub(super) received: u32,
}

/// The last timestamp field was extended, so a type 3 header repeats it (section 5.3.1.3).
const EXTENDED: u32 = 1 << 24;
/// This message's type 3 headers were seen not to repeat it, as some senders do.
const UNREPEATED: u32 = 1 << 25;
/// Used since all were in use when one had to be recycled.
const RECENT: u32 = 1 << 26;
/// The rest of this message is of no concern.
const DISOWNED: u32 = 1 << 27;
/// Where the id is.
const ID: u32 = 0xFF_FFFF;

/// Whether a type 3 header is followed by the extended timestamp (section 5.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Present,
    Absent,
    /// More bytes decide.
    Undecided,
}

impl Track {
    /// No chunk stream's.
    pub(super) const NONE: Track = Track::new(ChunkStreamId::NONE);

    pub(super) const fn new(csid: ChunkStreamId) -> Self {
        let (timestamp, length_and_kind, stream) =
            (Timestamp(0), LengthAndKind::new(0, MessageKind(0)), StreamId::CONNECTION);
        Self { id_and_flags: csid.value(), timestamp, length_and_kind, stream, delta: 0, received: 0 }
    }

    /// Becomes the other one, and that one this: through a function of their own, for else memmove comes into the image.
    #[inline(never)]
    pub(super) fn swap(&mut self, other: &mut Track) {
        core::mem::swap(self, other);
    }

    #[inline]
    pub(super) fn csid(&self) -> ChunkStreamId {
        ChunkStreamId(self.id_and_flags & ID)
    }

    /// A fragment of the message.
    #[inline]
    pub(super) fn fragment<'d>(&self, offset: u32, data: &'d [u8]) -> Fragment<'d> {
        let Track { length_and_kind, timestamp, stream, .. } = *self;
        let header =
            MessageHeader { timestamp, length: length_and_kind.length(), kind: length_and_kind.kind(), stream };
        Fragment { csid: self.csid(), header, offset, data }
    }

    /// Begins a message `delta` ms after the one before.
    pub(super) fn begin_after(&mut self, delta: u32) {
        self.delta = delta;
        self.begin_at(self.timestamp.plus(delta));
    }

    /// Begins a message; one that was not finished is dropped.
    pub(super) fn begin_at(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
        self.received = 0;
        self.id_and_flags &= !(UNREPEATED | DISOWNED);
    }

    /// The header that was read last had a timestamp field; whether it was extended.
    pub(super) fn set_extended(&mut self, extended: bool) {
        self.id_and_flags = self.id_and_flags & !EXTENDED | if extended { EXTENDED } else { 0 };
    }

    pub(super) fn is_extended(&self) -> bool {
        self.id_and_flags & EXTENDED != 0
    }

    /// The rest of the message is of no concern.
    pub(super) fn discard(&mut self) {
        self.id_and_flags |= DISOWNED;
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.id_and_flags & DISOWNED != 0
    }

    /// The track is in use.
    pub(super) fn touch(&mut self) {
        self.id_and_flags |= RECENT;
    }

    /// The last use of the track was long ago.
    pub(super) fn age(&mut self) {
        self.id_and_flags &= !RECENT;
    }

    /// Whether the track can be another chunk stream's: no part of a message is here, nor was it used lately.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_partial() && self.id_and_flags & RECENT == 0
    }

    /// Whether a part of a message is here and the rest is awaited.
    pub(super) fn is_partial(&self) -> bool {
        self.received > 0
    }

    /// Payload bytes that the message lacks.
    #[inline]
    pub(super) fn missing(&self) -> u32 {
        self.length_and_kind.length().wrapping_sub(self.received)
    }

    /// Reads a type 3 header, which `after` follows, four bytes or the first few of them. Begins a message unless one is
    /// unfinished; where the answer is undecided, nothing has changed.
    ///
    /// Senders repeat the field as it was, a delta after type 1 and 2 headers, or the absolute timestamp, or nothing. In
    /// the middle of a message, bytes that are neither are payload, and so are those after the message's later headers.
    /// At the beginning of a message they are a new delta, which FFmpeg sends.
    #[inline(never)]
    pub(super) fn repeat(&mut self, after: &[u8]) -> Repeat {
        let begins = !self.is_partial();
        let unrepeated = self.id_and_flags & UNREPEATED != 0;
        if !self.is_extended() || (unrepeated && !begins) {
            if begins {
                self.begin_after(self.delta);
            }
            return Repeat::Absent;
        }
        let absolute = if begins { self.timestamp.plus(self.delta) } else { self.timestamp };
        let expected =
            [self.delta, absolute.0].iter().any(|value| value.to_be_bytes().iter().zip(after).all(|(a, b)| a == b));
        let value = after.first_chunk().copied().map(u32::from_be_bytes);
        if !expected && (!begins || unrepeated) {
            if begins {
                self.begin_after(self.delta);
            }
            // After it has begun: a new message takes the flag away.
            self.id_and_flags |= UNREPEATED;
            return Repeat::Absent;
        }
        let Some(value) = value else { return Repeat::Undecided };
        if begins {
            self.begin_after(if expected { self.delta } else { value });
        }
        Repeat::Present
    }

    /// Counts `length` payload bytes, no more than are missing, as handed on; answers where in the payload they begin, and
    /// whether they are the last.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) -> (u32, bool) {
        let offset = self.received;
        let received = offset.wrapping_add(length as u32);
        let is_last = received >= self.length_and_kind.length();
        self.received = if is_last { 0 } else { received };
        (offset, is_last)
    }
}
