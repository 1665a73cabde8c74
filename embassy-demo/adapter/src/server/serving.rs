//! A server session on its transport.

use core::task::{Context, Poll};

use embedded_rtmp::session::Server;

use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::server::handler::{Handler, SessionId};
use crate::server::relay::{Application, Relay};
use crate::server::requests::take_in;
use crate::transport::Transport;

/// Handles input, sends output, handles timeouts, and registers the task's waker.
///
/// # Errors
/// The session has failed, or the connection has ended. Everything that arrived before has been handled.
pub(crate) fn advance<const STREAMS: usize, T: Transport>(
    id: SessionId,
    link: &mut T,
    session: &mut Server<'_, STREAMS>,
    application: &mut Application,
    relay: &mut Relay<'_, '_>,
    handler: &mut dyn Handler,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    let now = clock();
    loop {
        // Until nothing is left, or an answer must be sent first. At the end of the ring, input lies in two parts.
        let (mut is_drained, mut end) = (false, None);
        while !is_drained && handler.poll_ready(id, cx).is_ready() {
            let mut result = Ok(());
            let read = link.poll_read(cx, &mut |input| {
                let mut rest = &*input;
                result = take_in(id, session, application, relay, handler, now, &mut rest);
                input.len() - rest.len()
            });
            result?;
            match read {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(_)) => break,
                Poll::Ready(Err(why)) => {
                    end = Some(why);
                    break;
                }
                Poll::Pending => is_drained = true,
            }
        }
        let written = match relay.player(id) {
            Some(player) => {
                if !link.has_room() {
                    // A player that is too slow must be found also without room.
                    relay.pump(player, session, now, &mut [])?;
                }
                let mut result = Ok(());
                let written = link.poll_write(cx, &mut |out| {
                    let pumped = relay.pump(player, session, now, out);
                    let written = *pumped.as_ref().unwrap_or(&0);
                    result = pumped.map(drop);
                    written
                });
                result?;
                if let Some(played) = relay.directory.settle(player) {
                    handler.played(id, played);
                    continue;
                }
                written
            }
            None if session.wants_transmit() => {
                // The time limit of a client that makes no room starts, too.
                let _ = session.poll_transmit(now, &mut []);
                link.poll_write(cx, &mut |out| session.poll_transmit(now, out))
            }
            None => Poll::Pending,
        };
        if matches!(written, Poll::Ready(Ok(1..))) {
            continue;
        }
        // Input before a reset stays unread if an answer had to be sent first.
        if end.is_none()
            && !is_drained
            && !session.wants_input()
            && let Poll::Ready(gone) = link.poll_gone(cx)
        {
            end = Some(gone);
        }
        if let Some(end) = end {
            return Err(end.into());
        }
        if session.is_closed() {
            // The client was rejected, and has been told.
            return Err(Error::Closed);
        }
        match session.poll_timeout() {
            Some(at) if at <= now => {
                session.handle_timeout(now)?;
                continue;
            }
            Some(at) => wake_at(at, cx),
            None => {}
        }
        return Ok(());
    }
}
