//! Code that the fuzz targets share.

mod application;
mod clock;
mod cuts;
mod der;
mod http;
mod messages;
pub mod rtmpe;
mod session;

pub use application::{Application, serving};
pub use clock::poll_until_idle;
pub use cuts::Cuts;
pub use der::{has_signed_part, spki};
pub use http::head;
pub use messages::{Message, Outcome, read};
pub use session::{Entry, Happened, Side, note, run};

/// The length of a whole handshake in one direction.
pub const WHOLE: usize = 1 + 2 * embedded_rtmp::handshake::SCRATCH;

/// The handshake of a peer: version 3, and blocks of zeros, which both sides accept.
pub fn handshake() -> Vec<u8> {
    let mut bytes = vec![0; WHOLE];
    bytes[0] = 3;
    bytes
}
