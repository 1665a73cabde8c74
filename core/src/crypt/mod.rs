//! RTMPE: the key agreement and the ciphers of an encrypted session (feature `rtmpe`).
//!
//! **RTMPE is obfuscation, not security.** Neither side is authenticated: an attacker on the path can agree on a key
//! with each side, and read and change everything. The keys that sign the handshake are public, no byte is protected
//! against changes, and the key agreement and RC4 are obsolete. RTMPE hides a session from filters that look for RTMP,
//! and reaches peers that demand it. If a stream key or a stream must stay secret, use RTMPS.
//!
//! No specification describes RTMPE. The code behaves like librtmp and FFmpeg:
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
//! - Types 6 and 8 are supported. Type 8 enciphers the signatures in C2 and S2 with XTEA. librtmp and FFmpeg implement
//!   both types in the same way. A client begins with type 6, as both do, and continues with type 8 if the server
//!   answers 8. Type 9, with Blowfish, is refused: librtmp does not implement it.
//!
//! # The path of the bytes
//! The encryption is a layer between a session and its transport. The session reads and writes plain bytes. Call
//! [`Cipher::decipher`] on received bytes before the session reads them, and [`Cipher::encipher`] on bytes that the
//! session has written. To find out whether a session needs keys, see
//! [`Connection::awaits_keys`](crate::session::Connection::awaits_keys). The key agreement takes millions of
//! instructions, so the caller decides when it runs.
//!
//! # Entropy
//! A [`KeyPair`] needs 32 random bytes that are used for nothing else. In particular, do not use the random bytes of
//! the session, because its handshake sends 8 of them in clear.

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
