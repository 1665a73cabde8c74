//! What happens on a connection. Events borrow from the session and its input.

#[cfg(doc)]
use super::Server;
use super::Stage;
use crate::amf0::Text;
use crate::chunk::Fragment;
use crate::command::{ConnectRequest, Status};
use crate::control;
use crate::handshake;
use crate::message::StreamId;

/// What happened on a client's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientEvent<'d> {
    /// The peer speaks RTMP: the handshake is complete.
    HandshakeDone(handshake::Kind),
    /// The server accepted `connect`.
    Connected,
    /// The server takes media on this message stream now.
    Publishing(StreamId),
    /// The server refused a request. After `connect` the session is over; after the others it may publish again.
    Refused(Stage, Status<'d>),
    /// The server says something else about a stream or the connection; its level may be `error`.
    Status(StreamId, Status<'d>),
    /// The server confirms that publishing has ended.
    Unpublished,
    /// The server closes the connection.
    Closed,
    /// A piece of audio, video or data that the server sends.
    Media(Fragment<'d>),
    /// A user control event, such as the begin of a stream. Pings are answered without a word.
    User(control::Event),
}

/// What happened on a server's connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServerEvent<'d> {
    /// The peer speaks RTMP: the handshake is complete.
    HandshakeDone(handshake::Kind),
    /// The client wants to connect: answer with [`Server::accept_connect`] or [`Server::reject_connect`].
    Connect(ConnectRequest<'d>),
    /// The client wants to publish: answer with [`Server::accept`] or [`Server::reject`].
    Publish {
        /// The message stream that it wants to publish on.
        stream: StreamId,
        /// The stream key, with the query where the client puts it there. It is the peer's: any bytes at all.
        key: Text<'d>,
    },
    /// A piece of audio, video or data of a stream that is published.
    Media(Fragment<'d>),
    /// The client has ended publishing.
    Unpublished(StreamId),
    /// A user control event, such as how much the client buffers.
    User(control::Event),
}
