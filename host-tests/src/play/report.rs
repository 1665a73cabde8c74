//! The result of playing.

use serde_json::Value;

use crate::counts::Counts;
use crate::net::LinkReport;
use crate::notices::Notices;

/// A good end of playing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server said that the stream has ended.
    Ended,
    /// The server closed the connection while the stream was played.
    Closed,
    /// The user stopped it.
    Stopped,
    /// The reader of the output closed it.
    OutputClosed,
    /// Neither audio nor video arrived for the time of `--media-timeout`.
    NoMedia,
}

/// The state while playing, and at the end.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The last connection.
    pub link: LinkReport,
    /// What has been written.
    pub counts: Counts,
    /// The number of redirects that were followed.
    pub redirects: u8,
    /// How often it has continued on another connection, because the server has asked for it.
    pub reconnects: u32,
    /// Whether the server refuses the announcement of Enhanced RTMP.
    pub is_legacy: bool,
    /// The number of times that neither audio nor video arrived for the time of `--media-report`.
    pub pauses: u32,
    /// What was not as expected.
    pub notices: Notices,
    /// The end, if it was a good one.
    pub end: Option<End>,
}

impl Report {
    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let mut report = self.link.to_json("to_playing_ms");
        report["received"] = self.counts.to_json();
        report["first_timestamp"] = self.counts.timestamps.map(|(first, _)| first).into();
        report["last_timestamp"] = self.counts.timestamps.map(|(_, last)| last).into();
        report["redirects"] = self.redirects.into();
        report["reconnects"] = self.reconnects.into();
        report["legacy_server"] = self.is_legacy.into();
        report["pauses"] = self.pauses.into();
        report["notices"] = self.notices.listed.clone().into();
        report["end"] = self.end.map(|end| format!("{end:?}")).into();
        report
    }
}
