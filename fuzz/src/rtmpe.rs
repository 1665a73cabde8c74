//! The handshake of an RTMPE peer that knows the public keys of both sides.

use embedded_rtmp::handshake::SCRATCH;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key with which a client signs C1.
pub const CLIENT: &[u8] = b"Genuine Adobe Flash Player 001";
/// The key with which a server signs S1.
pub const SERVER: &[u8] = b"Genuine Adobe Flash Media Server 001";

/// The prime of the second Oakley group (RFC 2409, section 6.2), big-endian.
pub const PRIME: [u8; 128] = {
    let digits = *b"ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
        020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
        4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed\
        ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff";
    const fn digit(digit: u8) -> u8 {
        if digit < b'a' { digit - b'0' } else { digit - b'a' + 10 }
    }
    let (mut prime, mut at) = ([0; 128], 0);
    while at < 128 {
        prime[at] = digit(digits[2 * at]) << 4 | digit(digits[2 * at + 1]);
        at += 1;
    }
    prime
};

/// A C1 or S1, whose digest is in one of its halves and whose public key is in the other one.
#[derive(Debug, Clone)]
pub struct Block {
    /// The bytes.
    pub bytes: [u8; SCRATCH],
    /// Whether the digest is in the second half.
    pub is_second: bool,
}

impl Block {
    fn place(&self, base: usize, first: usize, places: usize) -> usize {
        let sum: usize = self.bytes[base..base + 4].iter().map(|byte| usize::from(*byte)).sum();
        first + sum % places
    }

    /// The public key.
    pub fn key(&mut self) -> &mut [u8; 128] {
        let at = if self.is_second { self.place(768, 8, 632) } else { self.place(1532, 772, 632) };
        (&mut self.bytes[at..at + 128]).try_into().expect("128 bytes")
    }

    fn digest_place(&self) -> usize {
        if self.is_second { self.place(772, 776, 728) } else { self.place(8, 12, 728) }
    }

    /// Puts the right digest into the block.
    pub fn sign(&mut self, key: &[u8]) {
        let at = self.digest_place();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(&self.bytes[..at]);
        mac.update(&self.bytes[at + 32..]);
        self.bytes[at..at + 32].copy_from_slice(&mac.finalize().into_bytes());
    }
}
