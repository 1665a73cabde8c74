//! What the client plays (RTMP 1.0, section 7.2.2).

use super::{Client, MIN_RESERVE, State};
use crate::amf0::{Encoder, Token, u32_to_number};
use crate::command::{self, PlayRequest, SwitchRequest};
use crate::control::SET_BUFFER_LENGTH;
use crate::message::{MessageKind, StreamId};
use crate::session::RequestError;
use crate::session::queue::Emit;

/// How much a player says that it buffers, in ms, until it says otherwise. Servers send recorded streams so far ahead.
const BUFFER_MILLIS: u32 = 3_000;

/// Room in the queue for a command of a few values, without its text, and for `deleteStream`.
const COMMAND_ROOM: usize = 64;
const DELETE_ROOM: usize = 48;

/// A stream that is played, or is to be. They stand in the order of the requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Play {
    /// The length of the arguments of `play`, which the queue keeps before the stream key until they are said. The last
    /// request comes first.
    length: u16,
    /// Where it is played; none before it has been asked for.
    stream: Option<StreamId>,
}

/// What players ask for. Where the client has no room for streams that play, these do not compile.
impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// Asks to play: [`ClientEvent::Playing`](super::ClientEvent::Playing) or
    /// [`ClientEvent::Refused`](super::ClientEvent::Refused) is the answer. To be called at any time. Each request is played
    /// on a message stream of its own; their answers come in their order.
    ///
    /// # Errors
    /// The session is over, as many streams are played as there is room for, or the control buffer is too small for the
    /// name, or too full for now.
    pub fn play(&mut self, request: &PlayRequest<'_>) -> Result<(), RequestError> {
        const { assert!(PLAYS > 0, "this client has no room for streams that play") };
        if self.is_over() {
            return Err(RequestError::State);
        }
        if self.plays.is_full() {
            return Err(RequestError::TooMany(PLAYS));
        }
        let reserve = text_room(request).saturating_add(MIN_RESERVE);
        let idle = self.state == State::Open;
        let now = if idle { COMMAND_ROOM } else { 0 };
        let length = u16::try_from(request.arguments_len()).map_err(|_| RequestError::ControlBuffer(usize::MAX))?;
        let kept = self.link.queue.kept();
        if kept.checked_add(length).is_none() {
            return Err(RequestError::ControlBuffer(usize::MAX));
        }
        self.make_room(length, 0, reserve, now)?;
        let _ = request.emit_arguments(&mut Encoder::new(self.link.queue.keep(kept, 0, length, true)));
        let _ = self.plays.push(Play { length, stream: None });
        if idle {
            self.proceed();
        }
        Ok(())
    }

    /// The streams that are played, or have been asked for.
    pub fn playing(&self) -> impl Iterator<Item = StreamId> {
        self.plays.iter().filter_map(|play| play.stream)
    }

    /// Plays something else on a stream that is there: in place of what is played, or behind it, as `request` says.
    /// [`ClientEvent::Status`](super::ClientEvent::Status) tells what comes of it.
    ///
    /// # Errors
    /// There is no such stream, or the control buffer is too small for the name, or too full for now.
    pub fn play_on(&mut self, stream: StreamId, request: &PlayRequest<'_>) -> Result<(), RequestError> {
        self.ask(stream, &mut |encoder, _| request.emit(encoder, 0.0))
    }

    /// Goes over to another stream (`play2`), usually one of the same content at another bit rate.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn switch(&mut self, stream: StreamId, request: &SwitchRequest<'_>) -> Result<(), RequestError> {
        self.ask(stream, &mut |encoder, _| request.emit(encoder, 0.0))
    }

    /// Pauses a stream, or goes on; `at` is where in it the player is, in ms.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn pause(&mut self, stream: StreamId, paused: bool, at: u32) -> Result<(), RequestError> {
        self.ask_values(stream, "pause", &[Token::Boolean(paused), Token::Number(u32_to_number(at))])
    }

    /// Goes to another place in a recorded stream, in ms from its begin.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn seek(&mut self, stream: StreamId, to: u32) -> Result<(), RequestError> {
        self.ask_values(stream, "seek", &[Token::Number(u32_to_number(to))])
    }

    /// Says whether audio is wanted.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn receive_audio(&mut self, stream: StreamId, wanted: bool) -> Result<(), RequestError> {
        self.ask_values(stream, "receiveAudio", &[Token::Boolean(wanted)])
    }

    /// Says whether video is wanted.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn receive_video(&mut self, stream: StreamId, wanted: bool) -> Result<(), RequestError> {
        self.ask_values(stream, "receiveVideo", &[Token::Boolean(wanted)])
    }

    /// Stops what is played on a stream; the stream stays, for [`Self::play_on`].
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn close_stream(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.ask_values(stream, "closeStream", &[])
    }

    /// Stops what is played on a stream; the stream goes, and there is room for another one.
    ///
    /// # Errors
    /// There is no such stream, its request is not answered yet, or the control buffer has no room for now.
    pub fn stop(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        if self.state == State::ExpectPlay && self.asked() == Some(stream) {
            return Err(RequestError::State);
        }
        if !self.link.has_room(DELETE_ROOM) {
            return Err(RequestError::ControlBuffer(DELETE_ROOM));
        }
        self.delete_stream(stream);
        self.forget(stream);
        Ok(())
    }

    /// Tells the server how much the player buffers (section 7.1.7), in ms.
    ///
    /// # Errors
    /// As [`Self::play_on`].
    pub fn set_buffer_length(&mut self, stream: StreamId, millis: u32) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        self.say_buffer_length(stream, millis)
    }

    fn say_buffer_length(&mut self, stream: StreamId, millis: u32) -> Result<(), RequestError> {
        let ([a, b, c, d], [e, f, g, h]) = (stream.0.to_be_bytes(), millis.to_be_bytes());
        self.link.queue_control(MessageKind::USER_CONTROL, &[0, SET_BUFFER_LENGTH, a, b, c, d, e, f, g, h])
    }

    fn ask_values(&mut self, stream: StreamId, name: &str, values: &[Token<'_>]) -> Result<(), RequestError> {
        self.ask(stream, &mut |encoder, _| {
            // What is said of a stream has no transaction.
            command::put(encoder, name, 0.0, &[Token::Null])?;
            encoder.put_all(values).map(|_| ())
        })
    }

    fn ask(&mut self, stream: StreamId, emit: Emit<'_>) -> Result<(), RequestError> {
        self.check_playing(stream)?;
        self.link.queue(stream, emit)
    }

    fn check_playing(&self, stream: StreamId) -> Result<(), RequestError> {
        const { assert!(PLAYS > 0, "this client has no room for streams that play") };
        if self.is_over() {
            return Err(RequestError::State);
        }
        if self.playing().any(|playing| playing == stream) { Ok(()) } else { Err(RequestError::Stream(stream)) }
    }
}

/// What the session does about players by itself. Where it has no room for any, the compiler knows that nothing of this is
/// reached.
impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// Whether something waits to be asked for.
    pub(super) fn wants_to_play(&self) -> bool {
        PLAYS > 0 && self.plays.iter().any(|play| play.stream.is_none())
    }

    /// `createStream` is answered: says what is to be played there. The queue has room for it.
    pub(super) fn ask_play(&mut self, stream: StreamId) {
        if PLAYS == 0 {
            return;
        }
        let transaction = u32_to_number(self.next_transaction());
        let _ = self.say_buffer_length(stream, BUFFER_MILLIS);
        let waiting = self.plays.iter_mut().find(|play| play.stream.is_none());
        if let Some(play) = waiting {
            play.stream = Some(stream);
            let (key, length) = (self.key, play.length);
            let _ = self.link.queue(stream, &mut |encoder, kept| {
                let end = kept.len().wrapping_sub(key.into());
                let arguments = kept.get(end.wrapping_sub(length.into())..end).unwrap_or(&[]);
                command::begin(encoder, "play", transaction)?.put(Token::Null)?.raw(arguments).map(|_| ())
            });
            self.link.queue.keep(key, length, 0, true);
        }
        self.expect(State::ExpectPlay);
    }

    /// The stream that was asked for last, all before it being answered.
    pub(super) fn asked(&self) -> Option<StreamId> {
        if PLAYS == 0 { None } else { self.playing().last() }
    }

    /// Whether what is said on a stream is about something that plays already, not about what is awaited.
    pub(super) fn is_played(&self, stream: StreamId) -> bool {
        let awaited = self.asked().filter(|_| self.state == State::ExpectPlay);
        PLAYS > 0 && awaited != Some(stream) && self.playing().any(|playing| playing == stream)
    }

    /// Whether it is about something that plays or is published already.
    pub(super) fn is_under_way(&self, stream: StreamId) -> bool {
        // What is said on the connection may be about anything.
        let publishes = stream != StreamId::CONNECTION && self.publishing() == Some(stream);
        PLAYS > 0 && (publishes || self.is_played(stream))
    }

    /// What is awaited is refused: it goes, and its stream.
    pub(super) fn give_up_play(&mut self) {
        if PLAYS == 0 {
            return;
        }
        match self.asked().filter(|_| self.state == State::ExpectPlay) {
            Some(stream) => {
                self.delete_stream(stream);
                self.forget(stream);
            }
            None => {
                let waiting = self.plays.iter().find(|play| play.stream.is_none()).map_or(0, |play| play.length);
                let mut first = true;
                self.plays.retain(|play| play.stream.is_some() || !core::mem::take(&mut first));
                self.link.queue.keep(self.key, waiting, 0, true);
            }
        }
    }

    fn forget(&mut self, stream: StreamId) {
        self.plays.retain(|play| play.stream != Some(stream));
    }

    /// Room in the queue for the end of all that is played.
    pub(super) fn stop_room(&self) -> usize {
        if PLAYS == 0 { 0 } else { self.playing().fold(0, |room: usize, _| room.wrapping_add(DELETE_ROOM)) }
    }

    /// Says the end of all that is played. The queue has room for it.
    pub(super) fn stop_all(&mut self) {
        for index in 0..PLAYS {
            if let Some(stream) = self.plays.get(index).and_then(|play| play.stream) {
                self.delete_stream(stream);
            }
        }
        if PLAYS > 0 {
            self.plays.clear();
        }
    }
}

/// What a request's name takes in the queue, headers of further chunks among it.
fn text_room(request: &PlayRequest<'_>) -> usize {
    let length = request.name.len();
    length.saturating_add(length / 64)
}
