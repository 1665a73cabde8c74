//! The state machine of the port plan. The parent module has its diagram.

use super::limits::{duration, micros};
use super::{AttemptId, AttemptReport, Failure, Limits, Outcome, PlanError, PlanEvent, Target};
use crate::bytes::low_u8;
use crate::time::Instant;

/// The most targets that one plan can have.
pub const MAX_TARGETS: usize = 8;

/// A time that never comes. The plan's times are microseconds from its start, and smaller than this.
const NEVER: u32 = u32::MAX;

/// A plan is small enough to be stored with each session: at most 192 bytes on every target.
const _: () = assert!(size_of::<Plan<'_>>() <= 192);

/// Decides which ports to try, and when. See the [module documentation](super).
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    targets: &'a [Target],
    /// The time of the first [`Plan::poll_event`].
    start: Instant,
    attempts: [Attempt; MAX_TARGETS],
    attempt_limit: u32,
    tcp_limit: u32,
    handshake_limit: u32,
    total: u32,
    /// [`NEVER`]: only the end of an attempt starts the next one.
    stagger: u32,
    max_at_once: u8,
    /// One bit for each attempt that has ended and whose [`PlanEvent::Abandon`] is due.
    to_abandon: u8,
    /// The attempt that was dialled last.
    last: Option<AttemptId>,
    winner: Option<AttemptId>,
    /// The target that is tried before all others.
    preferred: AttemptId,
    /// The time until which the last [`Plan::poll_event`] found nothing to do; [`NEVER`] if it returned an event.
    wake: u32,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    outcome: Outcome,
    started: u32,
    tcp: u32,
    /// The deadline while the attempt is under way, then the time of its end.
    until: u32,
}

impl Attempt {
    const NEW: Attempt = Attempt { outcome: Outcome::NotStarted, started: 0, tcp: NEVER, until: 0 };

    fn end(&mut self, now: u32, outcome: Outcome) {
        (self.outcome, self.until) = (outcome, now);
    }
}

impl<'a> Plan<'a> {
    /// Creates a plan that tries `targets` in their order. Its time begins with the first
    /// [`poll_event`](Self::poll_event).
    ///
    /// # Errors
    /// There are no targets, or more than [`MAX_TARGETS`], or [`Limits::max_at_once`] is 0.
    pub const fn new(targets: &'a [Target], limits: Limits) -> Result<Self, PlanError> {
        if targets.is_empty() {
            return Err(PlanError::NoTargets);
        }
        if targets.len() > MAX_TARGETS {
            return Err(PlanError::TooManyTargets);
        }
        if limits.max_at_once == 0 {
            return Err(PlanError::NoneAtOnce);
        }
        Ok(Self {
            targets,
            start: Instant::from_micros(0),
            attempts: [Attempt::NEW; MAX_TARGETS],
            attempt_limit: micros(limits.attempt),
            tcp_limit: micros(limits.tcp),
            handshake_limit: micros(limits.handshake),
            total: micros(limits.total),
            stagger: match limits.stagger {
                Some(stagger) => micros(stagger),
                None => NEVER,
            },
            max_at_once: limits.max_at_once,
            to_abandon: 0,
            last: None,
            winner: None,
            preferred: AttemptId(0),
            wake: NEVER,
        })
    }

    /// Creates a plan with the limits of this one for other targets, such as those of a server to which the client is
    /// redirected.
    ///
    /// # Errors
    /// There are no targets, or more than [`MAX_TARGETS`].
    pub fn for_targets<'t>(&self, targets: &'t [Target]) -> Result<Plan<'t>, PlanError> {
        let &Plan { attempt_limit, tcp_limit, handshake_limit, total, stagger, max_at_once, .. } = self;
        let plan = Plan::new(targets, Limits::SEQUENTIAL)?;
        Ok(Plan { attempt_limit, tcp_limit, handshake_limit, total, stagger, max_at_once, ..plan })
    }

    /// Returns the targets in their order.
    pub const fn targets(&self) -> &'a [Target] {
        self.targets
    }

    /// Tries `target` first, and the others after it in their order. The target that won the last time is a good
    /// choice. A target that is not in the list is ignored.
    pub fn prefer(&mut self, target: Target) {
        if let Some((id, _)) = self.ids().zip(self.targets).find(|(_, other)| **other == target) {
            self.preferred = id;
        }
    }

    /// Returns what to do next. Call it until it returns `None`, or [`PlanEvent::Connected`] or
    /// [`PlanEvent::Exhausted`], which it repeats. Then call it after every report, and at
    /// [`poll_timeout`](Self::poll_timeout). It also does what [`handle_timeout`](Self::handle_timeout) does.
    ///
    /// The work is bounded by the number of targets.
    #[must_use = "the plan assumes that the event is acted on"]
    pub fn poll_event(&mut self, now: Instant) -> Option<PlanEvent> {
        if self.last.is_none() {
            self.start = now;
        }
        self.wake = NEVER;
        let now = self.since_start(now);
        self.expire(now);
        if self.to_abandon != 0 {
            let id = AttemptId(low_u8(self.to_abandon.trailing_zeros() as usize));
            self.to_abandon &= !id.bit();
            return Some(PlanEvent::Abandon(id));
        }
        if let Some(winner) = self.winner {
            return Some(PlanEvent::Connected(winner));
        }
        let start = self.next_start();
        if start <= now {
            return Some(self.dial(now));
        }
        let under_way = self.attempts.iter().filter(|attempt| attempt.outcome.is_under_way());
        self.wake = under_way.map(|attempt| attempt.until).fold(start, u32::min);
        (self.wake == NEVER).then_some(PlanEvent::Exhausted)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_event`](Self::poll_event) at the latest, unless a
    /// report comes first. `None` if the last `poll_event` returned an event. May change after `poll_event`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (self.wake != NEVER).then(|| self.at(self.wake))
    }

    /// Ends the attempts whose deadline has passed; [`poll_event`](Self::poll_event) returns an
    /// [`Abandon`](PlanEvent::Abandon) for each. After the total deadline no further target is tried.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.last.is_some() {
            self.expire(self.since_start(now));
        }
    }

    /// Ends the attempts that have lost, or whose deadline has passed.
    fn expire(&mut self, now: u32) {
        for (id, attempt) in self.ids().zip(&mut self.attempts) {
            let lost = self.winner.is_some();
            if !attempt.outcome.is_under_way() || (!lost && now < attempt.until) {
                continue;
            }
            let outcome = match attempt.outcome {
                _ if lost => Outcome::Lost,
                Outcome::Handshake => Outcome::Failed(Failure::HandshakeTimedOut),
                _ => Outcome::Failed(Failure::TimedOut),
            };
            attempt.end(now, outcome);
            self.to_abandon |= id.bit();
        }
        if self.winner.is_none() && now >= self.total {
            while let Some(attempt) = self.next_target().and_then(|id| self.attempts.get_mut(id.index())) {
                attempt.outcome = Outcome::Failed(Failure::NotTried);
            }
        }
    }

    /// The attempt's TCP connection is established, and its RTMP handshake begins.
    ///
    /// The report may come late or never. If it never comes, [`Limits::tcp`] must be long enough for the handshake, too.
    pub fn report_tcp(&mut self, id: AttemptId, now: Instant) {
        let now = self.since_start(now);
        let (attempt_limit, end) = (self.attempt_limit, now.saturating_add(self.handshake_limit).min(self.total));
        if let Some(attempt) = self.under_way(id).filter(|attempt| attempt.outcome == Outcome::Dialled) {
            (attempt.outcome, attempt.tcp) = (Outcome::Handshake, now);
            attempt.until = end.min(attempt.started.saturating_add(attempt_limit));
        }
    }

    /// The attempt's RTMP handshake is complete. The first attempt to get this far wins, and the next calls of
    /// [`poll_event`](Self::poll_event) abandon the others. A report about an attempt that has ended, or that is not of
    /// this plan, is ignored.
    pub fn report_connected(&mut self, id: AttemptId, now: Instant) {
        let now = self.since_start(now);
        if self.winner.is_none()
            && let Some(attempt) = self.under_way(id)
        {
            attempt.end(now, Outcome::Connected);
            self.winner = Some(id);
        }
    }

    /// The attempt failed, and its connection is closed. A report about an attempt that has ended only withdraws an
    /// [`Abandon`](PlanEvent::Abandon) that is due; one that is not of this plan is ignored.
    pub fn report_failed(&mut self, id: AttemptId, now: Instant, why: Failure) {
        let now = self.since_start(now);
        self.to_abandon &= !id.bit();
        if let Some(attempt) = self.under_way(id) {
            attempt.end(now, Outcome::Failed(why));
        }
    }

    /// Reports that the caller refused the server's certificate and closed the connection. The attempt has failed as
    /// [`Failure::Certificate`]. No further target is started, because an attacker may be on the path to the host.
    /// Attempts inside TLS that are under way are abandoned. These targets, and those that were not started, have
    /// failed as [`Failure::Untrusted`]. Attempts without TLS that are under way continue, because the caller allowed
    /// them and they began earlier. A report about an attempt that has ended, or that is not of this plan, is ignored.
    pub fn report_untrusted(&mut self, id: AttemptId, now: Instant) {
        if self.under_way(id).is_none() {
            return;
        }
        self.report_failed(id, now, Failure::Certificate);
        let now = self.since_start(now);
        for ((id, target), attempt) in self.ids().zip(self.targets).zip(&mut self.attempts) {
            if attempt.outcome == Outcome::NotStarted {
                attempt.outcome = Outcome::Failed(Failure::Untrusted);
            } else if attempt.outcome.is_under_way() && target.transport.is_tls() {
                attempt.end(now, Outcome::Failed(Failure::Untrusted));
                self.to_abandon |= id.bit();
            }
        }
    }

    /// The winner, as [`PlanEvent::Connected`] named it, turned out to be useless, and its connection is closed. For
    /// example, some firewalls let RTMP's handshake pass and drop what follows. The attempt has failed as
    /// [`Failure::CutOff`], and the next [`poll_event`](Self::poll_event) continues with the targets that were not
    /// tried yet and with those that were abandoned because this one won.
    pub fn report_cut_off(&mut self, now: Instant) {
        let now = self.since_start(now);
        let Some(winner) = self.winner.take() else { return };
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.outcome == Outcome::Lost) {
            *attempt = Attempt::NEW;
        }
        if let Some(attempt) = self.attempts.get_mut(winner.index()) {
            attempt.end(now, Outcome::Failed(Failure::CutOff));
        }
    }

    /// Connects to the winner of [`PlanEvent::Connected`] again, for example because the server wants the answer to its
    /// challenge on a new connection. The caller must have closed the old connection. The next
    /// [`poll_event`](Self::poll_event) dials the same target, and the time limit of the plan begins again. If this
    /// attempt fails, the plan continues with the targets that were not tried yet and with those that were abandoned
    /// because this one won. From now on, the plan makes one attempt at a time, because only one connection may carry
    /// the answer.
    pub fn dial_again(&mut self) {
        let Some(winner) = self.winner.take() else { return };
        for (id, attempt) in self.ids().zip(&mut self.attempts) {
            if attempt.outcome == Outcome::Lost || id == winner {
                *attempt = Attempt::NEW;
            }
        }
        (self.preferred, self.max_at_once) = (winner, 1);
        (self.last, self.wake) = (None, NEVER);
    }

    /// The targets that failed, each with the reason, in the order of the list.
    pub fn failures(&self) -> impl Iterator<Item = (Target, Failure)> {
        self.targets.iter().zip(&self.attempts).filter_map(|(target, attempt)| match attempt.outcome {
            Outcome::Failed(why) => Some((*target, why)),
            _ => None,
        })
    }

    /// The attempt that won, with the times that it took.
    pub fn winner(&self) -> Option<AttemptReport> {
        self.report(self.winner?)
    }

    /// One report for each target, in the order of the list.
    pub fn reports(&self) -> impl Iterator<Item = AttemptReport> {
        self.ids().filter_map(|id| self.report(id))
    }

    fn report(&self, id: AttemptId) -> Option<AttemptReport> {
        let (target, attempt) = (*self.targets.get(id.index())?, self.attempts.get(id.index())?);
        let end = if attempt.outcome.is_under_way() { attempt.started } else { attempt.until };
        Some(AttemptReport {
            id,
            target,
            outcome: attempt.outcome,
            started: duration(attempt.started),
            to_tcp: (attempt.tcp != NEVER).then(|| duration(attempt.tcp.saturating_sub(attempt.started))),
            took: duration(end.saturating_sub(attempt.started)),
        })
    }

    /// The target to try next.
    fn next_target(&self) -> Option<AttemptId> {
        let waits = |id: &AttemptId| self.attempts.get(id.index()).is_some_and(|it| it.outcome == Outcome::NotStarted);
        Some(self.preferred).filter(waits).or_else(|| self.ids().find(waits))
    }

    /// When the next attempt may start, unless a report changes it. [`NEVER`] if no target is left or as many attempts are
    /// under way as may be.
    fn next_start(&self) -> u32 {
        let under_way = self.attempts.iter().filter(|attempt| attempt.outcome.is_under_way()).count();
        if self.next_target().is_none() || under_way >= usize::from(self.max_at_once) {
            return NEVER;
        }
        match self.last.and_then(|last| self.attempts.get(last.index())) {
            Some(before) if before.outcome.is_under_way() => before.started.saturating_add(self.stagger),
            _ => 0,
        }
    }

    fn dial(&mut self, now: u32) -> PlanEvent {
        let Some(id) = self.next_target() else { return PlanEvent::Exhausted };
        let (Some(target), Some(attempt)) = (self.targets.get(id.index()), self.attempts.get_mut(id.index())) else {
            return PlanEvent::Exhausted;
        };
        let until = now.saturating_add(self.tcp_limit.min(self.attempt_limit)).min(self.total);
        *attempt = Attempt { outcome: Outcome::Dialled, started: now, until, ..*attempt };
        self.last = Some(id);
        PlanEvent::Dial { id, target: *target, deadline: self.at(until) }
    }

    /// The ids of the attempts, one for each target.
    fn ids(&self) -> impl Iterator<Item = AttemptId> + use<> {
        (0..low_u8(self.targets.len())).map(AttemptId)
    }

    fn under_way(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.get_mut(id.index()).filter(|attempt| attempt.outcome.is_under_way())
    }

    /// Microseconds from the start to `now`, less than [`NEVER`].
    // Not inlined: every method calls it, and flash matters more than its speed.
    #[inline(never)]
    fn since_start(&self, now: Instant) -> u32 {
        let elapsed = now.as_micros().saturating_sub(self.start.as_micros());
        u32::try_from(elapsed).unwrap_or(NEVER).min(NEVER - 1)
    }

    /// The instant of a time counted from the start.
    fn at(&self, micros: u32) -> Instant {
        Instant::from_micros(self.start.as_micros().saturating_add(u64::from(micros)))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Plan<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Plan(last of {=usize}: {}, winner {})", self.targets.len(), self.last, self.winner);
    }
}
