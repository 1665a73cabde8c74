//! Conversion between integers and AMF0 numbers, without float arithmetic.
//!
//! Transaction ids, stream ids and counts are integers in IEEE 754 doubles. Most microcontrollers have no unit for
//! doubles, and the library routines for them cost flash. Shifting the bits costs little.

/// The exponent field of 1.0.
const BIAS: u32 = 0x3FF;

/// Converts a number that is an integer from 0 to `u32::MAX`. -0.0 is 0.
///
/// Returns `None` for NaN, infinities, fractions, negative numbers and larger ones.
#[must_use]
pub const fn number_to_u32(number: f64) -> Option<u32> {
    bits_to_u32(number.to_bits())
}

/// As [`number_to_u32`], for the bits of a number. Code that passes numbers on as bits needs no registers for doubles.
// Not inlined, because it has several callers.
#[inline(never)]
pub(crate) const fn bits_to_u32(bits: u64) -> Option<u32> {
    // In halves: LLVM turns a comparison of all bits into one of doubles.
    let (high, low) = halves(bits);
    if high << 1 | low == 0 {
        return Some(0);
    }
    // The sign is above the exponent, so a negative number gives a large power, and so does a number below 1.
    let power = (high >> 20).wrapping_sub(BIAS);
    if power > 31 {
        return None;
    }
    let significand = significand(high, low);
    if (significand << power) << 1 != 0 || low & 0x1F_FFFF != 0 {
        return None;
    }
    Some(significand >> (31 ^ power))
}

/// Returns the integer part of the magnitude of `number`, at most `u32::MAX`; 0 if the number is infinite or NaN.
pub(crate) const fn magnitude(number: f64) -> u32 {
    let (high, low) = halves(number.to_bits());
    let exponent = high >> 20 & 0x7FF;
    match exponent.wrapping_sub(BIAS) {
        _ if exponent < BIAS || exponent == 0x7FF => 0,
        power if power > 31 => u32::MAX,
        power => significand(high, low) >> (31 ^ power),
    }
}

/// The two halves of the bits of a double.
const fn halves(bits: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// The first 32 bits of the significand: the implied bit, then those before and after the point.
const fn significand(high: u32, low: u32) -> u32 {
    1 << 31 | high << 11 | low >> 21
}

/// Converts an integer to a number that is equal to `f64::from(value)`.
#[must_use]
pub const fn u32_to_number(value: u32) -> f64 {
    f64::from_bits(u32_to_bits(value))
}

/// The bits of [`u32_to_number`].
pub(crate) const fn u32_to_bits(value: u32) -> u64 {
    if value == 0 {
        return 0;
    }
    let zeros = value.leading_zeros();
    let significand = value << zeros;
    let power = 31 ^ zeros;
    // The first bit of the significand is implied. 20 of the other 31 are in the high half, after the exponent.
    let high = (power.wrapping_add(BIAS) << 20) | (significand & 0x7FFF_FFFF) >> 11;
    let low = significand << 21;
    (high as u64) << 32 | low as u64
}

/// The bits of the number that is equal to `value`. Above 2⁵³, it is the next smaller number that exists.
#[cfg(feature = "admin")]
pub(crate) const fn u64_to_bits(value: u64) -> u64 {
    if value == 0 {
        return 0;
    }
    let zeros = value.leading_zeros();
    // The first bit of the significand is implied.
    let significand = (value << zeros) << 1 >> 12;
    (63_u32.wrapping_sub(zeros).wrapping_add(BIAS) as u64) << 52 | significand
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn magnitudes_are_whole_and_bounded() {
        for (number, whole) in [(0.0, 0), (0.99, 0), (1.0, 1), (-1_000.0, 1_000), (1.99, 1), (-2.5, 2), (5e-324, 0)] {
            assert_eq!(magnitude(number), whole, "{number}");
        }
        for (number, whole) in [(4294967295.9, u32::MAX), (4294967296.0, u32::MAX), (-1e300, u32::MAX), (f64::NAN, 0)] {
            assert_eq!(magnitude(number), whole, "{number}");
        }
        assert_eq!(magnitude(f64::INFINITY), 0);
    }

    #[test]
    fn item_059_ids_are_exact_integers_or_nothing() {
        for value in [0, 1, 2, 3, 5, 1000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, u32::MAX] {
            assert_eq!(number_to_u32(f64::from(value)), Some(value));
            assert_eq!(u32_to_number(value).to_bits(), f64::from(value).to_bits());
        }
        assert_eq!(number_to_u32(-0.0), Some(0));
        let none = [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -5e9, 0.5, 1.5, 4294967295.5];
        for number in none.into_iter().chain([4294967296.0, 1e300, f64::MIN_POSITIVE, 5e-324, -5e-324]) {
            assert_eq!(number_to_u32(number), None, "{number}");
        }
    }

    #[cfg(feature = "admin")]
    #[test]
    fn numbers_of_64_bits_are_exact_up_to_2_to_the_53() {
        for power in 0..64 {
            for value in [1_u64 << power, (1 << power) - 1, 1 << power | 1] {
                let number = f64::from_bits(u64_to_bits(value));
                if value <= 1 << 53 {
                    assert_eq!(number.to_bits(), (value as f64).to_bits(), "{value}");
                } else {
                    assert!(number as u64 <= value && value - number as u64 <= 1 << 11, "{value}");
                }
            }
        }
    }

    #[test]
    fn item_059_every_power_of_two_and_its_neighbours() {
        for power in 0..32 {
            let value = 1u32 << power;
            for value in [value, value.wrapping_sub(1), value | 1] {
                let number = f64::from(value);
                assert_eq!(u32_to_number(value).to_bits(), number.to_bits());
                assert_eq!(number_to_u32(number), Some(value));
                assert_eq!(number_to_u32(f64::from_bits(number.to_bits() | 1)), None);
            }
        }
    }

    proptest! {
        #[test]
        fn integers_survive_the_round_trip(value: u32) {
            prop_assert_eq!(u32_to_number(value).to_bits(), f64::from(value).to_bits());
            prop_assert_eq!(number_to_u32(u32_to_number(value)), Some(value));
        }

        #[test]
        fn any_bits_convert_as_the_float_unit_would(bits: u64, whole in 0.0..8e9f64) {
            for number in [f64::from_bits(bits), whole, whole.trunc(), -whole] {
                // A cast saturates, and takes NaN to 0.
                let cast = number as u32;
                prop_assert_eq!(number_to_u32(number), (f64::from(cast) == number).then_some(cast));
            }
        }
    }
}
