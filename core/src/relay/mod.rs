//! Streams by name, each from one publisher to any number of players. Every server uses these rules.
//!
//! ```text
//!                           ┌──────────── Ring ────────────┐    peek
//!  publisher's  push        │ ▒▒│frame│audio│key frame ····│ ─────────► player: own session, own chunk headers
//!  fragments  ────────────► │              ▲       ▲       │ ─────────► player
//!               one copy    │            cursors           │ ─────────► player
//!                           │ cached: metadata and         │     one copy each, into its socket
//!                           │         configurations       │
//!                           └──────────────────────────────┘
//!            Directory: names, publishers and players of all streams
//! ```
//!
//! | Type | What it is |
//! |---|---|
//! | [`Directory`] | the names, publishers and players of all streams: a view of lent tables |
//! | [`Ring`] | the messages of one stream, and its cached metadata and configurations of decoders |
//! | [`Player`] | a [`Cursor`] into a ring, joined to a [`Server`](crate::session::Server) session |
//! | [`RelayConfig`] | what happens if publishers conflict or leave, and if players are late |
//!
//! A directory knows neither sessions nor rings nor sockets. A publisher or a player need not be a session: a device can
//! publish its own camera under any [`PeerId`] and push [`Fragment`](crate::chunk::Fragment)s, and a recorder can read a
//! ring with a cursor of its own.
//!
//! # The states of a stream
//! ```text
//!              play                        publish
//!        ┌──────────────► ┌─────────┐ ──────────────────► ┌───────────┐ ◄──────┐ heard: the second publish
//!     free                │ waiting │                     │ published │        │ is rejected
//!        ◄──────────────┘ └─────────┘ ◄────────────────── └───────────┘ ────┐  │
//!          last player leaves  ▲        unpublish, grace 0     │   ▲        │  │
//!                              │                     unpublish │   │ publish▼  │ second publish
//!                              │ grace is over: players        ▼   │      ┌────────────┐
//!                              │ are told                 ┌───────────┐   │ challenged │ silent until the deadline:
//!                              └───────────────────────── │   grace   │   └────────────┘ the second one replaces
//!                                                         └───────────┘                  the first
//! ```
//! A stream without players has no grace time. If players continue with another publisher, all of its timestamps are
//! shifted by one offset ([`Ring::resume`]).
//!
//! # The loop of a server
//! One turn of one of two sessions. A server with sockets does this for each session that received something, that has
//! more room, or that [`Directory::wake`] showed; and calls `handle_timeout` of the directory and of the sessions in time.
//!
//! ```
//! use embedded_rtmp::command::code;
//! use embedded_rtmp::relay::*;
//! use embedded_rtmp::session::ServerEvent;
//! # use std::time::Duration;
//! # use embedded_rtmp::command::{ConnectOptions, PlayRequest};
//! # use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
//! # use embedded_rtmp::session::{Client, ClientConfig, ClientEvent, Server, ServerConfig, SessionBuffers};
//! # use embedded_rtmp::time::Instant;
//!
//! // The memory of one stream and two players.
//! let (mut bytes, mut headers, mut name) = ([0; 16_384], [0; 768], [0; 64]);
//! let mut entries = [HeaderEntry::new(); 4];
//! let buffers = StreamBuffers { ring: &mut bytes, headers: &mut headers, entries: &mut entries };
//! let mut config = RelayConfig::new();
//! // This server rejects a second publisher, and tells players at once that a stream has ended.
//! (config.take_over, config.grace) = (TakeOver::Refuse, Duration::ZERO);
//! let mut rings = [Ring::new(buffers, &config)];
//! let (mut state, mut streams) = (DirectoryState::new(&config), [StreamEntry::new(&mut name)]);
//! let mut players = [const { PlayerEntry::new() }; 2];
//! let mut directory = Directory::new(&mut state, &mut streams, &mut players);
//! # let buffers = || SessionBuffers { scratch: vec![0; 1536].leak(), control: vec![0; 1024].leak() };
//! # let mut clients = [(); 2].map(|()| Client::<8, 1>::new(buffers(), ClientConfig::new(), &[1; 32]).unwrap());
//! # let mut sessions = [(); 2].map(|()| Server::<8>::new(buffers(), ServerConfig::new(), &[2; 32]).unwrap());
//! # for client in &mut clients {
//! #     client.connect(&ConnectOptions::new("live", &["rtmp://host/live"]))?;
//! # }
//! # clients[0].play(&PlayRequest::new("camera"))?;
//! # clients[1].publish("camera")?;
//! # let (now, mut wires, mut played, mut ended) = (Instant::from_millis(1), [Vec::new(), Vec::new()], 0, false);
//! # for round in 0..20 {
//! # let mut ready = Vec::new();
//! # for (id, session) in sessions.iter_mut().enumerate() {
//! # let (client, wire, mut out) = (&mut clients[id], &mut wires[id], [0; 4096]);
//! # if id == 1 && round == 10 {
//! #     let csid = client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 5)?;
//! #     let length = client.poll_transmit(now, &mut out);
//! #     let written = client.poll_media(csid, b"\x17\x01key", &mut out[length..]).written;
//! #     wire.extend_from_slice(&out[..length + written]);
//! # }
//! # if id == 1 && round == 15 {
//! #     client.close()?;
//! # }
//! # let length = client.poll_transmit(now, &mut out);
//! # wire.extend_from_slice(&out[..length]);
//! # let mut input = &wire[..];
//!
//! let peer = PeerId(id as u32); // of the session whose turn it is
//! while let Some(event) = session.next_event(now, &mut input)? {
//!     match event {
//!         // A server with several applications stores the one that is asked for.
//!         ServerEvent::Connect(_) => session.accept_connect()?,
//!         ServerEvent::Publish { stream, request } => {
//!             let name = StreamName::new(b"live", request.key.as_bytes());
//!             match directory.publish(now, name, Publisher { peer, stream }) {
//!                 Ok(PublishAnswer::Accept(_)) => session.accept(stream)?,
//!                 Ok(PublishAnswer::Wait) => {} // not with this configuration
//!                 Err(error) => session.reject(stream, code::PUBLISH_BAD_NAME, error.description())?,
//!             }
//!         }
//!         ServerEvent::Play { stream, request } => {
//!             let (name, reset) = (StreamName::new(b"live", request.name.as_bytes()), request.reset);
//!             match directory.play(name, peer, stream) {
//!                 Ok(_) => session.accept_play(stream, reset)?,
//!                 Err(error) => session.reject(stream, code::PLAY_FAILED, error.description())?,
//!             }
//!         }
//!         ServerEvent::Media(fragment) => {
//!             if let Some(stream) = directory.published(Publisher { peer, stream: fragment.header.stream }) {
//!                 rings[stream.get()].push(now, &fragment);
//!                 ready.extend(directory.wake(stream)); // these sessions have a turn now
//!             }
//!         }
//!         ServerEvent::Unpublished(stream) => directory.unpublish(now, peer, Some(stream)),
//!         ServerEvent::Stopped(stream) => {
//!             directory.player_of(peer).and_then(|player| directory.stop(player, stream));
//!         }
//!         _ => {} // Pause and Receive are methods of the player.
//!     }
//! }
//! while let Some(event) = directory.poll_event(now) {
//!     match event {
//!         RelayEvent::Gone(stream) => rings[stream.get()].end(),
//!         RelayEvent::Resumed { stream, since } => rings[stream.get()].resume(since),
//!         // Other events come with the default configuration, or if there are more streams than places.
//!         _ => {}
//!     }
//! }
//! let length = match directory.player_of(peer) {
//!     None => session.poll_transmit(now, &mut out),
//!     Some(index) => {
//!         let Some(Turn { player, stream, generation }) = directory.player(index) else { unreachable!() };
//!         let ring = stream.map(|stream| &rings[stream.get()]);
//!         let length = player.pump(ring, generation, session, now, &mut out)?; // an error: close the connection
//!         directory.settle(index);
//!         length
//!     }
//! };
//! # let (mut answer, taken) = (&out[..length], wire.len() - input.len());
//! # wire.drain(..taken);
//! # while let Some(event) = client.next_event(now, &mut answer)? {
//! #     match event {
//! #         ClientEvent::Media(fragment) if !fragment.header.kind.is_data() => played += fragment.data.len(),
//! #         ClientEvent::Status(_, status) => ended |= status.code == *code::PLAY_UNPUBLISH_NOTIFY,
//! #         _ => {}
//! #     }
//! # }
//! # }
//! # }
//! # assert!(played == 5 && ended, "{played} {ended}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! When a session ends, call [`Directory::unpublish`] without a stream, and [`Directory::leave`].
//!
//! # What a player receives
//! - First the cached metadata, then the configurations of all decoders in the order of their tracks: sequence headers,
//!   `colorInfo`, speakers of channels. They have the timestamp of the message that follows.
//! - Then everything from the last keyframe on, if the ring still has it. Otherwise it gets audio and data at once. It
//!   gets video from the next keyframe on, or after 3 s if no keyframe comes: a stream with intra refresh has none.
//! - With several tracks of video (Enhanced RTMP), "keyframe" means a keyframe of track 0. Messages without a track
//!   number belong to track 0. Each other track begins with its own next keyframe, or after 3 s.
//! - The same after a change of the publisher, and after a picture that its publisher left unfinished.
//! - Timestamps as the publisher sent them. They need not begin at 0, and they jump if a publisher follows another one
//!   without a [grace time](RelayConfig::grace).
//! - `onMetaData` without the `@setDataFrame` before it, which is for servers; data after an AMF3 selector as plain data.
//! - `NetStream.Play.PublishNotify` and `NetStream.Play.UnpublishNotify` if the stream begins or ends while it plays.
//!
//! # Players that are late
//! The publisher never waits. Messages that are older than the length of the ring are overwritten. A player that is
//! between two messages and is half a ring late ([`RelayConfig::late_percent`]) continues with the last keyframe if
//! that is newer (without video: with the next message), and the messages that it missed are
//! [counted](Played::skipped). Before that, tracks of video above 0 are paused. A player that is a quarter of the ring
//! late gets nothing of the highest track until the next keyframe of that track. If it falls further behind, the same
//! happens to the lower tracks. A player that is inside an overwritten message cannot continue, and its connection is
//! closed ([`Overtaken`], [`RelayConfig::fill_overtaken`]). Other players are not affected.
//!
//! # What cannot be relayed
//! A message that is longer than the ring minus 8 bytes is dropped and [counted](Counts::too_long). The first one of each
//! publisher is logged with its size and that of the ring. If four messages are unfinished when another one begins, the
//! oldest of them is [given up](Counts::too_many). A message that its publisher leaves unfinished is
//! [cut](Counts::cut): a player that has begun it gets zeros for the rest ([`RelayConfig::fill_cut`]). Other players do not
//! get it.

mod cached;
mod config;
mod cursor;
mod deliver;
mod directory;
mod name;
mod play;
mod player;
mod record;
mod ring;
mod store;

pub use cached::{HeaderEntry, MAX_HEADERS};
pub use config::{RelayConfig, TakeOver};
pub use cursor::{Cursor, Overtaken};
#[cfg(feature = "web")]
pub(crate) use deliver::{Begin, Sink};
pub use directory::{
    Accepted, Directory, DirectoryState, PeerId, PlayerEntry, PlayerIndex, PublishAnswer, Publisher, RelayEvent,
    RelayRejection, StreamEntry, StreamIndex, Turn, Wake,
};
pub use name::{NameTooLong, StreamName};
pub use play::Piece;
pub use player::{Generation, Played, Player, PumpError};
pub use ring::{Counts, OVERHEAD, Ring, StreamBuffers};

#[cfg(test)]
mod tests;
