//! The queue of outgoing control and command messages, in a buffer that the caller lends.
//!
//! The buffer stores the messages with their chunk headers, as they are sent. Sending is therefore only copying, and
//! the length is known.

use core::num::NonZeroU32;

use crate::amf0::BufferFull;
use crate::bytes::{Output, copy, low_u32, move_down};
use crate::chunk::{ChunkStreamId, header};
use crate::message::{MessageKind, StreamId};

/// The header before each message, in bytes. A message that is longer than a chunk has one byte more for each further
/// chunk.
pub(super) const OVERHEAD: usize = header::FULL_SIZE;

/// Writes the payload of a message. It is passed the values that the queue stores, and may write some of them.
pub(super) type Emit<'e> = &'e mut dyn FnMut(&mut Output<'_>, &[u8]);

/// Messages that wait to be sent, first in, first out. The end of the buffer stores AMF0 values for later messages.
#[derive(Debug)]
pub(super) struct Queue<'b> {
    buffer: &'b mut [u8],
    start: usize,
    end: usize,
    /// Number of bytes of the values that are stored at the end of the buffer.
    stored: u16,
}

impl<'b> Queue<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0, stored: 0 }
    }

    pub(super) fn into_buffer(self) -> &'b mut [u8] {
        self.buffer
    }

    /// Drops all messages and all stored values.
    pub(super) fn reset(&mut self) {
        (self.start, self.end, self.stored) = (0, 0, 0);
    }

    /// The number of bytes that wait to be sent.
    pub(super) const fn len(&self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    /// The number of free bytes, for messages with their headers.
    pub(super) fn free(&self) -> usize {
        self.capacity().wrapping_sub(self.len())
    }

    /// The number of bytes for messages: the whole buffer, except the stored values.
    pub(super) fn capacity(&self) -> usize {
        self.buffer.len().wrapping_sub(self.stored.into())
    }

    /// The number of bytes of the stored values.
    pub(super) const fn stored(&self) -> u16 {
        self.stored
    }

    /// The size of the whole buffer.
    pub(super) const fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Makes room for `new` bytes of values, instead of `old` bytes which end `behind` bytes before the end of the buffer.
    /// Returns the room. The caller has called [`Self::compact`] and checked that it fits. `others` tells whether other
    /// values may lie before these.
    #[inline]
    pub(super) fn keep(&mut self, behind: u16, old: u16, new: u16, others: bool) -> &mut [u8] {
        let (capacity, before) = (self.capacity(), self.stored.wrapping_sub(behind).wrapping_sub(old));
        if others {
            self.shift(capacity, capacity.wrapping_add(old.into()).wrapping_sub(new.into()), before.into());
        }
        self.stored = self.stored.wrapping_sub(old).wrapping_add(new);
        let end = self.buffer.len().wrapping_sub(behind.into());
        self.buffer.get_mut(end.wrapping_sub(new.into())..end).unwrap_or(&mut [])
    }

    /// Adds a message whose payload `emit` writes, in chunks of `chunk_size`.
    ///
    /// # Errors
    /// The message does not fit. Nothing has been added, and the error contains the size that the whole buffer must
    /// have.
    #[inline(never)]
    pub(super) fn push(
        &mut self,
        csid: ChunkStreamId,
        kind: MessageKind,
        stream: StreamId,
        chunk_size: NonZeroU32,
        emit: Emit<'_>,
    ) -> Result<(), BufferFull> {
        self.compact();
        let (capacity, stored) = (self.capacity(), usize::from(self.stored));
        let (messages, values) = self.buffer.split_at_mut_checked(capacity).unwrap_or_default();
        let before = self.end.wrapping_add(OVERHEAD);
        let mut out = Output::new(messages.get_mut(before..).unwrap_or(&mut []));
        emit(&mut out, values);
        let length = out.needed;
        let further = (low_u32(length.saturating_sub(1)) / chunk_size) as usize;
        let needed = before.saturating_add(length).saturating_add(further);
        let message = messages.get_mut(self.end..needed).and_then(<[u8]>::split_first_chunk_mut);
        let Some((header, payload)) = message else { return Err(BufferFull { needed: needed.saturating_add(stored) }) };
        *header = header::emit_full(csid, kind, stream, low_u32(length));
        insert_chunk_headers(payload, length, chunk_size, header::continuation(csid).unwrap_or_default());
        self.end = needed;
        Ok(())
    }

    /// Moves the waiting bytes to the start of the buffer.
    pub(super) fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        move_down(self.buffer.get_mut(..self.end).unwrap_or(&mut []), self.start);
        (self.start, self.end) = (0, self.len());
    }

    /// Copies `length` bytes from one place to another; the places may overlap.
    fn shift(&mut self, from: usize, to: usize, length: usize) {
        for step in 0..length {
            let place = if from < to { length.wrapping_sub(step).wrapping_sub(1) } else { step };
            let byte = self.buffer.get(from.wrapping_add(place)).copied();
            if let (Some(byte), Some(to)) = (byte, self.buffer.get_mut(to.wrapping_add(place))) {
                *to = byte;
            }
        }
    }

    /// Moves waiting bytes to `out` until either ends. Returns the number of bytes moved.
    pub(super) fn transmit(&mut self, out: &mut [u8]) -> usize {
        let written = copy(self.buffer.get(self.start..self.end).unwrap_or(&[]), out);
        self.start = self.start.wrapping_add(written);
        written
    }
}

/// Inserts `header` before every chunk except the first into `payload`, of which `length` bytes are written. It moves the
/// bytes from the last to the first.
fn insert_chunk_headers(payload: &mut [u8], length: usize, chunk_size: NonZeroU32, header: u8) {
    let (mut from, mut to) = (length, payload.len());
    while from < to {
        (from, to) = (from.wrapping_sub(1), to.wrapping_sub(1));
        let byte = payload.get(from).copied().unwrap_or_default();
        if let Some(place) = payload.get_mut(to) {
            *place = byte;
        }
        if low_u32(from) % chunk_size == 0 {
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
    use std::vec::Vec;

    fn push(queue: &mut Queue<'_>, payload: &[u8], chunk_size: u32) -> Result<(), BufferFull> {
        let chunk_size = NonZeroU32::new(chunk_size).unwrap();
        let mut emit = |out: &mut Output<'_>, _: &[u8]| out.put(payload);
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
    fn values_are_stored_beside_the_messages_until_they_are_replaced() {
        let mut buffer = [0; 60];
        let mut queue = Queue::new(&mut buffer);
        push(&mut queue, &[1; 4], 128).unwrap();
        queue.transmit(&mut [0; 5]);
        let keep = |queue: &mut Queue<'_>, behind, old, values: &[u8]| {
            queue.keep(behind, old, values.len() as u16, true).copy_from_slice(values);
        };
        // All that is kept, in the payload of a message.
        let values = |queue: &mut Queue<'_>| {
            let mut emit = |out: &mut Output<'_>, stored: &[u8]| out.put(stored);
            queue.push(ChunkStreamId::COMMAND, MessageKind::COMMAND, StreamId(0), NonZeroU32::MAX, &mut emit).unwrap();
            take(queue)
        };
        keep(&mut queue, 0, 0, b"one");
        keep(&mut queue, 3, 0, b"three");
        assert_eq!((queue.len(), queue.stored(), queue.free()), (11, 8, 41));
        let all = values(&mut queue);
        assert_eq!((&all[..11], &all[11 + 12..]), (&[&header(4)[5..], &[1; 4]].concat()[..], &b"threeone"[..]));
        for (behind, old, new, expected) in [
            (0, 3, "a", "threea"),
            (0, 1, "longer", "threelonger"),
            (11, 0, "six", "sixthreelonger"),
            (6, 5, "", "sixlonger"),
            (0, 6, "", "six"),
            (0, 3, "", ""),
        ] {
            keep(&mut queue, behind, old, new.as_bytes());
            assert_eq!(values(&mut queue)[12..], *expected.as_bytes());
        }
        assert_eq!((queue.stored(), queue.free()), (0, 60));
    }

    #[test]
    fn a_message_that_does_not_fit_returns_the_size_that_it_needs() {
        let mut buffer = [0; 30];
        let mut queue = Queue::new(&mut buffer);
        push(&mut queue, &[1; 4], 128).unwrap();
        assert_eq!(push(&mut queue, &[2; 3], 128), Err(BufferFull { needed: 31 }));
        assert_eq!(push(&mut queue, &[2; 2], 1), Err(BufferFull { needed: 31 }), "headers between chunks count");
        let mut emit = |out: &mut Output<'_>, _: &[u8]| out.number(1);
        let chunk_size = NonZeroU32::MAX;
        let full = queue.push(ChunkStreamId::COMMAND, MessageKind::COMMAND, StreamId(0), chunk_size, &mut emit);
        assert_eq!(full, Err(BufferFull { needed: 16 + 12 + 9 }));
        assert_eq!(take(&mut queue), [&header(4)[..], &[1; 4]].concat());
        assert_eq!(push(&mut queue, &[3; 18], 128), Ok(()));
    }
}
