//! What a server measures of a stream.

use embedded_rtmp::time::Instant;
#[cfg(feature = "web")]
use embedded_rtmp::web::BitRate;

/// When a stream was published, and its rate.
pub(crate) struct Meter {
    #[cfg(feature = "web")]
    pub(crate) rate: BitRate,
    pub(crate) since: Instant,
}

impl Meter {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            #[cfg(feature = "web")]
            rate: BitRate::new(now),
            since: now,
        }
    }
}
