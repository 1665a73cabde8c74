//! What came of playing.

use std::time::Duration;

use embedded_rtmp::handshake::HandshakeKind;
use embedded_rtmp::port_plan::AttemptReport;
use serde_json::{Value, json};

use crate::counts::Counts;

/// Why playing ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server said that the stream has ended.
    Ended,
    /// The server closed the connection while the stream was played.
    Closed,
    /// The user had enough.
    Stopped,
    /// Whoever reads the output has gone.
    OutputClosed,
}

/// What is known while it goes on, and in the end.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What came of each port.
    pub attempts: Vec<AttemptReport>,
    /// What the server's handshake was.
    pub handshake: HandshakeKind,
    /// What has been written.
    pub counts: Counts,
    /// The first and the last timestamp, in ms.
    pub timestamps: Option<(u32, u32)>,
    /// From the first attempt to the server's word that it plays.
    pub to_playing: Option<Duration>,
    /// From the first attempt until now.
    pub elapsed: Duration,
    /// Servers that sent us elsewhere.
    pub redirects: u8,
    /// Why it ended, where it ended well.
    pub end: Option<End>,
}

impl Report {
    /// For a summary.
    pub fn to_json(&self) -> Value {
        let millis = |duration: Duration| duration.as_millis() as u64;
        let attempt =
            |report: &AttemptReport| json!({"port": report.target.port, "outcome": report.outcome.to_string()});
        json!({
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(),
            "handshake": self.handshake.to_string(),
            "to_playing_ms": self.to_playing.map(millis),
            "elapsed_ms": millis(self.elapsed),
            "received": self.counts.to_json(),
            "first_timestamp": self.timestamps.map(|(first, _)| first),
            "last_timestamp": self.timestamps.map(|(_, last)| last),
            "redirects": self.redirects,
            "end": self.end.map(|end| format!("{end:?}")),
        })
    }
}
