//! Decodes one direction of a captured session: only the handshake and the chunk stream.

mod chunks;
mod handshake;
mod values;

pub use handshake::Side;
pub use values::{Values, values};

use std::fmt;

use embedded_rtmp::chunk::ReadError;
use embedded_rtmp::handshake::HandshakeError;
use serde_json::Value;

use chunks::Chunks;
use handshake::Handshake;

/// Why a capture cannot be decoded to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The handshake is invalid.
    Handshake(HandshakeError),
    /// The chunk stream is invalid.
    Chunks(ReadError),
    /// The capture ends inside the handshake.
    EndsInHandshake,
    /// The capture ends inside a message.
    EndsInMessage,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => error.fmt(f),
            Self::Chunks(error) => error.fmt(f),
            Self::EndsInHandshake => f.write_str("the stream ends within the handshake"),
            Self::EndsInMessage => f.write_str("the stream ends within a message"),
        }
    }
}

impl std::error::Error for Error {}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        Self::Chunks(error)
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// Decodes a capture, piece by piece.
#[derive(Debug)]
pub struct Replay {
    handshake: Handshake,
    chunks: Chunks,
}

impl Replay {
    /// A replay of the bytes that `side` received.
    pub fn new(side: Side) -> Self {
        Self { handshake: Handshake::new(side), chunks: Chunks::default() }
    }

    /// Decodes the next piece. Calls `show` with an object for the handshake and for each message when it is complete.
    ///
    /// # Errors
    /// The handshake or the chunk stream is invalid. Every later call fails, too.
    pub fn feed(&mut self, mut bytes: &[u8], show: &mut dyn FnMut(Value)) -> Result<(), Error> {
        if !self.handshake.is_done() {
            self.handshake.feed(&mut bytes, show)?;
        }
        if self.handshake.is_done() { self.chunks.feed(bytes, show) } else { Ok(()) }
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// It ends too early.
    pub fn finish(self) -> Result<(), Error> {
        if !self.handshake.is_done() {
            return Err(Error::EndsInHandshake);
        }
        if !self.chunks.is_at_boundary() {
            return Err(Error::EndsInMessage);
        }
        Ok(())
    }
}

/// Decodes a whole capture, fed in pieces of `cut` bytes: see [`Replay`].
///
/// # Errors
/// The capture is invalid or ends too early. Everything before that was passed to `show`.
pub fn replay(side: Side, bytes: &[u8], cut: usize, show: &mut dyn FnMut(Value)) -> Result<(), Error> {
    let mut replay = Replay::new(side);
    for piece in bytes.chunks(cut.max(1)) {
        replay.feed(piece, show)?;
    }
    replay.finish()
}
