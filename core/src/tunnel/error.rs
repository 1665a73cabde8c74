//! Why a tunnel cannot go on.

use core::fmt;

use super::MAX_ID;
use super::TunnelRefusal;
use super::head::HeadError;

/// Why a client's tunnel is over. It is final: every later call repeats it. All of them are the peer's fault, or that of
/// what lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelError {
    /// A response is not understood.
    Head(HeadError),
    /// The server, or a proxy, answered with this status.
    Status(u16),
    /// The tunnel's id has more than [`MAX_ID`] bytes.
    IdTooLong,
    /// The tunnel's id is empty, or holds what does not belong in a path.
    IdInvalid,
    /// Bytes came that answer no request.
    Unasked,
    /// The connection ended amid a request, or before its response was complete: nobody knows what has arrived.
    Interrupted,
    /// Nothing of a response came in time.
    TimedOut,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the tunnel was answered with HTTP status {status}"),
            Self::IdTooLong => write!(f, "the tunnel's id has more than {MAX_ID} bytes"),
            Self::IdInvalid => f.write_str("the tunnel's id is none"),
            Self::Unasked => f.write_str("bytes that answer no request"),
            Self::Interrupted => f.write_str("the connection ended amid a request of the tunnel"),
            Self::TimedOut => f.write_str("a request of the tunnel was not answered in time"),
        }
    }
}

impl core::error::Error for TunnelError {}

impl From<HeadError> for TunnelError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "not HTTP",
            Self::TooLong => "an HTTP head of more than 16384 bytes",
            Self::LengthMissing => "an HTTP body without a length",
            Self::LengthInvalid => "an HTTP body with an invalid length",
            Self::LengthTooLarge => "an HTTP body of more than 16777215 bytes",
            Self::Chunked => "an HTTP body in chunks",
        })
    }
}

impl core::error::Error for HeadError {}

impl fmt::Display for TunnelRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::NotFound => "not found",
            Self::Page => "the page",
            Self::NoTunnel => "no tunnel of that id",
            Self::OutOfOrder => "a tunnel's request out of order",
            Self::TooSlow => "a request that does not come in time",
        })
    }
}

impl core::error::Error for TunnelRefusal {}
