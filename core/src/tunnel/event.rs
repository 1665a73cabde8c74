//! What requests ask for.

#[cfg(doc)]
use super::TunnelConnection;
use super::{HeadError, TunnelId};

/// Something that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelEvent {
    /// A client wants a tunnel: [`TunnelConnection::open`] gives it one, [`TunnelConnection::refuse`] none. Nothing else is read
    /// before that.
    Open,
    /// Bytes for the session of this tunnel come next: [`TunnelConnection::receive`] lends them. This event comes again until
    /// all are taken.
    Data(TunnelId),
    /// The client has closed this tunnel.
    Closed(TunnelId),
    /// A request is answered with an error, or a page; it is of no tunnel, and does none any harm.
    Refused(TunnelRefusal),
}

/// Why a request is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TunnelRefusal {
    /// The head is not understood, or its body would be too long: 400, 411, 413, 414, 431 or 501. The connection is over
    /// after that.
    Head(HeadError),
    /// It is a plain request, for nothing that is here: 404.
    NotFound,
    /// It is a plain request, and answered with the [page](super::TunnelConfig::page).
    Page,
    /// There is no tunnel of that id: 404.
    NoTunnel,
    /// Another request for that tunnel is under way, or it has another number than the next: 400.
    OutOfOrder,
    /// It has not come in time: 408. The connection is over after that.
    TooSlow,
}

impl From<HeadError> for TunnelRefusal {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}
