//! HMAC-SHA256 digests in C1 and S1, and the signatures in C2 and S2 that answer them.

use super::{DigestScheme, SCRATCH};
use crate::bytes;
pub(super) use crate::mac::{Digest, LENGTH, Mac};

/// Bytes 4 to 7 of our C1: Flash Player 9.0.124.2, the first version whose digests all servers accept.
pub(super) const CLIENT_VERSION: [u8; 4] = [9, 0, 124, 2];

/// Bytes 4 to 7 of a C1 with a public key, as in librtmp and FFmpeg.
#[cfg(feature = "rtmpe")]
pub(super) const ENCRYPTED_VERSION: [u8; 4] = [128, 0, 3, 2];

/// Bytes 4 to 7 of our S1: Flash Media Server 3.5.1.1. Clients check that the first byte is at least 3.
pub(super) const SERVER_VERSION: [u8; 4] = [3, 5, 1, 1];

/// The key of a side: a name, which signs C1 or S1. The signature in C2 or S2 also uses a tail, which both sides share.
#[derive(Clone, Copy)]
pub(super) struct Key(&'static [u8]);

/// The key of a client.
pub(super) const CLIENT_KEY: Key = Key(b"Genuine Adobe Flash Player 001");

/// The key of a server.
pub(super) const SERVER_KEY: Key = Key(b"Genuine Adobe Flash Media Server 001");

const TAIL: [u8; 32] = [
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, //
    0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];

impl Key {
    /// The key of the digest in C1 or S1.
    pub(super) const fn signing(self) -> &'static [u8] {
        self.0
    }

    /// The key of the signature for an answer to `digest`.
    fn answering(self, digest: &Digest) -> Digest {
        let mut full = [0; 68];
        let (name, tail) = full.split_at_mut(self.0.len().min(36));
        bytes::copy(self.0, name);
        let length = name.len().saturating_add(bytes::copy(&TAIL, tail));
        let mut mac = Mac::new(full.get(..length).unwrap_or_default());
        mac.update(digest);
        mac.finish()
    }
}

impl DigestScheme {
    /// The position of the four bytes whose sum determines the position of the digest.
    pub(super) const fn base(self) -> u16 {
        match self {
            DigestScheme::Scheme0 => 8,
            DigestScheme::Scheme1 => 772,
        }
    }
}

/// The position of the digest. `pointer` are the four bytes at the scheme's base. At most 1,503, so that the whole
/// digest is within the block.
pub(super) fn offset(scheme: DigestScheme, pointer: [u8; 4]) -> u16 {
    let sum: u16 = pointer.iter().fold(0, |sum, &byte| sum.wrapping_add(u16::from(byte)));
    scheme.base().wrapping_add(4).wrapping_add(sum % 728)
}

/// Returns the scheme and the digest of a C1 or S1 that was signed with `key`; `None` if neither half has a digest.
///
/// The second half is tried first, as in other programs.
pub(super) fn find(block: &[u8; SCRATCH], key: Key) -> Option<(DigestScheme, Digest)> {
    [DigestScheme::Scheme1, DigestScheme::Scheme0].into_iter().find_map(|scheme| {
        let pointer = block.get(usize::from(scheme.base())..)?.first_chunk()?;
        let (before, rest) = block.split_at_checked(offset(scheme, *pointer).into())?;
        let (digest, after) = rest.split_first_chunk()?;
        let mut mac = Mac::new(key.signing());
        mac.update(before);
        mac.update(after);
        (mac.finish() == *digest).then_some((scheme, *digest))
    })
}

/// Signs a C2 or S2 that answers a block with `digest`: puts the signature into the last 32 bytes. `version` is that of S0.
pub(super) fn sign(block: &mut [u8; SCRATCH], key: Key, digest: &Digest, version: u8) {
    if let Some((text, signature)) = block.split_last_chunk_mut() {
        *signature = signature_of(text, key, digest, version);
    }
}

/// Returns whether a C2 or S2 is signed with `key` in answer to `digest`. `version` is that of S0.
pub(super) fn is_signed(block: &[u8; SCRATCH], key: Key, digest: &Digest, version: u8) -> bool {
    block.split_last_chunk().is_some_and(|(text, signature)| *signature == signature_of(text, key, digest, version))
}

#[cfg_attr(not(feature = "rtmpe"), expect(unused_variables, reason = "only RTMPE has more than one kind of signature"))]
fn signature_of(text: &[u8], key: Key, digest: &Digest, version: u8) -> Digest {
    let key = key.answering(digest);
    let mut mac = Mac::new(&key);
    mac.update(text);
    #[cfg_attr(not(feature = "rtmpe"), expect(unused_mut, reason = "only RTMPE enciphers a signature"))]
    let mut signature = mac.finish();
    #[cfg(feature = "rtmpe")]
    if version == super::encrypted::WITH_XTEA {
        crate::crypt::encipher_signature(&mut signature, &key);
    }
    signature
}
