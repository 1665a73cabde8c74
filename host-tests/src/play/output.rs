//! The output of a player: a file, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use embedded_rtmp::message::MessageKind;

use super::End;
use super::written::Written;
use crate::counts::Counts;
use crate::flv::Recorder;

/// An FLV file that is being written. If it goes to standard output, each message is passed on when it is complete, and the
/// header is not corrected at the end.
#[derive(Debug)]
pub struct Output {
    recorder: Recorder<BufWriter<File>>,
    is_pipe: bool,
    /// What was written.
    pub(super) before: Written,
}

impl Output {
    /// Begins the file at `path`, or on standard output if that is `-`.
    ///
    /// # Errors
    /// The file cannot be made, or the output is closed.
    pub fn create(path: &Path) -> io::Result<Self> {
        let is_pipe = path == Path::new("-");
        let file = if is_pipe { File::from(io::stdout().as_fd().try_clone_to_owned()?) } else { File::create(path)? };
        let mut recorder = Recorder::new(BufWriter::new(file))?;
        if is_pipe {
            recorder.flush()?;
        }
        Ok(Self { recorder, is_pipe, before: Written::default() })
    }

    /// Writes a message that is no aggregate, unless an earlier connection has brought it. Returns an end if the reader of a
    /// pipe has closed it.
    pub(super) fn write(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> Result<Option<End>> {
        let Some(timestamp) = self.before.place(kind, timestamp, payload) else { return Ok(None) };
        let written = self.recorder.write(kind, timestamp, payload);
        self.passed_on(written, true)
    }

    /// Passes on what was written.
    pub(super) fn flush(&mut self) -> Result<Option<End>> {
        let flushed = self.recorder.flush();
        self.passed_on(flushed, false)
    }

    fn passed_on(&mut self, written: io::Result<()>, is_whole: bool) -> Result<Option<End>> {
        match written.and_then(|()| if self.is_pipe && is_whole { self.recorder.flush() } else { Ok(()) }) {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(End::OutputClosed)),
            Err(error) => Err(error).context("the output cannot be written"),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.recorder.counts()
    }

    /// Completes the file.
    ///
    /// # Errors
    /// The file cannot be written. A closed pipe is not an error.
    pub fn finish(mut self) -> Result<()> {
        if self.is_pipe { self.flush().map(drop) } else { Ok(self.recorder.finish()?) }
    }
}
