//! A pipe through a tunnel: HTTP requests instead of plain bytes, over one TCP connection after another.

use std::io;
use std::net::SocketAddr;

use embedded_rtmp::tunnel::TunnelClient;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::buffer::Buffer;
use super::{Clock, socket};

/// The number of bytes of the first response that are stored.
const ANSWER: usize = 256;

/// The layer between the bytes of a session and the TCP connections.
#[derive(Debug)]
pub(super) struct Tunnelled {
    pub(super) client: TunnelClient<'static>,
    address: SocketAddr,
    clock: Clock,
    /// The bytes received on the connection, and those to send on it.
    received: Buffer,
    sending: Buffer,
    /// The registry of the waiter, if the pipe has one.
    pub(super) registry: Option<Registry>,
    /// The current connection is established.
    connected: bool,
    /// The server has closed the current connection.
    ended: bool,
    pub(super) answer: Vec<u8>,
    /// The number of consecutive connections on which nothing came.
    futile: u8,
}

/// The most consecutive connections on which nothing comes. After them the tunnel fails.
const FUTILE: u8 = 3;

impl Tunnelled {
    pub(super) fn new(address: SocketAddr, host: &str, clock: Clock) -> Self {
        // A tool has only a few tunnels.
        let host: &'static str = Box::leak(host.into());
        Self {
            client: TunnelClient::new(host, address.port()),
            address,
            clock,
            received: Buffer::new(),
            sending: Buffer::new(),
            registry: None,
            connected: true,
            ended: false,
            answer: Vec::new(),
            futile: 0,
        }
    }

    /// Receives into `input`. Returns whether anything moved, and the number of bytes received on the connection.
    pub(super) fn receive(&mut self, stream: &mut TcpStream, input: &mut Buffer) -> io::Result<(bool, usize)> {
        let (mut moved, mut bytes) = (self.connect(stream)?, 0);
        if !self.connected {
            return Ok((moved, 0));
        }
        if !self.ended {
            let free = self.received.free();
            match if free.is_empty() { None } else { socket::read(stream, free)? } {
                None => {}
                Some(0) => (self.ended, moved) = (true, true),
                Some(length) => {
                    let stored = ANSWER.saturating_sub(self.answer.len()).min(length);
                    self.answer.extend_from_slice(&free[..stored]);
                    self.received.fill(length);
                    (moved, bytes, self.futile) = (true, length, 0);
                }
            }
        }
        loop {
            let mut rest = self.received.filled();
            let before = rest.len();
            let lent = self.client.receive(self.clock.now(), &mut rest, |bytes| {
                let before = bytes.len();
                input.take_from(bytes);
                before - bytes.len()
            });
            lent.map_err(io::Error::other)?;
            let taken = before - rest.len();
            self.received.consume(taken);
            if taken == 0 {
                break;
            }
            moved = true;
        }
        if self.ended
            && !self.client.is_closed()
            && self.received.filled().is_empty()
            && !self.client.needs_connection()
        {
            self.client.connection_ended().map_err(io::Error::other)?;
            moved = true;
        }
        Ok((moved, bytes))
    }

    /// Sends the bytes in `output`, and polls the server when that is due. Returns the number of bytes sent on the connection.
    pub(super) fn send(&mut self, stream: &mut TcpStream, output: &mut Buffer) -> io::Result<usize> {
        let mut sent = 0;
        self.connect(stream)?;
        while self.connected {
            let (now, waiting) = (self.clock.now(), output.filled().len());
            let filled = self.client.poll_transmit(now, self.sending.free(), waiting, |room| output.move_to(room));
            self.sending.fill(filled);
            if self.sending.filled().is_empty() {
                break;
            }
            let Some(length) = socket::write(stream, self.sending.filled())? else { break };
            self.sending.consume(length);
            sent += length;
        }
        Ok(sent)
    }

    /// When [`Self::send`] must be called at the latest.
    pub(super) fn poll_timeout(&self) -> Option<embedded_rtmp::time::Instant> {
        self.client.poll_timeout().filter(|_| self.connected)
    }

    /// Begins another connection if the tunnel needs one. Returns whether a connection was established.
    fn connect(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        let now = self.clock.now();
        self.client.handle_timeout(now).map_err(io::Error::other)?;
        if self.client.needs_connection() {
            self.futile += 1;
            if self.futile > FUTILE {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the tunnel's connections end at once"));
            }
            if let Some(registry) = &self.registry {
                // This fails if the connection is gone, which is no problem.
                let _ = registry.deregister(stream);
            }
            *stream = TcpStream::connect(self.address)?;
            if let Some(registry) = &self.registry {
                registry.register(stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
            }
            self.received = Buffer::new();
            (self.connected, self.ended) = (false, false);
            self.client.connected();
        }
        if !self.connected && socket::is_connected(stream)? {
            self.connected = true;
            return Ok(true);
        }
        Ok(false)
    }
}
