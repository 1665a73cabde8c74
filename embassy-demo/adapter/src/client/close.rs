//! The end of a connection: in good order, or by a reset.

use core::task::{Context, Poll};

use embassy_time::Duration;

use crate::client::connection::{Connection, Over, Stage};
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::transport::{End, Transport};

/// How long an abandoned connection may take to send its RST.
const RESET_LIMIT: Duration = Duration::from_millis(100);
/// How long the server may take to acknowledge our FIN.
const SENT_LIMIT: Duration = Duration::from_secs(4);
/// How long the server's FIN may take after the server has acknowledged ours.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl<'a, const STREAMS: usize, const PLAYS: usize, T: Transport> Connection<'a, STREAMS, PLAYS, T> {
    /// Begins to end the stream, if there is one, and then the connection. [`Self::poll_closed`] completes this.
    pub(crate) fn close(&mut self) {
        if self.stage > Stage::Playing {
            return;
        }
        if self.failed.is_none()
            && let Err(error) = self.client.close()
        {
            self.end(error.into());
        }
        if self.failed.is_some() || self.stage < Stage::Open {
            return self.reset();
        }
        self.enter(Stage::Unpublish, self.lost_after);
    }

    /// Ends the connection with a reset. [`Self::poll_closed`] waits until the reset is sent.
    pub(crate) fn reset(&mut self) {
        if !matches!(self.stage, Stage::Idle | Stage::Reset) {
            self.transport.abort();
            self.enter(Stage::Reset, RESET_LIMIT);
        }
    }

    /// Ends the connection at once. The server of a tunnel does not see the reset, so it is first told that the tunnel ends.
    pub(crate) fn leave(&mut self) {
        let is_connected = self.failed.is_none() && (Stage::Handshake..=Stage::Playing).contains(&self.stage);
        if !is_connected || !self.transport.leave() {
            return self.reset();
        }
        self.lost_after = CLOSE_LIMIT;
        self.enter(Stage::Sent, SENT_LIMIT);
    }

    #[inline(never)]
    fn enter(&mut self, stage: Stage, limit: Duration) {
        (self.stage, self.until) = (stage, later(clock(), limit));
    }

    /// Waits until a connection that is being closed or reset has ended. If it was closed in good order, [`Self::failed`]
    /// stays empty.
    #[inline(never)]
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let step = match self.stage {
                Stage::Unpublish => self.poll_unpublished(cx),
                Stage::Sent => self.poll_sent(cx),
                Stage::Left | Stage::Reset => self.transport.poll_gone(cx).map(|_| Ok(())),
                _ => return Poll::Ready(()),
            };
            if step.is_pending() && !has_passed(self.until, cx) {
                return Poll::Pending;
            }
            match (self.stage, step) {
                (Stage::Unpublish, Poll::Ready(Ok(()))) => {
                    self.transport.close();
                    self.enter(Stage::Sent, self.lost_after);
                }
                (Stage::Sent, Poll::Ready(Ok(()))) => self.enter(Stage::Left, CLOSE_LIMIT),
                (Stage::Unpublish | Stage::Sent, _) => {
                    self.end(Error::Lost);
                    self.reset();
                }
                // The reset frees the socket of a peer that waits for a delayed acknowledgement.
                (Stage::Left, _) => self.reset(),
                _ => self.stage = Stage::Idle,
            }
        }
    }

    /// Waits until the end of the stream is written.
    fn poll_unpublished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let result = self.advance(cx);
        // The server may close the connection first.
        if !matches!(self.failed, None | Some(Error::Closed)) {
            return Poll::Ready(result);
        }
        if !self.client.wants_transmit() {
            self.failed = None;
            return Poll::Ready(Ok(()));
        }
        if result.is_ok() { Poll::Pending } else { Poll::Ready(result) }
    }

    /// Waits until the peer has acknowledged all written bytes and our FIN.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        match self.transport.poll_gone(cx) {
            Poll::Ready(End::Closed) => Poll::Ready(Ok(())),
            Poll::Ready(end) => Poll::Ready(Err(self.end(end.into()))),
            Poll::Pending if self.transport.unacknowledged() == Some(0) => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }
}
