//! Code that several tools share: options, signals, progress and the result.

use std::io::{self, IsTerminal};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use embedded_rtmp::handshake::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::net::{LinkReport, OrderArguments, StreamArguments, TlsArguments};

/// The handshake that a client begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handshake {
    /// Without digests.
    Simple,
    /// With a digest, as Flash Player's.
    Digest,
}

impl From<Handshake> for Style {
    fn from(handshake: Handshake) -> Self {
        match handshake {
            Handshake::Simple => Self::Simple,
            Handshake::Digest => Self::Digest,
        }
    }
}

/// The options of tools that connect to a server.
#[derive(Debug, Clone, Args)]
pub struct ClientArguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment would be in the help")]
    pub order: OrderArguments,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment would be in the help")]
    pub tls: TlsArguments,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a comment would be in the help")]
    pub stream: StreamArguments,
    /// The handshake to begin with
    #[arg(long, value_enum, default_value_t = Handshake::Simple)]
    pub handshake: Handshake,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Print a summary as a JSON object on standard output; on standard error if standard output has the stream
    #[arg(long)]
    pub json: bool,
}

impl ClientArguments {
    /// Prints the result of a tool: the attempts, `line`, the summary and the error. Returns the exit code.
    pub fn conclude(
        &self,
        tool: &str,
        (report, line): (&LinkReport, &str),
        (mut summary, is_on_stderr): (Value, bool),
        result: Result<()>,
    ) -> ExitCode {
        if !self.quiet {
            for attempt in &report.attempts {
                let reason = report.reasons.get(&attempt.id).map_or_else(String::new, |reason| format!(": {reason}"));
                eprintln!("{attempt}{reason}");
            }
            if report.to_media.is_some() {
                eprintln!("{line}");
            }
        }
        if self.json {
            summary["error"] = result.as_ref().err().map(|error| format!("{error:#}")).into();
            if is_on_stderr { eprintln!("{summary}") } else { println!("{summary}") }
        }
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(tool, 1, &error),
        }
    }
}

/// Prints an error. Returns the exit code.
pub fn failed(tool: &str, status: u8, error: &anyhow::Error) -> ExitCode {
    eprintln!("{tool}: {error:#}");
    ExitCode::from(status)
}

/// The time after the first signal in which further signals have no effect. Some programs send a signal twice at once.
const REPEATED: Duration = Duration::from_millis(100);

/// A flag that Ctrl-C and SIGTERM set. A second signal at least 100 ms later ends the program at once with status 1.
///
/// # Errors
/// Those of the system.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let (stop, mut signals) = (Arc::new(AtomicBool::new(false)), Signals::new([SIGINT, SIGTERM])?);
    let flag = Arc::clone(&stop);
    thread::spawn(move || {
        let mut first = None;
        for _ in signals.forever() {
            flag.store(true, Ordering::Relaxed);
            if first.get_or_insert_with(Instant::now).elapsed() >= REPEATED {
                process::exit(1);
            }
        }
    });
    Ok(stop)
}

/// A flag that each SIGUSR1 sets.
///
/// # Errors
/// The system does not allow a handler for the signal.
pub fn ask_flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGUSR1, Arc::clone(&flag))?;
    Ok(flag)
}

/// A line of text that changes in its place on the terminal. Print other lines with [`ProgressBar::suspend`]. Nothing is
/// drawn if standard error is no terminal, or the tool is `quiet`.
pub fn status_line(quiet: bool) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, progress_target(quiet)).with_style(style)
}

/// Where progress is drawn: on standard error, if that is a terminal and the tool is not `quiet`.
pub fn progress_target(quiet: bool) -> ProgressDrawTarget {
    if !quiet && io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
