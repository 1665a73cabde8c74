//! The bit rate of a publisher.

use crate::time::Instant;

/// The interval over which the bit rate is measured, in ms.
const INTERVAL: u32 = 1_000;

/// Measures the bit rate of a publisher over the last whole second, for [`StreamStatus::bit_rate`](super::StreamStatus).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BitRate {
    since: Instant,
    /// The bytes since then, and the bit rate of the interval before.
    bytes: u32,
    rate: u32,
}

impl BitRate {
    /// Begins to measure.
    pub const fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0, rate: 0 }
    }

    /// Counts bytes of payload that were received.
    pub fn add(&mut self, now: Instant, bytes: usize) {
        self.update(now);
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Returns the bits per second.
    pub fn bits_per_second(&mut self, now: Instant) -> u32 {
        self.update(now);
        self.rate
    }

    fn update(&mut self, now: Instant) {
        let passed = now.low_millis().wrapping_sub(self.since.low_millis());
        if passed >= INTERVAL {
            let bits = u64::from(self.bytes).saturating_mul(8_000);
            self.rate = u32::try_from(bits.checked_div(u64::from(passed)).unwrap_or(0)).unwrap_or(u32::MAX);
            (self.since, self.bytes) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_whole_interval() {
        let mut rate = BitRate::new(Instant::from_millis(0));
        for step in 0..20 {
            rate.add(Instant::from_millis(step * 100), 1_250);
        }
        // The first 10 steps were in the first second.
        assert_eq!(rate.bits_per_second(Instant::from_millis(1_999)), 100_000);
        assert_eq!(rate.bits_per_second(Instant::from_millis(2_500)), 66_666);
        assert_eq!(rate.bits_per_second(Instant::from_millis(4_000)), 0);
    }
}
