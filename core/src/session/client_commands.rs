//! What the client makes of the server's commands.

use super::client::{Client, Found, State, transaction};
use super::link::Payload;
use super::{Error, RequestError, Stage};
use crate::amf0::{Encoder, Token};
use crate::chunk::MAX_CHUNK_SIZE;
use crate::command::{self, Command, Status, code};
use crate::control::Control;
use crate::message::StreamId;

/// What a command is about.
#[derive(Clone, Copy)]
enum Subject {
    /// `_result`.
    Result,
    /// `_error`.
    Error,
    /// `onStatus`, by what its code says.
    PublishStart,
    UnpublishSuccess,
    ConnectionRefused,
    StreamRefused,
    Status,
    /// `onBWDone`: the server wants to measure.
    BandwidthDone,
    /// `_onbwcheck`: the server measures, and wants an answer.
    BandwidthCheck,
    /// `close`.
    Close,
    /// Of no concern.
    Other,
}

impl Subject {
    fn of(command: &Command<'_>) -> Subject {
        const SUBJECTS: [(&str, Subject); 6] = [
            ("_result", Subject::Result),
            ("_error", Subject::Error),
            ("onStatus", Subject::Status),
            ("onBWDone", Subject::BandwidthDone),
            ("_onbwcheck", Subject::BandwidthCheck),
            ("close", Subject::Close),
        ];
        let known = SUBJECTS.iter().find(|(name, _)| command.name == **name);
        match known.map_or(Subject::Other, |(_, subject)| *subject) {
            Subject::Status => {
                let status = Status::parse(command.values);
                match status.code {
                    code if code == *code::PUBLISH_START => Subject::PublishStart,
                    code if code == *code::UNPUBLISH_SUCCESS => Subject::UnpublishSuccess,
                    _ if !status.is_error() => Subject::Status,
                    code if code.as_bytes().starts_with(b"NetConnection.") => Subject::ConnectionRefused,
                    _ => Subject::StreamRefused,
                }
            }
            Subject::BandwidthCheck if !command.wants_answer() => Subject::Other,
            subject => subject,
        }
    }
}

impl<'b, const STREAMS: usize> Client<'b, STREAMS> {
    /// Takes a command that is whole; answers what the application must hear of it.
    pub(super) fn command(&mut self, payload: Payload<'_>) -> Result<Option<Found>, Error> {
        let Some(command) = Command::parse(self.link.payload(payload)) else { return Ok(None) };
        let (subject, transaction, number) = (Subject::of(&command), command.transaction, command.number_argument());
        let awaited = command.transaction_id() == Some(self.state.transaction());
        let found = match (subject, self.state) {
            (Subject::Result, State::ExpectConnect) if awaited => {
                self.connected();
                Found::Connected
            }
            (Subject::Result, State::ExpectStream) if awaited => {
                self.stream = StreamId(number.ok_or(Error::StreamId)?);
                let _ =
                    self.call(self.stream, "publish", transaction::PUBLISH, &[self.key.unwrap_or(""), "live"], None);
                self.enter(State::ExpectPublish);
                return Ok(None);
            }
            (Subject::Error, _) if awaited => self.refused(),
            (Subject::ConnectionRefused, State::ExpectConnect) => self.refused(),
            (Subject::StreamRefused, State::ExpectPublish) => self.refused(),
            (Subject::PublishStart, State::ExpectPublish) => {
                self.enter(State::Publishing);
                Found::Publishing
            }
            (Subject::UnpublishSuccess, State::Closing) => {
                self.enter(State::Closed);
                Found::Unpublished
            }
            (Subject::Result | Subject::Error | Subject::Other, _) => return Ok(None),
            (Subject::BandwidthDone, _) => {
                let _ = self.call(StreamId::CONNECTION, "_checkbw", transaction::CHECK_BW, &[], None);
                return Ok(None);
            }
            (Subject::BandwidthCheck, _) => {
                let mut emit = |encoder: &mut Encoder<'_>| command::result(encoder, transaction, Token::Number(0.0));
                let _ = self.link.queue_command(StreamId::CONNECTION, &mut emit);
                return Ok(None);
            }
            (Subject::Close, _) => {
                self.enter(State::Closed);
                Found::Closed
            }
            _ => Found::Status,
        };
        Ok(Some(found))
    }

    /// The server has accepted `connect`. The queue has had room for what follows since before the answer was read.
    fn connected(&mut self) {
        self.enter(State::Connected);
        let _ = self.link.announce_window(self.window);
        let _ = self.link.queue_control(&Control::SetChunkSize(self.chunk_size.clamp(128, MAX_CHUNK_SIZE)));
        if self.key.is_some() {
            let _ = self.create_stream();
        }
    }

    /// Begins to publish, in FMLE's order.
    pub(super) fn create_stream(&mut self) -> Result<(), RequestError> {
        let key = [self.key.unwrap_or("")];
        self.call(StreamId::CONNECTION, "releaseStream", transaction::RELEASE_STREAM, &key, None)?;
        self.call(StreamId::CONNECTION, "FCPublish", transaction::FC_PUBLISH, &key, None)?;
        self.call(StreamId::CONNECTION, "createStream", transaction::CREATE_STREAM, &[], None)?;
        self.enter(State::ExpectStream);
        Ok(())
    }

    /// Queues the end of our stream.
    pub(super) fn delete_stream(&mut self) -> Result<(), RequestError> {
        self.call(StreamId::CONNECTION, "deleteStream", transaction::DELETE_STREAM, &[], Some(self.stream.0))
    }

    /// Queues a command on `stream`, with these arguments.
    pub(super) fn call(
        &mut self,
        stream: StreamId,
        name: &str,
        transaction: u32,
        strings: &[&str],
        number: Option<u32>,
    ) -> Result<(), RequestError> {
        self.link.queue_command(stream, &mut |encoder| command::write(encoder, name, transaction, strings, number))
    }

    /// The server has refused what it was asked. Where it has made a stream, that goes, since the next try makes another.
    fn refused(&mut self) -> Found {
        let stage = self.state.awaits().unwrap_or(Stage::Connect);
        if self.state == State::ExpectPublish {
            let _ = self.delete_stream();
        }
        if stage == Stage::Connect {
            self.enter(State::Closed);
        } else {
            self.key = None;
            self.enter(State::Connected);
        }
        Found::Refused(stage)
    }
}
