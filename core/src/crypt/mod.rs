//! RTMPE: the key agreement and the ciphers of an encrypted session (feature `rtmpe`).
//!
//! **RTMPE is obfuscation, not security.** Nobody is authenticated: a machine between the two sides can agree on a key with
//! each of them, and read and change everything. The keys that sign the handshake are known to everyone, no byte is
//! protected against changes, and the key agreement and RC4 are obsolete. RTMPE keeps a session from filters that look for
//! RTMP, and serves peers that demand it. If a stream key or a stream must stay secret, use RTMPS.
//!
//! No specification describes RTMPE. The code does what librtmp and FFmpeg do:
//!
//! ```text
//! Client                                                            Server
//!   │  KeyPair::new, before the connection                             │
//!   │  C0: 6, C1: public key, digest over the block                    │
//!   ├─────────────────────────────────────────────────────────────────►│ no digest: refused; bad public key: refused
//!   │                                                                  │ KeyPair::new, agree
//!   │                       S0: 6, S1: public key, digest; S2: signature│
//!   │◄─────────────────────────────────────────────────────────────────┤
//!   │ agree                                                            │
//!   │  C2: signature                                                   │
//!   ├─────────────────────────────────────────────────────────────────►│
//!   │  chunks, enciphered with RC4; each direction has its own key     │
//!   │◄────────────────────────────────────────────────────────────────►│
//! ```
//!
//! - The key agreement is Diffie-Hellman in the second Oakley group of RFC 2409 (1,024 bits, generator 2).
//! - The key of a direction is the first 16 bytes of HMAC-SHA256 of the receiver's public key, with the shared secret as the
//!   key. Public keys and the secret have 128 bytes, with leading zeros. The first 1,536 bytes of each keystream are unused.
//! - Type 6, and type 8, which enciphers the signatures in C2 and S2 with XTEA. librtmp and FFmpeg agree on both. A client
//!   begins with 6, as both do, and continues with 8 if the server answers that. Type 9, with Blowfish, is refused: librtmp
//!   does not implement it.
//!
//! # How the bytes pass
//! Encryption stands around a session. The session reads and writes plain bytes, and a [`Cipher`] changes the bytes of the
//! transport in place: [`Cipher::decipher`] before the session reads them, [`Cipher::encipher`] after it wrote them. A
//! session that needs keys says so: see [`Connection::awaits_keys`](crate::session::Connection::awaits_keys). The key
//! agreement takes millions of instructions, so the caller decides when it runs.
//!
//! # Entropy
//! A [`KeyPair`] needs 32 random bytes that are used for nothing else. In particular, they are not those of the session,
//! whose handshake shows 8 of them.

mod cipher;
mod group;
mod limit;
#[cfg(test)]
mod tests;
mod xtea;

pub use cipher::Cipher;
pub(crate) use group::is_valid;
pub use group::{KeyPair, PUBLIC_KEY, PublicKey};
pub use limit::AgreementLimit;
pub(crate) use xtea::encipher_signature;
