//! Publishes an FLV file to an RTMP server.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use host_tests::arguments::{ClientArguments, failed, progress_target, stop_flag};
use host_tests::flv::{EnhancedCodecs, Reader};
use host_tests::net::StreamUrl;
use host_tests::publish::{Options, Pace, Report, publish};
use indicatif::{ProgressBar, ProgressStyle};

/// Publishes an FLV file to an RTMP server, each message when it is due. In a gap of the timestamps, it waits for at most
/// 10 s. It ignores wrong back pointers, skips garbage, leaves out a tag that is cut off at the end of the file, and
/// reports these faults.
///
/// If the file has codecs of Enhanced RTMP, it is read to its end first, and these codecs are announced to the server. A
/// server that refuses the announcement is asked again without it; nothing is published if it accepts that, because it
/// does not know the codecs. Nothing is announced for a file that is a pipe.
///
/// Ends with status 0 if the server acknowledges the end of the stream or closes the connection after it, or if TCP
/// acknowledges everything within 10 s. If the system does not know what TCP has acknowledged, and over RTMPT, it is enough
/// that everything is sent. Ctrl-C ends the stream in the same way. Ends with status 1 if the server cannot be reached,
/// refuses, closes the connection before the end or reads nothing for 10 s, or if a tag cannot be read or sent. Ends with
/// status 2 if the URL cannot be used, or the file is not an FLV file.
#[derive(Parser)]
#[command(version, after_help = "Example: publish clip.flv rtmps://media.example/live/key --tls-ca authority.pem")]
struct Arguments {
    /// The FLV file to publish
    file: PathBuf,
    /// The URL of the stream: rtmp://host:port/app/key. If it has a port, only that port is tried; otherwise see --order
    url: String,
    #[command(flatten)]
    client: ClientArguments,
    /// Send as fast as the server reads
    #[arg(long)]
    fast: bool,
    /// The size of the chunks that are sent
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(128..=0xFF_FFFF))]
    chunk_size: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Opened { reader, length, codecs, stream, stop } = match opened(&arguments) {
        Ok(opened) => opened,
        Err(error) => return failed("publish", 2, &error),
    };
    let options = Options {
        order: arguments.client.order.clone(),
        tls: arguments.client.tls.clone(),
        pace: if arguments.fast { Pace::Fast } else { Pace::Timestamps },
        style: arguments.client.handshake.into(),
        chunk_size: arguments.chunk_size,
        codecs,
    };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}");
    let bar = ProgressBar::with_draw_target(Some(length), progress_target(arguments.client.quiet))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut report = Report::default();
    let result = publish(reader, &stream, options, &stop, &mut report, &mut |report| show(report, &bar));
    bar.finish_and_clear();
    if report.is_legacy {
        eprintln!("publish: the server refuses the announcement of Enhanced RTMP");
    }
    report.notices.iter().for_each(|notice| eprintln!("publish: {}: {notice}", arguments.file.display()));
    let acknowledged = match (report.acknowledged, report.confirmed) {
        (true, _) => "; the server acknowledged the end",
        (false, true) => "; the server closed the connection after the end",
        (false, false) => "; not confirmed by the server",
    };
    let line = format!("sent {}, in {:.1} s{acknowledged}", report.counts, report.link.elapsed.as_secs_f64());
    arguments.client.conclude("publish", (&report.link, &line), (report.to_json(), false), result)
}

struct Opened {
    reader: Reader<BufReader<File>>,
    length: u64,
    /// The codecs of Enhanced RTMP in the file.
    codecs: EnhancedCodecs,
    stream: StreamUrl,
    stop: Arc<AtomicBool>,
}

/// Returns the file, its length, the URL and the stop flag. Checks them as far as possible before anything is sent.
fn opened(arguments: &Arguments) -> Result<Opened> {
    let name = || arguments.file.display().to_string();
    let stream = StreamUrl::new(&arguments.url, &arguments.client.stream)?;
    arguments.client.order.check(&stream.url()?)?;
    let file = File::open(&arguments.file).with_context(name)?;
    let metadata = file.metadata().with_context(name)?;
    let mut reader = Reader::new(BufReader::new(file)).with_context(name)?;
    let mut codecs = EnhancedCodecs::default();
    // A pipe can be read only once.
    if metadata.is_file() {
        codecs = EnhancedCodecs::of(reader);
        reader = Reader::new(BufReader::new(File::open(&arguments.file).with_context(name)?)).with_context(name)?;
    }
    Ok(Opened { reader, length: metadata.len(), codecs, stream, stop: stop_flag()? })
}

fn show(report: &Report, bar: &ProgressBar) {
    bar.set_position(report.counts.bytes);
    let seconds = Duration::from_millis(report.timestamp.into()).as_secs_f64();
    bar.set_message(if report.link.to_media.is_some() { format!("at {seconds:.1} s") } else { "connecting".into() });
}
