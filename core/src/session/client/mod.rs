//! The client: connects, publishes with the command sequence of Flash Media Live Encoder (FMLE), and plays.

mod commands;
mod plays;
mod requests;
mod state;

pub use state::{ClientRole, NotZero, Room};

use super::config::{ClientConfig, Setup, check, limit};
use super::connection::{Connection, Role, Sealed};
#[cfg(feature = "rtmpe")]
use super::error::RequestError;
use super::error::{ConfigError, SessionError, Stage};
use super::event::ClientEvent;
use super::link::Incoming;
use crate::amf0::u32_to_number;
use crate::command::PeerCapabilities;
#[cfg(feature = "rtmpe")]
use crate::crypt::KeyPair;
use crate::handshake::HandshakeConfig;
use crate::message::StreamId;
use crate::time::{Instant, OptionalInstant};
use state::{CONNECT, State};

/// The client's side of a connection, with memory for `STREAMS` incoming chunk streams besides the one that is being
/// read; 8 are enough for all known servers. It publishes one stream, plays up to `PLAYS` streams at the same time, and
/// can have up to `CALLS` unanswered calls of the application. A constant of 0 leaves the code out of the image:
/// `Client` publishes, `Client<'_, 8, 1>` also plays. See the [module](super) for how to drive it.
///
/// ```text
///  ExpectHandshake ──► Idle ──connect()──► ExpectConnect ──_result──► Open ◄──────────────────────┐
///                                               │ _error               │                          │ onStatus,
///                                               ▼                      ├─publish()─► ExpectStream │ or refused
///                                            Closed                    │                 │ _result│
///                                               ▲                      │                 ▼        │
///                                               │                      │           ExpectPublish ─┤
///                                               │ all has been sent    │                          │
///                                            Closing ◄────close()──────┤                          │
///                                                                      └─play()──► ExpectPlayStream
///                                                                                        │ _result│
///                                                                                        ▼        │
///                                                                                    ExpectPlay ──┘
/// ```
///
/// The application may make several requests at once, and before the client is connected. The client sends each one
/// when its state allows it.
pub type Client<'b, const STREAMS: usize = 8, const PLAYS: usize = 0, const CALLS: usize = 0> =
    Connection<'b, ClientRole<PLAYS, CALLS>, STREAMS>;

impl<const PLAYS: usize, const CALLS: usize> Sealed for ClientRole<PLAYS, CALLS> {}

impl<const PLAYS: usize, const CALLS: usize> Role for ClientRole<PLAYS, CALLS> {
    type Event<'d> = ClientEvent<'d>;
    type Config = ClientConfig;

    fn new() -> Self {
        ClientRole::NEW
    }

    fn setup(config: &ClientConfig) -> Result<Setup, ConfigError> {
        let limits = [limit(config.handshake_timeout), limit(config.response_timeout)];
        check(&limits)?;
        Ok(Setup {
            handshake: HandshakeConfig::Client { style: config.handshake, strict: config.strict_handshake },
            limits,
            chunk_size: config.chunk_size,
            window: config.window,
            type_three_delta: config.type_three_delta,
        })
    }

    fn end(&mut self) {
        (self.state, self.publishing) = (State::Closed, false);
    }

    fn sends(&self, stream: Option<StreamId>) -> bool {
        self.publishing && stream.is_none_or(|stream| stream == self.stream)
    }

    fn next_event<'d, 'i: 'd, const STREAMS: usize>(
        client: &'d mut Connection<'_, Self, STREAMS>,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<ClientEvent<'d>>, SessionError> {
        if let Some(error) = client.failed {
            return Err(error);
        }
        client.arm(now);
        if client.role.state == State::ExpectHandshake {
            let kind = client.shake_hands(now, input).map_err(|error| client.fail(error))?;
            let Some(kind) = kind else { return Ok(None) };
            client.enter(if client.role.connect_asked { State::ExpectConnect } else { State::Idle });
            client.arm(now);
            return Ok(Some(ClientEvent::HandshakeDone(kind)));
        }
        // The handshake uses the scratch until C2 has been written.
        while client.handshake.is_done()
            && client.role.state != State::Closed
            && client.link.has_room(client.role.reserve)
        {
            let before = *input;
            let incoming = client.link.pull(input);
            if client.hears() && input.len() < before.len() {
                client.since = OptionalInstant::at(now);
            }
            let received = match incoming {
                Ok(Some(Incoming::Command(received))) => received,
                Ok(Some(Incoming::Media(stream, pulled))) => {
                    if PLAYS > 0
                        && let Some(stream) = client.started_by(stream)
                        && client.link.put_back(pulled, before, input)
                    {
                        client.proceed();
                        client.arm(now);
                        return Ok(Some(commands::playing(stream)));
                    }
                    return Ok(Some(client.media(pulled)));
                }
                Ok(Some(Incoming::UserControlEvent(event))) => return Ok(Some(ClientEvent::User(event))),
                Ok(None) => return Ok(None),
                Err(error) => return Err(client.fail(error)),
            };
            let pending = client.command(&received).map_err(|error| client.fail(error))?;
            client.arm(now);
            if let Some(pending) = pending {
                return Ok(Some(client.event(pending, &received)));
            }
        }
        Ok(None)
    }

    fn wants_input<const STREAMS: usize>(client: &Connection<'_, Self, STREAMS>) -> bool {
        client.role.state != State::Closed && client.reads(client.role.reserve)
    }

    fn deadline<const STREAMS: usize>(client: &Connection<'_, Self, STREAMS>) -> Option<(Instant, Stage)> {
        let [handshake, response] = client.limits;
        let (limit, stage) = match (client.role.state, client.awaits()) {
            (State::Open, _) => (client.silence(), Stage::Traffic),
            (_, Some(Stage::Handshake)) => (handshake, Stage::Handshake),
            (_, Some(stage)) => (response, stage),
            // The limit for the application to request `connect`, and for the transport to take the last output.
            (State::Idle, _) => (response, Stage::Connect),
            (State::Closing, _) if client.link.wants_transmit() => (response, Stage::Traffic),
            _ => return None,
        };
        Some((client.after(limit)?, stage))
    }

    /// Traffic is checked here and not when a byte arrives, because that would take more flash in each client that only
    /// publishes.
    fn extends<const STREAMS: usize>(client: &mut Connection<'_, Self, STREAMS>, now: Instant, _: Stage) -> bool {
        let received = client.link.flow().received();
        let before = core::mem::replace(&mut client.role.received, received);
        if client.hears() || client.role.state != State::Open || received == before {
            return false;
        }
        client.since = OptionalInstant::at(now);
        true
    }

    fn sent<const STREAMS: usize>(client: &mut Connection<'_, Self, STREAMS>, _: bool) {
        if client.role.state == State::Open && client.role.plays.is_empty() {
            client.since = OptionalInstant::NONE;
        }
    }
}

impl<const STREAMS: usize, const PLAYS: usize, const CALLS: usize> Client<'_, STREAMS, PLAYS, CALLS> {
    /// Encrypts the session (RTMPE). The handshake then begins with the public key of `pair`. Call it before the first
    /// byte is written. [`Self::awaits_keys`] describes the next step.
    ///
    /// # Errors
    /// [`RequestError::State`]: a byte has already been written.
    #[cfg(feature = "rtmpe")]
    pub fn encrypt(&mut self, pair: &KeyPair) -> Result<(), RequestError> {
        let is_possible = self.failed.is_none() && self.handshake.encrypt(pair, self.link.scratch());
        if is_possible { Ok(()) } else { Err(RequestError::State) }
    }

    /// Returns whether the session is over and all of its output has been written.
    pub fn is_closed(&self) -> bool {
        match self.role.state {
            State::Closed => true,
            State::Closing => !self.link.wants_transmit(),
            _ => false,
        }
    }

    /// Returns the capabilities in Enhanced RTMP that the server announced in its answer to `connect`. Valid after
    /// [`ClientEvent::Connected`], until the next call of [`Self::next_event`]. At other times, the result has no
    /// capabilities.
    pub fn connect_answer(&self) -> PeerCapabilities<'_> {
        let connect = u32_to_number(CONNECT);
        self.link.announced(&|command| command.name == *"_result" && command.transaction == connect)
    }

    /// Returns the stream that is published.
    pub fn publishing(&self) -> Option<StreamId> {
        self.role.publishing.then_some(self.role.stream)
    }

    /// Whether the client plays something and awaits no answer.
    fn hears(&self) -> bool {
        PLAYS > 0 && self.role.state == State::Open && !self.role.plays.is_empty()
    }

    /// Returns the limit in the state [`State::Open`], in milliseconds: for the silence of the server while something
    /// is played, otherwise for the time without traffic.
    fn silence(&self) -> u32 {
        self.role.silence.first().copied().filter(|_| !self.role.plays.is_empty()).unwrap_or(self.role.idle)
    }

    fn is_over(&self) -> bool {
        matches!(self.role.state, State::Closing | State::Closed)
    }

    #[inline(never)]
    fn enter(&mut self, state: State) {
        (self.role.state, self.since) = (state, OptionalInstant::NONE);
        self.role.publishing &= !self.is_over();
    }

    /// The step that the server must complete next.
    fn awaits(&self) -> Option<Stage> {
        match self.role.state {
            State::ExpectHandshake => Some(Stage::Handshake),
            State::ExpectConnect => Some(Stage::Connect),
            State::ExpectStream | State::ExpectPlayStream => Some(Stage::CreateStream),
            State::ExpectPublish => Some(Stage::Publish),
            State::ExpectPlay => Some(Stage::Play),
            _ => None,
        }
    }
}
