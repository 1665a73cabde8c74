//! Carries out the port plan: dials, does the handshakes, and returns the first attempt that is complete.

use std::collections::BTreeMap;
use std::fmt;
use std::net::ToSocketAddrs;
use std::time::Duration;

use anyhow::{Context, Result};
use embedded_rtmp::crypt::KeyPair;
use embedded_rtmp::handshake::HandshakeKind;
use embedded_rtmp::port_plan::{AttemptId, AttemptReport, Failure, Limits, Plan, PlanEvent, Target};
use embedded_rtmp::session::{Client, ClientConfig, SessionBuffers};

use super::attempt::{Attempt, Route};
use super::{Clock, Pipe, TlsArguments, TlsClient, Waiter, entropy, session_buffers};

/// A connection whose handshake is complete. No request was sent yet.
#[derive(Debug)]
pub struct Dialled<const PLAYS: usize = 0> {
    /// The session.
    pub session: Client<'static, 8, PLAYS, 1>,
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
    /// For each attempt, the reason why TLS failed or the server's certificate was refused.
    pub reasons: BTreeMap<AttemptId, String>,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection")?;
        for report in &self.reports {
            write!(f, "; failed on {}: {}", report.target, report.outcome)?;
            if let Some(reason) = self.reasons.get(&report.id) {
                write!(f, ": {reason}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for DialError {}

/// A port plan that is carried out by clients that can play `PLAYS` streams.
#[derive(Debug)]
pub struct Dialler<'p, const PLAYS: usize = 0> {
    plan: Plan<'p>,
    route: Route,
    config: ClientConfig,
    /// Memory that no attempt uses.
    spare: Vec<SessionBuffers<'static>>,
    attempts: BTreeMap<AttemptId, Attempt<PLAYS>>,
    /// The first bytes of answers that are not RTMP.
    answers: BTreeMap<AttemptId, Vec<u8>>,
    /// Why TLS failed.
    reasons: BTreeMap<AttemptId, String>,
}

impl<'p, const PLAYS: usize> Dialler<'p, PLAYS> {
    /// Looks up the addresses of `host`. `tls` determines which servers are trusted, on every target inside TLS.
    ///
    /// # Errors
    /// The plan is not valid, no authority is available to verify a server, or the system reports an error.
    pub fn new(
        host: &str,
        targets: &'p [Target],
        limits: Limits,
        config: ClientConfig,
        tls: &TlsArguments,
        clock: Clock,
    ) -> Result<Self> {
        let plan = Plan::new(targets, limits)?;
        let has_tls = targets.iter().any(|target| target.transport.is_tls());
        let tls = has_tls.then(|| TlsClient::new(tls, host)).transpose()?;
        // If the host has no address, each attempt fails.
        let addresses = (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect());
        let addresses: Vec<_> = addresses.unwrap_or_default();
        let share = limits.tcp / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let route = Route { host: host.to_owned(), addresses, share, clock, waiter: Waiter::new()?, tls };
        let (spare, attempts) = (Vec::new(), BTreeMap::new());
        let (answers, reasons) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { plan, route, config, spare, attempts, answers, reasons })
    }

    /// Dials until a handshake is complete.
    ///
    /// # Errors
    /// [`DialError`] if all targets fail. Other errors are those of the system.
    pub fn dial(&mut self) -> Result<Dialled<PLAYS>> {
        loop {
            match self.plan.poll_event(self.route.clock.now()) {
                Some(PlanEvent::Dial { id, target, .. }) => self.begin(id, target)?,
                Some(PlanEvent::Abandon(id)) => self.end(id),
                None => {
                    if !self.step() {
                        let attempts = self.attempts.values().filter_map(Attempt::deadline);
                        let next = attempts.chain(self.plan.poll_timeout()).min();
                        self.route.waiter.wait(next.map_or(Duration::ZERO, |next| self.route.clock.until(next)))?;
                    }
                }
                Some(PlanEvent::Connected(id)) => {
                    let winner = self.attempts.remove(&id).context("the winner is gone")?;
                    let Attempt { session, mut pipe, handshake, .. } = winner;
                    self.route.waiter.remove(&mut pipe)?;
                    return Ok(Dialled { session, pipe, handshake });
                }
                Some(PlanEvent::Exhausted) => {
                    return Err(DialError { reports: self.reports(), reasons: self.reasons.clone() }.into());
                }
            }
        }
    }

    /// Takes back the session of a connection on which nothing came after the handshake. The next [`Self::dial`] goes on with
    /// the other targets. The caller must have closed the connection.
    pub fn cut_off(&mut self, session: Client<'static, 8, PLAYS, 1>) {
        self.spare.push(session.into_buffers());
        self.plan.report_cut_off(self.route.clock.now());
    }

    /// The results of the targets so far.
    pub fn reports(&self) -> Vec<AttemptReport> {
        self.plan.reports().collect()
    }

    /// The first bytes of the answer to an attempt, if it was not RTMP.
    pub fn answer(&self, id: AttemptId) -> Option<&[u8]> {
        self.answers.get(&id).map(Vec::as_slice)
    }

    /// Returns, for each attempt, the reason why TLS failed or the server's certificate was refused.
    pub fn reasons(&self) -> &BTreeMap<AttemptId, String> {
        &self.reasons
    }

    fn begin(&mut self, id: AttemptId, target: Target) -> Result<()> {
        // The keys are made before the connection.
        let pair = target.transport.is_rtmpe().then(|| entropy().map(|entropy| KeyPair::new(&entropy))).transpose()?;
        let mut addresses = self.route.addresses.clone().into_iter();
        match self.route.dial(&mut addresses, target, Failure::Dns) {
            Ok(pipe) => {
                let buffers = self.spare.pop().unwrap_or_else(session_buffers);
                let mut session = Client::new(buffers, self.config, &entropy()?)?;
                pair.iter().try_for_each(|pair| session.encrypt(pair))?;
                let turn = self.route.clock.now() + self.route.share;
                self.attempts.insert(id, Attempt::new(session, pipe, (target, pair), addresses, turn));
            }
            Err(failure) => self.plan.report_failed(id, self.route.clock.now(), failure),
        }
        Ok(())
    }

    fn end(&mut self, id: AttemptId) {
        self.spare.extend(self.attempts.remove(&id).map(|attempt| attempt.session.into_buffers()));
    }

    /// Lets each attempt do what it can. Returns whether any of them reported to the plan.
    fn step(&mut self) -> bool {
        let ids: Vec<_> = self.attempts.keys().copied().collect();
        let mut has_moved = false;
        for id in ids {
            let Some(attempt) = self.attempts.get_mut(&id) else { continue };
            let stepped = attempt.step(id, &mut self.plan, &self.route);
            has_moved |= !matches!(stepped, Ok(false));
            if let Err(failure) = stepped {
                if failure == Failure::NotRtmp {
                    self.answers.insert(id, attempt.pipe.answer().to_vec());
                }
                self.reasons.extend(attempt.reason.take().map(|reason| (id, reason)));
                self.end(id);
                match failure {
                    Failure::Certificate => self.plan.report_untrusted(id, self.route.clock.now()),
                    failure => self.plan.report_failed(id, self.route.clock.now(), failure),
                }
            }
        }
        has_moved
    }
}
