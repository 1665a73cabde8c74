//! One of a server's sockets.

use core::task::{Context, Poll, ready};
use core::time::Duration;

use embassy_net::{IpAddress, Stack};
#[cfg(feature = "enhanced")]
use embedded_rtmp::command::ReconnectRequest;
use embedded_rtmp::handshake;
#[cfg(feature = "enhanced")]
use embedded_rtmp::relay::Directory;
use embedded_rtmp::session::{self, Server, ServerConfig};
use embedded_rtmp::time::Instant;

use crate::buffers::{Lent, Memory};
use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::fmt::info;
#[cfg(feature = "admin")]
use crate::server::book::Book;
use crate::server::gateway::{Gateway, Handovers, Web};
use crate::server::handler::{Origin, SessionId};
use crate::server::listen::Listeners;
use crate::server::relay::Relay;
use crate::server::session::Session;
#[cfg(feature = "web")]
use crate::server::{
    first::poll_first_byte,
    gateway::{FirstLook, Route},
    viewers::{BUSY, ViewerServer},
};
use crate::transport::{KeepAlive, Tcp, Traffic, Transport};

/// The time limit for closing a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The answer to a request in HTTP.
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What a socket needs before it has a session.
pub(crate) struct Acceptor<'e, 'a, const SOCKETS: usize> {
    pub(crate) listeners: &'e Listeners<'a, SOCKETS>,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) config: ServerConfig,
    pub(crate) gateway: &'e mut Option<Gateway<'a>>,
    #[cfg(feature = "web")]
    pub(crate) viewers: &'e mut Option<&'a mut (dyn ViewerServer + 'a)>,
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "nothing is handed over"))]
    pub(crate) handover: Option<Handovers<'a>>,
    /// A client has connected in this call.
    pub(crate) has_opened: bool,
}

/// A socket and its state.
pub(crate) struct Slot<'a, const STREAMS: usize> {
    link: Tcp<'a>,
    phase: Phase<'a>,
    /// The time at which the last client connected, or last published or played.
    since: Instant,
    /// The bytes that administrators were told of.
    #[cfg(feature = "admin")]
    counted: Traffic,
    pub(crate) session: Session<'a, STREAMS>,
}

#[allow(clippy::large_enum_variant, reason = "there is no heap, and the slot must have room for the largest variant")]
enum Phase<'a> {
    /// The socket listens on this port, which it chose at this generation of the listeners.
    Listening(u16, Option<u32>),
    /// There is a connection that speaks HTTP, or that may speak HTTP.
    Asking(Web),
    Serving,
    /// The first byte has not arrived, or the first request.
    #[cfg(feature = "web")]
    Looking(FirstLook),
    /// There is a browser or another viewer. It plays, or does not.
    #[cfg(feature = "web")]
    Viewing(bool),
    /// The application serves the connection.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "nothing is handed over"))]
    HandedOver(Handovers<'a>),
    /// The session has ended. The connection is given some time to close.
    Closing(Instant),
}

impl Phase<'_> {
    /// Creates a socket that chooses its port when it is first polled.
    const IDLE: Self = Self::Listening(0, None);
}

impl<'a, const STREAMS: usize> Slot<'a, STREAMS> {
    // Not inlined, because it would be copied once more on its way into the server.
    #[inline(never)]
    pub(crate) fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        id: SessionId,
        stack: Stack<'a>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
    ) -> Self {
        let Lent { rx, tx, buffers, .. } = memory.split();
        let (link, since) = (Tcp::new(stack, rx, tx), Instant::from_micros(0));
        Self {
            link,
            phase: Phase::IDLE,
            since,
            #[cfg(feature = "admin")]
            counted: Traffic { received: 0, sent: 0 },
            session: Session::new(id, Server::idle(buffers)),
        }
    }

    #[cfg(feature = "rtmpt")]
    pub(crate) fn send_capacity(&self) -> usize {
        self.link.send_capacity()
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.link.traffic()
    }

    /// Counts the bytes of the connection since the last time.
    #[cfg(feature = "admin")]
    pub(crate) fn count_traffic(&mut self, book: &Book<'_>) {
        let traffic = self.link.traffic();
        let before = core::mem::replace(&mut self.counted, traffic);
        book.note_traffic(traffic.received.wrapping_sub(before.received), traffic.sent.wrapping_sub(before.sent));
    }

    /// Does everything that can be done now, and registers the task's waker.
    pub(crate) fn poll<const SOCKETS: usize>(
        &mut self,
        acceptor: &mut Acceptor<'_, 'a, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) {
        loop {
            match &mut self.phase {
                Phase::Listening(..) => {
                    if self.poll_listen(acceptor.listeners, cx).is_pending() {
                        return;
                    }
                    self.link.keep_alive(acceptor.keep_alive);
                    (self.since, acceptor.has_opened) = (relay.now, true);
                    #[cfg(feature = "admin")]
                    {
                        // The counts of a new connection begin with 0.
                        self.counted = Traffic::default();
                        relay.book.note_connect();
                    }
                    #[cfg(feature = "web")]
                    if acceptor.viewers.is_some() || acceptor.handover.is_some() {
                        // A client that sends nothing has as much time as one that sends no `connect`.
                        let until = acceptor.config.connect_timeout.map(|limit| relay.now + limit);
                        self.phase = Phase::Looking(FirstLook::new(until));
                        continue;
                    }
                    self.begin(acceptor, relay);
                }
                #[cfg(feature = "web")]
                Phase::Looking(look) => {
                    let route = match acceptor.handover {
                        None => poll_first_byte(look, &mut self.link, relay.now, cx),
                        Some(handover) => {
                            let (id, has_web) = (self.session.id, acceptor.viewers.is_some());
                            handover.poll_first_request(look, id, has_web, &mut self.link, relay.now, cx)
                        }
                    };
                    let Poll::Ready(route) = route else { return };
                    self.follow(route, acceptor, relay);
                }
                &mut Phase::HandedOver(handover) => {
                    let id = self.session.id;
                    let Poll::Ready(end) = handover.poll(id, &mut self.link, relay.now, cx) else { return };
                    self.close(&end.into());
                }
                #[cfg(feature = "web")]
                Phase::Viewing(is_playing) => {
                    let (id, Some(viewers)) = (self.session.id, &mut acceptor.viewers) else { return };
                    let Poll::Ready(why) = viewers.poll(id, &mut self.link, relay, cx) else {
                        *is_playing = relay.player(id).is_some();
                        return;
                    };
                    self.close(&why);
                }
                Phase::Asking(web) => {
                    let asked = acceptor.gateway.as_mut().map(|gateway| gateway.poll(web, &mut self.link, relay, cx));
                    match asked {
                        Some(Poll::Pending) => return,
                        Some(Poll::Ready(Err(why))) => self.close(&why),
                        Some(Poll::Ready(Ok(()))) | None => self.open(acceptor.config, relay),
                    }
                }
                Phase::Serving => {
                    let Err(why) = self.session.advance(&mut self.link, relay, cx) else { return };
                    self.end(relay, &why);
                }
                &mut Phase::Closing(until) => {
                    #[cfg(feature = "admin")]
                    self.count_traffic(relay.book);
                    if self.poll_closed(until, cx).is_pending() {
                        return;
                    }
                }
            }
        }
    }

    /// Returns whether the socket listens, or will listen as soon as its last connection has ended.
    pub(crate) fn is_free(&self) -> bool {
        match self.phase {
            Phase::Listening(..) => self.link.is_listening(),
            Phase::Closing(_) => true,
            Phase::Asking(_) | Phase::Serving => false,
            Phase::HandedOver(_) => false,
            #[cfg(feature = "web")]
            Phase::Looking(_) | Phase::Viewing(_) => false,
        }
    }

    /// Returns the address for which the client is counted, and the time at which it connected or last published or
    /// played. Returns `None` without a client.
    pub(crate) fn client(&self) -> Option<(IpAddress, Instant)> {
        match self.phase {
            Phase::Asking(_) | Phase::Serving | Phase::HandedOver(_) => {
                Some((network(self.link.remote()?.addr), self.since))
            }
            #[cfg(feature = "web")]
            Phase::Looking(_) | Phase::Viewing(_) => Some((network(self.link.remote()?.addr), self.since)),
            Phase::Listening(..) | Phase::Closing(_) => None,
        }
    }

    /// Returns whether there is a client that neither publishes nor plays. If it publishes or plays, records the time.
    pub(crate) fn note_use(&mut self, gateway: &Option<Gateway<'a>>, now: Instant) -> bool {
        let is_idle = self.is_idle(gateway);
        if !is_idle {
            self.since = now;
        }
        is_idle
    }

    /// Returns whether there is a client that neither publishes nor plays.
    pub(crate) fn is_idle(&self, gateway: &Option<Gateway<'a>>) -> bool {
        match &self.phase {
            Phase::Asking(web) => !gateway.as_ref().is_some_and(|gateway| gateway.is_active(web)),
            Phase::Serving => !self.session.is_active(),
            Phase::HandedOver(_) => true,
            #[cfg(feature = "web")]
            Phase::Looking(_) => true,
            #[cfg(feature = "web")]
            Phase::Viewing(is_playing) => !is_playing,
            Phase::Listening(..) | Phase::Closing(_) => false,
        }
    }

    /// Asks the client to connect again. Returns whether it was asked.
    #[cfg(feature = "enhanced")]
    pub(crate) fn request_reconnect(
        &mut self,
        request: &ReconnectRequest<'_>,
        directory: &mut Directory<'_, '_>,
    ) -> bool {
        matches!(self.phase, Phase::Serving) && self.session.request_reconnect(request, directory)
    }

    /// Disconnects the client.
    #[cold]
    pub(crate) fn disconnect<const SOCKETS: usize>(
        &mut self,
        acceptor: &mut Acceptor<'_, 'a, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        why: &Error,
    ) {
        match &mut self.phase {
            Phase::Serving => return self.end(relay, why),
            Phase::Asking(web) => acceptor.gateway.iter_mut().for_each(|gateway| gateway.leave(web, relay, why)),
            #[cfg(feature = "web")]
            Phase::Looking(_) => {}
            Phase::HandedOver(handover) => handover.end(self.session.id),
            #[cfg(feature = "web")]
            Phase::Viewing(_) => {
                let id = self.session.id;
                acceptor.viewers.iter_mut().for_each(|viewers| viewers.end(id, relay, why));
            }
            Phase::Listening(..) | Phase::Closing(_) => return,
        }
        self.close(why);
    }

    /// Stops listening, or closes the connection in good order. Ready when that is done.
    pub(crate) fn poll_shutdown<const SOCKETS: usize>(
        &mut self,
        listeners: &Listeners<'_, SOCKETS>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match &self.phase {
                Phase::Listening(..) => {
                    // A client may be connecting, or have just connected.
                    self.link.abort();
                    listeners.note(self.index(), None);
                    return Poll::Ready(());
                }
                Phase::Asking(_) | Phase::HandedOver(_) => self.close(&Error::Closed),
                #[cfg(feature = "web")]
                Phase::Looking(_) | Phase::Viewing(_) => self.close(&Error::Closed),
                Phase::Serving => {
                    let Session { id, server, keys, .. } = &mut self.session;
                    if let Some(turn) = relay.turn(*id) {
                        turn.player.stop();
                        // If there is no room for the status, the client learns of the end by the FIN.
                        let _ = server.end_play(turn.player.stream());
                    }
                    self.link.write(&mut |out| {
                        let written = server.poll_transmit(relay.now, out);
                        keys.write(out, written)
                    });
                    self.end(relay, &Error::Closed);
                }
                &Phase::Closing(until) => ready!(self.poll_closed(until, cx)),
            }
        }
    }

    /// The number of the socket.
    fn index(&self) -> usize {
        usize::from(self.session.id.0)
    }

    /// A client has connected that is not a viewer.
    fn begin<const SOCKETS: usize>(&mut self, acceptor: &mut Acceptor<'_, 'a, SOCKETS>, relay: &mut Relay<'_, '_>) {
        match acceptor.gateway.as_ref().map(|gateway| gateway.accept(&self.link, relay)) {
            None => self.open(acceptor.config, relay),
            Some(web) => self.phase = Phase::Asking(web),
        }
    }

    /// The first byte or the first request has arrived, or the connection has ended before.
    #[cfg(feature = "web")]
    #[cold]
    fn follow<const SOCKETS: usize>(
        &mut self,
        route: Route<'a>,
        acceptor: &mut Acceptor<'_, 'a, SOCKETS>,
        relay: &mut Relay<'_, '_>,
    ) {
        match route {
            Route::Web => {
                let id = self.session.id;
                if acceptor.viewers.iter_mut().any(|viewers| viewers.begin(id, relay)) {
                    info!("session {}: opened over HTTP", id.0);
                    relay.opened(id, Origin { port: self.link.local_port(), remote: self.link.remote() });
                    self.phase = Phase::Viewing(false);
                } else {
                    self.answer(BUSY);
                    self.close(&Error::Closed);
                }
            }
            Route::Session => self.begin(acceptor, relay),
            Route::HandedOver(handover) => self.phase = Phase::HandedOver(handover),
            Route::Ended(end) => self.close(&end.into()),
        }
    }

    /// Writes an answer to a request in HTTP.
    fn answer(&mut self, answer: &[u8]) {
        self.link.write(&mut |out| out.iter_mut().zip(answer).map(|(to, from)| *to = *from).count());
    }

    /// A client has connected.
    fn open(&mut self, config: ServerConfig, relay: &mut Relay<'_, '_>) {
        let from = Origin { port: self.link.local_port(), remote: self.link.remote() };
        info!("session {}: opened on port {}", self.session.id.0, from.port);
        self.session.open(from, config, relay);
        self.phase = Phase::Serving;
    }

    /// Its session has ended.
    fn end(&mut self, relay: &mut Relay<'_, '_>, why: &Error) {
        self.session.end(relay, why);
        self.close(why);
    }

    /// Closes or aborts the connection, depending on how its session has ended.
    fn close(&mut self, why: &Error) {
        match why {
            Error::Closed => self.link.close(),
            // Without tunnels, this is a browser.
            Error::Session(session::SessionError::Handshake(handshake::HandshakeError::Version(b'A'..=b'Z'))) => {
                self.answer(NOT_FOUND);
                self.link.close();
            }
            _ => self.link.abort(),
        }
        self.phase = Phase::Closing(clock() + CLOSE_LIMIT);
    }

    /// Waits until the connection is closed, or is given up.
    fn poll_closed(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.link.poll_gone(cx).is_pending() {
            if clock() < until {
                wake_at(until, cx);
                return Poll::Pending;
            }
            self.link.abort();
        }
        self.phase = Phase::IDLE;
        Poll::Ready(())
    }

    /// Listens on the port with the fewest listeners, until there is a connection.
    fn poll_listen<const SOCKETS: usize>(
        &mut self,
        listeners: &Listeners<'_, SOCKETS>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let (socket, generation) = (self.index(), listeners.generation());
        let Phase::Listening(own, chosen_at) = &mut self.phase else { return Poll::Pending };
        if *chosen_at == Some(generation) && self.link.is_listening() {
            // No listener has moved since it chose its port.
            self.link.wake_when_writable(cx);
            return Poll::Pending;
        }
        *chosen_at = Some(generation);
        let Some((index, port)) = listeners.choose(socket) else { return Poll::Pending };
        if self.link.is_listening() && *own != port {
            self.link.abort();
        }
        let opened = self.link.poll_accept(port, cx);
        // If a client resets the connection while it connects, the socket still listens on its port.
        if self.link.is_listening() {
            *own = port;
        }
        if listeners.note(socket, self.link.is_listening().then_some(index)) {
            // The others may have to move.
            cx.waker().wake_by_ref();
        }
        opened
    }
}

/// Returns the address for which connections are counted. For IPv6, only the first 64 bits count, because one client
/// usually has all addresses that begin with them.
fn network(address: IpAddress) -> IpAddress {
    match address {
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddress::v6(a, b, c, d, 0, 0, 0, 0)
        }
        address => address,
    }
}
