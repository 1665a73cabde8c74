//! The data that both images send: the pictures of a camera, and their parameter sets.

use embassy_time::{Duration, Ticker};

pub(crate) struct Camera {
    ticker: Ticker,
    micros: u64,
    picture: [u8; 64],
}

impl Camera {
    /// Baseline, 160 × 120.
    pub(crate) const SPS: &[u8] = b"\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84";
    pub(crate) const PPS: &[u8] = b"\x68\xCE\x3C\x80";

    pub(crate) fn new() -> Self {
        Self { ticker: Ticker::every(Duration::from_millis(40)), micros: 0, picture: [0x65; 64] }
    }

    /// The next picture, a keyframe of one slice, and when it was taken.
    pub(crate) async fn picture(&mut self) -> (u64, &[u8]) {
        self.ticker.next().await;
        self.micros = self.micros.wrapping_add(40_000);
        (self.micros, &self.picture)
    }
}
