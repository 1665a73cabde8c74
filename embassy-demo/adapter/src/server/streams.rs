//! Server sessions over streams that the caller has accepted: TLS, or another network stack.

use core::task::{Context, Poll};

use embedded_rtmp::session::{Server, ServerConfig, SessionBuffers};

use crate::clock::clock;
use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::server::handler::{Handler, Origin, SessionId};
use crate::server::relay::{Application, Relay};
use crate::server::requests::over;
use crate::server::serving::advance;
use crate::transport::{Pipe, Transport};

/// The sessions over streams, any number of them, as a [`Server`](crate::Server) sees them.
pub(crate) trait StreamServer {
    /// Does everything that can be done now, and registers the task's waker.
    fn poll(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, cx: &mut Context<'_>);

    /// Ends all sessions.
    fn shutdown(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler);
}

/// `N` sessions over streams that the caller accepts, which a [`Server`](crate::Server) serves beside those of its sockets: see
/// [`Server::with_streams`](crate::Server::with_streams). For the [`Handler`] and the relay, such a session is one like any other.
///
/// Each session has a [`Pipe`]. The caller accepts a connection, of TLS or of another network stack, and lets
/// [`Pipe::serve`] run with it; the server opens a session when that begins. One connection follows another on each pipe.
///
/// ```no_run
/// use embassy_futures::join::join;
/// use embedded_io_async::{Read, Write};
/// use embedded_rtmp_embassy::transport::Pipe;
/// use embedded_rtmp_embassy::{Handler, Server, Streams};
///
/// /// Serves one stream that the caller has accepted. A device accepts the next one afterwards.
/// async fn serve<'a>(
///     server: Server<'a, 3>,
///     streams: &'a mut Streams<'a, 1>, // `Streams::new([(pipe, buffers)])`
///     pipe: &Pipe<'_>,
///     (mut reader, mut writer): (impl Read, impl Write),
///     handler: &mut dyn Handler,
/// ) {
///     let mut server = server.with_streams(streams);
///     join(server.run(handler), pipe.serve(&mut reader, &mut writer)).await;
/// }
/// ```
pub struct Streams<'a, const N: usize, const STREAMS: usize = 8> {
    places: [Place<'a, STREAMS>; N],
    session: ServerConfig,
}

impl_format!(['a, const N: usize, const STREAMS: usize] Streams<'a, N, STREAMS>, _ => "Streams");

/// A pipe, and its session.
struct Place<'a, const STREAMS: usize> {
    pipe: &'a Pipe<'a>,
    /// The stream of the pipe that was served last.
    served: u32,
    application: Application,
    phase: Phase<'a, STREAMS>,
}

#[expect(clippy::large_enum_variant, reason = "there is no heap, and the memory is needed for the largest anyway")]
enum Phase<'a, const STREAMS: usize> {
    /// Between two phases.
    Moving,
    Idle(SessionBuffers<'a>),
    Serving(Server<'a, STREAMS>),
}

impl<'a, const N: usize, const STREAMS: usize> Streams<'a, N, STREAMS> {
    /// Sessions over these pipes, each with its buffers: [`Memory::session`](crate::Memory::session) lends some.
    pub fn new(pipes: [(&'a Pipe<'a>, SessionBuffers<'a>); N]) -> Self {
        const { assert!(N < 256, "sessions have ids of one byte") };
        let place = |(pipe, buffers): (&'a Pipe<'a>, _)| {
            let served = pipe.generation();
            Place { pipe, served, application: Application::new(), phase: Phase::Idle(buffers) }
        };
        Self { places: pipes.map(place), session: ServerConfig::new() }
    }

    /// A server takes them.
    pub(crate) fn join(&mut self, session: ServerConfig) {
        self.session = session;
    }
}

/// The id of the session over a pipe: 255, 254 and so on.
const fn id(index: usize) -> SessionId {
    SessionId(u8::MAX.wrapping_sub(index as u8))
}

impl<const N: usize, const STREAMS: usize> StreamServer for Streams<'_, N, STREAMS> {
    fn poll(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, cx: &mut Context<'_>) {
        for (index, place) in self.places.iter_mut().enumerate() {
            place.poll(id(index), self.session, relay, handler, cx);
        }
    }

    fn shutdown(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
        for (index, place) in self.places.iter_mut().enumerate() {
            if let Phase::Serving(_) = place.phase {
                place.end(id(index), relay, handler, &Error::Closed);
            }
        }
    }
}

impl<const STREAMS: usize> Place<'_, STREAMS> {
    fn poll(
        &mut self,
        id: SessionId,
        config: ServerConfig,
        relay: &mut Relay<'_, '_>,
        handler: &mut dyn Handler,
        cx: &mut Context<'_>,
    ) {
        loop {
            match &mut self.phase {
                Phase::Moving => return,
                Phase::Idle(_) => {
                    let Poll::Ready(stream) = self.pipe.poll_stream(self.served, cx) else { return };
                    self.served = stream;
                    self.open(id, config, handler);
                }
                // The next stream has begun while nobody looked.
                Phase::Serving(_) if self.pipe.generation() != self.served => {
                    self.end(id, relay, handler, &Error::Lost);
                }
                Phase::Serving(session) => {
                    let (pipe, application) = (&mut self.pipe, &mut self.application);
                    let Err(error) = advance(id, pipe, session, application, relay, handler, cx) else { return };
                    self.end(id, relay, handler, &error);
                }
            }
        }
    }

    fn open(&mut self, id: SessionId, config: ServerConfig, handler: &mut dyn Handler) {
        info!("session {}: opened over a stream", id.0);
        handler.opened(id, Origin { port: 0, remote: None });
        let Phase::Idle(buffers) = core::mem::replace(&mut self.phase, Phase::Moving) else { return };
        // Buffers that are too small make a place that serves nothing.
        let Ok(mut session) = Server::new(buffers, config, &handler.entropy()) else { return };
        // The time limit of a client that sends nothing starts, too.
        let _ = session.poll_transmit(clock(), &mut []);
        self.application = Application::new();
        self.phase = Phase::Serving(session);
    }

    fn end(&mut self, id: SessionId, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, why: &Error) {
        info!("session {}: {}", id.0, *why);
        let Phase::Serving(session) = core::mem::replace(&mut self.phase, Phase::Moving) else { return };
        self.phase = Phase::Idle(session.into_buffers());
        if self.pipe.generation() == self.served {
            match why {
                Error::Closed => self.pipe.close(),
                _ => self.pipe.abort(),
            }
        }
        over(id, relay, handler, why);
    }
}
