//! One TCP connection that speaks HTTP.

use core::task::{Context, Poll};
use core::time::Duration;

use embedded_rtmp::session::RequestError;
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{MIN_CONTROL, Protocol, TunnelConnection, TunnelEvent, TunnelId, TunnelRefusal};

use super::Tunnels;
use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::info;
use crate::server::handler::Origin;
use crate::server::relay::Relay;
use crate::server::session::Session;
use crate::transport::{Tcp, Transport};

/// The interval at which an answer that waits for room is tried again. No waker reports that a ring has become empty, and
/// has all of its room in one piece.
const AGAIN: Duration = Duration::from_millis(10);

/// A TCP connection whose first byte has not arrived, or that speaks HTTP.
pub(crate) struct Web {
    pub(crate) connection: TunnelConnection,
    pub(crate) from: Origin,
    /// The tunnel of the last request. It is stored because the connection has no tunnel between two requests.
    pub(crate) last: Option<TunnelId>,
    /// The first byte has not arrived. This is its time limit, if there is one.
    pub(crate) first_byte: Option<Option<Instant>>,
}

impl<const TUNNELS: usize, const STREAMS: usize> Tunnels<'_, TUNNELS, STREAMS> {
    /// Handles the input, and answers.
    pub(super) fn serve(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let now = relay.now;
        if let Some(until) = web.first_byte {
            let mut first = None;
            link.read(&mut |input| {
                first = input.first().copied();
                0
            });
            match first.map(Protocol::of) {
                Some(Protocol::Http) => web.first_byte = None,
                Some(_) => return Poll::Ready(Ok(())),
                None if !link.may_receive() => return Poll::Ready(Err(link.end().into())),
                None if until.is_some_and(|until| until <= now) => return Poll::Ready(Err(Error::Lost)),
                None => {
                    link.wake_when_readable(cx);
                    until.into_iter().for_each(|until| wake_at(until, cx));
                    return Poll::Pending;
                }
            }
        }
        if let Some(tunnel) = web.connection.handle_timeout(now, &mut self.table) {
            self.end(tunnel, relay, &Error::Lost);
        }
        loop {
            let mut is_drained = true;
            let taken = link.read(&mut |input| {
                let taken = self.take(web, relay, input, cx);
                is_drained = taken == input.len();
                taken
            });
            #[cfg(feature = "rtmpe")]
            if let Some(tunnel) = web.connection.tunnel(&self.table)
                && let Some(session) = self.session(tunnel)
            {
                session.agree(relay, cx);
            }
            let (moved, waits) = self.answer(web, link, relay);
            if taken > 0 || moved {
                continue;
            }
            if web.connection.is_over() {
                return Poll::Ready(Err(Error::Closed));
            }
            // After a FIN, a request is still answered; after a reset it is not.
            if !link.may_receive() && !waits || !link.may_send() {
                return Poll::Ready(Err(link.end().into()));
            }
            // Otherwise the answer must be sent first, or the handler must be ready first.
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
            return Poll::Pending;
        }
    }

    /// Handles requests. Returns how many bytes of `input` were consumed.
    fn take(&mut self, web: &mut Web, relay: &mut Relay<'_, '_>, input: &mut [u8], cx: &mut Context<'_>) -> usize {
        let consumed = self.handle(web, relay, input, cx);
        let tunnel = web.connection.tunnel(&self.table).filter(|_| consumed > 0);
        web.last = tunnel.or(web.last);
        // A request shows that the client has received the answer to the previous request.
        if let Some(session) = tunnel.and_then(|tunnel| self.session(tunnel)) {
            session.server.note_acknowledged(relay.now);
        }
        consumed
    }

    fn handle(&mut self, web: &mut Web, relay: &mut Relay<'_, '_>, input: &mut [u8], cx: &mut Context<'_>) -> usize {
        let (now, mut consumed) = (relay.now, 0_usize);
        loop {
            let unread = input.get_mut(consumed..).unwrap_or_default();
            let mut rest = &*unread;
            let event = web.connection.next_event(now, &mut rest, &mut self.table);
            let head = unread.len().saturating_sub(rest.len());
            consumed = consumed.saturating_add(head);
            let Some(event) = event else { return consumed };
            match event {
                TunnelEvent::Open => {
                    if let Some(tunnel) = web.connection.open(now, &relay.handler.entropy(), &mut self.table) {
                        self.begin(tunnel, web.from, relay);
                    }
                }
                TunnelEvent::Data(tunnel) => {
                    let data = unread.get_mut(head..).unwrap_or_default();
                    let (taken, result) = self.hand_on(tunnel, web, relay, data, cx);
                    consumed = consumed.saturating_add(taken);
                    match result {
                        Err(why) => self.end(tunnel, relay, &why),
                        Ok(()) if taken == 0 => return consumed,
                        Ok(()) => {}
                    }
                }
                TunnelEvent::Closed(tunnel) => self.end(tunnel, relay, &Error::Closed),
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

    /// Passes bytes to a session. Returns how many it has consumed.
    fn hand_on(
        &mut self,
        tunnel: TunnelId,
        web: &mut Web,
        relay: &mut Relay<'_, '_>,
        input: &mut [u8],
        cx: &mut Context<'_>,
    ) -> (usize, Result<(), Error>) {
        let Some(session) = self.session(tunnel) else { return (0, Err(Error::Closed)) };
        if session.waits {
            return (0, Ok(()));
        }
        if relay.handler.poll_ready(session.id, cx).is_pending() {
            session.note_paused(relay);
            return (0, Ok(()));
        }
        let mut result = Ok(());
        let taken = web.connection.receive_in_place(relay.now, input, |bytes| {
            let (taken, taken_in) = session.take(relay, bytes);
            result = taken_in;
            taken
        });
        if taken == 0 && result.is_ok() {
            if session.server.is_closed() {
                result = Err(Error::Closed);
            } else if !web.connection.answer_early() {
                result = Err(Error::Request(RequestError::ControlBuffer(MIN_CONTROL)));
            }
        }
        (taken, result)
    }

    /// Sends answers. Returns whether anything has changed, and whether an answer waits for room.
    fn answer(&mut self, web: &mut Web, link: &mut Tcp<'_>, relay: &mut Relay<'_, '_>) -> (bool, bool) {
        let (connection, now) = (&mut web.connection, relay.now);
        let tunnel = connection.tunnel(&self.table);
        let place = tunnel.and_then(|tunnel| self.places.get_mut(tunnel.index()));
        let (Some(tunnel), Some(place)) = (tunnel, place.filter(|place| place.tunnel.is_some())) else {
            let mut written = 0;
            if connection.wants_transmit(now, 0) {
                let table = &mut self.table;
                written = link.write(&mut |out| connection.poll_answer(now, out, table, false, |_| 0));
            }
            return (written > 0, connection.wants_transmit(now, 0));
        };
        let Session { id, server, keys, .. } = &mut place.session;
        let id = *id;
        let player = relay.player(id);
        let mut result = relay.pump(player, server, &mut []).map(drop);
        let wants = result.is_ok() && (server.wants_transmit() || relay.has_more(player));
        let (mut written, waits) = (0, connection.wants_transmit(now, usize::from(wants)));
        if waits {
            let table = &mut self.table;
            let mut fill = |room: &mut [u8]| {
                let pumped = relay.pump(player, server, room);
                let written = pumped.unwrap_or_else(|error| {
                    result = Err(error);
                    0
                });
                keys.write(room, written)
            };
            written = link.write(&mut |out| connection.poll_answer(now, out, table, wants, &mut fill));
        }
        let error = result.err().or_else(|| server.is_closed().then_some(Error::Closed));
        relay.settle(id, player);
        if let Some(error) = error {
            self.end(tunnel, relay, &error);
        }
        (written > 0 || error.is_some(), waits)
    }
}
