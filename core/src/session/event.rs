//! What happens on a connection. Events borrow from the session and its input.

use super::Stage;
#[cfg(doc)]
use super::{Client, Server};
use crate::amf0::{Decoder, Text};
use crate::chunk::Fragment;
#[cfg(doc)]
use crate::command::code;
use crate::command::{Command, ConnectRequest, PlayRequest, PublishRequest, Status, SwitchRequest};
use crate::control;
use crate::handshake;
use crate::message::{MessageKind, StreamId};

/// What happened on a client's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientEvent<'d> {
    /// The peer speaks RTMP: the handshake is complete.
    HandshakeDone(handshake::HandshakeKind),
    /// The server accepted `connect`.
    Connected,
    /// The server takes media on this message stream now.
    Publishing(StreamId),
    /// The server sends on this message stream what was asked for. Answers come in the order of the requests.
    Playing(StreamId),
    /// The server refused a request. After `connect` the session is over, and [`Status::redirect`] may name another
    /// server; after the others the client may ask again.
    Refused(Stage, Status<'d>),
    /// The server says something else about a stream or the connection; its level may be `error`. [`Status::known`] tells
    /// what it is, such as the end of what is played.
    Status(StreamId, Status<'d>),
    /// The result of a call of the application's.
    Answer {
        /// What [`Client::call`] gave.
        transaction: u32,
        /// Whether it is a result. Otherwise it is an error, and [`Status::parse`] reads it.
        succeeded: bool,
        /// What the server says.
        values: Decoder<'d>,
    },
    /// The server calls something that the session does not know; for clients that have room for calls.
    Call {
        /// The message stream of the call.
        stream: StreamId,
        /// What is called.
        command: Command<'d>,
    },
    /// The server confirms that publishing has ended.
    Unpublished,
    /// The server closes the connection.
    Closed,
    /// A piece of audio, video, an aggregate of them, or data that the server sends. An
    /// [`Assembler`](crate::chunk::Assembler) puts the pieces of a data message together, such as `onMetaData`, and
    /// [`DataMessage`](crate::command::DataMessage) reads it.
    Media(Fragment<'d>),
    /// A user control event, such as the begin of a stream. Pings are answered without a word.
    User(control::UserControlEvent),
}

/// What happened on a server's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServerEvent<'d> {
    /// The peer speaks RTMP: the handshake is complete.
    HandshakeDone(handshake::HandshakeKind),
    /// The client wants to connect: answer with [`Server::accept_connect`] or [`Server::reject_connect`].
    Connect(ConnectRequest<'d>),
    /// The client wants to publish: answer with [`Server::accept`] or [`Server::reject`].
    Publish {
        /// The message stream that it wants to publish on.
        stream: StreamId,
        /// Under which stream key, and what else it says.
        request: PublishRequest<'d>,
    },
    /// A piece of audio, video or data of a stream that is published.
    Media(Fragment<'d>),
    /// The client has ended publishing.
    Unpublished(StreamId),
    /// The client wants to play: answer with [`Server::accept_play`] or [`Server::reject`].
    Play {
        /// The message stream that it wants to play on. What is played there goes on until the answer.
        stream: StreamId,
        /// What, and from where.
        request: PlayRequest<'d>,
    },
    /// The client has ended playing.
    Stopped(StreamId),
    /// The player pauses, or goes on; it has been told that it may. Whether a live stream pauses is the application's
    /// affair.
    Pause {
        /// What it plays.
        stream: StreamId,
        /// Whether it pauses.
        paused: bool,
        /// Where in the stream it is, in ms.
        at: u32,
    },
    /// The player wants to play from another place on: answer with [`Server::notify`] and [`code::SEEK_NOTIFY`] or
    /// [`code::SEEK_FAILED`].
    Seek {
        /// What it plays.
        stream: StreamId,
        /// Where to, in ms.
        to: u32,
    },
    /// The player wants audio or video, or does not want it any longer.
    Receive {
        /// What it plays.
        stream: StreamId,
        /// [`MessageKind::AUDIO`] or [`MessageKind::VIDEO`].
        kind: MessageKind,
        /// Whether it wants it.
        wanted: bool,
    },
    /// The player wants to go over to another stream (`play2`): answer with [`Server::notify`] and
    /// [`code::PLAY_TRANSITION`] or [`code::PLAY_FAILED`].
    Switch {
        /// What it plays.
        stream: StreamId,
        /// From what to what.
        request: SwitchRequest<'d>,
    },
    /// The client wants to know how long a stream is: answer with [`Server::answer`] and the number of seconds, before
    /// [`Server::next_event`] is called again. Otherwise it is told 0, as of a live stream.
    StreamLength {
        /// The name of the stream.
        name: Text<'d>,
    },
    /// The client calls something that the session does not know: answer with [`Server::answer`] or
    /// [`Server::reject_call`], before [`Server::next_event`] is called again. Otherwise it is refused.
    Call {
        /// The message stream of the call.
        stream: StreamId,
        /// What is called.
        command: Command<'d>,
    },
    /// A user control event, such as how much the client buffers.
    User(control::UserControlEvent),
}
