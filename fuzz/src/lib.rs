//! What the fuzz targets share.

mod cuts;
mod messages;
mod session;

pub use cuts::Cuts;
pub use messages::{Message, Outcome, read};
pub use session::{Entry, Happened, Side, note, run};

/// What a peer sends for a handshake: version 3, and blocks of zeros, which both sides take.
pub fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * embedded_rtmp::handshake::SCRATCH];
    bytes[0] = 3;
    bytes
}
