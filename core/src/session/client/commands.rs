//! What the client does with the commands of the server.

use super::Client;
use super::state::{PendingEvent, State};
use crate::amf0::{Decoder, bits_to_u32, marker, u32_to_bits};
use crate::chunk::Pulled;
use crate::command::{self, Answer, Command, Status};
use crate::control::{Control, UserControlEvent};
use crate::fmt::{info, warning};
use crate::message::StreamId;
use crate::session::error::{SessionError, Stage};
use crate::session::event::ClientEvent;
use crate::session::link::Received;

/// The buffer length, in ms, that a player announces by default. Servers send recorded streams that far ahead.
const BUFFER_MILLIS: u32 = 3_000;

/// A transaction id that no request has.
const NO_ID: u32 = u32::MAX;
/// A message stream id that no server uses.
const NO_STREAM: StreamId = StreamId(u32::MAX);

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
struct ParsedCommand {
    name: Name,
    /// The bits of the transaction id; 0 if it is missing.
    transaction: u64,
    argument: Option<u32>,
    verdict: Verdict,
    /// Whether it is `_error`, or its code is about a request of the awaited kind.
    is_own: bool,
}

/// The commands that the client handles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Result,
    Error,
    Status,
    /// The server offers to measure the bandwidth.
    BandwidthDone,
    /// The server measures the bandwidth, and wants an answer.
    BandwidthCheck,
    Close,
    Other,
}

const NAMES: [(&str, Name); 6] = [
    ("_result", Name::Result),
    ("_error", Name::Error),
    ("onStatus", Name::Status),
    ("onBWDone", Name::BandwidthDone),
    ("_onbwcheck", Name::BandwidthCheck),
    ("close", Name::Close),
];

/// What an answer or a status says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The awaited request succeeded.
    Success,
    /// Something failed.
    Failure,
    Other,
}

impl ParsedCommand {
    /// `family` is the first part of the codes that are about the awaited request.
    fn of(answer: &Answer<'_>, family: &str) -> ParsedCommand {
        let name = NAMES.iter().find(|(name, _)| answer.name == **name).map_or(Name::Other, |(_, name)| *name);
        let own = answer.status.code_in(family);
        // The code decides first: the level may be wrong.
        let verdict = if own.is_some_and(|what| what == *"Start" || what == *"Success") {
            Verdict::Success
        } else if name == Name::Error || answer.status.is_error() {
            Verdict::Failure
        } else {
            Verdict::Other
        };
        ParsedCommand {
            name,
            transaction: answer.transaction.bits().unwrap_or(0),
            argument: answer.argument.bits().and_then(bits_to_u32),
            verdict,
            is_own: own.is_some() || name == Name::Error,
        }
    }
}

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Handles a command. Returns the event for the application. The queue has room for the answers: this was checked
    /// before the command was read.
    pub(super) fn command(&mut self, received: &Received) -> Result<Option<PendingEvent>, SessionError> {
        let command = ParsedCommand::of(&self.link.answer(received), self.family());
        let id = bits_to_u32(command.transaction).unwrap_or(NO_ID);
        Ok(match command.name {
            Name::Result | Name::Error if self.take_call(id) => {
                Some(PendingEvent::Answer(id, command.name == Name::Result))
            }
            Name::Result | Name::Error => return self.answered(&command, id, self.role.awaited, received.stream),
            Name::Status => {
                return self.answered(&command, received.stream.0, self.awaited_stream().0, received.stream);
            }
            Name::BandwidthDone => {
                // No answer is wanted.
                self.send(StreamId::CONNECTION, "_checkbw", 0, Argument::None);
                None
            }
            Name::BandwidthCheck if id != 0 => {
                self.send(StreamId::CONNECTION, "_result", command.transaction, Argument::Number(0));
                None
            }
            Name::Close => {
                self.enter(State::Closed);
                Some(PendingEvent::Closed)
            }
            Name::BandwidthCheck | Name::Other => (CALLS > 0).then_some(PendingEvent::Call),
        })
    }

    /// The first part of the codes that are about the awaited request.
    fn family(&self) -> &'static str {
        match self.role.state {
            State::ExpectConnect => "NetConnection.Connect.",
            State::ExpectStream | State::ExpectPublish => "NetStream.Publish.",
            State::ExpectPlayStream | State::ExpectPlay if PLAYS > 0 => "NetStream.Play.",
            State::Closing => "NetStream.Unpublish.",
            _ => "",
        }
    }

    /// Handles an answer, or a status. `refers` is the transaction of the answer, or the message stream of the status.
    /// `awaited` is that of the awaited request. If the awaited request succeeded, the client sends the next one.
    ///
    /// Some servers leave out transaction ids and message streams. So a code that is about the awaited request also counts
    /// if `refers` is 0.
    fn answered(
        &mut self,
        command: &ParsedCommand,
        refers: u32,
        awaited: u32,
        stream: StreamId,
    ) -> Result<Option<PendingEvent>, SessionError> {
        let (is_result, is_status) = (command.name == Name::Result, command.name == Name::Status);
        let (is_exact, is_vague) = (refers == awaited, refers == 0);
        let counts = is_exact || (is_vague && command.is_own);
        if counts
            && command.verdict == Verdict::Failure
            && let Some(stage) = self.refused()
        {
            return Ok(Some(PendingEvent::Refused(stage)));
        }
        // Only one stream is published, so its start counts on any message stream.
        let has_succeeded = command.verdict == Verdict::Success && (counts || is_status);
        Ok(match self.role.state {
            State::ExpectConnect if has_succeeded || (is_result && is_exact) => {
                let _ = self.link.announce_window();
                let _ = self.link.announce_chunk_size(self.chunk_size);
                self.proceed();
                Some(PendingEvent::Connected)
            }
            // Some servers do not count `releaseStream` and `FCPublish` as transactions.
            State::ExpectStream if is_result && (is_vague || awaited.wrapping_sub(refers) <= 2) => {
                match command.argument {
                    Some(stream) => {
                        self.role.stream = StreamId(stream);
                        self.call_on(self.role.stream, "publish", Argument::LiveKey);
                        self.expect(State::ExpectPublish);
                        self.role.has_started.then(|| self.start())
                    }
                    None if is_exact => return Err(SessionError::StreamId),
                    None => None,
                }
            }
            State::ExpectPlayStream if PLAYS > 0 && is_result && (is_vague || is_exact) => match command.argument {
                Some(stream) => {
                    self.ask_play(StreamId(stream));
                    None
                }
                None if is_exact => return Err(SessionError::StreamId),
                None => None,
            },
            State::ExpectPublish if has_succeeded => Some(self.start()),
            State::ExpectPlay if PLAYS > 0 && has_succeeded && !self.is_played(stream) => {
                let stream = self.asked().unwrap_or(stream);
                self.proceed();
                Some(PendingEvent::Playing(stream))
            }
            State::Closing if has_succeeded => {
                self.enter(State::Closed);
                Some(PendingEvent::Unpublished)
            }
            state => {
                // Some servers send the start before the answer to `createStream`.
                self.role.has_started |= has_succeeded && state == State::ExpectStream;
                is_status.then_some(PendingEvent::Status)
            }
        })
    }

    /// The server takes media from now on.
    fn start(&mut self) -> PendingEvent {
        self.role.publishing = true;
        self.proceed();
        PendingEvent::Publishing
    }

    /// The message stream of the awaited request.
    fn awaited_stream(&self) -> StreamId {
        match self.role.state {
            State::ExpectPublish => self.role.stream,
            State::ExpectPlay if PLAYS > 0 => self.asked().unwrap_or(NO_STREAM),
            _ => NO_STREAM,
        }
    }

    /// Turns what a command caused into an event for the application.
    pub(super) fn event(&self, pending: PendingEvent, received: &Received) -> ClientEvent<'_> {
        match pending {
            PendingEvent::Connected => {
                info!("connected");
                ClientEvent::Connected
            }
            PendingEvent::Publishing => {
                info!("publishing on message stream {}", self.role.stream.0);
                ClientEvent::Publishing(self.role.stream)
            }
            PendingEvent::Playing(stream) if PLAYS > 0 => playing(stream),
            PendingEvent::Refused(stage) => {
                let status = self.status(received);
                warning!("refused: {}", status.code);
                ClientEvent::Refused(stage, status)
            }
            PendingEvent::Status => ClientEvent::Status(received.stream, self.status(received)),
            PendingEvent::Answer(transaction, succeeded) if CALLS > 0 => {
                ClientEvent::Answer { transaction, succeeded, values: self.values(received) }
            }
            PendingEvent::Call if CALLS > 0 => ClientEvent::Call {
                stream: received.stream,
                command: self.link.command(received).unwrap_or(Command::EMPTY),
            },
            PendingEvent::Unpublished => ClientEvent::Unpublished,
            // A client without room for plays and calls does not find the others.
            PendingEvent::Closed | PendingEvent::Playing(_) | PendingEvent::Answer(..) | PendingEvent::Call => {
                ClientEvent::Closed
            }
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
            self.role.has_started = false;
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
    pub(super) fn expect(&mut self, next: State) {
        self.role.awaited = self.role.last_transaction;
        self.enter(next);
    }

    /// Queues the commands that end one of our streams. The queue has room for them.
    pub(super) fn delete_stream(&mut self, stream: StreamId) {
        self.call_connection("deleteStream", Argument::Number(stream.0));
    }

    /// Makes room for `length` bytes of AMF0 as the stream key, which replaces the previous key. The caller has checked
    /// that there is room.
    // Not inlined, because it has several callers.
    #[inline(never)]
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
    pub(super) fn call_on(&mut self, stream: StreamId, name: &str, argument: Argument) {
        let transaction = u32_to_bits(self.next_transaction());
        self.send(stream, name, transaction, argument);
    }

    #[inline(never)]
    fn send(&mut self, stream: StreamId, name: &str, transaction: u64, argument: Argument) {
        let key = usize::from(self.role.key);
        let _ = self.link.queue(stream, &mut |out, stored| {
            command::start(out, name, transaction);
            out.put(&[marker::NULL]);
            match argument {
                Argument::None => {}
                // Without plays, the key is the only stored value.
                Argument::Key | Argument::LiveKey if PLAYS == 0 => out.put(stored),
                Argument::Key | Argument::LiveKey => {
                    out.put(stored.get(stored.len().wrapping_sub(key)..).unwrap_or(&[]));
                }
                Argument::Number(number) => out.integer(number),
            }
            if let Argument::LiveKey = argument {
                out.string(&["live"]);
            }
        });
    }
}

/// The event for a stream that is played now.
pub(super) fn playing<'d>(stream: StreamId) -> ClientEvent<'d> {
    info!("playing on message stream {}", stream.0);
    ClientEvent::Playing(stream)
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
        let transaction = u32_to_bits(self.next_transaction());
        let buffer = UserControlEvent::SetBufferLength { stream, millis: BUFFER_MILLIS };
        let _ = self.link.queue_control(Control::User(buffer));
        let waiting = self.role.plays.iter_mut().find(|play| play.stream.is_none());
        if let Some(play) = waiting {
            play.stream = Some(stream);
            let (key, length) = (self.role.key, play.length);
            let _ = self.link.queue(stream, &mut |out, stored| {
                let end = stored.len().wrapping_sub(key.into());
                let arguments = stored.get(end.wrapping_sub(length.into())..end).unwrap_or(&[]);
                command::start(out, "play", transaction);
                out.put(&[marker::NULL]);
                out.put(arguments);
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

    /// Deletes a stream that is played. The queue has room for the command.
    pub(super) fn end_play(&mut self, stream: StreamId) {
        self.delete_stream(stream);
        self.role.plays.retain(|play| play.stream != Some(stream));
        self.role.ended.rotate_right(usize::from(PLAYS > 1));
        if let Some(ended) = self.role.ended.first_mut() {
            *ended = stream;
        }
    }

    /// The stream to which media on `stream` belongs. If the client plays only one stream, media belongs to that one, unless
    /// the server has used the id for another one.
    fn media_stream(&self, stream: StreamId) -> StreamId {
        let mut played = self.played();
        match (played.next(), played.next()) {
            (Some(only), None) if !self.is_other(stream) => only,
            _ => stream,
        }
    }

    /// A piece of media, with the stream to which it belongs.
    pub(super) fn media<'d, 'i: 'd>(&'d self, pulled: Pulled<'i>) -> ClientEvent<'d> {
        let mut fragment = self.link.lend(pulled);
        if PLAYS > 0 {
            fragment.header.stream = self.media_stream(fragment.header.stream);
        }
        ClientEvent::Media(fragment)
    }

    /// Whether the server has used the id for a stream that is not played.
    fn is_other(&self, stream: StreamId) -> bool {
        stream != StreamId::CONNECTION && (self.role.stream == stream || self.role.ended.contains(&stream))
    }

    /// Returns the awaited stream if media on `stream` belongs to it. Some servers send media without an answer to `play`.
    pub(super) fn started_by(&self, stream: StreamId) -> Option<StreamId> {
        self.asked().filter(|asked| self.role.state == State::ExpectPlay && self.media_stream(stream) == *asked)
    }

    /// Removes the current request, which was refused, and deletes its stream.
    fn give_up_play(&mut self) {
        if PLAYS == 0 {
            return;
        }
        match self.asked().filter(|_| self.role.state == State::ExpectPlay) {
            Some(stream) => {
                self.end_play(stream);
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
