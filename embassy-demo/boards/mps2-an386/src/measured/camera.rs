//! What both images send: a camera's frames, each in two parts, and what a server must know before them.

use embassy_time::{Duration, Ticker};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::{Frame, Source};

pub(crate) struct Camera {
    ticker: Ticker,
    millis: u32,
    picture: [u8; 64],
}

impl Camera {
    pub(crate) fn new() -> Self {
        Self { ticker: Ticker::every(Duration::from_millis(40)), millis: 0, picture: [0x65; 64] }
    }
}

impl Source for Camera {
    fn header(&mut self, number: usize) -> Option<Frame<'_>> {
        let (kind, payload): (_, &[u8]) = match number {
            0 => {
                (MessageKind::DATA, b"\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08\x00\x00\x00\x00\x00\x00\x09")
            }
            1 => (MessageKind::VIDEO, b"\x17\x00\x00\x00\x00\x01\x4d\x40\x1e\xff\xe1\x00\x00\x01\x00\x00"),
            _ => return None,
        };
        Some(Frame::new(kind, Timestamp(0), &[payload]))
    }

    async fn next(&mut self) -> Option<Frame<'_>> {
        self.ticker.next().await;
        self.millis = self.millis.wrapping_add(40);
        Some(Frame::new(MessageKind::VIDEO, Timestamp(self.millis), &[&[0x17, 1, 0, 0, 0, 0, 0, 0, 64], &self.picture]))
    }
}
