//! The message streams of a connection.

use super::{Server, StreamId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamState {
    Created,
    /// The application is asked about a publisher.
    Asking,
    Publishing,
    /// The application is asked about a player.
    AskingPlay,
    Playing,
}

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    pub(super) fn stream(&self, stream: StreamId) -> Option<StreamState> {
        self.streams.iter().find(|(id, _)| *id == stream).map(|(_, state)| *state)
    }

    pub(super) fn set(&mut self, stream: StreamId, to: StreamState) {
        for (_, state) in self.streams.iter_mut().filter(|(id, _)| *id == stream) {
            *state = to;
        }
    }

    /// Whether the application is asked about a stream.
    pub(super) fn is_asking(&self) -> bool {
        self.streams.iter().any(|(_, state)| matches!(state, StreamState::Asking | StreamState::AskingPlay))
    }

    /// A new message stream; `None` where the connection has as many as it may.
    pub(super) fn create(&mut self) -> Option<StreamId> {
        let stream = StreamId(self.last_stream.checked_add(1)?);
        self.adopt(stream).then_some(stream)
    }

    /// Takes a stream in that the client names; some use one that they never created. Answers whether there is room.
    pub(super) fn adopt(&mut self, stream: StreamId) -> bool {
        let known = self.stream(stream).is_some();
        if known || self.streams.push((stream, StreamState::Created)).is_ok() {
            self.last_stream = self.last_stream.max(stream.0);
            return true;
        }
        false
    }

    /// When streams are about to be published, or were until now: the rest of the messages that are unfinished on others
    /// is not theirs.
    pub(super) fn cut_off(&mut self) {
        let streams = &self.streams;
        self.link.reader().disown(|stream| !streams.contains(&(stream, StreamState::Publishing)));
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
            if *id == stream {
                return Some(stream);
            }
            (one, count) = (Some(*id), count.wrapping_add(1));
        }
        one.filter(|_| count == 1)
    }
}
