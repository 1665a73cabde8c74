//! The queue of outgoing control and command messages, in a buffer that the caller lends.
//!
//! They lie in it as they go out: chunk headers and payload. So putting them out is copying, and what they take is known.

use core::num::NonZeroU32;

use crate::amf0::{BufferFull, Encoder};
use crate::bytes::copy;
use crate::chunk::ChunkStreamId;
use crate::message::{MessageKind, StreamId};

/// The header before each message: type 0, one byte of chunk stream id, time 0. A message that is longer than a chunk has
/// a byte more for each further chunk.
pub(super) const OVERHEAD: usize = 12;

/// Messages that wait to be sent, first in, first out.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
}

impl<'b> Queue<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0 }
    }

    pub(super) fn into_buffer(self) -> &'b mut [u8] {
        self.buffer
    }

    /// The lent buffer; nothing waits here any more, and nothing can.
    pub(super) fn take_buffer(&mut self) -> &'b mut [u8] {
        (self.start, self.end) = (0, 0);
        core::mem::take(&mut self.buffer)
    }

    /// Bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    /// Bytes that are free, for messages with their headers.
    pub(super) fn free(&self) -> usize {
        self.buffer.len().wrapping_sub(self.len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// Adds a message whose payload `emit` writes, in chunks of `chunk_size`. On an error nothing is added, and the error
    /// tells how large the whole buffer must be.
    #[inline(never)]
    pub(super) fn push(
        &mut self,
        csid: ChunkStreamId,
        kind: MessageKind,
        stream: StreamId,
        chunk_size: NonZeroU32,
        emit: &mut dyn FnMut(&mut Encoder<'_>) -> Result<(), BufferFull>,
    ) -> Result<(), BufferFull> {
        self.compact();
        let before = self.end.wrapping_add(OVERHEAD);
        let mut encoder = Encoder::new(self.buffer.get_mut(before..).unwrap_or(&mut []));
        let emitted = emit(&mut encoder);
        let length = encoder.len();
        emitted.map_err(|full| BufferFull { needed: before.saturating_add(full.needed) })?;
        let further = (length.saturating_sub(1) as u32 / chunk_size) as usize;
        let needed = before.wrapping_add(length).wrapping_add(further);
        let message = self.buffer.get_mut(self.end..needed).and_then(<[u8]>::split_first_chunk_mut);
        let Some((header, payload)) = message else { return Err(BufferFull { needed }) };
        let (id, [_, l0, l1, l2]) = (csid.value() as u8, (length as u32).to_be_bytes());
        let [s0, s1, s2, s3] = stream.0.to_le_bytes();
        *header = [id, 0, 0, 0, l0, l1, l2, kind.0, s0, s1, s2, s3];
        insert_chunk_headers(payload, length, chunk_size, 0xC0 | id);
        self.end = needed;
        Ok(())
    }

    /// Moves what waits to the front.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        let waiting = self.len();
        for place in 0..waiting {
            let from = self.buffer.get(self.start.wrapping_add(place)).copied();
            if let (Some(from), Some(to)) = (from, self.buffer.get_mut(place)) {
                *to = from;
            }
        }
        (self.start, self.end) = (0, waiting);
    }

    /// Moves what waits to `out`, as far as that goes; answers how much it filled.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let written = copy(self.buffer.get(self.start..self.end).unwrap_or(&[]), out);
        self.start = self.start.wrapping_add(written);
        written
    }
}

/// Makes room in `payload`, of which `length` bytes are written, for a header before every chunk but the first: from the
/// last byte to the first.
fn insert_chunk_headers(payload: &mut [u8], length: usize, chunk_size: NonZeroU32, header: u8) {
    let (mut from, mut to) = (length, payload.len());
    while from < to {
        (from, to) = (from.wrapping_sub(1), to.wrapping_sub(1));
        let byte = payload.get(from).copied().unwrap_or_default();
        if let Some(place) = payload.get_mut(to) {
            *place = byte;
        }
        if from as u32 % chunk_size == 0 {
            to = to.wrapping_sub(1);
            if let Some(place) = payload.get_mut(to) {
                *place = header;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::Token;
    use std::vec::Vec;

    fn push(queue: &mut Queue<'_>, payload: &[u8], chunk_size: u32) -> Result<(), BufferFull> {
        let chunk_size = NonZeroU32::new(chunk_size).unwrap();
        let mut emit = |encoder: &mut Encoder<'_>| encoder.raw(payload).map(|_| ());
        queue.push(ChunkStreamId::COMMAND, MessageKind::COMMAND, StreamId(0x0102_0304), chunk_size, &mut emit)
    }

    /// All that waits.
    fn take(queue: &mut Queue<'_>) -> Vec<u8> {
        let mut out = std::vec![0; queue.len()];
        assert_eq!(queue.transmit(&mut out), out.len());
        assert_eq!((queue.len(), queue.free()), (0, queue.capacity()));
        out
    }

    fn header(length: u8) -> [u8; 12] {
        [3, 0, 0, 0, 0, 0, length, 20, 4, 3, 2, 1]
    }

    #[test]
    fn messages_leave_in_order_and_their_room_is_used_again() {
        let mut buffer = [0; 40];
        let mut queue = Queue::new(&mut buffer);
        for round in 0..20_u8 {
            push(&mut queue, &[round; 3], 128).unwrap();
            push(&mut queue, &[round; 5], 128).unwrap();
            assert_eq!((queue.len(), queue.free()), (32, 8));
            let mut out = [0; 15];
            assert_eq!(queue.transmit(&mut out), 15);
            assert_eq!(out[..], [&header(3)[..], &[round; 3]].concat());
            push(&mut queue, &[99; 2], 128).unwrap();
            let rest = [&header(5)[..], &[round; 5], &header(2), &[99; 2]].concat();
            assert_eq!(take(&mut queue), rest);
        }
    }

    #[test]
    fn item_046_a_message_that_is_longer_than_a_chunk_is_cut() {
        let payload: Vec<u8> = (0..100).collect();
        for (length, chunk_size) in [(1, 1), (2, 1), (5, 1), (4, 2), (5, 2), (99, 10), (100, 10), (100, 100), (100, 99)]
        {
            let mut buffer = [0; 250];
            let mut queue = Queue::new(&mut buffer);
            push(&mut queue, &payload[..length], chunk_size).unwrap();
            let chunks: Vec<&[u8]> = payload[..length].chunks(chunk_size as usize).collect();
            let expected = [&header(length as u8)[..], &chunks.join(&[0xC3][..])].concat();
            assert_eq!(take(&mut queue), expected, "{length} bytes in chunks of {chunk_size}");
        }
    }

    #[test]
    fn what_does_not_fit_says_how_much_is_needed() {
        let mut buffer = [0; 30];
        let mut queue = Queue::new(&mut buffer);
        push(&mut queue, &[1; 4], 128).unwrap();
        assert_eq!(push(&mut queue, &[2; 3], 128), Err(BufferFull { needed: 31 }));
        assert_eq!(push(&mut queue, &[2; 2], 1), Err(BufferFull { needed: 31 }), "headers between chunks count");
        let mut emit = |encoder: &mut Encoder<'_>| encoder.put(Token::Number(1.0)).map(|_| ());
        let chunk_size = NonZeroU32::MAX;
        let full = queue.push(ChunkStreamId::COMMAND, MessageKind::COMMAND, StreamId(0), chunk_size, &mut emit);
        assert_eq!(full, Err(BufferFull { needed: 16 + 12 + 9 }));
        assert_eq!(take(&mut queue), [&header(4)[..], &[1; 4]].concat());
        assert_eq!(push(&mut queue, &[3; 18], 128), Ok(()));
    }
}
