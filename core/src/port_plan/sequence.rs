//! The port plan of a client with one socket.

use core::time::Duration;

use super::{AttemptId, Limits, MAX_TARGETS, PlanError, Target};
use crate::bytes::low_u8;
use crate::time::{Instant, millis};

/// Tries targets one after another. It makes the same decisions as a [`Plan`](super::Plan) that allows one attempt at a
/// time, with less memory and code, and keeps no report.
///
/// ```
/// use embedded_rtmp::port_plan::{Limits, NET_CONNECTION, Sequence};
/// use embedded_rtmp::time::Instant;
///
/// let now = Instant::from_millis(500);
/// let mut sequence = Sequence::new(NET_CONNECTION, &Limits::SEQUENTIAL)?;
/// let mut ports = Vec::new();
/// while let Some((_, target, deadline)) = sequence.dial(now) {
///     // Connect to the target until the deadline. All of them fail here.
///     assert_eq!(deadline, now + Limits::SEQUENTIAL.tcp);
///     ports.push(target.port);
/// }
/// assert_eq!(ports, [1935, 80, 443]);
/// # Ok::<(), embedded_rtmp::port_plan::PlanError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    targets: &'a [Target],
    limits: &'a Limits,
    /// The time after which no further target is tried; `None` before the first one.
    ends: Option<Instant>,
    /// The time limit of the current attempt, and of its current step.
    attempt_ends: Instant,
    deadline: Instant,
    /// The target that is tried before all others.
    preferred: u8,
    /// How many targets were tried, the current one included.
    tried: u8,
}

impl<'a> Sequence<'a> {
    /// Creates a sequence that tries `targets` in their order. [`Limits::stagger`] and [`Limits::max_at_once`] have no
    /// effect.
    ///
    /// # Errors
    /// There are no targets, or more than [`MAX_TARGETS`].
    pub const fn new(targets: &'a [Target], limits: &'a Limits) -> Result<Self, PlanError> {
        if targets.is_empty() {
            return Err(PlanError::NoTargets);
        }
        if targets.len() > MAX_TARGETS {
            return Err(PlanError::TooManyTargets);
        }
        let never = Instant::from_micros(0);
        Ok(Self { targets, limits, ends: None, attempt_ends: never, deadline: never, preferred: 0, tried: 0 })
    }

    /// Tries `target` first, and the others after it in their order. Call it before the first [`dial`](Self::dial). A
    /// target that is not in the list is ignored.
    pub fn prefer(&mut self, target: Target) {
        let position = self.targets.iter().position(|other| *other == target);
        self.preferred = position.map_or(self.preferred, low_u8);
    }

    /// Returns the target to try next, and the time until which its TCP connection must be open. Returns `None` if all
    /// were tried, or if their time is over. The time begins with the first call.
    pub fn dial(&mut self, now: Instant) -> Option<(AttemptId, Target, Instant)> {
        let ends = *self.ends.get_or_insert_with(|| after(now, self.limits.total));
        let index = match self.tried {
            0 => self.preferred,
            tried if tried <= self.preferred => tried.wrapping_sub(1),
            tried => tried,
        };
        let target = *self.targets.get(usize::from(index)).filter(|_| now < ends)?;
        self.tried = self.tried.wrapping_add(1);
        self.attempt_ends = after(now, self.limits.attempt).min(ends);
        self.deadline = after(now, self.limits.tcp).min(self.attempt_ends);
        Some((AttemptId(index), target, self.deadline))
    }

    /// Reports that the TCP connection is open, so that the RTMP handshake begins. This may change
    /// [`deadline`](Self::deadline).
    pub fn report_tcp(&mut self, now: Instant) {
        self.deadline = after(now, self.limits.handshake).min(self.attempt_ends);
    }

    /// The time at which the current attempt has failed, unless its RTMP handshake is complete. May change after
    /// [`dial`](Self::dial) and [`report_tcp`](Self::report_tcp).
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns the same target from the next [`dial`](Self::dial), for example because the server wants the answer to its
    /// challenge on a new connection. The time limit of all targets begins again.
    pub fn dial_again(&mut self) {
        self.tried = self.tried.saturating_sub(1);
        self.ends = None;
    }
}

/// The instant at which a time limit ends, in whole milliseconds.
// Not inlined, because it has several callers.
#[inline(never)]
fn after(now: Instant, limit: Duration) -> Instant {
    now.after_millis(millis(limit))
}

#[cfg(feature = "defmt")]
impl defmt::Format for Sequence<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Sequence({=u8} of {=usize})", self.tried, self.targets.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port_plan::{DEFAULT_ORDER, Failure, NET_CONNECTION, Plan, PlanEvent};
    use proptest::prelude::*;

    /// What becomes of one attempt.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        /// Refused after this number of ms.
        Refused(u64),
        Silent,
        /// TCP is open after this number of ms, or at the deadline. Then the server sends nothing.
        Mute(u64),
    }

    /// Carries out a plan of one attempt at a time. Returns the targets, with the times in ms at which each attempt begins
    /// and ends.
    fn planned(
        targets: &[Target],
        limits: Limits,
        preferred: Target,
        fates: &[Fate],
    ) -> std::vec::Vec<(u16, u64, u64)> {
        let mut plan = Plan::new(targets, Limits { max_at_once: 1, ..limits }).unwrap();
        plan.prefer(preferred);
        let (mut now, mut attempts, mut fates) = (Instant::from_millis(7), std::vec::Vec::new(), fates.iter().cycle());
        while let Some(event) = plan.poll_event(now) {
            let PlanEvent::Dial { id, target, .. } = event else { break };
            let begins = now;
            match fates.next().copied() {
                Some(Fate::Refused(after)) if plan.poll_event(now).is_none() => {
                    let until = plan.poll_timeout().unwrap();
                    now = (now + Duration::from_millis(after)).min(until);
                    plan.report_failed(id, now, Failure::Refused);
                }
                fate => {
                    if let Some(Fate::Mute(after)) = fate {
                        assert_eq!(plan.poll_event(now), None);
                        now = (now + Duration::from_millis(after)).min(plan.poll_timeout().unwrap());
                        plan.report_tcp(id, now);
                    }
                    if plan.poll_event(now).is_none() {
                        now = plan.poll_timeout().unwrap();
                        assert_eq!(plan.poll_event(now), Some(PlanEvent::Abandon(id)));
                    }
                }
            }
            attempts.push((target.port, begins.as_millis(), now.as_millis()));
        }
        attempts
    }

    /// The same with a sequence.
    fn tried(targets: &[Target], limits: &Limits, preferred: Target, fates: &[Fate]) -> std::vec::Vec<(u16, u64, u64)> {
        let mut sequence = Sequence::new(targets, limits).unwrap();
        sequence.prefer(preferred);
        let (mut now, mut attempts, mut fates) = (Instant::from_millis(7), std::vec::Vec::new(), fates.iter().cycle());
        while let Some((id, target, deadline)) = sequence.dial(now) {
            assert_eq!((targets[id.index()], sequence.deadline()), (target, deadline));
            let begins = now;
            now = match fates.next().copied() {
                Some(Fate::Refused(after)) => (now + Duration::from_millis(after)).min(deadline),
                Some(Fate::Mute(after)) => {
                    sequence.report_tcp((now + Duration::from_millis(after)).min(deadline));
                    sequence.deadline()
                }
                _ => deadline,
            };
            attempts.push((target.port, begins.as_millis(), now.as_millis()));
        }
        attempts
    }

    #[test]
    fn a_sequence_checks_its_targets_as_a_plan_does() {
        for count in [0, 1, MAX_TARGETS, MAX_TARGETS + 1] {
            let targets = std::vec![Target::rtmp(80); count];
            let plan = Plan::new(&targets, Limits::SEQUENTIAL).err();
            assert_eq!(Sequence::new(&targets, &Limits::SEQUENTIAL).err(), plan, "{count}");
        }
    }

    #[test]
    fn the_same_target_is_dialled_again_and_the_time_begins_again() {
        let limits = Limits { total: Duration::from_secs(10), ..Limits::SEQUENTIAL };
        let mut sequence = Sequence::new(NET_CONNECTION, &limits).unwrap();
        sequence.prefer(Target::rtmp(80));
        let dial = |sequence: &mut Sequence<'_>, seconds: u64| {
            sequence.dial(Instant::from_millis(seconds * 1_000)).map(|(_, target, _)| target.port)
        };
        assert_eq!(dial(&mut sequence, 0), Some(80));
        sequence.dial_again();
        assert_eq!(dial(&mut sequence, 20), Some(80));
        assert_eq!([25, 29, 29].map(|at| dial(&mut sequence, at)), [Some(1935), Some(443), None]);
    }

    proptest! {
        #[test]
        fn a_sequence_decides_as_a_plan_with_one_attempt_at_a_time(
            count in 1..=4_usize,
            preferred in 0..5_usize,
            limits in [1..9_000_u64, 1..9_000, 1..9_000, 1..30_000],
            fates in proptest::collection::vec((0..3, 0..9_000_u64), 1..5),
        ) {
            let [attempt, tcp, handshake, total] = limits.map(Duration::from_millis);
            let limits = Limits { attempt, tcp, handshake, total, ..Limits::SEQUENTIAL };
            let targets = &DEFAULT_ORDER[..count];
            let preferred = DEFAULT_ORDER.get(preferred).copied().unwrap_or(Target::rtmp(1));
            let fates: std::vec::Vec<Fate> = fates.into_iter().map(|(fate, after)| match fate {
                0 => Fate::Refused(after),
                1 => Fate::Mute(after),
                _ => Fate::Silent,
            }).collect();
            prop_assert_eq!(
                tried(targets, &limits, preferred, &fates),
                planned(targets, limits, preferred, &fates)
            );
        }
    }
}
