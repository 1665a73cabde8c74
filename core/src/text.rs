//! Writing of text from parts, resumable at any byte.

use crate::bytes::{copy, low_u8};

/// Writes the concatenation of `parts` from byte `sent` on. Returns the number of bytes written, and whether the end was
/// reached.
pub(crate) fn put(parts: &[&[u8]], sent: usize, out: &mut [u8]) -> (usize, bool) {
    let (mut skip, mut written) = (sent, 0_usize);
    for part in parts {
        let rest = part.get(skip..).unwrap_or(&[]);
        skip = skip.saturating_sub(part.len());
        let copied = copy(rest, out.get_mut(written..).unwrap_or(&mut []));
        written = written.wrapping_add(copied);
        if copied < rest.len() {
            return (written, false);
        }
    }
    (written, true)
}

/// A number in decimal digits.
pub(crate) struct Decimal {
    digits: [u8; 10],
    start: u8,
}

impl Decimal {
    // Not inlined, because it has several callers.
    #[inline(never)]
    pub(crate) fn new(mut number: u32) -> Self {
        let (mut digits, mut start) = ([b'0'; 10], 10_u8);
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((number % 10) as u8);
            start = start.wrapping_sub(1);
            number /= 10;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    /// Adds spaces in front up to `width` digits.
    pub(crate) fn padded(mut self, width: usize) -> Self {
        let start = 10_u8.wrapping_sub(low_u8(width.min(10))).min(self.start);
        let places = self.digits.get_mut(usize::from(start)..usize::from(self.start));
        places.into_iter().flatten().for_each(|place| *place = b' ');
        Self { start, ..self }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(usize::from(self.start)..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_whole_through_any_window() {
        let parts: [&[u8]; 4] = [b"POST ", b"", b"/open/1", b" HTTP"];
        for window in 1..20 {
            let (mut all, mut sent) = (std::vec::Vec::new(), 0);
            loop {
                let mut out = std::vec![0; window];
                let (written, is_end) = put(&parts, sent, &mut out);
                all.extend_from_slice(&out[..written]);
                sent += written;
                if is_end {
                    break;
                }
                assert_eq!(written, window);
            }
            assert_eq!(all, b"POST /open/1 HTTP");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 1_537, 65_536, u32::MAX] {
            for width in 0..12 {
                let expected = std::format!("{number:width$}", width = width.min(10));
                assert_eq!(Decimal::new(number).padded(width).as_bytes(), expected.as_bytes());
            }
        }
    }
}
