//! The buffers of a pipe.

const BUFFER: usize = 64 * 1024;

/// Bytes that have come in at the end, and go out at the front.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The free end, after what waits has been moved to the front.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        &mut self.bytes[self.end..]
    }

    /// So much of the free end is filled.
    pub(crate) fn fill(&mut self, length: usize) {
        self.end += length;
    }

    pub(crate) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }

    /// Copies as much of the front as fits to `out`, and drops it.
    pub(crate) fn move_to(&mut self, out: &mut [u8]) -> usize {
        let length = out.len().min(self.filled().len());
        out[..length].copy_from_slice(&self.filled()[..length]);
        self.consume(length);
        length
    }

    /// Takes as much of `bytes` as there is room for, off their front.
    pub(crate) fn take_from(&mut self, bytes: &mut &[u8]) {
        let free = self.free();
        let (taken, rest) = bytes.split_at(free.len().min(bytes.len()));
        free[..taken.len()].copy_from_slice(taken);
        self.end += taken.len();
        *bytes = rest;
    }
}
