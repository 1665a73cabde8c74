//! An executor that sleeps with `wfi`. (embassy's own waits with `wfe`, which QEMU takes for a yield: it spins.)

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll};

use critical_section::Mutex;
use embassy_executor::Spawner;
use embassy_executor::raw::Executor;
use static_cell::StaticCell;

use super::time;

static PENDING: AtomicBool = AtomicBool::new(true);
static ASLEEP: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

#[unsafe(export_name = "__pender")]
fn pend(_: *mut ()) {
    PENDING.store(true, Ordering::Relaxed);
}

/// Counts of 25 MHz that were spent asleep.
pub fn asleep() -> u64 {
    critical_section::with(|section| ASLEEP.borrow(section).get())
}

/// Polls a future in a stack frame of its own: what one part of an image needs there does not add to the others.
pub async fn apart<T>(future: impl Future<Output = T>) -> T {
    #[inline(never)]
    fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        future.poll(cx)
    }
    let mut future = pin!(future);
    poll_fn(|cx| poll(future.as_mut(), cx)).await
}

/// Runs tasks for ever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init_with(|| Executor::new(core::ptr::null_mut()));
    init(executor.spawner());
    loop {
        // SAFETY: the executor is polled only here.
        unsafe { executor.poll() };
        // An interrupt between this check and the sleep stays pending, and ends the sleep at once.
        critical_section::with(|section| {
            if !PENDING.swap(false, Ordering::Relaxed) {
                let begin = time::counts();
                cortex_m::asm::wfi();
                let asleep = ASLEEP.borrow(section);
                asleep.set(asleep.get() + (time::counts() - begin));
            }
        });
    }
}
