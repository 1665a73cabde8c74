//! A pipe through a tunnel: HTTP requests in place of plain bytes, over one TCP connection after another.

use std::io;
use std::net::SocketAddr;

use embedded_rtmp::tunnel::TunnelClient;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::buffer::Buffer;
use super::{Clock, pipe};

/// How much is kept of the first response.
const ANSWER: usize = 256;

/// What stands between a session's bytes and the TCP connection.
#[derive(Debug)]
pub(super) struct Tunnelled {
    pub(super) client: TunnelClient<'static>,
    address: SocketAddr,
    clock: Clock,
    /// What has come on the connection, and what is to go out there.
    received: Buffer,
    sending: Buffer,
    /// Where the sockets are registered, while somebody waits for them.
    pub(super) registry: Option<Registry>,
    /// The connection that is there now is made.
    connected: bool,
    /// Its other end has ended it.
    ended: bool,
    pub(super) answer: Vec<u8>,
    /// Connections in a row on which nothing came.
    futile: u8,
}

/// So many of these, and the tunnel is over.
const FUTILE: u8 = 3;

impl Tunnelled {
    pub(super) fn new(address: SocketAddr, host: &str, clock: Clock) -> Self {
        // There are a few in the life of a tool.
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

    /// Takes what has arrived into `input`. Answers whether anything has, and how many bytes came on the connection.
    pub(super) fn receive(&mut self, stream: &mut TcpStream, input: &mut Buffer) -> io::Result<(bool, usize)> {
        let (mut moved, mut bytes) = (self.connect(stream)?, 0);
        if !self.connected {
            return Ok((moved, 0));
        }
        if !self.ended {
            let free = self.received.free();
            match if free.is_empty() { None } else { pipe::read(stream, free)? } {
                None => {}
                Some(0) => (self.ended, moved) = (true, true),
                Some(length) => {
                    let kept = ANSWER.saturating_sub(self.answer.len()).min(length);
                    self.answer.extend_from_slice(&free[..kept]);
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

    /// Sends what waits in `output`, and asks when it is time. Answers how many bytes went out on the connection.
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
            let Some(length) = pipe::write(stream, self.sending.filled())? else { break };
            self.sending.consume(length);
            sent += length;
        }
        Ok(sent)
    }

    /// When there is something to do at the latest.
    pub(super) fn poll_timeout(&self) -> Option<embedded_rtmp::time::Instant> {
        self.client.poll_timeout().filter(|_| self.connected)
    }

    /// Makes another connection where one is needed; answers whether anything is new.
    fn connect(&mut self, stream: &mut TcpStream) -> io::Result<bool> {
        let now = self.clock.now();
        self.client.handle_timeout(now).map_err(io::Error::other)?;
        if self.client.needs_connection() {
            self.futile += 1;
            if self.futile > FUTILE {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the tunnel's connections end at once"));
            }
            if let Some(registry) = &self.registry {
                // One that is gone need not be taken out.
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
        if !self.connected && pipe::is_connected(stream)? {
            self.connected = true;
            return Ok(true);
        }
        Ok(false)
    }
}
