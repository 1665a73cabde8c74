//! A button: each byte that comes over UART 1 is a press.

use embassy_time::{Duration, Timer};

use super::Mmio;

/// The interval at which the button is checked.
const INTERVAL: Duration = Duration::from_millis(20);

/// A CMSDK UART (Cortex-M System Design Kit, section 4.3).
// SAFETY: it is there, with word registers, and does not touch memory.
const UART: Mmio = unsafe { Mmio::new(0x4000_5000) };
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
        UART.write(DIVIDER, 16);
        UART.write(CTRL, ENABLE_RECEIVER);
        Self(())
    }

    /// Waits until the button is pressed. The future can be dropped.
    pub async fn pressed(&mut self) {
        while UART.read(STATE) & RECEIVED == 0 {
            Timer::after(INTERVAL).await;
        }
        UART.read(DATA);
    }
}

impl Default for Button {
    fn default() -> Self {
        Self::new()
    }
}
