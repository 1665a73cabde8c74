//! The recording of one stream.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::command::DataMessage;
use embedded_rtmp::message::Kind;

use crate::counts::Counts;
use crate::flv::{Writer, aggregated};

use super::names;

/// Bytes of unfinished messages that one stream may have waiting.
const MOST_WAITING: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    writer: Writer<BufWriter<File>>,
    /// What has come of the messages that are not whole, by chunk stream.
    waiting: HashMap<ChunkStreamId, Vec<u8>>,
    counts: Counts,
    timestamps: Option<(u32, u32)>,
}

impl Recording {
    pub(super) fn create(directory: &Path, app: &[u8], key: &[u8]) -> Result<Self> {
        let (path, file) = names::create(directory, app, key)?;
        let writer = Writer::new(BufWriter::new(file))?;
        Ok(Self { path, writer, waiting: HashMap::new(), counts: Counts::default(), timestamps: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a piece of a message, and writes the message when it is whole.
    pub(super) fn take(&mut self, fragment: &Fragment<'_>) -> Result<()> {
        if fragment.is_first() && fragment.is_last() {
            self.waiting.remove(&fragment.csid);
            return self.write(fragment.header.kind, fragment.header.timestamp.0, fragment.data);
        }
        let waiting = self.waiting.entry(fragment.csid).or_default();
        if fragment.is_first() {
            waiting.clear();
        }
        waiting.extend_from_slice(fragment.data);
        if fragment.is_last() {
            let payload = self.waiting.remove(&fragment.csid).unwrap_or_default();
            return self.write(fragment.header.kind, fragment.header.timestamp.0, &payload);
        }
        if self.waiting.values().map(Vec::len).sum::<usize>() > MOST_WAITING {
            return Err(Error::new(ErrorKind::OutOfMemory, "too much that is not whole"));
        }
        Ok(())
    }

    fn write(&mut self, kind: Kind, timestamp: u32, payload: &[u8]) -> Result<()> {
        match kind {
            Kind::AUDIO | Kind::VIDEO => self.write_tag(kind, timestamp, payload),
            Kind::AGGREGATE => aggregated(timestamp, payload).try_for_each(|tag| match tag.kind {
                Kind::AGGREGATE => Ok(()),
                _ => self.write(tag.kind, tag.timestamp, &tag.payload),
            }),
            // A file has the data itself, not what the server is told to do with it.
            _ => match DataMessage::parse(payload) {
                Some(message) if message.name == *"@clearDataFrame" => Ok(()),
                Some(message) => self.write_tag(Kind::DATA, timestamp, message.body),
                None => Ok(()),
            },
        }
    }

    fn write_tag(&mut self, kind: Kind, timestamp: u32, payload: &[u8]) -> Result<()> {
        self.writer.write(kind, timestamp, payload)?;
        self.counts.count(kind, payload.len());
        let (first, _) = self.timestamps.unwrap_or((timestamp, timestamp));
        self.timestamps = Some((first, timestamp));
        Ok(())
    }

    /// Completes the file; answers what is in it, and its first and last timestamp in ms.
    pub(super) fn finish(self) -> Result<(Counts, Option<(u32, u32)>)> {
        self.writer.finish()?;
        Ok((self.counts, self.timestamps))
    }
}
