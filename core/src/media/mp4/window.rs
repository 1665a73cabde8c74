//! Writing of the parts of boxes.

pub(super) use crate::bytes::Window;

impl Window<'_> {
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
