//! The answers of the application: to `connect`, to publishers and players (RTMP 1.0, section 7.2.2), and to calls.

use super::Server;
use super::state::{Call, NO_STREAM, Request, State, StreamState};
use crate::amf0::{Token, number_to_u32};
use crate::bytes::Output;
#[cfg(feature = "admin")]
use crate::chunk::ChunkStreamId;
use crate::command::{self, Capabilities, Extensions, ReconnectRequest, Status, code};
use crate::control::{Control, Limit, UserControlEvent};
use crate::fmt::info;
use crate::message::StreamId;
use crate::session::error::RequestError;
use crate::session::queue::Emit;
use crate::time::{Instant, OptionalInstant};

/// Room in the queue for what [`Server::accept_play`] sends, and for what the other answers send.
const ACCEPT_ROOM: usize = if cfg!(feature = "rtmpe") { 368 } else { 352 };
const NOTIFY_ROOM: usize = 152;

impl<const STREAMS: usize> Server<'_, STREAMS> {
    /// Accepts the client.
    ///
    /// # Errors
    /// The client has not asked.
    pub fn accept_connect(&mut self) -> Result<(), RequestError> {
        self.accept_with(&|_| {})
    }

    /// Accepts the client, and announces the capabilities of this server in Enhanced RTMP. Old clients ignore them.
    /// [`PeerCapabilities`](crate::command::PeerCapabilities) reads those of the client.
    ///
    /// # Errors
    /// The client has not sent `connect`, or the control buffer has too little free space now.
    pub fn accept_connect_with(&mut self, capabilities: &Capabilities<'_>) -> Result<(), RequestError> {
        let peer = self.link.announced(&|command| command.name == *"connect").extensions();
        let reconnects = [capabilities.extensions, peer].iter().all(|side| side.has(Extensions::RECONNECT));
        self.accept_with(&|out| out.fill(|room| capabilities.write(room)))?;
        self.role.reconnects = reconnects;
        Ok(())
    }

    /// Returns whether [`Self::request_reconnect`] may be called: the client handles such requests, and the server has
    /// announced them with [`Self::accept_connect_with`] ([`Extensions::RECONNECT`]).
    pub fn may_request_reconnect(&self) -> bool {
        self.role.reconnects && self.role.state == State::Open
    }

    /// Asks the client to connect again. Both sides continue on this connection until the client has left. Call
    /// [`Directory::hand_over`](crate::relay::Directory::hand_over), too, so that the client can publish its streams on
    /// the new connection.
    ///
    /// # Errors
    /// [`RequestError::State`]: the client does not handle such requests ([`Self::may_request_reconnect`]). Or the control
    /// buffer is too small for the texts, or too full for now.
    pub fn request_reconnect(&mut self, request: &ReconnectRequest<'_>) -> Result<(), RequestError> {
        if !self.may_request_reconnect() {
            return Err(RequestError::State);
        }
        self.link.queue_encoded(StreamId::CONNECTION, &mut |encoder| request.emit(encoder))
    }

    fn accept_with(&mut self, properties: &dyn Fn(&mut Output<'_>)) -> Result<(), RequestError> {
        self.connecting()?;
        let transaction = self.transaction();
        self.link.announce_window()?;
        let size = self.link.flow().announced();
        self.link.queue_control(Control::SetPeerBandwidth { size, limit: Limit::Dynamic })?;
        if !self.handshake.is_encrypted() {
            self.link.announce_chunk_size(self.chunk_size)?;
        }
        self.reply(&mut |out, _| command::accepted(out, transaction.to_bits(), properties))?;
        self.enter(State::Open);
        info!("a client is connected");
        Ok(())
    }

    /// Refuses the client with a description of the reason. Close the connection when the answer is sent
    /// ([`Self::is_closed`]).
    ///
    /// # Errors
    /// The client has not asked, or the control buffer is too small for `description`.
    pub fn reject_connect(&mut self, description: &str) -> Result<(), RequestError> {
        self.refuse_connect(description, None)
    }

    /// Refuses the client, and tells it to connect to `url`, which has an application and no stream key. Not every
    /// client follows a redirect.
    ///
    /// # Errors
    /// The client has not asked, or the control buffer is too small for `url`.
    pub fn redirect_connect(&mut self, url: &str) -> Result<(), RequestError> {
        self.refuse_connect("Connect to another server.", Some(url))
    }

    fn refuse_connect(&mut self, description: &str, redirect: Option<&str>) -> Result<(), RequestError> {
        self.connecting()?;
        let (transaction, status) = (self.transaction(), Status::error(code::CONNECT_REJECTED, description));
        self.reply(&mut |out, _| match redirect {
            Some(url) => command::write_redirect(out, transaction.to_bits(), &status, url),
            None => command::write_status(out, "_error", transaction.to_bits(), &status),
        })?;
        self.enter(State::Closed);
        Ok(())
    }

    /// Accepts the publisher of `stream`. Its media follows. If the stream was published before, the media that follows
    /// belongs to the new request.
    ///
    /// # Errors
    /// The publisher has not asked, or the control buffer is too full for now.
    pub fn accept(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.begin_publish(stream)?;
        if self.role.streams.get(stream) != Some(StreamState::Publishing) {
            self.cut_off();
        }
        self.role.streams.end_joined(stream);
        self.role.streams.set(stream, StreamState::Publishing);
        info!("message stream {} is published", stream.0);
        Ok(())
    }

    /// Accepts a publish on `stream` of the name that the client publishes on `first` already. Publishing on `first`
    /// continues. From now on, media on `stream` is reported as media on `first`, and the end of `stream` ends the
    /// publication. `stream` and `first` may be equal.
    ///
    /// # Errors
    /// The publisher has not asked, `first` is not published, or the control buffer is too full for now.
    pub fn accept_again(&mut self, stream: StreamId, first: StreamId) -> Result<(), RequestError> {
        if self.role.streams.get(first) != Some(StreamState::Publishing) {
            return Err(RequestError::Stream(first));
        }
        self.begin_publish(stream)?;
        self.role.streams.join(stream, first);
        Ok(())
    }

    fn begin_publish(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.expect_asked(stream, &[Request::Publish])?;
        self.tell(stream, UserControlEvent::StreamBegin(stream), code::PUBLISH_START, "Publishing begins.")?;
        self.answered();
        Ok(())
    }

    /// Refuses the publisher or the player of `stream`, with one of the [codes](code), such as
    /// [`code::PUBLISH_BAD_NAME`] or [`code::PLAY_STREAM_NOT_FOUND`], and a description of the reason. The client may
    /// ask again, for another name. If something is published or played on `stream`, it continues. Otherwise media on
    /// `stream` is dropped until a publish is accepted.
    ///
    /// # Errors
    /// The client has not asked, or the control buffer is too small for `description`.
    pub fn reject(&mut self, stream: StreamId, code: &str, description: &str) -> Result<(), RequestError> {
        self.expect_asked(stream, &[Request::Publish, Request::Play])?;
        self.link.queue_status(stream, &Status::error(code, description))?;
        self.role.asked = None;
        if self.role.streams.get(stream) == Some(StreamState::Created) {
            self.role.streams.set(stream, StreamState::Ended);
        }
        Ok(())
    }

    /// Accepts the player of `stream`. [`Self::begin_media`] and [`Self::poll_media`] send it media, first the metadata
    /// and the sequence headers of the codecs. If `reset`, the player is told to discard what it played on this stream
    /// before.
    ///
    /// It sends StreamBegin, Play.Reset, Play.Start, `|RtmpSampleAccess` and Data.Start: the order of Adobe's servers, which
    /// all players understand.
    ///
    /// # Errors
    /// The player has not asked, or the control buffer has too little free space now.
    pub fn accept_play(&mut self, stream: StreamId, reset: bool) -> Result<(), RequestError> {
        self.expect_asked(stream, &[Request::Play])?;
        self.make_room(ACCEPT_ROOM)?;
        // A publisher must not receive the chunk size: FFmpeg enciphers the message in place before it reads the size
        // from it.
        #[cfg(feature = "rtmpe")]
        if self.handshake.is_encrypted() && self.link.writer.chunk_size.get() < self.chunk_size {
            self.link.announce_chunk_size(self.chunk_size)?;
        }
        self.link.queue_control(Control::User(UserControlEvent::StreamBegin(stream)))?;
        if reset {
            self.link.queue_status(stream, &Status::ok(code::PLAY_RESET, "Playing anew."))?;
        }
        self.link.queue_status(stream, &Status::ok(code::PLAY_START, "Playing begins."))?;
        let samples = [Token::String("|RtmpSampleAccess".into()), Token::Boolean(true), Token::Boolean(true)];
        self.link.queue_data(stream, &samples)?;
        let start =
            ["onStatus".into(), Token::ObjectStart, Token::Key("code".into()), code::DATA_START.into(), Token::End];
        self.link.queue_data(stream, &start)?;
        self.answered();
        self.role.streams.set(stream, StreamState::Playing);
        info!("message stream {} is played", stream.0);
        Ok(())
    }

    /// Tells the player of `stream` that its stream is published again: StreamBegin and Play.PublishNotify.
    ///
    /// # Errors
    /// Nothing is played there, or the control buffer is too full for now.
    pub fn publish_notify(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.expect_playing(stream)?;
        self.tell(stream, UserControlEvent::StreamBegin(stream), code::PLAY_PUBLISH_NOTIFY, "")
    }

    /// Tells the player of `stream` that its stream is not published any longer, but may be again: StreamEOF and
    /// Play.UnpublishNotify. Most players stop then.
    ///
    /// # Errors
    /// As [`Self::publish_notify`].
    pub fn unpublish_notify(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.expect_playing(stream)?;
        self.tell(stream, UserControlEvent::StreamEof(stream), code::PLAY_UNPUBLISH_NOTIFY, "")
    }

    /// Ends playing on `stream`: StreamEOF and Play.Stop. The player may ask again.
    ///
    /// # Errors
    /// As [`Self::publish_notify`].
    pub fn end_play(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.expect_playing(stream)?;
        self.tell(stream, UserControlEvent::StreamEof(stream), code::PLAY_STOP, "")?;
        self.role.streams.set(stream, StreamState::Ended);
        self.restart_request_time();
        Ok(())
    }

    /// Ends the session: tells the players that their streams have ended (StreamEOF and Play.Stop), and the publishers
    /// that publishing has ended. No further input is read. When [`Self::is_closed`] returns `true`, the connection can
    /// be closed. If the client does not read these messages in time, the session fails with
    /// [`SessionError::TimedOut`](super::super::SessionError::TimedOut).
    ///
    /// # Errors
    /// A message is not finished ([`Self::complete_media`] ends it), or the control buffer is too full for now.
    pub fn close(&mut self) -> Result<(), RequestError> {
        if self.failed.is_some() || self.link.writer.has_open() {
            return Err(RequestError::State);
        }
        for stream in self.role.streams.ids() {
            match self.role.streams.get(stream) {
                Some(StreamState::Playing) => {
                    self.tell(stream, UserControlEvent::StreamEof(stream), code::PLAY_STOP, "")?;
                }
                Some(StreamState::Publishing) => {
                    self.make_room(NOTIFY_ROOM)?;
                    self.link.queue_status(stream, &Status::ok(code::UNPUBLISH_SUCCESS, "Publishing has ended."))?;
                }
                _ => {}
            }
            // A later call does not send it again.
            self.role.streams.set(stream, StreamState::Ended);
        }
        (self.role.media_of, self.role.asked) = (NO_STREAM, None);
        self.enter(State::Closed);
        Ok(())
    }

    /// Sends a ping, to which a live client answers. Any byte that arrives later counts as an answer. The session has
    /// no deadline for it.
    ///
    /// # Errors
    /// The client is not connected, or the control buffer is too full for now.
    pub fn ping(&mut self, now: Instant) -> Result<(), RequestError> {
        if self.role.state != State::Open {
            return Err(RequestError::State);
        }
        // Only this side uses the time in the ping.
        self.link.queue_control(Control::User(UserControlEvent::PingRequest(now.low_micros())))
    }

    /// Sends `values` as the result of the client's call. Sends nothing if the client wants no answer.
    ///
    /// # Errors
    /// There was no call, or it was refused because [`Self::next_event`] was called again, or the control buffer is too
    /// small for `values`.
    pub fn answer(&mut self, values: &[Token<'_>]) -> Result<(), RequestError> {
        self.calling()?;
        self.reply_command("_result", values)?;
        self.role.call = None;
        Ok(())
    }

    /// Begins the answer to the client's call, a command of `length` bytes, which [`Self::poll_media`] writes.
    #[cfg(feature = "admin")]
    pub(crate) fn begin_answer(&mut self, length: u32) -> Result<ChunkStreamId, RequestError> {
        self.calling()?;
        let csid = self.link.begin_command(length)?;
        self.role.call = None;
        Ok(csid)
    }

    /// The transaction id of the last command, as it was received.
    #[cfg(feature = "admin")]
    pub(crate) const fn last_transaction(&self) -> [u8; 8] {
        self.role.transaction
    }

    /// Refuses the client's call, with a code such as [`code::CALL_FAILED`]. The session refuses a call that the
    /// application does not answer.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn reject_call(&mut self, code: &str, description: &str) -> Result<(), RequestError> {
        self.calling()?;
        self.refuse(&Status::error(code, description))?;
        self.role.call = None;
        Ok(())
    }

    /// Sends a `status` on a stream that no other method sends, such as [`code::SEEK_NOTIFY`] to a player that has
    /// asked for another position.
    ///
    /// # Errors
    /// There is no such stream, or the control buffer is too full for now.
    pub fn notify(&mut self, stream: StreamId, status: &Status<'_>) -> Result<(), RequestError> {
        self.role.streams.get(stream).ok_or(RequestError::Stream(stream))?;
        self.link.queue_status(stream, status)
    }

    /// Sends a command that wants no answer: its name, and `values` after the command object.
    ///
    /// # Errors
    /// The client is not connected, or the control buffer is too full for now.
    pub fn call(&mut self, stream: StreamId, name: &str, values: &[Token<'_>]) -> Result<(), RequestError> {
        if self.role.state != State::Open {
            return Err(RequestError::State);
        }
        self.link.queue_command(stream, name, 0.0, values)
    }

    /// Sends the default answer to a call that the application has not answered. The queue has room for it.
    pub(super) fn refuse_unanswered(&mut self) {
        match self.role.call {
            None => return,
            // The length of a live stream.
            Some(Call::StreamLength) => _ = self.answer(&[Token::Number(0.0)]),
            Some(Call::Other) => _ = self.cannot_call(),
        }
        self.role.call = None;
    }

    /// Answers a command that the server cannot execute.
    pub(super) fn cannot_call(&mut self) -> Result<(), RequestError> {
        self.refuse(&Status::error(code::CALL_FAILED, "The call cannot be carried out."))
    }

    pub(super) fn refuse(&mut self, status: &Status<'_>) -> Result<(), RequestError> {
        let transaction = self.transaction();
        self.reply(&mut |out, _| command::write_status(out, "_error", transaction.to_bits(), status))
    }

    /// Queues an answer to the transaction, if one is wanted (section 7.1.1: none if the id is 0).
    fn reply(&mut self, emit: Emit<'_>) -> Result<(), RequestError> {
        if self.wants_answer() { self.link.queue(StreamId::CONNECTION, emit) } else { Ok(()) }
    }

    /// As [`Self::reply`], with null and `values`.
    pub(super) fn reply_command(&mut self, name: &str, values: &[Token<'_>]) -> Result<(), RequestError> {
        let transaction = self.transaction();
        if self.wants_answer() {
            self.link.queue_command(StreamId::CONNECTION, name, transaction, values)
        } else {
            Ok(())
        }
    }

    fn wants_answer(&self) -> bool {
        number_to_u32(self.transaction()) != Some(0)
    }

    fn transaction(&self) -> f64 {
        f64::from_be_bytes(self.role.transaction)
    }

    fn connecting(&self) -> Result<(), RequestError> {
        if self.role.state == State::Connecting { Ok(()) } else { Err(RequestError::State) }
    }

    fn calling(&self) -> Result<(), RequestError> {
        if self.role.call.is_some() { Ok(()) } else { Err(RequestError::State) }
    }

    /// Checks that the application was asked about one of `requests` on a stream.
    fn expect_asked(&self, stream: StreamId, requests: &[Request]) -> Result<(), RequestError> {
        match self.role.asked {
            Some((asked, request)) if asked == stream && requests.contains(&request) => Ok(()),
            _ => Err(self.unexpected(stream)),
        }
    }

    /// Checks that a stream is played.
    fn expect_playing(&self, stream: StreamId) -> Result<(), RequestError> {
        let is_playing = self.role.streams.get(stream) == Some(StreamState::Playing);
        if is_playing { Ok(()) } else { Err(self.unexpected(stream)) }
    }

    /// Records that the application has accepted a request.
    fn answered(&mut self) {
        self.role.asked = None;
        self.restart_request_time();
    }

    /// The time in which a client may neither publish nor play begins again, unless something is published.
    pub(super) fn restart_request_time(&mut self) {
        if !self.role.streams.has(StreamState::Publishing) {
            self.role.active = OptionalInstant::NONE;
        }
    }

    fn unexpected(&self, stream: StreamId) -> RequestError {
        self.role.streams.get(stream).map_or(RequestError::Stream(stream), |_| RequestError::State)
    }

    /// Queues an event and a status about `stream`: both or none.
    fn tell(
        &mut self,
        stream: StreamId,
        event: UserControlEvent,
        code: &str,
        description: &str,
    ) -> Result<(), RequestError> {
        self.make_room(NOTIFY_ROOM)?;
        self.link.queue_control(Control::User(event))?;
        self.link.queue_status(stream, &Status::ok(code, description))
    }

    /// Checks that the queue has room for `bytes` bytes.
    fn make_room(&self, bytes: usize) -> Result<(), RequestError> {
        if self.failed.is_some() {
            return Err(RequestError::State);
        }
        if self.link.has_room(bytes) { Ok(()) } else { Err(RequestError::ControlBuffer(bytes)) }
    }
}
