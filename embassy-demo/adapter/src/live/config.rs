//! How a stream is published.

use embassy_time::Duration;
use embedded_rtmp::port_plan::{DEFAULT_ORDER, Limits, Target};
use embedded_rtmp::pressure::DropLimits;

use super::Retry;
use crate::client::ClientOptions;
use crate::fmt::impl_format;

/// How a stream is published. [`Self::new`] has the defaults; set the fields that are to differ.
///
/// ```
/// use embassy_time::Duration;
/// use embedded_rtmp_embassy::Config;
///
/// let mut config = Config::new("rtmp://media.example/live/camera-7");
/// config.retry.limit = Some(Duration::from_secs(60));
/// config.send_timeout = Duration::from_millis(500);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Config {
    /// Where to: `rtmp://host[:port]/application/key`. It is checked when the runner runs; a URL that cannot work stops it
    /// with [`Status::last_error`](crate::Status::last_error).
    pub url: &'static str,
    /// How the client behaves.
    pub client: ClientOptions<'static>,
    /// What is tried for a URL without a port, one after another. A URL with a port means that one alone.
    pub ports: &'static [Target],
    /// How long each port gets, and all of them together. There is one socket, so that `max_at_once` and `stagger` have no
    /// effect.
    pub limits: Limits,
    /// When to connect again.
    pub retry: Retry,
    /// How late messages may be before some are dropped: by default, disposable pictures 500 ms, video 1 s, audio 4 s.
    /// `None` for a source that can wait: nothing is late.
    pub drop_limits: Option<DropLimits>,
    /// How long one send may take: 1 s. A message that takes longer is dropped, also if its future is not polled.
    /// [`Duration::MAX`] for a source that can wait.
    pub send_timeout: Duration,
    /// How long [`Live::stop`](crate::Live::stop) may take: 2 s. After that, the connection is reset.
    pub stop_timeout: Duration,
    /// Whether the runner connects at once: true. Otherwise it waits for [`Live::start`](crate::Live::start).
    pub starts: bool,
}

impl_format!(
    [] Config,
    this => "Config {{ client: {}, ports: {}, limits: {}, retry: {}, drop_limits: {} }}",
    this.client, this.ports, this.limits, this.retry, this.drop_limits
);

impl Config {
    /// Publishes to `url` for as long as the device runs, and drops what is too late.
    pub const fn new(url: &'static str) -> Self {
        Self {
            url,
            client: ClientOptions::DEFAULT,
            ports: DEFAULT_ORDER,
            limits: Limits::SEQUENTIAL,
            retry: Retry::DEFAULT,
            drop_limits: Some(DropLimits { disposable: 500, video: 1_000, audio: 4_000 }),
            send_timeout: Duration::from_secs(1),
            stop_timeout: Duration::from_secs(2),
            starts: true,
        }
    }
}
