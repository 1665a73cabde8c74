//! What the client makes of the server's commands.

use super::client::{Client, Found, State, transaction};
use super::link::Payload;
use super::{Error, RequestError, Stage};
use crate::amf0::Token;
use crate::chunk::MAX_CHUNK_SIZE;
use crate::command::{self, Command, Status, code};
use crate::control::Control;
use crate::message::StreamId;

/// What a command is about, once it has been understood.
enum Meaning {
    /// `_result` and the first number in it, if any.
    Result(Option<u32>, Option<u32>),
    /// `_error`.
    Error(Option<u32>),
    /// `onStatus`, and what its code says.
    Status(News),
    /// `onBWDone`: the server wants to measure.
    BandwidthDone,
    /// `_onbwcheck`: the server measures, and wants an answer to this transaction.
    BandwidthCheck(f64),
    /// `close`.
    Close,
    /// Of no concern.
    Other,
}

enum News {
    PublishStart,
    UnpublishSuccess,
    Connection { refused: bool },
    Stream { refused: bool },
}

impl Meaning {
    fn of(command: &Command<'_>) -> Meaning {
        match command.name.as_bytes() {
            b"_result" => Meaning::Result(command.transaction_id(), command.number_argument()),
            b"_error" => Meaning::Error(command.transaction_id()),
            b"onStatus" => {
                let status = Status::parse(command.values);
                let refused = status.is_error();
                Meaning::Status(match status.code {
                    it if it == *code::PUBLISH_START => News::PublishStart,
                    it if it == *code::UNPUBLISH_SUCCESS => News::UnpublishSuccess,
                    it if it.as_bytes().starts_with(b"NetConnection.") => News::Connection { refused },
                    _ => News::Stream { refused },
                })
            }
            b"onBWDone" => Meaning::BandwidthDone,
            b"_onbwcheck" if command.wants_answer() => Meaning::BandwidthCheck(command.transaction),
            b"close" => Meaning::Close,
            _ => Meaning::Other,
        }
    }
}

impl<'b, const STREAMS: usize> Client<'b, STREAMS> {
    /// Takes a command that is whole; answers what the application must hear of it.
    pub(super) fn command<'i>(&mut self, stream: StreamId, payload: Payload<'i>) -> Result<Option<Found<'i>>, Error> {
        let bytes = self.link.payload(payload.clone());
        let Some(meaning) = Command::parse(bytes).map(|command| Meaning::of(&command)) else { return Ok(None) };
        let found = match meaning {
            Meaning::Result(Some(transaction::CONNECT), _) if self.state == State::ExpectConnect => {
                self.enter(State::Connected);
                // The queue has had room since before the answer was read.
                let _ = self.link.announce_window(self.config.window);
                let _ =
                    self.link.queue_control(&Control::SetChunkSize(self.config.chunk_size.clamp(128, MAX_CHUNK_SIZE)));
                if self.key.is_some() {
                    let _ = self.create_stream();
                }
                Some(Found::Connected)
            }
            Meaning::Result(Some(transaction::CREATE_STREAM), id) if self.state == State::ExpectStream => {
                self.stream = StreamId(id.ok_or(Error::StreamId)?);
                let (stream, key) = (self.stream, self.key.unwrap_or_default());
                let _ = self
                    .link
                    .queue_command(stream, &mut |encoder| command::publish(encoder, transaction::PUBLISH, key));
                self.enter(State::ExpectPublish);
                None
            }
            Meaning::Error(Some(transaction)) => self.refusal(transaction).map(|stage| Found::Refused(stage, payload)),
            Meaning::Status(News::PublishStart) if self.state == State::ExpectPublish => {
                self.enter(State::Publishing);
                Some(Found::Publishing)
            }
            Meaning::Status(News::UnpublishSuccess) if self.state == State::Closing => {
                self.enter(State::Closed);
                Some(Found::Unpublished)
            }
            Meaning::Status(News::Connection { refused: true }) if self.state == State::ExpectConnect => {
                self.enter(State::Closed);
                Some(Found::Refused(Stage::Connect, payload))
            }
            Meaning::Status(News::Stream { refused: true }) if self.state == State::ExpectPublish => {
                self.give_up_publishing();
                Some(Found::Refused(Stage::Publish, payload))
            }
            Meaning::Status(_) => Some(Found::Status(stream, payload)),
            Meaning::BandwidthDone => {
                let _ = self.call("_checkbw", transaction::CHECK_BW, None);
                None
            }
            Meaning::BandwidthCheck(transaction) => {
                let _ = self.link.queue_command(StreamId::CONNECTION, &mut |encoder| {
                    command::result(encoder, transaction, Token::Number(0.0))
                });
                None
            }
            Meaning::Close => {
                self.enter(State::Closed);
                Some(Found::Closed)
            }
            Meaning::Result(..) | Meaning::Error(None) | Meaning::Other => None,
        };
        Ok(found)
    }

    /// Begins to publish, in FMLE's order.
    pub(super) fn create_stream(&mut self) -> Result<(), RequestError> {
        let key = self.key;
        self.call("releaseStream", transaction::RELEASE_STREAM, key)?;
        self.call("FCPublish", transaction::FC_PUBLISH, key)?;
        self.call("createStream", transaction::CREATE_STREAM, None)?;
        self.enter(State::ExpectStream);
        Ok(())
    }

    /// Queues a command on the connection's own stream.
    pub(super) fn call(&mut self, name: &str, transaction: u32, argument: Option<&str>) -> Result<(), RequestError> {
        self.link
            .queue_command(StreamId::CONNECTION, &mut |encoder| command::call(encoder, name, transaction, argument))
    }

    /// What an `_error` refuses; nothing where that is of no concern, as with `releaseStream`.
    fn refusal(&mut self, transaction: u32) -> Option<Stage> {
        match (transaction, self.state) {
            (transaction::CONNECT, State::ExpectConnect) => {
                self.enter(State::Closed);
                Some(Stage::Connect)
            }
            (transaction::CREATE_STREAM, State::ExpectStream) => {
                self.give_up_publishing();
                Some(Stage::CreateStream)
            }
            (transaction::PUBLISH, State::ExpectPublish) => {
                self.give_up_publishing();
                Some(Stage::Publish)
            }
            _ => None,
        }
    }

    /// Queues the end of our stream.
    pub(super) fn delete_stream(&mut self) -> Result<(), RequestError> {
        let stream = self.stream;
        self.link.queue_command(StreamId::CONNECTION, &mut |encoder| {
            command::delete_stream(encoder, transaction::DELETE_STREAM, stream)
        })
    }

    /// The server has refused; where it has made a stream, that goes, since the next try makes another.
    fn give_up_publishing(&mut self) {
        if self.state == State::ExpectPublish {
            let _ = self.delete_stream();
        }
        self.key = None;
        self.enter(State::Connected);
    }
}
