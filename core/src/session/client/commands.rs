//! What the client does with the commands of the server.

use super::Client;
use super::state::{PendingEvent, State};
use crate::amf0::{Decoder, Token, number_to_u32, u32_to_number};
use crate::command::{self, Answer, Command, Status, code};
use crate::control::{Control, UserControlEvent};
use crate::fmt::{info, warning};
use crate::message::StreamId;
use crate::session::error::{SessionError, Stage};
use crate::session::event::ClientEvent;
use crate::session::link::Received;

/// The buffer length, in ms, that a player announces by default. Servers send recorded streams that far ahead.
const BUFFER_MILLIS: u32 = 3_000;

/// The argument of a command of the client, after the command object, which is null.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument {
    None,
    /// The stream key.
    Key,
    /// The stream key, and that the stream is a live one.
    LiveKey,
    Number(u32),
}

/// A parsed command of the server.
enum ParsedCommand {
    /// `_result` of a transaction, and the first number in it.
    Result(Option<u32>, Option<u32>),
    /// `_error` of a transaction.
    Error(Option<u32>),
    /// `onStatus`.
    Status(StatusKind),
    /// `onBWDone`: the server offers to measure the bandwidth.
    BandwidthDone,
    /// `_onbwcheck`: the server measures the bandwidth, and wants an answer.
    BandwidthCheck,
    /// `close`.
    Close,
    Other,
}

enum StatusKind {
    PublishStart,
    PlayStart,
    UnpublishSuccess,
    Refusal,
    Other,
}

impl ParsedCommand {
    /// Also returns the transaction id, which is 0 if it is missing.
    fn of(answer: &Answer<'_>, plays: bool) -> (ParsedCommand, f64) {
        // One after another: a match on the bytes would compare with each name in line, which takes more flash.
        let is = |name: &str| answer.name == *name;
        let transaction = answer.transaction.value().unwrap_or(0.0);
        let id = number_to_u32(transaction);
        let parsed = if is("_result") {
            ParsedCommand::Result(id, answer.argument.value().and_then(number_to_u32))
        } else if is("_error") {
            ParsedCommand::Error(id)
        } else if is("onStatus") {
            let status = answer.status;
            ParsedCommand::Status(match status.code {
                code if code == *code::PUBLISH_START => StatusKind::PublishStart,
                code if plays && code == *code::PLAY_START => StatusKind::PlayStart,
                code if code == *code::UNPUBLISH_SUCCESS => StatusKind::UnpublishSuccess,
                _ if status.is_error() => StatusKind::Refusal,
                _ => StatusKind::Other,
            })
        } else if is("onBWDone") {
            ParsedCommand::BandwidthDone
        } else if is("_onbwcheck") && id != Some(0) {
            ParsedCommand::BandwidthCheck
        } else if is("close") {
            ParsedCommand::Close
        } else {
            ParsedCommand::Other
        };
        (parsed, transaction)
    }
}

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Handles a command. Returns the event for the application. The queue has room for the answers: this was checked
    /// before the command was read.
    pub(super) fn command<'i>(&mut self, received: Received) -> Result<Option<PendingEvent<'i>>, SessionError> {
        let (parsed, transaction) = ParsedCommand::of(&self.link.answer(&received), PLAYS > 0);
        let (stream, state) = (received.stream, self.role.state);
        let awaited = self.awaits().map(|_| self.role.awaited);
        Ok(match parsed {
            ParsedCommand::Result(id, number) if id == awaited => match state {
                State::ExpectConnect => {
                    let _ = self.link.announce_window();
                    let _ = self.link.announce_chunk_size(self.chunk_size);
                    self.proceed();
                    Some(PendingEvent::Connected)
                }
                State::ExpectStream => {
                    self.role.stream = StreamId(number.ok_or(SessionError::StreamId)?);
                    self.call_on(self.role.stream, "publish", Argument::LiveKey);
                    self.expect(State::ExpectPublish);
                    None
                }
                State::ExpectPlayStream if PLAYS > 0 => {
                    self.ask_play(StreamId(number.ok_or(SessionError::StreamId)?));
                    None
                }
                _ => None,
            },
            ParsedCommand::Error(id) if id == awaited => {
                self.refused().map(|stage| PendingEvent::Refused(stage, received))
            }
            ParsedCommand::Result(Some(id), _) if self.take_call(id) => Some(PendingEvent::Answer(id, true, received)),
            ParsedCommand::Error(Some(id)) if self.take_call(id) => Some(PendingEvent::Answer(id, false, received)),
            ParsedCommand::Status(StatusKind::PublishStart) if state == State::ExpectPublish => {
                self.role.publishing = true;
                self.proceed();
                Some(PendingEvent::Publishing)
            }
            ParsedCommand::Status(StatusKind::PlayStart)
                if PLAYS > 0 && state == State::ExpectPlay && !self.is_played(stream) =>
            {
                let stream = self.asked().unwrap_or(stream);
                self.proceed();
                Some(PendingEvent::Playing(stream))
            }
            ParsedCommand::Status(StatusKind::UnpublishSuccess) if state == State::Closing => {
                self.enter(State::Closed);
                Some(PendingEvent::Unpublished)
            }
            ParsedCommand::Status(StatusKind::Refusal) if awaited.is_some() && !self.is_under_way(stream) => {
                self.refused().map(|stage| PendingEvent::Refused(stage, received))
            }
            ParsedCommand::Status(_) => Some(PendingEvent::Status(received)),
            ParsedCommand::BandwidthDone => {
                // No answer is wanted.
                self.send(StreamId::CONNECTION, "_checkbw", 0.0, Argument::None);
                None
            }
            ParsedCommand::BandwidthCheck => {
                self.send(StreamId::CONNECTION, "_result", transaction, Argument::Number(0));
                None
            }
            ParsedCommand::Close => {
                self.enter(State::Closed);
                Some(PendingEvent::Closed)
            }
            ParsedCommand::Other if CALLS > 0 => Some(PendingEvent::Call(received)),
            ParsedCommand::Result(..) | ParsedCommand::Error(_) | ParsedCommand::Other => None,
        })
    }

    /// Turns what the client found into an event for the application.
    pub(super) fn event<'d, 'i: 'd>(&'d self, pending: PendingEvent<'i>) -> ClientEvent<'d> {
        match pending {
            PendingEvent::HandshakeDone(kind) => ClientEvent::HandshakeDone(kind),
            PendingEvent::Connected => {
                info!("connected");
                ClientEvent::Connected
            }
            PendingEvent::Publishing => {
                info!("publishing on message stream {}", self.role.stream.0);
                ClientEvent::Publishing(self.role.stream)
            }
            PendingEvent::Playing(stream) if PLAYS > 0 => {
                info!("playing on message stream {}", stream.0);
                ClientEvent::Playing(stream)
            }
            PendingEvent::Refused(stage, received) => {
                let status = self.status(&received);
                warning!("refused: {}", status.code);
                ClientEvent::Refused(stage, status)
            }
            PendingEvent::Status(received) => ClientEvent::Status(received.stream, self.status(&received)),
            PendingEvent::Answer(transaction, succeeded, received) if CALLS > 0 => {
                ClientEvent::Answer { transaction, succeeded, values: self.values(&received) }
            }
            PendingEvent::Call(received) if CALLS > 0 => ClientEvent::Call {
                stream: received.stream,
                command: self.link.command(&received).unwrap_or(Command::EMPTY),
            },
            PendingEvent::Unpublished => ClientEvent::Unpublished,
            // A client without room for plays and calls does not find the others.
            PendingEvent::Closed | PendingEvent::Playing(_) | PendingEvent::Answer(..) | PendingEvent::Call(..) => {
                ClientEvent::Closed
            }
            PendingEvent::Media(pulled) => ClientEvent::Media(self.link.lend(pulled)),
            PendingEvent::User(event) => ClientEvent::User(event),
        }
    }

    /// The info object of a command.
    #[inline(never)]
    fn status(&self, received: &Received) -> Status<'_> {
        self.link.answer(received).status
    }

    /// What follows the transaction id of a command.
    fn values(&self, received: &Received) -> Decoder<'_> {
        self.link.command(received).map_or(Decoder::new(&[]), |command| command.values)
    }

    /// The server has refused the current request. Returns its stage. If the server has created a stream for it, the
    /// stream is deleted, because the next attempt creates another one.
    fn refused(&mut self) -> Option<Stage> {
        let stage = self.awaits()?;
        if PLAYS > 0 && matches!(self.role.state, State::ExpectPlayStream | State::ExpectPlay) {
            self.give_up_play();
        } else {
            if self.role.state == State::ExpectPublish {
                self.delete_stream(self.role.stream);
            }
            self.keep_key(0);
        }
        if stage == Stage::Connect {
            self.enter(State::Closed);
        } else {
            self.proceed();
        }
        Some(stage)
    }

    /// Sends the next request, if there is one. The queue has room for it.
    #[inline(never)]
    pub(super) fn proceed(&mut self) {
        self.enter(State::Open);
        if self.role.key > 0 && !self.role.publishing {
            // The order of Flash Media Live Encoder (FMLE).
            self.call_connection("releaseStream", Argument::Key);
            self.call_connection("FCPublish", Argument::Key);
            self.create_stream(State::ExpectStream);
        } else if self.wants_to_play() {
            self.create_stream(State::ExpectPlayStream);
        }
    }

    fn create_stream(&mut self, next: State) {
        self.call_connection("createStream", Argument::None);
        self.expect(next);
    }

    /// Waits in state `next` for the answer to the last call.
    fn expect(&mut self, next: State) {
        self.role.awaited = self.role.last_transaction;
        self.enter(next);
    }

    /// Queues the commands that end one of our streams. The queue has room for them.
    pub(super) fn delete_stream(&mut self, stream: StreamId) {
        self.call_connection("deleteStream", Argument::Number(stream.0));
    }

    /// Makes room for `length` bytes of AMF0 as the stream key, which replaces the previous key. The caller has checked
    /// that there is room.
    pub(super) fn keep_key(&mut self, length: u16) -> &mut [u8] {
        let before = core::mem::replace(&mut self.role.key, length);
        self.link.queue.keep(0, before, length, PLAYS > 0)
    }

    /// A transaction that has not been used.
    pub(super) fn next_transaction(&mut self) -> u32 {
        self.role.last_transaction = self.role.last_transaction.wrapping_add(1);
        self.role.last_transaction
    }

    /// Queues a command on the stream of the connection. The caller has checked that there is room.
    pub(super) fn call_connection(&mut self, name: &str, argument: Argument) {
        self.call_on(StreamId::CONNECTION, name, argument);
    }

    #[inline(never)]
    fn call_on(&mut self, stream: StreamId, name: &str, argument: Argument) {
        let transaction = u32_to_number(self.next_transaction());
        self.send(stream, name, transaction, argument);
    }

    #[inline(never)]
    fn send(&mut self, stream: StreamId, name: &str, transaction: f64, argument: Argument) {
        let key = usize::from(self.role.key);
        let _ = self.link.queue(stream, &mut |encoder, stored| {
            command::begin(encoder, name, transaction)?.put(Token::Null)?;
            match argument {
                Argument::None => {}
                // Without plays, the key is the only stored value.
                Argument::Key | Argument::LiveKey if PLAYS == 0 => _ = encoder.raw(stored)?,
                Argument::Key | Argument::LiveKey => {
                    _ = encoder.raw(stored.get(stored.len().wrapping_sub(key)..).unwrap_or(&[]))?;
                }
                Argument::Number(number) => _ = encoder.put(Token::Number(u32_to_number(number)))?,
            }
            if let Argument::LiveKey = argument {
                encoder.short_string(&["live"])?;
            }
            Ok(())
        });
    }
}

/// Handles streams that are played. If the client has no room for any, the compiler removes this code.
impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// The streams that are played or have been requested.
    pub(super) fn played(&self) -> impl Iterator<Item = StreamId> {
        self.role.plays.iter().filter_map(|play| play.stream)
    }

    /// Whether a request waits to be sent.
    fn wants_to_play(&self) -> bool {
        PLAYS > 0 && self.role.plays.iter().any(|play| play.stream.is_none())
    }

    /// `createStream` is answered: sends what is played on the stream. The queue has room for it.
    fn ask_play(&mut self, stream: StreamId) {
        if PLAYS == 0 {
            return;
        }
        let transaction = u32_to_number(self.next_transaction());
        let buffer = UserControlEvent::SetBufferLength { stream, millis: BUFFER_MILLIS };
        let _ = self.link.queue_control(Control::User(buffer));
        let waiting = self.role.plays.iter_mut().find(|play| play.stream.is_none());
        if let Some(play) = waiting {
            play.stream = Some(stream);
            let (key, length) = (self.role.key, play.length);
            let _ = self.link.queue(stream, &mut |encoder, stored| {
                let end = stored.len().wrapping_sub(key.into());
                let arguments = stored.get(end.wrapping_sub(length.into())..end).unwrap_or(&[]);
                command::begin(encoder, "play", transaction)?.put(Token::Null)?.raw(arguments).map(|_| ())
            });
            self.link.queue.keep(key, length, 0, true);
        }
        self.expect(State::ExpectPlay);
    }

    /// The stream of the last `play` that was sent. All earlier ones are answered.
    pub(super) fn asked(&self) -> Option<StreamId> {
        if PLAYS == 0 { None } else { self.played().last() }
    }

    /// Whether a message on `stream` is about a stream that is played already, not about the current request.
    fn is_played(&self, stream: StreamId) -> bool {
        let awaited = self.asked().filter(|_| self.role.state == State::ExpectPlay);
        PLAYS > 0 && awaited != Some(stream) && self.played().any(|played| played == stream)
    }

    /// Whether it is about a stream that is played or published already.
    fn is_under_way(&self, stream: StreamId) -> bool {
        // A message on the stream of the connection may be about anything.
        let publishes = stream != StreamId::CONNECTION && self.publishing() == Some(stream);
        PLAYS > 0 && (publishes || self.is_played(stream))
    }

    /// Removes the current request, which was refused, and deletes its stream.
    fn give_up_play(&mut self) {
        if PLAYS == 0 {
            return;
        }
        match self.asked().filter(|_| self.role.state == State::ExpectPlay) {
            Some(stream) => {
                self.delete_stream(stream);
                self.role.plays.retain(|play| play.stream != Some(stream));
            }
            None => {
                let waiting = self.role.plays.iter().find(|play| play.stream.is_none()).map_or(0, |play| play.length);
                let mut first = true;
                self.role.plays.retain(|play| play.stream.is_some() || !core::mem::take(&mut first));
                self.link.queue.keep(self.role.key, waiting, 0, true);
            }
        }
    }
}
