//! Semihosting: the command line, random bytes and an exit code from the host.

use embedded_rtmp_embassy::rand_core::{CryptoRng, RngCore};
use static_cell::StaticCell;

/// 32 random bytes.
///
/// The board has no random number generator, so they are the host's (`/dev/urandom`). A real board
/// reads its own generator here.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    if semihosting::experimental::random::fill_bytes(&mut bytes).is_err() {
        panic!("the host gives no random bytes");
    }
    bytes
}

/// The same as a generator.
pub struct HostRng;

impl RngCore for HostRng {
    fn next_u32(&mut self) -> u32 {
        let [a, b, c, d, ..] = random();
        u32::from_le_bytes([a, b, c, d])
    }

    fn next_u64(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = random();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(32) {
            part.copy_from_slice(&random()[..part.len()]);
        }
    }
}

impl CryptoRng for HostRng {}

/// The longest command line.
pub const ARGUMENTS: usize = 512;

/// The words behind QEMU's `-append`.
pub fn arguments() -> Option<semihosting::experimental::env::Args<ARGUMENTS>> {
    semihosting::experimental::env::args().ok()
}

/// The first word behind QEMU's `-append`, for an image that takes one argument. It can be called once.
pub fn argument() -> Option<&'static str> {
    static WORDS: StaticCell<semihosting::experimental::env::Args<{ super::host::ARGUMENTS }>> = StaticCell::new();
    // The first word is the image's name.
    (&*WORDS.init(arguments()?)).filter_map(Result::ok).nth(1)
}

pub use semihosting::process::exit;
