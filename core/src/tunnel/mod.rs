//! RTMPT: RTMP in the requests and responses of HTTP/1.1, for networks that let nothing else through.
//!
//! The client asks, the server answers, and the bytes of a session lie in the bodies, cut anywhere:
//!
//! ```text
//! TunnelClient                                                       Server
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
//! [`TunnelClient`] is the client's side. On the server's side there is a [`TunnelConnection`] for each TCP connection, and one table
//! of [`Tunnels`] for all of them. [`Protocol`] tells a tunnel from plain RTMP by a connection's first byte.
//!
//! # A server's turn
//! The sessions are those of a server without tunnels; what is read and written passes through the connection:
//!
//! ```
//! use embedded_rtmp::session::{SessionBuffers, Server, ServerConfig, ServerEvent};
//! use embedded_rtmp::time::Instant;
//! use embedded_rtmp::tunnel::{TunnelConfig, TunnelConnection, TunnelEvent, MIN_CONTROL, Protocol, Tunnels};
//! # use embedded_rtmp::{command::ConnectOptions, session::{Client, ClientConfig, ClientEvent}, tunnel};
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// A listener's tunnels, of which there may be two, and the session of each.
//! struct Listener<'b> {
//!     tunnels: Tunnels<'b, 2>,
//!     sessions: [Server<'b>; 2],
//! }
//!
//! /// To be called for each TCP connection when something has come, when there is room to send, and at the time that
//! /// [`TunnelConnection::poll_timeout`] says. `out` is room for [`MIN_ANSWER`](embedded_rtmp::tunnel::MIN_ANSWER) bytes or more.
//! fn turn(
//!     listener: &mut Listener<'_>,
//!     connection: &mut TunnelConnection,
//!     now: Instant,
//!     input: &mut &[u8],
//!     out: &mut [u8],
//! ) -> Result<usize> {
//!     let Listener { tunnels, sessions } = listener;
//!     connection.handle_timeout(tunnels, now); // the tunnel that is over with it, where one is
//!     while let Some(event) = connection.next_event(tunnels, now, input) {
//!         match event {
//!             // Its place tells which session is to be made anew for it.
//!             TunnelEvent::Open => _ = connection.open(tunnels, now, &[0x5A; 32]), // from a random number generator
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
//!                     // The session must send before it reads on.
//!                     if !connection.answer_early() {
//!                         tunnels.close(tunnel);
//!                     }
//!                     break;
//!                 }
//!             }
//!             _ => {} // at `Closed` a session is over
//!         }
//!     }
//!     let tunnel = connection.tunnel(tunnels);
//!     let Some(session) = tunnel.map(|tunnel| &mut sessions[tunnel.index()]) else {
//!         return Ok(connection.poll_answer(tunnels, now, false, out, |_| 0));
//!     };
//!     let wants = session.wants_transmit();
//!     Ok(connection.poll_answer(tunnels, now, wants, out, |room| session.poll_transmit(now, room)))
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
//! # client.connect(&ConnectOptions { app: "live", tc_url: &["rtmpt://host/live"], flash_ver: "x" })?;
//! # client.publish("camera")?;
//! # let mut outer = tunnel::TunnelClient::new("host", 80);
//! # let (mut wire, mut out, mut publishing) = (Vec::new(), [0; 1460], false);
//!
//! // The first byte of a connection says whether it speaks HTTP.
//! # let first_byte = b'P';
//! assert_eq!(Protocol::of(first_byte), Protocol::Http);
//! let mut connection = TunnelConnection::new(now);
//! # for _ in 0..100 {
//! #     now = now + core::time::Duration::from_millis(40);
//! #     let waiting = client.transmit_len();
//! #     let length = outer.poll_transmit(now, waiting, &mut out, |room| client.poll_transmit(now, room));
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
//! HTTP wants to know the length of a body before it comes. So both sides are told how many bytes wait to be sent when
//! they begin one: what [`transmit_len`](crate::session::Client::transmit_len) says, and where a message is begun
//! [`media_len`](crate::session::Client::media_len) as well. Nothing is buffered: then they lend the room in the output
//! to the session for just so many bytes.
//!
//! # Polling
//! The server has a word only when it is asked. Each response begins with its hint, one more than the sixty-fourths of a
//! second until the next poll (33, half a second, is the most that servers known say). A [`TunnelClient`] polls no sooner than
//! that, and no sooner than 32 ms after it has sent something, then 64, 128 and from then on 256 ms after each empty
//! response. A [`TunnelConnection`] may hold back the answer to a poll until there is something to say
//! ([`TunnelConfig::hold`]): some clients poll without a pause.

mod client;
mod connection;
mod error;
mod event;
mod head;
mod request;
mod sniff;
mod table;
mod text;

pub use client::TunnelClient;
pub use connection::TunnelConnection;
pub use error::TunnelError;
pub use event::{TunnelEvent, TunnelRefusal};
pub use head::HeadError;
pub use sniff::Protocol;
pub use table::{TunnelConfig, TunnelId, Tunnels};

/// The longest body that is sent, in bytes.
pub const MAX_BODY: usize = 65_536;

/// The room in bytes that [`TunnelConnection::poll_answer`] needs: for a head, and something behind it.
pub const MIN_ANSWER: usize = 256;

/// The bytes that the control buffer of a server's session in a tunnel should have. One request of a client's may hold all
/// its commands up to `publish` or `play`, and then what the server says to them waits here; see
/// [`TunnelConnection::answer_early`].
pub const MIN_CONTROL: usize = 512;

/// The longest id of a tunnel that a [`TunnelClient`] takes.
pub const MAX_ID: usize = 64;

/// What bodies are said to be.
const CONTENT_TYPE: &[u8] = b"application/x-fcs";

#[cfg(test)]
mod tests;
