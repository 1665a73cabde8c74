//! What a connection stores about an attempt of the port plan.

use embedded_rtmp::port_plan::{AttemptId, Target};

/// An attempt that is in progress on a connection, or that has won.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) id: Option<AttemptId>,
    pub(crate) target: Target,
    /// Which of the host's addresses is tried.
    pub(crate) address: u8,
    /// Each address's part of TCP's time limit, in microseconds.
    pub(crate) share: u32,
}

impl Attempt {
    pub(crate) const NONE: Self = Self { id: None, target: Target::rtmp(0), address: 0, share: 0 };
}
