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
//! Sockets are edge-triggered: each remembers whether it may be readable and writable. A turn reads and writes at most
//! once, so no connection keeps the others waiting. A connection that moved something gets another turn.
//!
//! Writes of recordings block. A disk that stalls for longer than the system's cache lasts stalls all connections.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{Protocol, TunnelConfig, TunnelConnection, TunnelEvent, TunnelId, TunnelRefusal, Tunnels};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::client::{Client, Shared};
use super::slab::{Ready, Slab};
use super::socket::Socket;
use super::streams::Streams;
use super::{Event, Options};
use crate::net::{Clock, entropy};

/// The most bytes that one turn reads, and that it writes.
const BUFFER: usize = 64 * 1024;

/// The most connections that are accepted from one listener before other work goes on.
const MAX_ACCEPTS: usize = 64;

/// How long no connection is accepted after the system refused to give one, if none is closed before.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How often the end is looked for, and progress is told.
const TICK: Duration = Duration::from_millis(100);

/// The most tunnels at a time: as many as a table can have.
const MAX_TUNNELS: usize = 255;

/// The longest time that a tunnel may be without a request: clients poll at least every few seconds, and some go without a
/// word.
const MAX_TUNNEL_SILENCE: Duration = Duration::from_secs(10);

const BROKEN: &str = "the connection broke";
const CLOSED: &str = "the connection was closed";
const STOPPED: &str = "this server stopped";

/// A TCP connection, or the session in a tunnel.
struct Connection {
    peer: SocketAddr,
    /// Sessions in tunnels have none.
    socket: Option<Socket>,
    role: Role,
    /// When it gets a turn at the latest.
    timer: Option<Instant>,
}

enum Role {
    /// Nothing has come that shows which protocol the client speaks. It has until the time given.
    Unknown(Instant),
    Rtmp(Client),
    /// HTTP: requests of tunnels, and others.
    Web(TunnelConnection),
    /// The session in a tunnel, and the connection that had the tunnel's last request.
    Tunnelled(Client, TunnelId, usize),
}

impl Role {
    fn poll_timeout(&self, tunnels: &Tunnels<'_, MAX_TUNNELS>) -> Option<Instant> {
        match self {
            Self::Unknown(deadline) => Some(*deadline),
            Self::Web(connection) => connection.poll_timeout(tunnels),
            Self::Rtmp(client) | Self::Tunnelled(client, ..) => client.poll_timeout(),
        }
    }
}

struct Listener {
    socket: TcpListener,
    /// A client may wait.
    is_ready: bool,
}

pub(super) struct EventLoop<'a> {
    poll: Poll,
    clock: Clock,
    listeners: Vec<Listener>,
    /// Until when nothing is accepted: the system is short of something.
    accept_pause: Option<Instant>,
    /// Each is taken out for its turn, so they are boxed.
    connections: Slab<Box<Connection>>,
    /// How many of them have a socket.
    sockets: usize,
    /// When which connection gets a turn. It may be early: deadlines that move on are looked at only then.
    timers: BTreeSet<(Instant, usize)>,
    tunnels: Tunnels<'static, MAX_TUNNELS>,
    /// The connections that the tunnels lead to.
    tunnelled: [Option<usize>; MAX_TUNNELS],
    shared: Shared<'a>,
}

impl<'a> EventLoop<'a> {
    /// `poll` has each of `listeners` registered, with its index as the token.
    pub(super) fn new(
        poll: Poll,
        listeners: Vec<TcpListener>,
        options: &'a Options,
        tell: &'a mut dyn FnMut(Event),
    ) -> Self {
        let idle_timeout = options.config.idle_timeout.min(MAX_TUNNEL_SILENCE);
        let config =
            TunnelConfig { idle_timeout, page: Some("RTMP and RTMPT are served here.\n"), ..TunnelConfig::new() };
        Self {
            poll,
            clock: Clock::new(),
            listeners: listeners.into_iter().map(|socket| Listener { socket, is_ready: false }).collect(),
            accept_pause: None,
            connections: Slab::new(),
            sockets: 0,
            timers: BTreeSet::new(),
            tunnels: Tunnels::new(config),
            tunnelled: [None; MAX_TUNNELS],
            shared: Shared {
                options,
                streams: Streams::new(options.ring),
                ready: Ready::default(),
                tell,
                published: 0,
                received: 0,
                spare: Vec::new(),
            },
        }
    }

    /// Serves until `stop` is set. `tick` is called ten times a second, with the number of streams that are published and the
    /// bytes of payload that were received.
    ///
    /// # Errors
    /// Waiting for events failed.
    pub(super) fn run(&mut self, stop: &AtomicBool, tick: &mut dyn FnMut(usize, u64)) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; BUFFER];
        let mut next_tick = self.clock.now();
        let mut result = Ok(());
        while result.is_ok() && !stop.load(Ordering::Relaxed) {
            let wait = self.wait(next_tick);
            result = match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
                _ => Ok(()),
            };
            for event in &events {
                self.notice(event);
            }
            let now = self.clock.now();
            self.accept(now);
            self.shared.streams.poll_events(now, &mut self.shared.ready);
            while let Some((_, index)) = self.timers.first().copied().filter(|(time, _)| *time <= now) {
                self.timers.pop_first();
                if let Some(connection) = self.connections.get_mut(index) {
                    connection.timer = None;
                }
                self.shared.ready.push(index);
            }
            for _ in 0..self.shared.ready.len() {
                if let Some(index) = self.shared.ready.pop() {
                    self.turn(index, &mut buffer);
                }
            }
            if now >= next_tick {
                next_tick = now + TICK;
                while let Some(tunnel) = self.tunnels.handle_timeout(now) {
                    self.close_tunnel(tunnel, CLOSED);
                }
                tick(self.shared.published, self.shared.received);
            }
        }
        self.stop(&mut buffer);
        result
    }

    /// How long to wait for events.
    fn wait(&mut self, next_tick: Instant) -> Duration {
        let is_accepting = self.accept_pause.is_none() && self.listeners.iter().any(|listener| listener.is_ready);
        if self.shared.ready.len() > 0 || is_accepting {
            return Duration::ZERO;
        }
        let timer = self.timers.first().map(|(time, _)| *time);
        let next = [timer, self.accept_pause, self.shared.streams.poll_timeout()]
            .into_iter()
            .flatten()
            .fold(next_tick, Instant::min);
        self.clock.until(next)
    }

    fn notice(&mut self, event: &mio::event::Event) {
        let Token(token) = event.token();
        if let Some(listener) = self.listeners.get_mut(token) {
            listener.is_ready = true;
            return;
        }
        let index = token - self.listeners.len();
        if let Some(socket) = self.connections.get_mut(index).and_then(|connection| connection.socket.as_mut()) {
            socket.notice(event);
            self.shared.ready.push(index);
        }
    }

    /// Accepts clients that wait.
    fn accept(&mut self, now: Instant) {
        if self.accept_pause.is_some_and(|until| now < until) {
            return;
        }
        let had_failed = self.accept_pause.take().is_some();
        for place in 0..self.listeners.len() {
            for _ in 0..MAX_ACCEPTS {
                let listener = &mut self.listeners[place];
                if !listener.is_ready {
                    break;
                }
                match listener.socket.accept() {
                    Ok((stream, peer)) => self.open(stream, peer, now),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => listener.is_ready = false,
                    Err(error)
                        if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {}
                    Err(error) => {
                        // Most likely too many files are open.
                        if !had_failed {
                            (self.shared.tell)(Event::AcceptFailed(error.to_string()));
                        }
                        self.accept_pause = Some(now + ACCEPT_PAUSE);
                        return;
                    }
                }
            }
        }
    }

    /// Takes a client in, if there is room for one more.
    fn open(&mut self, mut stream: TcpStream, peer: SocketAddr, now: Instant) {
        let limit = self.shared.options.max_connections;
        if self.sockets >= limit {
            let text = format!("turned away: too many connections: the limit is {limit} (--max-connections)");
            return (self.shared.tell)(Event::Trouble(peer, text));
        }
        let index = self.connections.reserve();
        let token = Token(self.listeners.len() + index);
        // Without effect on a connection that is gone already; then the first read says so.
        let _ = stream.set_nodelay(true);
        if let Err(error) = self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE) {
            self.connections.release(index);
            return (self.shared.tell)(Event::Trouble(peer, error.to_string()));
        }
        self.sockets += 1;
        let role = Role::Unknown(now + self.shared.options.config.connect_timeout);
        self.put(index, Box::new(Connection { peer, socket: Some(Socket::new(stream)), role, timer: None }));
    }

    /// Places a connection at the index that is reserved for it, and sees that it gets a turn in time.
    fn put(&mut self, index: usize, mut connection: Box<Connection>) {
        let timeout = connection.role.poll_timeout(&self.tunnels);
        if let Some(timeout) = timeout
            && connection.timer.is_none_or(|timer| timeout < timer)
        {
            self.cancel(index, connection.timer);
            self.timers.insert((timeout, index));
            connection.timer = Some(timeout);
        }
        self.connections.put(index, connection);
    }

    fn cancel(&mut self, index: usize, timer: Option<Instant>) {
        if let Some(timer) = timer {
            self.timers.remove(&(timer, index));
        }
    }

    /// Lets a connection do what it can do now.
    fn turn(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(mut connection) = self.connections.take(index) else { return };
        let (now, peer) = (self.clock.now(), connection.peer);
        let Connection { socket, role, .. } = &mut *connection;
        let result = match (role, socket) {
            (role @ Role::Unknown(_), Some(socket)) => self.recognize(index, peer, socket, role, buffer, now),
            (Role::Rtmp(client), Some(socket)) => self.rtmp(index, socket, client, buffer, now),
            (Role::Web(web), Some(socket)) => self.web(index, peer, socket, web, buffer, now),
            (Role::Tunnelled(client, _, carrier), _) => {
                self.shared.ready.push(*carrier);
                self.without_request(client, now)
            }
            (_, None) => Ok(Some(CLOSED)),
        };
        match result {
            Ok(None) => self.put(index, connection),
            Ok(Some(end)) => self.end(index, connection, end),
            Err(error) => {
                let text = format!("{error:#}");
                self.end(index, connection, &text);
                (self.shared.tell)(Event::Trouble(peer, text));
            }
        }
    }

    /// Looks at the first byte, which says what the client speaks.
    fn recognize(
        &mut self,
        index: usize,
        peer: SocketAddr,
        socket: &mut Socket,
        role: &mut Role,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Option<&'static str>> {
        let (_, first) = socket.receive(buffer, true, |input| input.first().copied()).context(BROKEN)?;
        *role = match (first.map(Protocol::of), first, &*role) {
            (Some(Protocol::Http), ..) => Role::Web(TunnelConnection::new(now)),
            // The handshake knows which versions of RTMP are answered. RTMPE is not.
            (Some(Protocol::Rtmp | Protocol::Rtmpe), ..) => Role::Rtmp(Client::new(index, peer, &mut self.shared)?),
            (_, Some(first), _) => bail!("neither RTMP nor HTTP: it begins with {first:#04x}"),
            (_, None, Role::Unknown(deadline)) if now >= *deadline => {
                bail!("the peer did not answer in time: handshake")
            }
            _ => return Ok(socket.is_ended().then_some(CLOSED)),
        };
        self.shared.ready.push(index);
        Ok(None)
    }

    fn rtmp(
        &mut self,
        index: usize,
        socket: &mut Socket,
        client: &mut Client,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Option<&'static str>> {
        let shared = &mut self.shared;
        let wants_input = client.wants_input();
        let received = socket.receive(buffer, wants_input, |input| client.take(now, input, shared));
        let (has_received, taken) = received.context(BROKEN)?;
        taken?;
        let has_sent = socket.send(buffer, |out| client.fill(now, out, shared)).context(BROKEN)?;
        if let Some(end) = client.end(socket.has_output()) {
            return Ok(Some(end));
        }
        if socket.is_ended() {
            return Ok(Some(CLOSED));
        }
        client.handle_timeout(now)?;
        if has_received || has_sent {
            shared.ready.push(index);
        }
        Ok(None)
    }

    /// Lets the session in a tunnel do what it can without a request.
    fn without_request(&mut self, client: &mut Client, now: Instant) -> Result<Option<&'static str>> {
        client.handle_timeout(now)?;
        // Without room this tells a player of its stream's end, and finds out whether it is too slow.
        client.fill(now, &mut [], &mut self.shared);
        Ok(client.end(false))
    }

    fn web(
        &mut self,
        index: usize,
        peer: SocketAddr,
        socket: &mut Socket,
        web: &mut TunnelConnection,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<Option<&'static str>> {
        let received = socket.receive(buffer, true, |input| self.requests(index, peer, web, input, now));
        let (has_received, found) = received.context(BROKEN)?;
        found?;
        let Self { tunnels, tunnelled, connections, shared, .. } = self;
        let tunnel = web.tunnel(tunnels);
        let session = tunnel.and_then(|tunnel| tunnelled[tunnel.index()]);
        let role = session.and_then(|session| Some(&mut connections.get_mut(session)?.role));
        let has_sent = if let Some(Role::Tunnelled(client, _, carrier)) = role {
            *carrier = index;
            let wants = client.wants_transmit(shared);
            socket.send(buffer, |out| web.poll_answer(now, out, tunnels, wants, |room| client.fill(now, room, shared)))
        } else {
            socket.send(buffer, |out| web.poll_answer(now, out, tunnels, false, |_| 0))
        };
        let has_moved = has_received || has_sent.context(BROKEN)?;
        if web.is_over() && !socket.has_output() || socket.is_ended() && !has_moved {
            return Ok(Some(CLOSED));
        }
        if has_moved {
            self.shared.ready.push(index);
            // That turn finds out whether the session is over, and sets its timer.
            session.into_iter().for_each(|session| self.shared.ready.push(session));
        } else if let Some(tunnel) = web.handle_timeout(now, &mut self.tunnels) {
            self.close_tunnel(tunnel, CLOSED);
        }
        Ok(None)
    }

    /// Takes requests off the front of `input`.
    fn requests(
        &mut self,
        index: usize,
        peer: SocketAddr,
        web: &mut TunnelConnection,
        input: &mut &[u8],
        now: Instant,
    ) -> Result<()> {
        while let Some(event) = web.next_event(now, input, &mut self.tunnels) {
            let before = input.len();
            match event {
                TunnelEvent::Open => {
                    if let Some(tunnel) = web.open(now, &entropy()?, &mut self.tunnels) {
                        let session = self.connections.reserve();
                        let client = Client::new(session, peer, &mut self.shared)?;
                        let role = Role::Tunnelled(client, tunnel, index);
                        self.put(session, Box::new(Connection { peer, socket: None, role, timer: None }));
                        self.tunnelled[tunnel.index()] = Some(session);
                    }
                }
                TunnelEvent::Data(tunnel) => {
                    let Self { connections, tunnelled, shared, .. } = self;
                    let session = tunnelled[tunnel.index()].and_then(|session| connections.get_mut(session));
                    let taken = web.receive(now, input, |bytes| match session.map(|session| &mut session.role) {
                        Some(Role::Tunnelled(client, ..)) => client.take(now, bytes, shared),
                        _ => {
                            *bytes = &[];
                            Ok(())
                        }
                    });
                    if let Err(error) = taken {
                        let text = format!("{error:#}");
                        self.close_tunnel(tunnel, &text);
                        (self.shared.tell)(Event::Trouble(peer, text));
                    } else if input.len() == before {
                        // The session must send before it reads on.
                        if !web.answer_early() {
                            self.close_tunnel(tunnel, CLOSED);
                        }
                        break;
                    }
                }
                TunnelEvent::Closed(tunnel) => self.close_tunnel(tunnel, CLOSED),
                TunnelEvent::Refused(TunnelRefusal::Page | TunnelRefusal::NotFound) => {}
                TunnelEvent::Refused(refusal) => {
                    (self.shared.tell)(Event::Trouble(peer, format!("a request is refused: {refusal}")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ends a tunnel and its session.
    fn close_tunnel(&mut self, tunnel: TunnelId, end: &str) {
        self.tunnels.close(tunnel);
        let session = self.tunnelled[tunnel.index()].take();
        if let Some((index, connection)) = session.and_then(|index| Some((index, self.connections.take(index)?))) {
            self.end(index, connection, end);
        }
    }

    /// Ends a connection that was taken out.
    fn end(&mut self, index: usize, connection: Box<Connection>, end: &str) {
        self.cancel(index, connection.timer);
        self.connections.release(index);
        let now = self.clock.now();
        if connection.socket.is_some() {
            self.sockets -= 1;
            self.accept_pause = None;
        }
        match connection.role {
            Role::Unknown(_) => {}
            Role::Rtmp(client) => client.finish(now, end, &mut self.shared),
            Role::Web(mut web) => {
                if let Some(tunnel) = web.ended(now, &mut self.tunnels) {
                    self.close_tunnel(tunnel, CLOSED);
                }
            }
            Role::Tunnelled(client, tunnel, _) => {
                self.tunnels.close(tunnel);
                self.tunnelled[tunnel.index()] = None;
                client.finish(now, end, &mut self.shared);
            }
        }
    }

    /// Ends all connections.
    fn stop(&mut self, buffer: &mut [u8]) {
        let now = self.clock.now();
        let indices: Vec<_> = self.connections.iter().map(|(index, _)| index).collect();
        for index in indices {
            let Some(mut connection) = self.connections.take(index) else { continue };
            if let Connection { socket: Some(socket), role: Role::Rtmp(client), .. } = &mut *connection {
                client.say_goodbye(&mut self.shared);
                // If the peer does not take this now, the end of the connection tells it the same.
                let _ = socket.send(buffer, |out| client.fill(now, out, &mut self.shared));
            }
            self.end(index, connection, STOPPED);
        }
    }
}
