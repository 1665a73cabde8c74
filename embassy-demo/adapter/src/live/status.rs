//! The status of a stream, for the application.

use embassy_time::Duration;
use embedded_rtmp::port_plan::Target;

use crate::error::Error;

/// What the runner is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Phase {
    /// Nothing, until [`Live::start`](crate::Live::start).
    Stopped,
    /// It waits before it connects again.
    Resting,
    /// It waits for an address of our own.
    Network,
    /// It looks up the addresses of the host.
    Resolving,
    /// It connects, or waits for the server's answers.
    Connecting,
    /// The server accepts frames.
    Live,
    /// It ends the stream and closes the connection.
    Stopping,
}

/// How many messages of one kind were sent and dropped. Both wrap at 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Tally {
    /// Messages whose last byte is in the socket's send ring.
    pub sent: u32,
    /// Messages that were not sent, or were only sent in part.
    pub dropped: u32,
}

/// Counters since the state was made. Metadata and sequence headers are not counted. Messages that are offered while there is
/// no connection, or while the stream is stopped, count as dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counters {
    /// Audio frames.
    pub audio: Tally,
    /// Pictures.
    pub video: Tally,
    /// Pictures of the second track of video: [`Live::thumbnail`](crate::Live::thumbnail).
    #[cfg(feature = "thumbnail")]
    pub thumbnail: Tally,
    /// Bytes of payload in the messages that were sent.
    pub bytes: u64,
    /// How often a server has accepted the stream.
    pub connections: u32,
    /// How often a server took no bytes for [`Config::stall_timeout`](crate::Config::stall_timeout).
    pub stalls: u32,
}

impl Counters {
    pub(super) const NONE: Self = {
        let none = Tally { sent: 0, dropped: 0 };
        Self {
            audio: none,
            video: none,
            #[cfg(feature = "thumbnail")]
            thumbnail: none,
            bytes: 0,
            connections: 0,
            stalls: 0,
        }
    };
}

/// The state of a stream: [`Live::status`](crate::Live::status).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Status {
    /// What the runner is doing.
    pub phase: Phase,
    /// The transport and the port of the connection, or of the current or the last attempt.
    pub port: Option<Target>,
    /// Whether the server refuses the announcement of Enhanced RTMP
    /// ([`ClientOptions::capabilities`](crate::ClientOptions::capabilities)). Once it is `true`, it
    /// stays so until the client goes to another host (feature `redirect`).
    #[cfg(feature = "enhanced")]
    pub is_legacy: bool,
    /// Why the last connection or the last attempt to connect failed. It stays when the next one succeeds. If all
    /// ports failed, it is [`Error::Exhausted`]; the reason of each port is in the log.
    pub last_error: Option<Error>,
    /// The bits per second that arrive at the peer, averaged over the last few acknowledgements. `None` before they are
    /// known. If less is sent than the network can carry, this is about the rate that is sent. It varies by a factor of two
    /// even for a steady stream. To display a rate, divide the growth of [`Counters::bytes`] by the time. It keeps its value
    /// after the connection has ended.
    pub bit_rate: Option<u32>,
    /// How late the last message was when it was sent or dropped. Only the time that messages wait for the connection
    /// counts.
    pub lateness: Duration,
    /// The counters of what was sent and dropped.
    pub counters: Counters,
}
