//! One attempt of a plan: an address, TCP, the RTMP handshake.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use embedded_rtmp::handshake::{HandshakeError, HandshakeKind};
use embedded_rtmp::port_plan::{Failure, Target, Transport};
use embedded_rtmp::session::{Client, ClientEvent, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::TunnelError;

use super::{Clock, Pipe, Waiter};

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
        self.pipe.answer()
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
        self.handshake(clock)
    }

    fn handshake(&mut self, clock: Clock) -> Result<Stage, Failure> {
        let Self { session, pipe, .. } = self;
        loop {
            let now = clock.now();
            let mut event = Ok(None);
            let received = pipe.receive(true, |input| {
                if let Ok(None) = event {
                    event = session.next_event(now, input).map(|event| match event {
                        Some(ClientEvent::HandshakeDone(kind)) => Some(kind),
                        _ => None,
                    });
                }
            });
            let sent = pipe.send(|out| session.poll_transmit(now, out));
            // Bytes that came before the connection broke come first.
            if let Some(kind) = event.map_err(session_failure)? {
                return Ok(Stage::Done(kind));
            }
            let has_moved = received.map_err(pipe_failure)? | sent.map_err(pipe_failure)?;
            if !has_moved {
                return if pipe.is_ended() { Err(Failure::Closed) } else { Ok(Stage::Waiting) };
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

/// The failure of a session in its handshake.
fn session_failure(error: SessionError) -> Failure {
    match error {
        // For example, the answer is HTTP instead of S0.
        SessionError::Handshake(HandshakeError::Version(_) | HandshakeError::Encrypted(_)) => Failure::NotRtmp,
        SessionError::TimedOut(_) => Failure::HandshakeTimedOut,
        _ => Failure::Closed,
    }
}

/// The failure of a connection in the handshake.
fn pipe_failure(error: io::Error) -> Failure {
    match error.downcast::<TunnelError>() {
        Err(_) | Ok(TunnelError::Interrupted | TunnelError::TimedOut) => Failure::Closed,
        // A web server without tunnels, or a proxy that rejects them.
        Ok(_) => Failure::NotRtmp,
    }
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
