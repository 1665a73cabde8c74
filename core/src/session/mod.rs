//! Sessions: who may say what, and when (RTMP 1.0, sections 5 to 7).
//!
//! [`Client`] connects, publishes and plays, [`Server`] takes a client that does. Both are driven alike:
//!
//! ```text
//!              bytes received                    events, borrowed from the input
//!  socket ───────────────────► next_event() ───────────────────────────────────► application
//!    ▲                                                                               │
//!    │   bytes to send         poll_transmit()          requests: connect, publish   │
//!    └─────────────────────────poll_media() ◄────────── accept, begin_media ─────────┘
//!
//!  clock ──────────────────► handle_timeout(), when poll_timeout() says
//! ```
//!
//! Call `next_event` with what has been received until it gives `None`, then `poll_transmit` until it gives 0, then ask
//! `poll_timeout` when to come back at the latest. Input may stop at any byte, and output fills whatever space there is.
//! `next_event` takes from the front of the slice what it has used. Where it gives `None` and leaves something there,
//! `wants_input` is false: output must drain first, or the application has been asked something. Not calling is back
//! pressure.

mod client;
mod config;
mod error;
mod event;
mod flow;
mod link;
mod outgoing;
pub mod pressure;
mod queue;
mod server;
mod verbs;
mod wire;

pub use client::Client;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConfigError, Error, RequestError, Stage};
pub use event::{ClientEvent, ServerEvent};
pub use server::{MESSAGE_STREAMS, Server};

use crate::fmt::brief;
use crate::handshake;

/// The memory that a session is lent.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// First the handshake's, which takes 1,536 bytes; then for incoming commands that come in pieces. A command that
    /// does not fit is passed over, and 1,536 bytes are enough for all that clients and servers are known to send.
    pub scratch: &'b mut [u8],
    /// Outgoing control messages and commands, until the socket takes them. A server needs [`MIN_CONTROL`] bytes, a client
    /// the same, or 192 and 129/64 of the length of its stream key where that is more; `connect` with its URL must fit too.
    pub control: &'b mut [u8],
}

brief!(
    ['b] Buffers<'b>,
    this => "Buffers {{ scratch: {} bytes, control: {} bytes }}", this.scratch.len(), this.control.len()
);

/// The least size of [`Buffers::control`], in bytes.
pub const MIN_CONTROL: usize = server::RESERVE;

impl Buffers<'_> {
    fn check(&self) -> Result<(), ConfigError> {
        if self.scratch.len() < handshake::SCRATCH {
            return Err(ConfigError::Scratch(handshake::SCRATCH));
        }
        if self.control.len() < MIN_CONTROL {
            return Err(ConfigError::Control(MIN_CONTROL));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
