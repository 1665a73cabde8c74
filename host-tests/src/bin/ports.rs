//! Tests by which ports and transports a server can be reached from here.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use embedded_rtmp::connect::{Limits, Outcome, Target, Transport};
use embedded_rtmp::url::{Scheme, Url};
use host_tests::net::targets;
use host_tests::ports::{USUAL, table, test};
use serde_json::Value;

/// Tries ports and transports of an RTMP server, and prints what became of each: connected (how long that took), refused,
/// dropped (no answer in time), silent, closed, or answered by something that is not RTMP.
///
/// Nothing is sent but the RTMP handshake. Ends with status 0 where a handshake was completed, with 1 where none was, and
/// with 2 where the URL or the list cannot be used.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The server: rtmp://host, rtmp://host:port, or any URL of a stream on it. A port is tested alone
    url: String,
    /// What to test, such as 1935,80,rtmpt:80; without it 1935, 80, 443, 8080 and 7070
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// How long TCP, and then the handshake, may take
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: u64,
    /// Print a JSON array in place of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ports: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let url = Url::parse(&arguments.url).context("the URL is no RTMP URL")?;
    let time = Duration::from_millis(arguments.timeout);
    let limits = Limits { tcp: time, handshake: time, attempt: 2 * time, total: 3 * time, ..Limits::SEQUENTIAL };
    let rows = test(url.host(), &wanted(&url, arguments.list.as_deref())?, limits)?;
    if arguments.json {
        println!("{}", Value::Array(rows.iter().map(|row| row.to_json()).collect()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(rows.iter().any(|row| row.outcome == Outcome::Connected))
}

/// The list, or else the URL's port, or else the usual ones.
fn wanted(url: &Url<'_>, list: Option<&str>) -> Result<Vec<Target>> {
    if let Some(list) = list {
        return targets(list);
    }
    let transport = if url.scheme() == Scheme::Rtmpt { Transport::Rtmpt } else { Transport::Rtmp };
    let ports = url.port().map_or(USUAL.to_vec(), |port| vec![port]);
    Ok(ports.into_iter().map(|port| Target { transport, port }).collect())
}
