//! What a plan says is to be done.

use super::Target;
use crate::time::Instant;

/// One attempt of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptId(pub(super) u8);

impl AttemptId {
    /// Which of the plan's targets it tries, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// Connect to the target, then go through the RTMP handshake; report what comes of it, and poll again at once.
    Dial {
        /// The attempt, for its reports.
        id: AttemptId,
        /// What to connect to.
        target: Target,
        /// When the attempt is abandoned, unless a report comes before. ([`report_tcp`](super::Plan::report_tcp) moves it.)
        deadline: Instant,
    },
    /// Close the attempt's connection without sending anything on it, and poll again at once. No report is due.
    Abandon(AttemptId),
    /// Nothing to do until a report or the deadline, whichever comes first.
    Await {
        /// When to poll again.
        deadline: Instant,
    },
    /// This attempt won and no other is under way: go on with its session. Every later poll repeats it
    /// (until a [`report_cut_off`](super::Plan::report_cut_off)).
    Connected(AttemptId),
    /// No target answered: see [`failures`](super::Plan::failures). Every later poll repeats it.
    Exhausted,
}
