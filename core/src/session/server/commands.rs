//! What the server makes of the client's commands.

use super::streams::StreamState;
use super::{Call, PendingEvent, Server, State};
use crate::amf0::{Token, u32_to_number};
use crate::command::{self, Command, Status, code};
use crate::message::{MessageKind, StreamId};
use crate::session::link::Payload;

/// The commands that are carried out.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    Connect,
    CreateStream,
    Publish,
    Play,
    DeleteStream,
    CloseStream,
    Pause,
    Seek,
    ReceiveAudio,
    ReceiveVideo,
    Play2,
    StreamLength,
    /// Those that only want to hear that they arrived, and which notice some wait for beside the answer.
    NoOp(Option<(&'static str, &'static str)>),
    /// Answers to what we have said.
    Answer,
    Unknown,
}

const NAMES: [(&str, Name); 22] = [
    ("connect", Name::Connect),
    ("createStream", Name::CreateStream),
    ("publish", Name::Publish),
    ("play", Name::Play),
    ("deleteStream", Name::DeleteStream),
    ("closeStream", Name::CloseStream),
    ("pause", Name::Pause),
    ("pauseRaw", Name::Pause),
    ("seek", Name::Seek),
    ("receiveAudio", Name::ReceiveAudio),
    ("receiveVideo", Name::ReceiveVideo),
    ("play2", Name::Play2),
    ("getStreamLength", Name::StreamLength),
    ("releaseStream", Name::NoOp(None)),
    ("FCPublish", Name::NoOp(Some(("onFCPublish", code::PUBLISH_START)))),
    ("FCUnpublish", Name::NoOp(Some(("onFCUnpublish", code::UNPUBLISH_SUCCESS)))),
    ("FCSubscribe", Name::NoOp(Some(("onFCSubscribe", code::PLAY_START)))),
    ("FCUnsubscribe", Name::NoOp(None)),
    ("_checkbw", Name::NoOp(None)),
    ("_result", Name::Answer),
    ("_error", Name::Answer),
    ("onStatus", Name::Answer),
];

impl Name {
    fn of(command: &Command<'_>) -> Name {
        NAMES.iter().find(|(name, _)| command.name == **name).map_or(Name::Unknown, |(_, name)| *name)
    }
}

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// Takes a command that is whole; answers what the application must hear of it. The queue has room for the answer.
    pub(super) fn command(&mut self, on: StreamId, payload: Payload) -> Option<PendingEvent> {
        let command = Command::parse(self.link.payload(payload))?;
        let (name, wants_answer, number) = (Name::of(&command), command.wants_answer(), command.number_argument());
        let has_name = command.string_argument().is_some();
        let flag = command.flag();
        self.transaction = command.transaction.to_be_bytes();
        if name == Name::Answer {
            return None;
        }
        if self.state != State::Open {
            if (name, self.state) == (Name::Connect, State::ExpectConnect) {
                self.enter(State::Connecting);
                return Some(PendingEvent::Connect);
            }
            let _ = self.cannot_call();
            return None;
        }
        match name {
            // Who does not want an answer would never know the stream.
            Name::CreateStream if wants_answer => match self.create() {
                Some(stream) => self.result(Token::Number(u32_to_number(stream.0))),
                None => _ = self.cannot_call(),
            },
            Name::Publish => return self.publish(on, has_name).then_some(PendingEvent::Publish(on)),
            Name::Play => return self.play(on, has_name).then_some(PendingEvent::Play(on)),
            Name::DeleteStream => {
                let stream = match number {
                    Some(id) => StreamId(id),
                    // GStreamer names the key in place of the stream.
                    None => self.publisher(on).or(self.player(on)).unwrap_or(on),
                };
                let pending = self.close(stream);
                self.set(stream, StreamState::Free);
                return pending;
            }
            Name::CloseStream => return self.close(on),
            Name::NoOp(notice) => {
                self.result(Token::Undefined);
                if let Some((name, code)) = notice.filter(|_| wants_answer) {
                    let status = Status::ok(code, "");
                    let _ = self.link.queue(StreamId::CONNECTION, &mut |encoder, _| {
                        command::put_status(encoder, name, 0.0, &status)
                    });
                }
            }
            Name::StreamLength => {
                self.call = Some(Call::StreamLength);
                return Some(PendingEvent::StreamLength);
            }
            Name::Pause | Name::Seek | Name::ReceiveAudio | Name::ReceiveVideo | Name::Play2 => {
                let stream = self.player(on)?;
                return Some(match name {
                    Name::Pause => {
                        let code = if flag { code::PAUSE_NOTIFY } else { code::UNPAUSE_NOTIFY };
                        let _ = self.link.queue_status(stream, &Status::ok(code, ""));
                        PendingEvent::Pause(stream, flag)
                    }
                    Name::Seek => PendingEvent::Seek(stream),
                    Name::ReceiveAudio => PendingEvent::Receive(stream, MessageKind::AUDIO, flag),
                    Name::ReceiveVideo => PendingEvent::Receive(stream, MessageKind::VIDEO, flag),
                    _ => PendingEvent::Switch(stream),
                });
            }
            Name::Unknown => {
                self.call = Some(Call::Other);
                return Some(PendingEvent::Call(on));
            }
            _ => _ = self.cannot_call(),
        }
        None
    }

    /// Queues a `_result`; the queue has had room since before the command was read.
    fn result(&mut self, value: Token<'_>) {
        let transaction = self.transaction();
        let _ = self.reply(&mut |encoder, _| command::put(encoder, "_result", transaction, &[Token::Null, value]));
    }

    /// Whether the application is to be asked about a publisher on `stream`.
    fn publish(&mut self, stream: StreamId, has_key: bool) -> bool {
        if has_key && self.adopt(stream) && self.stream(stream) == Some(StreamState::Created) {
            self.set(stream, StreamState::Asking);
            return true;
        }
        self.decline(stream, code::PUBLISH_BAD_NAME, "The stream cannot be published.")
    }

    /// Whether the application is to be asked about a player on `stream`, which may play something already.
    fn play(&mut self, stream: StreamId, has_name: bool) -> bool {
        let is_free = has_name && self.adopt(stream);
        let asking = match self.stream(stream).filter(|_| is_free) {
            Some(StreamState::Created) => Some(StreamState::AskingPlay),
            Some(StreamState::Playing) => Some(StreamState::AskingAnother),
            _ => None,
        };
        if let Some(asking) = asking {
            self.set(stream, asking);
            return true;
        }
        self.decline(stream, code::PLAY_FAILED, "The stream cannot be played.")
    }

    fn decline(&mut self, stream: StreamId, code: &str, description: &str) -> bool {
        let _ = self.link.queue_status(stream, &Status::error(code, description));
        false
    }

    /// Ends what is published or played on a stream.
    fn close(&mut self, stream: StreamId) -> Option<PendingEvent> {
        let before = self.stream(stream)?;
        self.set(stream, StreamState::Created);
        match before {
            StreamState::Publishing => {
                self.cut_off();
                let status = Status::ok(code::UNPUBLISH_SUCCESS, "Publishing has ended.");
                let _ = self.link.queue_status(stream, &status);
                Some(PendingEvent::Unpublished(stream))
            }
            StreamState::Playing => Some(PendingEvent::Stopped(stream)),
            _ => None,
        }
    }
}
