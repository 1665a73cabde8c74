//! RTMP over embassy-net: publishes to a server, or serves publishers, from a microcontroller without a heap.
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
//! # Publishing
//! ```
//! use embassy_futures::{join::join, select::select};
//! use embassy_net::Stack;
//! use embedded_rtmp_embassy::embedded_rtmp::connect::{Limits, Order, Plan};
//! use embedded_rtmp_embassy::embedded_rtmp::{message::Timestamp, url::Url};
//! use embedded_rtmp_embassy::{Error, Memory, Parts, PublishOptions, Publisher};
//!
//! async fn publish(stack: Stack<'static>, memory: &'static mut Memory<4096, 4096>) -> Result<(), Error> {
//!     // No port: 1935, 80, 443 and a tunnel are tried in turn. With a port, that one alone.
//!     let url = Url::parse("rtmp://media.example/live/camera-7").expect("is a URL");
//!     let order = Order::for_url(&url).expect("is plain RTMP");
//!     let mut plan = Plan::new(order.targets(), Limits::SEQUENTIAL).expect("has targets");
//!     let options = PublishOptions::default();
//!     let connecting = Publisher::<8>::connect(stack, &url, &mut plan, &options, memory, random);
//!     let mut publisher = connecting.await?; // plan.reports() tells what came of each port
//!     let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
//!     let frames = join(
//!         async { audio.send(Timestamp(0), &[0xAF, 0, 0x12, 0x08]).await },
//!         async { video.send(Timestamp(0), encoder_output()).await },
//!     );
//!     select(runner.run(), frames).await;
//!     publisher.close().await
//! }
//! # fn random() -> [u8; 32] { [0; 32] }
//! # fn encoder_output() -> &'static [u8] { &[] }
//! ```
//!
//! A [`Station`] does this for a whole [`Source`] of frames, and connects again when the connection is lost.
//!
//! # Serving
//! A [`Server`] has a fixed number of sockets and listens with them on a list of ports; a [`Handler`] says who may
//! publish and gets what comes. Lent [`StreamMemory`], it relays: every player of a stream gets what its publisher sends,
//! through one ring; a slow one loses frames, and nobody waits for it.
//!
//! # Through firewalls
//! A [`Plan`](embedded_rtmp::connect::Plan) says which ports and transports are tried, when, and which attempt wins.
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
//! - `rtmpt`: attempts of the port plan over RTMPT, for networks that let nothing through but HTTP. Without it they fail
//!   as `Unsupported`, and the plan goes on.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod buffers;
mod connection;
mod dial;
mod error;
mod fmt;
mod handler;
mod link;
mod listen;
mod player;
mod ports;
mod publisher;
mod race;
mod relay;
mod requests;
mod resolve;
mod sender;
mod server;
mod slot;
mod station;
mod text;
mod tunnel;

pub use buffers::Memory;
pub use error::{Error, Refusal};
pub use handler::{Denial, Handler, Origin, SessionId};
pub use link::{KeepAlive, Traffic};
pub use player::{End, Player, Viewer};
pub use ports::test_ports;
pub use publisher::{Parts, PublishOptions, Publisher, Runner};
pub use relay::{Played, StreamMemory};
pub use resolve::ResolveError;
pub use sender::Sender;
pub use server::{DEFAULT_PORTS, ServeOptions, Server, ServerError};
pub use station::{Clip, Counters, Frame, MAX_PARTS, Retry, Source, Station, StationOptions, Tally};
pub use text::Text;

pub use embedded_rtmp;

/// The example in the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeDocTests;
