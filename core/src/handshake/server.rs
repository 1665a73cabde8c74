//! The server's side: C0, C1 and C2 in, S0, S1 and S2 out.

#[cfg(feature = "digest")]
use super::digest;
use super::exchange::Exchange;
use super::{HandshakeError, HandshakeKind, SCRATCH, VERSION};

/// Which versions in C0 a server answers; always with version 3 in S0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Versions {
    /// Version 3, and 4 to 31 with the offer to go on as version 3, as section 5.2.2 says. 0 to 2 are deprecated there,
    /// and what is above 31 is text of another protocol. The two of RTMPE, 6 and 8, are refused: a client
    /// that asks for encryption is not to go on without.
    #[default]
    Offer3,
    /// Version 3 alone.
    Only3,
}

/// What a server may be told. The default is what works everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerConfig {
    /// Which versions are answered.
    pub versions: Versions,
}

/// The server's side of a handshake. See the [module](super) for its states.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Server {
    exchange: Exchange,
    /// What the peer's block was found to be.
    kind: HandshakeKind,
    config: ServerConfig,
    failed: Option<HandshakeError>,
}

impl Server {
    /// A handshake that begins now. `seed` makes its S1 differ from others; it can be computed back from S1.
    pub const fn new(config: ServerConfig, seed: u64) -> Self {
        Self { exchange: Exchange::new(seed), kind: HandshakeKind::Simple, config, failed: None }
    }

    /// Takes bytes of C0, C1 and C2 from the front of `input`, all there are up to the last one of C2 and none beyond.
    /// What C2 says does not matter: clients send anything.
    ///
    /// `scratch` has at least [`SCRATCH`] bytes, and is the same, untouched by others, from the first call until
    /// [`is_done`](Self::is_done).
    ///
    /// # Errors
    /// C0 is no version that is answered, or the scratch is too small. Every later call repeats it.
    pub fn read(&mut self, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        if self.failed.is_none() {
            self.failed = self.step(input, scratch).err();
        }
        self.failed.map_or(Ok(()), Err)
    }

    fn step(&mut self, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
        let scratch = scratch.first_chunk_mut::<SCRATCH>().ok_or(HandshakeError::ScratchTooSmall)?;
        match (self.exchange.peek_version(input), self.config.versions) {
            (None | Some(VERSION), _) => {}
            (Some(version @ (6 | 8)), _) => return Err(HandshakeError::Encrypted(version)),
            (Some(4..=31), Versions::Offer3) => {}
            (Some(version), _) => return Err(HandshakeError::Version(version)),
        }
        // A plain S2 is C1 as it came, its bytes 4 to 7 among it, where section 5.2.4 has the time of reading: librtmp
        // compares all of it, and where they are 0 they say that our time begins here.
        let is_complete = self.exchange.read_block(input, scratch);
        #[cfg(feature = "digest")]
        if is_complete {
            self.answer(scratch);
        }
        #[cfg(not(feature = "digest"))]
        let _ = is_complete;
        self.exchange.read_echo(input);
        Ok(())
    }

    /// C1 is complete: where it has a digest, S1 and S2 get theirs.
    #[cfg(feature = "digest")]
    fn answer(&mut self, scratch: &mut [u8; SCRATCH]) {
        if let Some((scheme, theirs)) = digest::find(scratch, digest::CLIENT_KEY) {
            self.kind = HandshakeKind::Digest(scheme);
            self.exchange.block.sign(digest::SERVER_VERSION, scheme, digest::SERVER_KEY.signing());
            digest::sign(scratch, digest::SERVER_KEY, &theirs);
        }
    }

    /// Writes bytes of S0, S1 and S2 to the front of `out`, all that fit; answers how many.
    ///
    /// There are none until C1 has come whole: its kind decides S1. `scratch` is the one that [`read`](Self::read)
    /// has.
    pub fn transmit(&mut self, scratch: &[u8], out: &mut [u8]) -> usize {
        match (self.failed, scratch.first_chunk::<SCRATCH>()) {
            (None, Some(scratch)) => self.exchange.transmit(false, scratch, out),
            _ => 0,
        }
    }

    /// How many bytes [`transmit`](Self::transmit) can give now.
    pub fn transmit_len(&self) -> usize {
        if self.failed.is_none() { self.exchange.transmit_len(false) } else { 0 }
    }

    /// Whether [`transmit`](Self::transmit) has something to give now.
    pub fn wants_transmit(&self) -> bool {
        self.transmit_len() > 0
    }

    /// Whether [`read`](Self::read) would take the next byte.
    pub fn wants_input(&self) -> bool {
        self.failed.is_none() && !self.exchange.has_echo()
    }

    /// Whether C2 has come whole: nothing more is to be read.
    pub(crate) fn has_read(&self) -> bool {
        self.exchange.has_echo()
    }

    /// Whether C2 has been read whole and S2 written whole: chunks may pass, and the scratch is free for others.
    pub fn is_done(&self) -> bool {
        self.failed.is_none() && self.exchange.has_echo() && self.exchange.is_sent()
    }

    /// What the client was found to speak; known when C1 has come whole, simple until then.
    pub fn kind(&self) -> HandshakeKind {
        self.kind
    }
}
