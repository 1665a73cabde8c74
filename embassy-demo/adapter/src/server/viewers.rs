//! Viewers over HTTP on a server's sockets: HTTP-FLV, WebSocket, the page and its status.

use core::task::{Context, Poll};

use embedded_rtmp::amf0::Text;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{Directory, StreamIndex, StreamName};
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{
    StreamStatus, WebConfig, WebConnection, WebEvent, WebRejection, WebRequest, WebResource, WebStatus,
};

use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::server::handler::{Handler, SessionId};
use crate::server::relay::Relay;
use crate::transport::{Tcp, Transport};

/// The message stream of a viewer, which has no session.
const STREAM: StreamId = StreamId(1);

/// The longest name of a stream at `/stream.flv`, in bytes.
const NAME: usize = 128;

/// The answer to a request for which there is no memory.
pub(crate) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: 5\r\n\r\n";

/// The state of `VIEWERS` HTTP connections that a [`Server`](crate::Server) serves at the same time, on the same ports as RTMP:
/// see [`Server::with_web`](crate::Server::with_web). Further ones are answered with 503. A connection that plays a stream
/// also needs one of the server's `PLAYERS`. Its media goes from the ring of the stream directly into the send ring of its
/// socket.
///
/// | Request | Answer |
/// |---|---|
/// | `/APP/KEY.flv` | the stream as FLV, over HTTP or WebSocket |
/// | `/APP/KEY.mp4` | the stream as fragmented MP4 |
/// | `/` | a page that shows the listed streams |
/// | `/status.json` | the status of the server and of the listed streams |
///
/// [`Handler::view`] decides about each request, and [`Handler::is_listed`] says which streams are listed.
///
/// `SIZE` is that of [`WebConnection`]: the bytes of a URL and of the other parts of a request that are stored.
///
/// ```no_run
/// use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
/// use embedded_rtmp_embassy::{Handler, Server, Viewers};
/// use static_cell::StaticCell;
///
/// async fn serve(server: Server<'static, 6, 1, 4>, handler: &mut dyn Handler) {
///     static VIEWERS: StaticCell<Viewers<'static, 4>> = StaticCell::new();
///     let viewers = VIEWERS.init_with(|| Viewers::new(WebConfig::new()));
///     server.with_web(viewers).run(handler).await;
/// }
/// ```
pub struct Viewers<'a, const VIEWERS: usize, const SIZE: usize = 512> {
    config: WebConfig<'a>,
    places: [Option<Place<SIZE>>; VIEWERS],
}

impl_format!(['a, const VIEWERS: usize, const SIZE: usize] Viewers<'a, VIEWERS, SIZE>, _ => "Viewers");

/// A connection, and the socket that it has.
struct Place<const SIZE: usize> {
    id: SessionId,
    connection: WebConnection<SIZE>,
}

impl<'a, const VIEWERS: usize, const SIZE: usize> Viewers<'a, VIEWERS, SIZE> {
    /// Memory for connections that are all closed.
    pub const fn new(config: WebConfig<'a>) -> Self {
        Self { config, places: [const { None }; VIEWERS] }
    }
}

/// Connections of viewers, any number of them, as the sockets of a server see them. Each has the id of its socket.
pub(crate) trait ViewerServer {
    /// A connection has sent the first byte of a request. Returns `false` if there is no memory for it.
    fn begin(&mut self, id: SessionId, relay: &mut Relay<'_, '_>) -> bool;

    /// Does everything that can be done now, and registers the task's waker. Ready if the connection is over; it is forgotten
    /// then.
    fn poll(
        &mut self,
        id: SessionId,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Error>;

    /// Forgets a connection.
    fn end(&mut self, id: SessionId, relay: &mut Relay<'_, '_>, why: &Error);

    /// Forgets all connections.
    fn shutdown(&mut self, relay: &mut Relay<'_, '_>);
}

impl<const VIEWERS: usize, const SIZE: usize> ViewerServer for Viewers<'_, VIEWERS, SIZE> {
    fn begin(&mut self, id: SessionId, relay: &mut Relay<'_, '_>) -> bool {
        let now = relay.now;
        let free = self.places.iter_mut().find(|place| place.is_none());
        free.map(|free| *free = Some(Place { id, connection: WebConnection::new(now) })).is_some()
    }

    fn poll(
        &mut self,
        id: SessionId,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Error> {
        let Self { config, places } = self;
        let place = places.iter_mut().flatten().find(|place| place.id == id);
        let Some(Place { connection, .. }) = place else { return Poll::Ready(Error::Closed) };
        let over = serve(connection, config, id, link, relay, cx);
        if let Poll::Ready(why) = &over {
            self.end(id, relay, why);
        }
        over
    }

    fn end(&mut self, id: SessionId, relay: &mut Relay<'_, '_>, why: &Error) {
        if let Some(place) = self.places.iter_mut().find(|place| place.as_ref().is_some_and(|place| place.id == id)) {
            *place = None;
        }
        info!("session {}: {}", id.0, *why);
        relay.leave(id);
        relay.closed(id, why);
    }

    fn shutdown(&mut self, relay: &mut Relay<'_, '_>) {
        for index in 0..VIEWERS {
            if let Some(Some(Place { id, .. })) = self.places.get(index) {
                self.end(*id, relay, &Error::Closed);
            }
        }
    }
}

/// Handles requests, and writes answers and media.
fn serve<const SIZE: usize>(
    connection: &mut WebConnection<SIZE>,
    config: &WebConfig<'_>,
    id: SessionId,
    link: &mut Tcp<'_>,
    relay: &mut Relay<'_, '_>,
    cx: &mut Context<'_>,
) -> Poll<Error> {
    let now = relay.now;
    loop {
        connection.handle_timeout(now, config, link.unacknowledged().is_none_or(|queued| queued > 0));
        let mut is_drained = true;
        let taken = link.read(&mut |input| {
            let mut rest = &*input;
            while let Some(event) = connection.next_event(now, &mut rest, config) {
                let answer = match event {
                    WebEvent::Request(request) => decide(id, &request, relay),
                    WebEvent::Refused(why) => {
                        info!("session {}: a request is refused: {}", id.0, why);
                        continue;
                    }
                    _ => continue,
                };
                match answer {
                    Ok(()) => connection.accept(now),
                    Err(rejection) => connection.reject(now, rejection),
                }
            }
            is_drained = rest.is_empty();
            input.len().saturating_sub(rest.len())
        });
        let (has_room, mut is_overtaken) = (link.has_room(), false);
        let mut fill = |out: &mut [u8]| {
            let filled = fill(connection, id, relay, out);
            is_overtaken = filled.is_none();
            filled.unwrap_or(0)
        };
        // A viewer that is too slow must be found even if there is no room.
        let written = if has_room { link.write(&mut fill) } else { fill(&mut []) };
        if is_overtaken {
            return Poll::Ready(Error::TooSlow);
        }
        if !connection.is_streaming() {
            relay.leave(id);
        }
        if connection.is_over() {
            return Poll::Ready(Error::Closed);
        }
        if taken > 0 || written > 0 {
            continue;
        }
        let waits = connection.wants_transmit() || connection.is_status();
        if !link.may_send() || !link.may_receive() && !waits {
            return Poll::Ready(link.end().into());
        }
        if is_drained {
            link.wake_when_readable(cx);
        }
        if !link.has_room() {
            link.wake_when_writable(cx);
        }
        if let Some(at) = connection.poll_timeout(config) {
            wake_at(at, cx);
        }
        return Poll::Pending;
    }
}

/// Writes to `out`. Returns the number of bytes, or `None` if the viewer is too slow.
fn fill<const SIZE: usize>(
    connection: &mut WebConnection<SIZE>,
    id: SessionId,
    relay: &mut Relay<'_, '_>,
    out: &mut [u8],
) -> Option<usize> {
    let now = relay.now;
    if connection.is_status() {
        return Some(fill_status(connection, relay, out));
    }
    if !connection.is_streaming() {
        return Some(connection.poll_transmit(now, out));
    }
    relay.view(id, |player, ring, generation| connection.poll_stream(now, out, player, ring, generation).ok())?
}

/// Decides about a request, and lets the client play if it is for a stream.
fn decide(id: SessionId, request: &WebRequest<'_>, relay: &mut Relay<'_, '_>) -> Result<(), WebRejection> {
    if !matches!(request.resource, WebResource::Stream(_)) {
        return relay.handler.view(id, request);
    }
    let (mut name, mut request) = ([0; NAME], *request);
    let named = StreamName::new(request.application.as_bytes(), request.key.as_bytes());
    let mut found = relay.directory.published_as(named);
    if found.is_none()
        && request.is_for_first()
        && let Some(first) = listed(&relay.directory, &*relay.handler).next()
    {
        // From here on, the request is for that stream.
        let path = relay.directory.name(first);
        let to = name.get_mut(..path.len()).ok_or(WebRejection::NotFound)?;
        to.iter_mut().zip(path).for_each(|(to, from)| *to = *from);
        let key = to.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash.saturating_add(1));
        let (application, key) = to.split_at_checked(key).unwrap_or_default();
        (request.application, request.key) =
            (Text::new(application.strip_suffix(b"/").unwrap_or_default()), Text::new(key));
        found = Some(first);
    }
    // The handler decides first, so that a client without access does not learn which streams there are.
    relay.handler.view(id, &request)?;
    if found.is_none() {
        return Err(WebRejection::NotFound);
    }
    if request.is_head {
        return Ok(());
    }
    let name = StreamName::new(request.application.as_bytes(), request.key.as_bytes());
    relay.play(id, STREAM, name).map_err(|_| WebRejection::Unavailable)?;
    info!("session {}: a stream is played over HTTP", id.0);
    Ok(())
}

/// The published streams that may be listed.
fn listed(directory: &Directory<'_, '_>, handler: &dyn Handler) -> impl Iterator<Item = StreamIndex> {
    let streams = directory.published_streams();
    streams.filter(|stream| {
        let name = directory.name(*stream);
        core::str::from_utf8(name).is_ok() && handler.is_listed(name)
    })
}

/// Whole seconds.
fn seconds(now: Instant, since: Instant) -> u32 {
    u32::try_from(now.saturating_duration_since(since).as_secs()).unwrap_or(u32::MAX)
}

/// Writes the status of the server and of the listed streams.
fn fill_status<const SIZE: usize>(
    connection: &mut WebConnection<SIZE>,
    relay: &mut Relay<'_, '_>,
    out: &mut [u8],
) -> usize {
    let (now, directory, handler) = (relay.now, &relay.directory, &*relay.handler);
    let (rings, meters) = (&*relay.rings, &mut *relay.meters);
    let (mut publishers, mut players) = (0_u32, 0_u32);
    for stream in directory.published_streams() {
        (publishers, players) =
            (publishers.saturating_add(1), players.saturating_add(directory.player_count(stream).into()));
    }
    let status =
        WebStatus { uptime: seconds(now, relay.started), publishers, players, last_error: handler.last_error() };
    connection.poll_status(now, out, &status, &mut |index| {
        let stream = listed(directory, handler).nth(index)?;
        let counts = rings.get(stream.get()).map(|ring| ring.counts()).unwrap_or_default();
        let meter = meters.get_mut(stream.get())?;
        Some(StreamStatus {
            name: core::str::from_utf8(directory.name(stream)).ok()?,
            uptime: seconds(now, meter.since),
            bit_rate: meter.rate.bits_per_second(now),
            players: directory.player_count(stream).into(),
            dropped: counts.too_long.saturating_add(counts.too_many).saturating_add(counts.cut),
            skipped: directory.skipped(stream),
        })
    })
}
