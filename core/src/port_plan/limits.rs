//! Deadlines, and how many attempts may be under way.

use core::time::Duration;

/// The deadlines of a [`Plan`](super::Plan), and how its attempts overlap.
///
/// The plan counts microseconds in 32 bits. A duration longer than [`Limits::LONGEST`] counts as [`Limits::LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// How long an attempt may take, from the dial to the end of the RTMP handshake.
    pub attempt: Duration,
    /// How long it may take from the dial to the TCP connection. At least `attempt` if the caller does not call
    /// [`report_tcp`](super::Plan::report_tcp).
    pub tcp: Duration,
    /// How long it may take from the reported TCP connection to the end of the RTMP handshake.
    pub handshake: Duration,
    /// How long the whole plan may take, from the first call of `poll_event`.
    pub total: Duration,
    /// The next attempt starts this long after the one before it, even if that one is still under way. It starts at once
    /// when the one before it has failed. With `None` it starts only then.
    pub stagger: Option<Duration>,
    /// How many attempts may be under way at the same time, at least 1. Each needs a socket and the memory of a session.
    /// With 1, the next attempt starts when the one before it has ended, and `stagger` is ignored.
    pub max_at_once: u8,
}

impl Limits {
    /// One attempt after another: 3 s for the TCP connection (TCP repeats a lost SYN after 1 s), 5 s for the handshake,
    /// 30 s in all.
    pub const SEQUENTIAL: Limits = Limits {
        attempt: Duration::from_secs(8),
        tcp: Duration::from_secs(3),
        handshake: Duration::from_secs(5),
        total: Duration::from_secs(30),
        stagger: None,
        max_at_once: 1,
    };

    /// The longest duration that a plan can count: 71 minutes and 34 seconds.
    pub const LONGEST: Duration = Duration::from_secs(4294);

    /// Starts each attempt `stagger` (usually 1 to 100 ms) after the one before it, with at most `max_at_once` under way.
    /// The deadlines are those of [`Limits::SEQUENTIAL`].
    pub const fn staggered(stagger: Duration, max_at_once: u8) -> Self {
        Self { stagger: Some(stagger), max_at_once, ..Self::SEQUENTIAL }
    }

    /// Starts the next attempt when the one before it has failed, or after 100 ms. This delay is long enough that a server
    /// which accepts the first port sees no second connection. `max_at_once` is the number of sockets.
    pub const fn smart(max_at_once: u8) -> Self {
        Self::staggered(Duration::from_millis(100), max_at_once)
    }
}

/// The duration in microseconds, at most [`Limits::LONGEST`].
// `Duration::as_micros` counts in 128 bits, which costs flash.
#[expect(clippy::cast_possible_truncation, reason = "at most as many seconds as `LONGEST`")]
#[inline(never)]
pub(super) const fn micros(duration: Duration) -> u32 {
    let seconds = duration.as_secs();
    if seconds >= Limits::LONGEST.as_secs() {
        return (Limits::LONGEST.as_secs() as u32).saturating_mul(1_000_000);
    }
    (seconds as u32).saturating_mul(1_000_000).saturating_add(duration.subsec_micros())
}

/// The duration of a number of microseconds.
// `Duration::from_micros` divides in 64 bits, which costs flash.
pub(super) const fn duration(micros: u32) -> Duration {
    Duration::new((micros / 1_000_000) as u64, (micros % 1_000_000).saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_microseconds_and_back() {
        for duration_ in [Duration::ZERO, Duration::from_micros(1), Duration::new(4293, 999_999_000), Limits::LONGEST] {
            assert_eq!(duration(micros(duration_)), duration_);
        }
        for longer in [Limits::LONGEST + Duration::from_micros(1), Duration::MAX] {
            assert_eq!(duration(micros(longer)), Limits::LONGEST);
        }
    }
}
