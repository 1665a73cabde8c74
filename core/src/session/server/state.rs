//! The state of a server, and the message streams of its connection.

use crate::bytes::low_u8;
use crate::fmt::impl_format;
use crate::message::{MessageKind, StreamId};
use crate::session::config::NO_LIMIT;
use crate::time::{Instant, OptionalInstant};

/// The number of message streams that one connection may have at the same time.
pub const MESSAGE_STREAMS: usize = 4;

/// No published stream. Each piece of media is then checked.
pub(super) const NO_STREAM: StreamId = StreamId(u32::MAX);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    ExpectHandshake,
    ExpectConnect,
    /// The application is asked about `connect`.
    Connecting,
    Open,
    Closed,
}

/// The state of a [`Server`](super::Server).
#[derive(Debug)]
pub struct ServerRole {
    pub(super) state: State,
    /// The transaction id of `connect` or of the call that the application received: an AMF0 number, unchanged.
    pub(super) transaction: [u8; 8],
    /// The call that the application has received and not answered yet.
    pub(super) call: Option<Call>,
    pub(super) streams: Streams,
    /// The request that the application must answer, and its message stream. Nothing is read until the answer.
    pub(super) asked: Option<(StreamId, Request)>,
    /// Media messages that were dropped, because nothing is published on their message streams.
    pub(super) dropped: u32,
    /// The limits of [`ServerConfig`](crate::session::ServerConfig) in ms: for the rest of a message, without a stream, and
    /// without media.
    pub(super) limits: [u32; 3],
    /// When the client last sent media, when its last request was answered, or when its last stream ended.
    pub(super) active: OptionalInstant,
    /// The time of the last check for messages that wait for their next chunks.
    pub(super) counted: Instant,
    /// The ping that was queued since the client last sent something.
    pub(super) ping: Ping,
    /// Whether both sides have announced requests to reconnect.
    pub(super) reconnects: bool,
    /// Whether all available payload of the open media message was written, and the message is not complete.
    pub(super) is_starved: bool,
    /// The stream of the media message that is being read, if no input waits in the reader. The rest of the message
    /// then needs no check. Otherwise [`NO_STREAM`].
    pub(super) media_of: StreamId,
}

impl_format!([] ServerRole, this => "ServerRole {{ state: {} }}", this.state);

impl ServerRole {
    pub(super) const NEW: Self = Self {
        state: State::ExpectHandshake,
        transaction: [0; 8],
        call: None,
        streams: Streams::NONE,
        asked: None,
        limits: [NO_LIMIT; 3],
        active: OptionalInstant::NONE,
        counted: Instant::from_micros(0),
        dropped: 0,
        ping: Ping::None,
        is_starved: false,
        reconnects: false,
        media_of: NO_STREAM,
    };
}

/// The ping of a silent client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ping {
    None,
    /// The ping waits for the end of a chunk whose payload has not arrived.
    Held,
    Sent,
}

/// A call of the client that the application may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    StreamLength,
    Other,
}

/// A request that the application accepts or rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Publish,
    Play,
}

/// The event that a command causes, without a borrow.
pub(super) enum PendingEvent {
    Connect,
    Publish,
    Unpublished(StreamId),
    Play,
    Stopped(StreamId),
    Pause(StreamId, bool),
    Seek(StreamId),
    Receive(StreamId, MessageKind, bool),
    Switch(StreamId),
    StreamLength,
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamState {
    /// There is no such stream.
    Free,
    Created,
    /// The first request was rejected, or publishing or playing has ended.
    Ended,
    Publishing,
    /// The client has repeated on this stream the publish of the stream at this place.
    PublishingAs(u8),
    Playing,
}

/// The message streams and the state of each.
#[derive(Debug)]
pub(super) struct Streams {
    ids: [StreamId; MESSAGE_STREAMS],
    states: [StreamState; MESSAGE_STREAMS],
    /// The highest id that the client was given.
    last: u32,
}

impl Streams {
    pub(super) const NONE: Self =
        Self { ids: [StreamId::CONNECTION; MESSAGE_STREAMS], states: [StreamState::Free; MESSAGE_STREAMS], last: 0 };

    fn iter(&self) -> impl Iterator<Item = (StreamId, StreamState)> {
        let streams = self.ids.iter().copied().zip(self.states.iter().copied());
        streams.filter(|(_, state)| *state != StreamState::Free)
    }

    /// The ids of all places, in use or not.
    pub(super) const fn ids(&self) -> [StreamId; MESSAGE_STREAMS] {
        self.ids
    }

    pub(super) fn get(&self, stream: StreamId) -> Option<StreamState> {
        self.iter().find(|(id, _)| *id == stream).map(|(_, state)| state)
    }

    /// Changes the state of a stream. Does nothing if there is no such stream.
    pub(super) fn set(&mut self, stream: StreamId, to: StreamState) {
        let Streams { ids, states, .. } = self;
        for (_, state) in ids.iter().zip(states).filter(|(id, state)| **id == stream && **state != StreamState::Free) {
            *state = to;
        }
    }

    /// Creates a message stream with an id that was not in use before. Returns `None` if the connection has
    /// [`MESSAGE_STREAMS`] already.
    pub(super) fn create(&mut self) -> Option<StreamId> {
        let mut ids = (self.last.checked_add(1)?..=u32::MAX).map(StreamId);
        let stream = ids.find(|id| !self.ids.contains(id))?;
        if !self.adopt(stream) {
            return None;
        }
        self.last = stream.0;
        Some(stream)
    }

    /// Adds a stream that the client uses without having created it, as some clients do. Returns whether there is room.
    pub(super) fn adopt(&mut self, stream: StreamId) -> bool {
        if self.get(stream).is_some() {
            return true;
        }
        let mut places = self.ids.iter_mut().zip(&mut self.states);
        let free = places.find(|(_, state)| **state == StreamState::Free);
        free.map(|(id, state)| (*id, *state) = (stream, StreamState::Created)).is_some()
    }

    /// Makes `stream` an alias of `first`, which is published. It replaces an earlier alias.
    pub(super) fn join(&mut self, stream: StreamId, first: StreamId) {
        let Some(place) = self.ids.iter().position(|id| *id == first) else { return };
        let joined = StreamState::PublishingAs(low_u8(place));
        self.states.iter_mut().filter(|state| **state == joined).for_each(|state| *state = StreamState::Created);
        if stream != first {
            self.end_joined(stream);
            self.set(stream, joined);
        }
    }

    /// The alias of `stream`: the stream on which its publish was repeated.
    pub(super) fn joined_to(&self, stream: StreamId) -> Option<StreamId> {
        let place = self.ids.iter().position(|id| *id == stream)?;
        let joined = StreamState::PublishingAs(low_u8(place));
        self.iter().find(|(_, state)| *state == joined).map(|(id, _)| id)
    }

    /// Ends the alias of `stream`, because another name is about to be published on `stream`.
    pub(super) fn end_joined(&mut self, stream: StreamId) {
        if let Some(other) = self.joined_to(stream) {
            self.set(other, StreamState::Ended);
        }
    }

    /// Returns the published stream to which media on `stream` belongs. Some cameras send everything on message stream 0,
    /// or on one that they did not create: this media belongs to the only stream that is published. Returns `None` for a
    /// stream that was rejected, has ended or was deleted.
    pub(super) fn publisher(&self, stream: StreamId) -> Option<StreamId> {
        match self.get(stream) {
            Some(StreamState::Publishing) => Some(stream),
            Some(StreamState::PublishingAs(place)) => self.ids.get(usize::from(place)).copied(),
            None if self.was_deleted(stream) => None,
            None | Some(StreamState::Created) => self.only_one(StreamState::Publishing),
            Some(_) => None,
        }
    }

    /// Returns the played stream to which a command on `stream` belongs: `stream` if it is played. A command on a stream
    /// that the client was never given belongs to the only stream that is played.
    pub(super) fn player(&self, stream: StreamId) -> Option<StreamId> {
        match self.get(stream) {
            Some(StreamState::Playing) => Some(stream),
            None if !self.was_deleted(stream) => self.only_one(StreamState::Playing),
            _ => None,
        }
    }

    /// Whether the client was given or has used a stream that does not exist any longer.
    fn was_deleted(&self, stream: StreamId) -> bool {
        stream != StreamId::CONNECTION && (stream.0 <= self.last || self.ids.contains(&stream))
    }

    /// Whether any stream is in the state.
    pub(super) fn has(&self, state: StreamState) -> bool {
        self.states.contains(&state)
    }

    fn only_one(&self, does: StreamState) -> Option<StreamId> {
        let mut streams = self.iter().filter(|(_, state)| *state == does);
        let (stream, _) = streams.next()?;
        streams.next().is_none().then_some(stream)
    }
}
