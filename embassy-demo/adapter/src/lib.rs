//! RTMP over embassy-net: publishes, plays, serves and relays, on a microcontroller without a heap.
//!
//! The protocol is in [`embedded_rtmp`]. This crate adds sockets, names, timers and a way through firewalls. The sessions run
//! inside the sockets' own closures, without a buffer in between: a frame is copied once, from the caller's memory into the
//! send ring, and received bytes are lent from the receive ring.
//!
//! ```text
//!   frames ──► Sender (audio, data, video) ─┐                        ┌─► Handler ──► fragments
//!                                           ▼                        │
//!                            Publisher: Client in a socket      Server: N sockets, each listening
//!                              ▲     │ write_with   read_with ▲      or with a session in it
//!   port plan ──► dial ────────┘     ▼                        │
//!                              embassy-net: TCP rings, DNS, the clock
//! ```
//!
//! | To | there is |
//! |---|---|
//! | publish from a camera for as long as it runs, and connect again when the connection is lost | [`Live`]: [`new`] |
//! | publish on one connection | [`Publisher`] |
//! | play | [`Player`], which passes media to a [`PlayHandler`] |
//! | accept publishers, and relay them to players | [`Server`], which asks a [`Handler`] |
//! | let players watch the device's own camera | [`LocalPublisher`], a part of a [`Server`] |
//! | test by which ports a server can be reached | [`test_ports`] |
//! | do any of that over TLS, or over another network stack | [`transport`] |
//!
//! `Live` has its memory in a static [`State`]. The others borrow [`Memory`]. Put it in a static `ConstStaticCell` of the
//! crate `static_cell`, so that it is never on the stack. `StackResources` needs a socket for each session, and two more for
//! DHCP and DNS.
//!
//! # Publishing
//! A camera uses [`Live`]. A runner connects, and connects again when the connection is lost. The tasks of the encoder and
//! the microphone send through handles. All memory is in a static. A picture is borrowed from the encoder's DMA buffer until
//! all of it is in the socket's send ring. All tasks of a stream run on the executor of the network stack.
//!
//! ```no_run
//! use embassy_futures::select::select;
//! use embassy_net::Stack;
//! use embassy_time::Timer;
//! use embedded_rtmp_embassy as rtmp;
//! use embedded_rtmp_embassy::rand_core::CryptoRng;
//! use embedded_rtmp_embassy::{Config, Live, LiveRunner, Phase, Picture, SendOutcome, State, Tracks};
//!
//! static STATE: State<4096, 8192> = State::new();
//!
//! // Without a port in the URL, 1935, 80, 443 and a tunnel are tried one after another; with a port, only that one.
//! fn start(stack: Stack<'static>, rng: impl CryptoRng) -> Live {
//!     let (live, runner) = rtmp::new(stack, &STATE, rng, Config::new("rtmp://media.example/live/camera-7"));
//!     spawn(network_task(runner));
//!     // The encoder sends parameter sets before keyframes; otherwise use `Tracks::h264(sps, pps)`. AAC LC, 44,100 Hz, stereo.
//!     live.set_tracks(Tracks::h264_in_band().aac(&[0x12, 0x10]));
//!     spawn(video_task(live.clone()));
//!     spawn(audio_task(live.clone()));
//!     spawn(status_task(live.clone()));
//!     live // with `Config::starts` false it begins stopped
//! }
//!
//! async fn network_task(runner: LiveRunner<impl CryptoRng>) -> ! {
//!     runner.run().await // waits for DHCP, connects, reconnects, keeps the time
//! }
//!
//! async fn video_task(live: Live) -> ! {
//!     let mut encoder = Encoder;
//!     loop {
//!         // Times are in microseconds of the encoder's clock. The NAL units are in its buffer, without start codes.
//!         let (pts, dts, is_key, units) = encoder.picture().await;
//!         if live.video().send(Picture::new(pts, dts, is_key, units)).await != SendOutcome::Sent {
//!             // Dropped because there is no connection, or because it is late. Keyframes are requested when needed.
//!         }
//!     }
//! }
//!
//! async fn audio_task(live: Live) -> ! {
//!     let mut microphone = Microphone;
//!     loop {
//!         let (pts, frame) = microphone.frame().await;
//!         live.audio().send(pts, frame).await; // passes between the chunks of a large picture
//!     }
//! }
//!
//! async fn status_task(mut live: Live) -> ! {
//!     loop {
//!         select(live.changed(), Timer::after_secs(1)).await; // `changed` does not return for the counters
//!         let status = live.status();
//!         println!("{:?} {:?} {:?} {} bytes", status.phase, status.port, status.last_error, status.counters.bytes);
//!     }
//! }
//!
//! async fn button_pressed(live: &Live) {
//!     match live.status().phase {
//!         Phase::Stopped | Phase::Stopping => live.start(),
//!         _ => _ = live.stop().await,
//!     }
//! }
//! # struct Encoder;
//! # impl Encoder { async fn picture(&mut self) -> (u64, u64, bool, &[&[u8]]) { (0, 0, true, &[]) } }
//! # struct Microphone;
//! # impl Microphone { async fn frame(&mut self) -> (u64, &[u8]) { (0, &[]) } }
//! # fn spawn<T>(_: impl Future<Output = T>) {}
//! ```
//!
//! An encoder that makes keyframes on request waits for [`Live::keyframe_wanted`] and for its next picture with `select`;
//! the future of the picture must then be safe to drop. A request stays pending until one task has received it. If the
//! encoder writes start codes, `embedded_rtmp::media::avc::annex_b::Units` finds the NAL units:
//!
//! ```
//! use embedded_rtmp_embassy::embedded_rtmp::media::avc::annex_b::Units;
//! use embedded_rtmp_embassy::{Live, Picture};
//!
//! /// `frame` is the encoder's buffer: at most 8 NAL units with start codes.
//! async fn send(live: &Live, pts: u64, is_key: bool, frame: &[u8]) {
//!     let units: heapless::Vec<&[u8], 8> = Units::new(frame).take(8).collect(); // borrows `frame` until it is dropped
//!     live.video().send(Picture::new(pts, pts, is_key, &units)).await;
//! }
//! ```
//!
//! `embassy-demo/boards/mps2-an386/src/bin/camera.rs` is a complete camera.
//!
//! With a [`Publisher`] the caller makes each connection:
//!
//! ```no_run
//! use embassy_futures::select::{Either, select};
//! use embassy_net::Stack;
//! use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Order, Plan};
//! use embedded_rtmp_embassy::embedded_rtmp::{message::Timestamp, url::Url};
//! use embedded_rtmp_embassy::{Error, Memory, Parts, ClientOptions, Publisher};
//!
//! async fn publish(stack: Stack<'static>, memory: &'static mut Memory<4096, 8192>, camera: &mut Camera) -> Result<(), Error> {
//!     stack.wait_config_up().await;
//!     let url = Url::parse("rtmp://media.example/live/camera-7")?;
//!     let order = Order::for_url(&url);
//!     let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL)?;
//!     let entropy = || [0; 32]; // from the random number generator
//!     let options = ClientOptions::default();
//!     let connecting = Publisher::<8>::connect(stack, &url, &mut plan, &options, memory, entropy);
//!     let mut publisher = connecting.await?; // plan.reports() has the outcome of each port
//!     let Parts { mut runner, mut video, .. } = publisher.split(); // also `audio` and `data`, for other futures
//!     let frames = async {
//!         while let Some((millis, frame)) = camera.picture().await {
//!             video.send(Timestamp(millis), frame).await?; // the data of an FLV tag: header and payload
//!         }
//!         Ok(())
//!     };
//!     match select(runner.run(), frames).await {
//!         Either::First(error) => Err(error),
//!         Either::Second(result) => result.and(publisher.close().await),
//!     }
//! }
//! # struct Camera;
//! # impl Camera { async fn picture(&mut self) -> Option<(u32, &[u8])> { None } }
//! ```
//!
//! # Playing
//! ```no_run
//! use embassy_net::Stack;
//! use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Order, Plan};
//! use embedded_rtmp_embassy::embedded_rtmp::chunk::{Assembled, Assembler, Fragment};
//! use embedded_rtmp_embassy::embedded_rtmp::{media::audio, message::MessageKind, url::Url};
//! use embedded_rtmp_embassy::{End, Error, Memory, Player, ClientOptions, PlayHandler};
//!
//! /// Receives the audio of a stream, in messages of up to 2 KiB.
//! struct Speaker {
//!     assembler: Assembler,
//!     buffer: [u8; 2048],
//! }
//!
//! impl PlayHandler for Speaker {
//!     fn media(&mut self, fragment: &Fragment<'_>) {
//!         let Self { assembler, buffer } = self;
//!         if fragment.header.kind == MessageKind::AUDIO
//!             && let Assembled::Whole(range) = assembler.push(fragment, usize::MAX, buffer)
//!             && let Some((header, sound)) = audio::AudioTagHeader::parse(&buffer[range])
//!         {
//!             decode(header, sound); // the first message of AAC is the sequence header
//!         }
//!     }
//! }
//!
//! async fn play(stack: Stack<'static>, memory: &'static mut Memory<8192, 2048>) -> Result<(), Error> {
//!     stack.wait_config_up().await;
//!     let url = Url::parse("rtmp://media.example/live/door")?;
//!     let order = Order::for_url(&url);
//!     let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL)?;
//!     let entropy = || [0; 32]; // from the random number generator
//!     let options = ClientOptions::default();
//!     let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, memory, entropy).await?;
//!     let mut speaker = Speaker { assembler: Assembler::new(), buffer: [0; 2048] };
//!     while player.run(&mut speaker).await? == End::Unpublished {} // the publisher may come back
//!     player.close().await;
//!     Ok(())
//! }
//! # fn decode(_: audio::AudioTagHeader, _: &[u8]) {}
//! ```
//!
//! # Serving
//! A [`Server`] has a fixed number of sockets and listens with them on a list of ports. A [`Handler`] decides which clients
//! may publish and play, and gets the media. With [`StreamMemory`], the server relays: every player of a stream gets what
//! its publisher sends, through one ring. A slow player loses frames, and delays neither the publisher nor other players.
//!
//! ```no_run
//! use embassy_net::Stack;
//! use embedded_rtmp_embassy::embedded_rtmp::{amf0::Text, chunk::Fragment, message::StreamId, relay::StreamName};
//! use embedded_rtmp_embassy::{
//!     Rejection, Error, Handler, Memory, ServerOptions, Server, ServerError, SessionId, StreamMemory,
//! };
//!
//! const PORTS: &[u16] = &[1935, 80];
//! const PUBLISHERS: usize = 1;
//! const PLAYERS: usize = 3;
//! /// One more than the clients, so that a port is open when all are connected. It must be more than the number of ports.
//! const SOCKETS: usize = PUBLISHERS + PLAYERS + 1;
//!
//! struct AccessControl;
//!
//! impl Handler for AccessControl {
//!     fn entropy(&mut self) -> [u8; 32] {
//!         [0; 32] // from the random number generator
//!     }
//!
//!     fn publish(
//!         &mut self,
//!         _: SessionId,
//!         _: StreamId,
//!         name: StreamName<'_>,
//!         key: Text<'_>,
//!     ) -> Result<(), Rejection<'_>> {
//!         // The name is the same in every spelling of a URL. The query is only for access control.
//!         if name.is(b"live/door") && key.as_bytes().ends_with(b"?pass=1234") { Ok(()) } else { Err("Not this key.".into()) }
//!     }
//!
//!     fn media(&mut self, _: SessionId, _: &Fragment<'_>) {
//!         // For the device itself, such as a recording. The relay to players does not need this.
//!     }
//!
//!     fn closed(&mut self, session: SessionId, why: &Error) {
//!         println!("session {session}: {why}");
//!     }
//! }
//!
//! async fn serve(
//!     stack: Stack<'static>,
//!     memory: &'static mut [Memory<8192, 4096>; SOCKETS],
//!     streams: &'static mut [StreamMemory<65_536>; PUBLISHERS],
//! ) -> Result<(), ServerError> {
//!     stack.wait_config_up().await;
//!     let options = ServerOptions::default();
//!     let mut server = Server::<SOCKETS, PUBLISHERS, PLAYERS>::relaying(stack, PORTS, memory, streams, &options)?;
//!     server.run(&mut AccessControl).await; // never returns; select it with something else, then call `shutdown`
//!     Ok(())
//! }
//! ```
//!
//! By default a second publisher of a stream is rejected, and players are told at once that a stream has ended.
//! [`ServerOptions::relay`] changes this for cameras whose connections break:
//!
//! ```
//! use core::time::Duration;
//! use embedded_rtmp_embassy::ServerOptions;
//! use embedded_rtmp_embassy::embedded_rtmp::relay::TakeOver;
//!
//! let mut options = ServerOptions::default();
//! // The server pings the first publisher. The second one waits, and replaces it if it does not answer within 2 s.
//! options.relay.take_over = TakeOver::WhenSilent;
//! // Players wait for the next publisher, and continue without a jump of the timestamps.
//! options.relay.grace = Duration::from_secs(10);
//! ```
//!
//! With the feature `rtmpt`, `Server::with_tunnels` accepts tunnels and direct connections on the same ports. With the feature
//! `web`, `Server::with_web` serves browsers and other viewers there: `http://device/live/door.flv`, and a page. They are
//! decided about by the same [`Handler`]. With the feature `handover`, the application's own HTTP server gets the others:
//! `Server::with_handover`.
//!
//! # Over TLS or another network stack
//! A session runs over any [`Transport`](transport::Transport). [`Pipe`](transport::Pipe) is a transport over any
//! stream that implements `embedded_io_async::{Read, Write}`: TLS, a modem's sockets, a serial line.
//! [`Publisher::open`] and [`Player::open`] run one session over it; `examples/stream` is a complete program. [`over`]
//! does the same as [`new`], but asks a [`Connect`](transport::Connect) for a new stream for each connection. With the
//! feature `rtmps`, `transport::tls::Tls` provides TLS 1.3 over another [`Connect`](transport::Connect), such as
//! [`TcpConnect`](transport::TcpConnect). [`Streams`] are sessions of a [`Server`] over connections that the caller has
//! accepted. On a network without Ethernet, disable the default feature `ethernet`, and enable the medium of the
//! interface in `embassy-net`.
//!
//! # Through firewalls
//! A [`Plan`](embedded_rtmp::port_plan::Plan) says which ports and transports are tried, when, and which attempt wins.
//! [`Publisher::connect`] carries it out with one socket, one attempt after another. A port that a firewall drops then costs
//! its time limit of 3 s. [`Publisher::race`] uses one socket for each memory that it borrows, and is as fast as the
//! firewall allows. Both try every address of a name, and continue with the next port if a server does not answer after the
//! handshake. [`test_ports`] reports the outcome of each port.
//!
//! # Dropping futures
//! Every future here can be dropped at any time, because state changes only in synchronous calls. [`Video::send`] says what
//! then happens to a frame of a [`Live`] stream, and [`Sender::send`] says it for a frame of a [`Publisher`].
//!
//! # Tasks
//! All parts of one session run on the executor of the network stack. The runner of the stack must be a separate task,
//! because every use of a socket wakes it.
//!
//! Tasks of `embassy_executor` cannot be generic. Write the type of your chip's generator instead of `impl CryptoRng`:
//!
//! ```ignore
//! #[embassy_executor::task]
//! async fn network_task(runner: LiveRunner<Trng>) -> ! { // the generator's type in the chip's crate
//!     runner.run().await
//! }
//! ```
//!
//! The URL of a [`Config`] is a `&'static str`, because the runner uses it whenever it connects. Firmware that reads its URL
//! from flash puts it in a static once: `static URL: StaticCell<heapless::String<128>>`, and `URL.init(text)`.
//!
//! # RAM
//! There is no heap, so the RAM is known when the image is linked. Most of it is in statics of the caller: [`State`],
//! [`Memory`], [`StreamMemory`], `TunnelMemory` and the sockets of the stack. The sessions of a [`Server`] are in the task
//! that runs it ([`Server::SESSION_SIZE`], [`Server::STREAM_SIZE`], [`Server::PLAYER_SIZE`]). The README has a table of
//! them, and the command that lists them for an image.
//!
//! # Features
//! `full` is on by default and turns on `ethernet`, `live`, `player` and `server`. These parts take flash only in an image
//! that calls them. The other features add code to every image. The table has the bytes of flash that they add to the
//! publishing image of `host-tests/memory`.
//!
//! | Feature | What it adds | Flash |
//! |---|---|---|
//! | `ethernet` | network interfaces with Ethernet frames; without it, another crate enables the medium of its interface in embassy-net | |
//! | `live` | [`Live`]: publishing that reconnects | |
//! | `player` | [`Player`] | |
//! | `server` | [`Server`] | |
//! | `auth` | authentication of clients with the user and the password of the URL or of `ClientOptions` | 6,000 |
//! | `enhanced` | Enhanced RTMP: `Tracks` with HEVC, AV1, VP9, Opus, FLAC and AC-3; the announcement in `connect`, for publishers and players (`ClientOptions::capabilities`), and old servers that refuse it; `Server::request_reconnect` | 1,400; 2,700 with HEVC and Opus |
//! | `digest` | the handshake with HMAC-SHA256 digests | 9,800 |
//! | `thumbnail` | a second track of video in [`Live`], with Enhanced RTMP (`Live::thumbnail`); turns on `live` and `enhanced` | 1,200 |
//! | `ipv6` | hosts with IPv6 addresses | 21,100, nearly all in smoltcp |
//! | `redirect` | clients follow a server that sends them to another one ([`embedded_rtmp::command::Status::redirect`]), or asks a [`Live`] stream or a [`Player`] to connect again ([`embedded_rtmp::command::ReconnectRequest`], `Player::reconnect`), at most three times in a row, to a URL of at most 255 bytes and never to a scheme that protects less; only the host of the caller's URL gets its user and password. [`Publisher::open`] and [`Player::open`] return a redirect as [`Error::Refused`] | 4,100 |
//! | `rtmpt` | RTMP in HTTP, for networks that let only HTTP through: attempts of the port plan (without it they fail as `Unsupported`, and the plan goes on), and a server's `Tunnels` and `TunnelMemory`. With `rtmps`, also RTMPTS: [`over`] puts a tunnel inside TLS. The rate of a client's tunnel depends on the `GATHER` of its [`Memory`] | 8,800 |
//! | `web` | viewers over HTTP on the ports of a server: HTTP-FLV, WebSocket, fragmented MP4, a page and its status (`Viewers`, `Server::with_web`); `Handler::view` decides about each request | 46,300 in an image that calls it |
//! | `handover` | connections with other HTTP requests go to an HTTP server of the application, such as that of the crate `edge-http` (`Handover`, `Server::with_handover`) | 7,200 in an image that calls it |
//! | `admin` | administration of a server over HTTP and RTMP, on a port of its own: statistics, streams, clients, and a method that closes a session (`Admin`, `Server::with_admin`, `Handler::unix_millis`) | 25,500 in an image that calls it |
//! | `rtmpe` | RTMPE, the encrypted variant of RTMP: attempts of the port plan, and a server whose session configuration has `Versions::Rtmpe`; with `rtmpt`, also RTMPTE. It is obfuscation, not security. [`Publisher::open`], [`Player::open`] and [`over`] refuse `rtmpe` URLs | 16,100 |
//! | `rtmps` | RTMPS: `transport::tls` | only in an image that calls it; the README lists the size of each profile |
//! | `rtmps-p384` | the same, also with the curve P-384 and with SHA-384 | |
//! | `defmt` | a log through defmt, here and in the core, and `defmt::Format` for public types | |
//! | `log` | a log through `log`; with both, defmt is used. Neither log shows keys or URLs | |
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
// Some functions are used only by one of the parts.
#![cfg_attr(not(feature = "full"), allow(dead_code))]

#[cfg(test)]
extern crate std;

mod buffers;
mod client;
mod clock;
mod error;
mod fmt;
#[cfg(feature = "live")]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "times are modulo 2³² ms, and lengths were limited before"
)]
mod live;
#[cfg(feature = "server")]
mod server;
mod text;
pub mod transport;
#[cfg(any(feature = "live", feature = "handover"))]
mod wakers;

pub use buffers::Memory;
pub use client::ClientOptions;
#[cfg(feature = "player")]
pub use client::player::{End, PlayHandler, Player};
pub use client::ports::test_ports;
pub use client::publisher::{Parts, Publisher, Runner};
pub use client::resolve::ResolveError;
pub use client::sender::Sender;
#[cfg(feature = "server")]
pub use embedded_rtmp::relay::Played;
pub use error::{Error, Refusal};
#[cfg(feature = "thumbnail")]
pub use live::Thumbnail;
#[cfg(feature = "live")]
pub use live::{
    Audio, Config, Counters, DropReason, Live, LiveRunner, MAX_AAC_CONFIG, MAX_PARAMETER_SETS, Phase, Picture, Retry,
    SendOutcome, Sending, State, Status, Stopped, StreamLive, StreamRunner, StreamState, Tally, Tracks, Video, new,
    over,
};
#[cfg(feature = "admin")]
pub use server::admin::Admin;
#[cfg(feature = "handover")]
pub use server::handover::{Handover, HandoverStream};
#[cfg(all(feature = "server", feature = "live"))]
pub use server::local::LocalPublisher;
#[cfg(all(feature = "server", feature = "rtmpt"))]
pub use server::tunnels::{TunnelMemory, Tunnels};
#[cfg(feature = "web")]
pub use server::viewers::Viewers;
#[cfg(feature = "server")]
pub use server::{
    DEFAULT_PORTS, Server, ServerError, ServerOptions,
    handler::{Handler, Origin, Rejection, SessionId},
    relay::StreamMemory,
    streams::Streams,
};
pub use text::Text;
pub use transport::{KeepAlive, Traffic};

pub use embedded_rtmp;
#[cfg(feature = "live")]
pub use rand_core;

/// The examples in both READMEs are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../README.md")]
struct ReadmeDocTests;
