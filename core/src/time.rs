//! A point in time, as the caller's clock tells it.
//!
//! The core reads no clock. Whoever drives a state machine passes the time in, counted in microseconds from any fixed
//! point (boot, usually); differences are [`core::time::Duration`].

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// Microseconds since a fixed point of the caller's choice.
///
/// Kept as two halves, so that it needs no more than the alignment of four bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant {
    high: u32,
    low: u32,
}

impl Instant {
    /// The end of time.
    const END: Instant = Instant::from_micros(u64::MAX);

    /// The instant `micros` microseconds after the fixed point.
    pub const fn from_micros(micros: u64) -> Self {
        Self { high: (micros >> 32) as u32, low: micros as u32 }
    }

    /// The instant `millis` milliseconds after the fixed point.
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_micros(millis.saturating_mul(1_000))
    }

    /// Microseconds since the fixed point.
    pub const fn as_micros(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    /// Whole milliseconds since the fixed point.
    pub const fn as_millis(self) -> u64 {
        self.as_micros() / 1_000
    }

    /// The time from `earlier` to `self`; zero where `earlier` is the later one.
    pub const fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.as_micros().saturating_sub(earlier.as_micros()))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant").field(&self.as_micros()).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Instant {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Instant({=u64})", self.as_micros());
    }
}

/// Saturates at the end of time.
impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, after: Duration) -> Instant {
        // 136 years and more are the end of time; what is less needs no 64-bit multiplication.
        let Ok(seconds) = u32::try_from(after.as_secs()) else { return Self::END };
        let micros = u64::from(seconds) * 1_000_000 + u64::from(after.subsec_micros());
        Self::from_micros(self.as_micros().saturating_add(micros))
    }
}

/// A duration in ms, as a session keeps it: what is longer than 49 days is taken for that.
#[inline(never)]
pub(crate) const fn millis(duration: Duration) -> u32 {
    // `Duration::as_millis` counts in 128 bits.
    const LONGEST: u64 = (u32::MAX / 1_000 - 1) as u64;
    let seconds = if duration.as_secs() > LONGEST { LONGEST } else { duration.as_secs() };
    seconds as u32 * 1_000 + duration.subsec_millis()
}

/// The instant `millis` ms after `now`.
pub(crate) fn after(now: Instant, millis: u32) -> Instant {
    Instant::from_micros(now.as_micros().saturating_add(u64::from(millis) * 1_000))
}

/// The earlier of two deadlines, where `None` is never.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let start = Instant::from_millis(5);
        assert_eq!((start + Duration::from_micros(7)).as_micros(), 5_007);
        assert_eq!(Instant::from_micros(u64::MAX) + Duration::from_secs(1), Instant::from_micros(u64::MAX));
        assert_eq!(start + Duration::MAX, Instant::from_micros(u64::MAX));
        assert_eq!(start.saturating_duration_since(Instant::from_millis(9)), Duration::ZERO);
        assert_eq!(Instant::from_millis(9).saturating_duration_since(start), Duration::from_millis(4));
    }

    #[test]
    fn the_earlier_deadline_wins_and_none_is_never() {
        let (a, b) = (Some(Instant::from_millis(1)), Some(Instant::from_millis(2)));
        assert_eq!(earliest(a, b), a);
        assert_eq!(earliest(b, None), b);
        assert_eq!(earliest(None, None), None);
    }
}
