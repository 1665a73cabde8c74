//! The port test: tries each port and transport by which a server may be reached.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use embedded_rtmp::port_plan::{Failure, Limits, Outcome, Target};
use embedded_rtmp::session::ClientConfig;
use serde_json::{Value, json};

use crate::net::{Clock, DialError, Dialler, TlsArguments};

/// The default ports: those of RTMP, and two that are often used.
pub const USUAL: &[u16] = &[1935, 80, 443, 8080, 7070];

/// The result for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The target.
    pub target: Target,
    /// [`Outcome::Connected`] or a failure.
    pub outcome: Outcome,
    /// The time from the dial to the TCP connection, if there was one.
    pub to_tcp: Option<Duration>,
    /// The time from the dial to the end of the RTMP handshake, or to the failure.
    pub took: Duration,
    /// The answer: the server's kind of handshake, the first line of another protocol, or the reason why TLS failed.
    pub answer: Option<String>,
}

/// Tries all targets at the same time, each with its own plan, and sends only the handshake. `tls` determines which
/// servers are trusted inside TLS. Returns the rows in the order of the targets.
///
/// # Errors
/// The system fails.
pub fn test(host: &str, targets: &[Target], limits: Limits, tls: &TlsArguments) -> Result<Vec<Row>> {
    thread::scope(|scope| {
        let threads: Vec<_> =
            targets.iter().map(|target| scope.spawn(move || row(host, *target, limits, tls))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread of a target panicked")).collect()
    })
}

fn row(host: &str, target: Target, limits: Limits, tls: &TlsArguments) -> Result<Row> {
    let targets = [target];
    let mut dialler = Dialler::<0>::new(host, &targets, limits, ClientConfig::new(), tls, Clock::new())?;
    let (reports, handshake) = match dialler.dial() {
        Ok(dialled) => (dialler.reports(), Some(dialled.handshake)),
        Err(error) => (error.downcast::<DialError>()?.reports, None),
    };
    let report = reports.first().expect("there is one target");
    let answer = match handshake {
        Some(kind) => Some(format!("{}, handshake: {kind}", target.transport)),
        None => dialler.answer(report.id).map(first_line).or_else(|| dialler.reasons().get(&report.id).cloned()),
    };
    Ok(Row { target, outcome: report.outcome, to_tcp: report.to_tcp, took: report.took, answer })
}

/// The first line of an answer that is not RTMP, if it is text, otherwise its first bytes.
fn first_line(answer: &[u8]) -> String {
    let line = answer.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = &line[..line.len().min(72)];
    if !line.is_empty() && line.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return String::from_utf8_lossy(line).into_owned();
    }
    let hex: Vec<_> = answer.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    hex.join(" ")
}

impl Row {
    /// The result in one word.
    pub fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Connected => "connected",
            Outcome::Failed(Failure::Refused) => "refused",
            Outcome::Failed(Failure::Unreachable) => "unreachable",
            Outcome::Failed(Failure::TimedOut) => "dropped",
            Outcome::Failed(Failure::HandshakeTimedOut) => "silent",
            Outcome::Failed(Failure::Closed) => "closed",
            Outcome::Failed(Failure::NotRtmp) => "not RTMP",
            Outcome::Failed(Failure::Dns) => "no address",
            Outcome::Failed(Failure::Unsupported) => "not supported here",
            Outcome::Failed(Failure::Tls) => "no TLS",
            Outcome::Failed(Failure::Certificate) => "not trusted",
            _ => "not tried",
        }
    }

    /// The row as JSON.
    pub fn to_json(&self) -> Value {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let connected = self.outcome == Outcome::Connected;
        json!({
            "transport": self.target.transport.to_string(), "port": self.target.port, "outcome": self.word(),
            "tcp_ms": self.to_tcp.map(millis), "handshake_ms": connected.then(|| millis(self.took)),
            "took_ms": millis(self.took), "answer": self.answer,
        })
    }
}

/// The rows as text, one line each.
pub fn table(rows: &[Row]) -> String {
    let millis = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    let mut text = format!("{:<12} {:<18} {:>11} {:>11}  {}\n", "", "", "to TCP", "handshake", "what answered");
    for row in rows {
        let to_tcp = row.to_tcp.map_or("-".into(), millis);
        let took = if row.outcome == Outcome::Connected { millis(row.took) } else { "-".into() };
        let (target, answer) = (row.target.to_string(), row.answer.as_deref().unwrap_or("-"));
        text += format!("{target:<12} {:<18} {to_tcp:>11} {took:>11}  {answer}", row.word()).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_shown_as_text_or_in_hex() {
        assert_eq!(first_line(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n"), "HTTP/1.1 400 Bad Request");
        assert_eq!(first_line(b"SSH-2.0-x\n"), "SSH-2.0-x");
        assert_eq!(first_line(&[0x15, 3, 1, 0, 2, 2, 70]), "15 03 01 00 02 02 46");
        assert_eq!(first_line(b"\r\n"), "0d 0a");
        assert_eq!(first_line(&[b'a'; 100]).len(), 72);
    }

    #[test]
    fn a_name_without_an_address_is_every_rows_outcome() {
        let targets = [Target::rtmp(1935), Target::rtmp(80)];
        let rows = test("no-such-name.invalid", &targets, Limits::SEQUENTIAL, &TlsArguments::default()).unwrap();
        assert!(rows.iter().all(|row| row.word() == "no address"), "{rows:?}");
        assert!(rows.iter().map(|row| row.target).eq(targets));
    }
}
