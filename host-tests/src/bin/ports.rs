//! Tests by which ports and transports a server can be reached from here.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use embedded_rtmp::port_plan::{Limits, Outcome, Target, Transport};
use embedded_rtmp::url::{Scheme, Url};
use host_tests::arguments::failed;
use host_tests::ports::{USUAL, table, test};
use serde_json::Value;

/// Tries ports and transports of an RTMP server, and prints the result of each: connected (how long that took), refused,
/// dropped (no answer in time), silent, closed, or answered by something that is not RTMP.
///
/// Only the RTMP handshake is sent. Ends with status 0 if a handshake was completed, with 1 if no handshake was completed,
/// and with 2 if the URL or the list cannot be used.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The server: rtmp://host, or the URL of any stream on it. If the URL has no port, 1935, 80, 443, 8080 and 7070 are
    /// tested
    url: String,
    /// The ports to test, each in RTMP and in RTMPT; rtmp:PORT or rtmpt:PORT for one of the two
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = wanted)]
    list: Vec<Wanted>,
    /// The time limit for TCP, and also for the handshake
    #[arg(long, value_name = "MS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: u64,
    /// Print a JSON array instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed("ports", 2, &error),
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let url = Url::parse(&arguments.url).context("the URL is no RTMP URL")?;
    let time = Duration::from_millis(arguments.timeout);
    let limits = Limits { tcp: time, handshake: time, attempt: 2 * time, total: 3 * time, ..Limits::SEQUENTIAL };
    let rows = test(url.host(), &targets(&url, &arguments.list), limits)?;
    if arguments.json {
        println!("{}", Value::Array(rows.iter().map(|row| row.to_json()).collect()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(rows.iter().any(|row| row.outcome == Outcome::Connected))
}

/// A port, and the transports to test it with.
#[derive(Debug, Clone)]
struct Wanted(&'static [Transport], u16);

const BOTH: &[Transport] = &[Transport::Rtmp, Transport::Rtmpt];

fn wanted(text: &str) -> Result<Wanted> {
    let (transports, port) = match text.split_once(':') {
        None => (BOTH, text),
        Some(("rtmp", port)) => (&BOTH[..1], port),
        Some(("rtmpt", port)) => (&BOTH[1..], port),
        Some((transport, _)) => bail!("'{transport}' is not a transport: use rtmp or rtmpt"),
    };
    let port = port.parse().ok().filter(|port| *port != 0);
    Ok(Wanted(transports, port.with_context(|| format!("'{text}' is no port"))?))
}

/// The targets of the list, otherwise the port of the URL, otherwise the default ports.
fn targets(url: &Url<'_>, list: &[Wanted]) -> Vec<Target> {
    let transports = if url.scheme() == Scheme::Rtmpt { &BOTH[1..] } else { BOTH };
    let ports = url.port().map_or(USUAL.to_vec(), |port| vec![port]);
    let unless = ports.into_iter().map(|port| Wanted(transports, port)).collect::<Vec<_>>();
    let list = if list.is_empty() { &unless } else { list };
    list.iter()
        .flat_map(|Wanted(transports, port)| {
            transports.iter().map(|transport| Target { transport: *transport, port: *port })
        })
        .collect()
}
