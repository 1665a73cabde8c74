//! RTMPT: RTMP in the requests and responses of HTTP/1.1, for networks that let nothing else through.
//!
//! The client asks, the server answers, and the bytes of a session lie in the bodies, cut anywhere:
//!
//! ```text
//! Client                                                       Server
//!   │  POST /open/1            body: one byte, which means nothing │
//!   │                             id of the tunnel, and a line end │
//!   │                                                              │
//!   │  POST /send/ID/0         body: bytes of the client's session │
//!   │               polling hint (1), bytes of the server's session │
//!   │                                                              │
//!   │  POST /idle/ID/1         body: one byte, which means nothing │
//!   │               polling hint (1), bytes of the server's session │
//!   │                                                              │
//!   │  POST /close/ID/2                          body: one byte    │
//! ```
//!
//! A tunnel belongs to its id and never to a TCP connection: proxies may bring each request on a new one. The number
//! behind the id counts the requests of one tunnel. The next request waits for the response to the one before it.
//!
//! [`Client`] is the client's side. On the server's side there is a [`Connection`] for each TCP connection, and one table
//! of [`Tunnels`] for all of them. [`Protocol`] tells a tunnel from plain RTMP by a connection's first byte.
//!
//! # The length before the body
//! HTTP wants to know the length of a body before it comes. So both sides are told how many bytes wait to be sent when
//! they begin one: what [`transmit_len`](crate::session::Client::transmit_len) says, and where a message is begun
//! [`media_len`](crate::session::Client::media_len) as well. Nothing is buffered: then they lend the room in the output
//! to the session for just so many bytes.
//!
//! # Polling
//! The server has a word only when it is asked. Each response begins with its hint, one more than the sixty-fourths of a
//! second until the next poll (33, half a second, is the most that servers known say). A [`Client`] polls no sooner than
//! that, and no sooner than 32 ms after it has sent something, then 64, 128 and from then on 256 ms after each empty
//! response. A [`Connection`] may hold back the answer to a poll until there is something to say
//! ([`Config::hold`]): some clients poll without a pause.

mod client;
mod connection;
mod error;
mod event;
mod head;
mod request;
mod sniff;
mod table;
mod text;

pub use client::Client;
pub use connection::Connection;
pub use error::Error;
pub use event::{Event, Refusal};
pub use head::HeadError;
pub use sniff::Protocol;
pub use table::{Config, TunnelId, Tunnels};

/// The longest body that is sent, in bytes.
pub const MAX_BODY: usize = 65_536;

/// The room in bytes that [`Connection::poll_answer`] needs: for a head, and something behind it.
pub const MIN_ANSWER: usize = 256;

/// The bytes that the control buffer of a server's session in a tunnel should have. One request of a client's may hold all
/// its commands up to `publish` or `play`, and then what the server says to them waits here; see
/// [`Connection::answer_early`].
pub const MIN_CONTROL: usize = 512;

/// The longest id of a tunnel that a [`Client`] takes.
pub const MAX_ID: usize = 64;

/// What bodies are said to be.
const CONTENT_TYPE: &[u8] = b"application/x-fcs";

#[cfg(test)]
mod tests;
