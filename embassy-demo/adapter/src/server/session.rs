//! A session of a server, over any transport.

use core::task::{Context, Poll};

#[cfg(feature = "enhanced")]
use embedded_rtmp::command::{Capabilities, Extensions, PeerCapabilities, ReconnectRequest};
use embedded_rtmp::command::{Status, code};
#[cfg(feature = "enhanced")]
use embedded_rtmp::relay::Directory;
use embedded_rtmp::relay::{PublishAnswer, Publisher, RelayRejection};
use embedded_rtmp::session::{RequestError, Server, ServerConfig, ServerEvent};

use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::info;
use crate::server::handler::{Origin, Rejection, SessionId};
use crate::server::relay::{Application, Order, Relay, peer};
use crate::transport::Transport;
use crate::transport::keys::Keys;

/// The description of the answer to a seek or a switch, which the server does not support.
const LIVE: &str = "The stream is live.";

/// What the answer to a client that handles requests to reconnect announces: everything is passed on unchanged, to players or
/// to the handler, and the server may send such a request.
#[cfg(feature = "enhanced")]
const CAPABILITIES: Capabilities<'_> = Capabilities {
    extensions: Capabilities::PASSES_ON.extensions.with(Extensions::RECONNECT),
    ..Capabilities::PASSES_ON
};

/// A session, or the memory for one.
pub(crate) struct Session<'a, const STREAMS: usize> {
    pub(crate) id: SessionId,
    pub(crate) server: Server<'a, STREAMS>,
    /// The keys of RTMPE.
    pub(crate) keys: Keys,
    application: Application,
    /// A publish waits. Until it is accepted or rejected, nothing is read.
    pub(crate) waits: bool,
    /// The bytes that were sent, and the bytes that were acknowledged at the last deadline, modulo 2³².
    sent: u32,
    acknowledged: u32,
}

impl<'a, const STREAMS: usize> Session<'a, STREAMS> {
    /// Creates the memory for a session.
    pub(crate) const fn new(id: SessionId, server: Server<'a, STREAMS>) -> Self {
        Self { id, server, keys: Keys::None, application: Application::new(), waits: false, sent: 0, acknowledged: 0 }
    }

    /// A client has connected.
    #[cold]
    pub(crate) fn open(&mut self, from: Origin, config: ServerConfig, relay: &mut Relay<'_, '_>) {
        relay.opened(self.id, from);
        (self.waits, self.sent, self.acknowledged, self.keys) = (false, 0, 0, Keys::None);
        // The server has checked the configuration.
        let _ = self.server.restart(config, &relay.handler.entropy());
        // This also starts the time limit of a client that sends nothing.
        let _ = self.server.poll_transmit(relay.now, &mut []);
    }

    /// Returns whether the client publishes, plays, or waits for the answer to `publish`.
    pub(crate) fn is_active(&self) -> bool {
        self.waits || self.server.is_active()
    }

    /// Asks the client to connect again, if it handles such a request and publishes or plays. What it publishes is handed over
    /// to the next publisher. Returns whether it was asked.
    #[cfg(feature = "enhanced")]
    pub(crate) fn request_reconnect(
        &mut self,
        request: &ReconnectRequest<'_>,
        directory: &mut Directory<'_, '_>,
    ) -> bool {
        let is_asked = self.is_active() && self.server.request_reconnect(request).is_ok();
        if is_asked {
            directory.hand_over(peer(self.id));
        }
        is_asked
    }

    /// The session is over.
    #[cold]
    pub(crate) fn end(&mut self, relay: &mut Relay<'_, '_>, why: &Error) {
        info!("session {}: {}", self.id.0, *why);
        relay.unpublish(peer(self.id), None);
        relay.leave(self.id);
        relay.closed(self.id, why);
    }

    /// The handler is not ready, so nothing is read. That is not the client's silence.
    pub(crate) fn note_paused(&mut self, relay: &mut Relay<'_, '_>) {
        relay.heard(peer(self.id));
        self.server.note_paused(relay.now);
    }

    /// Lets the session handle bytes at the front of `input`. Returns how many it has consumed.
    #[inline(always)]
    pub(crate) fn take(&mut self, relay: &mut Relay<'_, '_>, input: &mut [u8]) -> (usize, Result<(), Error>) {
        let Self { id, server, keys, application, waits, .. } = self;
        let mut result = Ok(());
        let taken = keys.read(input, |rest| result = handle_events(*id, server, application, waits, relay, rest));
        (taken, result)
    }

    /// Agrees with a client of RTMPE on keys, or makes a key pair first.
    #[cfg(feature = "rtmpe")]
    pub(crate) fn agree(&mut self, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) {
        if self.server.awaits_keys() && !self.keys.agree(&mut self.server, relay.now) {
            relay.make_keys(&mut self.keys, cx);
        }
    }

    /// Handles input, sends output, handles timeouts, and registers the task's waker.
    ///
    /// # Errors
    /// The session has failed, or the connection has ended. Everything that arrived before has been handled.
    pub(crate) fn advance<T: Transport>(
        &mut self,
        link: &mut T,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        let (id, now) = (self.id, relay.now);
        loop {
            self.obey(relay)?;
            // Repeat until no input is left, or an answer must be sent first. Input that wraps around the ring is in two parts.
            let (mut is_drained, mut end) = (false, None);
            while !is_drained {
                if relay.handler.poll_ready(id, cx).is_pending() {
                    self.note_paused(relay);
                    break;
                }
                let mut result = Ok(());
                let read = link.poll_read(cx, &mut |input| {
                    let (taken, taken_in) = self.take(relay, input);
                    result = taken_in;
                    taken
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
            #[cfg(feature = "rtmpe")]
            self.agree(relay, cx);
            let Self { server, keys, .. } = self;
            let player = relay.player(id);
            if player.is_some() || server.wants_transmit() {
                if !link.has_room() {
                    // A player that is too slow must be found even if there is no room. The time limit of a client that
                    // makes no room starts, too.
                    relay.pump(player, server, &mut [])?;
                }
                let mut pumped = Ok(0);
                let written = link.poll_write(cx, &mut |out| {
                    pumped = relay.pump(player, server, out);
                    keys.write(out, *pumped.as_ref().unwrap_or(&0))
                });
                if let Poll::Ready(Ok(written)) = written {
                    self.sent = self.sent.wrapping_add(u32::try_from(written).unwrap_or_default());
                }
                pumped?;
                if relay.settle(id, player) || matches!(written, Poll::Ready(Ok(1..))) {
                    continue;
                }
            }
            // Input before a reset stays unread if an answer had to be sent first.
            if end.is_none()
                && !is_drained
                && !server.wants_input()
                && let Poll::Ready(gone) = link.poll_gone(cx)
            {
                end = Some(gone);
            }
            if let Some(end) = end {
                return Err(end.into());
            }
            if server.is_closed() {
                // The client was rejected or replaced, and has been told.
                return Err(Error::Closed);
            }
            match server.poll_timeout() {
                Some(at) if at <= now => {
                    let queued = link.unacknowledged().and_then(|queued| u32::try_from(queued).ok());
                    let acknowledged = queued.map_or(self.acknowledged, |queued| self.sent.wrapping_sub(queued));
                    if core::mem::replace(&mut self.acknowledged, acknowledged) != acknowledged {
                        server.note_acknowledged(now);
                    }
                    server.handle_timeout(now)?;
                    continue;
                }
                Some(at) => wake_at(at, cx),
                None => {}
            }
            return Ok(());
        }
    }

    /// Carries out what the relay has decided about the session's publications.
    ///
    /// # Errors
    /// The control buffer has no room, or the session cannot be closed in good order.
    pub(crate) fn obey(&mut self, relay: &mut Relay<'_, '_>) -> Result<(), RequestError> {
        if relay.has_orders() { self.carry_out(relay) } else { Ok(()) }
    }

    // Not inlined, because sessions seldom have orders.
    #[inline(never)]
    fn carry_out(&mut self, relay: &mut Relay<'_, '_>) -> Result<(), RequestError> {
        while let Some((stream, order)) = relay.take_order(peer(self.id)) {
            match order {
                Order::Accept => {
                    self.waits = false;
                    self.server.accept(stream)?;
                }
                Order::Reject => {
                    self.waits = false;
                    relay.handler.unpublished(self.id, stream);
                    self.server.reject(stream, code::PUBLISH_BAD_NAME, RelayRejection::Taken.description())?;
                }
                Order::Close => {
                    relay.handler.unpublished(self.id, stream);
                    self.server.close()?;
                }
                // If there is no room for a ping, the client reads nothing, so it counts as silent.
                Order::Ping => _ = self.server.ping(relay.now),
            }
        }
        Ok(())
    }
}

/// Handles the events in `input`, and answers requests.
///
/// # Errors
/// The session has failed.
fn handle_events<const STREAMS: usize>(
    id: SessionId,
    server: &mut Server<'_, STREAMS>,
    application: &mut Application,
    waits: &mut bool,
    relay: &mut Relay<'_, '_>,
    input: &mut &[u8],
) -> Result<(), Error> {
    let (now, before) = (relay.now, input.len());
    while let Some(event) = server.next_event(now, input)? {
        match event {
            ServerEvent::Media(fragment) => {
                relay.push(id, &fragment);
                relay.handler.media(id, &fragment);
            }
            ServerEvent::Connect(request) => {
                let (stored, is_on) = (application.set(request.app.as_bytes()), relay.is_on());
                match (relay.handler.connect(id, &request), stored) {
                    (Err(Rejection::Redirect(url)), _) => server.redirect_connect(url)?,
                    (Err(rejection), _) => server.reject_connect(rejection.status("").1)?,
                    (Ok(()), Err(why)) if is_on => server.reject_connect(why.description())?,
                    #[cfg(feature = "enhanced")]
                    (Ok(()), _) if PeerCapabilities::new(request.values()).extensions().has(Extensions::RECONNECT) => {
                        server.accept_connect_with(&CAPABILITIES)?;
                    }
                    (Ok(()), _) => server.accept_connect()?,
                }
            }
            ServerEvent::Publish { stream, request } => {
                let name = application.stream(request.key.as_bytes());
                if let Some(first) = relay.published_by(id, stream, name) {
                    server.accept_again(stream, first)?;
                    continue;
                }
                let answer = match relay.may_publish(name) {
                    Ok(()) => relay.handler.publish(id, stream, name, request.key),
                    Err(why) => Err(why.description().into()),
                };
                if let Err(rejection) = answer {
                    let (code, description) = rejection.status(code::PUBLISH_BAD_NAME);
                    server.reject(stream, code, description)?;
                } else if relay.publish(Publisher { peer: peer(id), stream }, name) == Ok(PublishAnswer::Wait) {
                    *waits = true;
                } else {
                    server.accept(stream)?;
                }
            }
            ServerEvent::Play { stream, request } => {
                let name = application.stream(request.name.as_bytes());
                let (reset, mut answer) = (request.reset, Err("There is nothing to play here.".into()));
                if relay.is_on() {
                    answer = relay.handler.play(id, stream, name, &request);
                }
                if answer.is_ok() {
                    // The new stream replaces the stream that is played, at once or when the current message of that
                    // stream is complete.
                    let played = relay.play(id, stream, name);
                    answer = played.map_err(|why| why.description().into());
                }
                match answer.map_err(|rejection| rejection.status(code::PLAY_FAILED)) {
                    Ok(()) => server.accept_play(stream, reset)?,
                    Err((code, description)) => server.reject(stream, code, description)?,
                }
            }
            ServerEvent::Unpublished(stream) => {
                relay.unpublish(peer(id), Some(stream));
                relay.handler.unpublished(id, stream);
            }
            ServerEvent::Stopped(stream) => relay.stop(id, stream),
            ServerEvent::Pause { paused, .. } => {
                relay.turn(id).into_iter().for_each(|turn| turn.player.pause(paused));
            }
            ServerEvent::Receive { kind, wanted, .. } => {
                relay.turn(id).into_iter().for_each(|turn| turn.player.receive(kind, wanted));
            }
            ServerEvent::Seek { stream, .. } => server.notify(stream, &Status::error(code::SEEK_FAILED, LIVE))?,
            ServerEvent::Switch { stream, .. } => server.notify(stream, &Status::error(code::PLAY_FAILED, LIVE))?,
            _ => {}
        }
    }
    if input.len() < before {
        relay.heard(peer(id));
    }
    Ok(())
}
