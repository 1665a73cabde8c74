//! The handshake of a capture, replayed as the side that received it. The output of that side is dropped.

use clap::ValueEnum;
use embedded_rtmp::handshake::{
    DigestScheme, Handshake as Machine, HandshakeConfig, HandshakeError, HandshakeKind, SCRATCH, Style,
};
use embedded_rtmp::time::Instant;
use serde_json::{Value, json};

/// Which side received the captured bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Side {
    /// A client: a server sent them.
    Client,
    /// A server: a client sent them.
    Server,
}

#[derive(Debug)]
pub(super) struct Handshake {
    machine: Machine,
    scratch: Box<[u8; SCRATCH]>,
}

/// The handshake contains times, but nothing depends on them.
const NOW: Instant = Instant::from_millis(0);

impl Handshake {
    pub(super) fn new(side: Side) -> Self {
        let config = match side {
            Side::Client => HandshakeConfig::Client { style: Style::Digest, strict: false },
            Side::Server => HandshakeConfig::SERVER,
        };
        Self { machine: Machine::new(config, 0), scratch: Box::new([0; SCRATCH]) }
    }

    pub(super) fn is_done(&self) -> bool {
        self.machine.is_done()
    }

    /// Consumes the bytes of the handshake from the front of `bytes`.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], show: &mut dyn FnMut(Value)) -> Result<(), HandshakeError> {
        let scratch = self.scratch.as_mut_slice();
        self.machine.next_event(NOW, bytes, scratch)?;
        let mut dropped = [0; 1 + 2 * SCRATCH];
        let _ = self.machine.poll_transmit(NOW, &mut dropped, scratch);
        if self.is_done() {
            show(match self.machine.kind() {
                HandshakeKind::Simple => json!({"handshake": "simple"}),
                HandshakeKind::Digest(DigestScheme::Scheme0) => json!({"handshake": "digest", "scheme": 0}),
                HandshakeKind::Digest(DigestScheme::Scheme1) => json!({"handshake": "digest", "scheme": 1}),
            });
        }
        Ok(())
    }
}
