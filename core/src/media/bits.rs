//! Reads bits, the most significant bit of each byte first, and Exp-Golomb codes.

use crate::bytes::low_u8;

/// A cursor over bits. Every method returns `None` if too few bits are left.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The position of the next bit.
    at: usize,
    is_unit: bool,
}

impl<'a> Bits<'a> {
    /// Reads all bytes.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_unit: false }
    }

    /// Reads a NAL unit from the bit `at` on. Skips each emulation prevention byte, which is a 3 after two zero bytes
    /// (ISO/IEC 14496-10, 7.4.1.1).
    pub(super) const fn of_unit(unit: &'a [u8], at: usize) -> Self {
        Self { is_unit: true, at, ..Self::new(unit) }
    }

    /// Reads one bit.
    pub(super) fn bit(&mut self) -> Option<bool> {
        let place = self.at >> 3;
        if self.is_unit && self.at & 7 == 0 && self.bytes.get(place.wrapping_sub(2)..=place) == Some(&[0, 0, 3]) {
            self.at = self.at.wrapping_add(8);
        }
        let bit = *self.bytes.get(self.at >> 3)? << (self.at & 7) & 0x80 != 0;
        self.at = self.at.wrapping_add(1);
        Some(bit)
    }

    /// Reads a number of `count` bits, at most 32.
    // Not inlined, because it has many callers.
    #[inline(never)]
    pub(super) fn number(&mut self, count: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            number = number << 1 | u32::from(self.bit()?);
        }
        Some(number)
    }

    /// Reads an Exp-Golomb code, `ue(v)` (ISO/IEC 14496-10, 9.1). Also returns `None` for numbers above 2³² - 2.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while !self.bit()? {
            zeros = zeros.wrapping_add(1);
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.number(zeros)?;
        Some((1_u32 << zeros).wrapping_sub(1).wrapping_add(rest))
    }

    /// Reads an Exp-Golomb code. Also returns `None` if the number is more than `limit`.
    pub(super) fn exp_golomb_up_to(&mut self, limit: u8) -> Option<u8> {
        self.exp_golomb().filter(|number| *number <= limit.into()).map(|number| low_u8(number as usize))
    }

    /// Reads a signed Exp-Golomb code, `se(v)` (9.1.1), modulo 2³².
    pub(super) fn signed_exp_golomb(&mut self) -> Option<u32> {
        let code = self.exp_golomb()?;
        let half = (code >> 1).wrapping_add(code & 1);
        Some(if code & 1 == 1 { half } else { half.wrapping_neg() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn codes_are_those_of_the_standard() {
        // Table 9-2, one code after another: 1 010 011 00100 00101 00110 00111 0001000
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000, 0b1110_0010, 0b0000_0000]);
        let numbers: Vec<_> = (0..8).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1001_1000]);
        let numbers: Vec<_> = (0..6).map(|_| bits.signed_exp_golomb().unwrap() as i32).collect();
        assert_eq!(numbers, [0, 1, -1, 2, -2, 3]);
    }

    #[test]
    fn too_few_bits_and_codes_that_are_too_long_are_none() {
        assert_eq!(Bits::new(&[0, 0, 0, 1]).exp_golomb(), None);
        assert_eq!(Bits::new(&[0; 1000]).exp_golomb(), None);
        let largest = Bits::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE]).exp_golomb();
        assert_eq!(largest, Some(u32::MAX - 1));
        assert_eq!((Bits::new(&[0xA5]).number(9), Bits::new(&[0xA5, 0x80]).number(9)), (None, Some(0x14B)));
        assert_eq!(Bits::new(&[1, 2, 3, 4]).number(32), Some(0x0102_0304));
    }

    #[test]
    fn item_111_only_emulation_prevention_bytes_are_skipped() {
        let unit = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 3];
        let read = |mut bits: Bits<'_>| core::iter::from_fn(move || bits.number(8)).collect::<Vec<_>>();
        assert_eq!(read(Bits::of_unit(&unit, 0)), [0, 0, 1, 0, 0, 0, 0, 3, 0, 3]);
        assert_eq!(read(Bits::new(&unit)).len(), unit.len());
        assert_eq!(read(Bits::of_unit(&[0, 0, 3], 0)), [0, 0]);
    }
}
