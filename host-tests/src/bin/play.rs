//! Plays a stream of an RTMP server into an FLV file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use embedded_rtmp::command::Start;
use host_tests::arguments::{ClientArguments, failed, status_line, stop_flag};
use host_tests::net::StreamUrl;
use host_tests::play::{Options, Output, Report, play};
use indicatif::ProgressBar;

/// Plays a stream of an RTMP server into an FLV file, or into a pipe: play rtmp://host/live/cam - | ffplay -
///
/// Ends with status 0 when the stream ends, when the server closes the connection, when the reader of the pipe closes it, or
/// on Ctrl-C. The file is then complete. Ends with status 1 if the server cannot be reached, refuses, or is silent, and with
/// 2 if the file or the URL cannot be used. It connects again only if the server asks for it.
#[derive(Parser)]
#[command(version, after_help = "Example: play rtmps://media.example/live/key clip.flv --tls-pin SHA256-HEX")]
struct Arguments {
    /// The URL of the stream: rtmp://host:port/app/key. If it has a port, only that port is tried; otherwise see --order
    url: String,
    /// The output: a file, or - for standard output
    output: PathBuf,
    #[command(flatten)]
    client: ClientArguments,
    /// Play only a live stream
    #[arg(long, conflicts_with = "start")]
    live: bool,
    /// Play only a recorded stream, from this number of seconds on
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    start: Option<Duration>,
    /// Play for this number of seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// End with status 0 after this time without audio and video; some servers do not report that a publisher has left
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    media_timeout: Option<Duration>,
    /// Report on standard error when neither audio nor video arrives for this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    media_report: Option<Duration>,
    /// Announce to the server that all codecs and tracks of Enhanced RTMP can be recorded
    #[arg(long)]
    enhanced: bool,
    /// End if nothing is received for this time
    #[arg(long = "patience", value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    silence: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    u32::try_from(duration.as_millis()).map(|_| duration).map_err(|_| "is too long".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (stream, options, mut output, stop) = match opened(&arguments) {
        Ok(opened) => opened,
        Err(error) => return failed("play", 2, &error),
    };
    let bar = status_line(arguments.client.quiet);
    let mut report = Report::default();
    let mut pauses = 0;
    let played = play(&stream, &options, &mut output, &stop, &mut report, &mut |report| {
        if std::mem::replace(&mut pauses, report.pauses) < report.pauses {
            let seconds = arguments.media_report.unwrap_or_default().as_secs_f64();
            bar.suspend(|| eprintln!("play: no audio and no video for {seconds} s"));
        }
        show(report, &bar);
    });
    let completed = output.finish().with_context(|| arguments.output.display().to_string());
    bar.finish_and_clear();
    for notice in &report.notices.listed {
        eprintln!("play: {notice}");
    }
    let line = format!("received {}, in {:.1} s", report.counts, report.link.elapsed.as_secs_f64());
    let is_on_stderr = arguments.output == Path::new("-");
    arguments.client.conclude("play", (&report.link, &line), (report.to_json(), is_on_stderr), played.and(completed))
}

/// The arguments, checked as far as possible before anything is sent.
fn opened(arguments: &Arguments) -> Result<(StreamUrl, Options, Output, Arc<AtomicBool>)> {
    let stream = StreamUrl::new(&arguments.url, &arguments.client.stream)?;
    arguments.client.order.check(&stream.url()?)?;
    let stop = stop_flag()?;
    let output = Output::create(&arguments.output).with_context(|| arguments.output.display().to_string())?;
    let millis = |duration: Duration| duration.as_millis() as u32;
    let start = match arguments.start {
        Some(start) => Start::Recorded(millis(start)),
        None if arguments.live => Start::Live,
        None => Start::LiveOrRecorded,
    };
    let options = Options {
        order: arguments.client.order.clone(),
        tls: arguments.client.tls.clone(),
        style: arguments.client.handshake.into(),
        announces: arguments.enhanced,
        start,
        duration: arguments.duration.map(millis),
        silence: arguments.silence,
        media_timeout: arguments.media_timeout,
        media_report: arguments.media_report,
    };
    Ok((stream, options, output, stop))
}

fn show(report: &Report, bar: &ProgressBar) {
    let seconds = |millis: u32| Duration::from_millis(millis.into()).as_secs_f64();
    bar.set_message(match (report.link.to_media, report.counts.timestamps) {
        (None, _) => "connecting".into(),
        (_, None) => "waiting".into(),
        (_, Some((_, last))) => format!("{} KB, at {:.1} s", report.counts.bytes / 1000, seconds(last)),
    });
}
