//! RTMP over embassy-net.
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
mod publisher;
mod resolve;
mod sender;
mod server;
mod slot;

pub use buffers::Memory;
pub use error::{Error, Refusal};
pub use handler::{Handler, Origin, SessionId};
pub use link::{KeepAlive, Traffic};
pub use publisher::{Parts, PublishOptions, Publisher, Runner};
pub use resolve::ResolveError;
pub use sender::Sender;
pub use server::{DEFAULT_PORTS, ServeOptions, Server, ServerError};

pub use embedded_rtmp;

/// The example in the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct ReadmeDocTests;
