//! RTMPT: RTMP in the requests and responses of HTTP/1.1, for networks that let only HTTP pass.
//!
//! The client sends requests, the server sends responses, and their bodies carry the bytes of a session, cut anywhere:
//!
//! ```text
//! TunnelClient                                                       Server
//!   │  POST /open/1            body: one byte without a meaning    │
//!   │                             id of the tunnel, and a line end │
//!   │                                                              │
//!   │  POST /send/ID/0         body: bytes of the client's session │
//!   │               polling hint (1), bytes of the server's session │
//!   │                                                              │
//!   │  POST /idle/ID/1         body: one byte without a meaning    │
//!   │               polling hint (1), bytes of the server's session │
//!   │                                                              │
//!   │  POST /close/ID/2                          body: one byte    │
//! ```
//!
//! A tunnel belongs to its id and never to a TCP connection, because proxies may send each request on a new connection. The
//! number after the id counts the requests of one tunnel. The next request waits for the response to the one before it.
//!
//! [`TunnelClient`] is the client's side. A server has one [`TunnelConnection`] for each TCP connection, and one table of
//! [`Tunnels`] for all of them. [`Protocol`] distinguishes a tunnel from plain RTMP by the first byte of a connection.
//!
//! # The loop of a server
//! The sessions are those of a server without tunnels. Their bytes pass through the connection:
//!
//! ```
//! use embedded_rtmp::session::{SessionBuffers, Server, ServerConfig, ServerEvent};
//! use embedded_rtmp::time::Instant;
//! use embedded_rtmp::tunnel::{TunnelConfig, TunnelConnection, TunnelEvent, MIN_CONTROL, Protocol, Tunnels};
//! # use embedded_rtmp::{command::ConnectOptions, session::{Client, ClientConfig, ClientEvent}, tunnel};
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// The tunnels of a listener, at most two, and the session of each.
//! struct Listener<'b> {
//!     tunnels: Tunnels<'b, 2>,
//!     sessions: [Server<'b>; 2],
//! }
//!
//! /// Call it for each TCP connection when bytes were received, when there is room to send, and at
//! /// [`TunnelConnection::poll_timeout`]. `out` has at least [`MIN_ANSWER`](embedded_rtmp::tunnel::MIN_ANSWER) bytes.
//! fn turn(
//!     listener: &mut Listener<'_>,
//!     connection: &mut TunnelConnection,
//!     now: Instant,
//!     input: &mut &[u8],
//!     out: &mut [u8],
//! ) -> Result<usize> {
//!     let Listener { tunnels, sessions } = listener;
//!     connection.handle_timeout(now, tunnels); // returns the tunnel that ended with it
//!     while let Some(event) = connection.next_event(now, input, tunnels) {
//!         match event {
//!             // Its index says which session to restart for it.
//!             TunnelEvent::Open => _ = connection.open(now, &[0x5A; 32], tunnels), // from a random number generator
//!             TunnelEvent::Data(tunnel) => {
//!                 let (before, session) = (input.len(), &mut sessions[tunnel.index()]);
//!                 connection.receive(now, input, |bytes| -> Result<()> {
//!                     while let Some(event) = session.next_event(now, bytes)? {
//!                         match event {
//!                             ServerEvent::Connect(_) => session.accept_connect()?,
//!                             ServerEvent::Publish { stream, .. } => session.accept(stream)?,
//!                             _ => {}
//!                         }
//!                     }
//!                     Ok(())
//!                 })?;
//!                 if input.len() == before {
//!                     // The session must send before it can read on.
//!                     if !connection.answer_early() {
//!                         tunnels.close(tunnel);
//!                     }
//!                     break;
//!                 }
//!             }
//!             _ => {} // at `Closed` a session has ended
//!         }
//!     }
//!     let tunnel = connection.tunnel(tunnels);
//!     let Some(session) = tunnel.map(|tunnel| &mut sessions[tunnel.index()]) else {
//!         return Ok(connection.poll_answer(now, out, tunnels, false, |_| 0));
//!     };
//!     let wants = session.wants_transmit();
//!     Ok(connection.poll_answer(now, out, tunnels, wants, |room| session.poll_transmit(now, room)))
//! }
//!
//! let mut lent = [([0; 1536], [0; MIN_CONTROL]), ([0; 1536], [0; MIN_CONTROL])];
//! let [first, second] = lent.each_mut().map(|(scratch, control)| {
//!     Server::new(SessionBuffers { scratch, control }, ServerConfig::new(), &[0x5A; 32])
//! });
//! let mut listener = Listener { tunnels: Tunnels::new(TunnelConfig::new()), sessions: [first?, second?] };
//! # let mut now = Instant::from_millis(1);
//! # let (mut scratch, mut control) = ([0; 1536], [0; 512]);
//! # let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
//! # let mut client = Client::<8>::new(buffers, ClientConfig::new(), &[1; 32])?;
//! # client.connect(&ConnectOptions::new("live", &["rtmpt://host/live"]))?;
//! # client.publish("camera")?;
//! # let mut outer = tunnel::TunnelClient::new("host", 80);
//! # let (mut wire, mut out, mut publishing) = (Vec::new(), [0; 1460], false);
//!
//! // The first byte of a connection shows whether it speaks HTTP.
//! # let first_byte = b'P';
//! assert_eq!(Protocol::of(first_byte), Protocol::Http);
//! let mut connection = TunnelConnection::new(now);
//! # for _ in 0..100 {
//! #     now = now + core::time::Duration::from_millis(40);
//! #     let waiting = client.transmit_len();
//! #     let length = outer.poll_transmit(now, &mut out, waiting, |room| client.poll_transmit(now, room));
//! #     wire.extend_from_slice(&out[..length]);
//! #     let mut input = &wire[..];
//! #     let length = turn(&mut listener, &mut connection, now, &mut input, &mut out)?;
//! #     let taken = wire.len() - input.len();
//! #     wire.drain(..taken);
//! #     let mut answer = &out[..length];
//! #     loop {
//! #         let before = answer.len();
//! #         let event = outer.receive(now, &mut answer, |bytes| client.next_event(now, bytes))??;
//! #         publishing |= matches!(event, Some(ClientEvent::Publishing(_)));
//! #         if answer.len() == before {
//! #             break;
//! #         }
//! #     }
//! # }
//! # assert!(publishing);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The length before the body
//! HTTP announces the length of a body before the body. Therefore both sides must know how many bytes the session has to
//! send when they begin one: [`transmit_len`](crate::session::Client::transmit_len), plus
//! [`media_len`](crate::session::Client::media_len) if a message is open. Nothing is buffered: they lend exactly that much of
//! the output to the session.
//!
//! # Polling
//! The server can send only in a response. Each response begins with a hint: the time until the next poll in units of 1/64 s,
//! plus one. Known servers send at most 33, which is half a second. A [`TunnelClient`] does not poll earlier than that, nor
//! earlier than 32 ms after it has sent something, then 64, 128 and from then on 256 ms after each empty response. A
//! [`TunnelConnection`] may hold back the response to a poll until there is something to send ([`TunnelConfig::hold`]),
//! because some clients poll without a pause.

mod client;
mod connection;
mod error;
mod event;
mod request;
mod sniff;
mod table;

pub use crate::http::HeadError;
pub use client::TunnelClient;
pub use connection::TunnelConnection;
pub use error::TunnelError;
pub use event::{TunnelEvent, TunnelRefusal};
#[cfg(feature = "web")]
pub(crate) use request::is_tunnel;
pub use sniff::Protocol;
pub use table::{TunnelConfig, TunnelId, Tunnels};

/// The longest body in bytes that is sent.
pub const MAX_BODY: usize = 65_536;

/// The room in bytes that [`TunnelConnection::poll_answer`] needs for a head and some payload.
pub const MIN_ANSWER: usize = 256;

/// The size in bytes that the control buffer of a server's session in a tunnel should have. One request may hold all commands
/// of a client up to `publish` or `play`, and the answers to all of them wait in this buffer. See
/// [`TunnelConnection::answer_early`].
pub const MIN_CONTROL: usize = 512;

/// The longest tunnel id in bytes that a [`TunnelClient`] accepts.
pub const MAX_ID: usize = 64;

/// The content type of bodies.
const CONTENT_TYPE: &[u8] = b"application/x-fcs";

#[cfg(test)]
mod tests;
