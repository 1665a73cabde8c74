//! One attempt of a plan: an address, TCP, the RTMP handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::vec::IntoIter;

use embedded_rtmp::crypt::KeyPair;
use embedded_rtmp::handshake::{HandshakeError, HandshakeKind};
use embedded_rtmp::port_plan::{AttemptId, Failure, Plan, Target, Transport};
use embedded_rtmp::session::{Client, ClientEvent, SessionError};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::TunnelError;

use super::{Clock, Keys, Pipe, TlsClient, Waiter};

#[derive(Debug)]
pub(super) struct Attempt<const PLAYS: usize> {
    pub(super) session: Client<'static, 8, PLAYS, 1>,
    pub(super) pipe: Pipe,
    /// The server's kind of handshake, when that is complete.
    pub(super) handshake: HandshakeKind,
    /// The reason why TLS failed.
    pub(super) reason: Option<String>,
    target: Target,
    /// The key pair of a target with RTMPE, until the keys are agreed on.
    pair: Option<KeyPair>,
    /// The addresses that are left to dial. The next one is dialled when the previous one has refused, or after its share of
    /// the time.
    addresses: IntoIter<IpAddr>,
    /// When the next address is dialled, unless the connection is established before.
    turn: Instant,
    is_connected: bool,
}

/// The data that all attempts to reach a server share.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) host: String,
    /// The addresses of the host. It is empty if the name has none.
    pub(super) addresses: Vec<IpAddr>,
    /// The share of each address in the time limit of TCP.
    pub(super) share: Duration,
    pub(super) clock: Clock,
    pub(super) waiter: Waiter,
    /// `None` if no target is inside TLS.
    pub(super) tls: Option<TlsClient>,
}

impl<const PLAYS: usize> Attempt<PLAYS> {
    /// An attempt whose first address is dialled by `pipe`.
    pub(super) fn new(
        session: Client<'static, 8, PLAYS, 1>,
        pipe: Pipe,
        (target, pair): (Target, Option<KeyPair>),
        addresses: IntoIter<IpAddr>,
        turn: Instant,
    ) -> Self {
        Self {
            session,
            pipe,
            handshake: HandshakeKind::Simple,
            reason: None,
            target,
            pair,
            addresses,
            turn,
            is_connected: false,
        }
    }

    /// When [`Self::step`] must be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_connected { self.pipe.poll_timeout() } else { self.next_turn() }
    }

    fn next_turn(&self) -> Option<Instant> {
        (self.addresses.len() > 0).then_some(self.turn)
    }

    /// Does what can be done now, and reports it to the plan. Never waits. Returns whether there was anything to report.
    pub(super) fn step(&mut self, id: AttemptId, plan: &mut Plan<'_>, route: &Route) -> Result<bool, Failure> {
        if self.is_connected {
            return self.shake_hands(id, plan, route);
        }
        let now = route.clock.now();
        let failure = match self.pipe.is_connected() {
            Ok(true) => {
                self.is_connected = true;
                plan.report_tcp(id, now);
                return Ok(true);
            }
            Ok(false) if self.next_turn().is_none_or(|turn| now < turn) => return Ok(false),
            Ok(false) => Failure::TimedOut,
            Err(error) => failure(&error),
        };
        self.pipe = route.dial(&mut self.addresses, self.target, failure)?;
        self.turn = route.clock.now() + route.share;
        Ok(false)
    }

    fn shake_hands(&mut self, id: AttemptId, plan: &mut Plan<'_>, route: &Route) -> Result<bool, Failure> {
        let Self { session, pipe, pair, reason, .. } = self;
        let mut pipe_failure = |error| {
            let (why, text) = route.pipe_failure(error);
            *reason = text;
            why
        };
        loop {
            let now = route.clock.now();
            let mut event = Ok(None);
            let received = pipe.receive(true, |input| {
                if let Ok(None) = event {
                    event = session.next_event(now, input).map(|event| match event {
                        Some(ClientEvent::HandshakeDone(kind)) => Some(kind),
                        _ => None,
                    });
                }
            });
            if session.awaits_keys()
                && let Some(pair) = pair.take()
            {
                pipe.keys = Keys(session.agree(now, &pair));
            }
            let sent = pipe.send(|out| session.poll_transmit(now, out));
            // Bytes that were received before the connection broke are handled first.
            if let Some(kind) = event.map_err(session_failure)? {
                self.handshake = kind;
                plan.report_connected(id, route.clock.now());
                return Ok(true);
            }
            let has_moved = received.map_err(&mut pipe_failure)? | sent.map_err(&mut pipe_failure)?;
            if !has_moved {
                return if pipe.is_ended() { Err(Failure::Closed) } else { Ok(false) };
            }
        }
    }
}

impl Route {
    /// Dials the next of `addresses` that can be dialled. Returns `why` if there is none.
    pub(super) fn dial(
        &self,
        addresses: &mut IntoIter<IpAddr>,
        target: Target,
        mut why: Failure,
    ) -> Result<Pipe, Failure> {
        for address in addresses {
            let address = SocketAddr::new(address, target.port);
            let tls = self.tls.as_ref().filter(|_| target.transport.is_tls());
            let connecting = match target.transport {
                Transport::Rtmp | Transport::Rtmps | Transport::Rtmpe => Pipe::direct(address, tls),
                Transport::Rtmpt | Transport::Rtmpts | Transport::Rtmpte => {
                    Pipe::tunnel(address, &self.host, tls, self.clock)
                }
                _ => return Err(Failure::Unsupported),
            };
            match connecting.and_then(|mut pipe| self.waiter.add(&mut pipe).map(|()| pipe)) {
                Ok(pipe) => return Ok(pipe),
                Err(error) => why = failure(&error),
            }
        }
        Err(why)
    }

    /// Returns the failure of a connection in the handshake, and the reason from TLS if there is one.
    fn pipe_failure(&self, error: io::Error) -> (Failure, Option<String>) {
        let error = match error.downcast::<rustls::Error>() {
            Ok(error) => {
                let found = self.tls.as_ref().map(|tls| tls.failure(&error));
                return found.map_or((Failure::Tls, None), |(why, text)| (why, Some(text)));
            }
            Err(error) => error,
        };
        let why = match error.downcast::<TunnelError>() {
            Err(_) | Ok(TunnelError::Interrupted | TunnelError::TimedOut) => Failure::Closed,
            // A web server without tunnels, or a proxy that rejects them.
            Ok(_) => Failure::NotRtmp,
        };
        (why, None)
    }
}

/// The failure of a session in its handshake.
fn session_failure(error: SessionError) -> Failure {
    match error {
        // For example, the answer is HTTP instead of S0.
        SessionError::Handshake(
            HandshakeError::Version(_) | HandshakeError::Encrypted(_) | HandshakeError::Unencrypted(_),
        ) => Failure::NotRtmp,
        SessionError::TimedOut(_) => Failure::HandshakeTimedOut,
        _ => Failure::Closed,
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
