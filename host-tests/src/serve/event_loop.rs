//! The event loop: one thread for all listeners, connections, tunnels and timers.
//!
//! ```text
//!  poll ──► listeners ──► accept                    a connection's turn:
//!   ▲  └──► sockets ───┐                            one read, its events, one write
//!   │                  ▼                              │ media of a publisher
//!   │   timers ──► ready queue ──► turns ─────────────┤
//!   │                  ▲                              ▼
//!   └──────────────────┴──────────── the players of that stream
//! ```
//!
//! Sockets are edge-triggered: each remembers whether it may be readable and writable. A turn reads and writes at most once,
//! so no connection delays the others. A connection that read or wrote something gets another turn.
//!
//! Writes to recordings block. If the disk stalls until the system's cache is full, all connections stall.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::anyhow;
use embedded_rtmp::admin::{AdminSession, AdminStats};
use embedded_rtmp::session::SessionBuffers;
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::WebConfig;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

use super::access::Access;
use super::admin::{self, Admin, Snapshot};
use super::client::Client;
use super::connection::{Connection, SESSION_MEMORY};
use super::gateway::{Gateway, MAX_TUNNELS};
use super::handover;
use super::shared::{CROWDED, Outcome, Shared, network};
use super::streams::seconds;
use super::{Controls, Event, Load, Options, conclude};
use crate::net::{Clock, TlsServer, entropy};

/// Why a client that an administrator has named is closed.
const CLOSED_BY_ADMIN: &str = "closed by an administrator";

/// The most bytes that one turn reads, and that it writes.
const BUFFER: usize = 64 * 1024;

/// The most connections that are accepted from one listener before other work goes on.
const MAX_ACCEPTS: usize = 64;

/// How long no connection is accepted after accepting failed, unless a connection is closed earlier.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// If the system has run out of a resource, a connection that neither publishes nor plays is closed if it was accepted at
/// least this long ago. Accepting fails even if no client waits, so a new connection must have time to begin.
const MIN_IDLE: Duration = Duration::from_secs(2);

/// The shortest interval between two reports that accepting failed.
const TELL_PAUSE: Duration = Duration::from_secs(10);

/// A connection with more memory than this, in bytes, is closed before idle ones if all together have too much.
const LARGE: usize = 1 << 20;

/// The interval at which the stop flag and the tunnels are checked and progress is reported.
const TICK: Duration = Duration::from_millis(100);

/// A connection, and the time at which it gets a turn.
type Slot = Option<(Connection, Option<Instant>)>;

pub(super) struct EventLoop<'a> {
    poll: Poll,
    clock: Clock,
    /// The token of the first connection. Those of listeners are smaller.
    first_token: usize,
    listeners: Vec<Listening>,
    admin: Option<Admin<'a>>,
    /// The numbers of connections that were opened and closed.
    opened: u32,
    closed: u32,
    /// The bytes that closed connections received and sent.
    traffic: (u64, u64),
    /// When clients are accepted again, after the system has run out of a resource.
    accept_at: Option<Instant>,
    tell_at: Instant,
    /// The ids begin at [`MAX_TUNNELS`].
    connections: Vec<Slot>,
    /// The times at which connections get a turn. A turn may be too early, because a deadline that was extended is checked
    /// only then.
    timers: BTreeSet<(Instant, usize)>,
    gateway: Gateway,
    /// When a server that stops does not wait for its clients any longer.
    drained_at: Option<Instant>,
    /// The number of connections from each address.
    addresses: HashMap<IpAddr, usize>,
    shared: Shared<'a>,
}

/// An address on which the server listens.
struct Listening {
    address: SocketAddr,
    /// `None` if it could not be opened again.
    socket: Option<TcpListener>,
    /// Whether clients may wait there.
    is_ready: bool,
}

impl<'a> EventLoop<'a> {
    /// `poll` has each of `listeners` registered, with its index as the token.
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<TcpListener>,
        admin: Option<TcpListener>,
        options: &'a Options,
        web: WebConfig<'a>,
        access: Option<Access<'a>>,
        tell: &'a mut dyn FnMut(Event),
    ) -> io::Result<Self> {
        let (clock, first_token) = (Clock::new(), listeners.len());
        let listeners = listeners.into_iter().filter_map(|socket| {
            let address = socket.local_addr().ok()?;
            Some(Listening { address, socket: Some(socket), is_ready: false })
        });
        let (listeners, tell_at) = (listeners.collect(), clock.now());
        let admin = admin.zip(options.admin.as_ref());
        let admin = admin.map(|(listener, admin)| Admin::new(listener, &admin.user, clock.now()));
        let (gateway, shared) = (
            Gateway::new(options.config.idle_timeout.unwrap_or(Duration::MAX)),
            Shared::new(options, poll.registry().try_clone()?, web, access, tell, clock.now()),
        );
        let (connections, timers, accept_at) = (Vec::new(), BTreeSet::new(), None);
        let (drained_at, addresses) = (None, HashMap::new());
        Ok(Self {
            poll,
            clock,
            first_token,
            listeners,
            admin,
            opened: 0,
            closed: 0,
            traffic: (0, 0),
            accept_at,
            tell_at,
            connections,
            timers,
            gateway,
            drained_at,
            addresses,
            shared,
        })
    }

    /// Serves until it is to stop. `tick` is called ten times a second.
    ///
    /// # Errors
    /// Waiting for events failed.
    pub(super) fn run(&mut self, controls: &Controls, tick: &mut dyn FnMut(Load)) -> io::Result<()> {
        let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; BUFFER]);
        let mut next_tick = self.shared.now;
        let mut result = Ok(());
        while result.is_ok() && !self.is_over(controls) {
            let wait = self.wait(next_tick);
            result = match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => Ok(()),
            };
            self.shared.now = self.clock.now();
            events.iter().for_each(|event| self.notice(event));
            self.accept();
            while let Some((_, id)) = self.timers.first().filter(|(time, _)| *time <= self.shared.now).copied() {
                self.timers.pop_first();
                self.shared.ready.push(id);
            }
            for _ in 0..self.shared.ready.len() {
                if let Some(id) = self.shared.ready.pop() {
                    self.turn(id, &mut buffer);
                }
            }
            if let Some(mut admin) = self.admin.take() {
                admin.run(self, &mut buffer);
                self.admin = Some(admin);
            }
            // This must follow the turns, because a publisher whose bytes have arrived is not silent.
            self.shared.handle_timeout();
            if self.shared.now >= next_tick {
                next_tick = self.shared.now + TICK;
                self.gateway.tick(&mut self.shared);
                self.open_listeners();
                tick(self.load());
            }
        }
        self.stop("this server stopped", &mut buffer);
        result
    }

    fn load(&mut self) -> Load {
        Load {
            streams: self.shared.published,
            players: self.shared.streams.players(),
            connections: self.connected(),
            bit_rate: self.shared.rate.bits_per_second(self.shared.now),
        }
    }

    /// The number of connections, except those of administrators.
    fn connected(&self) -> u32 {
        self.opened.wrapping_sub(self.closed)
    }

    /// Whether the server has stopped. A server that stops first asks its clients to connect again, and waits until they
    /// have left.
    fn is_over(&mut self, controls: &Controls) -> bool {
        let (now, drain) = (self.clock.now(), self.shared.options.drain);
        let stops = controls.stop.load(Ordering::Relaxed);
        if controls.ask.swap(false, Ordering::Relaxed) || stops && self.drained_at.is_none() && !drain.is_zero() {
            self.ask_to_reconnect();
        }
        if !stops || drain.is_zero() {
            return stops;
        }
        let drained_at = *self.drained_at.get_or_insert(now + drain);
        self.shared.is_draining = true;
        if self.shared.options.reconnect_to.is_none() {
            // Only a load balancer can lead the clients to another server.
            self.listeners.clear();
        }
        now >= drained_at || !clients(&mut self.connections, &mut self.gateway).any(|client| client.is_leaving())
    }

    /// Asks each client that handles such a request to connect again.
    fn ask_to_reconnect(&mut self) {
        let Self { connections, gateway, shared, .. } = self;
        let (mut asked, mut all) = (0, 0);
        for client in clients(connections, gateway) {
            all += usize::from(client.is_active());
            asked += usize::from(client.ask_to_reconnect(shared));
        }
        (self.shared.tell)(Event::Asked(asked, all));
    }

    /// How long to wait for events.
    fn wait(&mut self, next_tick: Instant) -> Duration {
        let is_accepting = self.accept_at.is_none() && self.listeners.iter().any(|listening| listening.is_ready);
        if self.shared.ready.len() > 0 || is_accepting {
            return Duration::ZERO;
        }
        let timer = self.timers.first().map(|(time, _)| *time);
        let admin = self.admin.as_ref().and_then(|admin| admin.poll_timeout(self.shared.now));
        let others = [timer, admin, self.accept_at, self.shared.streams.directory().poll_timeout()];
        self.clock.until(others.into_iter().flatten().fold(next_tick, Instant::min))
    }

    fn notice(&mut self, event: &mio::event::Event) {
        if self.admin.as_mut().is_some_and(|admin| admin.notice(event)) {
            return;
        }
        if let Some(id) = handover::client_id(event.token()) {
            if let Some(Some((connection, _))) = self.connections.get_mut(id - MAX_TUNNELS) {
                connection.notice_other(event);
                self.shared.ready.push(id);
            }
            return;
        }
        let Token(token) = event.token();
        if token < self.first_token {
            self.listeners.get_mut(token).into_iter().for_each(|listening| listening.is_ready = true);
            return;
        }
        let place = token - self.first_token;
        if let Some(Some((connection, _))) = self.connections.get_mut(place) {
            connection.notice(event);
            self.shared.ready.push(MAX_TUNNELS + place);
        }
    }

    /// Accepts clients that wait.
    fn accept(&mut self) {
        if self.accept_at.is_some_and(|time| self.shared.now < time) {
            return;
        }
        self.accept_at = None;
        for place in 0..self.listeners.len() {
            for _ in 0..MAX_ACCEPTS {
                let Listening { socket, is_ready, .. } = &mut self.listeners[place];
                let Some(listener) = socket.as_mut().filter(|_| *is_ready) else { break };
                let accepted = listener.accept();
                match accepted.map_err(|error| (error.kind(), error)) {
                    Ok((stream, peer)) => self.open(stream, peer),
                    Err((io::ErrorKind::WouldBlock, _)) => *is_ready = false,
                    Err((io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted, _)) => {}
                    // Most likely too many files are open.
                    Err(_) if self.evict(None, MIN_IDLE) => {}
                    Err((_, error)) => {
                        if self.shared.now >= self.tell_at {
                            let text = format!("cannot accept connections for now: {error}");
                            (self.shared.tell)(Event::Failed(text));
                            self.tell_at = self.shared.now + TELL_PAUSE;
                        }
                        self.accept_at = Some(self.shared.now + ACCEPT_PAUSE);
                        return;
                    }
                }
            }
        }
    }

    /// Adds a client, if there is room for one more.
    fn open(&mut self, mut stream: TcpStream, peer: SocketAddr) {
        let Options { max_connections: limit, max_per_address, .. } = *self.shared.options;
        let address = network(peer.ip());
        // A connection of a load balancer is counted later, for the client that its header names.
        if !self.shared.options.is_proxy(peer.ip())
            && self.addresses.get(&address).is_some_and(|count| *count >= max_per_address)
            && !self.evict(Some(address), Duration::ZERO)
        {
            let text = "turned away: too many connections from this address";
            let text = format!("{text}: the limit is {max_per_address} (--max-per-address)");
            return self.shared.tell_refused(peer, text);
        }
        let is_full = self.addresses.values().sum::<usize>() >= limit;
        if is_full && !self.evict(None, Duration::ZERO) {
            let text = format!("turned away: too many connections: the limit is {limit} (--max-connections)");
            return self.shared.tell_refused(peer, text);
        }
        if !self.save_memory(SESSION_MEMORY) {
            let text =
                format!("turned away: too little memory: the limit is {} bytes (--memory)", self.shared.options.memory);
            return self.shared.tell_refused(peer, text);
        }
        let count = self.connections.len();
        let place = self.connections.iter().position(Option::is_none).unwrap_or(count);
        // This fails if the connection is gone already. Then the first read says so.
        let _ = stream.set_nodelay(true);
        let token = Token(self.first_token + place);
        if let Err(error) = self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE) {
            return self.shared.tell_trouble(peer, error.to_string());
        }
        if place == count {
            self.connections.push(None);
        }
        self.opened = self.opened.wrapping_add(1);
        let mut connection = Connection::new(stream, peer, &mut self.shared);
        connection.count_held(&mut self.shared);
        self.connections[place] = Some((connection, None));
        *self.addresses.entry(address).or_default() += 1;
        self.set_timer(place);
    }

    /// Closes a connection that neither publishes nor plays, to make room for another one. `from` is the address whose
    /// connections may be closed; with `None` it is any. The connection was accepted at least `min_age` ago. Of several, one
    /// without an application is closed first; of these, one from the address with the most connections; of these, the
    /// oldest. Returns whether one was closed.
    fn evict(&mut self, from: Option<IpAddr>, min_age: Duration) -> bool {
        let now = self.shared.now;
        let connections = self.connections.iter().enumerate().filter_map(|(place, connection)| {
            let (connection, _) = connection.as_ref()?;
            let address = network(connection.peer.ip());
            let idleness = connection
                .idleness(MAX_TUNNELS + place, &self.gateway)
                .filter(|_| from.is_none_or(|from| from == address))?;
            if now < connection.since + min_age {
                return None;
            }
            let count = self.addresses.get(&address).copied().unwrap_or_default();
            Some((idleness, Reverse(count), connection.since, place))
        });
        let Some((.., place)) = connections.min() else { return false };
        self.end(place, Err(anyhow!(CROWDED)));
        true
    }

    /// While all connections together have too much memory, or would have with `more` bytes, closes the one that has most if
    /// that is more than [`LARGE`], or one that neither publishes nor plays. If there are none, and all have too much
    /// already, closes the one that has most. Returns whether there is memory for `more` bytes.
    fn save_memory(&mut self, more: usize) -> bool {
        while self.shared.is_over_limit(more) {
            let sizes = self.connections.iter().enumerate().filter_map(|(place, connection)| {
                let (connection, _) = connection.as_ref()?;
                Some((connection.memory(MAX_TUNNELS + place, &self.gateway), place))
            });
            let Some((memory, place)) = sizes.max() else { return false };
            if memory <= LARGE {
                if self.gateway.evict(None, &mut self.shared) || self.evict(None, Duration::ZERO) {
                    continue;
                }
                if !self.shared.is_over_limit(0) {
                    return false;
                }
            }
            let limit = self.shared.options.memory;
            let text = "all clients together need too much memory, and this one has the most";
            self.end(place, Err(anyhow!("{text}: {memory} bytes; the limit for the process is {limit} (--memory)")));
        }
        true
    }

    /// Schedules the next turn of a connection.
    fn set_timer(&mut self, place: usize) {
        let Some((connection, timer)) = &mut self.connections[place] else { return };
        let timeout = connection.poll_timeout(&self.gateway, &self.shared);
        *timer = timer.filter(|timer| *timer > self.shared.now);
        if let Some(timeout) = timeout.filter(|timeout| timer.is_none_or(|timer| *timeout < timer)) {
            let before = timer.replace(timeout);
            before.map(|before| self.timers.remove(&(before, MAX_TUNNELS + place)));
            self.timers.insert((timeout, MAX_TUNNELS + place));
        }
    }

    /// Gives a turn to a connection, or to the session in a tunnel.
    fn turn(&mut self, id: usize, buffer: &mut [u8]) {
        let Some(place) = id.checked_sub(MAX_TUNNELS) else { return self.gateway.turn(id, &mut self.shared) };
        let Some((connection, _)) = &mut self.connections[place] else { return };
        let before = network(connection.peer.ip());
        let outcome = connection.turn(id, buffer, &mut self.gateway, &mut self.shared);
        connection.count_held(&mut self.shared);
        let address = network(connection.peer.ip());
        if address != before {
            self.uncount(before);
            *self.addresses.entry(address).or_default() += 1;
        }
        match outcome {
            Ok(None) => {
                self.set_timer(place);
                self.save_memory(0);
            }
            outcome => self.end(place, outcome),
        }
        if address != before && self.addresses.get(&address) > Some(&self.shared.options.max_per_address) {
            self.evict(Some(address), Duration::ZERO);
        }
    }

    /// Removes a connection from the count of its address.
    fn uncount(&mut self, address: IpAddr) {
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&address);
            }
        }
    }

    fn end(&mut self, place: usize, outcome: Outcome) {
        self.accept_at = None;
        if let Some((connection, timer)) = self.connections[place].take() {
            timer.map(|timer| self.timers.remove(&(timer, MAX_TUNNELS + place)));
            self.uncount(network(connection.peer.ip()));
            let (received, sent) = connection.traffic();
            self.traffic = (self.traffic.0 + received, self.traffic.1 + sent);
            self.closed = self.closed.wrapping_add(1);
            let gateway = &mut self.gateway;
            conclude(outcome, connection.peer, &mut self.shared, |end, shared| {
                connection.finish(MAX_TUNNELS + place, end, gateway, shared);
            });
        }
    }

    /// Opens the listeners that are closed.
    fn open_listeners(&mut self) {
        for (place, listening) in self.listeners.iter_mut().enumerate() {
            if listening.socket.is_none()
                && let Ok(mut socket) = TcpListener::bind(listening.address)
                && self.poll.registry().register(&mut socket, Token(place), Interest::READABLE).is_ok()
            {
                (listening.socket, listening.is_ready) = (Some(socket), true);
            }
        }
    }

    /// Ends all connections.
    fn stop(&mut self, end: &'static str, buffer: &mut [u8]) {
        self.gateway.stop(end, &mut self.shared);
        for place in 0..self.connections.len() {
            if let Some((connection, _)) = &mut self.connections[place] {
                connection.say_goodbye(buffer, &mut self.shared);
                self.end(place, Ok(Some(end)));
            }
        }
    }
}

/// The clients of all connections and tunnels.
fn clients<'s>(connections: &'s mut [Slot], gateway: &'s mut Gateway) -> impl Iterator<Item = &'s mut Client> {
    let direct = connections.iter_mut().flatten().filter_map(|(connection, _)| connection.client_mut());
    direct.chain(gateway.clients())
}

impl admin::Server for EventLoop<'_> {
    fn now(&self) -> Instant {
        self.shared.now
    }

    fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    fn tls(&self) -> Option<&TlsServer> {
        self.shared.options.tls.as_ref()
    }

    fn tell(&mut self, event: Event) {
        (self.shared.tell)(event);
    }

    fn try_agree(&mut self) -> Result<(), Instant> {
        self.shared.agreements.try_begin(self.shared.now)
    }

    fn session(&mut self) -> anyhow::Result<AdminSession<'static, { admin::ARGUMENTS }>> {
        Ok(AdminSession::new(self.shared.buffers(), self.shared.options.config, &entropy()?)?)
    }

    fn return_buffers(&mut self, buffers: SessionBuffers<'static>) {
        self.shared.spare.push(buffers);
    }

    fn snapshot(&mut self, clock: &dyn Fn(Instant) -> u64) -> Snapshot {
        let connected = self.connected();
        let Self { connections, gateway, shared, .. } = self;
        let connections = || connections.iter().flatten().map(|(connection, _)| connection);
        let mut clients: Vec<_> = connections().filter_map(|connection| connection.roles(shared)).collect();
        clients.extend(gateway.roles(shared));
        let (bytes_in, bytes_out) = connections()
            .map(Connection::traffic)
            .fold(self.traffic, |(received, sent), more| (received + more.0, sent + more.1));
        let directory = shared.streams.directory();
        let streams = admin::listed(&clients, |stream| directory.name(stream).to_vec(), clock);
        let stats = AdminStats {
            timestamp: Some(clock(shared.now)),
            launch_time: Some(clock(shared.started)),
            uptime: Some(seconds(shared.now, shared.started)),
            bytes_in: Some(bytes_in),
            bytes_out: Some(bytes_out),
            connected: Some(connected),
            total_connects: Some(self.opened),
            total_disconnects: Some(self.closed),
            players: Some(shared.streams.players()),
        };
        Snapshot { stats, streams }
    }

    fn close_session(&mut self, client_id: u32, buffer: &mut [u8]) -> bool {
        let is_it = |connection: &Connection| connection.client_id == client_id;
        let mut connections = self.connections.iter_mut();
        let place = connections.position(|slot| slot.as_ref().is_some_and(|(connection, _)| is_it(connection)));
        let Some(place) = place else { return self.gateway.close_client(client_id, CLOSED_BY_ADMIN, &mut self.shared) };
        if let Some((connection, _)) = &mut self.connections[place] {
            connection.say_goodbye(buffer, &mut self.shared);
        }
        self.end(place, Ok(Some(CLOSED_BY_ADMIN)));
        true
    }

    fn restart_listeners(&mut self) -> bool {
        // Clients that wait there would be lost.
        self.accept();
        for listening in &mut self.listeners {
            // A socket that cannot be removed is closed all the same.
            let _ = listening.socket.take().map(|mut socket| self.poll.registry().deregister(&mut socket));
        }
        self.open_listeners();
        self.listeners.iter().all(|listening| listening.socket.is_some())
    }
}
