//! Administration of a server, on a port of its own.

use core::cell::Cell;
use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::{IpAddress, Stack};
use embedded_rtmp::admin::{
    AdminAccess, AdminCall, AdminClient, AdminConnection, AdminCredentials, AdminData, AdminEvent, AdminFailure,
    AdminPublisher, AdminSession, AdminStats, AdminStream,
};
#[cfg(feature = "rtmpe")]
use embedded_rtmp::handshake::Versions;
use embedded_rtmp::relay::PeerId;
use embedded_rtmp::session::{ServerConfig, SessionBuffers};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::Protocol;

use crate::buffers::{Lent, Memory};
use crate::clock::wake_at;
use crate::fmt::{impl_format, info};
use crate::server::book::{Book, Client};
use crate::server::handler::SessionId;
use crate::server::relay::{Relay, session_of};
use crate::transport::keys::Keys;
use crate::transport::{End, KeepAlive, Tcp, Transport};

/// The bytes that are stored of a line of a request over HTTP, and of the arguments of a call over RTMP. Two different sizes
/// would take 4 KB more of flash.
const SIZE: usize = 512;
/// As many as the sessions of most servers have, because the code for another number would take 9 KB of flash.
const STREAMS: usize = 8;

/// How long a client may send nothing.
const FIRST_BYTE_LIMIT: Duration = Duration::from_secs(10);
/// The time limit for closing a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// The time after which a client that has not logged in may be disconnected, if no socket is left for others.
const MIN_IDLE: Duration = Duration::from_secs(3);

/// Administration of a [`Server`](crate::Server) over HTTP and RTMP: see [`Server::with_admin`](crate::Server::with_admin). The
/// methods and their answers are those of [`embedded_rtmp::admin`]:
///
/// ```sh
/// curl -u admin:PASSWORD http://camera:1111/admin/getLiveStreams
/// curl -u admin:PASSWORD -X POST http://camera:1111/admin/x/closeSession?id=7
/// ```
///
/// It has `N` sockets on a port of its own, usually 1111. They can neither publish nor play, and no tunnel leads to them. If
/// none of them listens any longer, one that has not logged in for 3 s is disconnected. The password is sent as it is: use
/// this on a network that you trust. After 5 wrong passwords, an address waits for 1 s, and twice as long each further time, up
/// to 60 s. The addresses of 16 such clients are stored.
///
/// `CLIENTS` is the number of clients of the server that are known here: those of its sockets, tunnels and streams. A client
/// without a place is served, and missing in the answers. A stream of the device itself has the publisher 0, which cannot be
/// closed. Bytes and connections are those of the sockets of the server. The answers have times if
/// [`Handler::unix_millis`](crate::Handler::unix_millis) knows the time. `x/restartListeners` does not exist, because a
/// socket that has no connection listens.
///
/// If streams or players come or go while an answer is sent, its connection is closed. Most answers fit in the send ring of
/// their socket, and are written at once.
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::{Admin, Handler, Memory, Server};
/// use static_cell::{ConstStaticCell, StaticCell};
///
/// async fn serve(stack: Stack<'static>, server: Server<'static, 6, 1, 4>, password: &'static str, handler: &mut dyn Handler) {
///     static MEMORY: ConstStaticCell<[Memory<1024, 2048>; 1]> = ConstStaticCell::new([Memory::new()]);
///     static ADMIN: StaticCell<Admin<'static, 1>> = StaticCell::new();
///     let admin = ADMIN.init(Admin::new(stack, 1111, MEMORY.take(), "admin", password));
///     server.with_admin(admin).run(handler).await;
/// }
/// ```
pub struct Admin<'a, const N: usize, const CLIENTS: usize = 16> {
    connections: Connections<'a, N>,
    clients: [Cell<Option<Client>>; CLIENTS],
}

impl_format!(['a, const N: usize, const CLIENTS: usize] Admin<'a, N, CLIENTS>, _ => "Admin");

impl<'a, const N: usize, const CLIENTS: usize> Admin<'a, N, CLIENTS> {
    /// Administration on `port`, for one user with a password. If the name or the password is empty, nobody is accepted.
    ///
    /// The send ring of `memory` should have room for an answer.
    ///
    /// # Panics
    /// If the stack has fewer than `N` sockets left (`StackResources`).
    pub fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        port: u16,
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; N],
        user: &'a str,
        password: &'a str,
    ) -> Self {
        let places = memory.each_mut().map(|memory| {
            let Lent { rx, tx, buffers, .. } = memory.split();
            Place {
                link: Tcp::new(stack, rx, tx),
                buffers: Some(buffers),
                since: Instant::from_micros(0),
                has_logged_in: false,
                keys: Keys::None,
                stats: AdminStats::default(),
                role: Role::Listening,
            }
        });
        let connections = Connections { port, access: AdminAccess::new(user, password), places };
        Self { connections, clients: [const { Cell::new(None) }; CLIENTS] }
    }

    /// The connections, and the places for the clients of a new server.
    pub(crate) fn split(&mut self) -> (&mut Connections<'a, N>, &[Cell<Option<Client>>]) {
        let Self { connections, clients } = self;
        connections.shutdown();
        clients.iter().for_each(|client| client.set(None));
        (connections, clients)
    }
}

/// The connections of administrators.
pub(crate) struct Connections<'a, const N: usize> {
    port: u16,
    access: AdminAccess<'a>,
    places: [Place<'a>; N],
}

/// A socket, and its client.
struct Place<'a> {
    link: Tcp<'a>,
    /// The memory of a session over RTMP, while there is none.
    buffers: Option<SessionBuffers<'a>>,
    /// When the client has connected.
    since: Instant,
    has_logged_in: bool,
    keys: Keys,
    /// What the current answer tells. It must not change until all of it is written.
    stats: AdminStats,
    role: Role<'a>,
}

#[allow(clippy::large_enum_variant, reason = "there is no heap, and the place must have room for the largest variant")]
enum Role<'a> {
    Listening,
    /// The first byte must arrive until this time.
    Unknown(Instant),
    Http(AdminConnection<SIZE>),
    Rtmp(AdminSession<'a, SIZE, STREAMS>),
    /// The connection is given some time to close.
    Closing(Instant),
}

/// Closes a session of the server. Returns whether it was open.
pub(crate) type Close<'c> = &'c mut dyn FnMut(SessionId, &mut Relay<'_, '_>) -> bool;

/// The connections of administrators, any number of them, as a server sees them.
pub(crate) trait AdminServer {
    /// Does everything that can be done now, and registers the task's waker. `connected` is the number of the server's sockets
    /// that have a connection.
    fn poll(&mut self, connected: usize, close: Close<'_>, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>);

    /// Ends all connections.
    fn shutdown(&mut self);
}

impl<const N: usize> AdminServer for Connections<'_, N> {
    fn poll(&mut self, connected: usize, close: Close<'_>, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) {
        let Self { port, access, places } = self;
        for place in places.iter_mut() {
            place.poll(*port, access, connected, close, relay, cx);
        }
        if places.iter().any(Place::is_free) {
            return;
        }
        let strangers = places.iter_mut().filter(|place| !place.has_logged_in);
        if let Some(place) = strangers.min_by_key(|place| place.since) {
            let until = place.since + MIN_IDLE;
            if relay.now < until {
                return wake_at(until, cx);
            }
            place.end(End::Lost, relay.now);
            cx.waker().wake_by_ref();
        }
    }

    fn shutdown(&mut self) {
        for place in &mut self.places {
            place.end(End::Lost, Instant::from_micros(0));
        }
    }
}

impl<'a> Place<'a> {
    /// Returns whether the socket listens, or will do so as soon as its last connection has ended.
    const fn is_free(&self) -> bool {
        matches!(self.role, Role::Listening | Role::Closing(_))
    }

    fn poll(
        &mut self,
        port: u16,
        access: &mut AdminAccess<'_>,
        connected: usize,
        close: Close<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) {
        let now = relay.now;
        loop {
            let over = match &mut self.role {
                Role::Listening => {
                    if self.link.poll_accept(port, cx).is_pending() {
                        return;
                    }
                    self.link.keep_alive(KeepAlive::DEFAULT);
                    (self.since, self.has_logged_in, self.keys) = (now, false, Keys::None);
                    self.role = Role::Unknown(now + FIRST_BYTE_LIMIT);
                    continue;
                }
                &mut Role::Unknown(until) => self.begin(until, relay, cx),
                Role::Http(_) => self.serve_http(access, connected, close, relay, cx),
                Role::Rtmp(_) => self.serve_rtmp(access, connected, close, relay, cx),
                &mut Role::Closing(until) => {
                    if self.link.poll_gone(cx).is_pending() {
                        if now < until {
                            return wake_at(until, cx);
                        }
                        self.link.abort();
                    }
                    self.role = Role::Listening;
                    continue;
                }
            };
            match over {
                Poll::Ready(Some(end)) => self.end(end, now),
                Poll::Ready(None) => {}
                Poll::Pending => return,
            }
        }
    }

    /// The connection is over.
    fn end(&mut self, end: End, now: Instant) {
        match core::mem::replace(&mut self.role, Role::Closing(now + CLOSE_LIMIT)) {
            Role::Listening => self.role = Role::Listening,
            Role::Rtmp(session) => self.buffers = Some(session.into_buffers()),
            Role::Unknown(_) | Role::Http(_) | Role::Closing(_) => {}
        }
        match end {
            End::Closed => self.link.close(),
            _ => self.link.abort(),
        }
    }

    /// Waits for the byte that shows the protocol. Ready with `None` if it has arrived.
    fn begin(&mut self, until: Instant, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let (mut first, now) = (None, relay.now);
        self.link.read(&mut |input| {
            first = input.first().copied();
            0
        });
        let Some(first) = first else {
            if !self.link.may_receive() {
                return Poll::Ready(Some(self.link.end()));
            }
            if now >= until {
                return Poll::Ready(Some(End::Lost));
            }
            self.link.wake_when_readable(cx);
            wake_at(until, cx);
            return Poll::Pending;
        };
        let role = match Protocol::of(first) {
            Protocol::Http => Some(Role::Http(AdminConnection::new(now))),
            Protocol::Rtmp | Protocol::Rtmpe => {
                #[cfg_attr(not(feature = "rtmpe"), expect(unused_mut, reason = "only RTMPE must be turned on"))]
                let mut config = ServerConfig::new();
                #[cfg(feature = "rtmpe")]
                {
                    config.handshake = Versions::Rtmpe;
                }
                let session = self.buffers.take();
                let session = session.map(|buffers| AdminSession::new(buffers, config, &relay.handler.entropy()));
                session.and_then(Result::ok).map(Role::Rtmp)
            }
            _ => None,
        };
        let Some(role) = role else { return Poll::Ready(Some(End::Lost)) };
        self.role = role;
        Poll::Ready(None)
    }

    fn serve_http(
        &mut self,
        access: &mut AdminAccess<'_>,
        connected: usize,
        close: Close<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        let (Self { link, has_logged_in, stats, role, .. }, now) = (self, relay.now);
        let Role::Http(connection) = role else { return Poll::Ready(None) };
        let address = octets(link);
        loop {
            let (mut call, mut is_drained, was_answering) = (None, true, connection.wants_transmit());
            let taken = link.read(&mut |input| {
                let mut rest = &*input;
                while let Some(event) = connection.next_event(now, &mut rest) {
                    match event {
                        AdminEvent::Login(credentials) => match check(access, now, address, credentials) {
                            Ok(()) => {
                                *has_logged_in = true;
                                connection.accept_login();
                            }
                            Err(failure) => connection.reject(now, failure),
                        },
                        AdminEvent::Call(its) => call = Some(its),
                        _ => {}
                    }
                }
                is_drained = rest.is_empty();
                input.len().saturating_sub(rest.len())
            });
            if let Some(call) = call {
                connection.answer(now, carry_out(call, close, relay));
            }
            connection.handle_timeout(now);
            if !was_answering && connection.wants_transmit() {
                *stats = self::stats(relay, connected);
            }
            let written = link.write(&mut |out| connection.poll_transmit(now, out, &View { relay, stats }));
            if connection.is_over() {
                return Poll::Ready(Some(End::Closed));
            }
            if taken > 0 || written > 0 || call.is_some() {
                continue;
            }
            let waits = connection.wants_transmit();
            if !link.may_send() || !link.may_receive() && !waits {
                return Poll::Ready(Some(link.end()));
            }
            if is_drained {
                link.wake_when_readable(cx);
            }
            if waits {
                link.wake_when_writable(cx);
            }
            connection.poll_timeout().into_iter().for_each(|at| wake_at(at, cx));
            return Poll::Pending;
        }
    }

    fn serve_rtmp(
        &mut self,
        access: &mut AdminAccess<'_>,
        connected: usize,
        close: Close<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        let (Self { link, has_logged_in, stats, role, keys, .. }, now) = (self, relay.now);
        let Role::Rtmp(session) = role else { return Poll::Ready(None) };
        let address = octets(link);
        loop {
            let (mut call, mut result, mut is_drained) = (None, Ok(()), true);
            let was_answering = session.is_answering();
            let taken = link.read(&mut |input| {
                let length = input.len();
                let taken = keys.read(input, |rest| {
                    loop {
                        match session.next_event(now, rest) {
                            Ok(Some(AdminEvent::Login(credentials))) => {
                                match check(access, now, address, credentials) {
                                    Ok(()) => {
                                        *has_logged_in = true;
                                        session.accept_login();
                                    }
                                    Err(failure) => session.reject(failure),
                                }
                            }
                            Ok(Some(AdminEvent::Call(its))) => call = Some(its),
                            Ok(Some(_)) => {}
                            Ok(None) => break,
                            Err(error) => {
                                result = Err(error);
                                break;
                            }
                        }
                    }
                });
                is_drained = taken == length;
                taken
            });
            if result.is_err() {
                return Poll::Ready(Some(End::Lost));
            }
            #[cfg(feature = "rtmpe")]
            if session.awaits_keys() {
                agree(session, keys, relay, cx);
            }
            if let Some(call) = call {
                session.answer(carry_out(call, close, relay));
            }
            if !was_answering && session.is_answering() {
                *stats = self::stats(relay, connected);
            }
            let written = link.write(&mut |out| {
                let written = session.poll_transmit(now, out, &View { relay, stats });
                keys.write(out, written)
            });
            if session.is_closed() {
                return Poll::Ready(Some(End::Closed));
            }
            if taken > 0 || written > 0 || call.is_some() {
                continue;
            }
            let waits = session.wants_transmit();
            if !link.may_send() || !link.may_receive() && !waits {
                return Poll::Ready(Some(link.end()));
            }
            match session.poll_timeout() {
                Some(at) if at <= now => {
                    if session.handle_timeout(now).is_err() {
                        return Poll::Ready(Some(End::Lost));
                    }
                    continue;
                }
                Some(at) => wake_at(at, cx),
                None => {}
            }
            if is_drained {
                link.wake_when_readable(cx);
            }
            if waits {
                link.wake_when_writable(cx);
            }
            return Poll::Pending;
        }
    }
}

/// Agrees with a client of RTMPE on keys, or makes a key pair first.
#[cfg(feature = "rtmpe")]
fn agree(
    session: &mut AdminSession<'_, SIZE, STREAMS>,
    keys: &mut Keys,
    relay: &mut Relay<'_, '_>,
    cx: &mut Context<'_>,
) {
    let Keys::Pair(pair) = keys else { return relay.make_keys(keys, cx) };
    if let Some(cipher) = session.agree(relay.now, pair) {
        *keys = Keys::Ciphers(cipher);
    }
}

/// The address of the client, in the form that a table of failures needs.
fn octets(link: &Tcp<'_>) -> [u8; 16] {
    match link.remote().map(|remote| remote.addr) {
        Some(IpAddress::Ipv4(address)) => address.to_ipv6_mapped().octets(),
        #[cfg(feature = "ipv6")]
        Some(IpAddress::Ipv6(address)) => address.octets(),
        #[allow(unreachable_patterns, reason = "families that another crate enables in the stack")]
        _ => [0; 16],
    }
}

fn check(
    access: &mut AdminAccess<'_>,
    now: Instant,
    address: [u8; 16],
    credentials: Option<AdminCredentials<'_>>,
) -> Result<(), AdminFailure> {
    let checked = access.check(now, address, credentials);
    if credentials.is_some() && checked.is_err() {
        info!("administration: a wrong user or password, or too many of them");
    }
    checked
}

/// Does what a call asks for.
fn carry_out(call: AdminCall, close: Close<'_>, relay: &mut Relay<'_, '_>) -> Result<(), AdminFailure> {
    match call {
        AdminCall::Query(_) => Ok(()),
        AdminCall::CloseSession { id } => {
            let session = relay.book.session(id).ok_or(AdminFailure::Client)?;
            info!("administration: session {} is closed", session.0);
            close(session, relay).then_some(()).ok_or(AdminFailure::Client)
        }
        _ => Err(AdminFailure::Method),
    }
}

fn stats(relay: &Relay<'_, '_>, connected: usize) -> AdminStats {
    let (Book { connects, received, sent, .. }, timestamp) = (relay.book, relay.handler.unix_millis());
    let uptime = relay.now.saturating_duration_since(relay.started);
    let connected = u32::try_from(connected).unwrap_or(u32::MAX);
    let streams = relay.directory.published_streams();
    AdminStats {
        timestamp,
        launch_time: timestamp.map(|now| now.saturating_sub(u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX))),
        uptime: u32::try_from(uptime.as_secs()).ok(),
        bytes_in: Some(received.get()),
        bytes_out: Some(sent.get()),
        connected: Some(connected),
        total_connects: Some(connects.get()),
        total_disconnects: Some(connects.get().wrapping_sub(connected)),
        players: Some(streams.fold(0, |all, stream| all.saturating_add(relay.directory.player_count(stream).into()))),
    }
}

/// What an answer tells.
struct View<'v, 'r, 'a> {
    relay: &'v Relay<'r, 'a>,
    stats: &'v AdminStats,
}

impl View<'_, '_, '_> {
    /// A time in milliseconds since 1970. It is the same within an answer.
    fn unix_millis(&self, at: Instant) -> Option<u64> {
        let since = u64::try_from(at.saturating_duration_since(self.relay.started).as_millis()).unwrap_or(u64::MAX);
        self.stats.launch_time.map(|launched| launched.saturating_add(since))
    }

    fn client(&self, peer: PeerId) -> Option<Client> {
        self.relay.book.client(session_of(peer)?)
    }
}

impl AdminData for View<'_, '_, '_> {
    fn stats(&self) -> AdminStats {
        *self.stats
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        let Relay { directory, meters, .. } = self.relay;
        let stream = directory.published_streams().nth(index)?;
        let publisher = directory.publisher(stream).map(|publisher| {
            let client = self.client(publisher.peer);
            AdminPublisher {
                client: AdminClient {
                    id: client.map_or(0, |client| client.id),
                    since: meters.get(stream.get()).and_then(|meter| self.unix_millis(meter.since)),
                },
                stream_id: client.map(|_| publisher.stream.0),
            }
        });
        Some(AdminStream { name: directory.name(stream), publisher })
    }

    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient> {
        let directory = &self.relay.directory;
        let stream = directory.published_streams().nth(stream)?;
        let client = directory.players(stream).filter_map(|peer| self.client(peer)).nth(index)?;
        Some(AdminClient { id: client.id, since: client.played_since.and_then(|since| self.unix_millis(since)) })
    }
}
