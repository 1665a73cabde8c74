//! What gets a stream on the air, and again when it was lost.
//!
//! ```text
//!                 time          an address         the host's            the server's yes
//!   ┌─► Resting ───────► Network ───────► Resolving ───────► Opening ──────────────────────► OnAir
//!   │                       │                 │                 │                      lost │  │ the source has ended
//!   │ another try           ▼                 ▼                 ▼                           ▼  ▼
//!   └───────────────────────●─────────────────●─────────────────●◄───────────────────── Closing  Finishing ──► Over
//! ```

use core::future::Future;
use core::pin::pin;
use core::slice::from_mut;
use core::task::{Context, Poll, ready};

use embassy_net::Stack;
use embassy_time::Duration;
use embedded_rtmp::message::Timestamp;
use embedded_rtmp::port_plan::{AttemptId, Limits, Plan, Target};
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

use super::pressure::Pressure;
use super::retry::Outage;
use super::{Counters, StationOptions};
use crate::client::connection::Connection;
use crate::client::dial::Host;
use crate::client::message::Begun;
use crate::client::open::Dialing;
use crate::client::resolve::{Lookup, RESOLVE_LIMIT, ResolveError};
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::fmt::info;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits before it connects.
    Resting,
    /// The network stack is to get an address.
    Network,
    /// The host's addresses are looked up.
    Resolving,
    /// The port plan is carried out.
    Opening,
    /// The server takes frames.
    OnAir,
    /// What is left of a connection that was lost is being ended.
    Closing,
    /// The source has ended, and the stream is being ended.
    Finishing,
    /// All is over.
    Over,
}

/// What lasts as long as the station.
pub(super) struct Gear<'a> {
    pub(super) stack: Stack<'a>,
    pub(super) entropy: &'a mut dyn FnMut() -> [u8; 32],
    pub(super) options: &'a StationOptions<'a>,
    pub(super) counters: Counters,
}

/// The way to the air, and the connection.
pub(super) struct Air<'s, 'g, 'a> {
    pub(super) gear: &'s mut Gear<'g>,
    url: &'s Url<'a>,
    targets: &'s [Target],
    pub(super) connection: &'s mut Connection<'a, 8>,
    plan: Option<Plan<'s>>,
    lookup: Lookup,
    pub(super) phase: Phase,
    /// When the phase's time is over.
    until: Instant,
    outage: Option<Outage>,
    /// The attempt that led to a server the last time.
    good: Option<AttemptId>,
    /// When the connection began.
    began: Instant,
    /// Why it was lost the last time, or why it is over.
    why: Option<Error>,
    /// The header that is to be sent next.
    pub(super) header: Option<usize>,
    pub(super) begun: Option<Begun>,
    pub(super) pressure: Pressure,
    /// The timestamp of the last frame that was taken.
    pub(super) last: Timestamp,
}

/// Waits for an answer to what a lookup asks, and gives it to it; answers whether that was the last one.
pub(super) type Query<'q> = dyn FnMut(&mut Lookup, &mut Context<'_>) -> Poll<Result<bool, ResolveError>> + 'q;

impl<'s, 'g, 'a> Air<'s, 'g, 'a> {
    pub(super) fn new(
        gear: &'s mut Gear<'g>,
        url: &'s Url<'a>,
        targets: &'s [Target],
        lookup: Lookup,
        connection: &'s mut Connection<'a, 8>,
    ) -> Self {
        Self {
            url,
            targets,
            connection,
            plan: None,
            lookup,
            phase: Phase::Resting,
            until: Instant::from_micros(0),
            outage: None,
            good: None,
            began: Instant::from_micros(0),
            why: None,
            header: None,
            begun: None,
            pressure: Pressure::new(gear.options.drop_limits),
            last: Timestamp(0),
            gear,
        }
    }

    /// Why it is over.
    pub(super) fn result(&self) -> Result<(), Error> {
        self.why.map_or(Ok(()), Err)
    }

    /// Whether frames are wanted: to be sent, or since those of a live source go by.
    pub(super) fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::OnAir => true,
            Phase::Closing | Phase::Finishing | Phase::Over => false,
            _ => self.outage.is_some() && self.gear.options.drop_limits.is_some(),
        }
    }

    /// The source has ended.
    pub(super) fn finish(&mut self) {
        if self.phase == Phase::OnAir {
            self.connection.close();
            self.phase = Phase::Finishing;
        } else {
            self.phase = Phase::Over;
        }
    }

    /// Does what there is to do beside frames, until the stream is on the air, which is true, or all is over.
    pub(super) fn poll(&mut self, query: &mut Query<'_>, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.phase {
                Phase::Resting if !has_passed(self.until, cx) => return Poll::Pending,
                Phase::Resting => self.set_out(),
                Phase::Network if pin!(self.gear.stack.wait_config_up()).poll(cx).is_ready() => {
                    self.lookup.restart();
                    self.enter(Phase::Resolving, RESOLVE_LIMIT);
                }
                Phase::Network if has_passed(self.until, cx) => self.lose(Error::NoNetwork),
                Phase::Network => return Poll::Pending,
                Phase::Resolving => match query(&mut self.lookup, cx) {
                    Poll::Ready(Ok(true)) => self.enter(Phase::Opening, Duration::MAX),
                    Poll::Ready(Ok(false)) => {}
                    Poll::Ready(Err(error)) => self.lose(Error::Resolve(error)),
                    Poll::Pending if !has_passed(self.until, cx) => return Poll::Pending,
                    // There may be some of the family that was asked for first.
                    Poll::Pending if cfg!(feature = "ipv6") && !self.lookup.addresses().is_empty() => {
                        self.enter(Phase::Opening, Duration::MAX);
                    }
                    Poll::Pending => self.lose(Error::Resolve(ResolveError::NoAnswer)),
                },
                Phase::Opening => match self.poll_open(cx) {
                    Poll::Ready(true) => {
                        self.begin();
                        return Poll::Ready(true);
                    }
                    Poll::Ready(false) => self.lose(Error::Exhausted),
                    Poll::Pending if has_passed(self.until, cx) && self.connection.failed.is_none() => {
                        self.connection.end(Error::Exhausted);
                        self.connection.reset();
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Phase::OnAir if self.connection.advance(cx).is_ok() => return Poll::Pending,
                Phase::OnAir => {
                    self.connection.close();
                    self.phase = Phase::Closing;
                }
                Phase::Closing => {
                    ready!(self.connection.poll_closed(cx));
                    let retry = &self.gear.options.retry;
                    self.outage = Some(Outage::lost(self.outage, self.began, clock(), retry));
                    self.lose(Error::Lost);
                }
                Phase::Finishing => {
                    ready!(self.connection.poll_closed(cx));
                    (self.why, self.phase) = (self.connection.failed, Phase::Over);
                }
                Phase::Over => return Poll::Ready(false),
            }
        }
    }

    /// The next phase, which takes so long at most, and no longer than the outage may.
    #[inline(never)]
    fn enter(&mut self, phase: Phase, limit: Duration) {
        (self.phase, self.until) = (phase, later(clock(), limit));
        if let Some(outage) = &self.outage {
            self.until = self.until.min(outage.ends);
        }
    }

    /// Begins with a plan, the port first that was good before.
    fn set_out(&mut self) {
        // There is one socket: what the plan began beside it would fail.
        let limits = Limits { max_at_once: 1, ..self.gear.options.limits };
        match Plan::new(self.targets, limits) {
            Ok(plan) => {
                let plan = self.plan.insert(plan);
                if let Some(target) = self.good.and_then(|id| self.targets.get(id.index())) {
                    plan.prefer(*target);
                }
                self.enter(Phase::Network, Duration::from_micros(limits.total.min(Limits::LONGEST).as_micros() as u64));
            }
            Err(error) => self.lose(Error::Plan(error)),
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(plan) = &mut self.plan else { return Poll::Ready(false) };
        let mut course = Dialing {
            host: Host { name: self.url.host(), addresses: self.lookup.addresses() },
            plan,
            options: &self.gear.options.client,
            entropy: self.gear.entropy,
            request: Some((self.url, Client::publish)),
        };
        course.poll_open(from_mut(self.connection), cx).map(|result| result.is_ok())
    }

    /// It is on the air.
    fn begin(&mut self) {
        (self.phase, self.header, self.begun) = (Phase::OnAir, Some(0), None);
        (self.began, self.good) = (clock(), self.connection.attempt.id);
        self.gear.counters.connections = self.gear.counters.connections.wrapping_add(1);
        self.pressure.begin();
    }

    /// There is no connection, or not any more, for `why` if the connection knows nothing better: tries again later,
    /// where that may help.
    #[inline(never)]
    fn lose(&mut self, why: Error) {
        self.connection.end(why);
        self.why = self.connection.failed.take();
        self.phase = Phase::Over;
        let Some(why) = self.why.as_ref().filter(|why| may_pass(why)) else { return };
        let Some(outage) = &mut self.outage else { return };
        let Some(wait) = outage.next(clock(), &self.gear.options.retry) else { return };
        info!("off the air: {}; again in {} ms", why, wait.as_millis());
        self.enter(Phase::Resting, wait);
    }
}

/// Whether trying again may help.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Lost | Error::Closed | Error::Session(_) | Error::Refused(_) => true,
        Error::Exhausted | Error::Resolve(_) | Error::NoNetwork => true,
        Error::Url(_) | Error::Plan(_) | Error::NoStreamKey | Error::Config(_) => false,
        Error::Request(_) | Error::Unfinished | Error::TooSlow => false,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(_) => true,
    }
}
