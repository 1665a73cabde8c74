//! Random lengths from a seed, so that an input with its cuts is one file.

/// Lengths to cut a stream with; one byte of the input chooses them all.
#[derive(Debug, Clone)]
pub struct Cuts(u64);

impl Cuts {
    /// Returns the cuts for `seed`.
    pub fn new(seed: u8) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next length: often one byte, usually a few, sometimes many, and never 0.
    pub fn length(&mut self) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        match self.0 % 8 {
            0..3 => 1,
            3..6 => 2 + (self.0 >> 8) as usize % 16,
            _ => 1 + (self.0 >> 8) as usize % 2000,
        }
    }

    /// The next piece of `bytes`, which is taken off its front.
    pub fn piece<'a>(&mut self, bytes: &mut &'a [u8]) -> &'a [u8] {
        let (piece, rest) = bytes.split_at(self.length().min(bytes.len()));
        *bytes = rest;
        piece
    }
}
