//! How often a server agrees on keys.

use core::time::Duration;

use crate::time::{Instant, millis};

/// Limits how often a server agrees on keys, over all of its sessions. Everyone can make a valid C1, and each one would
/// otherwise cost the server millions of instructions.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AgreementLimit {
    /// In ms.
    interval: u32,
    next: Instant,
}

impl AgreementLimit {
    /// At most two a second.
    pub const DEFAULT: Self = Self { interval: 500, next: Instant::from_micros(0) };

    /// At most one agreement in each `interval`, of whole milliseconds.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self { interval: millis(interval), next: Instant::from_micros(0) }
    }

    /// Asks for an agreement now. Each `Ok` is good for one.
    ///
    /// # Errors
    /// The time at which to ask again.
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
