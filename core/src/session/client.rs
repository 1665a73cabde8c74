//! The client: connects and publishes, in the order that FMLE has.
//!
//! ```text
//!  ExpectHandshake ──► Idle ──connect()──► ExpectConnect ──_result──► Connected ◄────────────┐
//!                                               │ _error                  │ publish()         │ refused
//!                                               ▼                         ▼                   │
//!                                            Closed ◄──close()──┐   ExpectStream ─────────────┤
//!                                                               │         │ _result           │
//!                                                               │         ▼                   │
//!                                                               │   ExpectPublish ────────────┘
//!                                                               │         │ onStatus
//!                                                               │         ▼
//!                                                            Closing ◄─ Publishing
//! ```
//!
//! Requests may come early: they are carried out when the state is reached in which they can be.

use core::time::Duration;

use super::link::{Incoming, Link, Payload};
use super::{Buffers, ConfigError, Error, RequestError, Stage, wire};
use crate::chunk::{ChunkStreamId, Fragment, TypeThreeDelta};
use crate::command::{Command, ConnectOptions, Status};
use crate::control;
use crate::fmt::{info, warning};
use crate::handshake;
use crate::message::{Kind, StreamId, Timestamp};
use crate::time::{Instant, after, millis};

/// The transaction ids: one for each command that is answered.
pub(super) mod transaction {
    pub(crate) const CONNECT: u32 = 1;
    pub(crate) const RELEASE_STREAM: u32 = 2;
    pub(crate) const FC_PUBLISH: u32 = 3;
    pub(crate) const CREATE_STREAM: u32 = 4;
    pub(crate) const PUBLISH: u32 = 5;
    pub(crate) const FC_UNPUBLISH: u32 = 6;
    pub(crate) const DELETE_STREAM: u32 = 7;
    pub(crate) const CHECK_BW: u32 = 8;
}

/// Room in the queue for what an answer of the server's, or a request, may bring about: at most two control messages,
/// `releaseStream`, `FCPublish` and `createStream`. The stream key comes twice, with a header for each 128 bytes of it.
#[inline(never)]
fn reserve(key: &str) -> usize {
    key.len().saturating_mul(2).saturating_add(key.len() / 32).saturating_add(192)
}

/// What a client can be told to do otherwise.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClientConfig {
    /// What the client's handshake is like.
    pub handshake: handshake::ClientConfig,
    /// How long the handshake may take.
    pub handshake_timeout: Duration,
    /// How long the answer to each request may take.
    pub response_timeout: Duration,
    /// The size of the chunks that we send, in bytes. It is at least 128, which some servers insist on.
    pub chunk_size: u32,
    /// The window that we announce, in bytes.
    pub window: u32,
    /// What the peer means by a type 3 header after a type 0 header.
    pub type_three_delta: TypeThreeDelta,
}

impl ClientConfig {
    /// The plain handshake, 10 s for it and for each answer, chunks of 4,096 bytes.
    pub const fn new() -> Self {
        Self {
            handshake: handshake::ClientConfig { style: handshake::Style::Simple, strict: false },
            handshake_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(10),
            chunk_size: 4_096,
            window: 2_500_000,
            type_three_delta: TypeThreeDelta::Timestamp,
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What happened on a client's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientEvent<'d> {
    /// The peer speaks RTMP: the handshake is complete.
    HandshakeDone(handshake::Kind),
    /// The server accepted `connect`.
    Connected,
    /// The server takes media on this message stream now.
    Publishing(StreamId),
    /// The server refused a request. After `connect` the session is over; after the others it may publish again.
    Refused(Stage, Status<'d>),
    /// The server says something else about a stream or the connection; its level may be `error`.
    Status(StreamId, Status<'d>),
    /// The server confirms that publishing has ended.
    Unpublished,
    /// The server closes the connection.
    Closed,
    /// A piece of audio, video or data that the server sends.
    Media(Fragment<'d>),
    /// A user control event, such as the begin of a stream. Pings are answered without a word.
    User(control::Event),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    ExpectHandshake,
    Idle,
    ExpectConnect,
    Connected,
    ExpectStream,
    ExpectPublish,
    Publishing,
    Closing,
    Closed,
}

impl State {
    /// What the server is to do next.
    pub(super) fn awaits(self) -> Option<Stage> {
        match self {
            State::ExpectHandshake => Some(Stage::Handshake),
            State::ExpectConnect => Some(Stage::Connect),
            State::ExpectStream => Some(Stage::CreateStream),
            State::ExpectPublish => Some(Stage::Publish),
            _ => None,
        }
    }

    /// The transaction that is to be answered next; 0 where none is.
    pub(super) fn transaction(self) -> u32 {
        match self {
            State::ExpectConnect => transaction::CONNECT,
            State::ExpectStream => transaction::CREATE_STREAM,
            State::ExpectPublish => transaction::PUBLISH,
            _ => 0,
        }
    }
}

/// What the application must hear of a command.
#[derive(Clone, Copy)]
pub(super) enum Found {
    Connected,
    Publishing,
    Refused(Stage),
    Status,
    Unpublished,
    Closed,
}

/// The client's side of a connection, with memory for `STREAMS` incoming chunk streams; 8 are enough for all servers
/// known. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Client<'b, const STREAMS: usize = 8> {
    pub(super) link: Link<'b, STREAMS>,
    handshake: handshake::Client,
    pub(super) state: State,
    connect_asked: bool,
    pub(super) key: Option<&'b str>,
    pub(super) stream: StreamId,
    deadline: Option<Instant>,
    /// In ms.
    handshake_timeout: u32,
    response_timeout: u32,
    pub(super) chunk_size: u32,
    pub(super) window: u32,
    failed: Option<Error>,
}

impl<'b, const STREAMS: usize> Client<'b, STREAMS> {
    /// A client at the beginning of a connection. The first 8 bytes of `entropy` fill the handshake's blocks, where
    /// everyone can see them; nothing secret is made of these.
    ///
    /// # Errors
    /// A buffer is too small.
    pub fn new(buffers: Buffers<'b>, config: ClientConfig, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        buffers.check()?;
        let mut link = Link::new(buffers);
        link.reader().set_type_three_delta(config.type_three_delta);
        Ok(Self {
            link,
            handshake: handshake::Client::new(config.handshake, wire::seed(entropy), Instant::from_micros(0)),
            state: State::ExpectHandshake,
            connect_asked: false,
            key: None,
            stream: StreamId::CONNECTION,
            deadline: None,
            handshake_timeout: millis(config.handshake_timeout),
            response_timeout: millis(config.response_timeout),
            chunk_size: config.chunk_size,
            window: config.window,
            failed: None,
        })
    }

    /// Asks for `connect`; [`ClientEvent::Connected`] or [`ClientEvent::Refused`] is the answer. To be called once, at
    /// any time.
    ///
    /// # Errors
    /// It was called before, the session is over, or the control buffer is too small for it.
    pub fn connect(&mut self, options: &ConnectOptions<'_>) -> Result<(), RequestError> {
        let over = matches!(self.state, State::Closing | State::Closed) || self.failed.is_some();
        if self.connect_asked || over {
            return Err(RequestError::State);
        }
        let mut emit = |encoder: &mut crate::amf0::Encoder<'_>| options.emit(encoder, transaction::CONNECT);
        self.link.queue_command(StreamId::CONNECTION, &mut emit)?;
        self.connect_asked = true;
        if self.state == State::Idle {
            self.enter(State::ExpectConnect);
        }
        Ok(())
    }

    /// Asks to publish under `key`: [`ClientEvent::Publishing`] or [`ClientEvent::Refused`] is the answer. To be called
    /// at any time while nothing is published.
    ///
    /// # Errors
    /// Something is published, or the control buffer is too small for `key`, or too full for now.
    pub fn publish(&mut self, key: &'b str) -> Result<(), RequestError> {
        let busy = matches!(self.state, State::ExpectStream | State::ExpectPublish | State::Publishing);
        if busy || matches!(self.state, State::Closing | State::Closed) || self.failed.is_some() {
            return Err(RequestError::State);
        }
        let room = reserve(key);
        // All three calls or none.
        if room > self.link.control_capacity() || (self.state == State::Connected && !self.link.has_room(room)) {
            return Err(RequestError::ControlBuffer(room));
        }
        self.key = Some(key);
        if self.state == State::Connected { self.create_stream() } else { Ok(()) }
    }

    /// The stream that is published, where one is.
    pub fn publishing(&self) -> Option<StreamId> {
        (self.state == State::Publishing).then_some(self.stream)
    }

    /// Begins an audio, video or data message of `length` bytes; [`Self::poll_media`] puts it out.
    ///
    /// # Errors
    /// `stream` does not publish, or the message before it of the same kind is not finished.
    pub fn begin_media(
        &mut self,
        kind: Kind,
        stream: StreamId,
        at: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        if self.publishing() != Some(stream) {
            return Err(RequestError::Stream(stream));
        }
        self.link.begin_media(kind, stream, at, length)
    }

    /// Puts out the message that was begun on `csid`, of which `rest` is what has not been taken yet, or its next part.
    /// Answers how much of `rest` it took and how much of `out` it filled. What else is to be sent goes first.
    #[must_use = "the output must be sent, and what was taken must not be passed again"]
    pub fn poll_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> (usize, usize) {
        if self.failed.is_some() { (0, 0) } else { self.link.transmit_media(csid, rest, out) }
    }

    /// The chunk stream whose chunk is unfinished, and the payload bytes that the chunk lacks; `None` between chunks.
    /// Only its message can go on then. Whoever passes just so many bytes of it to [`Self::poll_media`] stops at the
    /// chunk's end, where another message may have its turn.
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        self.link.open_chunk()
    }

    /// Ends the session at once and gives the lent memory back, for another one.
    pub fn into_buffers(self) -> Buffers<'b> {
        self.link.into_buffers()
    }

    /// Payload bytes that the message which was begun on `csid` lacks; `None` where it is finished.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.link.media_left(csid)
    }

    /// Ends the session: says so to the server where something is published. Once [`Self::is_closed`], or after
    /// [`ClientEvent::Unpublished`] for those who want to know that all has arrived, the connection can be closed.
    ///
    /// # Errors
    /// A message is begun and not finished, or the control buffer is full for now.
    pub fn close(&mut self) -> Result<(), RequestError> {
        if self.link.has_open_media() {
            return Err(RequestError::State);
        }
        if self.state == State::Closing {
            return Ok(());
        }
        let has_stream = matches!(self.state, State::ExpectPublish | State::Publishing);
        if has_stream && let Some(key) = self.key {
            // Both or none.
            if !self.link.has_room(reserve(key)) {
                return Err(RequestError::ControlBuffer(reserve(key)));
            }
            self.call(StreamId::CONNECTION, "FCUnpublish", transaction::FC_UNPUBLISH, &[key], None)?;
            self.delete_stream()?;
        }
        self.enter(if has_stream { State::Closing } else { State::Closed });
        Ok(())
    }

    /// Whether the session is over, and all that it had to say has been put out.
    pub fn is_closed(&self) -> bool {
        match self.state {
            State::Closed => true,
            State::Closing => !self.link.wants_transmit(),
            _ => false,
        }
    }

    /// Bytes received after the handshake, modulo 2³².
    pub fn bytes_received(&self) -> u32 {
        self.link.flow().received()
    }

    /// What the server acknowledged last, where it did; servers count in different ways.
    pub fn acknowledged(&self) -> Option<u32> {
        self.link.flow().peer_acknowledged()
    }

    /// Commands that were passed over since the scratch had no room for them.
    pub fn skipped(&self) -> u32 {
        self.link.skipped()
    }

    /// Takes bytes from the front of `input` until something has happened; `None` once all is taken, or where output
    /// must drain first ([`Self::wants_input`] says which).
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    pub fn next_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ClientEvent<'d>>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.state == State::ExpectHandshake || !self.handshake.is_done() {
            return self.shake_hands(now, input);
        }
        while self.wants_input() {
            let (stream, payload) = match self.link.pull(input) {
                Ok(Some(Incoming::Command(stream, payload))) => (stream, payload),
                Ok(Some(Incoming::Media(_, pulled))) => return Ok(Some(ClientEvent::Media(self.link.lend(pulled)))),
                Ok(Some(Incoming::Event(event))) => return Ok(Some(ClientEvent::User(event))),
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.fail(error)),
            };
            let found = self.command(payload.clone()).map_err(|error| self.fail(error))?;
            self.arm(now);
            if let Some(found) = found {
                return Ok(Some(self.lend(found, stream, payload)));
            }
        }
        Ok(None)
    }

    /// Puts out what is to be sent, as far as `out` goes; answers how much it filled. To be called after every other
    /// call, until it has nothing more.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        if self.failed.is_some() {
            return 0;
        }
        self.arm(now);
        wire::transmit(&mut self.handshake, &mut self.link, out)
    }

    /// When [`Self::handle_timeout`] is to be called. To be asked again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells the client the time; it gives up where the server has had its time to answer.
    ///
    /// # Errors
    /// The server has not answered in time, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let (None, Some(deadline), Some(stage)) = (self.failed, self.deadline, self.state.awaits())
            && now >= deadline
        {
            warning!("the server did not answer in time");
            self.failed = Some(Error::TimedOut(stage));
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Whether [`Self::next_event`] can take input now. Otherwise output must drain first, or the session is over.
    pub fn wants_input(&self) -> bool {
        self.failed.is_none()
            && self.state != State::Closed
            && wire::reads(&self.handshake, &self.link, reserve(self.key.unwrap_or("")))
    }

    /// Whether [`Self::poll_transmit`] has something to put out now.
    pub fn wants_transmit(&self) -> bool {
        self.transmit_len() > 0
    }

    /// How many bytes [`Self::poll_transmit`] can put out now.
    pub fn transmit_len(&self) -> usize {
        if self.failed.is_some() { 0 } else { wire::transmit_len(&self.handshake, &self.link) }
    }

    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    /// Sets the deadline of what is awaited, when it is not set yet.
    fn arm(&mut self, now: Instant) {
        if self.deadline.is_none()
            && let Some(stage) = self.state.awaits()
        {
            let timeout = match stage {
                Stage::Handshake => self.handshake_timeout,
                _ => self.response_timeout,
            };
            self.deadline = Some(after(now, timeout));
        }
    }

    /// Goes on with the handshake. It may still have something to put out when the first chunks are read.
    fn shake_hands<'d>(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<ClientEvent<'d>>, Error> {
        self.arm(now);
        self.handshake.read(now, input, self.link.scratch()).map_err(|error| self.fail(error.into()))?;
        if self.state != State::ExpectHandshake || !self.handshake.has_read() {
            return Ok(None);
        }
        self.enter(if self.connect_asked { State::ExpectConnect } else { State::Idle });
        self.arm(now);
        Ok(Some(ClientEvent::HandshakeDone(self.handshake.kind())))
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error);
        error
    }

    /// What the application is told of a command.
    fn lend<'d, 'i: 'd>(&'d self, found: Found, stream: StreamId, payload: Payload<'i>) -> ClientEvent<'d> {
        let (stage, status) = match found {
            Found::Connected => {
                info!("connected");
                return ClientEvent::Connected;
            }
            Found::Publishing => {
                info!("publishing on message stream {}", self.stream.0);
                return ClientEvent::Publishing(self.stream);
            }
            Found::Unpublished => return ClientEvent::Unpublished,
            Found::Closed => return ClientEvent::Closed,
            Found::Refused(stage) => (Some(stage), self.status(payload)),
            Found::Status => (None, self.status(payload)),
        };
        let Some(stage) = stage else { return ClientEvent::Status(stream, status) };
        warning!("refused: {}", status.code);
        ClientEvent::Refused(stage, status)
    }

    fn status<'d, 'i: 'd>(&'d self, payload: Payload<'i>) -> Status<'d> {
        let command = Command::parse(self.link.payload(payload));
        command.map_or_else(Status::default, |command| Status::parse(command.values))
    }
}
