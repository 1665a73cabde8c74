//! The demo: a publisher and a server, each with a network stack of its own, joined by a simulated Ethernet wire.
//!
//! It publishes a clip from the one to the other, through a wire that swallows what goes to port 1935 unless it is told
//! otherwise, and ends with status 0 if the recording equals the clip.

mod demo;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Parser;

use demo::options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        None => None,
        Some(Command::Ports) => {
            Some(demo::ports::ports(&options, &mut |row| println!("{}", demo::report::verdict(&row))))
        }
        Some(Command::Relay) => {
            Some(demo::relay::relay(&options).map(|relayed| println!("{}", demo::report::relayed(&relayed))))
        }
        #[cfg(target_os = "linux")]
        Some(Command::Tap(tap)) => Some(demo::tap::run(tap)),
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
    let outcome = match demo::run::run(options) {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", demo::report::report(options, &outcome));
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
