//! What the server does with the commands of the client.

use super::Server;
use super::state::{Call, MESSAGE_STREAMS, PendingEvent, Request, State, StreamState};
use crate::amf0::{Token, u32_to_number};
use crate::command::{self, Command, ConnectRequest, PlayRequest, PublishRequest, Status, SwitchRequest, code};
use crate::fmt::info;
use crate::message::{MessageKind, StreamId};
use crate::session::event::ServerEvent;
use crate::session::link::Received;
use crate::text::{Decimal, put};
use crate::time::OptionalInstant;

/// The commands that the server executes.
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
    /// A command that only needs an answer. Some clients also wait for a status.
    NoOp(Option<(&'static str, &'static str)>),
    /// An answer to one of our commands.
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

/// The description of the refusal if there is no room for another message stream.
const TOO_MANY_STREAMS: &str = "This connection can have 4 message streams at the same time.";
const _: () = assert!(MESSAGE_STREAMS == 4);

impl Name {
    fn of(command: &Command<'_>) -> Name {
        NAMES.iter().find(|(name, _)| command.name == **name).map_or(Name::Unknown, |(_, name)| *name)
    }
}

impl<const STREAMS: usize> Server<'_, STREAMS> {
    /// Handles a command. Returns the event for the application. The queue has room for the answer: this was checked
    /// before the command was read.
    pub(super) fn command(&mut self, received: &Received) -> Option<PendingEvent> {
        let (command, on) = (self.link.command(received)?, received.stream);
        let (name, wants_answer) = (Name::of(&command), command.wants_answer());
        self.role.transaction = command.transaction.to_be_bytes();
        if name == Name::Answer {
            return None;
        }
        if self.role.state != State::Open {
            if (name, self.role.state) == (Name::Connect, State::ExpectConnect) {
                let has_app = !ConnectRequest::parse(&command).app.as_bytes().is_empty();
                self.enter(State::Connecting);
                if let Some(sizes) = self.link.cut_command().filter(|_| !has_app) {
                    let _ = self.reject_connect(too_long(sizes, &mut [0; MAX_TEXT]));
                    return None;
                }
                return Some(PendingEvent::Connect);
            }
            let _ = self.cannot_call();
            return None;
        }
        match name {
            // A client that wants no answer would never learn the id of the stream.
            Name::CreateStream if wants_answer => match self.role.streams.create() {
                Some(stream) => self.result(Token::Number(u32_to_number(stream.0))),
                None => _ = self.refuse(&Status::error(code::CALL_FAILED, TOO_MANY_STREAMS)),
            },
            Name::Publish => match command.arguments().next() {
                // `publish(false)` ends publishing.
                Some(Token::Boolean(false)) => return self.unpublish(on),
                argument => {
                    let has_key = argument.is_some_and(|argument| argument.as_text().is_some());
                    return self.publish(on, has_key).then_some(PendingEvent::Publish);
                }
            },
            Name::Play => {
                let has_name = command.string_argument().is_some();
                return self.play(on, has_name).then_some(PendingEvent::Play);
            }
            Name::DeleteStream => {
                let streams = &self.role.streams;
                let stream = match command.number_argument() {
                    Some(id) => StreamId(id),
                    // GStreamer names the key instead of the stream.
                    None => streams.publisher(on).or(streams.player(on)).unwrap_or(on),
                };
                let pending = self.end_stream(stream);
                if self.role.streams.get(stream) != Some(StreamState::Publishing) {
                    self.role.streams.set(stream, StreamState::Free);
                }
                return pending;
            }
            Name::CloseStream => return self.end_stream(on),
            Name::NoOp(notice) => {
                self.result(Token::Null);
                if let Some((name, code)) = notice.filter(|_| wants_answer) {
                    let status = Status::ok(code, "");
                    let _ = self.link.queue(StreamId::CONNECTION, &mut |out, _| {
                        command::write_status(out, name, 0, &status);
                    });
                }
            }
            Name::StreamLength => {
                self.role.call = Some(Call::StreamLength);
                return Some(PendingEvent::StreamLength);
            }
            Name::Pause | Name::Seek | Name::ReceiveAudio | Name::ReceiveVideo | Name::Play2 => {
                let (stream, flag) = (self.role.streams.player(on)?, command.flag());
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
                self.role.call = Some(Call::Other);
                return Some(PendingEvent::Call);
            }
            _ => _ = self.cannot_call(),
        }
        None
    }

    /// Turns what the server found into an event for the application.
    pub(super) fn event<'d, 'i: 'd>(&'d self, pending: PendingEvent, received: &Received) -> ServerEvent<'d> {
        let (command, stream) = (self.link.command(received).unwrap_or(Command::EMPTY), received.stream);
        match pending {
            PendingEvent::Connect => ServerEvent::Connect(ConnectRequest::parse(&command)),
            PendingEvent::Publish => ServerEvent::Publish { stream, request: PublishRequest::parse(&command) },
            PendingEvent::Unpublished(stream) => {
                info!("message stream {} is not published any longer", stream.0);
                ServerEvent::Unpublished(stream)
            }
            PendingEvent::Play => {
                ServerEvent::Play { stream, request: PlayRequest::parse(&command).unwrap_or_default() }
            }
            PendingEvent::Stopped(stream) => {
                info!("message stream {} is not played any longer", stream.0);
                ServerEvent::Stopped(stream)
            }
            PendingEvent::Pause(stream, paused) => ServerEvent::Pause { stream, paused, at: command.millis() },
            PendingEvent::Seek(stream) => ServerEvent::Seek { stream, to: command.millis() },
            PendingEvent::Receive(stream, kind, wanted) => ServerEvent::Receive { stream, kind, wanted },
            PendingEvent::Switch(stream) => ServerEvent::Switch { stream, request: SwitchRequest::parse(&command) },
            PendingEvent::StreamLength => {
                ServerEvent::StreamLength { name: command.string_argument().unwrap_or_default() }
            }
            PendingEvent::Call => ServerEvent::Call { stream, command },
        }
    }

    /// Queues a `_result`, for which there is room.
    fn result(&mut self, value: Token<'_>) {
        let _ = self.reply_command("_result", &[value]);
    }

    /// Handles `publish` on a stream, which may be published already. Returns whether the application must be asked.
    fn publish(&mut self, stream: StreamId, has_key: bool) -> bool {
        let streams = &mut self.role.streams;
        if has_key && streams.adopt(stream) && streams.get(stream) != Some(StreamState::Playing) {
            self.role.asked = Some((stream, Request::Publish));
            return true;
        }
        self.decline(stream, code::PUBLISH_BAD_NAME, "The stream cannot be published.", has_key)
    }

    /// Handles `play` on a stream, which may play something already. Returns whether the application must be asked.
    fn play(&mut self, stream: StreamId, has_name: bool) -> bool {
        use StreamState::{Created, Ended, Playing};
        let streams = &mut self.role.streams;
        if has_name && streams.adopt(stream) && matches!(streams.get(stream), Some(Created | Ended | Playing)) {
            self.role.asked = Some((stream, Request::Play));
            return true;
        }
        self.decline(stream, code::PLAY_FAILED, "The stream cannot be played.", has_name)
    }

    fn decline(&mut self, stream: StreamId, code: &str, description: &str, has_name: bool) -> bool {
        let (mut text, cut) = ([0; MAX_TEXT], self.link.cut_command().filter(|_| !has_name));
        let description = cut.map_or(description, |sizes| too_long(sizes, &mut text));
        let _ = self.link.queue_status(stream, &Status::error(code, description));
        false
    }

    /// Handles `publish(false)`. The answer is the same if nothing is published.
    fn unpublish(&mut self, on: StreamId) -> Option<PendingEvent> {
        let streams = &self.role.streams;
        let stream = if streams.get(on).is_some() { on } else { streams.publisher(on).unwrap_or(on) };
        let plays = streams.get(stream) == Some(StreamState::Playing);
        let pending = if plays { None } else { self.end_stream(stream) };
        if pending.is_none() {
            self.tell_unpublished(on);
        }
        pending
    }

    /// Ends publishing or playing on a stream. If the client has repeated the publish on another stream, publishing
    /// continues there.
    fn end_stream(&mut self, stream: StreamId) -> Option<PendingEvent> {
        let streams = &mut self.role.streams;
        match streams.get(stream)? {
            StreamState::Publishing | StreamState::PublishingAs(_) if streams.joined_to(stream).is_none() => {
                let first = streams.publisher(stream)?;
                streams.set(first, StreamState::Free);
                streams.adopt(stream);
                streams.set(stream, StreamState::Ended);
                self.role.active = OptionalInstant::NONE;
                self.cut_off();
                self.tell_unpublished(stream);
                Some(PendingEvent::Unpublished(first))
            }
            StreamState::Playing => {
                streams.set(stream, StreamState::Ended);
                self.restart_request_time();
                Some(PendingEvent::Stopped(stream))
            }
            _ => None,
        }
    }

    fn tell_unpublished(&mut self, stream: StreamId) {
        let status = Status::ok(code::UNPUBLISH_SUCCESS, "Publishing has ended.");
        let _ = self.link.queue_status(stream, &status);
    }

    /// Called before a stream is published and after it was. Discards the rest of an unfinished message, which does not
    /// belong to the stream.
    pub(super) fn cut_off(&mut self) {
        use StreamState::{Publishing, PublishingAs};
        let streams = &self.role.streams;
        self.link.discard(|stream| !matches!(streams.get(stream), Some(Publishing | PublishingAs(_))));
    }
}

/// Room for the text of [`too_long`].
const MAX_TEXT: usize = 64;

/// The description of the refusal of a command whose end did not fit.
fn too_long(sizes: [u32; 2], text: &mut [u8; MAX_TEXT]) -> &str {
    let [length, limit] = sizes.map(Decimal::new);
    let parts = [b"The command has ", length.as_bytes(), b" bytes; the limit is ", limit.as_bytes()];
    let (written, _) = put(&parts, 0, text);
    core::str::from_utf8(text.get(..written).unwrap_or_default()).unwrap_or_default()
}
