//! Errors of tunnels.

use core::fmt;

use super::MAX_ID;
use super::TunnelRefusal;
use crate::http::HeadError;

/// Why a client's tunnel has ended. The error is final: every later call repeats it. The cause is the peer or a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelError {
    /// The head of a response cannot be parsed.
    Head(HeadError),
    /// The server or a proxy answered with this status.
    Status(u16),
    /// The id of the tunnel has more than [`MAX_ID`] bytes.
    IdTooLong,
    /// The id of the tunnel is empty, or has characters that cannot be part of a path.
    IdInvalid,
    /// Bytes were received that do not answer a request.
    Unasked,
    /// The connection ended inside a request or before its response was complete. It is unknown how much has arrived.
    Interrupted,
    /// No byte of a response was received in time.
    TimedOut,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the tunnel was answered with HTTP status {status}"),
            Self::IdTooLong => write!(f, "the tunnel's id has more than {MAX_ID} bytes"),
            Self::IdInvalid => f.write_str("the server sent an invalid tunnel id"),
            Self::Unasked => f.write_str("the server sent bytes that do not answer a request"),
            Self::Interrupted => f.write_str("the connection ended inside a request of the tunnel"),
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

impl fmt::Display for TunnelRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head(error) => return error.fmt(f),
            Self::NotFound => "not found",
            Self::Page => "the page",
            Self::NoTunnel => "unknown tunnel id",
            Self::OutOfOrder => "a request of a tunnel out of order",
            Self::TooSlow => "a request that does not arrive in time",
        })
    }
}

impl core::error::Error for TunnelRefusal {}
