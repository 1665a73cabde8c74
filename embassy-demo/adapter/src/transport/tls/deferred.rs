//! Checks of signatures that are put off, so that the task can yield before each of them.

use heapless::Vec;

use super::error::Refusal;
use crate::fmt::impl_format;

/// The curve with the longest keys: P-384 or P-256.
const FIELD: usize = if cfg!(feature = "rtmps-p384") { 48 } else { 32 };
/// An uncompressed point.
const POINT: usize = 1 + 2 * FIELD;
/// An ECDSA signature in DER.
const SIGNATURE: usize = 2 * (FIELD + 3) + 2;

/// A check of an ECDSA signature, with all that it needs.
pub(super) struct Check {
    is_valid: IsValid,
    key: Vec<u8, POINT>,
    hash: Vec<u8, FIELD>,
    signature: Vec<u8, SIGNATURE>,
}

/// Returns whether a signature of a hash is valid. The arguments are the key, the hash and the signature.
pub(super) type IsValid = fn(&[u8], &[u8], &[u8]) -> Option<()>;

impl Check {
    /// Returns `None` if a part is too long to be valid.
    pub(super) fn new(is_valid: IsValid, key: &[u8], hash: &[u8], signature: &[u8]) -> Option<Self> {
        let (key, hash) = (Vec::from_slice(key).ok()?, Vec::from_slice(hash).ok()?);
        Some(Self { is_valid, key, hash, signature: Vec::from_slice(signature).ok()? })
    }

    /// This takes millions of instructions.
    // Not inlined, so that its memory is on the stack only while it runs.
    #[inline(never)]
    pub(super) fn run(&self) -> Result<(), Refusal> {
        (self.is_valid)(&self.key, &self.hash, &self.signature).ok_or(Refusal::BadSignature)
    }
}

/// The checks of signatures that a [`Verifier`](super::Verifier) has put off. They run after the server's last message of
/// the handshake, one at a time, and before the client answers.
#[derive(Default)]
pub struct Deferred {
    /// The last signature of the chain, and that of CertificateVerify.
    checks: Vec<Check, 2>,
}

impl_format!(Debug, [] Deferred, this => "Deferred {{ {} }}", this.checks.len());

impl Deferred {
    pub(super) const fn new() -> Self {
        Self { checks: Vec::new() }
    }

    /// Adds a check. If there is no room, it runs now.
    pub(super) fn push(&mut self, check: Check) -> Result<(), Refusal> {
        self.checks.push(check).or_else(|check| check.run())
    }

    /// Runs all checks. [`Tls`](super::Tls) does this itself; a caller that uses a verifier alone does it after each call.
    ///
    /// # Errors
    /// A signature is wrong.
    pub fn run(&mut self) -> Result<(), Refusal> {
        while self.step()? {}
        Ok(())
    }

    /// Runs one of the checks. Returns `false` if there is none.
    pub(super) fn step(&mut self) -> Result<bool, Refusal> {
        match self.checks.pop() {
            Some(check) => check.run().map(|()| true),
            None => Ok(false),
        }
    }
}
