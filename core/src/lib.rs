//! RTMP for microcontrollers: a protocol core without heap, sockets, clock or `unsafe`.
//!
//! The core is a set of state machines. The caller passes received bytes and the time to a machine. The machine returns
//! events, which borrow from these bytes, and writes bytes to send into the space that the caller has for them. No
//! function blocks or allocates. A machine stops and resumes at any byte in both directions, so it can run inside the
//! ring buffers of a socket.
//!
//! # Layers
//!
//! The lowest layer is first. A module uses only modules above it in this table.
//!
//! | Module | What it is |
//! |---|---|
//! | [`time`] | a point in time of the caller's clock |
//! | [`message`] | message headers: type, message stream, timestamp, length |
//! | [`amf0`] | AMF0 values: a pull decoder, an encoder into a slice |
//! | [`chunk`] | the chunk stream: reader, writer |
//! | [`control`] | protocol control and user control messages |
//! | `crypt` | RTMPE: key agreement and ciphers; feature `rtmpe` |
//! | [`handshake`] | C0 C1 C2 and S0 S1 S2, plain or with digests |
//! | [`command`] | `connect`, `publish`, `onStatus` and the others |
//! | [`media`] | the content of audio, video and data messages: FLV tags, AVC and AAC, Annex B, metadata |
//! | [`session`] | the order of commands and answers: [`session::Client`], [`session::Server`] |
//! | [`pressure`] | which frames to drop when the network is too slow, and which bit rate it carries |
//! | [`relay`] | streams by name, each from one publisher to many players |
//! | [`url`] | RTMP URLs |
//! | [`port_plan`] | the port plan: which ports to try, in which order, for how long |
//! | [`tunnel`] | RTMPT: a session in HTTP requests; detection of the protocol of a connection |
//! | `web` | streams in browsers: HTTP-FLV, MP4, WebSocket, a page and its status; feature `web` |
//! | `web` | streams in browsers: HTTP-FLV, WebSocket, a page and its status; feature `web` |
//! | `admin` | administration of a server over HTTP and RTMP; feature `admin` |
//!
//! # The run loop
//!
//! A caller with a socket and a clock can drive a session. This example publishes over a blocking socket of `std`. On a
//! device the adapter `embedded-rtmp-embassy` does it.
//!
//! ```no_run
//! use std::io::{Read, Write};
//!
//! use embedded_rtmp::command::ConnectOptions;
//! use embedded_rtmp::message::{MessageKind, Timestamp};
//! use embedded_rtmp::session::{SessionBuffers, Client, ClientConfig, ClientEvent};
//! use embedded_rtmp::time::Instant;
//!
//! # fn next_frame() -> Option<(u32, Vec<u8>)> { None }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let started = std::time::Instant::now();
//! let now = || Instant::from_micros(started.elapsed().as_micros() as u64);
//! let mut socket = std::net::TcpStream::connect("192.0.2.1:1935")?;
//!
//! let (mut scratch, mut control) = ([0; 1536], [0; 512]);
//! let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
//! let entropy = [0x5A; 32]; // from a random number generator
//! let mut client: Client = Client::new(buffers, ClientConfig::new(), &entropy)?;
//! let tc_url = ["rtmp://192.0.2.1/", "live"];
//! client.connect(&ConnectOptions::new("live", &tc_url))?;
//! client.publish("camera")?;
//!
//! let (mut received, mut out) = ([0; 1460], [0; 1460]);
//! let stream = 'publishing: loop {
//!     while client.wants_transmit() {
//!         let length = client.poll_transmit(now(), &mut out);
//!         socket.write_all(&out[..length])?;
//!     }
//!     let length = socket.read(&mut received)?;
//!     let mut input = &received[..length];
//!     if input.is_empty() {
//!         return Err("the server has closed the connection".into());
//!     }
//!     while !input.is_empty() {
//!         while let Some(event) = client.next_event(now(), &mut input)? {
//!             match event {
//!                 ClientEvent::Publishing(stream) => break 'publishing stream,
//!                 ClientEvent::Refused(_, status) => return Err(status.description.to_string().into()),
//!                 ClientEvent::Closed => return Err("the server has ended the session".into()),
//!                 _ => {}
//!             }
//!         }
//!         // If input is left, the session must send before it reads on. Usually it sends C2 here.
//!         let length = client.poll_transmit(now(), &mut out);
//!         socket.write_all(&out[..length])?;
//!     }
//! };
//! while let Some((millis, frame)) = next_frame() {
//!     let csid = client.begin_media(MessageKind::VIDEO, stream, Timestamp(millis), frame.len() as u32)?;
//!     let mut rest = &frame[..];
//!     while client.media_left(csid).is_some() {
//!         let progress = client.poll_media(csid, rest, &mut out);
//!         socket.write_all(&out[..progress.written])?;
//!         rest = &rest[progress.taken..];
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A real loop also reads while it sends, and never blocks: see [Bring your own sockets](#bring-your-own-sockets).
//! [`session`] describes the loop of a server, and [`relay`] the loop of a server that relays streams to players.
//!
//! # Memory
//!
//! The caller lends a session two buffers ([`session::SessionBuffers`]). The first has 1,536 bytes: the handshake uses
//! them, and later they store incoming commands until these are complete. The second has some hundred bytes, for
//! commands and control messages that wait to be sent. No buffer stores media. Received media is lent from the input in
//! fragments ([`chunk::Fragment`]), and media to send is copied once, from the caller's frame into the output.
//!
//! # Limits
//!
//! | What | How much |
//! |---|---|
//! | Incoming chunk streams | one more than the constant of the session's type, whose default is 8; if more are needed, an idle one is evicted |
//! | Message streams of a server's connection | [`session::MESSAGE_STREAMS`] |
//! | Media messages that are open for sending | one each of audio, video and data |
//! | Length of an incoming command | the size of the scratch; a longer command is truncated; a command that finds no room beside an incomplete one is skipped and counted |
//! | Length of a media message | the limit of the protocol: 16,777,215 bytes |
//! | Depth of AMF0 values | [`amf0::MAX_DEPTH`] |
//! | Length of a URL | [`url::MAX_URL_LENGTH`] bytes |
//! | Targets of a port plan | [`port_plan::MAX_TARGETS`] |
//!
//! # Features
//!
//! Features are additive. None is on by default.
//!
//! | Feature | What it adds |
//! |---|---|
//! | `digest` | the handshake with HMAC-SHA256 digests, which FFmpeg and others begin with; without the feature, a server uses the simple handshake, which they accept |
//! | `auth` | authentication with a user and a password, as used by Adobe's and Limelight's servers |
//! | `rtmpe` | RTMPE, the encrypted variant of RTMP, for clients and servers; it is obfuscation, not security |
//! | `mp4` | fragmented MP4 for browsers, made from the messages of a stream: `media::mp4` |
//! | `web` | streams in browsers and other viewers: HTTP-FLV, fragmented MP4, both over WebSocket, a page, and the status as JSON; turns on `mp4` |
//! | `web` | streams in browsers and other viewers: HTTP-FLV, the same over WebSocket, a page, and the status as JSON |
//! | `admin` | administration of a server over HTTP and RTMP: statistics, streams, and closing of sessions |
//! | `defmt` | `defmt::Format` for public types, and a log through defmt |
//! | `log` | a log through `log`; with both, defmt is used |
//!
#![doc = include_str!("../doc/sockets.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
extern crate std;

mod bytes;
mod fmt;
mod http;
#[cfg(any(feature = "auth", feature = "digest"))]
mod mac;
mod text;

#[cfg(feature = "admin")]
pub mod admin;
pub mod amf0;
#[cfg(feature = "auth")]
pub mod auth;
pub mod chunk;
pub mod command;
pub mod control;
#[cfg(feature = "rtmpe")]
pub mod crypt;
pub mod handshake;
pub mod media;
pub mod message;
pub mod port_plan;
pub mod pressure;
pub mod relay;
pub mod session;
pub mod time;
pub mod tunnel;
pub mod url;
#[cfg(feature = "web")]
pub mod web;
