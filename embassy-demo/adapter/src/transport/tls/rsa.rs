//! Verification of RSA signatures (RFC 8017) with keys of 2,048 to 4,096 bits. Nothing here is secret, so the time may
//! depend on the values.

use core::cell::Cell;

use crypto_bigint::{Limb, Word};
use sha2::Digest;

use super::der::rsa_key;

/// The longest modulus, in bytes.
const LONGEST: usize = 512;
/// The shortest modulus, in bits.
const SHORTEST: usize = 2048;
const LIMB: usize = Limb::BYTES;

/// A number of up to 4,096 bits, the lowest limb first.
type Number = [Limb; LONGEST / LIMB];

/// An encoded message: the value that the signer has signed.
struct Encoded {
    bytes: [u8; LONGEST],
    /// The length of the modulus, in bytes.
    length: usize,
    /// The length of the modulus, in bits.
    bits: usize,
}

impl Encoded {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Verifies a signature of RSASSA-PKCS1-v1_5. `prefix` is the DigestInfo up to the hash. `key` is an RSAPublicKey.
pub(super) fn is_pkcs1<D: Digest>(prefix: &[u8], key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Some(encoded) = encoded(key, signature) else { return false };
    let hash = D::digest(message);
    let padding =
        encoded.length.checked_sub(3).and_then(|rest| rest.checked_sub(prefix.len())?.checked_sub(hash.len()));
    let Some(padding) = padding else { return false };
    let expected = [0, 1].into_iter().chain(core::iter::repeat_n(0xFF, padding)).chain([0]);
    expected.chain(prefix.iter().copied()).chain(hash).eq(encoded.bytes().iter().copied())
}

/// Verifies a signature of RSASSA-PSS with MGF1 of the same hash and a salt as long as the hash. `key` is an RSAPublicKey.
pub(super) fn is_pss<D: Digest>(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    encoded(key, signature).and_then(|mut encoded| opens_pss::<D>(&mut encoded, message)).is_some()
}

/// EMSA-PSS-VERIFY: RFC 8017, section 9.1.2.
fn opens_pss<D: Digest>(encoded: &mut Encoded, message: &[u8]) -> Option<()> {
    let size = <D as Digest>::output_size();
    let bits = encoded.bits.checked_sub(1)?;
    let length = bits.div_ceil(8);
    let (extra, bytes) =
        encoded.bytes.get_mut(..encoded.length)?.split_at_mut_checked(encoded.length.checked_sub(length)?)?;
    if extra.iter().any(|byte| *byte != 0) {
        return None;
    }
    let [bytes @ .., 0xBC] = bytes else { return None };
    let (masked, hash) = bytes.split_at_mut_checked(bytes.len().checked_sub(size)?)?;
    // The highest bits, which are not part of the number, must be zero.
    let used = if bits % 8 == 0 { 0xFF } else { (1_u8 << (bits % 8)).wrapping_sub(1) };
    if masked.first()? & !used != 0 {
        return None;
    }
    for (counter, block) in (0_u32..).zip(masked.chunks_mut(size)) {
        let mask = D::new().chain_update(&*hash).chain_update(counter.to_be_bytes()).finalize();
        block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    *masked.first_mut()? &= used;
    let (padding, salt) = masked.split_at_checked(masked.len().checked_sub(size)?)?;
    let [zeros @ .., 1] = padding else { return None };
    let expected = D::new().chain_update([0; 8]).chain_update(D::digest(message)).chain_update(salt).finalize();
    (zeros.iter().all(|byte| *byte == 0) && expected[..] == *hash).then_some(())
}

/// Computes `signature` to the power of the public exponent, modulo the modulus: RFC 8017, section 5.2.2.
fn encoded(key: &[u8], signature: &[u8]) -> Option<Encoded> {
    let (modulus, exponent) = rsa_key(key)?;
    let bits = modulus.len().checked_mul(8)?.checked_sub(usize::try_from(modulus.first()?.leading_zeros()).ok()?)?;
    if bits < SHORTEST || modulus.len() > LONGEST || signature.len() != modulus.len() {
        return None;
    }
    let exponent = match *exponent {
        [a] => u32::from(a),
        [a, b] => u32::from_be_bytes([0, 0, a, b]),
        [a, b, c] => u32::from_be_bytes([0, a, b, c]),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
        _ => return None,
    };
    let limbs = modulus.len().div_ceil(LIMB);
    let (mut n, mut power, mut base) =
        ([Limb::ZERO; LONGEST / LIMB], [Limb::ZERO; LONGEST / LIMB], [Limb::ZERO; LONGEST / LIMB]);
    let n = load(&mut n, modulus).get(..limbs)?;
    let field = Field::new(n).filter(|_| exponent >= 3 && exponent % 2 == 1)?;
    let base = load(&mut base, signature).get_mut(..limbs)?;
    if !is_less(base, n) {
        return None;
    }
    let power = power.get_mut(..limbs)?;
    field.radix_squared(power)?;
    field.multiply(base, power);
    power.copy_from_slice(base);
    let digits = exponent.ilog2();
    for digit in (0..digits).rev() {
        let square: Number = copy(power);
        field.multiply(power, square.get(..limbs)?);
        if exponent.checked_shr(digit)? & 1 == 1 {
            field.multiply(power, base);
        }
    }
    let mut one = [Limb::ZERO; LONGEST / LIMB];
    *one.first_mut()? = Limb::ONE;
    field.multiply(power, one.get(..limbs)?);
    let mut bytes = [0; LONGEST];
    let out = bytes.get_mut(..modulus.len())?;
    for (to, limb) in out.rchunks_mut(LIMB).zip(&*power) {
        to.iter_mut().rev().zip(limb.0.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    Some(Encoded { bytes, length: modulus.len(), bits })
}

fn load<'n>(number: &'n mut Number, bytes: &[u8]) -> &'n mut Number {
    for (limb, digits) in number.iter_mut().zip(bytes.rchunks(LIMB)) {
        limb.0 = digits.iter().fold(0, |sum: Word, digit| sum.wrapping_shl(8) | Word::from(*digit));
    }
    number
}

fn copy(from: &[Limb]) -> Number {
    let mut to = [Limb::ZERO; LONGEST / LIMB];
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to
}

fn is_less(a: &[Limb], b: &[Limb]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Arithmetic modulo an odd number, in Montgomery's form.
struct Field<'n> {
    n: &'n [Limb],
    /// The negative inverse of the lowest limb.
    inverse: Limb,
}

impl<'n> Field<'n> {
    /// Returns `None` if the modulus is even.
    fn new(n: &'n [Limb]) -> Option<Self> {
        let lowest = n.first().filter(|limb| limb.0 & 1 == 1)?.0;
        let mut inverse: Word = 1;
        // Each step doubles the number of correct bits.
        for _ in 0..6 {
            inverse = inverse.wrapping_mul((2 as Word).wrapping_sub(lowest.wrapping_mul(inverse)));
        }
        Some(Self { n, inverse: Limb(inverse.wrapping_neg()) })
    }

    /// Sets `a` to `a`·`b` divided by the radix, which is 2 to the number of bits in the limbs.
    fn multiply(&self, a: &mut [Limb], b: &[Limb]) {
        let mut sum = [Limb::ZERO; LONGEST / LIMB];
        let mut above = Limb::ZERO;
        if let Some(sum) = sum.get_mut(..self.n.len()) {
            let cells = Cell::from_mut(&mut *sum).as_slice_of_cells();
            for digit in &*a {
                above = self.step(cells, above, *digit, b);
            }
            self.reduce(sum, above);
            a.iter_mut().zip(sum).for_each(|(to, from)| *to = *from);
        }
    }

    /// Adds `digit`·`b` to `sum`, adds the multiple of the modulus that makes the lowest limb zero, and removes that limb.
    /// `above` and the result are the limb above `sum`.
    fn step(&self, sum: &[Cell<Limb>], above: Limb, digit: Limb, b: &[Limb]) -> Limb {
        let mut carry = Limb::ZERO;
        for (cell, b) in sum.iter().zip(b) {
            let (low, high) = cell.get().mac(digit, *b, carry);
            cell.set(low);
            carry = high;
        }
        let (above, over) = above.adc(carry, Limb::ZERO);
        let (Some(lowest), Some(first), Some(last)) = (sum.first(), self.n.first(), sum.last()) else {
            return Limb::ZERO;
        };
        let factor = lowest.get().wrapping_mul(self.inverse);
        let (_, mut carry) = lowest.get().mac(factor, *first, Limb::ZERO);
        for ((to, from), n) in sum.iter().zip(sum.iter().skip(1)).zip(self.n.iter().skip(1)) {
            let (low, high) = from.get().mac(factor, *n, carry);
            to.set(low);
            carry = high;
        }
        let (low, carry) = above.adc(carry, Limb::ZERO);
        last.set(low);
        over.wrapping_add(carry)
    }

    /// Subtracts the modulus once if the number is not less than it.
    fn reduce(&self, number: &mut [Limb], above: Limb) {
        if above == Limb::ZERO && is_less(number, self.n) {
            return;
        }
        let mut borrow = Limb::ZERO;
        for (limb, n) in number.iter_mut().zip(self.n) {
            (*limb, borrow) = limb.sbb(*n, borrow);
        }
    }

    /// Computes the square of the radix. A number that is multiplied by it is in Montgomery's form.
    fn radix_squared(&self, number: &mut [Limb]) -> Option<()> {
        number.fill(Limb::ZERO);
        // This power of two is less than the modulus, because the modulus is odd and its highest limb is not zero.
        *number.last_mut()? = Limb::ONE;
        for _ in 0..number.len().checked_add(1)?.checked_mul(Limb::BITS)? {
            let mut carry = Limb::ZERO;
            for limb in number.iter_mut() {
                (*limb, carry) = limb.adc(*limb, carry);
            }
            self.reduce(number, carry);
        }
        Some(())
    }
}
