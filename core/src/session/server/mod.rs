//! The server: takes a client that publishes, plays, or both.

mod answers;
mod commands;
mod events;
mod players;
mod streams;
mod timers;

use super::link::{Incoming, Link};
use super::verbs::verbs;
use super::{ConfigError, RequestError, ServerConfig, ServerEvent, SessionBuffers, SessionError, wire};
use crate::chunk::{ChunkStreamId, Pulled, WriteProgress};
use crate::fmt::impl_format;
use crate::handshake::{Handshake, HandshakeConfig, HandshakeEvent};
use crate::message::{MessageKind, StreamId, Timestamp};
use crate::time::{Instant, OptionalInstant, millis};
use streams::Streams;

/// Message streams that one connection may have at a time.
pub const MESSAGE_STREAMS: usize = 4;

/// Room in the queue for what a command of the client's may bring about.
pub(super) const RESERVE: usize = 384;

/// None of those that are published: where there is one with this id, each piece of it is looked at anew.
const NO_STREAM: StreamId = StreamId(u32::MAX);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    ExpectHandshake,
    ExpectConnect,
    /// The application is asked.
    Connecting,
    Open,
    Closed,
    Failed,
}

/// What the application must hear of a command.
enum PendingEvent {
    Connect,
    Publish(StreamId),
    Unpublished(StreamId),
    Play(StreamId),
    Stopped(StreamId),
    Pause(StreamId, bool),
    Seek(StreamId),
    Receive(StreamId, MessageKind, bool),
    Switch(StreamId),
    StreamLength,
    Call(StreamId),
}

/// A call of the client's that the application may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    StreamLength,
    Other,
}

/// The server's side of a connection, with memory for `STREAMS` incoming chunk streams besides the one that is being read;
/// 8 are enough for all clients known, and 2 for those that only play: they use chunk streams 2, 3 and 8. See the
/// [module](super) for how to drive it.
///
/// ```text
///  ExpectHandshake ──► ExpectConnect ──connect──► Connecting ──accept_connect()──► Open
///                                                     │
///                                                     └─────reject_connect()─────► Closed
///                                                           redirect_connect()
///
///  and each message stream of an open connection:
///
///  createStream ──► Created ──publish──► Asking ──accept()──► Publishing ──deleteStream──► gone
///                    ▲   │ play             │                      │ closeStream
///                    │   ▼                  │                      │
///                    │  AskingPlay ──accept_play()──► Playing      │
///                    │   │                  │           │ end_play(), closeStream
///                    └───┴─────reject()─────┴───────────┴──────────┘
///
///  Playing ──play──► AskingAnother ──accept_play(), reject()──► Playing
/// ```
///
/// While the application is asked, nothing more is read.
#[derive(Debug)]
pub struct Server<'b, const STREAMS: usize = 8> {
    link: Link<'b, STREAMS>,
    handshake: Handshake,
    state: State,
    /// What an answer to `connect`, or to the application's call, refers to: an AMF0 number, as it came.
    transaction: [u8; 8],
    /// The application has been told of a call, and has not answered yet.
    call: Option<Call>,
    streams: Streams,
    /// When what the client is to do in time was asked of it; in an open connection when it was last heard or sent a ping,
    /// and which of these it was.
    since: OptionalInstant,
    pinged: bool,
    /// The message that is being read is media of this stream, and no input waits in the reader: so what goes on with it
    /// needs no second look. Else [`NO_STREAM`].
    media_of: StreamId,
    connect_millis: u32,
    idle_millis: u32,
    chunk_size: u32,
    failed: Option<SessionError>,
}

impl_format!(
    ['b, const STREAMS: usize] Server<'b, STREAMS>,
    this => "Server {{ state: {}, failed: {} }}", this.state, this.failed
);

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// A server at the beginning of a connection. The first 8 bytes of `entropy` fill the handshake's blocks, where
    /// everyone can see them; nothing secret is made of these.
    ///
    /// # Errors
    /// A buffer is too small.
    pub fn new(buffers: SessionBuffers<'b>, config: ServerConfig, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        buffers.check()?;
        Ok(Self {
            link: Link::new(buffers, config.window, config.type_three_delta),
            handshake: Handshake::new(HandshakeConfig::Server { versions: config.handshake }, wire::seed(entropy)),
            state: State::ExpectHandshake,
            transaction: [0; 8],
            call: None,
            streams: Streams::NONE,
            since: OptionalInstant::NONE,
            pinged: false,
            media_of: NO_STREAM,
            connect_millis: millis(config.connect_timeout),
            idle_millis: millis(config.idle_timeout),
            chunk_size: config.chunk_size,
            failed: None,
        })
    }

    /// Begins an audio, video or data message of `length` bytes, for the player of `stream`; [`Self::poll_media`] puts it
    /// out. What is still open goes on where the player has gone meanwhile: a message is never left open.
    ///
    /// # Errors
    /// There is no such stream, the session has failed, or the message before it of the same kind is not finished.
    pub fn begin_media(
        &mut self,
        kind: MessageKind,
        stream: StreamId,
        at: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        if self.failure().is_some() {
            return Err(RequestError::State);
        }
        if self.stream(stream).is_none() {
            return Err(RequestError::Stream(stream));
        }
        self.link.begin_media(kind, stream, at, length)
    }

    /// Payload bytes that the message which was begun on `csid` lacks; `None` where it is finished, or the session has
    /// failed.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        if self.failure().is_some() { None } else { self.link.media_left(csid) }
    }

    /// Whether the client was refused, and has been told.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed && !self.link.wants_transmit()
    }

    /// Takes bytes from the front of `input` until something has happened; `None` once all is taken, or where the
    /// application is asked something or output must drain first ([`Self::wants_input`] says so).
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    #[inline]
    pub fn next_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, SessionError> {
        if self.media_of != NO_STREAM {
            if input.is_empty() {
                return Ok(None);
            }
            (self.since, self.pinged) = (OptionalInstant::at(now), false);
            if let Some(pulled) = self.link.resume(input) {
                return Ok(Some(self.media(self.media_of, pulled)));
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.media_of = NO_STREAM;
        }
        self.find_event(now, input)
    }

    /// As [`Self::next_event`], for all that is not the common case.
    #[inline(never)]
    fn find_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, SessionError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if matches!(self.state, State::ExpectHandshake) || !self.handshake.is_done() {
            return self.shake_hands(now, input);
        }
        self.refuse_unanswered();
        self.arm(now);
        while self.wants_input() {
            let before = input.len();
            let incoming = self.link.pull(input, false);
            if input.len() < before && self.state == State::Open {
                (self.since, self.pinged) = (OptionalInstant::at(now), false);
            }
            let (stream, payload) = match incoming {
                Ok(Some(Incoming::Media(stream, pulled))) => {
                    let Some(stream) = self.publisher(stream) else { continue };
                    self.media_of = if pulled.data.is_ok() { stream } else { NO_STREAM };
                    return Ok(Some(self.media(stream, pulled)));
                }
                Ok(None | Some(Incoming::Data(..))) => return Ok(None),
                Ok(Some(Incoming::UserControlEvent(event))) => return Ok(Some(ServerEvent::User(event))),
                Ok(Some(Incoming::Command(stream, payload))) => (stream, payload),
                Err(error) => return Err(self.fail(error)),
            };
            if let Some(pending) = self.command(stream, payload.clone()) {
                return Ok(Some(self.lend(pending, payload)));
            }
        }
        Ok(None)
    }

    /// Whether [`Self::next_event`] can take input now. Otherwise the application is asked something, output must drain
    /// first, or the session is over.
    pub fn wants_input(&self) -> bool {
        let asking = self.is_asking() || matches!(self.state, State::Connecting | State::Closed | State::Failed);
        !asking && wire::reads(&self.handshake, &self.link, RESERVE)
    }

    fn failure(&self) -> Option<SessionError> {
        self.failed
    }

    fn enter(&mut self, state: State) {
        (self.state, self.since) = (state, OptionalInstant::NONE);
    }

    /// Goes on with the handshake. It may still have something to put out when the first chunks are read.
    #[cold]
    fn shake_hands<'d>(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<ServerEvent<'d>>, SessionError> {
        self.arm(now);
        let event =
            self.handshake.next_event(now, input, self.link.scratch()).map_err(|error| self.fail(error.into()))?;
        let Some(HandshakeEvent::PeerDone(kind)) = event else { return Ok(None) };
        self.enter(State::ExpectConnect);
        self.arm(now);
        Ok(Some(ServerEvent::HandshakeDone(kind)))
    }

    #[cold]
    fn fail(&mut self, error: SessionError) -> SessionError {
        (self.state, self.failed, self.media_of) = (State::Failed, Some(error), NO_STREAM);
        error
    }

    /// A piece of media, on the stream that it belongs to.
    #[inline]
    fn media<'d, 'i: 'd>(&'d self, stream: StreamId, pulled: Pulled<'i>) -> ServerEvent<'d> {
        let mut fragment = self.link.lend(pulled);
        fragment.header.stream = stream;
        ServerEvent::Media(fragment)
    }
}

verbs!(Server<'b, STREAMS>, STREAMS);
