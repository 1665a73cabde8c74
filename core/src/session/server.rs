//! The server: takes a client that publishes.
//!
//! ```text
//!  ExpectHandshake ──► ExpectConnect ──connect──► Connecting ──accept_connect()──► Open
//!                                                     │
//!                                                     └─────reject_connect()─────► Closed
//!
//!  and each message stream of an open connection:
//!
//!  createStream ──► Created ──publish──► Asking ──accept()──► Publishing ──deleteStream──► gone
//!                      ▲                    │                      │ closeStream
//!                      └──────reject()──────┴──────────────────────┘
//! ```
//!
//! While the application is asked, nothing more is read.

use heapless::Vec;

use super::link::{Incoming, Link, Payload};
use super::{Buffers, ConfigError, Error, RequestError, ServerConfig, ServerEvent, Stage, wire};
use crate::chunk::{ChunkStreamId, Pulled};
use crate::command::{self, Command, ConnectRequest, Status, code};
use crate::fmt::{info, warning};
use crate::handshake;
use crate::message::{Kind, StreamId, Timestamp};
use crate::time::{Instant, earliest, millis};

/// Message streams that one connection may have at a time.
pub const MESSAGE_STREAMS: usize = 4;

/// Room in the queue for what a command of the client's may bring about.
pub(super) const RESERVE: usize = 384;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    ExpectHandshake,
    ExpectConnect,
    /// The application is asked; the transaction is to be answered.
    Connecting(f64),
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamState {
    Created,
    /// The application is asked.
    Asking,
    Publishing,
}

/// What the application must hear of a command.
pub(super) enum Found {
    Connect,
    Publish(StreamId),
    Unpublished(StreamId),
}

/// The server's side of a connection, with memory for `STREAMS` incoming chunk streams; 8 are enough for all clients
/// known. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Server<'b, const STREAMS: usize = 8> {
    pub(super) link: Link<'b, STREAMS>,
    handshake: handshake::Server,
    pub(super) state: State,
    pub(super) streams: Vec<(StreamId, StreamState), MESSAGE_STREAMS>,
    pub(super) last_stream: u32,
    deadline: Option<Instant>,
    /// When the client was last heard or sent a ping, and which of these it was.
    quiet_since: Instant,
    pinged: bool,
    /// The application is asked about a publisher.
    pub(super) asking: bool,
    /// The message that is being read is media of this stream, and no input waits in the reader: so what goes on with it
    /// needs no second look.
    media_of: Option<StreamId>,
    connect_millis: u32,
    idle_millis: u32,
    chunk_size: u32,
    window: u32,
    failed: Option<Error>,
}

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// A server at the beginning of a connection. The first 8 bytes of `entropy` fill the handshake's blocks, where
    /// everyone can see them; nothing secret is made of these.
    ///
    /// # Errors
    /// A buffer is too small.
    pub fn new(buffers: Buffers<'b>, config: ServerConfig, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        buffers.check()?;
        let mut link = Link::new(buffers);
        link.reader().set_type_three_delta(config.type_three_delta);
        Ok(Self {
            link,
            handshake: handshake::Server::new(config.handshake, wire::seed(entropy)),
            state: State::ExpectHandshake,
            streams: Vec::new(),
            last_stream: 0,
            deadline: None,
            quiet_since: Instant::from_micros(0),
            pinged: false,
            asking: false,
            media_of: None,
            connect_millis: millis(config.connect_timeout),
            idle_millis: millis(config.idle_timeout),
            chunk_size: config.chunk_size,
            window: config.window,
            failed: None,
        })
    }

    /// Accepts the client.
    ///
    /// # Errors
    /// It has not asked.
    pub fn accept_connect(&mut self) -> Result<(), RequestError> {
        let State::Connecting(transaction) = self.state else { return Err(RequestError::State) };
        let size = self.link.announce_window(self.window)?;
        let [a, b, c, d] = size.to_be_bytes();
        self.link.queue_control(Kind::SET_PEER_BANDWIDTH, &[a, b, c, d, crate::control::Limit::Dynamic as u8])?;
        self.link.announce_chunk_size(self.chunk_size)?;
        self.link.queue(StreamId::CONNECTION, &mut |encoder| command::accepted(encoder, transaction))?;
        self.enter(State::Open);
        info!("a client is connected");
        Ok(())
    }

    /// Refuses the client, and tells it why. The connection can be closed once that is put out
    /// ([`Self::is_closed`]).
    ///
    /// # Errors
    /// It has not asked, or the control buffer is too small for `description`.
    pub fn reject_connect(&mut self, description: &str) -> Result<(), RequestError> {
        let State::Connecting(transaction) = self.state else { return Err(RequestError::State) };
        let status = Status::error(code::CONNECT_REJECTED, description);
        self.link
            .queue(StreamId::CONNECTION, &mut |encoder| command::put_status(encoder, "_error", transaction, &status))?;
        self.enter(State::Closed);
        Ok(())
    }

    /// Accepts the publisher of `stream`, whose media comes next.
    ///
    /// # Errors
    /// It has not asked.
    pub fn accept(&mut self, stream: StreamId) -> Result<(), RequestError> {
        self.asking(stream)?;
        let [a, b, c, d] = stream.0.to_be_bytes();
        self.link.queue_control(Kind::USER_CONTROL, &[0, 0, a, b, c, d])?; // StreamBegin
        let status = Status::ok(code::PUBLISH_START, "Publishing begins.");
        self.link.queue_status(stream, &status)?;
        self.cut_off();
        self.set(stream, StreamState::Publishing);
        info!("message stream {} is published", stream.0);
        Ok(())
    }

    /// Refuses the publisher of `stream`, with one of the [codes](code) such as [`code::PUBLISH_BAD_NAME`], and tells it
    /// why. It may ask again, under another key.
    ///
    /// # Errors
    /// It has not asked, or the control buffer is too small for `description`.
    pub fn reject(&mut self, stream: StreamId, code: &str, description: &str) -> Result<(), RequestError> {
        self.asking(stream)?;
        let status = Status::error(code, description);
        self.link.queue_status(stream, &status)?;
        self.set(stream, StreamState::Created);
        Ok(())
    }

    /// Begins an audio, video or data message of `length` bytes; [`Self::poll_media`] puts it out.
    ///
    /// # Errors
    /// There is no such stream, or the message before it of the same kind is not finished.
    pub fn begin_media(
        &mut self,
        kind: Kind,
        stream: StreamId,
        at: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        if self.stream(stream).is_none() {
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

    /// Whether the client was refused, and has been told.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed && !self.link.wants_transmit()
    }

    /// Bytes received after the handshake, modulo 2³².
    pub fn bytes_received(&self) -> u32 {
        self.link.flow().received()
    }

    /// What the client acknowledged last, where it did; clients count in different ways.
    pub fn acknowledged(&self) -> Option<u32> {
        self.link.flow().peer_acknowledged()
    }

    /// Commands that were passed over since the scratch had no room for them.
    pub fn skipped(&self) -> u32 {
        self.link.skipped()
    }

    /// Takes bytes from the front of `input` until something has happened; `None` once all is taken, or where the
    /// application is asked something or output must drain first ([`Self::wants_input`] says so).
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    pub fn next_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, Error> {
        if let Some(stream) = self.media_of {
            if input.is_empty() {
                return Ok(None);
            }
            (self.quiet_since, self.pinged) = (now, false);
            if let Some(pulled) = self.link.resume(input) {
                return Ok(Some(self.media(stream, pulled)));
            }
            if input.is_empty() {
                return Ok(None);
            }
            self.media_of = None;
        }
        self.find_event(now, input)
    }

    /// As [`Self::next_event`], for all that is not the common case.
    #[inline(never)]
    fn find_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if matches!(self.state, State::ExpectHandshake) || !self.handshake.is_done() {
            return self.shake_hands(now, input);
        }
        while self.wants_input() {
            let before = input.len();
            let incoming = self.link.pull(input);
            if input.len() < before {
                (self.quiet_since, self.pinged) = (now, false);
            }
            let (stream, payload) = match incoming {
                Ok(Some(Incoming::Media(stream, pulled))) => {
                    let Some(stream) = self.publisher(stream) else { continue };
                    self.media_of = pulled.data.map(|_| stream);
                    return Ok(Some(self.media(stream, pulled)));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Incoming::Event(event))) => return Ok(Some(ServerEvent::User(event))),
                Ok(Some(Incoming::Command(stream, payload))) => (stream, payload),
                Err(error) => return Err(self.fail(error)),
            };
            if let Some(found) = self.command(stream, payload.clone()) {
                return Ok(Some(self.lend(found, payload)));
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
        earliest(self.deadline, self.silence())
    }

    /// Tells the server the time: it pings a client that is silent, and gives up where that does not answer, or does not
    /// finish the handshake or connect in time.
    ///
    /// # Errors
    /// The client has not done what it should in time, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let stage = match self.state {
            State::ExpectHandshake => Stage::Handshake,
            _ => Stage::Connect,
        };
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            warning!("the client did not connect in time");
            self.fail(Error::TimedOut(stage));
        } else if self.silence().is_some_and(|deadline| now >= deadline) {
            if self.pinged {
                warning!("the client went silent");
                self.fail(Error::TimedOut(Stage::Traffic));
            } else {
                (self.quiet_since, self.pinged) = (now, true);
                // The time in it is for us alone. Where the queue is full, the client has been deaf, not silent.
                let [a, b, c, d] = (now.as_micros() as u32).to_be_bytes();
                let _ = self.link.queue_control(Kind::USER_CONTROL, &[0, 6, a, b, c, d]);
            }
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Whether [`Self::next_event`] can take input now. Otherwise the application is asked something, output must drain
    /// first, or the session is over.
    pub fn wants_input(&self) -> bool {
        let asking = self.asking || matches!(self.state, State::Connecting(_) | State::Closed);
        self.failed.is_none() && !asking && wire::reads(&self.handshake, &self.link, RESERVE)
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

    /// Sets the deadline of the handshake, and of `connect`, when it is not set yet.
    fn arm(&mut self, now: Instant) {
        if self.deadline.is_none() && matches!(self.state, State::ExpectHandshake | State::ExpectConnect) {
            self.deadline = Some(now.after_millis(self.connect_millis));
        }
    }

    /// When a client that is silent is pinged, or given up.
    fn silence(&self) -> Option<Instant> {
        // While the application is asked, nothing is read: the client cannot be heard.
        if self.state != State::Open || self.asking {
            return None;
        }
        Some(self.quiet_since.after_millis(self.idle_millis / 2))
    }

    pub(super) fn stream(&self, stream: StreamId) -> Option<StreamState> {
        self.streams.iter().find(|(id, _)| *id == stream).map(|(_, state)| *state)
    }

    pub(super) fn set(&mut self, stream: StreamId, to: StreamState) {
        self.asking = to == StreamState::Asking;
        for (_, state) in self.streams.iter_mut().filter(|(id, _)| *id == stream) {
            *state = to;
        }
    }

    fn asking(&self, stream: StreamId) -> Result<(), RequestError> {
        match self.stream(stream) {
            Some(StreamState::Asking) => Ok(()),
            Some(_) => Err(RequestError::State),
            None => Err(RequestError::Stream(stream)),
        }
    }

    /// Goes on with the handshake. It may still have something to put out when the first chunks are read.
    #[cold]
    fn shake_hands<'d>(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<ServerEvent<'d>>, Error> {
        self.arm(now);
        self.handshake.read(input, self.link.scratch()).map_err(|error| self.fail(error.into()))?;
        if self.state != State::ExpectHandshake || !self.handshake.has_read() {
            return Ok(None);
        }
        self.enter(State::ExpectConnect);
        self.arm(now);
        Ok(Some(ServerEvent::HandshakeDone(self.handshake.kind())))
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        (self.failed, self.media_of) = (Some(error), None);
        error
    }

    /// When streams are about to be published, or were until now: the rest of the messages that are unfinished on others
    /// is not theirs.
    pub(super) fn cut_off(&mut self) {
        let streams = &self.streams;
        self.link.reader().disown(|stream| !streams.contains(&(stream, StreamState::Publishing)));
    }

    /// The stream that media on `stream` belongs to: that one where it publishes; or the only one that does, since some
    /// cameras send everything on message stream 0.
    pub(super) fn publisher(&self, stream: StreamId) -> Option<StreamId> {
        let (mut one, mut count) = (None, 0_u8);
        for (id, _) in self.streams.iter().filter(|(_, state)| *state == StreamState::Publishing) {
            if *id == stream {
                return Some(stream);
            }
            (one, count) = (Some(*id), count.wrapping_add(1));
        }
        one.filter(|_| count == 1)
    }

    /// A piece of media, on the stream that it belongs to.
    #[inline]
    fn media<'d, 'i: 'd>(&'d self, stream: StreamId, pulled: Pulled<'i>) -> ServerEvent<'d> {
        let mut fragment = self.link.lend(pulled);
        fragment.header.stream = stream;
        ServerEvent::Media(fragment)
    }

    /// What the application is told of a command.
    fn lend<'d, 'i: 'd>(&'d self, found: Found, payload: Payload) -> ServerEvent<'d> {
        let command = Command::parse(self.link.payload(payload));
        match found {
            Found::Connect => {
                let request = command.map(|command| ConnectRequest::parse(&command));
                ServerEvent::Connect(request.unwrap_or_default())
            }
            Found::Publish(stream) => {
                let key = command.and_then(|command| command.string_argument());
                ServerEvent::Publish { stream, key: key.unwrap_or_default() }
            }
            Found::Unpublished(stream) => {
                info!("message stream {} is not published any more", stream.0);
                ServerEvent::Unpublished(stream)
            }
        }
    }
}
