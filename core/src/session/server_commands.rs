//! What the server makes of the client's commands.

use super::link::Payload;
use super::server::{Found, Server, State, StreamState};
use crate::amf0::{Token, u32_to_number};
use crate::command::{self, Command, Status, code};
use crate::message::StreamId;

/// The commands that are carried out.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    Connect,
    CreateStream,
    Publish,
    Play,
    DeleteStream,
    CloseStream,
    /// Those that only want to hear that they arrived: `releaseStream`, `FCPublish`, `FCUnpublish`, `_checkbw`.
    Courtesy,
    /// Answers to what we have said.
    Answer,
    Unknown,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        match name {
            b"connect" => Name::Connect,
            b"createStream" => Name::CreateStream,
            b"publish" => Name::Publish,
            b"play" => Name::Play,
            b"deleteStream" => Name::DeleteStream,
            b"closeStream" => Name::CloseStream,
            b"releaseStream" | b"FCPublish" | b"FCUnpublish" | b"_checkbw" => Name::Courtesy,
            b"_result" | b"_error" | b"onStatus" => Name::Answer,
            _ => Name::Unknown,
        }
    }
}

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// Takes a command that is whole; answers what the application must hear of it. The queue has room for the answer.
    pub(super) fn command(&mut self, on: StreamId, payload: Payload) -> Option<Found> {
        let command = Command::parse(self.link.payload(payload))?;
        let (name, transaction) = (Name::of(command.name.as_bytes()), command.transaction);
        let (wants_answer, number) = (command.wants_answer(), command.number_argument());
        let has_key = command.string_argument().is_some();
        match (name, self.state) {
            (Name::Connect, State::ExpectConnect) => {
                self.enter(State::Connecting(transaction));
                return Some(Found::Connect);
            }
            // Who does not want an answer would never know the stream.
            (Name::CreateStream, State::Open) if wants_answer => {
                if let Some(stream) = self.create_stream() {
                    let id = Token::Number(u32_to_number(stream.0));
                    self.reply(transaction, id);
                    return None;
                }
            }
            (Name::Publish, State::Open) => return self.publish(on, has_key).then_some(Found::Publish(on)),
            (Name::Play, State::Open) => {
                let status = Status::error(code::PLAY_FAILED, "There is nothing to play here.");
                let _ = self.link.queue_status(on, &status);
                return None;
            }
            (Name::DeleteStream | Name::CloseStream, State::Open) => {
                let stream = match (name, number) {
                    (Name::DeleteStream, Some(id)) => StreamId(id),
                    // GStreamer names the key in place of the stream.
                    (Name::DeleteStream, None) => self.publisher(on).unwrap_or(on),
                    _ => on,
                };
                return self.end_stream(stream, name == Name::DeleteStream).then_some(Found::Unpublished(stream));
            }
            (Name::Courtesy, State::Open) => {
                if wants_answer {
                    self.reply(transaction, Token::Undefined);
                }
                return None;
            }
            (Name::Answer, _) => return None,
            _ => {}
        }
        if wants_answer {
            let status = Status::error(code::CALL_FAILED, "The call cannot be carried out.");
            let _ = self.link.queue(StreamId::CONNECTION, &mut |encoder| {
                command::put_status(encoder, "_error", transaction, &status)
            });
        }
        None
    }

    /// Queues a `_result`; the queue has had room since before the command was read.
    fn reply(&mut self, transaction: f64, value: Token<'_>) {
        let _ = self.link.queue_command(StreamId::CONNECTION, "_result", transaction, &[Token::Null, value]);
    }

    /// A new message stream; `None` where the connection has as many as it may.
    fn create_stream(&mut self) -> Option<StreamId> {
        let stream = StreamId(self.last_stream.checked_add(1)?);
        self.streams.push((stream, StreamState::Created)).ok()?;
        self.last_stream = stream.0;
        Some(stream)
    }

    /// Whether the application is to be asked about a publisher on `stream`. Some clients publish on a stream that they
    /// never created.
    fn publish(&mut self, stream: StreamId, has_key: bool) -> bool {
        let known = self.stream(stream);
        let fresh = known.is_none() && has_key && self.streams.push((stream, StreamState::Created)).is_ok();
        if has_key && (fresh || known == Some(StreamState::Created)) {
            self.last_stream = self.last_stream.max(stream.0);
            self.set(stream, StreamState::Asking);
            return true;
        }
        let status = Status::error(code::PUBLISH_BAD_NAME, "The stream cannot be published.");
        let _ = self.link.queue_status(stream, &status);
        false
    }

    /// Ends what is published on a stream, and the stream where it is to go; answers whether something was published.
    fn end_stream(&mut self, stream: StreamId, gone: bool) -> bool {
        let published = self.stream(stream) == Some(StreamState::Publishing);
        if gone {
            self.streams.retain(|(id, _)| *id != stream);
        } else {
            self.set(stream, StreamState::Created);
        }
        if published {
            self.cut_off();
            let status = Status::ok(code::UNPUBLISH_SUCCESS, "Publishing has ended.");
            let _ = self.link.queue_status(stream, &status);
        }
        published
    }
}
