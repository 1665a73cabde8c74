//! Streams over embassy-net, for connectors that are layered over TCP.

use embassy_futures::select::{Either, select};
use embassy_net::tcp::{Error, TcpReader, TcpSocket, TcpWriter};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::Duration;
use embedded_io_async::{ErrorType, Write};

use super::{Connect, KeepAlive, Stream};
use crate::client::resolve::resolve;
use crate::clock::{clock, later, passed};
use crate::fmt::impl_format;

/// The time limit for connecting to one address of a name.
const ADDRESS_LIMIT: Duration = Duration::from_secs(5);

/// Connects to a host over embassy-net: [`Connect`] over TCP sockets. `Tls` uses it.
///
/// The name is looked up for each connection, and its addresses are tried one after another.
pub struct TcpConnect<'m> {
    stack: Stack<'m>,
    rx: &'m mut [u8],
    tx: &'m mut [u8],
    keep_alive: KeepAlive,
}

impl_format!(Debug, ['m] TcpConnect<'m>, this => "TcpConnect {{ {:?} }}", this.keep_alive);

impl<'m> TcpConnect<'m> {
    /// Creates a connector with lent memory for the receive ring and the send ring of one socket. The stack needs room
    /// for one more socket.
    pub const fn new(stack: Stack<'m>, rx: &'m mut [u8], tx: &'m mut [u8], keep_alive: KeepAlive) -> Self {
        Self { stack, rx, tx, keep_alive }
    }
}

impl Connect for TcpConnect<'_> {
    type Error = crate::Error;
    type Stream<'s>
        = TcpStream<'s>
    where
        Self: 's;

    async fn connect<'s>(&'s mut self, host: &str, port: u16) -> Result<TcpStream<'s>, crate::Error> {
        let Self { stack, rx, tx, keep_alive } = self;
        stack.wait_config_up().await;
        let found = resolve(*stack, host).await?;
        let mut socket = TcpSocket::new(*stack, rx, tx);
        socket.set_nagle_enabled(false);
        keep_alive.apply(&mut socket);
        for address in found.addresses() {
            let connecting = socket.connect(IpEndpoint { addr: *address, port });
            match select(connecting, passed(later(clock(), ADDRESS_LIMIT))).await {
                Either::First(Ok(())) => return Ok(TcpStream(socket)),
                _ => socket.abort(),
            }
        }
        Err(crate::Error::Exhausted)
    }

    fn reason(error: &Self::Error) -> crate::Error {
        *error
    }
}

/// A connection of [`TcpConnect`].
pub struct TcpStream<'s>(TcpSocket<'s>);

impl_format!(Debug, ['s] TcpStream<'s>, _ => "TcpStream");

impl Stream for TcpStream<'_> {
    type Reader<'h>
        = TcpReader<'h>
    where
        Self: 'h;
    type Writer<'h>
        = TcpStreamWriter<'h>
    where
        Self: 'h;

    fn split(&mut self) -> (TcpReader<'_>, TcpStreamWriter<'_>) {
        let (reader, writer) = self.0.split();
        (reader, TcpStreamWriter(writer))
    }

    async fn close(self) {
        let Self(mut socket) = self;
        socket.close();
        while let Ok(1..) = socket.read(&mut [0; 64]).await {}
        let _ = socket.flush().await;
    }
}

/// The half of a [`TcpStream`] that writes. A flush does not wait for the peer's acknowledgements.
pub struct TcpStreamWriter<'h>(TcpWriter<'h>);

impl_format!(Debug, ['h] TcpStreamWriter<'h>, _ => "TcpStreamWriter");

impl ErrorType for TcpStreamWriter<'_> {
    type Error = Error;
}

impl Write for TcpStreamWriter<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
