//! What the client makes of the server's commands.

use super::{Client, PendingEvent, State};
use crate::amf0::{Token, u32_to_number};
use crate::command::{self, Command, Status, code};
use crate::message::StreamId;
use crate::session::link::Payload;
use crate::session::queue::Kept;
use crate::session::{SessionError, Stage};

/// What a command of the client says behind its command object, which is null.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument {
    None,
    /// Values that the queue keeps.
    Kept(Kept),
    Number(u32),
    /// A stream key, and that the stream is a live one.
    Publish(Kept),
}

/// What a command is about, once it has been understood.
enum ParsedCommand {
    /// `_result` to a transaction, and the first number in it.
    Result(Option<u32>, Option<u32>),
    /// `_error` to a transaction.
    SessionError(Option<u32>),
    /// `onStatus`, and what it says.
    Status(StatusKind),
    /// `onBWDone`: the server wants to measure.
    BandwidthDone,
    /// `_onbwcheck`: the server measures, and wants an answer to this transaction.
    BandwidthCheck(f64),
    /// `close`.
    Close,
    /// Of no concern.
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
    fn of(command: &Command<'_>, plays: bool) -> ParsedCommand {
        // One after the other: a match on the bytes would compare with each in line, which takes more flash.
        let is = |name: &str| command.name == *name;
        let id = command.transaction_id();
        if is("_result") {
            ParsedCommand::Result(id, command.number_argument())
        } else if is("_error") {
            ParsedCommand::SessionError(id)
        } else if is("onStatus") {
            let status = Status::parse(command.values);
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
            ParsedCommand::BandwidthCheck(command.transaction)
        } else if is("close") {
            ParsedCommand::Close
        } else {
            ParsedCommand::Other
        }
    }
}

impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// Takes a command that is whole; answers what the application must hear of it. The queue has had room for what that
    /// brings about since before the command was read.
    pub(super) fn command<'i>(
        &mut self,
        stream: StreamId,
        payload: Payload,
    ) -> Result<Option<PendingEvent<'i>>, SessionError> {
        let bytes = self.link.payload(payload.clone());
        let Some(meaning) = Command::parse(bytes).map(|command| ParsedCommand::of(&command, PLAYS > 0)) else {
            return Ok(None);
        };
        let awaited = self.awaits().map(|_| self.awaited);
        Ok(match meaning {
            ParsedCommand::Result(id, number) if id == awaited => match self.state {
                State::ExpectConnect => {
                    let _ = self.link.announce_window();
                    let _ = self.link.announce_chunk_size(self.chunk_size);
                    self.proceed();
                    Some(PendingEvent::Connected)
                }
                State::ExpectStream => {
                    self.stream = StreamId(number.ok_or(SessionError::StreamId)?);
                    self.call_on(self.stream, "publish", Argument::Publish(self.key));
                    self.expect(State::ExpectPublish);
                    None
                }
                State::ExpectPlayStream if PLAYS > 0 => {
                    self.ask_play(StreamId(number.ok_or(SessionError::StreamId)?));
                    None
                }
                _ => None,
            },
            ParsedCommand::SessionError(id) if id == awaited => {
                self.refused().map(|stage| PendingEvent::Refused(stage, payload))
            }
            ParsedCommand::Result(Some(id), _) if self.is_call(id) => Some(PendingEvent::Answer(id, true, payload)),
            ParsedCommand::SessionError(Some(id)) if self.is_call(id) => Some(PendingEvent::Answer(id, false, payload)),
            ParsedCommand::Status(StatusKind::PublishStart) if self.state == State::ExpectPublish => {
                self.publishing = true;
                self.proceed();
                Some(PendingEvent::Publishing)
            }
            ParsedCommand::Status(StatusKind::PlayStart)
                if PLAYS > 0 && self.state == State::ExpectPlay && !self.is_played(stream) =>
            {
                let stream = self.asked().unwrap_or(stream);
                self.proceed();
                Some(PendingEvent::Playing(stream))
            }
            ParsedCommand::Status(StatusKind::UnpublishSuccess) if self.state == State::Closing => {
                self.enter(State::Closed);
                Some(PendingEvent::Unpublished)
            }
            ParsedCommand::Status(StatusKind::Refusal) if awaited.is_some() && !self.is_under_way(stream) => {
                self.refused().map(|stage| PendingEvent::Refused(stage, payload))
            }
            ParsedCommand::Status(_) => Some(PendingEvent::Status(stream, payload)),
            ParsedCommand::BandwidthDone => {
                // Whatever comes of it: no answer is wanted.
                self.send(StreamId::CONNECTION, "_checkbw", 0.0, Argument::None);
                None
            }
            ParsedCommand::BandwidthCheck(transaction) => {
                self.send(StreamId::CONNECTION, "_result", transaction, Argument::Number(0));
                None
            }
            ParsedCommand::Close => {
                self.enter(State::Closed);
                Some(PendingEvent::Closed)
            }
            ParsedCommand::Other if CALLS > 0 => Some(PendingEvent::Call(stream, payload)),
            ParsedCommand::Result(..) | ParsedCommand::SessionError(_) | ParsedCommand::Other => None,
        })
    }

    /// The server has refused what is awaited; answers what that is. Where it has made a stream, that goes, since the next
    /// try makes another.
    fn refused(&mut self) -> Option<Stage> {
        let stage = self.awaits()?;
        if PLAYS > 0 && matches!(self.state, State::ExpectPlayStream | State::ExpectPlay) {
            self.give_up_play();
        } else {
            if self.state == State::ExpectPublish {
                self.delete_stream(self.stream);
            }
            self.replace_key(Kept::NONE);
        }
        if stage == Stage::Connect {
            self.enter(State::Closed);
        } else {
            self.proceed();
        }
        Some(stage)
    }

    /// Goes on to the next request, where there is one. The queue has room for it.
    #[inline(never)]
    pub(super) fn proceed(&mut self) {
        self.enter(State::Open);
        if !self.key.is_none() && !self.publishing {
            // In FMLE's order.
            self.call_connection("releaseStream", Argument::Kept(self.key));
            self.call_connection("FCPublish", Argument::Kept(self.key));
            self.create_stream(State::ExpectStream);
        } else if self.wants_to_play() {
            self.create_stream(State::ExpectPlayStream);
        }
    }

    fn create_stream(&mut self, next: State) {
        self.call_connection("createStream", Argument::None);
        self.expect(next);
    }

    /// Awaits the answer to the last call.
    pub(super) fn expect(&mut self, next: State) {
        self.awaited = self.last_transaction;
        self.enter(next);
    }

    /// Queues the end of a stream of ours, for which there is room.
    pub(super) fn delete_stream(&mut self, stream: StreamId) {
        self.call_connection("deleteStream", Argument::Number(stream.0));
    }

    /// Makes `key` the stream key, and forgets the one before.
    pub(super) fn replace_key(&mut self, key: Kept) {
        let before = core::mem::replace(&mut self.key, key);
        self.forget_kept(before);
    }

    /// The values in `place` are not needed any longer.
    pub(super) fn forget_kept(&mut self, place: Kept) {
        self.link.queue.forget(place);
        self.key.forgotten(place);
        self.plays.iter_mut().for_each(|play| play.request.forgotten(place));
    }

    /// A transaction that has not been used.
    pub(super) fn next_transaction(&mut self) -> u32 {
        self.last_transaction = self.last_transaction.wrapping_add(1);
        self.last_transaction
    }

    /// Queues a command on the connection's own stream. Whoever calls this knows that there is room.
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
        let _ = self.link.queue(stream, &mut |encoder, kept| {
            command::begin(encoder, name, transaction)?.put(Token::Null)?;
            match argument {
                Argument::None => {}
                Argument::Kept(text) | Argument::Publish(text) => _ = encoder.raw(text.of(kept))?,
                Argument::Number(number) => _ = encoder.put(Token::Number(u32_to_number(number)))?,
            }
            if let Argument::Publish(_) = argument {
                encoder.short_string(&["live"])?;
            }
            Ok(())
        });
    }
}
