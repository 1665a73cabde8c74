//! Command-line options that several tools share, and their progress display.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use embedded_rtmp::handshake::Style;
use indicatif::ProgressDrawTarget;

/// The handshake that a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handshake {
    /// Without digests.
    Simple,
    /// With a digest, as Flash Player does.
    Digest,
}

impl From<Handshake> for Style {
    fn from(handshake: Handshake) -> Self {
        match handshake {
            Handshake::Simple => Self::Simple,
            Handshake::Digest => Self::Digest,
        }
    }
}

/// Draws progress on standard error if it is a terminal and `quiet` is not set.
pub fn progress_target(quiet: bool) -> ProgressDrawTarget {
    if !quiet && io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
