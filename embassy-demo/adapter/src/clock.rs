//! The time, as the core counts it, and whom it wakes.

use core::future::Future;
use core::pin::pin;
use core::task::Context;

use embassy_time::{Duration, Timer};
use embedded_rtmp::time::Instant;

/// The time, as the core counts it.
pub(crate) fn clock() -> Instant {
    // A clock takes divisions, which need not be in flash wherever the time is asked for; and a number is handed over in
    // registers, as an instant is not.
    #[inline(never)]
    fn micros() -> u64 {
        embassy_time::Instant::now().as_micros()
    }
    Instant::from_micros(micros())
}

/// The instant so long after `now`; the end of time where that is earlier.
pub(crate) fn later(now: Instant, time: Duration) -> Instant {
    #[inline(never)]
    fn sum(now: u64, time: Duration) -> u64 {
        now.saturating_add(time.as_micros())
    }
    Instant::from_micros(sum(now.as_micros(), time))
}

/// Whether a deadline has passed; if not, the task is woken when it does.
#[inline(never)]
pub(crate) fn has_passed(deadline: Instant, cx: &mut Context<'_>) -> bool {
    let passed = clock() >= deadline;
    if !passed {
        wake_at(deadline, cx);
    }
    passed
}

/// Has the task woken at `at`, never too early; at once if that is past.
// It is called from everywhere.
#[inline(never)]
pub(crate) fn wake_at(at: Instant, cx: &mut Context<'_>) {
    // Ticks are rounded down. What the clock cannot count never comes.
    let Some(at) = embassy_time::Instant::try_from_micros(at.as_micros()) else { return };
    let _ = pin!(Timer::at(embassy_time::Instant::from_ticks(at.as_ticks().saturating_add(1)))).poll(cx);
}
