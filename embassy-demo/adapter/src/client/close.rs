//! The end of a connection: in good order, or by a reset.

use core::task::{Context, Poll};

use embassy_time::Duration;

use crate::client::connection::{Connection, Over, Stage};
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::transport::{End, Transport};

/// How long an abandoned connection may take to send its RST.
const RESET_LIMIT: Duration = Duration::from_millis(100);
/// How long the server's FIN may take after it has acknowledged ours.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// Begins the end: that of the stream, where there is one, and then of the connection. [`Self::poll_closed`] goes on
    /// with it.
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

    /// Ends the connection with a reset. [`Self::poll_closed`] sees to it that this is sent.
    pub(crate) fn reset(&mut self) {
        if !matches!(self.stage, Stage::Idle | Stage::Reset) {
            self.link.abort();
            self.enter(Stage::Reset, RESET_LIMIT);
        }
    }

    /// Ends the connection at once. The server of a tunnel, which would learn nothing from a reset, is told first.
    pub(crate) fn leave(&mut self) {
        if !self.tunnel.is_some()
            || self.failed.is_some()
            || self.stage < Stage::Handshake
            || self.stage > Stage::Playing
        {
            return self.reset();
        }
        self.tunnel.close();
        self.lost_after = CLOSE_LIMIT;
        self.enter(Stage::Hang, CLOSE_LIMIT);
    }

    #[inline(never)]
    fn enter(&mut self, stage: Stage, limit: Duration) {
        (self.stage, self.until) = (stage, later(clock(), limit));
    }

    /// Waits until nothing is left of a connection that is being ended. Where it ended in good order, [`Self::failed`]
    /// stays empty.
    #[inline(never)]
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let step = match self.stage {
                Stage::Unpublish => self.poll_unpublished(cx),
                Stage::Hang => self.poll_hung_up(cx),
                Stage::Sent => self.poll_sent(cx),
                Stage::Left | Stage::Reset => self.link.poll_gone(cx).map(|_| Ok(())),
                _ => return Poll::Ready(()),
            };
            if step.is_pending() && !has_passed(self.until, cx) {
                return Poll::Pending;
            }
            match (self.stage, step) {
                (Stage::Unpublish, Poll::Ready(Ok(()))) => {
                    self.tunnel.close();
                    self.enter(Stage::Hang, CLOSE_LIMIT);
                }
                (Stage::Hang, _) => {
                    self.link.close();
                    self.enter(Stage::Sent, self.lost_after);
                }
                (Stage::Sent, Poll::Ready(Ok(()))) => self.enter(Stage::Left, CLOSE_LIMIT),
                (Stage::Unpublish | Stage::Sent, _) => {
                    self.end(Error::Lost);
                    self.reset();
                }
                (Stage::Left, _) => self.reset(),
                _ => self.stage = Stage::Idle,
            }
        }
    }

    /// Waits until the end of the stream is in the send ring.
    fn poll_unpublished(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        let result = self.advance();
        // The server may be the quicker one.
        if !matches!(self.failed, None | Some(Error::Closed)) {
            return Poll::Ready(result);
        }
        if !self.client.wants_transmit() && self.tunnel.is_settled() {
            self.failed = None;
            return Poll::Ready(Ok(()));
        }
        if result.is_ok() {
            self.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(result)
    }

    /// Waits until the server has acknowledged all that was written, and our end of the connection.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        match self.link.poll_gone(cx) {
            Poll::Ready(End::Lost) => Poll::Ready(Err(self.end(Error::Lost))),
            Poll::Pending if self.link.unacknowledged() != Some(0) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Waits until the server knows that the tunnel is closed.
    fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Over>> {
        if self.tunnel.is_some() && self.advance().is_ok() && !self.tunnel.is_closed() {
            self.register(cx);
            return Poll::Pending;
        }
        if self.tunnel.is_some() {
            self.failed = None;
        }
        Poll::Ready(Ok(()))
    }
}
