//! When to connect again.

use embassy_time::Duration;
use embedded_rtmp::time::Instant;

use crate::clock::later;

/// How long to wait before connecting again, and when to give up.
///
/// Each wait is twice as long as the previous one. A random part of up to a half is subtracted from each, so that the
/// clients of a restarted server do not all connect at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Retry {
    /// The runner gives up if there was no connection for this long. With `None` it never gives up.
    pub limit: Option<Duration>,
    /// The first wait.
    pub first: Duration,
    /// The longest wait. After a connection that lasted for this long, the waits begin with `first` again.
    pub longest: Duration,
}

impl Retry {
    /// Retries for ever, with waits of 0.5, 1, 2, 4 and then 8 s.
    pub const DEFAULT: Self = Self { limit: None, first: Duration::from_millis(500), longest: Duration::from_secs(8) };
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A time in which no connection lasts.
pub(super) struct Outage {
    ends: Instant,
    wait: Duration,
    /// When the current connection has lasted long enough to end the outage.
    is_over: Instant,
}

impl Outage {
    /// An outage that has not begun.
    pub(super) const NONE: Self =
        Self { ends: Instant::from_micros(0), wait: Duration::MIN, is_over: Instant::from_micros(0) };

    /// An outage that begins now.
    pub(super) fn new(now: Instant, retry: &Retry) -> Self {
        let never = Instant::from_micros(u64::MAX);
        Self { ends: later(now, retry.limit.unwrap_or(Duration::MAX)), wait: retry.first, is_over: never }
    }

    /// Records that a connection begins. If it lasts for [`Retry::longest`], the outage is over.
    pub(super) fn interrupt(&mut self, now: Instant, retry: &Retry) {
        self.is_over = later(now, retry.longest);
    }

    /// Records that the connection has ended, if there was one. Returns whether it had lasted for [`Retry::longest`]:
    /// another outage then begins.
    pub(super) fn conclude(&mut self, now: Instant, retry: &Retry) -> bool {
        let has_lasted = now >= self.is_over;
        if has_lasted {
            *self = Self::new(now, retry);
        }
        self.is_over = Instant::from_micros(u64::MAX);
        has_lasted
    }

    /// Returns how long to wait now, or `None` if it is time to give up. `random` is 32 random bits.
    pub(super) fn next(&mut self, now: Instant, retry: &Retry, random: u32) -> Option<Duration> {
        self.conclude(now, retry);
        let whole = self.wait.min(retry.longest).as_ticks();
        self.wait = Duration::from_ticks(whole.saturating_add(whole));
        // If the product overflows, `less` is still less than the wait.
        let less = (whole / 2).wrapping_mul(u64::from(random >> 16)) >> 16;
        let wait = Duration::from_ticks(whole.saturating_sub(less));
        (later(now, wait) < self.ends).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn waits(retry: Retry, random: u32) -> Vec<u64> {
        let mut now = Instant::from_millis(100_000);
        let mut outage = Outage::new(now, &retry);
        let mut waits = Vec::new();
        while let Some(wait) = outage.next(now, &retry, random).filter(|_| waits.len() < 8) {
            waits.push(wait.as_millis());
            // Each attempt takes three seconds.
            now = later(now, wait + Duration::from_secs(3));
        }
        waits
    }

    #[test]
    fn waits_double_up_to_the_longest_and_go_on_for_ever() {
        assert_eq!(waits(Retry::DEFAULT, 0), [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
    }

    #[test]
    fn waits_end_with_the_limit() {
        let retry = Retry { limit: Some(Duration::from_secs(60)), ..Retry::DEFAULT };
        assert_eq!(waits(retry, 0), [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        assert_eq!(waits(Retry { limit: Some(Duration::MIN), ..retry }, 0), [0_u64; 0]);
    }

    #[test]
    fn a_connection_that_lasts_ends_the_outage_once() {
        let (retry, begin) = (Retry::DEFAULT, Instant::from_millis(100_000));
        let mut outage = Outage::new(begin, &retry);
        assert!(!outage.conclude(begin, &retry), "there was no connection");
        outage.next(begin, &retry, 0);
        outage.interrupt(begin, &retry);
        assert!(!outage.conclude(later(begin, retry.longest - Duration::from_ticks(1)), &retry), "it was too short");
        assert_eq!(outage.next(begin, &retry, 0), Some(retry.first * 2));
        outage.interrupt(begin, &retry);
        let end = later(begin, retry.longest);
        assert_eq!([outage.conclude(end, &retry), outage.conclude(end, &retry)], [true, false]);
        assert_eq!(outage.next(end, &retry, 0), Some(retry.first));
    }

    #[test]
    fn jitter_takes_up_to_a_half() {
        assert_eq!(waits(Retry::DEFAULT, u32::MAX)[..2], [250, 500]);
        assert_eq!(waits(Retry::DEFAULT, 1 << 31)[..2], [375, 750]);
    }
}
