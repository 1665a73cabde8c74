//! The state that all connections share.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use embedded_rtmp::crypt::AgreementLimit;
use embedded_rtmp::relay::{PeerId, Publisher, RelayEvent, StreamIndex};
use embedded_rtmp::session::SessionBuffers;
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{BitRate, WebConfig};
use mio::Registry;

use super::access::Access;
use super::streams::Streams;
use super::{Event, Options};
use crate::net::session_buffers;

pub(super) const BROKEN: &str = "the connection broke";
pub(super) const CLOSED: &str = "the connection was closed";
pub(super) const CROWDED: &str = "closed to make room for another client: it neither publishes nor plays";

/// The result of a turn: nothing, an orderly end with its reason, or an error, which ends the connection and is reported.
pub(super) type Outcome = anyhow::Result<Option<&'static str>>;

pub(super) struct Shared<'a> {
    pub(super) options: &'a Options,
    /// Registers the connections to the server of [`Options::handover`].
    pub(super) registry: Registry,
    /// How many connections are handed over.
    pub(super) handovers: usize,
    /// Which requests of HTTP are answered.
    pub(super) web: WebConfig<'a>,
    pub(super) access: Option<Access<'a>>,
    /// When the current turns began.
    pub(super) now: Instant,
    pub(super) streams: Streams,
    /// Limits how often the server agrees on keys with clients of RTMPE.
    pub(super) agreements: AgreementLimit,
    pub(super) ready: Ready,
    /// Events of the relay for publishers. Each publisher handles its events at the beginning of its next turn.
    events: Vec<(PeerId, RelayEvent)>,
    pub(super) tell: &'a mut dyn FnMut(Event),
    /// Whether the server stops, and waits for clients that it has asked to connect again.
    pub(super) is_draining: bool,
    /// When the server was started.
    pub(super) started: Instant,
    /// Why the last connection ended with an error. It has no name of a stream, because that may be secret.
    pub(super) last_error: Option<String>,
    /// How many streams are published.
    pub(super) published: usize,
    /// The payload that publishers send.
    pub(super) rate: BitRate,
    /// Bytes of memory of connections: for themselves, for queues, and for incomplete messages.
    pub(super) held: usize,
    /// The number of clients so far.
    clients: u32,
    /// Memory of sessions that have ended. It is never freed, so it is used again.
    pub(super) spare: Vec<SessionBuffers<'static>>,
}

/// The ids of connections that must get a turn, in the order in which it became due.
#[derive(Debug, Default)]
pub(super) struct Ready {
    queue: VecDeque<usize>,
    is_queued: Vec<bool>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        options: &'a Options,
        registry: Registry,
        web: WebConfig<'a>,
        access: Option<Access<'a>>,
        tell: &'a mut dyn FnMut(Event),
        now: Instant,
    ) -> Self {
        let (streams, ready) = (Streams::new(options.ring, options.relay, options.for_streams()), Ready::default());
        let (events, spare) = (Vec::new(), Vec::new());
        let agreements = AgreementLimit::every(options.agreement_interval);
        Self {
            options,
            registry,
            handovers: 0,
            web,
            access,
            now,
            streams,
            agreements,
            ready,
            events,
            tell,
            is_draining: false,
            started: now,
            last_error: None,
            published: 0,
            rate: BitRate::new(now),
            held: 0,
            clients: 0,
            spare,
        }
    }

    /// Reports that a client, or what it has asked for, is refused.
    pub(super) fn tell_refused(&mut self, peer: SocketAddr, text: String) {
        (self.tell)(Event::Refused(peer, text));
    }

    /// Reports that a connection broke, or that its client did something wrong.
    pub(super) fn tell_trouble(&mut self, peer: SocketAddr, text: String) {
        (self.tell)(Event::Trouble(peer, text));
    }

    /// Whether connections have more memory than they may, or would have with `more` bytes.
    pub(super) fn is_over_limit(&self, more: usize) -> bool {
        // A single ring may be longer than all rings should be.
        let rings = self.streams.memory().min(self.options.for_streams());
        self.held + more + rings > self.options.for_all()
    }

    /// An id for a client, which no other client has or had.
    pub(super) fn new_client(&mut self) -> u32 {
        self.clients = self.clients.wrapping_add(1);
        self.clients
    }

    /// Memory for a session.
    pub(super) fn buffers(&mut self) -> SessionBuffers<'static> {
        self.spare.pop().unwrap_or_else(session_buffers)
    }

    /// Gives a turn to the players of a stream.
    pub(super) fn wake(&mut self, stream: StreamIndex) {
        let Self { streams, ready, .. } = self;
        streams.directory().wake(stream).for_each(|(_, peer)| ready.push(peer.0 as usize));
    }

    /// Ends the waits and the grace times that have expired.
    pub(super) fn handle_timeout(&mut self) {
        self.streams.directory().handle_timeout(self.now);
        self.poll_relay();
    }

    /// Handles the events of the directory of streams.
    pub(super) fn poll_relay(&mut self) {
        while let Some(event) = self.streams.directory().poll_event(self.now) {
            match event {
                RelayEvent::Gone(stream) => {
                    self.streams.ring(stream).end();
                    self.wake(stream);
                }
                RelayEvent::Resumed { stream, since } => {
                    self.streams.ring(stream).resume(since);
                    self.wake(stream);
                }
                RelayEvent::Ended(stream) => self.wake(stream),
                RelayEvent::GivenUp { peer, .. } => self.ready.push(peer.0 as usize),
                RelayEvent::Accepted { publisher: Publisher { peer, .. }, .. }
                | RelayEvent::Rejected(Publisher { peer, .. })
                | RelayEvent::Replaced(Publisher { peer, .. })
                | RelayEvent::Ask(Publisher { peer, .. }) => {
                    self.events.push((peer, event));
                    self.ready.push(peer.0 as usize);
                }
                _ => {}
            }
        }
    }

    /// The next event of the relay for a publisher.
    pub(super) fn next_event(&mut self, peer: PeerId) -> Option<RelayEvent> {
        let place = self.events.iter().position(|(to, _)| *to == peer)?;
        Some(self.events.remove(place).1)
    }
}

impl Ready {
    pub(super) fn push(&mut self, id: usize) {
        if self.is_queued.len() <= id {
            self.is_queued.resize(id + 1, false);
        }
        if !std::mem::replace(&mut self.is_queued[id], true) {
            self.queue.push_back(id);
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let id = self.queue.pop_front()?;
        self.is_queued[id] = false;
        Some(id)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// Returns the address for which connections and tunnels are counted. For IPv6, only the first 64 bits count, because
/// one client usually has all addresses that begin with them.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_151_ipv6_clients_of_one_network_count_as_one_address() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        // An IPv4 client on a socket that accepts IPv4 and IPv6.
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("::ffff:192.0.2.1"), network("::ffff:192.0.2.2"));
    }
}
