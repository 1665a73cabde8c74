//! A server's tunnels (RTMPT): sessions that belong to an id, over any TCP connections that speak HTTP.

mod memory;
mod web;

use core::task::Context;
use core::time::Duration;

use embedded_rtmp::session::{Server, ServerConfig, SessionBuffers};
use embedded_rtmp::tunnel::{self, TunnelId};

use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::server::handler::{Handler, Origin, SessionId};
use crate::server::relay::{Application, Relay};
use crate::server::requests::over;
use crate::transport::Tcp;

pub use memory::TunnelMemory;
pub(crate) use web::Web;

/// What a [`Gateway`](crate::server::gateway::Gateway) needs of tunnels, whatever their number.
pub(crate) trait WebServer {
    /// The time limit for the first byte of a connection.
    fn first_byte_limit(&self) -> Duration;

    /// Handles the input of a connection, and answers.
    fn advance(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Result<(), Error>;

    /// A connection has ended.
    fn leave(&mut self, web: &mut Web, why: &Error, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler);

    /// Handles timeouts.
    fn tick(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, cx: &mut Context<'_>);

    /// Ends all tunnels.
    fn shutdown(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler);
}

/// `TUNNELS` tunnels that a [`Server`](crate::Server) serves beside its direct connections, on the same ports: see
/// [`Server::with_tunnels`](crate::Server::with_tunnels). For the [`Handler`] and the relay, a publisher or a player in a
/// tunnel is a session like any other.
///
/// A tunnel belongs to its id, which is made of the handler's entropy, and not to a TCP connection: each request may arrive
/// on another one. A connection takes one of the server's sockets only while it is open.
///
/// Each answer is written straight into the send ring of the socket, as far as there is room. So a player gets at most one
/// ring of bytes per round trip.
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
    /// The session id of the first one.
    first: u8,
    session: ServerConfig,
}

#[expect(clippy::large_enum_variant, reason = "there is no heap, and the memory is needed for the largest anyway")]
enum Place<'a, const STREAMS: usize> {
    /// Between two others.
    Moving,
    Free(SessionBuffers<'a>),
    Taken(TunnelId, Server<'a, STREAMS>, Application),
}

impl_format!(
    ['a, const TUNNELS: usize, const STREAMS: usize] Tunnels<'a, TUNNELS, STREAMS>,
    this => "Tunnels {{ first: {} }}", this.first
);

impl<'a, const TUNNELS: usize, const STREAMS: usize> Tunnels<'a, TUNNELS, STREAMS> {
    /// Bytes of RAM of all tunnels, without their [`TunnelMemory`].
    pub const SIZE: usize = size_of::<Self>();

    /// Tunnels in `memory`. `config` has the answer to a plain request, and the time limits.
    pub fn new<const SCRATCH: usize, const CONTROL: usize>(
        memory: &'a mut TunnelMemory<TUNNELS, SCRATCH, CONTROL>,
        config: tunnel::TunnelConfig<'a>,
    ) -> Self {
        let places = memory.split().map(Place::Free);
        Self { table: tunnel::Tunnels::new(config), places, first: 0, session: ServerConfig::new() }
    }

    /// A server takes them. The sessions of a server before it are ended, as their connections are gone.
    pub(crate) fn join(&mut self, first: u8, session: ServerConfig) {
        for index in 0..TUNNELS {
            if let Some(Place::Taken(tunnel, ..)) = self.places.get(index) {
                self.free(*tunnel);
            }
        }
        (self.first, self.session) = (first, session);
    }

    fn id(&self, tunnel: TunnelId) -> SessionId {
        SessionId(self.first.wrapping_add(tunnel.index() as u8))
    }

    /// A tunnel has been opened.
    fn begin(&mut self, tunnel: TunnelId, from: Origin, handler: &mut dyn Handler) {
        let id = self.id(tunnel);
        let Some(place) = self.places.get_mut(tunnel.index()) else { return };
        let Place::Free(buffers) = core::mem::replace(place, Place::Moving) else { return };
        info!("session {}: opened in a tunnel on port {}", id.0, from.port);
        handler.opened(id, from);
        // `TunnelMemory` with sizes that are too small does not compile.
        let Ok(mut session) = Server::new(buffers, self.session, &handler.entropy()) else { return };
        // The time limit of a client that sends nothing starts, too.
        let _ = session.poll_transmit(clock(), &mut []);
        *place = Place::Taken(tunnel, session, Application::new());
    }

    /// A tunnel has ended.
    fn end(&mut self, tunnel: TunnelId, why: &Error, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
        if self.free(tunnel) {
            let id = self.id(tunnel);
            info!("session {}: {}", id.0, *why);
            over(id, relay, handler, why);
        }
    }

    /// Frees the place of a tunnel. Returns whether it was taken.
    fn free(&mut self, tunnel: TunnelId) -> bool {
        self.table.close(tunnel);
        let Some(place) = self.places.get_mut(tunnel.index()) else { return false };
        let (free, was_taken) = match core::mem::replace(place, Place::Moving) {
            Place::Taken(_, session, _) => (Place::Free(session.into_buffers()), true),
            other => (other, false),
        };
        *place = free;
        was_taken
    }
}

impl<const TUNNELS: usize, const STREAMS: usize> WebServer for Tunnels<'_, TUNNELS, STREAMS> {
    fn first_byte_limit(&self) -> Duration {
        self.session.connect_timeout.unwrap_or(Duration::MAX)
    }

    fn advance(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        self.serve(web, link, relay, handler, cx)
    }

    fn leave(&mut self, web: &mut Web, why: &Error, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
        if let Some(tunnel) = web.connection.ended(clock(), &mut self.table) {
            self.end(tunnel, why, relay, handler);
        }
    }

    fn tick(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, cx: &mut Context<'_>) {
        let now = clock();
        while let Some(tunnel) = self.table.handle_timeout(now) {
            self.end(tunnel, &Error::Lost, relay, handler);
        }
        let mut next = self.table.poll_timeout();
        for index in 0..TUNNELS {
            let Some(Place::Taken(tunnel, session, _)) = self.places.get_mut(index) else { continue };
            if session.poll_timeout().is_some_and(|at| at <= now)
                && let Err(error) = session.handle_timeout(now)
            {
                let tunnel = *tunnel;
                self.end(tunnel, &error.into(), relay, handler);
                continue;
            }
            next = [next, session.poll_timeout()].into_iter().flatten().min();
        }
        if let Some(at) = next {
            wake_at(at, cx);
        }
    }

    fn shutdown(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
        for index in 0..TUNNELS {
            if let Some(Place::Taken(tunnel, ..)) = self.places.get(index) {
                self.end(*tunnel, &Error::Closed, relay, handler);
            }
        }
    }
}
