//! What the server reports while it runs: text for people, and JSON for programs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::counts::Counts;

/// An event that is reported while the server runs. Names of streams are public: they have no queries, and so no tokens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A publisher is accepted: its stream, and the file of the recording.
    Published(SocketAddr, String, Option<PathBuf>),
    /// A recording is complete.
    Recorded(Recorded),
    /// A publication has ended.
    Relayed(Relayed),
    /// A player is accepted: its stream.
    Playing(SocketAddr, String),
    /// A player has left.
    Played(Played),
    /// An administrator has changed something.
    Administered(SocketAddr, String),
    /// This number of clients was asked to connect again, of this number.
    Asked(usize, usize),
    /// A client, or what it has asked for, was refused.
    Refused(SocketAddr, String),
    /// A connection broke, or its client did something wrong.
    Trouble(SocketAddr, String),
    /// Something failed that concerns no single client. That a waiting connection could not be accepted is reported at most
    /// once in 10 s.
    Failed(String),
}

/// A publication that has ended. The counts are of messages that players did not get.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// The publisher.
    pub peer: SocketAddr,
    /// Its stream.
    pub stream: String,
    /// Messages that are longer than the ring.
    pub too_long: u32,
    /// The length of the longest of these in bytes.
    pub longest: u32,
    /// Messages that the publisher left incomplete.
    pub cut: u32,
    /// Incomplete messages that were discarded because four others had begun since.
    pub too_many: u32,
    /// Metadata and sequence headers that were too long to be cached for later players.
    pub not_cached: u32,
    /// Why it ended.
    pub end: String,
}

/// A recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The publisher.
    pub peer: SocketAddr,
    /// Its stream.
    pub stream: String,
    /// The file.
    pub file: PathBuf,
    /// What was recorded.
    pub counts: Counts,
    /// Why it ended.
    pub end: String,
}

/// A player that has left.
#[derive(Debug, Clone)]
pub struct Played {
    /// The player.
    pub peer: SocketAddr,
    /// Its stream.
    pub stream: String,
    /// Messages that were sent.
    pub sent: u32,
    /// Messages that were skipped because the player was too slow.
    pub skipped: u32,
    /// Why it ended.
    pub end: String,
}

/// What the server does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Streams that are published.
    pub streams: usize,
    /// Players of all streams.
    pub players: u32,
    /// Connections of all kinds, except those of administrators.
    pub connections: u32,
    /// The payload that all publishers sent in the last second, in bits per second.
    pub bit_rate: u32,
}

/// The name of a stream as a terminal may show it: without control characters, and no longer than 200 characters.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(200).collect()
}

impl Event {
    /// Whether it is an error. Other events are not printed if the user wants only errors.
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Refused(..) | Self::Trouble(..) | Self::Failed(_))
    }

    /// The text for people. `None` if there is nothing to say.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Published(peer, stream, file) => {
                let file = file.as_ref().map_or_else(|| "players alone".into(), |file| file.display().to_string());
                format!("{peer}: {} goes to {file}", shown(stream))
            }
            Self::Relayed(Relayed { peer, stream, too_long, longest, cut, too_many, not_cached, .. }) => {
                if [too_long, cut, too_many, not_cached].into_iter().all(|count| *count == 0) {
                    return None;
                }
                format!(
                    "{peer}: {}: {too_long} messages were longer than the ring, the longest {longest} bytes; the \
                     publisher left {cut} incomplete; {too_many} were discarded because too many were incomplete; \
                     {not_cached} headers were too long to be cached for later players",
                    shown(stream)
                )
            }
            Self::Playing(peer, stream) => format!("{peer}: plays {}", shown(stream)),
            Self::Played(Played { peer, stream, sent, skipped, end }) => {
                format!("{peer}: played {}: {sent} messages, {skipped} left out; {end}", shown(stream))
            }
            Self::Recorded(Recorded { file, counts, end, .. }) => format!("{}: {counts}; {end}", file.display()),
            Self::Asked(asked, all) => format!("asked {asked} of {all} clients to connect again"),
            Self::Administered(peer, text) => format!("{peer}: an administrator {text}"),
            Self::Refused(peer, text) | Self::Trouble(peer, text) => format!("{peer}: {text}"),
            Self::Failed(text) => text.clone(),
        })
    }

    /// The event as a JSON object. Its field `event` has the name of the event. The README of the tools lists all fields.
    pub fn to_json(&self) -> Value {
        let peer_of = |peer: &SocketAddr| peer.to_string();
        match self {
            Self::Published(peer, stream, file) => {
                let file = file.as_ref().map(|file| file.to_string_lossy());
                json!({"event": "published", "peer": peer_of(peer), "stream": stream, "file": file})
            }
            Self::Relayed(Relayed { peer, stream, too_long, longest, cut, too_many, not_cached, end }) => json!({
                "event": "unpublished", "peer": peer_of(peer), "stream": stream, "too_long": too_long, "longest": longest,
                "cut": cut, "too_many": too_many, "not_cached": not_cached, "end": end,
            }),
            Self::Recorded(Recorded { peer, stream, file, counts, end }) => json!({
                "event": "recorded", "peer": peer_of(peer), "stream": stream, "file": file.to_string_lossy(),
                "recorded": counts.to_json(), "first_timestamp": counts.timestamps.map(|(first, _)| first),
                "last_timestamp": counts.timestamps.map(|(_, last)| last), "end": end,
            }),
            Self::Playing(peer, stream) => json!({"event": "playing", "peer": peer_of(peer), "stream": stream}),
            Self::Played(Played { peer, stream, sent, skipped, end }) => json!({
                "event": "played", "peer": peer_of(peer), "stream": stream, "sent": sent, "skipped": skipped, "end": end,
            }),
            Self::Administered(peer, text) => json!({"event": "administered", "peer": peer_of(peer), "text": text}),
            Self::Asked(asked, all) => json!({"event": "asked_to_reconnect", "asked": asked, "clients": all}),
            Self::Refused(peer, text) => json!({"event": "refused", "peer": peer_of(peer), "text": text}),
            Self::Trouble(peer, text) => json!({"event": "error", "peer": peer_of(peer), "text": text}),
            Self::Failed(text) => json!({"event": "error", "peer": null, "text": text}),
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { streams, players, connections, bit_rate } = self;
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let megabits = f64::from(*bit_rate) / 1e6;
        let (players_end, connections_end) = (plural(*players as usize), plural(*connections as usize));
        write!(
            f,
            "{streams} stream{}, {players} player{players_end}, {connections} connection{connections_end}, \
             {megabits:.2} Mbit/s in",
            plural(*streams)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_one_line() {
        let load = Load { streams: 1, players: 2, connections: 3, bit_rate: 1_256_000 };
        assert_eq!(load.to_string(), "1 stream, 2 players, 3 connections, 1.26 Mbit/s in");
    }

    #[test]
    fn a_name_from_a_client_cannot_control_the_terminal() {
        let peer = ([192, 0, 2, 1], 5).into();
        let event = Event::Playing(peer, "live/\u{1b}[2Jx\n".to_owned());
        assert_eq!(event.text().as_deref(), Some("192.0.2.1:5: plays live/[2Jx"));
        assert_eq!(event.to_json()["stream"], "live/\u{1b}[2Jx\n");
    }
}
