//! The traits through which a caller's network stack provides connected streams.

use embedded_io_async::{Read, Write};

use crate::error::Error;

/// Connects to a host: TCP of another stack, a modem's sockets, TLS over either.
pub trait Connect {
    /// Whether the streams are inside TLS and the connector verifies that the server is the host. An `rtmps` URL is
    /// refused unless this is `true`, because it must not be tried without TLS.
    const IS_TLS: bool = false;
    /// Why no connection was made.
    type Error;
    /// What [`connect`](Self::connect) returns. It may borrow memory of the connector, such as TLS records.
    type Stream<'s>: Stream
    where
        Self: 's;

    /// Connects to a port of a host. `host` is the name or the address from the URL, unchanged, because TLS verifies the
    /// name. The caller limits the time: it drops the future when the time is over.
    ///
    /// # Errors
    /// The host has no address, or it does not answer.
    #[allow(async_fn_in_trait, reason = "a session belongs to one executor, so its futures need not be `Send`")]
    async fn connect<'s>(&'s mut self, host: &str, port: u16) -> Result<Self::Stream<'s>, Self::Error>;

    /// Returns the reason that is stored in [`Status::last_error`](crate::Status::last_error) when
    /// [`connect`](Self::connect) fails.
    fn reason(error: &Self::Error) -> Error {
        let _ = error;
        Error::Exhausted
    }
}

/// A connected stream with a reader and a writer that a [`Pipe`](super::Pipe) drives at the same time.
pub trait Stream {
    /// The half that reads.
    type Reader<'h>: Read
    where
        Self: 'h;
    /// The half that writes.
    type Writer<'h>: Write
    where
        Self: 'h;

    /// Lends both halves.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// Ends the stream in good order: `close_notify` if it is TLS, then FIN, then reads until the peer has closed its side.
    ///
    /// Reading to the end is needed: if a TCP connection is dropped with unread input, the stack sends RST, and the peer may
    /// lose data that was sent before. The caller limits the time: it drops the future when the time is over.
    #[allow(async_fn_in_trait, reason = "a session belongs to one executor, so its futures need not be `Send`")]
    async fn close(self);

    /// Returns why a read or a write has failed, if the stream knows the reason. With `None`, the failure counts as
    /// [`Error::Lost`].
    fn failure(&self) -> Option<Error> {
        None
    }
}
