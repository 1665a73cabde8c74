//! The table at the end of a run.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use embedded_rtmp_embassy::embedded_rtmp::port_plan::{AttemptReport, Outcome as Attempted, Transport};

use super::options::Options;
use super::relay::{Relayed, Row};
use super::run::Outcome;

/// A table as text, with aligned columns.
#[derive(Default)]
struct Table(Vec<Vec<String>>);

impl Table {
    fn row(&mut self, cells: &[&dyn Display]) {
        self.0.push(cells.iter().map(ToString::to_string).collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.0.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        for row in &self.0 {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                write!(line, "{cell:width$}  ")?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text that is printed at the end of a run.
pub fn report(options: &Options, outcome: &Outcome) -> String {
    let mut ports = Table::default();
    ports.row(&[&"port", &"what came of it", &"to TCP", &"to the end"]);
    for attempt in &outcome.attempts {
        let (to_tcp, took) = (attempt.to_tcp.map(millis), (!attempt.took.is_zero()).then(|| millis(attempt.took)));
        let is_plain = attempt.target.transport == Transport::Rtmp;
        let target = if is_plain { attempt.target.port.to_string() } else { attempt.target.to_string() };
        ports.row(&[&target, &attempt.outcome, &or_dash(to_tcp), &or_dash(took)]);
    }
    let mut times = Table::default();
    times.row(&[&"connected and publishing after", &or_dash(outcome.connected.map(millis))]);
    let round_trips = outcome.first_media.map(|time| match options.delay {
        0 => format!("{} after its SYN (round trips take no time here)", millis(time)),
        delay => format!("{:.1} round trips after its SYN", time.as_secs_f64() * 1e3 / (2 * delay) as f64),
    });
    times.row(&[&"first media byte", &or_dash(round_trips)]);
    let frames = outcome.frames;
    let carried = format!("{} frames, {} lost, {} dropped for their port", frames.carried, frames.lost, frames.dropped);
    times.row(&[&"the wire carried", &carried]);

    let mut devices = Table::default();
    devices.row(&[&"", &"messages", &"bytes sent", &"bytes received", &"RAM: session", &"lent", &"in all"]);
    for (index, (name, verb)) in [("publisher", "sent"), ("server", "recorded")].into_iter().enumerate() {
        let (traffic, (session, lent)) = (outcome.traffic[index], outcome.memory[index]);
        let messages = format!("{} {verb}", outcome.messages[index]);
        devices.row(&[&name, &messages, &traffic.sent, &traffic.received, &session, &lent, &(session + lent)]);
    }
    format!("{ports}\n{times}\n{devices}")
}

/// The result of the port test for one target, as one line.
pub fn verdict(row: &AttemptReport) -> String {
    let to_tcp = row.to_tcp.map_or(String::new(), |time| format!("; TCP after {}", millis(time)));
    let handshake = match row.outcome {
        Attempted::Connected => format!(", the RTMP handshake after {}", millis(row.took)),
        _ => String::new(),
    };
    format!("{row}{to_tcp}{handshake}")
}

/// The text that is printed at the end of a run with players.
pub fn relayed(relayed: &Relayed) -> String {
    let mut players = Table::default();
    players.row(&[&"the player that", &"video", &"audio", &"sent", &"left out", &"connection"]);
    for Row { name, video, audio, played, closed } in &relayed.rows {
        let end = if *closed { "closed by the relay: too slow" } else { "ended with the stream" };
        players.row(&[name, video, audio, &played.sent, &played.skipped, &end]);
    }
    let [session, stream, player, lent, lent_stream] = relayed.memory;
    format!(
        "{} messages were published\n\n{players}\nRAM of the relay: {session} bytes for each session and {lent} lent, \
         {stream} for the stream and {lent_stream} lent, {player} for each player",
        relayed.published
    )
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::default();
        table.row(&[&"port", &"outcome"]);
        table.row(&[&80, &"connected"]);
        assert_eq!(table.to_string(), "port  outcome\n80    connected\n");
    }
}
