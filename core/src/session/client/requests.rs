//! What the client is asked for, and what it sends.

use super::commands::Argument;
use super::{CLOSE_ROOM, CONNECT, Client, MIN_RESERVE, PUBLISH_ROOM, State};
use crate::amf0::Encoder;
use crate::chunk::ChunkStreamId;
use crate::command::ConnectOptions;
use crate::message::{MessageKind, StreamId, Timestamp};
use crate::session::RequestError;

impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// Asks for `connect`; [`ClientEvent::Connected`] or [`ClientEvent::Refused`] is the answer. To be called once, at
    /// any time. The server's time to answer begins with the next [`Self::next_event`] or [`Self::poll_transmit`].
    ///
    /// [`ClientEvent::Connected`]: crate::session::ClientEvent::Connected
    /// [`ClientEvent::Refused`]: crate::session::ClientEvent::Refused
    ///
    /// # Errors
    /// It was called before, the session is over, or the control buffer is too small for it.
    pub fn connect(&mut self, options: &ConnectOptions<'_>) -> Result<(), RequestError> {
        if self.connect_asked || self.is_over() {
            return Err(RequestError::State);
        }
        let mut emit = |encoder: &mut Encoder<'_>, _: &[u8]| options.emit(encoder, CONNECT);
        self.link.queue(StreamId::CONNECTION, &mut emit)?;
        self.connect_asked = true;
        if self.state == State::Idle {
            self.enter(State::ExpectConnect);
        }
        Ok(())
    }

    /// Asks to publish under `key`: [`ClientEvent::Publishing`] or [`ClientEvent::Refused`] is the answer. It can be called
    /// at any time while nothing is published. The control buffer keeps the key as long as the stream is published.
    ///
    /// [`ClientEvent::Publishing`]: crate::session::ClientEvent::Publishing
    /// [`ClientEvent::Refused`]: crate::session::ClientEvent::Refused
    ///
    /// # Errors
    /// Something is published, or the control buffer is too small for `key`, or too full for now.
    pub fn publish(&mut self, key: &str) -> Result<(), RequestError> {
        let busy = self.publishing || matches!(self.state, State::ExpectStream | State::ExpectPublish);
        if busy || self.is_over() {
            return Err(RequestError::State);
        }
        // No text is so long that the sums below could wrap.
        let length = u16::try_from(key.len().saturating_add(3)).map_err(|_| RequestError::ControlBuffer(usize::MAX))?;
        // With the headers of further chunks.
        let keys = key.len().wrapping_mul(2).wrapping_add(key.len() / 64);
        // All three calls or none.
        let now = if self.state == State::Open { keys.wrapping_add(PUBLISH_ROOM) } else { 0 };
        self.make_room(length, self.key, keys.wrapping_add(MIN_RESERVE), now)?;
        let _ = Encoder::new(self.keep_key(length)).short_string(&[key]);
        if self.state == State::Open {
            self.proceed();
        }
        Ok(())
    }

    /// Checks that the queue can keep `new` bytes in place of `old` ones. Beside them it must have `reserve` bytes when it
    /// is empty, and `now` bytes are to be free.
    pub(super) fn make_room(&mut self, new: u16, old: u16, reserve: usize, now: usize) -> Result<(), RequestError> {
        let queue = &self.link.queue;
        let kept = usize::from(queue.kept()).wrapping_sub(old.into()).wrapping_add(new.into());
        let reserve = self.reserve.max(reserve);
        let needed = kept.wrapping_add(reserve);
        if queue.size() < needed || queue.size() < kept.wrapping_add(queue.len()).wrapping_add(now) {
            return Err(RequestError::ControlBuffer(needed));
        }
        self.reserve = reserve;
        Ok(())
    }

    /// The stream that is published, where one is.
    pub fn publishing(&self) -> Option<StreamId> {
        self.publishing.then_some(self.stream)
    }

    /// Begins an audio, video or data message of `length` bytes; [`Self::poll_media`] puts it out.
    ///
    /// # Errors
    /// `stream` does not publish, or the message before it of the same kind is not finished.
    pub fn begin_media(
        &mut self,
        kind: MessageKind,
        stream: StreamId,
        at: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        if self.publishing() != Some(stream) {
            return Err(RequestError::Stream(stream));
        }
        self.link.begin_media(kind, stream, at, length)
    }

    /// Payload bytes that the message which was begun on `csid` lacks; `None` where it is finished, or nothing is published
    /// any more.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.publishing()?;
        self.link.media_left(csid)
    }

    /// Ends the session: says so to the server where something is published. Once [`Self::is_closed`], or after
    /// [`ClientEvent::Unpublished`] for those who want to know that all has arrived, the connection can be closed.
    ///
    /// [`ClientEvent::Unpublished`]: crate::session::ClientEvent::Unpublished
    ///
    /// # Errors
    /// A message is begun and not finished, or the control buffer is full for now.
    pub fn close(&mut self) -> Result<(), RequestError> {
        if self.is_over() {
            return Ok(());
        }
        if self.link.has_open_media() {
            return Err(RequestError::State);
        }
        let has_stream = self.publishing || self.state == State::ExpectPublish;
        let key = if has_stream { self.key } else { 0 };
        // All of it or nothing.
        let room = if key > 0 { CLOSE_ROOM.wrapping_add(key.into()) } else { 0 }.wrapping_add(self.stop_room());
        if !self.link.has_room(room) {
            return Err(RequestError::ControlBuffer(room.wrapping_add(self.link.queue.kept().into())));
        }
        if key > 0 {
            self.call_connection("FCUnpublish", Argument::Key);
            self.delete_stream(self.stream);
        }
        self.stop_all();
        self.enter(if room > 0 { State::Closing } else { State::Closed });
        Ok(())
    }

    /// Whether the session is over, and all that it had to say has been put out.
    pub fn is_closed(&self) -> bool {
        match self.state {
            State::Closed | State::Failed => true,
            State::Closing => !self.link.wants_transmit(),
            _ => false,
        }
    }
}
