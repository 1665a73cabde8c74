//! Carries out the port plan: dials, does the handshakes, and returns the first attempt that is complete.

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

/// The memory of a session.
#[derive(Debug)]
pub struct Memory {
    scratch: Box<[u8]>,
    control: Box<[u8]>,
}

impl Memory {
    /// Memory that is enough for every URL that can be parsed.
    #[expect(clippy::new_without_default, reason = "it allocates")]
    pub fn new() -> Self {
        Self { scratch: vec![0; 4096].into_boxed_slice(), control: vec![0; 8192].into_boxed_slice() }
    }

    /// Lends the memory.
    pub fn buffers(&mut self) -> SessionBuffers<'_> {
        SessionBuffers { scratch: &mut self.scratch, control: &mut self.control }
    }
}

/// A connection whose handshake is complete. Nothing was requested yet.
#[derive(Debug)]
pub struct Dialled<'b, const PLAYS: usize = 0> {
    /// The session.
    pub session: Client<'b, 8, PLAYS>,
    /// Its connection.
    pub pipe: Pipe,
    /// The server's kind of handshake.
    pub handshake: HandshakeKind,
}

/// No attempt led to a handshake.
#[derive(Debug)]
pub struct DialError {
    /// The result of each target.
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

/// A port plan that is carried out by clients that can play `PLAYS` streams.
#[derive(Debug)]
pub struct Dialler<'p, 'b, const PLAYS: usize = 0> {
    plan: Plan<'p>,
    host: String,
    /// The addresses of the host. It is empty if the name has none.
    addresses: Vec<IpAddr>,
    limits: Limits,
    config: ClientConfig,
    /// Memory that no attempt uses.
    buffers: Vec<SessionBuffers<'b>>,
    attempts: BTreeMap<AttemptId, Attempt<'b, PLAYS>>,
    waiter: Waiter,
    clock: Clock,
    /// The kind of the last handshake that was complete.
    handshake: HandshakeKind,
    /// The first bytes of answers that are not RTMP.
    answers: BTreeMap<AttemptId, Vec<u8>>,
}

impl<'p, 'b, const PLAYS: usize> Dialler<'p, 'b, PLAYS> {
    /// Looks up the addresses of `host`. Each attempt borrows one of `memories`, so there must be as many as attempts at the
    /// same time.
    ///
    /// # Errors
    /// The plan cannot work, or the system fails.
    pub fn new(
        host: &str,
        targets: &'p [Target],
        limits: Limits,
        config: ClientConfig,
        memories: &'b mut [Memory],
        clock: Clock,
    ) -> Result<Self> {
        let plan = Plan::new(targets, limits)?;
        // If the host has no address, each attempt fails.
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

    /// Dials until a handshake is complete.
    ///
    /// # Errors
    /// [`DialError`] if all targets fail. Other errors are those of the system.
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
                    return Ok(Dialled { session, pipe, handshake: self.handshake });
                }
                Some(PlanEvent::Exhausted) => return Err(DialError { reports: self.reports() }.into()),
            }
        }
    }

    /// Takes back the session of a connection on which nothing came after the handshake. The next [`Self::dial`] goes on with
    /// the other targets. The caller must have closed the connection.
    pub fn cut_off(&mut self, session: Client<'b, 8, PLAYS>) {
        self.buffers.push(session.into_buffers());
        self.plan.report_cut_off(self.clock.now());
    }

    /// The results of the targets so far.
    pub fn reports(&self) -> Vec<AttemptReport> {
        self.plan.reports().collect()
    }

    /// The first bytes of the answer to an attempt, if it was not RTMP.
    pub fn answer(&self, id: AttemptId) -> Option<&[u8]> {
        self.answers.get(&id).map(Vec::as_slice)
    }

    /// Begins an attempt.
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

    /// Lets each attempt do what it can, and reports to the plan. Returns whether there was anything to report.
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
