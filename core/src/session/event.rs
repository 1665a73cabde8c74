//! Events of a connection. They borrow from the session and from its input.

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

/// An event of a client's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientEvent<'d> {
    /// The peer's part of the handshake is complete: it speaks RTMP.
    HandshakeDone(handshake::HandshakeKind),
    /// The server accepted `connect`.
    Connected,
    /// The server now accepts media on this message stream.
    Publishing(StreamId),
    /// The server sends the requested stream on this message stream. It has answered the request, or has sent the first
    /// media. These events come in the order of the requests.
    Playing(StreamId),
    /// The server refused a request. If that was `connect`, the session is over, and [`Status::redirect`] may name another
    /// server. After other requests the client may ask again.
    Refused(Stage, Status<'d>),
    /// Another status of a stream or of the connection. It may be an [error](Status::is_error). [`Status::known`] returns
    /// what it means, such as the end of what is played.
    Status(StreamId, Status<'d>),
    /// The result of a [call](Client::call) that the application made.
    Answer {
        /// The transaction that [`Client::call`] returned.
        transaction: u32,
        /// Whether the call succeeded. Otherwise the values are an error, which [`Status::parse`] reads.
        succeeded: bool,
        /// The values after the transaction id.
        values: Decoder<'d>,
    },
    /// The server calls a procedure that the session does not know. Only a client with room for calls returns this
    /// event.
    Call {
        /// The message stream of the call.
        stream: StreamId,
        /// The call.
        command: Command<'d>,
    },
    /// The server confirms that publishing has ended: all media has arrived.
    Unpublished,
    /// The server closes the connection.
    Closed,
    /// A piece of audio, video, an aggregate of them, or data that the server sends. If only one stream is played, media on
    /// an id that the server has not used for another stream has the id of the played stream. An
    /// [`Assembler`](crate::chunk::Assembler) puts the pieces of a data message together, such as `onMetaData`, and
    /// [`DataMessage`](crate::command::DataMessage) reads it.
    Media(Fragment<'d>),
    /// A user control event, such as Stream Begin. The session answers pings by itself.
    User(control::UserControlEvent),
}

/// An event of a server's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServerEvent<'d> {
    /// The peer's part of the handshake is complete: it speaks RTMP.
    HandshakeDone(handshake::HandshakeKind),
    /// The client wants to connect. Answer with [`Server::accept_connect`], [`Server::reject_connect`] or
    /// [`Server::redirect_connect`].
    Connect(ConnectRequest<'d>),
    /// The client wants to publish. Answer with [`Server::accept`] or [`Server::reject`].
    Publish {
        /// The message stream that it wants to publish on.
        stream: StreamId,
        /// The stream key, and what else the client says.
        request: PublishRequest<'d>,
    },
    /// A piece of audio, video, data or an aggregate on a stream that is published.
    Media(Fragment<'d>),
    /// The client has ended publishing.
    Unpublished(StreamId),
    /// The client wants to play. Answer with [`Server::accept_play`] or [`Server::reject`].
    Play {
        /// The message stream that it wants to play on. What is played there continues until the answer.
        stream: StreamId,
        /// The name of the stream, and the position to start from.
        request: PlayRequest<'d>,
    },
    /// The client has ended playing.
    Stopped(StreamId),
    /// The player pauses or resumes. The session has confirmed it. The application decides whether a live stream
    /// pauses.
    Pause {
        /// What it plays.
        stream: StreamId,
        /// Whether it pauses or resumes.
        paused: bool,
        /// Its position in the stream, in ms.
        at: u32,
    },
    /// The player wants to play from another position. Answer with [`Server::notify`] and [`code::SEEK_NOTIFY`] or
    /// [`code::SEEK_FAILED`].
    Seek {
        /// What it plays.
        stream: StreamId,
        /// The new position, in ms.
        to: u32,
    },
    /// The player turns audio or video on or off.
    Receive {
        /// What it plays.
        stream: StreamId,
        /// [`MessageKind::AUDIO`] or [`MessageKind::VIDEO`].
        kind: MessageKind,
        /// Whether it wants it.
        wanted: bool,
    },
    /// The player wants to switch to another stream (`play2`). Answer with [`Server::notify`] and
    /// [`code::PLAY_TRANSITION`] or [`code::PLAY_FAILED`].
    Switch {
        /// What it plays.
        stream: StreamId,
        /// The two streams.
        request: SwitchRequest<'d>,
    },
    /// The client asks how long a stream is. Answer with [`Server::answer`] and the number of seconds before the next call
    /// of [`Server::next_event`]. Otherwise the answer is 0, as for a live stream.
    StreamLength {
        /// The name of the stream.
        name: Text<'d>,
    },
    /// The client calls a procedure that the session does not know. Answer with [`Server::answer`] or
    /// [`Server::reject_call`] before the next call of [`Server::next_event`]. Otherwise it is refused.
    Call {
        /// The message stream of the call.
        stream: StreamId,
        /// The call.
        command: Command<'d>,
    },
    /// A user control event, such as how much the client buffers.
    User(control::UserControlEvent),
}
