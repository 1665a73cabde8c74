//! Integers in and out of AMF0 numbers, without float arithmetic.
//!
//! Transaction ids, stream ids and counts are integers that travel as IEEE 754 doubles. Most microcontrollers have no
//! unit for doubles, and the routines in its place cost flash; shifting the bits does not.

/// The exponent field of 1.0.
const BIAS: u32 = 0x3FF;

/// `number` as an integer, where it is exactly one between 0 and `u32::MAX`.
///
/// `None` for NaN, infinities, fractions, negative numbers and larger ones. -0.0 is 0.
pub const fn number_to_u32(number: f64) -> Option<u32> {
    let bits = number.to_bits();
    // In halves: LLVM makes a comparison of doubles of one with the whole.
    if ((bits >> 32) as u32) << 1 | bits as u32 == 0 {
        return Some(0);
    }
    // The sign stands above the exponent, so that a negative number, as well as one below 1, gives a large power.
    let power = ((bits >> 52) as u32).wrapping_sub(BIAS);
    if power > 31 {
        return None;
    }
    // The significand with its implied first bit at the top: `power + 1` bits before the point, the others behind it.
    let high = (bits >> 21) as u32 | 1 << 31;
    let low = bits as u32 & 0x1F_FFFF;
    if (high << power) << 1 != 0 || low != 0 {
        return None;
    }
    Some(high >> (31 ^ power))
}

/// The integer below the magnitude of `number`; at most `u32::MAX`, and 0 of what is infinite or no number.
pub(crate) const fn magnitude(number: f64) -> u32 {
    let bits = number.to_bits();
    let exponent = (bits >> 52) as u32 & 0x7FF;
    match exponent.wrapping_sub(BIAS) {
        _ if exponent < BIAS || exponent == 0x7FF => 0,
        power if power > 31 => u32::MAX,
        power => ((bits >> 21) as u32 | 1 << 31) >> (31 ^ power),
    }
}

/// `value` as a number: equal to `f64::from(value)`.
pub const fn u32_to_number(value: u32) -> f64 {
    if value == 0 {
        return 0.0;
    }
    let zeros = value.leading_zeros();
    let significand = value << zeros;
    let power = 31 ^ zeros;
    // The first bit of the significand is implied; of the other 31, 20 fit beside the exponent.
    let high = (power.wrapping_add(BIAS) << 20) | (significand & 0x7FFF_FFFF) >> 11;
    let low = significand << 21;
    f64::from_bits((high as u64) << 32 | low as u64)
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
