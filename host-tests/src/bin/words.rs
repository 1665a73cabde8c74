//! Looks for retired words in this project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use host_tests::words::{Words, files};

/// Prints each retired word that occurs in this project, as FILE:LINE: word -> use.
///
/// Ends with status 1 if there is one, or if an exception of words.txt is not needed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The root folder of the project
    #[arg(long, default_value_os_t = Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))]
    root: PathBuf,
    /// Search only files whose path from the root starts with this
    paths: Vec<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let (mut words, mut count) = (Words::of_project()?, 0);
    let is_wanted = |file: &Path| {
        arguments.paths.is_empty() || arguments.paths.iter().any(|path| file.to_string_lossy().starts_with(path))
    };
    for (file, language, text) in files(&arguments.root)?.iter().filter(|(file, ..)| is_wanted(file)) {
        for hit in words.hits(file, *language, text) {
            println!("{hit}");
            count += 1;
        }
    }
    // If only some files were searched, an exception may be needed for a file that was left out.
    if arguments.paths.is_empty() {
        for exception in words.unused() {
            eprintln!("words: this exception is not needed: {exception}");
            count += 1;
        }
    }
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
