//! Requests of a player (RTMP 1.0, section 7.2.2).

use core::time::Duration;

use super::Client;
use super::state::{MIN_RESERVE, NotZero, Play, Room, State};
use crate::amf0::{Encode, Encoder, Token, u32_to_number};
use crate::command::{PlayRequest, SwitchRequest};
use crate::control::{Control, UserControlEvent};
use crate::message::StreamId;
use crate::session::config;
use crate::session::error::RequestError;
#[cfg(doc)]
use crate::session::event::ClientEvent;

/// Room in the queue for a command of a few values, without its text, and for `deleteStream`.
const COMMAND_ROOM: usize = 64;
const DELETE_ROOM: usize = 48;

/// Requests of a player, for a client that has room for streams to play.
impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS>
where
    Room<PLAYS>: NotZero,
{
    /// Asks to play a stream. The answer is [`ClientEvent::Playing`] or [`ClientEvent::Refused`]. It can be called at
    /// any time. Each request gets its own message stream. The answers arrive in the order of the requests. The control
    /// buffer stores the name until the request is sent.
    ///
    /// # Errors
    /// The session is over, there is no room for one more stream, or the control buffer is too small for the name, or too
    /// full for now.
    pub fn play(&mut self, request: &PlayRequest<'_>) -> Result<(), RequestError> {
        if self.is_over() {
            return Err(RequestError::State);
        }
        if self.role.plays.is_full() {
            return Err(RequestError::TooMany(PLAYS));
        }
        let stored = self.link.queue.stored();
        let length = u16::try_from(request.arguments_len()).ok().filter(|length| stored.checked_add(*length).is_some());
        let length = length.ok_or(RequestError::ControlBuffer(usize::MAX))?;
        // Includes the headers of further chunks.
        let name = request.name_len();
        let reserve = MIN_RESERVE.wrapping_add(name).wrapping_add(name / 64);
        let idle = self.role.state == State::Open;
        self.make_room(length, 0, reserve, if idle { COMMAND_ROOM } else { 0 })?;
        let _ = request.emit_arguments(&mut Encoder::new(self.link.queue.keep(stored, 0, length, true)));
        let _ = self.role.plays.push(Play { length, stream: None });
        if idle {
            self.proceed();
        }
        Ok(())
    }

    /// Sets how long the server may send nothing while something is played: at least 1 ms, or `None` for no limit. The
    /// limit also applies while media is sent. After that time, the session fails with
    /// [`SessionError::TimedOut`](crate::session::SessionError::TimedOut). Any received byte begins the time again,
    /// such as one of a ping. The default is 60 s, which [`restart`](Client::restart) sets again.
    pub fn set_silence_limit(&mut self, limit: Option<Duration>) {
        self.role.silence = [config::limit(limit).max(1); PLAYS];
    }

    /// Returns the streams that are played or have been requested.
    pub fn playing(&self) -> impl Iterator<Item = StreamId> {
        self.played()
    }

    /// Plays another name on a message stream: immediately or after the current one, as `request` says. The answer is
    /// [`ClientEvent::Status`].
    ///
    /// # Errors
    /// There is no such stream, or the control buffer is too small for the name, or too full for now.
    pub fn play_on(&mut self, stream: StreamId, request: &PlayRequest<'_>) -> Result<(), RequestError> {
        self.ask(stream, &mut |encoder| request.emit(encoder, 0.0))
    }

    /// Switches to another stream (`play2`), usually one of the same content at another bit rate.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn switch(&mut self, stream: StreamId, request: &SwitchRequest<'_>) -> Result<(), RequestError> {
        self.ask(stream, &mut |encoder| request.emit(encoder, 0.0))
    }

    /// Pauses or resumes a stream. `at` is the player's position in it, in ms.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn pause(&mut self, stream: StreamId, paused: bool, at: u32) -> Result<(), RequestError> {
        self.ask_values(stream, "pause", &[Token::Boolean(paused), Token::Number(u32_to_number(at))])
    }

    /// Seeks in a recorded stream, to a position in ms from its start.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn seek(&mut self, stream: StreamId, to: u32) -> Result<(), RequestError> {
        self.ask_values(stream, "seek", &[Token::Number(u32_to_number(to))])
    }

    /// Tells the server whether to send audio.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn receive_audio(&mut self, stream: StreamId, wanted: bool) -> Result<(), RequestError> {
        self.ask_values(stream, "receiveAudio", &[Token::Boolean(wanted)])
    }

    /// Tells the server whether to send video.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn receive_video(&mut self, stream: StreamId, wanted: bool) -> Result<(), RequestError> {
        self.ask_values(stream, "receiveVideo", &[Token::Boolean(wanted)])
    }

    /// Stops playing on a message stream. The message stream stays usable for [`Self::play_on`].
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn close_stream(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.ask_values(stream, "closeStream", &[])
    }

    /// Stops playing on a message stream and deletes it, which makes room for another one.
    ///
    /// # Errors
    /// There is no such stream, its request is not answered yet, or the control buffer is too full for now.
    pub fn stop(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        if self.role.state == State::ExpectPlay && self.asked() == Some(stream) {
            return Err(RequestError::State);
        }
        if !self.link.has_room(DELETE_ROOM) {
            return Err(RequestError::ControlBuffer(DELETE_ROOM));
        }
        self.end_play(stream);
        Ok(())
    }

    /// Tells the server how much the player buffers (section 7.1.7), in ms.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn set_buffer_length(&mut self, stream: StreamId, millis: u32) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        self.link.queue_control(Control::User(UserControlEvent::SetBufferLength { stream, millis }))
    }

    /// Queues a command about a stream. Such a command has no transaction.
    fn ask_values(&mut self, stream: StreamId, name: &str, values: &[Token<'_>]) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        self.link.queue_command(stream, name, 0.0, values)
    }

    fn ask(&mut self, stream: StreamId, encode: Encode<'_>) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        self.link.queue_encoded(stream, encode)
    }

    fn check_playing(&self, stream: StreamId) -> Result<(), RequestError> {
        if self.is_over() {
            return Err(RequestError::State);
        }
        if self.played().any(|played| played == stream) { Ok(()) } else { Err(RequestError::Stream(stream)) }
    }
}

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Room in the queue for the commands that end all played streams.
    pub(super) fn stop_room(&self) -> usize {
        if PLAYS == 0 { 0 } else { self.played().fold(0, |room: usize, _| room.wrapping_add(DELETE_ROOM)) }
    }

    /// Queues the commands that end all played streams. The queue has room for them.
    pub(super) fn stop_all(&mut self) {
        for index in 0..PLAYS {
            if let Some(stream) = self.role.plays.get(index).and_then(|play| play.stream) {
                self.delete_stream(stream);
            }
        }
        if PLAYS > 0 {
            self.role.plays.clear();
        }
    }
}
