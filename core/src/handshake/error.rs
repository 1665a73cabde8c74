//! Why a handshake cannot go on.

use core::fmt;

/// Why a handshake cannot go on. It is final: every later call repeats it.
///
/// All but [`ScratchTooSmall`](HandshakeError::ScratchTooSmall) are the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeError {
    /// The first byte is no version of RTMP that is spoken here (section 5.2.2). A `b'H'` is what a web server
    /// answers. The byte itself stays in the input.
    Version(u8),
    /// The first byte asks for RTMPE, the encrypted variant: 6, or 8 for the kind with XTEA. The byte stays in the
    /// input.
    Encrypted(u8),
    /// S2 is not the answer to our C1. Only a strict client looks.
    Echo,
    /// The lent scratch has less than [`SCRATCH`](super::SCRATCH) bytes: the caller's fault.
    ScratchTooSmall,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Version(byte) => write!(f, "the peer's first byte, {byte:#04x}, is no RTMP version"),
            HandshakeError::Encrypted(byte) => write!(f, "the peer speaks RTMPE (version {byte})"),
            HandshakeError::Echo => f.write_str("S2 does not answer our C1"),
            HandshakeError::ScratchTooSmall => f.write_str("the handshake needs a scratch of 1536 bytes"),
        }
    }
}

impl core::error::Error for HandshakeError {}
