//! Tests by which ports and transports a server can be reached from here.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use embedded_rtmp::port_plan::{Limits, Outcome, Target, Transport};
use embedded_rtmp::url::{Scheme, Url};
use host_tests::arguments::failed;
use host_tests::net::{TlsArguments, transport};
use host_tests::ports::{USUAL, table, test};
use serde_json::Value;

/// Tries ports and transports of an RTMP server, and prints the result of each: connected (how long that took), refused,
/// dropped (no answer in time), silent, closed, or answered by something that is not RTMP.
///
/// Only the RTMP handshake is sent, after the TLS handshake if the target uses TLS. A server inside TLS must be trusted
/// (--tls-ca, --tls-pin, --tls-insecure). Otherwise the result shows what is wrong with its certificate.
///
/// Ends with status 0 if a handshake was completed, with 1 if no handshake was completed,
/// and with 2 if the URL or the list cannot be used.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: ports --all rtmp://media.example tests the usual ports with every transport."
)]
struct Arguments {
    /// The server: rtmp://host, or the URL of any stream on it. If the URL has no port, 1935, 80, 443, 8080 and 7070 are
    /// tested
    url: String,
    /// The ports to test. Each port is tested with RTMP and with RTMPT, or with the transports of the URL's scheme,
    /// such as RTMPS and RTMPTS for rtmps. A port with a transport before it, such as rtmps:443, is tested only with
    /// that transport
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    list: Vec<String>,
    /// Test every transport on each port that has no transport before it
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    tls: TlsArguments,
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
    let rows = test(url.host(), &targets(&url, arguments)?, limits, &arguments.tls)?;
    if arguments.json {
        println!("{}", Value::Array(rows.iter().map(|row| row.to_json()).collect()));
    } else {
        print!("{}", table(&rows));
    }
    Ok(rows.iter().any(|row| row.outcome == Outcome::Connected))
}

/// The targets of the list, otherwise the port of the URL, otherwise the default ports.
fn targets(url: &Url<'_>, arguments: &Arguments) -> Result<Vec<Target>> {
    use Transport::*;
    let transports: &[_] = match url.scheme() {
        _ if arguments.all => &[Rtmp, Rtmpt, Rtmpe, Rtmpte, Rtmps, Rtmpts],
        Scheme::Rtmp => &[Rtmp, Rtmpt],
        Scheme::Rtmpe => &[Rtmpe, Rtmpte],
        Scheme::Rtmps => &[Rtmps, Rtmpts],
        scheme => &[Transport::of(scheme)],
    };
    let all = |port| transports.iter().map(move |transport| Target::new(*transport, port));
    if arguments.list.is_empty() {
        return Ok(url.port().map_or(USUAL.to_vec(), |port| vec![port]).into_iter().flat_map(all).collect());
    }
    let mut targets = Vec::new();
    for text in &arguments.list {
        let (name, port) = text.split_once(':').map_or((None, &**text), |(name, port)| (Some(name), port));
        let port = port.parse().ok().filter(|port| *port != 0).with_context(|| format!("'{text}' is no port"));
        match name {
            None => targets.extend(all(port?)),
            Some(name) => {
                let transport =
                    transport(name).with_context(|| format!("'{name}' is not a transport, such as rtmps"))?;
                targets.push(Target::new(transport, port?));
            }
        }
    }
    Ok(targets)
}
