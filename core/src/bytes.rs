//! Access to bytes that cannot panic.
//!
//! All numbers of RTMP and AMF0 are big-endian, except the message stream id, which is little-endian.

/// Reads from the front of a slice. If too few bytes are left, a method takes nothing and returns `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    /// Takes `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Takes one byte.
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes an unsigned 16-bit number, big-endian.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes an unsigned 32-bit number, big-endian.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

/// Copies bytes from `from` to the start of `to` until either ends. Returns the number of bytes copied.
// Not inlined: at each of a dozen places, the code takes twice the flash of a call.
#[inline(never)]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    copy_in_line(from, to)
}

/// As [`copy`], for the paths on which the cost of a call matters.
#[inline(always)]
pub(crate) fn copy_in_line(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
        #[cfg(test)]
        counted::count(from);
    }
    length
}

/// Writes to `out` what belongs there of `bytes`, which are at position `offset` of a longer text. `out` is a part of that
/// text and begins at position `at`.
#[cfg(feature = "digest")]
#[inline(never)]
pub(crate) fn overlay(bytes: &[u8], offset: u16, at: u16, out: &mut [u8]) {
    let bytes = bytes.get(usize::from(at.saturating_sub(offset))..).unwrap_or_default();
    copy(bytes, out.get_mut(usize::from(offset.saturating_sub(at))..).unwrap_or_default());
}

/// Writes into a buffer, and counts the bytes that have no room, too.
pub(crate) struct Output<'b> {
    pub(crate) buffer: &'b mut [u8],
    /// The number of bytes so far.
    pub(crate) needed: usize,
}

impl<'b> Output<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, needed: 0 }
    }

    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        copy(bytes, self.buffer.get_mut(self.needed..).unwrap_or_default());
        self.needed = self.needed.saturating_add(bytes.len());
    }

    /// Returns what was written.
    ///
    /// # Errors
    /// The number of bytes, which is more than the buffer has.
    pub(crate) fn written(self) -> Result<&'b [u8], usize> {
        self.buffer.get(..self.needed).ok_or(self.needed)
    }
}

/// Counts the bytes that are written, and stores those in a window: the bytes from a position on, as many as there is room
/// for. Writing the same bytes again with another window continues the output at any byte.
#[cfg(any(feature = "admin", feature = "mp4"))]
pub(crate) struct Window<'o> {
    out: &'o mut [u8],
    /// The number of bytes before the window.
    before: usize,
    /// The number of bytes that were stored.
    pub(crate) stored: usize,
    /// The number of bytes that were written.
    pub(crate) length: u32,
}

#[cfg(any(feature = "admin", feature = "mp4"))]
impl<'o> Window<'o> {
    pub(crate) const fn new(offset: u32, out: &'o mut [u8]) -> Self {
        Self { out, before: offset as usize, stored: 0, length: 0 }
    }

    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let inside = bytes.get(self.before..).unwrap_or_default();
        self.before = self.before.saturating_sub(bytes.len());
        let stored = copy(inside, self.out.get_mut(self.stored..).unwrap_or_default());
        self.stored = self.stored.wrapping_add(stored);
        self.length = self.length.saturating_add(low_u32(bytes.len()));
    }
}

/// Moves the bytes after the first `by` bytes to the start.
// Not inlined, because it has several callers.
#[inline(never)]
pub(crate) fn move_down(bytes: &mut [u8], by: usize) {
    let bytes = core::cell::Cell::from_mut(bytes).as_slice_of_cells();
    bytes.iter().zip(bytes.iter().skip(by)).for_each(|(to, from)| to.set(from.get()));
}

/// Counts the bytes that [`copy`] copies, so that a test can check how often payload is copied.
#[cfg(test)]
pub(crate) mod counted {
    use core::cell::Cell;

    /// The byte that is counted. Other bytes may be headers.
    pub(crate) const MARK: u8 = 0xA5;

    std::thread_local! {
        static COPIED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(from: &[u8]) {
        let marks = from.iter().filter(|byte| **byte == MARK).count();
        COPIED.set(COPIED.get() + marks);
    }

    /// Returns how many marked bytes this thread has copied since the last call.
    pub(crate) fn take() -> usize {
        COPIED.replace(0)
    }
}

/// The low 32 bits of a number. All callers pass numbers that fit, or count modulo 2³².
#[expect(clippy::cast_possible_truncation, reason = "that is what the function is for")]
pub(crate) const fn low_u32(number: usize) -> u32 {
    number as u32
}

/// The low 16 bits of a number.
#[expect(clippy::cast_possible_truncation, reason = "that is what the function is for")]
pub(crate) const fn low_u16(number: usize) -> u16 {
    number as u16
}

/// The low 8 bits of a number.
#[expect(clippy::cast_possible_truncation, reason = "that is what the function is for")]
pub(crate) const fn low_u8(number: usize) -> u8 {
    number as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_takes_all_or_nothing() {
        let mut cursor = Cursor(&[1, 2, 3, 4, 5, 6]);
        assert_eq!(cursor.u16(), Some(0x0102));
        assert_eq!(cursor.array(), Some([3, 4, 5]));
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.take(2), None);
        assert_eq!(cursor.u8(), Some(6));
        assert_eq!(cursor.u8(), None);
        assert_eq!(cursor.take(0), Some(&[][..]));
    }

    #[test]
    fn copy_stops_at_the_shorter_side() {
        let mut to = [0; 3];
        assert_eq!(copy(&[1, 2], &mut to), 2);
        assert_eq!(to, [1, 2, 0]);
        assert_eq!(copy(&[5, 6, 7, 8], &mut to), 3);
        assert_eq!(to, [5, 6, 7]);
    }

    #[test]
    fn bytes_are_moved_down_by_any_number() {
        for (by, expected) in [(0, *b"abcd"), (1, *b"bcdd"), (3, *b"dbcd"), (4, *b"abcd"), (9, *b"abcd")] {
            let mut bytes = *b"abcd";
            move_down(&mut bytes, by);
            assert_eq!(bytes, expected);
        }
    }
}
