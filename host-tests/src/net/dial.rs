//! Carries out the port plan: dials, goes through the handshake, and keeps the attempt that was first.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};
use embedded_rtmp::connect::{AttemptId, AttemptReport, Failure, Limits, Plan, Step, Target, Transport};
use embedded_rtmp::handshake::{Error as HandshakeError, Kind};
use embedded_rtmp::session::{Buffers, Client, ClientConfig, ClientEvent, Error as SessionError};

use super::{Clock, Pipe, Waiter};

/// What a session is lent.
#[derive(Debug)]
pub struct Memory {
    scratch: Box<[u8]>,
    control: Box<[u8]>,
}

impl Memory {
    /// Enough for every URL that is parsed.
    #[expect(clippy::new_without_default, reason = "it allocates")]
    pub fn new() -> Self {
        Self { scratch: vec![0; 4096].into_boxed_slice(), control: vec![0; 8192].into_boxed_slice() }
    }

    /// The memory, lent.
    pub fn buffers(&mut self) -> Buffers<'_> {
        Buffers { scratch: &mut self.scratch, control: &mut self.control }
    }
}

/// An established connection: the handshake is complete, and nothing has been asked for.
#[derive(Debug)]
pub struct Dialled<'b> {
    /// The session.
    pub session: Client<'b>,
    /// Its socket.
    pub pipe: Pipe,
    /// What the server's handshake was.
    pub handshake: Kind,
    /// What came of each target.
    pub reports: Vec<AttemptReport>,
}

/// No target led to a handshake.
#[derive(Debug)]
pub struct DialError {
    /// What came of each target.
    pub reports: Vec<AttemptReport>,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")?;
        for report in &self.reports {
            write!(f, "; failed on {}: {}", report.target, report.outcome)?;
        }
        Ok(())
    }
}

impl std::error::Error for DialError {}

/// Connects to `host` as the plan of `targets` says. Each attempt borrows one of `memories`, of which there must be as
/// many as there are targets.
///
/// # Errors
/// [`DialError`] where no target answered; others where the plan cannot be made, or the system fails.
pub fn dial<'b>(
    host: &str,
    targets: &[Target],
    limits: Limits,
    config: ClientConfig,
    memories: &'b mut [Memory],
    clock: Clock,
) -> Result<Dialled<'b>> {
    let mut plan = Plan::new(targets, limits)?;
    let mut memories = memories.iter_mut();
    let mut under_way = UnderWay { attempts: BTreeMap::new(), waiter: Waiter::new()?, clock, handshake: Kind::Simple };
    loop {
        match plan.poll(clock.now()) {
            Step::Dial { id, target, .. } if target.transport != Transport::Rtmp => {
                plan.report_failed(id, clock.now(), Failure::Unsupported);
            }
            Step::Dial { id, target, .. } => {
                let memory = memories.next().context("too little memory for the plan")?;
                let session = Client::new(memory.buffers(), config, &super::entropy()?)?;
                match Attempt::begin(session, host, target, &under_way.waiter) {
                    Ok(attempt) => drop(under_way.attempts.insert(id, attempt)),
                    Err(failure) => plan.report_failed(id, clock.now(), failure),
                }
            }
            Step::Abandon(id) => drop(under_way.attempts.remove(&id)),
            Step::Await { deadline } => {
                if !under_way.step(&mut plan) {
                    under_way.waiter.wait(clock.until(deadline))?;
                }
            }
            Step::Connected(id) => {
                let Attempt { session, mut pipe, .. } = under_way.attempts.remove(&id).context("the winner is gone")?;
                under_way.waiter.remove(&mut pipe)?;
                let reports = plan.reports().collect();
                return Ok(Dialled { session, pipe, handshake: under_way.handshake, reports });
            }
            Step::Exhausted => return Err(DialError { reports: plan.reports().collect() }.into()),
        }
    }
}

/// The attempts that are neither won nor lost yet.
struct UnderWay<'b> {
    attempts: BTreeMap<AttemptId, Attempt<'b>>,
    waiter: Waiter,
    clock: Clock,
    /// That of the last server whose handshake was complete.
    handshake: Kind,
}

impl UnderWay<'_> {
    /// Lets each attempt go on as far as it can, and reports; answers whether there is anything new.
    fn step(&mut self, plan: &mut Plan<'_>) -> bool {
        let ids: Vec<_> = self.attempts.keys().copied().collect();
        let mut progress = false;
        for id in ids {
            let Some(attempt) = self.attempts.get_mut(&id) else { continue };
            let stage = attempt.step(self.clock, &self.waiter);
            let now = self.clock.now();
            progress |= !matches!(stage, Ok(Stage::Waiting));
            match stage {
                Ok(Stage::Waiting) => {}
                Ok(Stage::Connected) => plan.report_tcp(id, now),
                Ok(Stage::Done(kind)) => {
                    self.handshake = kind;
                    plan.report_connected(id, now);
                }
                Err(failure) => {
                    self.attempts.remove(&id);
                    plan.report_failed(id, now, failure);
                }
            }
        }
        progress
    }
}

/// One attempt.
struct Attempt<'b> {
    session: Client<'b>,
    pipe: Pipe,
    /// The addresses that are left to try on its port.
    addresses: std::vec::IntoIter<SocketAddr>,
    connected: bool,
}

/// What is new in an attempt.
enum Stage {
    Waiting,
    /// The TCP connection is there.
    Connected,
    /// The handshake is complete.
    Done(Kind),
}

impl<'b> Attempt<'b> {
    fn begin(session: Client<'b>, host: &str, target: Target, waiter: &Waiter) -> Result<Self, Failure> {
        let addresses = (host, target.port).to_socket_addrs().map_err(|_| Failure::Dns)?;
        let mut addresses = addresses.collect::<Vec<_>>().into_iter();
        let pipe = next_pipe(&mut addresses, waiter).unwrap_or(Err(Failure::Dns))?;
        Ok(Self { session, pipe, addresses, connected: false })
    }

    fn step(&mut self, clock: Clock, waiter: &Waiter) -> Result<Stage, Failure> {
        if !self.connected {
            return match self.pipe.is_connected() {
                Ok(connected) => {
                    self.connected = connected;
                    Ok(if connected { Stage::Connected } else { Stage::Waiting })
                }
                Err(error) => {
                    let next = next_pipe(&mut self.addresses, waiter);
                    self.pipe = next.unwrap_or(Err(failure(&error)))?;
                    Ok(Stage::Waiting)
                }
            };
        }
        self.handshake(clock).map_err(|error| match error {
            // What answers HTTP in place of S0, say.
            Broken::Session(SessionError::Handshake(HandshakeError::Version(_) | HandshakeError::Encrypted(_))) => {
                Failure::NotRtmp
            }
            Broken::Session(SessionError::TimedOut(_)) => Failure::HandshakeTimedOut,
            Broken::Session(_) | Broken::Socket(_) | Broken::Ended => Failure::Closed,
        })
    }

    fn handshake(&mut self, clock: Clock) -> Result<Stage, Broken> {
        loop {
            let now = clock.now();
            let Self { session, pipe, .. } = self;
            let moved = pipe.receive()? | pipe.send(|out| session.poll_transmit(now, out))?;
            let mut input = pipe.input();
            let done = match session.next_event(now, &mut input)? {
                Some(ClientEvent::HandshakeDone(kind)) => Some(kind),
                _ => None,
            };
            let taken = pipe.input().len() - input.len();
            pipe.consume(taken);
            match done {
                Some(kind) => return Ok(Stage::Done(kind)),
                None if moved || taken > 0 => {}
                None if pipe.is_ended() => return Err(Broken::Ended),
                None => return Ok(Stage::Waiting),
            }
        }
    }
}

/// Why a handshake did not come to its end.
enum Broken {
    Session(SessionError),
    Socket(#[expect(dead_code, reason = "all are the same here")] io::Error),
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

/// Begins to connect to the next address; `None` where there is none.
fn next_pipe(addresses: &mut std::vec::IntoIter<SocketAddr>, waiter: &Waiter) -> Option<Result<Pipe, Failure>> {
    let address = addresses.next()?;
    let connecting = mio::net::TcpStream::connect(address).and_then(|stream| {
        let mut pipe = Pipe::new(stream);
        waiter.add(&mut pipe).map(|()| pipe)
    });
    Some(connecting.map_err(|error| failure(&error)))
}

/// Why no TCP connection could be made.
fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Failure::Unreachable,
        io::ErrorKind::TimedOut => Failure::TimedOut,
        _ => Failure::Local,
    }
}
