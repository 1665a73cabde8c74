//! Counters of media.

use std::fmt;

use embedded_rtmp::message::MessageKind;
use serde_json::{Value, json};

/// The number of messages of each kind, the bytes of their payloads, and their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Audio messages.
    pub audio: u64,
    /// Video messages.
    pub video: u64,
    /// Data messages.
    pub data: u64,
    /// Bytes of all payloads.
    pub bytes: u64,
    /// The timestamps of the first and the last message, in ms.
    pub timestamps: Option<(u32, u32)>,
}

impl Counts {
    /// Counts a message with a payload of `length` bytes.
    pub fn count(&mut self, kind: MessageKind, timestamp: u32, length: usize) {
        let counter = match kind {
            MessageKind::AUDIO => &mut self.audio,
            MessageKind::VIDEO => &mut self.video,
            _ => &mut self.data,
        };
        *counter += 1;
        self.bytes += length as u64;
        self.timestamps = Some((self.timestamps.map_or(timestamp, |(first, _)| first), timestamp));
    }

    /// The counters as JSON, without the timestamps.
    pub fn to_json(self) -> Value {
        let Self { audio, video, data, bytes, .. } = self;
        json!({"audio": audio, "video": video, "data": data, "bytes": bytes})
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { audio, video, data, bytes, .. } = self;
        write!(f, "{video} video, {audio} audio and {data} data messages, {bytes} bytes")
    }
}
