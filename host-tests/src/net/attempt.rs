//! One attempt of a plan: an address, TCP, the RTMP handshake.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use embedded_rtmp::handshake::{HandshakeError, HandshakeKind};
use embedded_rtmp::port_plan::{Failure, Target, Transport};
use embedded_rtmp::session::{Client, ClientEvent, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel;

use super::{Clock, Pipe, Waiter};

/// The number of bytes of an answer that is not RTMP that are stored.
const ANSWER: usize = 256;

#[derive(Debug)]
pub(super) struct Attempt<'b, const PLAYS: usize> {
    session: Client<'b, 8, PLAYS>,
    pipe: Pipe,
    addresses: Addresses,
    /// When the next address is dialled, unless the connection is established before.
    turn: Instant,
    connected: bool,
}

/// The addresses that are left to dial on a port. Each one follows when the one before has refused, or after its share of
/// the time.
#[derive(Debug)]
pub(super) struct Addresses {
    left: VecDeque<IpAddr>,
    host: String,
    target: Target,
    clock: Clock,
    /// The share of each address in the time limit of TCP.
    time: Duration,
}

/// The result of a step.
#[derive(Debug)]
pub(super) enum Stage {
    Waiting,
    /// The TCP connection is established.
    Connected,
    /// The handshake is complete.
    Done(HandshakeKind),
}

impl<'b, const PLAYS: usize> Attempt<'b, PLAYS> {
    /// An attempt whose first address is being dialled.
    pub(super) fn new(session: Client<'b, 8, PLAYS>, pipe: Pipe, addresses: Addresses, now: Instant) -> Self {
        let turn = now + addresses.time;
        Self { session, pipe, addresses, turn, connected: false }
    }

    pub(super) fn into_parts(self) -> (Client<'b, 8, PLAYS>, Pipe) {
        (self.session, self.pipe)
    }

    /// When [`Self::step`] must be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let poll = self.pipe.poll_timeout().filter(|_| self.connected);
        self.next_turn().into_iter().chain(poll).min()
    }

    fn next_turn(&self) -> Option<Instant> {
        (!self.connected && !self.addresses.left.is_empty()).then_some(self.turn)
    }

    /// The first bytes of the answer.
    pub(super) fn answer(&self) -> &[u8] {
        let input = self.pipe.answer();
        &input[..input.len().min(ANSWER)]
    }

    /// Does what can be done now. Never waits.
    pub(super) fn step(&mut self, clock: Clock, waiter: &Waiter) -> Result<Stage, Failure> {
        if !self.connected {
            let failure = match self.pipe.is_connected() {
                Ok(true) => {
                    self.connected = true;
                    return Ok(Stage::Connected);
                }
                Ok(false) if self.next_turn().is_none_or(|deadline| clock.now() < deadline) => {
                    return Ok(Stage::Waiting);
                }
                Ok(false) => Failure::TimedOut,
                Err(error) => failure(&error),
            };
            self.pipe = self.addresses.dial(failure, waiter)?;
            self.turn = clock.now() + self.addresses.time;
            return Ok(Stage::Waiting);
        }
        self.handshake(clock).map_err(|error| match error {
            // For example, the answer is HTTP instead of S0.
            Broken::Session(SessionError::Handshake(HandshakeError::Version(_) | HandshakeError::Encrypted(_))) => {
                Failure::NotRtmp
            }
            Broken::Session(SessionError::TimedOut(_)) => Failure::HandshakeTimedOut,
            // A web server without tunnels, or a proxy that rejects them.
            Broken::Socket(error) if is_no_tunnel(&error) => Failure::NotRtmp,
            Broken::Session(_) | Broken::Socket(_) | Broken::Ended => Failure::Closed,
        })
    }

    fn handshake(&mut self, clock: Clock) -> Result<Stage, Broken> {
        loop {
            let now = clock.now();
            let Self { session, pipe, .. } = self;
            // Bytes that came before the connection broke are read first.
            let broken = match (pipe.receive(), pipe.send(|out| session.poll_transmit(now, out))) {
                (Ok(received), Ok(sent)) => Ok(received | sent),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            let mut input = pipe.input();
            let done = match session.next_event(now, &mut input)? {
                Some(ClientEvent::HandshakeDone(kind)) => Some(kind),
                _ => None,
            };
            let taken = pipe.input().len() - input.len();
            pipe.consume(taken);
            let moved = broken?;
            match done {
                Some(kind) => return Ok(Stage::Done(kind)),
                None if moved || taken > 0 => {}
                None if pipe.is_ended() => return Err(Broken::Ended),
                None => return Ok(Stage::Waiting),
            }
        }
    }
}

impl Addresses {
    pub(super) fn new(host: &str, addresses: &[IpAddr], target: Target, tcp_limit: Duration, clock: Clock) -> Self {
        let time = tcp_limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        Self { left: addresses.iter().copied().collect(), host: host.to_owned(), target, clock, time }
    }

    /// Dials the next address that can be dialled. Returns `why` if there is none.
    pub(super) fn dial(&mut self, mut why: Failure, waiter: &Waiter) -> Result<Pipe, Failure> {
        while let Some(address) = self.left.pop_front() {
            let address = SocketAddr::new(address, self.target.port);
            let connecting = match self.target.transport {
                Transport::Rtmp => mio::net::TcpStream::connect(address).map(Pipe::new),
                Transport::Rtmpt => Pipe::tunnel(address, &self.host, self.clock),
                _ => return Err(Failure::Unsupported),
            };
            let connecting = connecting.and_then(|mut pipe| waiter.add(&mut pipe).map(|()| pipe));
            match connecting {
                Ok(pipe) => return Ok(pipe),
                Err(error) => why = failure(&error),
            }
        }
        Err(why)
    }
}

/// Why a handshake failed.
enum Broken {
    Session(SessionError),
    Socket(io::Error),
    Ended,
}

impl From<SessionError> for Broken {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

/// Whether the answer is not a tunnel's, or not HTTP.
fn is_no_tunnel(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<tunnel::TunnelError>());
    error.is_some_and(|error| !matches!(error, tunnel::TunnelError::Interrupted | tunnel::TunnelError::TimedOut))
}

/// The failure of a TCP connection.
fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Failure::Refused,
        // An ICMP message "prohibited" is host unreachable with IPv4, and permission denied with IPv6.
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable | io::ErrorKind::PermissionDenied => {
            Failure::Unreachable
        }
        io::ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Local,
    }
}
