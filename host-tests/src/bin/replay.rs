//! Decodes one direction of a captured session and prints a JSON object for the handshake and for each message.

use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use host_tests::replay::{Side, replay};
use serde_json::{Value, json};

/// Decodes one direction of a captured RTMP session: the handshake and the chunk stream.
///
/// Prints one JSON object per line: first the handshake, then each message. If the capture is invalid or ends early, the
/// last line is {"error":…} and the status is 1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The side that received the bytes: `server` decodes what a client sent, `client` what a server sent
    side: Side,
    /// All bytes that were sent in this direction on the TCP connection
    file: PathBuf,
    /// Feed this many bytes at a time; the output is the same
    #[arg(long, value_name = "BYTES")]
    cut: Option<NonZeroUsize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bytes = match std::fs::read(&arguments.file) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("replay: {}: {error}", arguments.file.display());
            return ExitCode::from(2);
        }
    };
    let cut = arguments.cut.map_or(usize::MAX, NonZeroUsize::get);
    let mut output = BufWriter::new(io::stdout().lock());
    // The reader of the output may have closed it. Nothing can be reported then.
    let mut written = Ok(());
    let mut show = |value: Value| {
        if written.is_ok() {
            written = writeln!(output, "{value}");
        }
    };
    let replayed = replay(arguments.side, &bytes, cut, &mut show);
    if let Err(error) = &replayed {
        show(json!({"error": error.to_string()}));
    }
    if replayed.is_ok() && written.and_then(|()| output.flush()).is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}
