//! What the client makes of the server's commands.

use super::{Client, PendingEvent, State};
use crate::amf0::{Token, u32_to_number};
use crate::command::{self, Command, Status, code};
use crate::message::StreamId;
use crate::session::link::Payload;
use crate::session::{SessionError, Stage};

/// What a command of the client says behind its command object, which is null.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument {
    None,
    /// The stream key.
    Key,
    Number(u32),
    /// The stream key, and that the stream is a live one.
    Publish,
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
                    self.call_on(self.stream, "publish", Argument::Publish);
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
            self.keep_key(0);
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
        if self.key > 0 && !self.publishing {
            // In FMLE's order.
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

    /// Awaits the answer to the last call.
    pub(super) fn expect(&mut self, next: State) {
        self.awaited = self.last_transaction;
        self.enter(next);
    }

    /// Queues the end of a stream of ours, for which there is room.
    pub(super) fn delete_stream(&mut self, stream: StreamId) {
        self.call_connection("deleteStream", Argument::Number(stream.0));
    }

    /// Makes room for a stream key in place of the one before, in so many bytes of AMF0, for which there is room.
    pub(super) fn keep_key(&mut self, length: u16) -> &mut [u8] {
        let before = core::mem::replace(&mut self.key, length);
        self.link.queue.keep(0, before, length, PLAYS > 0)
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
        let key = usize::from(self.key);
        let _ = self.link.queue(stream, &mut |encoder, kept| {
            command::begin(encoder, name, transaction)?.put(Token::Null)?;
            match argument {
                Argument::None => {}
                // Without streams that play, nothing else is kept.
                Argument::Key | Argument::Publish if PLAYS == 0 => _ = encoder.raw(kept)?,
                Argument::Key | Argument::Publish => {
                    _ = encoder.raw(kept.get(kept.len().wrapping_sub(key)..).unwrap_or(&[]))?;
                }
                Argument::Number(number) => _ = encoder.put(Token::Number(u32_to_number(number)))?,
            }
            if let Argument::Publish = argument {
                encoder.short_string(&["live"])?;
            }
            Ok(())
        });
    }
}
