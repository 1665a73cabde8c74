//! When to connect again.

use embassy_time::Duration;
use embedded_rtmp::time::Instant;

use crate::clock::later;

/// How long a station tries to get back a connection that it has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Retry {
    /// It gives up when the stream has been away for so long. Zero: it gives up at once.
    pub limit: Duration,
    /// It waits for so long before it connects again, then twice that, and so on.
    pub first: Duration,
    /// It never waits longer than this. A connection that stays for as long counts as got back.
    pub longest: Duration,
}

impl Retry {
    /// 60 s, with waits of 0.5, 1, 2, 4 and then 8 s.
    pub const DEFAULT: Retry =
        Retry { limit: Duration::from_secs(60), first: Duration::from_millis(500), longest: Duration::from_secs(8) };
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A time without the stream.
#[derive(Clone, Copy)]
pub(super) struct Outage {
    /// When it has lasted too long.
    pub(super) ends: Instant,
    wait: Duration,
}

impl Outage {
    /// The outage that goes on, or begins, where a connection that began at `connected` was lost at `now`.
    pub(super) fn lost(before: Option<Self>, connected: Instant, now: Instant, retry: &Retry) -> Self {
        let fresh = Self { ends: later(now, retry.limit), wait: retry.first };
        before.filter(|_| now < later(connected, retry.longest)).unwrap_or(fresh)
    }

    /// How long to wait now; `None` where it is time to give up.
    pub(super) fn next(&mut self, now: Instant, retry: &Retry) -> Option<Duration> {
        let wait = self.wait.min(retry.longest);
        self.wait = Duration::from_ticks(wait.as_ticks().saturating_add(wait.as_ticks()));
        (later(now, wait) < self.ends).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn seconds(instant: u64) -> Instant {
        Instant::from_millis(1_000 * instant)
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_outage() {
        let retry = Retry::DEFAULT;
        let mut now = seconds(100);
        let mut outage = Outage::lost(None, seconds(0), now, &retry);
        let mut waits = Vec::new();
        while let Some(wait) = outage.next(now, &retry) {
            assert!(later(now, wait) < outage.ends && outage.ends == seconds(160));
            waits.push(wait.as_millis());
            // Each attempt takes three seconds.
            now = later(now, wait + Duration::from_secs(3));
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        let mut outage = Outage::lost(None, seconds(0), now, &Retry { limit: Duration::MIN, ..retry });
        assert_eq!(outage.next(now, &retry), None);
    }

    #[test]
    fn a_connection_that_does_not_last_ends_no_outage() {
        let retry = Retry::DEFAULT;
        let mut outage = Outage::lost(None, seconds(0), seconds(100), &retry);
        assert_eq!(outage.next(seconds(100), &retry).map(|wait| wait.as_millis()), Some(500));
        let mut same = Outage::lost(Some(outage), seconds(101), seconds(108), &retry);
        assert_eq!((same.next(seconds(108), &retry), same.ends), (Some(Duration::from_secs(1)), seconds(160)));
        let mut new = Outage::lost(Some(outage), seconds(101), seconds(109), &retry);
        assert_eq!(new.next(seconds(109), &retry).map(|wait| wait.as_millis()), Some(500));
    }
}
