//! The state of a server, and the message streams of its connection.

use crate::fmt::impl_format;
use crate::message::{MessageKind, StreamId};

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
    /// Whether the client has been pinged since it last sent something.
    pub(super) pinged: bool,
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
        pinged: false,
        media_of: NO_STREAM,
    };
}

/// A call of the client that the application may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    StreamLength,
    Other,
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
    Publishing,
    /// The application is asked about a publisher.
    Asking,
    /// The application is asked about a player.
    AskingPlay,
    /// The application is asked about another name on a stream that is played. If the application refuses, the stream
    /// continues.
    AskingAnother,
    Playing,
}

/// The message streams and the state of each.
#[derive(Debug)]
pub(super) struct Streams {
    ids: [StreamId; MESSAGE_STREAMS],
    states: [StreamState; MESSAGE_STREAMS],
}

impl Streams {
    pub(super) const NONE: Self =
        Self { ids: [StreamId::CONNECTION; MESSAGE_STREAMS], states: [StreamState::Free; MESSAGE_STREAMS] };

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
        let Streams { ids, states } = self;
        for (_, state) in ids.iter().zip(states).filter(|(id, state)| **id == stream && **state != StreamState::Free) {
            *state = to;
        }
    }

    /// Whether the application is asked about a stream.
    pub(super) fn is_asking(&self) -> bool {
        use StreamState::{Asking, AskingAnother, AskingPlay};
        self.states.iter().any(|state| matches!(state, Asking | AskingPlay | AskingAnother))
    }

    /// Creates a message stream. Returns `None` if the connection has [`MESSAGE_STREAMS`] already. Its id is greater
    /// than those that are in use, and than those that were in use and whose places no new stream has taken.
    pub(super) fn create(&mut self) -> Option<StreamId> {
        let StreamId(last) = self.ids.iter().copied().max()?;
        let stream = StreamId(last.checked_add(1)?);
        self.adopt(stream).then_some(stream)
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

    /// Returns the stream to which media on `stream` belongs: `stream` if it is published, otherwise the only one that
    /// is published, because some cameras send everything on message stream 0.
    pub(super) fn publisher(&self, stream: StreamId) -> Option<StreamId> {
        self.one_that(stream, StreamState::Publishing)
    }

    /// The stream that a command of a player on `stream` is for, in the same way.
    pub(super) fn player(&self, stream: StreamId) -> Option<StreamId> {
        self.one_that(stream, StreamState::Playing)
    }

    fn one_that(&self, stream: StreamId, does: StreamState) -> Option<StreamId> {
        let (mut one, mut count) = (None, 0_u8);
        for (id, _) in self.iter().filter(|(_, state)| *state == does) {
            if id == stream {
                return Some(stream);
            }
            (one, count) = (Some(id), count.wrapping_add(1));
        }
        one.filter(|_| count == 1)
    }
}
