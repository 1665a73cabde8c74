//! A connection of a client: TCP, with or without TLS, or a tunnel in HTTP. Also a waiter for several of them.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::TunnelClient;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::socket::Socket;
use super::{Clock, Keys, TlsClient};

/// The most bytes that are received, or sent, at once.
const BUFFER: usize = 64 * 1024;

/// The number of bytes of an answer that are stored.
const ANSWER: usize = 256;

/// The time limit for the server's answer to the request that closes a tunnel.
const CLOSE: Duration = Duration::from_secs(2);

/// A tunnel fails after this number of consecutive connections on which nothing was received.
const FUTILE: u8 = 3;

/// A connection that never blocks: TCP without Nagle's algorithm, or a tunnel in HTTP.
#[derive(Debug)]
pub struct Pipe {
    socket: Socket,
    tunnel: Option<Box<Tunnel>>,
    pub(super) keys: Keys,
    buffer: Box<[u8]>,
    answer: Vec<u8>,
}

/// HTTP requests instead of plain bytes, over one TCP connection after another.
#[derive(Debug)]
struct Tunnel {
    client: TunnelClient<String>,
    address: SocketAddr,
    /// `None` if the requests are not inside TLS.
    tls: Option<TlsClient>,
    clock: Clock,
    /// Bytes of the session that are not in a request yet.
    output: Vec<u8>,
    /// The registry of the waiter, if the pipe has one.
    registry: Option<Registry>,
    /// The current connection is established.
    is_connected: bool,
    /// The number of consecutive connections on which nothing was received.
    futile: u8,
}

impl Pipe {
    /// A pipe over a connection, or over an attempt to connect.
    pub fn new(stream: TcpStream) -> Self {
        Self::over(Socket::new(stream), None)
    }

    /// Creates a pipe that connects to `address`, with or without TLS.
    ///
    /// # Errors
    /// The system gives no socket.
    pub(super) fn direct(address: SocketAddr, tls: Option<&TlsClient>) -> io::Result<Self> {
        Ok(Self::over(dial(address, tls)?, None))
    }

    /// Creates a pipe through a tunnel (RTMPT, or RTMPTS with TLS). All its connections go to `address`.
    ///
    /// # Errors
    /// The system gives no socket.
    pub(super) fn tunnel(address: SocketAddr, host: &str, tls: Option<&TlsClient>, clock: Clock) -> io::Result<Self> {
        let client = TunnelClient::new(host.to_owned(), address.port());
        let (output, registry, is_connected, futile) = (Vec::new(), None, true, 0);
        let (socket, tls) = (dial(address, tls)?, tls.cloned());
        let tunnel = Tunnel { client, address, tls, clock, output, registry, is_connected, futile };
        Ok(Self::over(socket, Some(Box::new(tunnel))))
    }

    fn over(socket: Socket, tunnel: Option<Box<Tunnel>>) -> Self {
        Self { socket, tunnel, keys: Keys::default(), buffer: vec![0; BUFFER].into_boxed_slice(), answer: Vec::new() }
    }

    /// Whether the connection is established. Call it after each wait, until it returns `true`.
    ///
    /// # Errors
    /// The connection could not be established.
    pub fn is_connected(&mut self) -> io::Result<bool> {
        self.socket.is_connected()
    }

    /// Receives bytes if `wants_input`, and passes all unconsumed bytes to `consume`, which removes bytes from the front and
    /// may be called several times. Returns whether any were received or consumed, or the peer has closed its side.
    ///
    /// # Errors
    /// The connection broke.
    pub fn receive(&mut self, wants_input: bool, mut consume: impl FnMut(&mut &[u8])) -> io::Result<bool> {
        let Self { socket, tunnel, keys, buffer, answer } = self;
        socket.rearm();
        let has_connected = tunnel.as_mut().map_or(Ok(false), |tunnel| tunnel.connect(socket))?;
        let wants_input = wants_input && tunnel.as_ref().is_none_or(|tunnel| tunnel.is_connected);
        let (before, received) = (socket.waiting(), socket.traffic.0);
        let (has_moved, result) = socket.receive(buffer, wants_input, |input| {
            answer.extend(input[before..].iter().take(ANSWER - answer.len()));
            match tunnel {
                None => (keys.receive(input, &mut consume).0, Ok(())),
                Some(tunnel) => tunnel.receive(input, &mut |input| keys.receive(input, &mut consume).0),
            }
        })?;
        result?;
        let Some(tunnel) = tunnel else { return Ok(has_moved) };
        if socket.traffic.0 > received {
            tunnel.futile = 0;
        }
        if socket.is_ended() && !tunnel.client.is_closed() && !tunnel.client.needs_connection() {
            tunnel.client.connection_ended().map_err(io::Error::other)?;
            return Ok(true);
        }
        Ok(has_moved || has_connected)
    }

    /// Whether bytes were received that are not consumed.
    pub fn has_input(&self) -> bool {
        self.tunnel.is_none() && self.socket.waiting() > 0
    }

    /// Whether the peer has closed its side.
    pub fn is_ended(&self) -> bool {
        self.tunnel.as_ref().map_or(self.socket.has_ended(), |tunnel| tunnel.client.is_closed())
    }

    /// Sends the bytes that `fill` writes into the slices that are passed to it. `fill` returns the number of bytes written.
    /// This ends when `fill` returns 0 or the system accepts nothing else. Returns whether anything was sent.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, mut fill: impl FnMut(&mut [u8]) -> usize) -> io::Result<bool> {
        let Self { socket, tunnel, keys, buffer, .. } = self;
        let mut has_moved = false;
        let mut fill = |out: &mut [u8]| {
            let filled = fill(out);
            keys.send(&mut out[..filled]);
            filled
        };
        socket.rearm();
        while match tunnel {
            None => socket.send(buffer, &mut fill)?,
            Some(tunnel) => tunnel.send(socket, buffer, &mut fill)?,
        } {
            has_moved = true;
        }
        Ok(has_moved)
    }

    /// Whether bytes wait until the system accepts them.
    pub fn has_output(&self) -> bool {
        self.socket.has_output() || self.tunnel.as_ref().is_some_and(|tunnel| !tunnel.output.is_empty())
    }

    /// When [`Self::receive`] and [`Self::send`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.tunnel.as_ref().filter(|tunnel| tunnel.is_connected)?.client.poll_timeout()
    }

    /// The first bytes from the peer, for error messages.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Ends a tunnel, and waits a little until the server has confirmed it. Does nothing to other connections.
    pub fn close_tunnel(&mut self, waiter: &mut Waiter) {
        let Some(tunnel) = &mut self.tunnel else { return };
        tunnel.client.close();
        let until = std::time::Instant::now() + CLOSE;
        while let (Ok(_), Ok(received), false) =
            (self.send(|_| 0), self.receive(true, |input| *input = &[]), self.is_ended())
        {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() || (!received && waiter.wait(left).is_err()) {
                return;
            }
        }
    }

    /// Whether the peer, which has closed its side, has received what was sent. A peer that has closed the whole connection
    /// sends a reset when more bytes arrive. This waits 200 ms for the reset.
    pub fn was_taken(&mut self) -> bool {
        if self.tunnel.is_some() {
            // Every request was answered.
            return true;
        }
        self.socket.close_tls();
        let _ = self.socket.stream.shutdown(Shutdown::Write);
        (0..20).all(|_| {
            std::thread::sleep(Duration::from_millis(10));
            matches!(self.socket.stream.take_error(), Ok(None))
        })
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.socket.stream.peer_addr()
    }

    /// The bytes received and sent since the connection began.
    pub fn traffic(&self) -> (u64, u64) {
        self.socket.traffic
    }

    /// The number of bytes that were passed to this connection so far, including those that the system has not accepted yet.
    pub fn written(&self) -> u64 {
        self.socket.traffic.1 + self.socket.pending() as u64
    }

    /// The number of sent bytes that the peer's TCP has acknowledged. `None` in a tunnel, or if the system cannot tell.
    pub fn acknowledged(&self) -> Option<u64> {
        let unacknowledged = self.socket.unacknowledged().filter(|_| self.tunnel.is_none())?;
        Some(self.socket.traffic.1.saturating_sub(unacknowledged))
    }
}

/// Begins to connect.
fn dial(address: SocketAddr, tls: Option<&TlsClient>) -> io::Result<Socket> {
    let mut socket = Socket::new(TcpStream::connect(address)?);
    if let Some(tls) = tls {
        socket.start_tls(tls.connection().map_err(io::Error::other)?)?;
    }
    Ok(socket)
}

impl Tunnel {
    /// Passes the bytes of the session that are in `input` to `consume`, which returns how many it has consumed. Returns how
    /// many bytes of `input` were consumed.
    fn receive(&mut self, input: &mut [u8], consume: &mut dyn FnMut(&mut [u8]) -> usize) -> (usize, io::Result<()>) {
        let mut taken = 0;
        loop {
            match self.client.receive_in_place(self.clock.now(), &mut input[taken..], &mut *consume) {
                Ok(0) => return (taken, Ok(())),
                Ok(more) => taken += more,
                Err(error) => return (taken, Err(io::Error::other(error))),
            }
        }
    }

    /// Sends the bytes that `fill` writes, and polls the server when that is due. Returns whether anything was done.
    fn send(
        &mut self,
        socket: &mut Socket,
        buffer: &mut [u8],
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> io::Result<bool> {
        self.connect(socket)?;
        let Self { client, clock, output, .. } = self;
        let filled = fill(&mut buffer[output.len()..]);
        output.extend_from_slice(&buffer[output.len()..][..filled]);
        let has_sent = self.is_connected
            && socket.send(buffer, |out| {
                client.poll_transmit(clock.now(), out, output.len(), |room| {
                    let length = room.len().min(output.len());
                    room[..length].copy_from_slice(&output[..length]);
                    output.drain(..length);
                    length
                })
            })?;
        Ok(has_sent || filled > 0)
    }

    /// Begins another connection if the tunnel needs one. Returns whether a connection was established.
    fn connect(&mut self, socket: &mut Socket) -> io::Result<bool> {
        self.client.handle_timeout(self.clock.now()).map_err(io::Error::other)?;
        if self.client.needs_connection() {
            self.futile += 1;
            if self.futile > FUTILE {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the tunnel's connections end at once"));
            }
            let traffic = socket.traffic;
            if let Some(registry) = &self.registry {
                // This fails if the connection is gone, which is no problem.
                let _ = registry.deregister(&mut socket.stream);
            }
            *socket = dial(self.address, self.tls.as_ref())?;
            socket.traffic = traffic;
            if let Some(registry) = &self.registry {
                registry.register(&mut socket.stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
            }
            self.is_connected = false;
            self.client.connected();
        }
        if self.is_connected || !socket.is_connected()? {
            return Ok(false);
        }
        self.is_connected = true;
        socket.rearm();
        Ok(true)
    }
}

/// Waits until one of several pipes can receive or send.
///
/// It is edge-triggered. Before a wait, receive and send until neither moves any bytes: a pipe that is already ready does
/// not end the wait.
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
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut pipe.socket.stream, Token(0), interest)
    }

    /// Removes a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, pipe: &mut Pipe) -> io::Result<()> {
        if let Some(tunnel) = &mut pipe.tunnel {
            tunnel.registry = None;
        }
        self.poll.registry().deregister(&mut pipe.socket.stream)
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
