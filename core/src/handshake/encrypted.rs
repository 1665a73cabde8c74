//! RTMPE's part of the handshake: the public keys in C1 and S1, and the agreement on the keys.
//!
//! ```text
//!  next_event     version ──► block ──► digest and public key are right ──► (awaits keys) ──► echo ──► PeerDone
//!                                                                                │ agree
//!                                                                                ▼
//!  poll_transmit  version ──► block ──────────────────────────────────────────────────► echo
//!                 └ client: at once; server: after agree
//! ```
//!
//! Our public key needs no memory of its own: it is in the scratch while C1 or S1 is written. A client reads nothing
//! before C1 is written, so its scratch is free until then. A server also sends the key in S2, which may contain any
//! bytes.

use super::{BLOCK_END, DigestScheme, END, Handshake, HandshakeConfig, HandshakeError, SCRATCH, VERSION, Versions};
use crate::bytes;
use crate::crypt::{self, Cipher, KeyPair, PublicKey};
use crate::time::Instant;

/// RTMPE's version without and with XTEA over the signatures.
pub(super) const WITHOUT_XTEA: u8 = 6;
pub(super) const WITH_XTEA: u8 = 8;

/// The scheme of a client's C1, as in librtmp and FFmpeg.
pub(super) const OF_CLIENT: DigestScheme = DigestScheme::Scheme1;
/// The scheme of a server's S1. When FFmpeg publishes, it looks for the digest only in this scheme.
pub(super) const OF_SERVER: DigestScheme = DigestScheme::Scheme0;

/// The position of our public key in the scratch, after the times of C2 and S2.
const PLACE: usize = 8;

/// Our public key, as a part of C1 or S1.
pub(super) struct OwnKey<'k> {
    key: Option<(u16, &'k PublicKey)>,
}

impl OwnKey<'_> {
    /// No key.
    #[cfg(test)]
    pub(super) const NONE: Self = Self { key: None };

    /// Writes the key to its place in `out`, which begins at position `at` of the block.
    pub(super) fn write(&self, at: u16, out: &mut [u8]) {
        if let Some((offset, key)) = self.key {
            bytes::overlay(key, offset, at, out);
        }
    }
}

/// The position of the four bytes whose sum determines the position of the public key.
pub(super) const fn base(scheme: DigestScheme) -> u16 {
    match scheme {
        DigestScheme::Scheme0 => 1532,
        DigestScheme::Scheme1 => 768,
    }
}

/// Returns the position of the public key, which is in the half of the block without the digest. `pointer` is the four
/// bytes at the scheme's base.
pub(super) fn offset(scheme: DigestScheme, pointer: [u8; 4]) -> u16 {
    let sum: u16 = pointer.iter().fold(0, |sum, &byte| sum.wrapping_add(u16::from(byte)));
    let first = match scheme {
        DigestScheme::Scheme0 => 772,
        DigestScheme::Scheme1 => 8,
    };
    (sum % 632).wrapping_add(first)
}

/// Checks the public key in the peer's block.
pub(super) fn check_key(block: &[u8; SCRATCH], scheme: DigestScheme) -> Result<(), HandshakeError> {
    let key = key_in(block, scheme).filter(|key| crypt::is_valid(key));
    key.map(|_| ()).ok_or(HandshakeError::PublicKey)
}

/// The public key in a block of the peer.
fn key_in(block: &[u8; SCRATCH], scheme: DigestScheme) -> Option<&PublicKey> {
    let pointer = block.get(usize::from(base(scheme))..)?.first_chunk()?;
    block.get(usize::from(offset(scheme, *pointer))..)?.first_chunk()
}

impl Handshake {
    /// Makes a client begin with RTMPE, and puts the public key of `pair` into C1. Call it before the first byte is
    /// written. `scratch` is the same as in all other calls. Returns `false`, and does nothing, for a server and for a
    /// client that has already written something.
    ///
    /// The client then reads no input until C1 has been written.
    #[must_use]
    pub fn encrypt(&mut self, pair: &KeyPair, scratch: &mut [u8]) -> bool {
        let is_possible = matches!(self.config, HandshakeConfig::Client { .. }) && self.sent == 0;
        if is_possible
            && let Some(scratch) = scratch.first_chunk_mut()
            && put_key(scratch, pair.public_key())
        {
            self.version = WITHOUT_XTEA;
            return true;
        }
        false
    }

    /// Returns whether [`agree`](Self::agree) must be called now. This is the case after the peer's block was received,
    /// if its digest is right and its public key is valid. Until `agree` is called, nothing is read or written.
    #[must_use]
    pub const fn awaits_keys(&self) -> bool {
        self.is_encrypted() && !self.has_agreed && self.received == BLOCK_END
    }

    /// Agrees with the peer on keys, and returns the ciphers for all bytes that are received and sent from now on.
    /// Returns `None` if no keys are awaited. For a client, `pair` is the pair that was passed to
    /// [`encrypt`](Self::encrypt). For a server, it is a new pair. `scratch` is the same as in all other calls.
    ///
    /// This takes millions of instructions.
    #[must_use = "without the ciphers, nothing can be read"]
    pub fn agree(&mut self, now: Instant, pair: &KeyPair, scratch: &mut [u8]) -> Option<Cipher> {
        if !self.awaits_keys() {
            return None;
        }
        let scratch = scratch.first_chunk_mut::<SCRATCH>()?;
        let found = self.find_digest(scratch)?;
        let left = [self.received, self.sent].map(|done| END.saturating_sub(done));
        let cipher = Cipher::new(pair, key_in(scratch, found.0)?, left)?;
        if !self.is_client() {
            put_key(scratch, pair.public_key());
        }
        self.has_agreed = true;
        self.answer(now, scratch, Some(found));
        Some(cipher)
    }

    /// Whether this is RTMPE.
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.version != VERSION
    }

    /// Returns the version in C0 or S0.
    pub(super) const fn version(&self) -> u8 {
        self.version
    }

    /// Whether RTMPE's versions are accepted.
    pub(super) fn takes_rtmpe(&self) -> bool {
        self.is_encrypted() || self.config == HandshakeConfig::Server { versions: Versions::Rtmpe }
    }

    /// Returns whether reading must wait until C1 has been written or until the keys are known.
    pub(super) const fn waits_for_keys(&self) -> bool {
        self.is_encrypted() && ((self.is_client() && self.sent < BLOCK_END) || self.awaits_keys())
    }

    /// Our public key, as a part of our block.
    pub(super) fn own_key<'k>(&self, scratch: &'k [u8; SCRATCH]) -> OwnKey<'k> {
        let scheme = if self.is_client() { OF_CLIENT } else { OF_SERVER };
        let key = scratch.get(PLACE..).and_then(<[u8]>::first_chunk);
        OwnKey { key: key.filter(|_| self.is_encrypted()).map(|key| (self.block.key_offset(scheme), key)) }
    }
}

/// Stores our public key in the scratch.
fn put_key(scratch: &mut [u8; SCRATCH], key: &PublicKey) -> bool {
    let place = scratch.get_mut(PLACE..).and_then(<[u8]>::first_chunk_mut);
    place.map(|place| *place = *key).is_some()
}
