//! A point in time of the caller's clock.
//!
//! The core reads no clock. The caller passes the time to each state machine, in microseconds since a fixed point, which
//! is usually the start of the device. Differences are [`core::time::Duration`]. All conversions saturate.

use core::ops::Add;
use core::time::Duration;

/// Microseconds since a fixed point that the caller chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
// A microcontroller needs no alignment above 32 bits, and structs with an instant have no padding this way.
#[repr(Rust, packed(4))]
pub struct Instant(u64);

impl Instant {
    /// Returns the instant `micros` microseconds after the fixed point.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the instant `millis` milliseconds after the fixed point.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Returns the microseconds since the fixed point.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the whole milliseconds since the fixed point.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is later than `self`.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Instant {
    fn format(&self, f: defmt::Formatter<'_>) {
        let micros = self.0;
        defmt::write!(f, "{=u64:us}", micros);
    }
}

/// Converts to whole milliseconds, the unit in which the sessions store time limits. At most 49 days.
// Not inlined, because it has several callers.
#[inline(never)]
pub(crate) fn millis(span: Duration) -> u32 {
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    seconds.saturating_mul(1_000).saturating_add(span.subsec_millis())
}

impl Instant {
    /// Returns the low 32 bits of [`Self::as_millis`].
    #[expect(clippy::cast_possible_truncation, reason = "that is what the function is for")]
    pub(crate) const fn low_millis(self) -> u32 {
        // Divides digits of 16 bits, because a division of 64 bits needs a library function.
        let low = self.0 as u32;
        let upper = (((self.0 >> 32) as u32 % 1_000) << 16) | (low >> 16);
        let lower = ((upper % 1_000) << 16) | (low & 0xFFFF);
        ((upper / 1_000) << 16) | (lower / 1_000)
    }

    /// Returns the low 32 bits of [`Self::as_micros`].
    #[expect(clippy::cast_possible_truncation, reason = "that is what the function is for")]
    pub(crate) const fn low_micros(self) -> u32 {
        self.0 as u32
    }

    /// Returns the instant `millis` milliseconds later, at most the last instant.
    #[inline(never)]
    pub(crate) const fn after_millis(self, millis: u32) -> Instant {
        Instant(self.0.saturating_add((millis as u64).saturating_mul(1_000)))
    }
}

/// An instant or `None`, in the memory of an instant: the last instant stands for `None`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionalInstant(Instant);

impl OptionalInstant {
    pub(crate) const NONE: OptionalInstant = OptionalInstant(Instant(u64::MAX));

    pub(crate) const fn at(instant: Instant) -> OptionalInstant {
        OptionalInstant(instant)
    }

    pub(crate) fn get(self) -> Option<Instant> {
        Some(self.0).filter(|instant| *instant != Self::NONE.0)
    }
}

/// Saturates at the last instant.
impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, after: Duration) -> Instant {
        // Up to 136 years, one multiplication of 32 bits is enough. Microcontrollers have an instruction for it.
        let seconds = u32::try_from(after.as_secs()).map_or(u64::MAX, |seconds| u64::from(seconds) * 1_000_000);
        Instant(self.0.saturating_add(seconds).saturating_add(u64::from(after.subsec_micros())))
    }
}

/// Returns the earlier of two deadlines. `None` means never.
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
    fn low_millis_are_those_of_a_division() {
        for micros in [0, 999, 1_000, u64::from(u32::MAX), u64::from(u32::MAX) + 705, 999 << 32, u64::MAX - 7, u64::MAX]
        {
            let instant = Instant::from_micros(micros);
            assert_eq!(u64::from(instant.low_millis()), instant.as_millis() & 0xFFFF_FFFF, "{micros}");
        }
    }

    #[test]
    fn the_earlier_deadline_wins_and_none_is_never() {
        let (a, b) = (Some(Instant::from_millis(1)), Some(Instant::from_millis(2)));
        assert_eq!(earliest(a, b), a);
        assert_eq!(earliest(b, None), b);
        assert_eq!(earliest(None, None), None);
    }
}
