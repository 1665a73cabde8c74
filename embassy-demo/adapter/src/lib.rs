//! RTMP over embassy-net: publishes, plays, serves and relays, on a microcontroller without a heap.
//!
//! The protocol is [`embedded_rtmp`]'s; this crate gives it sockets, names, timers and a way through firewalls. The
//! sessions run inside the sockets' own closures, with no buffer between: a frame goes from where it lies into the
//! send ring with one copy, and what is received is lent from the receive ring.
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
//! | keep a camera on the air, whatever becomes of the connection | [`Station`], which publishes a [`Source`] |
//! | publish on one connection | [`Publisher`] |
//! | play | [`Player`], which hands on to a [`PlayHandler`] |
//! | take publishers in, and relay them to players | [`Server`], which asks a [`Handler`] |
//! | see by which ports a server can be reached | [`test_ports`] |
//!
//! Each is lent [`Memory`], for which a static is the place: a `ConstStaticCell` of the crate `static_cell` gives it out
//! without having it on the stack first. `StackResources` needs a socket for each session, and two more for DHCP and DNS.
//!
//! # Publishing
//! Most cameras want a [`Station`]: it connects, and connects again, and leaves frames out when the server is too slow.
//!
//! ```no_run
//! use embassy_net::Stack;
//! use embassy_time::Timer;
//! use embedded_rtmp_embassy::{Memory, Source, Station, StationOptions};
//!
//! async fn stay_on_air(stack: Stack<'static>, memory: &'static mut Memory<4096, 8192>, mut camera: impl Source) -> ! {
//!     let mut entropy = || [0; 32]; // from the random number generator
//!     let mut station = Station::new(stack, memory, &mut entropy, &StationOptions::DEFAULT);
//!     loop {
//!         // Waits for DHCP. Without a port in it 1935, 80, 443 and a tunnel are tried in turn; with one, that alone.
//!         let result = station.publish("rtmp://media.example/live/camera-7", &mut camera).await;
//!         if let Err(error) = result {
//!             println!("{error}: {:?}", station.counters()); // never got through, or lost for longer than `Retry` allows
//!         }
//!         Timer::after_secs(30).await;
//!     }
//! }
//! ```
//!
//! What the camera must do is shown at [`Source`]. With a [`Publisher`] each connection is your own:
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
//!     let order = Order::for_url(&url)?;
//!     let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL)?;
//!     let entropy = || [0; 32]; // from the random number generator
//!     let options = ClientOptions::default();
//!     let connecting = Publisher::<8>::connect(stack, &url, &mut plan, &options, memory, entropy);
//!     let mut publisher = connecting.await?; // plan.reports() tells what came of each port
//!     let Parts { mut runner, mut video, .. } = publisher.split(); // and `audio` and `data`, for other futures
//!     let frames = async {
//!         while let Some((millis, frame)) = camera.picture().await {
//!             video.send(Timestamp(millis), frame).await?; // what an FLV tag holds: header and payload
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
//! /// Takes the sound of a stream, in messages of up to 2 KiB.
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
//!             decode(header, sound); // of AAC the first is the sequence header
//!         }
//!     }
//! }
//!
//! async fn play(stack: Stack<'static>, memory: &'static mut Memory<8192, 2048>) -> Result<(), Error> {
//!     stack.wait_config_up().await;
//!     let url = Url::parse("rtmp://media.example/live/door")?;
//!     let order = Order::for_url(&url)?;
//!     let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL)?;
//!     let entropy = || [0; 32]; // from the random number generator
//!     let options = ClientOptions::default();
//!     let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, memory, entropy).await?;
//!     let mut speaker = Speaker { assembler: Assembler::new(), buffer: [0; 2048] };
//!     while player.run(&mut speaker).await? == End::Unpublished {} // its publisher may come back
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
//! use embedded_rtmp_embassy::embedded_rtmp::{amf0::Text, chunk::Fragment, message::StreamId};
//! use embedded_rtmp_embassy::{
//!     Rejection, Error, Handler, Memory, ServerOptions, Server, ServerError, SessionId, StreamMemory,
//! };
//!
//! const PORTS: &[u16] = &[1935, 80];
//! const PUBLISHERS: usize = 1;
//! const PLAYERS: usize = 3;
//! /// One more than there are clients, so that a port is still open when all are connected; and more than there are ports.
//! const SOCKETS: usize = PUBLISHERS + PLAYERS + 1;
//!
//! struct AccessControl;
//!
//! impl Handler for AccessControl {
//!     fn entropy(&mut self) -> [u8; 32] {
//!         [0; 32] // from the random number generator
//!     }
//!
//!     fn publish(&mut self, _: SessionId, _: StreamId, key: Text<'_>) -> Result<(), Rejection<'_>> {
//!         // Players ask for "door": the query is for access control alone.
//!         if key == "door?pass=1234" { Ok(()) } else { Err("Not this key.".into()) }
//!     }
//!
//!     fn media(&mut self, _: SessionId, _: &Fragment<'_>) {
//!         // For the device's own use, such as a recording. Players get the media without this.
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
//! With the feature `rtmpt` it accepts tunnels beside direct connections, on the same ports: `Server::with_tunnels`.
//!
//! # Through firewalls
//! A [`Plan`](embedded_rtmp::port_plan::Plan) says which ports and transports are tried, when, and which attempt wins.
//! [`Publisher::connect`] carries it out with one socket, one attempt after another: a port that a firewall drops costs
//! its 3 s. [`Publisher::race`] has as many sockets as it is lent memory for, and is as fast as the firewall allows.
//! Either tries every address of a name, and goes on to the next port where a server does not answer behind the
//! handshake. [`test_ports`] tells what becomes of each port.
//!
//! # Dropping futures
//! Every future here can be dropped at any time: state changes only in synchronous calls. What is then to be done is
//! said where it matters, at [`Sender::send`].
//!
//! # Tasks
//! All parts of one session belong to one executor, as the network stack does. The runner of the stack must be a task of
//! its own: it is woken whenever a socket is touched.
//!
//! # Features
//! - `defmt`, `log`: what happens is logged, here and in the core; with both, through defmt. Neither keys nor URLs are.
//! - `digest`: the handshake with digests.
//! - `ipv6`: hosts with IPv6 addresses.
//! - `rtmpt`: RTMP in HTTP, for networks that let nothing else through: attempts of the port plan, which fail as
//!   `Unsupported` without it, and the plan goes on; and a server's tunnels, `Tunnels` and `TunnelMemory`. How fast a
//!   client's tunnel is depends on the `GATHER` of its [`Memory`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod buffers;
mod client;
mod clock;
mod error;
mod fmt;
mod live;
mod server;
mod text;
pub mod transport;

pub use buffers::Memory;
pub use client::ClientOptions;
pub use client::player::{End, PlayHandler, Player};
pub use client::ports::test_ports;
pub use client::publisher::{Parts, Publisher, Runner};
pub use client::resolve::ResolveError;
pub use client::sender::Sender;
pub use client::station::{Clip, Counters, Frame, MAX_PARTS, Retry, Source, Station, StationOptions, Tally};
pub use embedded_rtmp::relay::Played;
pub use error::{Error, Refusal};
pub use live::{
    Audio, Config, Counters as LiveCounters, DropReason, Live, LiveRunner, MAX_AAC_CONFIG, MAX_PARAMETER_SETS, Phase,
    Picture, Retry as LiveRetry, SendOutcome, Sending, State, Status, Stopped, Tally as LiveTally, Tracks, Video, new,
};
pub use server::handler::{Handler, Origin, Rejection, SessionId};
pub use server::relay::StreamMemory;
pub use server::streams::Streams;
#[cfg(feature = "rtmpt")]
pub use server::tunnels::{TunnelMemory, Tunnels};
pub use server::{DEFAULT_PORTS, Server, ServerError, ServerOptions};
pub use text::Text;
pub use transport::{KeepAlive, Traffic};

pub use {embedded_rtmp, rand_core};

/// The examples in both READMEs are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
#[doc = include_str!("../../README.md")]
struct ReadmeDocTests;
