//! The program `demo`: reads the options and prints the outcome.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use embedded_rtmp_demo::options::{Command, Options};
#[cfg(target_os = "linux")]
use embedded_rtmp_demo::tap;
use embedded_rtmp_demo::{ports, relay, report, run};

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        None => publish(&options),
        Some(Command::Ports) => ports::ports(&options, &mut |row| println!("{}", report::verdict(&row))),
        Some(Command::Relay) => relay::relay(&options).map(|relayed| println!("{}", report::relayed(&relayed))),
        #[cfg(target_os = "linux")]
        Some(Command::Tap(tap)) => tap::run(tap),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn publish(options: &Options) -> Result<()> {
    let outcome = run::run(options)?;
    println!("{}", report::report(options, &outcome));
    let (video, audio) = outcome.result?;
    println!("{}: {video} video and {audio} audio messages, equal to the clip's", options.output.display());
    Ok(())
}
