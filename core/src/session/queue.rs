//! The queue of outgoing control and command messages, in a buffer that the caller lends.
//!
//! They lie in it as they go out: in chunks, each message with a type 0 header, which needs nothing to be remembered of
//! the messages before. Nothing ever comes between the chunks of one of them.
//!
//! ```text
//! | type 0 header: 12 | payload: chunk size | type 3 header: 1 | payload: the rest |
//! ```

use crate::amf0::{BufferFull, Encoder};
use crate::bytes::copy;
use crate::chunk::{ChunkStreamId, DEFAULT_CHUNK_SIZE};
use crate::message::{Kind, StreamId};

/// The header before each message: type 0, with a chunk stream id of one byte.
pub(super) const HEADER: usize = 12;

/// Messages that wait to be sent, first in, first out.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
    /// The size of the chunks of what is added next.
    chunk_size: u32,
}

impl<'b> Queue<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0, chunk_size: DEFAULT_CHUNK_SIZE }
    }

    pub(super) fn into_buffer(self) -> &'b mut [u8] {
        self.buffer
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    /// Bytes that are free.
    pub(super) fn free(&self) -> usize {
        self.buffer.len().wrapping_sub(self.len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.buffer.len()
    }

    /// The size of the chunks of what is added next, in bytes.
    pub(super) const fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// What is added next comes behind a message that announces this chunk size, which is not 0.
    pub(super) fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size;
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
        let before = self.compact();
        let mut encoder = Encoder::new(self.buffer.get_mut(before..).unwrap_or(&mut []));
        let emitted = emit(&mut encoder);
        let length = encoder.len();
        emitted.map_err(|full| BufferFull { needed: before.saturating_add(full.needed) })?;
        self.frame(csid, kind, stream, length)
    }

    /// Adds a message.
    pub(super) fn push_bytes(
        &mut self,
        csid: ChunkStreamId,
        kind: Kind,
        stream: StreamId,
        payload: &[u8],
    ) -> Result<(), BufferFull> {
        let before = self.compact();
        copy(payload, self.buffer.get_mut(before..).unwrap_or(&mut []));
        self.frame(csid, kind, stream, payload.len())
    }

    /// Moves what waits to the front; answers where the payload of another message can be.
    fn compact(&mut self) -> usize {
        if self.start > 0 {
            let waiting = self.len();
            for place in 0..waiting {
                self.shift(self.start.wrapping_add(place), place);
            }
            (self.start, self.end) = (0, waiting);
        }
        self.end.saturating_add(HEADER)
    }

    fn shift(&mut self, from: usize, to: usize) {
        if let (Some(byte), Some(place)) = (self.buffer.get(from).copied(), self.buffer.get_mut(to)) {
            *place = byte;
        }
    }

    /// Adds the chunk headers of a message whose payload, `length` bytes, lies where [`Self::compact`] said.
    fn frame(&mut self, csid: ChunkStreamId, kind: Kind, stream: StreamId, length: usize) -> Result<(), BufferFull> {
        let (size, mut last, mut headers) = (self.chunk_size as usize, length, 0_usize);
        while last > size {
            (last, headers) = (last.wrapping_sub(size), headers.wrapping_add(1));
        }
        let mut from = self.end.saturating_add(HEADER).saturating_add(length);
        let mut to = from.saturating_add(headers);
        let (end, id, [s0, s1, s2, s3]) = (to, csid.value() as u8, stream.0.to_le_bytes());
        let place = self.buffer.get_mut(self.end..end).and_then(|message| message.first_chunk_mut());
        let (Some(place), [0, l0, l1, l2]) = (place, (length as u32).to_be_bytes()) else {
            return Err(BufferFull { needed: end });
        };
        *place = [id, 0, 0, 0, l0, l1, l2, kind.0, s0, s1, s2, s3];
        // The chunks make room for their headers, the last one first.
        while headers > 0 {
            for _ in 0..last {
                (from, to) = (from.wrapping_sub(1), to.wrapping_sub(1));
                self.shift(from, to);
            }
            to = to.wrapping_sub(1);
            if let Some(header) = self.buffer.get_mut(to) {
                *header = 0xC0 | id;
            }
            (last, headers) = (size, headers.wrapping_sub(1));
        }
        self.end = end;
        Ok(())
    }

    /// Puts out what waits, as far as `out` goes; answers how much it filled.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let written = copy(self.buffer.get(self.start..self.end).unwrap_or(&[]), out);
        self.start = self.start.wrapping_add(written);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::Token;
    use std::vec::Vec;

    fn push(queue: &mut Queue<'_>, payload: &[u8]) -> Result<(), BufferFull> {
        queue.push_bytes(ChunkStreamId::COMMAND, Kind::COMMAND, StreamId(7), payload)
    }

    fn header(length: u8) -> [u8; 12] {
        [3, 0, 0, 0, 0, 0, length, 20, 7, 0, 0, 0]
    }

    #[test]
    fn messages_leave_in_order_and_their_room_is_used_again() {
        let mut buffer = [0; 40];
        let mut queue = Queue::new(&mut buffer);
        for round in 0..20_u8 {
            push(&mut queue, &[round; 3]).unwrap();
            push(&mut queue, &[round; 5]).unwrap();
            assert_eq!((queue.len(), queue.free()), (32, 8));
            let mut out = [0; 20];
            assert_eq!(queue.transmit(&mut out), 20);
            assert_eq!(out, *[&header(3)[..], &[round; 3], &header(5)[..5]].concat());
            push(&mut queue, &[99; 2]).unwrap();
            assert_eq!((queue.len(), queue.free()), (26, 14));
            let mut out = [0; 30];
            assert_eq!(queue.transmit(&mut out), 26);
            assert_eq!(out[..26], *[&header(5)[5..], &[round; 5], &header(2), &[99; 2]].concat());
            assert!(queue.is_empty());
            assert_eq!(queue.transmit(&mut out), 0);
        }
    }

    #[test]
    fn what_does_not_fit_says_how_much_is_needed() {
        let mut buffer = [0; 28];
        let mut queue = Queue::new(&mut buffer);
        push(&mut queue, &[1; 4]).unwrap();
        assert_eq!(push(&mut queue, &[2; 1]), Err(BufferFull { needed: 29 }));
        let mut emit = |encoder: &mut Encoder<'_>| encoder.put(Token::Number(1.0)).map(|_| ());
        let full = queue.push(ChunkStreamId::COMMAND, Kind::COMMAND, StreamId(0), &mut emit);
        assert_eq!(full, Err(BufferFull { needed: 16 + 12 + 9 }));
        assert_eq!(queue.transmit(&mut [0; 16]), 16);
        assert_eq!(push(&mut queue, &[3; 16]), Ok(()));
    }

    #[test]
    fn long_messages_are_cut_into_chunks() {
        for (length, size) in [(0, 1), (1, 1), (2, 1), (9, 3), (10, 3), (127, 128), (128, 128), (129, 128), (255, 100)]
        {
            let mut buffer = [0; 600];
            let mut queue = Queue::new(&mut buffer);
            queue.set_chunk_size(size);
            let payload: Vec<u8> = (0..length).collect();
            push(&mut queue, &payload).unwrap();
            let mut expected = header(length).to_vec();
            expected.extend(payload.chunks(size as usize).collect::<Vec<_>>().join(&0xC3));
            let mut out = [0; 600];
            let written = queue.transmit(&mut out);
            assert_eq!(out[..written], expected);
        }
    }

    #[test]
    fn the_headers_of_later_chunks_need_room_too() {
        let mut buffer = [0; 12 + 129];
        let mut queue = Queue::new(&mut buffer);
        assert_eq!(push(&mut queue, &[1; 129]), Err(BufferFull { needed: 12 + 130 }));
        assert!(queue.is_empty());
        assert_eq!(push(&mut queue, &[1; 128]), Ok(()));
    }
}
