//! The message streams of a connection.

use super::{MESSAGE_STREAMS, Server, StreamId};

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
    /// The same, on a stream that plays: that goes on where the application refuses.
    AskingAnother,
    Playing,
}

/// Which streams there are, and what each does.
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

    fn get(&self, stream: StreamId) -> Option<StreamState> {
        self.iter().find(|(id, _)| *id == stream).map(|(_, state)| state)
    }

    /// Adds a stream; answers whether there was room.
    fn add(&mut self, stream: StreamId) -> bool {
        let mut places = self.ids.iter_mut().zip(&mut self.states);
        let free = places.find(|(_, state)| **state == StreamState::Free);
        free.map(|(id, state)| (*id, *state) = (stream, StreamState::Created)).is_some()
    }
}

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    pub(super) fn stream(&self, stream: StreamId) -> Option<StreamState> {
        self.streams.get(stream)
    }

    /// Changes what a stream that is there does.
    pub(super) fn set(&mut self, stream: StreamId, to: StreamState) {
        let Streams { ids, states } = &mut self.streams;
        for (_, state) in ids.iter().zip(states).filter(|(id, state)| **id == stream && **state != StreamState::Free) {
            *state = to;
        }
    }

    /// Whether the application is asked about a stream.
    pub(super) fn is_asking(&self) -> bool {
        use StreamState::{Asking, AskingAnother, AskingPlay};
        self.streams.states.iter().any(|state| matches!(state, Asking | AskingPlay | AskingAnother))
    }

    /// A new message stream; `None` where the connection has as many as it may. Its id is above those that are in use, and
    /// above those that were when their places have no new ones yet.
    pub(super) fn create(&mut self) -> Option<StreamId> {
        let StreamId(last) = self.streams.ids.iter().copied().max()?;
        let stream = StreamId(last.checked_add(1)?);
        self.adopt(stream).then_some(stream)
    }

    /// Takes a stream in that the client names; some use one that they never created. Answers whether there is room.
    pub(super) fn adopt(&mut self, stream: StreamId) -> bool {
        self.stream(stream).is_some() || self.streams.add(stream)
    }

    /// When streams are about to be published, or were until now: the rest of the messages that are unfinished on others
    /// is not theirs.
    pub(super) fn cut_off(&mut self) {
        let streams = &self.streams;
        self.link.reader().discard(|stream| streams.get(stream) != Some(StreamState::Publishing));
    }

    /// The stream that media on `stream` belongs to: that one where it publishes; or the only one that does, since some
    /// cameras send everything on message stream 0.
    pub(super) fn publisher(&self, stream: StreamId) -> Option<StreamId> {
        self.one_that(stream, StreamState::Publishing)
    }

    /// The stream that a player's command on `stream` is for, likewise.
    pub(super) fn player(&self, stream: StreamId) -> Option<StreamId> {
        self.one_that(stream, StreamState::Playing)
    }

    fn one_that(&self, stream: StreamId, does: StreamState) -> Option<StreamId> {
        let (mut one, mut count) = (None, 0_u8);
        for (id, _) in self.streams.iter().filter(|(_, state)| *state == does) {
            if id == stream {
                return Some(stream);
            }
            (one, count) = (Some(id), count.wrapping_add(1));
        }
        one.filter(|_| count == 1)
    }
}
