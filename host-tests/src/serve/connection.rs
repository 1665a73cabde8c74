//! A TCP connection, with or without TLS: a client that speaks RTMP, a tunnel, or a viewer that speaks HTTP.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{Protocol, TunnelConnection};
use embedded_rtmp::web::{FirstRequest, WebRoute, is_web};
use mio::event::Event;
use mio::net::TcpStream;
use rustls::ServerConnection;

use super::admin::Roles;
use super::client::Client;
use super::gateway::Gateway;
use super::handover::Handover;
use super::proxy;
use super::shared::{BROKEN, CLOSED, Outcome, Shared};
use super::web::{LINE, WebClient};
use crate::net::{Socket, TlsServer};

/// The approximate memory of a connection without queues and incomplete messages, in bytes.
pub(super) const SESSION_MEMORY: usize = 88 * 1024;

/// Why a connection may be closed to make room for another one. The smallest is closed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Idleness {
    HalfOpen,
    Idle,
}

pub(super) struct Connection {
    /// The client. Behind a load balancer, this is the address in the PROXY header.
    pub(super) peer: SocketAddr,
    /// When it was accepted.
    pub(super) since: Instant,
    /// The id of the client for administrators.
    pub(super) client_id: u32,
    socket: Socket,
    role: Role,
    /// The bytes that the peer had acknowledged at the last deadline of its session.
    acknowledged: u64,
    /// Its memory without incomplete messages, as counted in [`Shared::held`].
    held: usize,
}

#[expect(clippy::large_enum_variant, reason = "nearly all connections are the largest variant")]
enum Role {
    /// A load balancer must send a PROXY header until this time.
    Proxy(Instant),
    /// The client has not sent a byte that shows its protocol. It has until this time.
    Unknown(Instant),
    Rtmp(Client),
    /// The client speaks HTTP, and its first request, of which this many bytes were read, decides. It has until this time.
    First(Box<FirstRequest<LINE>>, usize, Instant),
    Tunnel(TunnelConnection),
    Web(Box<WebClient>),
    Handover(Box<Handover>),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, shared: &mut Shared<'_>) -> Self {
        let deadline = shared.now + shared.options.config.connect_timeout.unwrap_or(std::time::Duration::MAX);
        let role = if shared.options.is_proxy(peer.ip()) { Role::Proxy(deadline) } else { Role::Unknown(deadline) };
        let (since, client_id, socket) = (shared.now, shared.new_client(), Socket::outliving_reset(stream));
        Self { peer, since, client_id, socket, role, acknowledged: 0, held: 0 }
    }

    /// Why the connection may be closed to make room for another one. `None` if the client publishes or plays.
    pub(super) fn idleness(&self, id: usize, gateway: &Gateway) -> Option<Idleness> {
        match self.client(id, gateway) {
            None if matches!(&self.role, Role::Web(viewer) if viewer.is_active()) => None,
            None if matches!(&self.role, Role::Handover(_)) => Some(Idleness::Idle),
            Some(client) if client.is_active() => None,
            Some(client) if client.is_connected() => Some(Idleness::Idle),
            _ => Some(Idleness::HalfOpen),
        }
    }

    /// Bytes of memory for itself, its queues and its incomplete messages.
    pub(super) fn memory(&self, id: usize, gateway: &Gateway) -> usize {
        self.held + self.client(id, gateway).map_or(0, Client::collected)
    }

    /// The bytes that it has received and sent.
    pub(super) fn traffic(&self) -> (u64, u64) {
        self.socket.traffic()
    }

    /// What its client publishes and plays, if it is no tunnel.
    pub(super) fn roles(&self, shared: &mut Shared<'_>) -> Option<Roles> {
        match &self.role {
            Role::Rtmp(client) => Some(client.roles(self.client_id, shared)),
            Role::Web(viewer) => Some(viewer.roles(self.client_id, shared)),
            _ => None,
        }
    }

    /// Its client, if it is no tunnel.
    pub(super) fn client_mut(&mut self) -> Option<&mut Client> {
        if let Role::Rtmp(client) = &mut self.role { Some(client) } else { None }
    }

    /// Its client. That of a tunnel may be between two requests.
    fn client<'g>(&'g self, id: usize, gateway: &'g Gateway) -> Option<&'g Client> {
        match &self.role {
            Role::Proxy(_) | Role::Unknown(_) | Role::First(..) | Role::Web(_) | Role::Handover(_) => None,
            Role::Rtmp(client) => Some(client),
            Role::Tunnel(web) => gateway.client(web).or_else(|| gateway.carried_by(id)),
        }
    }

    /// Updates the count of its memory.
    pub(super) fn count_held(&mut self, shared: &mut Shared<'_>) {
        let handover = if let Role::Handover(handover) = &self.role { handover.memory() } else { 0 };
        let held = SESSION_MEMORY + self.socket.memory() + handover;
        shared.held = shared.held - self.held + held;
        self.held = held;
    }

    /// Stores the readiness that an event reports.
    pub(super) fn notice(&mut self, event: &Event) {
        self.socket.notice(event);
    }

    /// Stores the readiness of the connection to another server.
    pub(super) fn notice_other(&mut self, event: &Event) {
        if let Role::Handover(handover) = &mut self.role {
            handover.notice(event);
        }
    }

    /// When it must get a turn at the latest.
    pub(super) fn poll_timeout(&self, gateway: &Gateway, shared: &Shared<'_>) -> Option<Instant> {
        match &self.role {
            Role::Proxy(deadline) | Role::Unknown(deadline) | Role::First(.., deadline) => Some(*deadline),
            Role::Handover(handover) => handover.poll_timeout(shared),
            Role::Rtmp(client) => client.poll_timeout(),
            Role::Tunnel(web) => gateway.poll_timeout(web),
            Role::Web(viewer) => viewer.poll_timeout(shared),
        }
    }

    /// Does all work that is possible now.
    pub(super) fn turn(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        gateway: &mut Gateway,
        shared: &mut Shared<'_>,
    ) -> Outcome {
        let Self { peer, socket, role, acknowledged, .. } = self;
        match role {
            Role::Proxy(deadline) => {
                let (_, taken) = socket.receive(buffer, true, |input| whole(input, proxy::take)).context(BROKEN)?;
                let Some(client) = taken? else {
                    if shared.now >= *deadline {
                        bail!("the load balancer did not send a complete PROXY header in time");
                    }
                    return Ok(socket.has_ended().then_some(CLOSED));
                };
                *peer = client.unwrap_or(*peer);
                *role = Role::Unknown(*deadline);
                self.turn(id, buffer, gateway, shared)
            }
            Role::Unknown(deadline) => {
                let look = |input: &mut &[u8]| (input.first().copied(), proxy::is_header(input));
                let (has_received, (first, is_header)) =
                    socket.receive(buffer, true, |input| whole(input, look)).context(BROKEN)?;
                // Send the answers of the TLS handshake.
                let has_sent = socket.send(buffer, |_| 0).context(BROKEN)?;
                let (Some(first), Some(is_header)) = (first, is_header) else {
                    if has_received || has_sent {
                        shared.ready.push(id);
                    }
                    if shared.now >= *deadline {
                        bail!("the peer did not answer in time: handshake");
                    }
                    return Ok(socket.has_ended().then_some(CLOSED));
                };
                if is_header {
                    bail!("a PROXY header from an address that --proxy-protocol does not name");
                }
                let protocol = Protocol::of(first);
                let is_local = is_local(socket, *peer);
                if let (Protocol::Tls, Some(TlsServer(tls)), false) = (protocol, &shared.options.tls, socket.is_tls()) {
                    let tls = ServerConnection::new(tls.clone()).context("TLS")?;
                    socket.start_tls(tls.into()).context("TLS")?;
                    return self.turn(id, buffer, gateway, shared);
                }
                *role = match protocol {
                    Protocol::Http if !shared.options.handover.is_empty() => {
                        let has_web = is_local || shared.options.web.is_public;
                        Role::First(Box::new(FirstRequest::new(has_web)), 0, *deadline)
                    }
                    Protocol::Http if is_web(first) && (is_local || shared.options.web.is_public) => {
                        Role::Web(Box::new(WebClient::new(shared.now, is_local)))
                    }
                    Protocol::Http => Role::Tunnel(TunnelConnection::new(shared.now)),
                    // The session's handshake decides which versions of RTMP are accepted.
                    Protocol::Rtmp | Protocol::Rtmpe => Role::Rtmp(Client::new(id, *peer, shared)?),
                    Protocol::Tls if socket.is_tls() => bail!("TLS inside TLS"),
                    Protocol::Tls => bail!("TLS (RTMPS or HTTPS), which this server does not speak without --tls-cert"),
                    _ => bail!("neither RTMP nor HTTP: it begins with {first:#04x}"),
                };
                self.turn(id, buffer, gateway, shared)
            }
            Role::Rtmp(client) => {
                let wants_input = client.wants_input() || client.is_waiting();
                let received = socket.receive(buffer, wants_input, |input| client.take(input, shared));
                let (has_received, taken) = received.context(BROKEN)?;
                taken?;
                let has_sent = socket.send(buffer, |out| client.fill(out, shared)).context(BROKEN)?;
                if has_received || has_sent {
                    shared.ready.push(id);
                }
                if client.poll_timeout().is_some_and(|timeout| timeout <= shared.now) {
                    let before = std::mem::replace(acknowledged, socket.acknowledged());
                    if *acknowledged > before {
                        client.note_acknowledged(shared.now);
                    }
                }
                let end = client.handle_timeout(socket.has_output(), shared)?;
                // A client that leaves while it waits must not replace another publisher.
                let is_over = socket.is_ended() || client.is_waiting() && socket.is_closing();
                Ok(end.or(is_over.then_some(CLOSED)))
            }
            Role::Web(viewer) => {
                let take = |input: &mut [u8]| whole(input, |rest| viewer.take(rest, id, *peer, shared));
                let (has_received, ()) = socket.receive(buffer, true, take).context(BROKEN)?;
                let has_sent = socket.send(buffer, |out| viewer.fill(out, *peer, shared)).context(BROKEN)?;
                if has_received || has_sent {
                    shared.ready.push(id);
                }
                let end = viewer.handle_timeout(socket.has_output(), shared)?;
                let has_moved = has_received || has_sent;
                let is_over = viewer.is_over() && !socket.has_output() && !has_sent;
                let is_gone = socket.has_ended() && !has_moved;
                Ok(end.or((is_over || is_gone).then_some(CLOSED)))
            }
            Role::First(first, read, deadline) => {
                let look = |input: &mut [u8]| {
                    let result = first.read(&mut &input[*read..]);
                    *read = input.len();
                    (0, result)
                };
                let (has_received, route) = socket.receive(buffer, true, look).context(BROKEN)?;
                *role = match route {
                    Ok(None) if shared.now >= *deadline => bail!("the peer did not send a request in time"),
                    Ok(None) => {
                        if has_received {
                            shared.ready.push(id);
                        }
                        return Ok(socket.has_ended().then_some(CLOSED));
                    }
                    Ok(Some(WebRoute::Tunnel)) => Role::Tunnel(TunnelConnection::new(shared.now)),
                    Ok(Some(WebRoute::Web)) => Role::Web(Box::new(WebClient::new(shared.now, is_local(socket, *peer)))),
                    Ok(Some(_)) => Role::Handover(Box::new(Handover::new(id, *peer, shared))),
                    Err(error) => {
                        shared.tell_refused(*peer, format!("a request is refused: {error}"));
                        Role::Handover(Box::new(Handover::refused(error, shared)))
                    }
                };
                self.turn(id, buffer, gateway, shared)
            }
            Role::Handover(handover) => handover.turn(id, socket, buffer, *peer, shared),
            Role::Tunnel(web) => {
                let received = socket.receive(buffer, true, |input| gateway.receive(web, input, id, *peer, shared));
                let (has_received, taken) = received.context(BROKEN)?;
                taken?;
                let answered = |out: &mut [u8]| gateway.fill(web, out, id, shared);
                let has_moved = socket.send(buffer, answered).context(BROKEN)? || has_received;
                if has_moved {
                    shared.ready.push(id);
                } else {
                    gateway.handle_timeout(web, shared);
                }
                let is_over = web.is_over() && !socket.has_output() || socket.is_ended() && !has_moved;
                Ok(is_over.then_some(CLOSED))
            }
        }
    }

    /// Tells a player that the server stops.
    pub(super) fn say_goodbye(&mut self, buffer: &mut [u8], shared: &mut Shared<'_>) {
        // If there is no room for this now, the player learns of the end when the connection closes.
        match &mut self.role {
            Role::Rtmp(client) => {
                client.say_goodbye(shared);
                let _ = self.socket.send(buffer, |out| client.fill(out, shared));
            }
            Role::Web(viewer) => {
                viewer.say_goodbye();
                let _ = self.socket.send(buffer, |out| viewer.fill(out, self.peer, shared));
            }
            _ => {}
        }
    }

    /// Ends all streams that it publishes and plays.
    pub(super) fn finish(self, id: usize, end: &str, gateway: &mut Gateway, shared: &mut Shared<'_>) {
        shared.held -= self.held;
        match self.role {
            Role::Proxy(_) | Role::Unknown(_) | Role::First(..) => {}
            Role::Handover(handover) => handover.finish(shared),
            Role::Rtmp(client) => client.finish(end, shared),
            Role::Tunnel(web) => gateway.finish(web, id, shared),
            Role::Web(mut viewer) => viewer.leave(end, self.peer, shared),
        }
    }
}

/// Whether both ends of a connection have loopback addresses. Behind a load balancer, the peer is the client in the header.
fn is_local(socket: &Socket, peer: SocketAddr) -> bool {
    socket.is_local() && peer.ip().to_canonical().is_loopback()
}

/// Passes bytes to a function that removes bytes from the front and does not change them. Returns the number of removed
/// bytes, and the result of the function.
fn whole<R>(input: &[u8], consume: impl FnOnce(&mut &[u8]) -> R) -> (usize, R) {
    let mut rest = input;
    let result = consume(&mut rest);
    (input.len() - rest.len(), result)
}
