//! The core's instants from embassy's clock, and timers for them.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_time::{Duration, Timer};
use embedded_rtmp::time::Instant;

/// The current time.
pub(crate) fn clock() -> Instant {
    // Not inlined, because the conversion takes divisions. It returns a number, because a number fits into registers and an
    // instant does not.
    #[inline(never)]
    fn micros() -> u64 {
        embassy_time::Instant::now().as_micros()
    }
    Instant::from_micros(micros())
}

/// A year. A longer time limit never expires. (`Duration::as_micros` overflows if the tick is longer than a microsecond and
/// the time is `Duration::MAX`; embassy-net calls it, too.)
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Returns the instant `time` after `now`. If `time` is longer than [`LONGEST`], returns the last instant, which never
/// comes.
pub(crate) fn later(now: Instant, time: Duration) -> Instant {
    #[inline(never)]
    fn sum(now: u64, time: Duration) -> u64 {
        if time > LONGEST { u64::MAX } else { now.saturating_add(time.as_micros()) }
    }
    Instant::from_micros(sum(now.as_micros(), time))
}

/// Returns whether a deadline has passed. If not, the task is woken when it passes.
#[inline(never)]
pub(crate) fn has_passed(deadline: Instant, cx: &mut Context<'_>) -> bool {
    let passed = clock() >= deadline;
    if !passed {
        wake_at(deadline, cx);
    }
    passed
}

/// Waits until an instant. If the clock cannot represent it, waits for ever.
pub(crate) fn passed(at: Instant) -> impl Future<Output = ()> {
    poll_fn(move |cx| if has_passed(at, cx) { Poll::Ready(()) } else { Poll::Pending })
}

/// Wakes the task at `at`, not earlier. If that time has passed, wakes it at once.
// Not inlined, because it has many callers.
#[inline(never)]
pub(crate) fn wake_at(at: Instant, cx: &mut Context<'_>) {
    // The conversion rounds down to a whole tick. An instant that overflows never comes.
    let Some(at) = embassy_time::Instant::try_from_micros(at.as_micros()) else { return };
    let _ = pin!(Timer::at(embassy_time::Instant::from_ticks(at.as_ticks().saturating_add(1)))).poll(cx);
}
