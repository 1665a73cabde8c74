//! The handshake (RTMP 1.0, section 5.2): a version byte, a block and an echo from each side, before the first chunk.
//!
//! ```text
//! Client                                              Server
//!   │  C0: version 3 (1 byte, section 5.2.2)            │
//!   │  C1: time, zero, filler (1536 bytes, 5.2.3)       │
//!   ├──────────────────────────────────────────────────►│
//!   │                                   S0, S1: the same │
//!   │  S2: C1, and the time when it was read (5.2.4)    │
//!   │◄──────────────────────────────────────────────────┤
//!   │  C2: S1, and the time when it was read (5.2.4)    │
//!   ├──────────────────────────────────────────────────►│
//! ```
//!
//! The state of a [`Handshake`] is two positions, one in the 3,073 bytes of each direction. They advance independently
//! and stop at any byte:
//!
//! ```text
//!  next_event     version ──► block ─────────► echo ──► PeerDone; the first chunk stays in the input
//!  (the peer's)   5.2.2       5.2.3            5.2.4
//!                             in the scratch │
//!                                            ▼ the kind is known, the echo is made in place
//!  poll_transmit  version ──► block ─────────► echo ──► the scratch is free
//!  (ours)         5.2.2       5.2.3            5.2.4, from the scratch
//!                 └ client: at once
//!                   server: when the peer's block is complete
//! ```
//!
//! ```
//! use embedded_rtmp::handshake::{Handshake, HandshakeConfig, SCRATCH};
//! use embedded_rtmp::time::Instant;
//!
//! let now = Instant::from_millis(7);
//! let (mut client, mut client_scratch) = (Handshake::new(HandshakeConfig::CLIENT, 1), [0; SCRATCH]);
//! let (mut server, mut server_scratch) = (Handshake::new(HandshakeConfig::SERVER, 2), [0; SCRATCH]);
//! let mut wire = [0; 1460];
//! while !(client.is_done() && server.is_done()) {
//!     let written = client.poll_transmit(now, &mut wire, &mut client_scratch);
//!     server.next_event(now, &mut &wire[..written], &mut server_scratch)?;
//!     let written = server.poll_transmit(now, &mut wire, &mut server_scratch);
//!     client.next_event(now, &mut &wire[..written], &mut client_scratch)?;
//! }
//! # Ok::<(), embedded_rtmp::handshake::HandshakeError>(())
//! ```
//!
//! # Memory
//! The caller lends [`SCRATCH`] bytes. They hold the peer's block until it has been sent back. Our own block is not
//! stored: it is generated from a seed, and generated again to compare the peer's echo. The machine itself is therefore
//! only a few words long.
//!
//! The seed only has to differ between sessions. **The seed is public**: anyone can compute it from C1 or S1. Never
//! derive a secret from the seed, nor the seed from a secret.
//!
//! # Digests
//! Flash Player 9 and its servers put an HMAC-SHA256 digest at a computed position of C1 and S1, and another one at the
//! end of C2 and S2. No specification describes this; the code does what current clients and servers do. With feature
//! `digest`, a server uses the kind of handshake that the client has begun, and a client can begin with a digest
//! ([`Style::Digest`]). If the peer has no digest, the handshake continues as the simple one. The keys are known to
//! everyone, so a digest proves nothing about the peer, and no comparison needs constant time.
//!
//! # Time
//! The machine has no deadline, so it has neither `poll_timeout` nor `handle_timeout`: the session has a deadline for
//! each step, including the handshake. The time in C1 and S1 is 0. The time in C2 is the low 32 bits of
//! [`Instant::as_millis`], so it wraps after 49 days.

mod block;
#[cfg(feature = "digest")]
mod digest;
#[cfg(feature = "rtmpe")]
mod encrypted;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::bytes;
use crate::time::Instant;
use block::Block;
#[cfg(feature = "rtmpe")]
use encrypted::OwnKey;

/// The length in bytes of the scratch that the caller lends: one whole C1, S1, C2 or S2.
pub const SCRATCH: usize = BLOCK as usize;

/// The length of each of C1, S1, C2 and S2.
const BLOCK: u16 = 1536;
/// The position after the version byte and the block.
const BLOCK_END: u16 = 1 + BLOCK;
/// The position after the echo: the length of each direction's handshake.
const END: u16 = BLOCK_END + BLOCK;
/// Both positions after an error: nothing more is read or written, and the handshake is never done.
const FAILED: u16 = u16::MAX;

/// The version of RTMP (section 5.2.2).
const VERSION: u8 = 3;

/// Which side this is, and how it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeConfig {
    /// The side that connects.
    Client {
        /// How the client begins.
        style: Style,
        /// Whether the handshake fails if S2 is not the echo of C1 that section 5.2.4 prescribes, or, from a server with
        /// digests, not signed. Real servers send anything, so this is for tests of servers.
        ///
        /// A strict client checks a signature in the scratch, so it reads a signed S2 only after C2 has been written.
        strict: bool,
    },
    /// The side that accepts the connection.
    Server {
        /// Which versions in C0 the server accepts.
        versions: Versions,
    },
}

impl HandshakeConfig {
    /// A client that works with every server.
    pub const CLIENT: Self = Self::Client { style: Style::Simple, strict: false };
    /// A server that works with every client.
    pub const SERVER: Self = Self::Server { versions: Versions::Offer3 };
}

/// The kind of handshake with which a client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Style {
    /// As in the specification. Every server accepts it.
    #[default]
    Simple,
    /// With a digest, like Flash Player and FFmpeg. A server that does not know digests continues with the simple
    /// handshake.
    #[cfg(feature = "digest")]
    Digest,
}

/// Which versions in C0 a server accepts. It sends version 3 in S0, except in RTMPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Versions {
    /// Version 3, and the later versions 4 to 31, to which the server offers version 3 (section 5.2.2). Versions 0 to 2 are
    /// deprecated, and a byte above 31 is text of another protocol. RTMPE's 6 and 8 are refused: a client that asks for
    /// encryption must not continue without it. 13 and 22 are refused, because a PROXY header and TLS begin with them.
    #[default]
    Offer3,
    /// Version 3 only.
    Only3,
    /// The same as `Offer3`, and also the versions 6 and 8 of RTMPE, which the server repeats in S0. A session with one
    /// of them needs keys: see [`Handshake::awaits_keys`].
    #[cfg(feature = "rtmpe")]
    Rtmpe,
}

/// What [`Handshake::next_event`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeEvent {
    /// The peer's handshake has been read to its end, and the peer speaks this kind. The rest of the input is the chunk
    /// stream. Our side may still have to write: see [`Handshake::is_done`].
    PeerDone(HandshakeKind),
}

/// The kind of handshake that C1 or S1 of the peer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HandshakeKind {
    /// The handshake of the specification: C2 and S2 are echoes.
    #[default]
    Simple,
    /// The handshake with digests. Only found with feature `digest`.
    Digest(DigestScheme),
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

/// The place of the digest in C1 or S1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DigestScheme {
    /// In the first half: bytes 8 to 11 determine the position.
    Scheme0,
    /// In the second half: bytes 772 to 775 determine the position.
    Scheme1,
}

/// Why a handshake failed. It is final: every later call returns the same error.
///
/// [`ScratchTooSmall`](HandshakeError::ScratchTooSmall) is the caller's fault, every other error is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte is not a version of RTMP that this side accepts (section 5.2.2). A `b'H'` is the first byte of a
    /// web server's answer, 0x16 that of TLS, and `b'\r'` that of a PROXY header. The byte stays in the input.
    Version(u8),
    /// The first byte asks for RTMPE, the encrypted variant: 6, or 8 for the kind with XTEA. The byte stays in the
    /// input.
    Encrypted(u8),
    /// The client began with RTMPE, and the first byte of the server is a version without encryption. The byte stays in
    /// the input.
    #[cfg(feature = "rtmpe")]
    Unencrypted(u8),
    /// The peer's C1 or S1 has no digest, or a wrong one. RTMPE requires a digest.
    #[cfg(feature = "rtmpe")]
    Digest,
    /// The peer's public key for RTMPE is 0, 1, p - 1 or above.
    #[cfg(feature = "rtmpe")]
    PublicKey,
    /// S2 is not the echo of our C1, or not signed. Only a strict client checks this.
    Echo,
    /// The lent scratch has less than [`SCRATCH`] bytes.
    ScratchTooSmall,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Version(0x16) => f.write_str("the peer speaks TLS: its first byte is 0x16"),
            HandshakeError::Version(byte) => write!(f, "the peer's first byte, {byte:#04x}, is not an RTMP version"),
            HandshakeError::Encrypted(byte) => write!(f, "the peer wants encryption (RTMPE, version {byte})"),
            #[cfg(feature = "rtmpe")]
            HandshakeError::Unencrypted(byte) => {
                write!(f, "the server does not encrypt (RTMPE): it answers {byte:#04x}")
            }
            #[cfg(feature = "rtmpe")]
            HandshakeError::Digest => f.write_str("the peer wants RTMPE, and its block has no right digest"),
            #[cfg(feature = "rtmpe")]
            HandshakeError::PublicKey => f.write_str("the peer's public key for RTMPE is invalid"),
            HandshakeError::Echo => f.write_str("S2 does not match our C1"),
            HandshakeError::ScratchTooSmall => f.write_str("the handshake needs a scratch of 1536 bytes"),
        }
    }
}

impl core::error::Error for HandshakeError {}

/// Our public key, as a part of our block. Without the feature `rtmpe`, there is no key.
#[cfg(not(feature = "rtmpe"))]
struct OwnKey<'k>(core::marker::PhantomData<&'k ()>);

#[cfg(not(feature = "rtmpe"))]
impl OwnKey<'_> {
    const NONE: Self = Self(core::marker::PhantomData);

    #[inline(always)]
    fn write(&self, _: u16, _: &mut [u8]) {}
}

/// One side of a handshake. See the [module](self) for its states.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Handshake {
    /// C1 or S1.
    block: Block,
    config: HandshakeConfig,
    /// Number of bytes read of the peer's version, block and echo.
    received: u16,
    /// Number of bytes written of our version, block and echo.
    sent: u16,
    /// The kind, which is simple until the peer's block is complete; or why the handshake failed.
    found: Result<HandshakeKind, HandshakeError>,
    /// The first byte that we send. In RTMPE, the first byte of the peer replaces it.
    #[cfg(feature = "rtmpe")]
    version: u8,
    /// Whether the keys of RTMPE are known.
    #[cfg(feature = "rtmpe")]
    has_agreed: bool,
}

impl Handshake {
    /// Creates one side, before its first byte. `seed` makes the filler of C1 or S1 differ between sessions. Anyone can
    /// compute the seed from the block.
    #[must_use]
    pub const fn new(config: HandshakeConfig, seed: u64) -> Self {
        Self {
            block: Block::new(seed),
            config,
            received: 0,
            sent: 0,
            found: Ok(HandshakeKind::Simple),
            #[cfg(feature = "rtmpe")]
            version: VERSION,
            #[cfg(feature = "rtmpe")]
            has_agreed: false,
        }
    }

    /// Takes bytes of the peer's handshake from the front of `input`: all of them, and none beyond its end.
    ///
    /// `scratch` has at least [`SCRATCH`] bytes. Every call gets the same scratch, which nothing else changes until
    /// [`is_done`](Self::is_done).
    ///
    /// Returns [`HandshakeEvent::PeerDone`] once. Returns `None` if the input is empty, if output must drain first
    /// ([`wants_input`](Self::wants_input) says so), or if the peer's handshake has been read.
    ///
    /// # Errors
    /// The version is not accepted, the client is strict and S2 is wrong, or the scratch is too small.
    pub fn next_event(
        &mut self,
        now: Instant,
        input: &mut &[u8],
        scratch: &mut [u8],
    ) -> Result<Option<HandshakeEvent>, HandshakeError> {
        self.found?;
        if self.has_read() {
            return Ok(None);
        }
        match self.read(now, input, scratch) {
            Ok(()) => Ok(self.has_read().then_some(HandshakeEvent::PeerDone(self.kind()))),
            Err(error) => {
                (self.received, self.sent, self.found) = (FAILED, FAILED, Err(error));
                Err(error)
            }
        }
    }

    /// Writes bytes of our handshake to the start of `out`: all that fit and may be sent now. Returns how many.
    ///
    /// A client writes its echo, and a server writes anything, only after the peer's whole block was read. `scratch` is
    /// the one that [`next_event`](Self::next_event) gets.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(&mut self, _now: Instant, out: &mut [u8], scratch: &mut [u8]) -> usize {
        let Some(scratch) = scratch.first_chunk::<SCRATCH>() else { return 0 };
        #[cfg(feature = "digest")]
        if let Some(scheme) = self.begins_with() {
            self.sign_block(scratch, scheme);
        }
        let key = self.own_key(scratch);
        let length = self.transmit_len().min(out.len());
        let (sent, mut echo) = (self.sent, out.get_mut(..length).unwrap_or_default());
        let mut block = echo.split_off_mut(..length.min(BLOCK_END.saturating_sub(sent).into())).unwrap_or_default();
        if sent == 0
            && let Some(version) = block.split_off_first_mut()
        {
            *version = self.version();
        }
        self.block.write(sent.saturating_sub(1), block, &key);
        bytes::copy(scratch.get(sent.saturating_sub(BLOCK_END).into()..).unwrap_or_default(), echo);
        self.sent = sent.wrapping_add(bytes::low_u16(length));
        length
    }

    /// Returns how many bytes [`poll_transmit`](Self::poll_transmit) can write now. May change after
    /// [`next_event`](Self::next_event) and `poll_transmit`.
    #[must_use]
    // Not inlined, because it has several callers.
    #[inline(never)]
    pub const fn transmit_len(&self) -> usize {
        let end = match self.config {
            #[cfg(feature = "rtmpe")]
            _ if self.awaits_keys() => self.sent,
            _ if self.received >= BLOCK_END => END,
            HandshakeConfig::Client { .. } => BLOCK_END,
            HandshakeConfig::Server { .. } => 0,
        };
        end.saturating_sub(self.sent) as usize
    }

    /// Returns whether [`poll_transmit`](Self::poll_transmit) has something to write now.
    #[must_use]
    pub const fn wants_transmit(&self) -> bool {
        self.transmit_len() > 0
    }

    /// Returns whether [`next_event`](Self::next_event) would take the next byte.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.received < END && !self.is_waiting()
    }

    /// Returns whether both directions are complete: chunks may pass, and the scratch is free.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.received == END && self.sent == END
    }

    /// Returns the kind of handshake that the peer speaks: simple until its block is complete. A client of the simple
    /// style does not look for a digest.
    #[must_use]
    pub fn kind(&self) -> HandshakeKind {
        self.found.unwrap_or_default()
    }

    /// Whether the peer's handshake has been read to its end.
    pub(crate) const fn has_read(&self) -> bool {
        self.received == END
    }

    fn read(&mut self, now: Instant, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        let scratch = scratch.first_chunk_mut::<SCRATCH>().ok_or(HandshakeError::ScratchTooSmall)?;
        if self.is_waiting() {
            return Ok(());
        }
        if self.received == 0 {
            let Some((&version, rest)) = input.split_first() else { return Ok(()) };
            self.check_version(version)?;
            (*input, self.received) = (rest, 1);
        }
        if self.received < BLOCK_END {
            let at = self.received.wrapping_sub(1);
            self.take_to_scratch(input, BLOCK_END, at, scratch);
            if self.received < BLOCK_END {
                return Ok(());
            }
            self.take_block(now, scratch)?;
            if self.is_waiting() {
                return Ok(());
            }
        }
        let at = self.received.wrapping_sub(BLOCK_END);
        #[cfg(feature = "digest")]
        if self.checks_signature() {
            self.take_to_scratch(input, END, at, scratch);
            let is_right = |ours| digest::is_signed(scratch, digest::SERVER_KEY, ours, self.version());
            if self.has_read() && !self.block.digest().is_some_and(is_right) {
                return Err(HandshakeError::Echo);
            }
            return Ok(());
        }
        let echo = self.take(input, END);
        if self.is_strict() && !self.block.matches(at, echo, &self.own_key(scratch)) {
            return Err(HandshakeError::Echo);
        }
        Ok(())
    }

    /// Checks the first byte, and stores the version of RTMPE.
    fn check_version(&mut self, version: u8) -> Result<(), HandshakeError> {
        match version {
            #[cfg(feature = "rtmpe")]
            encrypted::WITHOUT_XTEA | encrypted::WITH_XTEA if self.takes_rtmpe() => {
                self.version = version;
                Ok(())
            }
            #[cfg(feature = "rtmpe")]
            VERSION if self.is_encrypted() => Err(HandshakeError::Unencrypted(version)),
            VERSION => Ok(()),
            6 | 8 => Err(HandshakeError::Encrypted(version)),
            _ if self.offers_version(version) => Ok(()),
            _ => Err(HandshakeError::Version(version)),
        }
    }

    /// Returns whether this is a server that offers version 3 to a client of this later version. The first bytes of a
    /// header of the PROXY protocol and of TLS are not versions.
    const fn offers_version(&self, version: u8) -> bool {
        match self.config {
            HandshakeConfig::Server { versions } => {
                !matches!(versions, Versions::Only3) && matches!(version, 4..=31) && !matches!(version, b'\r' | 0x16)
            }
            HandshakeConfig::Client { .. } => false,
        }
    }

    /// Takes the bytes of `input` before position `end` of the peer's handshake.
    // Not inlined, because it has several callers.
    #[inline(never)]
    fn take<'i>(&mut self, input: &mut &'i [u8], end: u16) -> &'i [u8] {
        let length = input.len().min(usize::from(end.saturating_sub(self.received)));
        self.received = self.received.wrapping_add(bytes::low_u16(length));
        input.split_off(..length).unwrap_or_default()
    }

    /// As [`Self::take`], and copies the bytes to position `at` of the scratch.
    fn take_to_scratch(&mut self, input: &mut &[u8], end: u16, at: u16, scratch: &mut [u8; SCRATCH]) {
        let taken = self.take(input, end);
        if let Some(room) = scratch.get_mut(usize::from(at)..) {
            bytes::copy(taken, room);
        }
    }

    /// Finds the kind of the peer's block, which is complete in the scratch, and answers it.
    fn take_block(&mut self, now: Instant, scratch: &mut [u8; SCRATCH]) -> Result<(), HandshakeError> {
        #[cfg(feature = "digest")]
        let found = self.find_digest(scratch);
        #[cfg(feature = "rtmpe")]
        if self.is_encrypted() {
            let (scheme, _) = found.ok_or(HandshakeError::Digest)?;
            self.found = Ok(HandshakeKind::Digest(scheme));
            return encrypted::check_key(scratch, scheme);
        }
        self.answer(
            now,
            scratch,
            #[cfg(feature = "digest")]
            found,
        );
        Ok(())
    }

    /// Makes our echo of the peer's block in the scratch, and signs it if the peer's block has a digest.
    fn answer(
        &mut self,
        now: Instant,
        scratch: &mut [u8; SCRATCH],
        #[cfg(feature = "digest")] found: Option<(DigestScheme, digest::Digest)>,
    ) {
        // A server sends C1 back unchanged, without the time of reading: librtmp compares all bytes, and other clients
        // read a zero there as the start of the server's clock.
        if self.is_client()
            && let Some(time) = scratch.get_mut(4..8).and_then(<[u8]>::first_chunk_mut)
        {
            *time = now.low_millis().to_be_bytes();
        }
        #[cfg(feature = "digest")]
        if let Some((scheme, theirs)) = found {
            self.found = Ok(HandshakeKind::Digest(scheme));
            let key = if self.is_client() {
                digest::CLIENT_KEY
            } else {
                #[cfg(feature = "rtmpe")]
                let scheme = if self.is_encrypted() { encrypted::OF_SERVER } else { scheme };
                self.sign_block(scratch, scheme);
                digest::SERVER_KEY
            };
            digest::sign(scratch, key, &theirs, self.version());
        }
    }

    const fn is_client(&self) -> bool {
        matches!(self.config, HandshakeConfig::Client { .. })
    }

    const fn is_strict(&self) -> bool {
        matches!(self.config, HandshakeConfig::Client { strict: true, .. })
    }

    /// Whether S2 is collected in the scratch to check its signature.
    #[cfg(feature = "digest")]
    fn checks_signature(&self) -> bool {
        self.is_strict() && self.kind() != HandshakeKind::Simple
    }

    /// Returns whether the peer's bytes must wait: S2 until C2 has left the scratch, and bytes of RTMPE until the keys
    /// are known.
    fn is_waiting(&self) -> bool {
        #[cfg(feature = "rtmpe")]
        if self.waits_for_keys() {
            return true;
        }
        #[cfg(feature = "digest")]
        return self.received >= BLOCK_END && self.checks_signature() && self.sent < END;
        #[cfg(not(feature = "digest"))]
        false
    }
}

/// Digests.
#[cfg(feature = "digest")]
impl Handshake {
    /// The scheme in which a client signs C1, or `None` for a server and for a client without a digest.
    fn begins_with(&self) -> Option<DigestScheme> {
        #[cfg(feature = "rtmpe")]
        if self.is_encrypted() {
            return self.is_client().then_some(encrypted::OF_CLIENT);
        }
        matches!(self.config, HandshakeConfig::Client { style: Style::Digest, .. }).then_some(DigestScheme::Scheme0)
    }

    /// Signs C1 or S1. A second call does nothing.
    fn sign_block(&mut self, scratch: &[u8; SCRATCH], scheme: DigestScheme) {
        let (version, key) = if self.is_client() {
            (digest::CLIENT_VERSION, digest::CLIENT_KEY)
        } else {
            (digest::SERVER_VERSION, digest::SERVER_KEY)
        };
        #[cfg(feature = "rtmpe")]
        let version = if self.is_client() && self.is_encrypted() { digest::ENCRYPTED_VERSION } else { version };
        let own = self.own_key(scratch);
        self.block.sign(version, scheme, key, &own);
    }

    /// Looks for the digest in the peer's block.
    fn find_digest(&self, block: &[u8; SCRATCH]) -> Option<(DigestScheme, digest::Digest)> {
        let key = if self.is_client() {
            self.begins_with()?;
            digest::SERVER_KEY
        } else {
            digest::CLIENT_KEY
        };
        // A block with version 0 is from before digests, so nothing is computed for it. RTMPE always has a digest.
        let has_version = block.get(4..8).is_some_and(|version| version.iter().any(|&byte| byte != 0));
        if has_version || self.is_encrypted() { digest::find(block, key) } else { None }
    }
}

/// The parts that differ in RTMPE.
#[cfg(not(feature = "rtmpe"))]
impl Handshake {
    #[inline(always)]
    const fn version(&self) -> u8 {
        VERSION
    }

    #[inline(always)]
    pub(crate) const fn is_encrypted(&self) -> bool {
        false
    }

    #[inline(always)]
    const fn own_key<'k>(&self, _: &'k [u8; SCRATCH]) -> OwnKey<'k> {
        OwnKey::NONE
    }
}
