//! The hardware of the board: registers, interrupts, clock, sleep and semihosting.

mod button;
pub mod executor;
pub mod host;
mod mmio;
pub mod network;
pub mod stack;
pub mod time;

pub use button::Button;
pub use camera::{Encoder, Microphone};
pub use mmio::Mmio;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embassy_sync::waitqueue::AtomicWaker;

use crate::lan9118::{Buffers, Lan9118};

/// Interrupts, by their numbers.
#[derive(Clone, Copy)]
#[repr(u16)]
pub enum Interrupt {
    /// The clock has wrapped.
    Timer0 = 8,
    /// The next alarm.
    Timer1 = 9,
    /// The Ethernet controller.
    Ethernet = 13,
}

// SAFETY: the numbers are those of the board.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

unsafe extern "C" {
    safe fn TIMER0();
    safe fn TIMER1();
    safe fn ETHERNET();
}

/// The interrupt handlers. The board does not use the other interrupts.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Option<extern "C" fn()>; 14] = {
    let mut table: [Option<extern "C" fn()>; 14] = [None; 14];
    table[8] = Some(TIMER0);
    table[9] = Some(TIMER1);
    table[13] = Some(ETHERNET);
    table
};

/// Lets an interrupt through.
pub fn unmask(interrupt: Interrupt) {
    NVIC::unpend(interrupt);
    // SAFETY: code here relies on a masked interrupt only in critical sections, which mask all interrupts.
    unsafe { NVIC::unmask(interrupt) };
}

/// The Ethernet controller.
// SAFETY: it is there, with word registers, and does not write to memory.
const CONTROLLER: Mmio = unsafe { Mmio::new(0x4020_0000) };

static WAKER: AtomicWaker = AtomicWaker::new();

/// Starts the Ethernet controller and its interrupt.
pub fn ethernet(buffers: &'static mut Buffers) -> Option<Lan9118<'static, Mmio>> {
    let driver = Lan9118::new(CONTROLLER, buffers, &WAKER, [0x52, 0x54, 0x00, 0x12, 0x34, 0x56])?;
    unmask(Interrupt::Ethernet);
    Some(driver)
}

#[unsafe(export_name = "ETHERNET")]
extern "C" fn on_ethernet() {
    Lan9118::disable(&mut { CONTROLLER });
    WAKER.wake();
}
