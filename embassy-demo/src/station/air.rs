//! What gets a stream on the air, and again when it was lost.
//!
//! ```text
//!                 time          an address         the host's            the server's yes
//!   ┌─► Resting ───────► Network ───────► Resolving ───────► Opening ──────────────────────► OnAir
//!   │                       │                 │                 │                              │ lost, or the source
//!   │ another try           ▼                 ▼                 ▼                              ▼ has ended
//!   └───────────────────────●─────────────────●─────────────────●◄───────────────────────── Closing ──► Over
//! ```

use core::future::Future;
use core::pin::pin;
use core::slice::from_mut;
use core::task::{Context, Poll, ready};

use embassy_net::{Ipv4Cidr, Stack};
use embassy_time::Duration;
use embedded_rtmp::connect::{Limits, Plan, Target};
use embedded_rtmp::message::Timestamp;
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;

use super::pressure::Pressure;
use super::retry::Outage;
use super::{Counters, Frame, StationOptions};
use crate::connection::Connection;
use crate::dial::Host;
use crate::error::Error;
use crate::fmt::info;
use crate::link::{clock, has_passed, later};
use crate::message::{Begun, Message};
use crate::open::{Course, RESOLVE_LIMIT};
use crate::resolve::{Lookup, ResolveError};

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
    /// The connection is being ended.
    Closing,
    /// All is over.
    Over,
}

/// The way to the air, and the connection.
pub(super) struct Air<'s, 'a> {
    pub(super) stack: Stack<'a>,
    pub(super) options: &'s StationOptions<'s>,
    pub(super) entropy: &'s mut dyn FnMut() -> [u8; 32],
    pub(super) counters: &'s mut Counters,
    pub(super) url: &'s Url<'a>,
    pub(super) targets: &'s [Target],
    pub(super) plan: Plan<'s>,
    pub(super) connection: &'s mut Connection<'a, 8>,
    pub(super) lookup: Lookup,
    pub(super) phase: Phase,
    /// When the phase's time is over.
    pub(super) until: Instant,
    /// How long the whole plan may take.
    pub(super) total: core::time::Duration,
    pub(super) outage: Option<Outage>,
    /// When the connection began, and with which address of ours.
    pub(super) began: Instant,
    pub(super) address: Option<Ipv4Cidr>,
    /// Why it was lost the last time, or why it is over.
    pub(super) why: Result<(), Error>,
    /// The header that is to be sent next.
    pub(super) header: Option<usize>,
    pub(super) begun: Option<Begun>,
    pub(super) pressure: Pressure,
    /// The timestamp of the last frame that was taken.
    pub(super) last: Timestamp,
}

/// Waits for an answer to what a lookup asks, and gives it to it; answers whether that was the last one.
pub(super) type Query<'q> = dyn FnMut(&mut Lookup, &mut Context<'_>) -> Poll<Result<bool, ResolveError>> + 'q;

impl Air<'_, '_> {
    /// Why it is over.
    pub(super) fn result(&self) -> Result<(), Error> {
        self.why
    }

    /// Whether frames are wanted: to be sent, or since those of a live source go by.
    pub(super) fn takes_frames(&self) -> bool {
        match self.phase {
            Phase::OnAir => true,
            Phase::Closing | Phase::Over => false,
            _ => self.outage.is_some() && self.options.patience.is_some(),
        }
    }

    /// The source has ended.
    pub(super) fn finish(&mut self) {
        if self.phase == Phase::OnAir {
            self.why = Ok(());
            self.connection.close();
            self.phase = Phase::Closing;
        } else {
            self.phase = Phase::Over;
        }
    }

    /// Does what there is to do beside frames, until the stream is on the air, which is true, or all is over.
    pub(super) fn poll(&mut self, query: &mut Query<'_>, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            match self.phase {
                Phase::Resting if !has_passed(self.until, cx) => return Poll::Pending,
                Phase::Resting => self.enter(Phase::Network, Duration::from_micros(self.total.as_micros() as u64)),
                Phase::Network if pin!(self.stack.wait_config_up()).poll(cx).is_ready() => {
                    self.lookup.restart();
                    self.enter(Phase::Resolving, RESOLVE_LIMIT);
                }
                Phase::Network if has_passed(self.until, cx) => self.lose(Error::NoNetwork),
                Phase::Network => return Poll::Pending,
                Phase::Resolving => match query(&mut self.lookup, cx) {
                    Poll::Ready(Ok(true)) => self.phase = Phase::Opening,
                    Poll::Ready(Ok(false)) => {}
                    Poll::Ready(Err(error)) => self.lose(Error::Resolve(error)),
                    Poll::Pending if has_passed(self.until, cx) => self.lose(Error::Resolve(ResolveError::NoAnswer)),
                    Poll::Pending => return Poll::Pending,
                },
                Phase::Opening => {
                    if ready!(self.poll_open(cx)) {
                        self.begin();
                        return Poll::Ready(true);
                    }
                    let why = self.connection.why();
                    self.connection.failed = None;
                    self.lose(why);
                }
                Phase::OnAir => {
                    if self.connection.advance().is_ok() {
                        self.connection.register(true, false, cx);
                        return Poll::Pending;
                    }
                    self.why = Err(self.connection.why());
                    self.connection.close();
                    self.phase = Phase::Closing;
                }
                Phase::Closing => {
                    ready!(self.connection.poll_closed(cx));
                    let closed = self.connection.failed.take().map_or(Ok(()), Err);
                    match self.why {
                        Ok(()) => (self.why, self.phase) = (closed, Phase::Over),
                        Err(why) => {
                            let (before, now) = (self.outage.take(), clock());
                            self.outage = Some(Outage::lost(before, self.began, now, &self.options.retry));
                            self.lose(why);
                        }
                    }
                }
                Phase::Over => return Poll::Ready(false),
            }
        }
    }

    #[inline(never)]
    fn enter(&mut self, phase: Phase, limit: Duration) {
        (self.phase, self.until) = (phase, later(clock(), limit));
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut course = Course {
            host: Host { name: self.url.host(), addresses: self.lookup.addresses() },
            plan: &mut self.plan,
            options: &self.options.publish,
            entropy: self.entropy,
            request: Some((self.url, Client::publish)),
        };
        course.poll_open(from_mut(self.connection), cx).map(|result| result.is_ok())
    }

    /// It is on the air.
    fn begin(&mut self) {
        (self.phase, self.header, self.begun) = (Phase::OnAir, Some(0), None);
        (self.began, self.address) = (clock(), self.address_now());
        self.counters.connections = self.counters.connections.wrapping_add(1);
        self.pressure.begin();
    }

    fn address_now(&self) -> Option<Ipv4Cidr> {
        self.stack.config_v4().map(|config| config.address)
    }

    /// There is no connection, or not any more: tries again later, where that may help, with the port first that was good.
    fn lose(&mut self, why: Error) {
        self.why = Err(why);
        self.phase = Phase::Over;
        let outage = self.outage.as_mut().filter(|_| may_pass(&why));
        let Some((wait, left)) = outage.and_then(|outage| outage.next(clock(), &self.options.retry)) else {
            return;
        };
        info!("off the air: {}; again in {} ms", why, wait.as_millis());
        self.total = self.options.limits.total.min(core::time::Duration::from_micros(left.as_micros()));
        // The list was good the first time.
        if let Ok(plan) = Plan::new(self.targets, Limits { total: self.total, ..self.options.limits }) {
            self.plan = plan;
        }
        let good = self.connection.attempt.id.and_then(|id| self.targets.get(id.index()));
        if let Some(target) = good {
            self.plan.prefer(*target);
        }
        self.enter(Phase::Resting, wait);
    }

    /// Takes note of a frame; answers whether it is to be sent.
    pub(super) fn admits(&mut self, frame: &Frame<'_>) -> bool {
        self.last = frame.timestamp;
        let tally = self.counters.tally(frame.kind);
        tally.taken = tally.taken.wrapping_add(1);
        let now = clock().as_millis() as u32;
        if self.phase != Phase::OnAir || !self.pressure.admits(frame.kind, frame.timestamp, &frame.start(), now) {
            return false;
        }
        let current = self.address_now();
        if current.is_some() && current != self.address {
            // Nothing that is sent to our old address arrives.
            self.connection.end(Error::Lost);
        }
        true
    }

    /// Sends a frame; what ends the connection ends this. One that `counts` is no header.
    pub(super) fn poll_send(&mut self, frame: &Frame<'_>, counts: bool, cx: &mut Context<'_>) -> Poll<()> {
        let Ok(message) = Message::new(frame.kind, self.last, &frame.parts) else { return Poll::Ready(()) };
        loop {
            if self.connection.advance().is_err() {
                return Poll::Ready(());
            }
            if !self.connection.takes_media() {
                self.connection.register(true, true, cx);
                return Poll::Pending;
            }
            match self.connection.put(&mut self.begun, &message, usize::MAX) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => {
                    self.connection.end(error.into());
                }
            }
        }
        if counts {
            let tally = self.counters.tally(frame.kind);
            tally.sent = tally.sent.wrapping_add(1);
            self.counters.bytes = self.counters.bytes.wrapping_add(frame.len() as u64);
        }
        Poll::Ready(())
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
