//! The bit rate of a stream.

use embedded_rtmp::time::Instant;
use embedded_rtmp::web::BitRate;

/// The rate of a stream, and when it was published.
pub(crate) struct Meter {
    pub(crate) rate: BitRate,
    pub(crate) since: Instant,
}

impl Meter {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { rate: BitRate::new(now), since: now }
    }
}
