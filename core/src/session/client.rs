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

use super::link::{Incoming, Link, Payload};
use super::{Buffers, ClientConfig, ClientEvent, ConfigError, Error, RequestError, Stage, wire};
use crate::chunk::{ChunkStreamId, Pulled};
use crate::command::{Argument, Command, ConnectOptions, Status};
use crate::control;
use crate::fmt::{info, warning};
use crate::handshake;
use crate::message::{Kind, StreamId, Timestamp};
use crate::time::{Instant, millis};

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

/// Room in the queue for what an answer of the server's may bring about, but for the stream key, which comes twice:
/// two control messages, `releaseStream`, `FCPublish` and `createStream`; or `FCUnpublish` and `deleteStream`.
const MIN_RESERVE: usize = 192;
/// The same for those three calls, and for the last two, again without the key.
const PUBLISH_ROOM: usize = 120;
const CLOSE_ROOM: usize = 96;

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

/// What [`Client::advance`] found, without borrowing the client.
pub(super) enum Found<'i> {
    HandshakeDone,
    Connected,
    Publishing,
    Refused(Stage, Payload),
    Status(StreamId, Payload),
    Unpublished,
    Closed,
    Media(Pulled<'i>),
    User(control::Event),
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
    /// Room that the queue must have before a command is read, for what it brings about.
    reserve: usize,
    deadline: Option<Instant>,
    handshake_millis: u32,
    response_millis: u32,
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
            reserve: MIN_RESERVE,
            deadline: None,
            handshake_millis: millis(config.handshake_timeout),
            response_millis: millis(config.response_timeout),
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
        self.link.queue(StreamId::CONNECTION, &mut emit)?;
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
        // With the headers of further chunks. No text is so long that this could wrap.
        let keys = key.len().wrapping_mul(2).wrapping_add(key.len() / 64);
        let reserve = keys.wrapping_add(MIN_RESERVE);
        if reserve > self.link.control_capacity() {
            return Err(RequestError::ControlBuffer(reserve));
        }
        // All three calls or none.
        if self.state == State::Connected && !self.link.has_room(keys.wrapping_add(PUBLISH_ROOM)) {
            return Err(RequestError::ControlBuffer(reserve));
        }
        (self.key, self.reserve) = (Some(key), reserve);
        if self.state == State::Connected {
            self.create_stream();
        }
        Ok(())
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

    /// How many bytes [`Self::poll_media`] can put out now at the least, where `rest` has `at_hand` bytes: exactly so many
    /// where [`Self::transmit_len`] is 0 at a chunk's end.
    pub fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
        self.link.media_len(csid, at_hand)
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

    /// Ends the session at once and begins another one in the same memory. (It is as [`Self::new`] with
    /// [`Self::into_buffers`], where the session cannot be moved.)
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn restart(&mut self, config: ClientConfig, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        let buffers = self.link.take_buffers();
        *self = Self::new(buffers, config, entropy)?;
        Ok(())
    }

    /// Payload bytes that the message which was begun on `csid` lacks; `None` where it is finished, or nothing is published
    /// any more.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.publishing()?;
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
            let room = key.len().wrapping_add(CLOSE_ROOM);
            if !self.link.has_room(room) {
                return Err(RequestError::ControlBuffer(room));
            }
            self.call("FCUnpublish", transaction::FC_UNPUBLISH, Argument::Text(key));
            self.delete_stream();
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
        let found = self.advance(now, input).inspect_err(|error| {
            (self.failed, self.state) = (Some(*error), State::Closed);
        })?;
        self.arm(now);
        Ok(found.map(|found| self.lend(found)))
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
        if let (None, Some(deadline), Some(stage)) = (self.failed, self.deadline, self.awaits())
            && now >= deadline
        {
            warning!("the server did not answer in time");
            self.failed = Some(Error::TimedOut(stage));
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Whether [`Self::next_event`] can take input now. Otherwise output must drain first, or the session is over.
    pub fn wants_input(&self) -> bool {
        self.failed.is_none() && self.state != State::Closed && wire::reads(&self.handshake, &self.link, self.reserve)
    }

    /// Whether [`Self::poll_transmit`] has something to put out now.
    pub fn wants_transmit(&self) -> bool {
        self.failed.is_none() && wire::wants_transmit(&self.handshake, &self.link)
    }

    /// How many bytes [`Self::poll_transmit`] can put out now.
    pub fn transmit_len(&self) -> usize {
        if self.failed.is_some() { 0 } else { wire::transmit_len(&self.handshake, &self.link) }
    }

    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.deadline = None;
    }

    /// What the server is to do next.
    pub(super) fn awaits(&self) -> Option<Stage> {
        match self.state {
            State::ExpectHandshake => Some(Stage::Handshake),
            State::ExpectConnect => Some(Stage::Connect),
            State::ExpectStream => Some(Stage::CreateStream),
            State::ExpectPublish => Some(Stage::Publish),
            _ => None,
        }
    }

    /// Sets the deadline of what is awaited, when it is not set yet.
    fn arm(&mut self, now: Instant) {
        if self.deadline.is_none()
            && let Some(stage) = self.awaits()
        {
            let timeout = match stage {
                Stage::Handshake => self.handshake_millis,
                _ => self.response_millis,
            };
            self.deadline = Some(now.after_millis(timeout));
        }
    }

    fn advance<'i>(&mut self, now: Instant, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, Error> {
        if self.state == State::ExpectHandshake {
            self.handshake.read(now, input, self.link.scratch())?;
            if !self.handshake.has_read() {
                return Ok(None);
            }
            self.enter(if self.connect_asked { State::ExpectConnect } else { State::Idle });
            return Ok(Some(Found::HandshakeDone));
        }
        // The scratch is the handshake's until C2 is out.
        while self.handshake.is_done() && self.state != State::Closed && self.link.has_room(self.reserve) {
            let found = match self.link.pull(input)? {
                None => return Ok(None),
                Some(Incoming::Media(_, pulled)) => Some(Found::Media(pulled)),
                Some(Incoming::Event(event)) => Some(Found::User(event)),
                Some(Incoming::Command(stream, payload)) => self.command(stream, payload)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What the info object of a command says.
    #[inline(never)]
    fn status(&self, payload: Payload) -> Status<'_> {
        let command = Command::parse(self.link.payload(payload));
        command.map_or_else(Status::default, |command| Status::parse(command.values))
    }

    /// Lends what was found.
    fn lend<'d, 'i: 'd>(&'d self, found: Found<'i>) -> ClientEvent<'d> {
        match found {
            Found::HandshakeDone => ClientEvent::HandshakeDone(self.handshake.kind()),
            Found::Connected => {
                info!("connected");
                ClientEvent::Connected
            }
            Found::Publishing => {
                info!("publishing on message stream {}", self.stream.0);
                ClientEvent::Publishing(self.stream)
            }
            Found::Refused(stage, payload) => {
                let status = self.status(payload);
                warning!("refused: {}", status.code);
                ClientEvent::Refused(stage, status)
            }
            Found::Status(stream, payload) => ClientEvent::Status(stream, self.status(payload)),
            Found::Unpublished => ClientEvent::Unpublished,
            Found::Closed => ClientEvent::Closed,
            Found::Media(pulled) => ClientEvent::Media(self.link.lend(pulled)),
            Found::User(event) => ClientEvent::User(event),
        }
    }
}
