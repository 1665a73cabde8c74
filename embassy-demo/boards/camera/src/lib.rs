//! What the boards publish, until there is a camera: the output of encoders, played from flash, and its way into RTMP.
//!
//! Whoever has a camera replaces [`Encoders`], which delivers what encoders do: H.264 as Annex B, and G.711. The rest
//! stays: [`Camera`] makes RTMP messages of it without a copy.
#![no_std]

#[cfg(test)]
extern crate std;

mod encoders;
mod source;
#[cfg(test)]
mod tests;

pub use encoders::{Coded, Encoders};
pub use source::Camera;
