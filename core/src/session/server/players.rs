//! What the server tells players (RTMP 1.0, sections 7.1.7 and 7.2.2.1).

use super::streams::StreamState;
use super::{Server, State};
use crate::amf0::Token;
use crate::command::{Status, code};
use crate::control::{STREAM_BEGIN, STREAM_EOF};
use crate::fmt::info;
use crate::message::{MessageKind, StreamId};
use crate::session::RequestError;

/// Room in the queue for what [`Server::accept_play`] says, and for what the others say.
const ACCEPT_ROOM: usize = 352;
pub(super) const NOTIFY_ROOM: usize = 152;

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// Accepts the player of `stream`: [`Self::begin_media`] and [`Self::poll_media`] send it media, first the metadata and
    /// the codecs' sequence headers. `reset` tells it that what was played there before is forgotten.
    ///
    /// It is told StreamBegin, Play.Reset, Play.Start, that it may look at the samples, and Data.Start: the order of Adobe's
    /// servers, which all players understand.
    ///
    /// # Errors
    /// It has not asked, or the control buffer has no room for now.
    pub fn accept_play(&mut self, stream: StreamId, reset: bool) -> Result<(), RequestError> {
        self.expect(stream, &[StreamState::AskingPlay, StreamState::AskingAnother])?;
        self.make_room(ACCEPT_ROOM)?;
        self.link.queue_event(STREAM_BEGIN, stream.0)?;
        if reset {
            self.link.queue_status(stream, &Status::ok(code::PLAY_RESET, "Playing anew."))?;
        }
        self.link.queue_status(stream, &Status::ok(code::PLAY_START, "Playing begins."))?;
        let samples = [Token::String("|RtmpSampleAccess".into()), Token::Boolean(true), Token::Boolean(true)];
        self.link.queue_values(MessageKind::DATA, stream, &samples)?;
        let start =
            ["onStatus".into(), Token::ObjectStart, Token::Key("code".into()), code::DATA_START.into(), Token::End];
        self.link.queue_values(MessageKind::DATA, stream, &start)?;
        self.set(stream, StreamState::Playing);
        info!("message stream {} is played", stream.0);
        Ok(())
    }

    /// Tells the player of `stream` that its stream is published again: StreamBegin and Play.PublishNotify.
    ///
    /// # Errors
    /// Nothing is played there, or the control buffer has no room for now.
    pub fn publish_notify(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.tell(stream, STREAM_BEGIN, code::PLAY_PUBLISH_NOTIFY)
    }

    /// Tells the player of `stream` that its stream is not published any more, but may be again: StreamEOF and
    /// Play.UnpublishNotify. Most players take that for the end.
    ///
    /// # Errors
    /// As [`Self::publish_notify`].
    pub fn unpublish_notify(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.tell(stream, STREAM_EOF, code::PLAY_UNPUBLISH_NOTIFY)
    }

    /// Ends what is played on `stream`: StreamEOF and Play.Stop. The player may ask again.
    ///
    /// # Errors
    /// As [`Self::publish_notify`].
    pub fn end_play(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.tell(stream, STREAM_EOF, code::PLAY_STOP)?;
        self.set(stream, StreamState::Created);
        Ok(())
    }

    /// All of it, or nothing.
    fn tell(&mut self, stream: StreamId, event: u8, code: &str) -> Result<(), RequestError> {
        self.expect(stream, &[StreamState::Playing])?;
        self.make_room(NOTIFY_ROOM)?;
        self.link.queue_event(event, stream.0)?;
        self.link.queue_status(stream, &Status::ok(code, ""))
    }

    /// Whether the queue has room for all that is to be said.
    pub(super) fn make_room(&self, bytes: usize) -> Result<(), RequestError> {
        if matches!(self.state, State::Failed) {
            return Err(RequestError::State);
        }
        if self.link.has_room(bytes) { Ok(()) } else { Err(RequestError::ControlBuffer(bytes)) }
    }
}
