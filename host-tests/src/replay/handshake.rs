//! The handshake of a capture: the side that received it is played again; what it would answer goes nowhere.

use embedded_rtmp::handshake::{
    Client, ClientConfig, DigestScheme, HandshakeKind, SCRATCH, Server, ServerConfig, Style,
};
use embedded_rtmp::time::Instant;
use serde_json::{Value, json};

use super::Error;

/// Who received what was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client: it is what a server sent.
    Client,
    /// A server: it is what a client sent.
    Server,
}

#[derive(Debug)]
enum Machine {
    Client(Client),
    Server(Server),
}

#[derive(Debug)]
pub(super) struct Handshake {
    machine: Machine,
    scratch: Box<[u8; SCRATCH]>,
}

/// Times stand in the handshake, but nothing depends on them.
const NOW: Instant = Instant::from_millis(0);

impl Handshake {
    pub(super) fn new(side: Side) -> Self {
        let machine = match side {
            Side::Client => {
                let config = ClientConfig { style: Style::Digest, ..ClientConfig::default() };
                Machine::Client(Client::new(config, 0, NOW))
            }
            Side::Server => Machine::Server(Server::new(ServerConfig::default(), 0)),
        };
        Self { machine, scratch: Box::new([0; SCRATCH]) }
    }

    pub(super) fn is_done(&self) -> bool {
        match &self.machine {
            Machine::Client(client) => client.is_done(),
            Machine::Server(server) => server.is_done(),
        }
    }

    /// Takes what belongs to the handshake off the front of `bytes`.
    pub(super) fn feed(&mut self, bytes: &mut &[u8], show: &mut dyn FnMut(Value)) -> Result<(), Error> {
        let scratch = self.scratch.as_mut_slice();
        let mut nowhere = [0; 1 + 2 * SCRATCH];
        let kind = match &mut self.machine {
            Machine::Client(client) => {
                client.read(NOW, bytes, scratch)?;
                client.transmit(scratch, &mut nowhere);
                client.kind()
            }
            Machine::Server(server) => {
                server.read(bytes, scratch)?;
                server.transmit(scratch, &mut nowhere);
                server.kind()
            }
        };
        if self.is_done() {
            show(match kind {
                HandshakeKind::Simple => json!({"handshake": "simple"}),
                HandshakeKind::Digest(DigestScheme::Scheme0) => json!({"handshake": "digest", "scheme": 0}),
                HandshakeKind::Digest(DigestScheme::Scheme1) => json!({"handshake": "digest", "scheme": 1}),
            });
        }
        Ok(())
    }
}
