//! The configuration of a relay, for all of its streams.

use core::time::Duration;

/// What happens if a client wants to publish a stream that already has a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TakeOver {
    /// It is rejected.
    Refuse,
    /// It replaces the first publisher at once.
    Always,
    /// It waits. If the first publisher shows that it is alive, the new one is rejected. If
    /// [`RelayConfig::answer_limit`] passes first, the new one replaces it.
    #[default]
    WhenSilent,
}

/// How streams are relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RelayConfig {
    /// What happens if a client wants to publish a stream that already has a publisher. Default: the new one replaces
    /// it if it is silent, because its network may be gone.
    pub take_over: TakeOver,
    /// How long a publisher may take to answer a ping. Default: 2 s.
    pub answer_limit: Duration,
    /// How long a stream that has players waits for its next publisher before the players are told that it has ended.
    /// Zero tells them at once. Default: 10 s.
    pub grace: Duration,
    /// The part of the ring, in percent, that a player may be late before messages up to the last keyframe are skipped.
    /// Default: 50.
    pub late_percent: u8,
    /// If a publisher leaves a message unfinished, players receive zeros for at most this many missing bytes. If more
    /// are missing, the connection of the player is closed. Default: 262,144.
    pub fill_cut: u32,
    /// The same limit for a message that was overwritten because the player was too slow. Default: 0, so that the
    /// connection is closed.
    pub fill_overtaken: u32,
}

impl RelayConfig {
    /// The default values.
    pub const fn new() -> Self {
        Self {
            take_over: TakeOver::WhenSilent,
            answer_limit: Duration::from_secs(2),
            grace: Duration::from_secs(10),
            late_percent: 50,
            fill_cut: 256 * 1024,
            fill_overtaken: 0,
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self::new()
    }
}
