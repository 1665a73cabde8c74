//! Byte transports for sessions. A transport lends its own memory to the session.
//!
//! ```text
//!   session (publisher, player, server)
//!      │ poll_read(f)          f gets the received bytes, in place, and returns how many it consumed
//!      │ poll_write(f)         f gets free memory and returns how many bytes it wrote there
//!      ▼
//!   Transport ── Tcp           an embassy-net socket: its rings are lent, there is no buffer in between
//!             ├─ Tunnel        RTMPT over a Tcp (feature `rtmpt`)
//!             └─ &Pipe         any `embedded_io_async::{Read, Write}`: three lent blocks and an async pump
//! ```
//!
//! Transports can be layered: a transport that changes the bytes runs over another one and is a [`Transport`] itself.
//! Memory is lent as `&mut [u8]` in both directions, so that a layer can decipher in place. Only a session reads from
//! `&[u8]`. RTMPE (feature `rtmpe`) is a layer between a session and any of these transports. It belongs to the
//! session, because a session in a tunnel outlives its connections.

mod connect;
#[cfg(feature = "rtmpt")]
mod gathered;
pub(crate) mod keys;
mod pipe;
mod tcp;
mod tcp_connect;
#[cfg(feature = "rtmps")]
pub mod tls;
#[cfg(feature = "rtmpt")]
mod tunnel;

use core::fmt;
use core::task::{Context, Poll};

pub use self::connect::{Connect, Stream};
pub use self::pipe::Pipe;
pub(crate) use self::tcp::OpenError;
pub use self::tcp::{KeepAlive, Tcp, Traffic};
pub use self::tcp_connect::{TcpConnect, TcpStream, TcpStreamWriter};
#[cfg(feature = "rtmpt")]
pub use self::tunnel::Tunnel;
use crate::error::Error;

/// The transport of the attempts of a port plan: TCP, or with the feature `rtmpt` a tunnel over TCP.
#[cfg(not(feature = "rtmpt"))]
pub type Net<'a> = Tcp<'a>;
/// The transport of the attempts of a port plan: TCP, or a tunnel over TCP.
#[cfg(feature = "rtmpt")]
pub type Net<'a> = Tunnel<'a>;

/// The transport of a session over streams of a connector: a pipe, or with the feature `rtmpt` a tunnel over a pipe.
#[cfg(all(feature = "live", not(feature = "rtmpt")))]
pub type Piped = &'static Pipe<'static>;
/// The transport of a session over streams of a connector: a pipe, or a tunnel over a pipe.
#[cfg(all(feature = "live", feature = "rtmpt"))]
pub type Piped = Tunnel<'static, &'static Pipe<'static>>;

/// How a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum End {
    /// In good order: the peer closed it, or the caller closed it and all written bytes have been passed on.
    Closed,
    /// By a reset, an error, a time-out or [`Transport::abort`]. Written bytes may not have arrived.
    Lost,
    /// The tunnel has failed, because of the server or of a proxy.
    #[cfg(feature = "rtmpt")]
    Tunnel(embedded_rtmp::tunnel::TunnelError),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::from(*self).fmt(f)
    }
}

impl From<End> for Error {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::Lost => Self::Lost,
            #[cfg(feature = "rtmpt")]
            End::Tunnel(error) => Self::Tunnel(error),
        }
    }
}

/// The closure that a transport lends memory to. It returns how many bytes it consumed or wrote, at most the slice's length.
pub type Lend<'f> = &'f mut dyn FnMut(&mut [u8]) -> usize;

/// A connected byte stream that lends its own memory to the session.
///
/// Every method is synchronous, and a `Pending` future of the caller can be dropped at any time without losing bytes.
///
/// Each method that takes a [`Context`] keeps one waker for its direction and replaces the previous one without waking it.
/// So one task polls [`poll_read`](Self::poll_read) and [`poll_gone`](Self::poll_gone). Another task that writes passes a
/// context of the task that waits for room.
pub trait Transport {
    /// Lends received bytes to `f`, in one contiguous piece, and returns how many `f` consumed.
    ///
    /// `f` is called at most once, and only if there are bytes. Bytes that it does not consume are lent again, with the
    /// changes that it made to them. `Ready(Ok(0))` means that `f` consumed nothing; no waker is registered then, and the
    /// caller must not loop on it. `Pending` means that there are no bytes; the task is woken when bytes arrive or the
    /// transport ends.
    ///
    /// # Errors
    /// The input has ended, and all received bytes have been consumed.
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>>;

    /// Lends free memory to `f`, in one contiguous piece of at least one byte, and returns how many bytes `f` wrote there.
    ///
    /// `f` is called at most once, and only if there is room. `Ready(Ok(0))` means that `f` wrote nothing; no waker is
    /// registered then. `Pending` means that there is no room; the task is woken when there is some or the transport
    /// ends.
    ///
    /// # Errors
    /// Nothing can be written any longer.
    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>>;

    /// Waits until the transport has ended in both directions, even if received bytes are unread, and returns how it ended.
    ///
    /// After [`close`](Self::close) or [`abort`](Self::abort) it also discards bytes that still arrive. While there are
    /// unread bytes and free room, an embassy-net socket wakes no task: poll again after some time.
    ///
    /// The task is also woken when there is room and there was none. A layer that sends by itself, such as a tunnel that
    /// polls the server, sends in this method. So poll it whenever nothing is left to do.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// Ends the transport in good order after everything that was written. Nothing can be written any longer.
    fn close(&mut self);

    /// Ends the transport at once. Bytes that were written and not sent are discarded.
    fn abort(&mut self);

    /// Returns how many bytes were written that the peer has not acknowledged, or `None` if the transport cannot know. The
    /// end that [`close`](Self::close) sends counts as one byte.
    fn unacknowledged(&self) -> Option<usize>;

    /// Returns whether there is room for at least one byte.
    fn has_room(&self) -> bool;

    /// Returns how many bytes were consumed and written since the connection began.
    fn traffic(&self) -> Traffic;

    /// Announces the next calls of [`poll_write`](Self::poll_write): `waiting` returns how many bytes the caller has to
    /// write. A transport that sends a length first, such as a tunnel, calls `waiting`. Others ignore it.
    fn announce(&mut self, waiting: &mut dyn FnMut() -> usize) {
        let _ = waiting;
    }

    /// Begins to tell the peer that the session ends at once, if the peer would not learn that from
    /// [`abort`](Self::abort). Returns whether the caller has to wait for [`poll_gone`](Self::poll_gone).
    fn leave(&mut self) -> bool {
        false
    }
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        (**self).poll_read(cx, f)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        (**self).poll_write(cx, f)
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        (**self).poll_gone(cx)
    }

    fn close(&mut self) {
        (**self).close();
    }

    fn abort(&mut self) {
        (**self).abort();
    }

    fn unacknowledged(&self) -> Option<usize> {
        (**self).unacknowledged()
    }

    fn has_room(&self) -> bool {
        (**self).has_room()
    }

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }

    fn announce(&mut self, waiting: &mut dyn FnMut() -> usize) {
        (**self).announce(waiting);
    }

    fn leave(&mut self) -> bool {
        (**self).leave()
    }
}
