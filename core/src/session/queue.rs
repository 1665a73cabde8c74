//! The queue of outgoing control and command messages, in a buffer that the caller lends.
//!
//! A message lies in it as four fields of eight bytes in all, and its payload:
//!
//! ```text
//! | chunk stream: 1 | type: 1 | payload length: 2 | message stream: 4 | payload |
//! ```

use crate::amf0::{BufferFull, Encoder};
use crate::bytes::{Cursor, copy};
use crate::chunk::ChunkStreamId;
use crate::message::{Header, Kind, StreamId, Timestamp};

/// Bytes before each payload.
pub(super) const OVERHEAD: usize = 8;

/// Messages that wait to be sent, first in, first out.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

/// A message that waits.
#[derive(Debug, PartialEq)]
pub(super) struct Queued<'q> {
    pub(super) csid: ChunkStreamId,
    pub(super) header: Header,
    pub(super) payload: &'q [u8],
}

impl Queued<'_> {
    /// The chunk size that a Set Chunk Size message announces.
    pub(super) fn chunk_size(&self) -> Option<u32> {
        (self.header.kind == Kind::SET_CHUNK_SIZE).then(|| Cursor(self.payload).u32())?
    }
}

impl<'b> Queue<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0 }
    }

    pub(super) fn into_buffer(self) -> &'b mut [u8] {
        self.buffer
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that are free, for payload and its overhead.
    pub(super) fn free(&self) -> usize {
        self.buffer.len().wrapping_sub(self.end.wrapping_sub(self.start))
    }

    pub(super) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a message whose payload `emit` writes. On an error nothing is added, and the error tells how large the whole
    /// buffer must be.
    pub(super) fn push(
        &mut self,
        csid: ChunkStreamId,
        kind: Kind,
        stream: StreamId,
        emit: &mut dyn FnMut(&mut Encoder<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), BufferFull> {
        self.compact();
        let before = self.end.wrapping_add(OVERHEAD);
        let mut encoder = Encoder::new(self.buffer.get_mut(before..).unwrap_or(&mut []));
        let emitted = emit(&mut encoder);
        let length = encoder.len();
        emitted.map_err(|full| BufferFull { needed: before.saturating_add(full.needed) })?;
        self.commit(csid, kind, stream, length)
    }

    /// Adds a message.
    pub(super) fn push_bytes(
        &mut self,
        csid: ChunkStreamId,
        kind: Kind,
        stream: StreamId,
        payload: &[u8],
    ) -> Result<(), BufferFull> {
        self.compact();
        let before = self.end.wrapping_add(OVERHEAD);
        let copied = copy(payload, self.buffer.get_mut(before..).unwrap_or(&mut []));
        if copied < payload.len() {
            return Err(BufferFull { needed: before.wrapping_add(payload.len()) });
        }
        self.commit(csid, kind, stream, payload.len())
    }

    /// Writes the fields before a payload of `length` bytes that lies in its place.
    fn commit(&mut self, csid: ChunkStreamId, kind: Kind, stream: StreamId, length: usize) -> Result<(), BufferFull> {
        let after = self.end.wrapping_add(OVERHEAD).wrapping_add(length);
        // Commands are short: a longer one than 64 KiB has no place in a queue.
        let (Ok(short), Some(fields)) =
            (u16::try_from(length), self.buffer.get_mut(self.end..).and_then(|free| free.first_chunk_mut()))
        else {
            return Err(BufferFull { needed: after });
        };
        let ([l0, l1], [s0, s1, s2, s3]) = (short.to_be_bytes(), stream.0.to_be_bytes());
        *fields = [csid.value() as u8, kind.0, l0, l1, s0, s1, s2, s3];
        self.end = after;
        Ok(())
    }

    /// Moves what waits to the front.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        let waiting = self.end.wrapping_sub(self.start);
        for place in 0..waiting {
            let from = self.buffer.get(self.start.wrapping_add(place)).copied();
            if let (Some(from), Some(to)) = (from, self.buffer.get_mut(place)) {
                *to = from;
            }
        }
        (self.start, self.end) = (0, waiting);
    }

    /// The message that is `skip` bytes behind the first one's begin, and its whole size.
    fn at(&self, skip: usize) -> Option<(Queued<'_>, usize)> {
        let waiting = self.buffer.get(self.start.wrapping_add(skip)..self.end)?;
        let (fields, payload) = waiting.split_first_chunk::<OVERHEAD>()?;
        let [csid, kind, l0, l1, s0, s1, s2, s3] = *fields;
        let length = u16::from_be_bytes([l0, l1]);
        let stream = StreamId(u32::from_be_bytes([s0, s1, s2, s3]));
        let header = Header { timestamp: Timestamp(0), length: u32::from(length), kind: Kind(kind), stream };
        let payload = payload.get(..usize::from(length))?;
        let csid = ChunkStreamId::new(u32::from(csid))?;
        Some((Queued { csid, header, payload }, OVERHEAD + usize::from(length)))
    }

    /// The message that is next.
    pub(super) fn first(&self) -> Option<Queued<'_>> {
        self.at(0).map(|(queued, _)| queued)
    }

    /// All messages, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Queued<'_>> {
        let mut skip = 0_usize;
        core::iter::from_fn(move || {
            let (queued, size) = self.at(skip)?;
            skip = skip.wrapping_add(size);
            Some(queued)
        })
    }

    /// Takes the first message away.
    pub(super) fn pop(&mut self) {
        let lengths = self.buffer.get(self.start.wrapping_add(2)..).and_then(<[u8]>::first_chunk);
        let size = lengths.map_or(0, |length| OVERHEAD + usize::from(u16::from_be_bytes(*length)));
        self.start = self.start.wrapping_add(size).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::Token;

    fn push(queue: &mut Queue<'_>, payload: &[u8]) -> Result<(), BufferFull> {
        queue.push_bytes(ChunkStreamId::COMMAND, Kind::COMMAND, StreamId(7), payload)
    }

    #[test]
    fn messages_leave_in_order_and_their_room_is_used_again() {
        let mut buffer = [0; 30];
        let mut queue = Queue::new(&mut buffer);
        for round in 0..20_u8 {
            push(&mut queue, &[round; 3]).unwrap();
            push(&mut queue, &[round; 5]).unwrap();
            assert_eq!(queue.free(), 30 - 24);
            let lengths: std::vec::Vec<u32> = queue.iter().map(|queued| queued.header.length).collect();
            assert_eq!(lengths, [3, 5]);
            let first = queue.first().unwrap();
            assert_eq!((first.payload, first.header.stream), (&[round; 3][..], StreamId(7)));
            queue.pop();
            push(&mut queue, &[99; 2]).unwrap();
            queue.pop();
            assert_eq!(queue.first().unwrap().payload, [99; 2]);
            queue.pop();
            assert!(queue.is_empty());
            assert_eq!(queue.first(), None);
        }
    }

    #[test]
    fn what_does_not_fit_says_how_much_is_needed() {
        let mut buffer = [0; 20];
        let mut queue = Queue::new(&mut buffer);
        push(&mut queue, &[1; 4]).unwrap();
        assert_eq!(push(&mut queue, &[2; 1]), Err(BufferFull { needed: 21 }));
        let mut emit = |encoder: &mut Encoder<'_>| encoder.put(Token::Number(1.0)).map(|_| ());
        let full = queue.push(ChunkStreamId::COMMAND, Kind::COMMAND, StreamId(0), &mut emit);
        assert_eq!(full, Err(BufferFull { needed: 12 + 8 + 9 }));
        assert_eq!(queue.iter().count(), 1);
        queue.pop();
        assert_eq!(push(&mut queue, &[3; 12]), Ok(()));
    }
}
