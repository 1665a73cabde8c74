//! The environment of the core in an image: memory, a clock, a network, a camera.
//!
//! The entry of each image gets a [`Board`] from outside, so the optimizer knows nothing about it. The image without the core
//! does the same work around it. The difference in size to another image is that of the core.
#![no_std]

mod drive;
mod log;
mod roles;

pub use drive::Drive;
pub use log::set_logger;
pub use roles::{Wish, ask, metadata};

use embedded_rtmp::session::{ClientConfig, ServerConfig};
use embedded_rtmp::time::Instant;

/// Memory and devices.
pub struct Board {
    pub scratch: [u8; 1536],
    pub control: [u8; 512],
    pub input: [u8; 1460],
    pub output: [u8; 1460],
    pub metadata: [u8; 256],
    pub entropy: [u8; 32],
    pub secret: [u8; 32],
    pub client: ClientConfig,
    pub server: ServerConfig,
    pub app: &'static str,
    pub key: &'static str,
    pub url: &'static str,
    pub now: fn() -> Instant,
    /// Fills the front with received bytes and returns their number.
    pub receive: fn(&mut [u8]) -> usize,
    pub send: fn(&[u8]),
    /// The next frame: its kind, its time in ms, its payload.
    pub frame: fn() -> Option<(u8, u32, &'static [u8])>,
    /// Returns `true` if the user wants to end.
    pub is_over: fn() -> bool,
    /// Uses a number and some bytes, so that they are computed.
    pub show: fn(u32, &[u8]),
    /// Uses an address, so that the code there is linked.
    pub keep: fn(usize),
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            fn a_panic_path_is_left() -> !;
        }
        // SAFETY: it is never called, because an image that calls it does not link.
        unsafe { a_panic_path_is_left() }
    }
    #[cfg(not(feature = "no-panic"))]
    loop {}
}

/// A panic path, for the test that one is detected.
pub fn perhaps_panic(board: &Board) {
    #[cfg(feature = "panic")]
    (board.show)(u32::from(board.input[usize::from(board.output[0]) * 256]), &[]);
    #[cfg(not(feature = "panic"))]
    let _ = board;
}
