//! What becomes of the frames, one by one.

use core::task::{Context, Poll};

use super::Frame;
use super::air::{Air, Phase};
use crate::client::message::Message;
use crate::clock::clock;
use crate::transport::Transport;

impl Air<'_, '_, '_> {
    /// Takes note of a frame; answers whether it is to be sent.
    pub(super) fn admits(&mut self, frame: &Frame<'_>) -> bool {
        self.last = frame.timestamp;
        let tally = self.gear.counters.tally(frame.kind);
        tally.taken = tally.taken.wrapping_add(1);
        let now = clock().as_millis() as u32;
        self.phase == Phase::OnAir && self.pressure.admits(frame.kind, frame.timestamp, &frame.start(), now)
    }

    /// Sends a frame; what ends the connection ends this. One that `counts` is no header.
    pub(super) fn poll_send(&mut self, frame: &Frame<'_>, counts: bool, cx: &mut Context<'_>) -> Poll<()> {
        let message = match Message::new(frame.kind, self.last, &frame.parts) {
            Ok(message) => message,
            Err(error) => {
                self.connection.end(error.into());
                return Poll::Ready(());
            }
        };
        loop {
            if self.connection.advance(cx).is_err() {
                return Poll::Ready(());
            }
            if !self.connection.transport.has_room() {
                return Poll::Pending;
            }
            match self.connection.put(&mut self.begun, &message, usize::MAX) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => {
                    self.connection.end(error.into());
                }
            }
        }
        if counts {
            let tally = self.gear.counters.tally(frame.kind);
            tally.sent = tally.sent.wrapping_add(1);
            self.gear.counters.bytes = self.gear.counters.bytes.wrapping_add(message.length.into());
        }
        Poll::Ready(())
    }
}
