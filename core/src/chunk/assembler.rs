//! Puts small messages together in a lent buffer.

use core::ops::Range;

use super::{ChunkStreamId, Fragment};

/// Where a message that is being put together lies in the buffer.
#[derive(Debug, Clone, Copy)]
struct Slot {
    csid: ChunkStreamId,
    start: usize,
    length: usize,
    received: usize,
}

impl Slot {
    fn end(&self) -> usize {
        self.start.saturating_add(self.length)
    }
}

/// What became of a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Assembled {
    /// Its message is whole: this part of the buffer is the payload. It stays until the next fragment is pushed.
    Whole(Range<usize>),
    /// Its message lacks more.
    Partial,
    /// Its message does not fit in what is free of the buffer, or there are `SLOTS` others: all of it is left out.
    Skipped,
}

/// Puts the fragments of up to `SLOTS` interleaved messages together in one buffer, first-fit.
///
/// A message that arrives in one fragment needs no assembler; it is whole as it is.
#[derive(Debug)]
pub struct Assembler<const SLOTS: usize> {
    slots: heapless::Vec<Slot, SLOTS>,
    skipped: u32,
}

impl<const SLOTS: usize> Default for Assembler<SLOTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SLOTS: usize> Assembler<SLOTS> {
    /// An assembler with nothing in it.
    pub const fn new() -> Self {
        Self { slots: heapless::Vec::new(), skipped: 0 }
    }

    /// How many messages were left out because they did not fit.
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Whether no message is being put together.
    pub fn is_idle(&self) -> bool {
        self.slots.is_empty()
    }

    /// Drops the message that is being put together on a chunk stream.
    pub fn abort(&mut self, csid: ChunkStreamId) {
        self.slots.retain(|slot| slot.csid != csid);
    }

    /// Drops the messages on chunk streams that are not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl Fn(ChunkStreamId) -> bool) {
        self.slots.retain(|slot| wanted(slot.csid));
    }

    /// Adds a fragment; `buffer` must be the same at each call.
    pub fn push(&mut self, fragment: &Fragment<'_>, buffer: &mut [u8]) -> Assembled {
        if fragment.is_first() {
            self.abort(fragment.csid);
            if !self.open(fragment, buffer.len()) {
                self.skipped = self.skipped.saturating_add(1);
                return Assembled::Skipped;
            }
        }
        let Some(index) = self.slots.iter().position(|slot| slot.csid == fragment.csid) else {
            return Assembled::Skipped;
        };
        let Some(slot) = self.slots.get_mut(index) else { return Assembled::Skipped };
        let (from, end) = (slot.start.saturating_add(slot.received), slot.end());
        let room = buffer.get_mut(from..end).unwrap_or(&mut []);
        slot.received = slot.received.saturating_add(crate::bytes::copy(fragment.data, room));
        if !fragment.is_last() {
            return Assembled::Partial;
        }
        let payload = slot.start..end;
        self.abort(fragment.csid);
        Assembled::Whole(payload)
    }

    /// Finds room for the message that `fragment` begins: at the front of the buffer, or right behind another.
    fn open(&mut self, fragment: &Fragment<'_>, capacity: usize) -> bool {
        let length = fragment.header.length as usize;
        let fits = |start: usize| {
            let Some(end) = start.checked_add(length) else { return false };
            end <= capacity && self.slots.iter().all(|slot| end <= slot.start || slot.end() <= start)
        };
        let Some(start) = core::iter::once(0).chain(self.slots.iter().map(Slot::end)).find(|start| fits(*start)) else {
            return false;
        };
        self.slots.push(Slot { csid: fragment.csid, start, length, received: 0 }).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Header, Kind, StreamId, Timestamp};

    /// The fragment of a message of `length` bytes which holds `data` from `offset` on.
    fn fragment(csid: u32, length: u32, offset: u32, data: &[u8]) -> Fragment<'_> {
        let header = Header { timestamp: Timestamp(0), length, kind: Kind::COMMAND, stream: StreamId(0) };
        Fragment { csid: ChunkStreamId::new(csid).unwrap(), header, offset, data }
    }

    /// Pushes a fragment; answers the payload where it is whole.
    fn push<const SLOTS: usize>(
        assembler: &mut Assembler<SLOTS>,
        fragment: &Fragment<'_>,
        buffer: &mut [u8],
    ) -> Result<std::vec::Vec<u8>, Assembled> {
        match assembler.push(fragment, buffer) {
            Assembled::Whole(payload) => Ok(buffer[payload].to_vec()),
            other => Err(other),
        }
    }

    #[test]
    fn item_030_interleaved_messages_share_the_buffer() {
        let (mut assembler, mut buffer) = (Assembler::<2>::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 6, 0, b"abc"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 4, 0, b"12"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 6, 3, b"def"), &mut buffer), Ok(b"abcdef".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(5, 6, 0, b"uvw"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 4, 2, b"34"), &mut buffer), Ok(b"1234".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(5, 6, 3, b"xyz"), &mut buffer), Ok(b"uvwxyz".to_vec()));
        assert_eq!(assembler.skipped(), 0);
    }

    #[test]
    fn item_037_what_does_not_fit_is_skipped_and_counted() {
        let (mut assembler, mut buffer) = (Assembler::<2>::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 11, 0, b"abc"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 11, 3, b"defghijk"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 10, 0, b"abcde"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(4, 1, 0, b"z"), &mut buffer), Err(Assembled::Skipped));
        assert_eq!(push(&mut assembler, &fragment(3, 10, 5, b"fghij"), &mut buffer), Ok(b"abcdefghij".to_vec()));
        assert_eq!(assembler.skipped(), 2);
    }

    #[test]
    fn item_031_a_message_that_begins_again_takes_nothing_of_the_one_before() {
        let (mut assembler, mut buffer) = (Assembler::<2>::new(), [0; 10]);
        assert_eq!(push(&mut assembler, &fragment(3, 8, 0, b"abcd"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 0, b"xy"), &mut buffer), Err(Assembled::Partial));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 2, b"z"), &mut buffer), Ok(b"xyz".to_vec()));
        assert_eq!(push(&mut assembler, &fragment(3, 3, 2, b"z"), &mut buffer), Err(Assembled::Skipped));
    }

    #[test]
    fn item_036_an_empty_message_is_whole() {
        let (mut assembler, mut buffer) = (Assembler::<1>::new(), [0; 0]);
        assert_eq!(push(&mut assembler, &fragment(3, 0, 0, b""), &mut buffer), Ok(b"".to_vec()));
    }
}
