//! Plays a stream of an RTMP server into an FLV file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use embedded_rtmp::command::Start;
use embedded_rtmp::url::Url;
use host_tests::arguments::{Handshake, progress_target};
use host_tests::net::OrderArguments;
use host_tests::play::{Options, Output, Report, play};
use indicatif::ProgressBar;
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Plays a stream of an RTMP server into an FLV file, or into a pipe: play rtmp://host/live/cam - | ffplay -
///
/// Ends with status 0 when the stream ends, when the server closes the connection, when whoever reads the pipe has gone,
/// or on Ctrl-C, and the file is complete then; with 1 where the server cannot be reached, refuses, or falls silent; with 2
/// where the file or the URL cannot be used. It does not connect again.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// From where: rtmp://host:port/app/key. With a port that alone is tried; without one --order says what
    url: String,
    /// Where to: a file, or - for standard output
    output: PathBuf,
    #[command(flatten)]
    order: OrderArguments,
    /// The live stream alone
    #[arg(long, conflicts_with = "start")]
    live: bool,
    /// The recorded stream alone, from so many seconds on
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    start: Option<Duration>,
    /// For so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// How long nothing may come
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    drop_limits: Duration,
    /// The handshake to begin with
    #[arg(long, value_enum, default_value_t = Handshake::Simple)]
    handshake: Handshake,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Print a summary as a JSON object on standard output, or on standard error where that is the output
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    u32::try_from(duration.as_millis()).map(|_| duration).map_err(|_| "is too long".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (options, mut output, stop) = match opened(&arguments) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("play: {error:#}");
            return ExitCode::from(2);
        }
    };
    let bar = ProgressBar::with_draw_target(None, progress_target(arguments.quiet));
    let mut report = Report::default();
    let played = play(&arguments.url, &options, &mut output, &stop, &mut report, &mut |report| show(report, &bar));
    let completed = output.finish().with_context(|| arguments.output.display().to_string());
    bar.finish_and_clear();
    let result = played.and(completed);
    if !arguments.quiet {
        say(&report);
    }
    if arguments.json {
        let mut summary = report.to_json();
        summary["error"] = result.as_ref().err().map_or(Value::Null, |error| format!("{error:#}").into());
        if arguments.output == Path::new("-") { eprintln!("{summary}") } else { println!("{summary}") }
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("play: {error:#}");
            ExitCode::from(1)
        }
    }
}

/// What can be judged before anything is sent.
fn opened(arguments: &Arguments) -> Result<(Options, Output, Arc<AtomicBool>)> {
    let url = Url::parse(&arguments.url).context("the URL is no RTMP URL")?;
    arguments.order.for_url(&url)?;
    ensure!(url.key().is_some(), "the URL has no stream key: rtmp://host/app/key");
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second time it ends at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let output = Output::create(&arguments.output).with_context(|| arguments.output.display().to_string())?;
    let millis = |duration: Duration| duration.as_millis() as u32;
    let start = match arguments.start {
        Some(start) => Start::Recorded(millis(start)),
        None if arguments.live => Start::Live,
        None => Start::LiveOrRecorded,
    };
    let options = Options {
        order: arguments.order.clone(),
        style: arguments.handshake.into(),
        start,
        duration: arguments.duration.map(millis),
        drop_limits: arguments.drop_limits,
    };
    Ok((options, output, stop))
}

fn show(report: &Report, bar: &ProgressBar) {
    let seconds = |millis: u32| Duration::from_millis(millis.into()).as_secs_f64();
    bar.set_message(match (report.to_playing, report.timestamps) {
        (None, _) => "connecting".into(),
        (_, None) => "waiting".into(),
        (_, Some((_, last))) => format!("{} KB, at {:.1} s", report.counts.bytes / 1000, seconds(last)),
    });
    bar.tick();
}

fn say(report: &Report) {
    for attempt in &report.attempts {
        eprintln!("{attempt}");
    }
    if report.to_playing.is_some() {
        let counts = report.counts;
        eprintln!(
            "received {} video, {} audio and {} data messages, {} bytes, in {:.1} s",
            counts.video,
            counts.audio,
            counts.data,
            counts.bytes,
            report.elapsed.as_secs_f64(),
        );
    }
}
