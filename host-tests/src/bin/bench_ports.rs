//! The time to publish through a firewall that drops port 1935, on a wire with a delay, with each order of ports and with
//! other programs. Needs root for TUN devices. Prints a table, and fails if a figure exceeds its limit.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use embedded_rtmp::port_plan::Limits;
use host_tests::arguments::failed;
use host_tests::peers::network::{Host, Network, SERVER};
use host_tests::peers::{finish_within, start, wait_until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// How many milliseconds later than its timers and round trips require an order may be.
const SMART_LATER: f64 = 150.0;
/// The time limit of other programs. rtmpdump gives up after 135 s.
const OTHERS: Duration = Duration::from_secs(300);

/// Times publishing through a firewall that drops port 1935, by each order and by other programs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The delay of a packet in one direction, in milliseconds
    #[arg(long, default_value_t = 25)]
    delay: u64,
    /// The number of measurements of each order
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Leave the other programs out
    #[arg(long)]
    ours: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("bench_ports", 1, &error),
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let tools = std::env::current_exe()?.parent().context("no directory")?.to_owned();
    let network = Network::delayed(&tools.join("wire"), Duration::from_millis(arguments.delay))?;
    network.firewall("tcp dport 1935 drop")?;
    let directory = tempfile::tempdir()?;
    let mut command = network.server.command(tools.join("serve"));
    command.args(["--listen", "0.0.0.0:1935,0.0.0.0:80,0.0.0.0:443", "--record"]).arg(directory.path());
    let serve = start(&mut command)?;
    wait_until("serve listens", PATIENCE, || serve.errors().matches("listening on").count() == 3)?;

    let round_trip = 2.0 * arguments.delay as f64;
    println!("1935 is dropped, 80 serves; a round trip takes {round_trip} ms; medians of {} runs\n", arguments.runs);
    println!("{:<44} {:>14} {:>12}", "until publishing may begin", "ms", "round trips");
    let time = |name: &str, url: &str, order: &str| -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..arguments.runs {
            times.push(publish(&network.client, &tools, url, order)?);
        }
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{name:<44} {median:>14.0} {:>12.1}", median / round_trip.max(0.001));
        Ok(median)
    };
    let host = format!("rtmp://{SERVER}");
    let direct = time("the URL names port 80", &format!("{host}:80/live/x"), "smart")?;
    let url = format!("{host}/live/x");
    let smart = time("smart, the default", &url, "smart")?;
    let list = time("a list: 1935,80,443, 30 ms apart", &url, "1935,80,443")?;
    let player = time("player, one after another", &url, "player")?;
    let net_connection = time("NetConnection, one after another", &url, "netconnection")?;

    if !arguments.ours {
        println!("\n{:<44} {:>14}", "other programs, to port 1935", "gave up after");
        others(&network.client, &url)?;
    }
    for (name, time, most) in [
        ("smart", smart, direct + round_trip + SMART_LATER),
        ("a list", list, direct + round_trip + SMART_LATER),
        ("player", player, direct + Limits::SEQUENTIAL.tcp.as_millis() as f64 + SMART_LATER),
        ("NetConnection", net_connection, direct + Limits::SEQUENTIAL.tcp.as_millis() as f64 + SMART_LATER),
    ] {
        ensure!(time <= most, "{name}: {time:.0} ms are more than {most:.0}");
    }
    Ok(())
}

fn clip() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../embassy-demo/clip.flv")
}

/// Milliseconds from the first attempt until the server accepts the publisher.
fn publish(client: &Host, tools: &Path, url: &str, order: &str) -> Result<f64> {
    let mut command = client.command(tools.join("publish"));
    command.args(["--fast", "--json", "--quiet", "--order", order]).arg(clip()).arg(url);
    let finished = finish_within(PATIENCE, &mut command)?.successful()?;
    let summary: Value = serde_json::from_slice(&finished.stdout)?;
    summary["to_publishing_ms"].as_f64().context("the server did not accept the publisher")
}

/// Lets other programs connect at the same time until each has given up.
fn others(client: &Host, url: &str) -> Result<()> {
    let (clip, location) = (clip().display().to_string(), format!("location={url}"));
    let publishing = ["-nostdin", "-v", "error", "-re", "-i", &clip, "-c", "copy", "-f", "flv", url];
    let programs: [(&str, &str, &[&str]); 3] = [
        ("ffmpeg, publishing", "ffmpeg", &publishing),
        ("GStreamer (rtmp2), playing", "gst-launch-1.0", &["-q", "rtmp2src", &location, "!", "fakesink"]),
        ("rtmpdump, playing", "rtmpdump", &["-q", "-r", url, "-o", "/dev/null"]),
    ];
    thread::scope(|scope| {
        let threads = programs.map(|(name, program, arguments)| {
            scope.spawn(move || {
                let begun = Instant::now();
                let finished = finish_within(OTHERS, client.command(program).args(arguments))?;
                ensure!(!finished.status.success(), "{name}: it connected, although port 1935 is dropped");
                println!("{name:<44} {:>12.1} s", begun.elapsed().as_secs_f64());
                Ok(())
            })
        });
        threads.into_iter().try_for_each(|thread| thread.join().expect("a program's thread panicked"))
    })
}
