//! What a server's owner decides, and is told.

use core::task::{Context, Poll};

use embassy_net::IpEndpoint;
use embedded_rtmp::amf0::Text;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::command::{ConnectRequest, PlayRequest};
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::Played;

use crate::error::Error;

/// One of a server's sockets, or of its tunnels, and the session there. The next session there has the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionId(pub u8);

impl core::fmt::Display for SessionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a session came from: of one in a tunnel, the connection on which that was opened, perhaps a proxy's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Origin {
    /// The port that the client connected to.
    pub port: u16,
    /// The client's own address and port.
    pub remote: Option<IpEndpoint>,
}

/// A no, and what the client is told. A text alone (`"…".into()`) is the description; the code is the request's own:
/// `NetConnection.Connect.Rejected`, `NetStream.Publish.BadName` or `NetStream.Play.Failed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rejection<'h> {
    /// The description.
    Because(&'h str),
    /// A code of its own, and the description: what a client of ours has as a [`Refusal`](crate::Refusal). `connect` has
    /// but one code.
    Status {
        /// One of [`code`](embedded_rtmp::command::code).
        code: &'h str,
        /// The same for people.
        description: &'h str,
    },
    /// The client is to connect to this URL, which has an application and no stream key. For `connect`; a publisher or a
    /// player is told that it is refused.
    Redirect(&'h str),
}

impl<'h> From<&'h str> for Rejection<'h> {
    fn from(description: &'h str) -> Self {
        Self::Because(description)
    }
}

impl<'h> Rejection<'h> {
    /// Code and description, where `code` is the request's own.
    pub(crate) fn status(self, code: &'h str) -> (&'h str, &'h str) {
        match self {
            Self::Because(description) => (code, description),
            Self::Status { code, description } => (code, description),
            Self::Redirect(_) => (code, "It is elsewhere."),
        }
    }
}

/// What a server's owner decides, and is told.
///
/// The methods are called while the network stack is borrowed, with data that lies in the socket's ring: they must
/// return soon, and must not touch a socket or the stack (that panics). Work that takes long belongs elsewhere;
/// [`Self::poll_ready`] holds a session back meanwhile.
pub trait Handler {
    /// 32 fresh random bytes, for a new session.
    fn entropy(&mut self) -> [u8; 32];

    /// A client has connected; nothing is known of it yet.
    fn opened(&mut self, session: SessionId, from: Origin) {
        let _ = (session, from);
    }

    /// A client asks for an application. The error is what it is told instead; all are welcome unless this says
    /// otherwise.
    ///
    /// # Errors
    /// What the client is told.
    fn connect(&mut self, session: SessionId, request: &ConnectRequest<'_>) -> Result<(), Rejection<'_>> {
        let _ = (session, request);
        Ok(())
    }

    /// A client asks to publish under a stream key, which may be any bytes. A server that relays asks only if the stream of
    /// that [name](embedded_rtmp::relay::StreamName) has no publisher.
    ///
    /// # Errors
    /// What the client is told.
    fn publish(&mut self, session: SessionId, stream: StreamId, key: Text<'_>) -> Result<(), Rejection<'_>>;

    /// A client asks to play from a server that relays. All are welcome unless this says otherwise; who comes before the
    /// publisher waits for it, as long as no publisher of another stream needs the place: then it is told that it is over.
    ///
    /// A session plays one stream at a time: another one takes the place of the first, once a message of that which is
    /// half sent is whole. [`Self::played`] tells of each.
    ///
    /// # Errors
    /// What the client is told.
    fn play(&mut self, session: SessionId, stream: StreamId, request: &PlayRequest<'_>) -> Result<(), Rejection<'_>> {
        let _ = (session, stream, request);
        Ok(())
    }

    /// A player has left, or has been too slow.
    fn played(&mut self, session: SessionId, played: Played) {
        let _ = (session, played);
    }

    /// A piece of audio, video or data, lent from the receive ring. `offset` 0 begins a message.
    ///
    /// The payload is what an FLV tag holds. Its first 1 to 5 bytes are a header, which may come in two fragments:
    /// [`media::audio::AudioTagHeader::parse`](embedded_rtmp::media::audio::AudioTagHeader::parse) and
    /// [`media::video::VideoTagHeader::parse`](embedded_rtmp::media::video::VideoTagHeader::parse) read it. Sequence headers come the same way.
    fn media(&mut self, session: SessionId, fragment: &Fragment<'_>);

    /// A stream has ended, in good order.
    fn unpublished(&mut self, session: SessionId, stream: StreamId) {
        let _ = (session, stream);
    }

    /// The connection is over, and with it all its streams.
    fn closed(&mut self, session: SessionId, why: &Error) {
        let _ = (session, why);
    }

    /// Whether more can be taken in. While this is pending, the session is not read from, and the client's window
    /// closes; it must wake the task later.
    fn poll_ready(&mut self, session: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        let _ = (session, cx);
        Poll::Ready(())
    }
}
