//! The client's side: C0, C1 and C2 out, S0, S1 and S2 in.

#[cfg(feature = "digest")]
use super::digest;
use super::exchange::Exchange;
use super::{HandshakeError, HandshakeKind, SCRATCH, VERSION};
use crate::time::Instant;

/// How a client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Style {
    /// As the specification says; every server takes it.
    #[default]
    Simple,
    /// With a digest, as Flash Player did and FFmpeg does. A server without digests answers as to any other client.
    #[cfg(feature = "digest")]
    Digest,
}

/// What a client may be told. The default is what works everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientConfig {
    /// How to begin.
    pub style: Style,
    /// Whether S2 must be the answer to our C1: the echo that section 5.2.4 prescribes, or signed, from a server that
    /// answers in digests. Real servers send anything, so this is for tests of servers.
    ///
    /// A strict client collects a signed S2 in the scratch, so it reads S2 only when C2 is written.
    pub strict: bool,
}

/// The client's side of a handshake. See the [module](super) for its states.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Client {
    exchange: Exchange,
    /// When the handshake began, our zero of time: microseconds modulo 2³².
    started: u32,
    /// What the peer's block was found to be.
    kind: HandshakeKind,
    config: ClientConfig,
    failed: Option<HandshakeError>,
}

impl Client {
    /// A handshake that begins now. `seed` makes its C1 differ from others; it can be computed back from C1.
    pub const fn new(config: ClientConfig, seed: u64, now: Instant) -> Self {
        Self {
            exchange: Exchange::new(seed),
            started: now.as_micros() as u32,
            kind: HandshakeKind::Simple,
            config,
            failed: None,
        }
    }

    /// Takes bytes of S0, S1 and S2 from the front of `input`, all there are up to the last one of S2 and none beyond.
    ///
    /// `scratch` has at least [`SCRATCH`] bytes, and is the same, untouched by others, from the first call until
    /// [`is_done`](Self::is_done).
    ///
    /// # Errors
    /// S0 is not 3, S2 is not as the configuration wants it, or the scratch is too small. Every later call repeats it.
    pub fn read(&mut self, now: Instant, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        if self.failed.is_none() {
            self.failed = self.step(now, input, scratch).err();
            if self.failed.is_some() {
                self.exchange.stop();
            }
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn step(&mut self, now: Instant, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        let scratch = scratch.first_chunk_mut::<SCRATCH>().ok_or(HandshakeError::ScratchTooSmall)?;
        match self.exchange.peek_version(input) {
            None | Some(VERSION) => {}
            Some(version @ (6 | 8)) => return Err(HandshakeError::Encrypted(version)),
            Some(version) => return Err(HandshakeError::Version(version)),
        }
        if self.exchange.read_block(input, scratch) {
            self.answer(now, scratch);
        }
        #[cfg(feature = "digest")]
        if self.collects_signature() {
            return self.read_signed(input, scratch);
        }
        let (at, echo) = self.exchange.read_echo(input);
        if self.config.strict && !self.exchange.block.matches(at, echo) {
            return Err(HandshakeError::Echo);
        }
        Ok(())
    }

    /// S1 is complete: makes C2 of it.
    fn answer(&mut self, now: Instant, scratch: &mut [u8; SCRATCH]) {
        #[cfg(feature = "digest")]
        let found = match self.config.style {
            Style::Simple => None,
            Style::Digest => digest::find(scratch, digest::SERVER_KEY),
        };
        // The time of reading goes into bytes 4 to 7 of the answer (section 5.2.4).
        let elapsed = (now.as_micros() as u32).wrapping_sub(self.started) / 1_000;
        if let Some(time2) = scratch.get_mut(4..8).and_then(<[u8]>::first_chunk_mut) {
            *time2 = elapsed.to_be_bytes();
        }
        #[cfg(feature = "digest")]
        if let Some((scheme, theirs)) = found {
            self.kind = HandshakeKind::Digest(scheme);
            digest::sign(scratch, digest::CLIENT_KEY, &theirs);
        }
    }

    /// Whether S2 is collected to look at its signature.
    #[cfg(feature = "digest")]
    fn collects_signature(&self) -> bool {
        self.config.strict && self.kind != HandshakeKind::Simple
    }

    /// Takes S2 into the scratch, where C2 must have gone first, and looks at its signature.
    #[cfg(feature = "digest")]
    fn read_signed(&mut self, input: &mut &[u8], scratch: &mut [u8; SCRATCH]) -> Result<(), HandshakeError> {
        if !self.exchange.is_sent() || self.exchange.has_echo() {
            return Ok(());
        }
        let (at, echo) = self.exchange.read_echo(input);
        if let Some(room) = scratch.get_mut(at..) {
            crate::bytes::copy(echo, room);
        }
        let ours = self.exchange.block.digest();
        if self.exchange.has_echo() && !ours.is_some_and(|ours| digest::is_signed(scratch, digest::SERVER_KEY, ours)) {
            return Err(HandshakeError::Echo);
        }
        Ok(())
    }

    /// Writes bytes of C0, C1 and C2 to the front of `out`, all that fit and may be sent now; answers how many.
    ///
    /// C2 is only sent when S1 has come whole. `scratch` is the one that [`read`](Self::read) has.
    pub fn transmit(&mut self, scratch: &[u8], out: &mut [u8]) -> usize {
        let (None, Some(scratch)) = (self.failed, scratch.first_chunk::<SCRATCH>()) else { return 0 };
        #[cfg(feature = "digest")]
        if self.config.style == Style::Digest {
            self.exchange.block.sign(
                digest::CLIENT_VERSION,
                super::DigestScheme::Scheme0,
                digest::CLIENT_KEY.signing(),
            );
        }
        self.exchange.transmit(true, scratch, out)
    }

    /// How many bytes [`transmit`](Self::transmit) can give now.
    pub fn transmit_len(&self) -> usize {
        if self.failed.is_none() { self.exchange.transmit_len(true) } else { 0 }
    }

    /// Whether [`transmit`](Self::transmit) has something to give now.
    pub fn wants_transmit(&self) -> bool {
        self.transmit_len() > 0
    }

    /// Whether [`read`](Self::read) would take the next byte.
    pub fn wants_input(&self) -> bool {
        #[cfg(feature = "digest")]
        if self.collects_signature() && !self.exchange.is_sent() {
            return false;
        }
        self.failed.is_none() && !self.exchange.has_echo()
    }

    /// Whether S2 has come whole: nothing more is to be read.
    pub(crate) fn has_read(&self) -> bool {
        self.exchange.has_echo()
    }

    /// Whether S2 has been read whole and C2 written whole: chunks may pass, and the scratch is free for others.
    pub fn is_done(&self) -> bool {
        self.exchange.is_done()
    }

    /// What the server was found to speak; known when S1 has come whole, simple until then. A client of the simple
    /// style does not look for a digest.
    pub fn kind(&self) -> HandshakeKind {
        self.kind
    }
}
