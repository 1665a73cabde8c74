//! The demo: a publisher and a server, each with a network stack of its own, joined by a simulated Ethernet wire.
//!
//! It publishes a clip from the one to the other, through a wire that swallows what goes to port 1935 unless it is told
//! otherwise, and ends with status 0 if the recording equals the clip.

mod clip;
mod compare;
mod device;
mod flv;
mod options;
mod ports;
mod progress;
mod publish;
mod record;
mod relay;
mod report;
mod run;
mod switch;
#[cfg(target_os = "linux")]
mod tap;
mod tasks;
#[cfg(test)]
mod tests;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        None => None,
        Some(Command::Ports) => Some(ports::ports(&options, &mut |row| println!("{}", report::verdict(&row)))),
        Some(Command::Relay) => Some(relay::relay(&options).map(|relayed| println!("{}", report::relayed(&relayed)))),
        #[cfg(target_os = "linux")]
        Some(Command::Tap(tap)) => Some(tap::run(tap)),
    };
    match done {
        None => publish(&options),
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn publish(options: &Options) -> ExitCode {
    let outcome = match run::run(options) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", report::report(options, &outcome));
    match outcome.result {
        Ok((video, audio)) => {
            println!("{}: {video} video and {audio} audio messages, equal to the clip's", options.output.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
