//! The memory of relayed streams, and the interface between a server's sessions and the core's relay.

#[cfg(feature = "rtmpe")]
use core::task::Context;

use embedded_rtmp::chunk::Fragment;
#[cfg(feature = "rtmpe")]
use embedded_rtmp::crypt::{AgreementLimit, KeyPair};
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{
    Directory, HeaderEntry, NameTooLong, PeerId, Played, PlayerIndex, PublishAnswer, Publisher, PumpError, RelayConfig,
    RelayEvent, RelayRejection, Ring, StreamBuffers, StreamEntry, StreamIndex, StreamName, Turn,
};
#[cfg(feature = "web")]
use embedded_rtmp::relay::{Generation, Player};
use embedded_rtmp::session::Server;
use embedded_rtmp::time::Instant;
use heapless::Vec;

use crate::clock::clock;
#[cfg(feature = "rtmpe")]
use crate::clock::wake_at;
use crate::error::Error;
use crate::fmt::impl_format;
#[cfg(feature = "admin")]
use crate::server::book::Book;
use crate::server::handler::{Handler, Origin, SessionId};
#[cfg(any(feature = "web", feature = "admin"))]
use crate::server::meter::Meter;
#[cfg(feature = "rtmpe")]
use crate::transport::keys::Keys;

/// The memory of one relayed stream. The caller usually puts it in a static.
///
/// | Parameter | Use | Size |
/// |---|---|---|
/// | `RING` | Messages that have not been sent to all players yet, and the messages from which a new player begins: see [`StreamBuffers`]. | Two groups of pictures; at least twice the largest keyframe. |
/// | `HEADERS` | The last `onMetaData`, and the decoder configurations of all tracks. | 768; for each further track, 64 for AVC, 256 for HEVC or 32 for audio. |
/// | `ENTRIES` | The entries for these messages. A message without an entry is relayed and counted, but not cached. | One for metadata, and one or two for each track of video and of audio; at most 32. |
/// | `NAME` | The name of the stream: [application and key](StreamName). Longer names are refused. | 64 |
pub struct StreamMemory<const RING: usize, const HEADERS: usize = 768, const ENTRIES: usize = 6, const NAME: usize = 64>
{
    ring: [u8; RING],
    headers: [u8; HEADERS],
    entries: [HeaderEntry; ENTRIES],
    name: [u8; NAME],
}

impl_format!(
    Debug,
    [
        const RING: usize,
        const HEADERS: usize,
        const ENTRIES: usize,
        const NAME: usize
    ] StreamMemory<RING, HEADERS, ENTRIES, NAME>,
    _ => "StreamMemory<{}, {}, {}, {}>", RING, HEADERS, ENTRIES, NAME
);

impl<const RING: usize, const HEADERS: usize, const ENTRIES: usize, const NAME: usize>
    StreamMemory<RING, HEADERS, ENTRIES, NAME>
{
    /// Creates memory that is all zeros.
    pub const fn new() -> Self {
        Self {
            ring: [0; RING],
            headers: [0; HEADERS],
            entries: [const { HeaderEntry::new() }; ENTRIES],
            name: [0; NAME],
        }
    }

    /// The tables of a relay over the memory of its streams.
    pub(crate) fn tables<'m, const STREAMS: usize>(
        streams: &'m mut [Self; STREAMS],
        config: &RelayConfig,
    ) -> ([Ring<'m>; STREAMS], [StreamEntry<'m>; STREAMS]) {
        let mut parts = streams.each_mut().map(|Self { ring, headers, entries, name }| {
            let name: &mut [u8] = name;
            (StreamBuffers { ring, headers, entries }, name)
        });
        let entries = parts.each_mut().map(|(_, name)| StreamEntry::new(core::mem::take(name)));
        (parts.map(|(buffers, _)| Ring::new(buffers, config)), entries)
    }
}

impl<const RING: usize, const HEADERS: usize, const ENTRIES: usize, const NAME: usize> Default
    for StreamMemory<RING, HEADERS, ENTRIES, NAME>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The application that a client has connected to, without its query. The names of its streams begin with it.
pub(crate) struct Application {
    path: [u8; Self::SIZE],
    length: u8,
}

impl Application {
    /// Path and length are 64 bytes together. A stream's name is seldom longer, and some clients send the whole name as the
    /// application.
    const SIZE: usize = 63;

    pub(crate) const fn new() -> Self {
        Self { path: [0; Self::SIZE], length: 0 }
    }

    /// Stores the application of a `connect`.
    pub(crate) fn set(&mut self, application: &[u8]) -> Result<(), RelayRejection> {
        let path = application.split(|byte| *byte == b'?').next().unwrap_or_default();
        let too_long = RelayRejection::Name(NameTooLong { needed: path.len(), room: Self::SIZE });
        let to = self.path.get_mut(..path.len()).ok_or(too_long)?;
        to.copy_from_slice(path);
        self.length = path.len().try_into().unwrap_or_default();
        Ok(())
    }

    /// Returns the name of one of its streams.
    pub(crate) fn stream<'n>(&'n self, key: &'n [u8]) -> StreamName<'n> {
        StreamName::new(self.path.get(..usize::from(self.length)).unwrap_or_default(), key)
    }
}

/// The sessions that have got something to do since they were last polled.
pub(crate) struct Woken {
    /// A bit for each of the first sessions.
    sessions: u32,
    /// The number of sessions that have a bit. The others are in tunnels, where any connection may carry them, or have an id
    /// that is too high.
    with_bit: u8,
    /// All sessions have something to do.
    pub(crate) all: bool,
}

impl Woken {
    pub(crate) fn set(&mut self, SessionId(id): SessionId) {
        match id < self.with_bit {
            true => self.sessions |= 1 << (id & 31),
            false => self.all = true,
        }
    }

    /// Returns whether a session has something to do, and clears that.
    pub(crate) fn take(&mut self, SessionId(id): SessionId) -> bool {
        let bit = if id < self.with_bit { 1 << (id & 31) } else { 0 };
        let is_set = self.sessions & bit != 0;
        self.sessions &= !bit;
        is_set
    }

    pub(crate) fn is_any(&self) -> bool {
        self.all || self.sessions != 0
    }
}

/// What a session has to do about one of its publications, because of what another session did or because of the time.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// Accept a publish that has waited.
    Accept,
    /// Reject a publish that has waited.
    Reject,
    /// End, because another publisher has replaced this one.
    Close,
    /// Send the client a ping.
    Ping,
}

/// The number of orders that may be pending at the same time. If there are more, their events stay in the directory.
const ORDERS: usize = 4;

/// All streams and players, and the application. It uses no socket, so its methods may be called within a socket's closure.
pub(crate) struct Relay<'r, 'a> {
    pub(crate) directory: Directory<'r, 'a>,
    /// The ring of each stream of the directory.
    pub(super) rings: &'r mut [Ring<'a>],
    /// What is measured of each of these.
    #[cfg(any(feature = "web", feature = "admin"))]
    pub(super) meters: &'r mut [Meter],
    /// When the server began to run.
    #[cfg(any(feature = "web", feature = "admin"))]
    pub(super) started: Instant,
    /// What administrators are told.
    #[cfg(feature = "admin")]
    pub(super) book: &'r Book<'r>,
    pub(crate) woken: Woken,
    orders: Vec<(Publisher, Order), ORDERS>,
    pub(crate) handler: &'r mut (dyn Handler + 'r),
    /// The start of this turn, in which the server polls all sessions.
    pub(crate) now: Instant,
    /// Limits how often the server agrees on keys with clients of RTMPE.
    #[cfg(feature = "rtmpe")]
    pub(crate) agreements: &'r mut AgreementLimit,
}

/// Returns the directory's number of a session.
pub(crate) const fn peer(SessionId(id): SessionId) -> PeerId {
    PeerId(id as u32)
}

/// Returns the session that has this number in the directory. For a publisher without a session, this is any session: that
/// one has a turn, and with it the publisher.
#[expect(clippy::cast_possible_truncation, reason = "the id of a session has one byte")]
const fn session(PeerId(id): PeerId) -> SessionId {
    SessionId(id as u8)
}

/// Returns the session that has this number in the directory. `None` for a publisher without a session.
#[cfg(feature = "admin")]
pub(crate) fn session_of(PeerId(id): PeerId) -> Option<SessionId> {
    u8::try_from(id).ok().map(SessionId)
}

// Functions that run once per stream are cold, so that the code that runs for each segment stays compact.
impl<'r, 'a> Relay<'r, 'a> {
    /// Creates the relay for one turn of a server with `sockets` sockets. All sessions are marked as having something to do.
    pub(crate) fn new(
        directory: Directory<'r, 'a>,
        rings: &'r mut [Ring<'a>],
        #[cfg(any(feature = "web", feature = "admin"))] (meters, started): (&'r mut [Meter], &mut Option<Instant>),
        #[cfg(feature = "admin")] book: &'r Book<'r>,
        sockets: usize,
        handler: &'r mut (dyn Handler + 'r),
        #[cfg(feature = "rtmpe")] agreements: &'r mut AgreementLimit,
    ) -> Self {
        let now = clock();
        let woken = Woken { sessions: 0, with_bit: u8::try_from(sockets.min(32)).unwrap_or_default(), all: true };
        Self {
            directory,
            rings,
            #[cfg(any(feature = "web", feature = "admin"))]
            meters,
            #[cfg(any(feature = "web", feature = "admin"))]
            started: *started.get_or_insert(now),
            #[cfg(feature = "admin")]
            book,
            woken,
            orders: Vec::new(),
            handler,
            now,
            #[cfg(feature = "rtmpe")]
            agreements,
        }
    }

    /// Makes a key pair for a client of RTMPE if the limit permits, and wakes the task so that it agrees on keys in a later
    /// call. Both steps take millions of instructions. If the limit does not permit it, the task is woken when it does.
    #[cfg(feature = "rtmpe")]
    pub(crate) fn make_keys(&mut self, keys: &mut Keys, cx: &mut Context<'_>) {
        match self.agreements.try_begin(self.now) {
            Err(at) => wake_at(at, cx),
            Ok(()) => {
                *keys = Keys::Pair(KeyPair::new(&self.handler.entropy()));
                cx.waker().wake_by_ref();
            }
        }
    }

    /// A client has connected.
    pub(crate) fn opened(&mut self, session: SessionId, from: Origin) {
        #[cfg(feature = "admin")]
        self.book.note_opened(session);
        self.handler.opened(session, from);
    }

    /// A client has left.
    pub(crate) fn closed(&mut self, session: SessionId, why: &Error) {
        #[cfg(feature = "admin")]
        self.book.note_closed(session);
        self.handler.closed(session, why);
    }

    /// Returns whether the server relays. Otherwise each publisher has its own stream, and nothing is played.
    pub(crate) fn is_on(&self) -> bool {
        !self.rings.is_empty()
    }

    /// Whether a publisher can have a stream, at once or later.
    #[cold]
    pub(crate) fn may_publish(&self, name: StreamName<'_>) -> Result<(), RelayRejection> {
        if self.is_on() { self.directory.may_publish(name).map(drop) } else { Ok(()) }
    }

    /// Gives a stream to a publisher that [may](Self::may_publish) have it, or lets the publisher wait for it.
    #[cold]
    pub(crate) fn publish(
        &mut self,
        publisher: Publisher,
        name: StreamName<'_>,
    ) -> Result<PublishAnswer, RelayRejection> {
        let answer = self.directory.publish(self.now, name, publisher);
        if let Ok(PublishAnswer::Accept(stream)) = answer {
            self.restart(stream);
            self.wake(stream);
        }
        self.handle_events();
        answer
    }

    /// Returns the message stream on which a session publishes the stream of that name already. If that is not `stream`, the
    /// publication on `stream` ends.
    #[cold]
    pub(crate) fn published_by(
        &mut self,
        session: SessionId,
        stream: StreamId,
        name: StreamName<'_>,
    ) -> Option<StreamId> {
        let first = self.directory.published_by(name, peer(session))?;
        if first != stream && self.directory.published(Publisher { peer: peer(session), stream }).is_some() {
            self.unpublish(peer(session), Some(stream));
            self.handler.unpublished(session, stream);
        }
        Some(first)
    }

    /// Copies a fragment from a publisher into the ring.
    pub(crate) fn push(&mut self, session: SessionId, fragment: &Fragment<'_>) {
        let publisher = Publisher { peer: peer(session), stream: fragment.header.stream };
        if let Some(stream) = self.directory.published(publisher)
            && let Some(ring) = self.rings.get_mut(stream.get())
        {
            ring.push(self.now, fragment);
            self.count(stream, fragment.data.len());
            self.wake(stream);
        }
    }

    /// Counts bytes of payload that were pushed.
    #[cfg(feature = "web")]
    pub(crate) fn count(&mut self, stream: StreamIndex, bytes: usize) {
        if let Some(meter) = self.meters.get_mut(stream.get()) {
            meter.rate.add(self.now, bytes);
        }
    }

    #[cfg(not(feature = "web"))]
    #[inline(always)]
    pub(crate) fn count(&mut self, _: StreamIndex, _: usize) {}

    /// A stream has got a publisher.
    #[cfg(any(feature = "web", feature = "admin"))]
    fn restart(&mut self, stream: StreamIndex) {
        if let Some(meter) = self.meters.get_mut(stream.get()) {
            *meter = Meter::new(self.now);
        }
    }

    #[cfg(not(any(feature = "web", feature = "admin")))]
    #[inline(always)]
    fn restart(&mut self, _: StreamIndex) {}

    /// Lets a viewer without a session have what there is of the stream that it plays. Returns `None` if it plays nothing.
    #[cfg(feature = "web")]
    pub(crate) fn view<T>(
        &mut self,
        session: SessionId,
        poll: impl FnOnce(&mut Player, Option<&Ring<'_>>, Generation) -> T,
    ) -> Option<T> {
        let player = self.player(session)?;
        let turn = self.directory.player(player)?;
        let ring = turn.stream.and_then(|stream| self.rings.get(stream.get()));
        Some(poll(turn.player, ring, turn.generation))
    }

    /// A publisher has sent something. What follows from that is done after the turn.
    pub(crate) fn heard(&mut self, peer: PeerId) {
        self.directory.heard_from(self.now, peer);
    }

    /// Replaces the ring of a stream. Returns the one before, or `None` if there is no such place.
    #[cfg(feature = "live")]
    pub(crate) fn put_ring(&mut self, place: usize, ring: Ring<'a>) -> Option<Ring<'a>> {
        self.rings.get_mut(place).map(|before| core::mem::replace(before, ring))
    }

    /// Returns whether a session has an order to carry out.
    pub(crate) fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// A publisher has ended one stream, or all of its streams.
    #[cold]
    pub(crate) fn unpublish(&mut self, peer: PeerId, stream: Option<StreamId>) {
        self.directory.unpublish(self.now, peer, stream);
        self.handle_events();
    }

    /// A player wants a stream.
    #[cold]
    pub(crate) fn play(
        &mut self,
        session: SessionId,
        stream: StreamId,
        name: StreamName<'_>,
    ) -> Result<(), RelayRejection> {
        let played = self.directory.play(name, peer(session), stream)?.played;
        #[cfg(feature = "admin")]
        self.book.note_play(session, self.now);
        self.report(session, played);
        Ok(())
    }

    /// The player of a session.
    pub(crate) fn player(&self, session: SessionId) -> Option<PlayerIndex> {
        self.directory.player_of(peer(session))
    }

    /// The player of a session, to do what its client wants.
    pub(crate) fn turn(&mut self, session: SessionId) -> Option<Turn<'_>> {
        let player = self.player(session)?;
        self.directory.player(player)
    }

    /// Lets a session send its output, and the stream that it plays.
    pub(crate) fn pump<const STREAMS: usize>(
        &mut self,
        player: Option<PlayerIndex>,
        session: &mut Server<'_, STREAMS>,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let turn = player.and_then(|player| self.directory.player(player));
        let Some(turn) = turn else { return Ok(session.poll_transmit(self.now, out)) };
        let ring = turn.stream.and_then(|stream| self.rings.get(stream.get()));
        turn.player.pump(ring, turn.generation, session, self.now, out).map_err(|error| match error {
            PumpError::Request(error) => Error::Request(error),
            _ => Error::TooSlow,
        })
    }

    /// Returns whether there is something of the stream to send to a player.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn has_more(&mut self, player: Option<PlayerIndex>) -> bool {
        let Some(turn) = player.and_then(|player| self.directory.player(player)) else { return false };
        let ring = turn.stream.and_then(|stream| self.rings.get(stream.get()));
        ring.is_some_and(|ring| turn.player.has_more(ring, self.now))
    }

    /// A client has ended playing. If a message is half sent, the player leaves when the message is complete.
    #[cold]
    pub(crate) fn stop(&mut self, session: SessionId, stream: StreamId) {
        let played = self.player(session).and_then(|player| self.directory.stop(player, stream));
        self.report(session, played);
    }

    /// Called after [`Self::pump`]. Returns whether a stopped player has left, or has begun to play another stream, which
    /// may have something to send.
    pub(crate) fn settle(&mut self, session: SessionId, player: Option<PlayerIndex>) -> bool {
        let played = player.and_then(|player| self.directory.settle(player));
        self.report(session, played);
        played.is_some()
    }

    /// A session is over.
    #[cold]
    pub(crate) fn leave(&mut self, session: SessionId) {
        while self.take_order(peer(session)).is_some() {}
        let played = self.player(session).and_then(|player| self.directory.leave(player));
        self.report(session, played);
    }

    /// Tells the handler what a player was sent, if it has left.
    fn report(&mut self, session: SessionId, played: Option<Played>) {
        if let Some(played) = played {
            self.handler.played(session, played);
        }
    }

    /// Returns what a publisher has to do next because of others.
    pub(crate) fn take_order(&mut self, peer: PeerId) -> Option<(StreamId, Order)> {
        let first = self.orders.iter().position(|(publisher, _)| publisher.peer == peer)?;
        let (publisher, order) = self.orders.remove(first);
        Some((publisher.stream, order))
    }

    fn wake(&mut self, stream: StreamIndex) {
        self.directory.wake(stream).for_each(|(_, peer)| self.woken.set(session(peer)));
    }

    /// Ends the waits and the grace times that are over, and does what the directory says. Call this after each turn.
    pub(crate) fn handle_timeout(&mut self) {
        self.directory.handle_timeout(self.now);
        self.handle_events();
    }

    /// Handles the events of the directory, while there is room for orders.
    pub(crate) fn handle_events(&mut self) {
        while !self.orders.is_full()
            && let Some(event) = self.directory.poll_event(self.now)
        {
            self.handle_event(event);
        }
    }

    #[cold]
    fn handle_event(&mut self, event: RelayEvent) {
        match event {
            RelayEvent::Accepted { publisher, stream } => {
                self.restart(stream);
                self.order(publisher, Order::Accept);
            }
            RelayEvent::Rejected(publisher) => self.order(publisher, Order::Reject),
            RelayEvent::Replaced(publisher) => self.order(publisher, Order::Close),
            RelayEvent::Ask(publisher) => self.order(publisher, Order::Ping),
            RelayEvent::Gone(stream) => {
                self.rings.get_mut(stream.get()).into_iter().for_each(Ring::end);
                self.wake(stream);
            }
            RelayEvent::Resumed { stream, since } => {
                self.rings.get_mut(stream.get()).into_iter().for_each(|ring| ring.resume(since));
                self.wake(stream);
            }
            RelayEvent::Ended(stream) => self.wake(stream),
            RelayEvent::GivenUp { peer, .. } => self.woken.set(session(peer)),
            _ => {}
        }
    }

    /// Gives the session of a publisher something to do. [`Self::handle_events`] has seen that there is room.
    fn order(&mut self, publisher: Publisher, order: Order) {
        let _ = self.orders.push((publisher, order));
        self.woken.set(session(publisher.peer));
    }
}
