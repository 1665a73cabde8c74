//! Sessions: the order of commands and answers of both sides (RTMP 1.0, sections 5 to 7).
//!
//! A [`Client`] connects, publishes and plays. A [`Server`] serves one client. Both are a [`Connection`] and are driven in
//! the same way:
//!
//! ```text
//!              bytes received                    events, borrowed from the input
//!  socket ───────────────────► next_event() ───────────────────────────────────► application
//!    ▲                                                                               │
//!    │   bytes to send         poll_transmit()          requests: connect, publish   │
//!    └─────────────────────────poll_media() ◄────────── accept, begin_media ─────────┘
//!
//!  clock ──────────────────► handle_timeout(), when poll_timeout() says
//! ```
//!
//! Call `next_event` with the received bytes until it returns `None`, then `poll_transmit` until it returns 0.
//! `poll_timeout` then returns the time of the next call. Input may stop at any byte, and output fills any space.
//! `next_event` removes the bytes that it has used from the front of the slice. If it returns `None` and leaves input
//! there, `wants_input` is `false`: output must drain first, or the application must answer a request. An application
//! that does not call `next_event` applies back-pressure.
//!
//! # The loop of a server
//! The loop of a client is in the [crate's documentation](crate#the-run-loop). The loop of a server is the same, but its
//! events are requests. The application answers each with `accept…` or `reject…` before more is read.
//!
//! ```
//! use embedded_rtmp::command::code;
//! use embedded_rtmp::session::{SessionBuffers, Server, ServerConfig, ServerEvent};
//! use embedded_rtmp::time::Instant;
//! # use embedded_rtmp::{command::ConnectOptions, message::{MessageKind, Timestamp}};
//! # use embedded_rtmp::session::{Client, ClientConfig, ClientEvent};
//! # type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
//!
//! /// Call this when bytes have arrived, when there is room to send, and at `poll_timeout()`. Takes bytes from
//! /// the front of `input`, and returns the number of bytes in `out` to send.
//! fn turn(server: &mut Server, now: Instant, input: &mut &[u8], out: &mut [u8], frames: &mut u32) -> Result<usize> {
//!     if server.poll_timeout().is_some_and(|deadline| deadline <= now) {
//!         server.handle_timeout(now)?; // pings a client that is silent; fails if it does not answer
//!     }
//!     while let Some(event) = server.next_event(now, input)? {
//!         match event {
//!             ServerEvent::Connect(request) if request.app == "live" => server.accept_connect()?,
//!             ServerEvent::Connect(_) => server.reject_connect("There is no such application.")?,
//!             ServerEvent::Publish { stream, request } if request.key == "camera" => server.accept(stream)?,
//!             ServerEvent::Publish { stream, .. } => server.reject(stream, code::PUBLISH_BAD_NAME, "Unknown key.")?,
//!             ServerEvent::Play { stream, .. } => server.reject(stream, code::PLAY_STREAM_NOT_FOUND, "No players.")?,
//!             ServerEvent::Media(fragment) => *frames += u32::from(fragment.is_last()), // borrowed: use it here
//!             _ => {}
//!         }
//!     }
//!     Ok(server.poll_transmit(now, out))
//! }
//!
//! let (mut scratch, mut control) = ([0; 1536], [0; 512]);
//! let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
//! let entropy = [0x5A; 32]; // from a random number generator
//! let mut server = Server::new(buffers, ServerConfig::new(), &entropy)?;
//! # // A client, and the wire to it: what it has sent and the server has not taken yet.
//! # let (mut scratch, mut control) = ([0; 1536], [0; 512]);
//! # let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
//! # let mut client = Client::<8>::new(buffers, ClientConfig::new(), &entropy)?;
//! # client.connect(&ConnectOptions::new("live", &["rtmp://host/live"]))?;
//! # client.publish("camera")?;
//! # let (mut wire, mut out, mut frames, now) = (Vec::new(), [0; 1460], 0, Instant::from_millis(1));
//! # for _ in 0..20 {
//! #     let length = client.poll_transmit(now, &mut out);
//! #     wire.extend_from_slice(&out[..length]);
//! #     let mut input = &wire[..];
//! #     let length = turn(&mut server, now, &mut input, &mut out, &mut frames)?;
//! #     let taken = wire.len() - input.len();
//! #     wire.drain(..taken);
//! #     let (mut answer, mut publishing) = (&out[..length], None);
//! #     while let Some(event) = client.next_event(now, &mut answer)? {
//! #         if let ClientEvent::Publishing(stream) = event {
//! #             publishing = Some(stream);
//! #         }
//! #     }
//! #     if let Some(stream) = publishing {
//! #         let csid = client.begin_media(MessageKind::VIDEO, stream, Timestamp(0), 5)?;
//! #         let progress = client.poll_media(csid, b"\x17\x01key", &mut out);
//! #         assert!(progress.taken == 5 && progress.done);
//! #         wire.extend_from_slice(&out[..progress.written]);
//! #     }
//! # }
//! # assert_eq!(frames, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Bytes that are left in `input` stay in place, for example in the socket's ring, and are passed again with the next
//! call. Close the connection after an error, and when [`Server::is_closed`] returns `true`: a refused client has then
//! been told the reason. A server for several clients has one `Server` for each. [`relay`](crate::relay) passes the
//! media of a publisher to the players.

mod client;
mod config;
mod connection;
mod error;
mod event;
mod flow;
mod link;
mod offer;
mod queue;
mod server;

pub use client::{Client, ClientRole, NotZero, Room};
pub use config::{ClientConfig, MIN_CONTROL, ServerConfig, SessionBuffers};
pub use connection::{Connection, Role};
pub use error::{ConfigError, RequestError, SessionError, Stage};
pub use event::{ClientEvent, ServerEvent};
pub use offer::{LegacyServer, Offer};
pub use server::{MESSAGE_STREAMS, Server, ServerRole};

#[cfg(test)]
mod tests;
