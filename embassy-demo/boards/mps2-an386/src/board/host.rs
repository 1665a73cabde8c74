//! What the machine's host gives through semihosting: the command line, random bytes, an exit code.

/// 32 random bytes.
///
/// The board has no random number generator, so they are the host's (`/dev/urandom`). A real board has its own, and
/// this is where it would be read.
pub fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    if semihosting::experimental::random::fill_bytes(&mut bytes).is_err() {
        panic!("the host gives no random bytes");
    }
    bytes
}

/// The longest command line.
pub const ARGUMENTS: usize = 512;

/// The words behind QEMU's `-append`.
pub fn arguments() -> Option<semihosting::experimental::env::Args<ARGUMENTS>> {
    semihosting::experimental::env::args().ok()
}

pub use semihosting::process::exit;
