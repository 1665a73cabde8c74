//! The wakers of the tasks that use a stream.

use core::task::{Context, Waker};

use embassy_time::Duration;

use crate::clock::{clock, later, wake_at};

/// Tasks that are woken when the status changes, a keyframe is wanted, or the runner stops.
const WATCHERS: usize = 4;
/// A task for whose waker there is no room is polled again after this time.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// The waker of one task. A new waker replaces it without waking it.
pub(crate) struct TaskWaker(Option<Waker>);

impl TaskWaker {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn register(&mut self, waker: &Waker) {
        match &mut self.0 {
            Some(registered) => registered.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    #[inline(never)]
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.0 {
            waker.wake_by_ref();
        }
    }
}

/// The wakers of several tasks.
pub(crate) struct Watchers([Option<Waker>; WATCHERS]);

impl Watchers {
    pub(crate) const NONE: Self = Self([const { None }; WATCHERS]);

    #[inline(never)]
    pub(crate) fn register(&mut self, cx: &mut Context<'_>) {
        let waker = cx.waker();
        if self.0.iter().flatten().any(|registered| registered.will_wake(waker)) {
            return;
        }
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker.clone()),
            None => wake_at(later(clock(), WATCH_INTERVAL), cx),
        }
    }

    #[inline(never)]
    pub(crate) fn wake(&mut self) {
        self.0.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}
