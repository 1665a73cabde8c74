//! Where what is played goes: a file, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Stdout, Write};
use std::path::Path;

use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::message::MessageKind;

use crate::counts::Counts;
use crate::flv::Recorder;

/// An FLV file that is being written.
#[derive(Debug)]
pub enum Output {
    /// A file, whose header is corrected in the end.
    File(Recorder<BufWriter<File>>),
    /// A pipe: whoever reads it gets each message when it is whole.
    Pipe(Recorder<Stdout>),
}

impl Output {
    /// Begins the file at `path`, or on standard output where that is `-`.
    ///
    /// # Errors
    /// The file cannot be made, or the output is closed.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(if path == Path::new("-") {
            Self::Pipe(Recorder::new(io::stdout())?)
        } else {
            Self::File(Recorder::new(BufWriter::new(File::create(path)?))?)
        })
    }

    pub(super) fn take(&mut self, fragment: &Fragment<'_>) -> io::Result<()> {
        match self {
            Self::File(recorder) => recorder.take(fragment),
            Self::Pipe(recorder) => {
                recorder.take(fragment)?;
                if fragment.is_last() { recorder.flush() } else { Ok(()) }
            }
        }
    }

    pub(super) fn write(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> io::Result<()> {
        match self {
            Self::File(recorder) => recorder.write(kind, timestamp, payload),
            Self::Pipe(recorder) => recorder.write(kind, timestamp, payload),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(recorder) => recorder.flush(),
            Self::Pipe(recorder) => recorder.flush(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        match self {
            Self::File(recorder) => recorder.counts(),
            Self::Pipe(recorder) => recorder.counts(),
        }
    }

    pub(super) fn timestamps(&self) -> Option<(u32, u32)> {
        match self {
            Self::File(recorder) => recorder.timestamps(),
            Self::Pipe(recorder) => recorder.timestamps(),
        }
    }

    /// Completes it.
    ///
    /// # Errors
    /// Those of the file; a pipe that nobody reads any more is none.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::File(recorder) => recorder.finish(),
            Self::Pipe(_) => match io::stdout().flush() {
                Err(error) if !is_closed(&error) => Err(error),
                _ => Ok(()),
            },
        }
    }
}

/// Whether whoever read the output has gone.
pub(super) fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}
