//! One of a server's sockets.

use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::Stack;
use embedded_rtmp::handshake;
use embedded_rtmp::session::{self, Server, SessionBuffers};
use embedded_rtmp::time::Instant;

use crate::buffers::{Lent, Memory};
use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::fmt::info;
use crate::server::ServerOptions;
use crate::server::gateway::{Gateway, Web};
use crate::server::handler::{Handler, Origin, SessionId};
use crate::server::listen::Listeners;
use crate::server::relay::{Application, Relay};
use crate::server::requests::over;
use crate::server::serving::advance;
use crate::transport::{KeepAlive, Tcp, Traffic, Transport};

/// The time limit for closing a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The answer to a request in HTTP.
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What a socket needs before it has a session.
pub(crate) struct Acceptor<'e, 'a, const SOCKETS: usize> {
    pub(crate) listeners: &'e Listeners<'a, SOCKETS>,
    pub(crate) options: &'e ServerOptions,
    pub(crate) gateway: &'e mut Gateway<'a>,
}

/// A socket and its state.
pub(crate) struct Slot<'a, const STREAMS: usize> {
    link: Tcp<'a>,
    /// The port that it listens on, and the generation of the listeners when it chose the port.
    port: u16,
    generation: Option<u32>,
    /// The application of the session.
    application: Application,
    phase: Phase<'a, STREAMS>,
}

#[allow(clippy::large_enum_variant, reason = "there is no heap, and the memory is needed for the largest anyway")]
enum Phase<'a, const STREAMS: usize> {
    /// Between two phases.
    Moving,
    Listening(SessionBuffers<'a>),
    /// There is a connection that speaks HTTP, or may do so.
    Asking(SessionBuffers<'a>, Web),
    Serving(Server<'a, STREAMS>),
    /// The session has ended. The connection is given some time to close.
    Closing(SessionBuffers<'a>, Instant),
}

impl<'a, const STREAMS: usize> Slot<'a, STREAMS> {
    pub(crate) fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
        keep_alive: KeepAlive,
    ) -> Self {
        let Lent { rx, tx, buffers, .. } = memory.split();
        let mut link = Tcp::new(stack, rx, tx);
        // A client that goes away while it connects must not occupy the socket for ever.
        link.limit_silence(keep_alive.timeout);
        Self { link, port: 0, generation: None, application: Application::new(), phase: Phase::Listening(buffers) }
    }

    #[cfg(feature = "rtmpt")]
    pub(crate) fn send_capacity(&self) -> usize {
        self.link.send_capacity()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    /// Does everything that can be done now, and registers the task's waker.
    // The session is not moved: it is large, and this runs for each segment.
    pub(crate) fn poll<const SOCKETS: usize>(
        &mut self,
        id: SessionId,
        entrance: &mut Acceptor<'_, '_, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) {
        loop {
            match &mut self.phase {
                Phase::Moving => return,
                Phase::Listening(_) => {
                    if self.poll_listen(usize::from(id.0), entrance.listeners, cx).is_pending() {
                        return;
                    }
                    self.link.keep_alive(Some(entrance.options.keep_alive));
                    match entrance.gateway.accept(&self.link) {
                        None => self.open(id, entrance.options, handler),
                        Some(web) => {
                            let asking = self.phase.leave().map(|buffers| Phase::Asking(buffers, web));
                            self.phase = asking.unwrap_or(Phase::Moving);
                        }
                    }
                }
                Phase::Asking(_, web) => match entrance.gateway.poll(web, &mut self.link, relay, handler, cx) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(())) => self.open(id, entrance.options, handler),
                    Poll::Ready(Err(why)) => self.close(&why),
                },
                Phase::Serving(session) => {
                    let Err(error) = advance(id, &mut self.link, session, &mut self.application, relay, handler, cx)
                    else {
                        return;
                    };
                    self.end(id, relay, handler, &error);
                }
                Phase::Closing(_, until) => {
                    if self.link.poll_gone(cx).is_pending() && clock() < *until {
                        wake_at(*until, cx);
                        return;
                    }
                    self.phase = self.phase.leave().map_or(Phase::Moving, Phase::Listening);
                }
            }
        }
    }

    /// Stops listening, or ends the connection in good order. Ready when that is done.
    pub(crate) fn poll_shutdown<const SOCKETS: usize>(
        &mut self,
        id: SessionId,
        listeners: &Listeners<'_, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match &mut self.phase {
                Phase::Moving => return Poll::Ready(()),
                Phase::Listening(_) => {
                    // A client may be connecting, or have just connected.
                    self.link.abort();
                    listeners.note(usize::from(id.0), None);
                    return Poll::Ready(());
                }
                Phase::Asking(..) => self.close(&Error::Closed),
                Phase::Serving(session) => {
                    if let Some(turn) = relay.turn(id) {
                        turn.player.stop();
                        // If there is no room for the status, the client learns of the end by the FIN.
                        let _ = session.end_play(turn.player.stream());
                    }
                    self.link.write(&mut |out| session.poll_transmit(clock(), out));
                    self.end(id, relay, handler, &Error::Closed);
                }
                Phase::Closing(_, until) => {
                    if self.link.poll_gone(cx).is_pending() && clock() < *until {
                        wake_at(*until, cx);
                        return Poll::Pending;
                    }
                    self.link.abort();
                    self.phase = self.phase.leave().map_or(Phase::Moving, Phase::Listening);
                }
            }
        }
    }

    /// A client has connected.
    #[cold]
    fn open(&mut self, id: SessionId, options: &ServerOptions, handler: &mut dyn Handler) {
        let from = Origin { port: self.link.local_port(), remote: self.link.remote() };
        info!("session {}: opened on port {}", id.0, from.port);
        handler.opened(id, from);
        let Some(buffers) = self.phase.leave() else { return };
        // `Memory` with sizes that are too small does not compile.
        let Ok(mut session) = Server::new(buffers, options.session, &handler.entropy()) else { return };
        // The time limit of a client that sends nothing starts, too.
        let _ = session.poll_transmit(clock(), &mut []);
        self.phase = Phase::Serving(session);
    }

    /// Its session has ended.
    #[cold]
    fn end(&mut self, id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, why: &Error) {
        info!("session {}: {}", id.0, why);
        over(id, relay, handler, why);
        self.close(why);
    }

    /// Closes or aborts the connection, depending on how its session has ended.
    fn close(&mut self, why: &Error) {
        match why {
            Error::Closed => self.link.close(),
            // Without tunnels, this is a browser.
            Error::Session(session::SessionError::Handshake(handshake::HandshakeError::Version(b'A'..=b'Z'))) => {
                self.link.write(&mut |out| out.iter_mut().zip(NOT_FOUND).map(|(to, from)| *to = *from).count());
                self.link.close();
            }
            _ => self.link.abort(),
        }
        let Some(buffers) = self.phase.leave() else { return };
        self.phase = Phase::Closing(buffers, clock() + CLOSE_LIMIT);
    }

    /// Listens on the port with the fewest listeners, until there is a connection.
    fn poll_listen<const SOCKETS: usize>(
        &mut self,
        socket: usize,
        listeners: &Listeners<'_, SOCKETS>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let generation = listeners.generation();
        if self.generation == Some(generation) && self.link.is_listening() {
            // No listener has moved since it chose its port.
            self.link.wake_when_writable(cx);
            return Poll::Pending;
        }
        self.generation = Some(generation);
        let Some((index, port)) = listeners.choose(socket) else { return Poll::Pending };
        if self.link.is_listening() && self.port != port {
            self.link.abort();
        }
        let opened = self.link.poll_accept(port, cx);
        // After a client that resets while it connects, it still listens on its port.
        if self.link.is_listening() {
            self.port = port;
        }
        if listeners.note(socket, self.link.is_listening().then_some(index)) {
            // The others may have to move.
            cx.waker().wake_by_ref();
        }
        opened
    }
}

impl<'a, const STREAMS: usize> Phase<'a, STREAMS> {
    /// Ends the phase. Returns the memory for the next one.
    fn leave(&mut self) -> Option<SessionBuffers<'a>> {
        match core::mem::replace(self, Self::Moving) {
            Self::Moving => None,
            Self::Listening(buffers) | Self::Asking(buffers, _) | Self::Closing(buffers, _) => Some(buffers),
            Self::Serving(session) => Some(session.into_buffers()),
        }
    }
}
