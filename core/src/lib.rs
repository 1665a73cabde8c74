//! RTMP for microcontrollers: a sans-IO protocol core that runs in fixed buffers.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod bytes;
mod fmt;

pub mod amf0;
pub mod chunk;
pub mod command;
pub mod connect;
pub mod control;
pub mod handshake;
pub mod message;
pub mod session;
pub mod time;
pub mod url;
