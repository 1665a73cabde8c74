//! Publishes an FLV file to an RTMP server.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use embedded_rtmp::url::Url;
use host_tests::arguments::{Handshake, progress_target};
use host_tests::flv::Reader;
use host_tests::net::{OrderArguments, Way};
use host_tests::publish::{Options, Pace, Report, publish};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Publishes an FLV file to an RTMP server, each message when it is due.
///
/// Ends with status 0 when the server has acknowledged the end, or 2 s after it was said; with 1 where the server cannot
/// be reached, refuses, or breaks off; with 2 where the file or the URL cannot be used.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What to publish
    file: PathBuf,
    /// Where: rtmp://host:port/app/key. With a port that alone is tried; without one --order says what
    url: String,
    #[command(flatten)]
    order: OrderArguments,
    /// As fast as the server takes it
    #[arg(long)]
    fast: bool,
    /// The handshake to begin with
    #[arg(long, value_enum, default_value_t = Handshake::Simple)]
    handshake: Handshake,
    /// The size of the chunks that are sent
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(128..=0xFF_FFFF))]
    chunk_size: u32,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Print a summary as a JSON object on standard output
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (reader, length, url, way) = match opened(&arguments) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("publish: {error:#}");
            return ExitCode::from(2);
        }
    };
    let options = Options {
        way,
        pace: if arguments.fast { Pace::Fast } else { Pace::Timestamps },
        style: arguments.handshake.into(),
        chunk_size: arguments.chunk_size,
    };
    let bar = progress_bar(length, arguments.quiet);
    let mut report = Report::default();
    let result = publish(reader, &url, options, &mut report, &mut |report| show(report, &bar));
    bar.finish_and_clear();
    if !arguments.quiet {
        say(&report);
    }
    if arguments.json {
        let mut summary = report.to_json();
        summary["error"] = result.as_ref().err().map_or(Value::Null, |error| format!("{error:#}").into());
        println!("{summary}");
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("publish: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// The file, its length, the URL, and what is tried, as far as they can be judged before anything is sent.
fn opened(arguments: &Arguments) -> Result<(Reader<BufReader<File>>, u64, Url<'_>, Way)> {
    let name = arguments.file.display();
    let url = Url::parse(&arguments.url).context("the URL is no RTMP URL")?;
    let way = arguments.order.for_url(&url)?;
    ensure!(url.key().is_some(), "the URL has no stream key: rtmp://host/app/key");
    let file = File::open(&arguments.file).with_context(|| format!("{name}"))?;
    let length = file.metadata().with_context(|| format!("{name}"))?.len();
    let reader = Reader::new(BufReader::new(file)).with_context(|| format!("{name}"))?;
    Ok((reader, length, url, way))
}

fn progress_bar(length: u64, quiet: bool) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}");
    ProgressBar::with_draw_target(Some(length), progress_target(quiet))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(report: &Report, bar: &ProgressBar) {
    bar.set_position(report.counts.bytes);
    let seconds = Duration::from_millis(report.timestamp.into()).as_secs_f64();
    bar.set_message(if report.to_publishing.is_some() { format!("at {seconds:.1} s") } else { "connecting".into() });
}

fn say(report: &Report) {
    for attempt in &report.attempts {
        eprintln!("{attempt}");
    }
    if report.to_publishing.is_some() {
        let counts = report.counts;
        eprintln!(
            "sent {} video, {} audio and {} data messages, {} bytes, in {:.1} s{}",
            counts.video,
            counts.audio,
            counts.data,
            counts.bytes,
            report.elapsed.as_secs_f64(),
            if report.acknowledged { "; the server acknowledged the end" } else { "" }
        );
    }
}
