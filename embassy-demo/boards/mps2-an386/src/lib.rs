//! The MPS2 AN386 as QEMU has it: a Cortex-M4F at 25 MHz, 4 MiB for code, 4 MiB of RAM, a LAN9118 for Ethernet.
//!
//! Code that does not use the hardware is tested on a host: `cargo test` with this package's manifest, started anywhere
//! but in its folder, whose configuration chooses the board's target.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod check;
#[cfg(all(feature = "auth", target_os = "none"))]
pub mod door;
pub mod lan9118;
#[cfg(feature = "handover")]
pub mod settings;

#[cfg(target_os = "none")]
pub mod board;

/// Four seconds of test pictures and a tone, in FLV.
pub static CLIP: &[u8] = include_bytes!("../../../clip.flv");
