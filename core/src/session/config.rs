//! The configuration of a session, and the memory that the caller lends to it.

use core::time::Duration;

use super::error::ConfigError;
use crate::chunk::TypeThreeDelta;
use crate::fmt::impl_format;
use crate::handshake::{self, HandshakeConfig, Style, Versions};
use crate::time::millis;

/// The configuration of a client. Start with [`Self::new`] and change fields.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ClientConfig {
    /// How the client begins the handshake.
    pub handshake: Style,
    /// Whether the handshake fails if S2 does not answer C1: see
    /// [`HandshakeConfig`](crate::handshake::HandshakeConfig::Client). For tests of servers.
    pub strict_handshake: bool,
    /// How long the handshake may take: at least 1 ms, or `None` for no limit. Times above 49 days are no limit either.
    pub handshake_timeout: Option<Duration>,
    /// How long the server may take to answer each request, with the same range. The same limit applies after the
    /// handshake until `connect` is requested, and at the end until the transport has taken the last output. For a
    /// connected client that awaits no answer, see [`Client::set_idle_limit`](super::Client::set_idle_limit).
    pub response_timeout: Option<Duration>,
    /// The size of the chunks that we send, in bytes. The client sends at least 128, which some servers demand.
    pub chunk_size: u32,
    /// The window that we announce, in bytes: 1 to 2,147,483,647. Values outside this range are clamped.
    pub window: u32,
    /// What the peer means by a type 3 header after a type 0 header.
    pub type_three_delta: TypeThreeDelta,
}

impl ClientConfig {
    /// The simple handshake, 10 s for it and for each answer, chunks of 4,096 bytes.
    pub const fn new() -> Self {
        Self {
            handshake: Style::Simple,
            strict_handshake: false,
            handshake_timeout: Some(Duration::from_secs(10)),
            response_timeout: Some(Duration::from_secs(10)),
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

/// The configuration of a server. Start with [`Self::new`] and change fields.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ServerConfig {
    /// Which versions of the handshake the server accepts.
    pub handshake: Versions,
    /// How long the handshake may take, and then `connect`: at least 1 ms, or `None` for no limit. Times above 49 days are
    /// no limit either.
    pub connect_timeout: Option<Duration>,
    /// How long a client may be silent: at least 2 ms, or `None` for no limit. After half of that time the server sends
    /// it a ping.
    pub idle_timeout: Option<Duration>,
    /// How long a client may leave a message without its next chunk: at least 1 ms, or `None` for no limit. If the
    /// client sends other messages at the same time, the session may fail later, after at most 9/8 of this time.
    pub message_timeout: Option<Duration>,
    /// How long a connected client may neither publish nor play: at least 1 ms, or `None` for no limit. The time begins
    /// again when publishing or playing ends. A rejected request does not extend it.
    pub request_timeout: Option<Duration>,
    /// How long a publisher may send no media: at least 1 ms, or `None` for no limit. Answers to pings do not extend it.
    /// A player has no such limit.
    pub media_timeout: Option<Duration>,
    /// The size of the chunks that we send, in bytes; at least 128. FFmpeg uses this size for the chunks that it sends,
    /// too. In a session over RTMPE, the server announces it only to a client that plays.
    pub chunk_size: u32,
    /// The window that we announce, and that the client should use, in bytes: 1 to 2,147,483,647. Values outside this
    /// range are clamped.
    pub window: u32,
    /// What the peer means by a type 3 header after a type 0 header.
    pub type_three_delta: TypeThreeDelta,
}

impl ServerConfig {
    /// The defaults: 10 s for the handshake, and again for `connect`; 30 s of silence; 10 s of silence inside a message;
    /// 30 s without a stream; 60 s without media; chunks of 4,096 bytes.
    pub const fn new() -> Self {
        Self {
            handshake: Versions::Offer3,
            connect_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(30)),
            message_timeout: Some(Duration::from_secs(10)),
            request_timeout: Some(Duration::from_secs(30)),
            media_timeout: Some(Duration::from_secs(60)),
            chunk_size: 4_096,
            window: 2_500_000,
            type_three_delta: TypeThreeDelta::Timestamp,
        }
    }

    /// Checks what [`Server::new`](super::Server::new) checks of it.
    ///
    /// # Errors
    /// A time limit is zero.
    pub fn check(&self) -> Result<(), ConfigError> {
        check(&self.limits())?;
        check(&self.stream_limits())
    }

    /// The limits in ms for the handshake and `connect`, and for half of the silence.
    pub(super) fn limits(&self) -> [u32; 2] {
        [limit(self.connect_timeout), limit(self.idle_timeout.and_then(|idle| idle.checked_div(2)))]
    }

    /// The limits in ms for silence inside a message, without a stream, and without media.
    // Not inlined, because it has two callers.
    #[inline(never)]
    pub(super) fn stream_limits(&self) -> [u32; 3] {
        [self.message_timeout, self.request_timeout, self.media_timeout].map(limit)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// A time limit in ms; [`NO_LIMIT`] if there is none.
// Not inlined, because it has many callers.
#[inline(never)]
pub(super) fn limit(limit: Option<Duration>) -> u32 {
    limit.map_or(NO_LIMIT, millis)
}

/// No time limit.
pub(super) const NO_LIMIT: u32 = u32::MAX;

/// The part that both configurations have in common.
#[derive(Debug)]
pub struct Setup {
    pub(super) handshake: HandshakeConfig,
    /// How long the peer may take in ms: for the handshake, and for each later step.
    pub(super) limits: [u32; 2],
    pub(super) chunk_size: u32,
    pub(super) window: u32,
    pub(super) type_three_delta: TypeThreeDelta,
}

impl Setup {
    /// The setup of a session that has no configuration.
    pub(super) const IDLE: Self = Self {
        handshake: HandshakeConfig::CLIENT,
        limits: [0; 2],
        chunk_size: 0,
        window: 0,
        type_three_delta: TypeThreeDelta::Timestamp,
    };
}

/// Checks that no time limit is zero.
pub(super) fn check(limits: &[u32]) -> Result<(), ConfigError> {
    if limits.contains(&0) { Err(ConfigError::TimeLimit) } else { Ok(()) }
}

/// The memory that the caller lends to a session.
#[derive(Debug)]
pub struct SessionBuffers<'b> {
    /// The handshake uses the first 1,536 bytes. After it, the buffer stores incoming commands that arrive in pieces.
    /// Its last 20 bytes are for control messages. If a command is longer than the buffer, only its beginning is
    /// stored. A command that finds no room beside an incomplete one, or has more than 64 KiB, is skipped and counted.
    /// 1,536 bytes are enough for all commands of known clients and servers.
    pub scratch: &'b mut [u8],
    /// Stores outgoing control messages and commands until they are sent, and at its end the names that the client
    /// still needs. A server needs [`MIN_CONTROL`] bytes.
    ///
    /// A client needs the largest of these sums. K is 3 bytes more than its stream key, and W is the sum of the name
    /// and 23 bytes for each `play` that was not sent yet. Both stay in the buffer.
    /// - [`MIN_CONTROL`];
    /// - K + W + 192 + 2 × the length of the stream key, and 1 byte more for each 64 bytes of it;
    /// - K + W + 192 + the length of the longest name that is played, and 1 byte more for each 64 bytes of it;
    /// - K + W + the length of `connect`, if the client publishes or plays before `connect` is sent. `connect` has 150
    ///   bytes and the lengths of the application, the URL and the client's version.
    ///
    /// If the buffer is too small for a request, the request returns
    /// [`RequestError::ControlBuffer`](super::RequestError::ControlBuffer) with the size that it needs.
    pub control: &'b mut [u8],
}

impl_format!(
    ['b] SessionBuffers<'b>,
    this => "SessionBuffers {{ scratch: {} bytes, control: {} bytes }}", this.scratch.len(), this.control.len()
);

/// The smallest size of [`SessionBuffers::control`], in bytes.
pub const MIN_CONTROL: usize = 384;

impl SessionBuffers<'_> {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_buffers(self.scratch.len(), self.control.len())
    }
}

/// Checks the sizes of the buffers that a session has been lent.
pub(super) fn check_buffers(scratch: usize, control: usize) -> Result<(), ConfigError> {
    if scratch < handshake::SCRATCH {
        return Err(ConfigError::Scratch(handshake::SCRATCH));
    }
    if control < MIN_CONTROL {
        return Err(ConfigError::Control(MIN_CONTROL));
    }
    Ok(())
}
