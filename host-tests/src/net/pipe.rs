//! A socket with a buffer in each direction, and the wait for several of them.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use embedded_rtmp::time::Instant;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::Clock;
use super::buffer::Buffer;
use super::socket::{is_connected, read, write};
use super::tunnelled::Tunnelled;

/// The time that a server has to answer that a tunnel is closed.
const CLOSE: Duration = Duration::from_secs(2);

/// A connection that never blocks: TCP without Nagle's algorithm, or a tunnel in HTTP.
#[derive(Debug)]
pub struct Pipe {
    stream: TcpStream,
    tunnel: Option<Box<Tunnelled>>,
    input: Buffer,
    output: Buffer,
    ended: bool,
    received: u64,
    sent: u64,
}

impl Pipe {
    /// A pipe over a connection, or over an attempt to connect.
    pub fn new(stream: TcpStream) -> Self {
        let (input, output) = (Buffer::new(), Buffer::new());
        Self { stream, tunnel: None, input, output, ended: false, received: 0, sent: 0 }
    }

    /// A pipe through a tunnel (RTMPT). All its connections go to `address`.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn tunnel(address: SocketAddr, host: &str, clock: Clock) -> io::Result<Self> {
        let tunnel = Some(Box::new(Tunnelled::new(address, host, clock)));
        Ok(Self { tunnel, ..Self::new(TcpStream::connect(address)?) })
    }

    /// Whether the connection is established. Call it after each wait, until it returns `true`.
    ///
    /// # Errors
    /// The connection could not be established.
    pub fn is_connected(&mut self) -> io::Result<bool> {
        is_connected(&self.stream)
    }

    /// Receives as many bytes as there is room for. Returns whether any came, or the end did.
    ///
    /// # Errors
    /// The connection broke.
    pub fn receive(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if let Some(tunnel) = &mut self.tunnel {
            let (moved, bytes) = tunnel.receive(&mut self.stream, &mut self.input)?;
            self.received += bytes as u64;
            self.ended = tunnel.client.is_closed();
            return Ok(moved);
        }
        let free = self.input.free();
        if free.is_empty() {
            return Ok(false);
        }
        match read(&mut self.stream, free)? {
            None => Ok(false),
            Some(length) => {
                self.ended = length == 0;
                self.input.fill(length);
                self.received += length as u64;
                Ok(true)
            }
        }
    }

    /// The bytes that were received and not consumed.
    pub fn input(&self) -> &[u8] {
        self.input.filled()
    }

    /// Drops bytes from the front of the input.
    pub fn consume(&mut self, length: usize) {
        self.input.consume(length);
    }

    /// Whether the peer has closed its side.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Sends the bytes that `fill` writes to the slices that it is given and returns the number of, until it returns 0 or the
    /// system does not take any. Returns whether anything was sent.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, mut fill: impl FnMut(&mut [u8]) -> usize) -> io::Result<bool> {
        let before = self.sent;
        loop {
            let filled = fill(self.output.free());
            self.output.fill(filled);
            if let Some(tunnel) = &mut self.tunnel {
                let sent = tunnel.send(&mut self.stream, &mut self.output)?;
                self.sent += sent as u64;
                if sent == 0 && filled == 0 {
                    break;
                }
                continue;
            }
            let waiting = self.output.filled();
            if waiting.is_empty() {
                break;
            }
            let Some(length) = write(&mut self.stream, waiting)? else { break };
            self.output.consume(length);
            self.sent += length as u64;
        }
        Ok(self.sent > before)
    }

    /// Whether bytes wait until the system takes them.
    pub fn has_output(&self) -> bool {
        !self.output.filled().is_empty()
    }

    /// When [`Self::receive`] and [`Self::send`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.tunnel.as_ref()?.poll_timeout()
    }

    /// The first bytes of the peer's answer, for messages to people: of a tunnel's first response, or of the input.
    pub fn answer(&self) -> &[u8] {
        self.tunnel.as_ref().map_or(self.input(), |tunnel| &tunnel.answer)
    }

    /// Ends a tunnel, and waits a little until the server has confirmed it. Does nothing to other connections.
    pub fn close_tunnel(&mut self, waiter: &mut Waiter) {
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.client.close();
        let until = std::time::Instant::now() + CLOSE;
        while let (Ok(_), Ok(received), false) = (self.send(|_| 0), self.receive(), self.ended) {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || (!received && waiter.wait(left).is_err()) {
                return;
            }
        }
    }

    /// Whether the peer, which has closed its side, took what was sent. If it has closed the whole connection, it resets it
    /// when more arrives; this waits 200 ms for that.
    pub fn was_taken(&self) -> bool {
        if self.tunnel.is_some() {
            // Every request was answered.
            return true;
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        (0..20).all(|_| {
            std::thread::sleep(Duration::from_millis(10));
            matches!(self.stream.take_error(), Ok(None))
        })
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// The bytes received and sent since the connection began.
    pub fn traffic(&self) -> (u64, u64) {
        (self.received, self.sent)
    }
}

/// Waits until one of several pipes can receive or send.
///
/// It is edge-triggered. Before a wait, receive and send until nothing moves: what was ready before does not end the wait.
#[derive(Debug)]
pub struct Waiter {
    poll: Poll,
    events: Events,
}

impl Waiter {
    /// A waiter without a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(64) })
    }

    /// Adds a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub fn add(&self, pipe: &mut Pipe) -> io::Result<()> {
        if let Some(tunnel) = &mut pipe.tunnel {
            tunnel.registry = Some(self.poll.registry().try_clone()?);
        }
        self.poll.registry().register(&mut pipe.stream, Token(0), Interest::READABLE | Interest::WRITABLE)
    }

    /// Removes a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, pipe: &mut Pipe) -> io::Result<()> {
        if let Some(tunnel) = &mut pipe.tunnel {
            tunnel.registry = None;
        }
        self.poll.registry().deregister(&mut pipe.stream)
    }

    /// Waits for at most `limit`.
    ///
    /// # Errors
    /// Those of the system.
    pub fn wait(&mut self, limit: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(limit)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}
