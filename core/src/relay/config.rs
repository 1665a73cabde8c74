//! What a server decides once for all of its streams.

use core::time::Duration;

/// What happens if a client wants to publish a stream that is being published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TakeOver {
    /// It is rejected.
    #[default]
    Refuse,
    /// It replaces the first publisher at once.
    Always,
    /// It waits until the first publisher has shown that it is alive, and is then rejected; or until
    /// [`RelayConfig::answer_limit`] has passed, and then replaces the first publisher.
    WhenSilent,
}

/// How streams are relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct RelayConfig {
    /// What happens if a client wants to publish a stream that is being published. Default: it is rejected.
    pub take_over: TakeOver,
    /// How long a publisher that was asked for a sign of life has to answer. Default: 2 s.
    pub answer_limit: Duration,
    /// How long a stream without a publisher waits for the next one before its players are told that it has ended.
    /// Default: zero, which tells them at once.
    pub grace: Duration,
    /// The part of the ring, in percent, that a player may be late before messages up to the last keyframe are skipped.
    /// Default: 50.
    pub late_percent: u8,
    /// The greatest rest of a message, in bytes, that is sent to a player as zeros if its publisher leaves the message
    /// unfinished. The connection of a player with a greater rest is closed. Default: no limit.
    pub fill_cut: u32,
    /// The same for a message that was overwritten because the player was too slow. Default: 0, so that the connection is
    /// closed.
    pub fill_overtaken: u32,
}

impl RelayConfig {
    /// The default values.
    pub const fn new() -> Self {
        Self {
            take_over: TakeOver::Refuse,
            answer_limit: Duration::from_secs(2),
            grace: Duration::ZERO,
            late_percent: 50,
            fill_cut: u32::MAX,
            fill_overtaken: 0,
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self::new()
    }
}
