//! The server: serves a client that publishes, plays, or both.

mod answers;
mod commands;
mod state;

pub use state::{MESSAGE_STREAMS, ServerRole};

use super::config::{NO_LIMIT, ServerConfig, Setup};
use super::connection::{Connection, Role, Sealed};
use super::error::{ConfigError, SessionError, Stage};
use super::event::ServerEvent;
use super::link::Incoming;
use crate::chunk::Pulled;
use crate::handshake::HandshakeConfig;
use crate::message::StreamId;
use crate::time::{Instant, OptionalInstant};
use state::{NO_STREAM, Ping, State, StreamState};

/// The server's side of a connection, with memory for `STREAMS` incoming chunk streams besides the one that is being read;
/// 8 are enough for all known clients, and 2 for clients that only play: they use chunk streams 2, 3 and 8. See the
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
///                 ┌─────────────────────────── closeStream, publish(false) ───┐
///                 ▼              ┌─accept()──────► Publishing ────────────────┤
///  createStream ──► Created ──publish                                         ├──deleteStream──► gone
///                 ▲         └─play                                            │
///                 │              └─accept_play()─► Playing ───────────────────┤
///                 └─────────────────────────── closeStream, end_play() ───────┘
/// ```
///
/// The server reads no further input until the application has answered a request. After a [`reject`](Server::reject),
/// publishing or playing on the stream continues as before. After `closeStream`, and after a rejected request on a new
/// stream, media on the stream is dropped until a publish is accepted.
///
/// The client may publish again on a stream that is published. It may also repeat the publish on another stream
/// ([`accept_again`](Server::accept_again)): media on both streams then belongs to the same publication.
pub type Server<'b, const STREAMS: usize = 8> = Connection<'b, ServerRole, STREAMS>;

/// Room in the queue for the answers to one command of the client.
pub(super) const RESERVE: usize = super::config::MIN_CONTROL;

/// The number of checks for waiting messages within the limit for silence inside a message.
const WAITS: u32 = 8;

/// Returns the earlier of two deadlines.
#[inline(never)]
fn earlier(a: Option<(Instant, Stage)>, b: Option<(Instant, Stage)>) -> Option<(Instant, Stage)> {
    match (a, b) {
        (Some(a), Some(b)) if b.0 < a.0 => Some(b),
        (a, b) => a.or(b),
    }
}

impl Sealed for ServerRole {}

impl Role for ServerRole {
    type Event<'d> = ServerEvent<'d>;
    type Config = ServerConfig;

    fn new() -> Self {
        ServerRole::NEW
    }

    fn setup(config: &ServerConfig) -> Result<Setup, ConfigError> {
        config.check()?;
        Ok(Setup {
            handshake: HandshakeConfig::Server { versions: config.handshake },
            limits: config.limits(),
            chunk_size: config.chunk_size,
            window: config.window,
            type_three_delta: config.type_three_delta,
        })
    }

    fn configure(&mut self, config: &ServerConfig) {
        self.limits = config.stream_limits();
    }

    fn end(&mut self) {
        (self.state, self.media_of) = (State::Closed, NO_STREAM);
    }

    fn sends(&self, stream: Option<StreamId>) -> bool {
        stream.is_none_or(|stream| self.streams.get(stream).is_some())
    }

    #[inline]
    fn next_event<'d, 'i: 'd, const STREAMS: usize>(
        server: &'d mut Connection<'_, Self, STREAMS>,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, SessionError> {
        if server.role.media_of != NO_STREAM {
            if input.is_empty() {
                return Ok(None);
            }
            server.heard(now);
            if let Some(pulled) = server.link.resume(input) {
                server.role.active = OptionalInstant::at(now);
                return Ok(Some(server.media(server.role.media_of, pulled)));
            }
            if input.is_empty() {
                return Ok(None);
            }
            server.role.media_of = NO_STREAM;
        }
        server.find_event(now, input)
    }

    fn wants_input<const STREAMS: usize>(server: &Connection<'_, Self, STREAMS>) -> bool {
        server.takes_input() && server.reads(RESERVE)
    }

    fn deadline<const STREAMS: usize>(server: &Connection<'_, Self, STREAMS>) -> Option<(Instant, Stage)> {
        let [connect, idle] = server.limits;
        let (limit, stage) = match server.role.state {
            State::ExpectHandshake => (connect, Stage::Handshake),
            State::ExpectConnect => (connect, Stage::Connect),
            // A client that was refused has this time to read the answer.
            State::Closed if server.link.wants_transmit() => (connect, Stage::Connect),
            // While the application is asked, nothing is read, so the client is not counted as silent.
            State::Open if server.role.asked.is_none() => {
                let [message, ..] = server.role.limits;
                let message = if server.link.is_inside() { message } else { NO_LIMIT };
                let silence = if message < idle { (message, Stage::Message) } else { (idle, Stage::Traffic) };
                let silence = server.after(silence.0).map(|deadline| (deadline, silence.1));
                return earlier(earlier(silence, server.activity()), server.count());
            }
            State::Connecting | State::Open | State::Closed => return None,
        };
        Some((server.after(limit)?, stage))
    }

    /// Pings a client that is silent. When the ping can leave, the client gets the same time again for its answer.
    fn extends<const STREAMS: usize>(server: &mut Connection<'_, Self, STREAMS>, now: Instant, stage: Stage) -> bool {
        if stage == Stage::Message && server.count().is_some_and(|(at, _)| now >= at) {
            server.role.counted = now;
            return server.link.reader.count_waiting() <= WAITS;
        }
        if stage != Stage::Traffic {
            return false;
        }
        let before = server.role.ping;
        if before == Ping::None {
            // If the queue is full, there is no ping: the client does not read our output, but it may send something.
            let _ = server.ping(now);
        }
        let is_held = server.role.is_starved && server.link.is_held();
        if before == Ping::Sent && !is_held {
            return false;
        }
        server.role.ping = if is_held { Ping::Held } else { Ping::Sent };
        server.since = OptionalInstant::at(now);
        true
    }

    fn sent<const STREAMS: usize>(server: &mut Connection<'_, Self, STREAMS>, is_starved: bool) {
        server.role.is_starved = is_starved;
    }
}

impl<const STREAMS: usize> Server<'_, STREAMS> {
    /// Returns whether the client was refused or the session was closed, and all output has been written.
    pub fn is_closed(&self) -> bool {
        self.failed.is_none() && self.role.state == State::Closed && !self.link.wants_transmit()
    }

    /// Returns whether the client publishes or plays.
    pub fn is_active(&self) -> bool {
        self.role.streams.has(StreamState::Publishing) || self.role.streams.has(StreamState::Playing)
    }

    /// Reports that the peer's transport has acknowledged bytes since the last report. This counts as a sign of life, as a
    /// received byte does: some players read everything and answer no pings. When [`Self::poll_timeout`] has passed, ask the
    /// transport, and call this before [`Self::handle_timeout`]. Does nothing if nothing is played, or if the client is
    /// inside a message.
    pub fn note_acknowledged(&mut self, now: Instant) {
        if self.role.state == State::Open && self.role.streams.has(StreamState::Playing) && !self.link.is_inside() {
            self.heard(now);
        }
    }

    /// Reports that the application does not read from the client for now. This time does not count as the client's silence,
    /// nor as time without media. Call it as long as that is so, also when [`Self::poll_timeout`] has passed, before
    /// [`Self::handle_timeout`].
    pub fn note_paused(&mut self, now: Instant) {
        if self.role.state == State::Open {
            self.heard(now);
            (self.role.active, self.role.counted) = (OptionalInstant::at(now), now);
        }
    }

    /// Returns how many media messages were dropped because nothing is published on their message streams, modulo 2³².
    pub fn dropped_media(&self) -> u32 {
        self.role.dropped
    }

    /// Like [`Self::next_event`], for all cases except the common one.
    #[inline(never)]
    fn find_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ServerEvent<'d>>, SessionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if matches!(self.role.state, State::ExpectHandshake) || !self.handshake.is_done() {
            return self.read_handshake(now, input);
        }
        self.refuse_unanswered();
        self.arm(now);
        if self.role.active.get().is_none() {
            self.role.active = OptionalInstant::at(now);
        }
        while self.takes_input() && self.reads(RESERVE) {
            let before = input.len();
            let incoming = self.link.pull(input);
            if input.len() < before && self.role.state == State::Open {
                self.heard(now);
            }
            let received = match incoming {
                Ok(Some(Incoming::Media(stream, pulled))) => {
                    let Some(stream) = self.role.streams.publisher(stream) else {
                        let is_first = self.link.lend(pulled).is_first();
                        self.role.dropped = self.role.dropped.wrapping_add(u32::from(is_first));
                        continue;
                    };
                    self.role.active = OptionalInstant::at(now);
                    self.role.media_of = if pulled.data.is_ok() { stream } else { NO_STREAM };
                    return Ok(Some(self.media(stream, pulled)));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Incoming::UserControlEvent(event))) => return Ok(Some(ServerEvent::User(event))),
                Ok(Some(Incoming::Command(received))) => received,
                Err(error) => return Err(self.fail(error)),
            };
            if let Some(pending) = self.command(&received) {
                return Ok(Some(self.event(pending, &received)));
            }
        }
        Ok(None)
    }

    /// Whether the state allows reading.
    fn takes_input(&self) -> bool {
        self.role.asked.is_none() && !matches!(self.role.state, State::Connecting | State::Closed)
    }

    fn enter(&mut self, state: State) {
        (self.role.state, self.since, self.role.active) = (state, OptionalInstant::NONE, OptionalInstant::NONE);
    }

    /// The deadline by which a publisher must send media, or by which a client that neither publishes nor plays must ask to.
    fn activity(&self) -> Option<(Instant, Stage)> {
        let [_, request, media] = self.role.limits;
        let (limit, stage) = if self.role.streams.has(StreamState::Publishing) {
            (media, Stage::Media)
        } else if self.role.streams.has(StreamState::Playing) {
            return None;
        } else {
            (request, Stage::Request)
        };
        let active = self.role.active.get().filter(|_| limit != NO_LIMIT)?;
        Some((active.after_millis(limit), stage))
    }

    /// Returns the time of the next check for messages that wait for their next chunks, if there are any. A message
    /// that waits in more than [`WAITS`] consecutive checks has waited longer than the limit.
    #[inline(never)]
    fn count(&self) -> Option<(Instant, Stage)> {
        let [message, ..] = self.role.limits;
        let is_due = message != NO_LIMIT && self.link.reader.has_waiting();
        is_due.then(|| (self.role.counted.after_millis(message / WAITS), Stage::Message))
    }

    /// Records that the client has sent something.
    #[inline]
    fn heard(&mut self, now: Instant) {
        (self.since, self.role.ping) = (OptionalInstant::at(now), Ping::None);
    }

    /// Continues the handshake. The first chunks may be read before our part of it is sent.
    #[cold]
    fn read_handshake<'d>(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<ServerEvent<'d>>, SessionError> {
        self.arm(now);
        let kind = self.shake_hands(now, input).map_err(|error| self.fail(error))?;
        let Some(kind) = kind else { return Ok(None) };
        self.enter(State::ExpectConnect);
        self.arm(now);
        Ok(Some(ServerEvent::HandshakeDone(kind)))
    }

    /// Returns a piece of media with the stream to which it belongs.
    #[inline]
    fn media<'d, 'i: 'd>(&'d self, stream: StreamId, pulled: Pulled<'i>) -> ServerEvent<'d> {
        let mut fragment = self.link.lend(pulled);
        fragment.header.stream = stream;
        ServerEvent::Media(fragment)
    }
}
