//! One of a server's sockets.

use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::Stack;
use embedded_rtmp::session::{Buffers, Server};
use embedded_rtmp::time::Instant;

use crate::buffers::Memory;
use crate::error::Error;
use crate::fmt::info;
use crate::handler::{Handler, Origin, SessionId};
use crate::link::{KeepAlive, Link, Traffic, clock, wake_at};
use crate::listen::Listeners;
use crate::relay::Relay;
use crate::requests::{left, over, take_in};
use crate::server::ServeOptions;

/// How long the end of a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// A socket, and what it does.
pub(crate) struct Slot<'a, const STREAMS: usize> {
    link: Link<'a>,
    /// The port that it listens on.
    port: u16,
    phase: Phase<'a, STREAMS>,
}

#[expect(clippy::large_enum_variant, reason = "there is no heap, and the memory is needed for the largest anyway")]
enum Phase<'a, const STREAMS: usize> {
    /// Between two phases.
    Moving,
    Listening(Buffers<'a>),
    Serving(Server<'a, STREAMS>),
    /// The session is over; the connection is given some time to end in good order.
    Closing(Buffers<'a>, Instant),
}

impl<'a, const STREAMS: usize> Slot<'a, STREAMS> {
    pub(crate) fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
        keep_alive: KeepAlive,
    ) -> Self {
        let (rx, tx, buffers) = memory.split();
        let mut link = Link::new(stack, rx, tx);
        // A client that begins to connect and goes away must not keep the socket for ever.
        link.limit_silence(keep_alive.timeout);
        Self { link, port: 0, phase: Phase::Listening(buffers) }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.link.traffic
    }

    /// Does what there is to do, and has the task woken when there is more.
    pub(crate) fn poll<const SOCKETS: usize>(
        &mut self,
        id: SessionId,
        listeners: &Listeners<'_, SOCKETS>,
        options: &ServeOptions,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) {
        loop {
            let next = match core::mem::replace(&mut self.phase, Phase::Moving) {
                Phase::Moving => return,
                Phase::Listening(buffers) => {
                    if self.poll_listen(usize::from(id.0), listeners, cx).is_pending() {
                        self.phase = Phase::Listening(buffers);
                        return;
                    }
                    self.link.keep_alive(options.keep_alive);
                    let from = Origin { port: self.link.local_port(), remote: self.link.remote() };
                    info!("session {}: opened on port {}", id.0, from.port);
                    handler.opened(id, from);
                    match Server::new(buffers, options.session, &handler.entropy()) {
                        Ok(mut session) => {
                            // Who says nothing at all has no longer than others.
                            let _ = session.poll_transmit(clock(), &mut []);
                            Phase::Serving(session)
                        }
                        // `Memory` cannot be made with sizes that lead here.
                        Err(_) => return,
                    }
                }
                Phase::Serving(mut session) => match self.advance(id, &mut session, relay, handler, cx) {
                    Ok(()) => {
                        self.phase = Phase::Serving(session);
                        return;
                    }
                    Err(error) => {
                        info!("session {}: {}", id.0, error);
                        match error {
                            Error::Closed => self.link.close(),
                            _ => self.link.abort(),
                        }
                        over(id, relay, handler, &error);
                        Phase::Closing(session.into_buffers(), clock() + CLOSE_LIMIT)
                    }
                },
                Phase::Closing(buffers, until) => {
                    if self.link.poll_over(cx).is_pending() && clock() < until {
                        wake_at(until, cx);
                        self.phase = Phase::Closing(buffers, until);
                        return;
                    }
                    Phase::Listening(buffers)
                }
            };
            self.phase = next;
        }
    }

    /// Ends what there is in good order, and listens no more; ready when that is done.
    pub(crate) fn poll_shutdown<const SOCKETS: usize>(
        &mut self,
        id: SessionId,
        listeners: &Listeners<'_, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            let next = match core::mem::replace(&mut self.phase, Phase::Moving) {
                Phase::Moving => return Poll::Ready(()),
                Phase::Listening(buffers) => {
                    if self.link.is_listening() {
                        self.link.abort();
                    }
                    listeners.note(usize::from(id.0), None);
                    self.phase = Phase::Listening(buffers);
                    return Poll::Ready(());
                }
                Phase::Serving(mut session) => {
                    if let Some((playing, _)) = relay.player(id) {
                        playing.stop();
                        // Where there is no room to say so, the FIN says it.
                        let _ = session.end_play(playing.stream());
                    }
                    self.link.write(&mut |out| session.poll_transmit(clock(), out));
                    self.link.close();
                    over(id, relay, handler, &Error::Closed);
                    Phase::Closing(session.into_buffers(), clock() + CLOSE_LIMIT)
                }
                Phase::Closing(buffers, until) => {
                    if self.link.poll_over(cx).is_pending() && clock() < until {
                        wake_at(until, cx);
                        self.phase = Phase::Closing(buffers, until);
                        return Poll::Pending;
                    }
                    self.link.abort();
                    Phase::Listening(buffers)
                }
            };
            self.phase = next;
        }
    }

    /// Listens where listeners are fewest, until there is a connection.
    fn poll_listen<const SOCKETS: usize>(
        &mut self,
        socket: usize,
        listeners: &Listeners<'_, SOCKETS>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some((index, port)) = listeners.choose(socket) else { return Poll::Pending };
        if self.link.is_listening() && self.port != port {
            self.link.abort();
        }
        self.port = port;
        let opened = self.link.poll_accept(port, cx);
        if listeners.note(socket, self.link.is_listening().then_some(index)) {
            // The others may have to move.
            cx.waker().wake_by_ref();
        }
        opened
    }

    /// Takes in what has come, puts out what waits.
    fn advance(
        &mut self,
        id: SessionId,
        session: &mut Server<'a, STREAMS>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        let now = clock();
        if session.poll_timeout().is_some_and(|at| at <= now) {
            session.handle_timeout(now)?;
        }
        loop {
            let mut moved = false;
            let is_ready = handler.poll_ready(id, cx).is_ready();
            if is_ready && session.wants_input() {
                let mut result = Ok(());
                let consumed = self.link.read(&mut |input| {
                    let mut rest = input;
                    result = take_in(id, session, relay, handler, now, &mut rest);
                    input.len() - rest.len()
                });
                result?;
                moved |= consumed > 0;
            }
            let mut plays = false;
            if let Some((playing, channel)) = relay.player(id) {
                plays = true;
                playing.tell(channel, session)?;
                let mut result = Ok(());
                let written = self.link.write(&mut |out| {
                    let pumped = playing.pump(channel, session, now, out);
                    let written = *pumped.as_ref().unwrap_or(&0);
                    result = pumped.map(drop);
                    written
                });
                result?;
                moved |= written > 0;
                if playing.has_left() {
                    left(id, relay, handler);
                }
            } else if session.wants_transmit() {
                moved |= self.link.write(&mut |out| session.poll_transmit(now, out)) > 0;
            }
            if !self.link.may_receive() {
                return Err(self.link.end());
            }
            if session.is_closed() {
                // The client was refused, and has been told.
                return Err(Error::Closed);
            }
            if moved {
                continue;
            }
            if is_ready && session.wants_input() {
                self.link.wake_when_readable(cx);
            }
            if (plays || session.wants_transmit()) && !self.link.has_room() {
                self.link.wake_when_writable(cx);
            }
            if let Some(at) = session.poll_timeout() {
                wake_at(at, cx);
            }
            return Ok(());
        }
    }
}
