//! Server sessions over streams that the caller has accepted: TLS, or another network stack.

use core::task::{Context, Poll};

#[cfg(feature = "enhanced")]
use embedded_rtmp::command::ReconnectRequest;
#[cfg(feature = "enhanced")]
use embedded_rtmp::relay::Directory;
use embedded_rtmp::session::{ConfigError, Server, ServerConfig, SessionBuffers};
use heapless::Vec;

use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::server::handler::{Origin, SessionId};
use crate::server::relay::Relay;
use crate::server::session::Session;
use crate::transport::{Pipe, Transport};

/// The sessions over streams, any number of them, as a [`Server`](crate::Server) sees them.
pub(crate) trait StreamServer {
    /// Does everything that can be done now, and registers the task's waker.
    fn poll(&mut self, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>);

    /// Asks the clients to connect again. Returns how many were asked.
    #[cfg(feature = "enhanced")]
    fn request_reconnect(&mut self, request: &ReconnectRequest<'_>, directory: &mut Directory<'_, '_>) -> usize;

    /// Ends a session. Returns whether there is one.
    #[cfg(feature = "admin")]
    fn close(&mut self, session: SessionId, relay: &mut Relay<'_, '_>, why: &Error) -> bool;

    /// Ends all sessions.
    fn shutdown(&mut self, relay: &mut Relay<'_, '_>);
}

/// `N` sessions over streams that the caller accepts, which a [`Server`](crate::Server) serves beside those of its sockets:
/// see [`Server::with_streams`](crate::Server::with_streams). For the [`Handler`](crate::Handler) and the relay, such a
/// session is like any other.
///
/// Each session has a [`Pipe`]. The caller accepts a connection, of TLS or of another network stack, and runs
/// [`Pipe::serve`] with it. The server then opens a session. A pipe serves one connection after another.
///
/// ```no_run
/// use embassy_futures::join::join;
/// use embedded_io_async::{Read, Write};
/// use embedded_rtmp_embassy::transport::Pipe;
/// use embedded_rtmp_embassy::{Handler, Server, Streams};
///
/// /// Serves one stream that the caller has accepted. Afterwards the caller accepts the next one.
/// async fn serve<'a>(
///     server: Server<'a, 3>,
///     streams: &'a mut Streams<'a, 1>, // `Streams::new([(pipe, buffers)])?`
///     pipe: &Pipe<'_>,
///     (mut reader, mut writer): (impl Read, impl Write),
///     handler: &mut dyn Handler,
/// ) {
///     let mut server = server.with_streams(streams);
///     join(server.run(handler), pipe.serve(&mut reader, &mut writer)).await;
/// }
/// ```
pub struct Streams<'a, const N: usize, const STREAMS: usize = 8> {
    places: Vec<Place<'a, STREAMS>, N>,
    session: ServerConfig,
}

impl_format!(['a, const N: usize, const STREAMS: usize] Streams<'a, N, STREAMS>, _ => "Streams");

/// A pipe, and its session.
struct Place<'a, const STREAMS: usize> {
    pipe: &'a Pipe<'a>,
    /// The stream of the pipe that was served last.
    served: u32,
    is_serving: bool,
    session: Session<'a, STREAMS>,
}

impl<'a, const N: usize, const STREAMS: usize> Streams<'a, N, STREAMS> {
    /// Creates sessions over these pipes, each with its buffers, such as those of
    /// [`Memory::session`](crate::Memory::session).
    ///
    /// # Errors
    /// A buffer is too small.
    pub fn new(pipes: [(&'a Pipe<'a>, SessionBuffers<'a>); N]) -> Result<Self, ConfigError> {
        const { assert!(N < 256, "sessions have ids of one byte") };
        let (mut places, ids) = (Vec::new(), (0..=u8::MAX).rev());
        for ((pipe, buffers), id) in pipes.into_iter().zip(ids) {
            let session = Session::new(SessionId(id), Server::new(buffers, ServerConfig::new(), &[0; 32])?);
            let _ = places.push(Place { pipe, served: pipe.generation(), is_serving: false, session });
        }
        Ok(Self { places, session: ServerConfig::new() })
    }

    /// Called when a server begins to serve these sessions.
    pub(crate) fn join(&mut self, session: ServerConfig) {
        self.session = session;
    }
}

impl<const N: usize, const STREAMS: usize> StreamServer for Streams<'_, N, STREAMS> {
    fn poll(&mut self, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) {
        for place in &mut self.places {
            place.poll(self.session, relay, cx);
        }
    }

    #[cfg(feature = "enhanced")]
    fn request_reconnect(&mut self, request: &ReconnectRequest<'_>, directory: &mut Directory<'_, '_>) -> usize {
        let sessions = self.places.iter_mut().filter(|place| place.is_serving).map(|place| &mut place.session);
        sessions.filter_map(|session| session.request_reconnect(request, directory).then_some(())).count()
    }

    #[cfg(feature = "admin")]
    fn close(&mut self, session: SessionId, relay: &mut Relay<'_, '_>, why: &Error) -> bool {
        let mut places = self.places.iter_mut().filter(|place| place.is_serving);
        let Some(place) = places.find(|place| place.session.id == session) else { return false };
        place.end(relay, why);
        true
    }

    fn shutdown(&mut self, relay: &mut Relay<'_, '_>) {
        for place in self.places.iter_mut().filter(|place| place.is_serving) {
            place.end(relay, &Error::Closed);
        }
    }
}

impl<const STREAMS: usize> Place<'_, STREAMS> {
    fn poll(&mut self, config: ServerConfig, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) {
        loop {
            if !self.is_serving {
                let Poll::Ready(stream) = self.pipe.poll_stream(self.served, cx) else { return };
                (self.served, self.is_serving) = (stream, true);
                info!("session {}: opened over a stream", self.session.id.0);
                self.session.open(Origin { port: 0, remote: None }, config, relay);
            }
            let advanced = match self.pipe.generation() == self.served {
                true => self.session.advance(&mut self.pipe, relay, cx),
                // The next stream has begun since the last poll.
                false => Err(Error::Lost),
            };
            let Err(why) = advanced else { return };
            self.end(relay, &why);
        }
    }

    fn end(&mut self, relay: &mut Relay<'_, '_>, why: &Error) {
        self.is_serving = false;
        if self.pipe.generation() == self.served {
            match why {
                Error::Closed => self.pipe.close(),
                _ => self.pipe.abort(),
            }
        }
        self.session.end(relay, why);
    }
}
