//! The client: connects, publishes in the order that FMLE has, and plays.

mod calls;
mod commands;
mod events;
mod plays;
mod requests;

use heapless::Vec;

use super::link::{Incoming, Link, Payload};
use super::verbs::verbs;
use super::{ClientConfig, ClientEvent, ConfigError, SessionBuffers, SessionError, Stage, wire};
use crate::chunk::{ChunkStreamId, Pulled, WriteProgress};
use crate::command::DataMessage;
use crate::control;
use crate::fmt::{impl_format, warning};
use crate::handshake::{Handshake, HandshakeConfig, HandshakeEvent, HandshakeKind};
use crate::message::{StreamId, Timestamp};
use crate::time::{Instant, millis};
use plays::Play;

/// The transaction of `connect`. Those of later calls follow it.
const CONNECT: u32 = 1;

/// Room in the queue for what an answer of the server's may bring about, but for the stream key, which comes twice:
/// two control messages, `releaseStream`, `FCPublish` and `createStream`; or `FCUnpublish` and `deleteStream`.
const MIN_RESERVE: usize = 192;
/// The same for those three calls, and for the last two, again without the key.
const PUBLISH_ROOM: usize = 120;
const CLOSE_ROOM: usize = 93;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    ExpectHandshake,
    ExpectConnect,
    /// For what is to be published.
    ExpectStream,
    ExpectPublish,
    /// For what is to be played.
    ExpectPlayStream,
    ExpectPlay,
    /// The handshake is done.
    Idle,
    /// Nothing is awaited.
    Open,
    Closing,
    Closed,
    Failed,
}

/// What [`Client::advance`] found, without borrowing the client.
enum PendingEvent<'i> {
    HandshakeDone(HandshakeKind),
    Connected,
    Publishing,
    Playing(StreamId),
    Refused(Stage, Payload),
    Status(StreamId, Payload),
    Answer(u32, bool, Payload),
    Call(StreamId, Payload),
    Unpublished,
    Closed,
    Media(Pulled<'i>),
    Data(StreamId, Timestamp, Payload),
    User(control::UserControlEvent),
}

/// The client's side of a connection, with memory for `STREAMS` incoming chunk streams besides the one that is being read;
/// 8 are enough for all servers known. It publishes one stream, plays up to `PLAYS` at the same time, and awaits the
/// results of up to `CALLS` calls of the application's own. What it has no memory for takes no flash either: `Client`
/// publishes, `Client<'_, 8, 1>` plays as well. See the [module](super) for how to drive it.
///
/// ```text
///  ExpectHandshake ──► Idle ──connect()──► ExpectConnect ──_result──► Open ◄──────────────────────┐
///                                               │ _error               │                          │ onStatus,
///                                               ▼                      ├─publish()─► ExpectStream │ or refused
///                                            Closed                    │                 │ _result│
///                                               ▲                      │                 ▼        │
///                                               │                      │           ExpectPublish ─┤
///                                               │ all is put out       │                          │
///                                            Closing ◄────close()──────┤                          │
///                                                                      └─play()──► ExpectPlayStream
///                                                                                        │ _result│
///                                                                                        ▼        │
///                                                                                    ExpectPlay ──┘
/// ```
///
/// Requests may come early, and several at once: they are carried out one after another, when the state is reached in
/// which they can be.
#[derive(Debug)]
pub struct Client<'b, const STREAMS: usize = 8, const PLAYS: usize = 0, const CALLS: usize = 0> {
    link: Link<'b, STREAMS>,
    handshake: Handshake,
    state: State,
    connect_asked: bool,
    publishing: bool,
    /// The length of the stream key, which the queue keeps as an AMF0 string behind all else; 0 if there is none.
    key: u16,
    /// What is published.
    stream: StreamId,
    plays: Vec<Play, PLAYS, u8>,
    /// Transactions of the application's; 0 where there is room for one.
    calls: [u32; CALLS],
    /// The transaction that was used last, and the one whose answer decides what comes next.
    last_transaction: u32,
    awaited: u32,
    /// Room that the queue must have before a command is read, for what it brings about.
    reserve: usize,
    deadline: Option<Instant>,
    handshake_millis: u32,
    response_millis: u32,
    chunk_size: u32,
    failed: Option<SessionError>,
}

impl_format!(
    ['b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize] Client<'b, STREAMS, PLAYS, CALLS>,
    this => "Client {{ state: {}, failed: {} }}", this.state, this.failed
);

impl<'b, const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'b, STREAMS, PLAYS, CALLS> {
    /// A client at the beginning of a connection. The first 8 bytes of `entropy` fill the handshake's blocks, where
    /// everyone can see them; nothing secret is made of these.
    ///
    /// # Errors
    /// A buffer is too small.
    pub fn new(buffers: SessionBuffers<'b>, config: ClientConfig, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        buffers.check()?;
        let handshake = HandshakeConfig::Client { style: config.handshake, strict: config.strict_handshake };
        Ok(Self {
            link: Link::new(buffers, config.window, config.type_three_delta),
            handshake: Handshake::new(handshake, wire::seed(entropy)),
            state: State::ExpectHandshake,
            connect_asked: false,
            publishing: false,
            key: 0,
            stream: StreamId::CONNECTION,
            plays: Vec::new(),
            calls: [0; CALLS],
            last_transaction: CONNECT,
            awaited: CONNECT,
            reserve: MIN_RESERVE,
            deadline: None,
            handshake_millis: millis(config.handshake_timeout),
            response_millis: millis(config.response_timeout),
            chunk_size: config.chunk_size,
            failed: None,
        })
    }

    /// Ends the session at once and begins another one in the same memory. (It is as [`Self::new`] with
    /// [`Self::into_buffers`], where the session cannot be moved.)
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn restart(&mut self, config: ClientConfig, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        self.link.reset(config.window, config.type_three_delta);
        let handshake = HandshakeConfig::Client { style: config.handshake, strict: config.strict_handshake };
        self.handshake = Handshake::new(handshake, wire::seed(entropy));
        self.enter(State::ExpectHandshake);
        (self.connect_asked, self.publishing, self.failed) = (false, false, None);
        (self.key, self.stream, self.reserve) = (0, StreamId::CONNECTION, MIN_RESERVE);
        self.plays.clear();
        self.calls = [0; CALLS];
        (self.last_transaction, self.awaited) = (CONNECT, CONNECT);
        self.handshake_millis = millis(config.handshake_timeout);
        self.response_millis = millis(config.response_timeout);
        self.chunk_size = config.chunk_size;
        Ok(())
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
    ) -> Result<Option<ClientEvent<'d>>, SessionError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let pending = self.advance(now, input).inspect_err(|error| self.fail(*error))?;
        self.arm(now);
        Ok(pending.map(|pending| self.lend(pending)))
    }

    /// When [`Self::handle_timeout`] is to be called. To be asked again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells the client the time; it gives up where the server has had its time to answer.
    ///
    /// # Errors
    /// The server has not answered in time, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        if let (Some(deadline), Some(stage)) = (self.deadline, self.awaits())
            && now >= deadline
        {
            warning!("the server did not answer in time");
            self.fail(SessionError::TimedOut(stage));
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Whether [`Self::next_event`] can take input now. Otherwise output must drain first, or the session is over.
    pub fn wants_input(&self) -> bool {
        !matches!(self.state, State::Closed | State::Failed) && wire::reads(&self.handshake, &self.link, self.reserve)
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Closing | State::Closed | State::Failed)
    }

    fn failure(&self) -> Option<SessionError> {
        self.failed
    }

    fn fail(&mut self, error: SessionError) {
        self.enter(State::Failed);
        self.failed = Some(error);
    }

    fn enter(&mut self, state: State) {
        (self.state, self.deadline) = (state, None);
        self.publishing &= !self.is_over();
    }

    /// What the server is to do next.
    fn awaits(&self) -> Option<Stage> {
        match self.state {
            State::ExpectHandshake => Some(Stage::Handshake),
            State::ExpectConnect => Some(Stage::Connect),
            State::ExpectStream | State::ExpectPlayStream => Some(Stage::CreateStream),
            State::ExpectPublish => Some(Stage::Publish),
            State::ExpectPlay => Some(Stage::Play),
            _ => None,
        }
    }

    /// Sets the deadline of what is awaited, when it is not set yet.
    fn arm(&mut self, now: Instant) {
        if self.deadline.is_none() && self.awaits().is_some() {
            let shakes_hands = self.state == State::ExpectHandshake;
            let timeout = if shakes_hands { self.handshake_millis } else { self.response_millis };
            self.deadline = Some(now.after_millis(timeout));
        }
    }

    fn advance<'i>(&mut self, now: Instant, input: &mut &'i [u8]) -> Result<Option<PendingEvent<'i>>, SessionError> {
        if self.state == State::ExpectHandshake {
            let event = self.handshake.next_event(now, input, self.link.scratch())?;
            let Some(HandshakeEvent::PeerDone(kind)) = event else { return Ok(None) };
            self.enter(if self.connect_asked { State::ExpectConnect } else { State::Idle });
            return Ok(Some(PendingEvent::HandshakeDone(kind)));
        }
        // The scratch is the handshake's until C2 is out.
        while self.handshake.is_done() && self.state != State::Closed && self.link.has_room(self.reserve) {
            let pending = match self.link.pull(input, PLAYS > 0)? {
                None => return Ok(None),
                Some(Incoming::Media(_, pulled)) => Some(PendingEvent::Media(pulled)),
                Some(Incoming::Data(..)) if PLAYS == 0 => None,
                Some(Incoming::Data(header, payload)) => {
                    let is_one = DataMessage::parse(self.link.payload(payload.clone())).is_some();
                    is_one.then_some(PendingEvent::Data(header.stream, header.timestamp, payload))
                }
                Some(Incoming::UserControlEvent(event)) => Some(PendingEvent::User(event)),
                Some(Incoming::Command(stream, payload)) => self.command(stream, payload)?,
            };
            if pending.is_some() {
                return Ok(pending);
            }
        }
        Ok(None)
    }
}

verbs!(Client<'b, STREAMS, PLAYS, CALLS>, STREAMS, PLAYS, CALLS);
