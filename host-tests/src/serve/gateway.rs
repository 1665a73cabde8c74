//! RTMPT: sessions in tunnels. A session belongs to its tunnel, not to a connection.

use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, anyhow};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{TunnelConfig, TunnelConnection, TunnelEvent, TunnelId, TunnelRefusal, Tunnels};

use super::Options;
use super::admin::Roles;
use super::client::Client;
use super::shared::{CLOSED, CROWDED, Outcome, Shared, network};
use crate::net::entropy;

/// The most tunnels at a time, which is the limit of a table. Their sessions have the ids below this number.
pub(super) const MAX_TUNNELS: usize = 255;

/// The longest time without a request, after which a tunnel is closed. Clients poll at least every few seconds, and some
/// leave without closing the tunnel.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// The approximate memory of a session in a tunnel without incomplete messages, in bytes.
const TUNNEL_MEMORY: usize = 76 * 1024;

pub(super) struct Gateway {
    tunnels: Tunnels<'static, MAX_TUNNELS>,
    /// One for each place of the table. They are too large for a stack.
    sessions: Vec<Option<Session>>,
}

/// The session in a tunnel.
struct Session {
    tunnel: TunnelId,
    client: Client,
    /// The id of the client for administrators.
    client_id: u32,
    /// The connection that had the last request, if it is open.
    carrier: Option<usize>,
    peer: SocketAddr,
    /// The time at which the tunnel was opened.
    since: Instant,
}

impl Gateway {
    pub(super) fn new(idle_timeout: Duration) -> Self {
        let idle_timeout = idle_timeout.min(MAX_SILENCE);
        let page = Some("RTMP and RTMPT are served here.\n");
        let tunnels = Tunnels::new(TunnelConfig { idle_timeout, page, ..TunnelConfig::new() });
        Self { tunnels, sessions: std::iter::repeat_with(|| None).take(MAX_TUNNELS).collect() }
    }

    /// The client of the tunnel to which the current request of a connection belongs.
    pub(super) fn client(&self, web: &TunnelConnection) -> Option<&Client> {
        let tunnel = web.tunnel(&self.tunnels)?;
        self.sessions[tunnel.index()].as_ref().map(|session| &session.client)
    }

    /// A client whose last request a connection had, and which publishes or plays. It may have no request now.
    pub(super) fn carried_by(&self, id: usize) -> Option<&Client> {
        let carried = self.sessions.iter().flatten().filter(|session| session.carrier == Some(id));
        carried.map(|session| &session.client).find(|client| client.is_active())
    }

    /// The clients of all tunnels.
    pub(super) fn clients(&mut self) -> impl Iterator<Item = &mut Client> {
        self.sessions.iter_mut().flatten().map(|session| &mut session.client)
    }

    /// What the clients of all tunnels publish and play.
    pub(super) fn roles(&self, shared: &mut Shared<'_>) -> Vec<Roles> {
        self.sessions.iter().flatten().map(|session| session.client.roles(session.client_id, shared)).collect()
    }

    /// Closes the tunnel of a client. Returns whether there is one.
    pub(super) fn close_client(&mut self, client_id: u32, end: &'static str, shared: &mut Shared<'_>) -> bool {
        let session = self.sessions.iter().flatten().find(|session| session.client_id == client_id);
        let tunnel = session.map(|session| session.tunnel);
        tunnel.into_iter().for_each(|tunnel| self.close(tunnel, Ok(Some(end)), shared));
        tunnel.is_some()
    }

    pub(super) fn poll_timeout(&self, web: &TunnelConnection) -> Option<Instant> {
        web.poll_timeout(&self.tunnels)
    }

    /// Handles the timeouts of a connection.
    pub(super) fn handle_timeout(&mut self, web: &mut TunnelConnection, shared: &mut Shared<'_>) {
        if let Some(tunnel) = web.handle_timeout(shared.now, &mut self.tunnels) {
            self.close(tunnel, Ok(Some(CLOSED)), shared);
        }
    }

    /// Handles the timeouts of tunnels and sessions. Call it a few times per second.
    pub(super) fn tick(&mut self, shared: &mut Shared<'_>) {
        while let Some(tunnel) = self.tunnels.handle_timeout(shared.now) {
            self.close(tunnel, Ok(Some(CLOSED)), shared);
        }
        for session in self.sessions.iter().flatten() {
            if session.client.poll_timeout().is_some_and(|timeout| timeout <= shared.now) {
                shared.ready.push(session.tunnel.index());
            }
        }
    }

    /// Lets a session do the work that needs no request, and lets its connection answer.
    pub(super) fn turn(&mut self, id: usize, shared: &mut Shared<'_>) {
        let Some(session) = &mut self.sessions[id] else { return };
        session.carrier.into_iter().for_each(|carrier| shared.ready.push(carrier));
        let taken = session.client.take(&mut [], shared).1;
        // A call without room tells a player that its stream has ended, and detects a player that is too slow.
        session.client.fill(&mut [], shared);
        let (tunnel, outcome) = (session.tunnel, taken.and_then(|()| session.client.handle_timeout(false, shared)));
        if !matches!(outcome, Ok(None)) {
            self.close(tunnel, outcome, shared);
        }
    }

    /// Handles the requests of connection `id` that are in `input`. Returns how many bytes it has consumed.
    ///
    /// # Errors
    /// No session can be made.
    pub(super) fn receive(
        &mut self,
        web: &mut TunnelConnection,
        input: &mut [u8],
        id: usize,
        peer: SocketAddr,
        shared: &mut Shared<'_>,
    ) -> (usize, Result<()>) {
        let mut consumed = 0;
        let result = self.handle(web, input, &mut consumed, id, peer, shared);
        // A request shows that the client has received the answer to the previous request.
        if consumed > 0
            && let Some(tunnel) = web.tunnel(&self.tunnels)
            && let Some(session) = &mut self.sessions[tunnel.index()]
        {
            session.client.note_acknowledged(shared.now);
        }
        (consumed, result)
    }

    fn handle(
        &mut self,
        web: &mut TunnelConnection,
        input: &mut [u8],
        consumed: &mut usize,
        id: usize,
        peer: SocketAddr,
        shared: &mut Shared<'_>,
    ) -> Result<()> {
        let now = shared.now;
        loop {
            let mut rest = &input[*consumed..];
            let event = web.next_event(now, &mut rest, &mut self.tunnels);
            *consumed = input.len() - rest.len();
            let Some(event) = event else { return Ok(()) };
            match event {
                TunnelEvent::Open => {
                    if let Err(text) = self.make_room(peer, shared) {
                        web.refuse();
                        shared.tell_refused(peer, format!("a tunnel is refused: {text}"));
                    } else if let Some(tunnel) = web.open(now, &entropy()?, &mut self.tunnels) {
                        let client = Client::new(tunnel.index(), peer, shared)?;
                        let session = Session {
                            tunnel,
                            client,
                            client_id: shared.new_client(),
                            carrier: Some(id),
                            peer,
                            since: now,
                        };
                        self.sessions[tunnel.index()] = Some(session);
                        shared.held += TUNNEL_MEMORY;
                    }
                }
                TunnelEvent::Data(tunnel) => {
                    let session = &mut self.sessions[tunnel.index()];
                    let mut result = Ok(());
                    let taken = web.receive_in_place(now, &mut input[*consumed..], |bytes| match session {
                        Some(session) => {
                            let (taken, outcome) = session.client.take(bytes, shared);
                            result = outcome;
                            taken
                        }
                        None => bytes.len(),
                    });
                    *consumed += taken;
                    if let Err(error) = result {
                        self.close(tunnel, Err(error), shared);
                    } else if taken == 0 {
                        // The session must send before it can read more, or it waits for the relay.
                        let waits = session.as_ref().is_some_and(|session| session.client.is_waiting());
                        if !waits && !web.answer_early() {
                            self.close(tunnel, Ok(Some(CLOSED)), shared);
                        }
                        return Ok(());
                    }
                    shared.ready.push(tunnel.index());
                }
                TunnelEvent::Closed(tunnel) => self.close(tunnel, Ok(Some(CLOSED)), shared),
                TunnelEvent::Refused(TunnelRefusal::Page | TunnelRefusal::NotFound) => {}
                TunnelEvent::Refused(refusal) => shared.tell_refused(peer, format!("a request is refused: {refusal}")),
                _ => {}
            }
        }
    }

    /// Makes room for one more tunnel. The limits for connections apply. If there is no room, the error names the
    /// limit.
    fn make_room(&mut self, peer: SocketAddr, shared: &mut Shared<'_>) -> Result<(), String> {
        let Options { max_connections, max_per_address, memory, .. } = *shared.options;
        let address = network(peer.ip());
        if self.count(address) >= max_per_address && !self.evict(Some(address), shared) {
            return Err(format!("too many from this address: the limit is {max_per_address} (--max-per-address)"));
        }
        let limit = max_connections.min(MAX_TUNNELS);
        if self.sessions.iter().flatten().count() >= limit && !self.evict(None, shared) {
            return Err(format!("too many: the limit is {limit}"));
        }
        while shared.is_over_limit(TUNNEL_MEMORY) {
            if !self.evict(None, shared) {
                return Err(format!("too little memory: the limit is {memory} bytes (--memory)"));
            }
        }
        Ok(())
    }

    /// Returns the number of tunnels of an address.
    fn count(&self, address: IpAddr) -> usize {
        self.sessions.iter().flatten().filter(|session| network(session.peer.ip()) == address).count()
    }

    /// Closes a tunnel whose client neither publishes nor plays, from the address `from` or from any address. It is the
    /// oldest such tunnel of the address with the most tunnels. Returns whether a tunnel was closed.
    pub(super) fn evict(&mut self, from: Option<IpAddr>, shared: &mut Shared<'_>) -> bool {
        let idle = self.sessions.iter().flatten().filter(|session| !session.client.is_active());
        let idle = idle.filter(|session| from.is_none_or(|from| network(session.peer.ip()) == from));
        let oldest = idle.min_by_key(|session| (Reverse(self.count(network(session.peer.ip()))), session.since));
        let Some(tunnel) = oldest.map(|session| session.tunnel) else { return false };
        self.close(tunnel, Err(anyhow!(CROWDED)), shared);
        true
    }

    /// Writes the answers of connection `id` to `out`. Returns the number of bytes written.
    pub(super) fn fill(
        &mut self,
        web: &mut TunnelConnection,
        out: &mut [u8],
        id: usize,
        shared: &mut Shared<'_>,
    ) -> usize {
        let (now, Self { tunnels, sessions }) = (shared.now, self);
        let session = web.tunnel(tunnels).and_then(|tunnel| sessions[tunnel.index()].as_mut());
        let Some(Session { client, carrier, tunnel, .. }) = session else {
            return web.poll_answer(now, out, tunnels, false, |_| 0);
        };
        *carrier = Some(id);
        let wants = client.wants_transmit(shared);
        let filled = web.poll_answer(now, out, tunnels, wants, |room| client.fill(room, shared));
        if filled > 0 {
            // The session may have ended.
            shared.ready.push(tunnel.index());
        }
        filled
    }

    /// Connection `id` has ended.
    pub(super) fn finish(&mut self, mut web: TunnelConnection, id: usize, shared: &mut Shared<'_>) {
        // Another connection may get this id.
        for session in self.sessions.iter_mut().flatten() {
            session.carrier.take_if(|carrier| *carrier == id);
        }
        if let Some(tunnel) = web.ended(shared.now, &mut self.tunnels) {
            self.close(tunnel, Ok(Some(CLOSED)), shared);
        }
    }

    /// Ends all sessions.
    pub(super) fn stop(&mut self, end: &'static str, shared: &mut Shared<'_>) {
        let tunnels: Vec<_> = self.sessions.iter().flatten().map(|session| session.tunnel).collect();
        tunnels.into_iter().for_each(|tunnel| self.close(tunnel, Ok(Some(end)), shared));
    }

    /// Ends a tunnel and its session.
    fn close(&mut self, tunnel: TunnelId, outcome: Outcome, shared: &mut Shared<'_>) {
        self.tunnels.close(tunnel);
        if let Some(Session { client, peer, .. }) = self.sessions[tunnel.index()].take() {
            shared.held -= TUNNEL_MEMORY;
            super::conclude(outcome, peer, shared, |end, shared| client.finish(end, shared));
        }
    }
}
