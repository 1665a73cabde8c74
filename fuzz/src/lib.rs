//! Code that the fuzz targets share.

mod cuts;
mod http;
mod messages;
mod session;

pub use cuts::Cuts;
pub use http::head;
pub use messages::{Message, Outcome, read};
pub use session::{Entry, Happened, Side, note, run};

/// The handshake of a peer: version 3, and blocks of zeros, which both sides accept.
pub fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; 1 + 2 * embedded_rtmp::handshake::SCRATCH];
    bytes[0] = 3;
    bytes
}
