//! Sending more than the network takes: what to leave out, and how much to make.
//!
//! Two machines of a few words each, which a session does not need and whoever sends live media may use. [`DropPolicy`]
//! decides about each frame before its first byte whether it goes out; [`Goodput`] measures from the peer's
//! acknowledgements how much arrives and how long it waits, for an encoder that can be told another bit rate.
//!
//! A message that is begun is always finished: nothing is left out in the middle. (RTMP's Abort message would allow it, but
//! few peers honour it, so nothing here sends one.)

mod drop;
mod goodput;

pub use drop::{Class, DropLimits, DropPolicy, Dropped};
pub use goodput::Goodput;
