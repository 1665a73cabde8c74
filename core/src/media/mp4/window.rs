//! Writing of a part of a sequence of bytes.

use crate::bytes::{copy, low_u32};

/// Counts the bytes that are written, and stores those in a window: the bytes from a position on, as many as there is
/// room for. Writing the same bytes again with another window continues the output at any byte.
pub(super) struct Window<'o> {
    out: &'o mut [u8],
    /// The number of bytes before the window.
    before: usize,
    /// The number of bytes that were stored.
    pub(super) stored: usize,
    /// The number of bytes that were written.
    pub(super) length: u32,
}

impl<'o> Window<'o> {
    pub(super) const fn new(offset: u32, out: &'o mut [u8]) -> Self {
        Self { out, before: offset as usize, stored: 0, length: 0 }
    }

    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let inside = bytes.get(self.before..).unwrap_or_default();
        self.before = self.before.saturating_sub(bytes.len());
        let stored = copy(inside, self.out.get_mut(self.stored..).unwrap_or_default());
        self.stored = self.stored.wrapping_add(stored);
        self.length = self.length.saturating_add(low_u32(bytes.len()));
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    pub(super) fn u16(&mut self, number: u16) {
        self.put(&number.to_be_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.put(&number.to_be_bytes());
    }

    /// Writes the header of a box: its size, which includes the header, and its type.
    pub(super) fn header(&mut self, size: u32, kind: &[u8; 4]) {
        self.u32(size);
        self.put(kind);
    }

    /// Writes zeros, at most 36.
    pub(super) fn zeros(&mut self, count: usize) {
        self.put([0; 36].get(..count).unwrap_or_default());
    }
}
