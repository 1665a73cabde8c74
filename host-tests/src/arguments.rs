//! What several of the tools take on their command lines, and how they show what goes on.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use embedded_rtmp::handshake::Style;
use indicatif::ProgressDrawTarget;

/// The handshake that a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handshake {
    /// Without digests.
    Simple,
    /// With a digest, as Flash Player's is.
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

/// Where progress is drawn: standard error, where that is a terminal and nobody wants it `quiet`.
pub fn progress_target(quiet: bool) -> ProgressDrawTarget {
    if !quiet && io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
