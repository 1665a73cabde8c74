//! A socket with a buffer each way, and the wait for several of them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

const BUFFER: usize = 64 * 1024;

/// Bytes that have come in at the end, and go out at the front.
#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The free end, after what waits has been moved to the front.
    fn free(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        &mut self.bytes[self.end..]
    }

    fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }
}

/// A TCP connection that never blocks. Nagle's algorithm is off.
#[derive(Debug)]
pub struct Pipe {
    stream: TcpStream,
    input: Buffer,
    output: Buffer,
    ended: bool,
    received: u64,
    sent: u64,
}

impl Pipe {
    /// A pipe over a connection, or over an attempt to connect.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, input: Buffer::new(), output: Buffer::new(), ended: false, received: 0, sent: 0 }
    }

    /// Whether the connection is made yet. To be asked until it is, each time after a wait.
    ///
    /// # Errors
    /// It could not be made.
    pub fn is_connected(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => self.stream.set_nodelay(true).map(|()| true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes what has arrived, as far as there is room for it. Answers whether anything has, the end among it.
    ///
    /// # Errors
    /// The connection broke.
    pub fn receive(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        let free = self.input.free();
        if free.is_empty() {
            return Ok(false);
        }
        match retry(|| self.stream.read(free))? {
            None => Ok(false),
            Some(length) => {
                self.ended = length == 0;
                self.input.end += length;
                self.received += length as u64;
                Ok(true)
            }
        }
    }

    /// What has arrived and is not consumed.
    pub fn input(&self) -> &[u8] {
        self.input.filled()
    }

    /// Drops bytes from the front of the input.
    pub fn consume(&mut self, length: usize) {
        self.input.consume(length);
    }

    /// Whether the peer has sent all that it ever will.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Sends what `fill` puts into the slices that it is given, until it has nothing more or the peer does not take more.
    /// Answers whether anything went out.
    ///
    /// # Errors
    /// The connection broke.
    pub fn send(&mut self, mut fill: impl FnMut(&mut [u8]) -> usize) -> io::Result<bool> {
        let before = self.sent;
        loop {
            let filled = fill(self.output.free());
            self.output.end += filled;
            let waiting = self.output.filled();
            if waiting.is_empty() {
                break;
            }
            let Some(length) = retry(|| self.stream.write(waiting))? else { break };
            self.output.consume(length);
            self.sent += length as u64;
        }
        Ok(self.sent > before)
    }

    /// Whether bytes wait for the peer to take them.
    pub fn has_output(&self) -> bool {
        !self.output.filled().is_empty()
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The connection broke.
    pub fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Whether the peer, which has ended its side, took what was sent: one that has gone altogether resets the connection
    /// as soon as more arrives, which this gives 200 ms.
    pub fn was_taken(&self) -> bool {
        let _ = self.shutdown();
        (0..20).all(|_| {
            std::thread::sleep(Duration::from_millis(10));
            matches!(self.stream.take_error(), Ok(None))
        })
    }

    /// The peer.
    ///
    /// # Errors
    /// There is none any more.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Bytes received and sent, from the first.
    pub fn traffic(&self) -> (u64, u64) {
        (self.received, self.sent)
    }
}

/// Does an operation again that was interrupted; `None` where it would block.
fn retry(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match operation() {
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Waits until one of several pipes may have something to do.
///
/// Before a wait all that can be done must have been tried: what was ready before it does not end it.
#[derive(Debug)]
pub struct Waiter {
    poll: Poll,
    events: Events,
}

impl Waiter {
    /// A waiter for no pipe yet.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(64) })
    }

    /// Includes a pipe.
    ///
    /// # Errors
    /// Those of the system.
    pub fn add(&self, pipe: &mut Pipe) -> io::Result<()> {
        self.poll.registry().register(&mut pipe.stream, Token(0), Interest::READABLE | Interest::WRITABLE)
    }

    /// Leaves a pipe out again.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(&self, pipe: &mut Pipe) -> io::Result<()> {
        self.poll.registry().deregister(&mut pipe.stream)
    }

    /// What ends a wait from another thread.
    ///
    /// # Errors
    /// Those of the system.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), Token(usize::MAX))
    }

    /// Waits, at most for `limit`.
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
