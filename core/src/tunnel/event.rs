//! Events of a server's tunnels.

#[cfg(doc)]
use super::TunnelConnection;
use super::{HeadError, TunnelId};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelEvent {
    /// A client asks for a tunnel. Answer with [`TunnelConnection::open`] or [`TunnelConnection::refuse`]. Nothing else is
    /// read before that.
    Open,
    /// Bytes for the session of this tunnel follow: [`TunnelConnection::receive`] lends them. The event is repeated until all
    /// are consumed.
    Data(TunnelId),
    /// The client has closed this tunnel.
    Closed(TunnelId),
    /// A request is answered with an error or a page. No tunnel is affected.
    Refused(TunnelRefusal),
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelRefusal {
    /// The head cannot be parsed, or the body would be too long: 400, 411, 413, 414, 431 or 501. The connection ends after
    /// that.
    Head(HeadError),
    /// It is a plain request for a path that does not exist: 404.
    NotFound,
    /// It is a plain request that is answered with the [page](super::TunnelConfig::page).
    Page,
    /// The tunnel id is unknown: 404.
    NoTunnel,
    /// Another request for that tunnel is under way, or the request's number is not the next one: 400.
    OutOfOrder,
    /// It did not arrive in time: 408. The connection ends after that.
    TooSlow,
}

impl From<HeadError> for TunnelRefusal {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}
