//! Administration: a listener of its own, whose connections can neither publish nor play.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use embedded_rtmp::admin::{
    AdminAccess, AdminCall, AdminClient, AdminConnection, AdminCredentials, AdminData, AdminEvent, AdminFailure,
    AdminPublisher, AdminSession, AdminStats, AdminStream,
};
use embedded_rtmp::crypt::KeyPair;
use embedded_rtmp::relay::StreamIndex;
use embedded_rtmp::session::SessionBuffers;
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::Protocol;
use mio::event::Event as Readiness;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustls::ServerConnection;

use super::access::octets;
use super::shared::{BROKEN, CLOSED, Outcome};
use super::{Event, User};
use crate::net::{Keys, Socket, TlsServer, entropy};

/// The most connections of administrators.
const MAX_CLIENTS: usize = 16;

/// The longest line of a request over HTTP, and the longest arguments of a call, in bytes. The longest name of a stream fits.
const LINE: usize = 16 * 1024;
pub(super) const ARGUMENTS: usize = 8 * 1024;

/// The token of the listener. Those of its connections follow.
const TOKEN: usize = usize::MAX / 2;

/// How long no connection is accepted after accepting failed.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where and for which user administration is offered.
#[derive(Debug, Clone)]
pub struct AdminOptions {
    /// The address and the port of the listener.
    pub address: String,
    /// The user whose password an administrator must know.
    pub user: User,
}

pub(super) struct Admin<'a> {
    listener: TcpListener,
    /// Whether clients may wait there.
    is_ready: bool,
    accept_at: Option<Instant>,
    access: AdminAccess<'a, 256>,
    clients: Vec<Option<Client>>,
    launched: SystemTime,
    started: Instant,
}

struct Client {
    peer: SocketAddr,
    since: Instant,
    socket: Socket,
    role: Role,
    keys: Keys,
    /// When the client may agree on keys, if there were too many key agreements recently.
    agree_at: Option<Instant>,
    has_logged_in: bool,
    /// What the answer that is being sent tells.
    snapshot: Option<Snapshot>,
    /// It must get a turn.
    is_due: bool,
}

enum Role {
    /// The client must send a byte until this time.
    Unknown(Instant),
    Http(Box<AdminConnection<LINE>>),
    Rtmp(Box<AdminSession<'static, ARGUMENTS>>),
}

/// The content of an answer.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) stats: AdminStats,
    /// Ordered by their names.
    pub(super) streams: Vec<Listed>,
}

/// A stream that is published, and its players.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) name: Vec<u8>,
    pub(super) publisher: AdminPublisher,
    pub(super) players: Vec<AdminClient>,
}

impl AdminData for Snapshot {
    fn stats(&self) -> AdminStats {
        self.stats
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        let Listed { name, publisher, .. } = self.streams.get(index)?;
        Some(AdminStream { name, publisher: Some(*publisher) })
    }

    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient> {
        self.streams.get(stream)?.players.get(index).copied()
    }
}

/// What administration needs of the server.
pub(super) trait Server {
    /// When the current turns began.
    fn now(&self) -> Instant;

    /// Registers the connections of administrators.
    fn registry(&self) -> &Registry;

    fn tls(&self) -> Option<&TlsServer>;

    fn tell(&mut self, event: Event);

    /// Begins a key agreement.
    ///
    /// # Errors
    /// When the next one may begin.
    fn try_agree(&mut self) -> std::result::Result<(), Instant>;

    /// A session of an administrator.
    ///
    /// # Errors
    /// The system has no random bytes.
    fn session(&mut self) -> Result<AdminSession<'static, ARGUMENTS>>;

    /// Takes back the memory of a session that has ended.
    fn return_buffers(&mut self, buffers: SessionBuffers<'static>);

    /// What administrators are told. `clock` returns milliseconds since 1970.
    fn snapshot(&mut self, clock: &dyn Fn(Instant) -> u64) -> Snapshot;

    /// Closes the connection or the tunnel of a client. Returns whether there is one.
    fn close_session(&mut self, client_id: u32, buffer: &mut [u8]) -> bool;

    /// Closes the listeners, and opens them again at the same addresses. Connections stay. Returns whether all could be
    /// opened. The server tries the others again.
    fn restart_listeners(&mut self) -> bool;
}

/// What a client publishes and plays.
pub(super) struct Roles {
    /// The id of the client.
    pub(super) id: u32,
    /// Streams, the ids of message streams, and since when.
    pub(super) published: Vec<(StreamIndex, u32, Instant)>,
    /// The stream, and since when, if that is known.
    pub(super) played: Option<(StreamIndex, Option<Instant>)>,
}

/// Listens for administrators.
pub(super) fn listen(address: SocketAddr, registry: &Registry) -> io::Result<TcpListener> {
    let mut listener = TcpListener::bind(address)?;
    registry.register(&mut listener, Token(TOKEN), Interest::READABLE)?;
    Ok(listener)
}

impl<'a> Admin<'a> {
    pub(super) fn new(listener: TcpListener, user: &'a User, now: Instant) -> Self {
        Self {
            listener,
            is_ready: false,
            accept_at: None,
            access: AdminAccess::new(&user.name, &user.password),
            clients: std::iter::repeat_with(|| None).take(MAX_CLIENTS).collect(),
            launched: SystemTime::now(),
            started: now,
        }
    }

    /// Stores the readiness that an event reports. Returns whether the event is for administration.
    pub(super) fn notice(&mut self, event: &Readiness) -> bool {
        let Token(token) = event.token();
        match token.checked_sub(TOKEN) {
            None => return false,
            Some(0) => self.is_ready = true,
            Some(place) => {
                if let Some(Some(client)) = self.clients.get_mut(place - 1) {
                    client.socket.notice(event);
                    client.is_due = true;
                }
            }
        }
        true
    }

    /// When [`Self::run`] must be called at the latest.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if self.is_ready && self.accept_at.is_none() || self.clients.iter().flatten().any(|client| client.is_due) {
            return Some(now);
        }
        let timeouts = self.clients.iter().flatten().filter_map(Client::poll_timeout);
        timeouts.chain(self.accept_at).min()
    }

    /// Accepts administrators, and gives a turn to each that needs one.
    pub(super) fn run(&mut self, server: &mut dyn Server, buffer: &mut [u8]) {
        let now = server.now();
        if self.accept_at.is_none_or(|time| now >= time) {
            self.accept_at = None;
            self.accept(server, now);
        }
        for place in 0..self.clients.len() {
            let Some(client) = &mut self.clients[place] else { continue };
            let is_late = client.poll_timeout().is_some_and(|timeout| timeout <= now);
            if !std::mem::take(&mut client.is_due) && !is_late {
                continue;
            }
            let clock = |instant: Instant| unix_millis(self.launched, self.started, instant);
            let outcome = client.turn(&mut self.access, server, buffer, &clock);
            if !matches!(outcome, Ok(None)) {
                self.end(place, outcome, server);
            }
        }
    }

    fn accept(&mut self, server: &mut dyn Server, now: Instant) {
        while self.is_ready {
            match self.listener.accept() {
                Ok((stream, peer)) => self.open(stream, peer, server, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_ready = false,
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                }
                Err(_) => {
                    self.accept_at = Some(now + ACCEPT_PAUSE);
                    return;
                }
            }
        }
    }

    /// Adds a client. If there is no room, the oldest one that has not logged in is closed.
    fn open(&mut self, mut stream: TcpStream, peer: SocketAddr, server: &mut dyn Server, now: Instant) {
        let free = self.clients.iter().position(Option::is_none);
        let strangers = self.clients.iter().enumerate().filter_map(|(place, client)| {
            let client = client.as_ref().filter(|client| !client.has_logged_in)?;
            Some((client.since, place))
        });
        let Some(place) = free.or_else(|| strangers.min().map(|(_, place)| place)) else {
            return server.tell(Event::Refused(peer, "turned away: too many administrators".to_owned()));
        };
        self.end(place, Ok(Some(CLOSED)), server);
        let _ = stream.set_nodelay(true);
        let token = Token(TOKEN + 1 + place);
        if let Err(error) = server.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE) {
            return server.tell(Event::Trouble(peer, error.to_string()));
        }
        self.clients[place] = Some(Client {
            peer,
            since: now,
            socket: Socket::outliving_reset(stream),
            role: Role::Unknown(now + Duration::from_secs(10)),
            keys: Keys::default(),
            agree_at: None,
            has_logged_in: false,
            snapshot: None,
            is_due: true,
        });
    }

    fn end(&mut self, place: usize, outcome: Outcome, server: &mut dyn Server) {
        let Some(client) = self.clients[place].take() else { return };
        if let Role::Rtmp(session) = client.role {
            server.return_buffers(session.into_buffers());
        }
        if let Err(error) = outcome {
            server.tell(Event::Trouble(client.peer, format!("administration: {error:#}")));
        }
    }
}

/// A time in milliseconds since 1970.
fn unix_millis(launched: SystemTime, started: Instant, instant: Instant) -> u64 {
    let launched = launched.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = (launched + instant.saturating_duration_since(started)).as_millis();
    u64::try_from(millis).unwrap_or(u64::MAX)
}

impl Client {
    fn poll_timeout(&self) -> Option<Instant> {
        let timeout = match &self.role {
            Role::Unknown(deadline) => Some(*deadline),
            Role::Http(connection) => connection.poll_timeout(),
            Role::Rtmp(session) => session.poll_timeout(),
        };
        timeout.into_iter().chain(self.agree_at).min()
    }

    /// Does all work that is possible now.
    fn turn(
        &mut self,
        access: &mut AdminAccess<'_, 256>,
        server: &mut dyn Server,
        buffer: &mut [u8],
        clock: &dyn Fn(Instant) -> u64,
    ) -> Outcome {
        let now = server.now();
        if let Role::Unknown(deadline) = self.role {
            return self.begin(deadline, access, server, buffer, clock);
        }
        let Self { peer, socket, role, keys, agree_at, has_logged_in, snapshot, .. } = self;
        let mut decide = |credentials: Option<AdminCredentials<'_>>, server: &mut dyn Server| {
            let has_credentials = credentials.is_some();
            let checked = access.check(now, octets(peer.ip()), credentials);
            if has_credentials && let Err(failure) = checked {
                server.tell(Event::Refused(*peer, format!("administration: {failure}")));
            }
            *has_logged_in |= checked.is_ok();
            checked
        };
        let (has_received, has_sent) = match role {
            Role::Unknown(_) => (false, false),
            Role::Http(connection) => {
                let mut calls = Vec::new();
                let (has_received, ()) = socket
                    .receive(buffer, true, |input| {
                        keys.receive(input, |input| {
                            while let Some(event) = connection.next_event(now, input) {
                                match event {
                                    AdminEvent::Login(credentials) => match decide(credentials, server) {
                                        Ok(()) => connection.accept_login(),
                                        Err(failure) => connection.reject(now, failure),
                                    },
                                    // There is one at a time. It is carried out when the buffer is free.
                                    AdminEvent::Call(call) => calls.push(call),
                                    _ => {}
                                }
                            }
                        })
                    })
                    .context(BROKEN)?;
                for call in calls {
                    let result = carry_out(call, *peer, server, buffer);
                    *snapshot = matches!(call, AdminCall::Query(_)).then(|| server.snapshot(clock));
                    connection.answer(now, result);
                }
                connection.handle_timeout(now);
                let data = data(snapshot, now, clock);
                let fill = |out: &mut [u8]| connection.poll_transmit(now, out, data);
                let has_sent = socket.send(buffer, fill).context(BROKEN)?;
                if !connection.wants_transmit() {
                    *snapshot = None;
                }
                if connection.is_over() && !socket.has_output() {
                    return Ok(Some(CLOSED));
                }
                (has_received, has_sent)
            }
            Role::Rtmp(session) => {
                let (mut calls, wants_input) = (Vec::new(), session.wants_input());
                let take = |input: &mut &[u8]| -> Result<()> {
                    while let Some(event) = session.next_event(now, input)? {
                        match event {
                            AdminEvent::Login(credentials) => match decide(credentials, server) {
                                Ok(()) => session.accept_login(),
                                Err(failure) => session.reject(failure),
                            },
                            AdminEvent::Call(call) => calls.push(call),
                            _ => {}
                        }
                    }
                    Ok(())
                };
                let (has_received, taken) =
                    socket.receive(buffer, wants_input, |input| keys.receive(input, take)).context(BROKEN)?;
                taken?;
                if session.awaits_keys() {
                    *agree_at = server.try_agree().err();
                    if agree_at.is_none() {
                        *keys = Keys(session.agree(now, &KeyPair::new(&entropy()?)));
                    }
                }
                for call in calls {
                    let result = carry_out(call, *peer, server, buffer);
                    *snapshot = Some(server.snapshot(clock));
                    session.answer(result);
                }
                let data = data(snapshot, now, clock);
                let fill = |out: &mut [u8]| {
                    let length = session.poll_transmit(now, out, data);
                    keys.send(&mut out[..length]);
                    length
                };
                let has_sent = socket.send(buffer, fill).context(BROKEN)?;
                if !session.is_answering() {
                    *snapshot = None;
                }
                if session.poll_timeout().is_some_and(|timeout| timeout <= now) {
                    session.handle_timeout(now)?;
                }
                if session.is_closed() && !socket.has_output() {
                    return Ok(Some(CLOSED));
                }
                (has_received, has_sent)
            }
        };
        self.is_due |= has_received || has_sent;
        // A client that has closed its side may wait for the rest of an answer.
        let is_over = self.socket.has_ended() && !has_received && !has_sent && !self.socket.has_output();
        Ok(is_over.then_some(CLOSED))
    }

    /// Waits for the byte that shows the protocol.
    fn begin(
        &mut self,
        deadline: Instant,
        access: &mut AdminAccess<'_, 256>,
        server: &mut dyn Server,
        buffer: &mut [u8],
        clock: &dyn Fn(Instant) -> u64,
    ) -> Outcome {
        let now = server.now();
        let look = |input: &mut [u8]| (0, input.first().copied());
        let (has_received, first) = self.socket.receive(buffer, true, look).context(BROKEN)?;
        // Send the answers of the TLS handshake.
        let has_sent = self.socket.send(buffer, |_| 0).context(BROKEN)?;
        let Some(first) = first else {
            self.is_due |= has_received || has_sent;
            if now >= deadline {
                bail!("the client sent nothing in time");
            }
            return Ok(self.socket.has_ended().then_some(CLOSED));
        };
        let protocol = Protocol::of(first);
        if let (Protocol::Tls, Some(TlsServer(tls)), false) = (protocol, server.tls(), self.socket.is_tls()) {
            let tls = ServerConnection::new(tls.clone()).context("TLS")?;
            self.socket.start_tls(tls.into()).context("TLS")?;
            return self.begin(deadline, access, server, buffer, clock);
        }
        self.role = match protocol {
            Protocol::Http => Role::Http(Box::new(AdminConnection::new(now))),
            Protocol::Rtmp | Protocol::Rtmpe => Role::Rtmp(Box::new(server.session()?)),
            _ => bail!("neither RTMP nor HTTP: it begins with {first:#04x}"),
        };
        self.turn(access, server, buffer, clock)
    }
}

/// What an answer tells. That to a request without a call tells only the time.
fn data<'s>(snapshot: &'s mut Option<Snapshot>, now: Instant, clock: &dyn Fn(Instant) -> u64) -> &'s Snapshot {
    snapshot.get_or_insert_with(|| Snapshot {
        stats: AdminStats { timestamp: Some(clock(now)), ..AdminStats::default() },
        streams: Vec::new(),
    })
}

/// Does what a call asks for.
fn carry_out(
    call: AdminCall,
    peer: SocketAddr,
    server: &mut dyn Server,
    buffer: &mut [u8],
) -> Result<(), AdminFailure> {
    match call {
        AdminCall::Query(_) => Ok(()),
        AdminCall::CloseSession { id } => {
            let is_closed = server.close_session(id, buffer);
            if is_closed {
                server.tell(Event::Administered(peer, format!("closed the session {id}")));
            }
            is_closed.then_some(()).ok_or(AdminFailure::Client)
        }
        AdminCall::RestartListeners => {
            let is_open = server.restart_listeners();
            server.tell(Event::Administered(peer, "opened the listeners again".to_owned()));
            is_open.then_some(()).ok_or(AdminFailure::Failed)
        }
        _ => Err(AdminFailure::Failed),
    }
}

/// Groups the clients by the streams that they publish and play. `name` returns the name of a stream.
pub(super) fn listed(
    clients: &[Roles],
    name: impl Fn(StreamIndex) -> Vec<u8>,
    clock: &dyn Fn(Instant) -> u64,
) -> Vec<Listed> {
    let client = |id, since: Option<Instant>| AdminClient { id, since: since.map(clock) };
    let mut players: HashMap<usize, Vec<AdminClient>> = HashMap::new();
    for Roles { id, played, .. } in clients {
        if let Some((stream, since)) = played {
            players.entry(stream.get()).or_default().push(client(*id, *since));
        }
    }
    let mut streams: Vec<Listed> = Vec::new();
    for Roles { id, published, .. } in clients {
        for (stream, stream_id, since) in published {
            let publisher = AdminPublisher { client: client(*id, Some(*since)), stream_id: Some(*stream_id) };
            let players = players.remove(&stream.get()).unwrap_or_default();
            streams.push(Listed { name: name(*stream), publisher, players });
        }
    }
    streams.sort_by(|a, b| a.name.cmp(&b.name));
    streams
}
