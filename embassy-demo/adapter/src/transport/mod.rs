//! What a session runs over: a byte transport that lends its memory.
//!
//! ```text
//!   session (publisher, player, server)
//!      │ poll_read(f)          f gets the bytes that came, in place, and returns how many it consumed
//!      │ poll_write(f)         f gets free memory and returns how many bytes it wrote there
//!      ▼
//!   Transport ── Tcp           an embassy-net socket: its rings are lent, there is no buffer in between
//!             └─ &Pipe         any `embedded_io_async::{Read, Write}`: three lent blocks and an async pump
//! ```
//!
//! Transports stack: one that changes the bytes stands on another one and is a [`Transport`] itself. Memory is therefore
//! lent as `&mut [u8]` in both directions, so that a layer can decipher in place. Only a session reads from `&[u8]`.

mod connect;
mod pipe;
mod tcp;

use core::fmt;
use core::task::{Context, Poll};

pub use self::connect::{Connect, Stream};
pub use self::pipe::Pipe;
pub(crate) use self::tcp::OpenError;
#[cfg(feature = "rtmpt")]
pub(crate) use self::tcp::Opened;
pub use self::tcp::{KeepAlive, Tcp, Traffic};

/// How a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum End {
    /// In good order: the peer closed it, or the caller did and all that was written has been handed over.
    Closed,
    /// By a reset, an error, a time-out or [`Transport::abort`]: what was written may not have arrived.
    Lost,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection was closed",
            Self::Lost => "the connection was lost",
        })
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
    /// Lends bytes that came to `f`, in one contiguous piece, and returns how many `f` consumed.
    ///
    /// `f` is called at most once, and only if there are bytes. Bytes that it does not consume are lent again, with the
    /// changes that it made to them. `Ready(Ok(0))` means that `f` consumed nothing; no waker is registered then, and
    /// the caller must not loop on it. `Pending` means that nothing has come; the task is woken when something comes
    /// or the transport ends.
    ///
    /// # Errors
    /// Nothing more will come, and everything that came has been consumed.
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

    /// Waits until the transport has ended in both directions, even if bytes that came are unread, and returns how.
    ///
    /// After [`close`](Self::close) or [`abort`](Self::abort) it also throws away what still comes. While there are unread
    /// bytes and free room, an embassy-net socket wakes nobody: poll again after some time.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// Ends the transport in good order after everything that was written. Nothing can be written any longer.
    fn close(&mut self);

    /// Ends the transport at once. What was written and not sent is thrown away.
    fn abort(&mut self);

    /// Returns how many bytes were written that the peer has not acknowledged, or `None` if the transport cannot know. The
    /// end that [`close`](Self::close) sends counts as one byte.
    fn unacknowledged(&self) -> Option<usize>;

    /// Returns how many bytes were consumed and written since the connection began.
    fn traffic(&self) -> Traffic;
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

    fn traffic(&self) -> Traffic {
        (**self).traffic()
    }
}
