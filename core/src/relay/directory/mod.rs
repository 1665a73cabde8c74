//! The streams of a server by name, with their publishers and players. See the [module](super).

mod names;
mod playing;

use core::fmt;

use super::config::{RelayConfig, TakeOver};
use super::name::{NameTooLong, StreamName};
use super::player::Generation;
use crate::bytes::low_u16;
use crate::fmt::impl_format;
use crate::message::StreamId;
use crate::time::{Instant, OptionalInstant, earliest, millis};

pub use playing::{Accepted, PlayerEntry, PlayerIndex, Turn, Wake};

/// A publisher or a player: an id of the caller's choice, such as the number of a session. It need not be a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PeerId(pub u32);

/// One publication: a peer, and the message stream of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Publisher {
    /// The peer that publishes.
    pub peer: PeerId,
    /// Its message stream. A publisher without a session takes any number that it uses for one stream only.
    pub stream: StreamId,
}

/// The place of a stream in the table of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StreamIndex(u16);

impl StreamIndex {
    /// The index in the slice of streams, and in the caller's slice of rings.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// No place in a table.
const NONE: u16 = u16::MAX;

/// One stream: its name, its publisher, and the list of its players.
#[derive(Debug)]
pub struct StreamEntry<'n> {
    name: &'n mut [u8],
    publisher: Option<Publisher>,
    /// The waiting publish. After it has replaced the publisher, the replaced one.
    candidate: Option<Publisher>,
    /// When the publisher was last known to be alive.
    heard: Instant,
    /// The end of the time to answer, if there is a publisher; otherwise the end of the grace time.
    deadline: OptionalInstant,
    length: u16,
    generation: Generation,
    /// Players that play it, or will when their last message is sent.
    players: u16,
    /// The first player in the list of players.
    first: u16,
    /// Events that were not polled yet: a bit for each.
    events: u8,
    /// Whether the publisher was asked to connect again, so that the next publish continues its stream.
    is_handed_over: bool,
}

impl_format!(['n] StreamEntry<'n>, this => "StreamEntry {{ publisher: {}, players: {} }}", this.publisher, this.players);

/// Events in the order in which they are polled.
const REPLACED: u8 = 1;
const GONE: u8 = 2;
const RESUMED: u8 = 4;
const ACCEPTED: u8 = 8;
const REJECTED: u8 = 16;
const ASK: u8 = 32;
const ENDED: u8 = 64;

impl<'n> StreamEntry<'n> {
    /// Creates an entry without a stream. `name` is the memory for the name of a stream. Longer names are refused.
    pub const fn new(name: &'n mut [u8]) -> Self {
        Self {
            name,
            publisher: None,
            candidate: None,
            heard: Instant::from_micros(0),
            deadline: OptionalInstant::NONE,
            length: 0,
            generation: Generation(0),
            players: 0,
            first: NONE,
            events: 0,
            is_handed_over: false,
        }
    }

    fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The length of the longest name that fits.
    fn room(&self) -> usize {
        self.name.len().min(usize::from(u16::MAX))
    }

    /// Whether it is published, or waits for its next publisher.
    pub const fn is_published(&self) -> bool {
        self.generation.is_published()
    }

    /// Whether no stream has this place: it has neither a publisher nor players, and no grace time.
    pub const fn is_free(&self) -> bool {
        !self.is_published() && self.players == 0
    }

    /// Ends the grace time of a stream that has no publisher.
    fn end(&mut self) {
        (self.generation, self.deadline) = (self.generation.next(), OptionalInstant::NONE);
    }

    /// Removes a player from the count. A stream without a publisher ends with its last player.
    fn lose_player(&mut self) {
        self.players = self.players.saturating_sub(1);
        if self.players == 0 && self.publisher.is_none() && self.is_published() {
            self.end();
        }
    }

    /// The publisher is alive. Returns whether there is an event.
    fn heard(&mut self, now: Instant) -> bool {
        if self.events & RESUMED != 0 {
            return false;
        }
        self.heard = now;
        if self.is_handed_over || self.candidate.is_none() || self.deadline.get().is_none() {
            return false;
        }
        self.deadline = OptionalInstant::NONE;
        self.events = self.events & !ASK | REJECTED;
        true
    }

    /// Replaces the publisher by the one that waited, or by another one that was accepted.
    fn replace(&mut self, publisher: Publisher) {
        self.candidate = self.publisher.replace(publisher);
        self.is_handed_over = false;
        self.deadline = OptionalInstant::NONE;
        self.events = self.events & !ASK | REPLACED | GONE | RESUMED;
    }
}

/// The part of a [`Directory`] that is not a table.
#[derive(Debug)]
pub struct DirectoryState {
    take_over: TakeOver,
    answer_limit: u32,
    grace: u32,
    /// No deadline of a stream is before this.
    deadline: OptionalInstant,
    has_events: bool,
    /// A stream's place was given to another stream, so its players have no stream.
    has_orphans: bool,
}

impl_format!([] DirectoryState, this => "DirectoryState {{ take_over: {} }}", this.take_over);

impl DirectoryState {
    /// The state of a directory without streams.
    pub fn new(config: &RelayConfig) -> Self {
        Self {
            take_over: config.take_over,
            answer_limit: millis(config.answer_limit),
            grace: millis(config.grace),
            deadline: OptionalInstant::NONE,
            has_events: false,
            has_orphans: false,
        }
    }
}

/// Why a publish or a play is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RelayRejection {
    /// The stream has a publisher, or another publish waits for it.
    Taken,
    /// All places for streams, or for players, are in use.
    Full,
    /// No place for a stream has room for a name of this length.
    Name(NameTooLong),
}

impl RelayRejection {
    /// The description for the client.
    pub const fn description(&self) -> &'static str {
        match self {
            Self::Taken => "The stream is being published.",
            Self::Full => "There is no room for more.",
            Self::Name(_) => "The stream's name is too long.",
        }
    }
}

impl fmt::Display for RelayRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str("the stream is being published"),
            Self::Full => f.write_str("all places for streams or players are in use"),
            Self::Name(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RelayRejection {}

/// The answer to a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum PublishAnswer {
    /// Accept it, and wake the players of the stream ([`Directory::wake`]).
    Accept(StreamIndex),
    /// Do not answer yet. [`RelayEvent::Accepted`] or [`RelayEvent::Rejected`] follows.
    Wait,
}

/// What the server must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RelayEvent {
    /// Another publisher has replaced this one. Push no further fragments of it into the ring.
    Replaced(Publisher),
    /// The publisher of a stream has left. Call [`Ring::end`](super::Ring::end), then wake the players of the stream.
    Gone(StreamIndex),
    /// The players of a stream continue with another publisher. Call [`Ring::resume`](super::Ring::resume), then wake
    /// the players of the stream.
    Resumed {
        /// The stream.
        stream: StreamIndex,
        /// When the previous publisher was last known to be alive.
        since: Instant,
    },
    /// Accept a waiting publish.
    Accepted {
        /// The publish.
        publisher: Publisher,
        /// Its stream.
        stream: StreamIndex,
    },
    /// Reject a waiting publish.
    Rejected(Publisher),
    /// Send a ping to this publisher. Report every byte that it sends with [`Directory::heard`].
    Ask(Publisher),
    /// The grace time has passed without a new publisher. Wake the players of the stream.
    Ended(StreamIndex),
    /// The place of this player's stream was given to another stream, which has a publisher. Call
    /// [`Player::pump`](super::Player::pump).
    GivenUp {
        /// The player.
        player: PlayerIndex,
        /// Its peer.
        peer: PeerId,
    },
}

/// The streams of a server, with the publisher and the players of each.
///
/// It is a view of lent tables. It knows neither sessions nor rings: the caller has a slice of [`Ring`](super::Ring)s
/// with the same indices as the slice of streams.
#[derive(Debug)]
pub struct Directory<'t, 'n> {
    state: &'t mut DirectoryState,
    streams: &'t mut [StreamEntry<'n>],
    players: &'t mut [PlayerEntry],
}

impl_format!(['t, 'n] Directory<'t, 'n>, this => "Directory {{ {} streams }}", this.streams.len());

impl<'t, 'n> Directory<'t, 'n> {
    /// Creates a directory over tables. At most 65,535 streams and as many players are used.
    pub const fn new(
        state: &'t mut DirectoryState,
        streams: &'t mut [StreamEntry<'n>],
        players: &'t mut [PlayerEntry],
    ) -> Self {
        Self { state, streams, players }
    }

    /// Checks whether a publish of this name would be accepted. Call this before access control, and [`Self::publish`]
    /// after it. Returns the place that the stream has or would get.
    ///
    /// # Errors
    /// The reason why it would be rejected.
    pub fn may_publish(&self, name: StreamName<'_>) -> Result<StreamIndex, RelayRejection> {
        let index = self.find(name, true)?;
        let is_taken = |entry: &StreamEntry<'_>| {
            let refuses = self.state.take_over == TakeOver::Refuse && !entry.is_handed_over;
            entry.publisher.is_some() && (refuses || entry.candidate.is_some())
        };
        if self.entry(index).is_some_and(is_taken) { Err(RelayRejection::Taken) } else { Ok(index) }
    }

    /// Publishes a stream. Access control must have accepted it. If the publisher is accepted, the earlier publication on
    /// its message stream ends. Poll events after this.
    ///
    /// # Errors
    /// The publish is rejected, and nothing has changed.
    pub fn publish(
        &mut self,
        now: Instant,
        name: StreamName<'_>,
        publisher: Publisher,
    ) -> Result<PublishAnswer, RelayRejection> {
        let index = self.may_publish(name)?;
        if self.entry(index).is_some_and(|entry| entry.publisher.is_none() && !name.is(entry.name())) {
            self.give_up(index);
            self.rename(index, name);
        }
        let Some(entry) = self.streams.get_mut(index.get()) else { return Err(RelayRejection::Full) };
        if entry.publisher.is_some() {
            self.state.has_events = true;
            if self.state.take_over == TakeOver::Always && !entry.is_handed_over {
                entry.replace(publisher);
                self.end_others(now, publisher, index);
                return Ok(PublishAnswer::Accept(index));
            }
            let deadline = now.after_millis(self.state.answer_limit);
            (entry.candidate, entry.deadline) = (Some(publisher), OptionalInstant::at(deadline));
            if !entry.is_handed_over {
                entry.events |= ASK;
            }
            self.note(deadline);
            return Ok(PublishAnswer::Wait);
        }
        entry.publisher = Some(publisher);
        if entry.is_published() {
            // In the grace time.
            entry.deadline = OptionalInstant::NONE;
            entry.events |= RESUMED;
            self.state.has_events = true;
        } else {
            (entry.generation, entry.heard) = (entry.generation.next(), now);
        }
        self.end_others(now, publisher, index);
        Ok(PublishAnswer::Accept(index))
    }

    /// The stream of a publisher. The time that this takes is proportional to the number of streams; the result is valid
    /// until [`RelayEvent::Replaced`], or until the publisher ends.
    pub fn published(&self, publisher: Publisher) -> Option<StreamIndex> {
        let place = self.streams.iter().position(|entry| entry.publisher == Some(publisher))?;
        Some(StreamIndex(low_u16(place)))
    }

    /// The message stream on which a peer publishes the stream of that name. Call this first if a client asks to publish. If
    /// there is such a message stream, call [`Server::accept_again`](crate::session::Server::accept_again): the publication
    /// continues.
    pub fn published_by(&self, name: StreamName<'_>, peer: PeerId) -> Option<StreamId> {
        let mut publishers = self.streams.iter().filter(|entry| entry.publisher.is_some() && name.is(entry.name()));
        publishers
            .find_map(|entry| entry.publisher.filter(|publisher| publisher.peer == peer))
            .map(|first| first.stream)
    }

    /// Whether the stream of that name has a publisher. In its grace time, it has none.
    pub fn has_publisher(&self, name: StreamName<'_>) -> bool {
        self.streams.iter().any(|entry| entry.publisher.is_some() && name.is(entry.name()))
    }

    /// Reports that the publisher of a stream is alive: any byte of its session shows this. A waiting publish is
    /// rejected. Poll events after this.
    pub fn heard(&mut self, now: Instant, stream: StreamIndex) {
        if let Some(entry) = self.streams.get_mut(stream.get()) {
            self.state.has_events |= entry.heard(now);
        }
    }

    /// Like [`Self::heard`], for each stream that a peer publishes. The time that this takes is proportional to the
    /// number of streams.
    pub fn heard_from(&mut self, now: Instant, peer: PeerId) {
        for entry in self.streams.iter_mut() {
            if entry.publisher.is_some_and(|publisher| publisher.peer == peer) {
                self.state.has_events |= entry.heard(now);
            }
        }
    }

    /// Hands the streams of a publisher over to their next publishers, because the publisher was asked to connect again
    /// ([`Server::request_reconnect`](crate::session::Server::request_reconnect)). The next publish of each name is accepted
    /// whatever [`RelayConfig::take_over`] says, and the publisher is not asked whether it is alive. It waits until the
    /// publisher has ended, so that nothing that the publisher sent before is lost, but at most
    /// [`RelayConfig::answer_limit`]. Players stay.
    pub fn hand_over(&mut self, peer: PeerId) {
        for entry in self.streams.iter_mut() {
            entry.is_handed_over |= entry.publisher.is_some_and(|publisher| publisher.peer == peer);
        }
    }

    /// Ends the publication of a peer on one of its message streams. If `stream` is `None`, its session has ended, and
    /// this ends all of its publications. Poll events after this.
    pub fn unpublish(&mut self, now: Instant, peer: PeerId, stream: Option<StreamId>) {
        self.end(now, |_, publisher| publisher.peer == peer && stream.is_none_or(|id| publisher.stream == id));
    }

    /// Ends the earlier publication on the message stream of a publisher that was accepted for the stream at `place`. A
    /// message stream has one publication.
    fn end_others(&mut self, now: Instant, publisher: Publisher, place: StreamIndex) {
        self.end(now, |other, before| other != place && *before == publisher);
    }

    fn end(&mut self, now: Instant, is_it: impl Fn(StreamIndex, &Publisher) -> bool) {
        let mut deadline = None;
        for (place, entry) in self.streams.iter_mut().enumerate() {
            let is_it = |publisher: &Publisher| is_it(StreamIndex(low_u16(place)), publisher);
            if entry.candidate.as_ref().is_some_and(is_it) {
                (entry.candidate, entry.deadline) = (None, OptionalInstant::NONE);
                entry.events &= !(ASK | REJECTED | REPLACED);
            }
            if !entry.publisher.as_ref().is_some_and(is_it) {
                continue;
            }
            self.state.has_events = true;
            // A publish that was replaced or rejected does not wait any longer.
            let waits = entry.events & (REJECTED | REPLACED) == 0;
            if let Some(next) = entry.candidate.take_if(|_| waits) {
                entry.replace(next);
                (entry.candidate, entry.events) = (None, entry.events & !REPLACED | ACCEPTED);
                continue;
            }
            (entry.publisher, entry.is_handed_over) = (None, false);
            entry.events = entry.events & !(RESUMED | ACCEPTED) | GONE;
            if self.state.grace == 0 || entry.players == 0 {
                entry.end();
            } else {
                let end = now.after_millis(self.state.grace);
                entry.deadline = OptionalInstant::at(end);
                deadline = Some(end);
            }
        }
        deadline.into_iter().for_each(|deadline| self.note(deadline));
    }

    /// Whether a stream is published, or waits for its next publisher in its grace time.
    pub fn is_published(&self, stream: StreamIndex) -> bool {
        self.entry(stream).is_some_and(StreamEntry::is_published)
    }

    /// Returns what the server must do next. Call it until it returns `None` after each call whose documentation says
    /// so. The time that this takes is constant if there is nothing, and otherwise proportional to the size of the
    /// tables.
    pub fn poll_event(&mut self, now: Instant) -> Option<RelayEvent> {
        if self.state.has_events {
            if let Some((place, entry)) = self.streams.iter_mut().enumerate().find(|(_, entry)| entry.events != 0) {
                let (bit, stream) = (entry.events & entry.events.wrapping_neg(), StreamIndex(low_u16(place)));
                entry.events &= !bit;
                let publisher = if bit & (REPLACED | REJECTED) != 0 { entry.candidate.take() } else { entry.publisher };
                let event = match (bit, publisher) {
                    (GONE, _) => RelayEvent::Gone(stream),
                    (RESUMED, _) => {
                        let since = core::mem::replace(&mut entry.heard, now);
                        RelayEvent::Resumed { stream, since }
                    }
                    (REPLACED, Some(publisher)) => RelayEvent::Replaced(publisher),
                    (ACCEPTED, Some(publisher)) => RelayEvent::Accepted { publisher, stream },
                    (REJECTED, Some(publisher)) => RelayEvent::Rejected(publisher),
                    (ASK, Some(publisher)) => RelayEvent::Ask(publisher),
                    _ => RelayEvent::Ended(stream),
                };
                if let RelayEvent::Accepted { publisher, stream } = event {
                    self.end_others(now, publisher, stream);
                }
                return Some(event);
            }
            self.state.has_events = false;
        }
        if self.state.has_orphans {
            for (place, entry) in self.players.iter_mut().enumerate() {
                if let Some(playing) = entry.0.as_mut().filter(|playing| playing.place == NONE && playing.is_armed) {
                    playing.is_armed = false;
                    return Some(RelayEvent::GivenUp { player: PlayerIndex(low_u16(place)), peer: playing.peer });
                }
            }
            self.state.has_orphans = false;
        }
        None
    }

    /// Returns when [`Self::handle_timeout`] must be called at the latest. May change after [`Self::publish`],
    /// [`Self::unpublish`] and [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.state.deadline.get()
    }

    /// Ends the time limits and the grace times that have passed. Does nothing before [`Self::poll_timeout`]. Poll
    /// events after this.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state.deadline.get().is_none_or(|deadline| deadline > now) {
            return;
        }
        let mut next = None;
        for entry in self.streams.iter_mut() {
            let Some(deadline) = entry.deadline.get() else { continue };
            if deadline > now {
                next = earliest(next, Some(deadline));
                continue;
            }
            self.state.has_events = true;
            match entry.candidate {
                Some(publisher) => {
                    entry.replace(publisher);
                    entry.events |= ACCEPTED;
                }
                None => {
                    entry.end();
                    entry.events |= ENDED;
                }
            }
        }
        self.state.deadline = next.map_or(OptionalInstant::NONE, OptionalInstant::at);
    }

    fn entry(&self, stream: StreamIndex) -> Option<&StreamEntry<'n>> {
        self.streams.get(stream.get())
    }

    /// There is a deadline.
    fn note(&mut self, deadline: Instant) {
        let deadline = self.state.deadline.get().map_or(deadline, |before| before.min(deadline));
        self.state.deadline = OptionalInstant::at(deadline);
    }
}
