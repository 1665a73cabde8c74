//! A session of a server, whatever carries its bytes.

use core::task::{Context, Poll};

use embedded_rtmp::command::{Status, code};
use embedded_rtmp::relay::RelayRejection;
use embedded_rtmp::session::{ConfigError, RequestError, Server, ServerConfig, ServerEvent, SessionBuffers};

use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::info;
use crate::server::handler::{Origin, Rejection, SessionId};
use crate::server::relay::{Application, Order, Relay};
use crate::transport::Transport;

/// A session, or the place for one.
pub(crate) struct Session<'a, const STREAMS: usize> {
    pub(crate) id: SessionId,
    pub(crate) server: Server<'a, STREAMS>,
    application: Application,
    /// A publish waits. Until it is accepted or rejected, nothing is read.
    pub(crate) waits: bool,
}

impl<'a, const STREAMS: usize> Session<'a, STREAMS> {
    /// A place for sessions.
    ///
    /// # Errors
    /// A buffer is too small.
    pub(crate) fn new(id: SessionId, buffers: SessionBuffers<'a>) -> Result<Self, ConfigError> {
        let server = Server::new(buffers, ServerConfig::new(), &[0; 32])?;
        Ok(Self { id, server, application: Application::new(), waits: false })
    }

    /// As [`Self::new`], in memory whose sizes were checked when it was compiled.
    pub(crate) fn in_memory(id: SessionId, buffers: SessionBuffers<'a>) -> Self {
        match Self::new(id, buffers) {
            Ok(session) => session,
            Err(_) => unreachable!("memory with buffers that are too small does not compile"),
        }
    }

    /// A client has connected.
    #[cold]
    pub(crate) fn open(&mut self, from: Origin, config: ServerConfig, relay: &mut Relay<'_, '_>) {
        info!("session {}: opened on port {}", self.id.0, from.port);
        relay.handler.opened(self.id, from);
        self.waits = false;
        // The server has checked the configuration.
        let _ = self.server.restart(config, &relay.handler.entropy());
        // The time limit of a client that sends nothing starts, too.
        let _ = self.server.poll_transmit(relay.now, &mut []);
    }

    /// The session is over.
    #[cold]
    pub(crate) fn end(&mut self, relay: &mut Relay<'_, '_>, why: &Error) {
        info!("session {}: {}", self.id.0, *why);
        relay.unpublish(self.id, None);
        relay.leave(self.id);
        relay.handler.closed(self.id, why);
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
            // Until nothing is left, or an answer must be sent first. At the end of the ring, input lies in two parts.
            let (mut is_drained, mut end) = (false, None);
            while !is_drained && relay.handler.poll_ready(id, cx).is_ready() {
                let mut result = Ok(());
                let read = link.poll_read(cx, &mut |input| {
                    let mut rest = &*input;
                    result = self.take_in(relay, &mut rest);
                    input.len().saturating_sub(rest.len())
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
            let server = &mut self.server;
            let written = match relay.player(id) {
                Some(player) => {
                    if !link.has_room() {
                        // A player that is too slow must be found also without room.
                        relay.pump(player, server, &mut [])?;
                    }
                    let mut result = Ok(());
                    let written = link.poll_write(cx, &mut |out| {
                        let pumped = relay.pump(player, server, out);
                        let written = *pumped.as_ref().unwrap_or(&0);
                        result = pumped.map(drop);
                        written
                    });
                    result?;
                    if let Some(played) = relay.directory.settle(player) {
                        relay.handler.played(id, played);
                        continue;
                    }
                    written
                }
                None if server.wants_transmit() => {
                    // The time limit of a client that makes no room starts, too.
                    let _ = server.poll_transmit(now, &mut []);
                    link.poll_write(cx, &mut |out| server.poll_transmit(now, out))
                }
                None => Poll::Pending,
            };
            if matches!(written, Poll::Ready(Ok(1..))) {
                continue;
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
                    server.handle_timeout(now)?;
                    continue;
                }
                Some(at) => wake_at(at, cx),
                None => {}
            }
            return Ok(());
        }
    }

    /// Handles the events in `input`, and answers requests.
    ///
    /// # Errors
    /// The session has failed.
    pub(crate) fn take_in(&mut self, relay: &mut Relay<'_, '_>, input: &mut &[u8]) -> Result<(), Error> {
        let Self { id, server, application, waits } = self;
        let (id, now, before) = (*id, relay.now, input.len());
        loop {
            // Matched in place: an event is large, and there is one for each piece of media.
            match server.next_event(now, input) {
                Ok(Some(ServerEvent::Media(fragment))) => {
                    relay.push(id, &fragment);
                    relay.handler.media(id, &fragment);
                }
                Ok(Some(event)) => {
                    let answered = match event {
                        ServerEvent::Connect(request) => {
                            let (stored, is_on) = (application.set(request.app.as_bytes()), relay.is_on());
                            match (relay.handler.connect(id, &request), stored) {
                                (Err(Rejection::Redirect(url)), _) => server.redirect_connect(url),
                                (Err(rejection), _) => server.reject_connect(rejection.status("").1),
                                (Ok(()), Err(why)) if is_on => server.reject_connect(why.description()),
                                (Ok(()), _) => server.accept_connect(),
                            }
                        }
                        ServerEvent::Publish { stream, request } => {
                            let name = application.stream(request.key.as_bytes());
                            let answer = match relay.may_publish(name) {
                                Ok(()) => relay.handler.publish(id, stream, request.key),
                                Err(why) => Err(why.description().into()),
                            };
                            if let Err(rejection) = answer {
                                let (code, description) = rejection.status(code::PUBLISH_BAD_NAME);
                                server.reject(stream, code, description)
                            } else if relay.publish(id, stream, name) {
                                server.accept(stream)
                            } else {
                                *waits = true;
                                Ok(())
                            }
                        }
                        ServerEvent::Play { stream, request } => {
                            let (reset, mut answer) = (request.reset, Err("There is nothing to play here.".into()));
                            if relay.is_on() {
                                answer = relay.handler.play(id, stream, &request);
                            }
                            if answer.is_ok() {
                                // It replaces the stream that is played, at once or when a message of that is complete.
                                let played = relay.play(id, stream, application.stream(request.name.as_bytes()));
                                answer = played.map_err(|why| why.description().into());
                            }
                            match answer {
                                Ok(()) => server.accept_play(stream, reset),
                                Err(rejection) => {
                                    let (code, description) = rejection.status(code::PLAY_FAILED);
                                    server.reject(stream, code, description)
                                }
                            }
                        }
                        ServerEvent::Unpublished(stream) => {
                            relay.unpublish(id, Some(stream));
                            relay.handler.unpublished(id, stream);
                            Ok(())
                        }
                        ServerEvent::Stopped(stream) => {
                            relay.stop(id, stream);
                            Ok(())
                        }
                        ServerEvent::Pause { paused, .. } => {
                            relay.turn(id).into_iter().for_each(|turn| turn.player.pause(paused));
                            Ok(())
                        }
                        ServerEvent::Receive { kind, wanted, .. } => {
                            relay.turn(id).into_iter().for_each(|turn| turn.player.receive(kind, wanted));
                            Ok(())
                        }
                        ServerEvent::Seek { stream, .. } => {
                            server.notify(stream, &Status::error(code::SEEK_FAILED, "The stream is live."))
                        }
                        ServerEvent::Switch { stream, .. } => {
                            server.notify(stream, &Status::error(code::PLAY_FAILED, "The stream is live."))
                        }
                        _ => Ok(()),
                    };
                    answered?;
                }
                Ok(None) => {
                    if input.len() < before {
                        relay.heard(id);
                    }
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Carries out what the relay has decided about the session's publications.
    // Not inlined, because it seldom has anything to do.
    ///
    /// # Errors
    /// The control buffer has no room, or the session cannot be closed in good order.
    #[inline(never)]
    pub(crate) fn obey(&mut self, relay: &mut Relay<'_, '_>) -> Result<(), RequestError> {
        while let Some((stream, order)) = relay.take_order(self.id) {
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
                // If there is no room for a ping, the client takes nothing: it is silent.
                Order::Ping => _ = self.server.ping(relay.now),
            }
        }
        Ok(())
    }
}
