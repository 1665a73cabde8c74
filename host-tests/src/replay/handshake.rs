//! The handshake of a capture.

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
pub(super) struct Handshake {
    left: usize,
}

impl Handshake {
    pub(super) fn new(_side: Side) -> Self {
        Self { left: 3073 }
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    pub(super) fn feed(&mut self, bytes: &mut &[u8], show: &mut dyn FnMut(Value)) -> Result<(), Error> {
        let taken = bytes.len().min(self.left);
        *bytes = &bytes[taken..];
        self.left -= taken;
        if self.left == 0 {
            show(json!({"handshake": "?"}));
        }
        Ok(())
    }
}
