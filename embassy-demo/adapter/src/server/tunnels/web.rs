//! One TCP connection that speaks HTTP.

use core::task::Context;
use core::time::Duration;

use embedded_rtmp::session::RequestError;
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{MIN_CONTROL, TunnelConnection, TunnelEvent, TunnelId, TunnelRefusal};

use super::{Place, Tunnels};
use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::fmt::info;
use crate::server::handler::{Handler, Origin};
use crate::server::relay::Relay;
use crate::server::requests::take_in;
use crate::transport::{Tcp, Transport};

/// How often an answer that waits for room is tried again. There is no waker for a ring that has become empty, and has all
/// of its room in one piece.
const AGAIN: Duration = Duration::from_millis(10);

/// A TCP connection whose first byte has not arrived, or that speaks HTTP.
pub(crate) struct Web {
    pub(crate) connection: TunnelConnection,
    pub(crate) from: Origin,
    /// The time limit for the first byte, if that has not arrived.
    pub(crate) until: Option<Instant>,
}

impl<const TUNNELS: usize, const STREAMS: usize> Tunnels<'_, TUNNELS, STREAMS> {
    /// Handles the input, and answers.
    pub(super) fn serve(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        let now = clock();
        if let Some(tunnel) = web.connection.handle_timeout(now, &mut self.table) {
            self.end(tunnel, &Error::Lost, relay, handler);
        }
        loop {
            let mut is_drained = true;
            let taken = link.read(&mut |input| {
                let mut rest = &*input;
                self.take(web, relay, handler, now, &mut rest, cx);
                is_drained = rest.is_empty();
                input.len() - rest.len()
            });
            let (moved, waits) = self.answer(web, link, relay, handler, now);
            if taken > 0 || moved {
                continue;
            }
            if web.connection.is_over() {
                return Err(Error::Closed);
            }
            // After a FIN, a request is still answered; after a reset it is not.
            if !link.may_receive() && !waits || !link.may_send() {
                return Err(link.end().into());
            }
            // Otherwise the answer, or the handler, must come first.
            if is_drained {
                link.wake_when_readable(cx);
            }
            if waits && !link.has_room() {
                link.wake_when_writable(cx);
            }
            let due = if waits { Some(now + AGAIN) } else { web.connection.poll_timeout(&self.table) };
            if let Some(at) = due {
                wake_at(at, cx);
            }
            return Ok(());
        }
    }

    /// Handles requests.
    fn take(
        &mut self,
        web: &mut Web,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        now: Instant,
        input: &mut &[u8],
        cx: &mut Context<'_>,
    ) {
        while let Some(event) = web.connection.next_event(now, input, &mut self.table) {
            match event {
                TunnelEvent::Open => {
                    if let Some(tunnel) = web.connection.open(now, &handler.entropy(), &mut self.table) {
                        self.begin(tunnel, web.from, handler);
                    }
                }
                TunnelEvent::Data(tunnel) => {
                    if handler.poll_ready(self.id(tunnel), cx).is_pending() {
                        return;
                    }
                    match self.hand_on(tunnel, web, relay, handler, now, input) {
                        Ok(true) => {}
                        Ok(false) => return,
                        Err(error) => self.end(tunnel, &error, relay, handler),
                    }
                }
                TunnelEvent::Closed(tunnel) => self.end(tunnel, &Error::Closed, relay, handler),
                TunnelEvent::Refused(why) => {
                    info!("port {}: a request is answered with {}", web.from.port, why);
                    // A client without a tunnel must not occupy a socket.
                    if matches!(why, TunnelRefusal::Page | TunnelRefusal::NotFound | TunnelRefusal::NoTunnel) {
                        web.connection.close_after_answer();
                    }
                }
                _ => {}
            }
        }
    }

    /// Hands bytes to a session. Returns whether it took any.
    fn hand_on(
        &mut self,
        tunnel: TunnelId,
        web: &mut Web,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        now: Instant,
        input: &mut &[u8],
    ) -> Result<bool, Error> {
        let (id, before) = (self.id(tunnel), input.len());
        let Some(Place::Taken(_, session, application)) = self.places.get_mut(tunnel.index()) else {
            return Err(Error::Closed);
        };
        web.connection.receive(now, input, |bytes| take_in(id, session, application, relay, handler, now, bytes))?;
        if input.len() < before {
            return Ok(true);
        }
        if session.is_closed() || !web.connection.answer_early() {
            let stuck = Error::Request(RequestError::ControlBuffer(MIN_CONTROL));
            return Err(if session.is_closed() { Error::Closed } else { stuck });
        }
        Ok(false)
    }

    /// Sends answers. Returns whether anything has changed, and whether an answer waits for room.
    fn answer(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        now: Instant,
    ) -> (bool, bool) {
        let connection = &mut web.connection;
        let tunnel = connection.tunnel(&self.table);
        let id = tunnel.map(|tunnel| self.id(tunnel));
        let place = tunnel.and_then(|tunnel| self.places.get_mut(tunnel.index()));
        let (Some(tunnel), Some(id), Some(Place::Taken(_, session, _))) = (tunnel, id, place) else {
            let mut written = 0;
            if connection.wants_transmit(now, 0) {
                let table = &mut self.table;
                written = link.write(&mut |out| connection.poll_answer(now, out, table, false, |_| 0));
            }
            return (written > 0, connection.wants_transmit(now, 0));
        };
        let (player, mut result, mut wants) = (relay.player(id), Ok(()), session.wants_transmit());
        if let Some(player) = player {
            result = relay.pump(player, session, now, &mut []).map(drop);
            wants = result.is_ok() && (session.wants_transmit() || relay.has_more(player));
        }
        let (mut written, waits) = (0, connection.wants_transmit(now, usize::from(wants)));
        if waits {
            let table = &mut self.table;
            let mut fill = |room: &mut [u8]| match player {
                Some(player) => relay.pump(player, session, now, room).unwrap_or_else(|error| {
                    result = Err(error);
                    0
                }),
                None => session.poll_transmit(now, room),
            };
            written = link.write(&mut |out| connection.poll_answer(now, out, table, wants, &mut fill));
        }
        let error = result.err().or_else(|| session.is_closed().then_some(Error::Closed));
        if let Some(played) = player.and_then(|player| relay.directory.settle(player)) {
            handler.played(id, played);
        }
        if let Some(error) = error {
            self.end(tunnel, &error, relay, handler);
        }
        (written > 0 || error.is_some(), waits)
    }
}
