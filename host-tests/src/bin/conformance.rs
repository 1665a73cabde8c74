//! Prints the tests of each numbered item of RTMP behaviour, and the items that cannot be tested yet.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host_tests::conformance::{faults, items, tests};

/// Prints each numbered item of RTMP behaviour with the tests that have its number in their names.
///
/// Ends with status 1 if an item has no test and is not marked as one that cannot be tested yet.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The root folder of the project
    #[arg(long, default_value_os_t = Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))]
    root: PathBuf,
    /// Print only faults
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (items, tests) = (items()?, tests(&arguments.root)?);
    if !arguments.quiet {
        for (number, item) in &items {
            println!("{number:3} {}", item.text);
            for test in tests.get(number).into_iter().flatten() {
                let ignored = if test.ignored { ", against real programs" } else { "" };
                println!("      {} ({}{ignored})", test.name, test.file.display());
            }
            if let (Some(awaits), None) = (&item.awaits, tests.get(number)) {
                println!("      awaits {awaits}");
            }
        }
    }
    let awaited = items.iter().filter(|(number, item)| item.awaits.is_some() && !tests.contains_key(number));
    let awaited: Vec<_> = awaited.map(|(number, _)| number.to_string()).collect();
    let count = tests.values().flatten().collect::<std::collections::BTreeSet<_>>().len();
    let covered = items.keys().filter(|number| tests.contains_key(number)).count();
    let faults = faults(&items, &tests);
    faults.iter().for_each(|fault| eprintln!("conformance: {fault}"));
    println!("{covered} of {} items have tests, {count} tests.", items.len());
    if !awaited.is_empty() {
        println!("{} await something else: {}.", awaited.len(), awaited.join(", "));
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
