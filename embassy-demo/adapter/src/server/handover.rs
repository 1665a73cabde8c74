//! Connections that the application serves, because their first request is for no part of the server.
//!
//! ```text
//!   client ◄──► socket of the server ◄──► Place: input, output ◄──► HandoverStream ◄──► the application's HTTP server
//! ```

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::tcp;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{HeadError, Protocol};
use embedded_rtmp::web::{FirstRequest, WebRoute};

use crate::clock::wake_at;
use crate::fmt::{impl_format, info};
use crate::server::gateway::{FirstLook, HandoverServer, Route};
use crate::server::handler::{Origin, SessionId};
use crate::server::viewers::BUSY;
use crate::transport::{End, Tcp, Transport};
use crate::wakers::{TaskWaker, Watchers};

/// The longest first line of a request, in bytes.
const LINE: usize = 512;

/// The interval at which a part of a first request is looked at again.
const AGAIN: Duration = Duration::from_millis(10);

/// How long a connection waits until the application accepts it.
const ACCEPT_LIMIT: Duration = Duration::from_secs(5);

/// Returns the answer to a request whose head is not accepted.
const fn refusal(error: HeadError) -> &'static [u8] {
    match error {
        HeadError::TooLong => {
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        HeadError::LengthTooLarge => {
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        }
        _ => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    }
}

/// The answer to a request whose head does not arrive in time.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Hands connections over from a [`Server`](crate::Server) to an HTTP server of the application, such as that of the crate
/// `edge-http`: see [`Server::with_handover`](crate::Server::with_handover). So both can be reached on one port.
///
/// The first request of a connection decides about the whole connection. If it is for a tunnel, a stream, the page or the
/// status, the server answers it. The others are handed over with the bytes that were read already. A request that two
/// servers could read differently is answered with 400: two lengths of its body, a length and `Transfer-Encoding`, or a CR
/// without an LF. A request whose head does not fit into the receive ring of its socket, or whose first line has more
/// than 512 bytes, is answered with 431. A request whose head does not arrive within
/// [`connect_timeout`](embedded_rtmp::session::ServerConfig::connect_timeout) is answered with 408. Later requests of the
/// connection are not checked.
///
/// `N` is the number of connections that are handed over at the same time. Further ones are answered with 503, and so is one
/// that the application does not [accept](Self::accept) within 5 s. A connection keeps its socket of the server. If the
/// server needs the socket for another client, it closes one that neither publishes nor plays, which can be this one.
///
/// Of each connection, `SIZE` bytes are stored in each direction, between the socket and the application.
///
/// ```no_run
/// use core::time::Duration;
/// use embedded_io_async::Write;
/// use embedded_rtmp_embassy::{Handler, Handover, Server};
/// use static_cell::StaticCell;
///
/// async fn serve(server: Server<'static, 6, 1, 4>, handler: &mut dyn Handler) {
///     static HANDOVER: StaticCell<Handover<2>> = StaticCell::new();
///     let handover: &'static Handover<2> = HANDOVER.init(Handover::new(Duration::from_secs(30)));
///     spawn(settings_task(handover)); // one task for each connection that is served at the same time
///     spawn(settings_task(handover));
///     server.with_handover(handover).run(handler).await;
/// }
///
/// async fn settings_task(handover: &Handover<2>) -> ! {
///     loop {
///         let mut stream = handover.accept().await;
///         // Give it to an HTTP server here: it is `embedded_io_async::{Read, Write}`. `&stream` is both, too.
///         let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nSettings").await;
///         // When it is dropped, the connection is closed after everything that was written.
///     }
/// }
/// # fn spawn<T>(_: impl Future<Output = T>) {}
/// ```
pub struct Handover<const N: usize, const SIZE: usize = 512> {
    idle_timeout: Duration,
    places: [RefCell<Place<SIZE>>; N],
    /// The tasks that wait for a connection.
    acceptors: RefCell<Watchers>,
}

impl_format!([const N: usize, const SIZE: usize] Handover<N, SIZE>, _ => "Handover");

/// A connection between a socket and the application.
struct Place<const SIZE: usize> {
    /// The socket. `None` if the connection is over.
    socket: Option<SessionId>,
    application: Application,
    origin: Origin,
    /// When bytes were last moved.
    moved_at: Instant,
    input: Block<SIZE>,
    output: Block<SIZE>,
    /// The client sends nothing any longer.
    has_input_ended: bool,
    /// The application writes nothing any longer.
    is_closing: bool,
    /// The client was told that we write nothing any longer.
    is_closed: bool,
    /// The task of the server, and those of the application.
    server: TaskWaker,
    reader: TaskWaker,
    writer: TaskWaker,
}

/// What the application does with a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Application {
    /// It has no connection, or has dropped it.
    None,
    /// It has not accepted it yet.
    Awaited,
    Serves,
}

/// Bytes that wait for the next part of their way. There is room again when all were taken.
struct Block<const SIZE: usize> {
    bytes: [u8; SIZE],
    start: usize,
    end: usize,
}

impl<const SIZE: usize> Block<SIZE> {
    const EMPTY: Self = Self { bytes: [0; SIZE], start: 0, end: 0 };

    const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    const fn has_room(&self) -> bool {
        self.end < SIZE
    }

    /// Adds bytes until either ends. Returns their number.
    fn put(&mut self, from: &[u8]) -> usize {
        let added = copy(from, self.bytes.get_mut(self.end..).unwrap_or_default());
        self.end = self.end.saturating_add(added);
        added
    }

    /// Moves bytes to `to` until either ends. Returns their number.
    fn take(&mut self, to: &mut [u8]) -> usize {
        let taken = copy(self.bytes.get(self.start..self.end).unwrap_or_default(), to);
        self.start = self.start.saturating_add(taken);
        if self.is_empty() {
            self.clear();
        }
        taken
    }

    const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    from.iter().zip(to).map(|(from, to)| *to = *from).count()
}

impl<const N: usize, const SIZE: usize> Handover<N, SIZE> {
    /// A connection on which no byte is moved for `idle_timeout` is reset.
    pub const fn new(idle_timeout: Duration) -> Self {
        const { assert!(SIZE > 0, "there must be room for a byte") };
        Self { idle_timeout, places: [const { RefCell::new(Place::FREE) }; N], acceptors: RefCell::new(Watchers::NONE) }
    }

    /// Offers a connection to the application. Returns `false` if there are too many.
    fn begin(&self, id: SessionId, link: &Tcp<'_>, now: Instant) -> bool {
        let is_free = |place: &&RefCell<Place<SIZE>>| {
            let place = place.borrow();
            place.socket.is_none() && place.application == Application::None
        };
        let Some(free) = self.places.iter().find(is_free) else { return false };
        info!("session {}: handed over", id.0);
        let mut free = free.borrow_mut();
        (free.socket, free.application, free.moved_at) = (Some(id), Application::Awaited, now);
        free.origin = Origin { port: link.local_port(), remote: link.remote() };
        (free.has_input_ended, free.is_closing, free.is_closed) = (false, false, false);
        free.input.clear();
        free.output.clear();
        self.acceptors.borrow_mut().wake();
        true
    }

    /// Waits for the next connection. Several tasks may wait. The future can be dropped.
    pub async fn accept(&self) -> HandoverStream<'_, SIZE> {
        poll_fn(|cx| {
            for place in &self.places {
                let mut entry = place.borrow_mut();
                if entry.application == Application::Awaited {
                    entry.application = Application::Serves;
                    return Poll::Ready(HandoverStream(place));
                }
            }
            self.acceptors.borrow_mut().register(cx);
            Poll::Pending
        })
        .await
    }
}

/// A connection that the application serves. Its input begins with the first request. `&HandoverStream` can be read and
/// written as well, so the connection can be split. When it is dropped, the connection is closed after everything that was
/// written. Use it on the executor of the server.
///
/// A read returns 0 after the client has ended its side. It fails after a reset, after the idle time-out, and if the server
/// has closed the connection. `flush` waits until everything that was written is in the send ring of the socket.
pub struct HandoverStream<'h, const SIZE: usize = 512>(&'h RefCell<Place<SIZE>>);

impl_format!(['h, const SIZE: usize] HandoverStream<'h, SIZE>, _ => "HandoverStream");

impl<const SIZE: usize> HandoverStream<'_, SIZE> {
    /// The port that the client connected to, and its address.
    pub fn origin(&self) -> Origin {
        self.0.borrow().origin
    }

    /// Ends our side after everything that was written. The client may still send. Nothing can be written after this.
    pub fn shut_down(&self) {
        let mut place = self.0.borrow_mut();
        place.is_closing = true;
        place.server.wake();
    }
}

impl<const SIZE: usize> Drop for HandoverStream<'_, SIZE> {
    fn drop(&mut self) {
        self.shut_down();
        self.0.borrow_mut().application = Application::None;
    }
}

impl<const SIZE: usize> ErrorType for HandoverStream<'_, SIZE> {
    type Error = tcp::Error;
}

impl<const SIZE: usize> ErrorType for &HandoverStream<'_, SIZE> {
    type Error = tcp::Error;
}

impl<const SIZE: usize> Read for &HandoverStream<'_, SIZE> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| self.0.borrow_mut().poll_read(buf, cx)).await
    }
}

impl<const SIZE: usize> Write for &HandoverStream<'_, SIZE> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| self.0.borrow_mut().poll_write(buf, cx)).await
    }

    async fn flush(&mut self) -> Result<(), tcp::Error> {
        poll_fn(|cx| self.0.borrow_mut().poll_flush(cx)).await
    }
}

impl<const SIZE: usize> Read for HandoverStream<'_, SIZE> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, tcp::Error> {
        (&*self).read(buf).await
    }
}

impl<const SIZE: usize> Write for HandoverStream<'_, SIZE> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, tcp::Error> {
        (&*self).write(buf).await
    }

    async fn flush(&mut self) -> Result<(), tcp::Error> {
        (&*self).flush().await
    }
}

impl<const SIZE: usize> Place<SIZE> {
    const FREE: Self = Self {
        socket: None,
        application: Application::None,
        origin: Origin { port: 0, remote: None },
        moved_at: Instant::from_micros(0),
        input: Block::EMPTY,
        output: Block::EMPTY,
        has_input_ended: false,
        is_closing: false,
        is_closed: false,
        server: TaskWaker::NONE,
        reader: TaskWaker::NONE,
        writer: TaskWaker::NONE,
    };

    fn poll_read(&mut self, out: &mut [u8], cx: &mut Context<'_>) -> Poll<Result<usize, tcp::Error>> {
        let taken = self.input.take(out);
        if taken > 0 || out.is_empty() || self.has_input_ended {
            self.server.wake();
            return Poll::Ready(Ok(taken));
        }
        if self.socket.is_none() {
            return Poll::Ready(Err(tcp::Error::ConnectionReset));
        }
        self.reader.register(cx.waker());
        Poll::Pending
    }

    fn poll_write(&mut self, from: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, tcp::Error>> {
        if self.socket.is_none() || self.is_closing {
            return Poll::Ready(Err(tcp::Error::ConnectionReset));
        }
        let added = self.output.put(from);
        if added > 0 || from.is_empty() {
            self.server.wake();
            return Poll::Ready(Ok(added));
        }
        self.writer.register(cx.waker());
        Poll::Pending
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tcp::Error>> {
        if self.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if self.socket.is_none() {
            return Poll::Ready(Err(tcp::Error::ConnectionReset));
        }
        self.writer.register(cx.waker());
        Poll::Pending
    }

    /// Moves bytes in both directions. Ready if the connection is over.
    fn serve(&mut self, idle_timeout: Duration, link: &mut Tcp<'_>, now: Instant, cx: &mut Context<'_>) -> Poll<End> {
        self.server.register(cx.waker());
        let is_awaited = self.application == Application::Awaited;
        loop {
            let mut moved = 0;
            if self.input.has_room() && self.application != Application::None {
                moved = link.read(&mut |bytes| self.input.put(bytes));
                if moved > 0 {
                    self.reader.wake();
                }
            }
            if !self.output.is_empty() {
                let sent = link.write(&mut |room| self.output.take(room));
                if sent > 0 {
                    self.writer.wake();
                }
                moved = moved.saturating_add(sent);
            }
            if moved == 0 {
                break;
            }
            // The time of a connection that waits to be accepted began with its first request.
            if !is_awaited {
                self.moved_at = now;
            }
        }
        if link.is_lost() {
            return Poll::Ready(link.end());
        }
        if !self.has_input_ended && !link.may_receive() {
            self.has_input_ended = true;
            self.reader.wake();
        }
        if self.is_closing && self.output.is_empty() && !core::mem::replace(&mut self.is_closed, true) {
            link.close();
        }
        // This discards input, so there must be none that the application could read.
        if self.is_closed
            && (self.has_input_ended || self.application == Application::None)
            && let Poll::Ready(end) = link.poll_gone(cx)
        {
            return Poll::Ready(end);
        }
        let limit = if is_awaited { idle_timeout.min(ACCEPT_LIMIT) } else { idle_timeout };
        let until = self.moved_at + limit;
        if now >= until {
            if is_awaited {
                link.write(&mut |room| copy(BUSY, room));
                return Poll::Ready(End::Closed);
            }
            return Poll::Ready(End::Lost);
        }
        wake_at(until, cx);
        if self.input.has_room() && !self.has_input_ended {
            link.wake_when_readable(cx);
        }
        if !self.output.is_empty() {
            link.wake_when_writable(cx);
        }
        Poll::Pending
    }

    /// The connection is over.
    fn leave(&mut self) {
        self.socket = None;
        if self.application == Application::Awaited {
            self.application = Application::None;
        }
        self.reader.wake();
        self.writer.wake();
    }
}

impl<const N: usize, const SIZE: usize> HandoverServer for Handover<N, SIZE> {
    fn poll_first_request(
        &self,
        look: &mut FirstLook,
        id: SessionId,
        has_web: bool,
        link: &mut Tcp<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Route<'_>> {
        let (seen, capacity) = (core::mem::take(&mut look.seen), link.receive_capacity());
        let mut route = None;
        link.read(&mut |input| {
            (look.seen, route) = (input.len(), self::route(input, seen, has_web));
            if route.is_none() && input.len() >= capacity {
                route = Some(Err(HeadError::TooLong));
            }
            0
        });
        let answer = match route {
            Some(Ok(WebRoute::Web)) => return Poll::Ready(Route::Web),
            Some(Ok(WebRoute::Other)) if self.begin(id, link, now) => return Poll::Ready(Route::HandedOver(self)),
            Some(Ok(WebRoute::Other)) => BUSY,
            Some(Ok(_)) => return Poll::Ready(Route::Session),
            Some(Err(error)) => {
                info!("session {}: a request is refused: {}", id.0, error);
                refusal(error)
            }
            None if !link.may_receive_more() => return Poll::Ready(Route::Ended(link.end())),
            None if look.until.is_some_and(|until| until <= now) => match look.seen {
                0 => return Poll::Ready(Route::Ended(End::Lost)),
                _ => TOO_SLOW,
            },
            None => {
                match look.seen {
                    0 => link.wake_when_readable(cx),
                    // No waker reports that more bytes follow unread ones.
                    _ => wake_at(now + AGAIN, cx),
                }
                look.until.into_iter().for_each(|until| wake_at(until, cx));
                return Poll::Pending;
            }
        };
        link.write(&mut |room| copy(answer, room));
        Poll::Ready(Route::Ended(End::Closed))
    }

    fn poll(&self, id: SessionId, link: &mut Tcp<'_>, now: Instant, cx: &mut Context<'_>) -> Poll<End> {
        for place in &self.places {
            let mut place = place.borrow_mut();
            if place.socket == Some(id) {
                let over = place.serve(self.idle_timeout, link, now, cx);
                if over.is_ready() {
                    info!("session {}: the connection that was handed over has ended", id.0);
                    place.leave();
                }
                return over;
            }
        }
        Poll::Ready(End::Closed)
    }

    fn end(&self, id: SessionId) {
        for place in &self.places {
            let mut place = place.borrow_mut();
            if place.socket == Some(id) {
                place.leave();
            }
        }
    }

    fn end_all(&self) {
        self.places.iter().for_each(|place| place.borrow_mut().leave());
    }
}

/// Returns the part of the server that handles a connection which has sent `input` so far, `seen` bytes of it before the last
/// call. `None` if more bytes are needed. What is not HTTP counts as a tunnel.
fn route(input: &[u8], seen: usize, has_web: bool) -> Option<Result<WebRoute, HeadError>> {
    if Protocol::of(*input.first()?) != Protocol::Http {
        return Some(Ok(WebRoute::Tunnel));
    }
    // Nothing is stored of a first request, because it stays in the ring. It is read again for each of its lines.
    if !input.get(seen..)?.contains(&b'\n') {
        return None;
    }
    FirstRequest::<LINE>::new(has_web).read(&mut &*input).transpose()
}
