//! The errors of a session, by cause.

use core::fmt;

use crate::chunk::{ChunkStreamId, ReadError, WriteError};
use crate::handshake;
use crate::message::StreamId;

/// Why a session has failed: the peer broke the protocol or did not answer. It is final: every later call returns it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The handshake failed.
    Handshake(handshake::HandshakeError),
    /// The chunk stream cannot be read any further.
    Chunk(ReadError),
    /// The peer began a control message while two others on other chunk streams were unfinished.
    InterleavedControl(ChunkStreamId),
    /// The peer's answer to `createStream` has no stream id.
    StreamId,
    /// The peer did not answer in time.
    TimedOut(Stage),
}

/// A step of a session that the peer did not complete in time, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stage {
    /// The handshake.
    Handshake,
    /// `connect`, or the answer to it.
    Connect,
    /// The answer to `createStream`.
    CreateStream,
    /// The answer to `publish`.
    Publish,
    /// The answer to `play`.
    Play,
    /// Any traffic, or the answer to a ping.
    Traffic,
    /// The rest of a message.
    Message,
    /// A request to publish or to play.
    Request,
    /// The media of a publisher.
    Media,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "handshake: {error}"),
            Self::Chunk(error) => write!(f, "chunk stream: {error}"),
            Self::InterleavedControl(csid) => {
                write!(f, "control message on chunk stream {csid} while two others are unfinished")
            }
            Self::StreamId => f.write_str("the answer to createStream has no stream id"),
            Self::TimedOut(stage) => write!(f, "the peer did not answer in time: {stage}"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "handshake",
            Self::Connect => "connect",
            Self::CreateStream => "createStream",
            Self::Publish => "publish",
            Self::Play => "play",
            Self::Traffic => "traffic",
            Self::Message => "the rest of a message",
            Self::Request => "publish or play",
            Self::Media => "media of a publisher",
        })
    }
}

impl core::error::Error for SessionError {}

impl From<handshake::HandshakeError> for SessionError {
    fn from(error: handshake::HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

impl From<ReadError> for SessionError {
    fn from(error: ReadError) -> Self {
        Self::Chunk(error)
    }
}

/// Why a session cannot be created: a lent buffer is too small, or the configuration is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// [`SessionBuffers::scratch`](super::SessionBuffers::scratch) must have this many bytes.
    Scratch(usize),
    /// [`SessionBuffers::control`](super::SessionBuffers::control) must have this many bytes.
    Control(usize),
    /// A time limit is less than a millisecond; `None` is no limit.
    TimeLimit,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch(needed) => write!(f, "the scratch buffer needs {needed} bytes"),
            Self::Control(needed) => write!(f, "the control buffer needs {needed} bytes"),
            Self::TimeLimit => f.write_str("a time limit is zero; use None for no limit"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why a request of the application was not accepted. Nothing has changed, and the session continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The state of the session does not allow the request.
    State,
    /// There is no such message stream, or it is not published or played.
    Stream(StreamId),
    /// Only audio, video and data can be sent.
    MessageKind,
    /// The session has no room for another stream or call. The number is how many it can have at the same time.
    TooMany(usize),
    /// The control buffer is too small, or contains too many bytes that are not sent yet. An empty buffer would need
    /// this many bytes.
    ControlBuffer(usize),
    /// The previous message on this chunk stream is not finished.
    MessageOpen(ChunkStreamId),
    /// A message cannot have this many bytes.
    TooLong(u32),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("the state of the session does not allow the request"),
            Self::Stream(stream) => write!(f, "message stream {stream} does not exist, or is not published or played"),
            Self::TooMany(room) => write!(f, "there is room for {room} of these at the same time"),
            Self::MessageKind => f.write_str("only audio, video and data can be sent"),
            Self::ControlBuffer(needed) => write!(f, "the control buffer needs {needed} bytes"),
            Self::MessageOpen(csid) => WriteError::MessageOpen(*csid).fmt(f),
            Self::TooLong(length) => WriteError::TooLong(*length).fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<WriteError> for RequestError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::MessageOpen(csid) => Self::MessageOpen(csid),
            WriteError::TooLong(length) => Self::TooLong(length),
            WriteError::TooManyChunkStreams(room) => Self::TooMany(room),
        }
    }
}

impl From<crate::amf0::BufferFull> for RequestError {
    fn from(full: crate::amf0::BufferFull) -> Self {
        Self::ControlBuffer(full.needed)
    }
}
