//! Sending on a network that is too slow: which frames to drop, and which bit rate to encode.
//!
//! This module has two small state machines for an application that sends live media. A session does not need them.
//! [`DropPolicy`] decides about each frame, before its first byte, whether it is sent. [`Goodput`] measures from the
//! peer's acknowledgements how many bytes arrive and how long they wait, for an encoder that can change its bit rate.
//!
//! A message whose first byte was sent is always completed. (RTMP has an Abort message, but few peers honour it, so
//! nothing here sends one.)

mod drop;
mod goodput;

pub use drop::{DropLimits, DropPolicy, Dropped};
pub use goodput::Goodput;
