//! Collects small messages in a lent buffer.

use core::ops::Range;

use super::{ChunkStreamId, Fragment};
use crate::fmt::impl_format;

/// The position of an incomplete message in the buffer, of which at most 64 KiB are used.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// [`ChunkStreamId::NONE`] if there is no message.
    csid: ChunkStreamId,
    start: u16,
    end: u16,
}

impl Slot {
    fn is_open(&self) -> bool {
        self.csid != ChunkStreamId::NONE
    }
}

/// The result of [`Assembler::push`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Assembled {
    /// The message is complete. This part of the buffer is its payload, until the next fragment is pushed.
    Whole(Range<usize>),
    /// The message is not complete.
    Partial,
    /// The message is skipped: it does not fit in the free part of the buffer, or two other messages are incomplete.
    Skipped,
}

/// Collects the fragments of up to two interleaved messages in one buffer, first-fit.
///
/// A message that arrives in one fragment needs no assembler.
#[derive(Debug)]
pub struct Assembler {
    slots: [Slot; 2],
}

impl_format!([] Assembler, _ => "Assembler");

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// Creates an assembler without messages.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [Slot { csid: ChunkStreamId::NONE, start: 0, end: 0 }; 2] }
    }

    /// Drops the incomplete message of a chunk stream.
    #[inline(never)]
    pub fn abort(&mut self, csid: ChunkStreamId) {
        for slot in self.slots.iter_mut().filter(|slot| slot.csid == csid) {
            slot.csid = ChunkStreamId::NONE;
        }
    }

    /// Adds a fragment to its message. `buffer` must be the same at each call.
    ///
    /// Only the first `longest` bytes of a longer message are stored, and they must be less than 64 KiB.
    #[inline(never)]
    pub fn push(&mut self, fragment: &Fragment<'_>, longest: usize, buffer: &mut [u8]) -> Assembled {
        if fragment.is_first() {
            self.abort(fragment.csid);
            self.open(fragment.csid, longest.min(fragment.header.length as usize), buffer.len());
        }
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.csid == fragment.csid) else {
            return Assembled::Skipped;
        };
        let (start, end) = (usize::from(slot.start), usize::from(slot.end));
        let room = buffer.get_mut(start.wrapping_add(fragment.offset as usize)..end).unwrap_or(&mut []);
        crate::bytes::copy(fragment.data, room);
        if !fragment.is_last() {
            return Assembled::Partial;
        }
        slot.csid = ChunkStreamId::NONE;
        Assembled::Whole(start..end)
    }

    /// Returns the positions of completed messages: one for each place that is not in use. These include the messages
    /// that were completed last.
    pub(crate) fn completed(&self) -> impl Iterator<Item = Range<usize>> {
        let completed = self.slots.iter().filter(|slot| !slot.is_open());
        completed.map(|slot| usize::from(slot.start)..usize::from(slot.end))
    }

    /// Finds room for a message of `length` bytes: at the start of the buffer, or directly after the other message.
    fn open(&mut self, csid: ChunkStreamId, length: usize, capacity: usize) {
        let start = match self.slots.iter().find(|slot| slot.is_open()) {
            Some(other) if length > usize::from(other.start) => other.end,
            _ => 0,
        };
        let end = usize::from(start).wrapping_add(length);
        if let Some(slot) = self.slots.iter_mut().find(|slot| !slot.is_open())
            && end <= capacity
            && let Ok(end) = u16::try_from(end)
        {
            *slot = Slot { csid, start, end };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

    /// A fragment with `data` at `offset` of a message of `length` bytes.
    fn fragment(csid: u32, length: u32, offset: u32, data: &[u8]) -> Fragment<'_> {
        let header = MessageHeader { timestamp: Timestamp(0), length, kind: MessageKind::COMMAND, stream: StreamId(0) };
        Fragment { csid: ChunkStreamId::new(csid).unwrap(), header, offset, data }
    }

    /// Pushes a fragment. Returns the payload if the message is complete.
    fn push(
        assembler: &mut Assembler,
        fragment: &Fragment<'_>,
        buffer: &mut [u8],
    ) -> Result<std::vec::Vec<u8>, Assembled> {
        match assembler.push(fragment, usize::MAX, buffer) {
            Assembled::Whole(payload) => Ok(buffer[payload].to_vec()),
            other => Err(other),
        }
    }

    #[test]
    fn item_030_interleaved_messages_share_the_buffer() {
        let (mut assembler, mut buffer) = (Assembler::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 6, 0, b"abc"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 4, 0, b"12"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 6, 3, b"def"), &mut buffer), Ok(b"abcdef".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(5, 6, 0, b"uvw"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 4, 2, b"34"), &mut buffer), Ok(b"1234".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(5, 6, 3, b"xyz"), &mut buffer), Ok(b"uvwxyz".to_vec()));
    }

    #[test]
    fn item_037_what_does_not_fit_is_skipped() {
        let (mut assembler, mut buffer) = (Assembler::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 11, 0, b"abc"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 11, 3, b"defghijk"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 10, 0, b"abcde"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 1, 0, b"z"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 10, 5, b"fghij"), &mut buffer), Ok(b"abcdefghij".to_vec()));
    }

    #[test]
    fn item_031_a_message_that_begins_again_contains_no_bytes_of_the_previous_one() {
        let (mut assembler, mut buffer) = (Assembler::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 8, 0, b"abcd"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 0, b"xy"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 2, b"z"), &mut buffer), Ok(b"xyz".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 2, b"z"), &mut buffer), Err(Assembled::Skipped));
    }

    #[test]
    fn item_036_an_empty_message_is_whole() {
        let (mut assembler, mut buffer) = (Assembler::new(), [0; 0]);
        assert_eq!(push(&mut assembler, &fragment(3, 0, 0, b""), &mut buffer), Ok(b"".to_vec()));
    }
}
