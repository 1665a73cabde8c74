//! The state machine of the port plan; its picture stands in the parent module.

use super::limits::{duration, micros};
use super::{AttemptId, AttemptReport, Failure, Limits, Outcome, PlanError, Step, Target};
use crate::time::Instant;

/// The most targets that one plan can have.
pub const MAX_TARGETS: usize = 8;

/// No point in time. The plan's times are microseconds from its start and end before it.
const NEVER: u32 = u32::MAX;

/// What the plan holds is small enough to stand beside each session: 192 bytes, wherever it is built.
const _: () = assert!(size_of::<Plan<'_>>() <= 192);

/// Decides which ports to try, and when; see the [module](super).
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    targets: &'a [Target],
    /// When the first poll came.
    start: Instant,
    attempts: [Attempt; MAX_TARGETS],
    attempt_limit: u32,
    tcp_limit: u32,
    handshake_limit: u32,
    total: u32,
    /// [`NEVER`]: only the end of an attempt starts the next.
    stagger: u32,
    max_at_once: u8,
    /// The attempt that was dialled last.
    last: Option<AttemptId>,
    winner: Option<AttemptId>,
    /// The target whose turn comes before all others.
    preferred: AttemptId,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    outcome: Outcome,
    started: u32,
    tcp: u32,
    ended: u32,
}

impl Attempt {
    const NEW: Attempt = Attempt { outcome: Outcome::NotStarted, started: 0, tcp: NEVER, ended: 0 };

    fn end(&mut self, now: u32, outcome: Outcome) {
        self.outcome = outcome;
        self.ended = now;
    }

    /// What passing the deadline is called.
    fn timeout(&self) -> Failure {
        if self.outcome == Outcome::Handshake { Failure::HandshakeTimedOut } else { Failure::TimedOut }
    }
}

impl<'a> Plan<'a> {
    /// A plan that tries `targets` in their order. Its time begins with the first [`poll`](Self::poll).
    ///
    /// # Errors
    /// No targets, more than [`MAX_TARGETS`] of them, or a [`Limits::max_at_once`] of 0.
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
            last: None,
            winner: None,
            preferred: AttemptId(0),
        })
    }

    /// Has `target` tried first, and the others after it in their order: what won the last time, say. One that is not
    /// among the targets is not tried for that.
    pub fn prefer(&mut self, target: Target) {
        if let Some((id, _)) = self.ids().zip(self.targets).find(|(_, other)| **other == target) {
            self.preferred = id;
        }
    }

    /// Says what to do next. Poll again at once, until the answer is `Await`, `Connected` or `Exhausted`; then after
    /// every report, and at the deadline. The work of a poll is bounded by the number of targets.
    #[must_use = "the plan takes it that the step is carried out"]
    pub fn poll(&mut self, now: Instant) -> Step {
        if self.last.is_none() {
            self.start = now;
        }
        let now = self.since_start(now);
        if let Some(id) = self.end_one(now) {
            return Step::Abandon(id);
        }
        if let Some(winner) = self.winner {
            return Step::Connected(winner);
        }
        if now >= self.total {
            self.give_up();
        }
        match (self.next_wake(), self.next_start()) {
            (_, Some(start)) if start <= now => self.dial(now),
            (Some(wake), start) => Step::Await { deadline: self.at(wake.min(start.unwrap_or(NEVER))) },
            (None, Some(_) | None) => Step::Exhausted,
        }
    }

    /// The attempt's TCP connection is there, and its RTMP handshake begins. It may come late or not at all; then
    /// [`Limits::tcp`] must be long enough for the handshake, too.
    pub fn report_tcp(&mut self, id: AttemptId, now: Instant) {
        let now = self.since_start(now);
        if let Some(attempt) = self.under_way(id).filter(|attempt| attempt.outcome == Outcome::Dialled) {
            attempt.outcome = Outcome::Handshake;
            attempt.tcp = now;
        }
    }

    /// The attempt's RTMP handshake is complete. It wins if it is the first; the next polls abandon the others. A
    /// report about an attempt that has ended, or that is not this plan's, changes nothing.
    pub fn report_connected(&mut self, id: AttemptId, now: Instant) {
        let now = self.since_start(now);
        if self.winner.is_none()
            && let Some(attempt) = self.under_way(id)
        {
            attempt.end(now, Outcome::Connected);
            self.winner = Some(id);
        }
    }

    /// The attempt failed, and nothing of it is left to close. A report about an attempt that has ended, or that is
    /// not this plan's, changes nothing.
    pub fn report_failed(&mut self, id: AttemptId, now: Instant, why: Failure) {
        let now = self.since_start(now);
        if let Some(attempt) = self.under_way(id) {
            attempt.end(now, Outcome::Failed(why));
        }
    }

    /// The winner, as [`Step::Connected`] named it, is of no use, and its connection is closed: a firewall lets RTMP's
    /// handshake through and cuts what follows, say, and the server does not answer the commands. It has failed as
    /// [`Failure::CutOff`], and the next poll goes on: with the targets that had no turn yet, and with those that were
    /// abandoned for its sake.
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

    /// The targets that failed, each with the reason, in the order of the list.
    pub fn failures(&self) -> impl Iterator<Item = (Target, Failure)> {
        self.targets.iter().zip(&self.attempts).filter_map(|(target, attempt)| match attempt.outcome {
            Outcome::Failed(why) => Some((*target, why)),
            _ => None,
        })
    }

    /// The attempt that won, and how long it took.
    pub fn winner(&self) -> Option<AttemptReport> {
        self.reports().find(|report| report.outcome == Outcome::Connected)
    }

    /// All that the plan knows, one report for each target, in the order of the list.
    pub fn reports(&self) -> impl Iterator<Item = AttemptReport> {
        self.ids().zip(self.targets).zip(&self.attempts).map(|((id, target), attempt)| AttemptReport {
            id,
            target: *target,
            outcome: attempt.outcome,
            started: duration(attempt.started),
            to_tcp: (attempt.tcp != NEVER).then(|| duration(attempt.tcp.saturating_sub(attempt.started))),
            took: duration(attempt.ended.saturating_sub(attempt.started)),
        })
    }

    /// Ends an attempt that lost or whose deadline has passed; answers which, for there is a connection to close.
    fn end_one(&mut self, now: u32) -> Option<AttemptId> {
        for id in self.ids() {
            let lost = self.winner.is_some();
            let Some(deadline) = self.deadline(id) else { continue };
            if (lost || now >= deadline)
                && let Some(attempt) = self.under_way(id)
            {
                let outcome = if lost { Outcome::Lost } else { Outcome::Failed(attempt.timeout()) };
                attempt.end(now, outcome);
                return Some(id);
            }
        }
        None
    }

    /// Strikes off what has not been tried.
    fn give_up(&mut self) {
        while let Some(attempt) = self.next_target().and_then(|id| self.attempts.get_mut(id.index())) {
            attempt.outcome = Outcome::Failed(Failure::NotTried);
        }
    }

    /// The earliest deadline of the attempts under way; `None` if there are none.
    fn next_wake(&self) -> Option<u32> {
        self.ids().filter_map(|id| self.deadline(id)).min()
    }

    /// The attempt whose turn is next.
    fn next_target(&self) -> Option<AttemptId> {
        let waits = |id: &AttemptId| self.attempts.get(id.index()).is_some_and(|it| it.outcome == Outcome::NotStarted);
        Some(self.preferred).filter(waits).or_else(|| self.ids().find(waits))
    }

    /// When the next attempt may start, unless a report changes it; `None` if none is left or all slots are taken.
    fn next_start(&self) -> Option<u32> {
        let under_way = self.attempts.iter().filter(|attempt| attempt.outcome.is_under_way()).count();
        if self.next_target().is_none() || under_way >= usize::from(self.max_at_once) {
            return None;
        }
        match self.last.and_then(|last| self.attempts.get(last.index())) {
            Some(before) if before.outcome.is_under_way() => Some(before.started.saturating_add(self.stagger)),
            _ => Some(0),
        }
    }

    fn dial(&mut self, now: u32) -> Step {
        let Some(id) = self.next_target() else { return Step::Exhausted };
        let (Some(target), Some(attempt)) = (self.targets.get(id.index()), self.attempts.get_mut(id.index())) else {
            return Step::Exhausted;
        };
        attempt.outcome = Outcome::Dialled;
        attempt.started = now;
        self.last = Some(id);
        Step::Dial { id, target: *target, deadline: self.at(self.deadline(id).unwrap_or(now)) }
    }

    /// When the attempt is out of time, if it is under way.
    fn deadline(&self, id: AttemptId) -> Option<u32> {
        let attempt = self.attempts.get(id.index()).filter(|attempt| attempt.outcome.is_under_way())?;
        let phase = match attempt.outcome {
            Outcome::Handshake => attempt.tcp.saturating_add(self.handshake_limit),
            _ => attempt.started.saturating_add(self.tcp_limit),
        };
        Some(phase.min(attempt.started.saturating_add(self.attempt_limit)).min(self.total))
    }

    /// The attempts, one for each target.
    fn ids(&self) -> impl Iterator<Item = AttemptId> + use<> {
        (0..self.targets.len() as u8).map(AttemptId)
    }

    fn under_way(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.get_mut(id.index()).filter(|attempt| attempt.outcome.is_under_way())
    }

    /// Microseconds from the start to `now`, short of [`NEVER`].
    // Every step asks for it; it need not be in flash so often.
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
