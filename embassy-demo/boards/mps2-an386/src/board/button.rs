//! A button: each byte that comes over UART 1 is a press.

use embassy_time::{Duration, Timer};

/// The interval at which the button is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// A CMSDK UART (Cortex-M System Design Kit, section 4.3).
const UART: usize = 0x4000_5000;
const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CTRL: usize = 0x8;
const DIVIDER: usize = 0x10;
const RECEIVED: u32 = 1 << 1;
const ENABLE_RECEIVER: u32 = 1 << 1;

/// The button.
pub struct Button(());

impl Button {
    /// Starts the UART.
    pub fn new() -> Self {
        write(DIVIDER, 16);
        write(CTRL, ENABLE_RECEIVER);
        Self(())
    }

    /// Waits until the button is pressed. The future can be dropped.
    pub async fn pressed(&mut self) {
        while read(STATE) & RECEIVED == 0 {
            Timer::after(INTERVAL).await;
        }
        read(DATA);
    }
}

impl Default for Button {
    fn default() -> Self {
        Self::new()
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: the UART is there, has word registers, and reading them touches no memory.
    unsafe { core::ptr::read_volatile((UART + register) as *const u32) }
}

fn write(register: usize, value: u32) {
    // SAFETY: as above.
    unsafe { core::ptr::write_volatile((UART + register) as *mut u32, value) }
}
