//! What the client makes of the server's commands.

use super::client::{Client, Found, State, transaction};
use super::link::Payload;
use super::{Error, Stage};
use crate::amf0::u32_to_number;
use crate::command::{self, Argument, Command, Status, code};
use crate::message::StreamId;

/// What a command is about, once it has been understood.
enum Meaning {
    /// `_result` to a transaction, and the first number in it.
    Result(Option<u32>, Option<u32>),
    /// `_error` to a transaction.
    Error(Option<u32>),
    /// `onStatus`, and what it says.
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
    Refusal,
    Other,
}

impl Meaning {
    fn of(command: &Command<'_>) -> Meaning {
        // One after the other: a match on the bytes would compare with each in line, which takes more flash.
        let is = |name: &str| command.name == *name;
        let id = command.transaction_id();
        if is("_result") {
            Meaning::Result(id, command.number_argument())
        } else if is("_error") {
            Meaning::Error(id)
        } else if is("onStatus") {
            let status = Status::parse(command.values);
            Meaning::Status(match status.code {
                code if code == *code::PUBLISH_START => News::PublishStart,
                code if code == *code::UNPUBLISH_SUCCESS => News::UnpublishSuccess,
                _ if status.is_error() => News::Refusal,
                _ => News::Other,
            })
        } else if is("onBWDone") {
            Meaning::BandwidthDone
        } else if is("_onbwcheck") && id != Some(0) {
            Meaning::BandwidthCheck(command.transaction)
        } else if is("close") {
            Meaning::Close
        } else {
            Meaning::Other
        }
    }
}

impl<'b, const STREAMS: usize> Client<'b, STREAMS> {
    /// Takes a command that is whole; answers what the application must hear of it. The queue has had room for what that
    /// brings about since before the command was read.
    pub(super) fn command<'i>(&mut self, stream: StreamId, payload: Payload) -> Result<Option<Found<'i>>, Error> {
        let bytes = self.link.payload(payload.clone());
        let Some(meaning) = Command::parse(bytes).map(|command| Meaning::of(&command)) else { return Ok(None) };
        let awaited = self.awaited();
        Ok(match meaning {
            Meaning::Result(id, number) if id == awaited => match self.state {
                State::ExpectConnect => {
                    self.enter(State::Connected);
                    let _ = self.link.announce_window(self.window);
                    let _ = self.link.announce_chunk_size(self.chunk_size);
                    if self.key.is_some() {
                        self.create_stream();
                    }
                    Some(Found::Connected)
                }
                State::ExpectStream => {
                    self.stream = StreamId(number.ok_or(Error::StreamId)?);
                    let argument = Argument::Publish(self.key.unwrap_or_default());
                    self.send(self.stream, "publish", u32_to_number(transaction::PUBLISH), argument);
                    self.enter(State::ExpectPublish);
                    None
                }
                _ => None,
            },
            Meaning::Error(id) if id == awaited => self.refused().map(|stage| Found::Refused(stage, payload)),
            Meaning::Status(News::PublishStart) if self.state == State::ExpectPublish => {
                self.enter(State::Publishing);
                Some(Found::Publishing)
            }
            Meaning::Status(News::UnpublishSuccess) if self.state == State::Closing => {
                self.enter(State::Closed);
                Some(Found::Unpublished)
            }
            Meaning::Status(News::Refusal) if awaited.is_some() => {
                self.refused().map(|stage| Found::Refused(stage, payload))
            }
            Meaning::Status(_) => Some(Found::Status(stream, payload)),
            Meaning::BandwidthDone => {
                self.call("_checkbw", transaction::CHECK_BW, Argument::None);
                None
            }
            Meaning::BandwidthCheck(transaction) => {
                self.send(StreamId::CONNECTION, "_result", transaction, Argument::Number(0));
                None
            }
            Meaning::Close => {
                self.enter(State::Closed);
                Some(Found::Closed)
            }
            Meaning::Result(..) | Meaning::Error(_) | Meaning::Other => None,
        })
    }

    /// The transaction whose answer decides what comes next.
    fn awaited(&self) -> Option<u32> {
        match self.state {
            State::ExpectConnect => Some(transaction::CONNECT),
            State::ExpectStream => Some(transaction::CREATE_STREAM),
            State::ExpectPublish => Some(transaction::PUBLISH),
            _ => None,
        }
    }

    /// The server has refused what is awaited; answers what that is. Where it has made a stream, that goes, since the next
    /// try makes another.
    fn refused(&mut self) -> Option<Stage> {
        let stage = self.awaits()?;
        if self.state == State::ExpectPublish {
            self.delete_stream();
        }
        self.key = None;
        self.enter(if stage == Stage::Connect { State::Closed } else { State::Connected });
        Some(stage)
    }

    /// Begins to publish, in FMLE's order. The queue has room for it.
    pub(super) fn create_stream(&mut self) {
        let key = Argument::Text(self.key.unwrap_or_default());
        self.call("releaseStream", transaction::RELEASE_STREAM, key);
        self.call("FCPublish", transaction::FC_PUBLISH, key);
        self.call("createStream", transaction::CREATE_STREAM, Argument::None);
        self.enter(State::ExpectStream);
    }

    /// Queues the end of our stream, for which there is room.
    pub(super) fn delete_stream(&mut self) {
        self.call("deleteStream", transaction::DELETE_STREAM, Argument::Number(self.stream.0));
    }

    /// Queues a command on the connection's own stream. Whoever calls this knows that there is room.
    #[inline(never)]
    pub(super) fn call(&mut self, name: &str, transaction: u32, argument: Argument<'_>) {
        self.send(StreamId::CONNECTION, name, u32_to_number(transaction), argument);
    }

    #[inline(never)]
    fn send(&mut self, stream: StreamId, name: &str, transaction: f64, argument: Argument<'_>) {
        let _ = self.link.queue(stream, &mut |encoder| command::put_call(encoder, name, transaction, argument));
    }
}
