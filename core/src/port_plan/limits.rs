//! How long, and how many at once.

use core::time::Duration;

/// The deadlines of a [`Plan`](super::Plan), and how its attempts overlap.
///
/// The plan counts in microseconds in 32 bits: a longer duration than [`Limits::LONGEST`] is taken for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// The longest that an attempt takes, from the dial to the end of the RTMP handshake.
    pub attempt: Duration,
    /// The longest from the dial to the TCP connection. As long as `attempt` or longer where the caller does not
    /// call [`report_tcp`](super::Plan::report_tcp).
    pub tcp: Duration,
    /// The longest from the TCP connection, as reported, to the end of the RTMP handshake.
    pub handshake: Duration,
    /// The longest that the whole plan takes, from the first poll.
    pub total: Duration,
    /// The next attempt starts this long after the one before it, even if that is still under way; at once when that
    /// has failed. `None`: only when that has failed.
    pub stagger: Option<Duration>,
    /// How many attempts may be under way at once (as many sockets, and handshake buffers); at least 1. With 1, the
    /// next starts when the one before it has ended, whatever `stagger` says.
    pub max_at_once: u8,
}

impl Limits {
    /// One attempt after another: 3 s to the TCP connection (a SYN that got lost is sent again after 1 s), 5 s for the
    /// handshake, 30 s in all.
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

    /// Each attempt `stagger` (1 to 100 ms, usually) after the one before it, with at most `max_at_once` under way; the
    /// deadlines are those of [`Limits::SEQUENTIAL`].
    pub const fn staggered(stagger: Duration, max_at_once: u8) -> Self {
        Self { stagger: Some(stagger), max_at_once, ..Self::SEQUENTIAL }
    }

    /// As fast as the firewall allows, with so many sockets: the next attempt starts when the one before it has failed,
    /// or after 100 ms. That is late enough to leave a server in peace that answers on the first port.
    pub const fn smart(max_at_once: u8) -> Self {
        Self::staggered(Duration::from_millis(100), max_at_once)
    }
}

/// Microseconds, at most [`Limits::LONGEST`]. (`Duration::as_micros` counts in 128 bits.)
pub(super) const fn micros(duration: Duration) -> u32 {
    let seconds = duration.as_secs();
    if seconds >= Limits::LONGEST.as_secs() {
        return (Limits::LONGEST.as_secs() as u32).saturating_mul(1_000_000);
    }
    (seconds as u32).saturating_mul(1_000_000).saturating_add(duration.subsec_micros())
}

/// A duration of so many microseconds. (`Duration::from_micros` divides in 64 bits.)
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
