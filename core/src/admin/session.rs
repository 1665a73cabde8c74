//! The server's side of one RTMP session of an administrator.
//!
//! ```text
//!  Begins ──connect──► Login ──accept_login()──► Idle ◄──────────────────────────┐
//!                        │                        └──call──► Call ──answer()──► Answering
//!                        └─reject()──► Over              (caller)
//! ```

use core::fmt;

use super::answer::{AdminData, Answer};
use super::failure::AdminFailure;
use super::request::{AdminEvent, Request};
use crate::bytes::low_u32;
use crate::chunk::ChunkStreamId;
use crate::command::code;
#[cfg(feature = "rtmpe")]
use crate::crypt::{Cipher, KeyPair};
use crate::fmt::impl_format;
use crate::session::{ConfigError, Server, ServerConfig, ServerEvent, SessionBuffers, SessionError};
use crate::text::put;
use crate::time::Instant;

/// The application to which an administrator connects.
const APPLICATION: &[u8] = b"admin";

/// An answer is written in pieces of this number of bytes.
const PIECE: usize = 256;

/// The longest description of a failure.
const DESCRIPTION: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    /// Waits for the caller's decision about the user and the password.
    Login,
    Idle,
    /// Waits for the caller to answer a call.
    Call,
    /// The answer must be prepared.
    Due,
    /// The chunk stream of the answer, and the number of bytes of it that were written.
    Answering(ChunkStreamId, u32),
    Over,
}

/// The server's side of one RTMP session of an administrator. See the [module](super).
///
/// The configuration is that of a session, and its limits apply. A client that has logged in may be without a call for any
/// time, as long as it reacts to pings.
///
/// `SIZE` is the number of bytes that are stored of the arguments of a call together. A call that needs more is refused. At
/// least 128. `STREAMS` is that of [`Server`].
pub struct AdminSession<'b, const SIZE: usize = 256, const STREAMS: usize = 2> {
    server: Server<'b, STREAMS>,
    request: Request<SIZE>,
    state: State,
    result: Result<(), AdminFailure>,
    answer: Answer,
}

/// Omits the request, which has the password.
impl<const SIZE: usize, const STREAMS: usize> fmt::Debug for AdminSession<'_, SIZE, STREAMS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminSession").field("state", &self.state).finish_non_exhaustive()
    }
}

impl_format!(
    ['b, const SIZE: usize, const STREAMS: usize] AdminSession<'b, SIZE, STREAMS>,
    this => "AdminSession {{ server: {} }}", this.server
);

impl<'b, const SIZE: usize, const STREAMS: usize> AdminSession<'b, SIZE, STREAMS> {
    /// Creates a session at the beginning of a connection. The parameters are those of [`Server::new`].
    ///
    /// # Errors
    /// Those of [`Server::new`].
    pub fn new(buffers: SessionBuffers<'b>, config: ServerConfig, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        let mut config = config;
        config.request_timeout = None;
        let server = Server::new(buffers, config, entropy)?;
        Ok(Self { server, request: Request::new(), state: State::Begins, result: Ok(()), answer: Answer::NONE })
    }

    /// Ends the session and returns the buffers.
    pub fn into_buffers(self) -> SessionBuffers<'b> {
        self.server.into_buffers()
    }

    /// Consumes bytes from the front of `input` until there is an event. Returns `None` when all input is consumed, when the
    /// caller must decide about the last event, or when output must be written first ([`Self::wants_input`]).
    ///
    /// # Errors
    /// The session is over. Close the connection.
    pub fn next_event(&mut self, now: Instant, input: &mut &[u8]) -> Result<Option<AdminEvent<'_>>, SessionError> {
        while matches!(self.state, State::Begins | State::Idle) {
            let Some(event) = self.server.next_event(now, input)? else { return Ok(None) };
            match event {
                ServerEvent::Connect(connect) => {
                    let app = connect.app.as_bytes();
                    if app.strip_suffix(b"/").unwrap_or(app) == APPLICATION {
                        self.request.begin_login(connect.arguments());
                        self.state = State::Login;
                        return Ok(Some(AdminEvent::Login(self.request.credentials())));
                    }
                    self.state = State::Login;
                    self.reject(AdminFailure::Login);
                }
                // The methods only read, so a call that wants no answer has no effect.
                ServerEvent::Call { command, .. } if command.wants_answer() => {
                    let begun = self.request.begin_call(&command);
                    match begun.and_then(|()| self.request.call()) {
                        Ok(call) => {
                            self.state = State::Call;
                            return Ok(Some(AdminEvent::Call(call)));
                        }
                        Err(failure) => (self.state, self.result) = (State::Due, Err(failure)),
                    }
                }
                // If there is no room for the answer now, the client has many of them already.
                ServerEvent::Publish { stream, .. } => {
                    _ = self.server.reject(stream, code::PUBLISH_DENIED, "Nothing is published here.");
                }
                ServerEvent::Play { stream, .. } => {
                    _ = self.server.reject(stream, code::PLAY_FAILED, "Nothing is played here.");
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Accepts the user and the password of [`AdminEvent::Login`].
    pub fn accept_login(&mut self) {
        if self.state == State::Login {
            // The queue is empty, so there is room.
            self.state = if self.server.accept_connect().is_ok() { State::Idle } else { State::Over };
        }
    }

    /// Rejects the user and the password of [`AdminEvent::Login`]. Close the connection when the answer is sent
    /// ([`Self::is_closed`]).
    pub fn reject(&mut self, failure: AdminFailure) {
        if self.state == State::Login {
            let mut text = [0; DESCRIPTION];
            let (length, _) = put(&failure.description().map(str::as_bytes), 0, &mut text);
            let description = text.get(..length).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default();
            // The queue is empty, so there is room.
            let _ = self.server.reject_connect(description);
            self.state = State::Over;
        }
    }

    /// Ends the call of [`AdminEvent::Call`]: it was done, or it failed. The answer is to be written then.
    pub fn answer(&mut self, result: Result<(), AdminFailure>) {
        if self.state == State::Call {
            (self.state, self.result) = (State::Due, result);
        }
    }

    /// Whether an answer to a call is not written yet: `data` of [`Self::poll_transmit`] must stay as it is.
    pub fn is_answering(&self) -> bool {
        matches!(self.state, State::Due | State::Answering(..))
    }

    /// Whether [`Self::next_event`] takes input now.
    pub fn wants_input(&self) -> bool {
        matches!(self.state, State::Begins | State::Idle) && self.server.wants_input()
    }

    /// Whether [`Self::poll_transmit`] has something to write.
    pub fn wants_transmit(&self) -> bool {
        self.is_answering() || self.server.wants_transmit()
    }

    /// Whether the connection must be closed: the client was rejected, or `data` has changed within an answer.
    pub fn is_closed(&self) -> bool {
        self.state == State::Over && !self.server.wants_transmit()
    }

    /// Writes bytes to send to the front of `out` and returns their number. Call it after every other call, until it returns
    /// 0.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8], data: &dyn AdminData) -> usize {
        if self.state == State::Due {
            self.prepare(data);
        }
        let mut written = self.server.poll_transmit(now, out);
        while let State::Answering(csid, sent) = self.state {
            let mut piece = [0; PIECE];
            let part = self.answer.write(&self.request, data, sent, &mut piece);
            if !part.is_same {
                self.state = State::Over;
                break;
            }
            let piece = piece.get(..part.stored).unwrap_or_default();
            let progress = self.server.poll_media(csid, piece, out.get_mut(written..).unwrap_or_default());
            written = written.wrapping_add(progress.written);
            self.state = match progress.done {
                true => State::Idle,
                false => State::Answering(csid, sent.wrapping_add(low_u32(progress.taken))),
            };
            if progress.written == 0 {
                break;
            }
        }
        written
    }

    /// Begins the answer to a call.
    fn prepare(&mut self, data: &dyn AdminData) {
        self.answer = Answer::new(self.result, &self.request, self.server.last_transaction(), data);
        self.state = match self.server.begin_answer(self.answer.identity.length) {
            Ok(csid) => State::Answering(csid, 0),
            Err(_) => State::Over,
        };
    }

    /// Returns the time at which [`Self::handle_timeout`] must be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout()
    }

    /// Handles deadlines that have passed.
    ///
    /// # Errors
    /// The client took too long. Close the connection.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.server.handle_timeout(now)
    }

    /// As [`Server::awaits_keys`](crate::session::Connection::awaits_keys).
    #[cfg(feature = "rtmpe")]
    #[must_use]
    pub fn awaits_keys(&self) -> bool {
        self.server.awaits_keys()
    }

    /// As [`Server::agree`](crate::session::Connection::agree).
    #[cfg(feature = "rtmpe")]
    #[must_use = "without the ciphers, nothing can be read"]
    pub fn agree(&mut self, now: Instant, pair: &KeyPair) -> Option<Cipher> {
        self.server.agree(now, pair)
    }
}
