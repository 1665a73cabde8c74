//! What stands around the core in an image: memory, a clock, a network, a camera.
//!
//! The entry of each image gets a [`Board`] from nobody knows where, so the optimizer can foresee nothing of it. The
//! image without the core goes through the same motions; what another image is larger by is the core's.
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
    pub client: ClientConfig,
    pub server: ServerConfig,
    pub app: &'static str,
    pub key: &'static str,
    pub url: &'static str,
    pub now: fn() -> Instant,
    /// Fills the front with what was received; answers how much that is.
    pub receive: fn(&mut [u8]) -> usize,
    pub send: fn(&[u8]),
    /// The next frame: its kind, its time in ms, its payload.
    pub frame: fn() -> Option<(u8, u32, &'static [u8])>,
    /// Whether the user has had enough.
    pub is_over: fn() -> bool,
    /// Something to be looked at: a number and some bytes.
    pub show: fn(u32, &[u8]),
    /// Something that must not be left out: its address.
    pub keep: fn(usize),
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    {
        unsafe extern "C" {
            fn a_panic_path_is_left() -> !;
        }
        // SAFETY: it is never called, since nothing that calls it links.
        unsafe { a_panic_path_is_left() }
    }
    #[cfg(not(feature = "no-panic"))]
    loop {}
}

/// A panic path, where that is wanted.
pub fn perhaps_panic(board: &Board) {
    #[cfg(feature = "panic")]
    (board.show)(u32::from(board.input[usize::from(board.output[0]) * 256]), &[]);
    #[cfg(not(feature = "panic"))]
    let _ = board;
}
