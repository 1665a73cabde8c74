//! How a stream is published.

use embassy_time::Duration;
use embedded_rtmp::port_plan::{DEFAULT_ORDER, Limits, Target};
use embedded_rtmp::pressure::DropLimits;

use super::Retry;
use crate::client::ClientOptions;
use crate::fmt::impl_format;

/// How a stream is published. [`Self::new`] has the defaults. Set the fields that differ.
///
/// ```
/// use embassy_time::Duration;
/// use embedded_rtmp_embassy::{ClientOptions, Config, KeepAlive};
///
/// let mut config = Config::new("rtmp://media.example/live/camera-7");
/// config.retry.limit = Some(Duration::from_secs(60));
/// config.send_timeout = Duration::from_millis(500);
/// config.client = &const { ClientOptions { keep_alive: KeepAlive::DEFAULT, ..ClientOptions::DEFAULT } };
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Config {
    /// The URL to publish to: `rtmp://host[:port]/application/key`. It is checked when the runner runs. A URL that cannot
    /// work stops the runner with [`Status::last_error`](crate::Status::last_error). With the feature `redirect`, the runner
    /// follows a server that redirects it or asks it to connect again. It has memory for one connection, so it ends the
    /// old one in good order before it makes the new one, and the messages in between count as dropped. Each attempt after
    /// that begins with this URL again.
    pub url: &'static str,
    /// The options of the client.
    pub client: &'static ClientOptions<'static>,
    /// The ports and transports that are tried for a URL without a port, one after another. If the URL has a port, only that
    /// port is tried.
    pub ports: &'static [Target],
    /// The time limits of each port, and of all ports together. There is one socket, so `max_at_once` and `stagger` have no
    /// effect.
    pub limits: &'static Limits,
    /// When to connect again.
    pub retry: Retry,
    /// How late messages may be, because earlier ones waited for the connection, before some are dropped. The defaults are
    /// 500 ms for disposable pictures, 1 s for video, and 4 s for audio. With `None` no message is too late; use it for a
    /// source that can wait.
    pub drop_limits: Option<DropLimits>,
    /// How long one send may take, 1 s by default. A message that takes longer is dropped, even if its future is not polled.
    /// Use [`Duration::MAX`] for a source that can wait.
    pub send_timeout: Duration,
    /// How long the server may take no bytes while bytes wait to be sent, 10 s by default. After that, the connection is
    /// reset, and the next attempt begins. [`Counters::stalls`](crate::Counters::stalls) counts this. With `None` there is
    /// no limit.
    pub stall_timeout: Option<Duration>,
    /// How long [`Live::stop`](crate::Live::stop) may take, 2 s by default. After that, the connection is reset.
    pub stop_timeout: Duration,
    /// Whether the runner connects at once, `true` by default. Otherwise it waits for [`Live::start`](crate::Live::start).
    pub starts: bool,
}

impl_format!(
    [] Config,
    this => "Config {{ client: {}, ports: {}, limits: {}, retry: {}, drop_limits: {} }}",
    this.client, this.ports, this.limits, this.retry, this.drop_limits
);

impl Config {
    /// Returns the default configuration for `url`: it publishes for as long as the device runs, and drops messages that are
    /// too late.
    pub const fn new(url: &'static str) -> Self {
        Self {
            url,
            client: &ClientOptions::DEFAULT,
            ports: DEFAULT_ORDER,
            limits: &Limits::SEQUENTIAL,
            retry: Retry::DEFAULT,
            drop_limits: Some(DropLimits { disposable: 500, video: 1_000, audio: 4_000 }),
            send_timeout: Duration::from_secs(1),
            stall_timeout: Some(Duration::from_secs(10)),
            stop_timeout: Duration::from_secs(2),
            starts: true,
        }
    }
}
