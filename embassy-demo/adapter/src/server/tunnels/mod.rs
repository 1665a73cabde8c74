//! A server's tunnels (RTMPT): sessions that belong to an id, over any TCP connections that speak HTTP.

mod memory;
mod web;

use core::task::{Context, Poll};

#[cfg(feature = "enhanced")]
use embedded_rtmp::command::ReconnectRequest;
#[cfg(feature = "enhanced")]
use embedded_rtmp::relay::Directory;
use embedded_rtmp::session::{Server, ServerConfig};
use embedded_rtmp::tunnel::{self, TunnelConnection, TunnelId};

use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::server::gateway::WebServer;
use crate::server::handler::{Origin, SessionId};
use crate::server::relay::Relay;
use crate::server::session::Session;
use crate::transport::Tcp;

pub use memory::TunnelMemory;
pub(crate) use web::Web;

/// `TUNNELS` tunnels that a [`Server`](crate::Server) serves in addition to its direct connections, on the same ports: see
/// [`Server::with_tunnels`](crate::Server::with_tunnels). For the [`Handler`](crate::Handler) and the relay, a publisher or
/// a player in a tunnel is a session like any other.
///
/// A tunnel is known by its id, which is made from the handler's entropy. It does not belong to a TCP connection: each
/// request may arrive on another one. A connection uses one of the server's sockets only while it is open.
///
/// Each answer is written directly into the send ring of the socket, while there is room. So a player gets at most one ring
/// of bytes per round trip.
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
/// use embedded_rtmp_embassy::{
///     Handler, Memory, ServerOptions, Server, ServerError, StreamMemory, TunnelMemory, Tunnels,
/// };
///
/// /// One stream and three players, two of which may use tunnels; four connections at a time.
/// async fn serve(
///     stack: Stack<'static>,
///     memory: &'static mut [Memory<8192, 4096>; 4],
///     streams: &'static mut [StreamMemory<65_536>; 1],
///     lent: &'static mut TunnelMemory<2>,
///     handler: &mut dyn Handler,
/// ) -> Result<(), ServerError> {
///     let mut tunnels = Tunnels::<2>::new(lent, TunnelConfig { page: Some("A camera."), ..TunnelConfig::new() });
///     let server = Server::<4, 1, 3>::relaying(stack, &[1935, 80], memory, streams, &ServerOptions::default())?;
///     server.with_tunnels(&mut tunnels)?.run(handler).await;
///     Ok(())
/// }
/// ```
pub struct Tunnels<'a, const TUNNELS: usize, const STREAMS: usize = 8> {
    table: tunnel::Tunnels<'a, TUNNELS>,
    places: [Place<'a, STREAMS>; TUNNELS],
    session: ServerConfig,
}

/// A session and its tunnel.
struct Place<'a, const STREAMS: usize> {
    tunnel: Option<TunnelId>,
    session: Session<'a, STREAMS>,
}

impl_format!(
    ['a, const TUNNELS: usize, const STREAMS: usize] Tunnels<'a, TUNNELS, STREAMS>, _ => "Tunnels"
);

impl<'a, const TUNNELS: usize, const STREAMS: usize> Tunnels<'a, TUNNELS, STREAMS> {
    /// Bytes of RAM of all tunnels, without their [`TunnelMemory`].
    pub const SIZE: usize = size_of::<Self>();

    /// Creates tunnels in `memory`. `config` has the answer to a plain request, and the time limits.
    pub fn new<const SCRATCH: usize, const CONTROL: usize>(
        memory: &'a mut TunnelMemory<TUNNELS, SCRATCH, CONTROL>,
        config: tunnel::TunnelConfig<'a>,
    ) -> Self {
        // The server that serves them sets their ids.
        let place = |buffers| Place { tunnel: None, session: Session::new(SessionId(0), Server::idle(buffers)) };
        Self { table: tunnel::Tunnels::new(config), places: memory.split().map(place), session: ServerConfig::new() }
    }

    /// Called when a server begins to serve these tunnels. Their ids follow those of its sockets. Ends the sessions of a
    /// previous server, because their connections are gone.
    pub(crate) fn join(&mut self, sockets: usize, session: ServerConfig) {
        self.session = session;
        for (place, id) in self.places.iter_mut().zip((0..=u8::MAX).skip(sockets)) {
            if let Some(tunnel) = place.tunnel.take() {
                self.table.close(tunnel);
            }
            place.session.id = SessionId(id);
        }
    }

    /// A tunnel has been opened.
    fn begin(&mut self, tunnel: TunnelId, from: Origin, relay: &mut Relay<'_, '_>) {
        if let Some(place) = self.places.get_mut(tunnel.index()) {
            place.tunnel = Some(tunnel);
            info!("session {}: opened in a tunnel on port {}", place.session.id.0, from.port);
            place.session.open(from, self.session, relay);
        }
    }

    /// The session in a tunnel.
    fn session(&mut self, tunnel: TunnelId) -> Option<&mut Session<'a, STREAMS>> {
        let place = self.places.get_mut(tunnel.index())?;
        place.tunnel.map(|_| &mut place.session)
    }

    /// A tunnel has ended.
    fn end(&mut self, tunnel: TunnelId, relay: &mut Relay<'_, '_>, why: &Error) {
        self.table.close(tunnel);
        let place = self.places.get_mut(tunnel.index()).filter(|place| place.tunnel.is_some());
        if let Some(place) = place {
            place.tunnel = None;
            place.session.end(relay, why);
        }
    }
}

impl<const TUNNELS: usize, const STREAMS: usize> WebServer for Tunnels<'_, TUNNELS, STREAMS> {
    fn accept(&self, link: &Tcp<'_>, relay: &Relay<'_, '_>) -> Web {
        // A client that sends nothing has as much time as one that sends no `connect`.
        let until = self.session.connect_timeout.map(|limit| relay.now + limit);
        let from = Origin { port: link.local_port(), remote: link.remote() };
        Web { connection: TunnelConnection::new(relay.now), from, last: None, first_byte: Some(until) }
    }

    fn poll(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let result = core::task::ready!(self.serve(web, link, relay, cx));
        if let Err(why) = &result {
            self.leave(web, relay, why);
        }
        Poll::Ready(result)
    }

    fn is_active(&self, web: &Web) -> bool {
        let place = web.last.and_then(|tunnel| self.places.get(tunnel.index()));
        place.is_some_and(|place| place.tunnel == web.last && place.session.is_active())
    }

    fn leave(&mut self, web: &mut Web, relay: &mut Relay<'_, '_>, why: &Error) {
        if let Some(tunnel) = web.connection.ended(relay.now, &mut self.table) {
            self.end(tunnel, relay, why);
        }
    }

    fn tick(&mut self, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) {
        let now = relay.now;
        while let Some(tunnel) = self.table.handle_timeout(now) {
            self.end(tunnel, relay, &Error::Lost);
        }
        let mut next = self.table.poll_timeout();
        for index in 0..TUNNELS {
            let Some(Place { tunnel: Some(tunnel), session }) = self.places.get_mut(index) else { continue };
            let mut result = session.obey(relay).map_err(Error::from);
            if result.is_ok() && session.server.poll_timeout().is_some_and(|at| at <= now) {
                result = session.server.handle_timeout(now).map_err(Error::from);
            }
            if let Err(why) = result {
                let tunnel = *tunnel;
                self.end(tunnel, relay, &why);
                continue;
            }
            next = [next, session.server.poll_timeout()].into_iter().flatten().min();
        }
        if let Some(at) = next {
            wake_at(at, cx);
        }
    }

    #[cfg(feature = "enhanced")]
    fn request_reconnect(&mut self, request: &ReconnectRequest<'_>, directory: &mut Directory<'_, '_>) -> usize {
        let sessions = self.places.iter_mut().filter(|place| place.tunnel.is_some()).map(|place| &mut place.session);
        sessions.filter_map(|session| session.request_reconnect(request, directory).then_some(())).count()
    }

    #[cfg(feature = "admin")]
    fn close(&mut self, session: SessionId, relay: &mut Relay<'_, '_>, why: &Error) -> bool {
        let mut places = self.places.iter().filter(|place| place.session.id == session);
        let Some(tunnel) = places.find_map(|place| place.tunnel) else { return false };
        self.end(tunnel, relay, why);
        true
    }

    fn shutdown(&mut self, relay: &mut Relay<'_, '_>) {
        for index in 0..TUNNELS {
            if let Some(Place { tunnel: Some(tunnel), .. }) = self.places.get(index) {
                self.end(*tunnel, relay, &Error::Closed);
            }
        }
    }
}
