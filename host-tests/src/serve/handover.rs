//! A connection that is handed over to another HTTP server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::HeadError;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Token};

use super::shared::{BROKEN, CLOSED, Outcome, Shared};
use crate::net::Socket;

/// The most connections that are handed over at a time.
const MAX_HANDOVERS: usize = 64;

/// The time limit for connecting to the other server.
const CONNECT: Duration = Duration::from_secs(5);

/// The most bytes that are passed on at once.
const BUFFER: usize = 16 * 1024;

/// This bit is set in the tokens of connections to the other server. Other tokens are smaller, except those of
/// administration.
const BIT: usize = 1 << (usize::BITS - 2);

/// The reason why a request is answered with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Head(HeadError),
    Full,
    Unreachable,
}

impl Refusal {
    const fn status(self) -> &'static str {
        match self {
            Self::Head(HeadError::TooLong) => "431 Request Header Fields Too Large",
            Self::Head(HeadError::LengthTooLarge) => "413 Content Too Large",
            Self::Head(_) => "400 Bad Request",
            Self::Full => "503 Service Unavailable",
            Self::Unreachable => "502 Bad Gateway",
        }
    }
}

enum State {
    /// The connection to the address with this index must be established in time.
    Connecting(usize, Instant),
    Open,
    /// The answer to the client, of which this many bytes were written.
    Refused(String, usize),
}

/// A connection to the other server.
pub(super) struct Handover {
    /// `None` before the first attempt, and after a refusal.
    other: Option<Socket>,
    state: State,
    buffer: Vec<u8>,
    /// The client, or the other server, was told that nothing follows.
    has_closed_client: bool,
    has_closed_other: bool,
    /// When bytes were last passed on.
    moved_at: Instant,
}

/// Returns the id of the client's connection if `token` is that of a connection to the other server.
pub(super) fn client_id(token: Token) -> Option<usize> {
    (token.0 & BIT != 0).then_some(token.0 & !BIT)
}

impl Handover {
    /// Connects to the other server, for the client's connection with this id.
    pub(super) fn new(id: usize, peer: SocketAddr, shared: &mut Shared<'_>) -> Self {
        let mut this = Self::with(State::Connecting(0, shared.now + CONNECT), shared.now);
        if shared.handovers >= MAX_HANDOVERS {
            this.refuse(Refusal::Full);
        } else {
            this.connect((id, peer), 0, shared.now + CONNECT, shared);
        }
        shared.handovers += 1;
        this
    }

    /// Answers a request that must not be passed on.
    pub(super) fn refused(error: HeadError, shared: &mut Shared<'_>) -> Self {
        shared.handovers += 1;
        let mut this = Self::with(State::Open, shared.now);
        this.refuse(Refusal::Head(error));
        this
    }

    fn with(state: State, moved_at: Instant) -> Self {
        let buffer = vec![0; BUFFER];
        Self { other: None, state, buffer, has_closed_client: false, has_closed_other: false, moved_at }
    }

    /// Bytes of memory, without the queues of the client's connection.
    pub(super) fn memory(&self) -> usize {
        BUFFER + self.other.as_ref().map_or(0, Socket::memory)
    }

    /// Ends the connection to the other server.
    pub(super) fn finish(self, shared: &mut Shared<'_>) {
        shared.handovers -= 1;
    }

    /// Stores the readiness that an event of the other server's connection reports.
    pub(super) fn notice(&mut self, event: &Event) {
        self.other.iter_mut().for_each(|other| other.notice(event));
    }

    /// When it must get a turn at the latest.
    pub(super) fn poll_timeout(&self, shared: &Shared<'_>) -> Option<Instant> {
        match self.state {
            State::Connecting(_, deadline) => Some(deadline),
            State::Open | State::Refused(..) => Some(self.moved_at + idle_timeout(shared)),
        }
    }

    /// Begins to connect to the first address from `index` on that can be tried.
    fn connect(&mut self, (id, peer): (usize, SocketAddr), index: usize, deadline: Instant, shared: &mut Shared<'_>) {
        for (index, address) in shared.options.handover.iter().enumerate().skip(index) {
            let opened = TcpStream::connect(*address).and_then(|mut stream| {
                let interest = Interest::READABLE | Interest::WRITABLE;
                shared.registry.register(&mut stream, Token(BIT | id), interest)?;
                Ok(Socket::outliving_reset(stream))
            });
            if let Ok(socket) = opened {
                (self.other, self.state) = (Some(socket), State::Connecting(index, deadline));
                return;
            }
        }
        self.give_up(peer, shared);
    }

    fn give_up(&mut self, peer: SocketAddr, shared: &mut Shared<'_>) {
        shared.tell_trouble(peer, "the server of --http-handover cannot be reached".to_owned());
        self.refuse(Refusal::Unreachable);
    }

    fn refuse(&mut self, refusal: Refusal) {
        let status = refusal.status();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        (self.other, self.state) = (None, State::Refused(answer, 0));
    }

    /// Does all work that is possible now. `client` is the client's connection, and `buffer` has room for what it stores.
    pub(super) fn turn(
        &mut self,
        id: usize,
        client: &mut Socket,
        buffer: &mut [u8],
        peer: SocketAddr,
        shared: &mut Shared<'_>,
    ) -> Outcome {
        if let (State::Connecting(index, deadline), Some(other)) = (&self.state, &self.other) {
            let (index, deadline) = (*index, *deadline);
            match other.is_connected() {
                Ok(true) => (self.state, self.moved_at) = (State::Open, shared.now),
                Ok(false) if shared.now < deadline => return Ok(client.is_closing().then_some(CLOSED)),
                Ok(false) => self.give_up(peer, shared),
                Err(_) => {
                    self.connect((id, peer), index + 1, deadline, shared);
                    shared.ready.push(id);
                    return Ok(None);
                }
            }
        }
        let has_moved = match &self.state {
            State::Refused(..) => self.answer(client, buffer)?,
            _ => self.pass_on(client, buffer)?,
        };
        if has_moved {
            self.moved_at = shared.now;
            shared.ready.push(id);
        } else if shared.now >= self.moved_at + idle_timeout(shared) {
            return Ok(Some("handed over, and nothing was passed on for too long"));
        }
        let is_over = self.has_closed_client && client.is_ended() && !client.has_output();
        Ok(is_over.then_some(CLOSED))
    }

    /// Sends the answer to a request that is refused, and ignores all that the client sends.
    fn answer(&mut self, client: &mut Socket, buffer: &mut [u8]) -> Result<bool> {
        let (has_received, ()) = client.receive(buffer, true, |input| (input.len(), ())).context(BROKEN)?;
        let State::Refused(answer, sent) = &mut self.state else { return Ok(false) };
        let rest = &answer.as_bytes()[*sent..];
        let has_sent = client
            .send(buffer, |out| {
                let written = copy(rest, out);
                *sent += written;
                written
            })
            .context(BROKEN)?;
        if *sent == answer.len() && !client.has_output() && !self.has_closed_client {
            self.has_closed_client = true;
            client.shut_down();
        }
        Ok(has_received || has_sent)
    }

    /// Passes bytes on in both directions, and the end of each direction.
    fn pass_on(&mut self, client: &mut Socket, buffer: &mut [u8]) -> Result<bool> {
        const OTHER: &str = "the server of --http-handover broke the connection";
        let (Some(other), out) = (&mut self.other, &mut self.buffer[..]) else { return Ok(false) };
        let wants_input = !other.has_output();
        let (has_received, sent) = client
            .receive(buffer, wants_input, |input| {
                let mut taken = 0;
                let sent = other.send(out, |out| {
                    taken = copy(input, out);
                    taken
                });
                (taken, sent)
            })
            .context(BROKEN)?;
        let has_sent = sent.context(OTHER)?;
        if client.is_ended() && !other.has_output() && !std::mem::replace(&mut self.has_closed_other, true) {
            other.shut_down();
        }
        let wants_output = !client.has_output();
        let (has_answer, sent) = other
            .receive(out, wants_output, |input| {
                let mut taken = 0;
                let sent = client.send(buffer, |out| {
                    taken = copy(input, out);
                    taken
                });
                (taken, sent)
            })
            .context(OTHER)?;
        let has_answered = sent.context(BROKEN)?;
        if other.is_ended() && !client.has_output() && !std::mem::replace(&mut self.has_closed_client, true) {
            client.shut_down();
        }
        Ok(has_received || has_sent || has_answer || has_answered)
    }
}

/// Copies bytes until either ends. Returns their number.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    length
}

fn idle_timeout(shared: &Shared<'_>) -> Duration {
    shared.options.config.idle_timeout.unwrap_or(Duration::MAX)
}
