//! The clock: one CMSDK timer counts down all its 32 bits again and again, the other one counts down to the next alarm.

use core::cell::RefCell;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use super::{Interrupt, Mmio, unmask};

/// Counts for each microsecond: the timers run at 25 MHz.
const COUNTS: u64 = 25;

// SAFETY: both timers are there, with word registers, and do not touch memory.
const CLOCK: Mmio = unsafe { Mmio::new(0x4000_0000) };
const ALARM: Mmio = unsafe { Mmio::new(0x4000_1000) };

// The registers of a CMSDK timer (Cortex-M System Design Kit, section 4.4).
const CTRL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
/// Reads: whether the interrupt is pending. Writing 1 clears it.
const INTERRUPT: usize = 0xC;
const ENABLE: u32 = 1;
const ENABLE_INTERRUPT: u32 = 1 << 3;

struct Clock {
    /// The number of times that the clock has wrapped.
    rounds: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TIME: Clock = Clock {
    rounds: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Starts the clock; before that it stands still.
pub fn start() {
    CLOCK.write(RELOAD, u32::MAX);
    CLOCK.write(VALUE, u32::MAX);
    CLOCK.write(CTRL, ENABLE | ENABLE_INTERRUPT);
    unmask(Interrupt::Timer0);
    unmask(Interrupt::Timer1);
}

/// Counts of 25 MHz since the start.
pub fn counts() -> u64 {
    let (rounds, count) = read();
    u64::from(rounds) << 32 | u64::from(count)
}

/// The number of times that the clock has wrapped, and its counts since then.
fn read() -> (u32, u32) {
    critical_section::with(|_| {
        let mut value = CLOCK.read(VALUE);
        let mut rounds = TIME.rounds.load(Ordering::Relaxed);
        if CLOCK.read(INTERRUPT) != 0 {
            // The clock has wrapped, and the handler could not run yet. The value may have been read before the wrap.
            value = CLOCK.read(VALUE);
            rounds = rounds.wrapping_add(1);
        }
        (rounds, u32::MAX - value)
    })
}

/// Returns the ticks of the clock after this number of counts.
///
/// At 1 MHz a round is 25 times so many counts and 21 more. (The processor divides 32 bits at once; 64 take a hundred
/// instructions, and everybody asks for the time.) At another frequency 64 bits are divided.
const fn ticks(rounds: u32, count: u32) -> u64 {
    const ROUND: u64 = 1 << 32;
    if TICK_HZ == 1_000_000 {
        let rest = (count % COUNTS as u32 + rounds * (ROUND % COUNTS) as u32) / COUNTS as u32;
        return rounds as u64 * (ROUND / COUNTS) + (count / COUNTS as u32) as u64 + rest as u64;
    }
    let (counts, per_tick) = ((rounds as u64) << 32 | count as u64, PER_TICKS);
    counts / per_tick.0 * per_tick.1 + counts % per_tick.0 * per_tick.1 / per_tick.0
}

/// The ratio of counts to ticks, in lowest terms.
const PER_TICKS: (u64, u64) = {
    let (mut counts, mut ticks) = (COUNTS * 1_000_000, TICK_HZ);
    while counts.is_multiple_of(2) && ticks.is_multiple_of(2) {
        (counts, ticks) = (counts / 2, ticks / 2);
    }
    (counts, ticks)
};

const _: () = {
    if TICK_HZ == 1_000_000 {
        assert!(ticks(0, 49) == 1 && ticks(1, 3) == (1 << 32) / 25 && ticks(1, 4) == ((1 << 32) + 4) / 25);
        assert!(ticks(7, u32::MAX) == (8 * (1 << 32) - 1) / 25);
    } else if TICK_HZ == 32_768 {
        assert!(ticks(0, 762) == 0 && ticks(0, 763) == 1 && ticks(0, 25_000_000) == 32_768);
        assert!(ticks(25, 0) == 25 * (1 << 32) * 512 / 390_625);
    }
};

impl Clock {
    /// Sets the alarm for the earliest timer.
    fn arm(&self, queue: &mut Queue) {
        loop {
            let now = self.now();
            let next = queue.next_expiration(now);
            ALARM.write(CTRL, 0);
            ALARM.write(INTERRUPT, 1);
            if next == u64::MAX {
                return;
            }
            let now = self.now();
            if next <= now {
                continue;
            }
            // A time that is farther away needs several alarms.
            let (counts, ticks) = PER_TICKS;
            let counts = ((next - now).saturating_mul(counts).div_ceil(ticks)).min(u64::from(u32::MAX));
            ALARM.write(RELOAD, 0);
            ALARM.write(VALUE, counts as u32);
            ALARM.write(CTRL, ENABLE | ENABLE_INTERRUPT);
            return;
        }
    }

    fn on_alarm(&self, section: CriticalSection<'_>) {
        self.arm(&mut self.queue.borrow_ref_mut(section));
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        let (rounds, count) = read();
        ticks(rounds, count)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let mut queue = self.queue.borrow_ref_mut(section);
            if queue.schedule_wake(at, waker) {
                self.arm(&mut queue);
            }
        });
    }
}

#[unsafe(export_name = "TIMER0")]
extern "C" fn on_round() {
    critical_section::with(|_| {
        CLOCK.write(INTERRUPT, 1);
        TIME.rounds.store(TIME.rounds.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    });
}

#[unsafe(export_name = "TIMER1")]
extern "C" fn on_alarm() {
    critical_section::with(|section| TIME.on_alarm(section));
}
