//! The time driver of the demo and of the adapter's tests, and the executor that drives its clock.
//!
//! Each thread has a clock of its own. In [`block_on`] the clock follows the machine's. In [`block_on_stepped`] it stands
//! still while a task can run, and then jumps to the time of the next timer: a test of hours takes seconds, and its outcome
//! does not depend on the machine's load.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};
use embassy_time_queue_utils::Queue;

/// After this number of polls without a jump, the stepped clock moves on by one tick. Tasks may wait actively for the next
/// tick, as the runner of embassy-net does if a tick is not a whole number of microseconds.
const POLLS_PER_TICK: u32 = 100;

#[derive(Clone, Copy)]
enum Source {
    /// The ticks that have passed.
    Stepped(u64),
    /// The machine's clock at tick 0.
    Machine(Instant),
}

thread_local! {
    static SOURCE: Cell<Source> = const { Cell::new(Source::Stepped(0)) };
    static TIMERS: RefCell<Queue> = const { RefCell::new(Queue::new()) };
}

struct Clock;

time_driver_impl!(static CLOCK: Clock = Clock);

impl Driver for Clock {
    fn now(&self) -> u64 {
        match SOURCE.get() {
            Source::Stepped(now) => now,
            Source::Machine(start) => (start.elapsed().as_nanos() * u128::from(TICK_HZ) / 1_000_000_000) as u64,
        }
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        TIMERS.with_borrow_mut(|timers| timers.schedule_wake(at, waker));
    }
}

/// Records that the future can run, and wakes its thread.
struct Signal {
    is_set: AtomicBool,
    thread: Thread,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.is_set.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future to its end on this thread, in real time. The thread's clock starts at 0.
pub fn block_on<F: Future>(future: F) -> F::Output {
    SOURCE.set(Source::Machine(Instant::now()));
    run(future)
}

/// Runs a future to its end on this thread, in simulated time. The thread's clock continues from its current time.
///
/// # Panics
/// If the future waits and no timer is set.
pub fn block_on_stepped<F: Future>(future: F) -> F::Output {
    run(future)
}

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal { is_set: AtomicBool::new(true), thread: thread::current() });
    let waker = Waker::from(signal.clone());
    let mut polls = 0_u32;
    loop {
        let now = CLOCK.now();
        let next = TIMERS.with_borrow_mut(|timers| timers.next_expiration(now));
        if signal.is_set.swap(false, Ordering::Acquire) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
            polls = polls.wrapping_add(1);
            if polls.is_multiple_of(POLLS_PER_TICK) && matches!(SOURCE.get(), Source::Stepped(_)) {
                SOURCE.set(Source::Stepped(now + 1));
            }
            continue;
        }
        polls = 0;
        match SOURCE.get() {
            Source::Stepped(_) => {
                assert_ne!(next, u64::MAX, "the future waits, and no timer is set");
                SOURCE.set(Source::Stepped(next));
            }
            Source::Machine(_) => {
                let nanos = u128::from(next - now) * 1_000_000_000 / u128::from(TICK_HZ) + 1;
                thread::park_timeout(Duration::from_nanos(nanos.min(u128::from(u64::MAX)) as u64));
            }
        }
    }
}
