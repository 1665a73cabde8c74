//! A server on a list of ports.

#[cfg(feature = "admin")]
pub(crate) mod admin;
#[cfg(feature = "admin")]
mod book;
#[cfg(feature = "web")]
mod first;
mod gateway;
pub(crate) mod handler;
#[cfg(feature = "handover")]
pub(crate) mod handover;
mod listen;
#[cfg(feature = "live")]
pub(crate) mod local;
#[cfg(any(feature = "web", feature = "admin"))]
mod meter;
pub(crate) mod relay;
mod session;
mod slot;
pub(crate) mod streams;
#[cfg(feature = "rtmpt")]
pub(crate) mod tunnels;
#[cfg(feature = "web")]
pub(crate) mod viewers;

use core::cmp::Reverse;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::Stack;
#[cfg(feature = "enhanced")]
use embedded_rtmp::command::ReconnectRequest;
#[cfg(feature = "rtmpe")]
use embedded_rtmp::crypt::AgreementLimit;
use embedded_rtmp::relay::{Counts, Directory, DirectoryState, Played, PlayerEntry, RelayConfig, Ring, StreamEntry};
use embedded_rtmp::session::{ConfigError, ServerConfig};
use embedded_rtmp::time::Instant;

use crate::buffers::Memory;
use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::impl_format;
use crate::server::gateway::{Gateway, Handovers};
use crate::server::handler::{Handler, SessionId};
use crate::server::listen::Listeners;
use crate::server::relay::{Relay, StreamMemory, peer};
use crate::server::slot::{Acceptor, Slot};
use crate::server::streams::{StreamServer, Streams};
use crate::transport::{KeepAlive, Traffic};

/// The default ports of a server: 1935, the port of RTMP, and 80, which most firewalls let through. This crate's clients
/// also try 443. A server on `&[1935, 80, 443]` needs one more socket.
pub const DEFAULT_PORTS: &[u16] = &[1935, 80];

/// The configuration of a server.
#[derive(Debug, Clone, Copy)]
pub struct ServerOptions {
    /// How long a silent peer is waited for.
    pub keep_alive: KeepAlive,
    /// The configuration of its sessions.
    pub session: ServerConfig,
    /// The configuration of the relay: what happens if two publishers conflict, if a publisher leaves, and if a player is
    /// slow. By default, a second publisher of a stream replaces the first one if that sends nothing for 2 s. Players wait
    /// 10 s for the next publisher before they are told that a stream has ended.
    pub relay: RelayConfig,
    /// The largest number of connections from one address. IPv6 addresses with the same first 64 bits count as one
    /// address. If there are more connections, the server closes one that neither publishes nor plays, or otherwise the
    /// new one. 0 counts as 1. `None` means half of the sockets, rounded up, and at least two. If many clients share an
    /// address, for example behind a router, set this to the number of sockets.
    pub max_per_address: Option<usize>,
}

impl_format!(
    [] ServerOptions,
    this => "ServerOptions {{ keep_alive: {}, session: {}, relay: {} }}", this.keep_alive, this.session, this.relay
);

impl ServerOptions {
    /// The default configuration.
    pub const DEFAULT: ServerOptions = ServerOptions {
        keep_alive: KeepAlive::DEFAULT,
        session: ServerConfig::new(),
        relay: RelayConfig::new(),
        max_per_address: None,
    };
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServerError {
    /// The list of ports is empty.
    NoPorts,
    /// This port is 0, or is in the list twice.
    Port(u16),
    /// At least this number of sockets is needed: one for each port and one more, so that all ports are still open when one
    /// client is connected.
    Sockets(usize),
    /// With tunnels, the send ring of each socket must have at least this number of bytes.
    SendRing(usize),
    /// The configuration of the sessions cannot work.
    Session(ConfigError),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPorts => f.write_str("the list of ports is empty"),
            Self::Port(port) => write!(f, "port {port} is 0, or is in the list twice"),
            Self::Sockets(needed) => write!(f, "the server needs at least {needed} sockets"),
            Self::SendRing(needed) => write!(f, "tunnels need send rings of at least {needed} bytes"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ServerError {}

/// A server with `SOCKETS` sockets on a list of ports. It serves one client on each socket, and relays `PUBLISHERS` streams
/// to `PLAYERS` players. If these are 0, it only accepts publishers.
///
/// An smoltcp socket listens on one port and has no backlog. A socket without a connection listens on the port with the
/// fewest listeners, so that all ports stay open while there is a socket for each. After that, connections are refused.
/// If no socket listens any longer, the server closes a connection that has neither published nor played for 3 s: the
/// oldest one from the address with the most connections. [`ServerOptions::max_per_address`] limits the connections of
/// each address.
///
/// A stream is known by its [application and key](embedded_rtmp::relay::StreamName). It has one publisher. A second one
/// waits, and is told `NetStream.Publish.BadName` if the first one is alive. [`ServerOptions::relay`] can change that.
/// [An example](crate#serving).
///
/// `STREAMS` is the number of chunk streams that may have unfinished messages in addition to the one that is being read. 8
/// are enough for all known clients.
pub struct Server<
    'a,
    const SOCKETS: usize,
    const PUBLISHERS: usize = 0,
    const PLAYERS: usize = 0,
    const STREAMS: usize = 8,
> {
    slots: [Slot<'a, STREAMS>; SOCKETS],
    rings: [Ring<'a>; PUBLISHERS],
    #[cfg(any(feature = "web", feature = "admin"))]
    meters: [meter::Meter; PUBLISHERS],
    /// When it began to run.
    #[cfg(any(feature = "web", feature = "admin"))]
    started: Option<Instant>,
    streams: [StreamEntry<'a>; PUBLISHERS],
    players: [PlayerEntry; PLAYERS],
    directory: DirectoryState,
    listeners: Listeners<'a, SOCKETS>,
    keep_alive: KeepAlive,
    config: ServerConfig,
    max_per_address: usize,
    #[cfg(feature = "rtmpe")]
    agreements: AgreementLimit,
    gateway: Option<Gateway<'a>>,
    accepted: Option<&'a mut (dyn StreamServer + 'a)>,
    #[cfg(feature = "web")]
    viewers: Option<&'a mut (dyn viewers::ViewerServer + 'a)>,
    handover: Option<Handovers<'a>>,
    #[cfg(feature = "admin")]
    book: book::Book<'a>,
    #[cfg(feature = "admin")]
    admin: Option<&'a mut (dyn admin::AdminServer + 'a)>,
    #[cfg(feature = "live")]
    locals: Option<&'a dyn local::Locals<'a>>,
}

impl_format!(
    [
        'a,
        const SOCKETS: usize,
        const PUBLISHERS: usize,
        const PLAYERS: usize,
        const STREAMS: usize
    ] Server<'a, SOCKETS, PUBLISHERS, PLAYERS, STREAMS>,
    this => "Server {{ keep_alive: {}, config: {} }}", this.keep_alive, this.config
);

impl<'a, const SOCKETS: usize, const STREAMS: usize> Server<'a, SOCKETS, 0, 0, STREAMS> {
    /// Creates a server on `ports`, such as [`DEFAULT_PORTS`], that only accepts publishers. It listens while it
    /// [runs](Self::run).
    ///
    /// # Panics
    /// If the stack has fewer sockets left than the server has (`StackResources`).
    ///
    /// # Errors
    /// The ports, the number of sockets or the configuration of the sessions cannot work.
    pub fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Self::over(stack, ports, memory, ([], []), options)
    }
}

impl<'a, const SOCKETS: usize, const PUBLISHERS: usize, const PLAYERS: usize, const STREAMS: usize>
    Server<'a, SOCKETS, PUBLISHERS, PLAYERS, STREAMS>
{
    /// Bytes of RAM of each session, without its [`Memory`].
    pub const SESSION_SIZE: usize = size_of::<Slot<'_, STREAMS>>();
    /// Bytes of RAM of each relayed stream, without its [`StreamMemory`].
    pub const STREAM_SIZE: usize = size_of::<Ring<'_>>() + size_of::<StreamEntry<'_>>();
    /// Bytes of RAM of each player, without its session.
    pub const PLAYER_SIZE: usize = size_of::<PlayerEntry>();

    /// Creates a server that relays streams to players, through the memory in `streams`.
    ///
    /// # Panics
    /// If the stack has fewer sockets left than the server has (`StackResources`).
    ///
    /// # Errors
    /// The ports, the number of sockets or the configuration of the sessions cannot work.
    pub fn relaying<
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const RING: usize,
        const HEADERS: usize,
        const ENTRIES: usize,
        const NAME: usize,
    >(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        streams: &'a mut [StreamMemory<RING, HEADERS, ENTRIES, NAME>; PUBLISHERS],
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        Self::over(stack, ports, memory, StreamMemory::tables(streams, &options.relay), options)
    }

    fn over<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        ports: &'a [u16],
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; SOCKETS],
        (rings, streams): ([Ring<'a>; PUBLISHERS], [StreamEntry<'a>; PUBLISHERS]),
        options: &ServerOptions,
    ) -> Result<Self, ServerError> {
        const { assert!(SOCKETS <= 256, "sessions have ids of one byte") };
        let mut others = ports.iter();
        while let Some(port) = others.next() {
            if *port == 0 || others.as_slice().contains(port) {
                return Err(ServerError::Port(*port));
            }
        }
        if ports.is_empty() {
            return Err(ServerError::NoPorts);
        }
        if SOCKETS <= ports.len() {
            return Err(ServerError::Sockets(ports.len().saturating_add(1)));
        }
        options.session.check().map_err(ServerError::Session)?;
        let mut ids = 0..=u8::MAX;
        let slots = memory.each_mut().map(|memory| {
            let id = SessionId(ids.next().unwrap_or_default());
            Slot::new(id, stack, memory)
        });
        let (players, directory) = ([const { PlayerEntry::new() }; PLAYERS], DirectoryState::new(&options.relay));
        let (listeners, gateway, accepted) = (Listeners::new(ports), None, None);
        let (keep_alive, config) = (options.keep_alive, options.session);
        let max_per_address = options
            .max_per_address
            .map_or(const { if SOCKETS > 4 { SOCKETS.div_ceil(2) } else { 2 } }, |max| max.max(1));
        Ok(Self {
            slots,
            rings,
            #[cfg(any(feature = "web", feature = "admin"))]
            meters: [const { meter::Meter::new(Instant::from_micros(0)) }; PUBLISHERS],
            #[cfg(any(feature = "web", feature = "admin"))]
            started: None,
            streams,
            players,
            directory,
            listeners,
            keep_alive,
            config,
            max_per_address,
            #[cfg(feature = "rtmpe")]
            agreements: AgreementLimit::DEFAULT,
            gateway,
            accepted,
            #[cfg(feature = "web")]
            viewers: None,
            handover: None,
            #[cfg(feature = "admin")]
            book: book::Book::new(&[]),
            #[cfg(feature = "admin")]
            admin: None,
            #[cfg(feature = "live")]
            locals: None,
        })
    }

    /// Accepts tunnels (RTMPT) and direct connections on all ports. The server tells them apart by the first byte of a
    /// connection. It answers other HTTP requests with a page, or with 404. Sessions in tunnels have the ids from `SOCKETS`
    /// on. While a handler pauses one of them, its client waits no longer than the tunnels'
    /// [`idle_timeout`](embedded_rtmp::tunnel::TunnelConfig::idle_timeout).
    ///
    /// # Errors
    /// The send rings of the sockets are too small for answers.
    #[cfg(feature = "rtmpt")]
    pub fn with_tunnels<const TUNNELS: usize, const EACH: usize>(
        mut self,
        tunnels: &'a mut crate::Tunnels<'_, TUNNELS, EACH>,
    ) -> Result<Self, ServerError> {
        use embedded_rtmp::tunnel::MIN_ANSWER;
        const { assert!(SOCKETS + TUNNELS <= 256, "sessions have ids of one byte") };
        if self.slots.iter().any(|slot| slot.send_capacity() < MIN_ANSWER) {
            return Err(ServerError::SendRing(MIN_ANSWER));
        }
        tunnels.join(SOCKETS, self.config);
        self.gateway = Some(tunnels);
        Ok(self)
    }

    /// Limits how often the server agrees on keys with clients of RTMPE, over all of its sessions. The default is
    /// [`AgreementLimit::DEFAULT`]. Other clients of RTMPE wait. One agreement takes two exponentiations of millions of
    /// instructions each. The task yields between them.
    ///
    /// A server accepts RTMPE if its [session configuration](ServerOptions::session) has
    /// [`Versions::Rtmpe`](embedded_rtmp::handshake::Versions::Rtmpe). RTMPE is obfuscation, not security.
    #[cfg(feature = "rtmpe")]
    pub fn with_agreement_limit(mut self, limit: AgreementLimit) -> Self {
        self.agreements = limit;
        self
    }

    /// Also serves sessions over streams that the caller accepts. These sessions have the ids 255, 254 and so on, which
    /// tunnels must not use.
    pub fn with_streams<const N: usize, const EACH: usize>(mut self, streams: &'a mut Streams<'_, N, EACH>) -> Self {
        const { assert!(SOCKETS + N <= 256, "sessions have ids of one byte") };
        streams.join(self.config);
        self.accepted = Some(streams);
        self
    }

    /// Also serves browsers and other viewers, on all ports: HTTP-FLV, WebSocket, a page and its status. The server tells them
    /// apart from RTMP by the first byte of a connection. With tunnels, POST requests are for those, and all others for the
    /// viewers. [`Handler::view`] decides about each request.
    #[cfg(feature = "web")]
    pub fn with_web<const VIEWERS: usize, const SIZE: usize>(
        mut self,
        viewers: &'a mut crate::Viewers<'_, VIEWERS, SIZE>,
    ) -> Self {
        self.viewers = Some(viewers);
        self
    }

    /// Also hands connections over to an HTTP server of the application, on all ports, if their first request is neither for a
    /// tunnel nor for a viewer: see [`Handover`](crate::Handover). Two servers cannot share a `Handover`.
    #[cfg(feature = "handover")]
    pub fn with_handover<const N: usize, const SIZE: usize>(mut self, handover: &'a crate::Handover<N, SIZE>) -> Self {
        let handover: Handovers<'a> = handover;
        handover.end_all();
        self.handover = Some(handover);
        self
    }

    /// Also offers administration, on a port of its own: see [`Admin`](crate::Admin).
    #[cfg(feature = "admin")]
    pub fn with_admin<const N: usize, const CLIENTS: usize>(
        mut self,
        admin: &'a mut crate::Admin<'_, N, CLIENTS>,
    ) -> Self {
        let (connections, clients) = admin.split();
        self.admin = Some(connections);
        self.book = book::Book::new(clients);
        self
    }

    /// Also relays streams of the device itself. They need a place among the `PUBLISHERS`. [`Handler::publish`] is not asked
    /// about them. If another client publishes a stream of the same name, [`ServerOptions::relay`] says what happens. A local
    /// publisher is never silent.
    #[cfg(feature = "live")]
    pub fn with_local<const N: usize>(mut self, locals: &'a [crate::LocalPublisher<'a>; N]) -> Self {
        self.locals = Some(locals);
        self
    }

    /// Listens and serves clients. The future can be dropped; a new one continues.
    pub async fn run(&mut self, handler: &mut dyn Handler) {
        poll_fn(|cx| {
            let Self { slots, rings, streams, players, directory, listeners, accepted, .. } = self;
            let mut relay = Relay::new(
                Directory::new(directory, streams, players),
                rings,
                #[cfg(any(feature = "web", feature = "admin"))]
                (&mut self.meters, &mut self.started),
                #[cfg(feature = "admin")]
                &self.book,
                SOCKETS,
                handler,
                #[cfg(feature = "rtmpe")]
                &mut self.agreements,
            );
            #[cfg(feature = "live")]
            self.locals.iter().for_each(|locals| locals.begin_turn(&mut relay));
            let (gateway, keep_alive, config) = (&mut self.gateway, self.keep_alive, self.config);
            let mut acceptor = Acceptor {
                listeners,
                keep_alive,
                config,
                gateway,
                #[cfg(feature = "web")]
                viewers: &mut self.viewers,
                handover: self.handover,
                has_opened: false,
            };
            // Other sessions may have to send what one session has received, so they are polled again.
            while relay.woken.is_any() {
                let all = core::mem::take(&mut relay.woken.all);
                for slot in slots.iter_mut() {
                    if relay.woken.take(slot.session.id) || all {
                        slot.poll(&mut acceptor, &mut relay, cx);
                    }
                }
                if let Some(gateway) = acceptor.gateway {
                    gateway.tick(&mut relay, cx);
                }
                if let Some(streams) = accepted {
                    streams.poll(&mut relay, cx);
                }
                #[cfg(feature = "live")]
                self.locals.iter().for_each(|locals| locals.poll(&mut relay, cx));
                #[cfg(feature = "admin")]
                if let Some(admin) = &mut self.admin {
                    slots.iter_mut().for_each(|slot| slot.count_traffic(relay.book));
                    let connected = slots.iter().filter(|slot| slot.client().is_some()).count();
                    let mut close = |session: SessionId, relay: &mut Relay<'_, '_>| {
                        let why = &Error::ClosedByAdministrator;
                        if let Some(slot) = slots.iter_mut().find(|slot| slot.session.id == session) {
                            slot.disconnect(&mut acceptor, relay, why);
                            relay.woken.set(session);
                            return true;
                        }
                        acceptor.gateway.iter_mut().any(|gateway| gateway.close(session, relay, why))
                            || accepted.iter_mut().any(|streams| streams.close(session, relay, why))
                    };
                    admin.poll(connected, &mut close, &mut relay, cx);
                }
                // Not before the sessions: a publisher whose bytes have arrived is not silent.
                relay.handle_timeout();
                let max = if acceptor.has_opened { self.max_per_address } else { usize::MAX };
                if let Some(slot) = crowded(slots, acceptor.gateway, max, relay.now, cx) {
                    slot.disconnect(&mut acceptor, &mut relay, &Error::Crowded);
                    relay.woken.set(slot.session.id);
                }
            }
            if let Some(at) = relay.directory.poll_timeout() {
                wake_at(at, cx);
            }
            #[cfg(feature = "live")]
            self.locals.iter().for_each(|locals| locals.end_turn(&mut relay));
            Poll::Pending
        })
        .await
    }

    /// Asks all clients that publish or play, and that announce `Extensions::RECONNECT` in `connect`, to connect again (E-RTMP
    /// v2): to this server, or to the application that the request names. Returns how many were asked. The requests are
    /// sent while the server [runs](Self::run).
    ///
    /// The clients may stay, and are served until they leave. The next publisher of a stream that [`Handler::publish`]
    /// accepts continues it, whatever [`ServerOptions::relay`] says about two publishers. It waits until the first one has
    /// ended, at most for [`RelayConfig::answer_limit`]. Players stay, those that were not asked, too.
    ///
    /// A client may prepare its next connection before it leaves, so a server that asks its clients to connect to itself
    /// needs a free socket, and [`ServerOptions::max_per_address`] must allow two connections. A server that is to stop
    /// should also redirect new clients ([`Rejection::Redirect`](crate::Rejection::Redirect)).
    ///
    /// ```no_run
    /// use core::future::Future;
    ///
    /// use embassy_futures::select::{Either, select};
    /// use embedded_rtmp_embassy::embedded_rtmp::command::ReconnectRequest;
    /// use embedded_rtmp_embassy::{Handler, Server};
    ///
    /// /// Serves. When `wish` is ready, asks the clients to connect to another server.
    /// async fn serve(server: &mut Server<'_, 4, 1, 3>, handler: &mut dyn Handler, wish: impl Future<Output = ()>) {
    ///     if let Either::Second(()) = select(server.run(handler), wish).await {
    ///         let tc_url = Some("rtmp://other.example/live".into());
    ///         server.request_reconnect(&ReconnectRequest { tc_url, description: "Maintenance.".into() });
    ///     }
    ///     server.run(handler).await;
    /// }
    /// ```
    #[cfg(feature = "enhanced")]
    pub fn request_reconnect(&mut self, request: &ReconnectRequest<'_>) -> usize {
        let Self { slots, streams, players, directory, gateway, accepted, .. } = self;
        let directory = &mut Directory::new(directory, streams, players);
        let sockets =
            slots.iter_mut().filter_map(|slot| slot.request_reconnect(request, directory).then_some(())).count();
        let tunnels = gateway.as_mut().map_or(0, |gateway| gateway.request_reconnect(request, directory));
        let accepted = accepted.as_mut().map_or(0, |accepted| accepted.request_reconnect(request, directory));
        sockets.saturating_add(tunnels).saturating_add(accepted)
    }

    /// Stops listening, and ends all sessions in good order, within two seconds at most. [`Self::run`] listens again.
    pub async fn shutdown(&mut self, handler: &mut dyn Handler) {
        poll_fn(|cx| {
            let Self { slots, rings, streams, players, directory, listeners, gateway, accepted, .. } = self;
            let mut relay = Relay::new(
                Directory::new(directory, streams, players),
                rings,
                #[cfg(any(feature = "web", feature = "admin"))]
                (&mut self.meters, &mut self.started),
                #[cfg(feature = "admin")]
                &self.book,
                SOCKETS,
                handler,
                #[cfg(feature = "rtmpe")]
                &mut self.agreements,
            );
            #[cfg(feature = "live")]
            self.locals.iter().for_each(|locals| {
                locals.begin_turn(&mut relay);
                locals.shutdown(&mut relay);
            });
            let mut all = Poll::Ready(());
            for slot in slots.iter_mut() {
                let over = slot.poll_shutdown(listeners, &mut relay, cx);
                all = if over.is_pending() { over } else { all };
            }
            if let Some(gateway) = gateway {
                gateway.shutdown(&mut relay);
            }
            #[cfg(feature = "web")]
            self.viewers.iter_mut().for_each(|viewers| viewers.shutdown(&mut relay));
            self.handover.into_iter().for_each(|handover| handover.end_all());
            #[cfg(feature = "admin")]
            self.admin.iter_mut().for_each(|admin| admin.shutdown());
            if let Some(streams) = accepted {
                streams.shutdown(&mut relay);
            }
            all
        })
        .await
    }

    /// Returns the counts of messages that players could not get, for each [`StreamMemory`]. An example is a message that is
    /// longer than its `RING`.
    pub fn relay_counts(&self) -> [Counts; PUBLISHERS] {
        #[cfg_attr(not(feature = "live"), expect(unused_mut, reason = "no ring is lent"))]
        let mut counts = self.rings.each_ref().map(Ring::counts);
        #[cfg(feature = "live")]
        self.locals.iter().for_each(|locals| locals.count(&mut counts));
        counts
    }

    /// Returns the counters of what a player was sent so far; `None` if the session plays nothing.
    pub fn played(&self, session: SessionId) -> Option<Played> {
        let mut players = self.players.iter().filter_map(PlayerEntry::played);
        players.find_map(|(by, played)| (by == peer(session)).then_some(played))
    }

    /// Returns the bytes of a session's TCP connection, or of its last one if it has none now. `None` for sessions in tunnels,
    /// which have no connection of their own.
    pub fn traffic(&self, session: SessionId) -> Option<Traffic> {
        self.slots.get(usize::from(session.0)).map(Slot::traffic)
    }
}

/// The time after which a client that neither publishes nor plays may be disconnected, if no socket is left for other
/// clients.
const MIN_IDLE: Duration = Duration::from_secs(3);

/// Returns the slot whose client must be disconnected, if there is one. If an address has more than `max` connections,
/// this is its oldest one that neither publishes nor plays, or otherwise its newest one. If no socket listens, only
/// connections that have neither published nor played for [`MIN_IDLE`] qualify. The choice is then the oldest one from
/// the address with the most connections.
fn crowded<'s, 'a, const STREAMS: usize>(
    slots: &'s mut [Slot<'a, STREAMS>],
    gateway: &Option<Gateway<'a>>,
    max: usize,
    now: Instant,
    cx: &mut Context<'_>,
) -> Option<&'s mut Slot<'a, STREAMS>> {
    let is_full = !slots.iter().any(Slot::is_free);
    if max == usize::MAX && !is_full {
        return None;
    }
    // Usually all clients publish or play. This is asked after each read.
    let is_any_idle = slots.iter_mut().fold(false, |is_any_idle, slot| slot.note_use(gateway, now) | is_any_idle);
    if max == usize::MAX && !is_any_idle {
        return None;
    }
    let count = |address| slots.iter().filter_map(Slot::client).filter(|(other, _)| *other == address).count();
    let clients = slots.iter().enumerate().filter_map(|(place, slot)| {
        let (address, since) = slot.client()?;
        Some((place, slot.is_idle(gateway), count(address), since))
    });
    // The oldest idle connection, or otherwise the newest connection.
    let extra = clients.clone().filter(|(_, _, count, _)| *count > max);
    let extra = extra.min_by_key(|(_, is_idle, _, since)| {
        let since = since.as_micros();
        if *is_idle { (0, since) } else { (1, u64::MAX.saturating_sub(since)) }
    });
    let place = match extra {
        Some((place, ..)) => place,
        None if is_full => {
            let idle = clients.filter(|(_, is_idle, ..)| *is_idle);
            let (place, _, _, since) = idle.min_by_key(|(_, _, count, since)| (Reverse(*count), *since))?;
            if now < since + MIN_IDLE {
                wake_at(since + MIN_IDLE, cx);
                return None;
            }
            place
        }
        None => return None,
    };
    slots.get_mut(place)
}
