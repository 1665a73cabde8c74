//! A relay: one publisher's stream for any number of players, through one ring of bytes that the caller lends.
//!
//! ```text
//!                           ┌──────────── Ring ────────────┐    peek
//!  publisher's  push        │ ▒▒│frame│audio│key frame ····│ ─────────► player: own session, own chunk headers
//!  fragments  ────────────► │              ▲       ▲       │ ─────────► player
//!               one copy    │            cursors           │ ─────────► player
//!                           │ kept: metadata, video, audio │     one copy each, into its socket
//!                           └──────────────────────────────┘
//! ```
//!
//! The fragments of the publisher's messages are copied into the [`Ring`] as they arrive, each message behind a header of
//! 8 bytes. Every player has a [`Cursor`] into it and sends from there, also from a message of which only a part has come.
//! A ring knows neither sessions nor sockets; [`Player`] joins a cursor to a [`Server`](crate::session::Server) session.
//!
//! ```
//! use embedded_rtmp::command::{PlayRequest, code};
//! use embedded_rtmp::relay::{StreamBuffers, Player, Ring};
//! use embedded_rtmp::session::ServerEvent;
//! # use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
//! # use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
//! # use embedded_rtmp::session::{self, Client, ClientConfig, ClientEvent, Server, ServerConfig};
//! # use embedded_rtmp::{command::ConnectOptions, time::Instant};
//!
//! // The memory of one stream; how large each is to be stands at `StreamBuffers`.
//! let (mut bytes, mut metadata, mut video, mut audio) = ([0; 16_384], [0; 512], [0; 64], [0; 32]);
//! let buffers = StreamBuffers { ring: &mut bytes, metadata: &mut metadata, video: &mut video, audio: &mut audio };
//! let mut ring = Ring::new(buffers);
//!
//! // What the publisher's session brings, as it comes; and `ring.end()` at its `Unpublished`, or when it is lost.
//! # let header = MessageHeader { timestamp: Timestamp(40), length: 5, kind: MessageKind::VIDEO, stream: StreamId(1) };
//! # let csid = ChunkStreamId::new(6).unwrap();
//! # let event = ServerEvent::Media(Fragment { csid, header, offset: 0, data: b"\x17\x01key" });
//! if let ServerEvent::Media(fragment) = event {
//!     ring.push(&fragment);
//! }
//! # // A client that plays, and the server's session with it.
//! # let mut lent = [([0; 1536], [0; 512]), ([0; 1536], [0; 512])];
//! # let [ours, theirs] = lent.each_mut().map(|(scratch, control)| session::SessionBuffers { scratch, control });
//! # let mut client = Client::<8, 1>::new(theirs, ClientConfig::new(), &[1; 32])?;
//! # client.connect(&ConnectOptions { app: "live", tc_url: &["rtmp://host/live"], flash_ver: "x" })?;
//! # client.play(&PlayRequest::new("camera"))?;
//! # let mut session = Server::<8>::new(ours, ServerConfig::new(), &[2; 32])?;
//! # let (mut wire, mut out, mut played, now) = (Vec::new(), [0; 1460], Vec::new(), Instant::from_millis(1));
//!
//! // Each player has a session of its own, and from its `Play` on a place in the ring.
//! let (mut player, mut leaves) = (None, false);
//! # for round in 0..20 {
//! # if round == 15 {
//! #     client.stop(StreamId(1))?; // more comes in, and its message stream is gone
//! #     ring.push(&Fragment { csid, header, offset: 0, data: b"\x17\x01key" });
//! # }
//! # let length = client.poll_transmit(now, &mut out);
//! # wire.extend_from_slice(&out[..length]);
//! # let (mut input, arrived) = (&wire[..], wire.len());
//! while let Some(event) = session.next_event(now, &mut input)? {
//!     match event {
//!         ServerEvent::Connect(_) => session.accept_connect()?,
//!         ServerEvent::Play { stream, .. } if player.is_some() => {
//!             session.reject(stream, code::PLAY_FAILED, "One player for each connection.")?;
//!         }
//!         ServerEvent::Play { stream, request: PlayRequest { reset, .. } } => {
//!             session.accept_play(stream, reset)?;
//!             (player, leaves) = (Some(Player::new(stream)), false);
//!         }
//!         ServerEvent::Stopped(_) => leaves = true,
//!         _ => {}
//!     }
//! }
//! # let taken = arrived - input.len();
//! # wire.drain(..taken);
//!
//! // Who leaves gets no message more: its stream may be gone.
//! if leaves && player.as_mut().is_some_and(Player::stop) {
//!     player = None; // not before: a message that is begun must be finished
//! }
//! // Whenever the ring has more, or its socket has room: what is to be sent, of the session and then of the stream.
//! let length = match &mut player {
//!     Some(player) => player.pump(&ring, &mut session, now, &mut out)?, // an error: close the connection
//!     None => session.poll_transmit(now, &mut out),
//! };
//! # let mut answer = &out[..length];
//! # while let Some(event) = client.next_event(now, &mut answer)? {
//! #     if let ClientEvent::Media(fragment) = event {
//! #         played.extend_from_slice(fragment.data);
//! #     }
//! # }
//! # }
//! # assert!(played == b"\x17\x01key" && player.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! At a player's `Receive` its cursor [selects](Cursor::select). While it is paused nothing is pumped, once
//! [`Cursor::is_inside`] says that no message is begun. When the publisher comes or goes,
//! [`publish_notify`](crate::session::Server::publish_notify) and
//! [`unpublish_notify`](crate::session::Server::unpublish_notify) tell it.
//!
//! # What a player gets
//! - First the metadata and the sequence headers, which are kept beside the ring, with the timestamp of what follows.
//! - Then everything from the last keyframe on, where the ring still holds that; else from the next one on. A stream that
//!   has had no video so far is joined at once, where it is.
//! - Timestamps as the publisher sent them: they need not begin at 0, and jump where another publisher takes over.
//! - `onMetaData` without the `@setDataFrame` before it, which is for servers; data behind an AMF3 selector as plain data.
//!
//! # Who is too slow
//! The publisher is never held up: what is older than the ring is long is overwritten. A player that this happens to
//! between two messages, or that is half a ring behind there, goes on with the last keyframe where that is newer (without
//! video: with what comes next), and the messages that it missed are [counted](Cursor::skipped). Within a message there
//! is no way on, and its connection is closed ([`Overtaken`]). The others do not notice.
//!
//! # What cannot be relayed
//! A message that is longer than the ring, with its 8 bytes, is left out and [counted](Counts::too_long). Where a message
//! begins while four others are unfinished, the oldest of these is [given up](Counts::too_many), as one is that its
//! publisher [leaves unfinished](Counts::cut).

mod cached;
mod cursor;
mod play;
mod player;
mod record;
mod ring;
mod store;

pub use cursor::{Cursor, Overtaken};
pub use play::Piece;
pub use player::{Player, PumpError};
pub use ring::{Counts, OVERHEAD, Ring, StreamBuffers};

#[cfg(test)]
mod tests;
