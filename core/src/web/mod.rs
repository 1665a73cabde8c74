//! Streams in a browser and in other viewers: HTTP-FLV, fragmented MP4, both over WebSocket, a page, and the status as JSON;
//! feature `web`.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /APP/KEY.flv` | the stream as FLV: in chunks, or, for HTTP/1.0, until the connection ends |
//! | `GET /APP/KEY.mp4` | the stream as [fragmented MP4](crate::media::mp4), which browsers play. It ends if the configuration of a decoder changes |
//! | the same as a WebSocket (RFC 6455) | the same in binary messages |
//! | `GET /` | a page that plays the streams and shows the status |
//! | `GET /status.json` | [`WebStatus`] and a [`StreamStatus`] for each listed stream |
//! | `GET /stream.flv`, `GET /stream.mp4` | see [`WebRequest::is_for_first`] |
//!
//! `HEAD` is answered for each of them. A [`WebConnection`] is one TCP connection. It decides nothing about access: each
//! request is an event, which the caller accepts or rejects before any media is sent. It refuses requests that a page of
//! another site could have caused: see [`WebConfig`]. A viewer is a [`Player`](crate::relay::Player) of the relay without a
//! session: it starts and is dropped by the same rules, and its media goes from the ring to the output with one copy.
//!
//! RTMPT is also HTTP. The first byte of a connection distinguishes them: see [`is_web`]. A server that hands requests over
//! to another one reads the first request: see [`FirstRequest`].
//!
//! # The loop of a server
//! ```
//! use embedded_rtmp::message::StreamId;
//! use embedded_rtmp::relay::*;
//! use embedded_rtmp::time::Instant;
//! use embedded_rtmp::web::*;
//! # let (mut bytes, mut headers, mut name) = ([0; 4096], [0; 256], [0; 64]);
//! # let mut entries = [HeaderEntry::new(); 4];
//! # let buffers = StreamBuffers { ring: &mut bytes, headers: &mut headers, entries: &mut entries };
//! # let config = RelayConfig::new();
//! # let mut rings = [Ring::new(buffers, &config)];
//! # let (mut state, mut streams) = (DirectoryState::new(&config), [StreamEntry::new(&mut name)]);
//! # let mut players = [const { PlayerEntry::new() }; 2];
//! # let mut directory = Directory::new(&mut state, &mut streams, &mut players);
//! # let (now, peer) = (Instant::from_millis(1), PeerId(7));
//! # let publisher = Publisher { peer: PeerId(1), stream: StreamId(1) };
//! # let PublishAnswer::Accept(_) = directory.publish(now, StreamName::new(b"live", b"camera"), publisher)? else { panic!() };
//! # let mut input = &b"GET /live/camera.flv HTTP/1.1\r\nHost: camera.local:8080\r\n\r\n"[..];
//! # let mut out = [0; 1460];
//!
//! let mut web = WebConfig::new();
//! web.names = &["camera.local"];
//! let mut connection: WebConnection = WebConnection::new(now);
//!
//! // When bytes were received, when there is room to send, when the ring has more, and at `poll_timeout`:
//! connection.handle_timeout(now, &web, false);
//! while let Some(event) = connection.next_event(now, &mut input, &web) {
//!     let WebEvent::Request(request) = event else { continue };
//!     // Check the access here, and reject the request with `WebRejection::Unauthorized` or `Forbidden`.
//!     if let (WebResource::Stream(_), false) = (request.resource, request.is_head) {
//!         let name = StreamName::new(request.application.as_bytes(), request.key.as_bytes());
//!         let is_there = directory.published_as(name).is_some();
//!         if !is_there || directory.play(name, peer, StreamId(1)).is_err() {
//!             connection.reject(now, WebRejection::NotFound);
//!             continue;
//!         }
//!     }
//!     connection.accept(now);
//! }
//! let length = match directory.player_of(peer).filter(|_| connection.is_streaming()) {
//!     Some(index) => {
//!         let Some(Turn { player, stream, generation }) = directory.player(index) else { unreachable!() };
//!         let ring = stream.map(|stream| &rings[stream.get()]);
//!         let length = connection.poll_stream(now, &mut out, player, ring, generation)?; // an error: close the connection
//!         if !connection.is_streaming() {
//!             directory.leave(index);
//!         }
//!         length
//!     }
//!     None if connection.is_status() => {
//!         connection.poll_status(now, &mut out, &WebStatus::default(), &mut |_| None)
//!     }
//!     None => connection.poll_transmit(now, &mut out),
//! };
//! assert!(out[..length].starts_with(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::time::Duration;

mod answer;
mod connection;
mod fragments;
mod framing;
mod page;
mod rate;
mod request;
mod route;
mod status;
mod tags;

pub use connection::WebConnection;
pub use rate::BitRate;
pub use request::{WebCredentials, WebFormat, WebRefusal, WebRequest, WebResource};
pub use route::{FirstRequest, WebRoute};
pub use status::{StreamStatus, WebStatus};

/// Which requests are answered, and the time limits of a connection.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WebConfig<'c> {
    /// The names that `Host` may have, without a port. Upper and lower case do not differ. Addresses are always accepted.
    /// Any other name is refused: otherwise the owner of a name could let it point to this server, and the pages at this
    /// name could read everything here (DNS rebinding).
    pub names: &'c [&'c str],
    /// The origins of other sites whose pages may read the answers and open WebSockets, such as `https://example.com`. `*`
    /// stands for all.
    pub origins: &'c [&'c str],
    /// How long the head of a request may take from its first byte to its last.
    pub head_timeout: Duration,
    /// How long a connection may be without a request, and how long an answer or a stream may wait until some of it can be
    /// sent.
    pub idle_timeout: Duration,
}

impl WebConfig<'_> {
    /// No names, no other origins, 10 s for a head, 30 s of silence.
    pub const fn new() -> Self {
        Self { names: &[], origins: &[], head_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(30) }
    }
}

impl Default for WebConfig<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// What has happened on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WebEvent<'d> {
    /// A request. Answer it with [`WebConnection::accept`] or [`WebConnection::reject`]. Nothing is read before that.
    Request(WebRequest<'d>),
    /// A request is answered with an error. The connection ends after that.
    Refused(WebRefusal),
}

/// Why the caller rejects a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum WebRejection {
    /// It has no user and password, or wrong ones: 401. A browser asks its user for them.
    Unauthorized,
    /// It may not be granted, whatever the user is: 403.
    Forbidden,
    /// There is no such stream: 404.
    NotFound,
    /// There were too many wrong passwords from this address: 429.
    TooMany,
    /// There is no room for a further viewer: 503.
    Unavailable,
}

impl WebRejection {
    const fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::TooMany => 429,
            Self::Unavailable => 503,
        }
    }
}

/// Whether a connection that speaks [HTTP](crate::tunnel::Protocol::Http) is for a [`WebConnection`], by its first byte. All
/// requests of RTMPT are POST. A connection whose first request is of one kind serves no requests of the other.
///
/// ```
/// use embedded_rtmp::web::is_web;
///
/// assert!(is_web(b'G')); // GET / HTTP/1.1
/// assert!(!is_web(b'P')); // POST /open/1 HTTP/1.1
/// ```
#[must_use]
pub const fn is_web(first: u8) -> bool {
    first.is_ascii_uppercase() && first != b'P'
}

#[cfg(test)]
mod tests;
