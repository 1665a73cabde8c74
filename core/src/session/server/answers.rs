//! What the application answers: to `connect`, to publishers and players, and to calls.

use super::players::NOTIFY_ROOM;
use super::streams::StreamState;
use super::{Call, Server, State};
use crate::amf0::{Token, number_to_u32};
use crate::command::{self, Status, code};
use crate::control::{Limit, STREAM_BEGIN};
use crate::fmt::info;
use crate::message::{MessageKind, StreamId};
use crate::session::RequestError;
use crate::session::queue::Emit;

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// Accepts the client.
    ///
    /// # Errors
    /// It has not asked.
    pub fn accept_connect(&mut self) -> Result<(), RequestError> {
        self.connecting()?;
        let transaction = self.transaction();
        self.link.announce_window()?;
        let [a, b, c, d] = self.link.flow().announced().to_be_bytes();
        self.link.queue_control(MessageKind::SET_PEER_BANDWIDTH, &[a, b, c, d, Limit::Dynamic as u8])?;
        self.link.announce_chunk_size(self.chunk_size)?;
        self.reply(&mut |encoder, _| command::accepted(encoder, transaction))?;
        self.enter(State::Open);
        info!("a client is connected");
        Ok(())
    }

    /// Refuses the client, and tells it why. The connection can be closed once that is put out
    /// ([`Self::is_closed`]).
    ///
    /// # Errors
    /// It has not asked, or the control buffer is too small for `description`.
    pub fn reject_connect(&mut self, description: &str) -> Result<(), RequestError> {
        self.refuse_connect(description, None)
    }

    /// Refuses the client, and tells it to connect to `url`, which has an application and no stream key. Not every client
    /// follows.
    ///
    /// # Errors
    /// It has not asked, or the control buffer is too small for `url`.
    pub fn redirect_connect(&mut self, url: &str) -> Result<(), RequestError> {
        self.refuse_connect("Connect to another server.", Some(url))
    }

    fn refuse_connect(&mut self, description: &str, redirect: Option<&str>) -> Result<(), RequestError> {
        self.connecting()?;
        let (transaction, status) = (self.transaction(), Status::error(code::CONNECT_REJECTED, description));
        self.reply(&mut |encoder, _| match redirect {
            Some(url) => command::put_redirect(encoder, transaction, &status, url),
            None => command::put_status(encoder, "_error", transaction, &status),
        })?;
        self.enter(State::Closed);
        Ok(())
    }

    /// Accepts the publisher of `stream`, whose media comes next.
    ///
    /// # Errors
    /// It has not asked, or the control buffer has no room for now.
    pub fn accept(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.expect(stream, &[StreamState::Asking])?;
        self.make_room(NOTIFY_ROOM)?;
        self.link.queue_event(STREAM_BEGIN, stream.0)?;
        let status = Status::ok(code::PUBLISH_START, "Publishing begins.");
        self.link.queue_status(stream, &status)?;
        self.cut_off();
        self.set(stream, StreamState::Publishing);
        info!("message stream {} is published", stream.0);
        Ok(())
    }

    /// Refuses the publisher or the player of `stream`, with one of the [codes](code) such as
    /// [`code::PUBLISH_BAD_NAME`] or [`code::PLAY_STREAM_NOT_FOUND`], and tells it why. It may ask again, for another name.
    /// A player that plays already goes on with that.
    ///
    /// # Errors
    /// It has not asked, or the control buffer is too small for `description`.
    pub fn reject(&mut self, stream: StreamId, code: &str, description: &str) -> Result<(), RequestError> {
        self.expect(stream, &[StreamState::Asking, StreamState::AskingPlay, StreamState::AskingAnother])?;
        let status = Status::error(code, description);
        self.link.queue_status(stream, &status)?;
        let plays = self.stream(stream) == Some(StreamState::AskingAnother);
        self.set(stream, if plays { StreamState::Playing } else { StreamState::Created });
        Ok(())
    }

    /// Answers the client's call: `values` are the result. A call that wants no answer gets none.
    ///
    /// # Errors
    /// There was no call, or it is refused since [`Self::next_event`] has been called again; or the control buffer is too
    /// small for `values`.
    pub fn answer(&mut self, values: &[Token<'_>]) -> Result<(), RequestError> {
        self.calling()?;
        let transaction = self.transaction();
        self.reply(&mut |encoder, _| {
            command::put(encoder, "_result", transaction, &[Token::Null])?;
            encoder.put_all(values).map(|_| ())
        })?;
        self.call = None;
        Ok(())
    }

    /// Refuses the client's call, with a code such as [`code::CALL_FAILED`]. A call that is not answered is refused so.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn reject_call(&mut self, code: &str, description: &str) -> Result<(), RequestError> {
        self.calling()?;
        self.refuse(&Status::error(code, description))?;
        self.call = None;
        Ok(())
    }

    /// Says `status` on a stream: what the other methods do not say, such as [`code::SEEK_NOTIFY`] to a player that has
    /// asked for another place.
    ///
    /// # Errors
    /// There is no such stream, or the control buffer has no room for now.
    pub fn notify(&mut self, stream: StreamId, status: &Status<'_>) -> Result<(), RequestError> {
        self.stream(stream).ok_or(RequestError::Stream(stream))?;
        self.link.queue_status(stream, status)
    }

    /// Says a command that wants no answer: its name, and what follows the command object.
    ///
    /// # Errors
    /// The client is not connected, or the control buffer has no room for now.
    pub fn call(&mut self, stream: StreamId, name: &str, values: &[Token<'_>]) -> Result<(), RequestError> {
        if self.state != State::Open {
            return Err(RequestError::State);
        }
        self.link.queue(stream, &mut |encoder, _| {
            command::put(encoder, name, 0.0, &[Token::Null])?;
            encoder.put_all(values).map(|_| ())
        })
    }

    /// What the application has not answered until now is answered for it. The queue has room.
    pub(super) fn refuse_unanswered(&mut self) {
        match self.call {
            None => return,
            // What a live stream has.
            Some(Call::StreamLength) => _ = self.answer(&[Token::Number(0.0)]),
            Some(Call::Other) => _ = self.cannot_call(),
        }
        self.call = None;
    }

    /// Answers a command that cannot be carried out.
    pub(super) fn cannot_call(&mut self) -> Result<(), RequestError> {
        self.refuse(&Status::error(code::CALL_FAILED, "The call cannot be carried out."))
    }

    fn refuse(&mut self, status: &Status<'_>) -> Result<(), RequestError> {
        let transaction = self.transaction();
        self.reply(&mut |encoder, _| command::put_status(encoder, "_error", transaction, status))
    }

    /// Queues an answer to the transaction, where one is wanted (section 7.1.1: none where the id is 0).
    pub(super) fn reply(&mut self, emit: Emit<'_>) -> Result<(), RequestError> {
        if number_to_u32(self.transaction()) == Some(0) { Ok(()) } else { self.link.queue(StreamId::CONNECTION, emit) }
    }

    /// What an answer refers to.
    pub(super) fn transaction(&self) -> f64 {
        f64::from_be_bytes(self.transaction)
    }

    fn connecting(&self) -> Result<(), RequestError> {
        if self.state == State::Connecting { Ok(()) } else { Err(RequestError::State) }
    }

    fn calling(&self) -> Result<(), RequestError> {
        if self.call.is_some() { Ok(()) } else { Err(RequestError::State) }
    }

    /// Whether a stream is in one of `states`.
    pub(super) fn expect(&self, stream: StreamId, states: &[StreamState]) -> Result<(), RequestError> {
        match self.stream(stream) {
            Some(state) if states.contains(&state) => Ok(()),
            Some(_) => Err(RequestError::State),
            None => Err(RequestError::Stream(stream)),
        }
    }
}
