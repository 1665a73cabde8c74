//! Diffie-Hellman in the second Oakley group (RFC 2409, section 6.2).

use core::fmt;

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{CtAssign, CtEq, U1024};
use zeroize::{Zeroize, Zeroizing};

use crate::fmt::impl_format;

/// The length of a public key in bytes.
pub const PUBLIC_KEY: usize = 128;

/// A public key: a number, big-endian, with leading zeros.
pub type PublicKey = [u8; PUBLIC_KEY];

/// The secret that both sides compute, with leading zeros.
pub(super) type SharedSecret = Zeroizing<[u8; PUBLIC_KEY]>;

mod prime {
    #![allow(missing_docs, unreachable_pub, reason = "the macro makes it public")]
    crypto_bigint::const_monty_params!(
        Prime,
        crypto_bigint::U1024,
        "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
         020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
         4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
         ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
    );
}

/// A number modulo the group's prime.
type Residue = ConstMontyForm<prime::Prime, { U1024::LIMBS }>;

/// One side's keys for one session.
///
/// [`KeyPair::new`] takes as long as [`agree`](crate::session::Connection::agree): millions of instructions. A client
/// should call it before it connects. The secret part is overwritten when the value is dropped, and is never formatted.
pub struct KeyPair {
    exponent: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl KeyPair {
    /// Makes the keys from 32 random bytes, which must not be used for anything else.
    #[must_use]
    pub fn new(entropy: &[u8; 32]) -> Self {
        let mut exponent = Zeroizing::new(*entropy);
        // The exponent is never 0, and its length does not vary.
        if let Some(first) = exponent.first_mut() {
            *first |= 0x80;
        }
        let public = power(&U1024::from_u8(2), &exponent).to_be_bytes().into();
        Self { exponent, public }
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the secret that is shared with the owner of the public key `theirs`. Returns `None` if `theirs` cannot
    /// be a public key: see [`is_valid`].
    pub(super) fn shared_secret(&self, theirs: &PublicKey) -> Option<SharedSecret> {
        let base = parse(theirs)?;
        let mut secret = power(&base, &self.exponent);
        let bytes = Zeroizing::new(secret.to_be_bytes().into());
        secret.zeroize();
        Some(bytes)
    }
}

/// Returns whether `key` can be a public key. The numbers 0, 1, p - 1 and above cannot, because anyone could then
/// compute the secret.
pub(crate) fn is_valid(key: &PublicKey) -> bool {
    parse(key).is_some()
}

fn parse(key: &PublicKey) -> Option<U1024> {
    let key = U1024::from_be_slice(key);
    let largest =
        <prime::Prime as crypto_bigint::modular::ConstMontyParams<{ U1024::LIMBS }>>::PARAMS.modulus().as_ref();
    // A public key is no secret, so the comparisons need not be in constant time.
    (key > U1024::ONE && key < largest.wrapping_sub(&U1024::ONE)).then_some(key)
}

/// Returns `base` to the power of `exponent`, in a time that does not depend on the exponent.
///
/// The exponent is read two bits at a time, and each of the four powers is read in each step. The function of the
/// library reads four bits at a time. It takes a seventh less time, but needs 4 KB of stack.
fn power(base: &U1024, exponent: &[u8; 32]) -> U1024 {
    let base = Residue::new(base);
    let square = base.square();
    let powers = [Residue::ONE, base, square, square.mul(&base)];
    let mut result = Residue::ONE;
    for byte in exponent {
        for shift in [6, 4, 2, 0] {
            let window = (byte >> shift) & 3;
            let [mut factor, others @ ..] = powers;
            for (index, power) in (1_u8..).zip(&others) {
                factor.ct_assign(power, index.ct_eq(&window));
            }
            result = result.square().square().mul(&factor);
        }
    }
    result.retrieve()
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair")
    }
}

impl_format!([] KeyPair, _ => "KeyPair");
