//! Events of a plan: what the caller must do.

use super::Target;
use crate::time::Instant;

/// One attempt of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttemptId(pub(super) u8);

impl AttemptId {
    /// The index of the target in the plan's list, counted from 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The attempt's bit in a set of attempts.
    pub(super) const fn bit(self) -> u8 {
        1_u8.wrapping_shl(self.0 as u32)
    }
}

/// What the caller must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PlanEvent {
    /// Connect to the target, complete the RTMP handshake, and report the result.
    Dial {
        /// The attempt, for its reports.
        id: AttemptId,
        /// What to connect to.
        target: Target,
        /// When the attempt is abandoned, unless it ends earlier. [`report_tcp`](super::Plan::report_tcp) may move it.
        deadline: Instant,
    },
    /// Close the attempt's connection and send nothing more on it. No report is expected.
    Abandon(AttemptId),
    /// This attempt won and no other is under way: continue with its session. Repeated by every later call, until
    /// [`report_cut_off`](super::Plan::report_cut_off).
    Connected(AttemptId),
    /// No target could be reached; [`failures`](super::Plan::failures) has the reasons. Repeated by every later call.
    Exhausted,
}
