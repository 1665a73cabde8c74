//! Records in a ring of bytes.
//!
//! A position is the number of bytes that were reserved before it. Positions are never reused, and 64 bits do not wrap.
//! Bytes are overwritten after one length of the ring.

use crate::bytes::copy;

/// The bytes of a ring, and the ends of what is reserved and of what is written.
#[derive(Debug)]
pub(super) struct Store<'b> {
    bytes: &'b mut [u8],
    /// The position of the next record.
    head: u64,
    /// The same as an index into the bytes.
    head_at: usize,
    /// The end of the bytes that were written. Reserved bytes after it still have their older content.
    written: u64,
    /// A player whose place lies further behind what was written is late.
    late: usize,
}

impl<'b> Store<'b> {
    pub(super) const fn new(bytes: &'b mut [u8], late_percent: u8) -> Self {
        let late = (bytes.len() as u64).saturating_mul(late_percent as u64) / 100;
        Self { bytes, head: 0, head_at: 0, written: 0, late: late as usize }
    }

    /// Swaps the memory with that of another. In both, everything is gone.
    pub(super) fn swap_memory(&mut self, other: &mut Self) {
        core::mem::swap(&mut self.bytes, &mut other.bytes);
        core::mem::swap(&mut self.late, &mut other.late);
        for store in [self, other] {
            // A place at the head is gone, too.
            store.head = store.head.wrapping_add(store.bytes.len() as u64).wrapping_add(1);
            (store.head_at, store.written) = (0, store.head);
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// Reserves `length` bytes and returns their position, or `None` if the ring is smaller.
    pub(super) fn reserve(&mut self, length: usize) -> Option<u64> {
        let capacity = self.bytes.len();
        let position = self.head;
        if length > capacity {
            return None;
        }
        self.head = position.wrapping_add(length as u64);
        self.head_at = self.head_at.wrapping_add(length);
        if self.head_at >= capacity {
            self.head_at = self.head_at.wrapping_sub(capacity);
        }
        Some(position)
    }

    /// Whether the bytes at `position` were overwritten.
    pub(super) fn is_gone(&self, position: u64) -> bool {
        position < self.written.saturating_sub(self.bytes.len() as u64)
    }

    /// Whether a player at `position` is late.
    pub(super) fn is_old(&self, position: u64) -> bool {
        position < self.written.saturating_sub(self.late as u64)
    }

    /// Returns whether a player at `position` is so late that `track` stops. The highest track stops at half of the
    /// distance of [`Self::is_old`]. The lower the track, the larger the distance. Track 0 never stops for this reason.
    pub(super) fn is_old_for(&self, position: u64, track: u8, highest: u8) -> bool {
        let (track, twice) = (u64::from(track), u64::from(highest).wrapping_mul(2));
        let late = (self.late as u64).saturating_mul(twice.saturating_sub(track)).checked_div(twice).unwrap_or(0);
        track > 0 && position < self.written.saturating_sub(late)
    }

    /// Writes to reserved bytes, at a position that is not gone.
    pub(super) fn write(&mut self, position: u64, data: &[u8]) {
        let at = self.index(position);
        let written = copy(data, self.bytes.get_mut(at..).unwrap_or(&mut []));
        if let Some(rest) = data.get(written..).filter(|rest| !rest.is_empty()) {
            copy(rest, self.bytes);
        }
        self.written = self.written.max(position.wrapping_add(data.len() as u64));
    }

    /// Bytes from a position that is not gone: two parts if they lie around the end of the ring.
    pub(super) fn parts(&self, position: u64, length: usize) -> [&[u8]; 2] {
        let rest = self.bytes.get(self.index(position)..).unwrap_or(&[]);
        match rest.get(..length) {
            Some(part) => [part, &[]],
            None => [rest, self.bytes.get(..length.wrapping_sub(rest.len())).unwrap_or(&[])],
        }
    }

    /// Copies up to `length` bytes from a position, as many as fit. Returns how many.
    pub(super) fn read(&self, position: u64, length: usize, to: &mut [u8]) -> usize {
        let [first, second] = self.parts(position, length);
        let copied = copy(first, to);
        copied.wrapping_add(copy(second, to.get_mut(copied..).unwrap_or(&mut [])))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the difference is at most two ring lengths")]
    fn index(&self, position: u64) -> usize {
        let capacity = self.bytes.len();
        // A position that is not gone is at most two ring lengths behind the head: one written, one reserved.
        let back = (self.head.wrapping_sub(position) as usize).checked_rem(capacity).unwrap_or(0);
        match self.head_at.checked_sub(back) {
            Some(at) => at,
            None => self.head_at.wrapping_add(capacity).wrapping_sub(back),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_bytes_are_lent_until_they_are_overwritten() {
        let mut bytes = [0; 10];
        let mut store = Store::new(&mut bytes, 50);
        assert_eq!(store.reserve(11), None);
        let first = store.reserve(7).unwrap();
        store.write(first, b"abcdefg");
        assert_eq!(store.parts(first, 7), [&b"abcdefg"[..], b""]);
        let second = store.reserve(6).unwrap();
        // Reserving alone overwrites nothing.
        assert!(!store.is_gone(first));
        store.write(second, b"hij");
        assert!(!store.is_gone(first));
        store.write(second + 3, b"klm");
        assert!(store.is_gone(first) && !store.is_gone(second));
        assert_eq!(store.parts(second, 6), [&b"hij"[..], b"klm"]);
        assert_eq!(store.parts(second + 3, 3), [&b"klm"[..], b""]);
        let mut copied = [0; 4];
        assert_eq!((store.read(second + 1, 5, &mut copied), &copied), (4, b"ijkl"));
        assert_eq!(store.head(), 13);
    }

    #[test]
    fn the_highest_track_makes_room_first() {
        let mut bytes = [0; 100];
        let mut store = Store::new(&mut bytes, 80);
        let first = store.reserve(100).unwrap();
        for (written, highest, late) in [
            (40, 1, &[][..]),
            (41, 1, &[1]),
            (41, 4, &[4]),
            (51, 4, &[4, 3]),
            (61, 4, &[4, 3, 2]),
            (80, 4, &[4, 3, 2, 1]),
        ] {
            store.written = written;
            let tracks: std::vec::Vec<u8> =
                (0..=highest).rev().filter(|track| store.is_old_for(first, *track, highest)).collect();
            assert_eq!(tracks, late, "{written} bytes");
        }
    }

    #[test]
    fn a_ring_without_bytes_stores_nothing() {
        let mut store = Store::new(&mut [], 50);
        assert_eq!(store.reserve(1), None);
        assert_eq!(store.parts(0, 0), [&b""[..], b""]);
    }
}
