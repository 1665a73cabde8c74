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

/// Decodes a whole capture, the bytes that `side` received, in pieces of `cut` bytes. Calls `show` with an object for the
/// handshake and for each message.
///
/// # Errors
/// The capture is invalid or ends too early. Everything before that was passed to `show`.
pub fn replay(side: Side, bytes: &[u8], cut: usize, show: &mut dyn FnMut(Value)) -> Result<(), Error> {
    let (mut handshake, mut chunks) = (Handshake::new(side), Chunks::default());
    for mut piece in bytes.chunks(cut.max(1)) {
        if !handshake.is_done() {
            handshake.feed(&mut piece, show).map_err(Error::Handshake)?;
        }
        if handshake.is_done() {
            chunks.feed(piece, show).map_err(Error::Chunks)?;
        }
    }
    if !handshake.is_done() {
        return Err(Error::EndsInHandshake);
    }
    if chunks.is_at_boundary() { Ok(()) } else { Err(Error::EndsInMessage) }
}
