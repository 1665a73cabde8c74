//! What the reader stores for one chunk stream.

use crate::bytes::low_u32;
use crate::chunk::header::LengthAndKind;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// The last message header on a chunk stream, and how much of its message has arrived.
#[derive(Debug, Clone, Copy)]
pub(super) struct Track {
    /// The chunk stream's id, which has 17 bits, and the flags below.
    id_and_flags: u32,
    pub(super) timestamp: Timestamp,
    pub(super) length_and_kind: LengthAndKind,
    pub(super) stream: StreamId,
    /// The milliseconds that a type 3 header adds to the timestamp if it begins a message.
    pub(super) delta: u32,
    /// Payload bytes that were returned so far; 0 between two messages.
    pub(super) received: u32,
}

/// The last timestamp field was extended, so that type 3 headers repeat it (section 5.3.1.3).
const EXTENDED: u32 = 1 << 24;
/// The sender does not repeat it in this message. Some senders do not.
const UNREPEATED: u32 = 1 << 25;
/// Used since the marks were cleared last.
const RECENT: u32 = 1 << 26;
/// The rest of this message is to be ignored.
const DISCARDED: u32 = 1 << 27;
/// The number of calls of [`Track::wait`] since the last header, in the highest bits.
const WAITED: u32 = 0xF << 28;
const WAITED_ONCE: u32 = 1 << 28;
/// The bits of the id.
const ID: u32 = 0xFF_FFFF;

/// Whether a type 3 header is followed by the extended timestamp (section 5.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Present,
    Absent,
    /// More bytes are needed to decide.
    Undecided,
}

impl Track {
    /// A track without a chunk stream.
    pub(super) const NONE: Track = Track::new(ChunkStreamId::NONE);

    pub(super) const fn new(csid: ChunkStreamId) -> Self {
        let (timestamp, length_and_kind, stream) =
            (Timestamp(0), LengthAndKind::new(0, MessageKind(0)), StreamId::CONNECTION);
        Self { id_and_flags: csid.value(), timestamp, length_and_kind, stream, delta: 0, received: 0 }
    }

    /// Exchanges two tracks. This is a function because memmove would come into the image otherwise.
    #[inline(never)]
    pub(super) fn swap(&mut self, other: &mut Track) {
        core::mem::swap(self, other);
    }

    #[inline]
    pub(super) fn csid(&self) -> ChunkStreamId {
        ChunkStreamId(self.id_and_flags & ID)
    }

    /// Makes a fragment of the message.
    #[inline]
    pub(super) fn fragment<'d>(&self, offset: u32, data: &'d [u8]) -> Fragment<'d> {
        let Track { length_and_kind, timestamp, stream, .. } = *self;
        let header =
            MessageHeader { timestamp, length: length_and_kind.length(), kind: length_and_kind.kind(), stream };
        Fragment { csid: self.csid(), header, offset, data }
    }

    /// Begins a message `delta` ms after the previous one.
    pub(super) fn begin_after(&mut self, delta: u32) {
        self.delta = delta;
        self.begin_at(self.timestamp.plus(delta));
    }

    /// Begins a message. Drops an unfinished one.
    pub(super) fn begin_at(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
        self.received = 0;
        self.id_and_flags &= !(UNREPEATED | DISCARDED);
    }

    /// Stores whether the timestamp field of the last header was extended.
    pub(super) fn set_extended(&mut self, extended: bool) {
        self.id_and_flags = self.id_and_flags & !EXTENDED | if extended { EXTENDED } else { 0 };
    }

    pub(super) fn is_extended(&self) -> bool {
        self.id_and_flags & EXTENDED != 0
    }

    /// Marks the rest of the message as to be ignored.
    pub(super) fn discard(&mut self) {
        self.id_and_flags |= DISCARDED;
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.id_and_flags & DISCARDED != 0
    }

    /// Marks the track as used.
    pub(super) fn touch(&mut self) {
        self.id_and_flags = self.id_and_flags & !WAITED | RECENT;
    }

    /// Adds 1 to the number of times that the message was found waiting for its next chunk, up to 15. Returns the
    /// count.
    pub(super) fn wait(&mut self) -> u32 {
        self.id_and_flags = self.id_and_flags.checked_add(WAITED_ONCE).unwrap_or(self.id_and_flags);
        self.id_and_flags / WAITED_ONCE
    }

    /// Clears the mark of [`Self::touch`].
    pub(super) fn age(&mut self) {
        self.id_and_flags &= !RECENT;
    }

    /// Whether the track can be evicted: no message is unfinished, and it was not used recently.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_partial() && self.id_and_flags & RECENT == 0
    }

    /// Whether a message is unfinished.
    pub(super) fn is_partial(&self) -> bool {
        self.received > 0
    }

    /// Missing payload bytes of the message.
    #[inline]
    pub(super) fn missing(&self) -> u32 {
        self.length_and_kind.length().wrapping_sub(self.received)
    }

    /// Decides what follows a type 3 header. `after` has the four bytes after it, or those of them that have arrived.
    /// Begins a message if none is unfinished. Changes nothing if the result is `Undecided`.
    ///
    /// Senders repeat the extended timestamp field (a delta after type 1 and 2 headers), or the absolute timestamp, or
    /// nothing. In the middle of a message, any other bytes are payload, and so are the bytes after the message's later
    /// headers. At the start of a message, they are a new delta, which FFmpeg sends.
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
            // After the message has begun, which clears the flag.
            self.id_and_flags |= UNREPEATED;
            return Repeat::Absent;
        }
        let Some(value) = value else { return Repeat::Undecided };
        if begins {
            self.begin_after(if expected { self.delta } else { value });
        }
        Repeat::Present
    }

    /// Counts `length` payload bytes as returned, at most as many as are missing. Returns their offset in the payload, and
    /// whether they are the last ones.
    #[inline]
    pub(super) fn advance(&mut self, length: usize) -> (u32, bool) {
        let offset = self.received;
        let received = offset.wrapping_add(low_u32(length));
        let is_last = received >= self.length_and_kind.length();
        self.received = if is_last { 0 } else { received };
        (offset, is_last)
    }
}
