//! What can go wrong in a session, by whose fault it is.

use core::fmt;

use crate::chunk::{ChunkStreamId, ReadError, WriteError};
use crate::handshake;
use crate::message::StreamId;

/// Why a session cannot go on: the peer's doing, or a buffer of ours. It is final: every later call repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The handshake failed.
    Handshake(handshake::HandshakeError),
    /// The chunk stream cannot be read on.
    Chunk(ReadError),
    /// The peer began a control message within two others on other chunk streams.
    InterleavedControl(ChunkStreamId),
    /// The peer answered `createStream` with something that is no stream id.
    StreamId,
    /// The peer did not answer in time.
    TimedOut(Stage),
}

/// A step of a session: what the peer is expected to do, or has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Stage {
    /// The handshake.
    Handshake,
    /// `connect`, or its answer.
    Connect,
    /// The answer to `createStream`.
    CreateStream,
    /// The answer to `publish`.
    Publish,
    /// The answer to `play`.
    Play,
    /// Anything at all, or the answer to a ping.
    Traffic,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(error) => write!(f, "handshake: {error}"),
            Self::Chunk(error) => write!(f, "chunk stream: {error}"),
            Self::InterleavedControl(csid) => write!(f, "a control message on chunk stream {csid} within two others"),
            Self::StreamId => f.write_str("createStream was answered without a stream id"),
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

/// Why a session cannot be made: a lent buffer is too small, or the configuration cannot work.
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
            Self::Scratch(needed) => write!(f, "the scratch buffer must have {needed} bytes"),
            Self::Control(needed) => write!(f, "the control buffer must have {needed} bytes"),
            Self::TimeLimit => f.write_str("a time limit is zero; use None for no limit"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why a request was not taken. Nothing has changed, and the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// The session is not at a point where this can be asked for.
    State,
    /// There is no such stream, or it does not publish or play.
    Stream(StreamId),
    /// Only audio, video and data can be sent.
    MessageKind,
    /// There is no room for more of these at the same time: so many can be.
    TooMany(usize),
    /// Our control buffer is too small, or holds too much that is not sent yet: empty, it would need so many bytes.
    ControlBuffer(usize),
    /// The message cannot be begun.
    Write(WriteError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("the session is not at that point"),
            Self::Stream(stream) => write!(f, "there is no such message stream: {stream}"),
            Self::TooMany(room) => write!(f, "no more than {room} of these at the same time"),
            Self::MessageKind => f.write_str("only audio, video and data can be sent"),
            Self::ControlBuffer(needed) => write!(f, "the control buffer needs {needed} bytes"),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<WriteError> for RequestError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<crate::amf0::BufferFull> for RequestError {
    fn from(full: crate::amf0::BufferFull) -> Self {
        Self::ControlBuffer(full.needed)
    }
}
