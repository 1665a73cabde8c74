//! The interface between a server and the application: access control, media and notifications.

use core::task::{Context, Poll};

use embassy_net::IpEndpoint;
use embedded_rtmp::amf0::Text;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::command::{ConnectRequest, PlayRequest};
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{Played, StreamName};
#[cfg(feature = "web")]
use embedded_rtmp::{
    command::code,
    web::{WebRejection, WebRequest, WebResource},
};

use crate::error::Error;

/// One of a server's sockets or tunnels, and its session. The next session of the socket or tunnel has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionId(pub u8);

impl core::fmt::Display for SessionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The origin of a session. For a session in a tunnel, this is the connection that opened the tunnel. It may come from a
/// proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Origin {
    /// The port that the client connected to.
    pub port: u16,
    /// The address and port of the client.
    pub remote: Option<IpEndpoint>,
}

/// The answer to a request that is rejected. A plain text (`"…".into()`) becomes the description. The code is then
/// `NetConnection.Connect.Rejected`, `NetStream.Publish.BadName` or `NetStream.Play.Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rejection<'h> {
    /// The description.
    Because(&'h str),
    /// Another code, and the description. This crate's clients return both as a [`Refusal`](crate::Refusal). For `connect`,
    /// the code is ignored.
    Status {
        /// One of [`code`](embedded_rtmp::command::code).
        code: &'h str,
        /// The reason, for people.
        description: &'h str,
    },
    /// Redirects the client to this URL, which has an application and no stream key. For `connect` only; a publish or a play
    /// is rejected without the URL.
    Redirect(&'h str),
}

impl<'h> From<&'h str> for Rejection<'h> {
    fn from(description: &'h str) -> Self {
        Self::Because(description)
    }
}

impl<'h> Rejection<'h> {
    /// Returns the code and the description. `code` is the default for the request.
    pub(crate) fn status(self, code: &'h str) -> (&'h str, &'h str) {
        match self {
            Self::Because(description) => (code, description),
            Self::Status { code, description } => (code, description),
            Self::Redirect(_) => (code, "It is elsewhere."),
        }
    }
}

/// The application's part of a server: it decides which clients may publish and play, and receives media and notifications.
///
/// The methods are called while the network stack is borrowed, with data in the ring of the socket. They must return soon
/// and must not use a socket or the stack, which would panic. Do long work in another task, and pause the session with
/// [`Self::poll_ready`] until it is done.
pub trait Handler {
    /// Returns 32 new random bytes for a new session.
    fn entropy(&mut self) -> [u8; 32];

    /// A client has opened a connection. It has not sent anything yet.
    fn opened(&mut self, session: SessionId, from: Origin) {
        let _ = (session, from);
    }

    /// A client connects to an application. By default, every client is accepted. To ask clients for a user and a
    /// password, enable the feature `auth` and reject clients with the descriptions that
    /// `embedded_rtmp::auth::Challenger` returns.
    ///
    /// # Errors
    /// The client is rejected with this answer.
    fn connect(&mut self, session: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        let _ = (session, request);
        Ok(())
    }

    /// A client asks to publish. `name` is the name of the stream, which is the same in every spelling: decide by it, with
    /// [`StreamName::is`] or [`StreamName::emit`]. `key` is the stream key as the client sent it, with its query. It may
    /// have any bytes. [`Self::connect`] gets the application as the client sent it.
    ///
    /// A server that relays asks only if the stream has no publisher, or if [`TakeOver`](embedded_rtmp::relay::TakeOver)
    /// allows another one. In the second case, the client may have to wait. If it is rejected after that, or if another
    /// client replaces it later, [`Self::unpublished`] is called.
    ///
    /// A client may publish again on a message stream that it publishes on. If it is accepted, the media that follows
    /// belongs to the new key. Otherwise the stream continues under the first key. A server that relays does not ask about
    /// a name that the client publishes already.
    ///
    /// # Errors
    /// The client is rejected with this answer.
    fn publish(
        &mut self,
        session: SessionId,
        stream: StreamId,
        name: StreamName<'_>,
        key: Text<'_>,
    ) -> Result<(), Rejection<'_>>;

    /// A client wants to play a stream of a server that relays. By default, every client is accepted. `name` is the name of
    /// the stream, as in [`Self::publish`]. `request` has the name as the client sent it. A player of a stream that is not
    /// published waits for a publisher. If a publisher of another stream needs the place of that stream, the player is told
    /// that playing has ended.
    ///
    /// A session plays one stream at a time. A second stream replaces the first one as soon as the current message of the
    /// first one is complete. [`Self::played`] is called for each.
    ///
    /// # Errors
    /// The client is rejected with this answer.
    fn play(
        &mut self,
        session: SessionId,
        stream: StreamId,
        name: StreamName<'_>,
        request: &PlayRequest<'_>,
    ) -> Result<(), Rejection<'_>> {
        let _ = (session, stream, name, request);
        Ok(())
    }

    /// A client requests the page, the status, or a stream over HTTP or WebSocket (feature `web`). It is asked before anything
    /// is sent, also if there is no such stream. [`Self::opened`] was called with the address of the client.
    ///
    /// By default, everyone gets the page and the status, and the same rules hold for a stream as over RTMP: this calls
    /// [`Self::connect`] with the application, and then [`Self::play`] with the key and the query after a `?`. If one of them
    /// rejects the client, it is answered with 403, or with 404 if the code is `NetStream.Play.StreamNotFound`. A request
    /// whose key and query have more than 512 bytes is answered with 403.
    ///
    /// # Errors
    /// The request is rejected with this answer.
    #[cfg(feature = "web")]
    fn view(&mut self, session: SessionId, request: &WebRequest<'_>) -> Result<(), WebRejection> {
        if !matches!(request.resource, WebResource::Stream(_)) {
            return Ok(());
        }
        let mut text = heapless::Vec::<u8, 512>::new();
        let query: [&[u8]; 2] = if request.query.is_empty() { [b"", b""] } else { [b"?", request.query.as_bytes()] };
        for part in [request.key.as_bytes(), query[0], query[1]] {
            text.extend_from_slice(part).map_err(|_| WebRejection::Forbidden)?;
        }
        self.connect(session, &ConnectRequest::new(request.application)).map_err(|_| WebRejection::Forbidden)?;
        let name = StreamName::new(request.application.as_bytes(), request.key.as_bytes());
        let mut play = PlayRequest::new("");
        play.name = Text::new(&text);
        self.play(session, StreamId(1), name, &play).map_err(|rejection| {
            let (code, _) = rejection.status(code::PLAY_FAILED);
            if code == code::PLAY_STREAM_NOT_FOUND { WebRejection::NotFound } else { WebRejection::Forbidden }
        })
    }

    /// Whether the page and the status list a stream (feature `web`), with its name and its counts. By default, none is
    /// listed, because the name of a stream may be a secret.
    #[cfg(feature = "web")]
    fn is_listed(&self, name: &[u8]) -> bool {
        let _ = name;
        false
    }

    /// The last error for the page and the status (feature `web`). It must not contain secrets. `None` by default.
    #[cfg(feature = "web")]
    fn last_error(&self) -> Option<&str> {
        None
    }

    /// The time in milliseconds since 1970, if the device knows it (feature `admin`). Administrators are told times only then.
    #[cfg(feature = "admin")]
    fn unix_millis(&self) -> Option<u64> {
        None
    }

    /// A player has left, or was too slow.
    fn played(&mut self, session: SessionId, played: Played) {
        let _ = (session, played);
    }

    /// A piece of audio, video or data, lent from the receive ring. A message begins with `offset` 0.
    ///
    /// The payload is that of an FLV tag. Its first 1 to 5 bytes are a header, which may arrive in two fragments:
    /// [`media::audio::AudioTagHeader::parse`](embedded_rtmp::media::audio::AudioTagHeader::parse) and
    /// [`media::video::VideoTagHeader::parse`](embedded_rtmp::media::video::VideoTagHeader::parse) read it. Sequence headers arrive in the same way.
    fn media(&mut self, session: SessionId, fragment: &Fragment<'_>);

    /// The client has ended a publication, or the server has ended it in favour of another publisher.
    fn unpublished(&mut self, session: SessionId, stream: StreamId) {
        let _ = (session, stream);
    }

    /// The session has ended, and with it all of its streams.
    fn closed(&mut self, session: SessionId, why: &Error) {
        let _ = (session, why);
    }

    /// Returns whether the application can receive more media. While this is pending, nothing is read from the session, so
    /// that the client's TCP window closes. The method must wake the task later.
    fn poll_ready(&mut self, session: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let _ = (session, cx);
        Poll::Ready(())
    }
}
