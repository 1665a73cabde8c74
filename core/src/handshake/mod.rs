//! The handshake (RTMP 1.0, section 5.2): three parts each way before the first chunk.
//!
//! ```text
//! Client                                        Server
//!   │  C0 (1): version 3                          │
//!   │  C1 (1536): time, zero, filler              │
//!   ├────────────────────────────────────────────►│
//!   │                       S0 (1), S1 (1536): as │
//!   │       S2 (1536): C1 again, when it was read │
//!   │◄────────────────────────────────────────────┤
//!   │  C2 (1536): S1 again, when it was read      │
//!   ├────────────────────────────────────────────►│
//! ```
//!
//! [`Client`] and [`Server`] are two positions, one in either direction's 3073 bytes, which move on independently and
//! stop anywhere:
//!
//! ```text
//!  read      version ──► peer's block ──► peer's answer ──► (the first chunk stays in the input)
//!             (1)        (1536, kept        (1536)
//!                      │  in the scratch)
//!                      ▼ complete: find the kind, make the answer of it in place
//!  transmit  version ──► our block ──► our answer ──► (the scratch is free)
//!             (1)        (1536)         (1536, from the scratch)
//!            └ client: at once
//!              server: when the peer's block is complete
//! ```
//!
//! ```
//! use embedded_rtmp::handshake::{Client, ClientConfig, SCRATCH, Server, ServerConfig};
//! use embedded_rtmp::time::Instant;
//!
//! let now = Instant::from_millis(7);
//! let (mut client, mut of_client) = (Client::new(ClientConfig::default(), 1, now), [0; SCRATCH]);
//! let (mut server, mut of_server) = (Server::new(ServerConfig::default(), 2), [0; SCRATCH]);
//! let mut wire = [0; 1460];
//! while !(client.is_done() && server.is_done()) {
//!     let written = client.transmit(&of_client, &mut wire);
//!     server.read(&mut &wire[..written], &mut of_server)?;
//!     let written = server.transmit(&of_server, &mut wire);
//!     client.read(now, &mut &wire[..written], &mut of_client)?;
//! }
//! # Ok::<(), embedded_rtmp::handshake::HandshakeError>(())
//! ```
//!
//! # Memory
//! The peer's block is kept in a scratch that the caller lends, the same at every call, until it is sent back. Our own
//! is generated from a seed, and generated again where it is compared. So a machine is a few words.
//!
//! The seed need not be good, only different from one session to the next, but **what comes of it is public**: from C1
//! or S1 anyone can compute it back. Never derive a secret from the seed, nor the seed from a secret.
//!
//! # Digests
//! Flash Player 9 and its servers put an HMAC-SHA256 digest at a computed place of C1 and S1, and another at the end of
//! C2 and S2. Specification there is none; this is what all of today's programs do. With feature `digest` a [`Server`]
//! answers each client in its kind, and a [`Client`] can be told to begin so. Where the peer turns out not to know about
//! it the handshake goes on as the plain one: that is no error. The keys are known to everyone, so a digest proves
//! nothing about the peer, and comparing needs no constant time.
//!
//! # Time
//! Neither side ever waits here: how long the peer may take is the session's business. Times in the blocks are
//! milliseconds from the creation of the machine.

mod block;
mod client;
#[cfg(feature = "digest")]
mod digest;
mod error;
mod exchange;
mod server;
#[cfg(test)]
mod tests;

use core::fmt;

pub use client::{Client, ClientConfig, Style};
pub use error::HandshakeError;
pub use server::{Server, ServerConfig, Versions};

/// The length in bytes of the scratch that either side is lent: a whole C1, S1, C2 or S2.
pub const SCRATCH: usize = BLOCK;

/// The length of C1, S1, C2 and S2 each.
const BLOCK: usize = 1536;

/// The one version of RTMP.
const VERSION: u8 = 3;

/// What the peer was found to speak, by its C1 or S1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HandshakeKind {
    /// The handshake of the specification: the answers are echoes.
    #[default]
    Simple,
    /// The handshake with digests. Never found without feature `digest`.
    Digest(DigestScheme),
}

/// Where in C1 or S1 the digest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DigestScheme {
    /// In the first half: the place is computed from bytes 8 to 11.
    Scheme0,
    /// In the second half: the place is computed from bytes 772 to 775.
    Scheme1,
}

impl fmt::Display for HandshakeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandshakeKind::Simple => "simple",
            HandshakeKind::Digest(DigestScheme::Scheme0) => "digest, scheme 0",
            HandshakeKind::Digest(DigestScheme::Scheme1) => "digest, scheme 1",
        })
    }
}
