//! Carries out the port plan: dials, goes through the handshake, and keeps the attempt that was first.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};
use embedded_rtmp::handshake::HandshakeKind;
use embedded_rtmp::port_plan::{AttemptId, AttemptReport, Failure, Limits, Plan, PlanEvent, Target};
use embedded_rtmp::session::{Client, ClientConfig, SessionBuffers};

use super::attempt::{Addresses, Attempt, Stage};
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
    pub fn buffers(&mut self) -> SessionBuffers<'_> {
        SessionBuffers { scratch: &mut self.scratch, control: &mut self.control }
    }
}

/// An established connection: the handshake is complete, and nothing has been asked for.
#[derive(Debug)]
pub struct Dialled<'b, const PLAYS: usize = 0> {
    /// The session.
    pub session: Client<'b, 8, PLAYS>,
    /// Its socket.
    pub pipe: Pipe,
    /// What the server's handshake was.
    pub handshake: HandshakeKind,
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

/// Connects to `host` as the plan of `targets` says. Each attempt under way borrows one of `memories`, of which there must
/// be as many as there may be attempts at once.
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
    Dialler::<0>::new(host, targets, limits, config, memories, clock)?.dial()
}

/// A plan that is being carried out, by clients that can play `PLAYS` streams.
#[derive(Debug)]
pub struct Dialler<'p, 'b, const PLAYS: usize = 0> {
    plan: Plan<'p>,
    host: String,
    /// Those of the host; none where its name has none.
    addresses: Vec<IpAddr>,
    limits: Limits,
    config: ClientConfig,
    /// What no attempt uses.
    buffers: Vec<SessionBuffers<'b>>,
    attempts: BTreeMap<AttemptId, Attempt<'b, PLAYS>>,
    waiter: Waiter,
    clock: Clock,
    /// That of the last server whose handshake was complete.
    handshake: HandshakeKind,
    /// The beginning of what answered where it was not RTMP.
    answers: BTreeMap<AttemptId, Vec<u8>>,
}

impl<'p, 'b, const PLAYS: usize> Dialler<'p, 'b, PLAYS> {
    /// Looks the host's addresses up; nothing is dialled yet. The rest is as for [`dial`].
    ///
    /// # Errors
    /// The plan cannot be made, or the system fails.
    pub fn new(
        host: &str,
        targets: &'p [Target],
        limits: Limits,
        config: ClientConfig,
        memories: &'b mut [Memory],
        clock: Clock,
    ) -> Result<Self> {
        let plan = Plan::new(targets, limits)?;
        // A host without addresses is every attempt's failure.
        let addresses = (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        Ok(Self {
            plan,
            host: host.to_owned(),
            addresses: addresses.unwrap_or_default(),
            limits,
            config,
            buffers: memories.iter_mut().map(Memory::buffers).collect(),
            attempts: BTreeMap::new(),
            waiter: Waiter::new()?,
            clock,
            handshake: HandshakeKind::Simple,
            answers: BTreeMap::new(),
        })
    }

    /// Goes on until a handshake is complete.
    ///
    /// # Errors
    /// [`DialError`] where no target answered; others where the system fails.
    pub fn dial(&mut self) -> Result<Dialled<'b, PLAYS>> {
        loop {
            match self.plan.poll_event(self.clock.now()) {
                Some(PlanEvent::Dial { id, target, .. }) => match self.begin(target)? {
                    Ok(attempt) => drop(self.attempts.insert(id, attempt)),
                    Err(failure) => self.plan.report_failed(id, self.clock.now(), failure),
                },
                Some(PlanEvent::Abandon(id)) => self.end(id),
                None => {
                    if !self.step() {
                        let attempts = self.attempts.values().filter_map(Attempt::deadline);
                        let next = attempts.chain(self.plan.poll_timeout()).min();
                        self.waiter.wait(next.map_or(Duration::ZERO, |next| self.clock.until(next)))?;
                    }
                }
                Some(PlanEvent::Connected(id)) => {
                    let (session, mut pipe) = self.attempts.remove(&id).context("the winner is gone")?.into_parts();
                    self.waiter.remove(&mut pipe)?;
                    return Ok(Dialled { session, pipe, handshake: self.handshake, reports: self.reports() });
                }
                Some(PlanEvent::Exhausted) => return Err(DialError { reports: self.reports() }.into()),
            }
        }
    }

    /// The winner's session came to nothing, since nothing came back behind the handshake: the next [`Self::dial`] goes on
    /// with the other targets. Its connection must be closed.
    pub fn cut_off(&mut self, session: Client<'b, 8, PLAYS>) {
        self.buffers.push(session.into_buffers());
        self.plan.report_cut_off(self.clock.now());
    }

    /// What is known of each target.
    pub fn reports(&self) -> Vec<AttemptReport> {
        self.plan.reports().collect()
    }

    /// What answered an attempt, where that was not RTMP: the beginning of it.
    pub fn answer(&self, id: AttemptId) -> Option<&[u8]> {
        self.answers.get(&id).map(Vec::as_slice)
    }

    /// Begins an attempt, if that is possible.
    fn begin(&mut self, target: Target) -> Result<Result<Attempt<'b, PLAYS>, Failure>> {
        let mut addresses = Addresses::new(&self.host, &self.addresses, target, self.limits.tcp, self.clock);
        let pipe = match addresses.dial(Failure::Dns, &self.waiter) {
            Ok(pipe) => pipe,
            Err(failure) => return Ok(Err(failure)),
        };
        let buffers = self.buffers.pop().context("too little memory for the plan")?;
        let session = Client::new(buffers, self.config, &super::entropy()?)?;
        Ok(Ok(Attempt::new(session, pipe, addresses, self.clock.now())))
    }

    fn end(&mut self, id: AttemptId) {
        if let Some(attempt) = self.attempts.remove(&id) {
            let (session, pipe) = attempt.into_parts();
            drop(pipe);
            self.buffers.push(session.into_buffers());
        }
    }

    /// Lets each attempt go on as far as it can, and reports; answers whether there is anything new.
    fn step(&mut self) -> bool {
        let ids: Vec<_> = self.attempts.keys().copied().collect();
        let mut progress = false;
        for id in ids {
            let Some(attempt) = self.attempts.get_mut(&id) else { continue };
            let stage = attempt.step(self.clock, &self.waiter);
            let now = self.clock.now();
            progress |= !matches!(stage, Ok(Stage::Waiting));
            match stage {
                Ok(Stage::Waiting) => {}
                Ok(Stage::Connected) => self.plan.report_tcp(id, now),
                Ok(Stage::Done(kind)) => {
                    self.handshake = kind;
                    self.plan.report_connected(id, now);
                }
                Err(failure) => {
                    if failure == Failure::NotRtmp {
                        self.answers.insert(id, attempt.answer().to_vec());
                    }
                    self.end(id);
                    self.plan.report_failed(id, now, failure);
                }
            }
        }
        progress
    }
}
