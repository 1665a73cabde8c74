//! How often a server agrees on keys.

use core::time::Duration;

use crate::time::{Instant, millis};

/// Limits how often a server agrees on keys, over all of its sessions. Any client can send a valid C1. Without a limit,
/// each C1 would cost the server millions of instructions.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AgreementLimit {
    /// In milliseconds.
    interval: u32,
    next: Instant,
}

impl AgreementLimit {
    /// At most two agreements per second.
    pub const DEFAULT: Self = Self { interval: 500, next: Instant::from_micros(0) };

    /// At most one agreement in each `interval`, in whole milliseconds.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval: millis(interval), next: Instant::from_micros(0) }
    }

    /// Asks whether a server may agree on keys now. Each `Ok` permits one agreement.
    ///
    /// # Errors
    /// It is too early. The error is the time at which to ask again.
    pub fn try_begin(&mut self, now: Instant) -> Result<(), Instant> {
        if now < self.next {
            return Err(self.next);
        }
        self.next = now.after_millis(self.interval);
        Ok(())
    }
}

impl Default for AgreementLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}
