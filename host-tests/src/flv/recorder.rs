//! Writes the messages of a connection to an FLV file.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result, Seek, Write};

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::command::DataMessage;
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::message::{MessageKind, Timestamp};

use super::{Step, Timeline, Writer};
use crate::counts::Counts;

/// The number of bytes of incomplete messages that one stream may store.
const MOST_WAITING: usize = 32 << 20;

/// The start of metadata, and an ECMA array without properties.
const METADATA: &[u8] = b"\x02\0\x0aonMetaData";
const NO_PROPERTIES: &[u8] = b"\x08\0\0\0\0\0\0\x09";

/// Assembles messages, splits aggregates, and writes tags.
#[derive(Debug)]
pub struct Recorder<W> {
    writer: Writer<W>,
    /// The received parts of incomplete messages, by chunk stream.
    waiting: HashMap<ChunkStreamId, Vec<u8>>,
    counts: Counts,
    /// `None` if timestamps and metadata are written as they come.
    timeline: Option<Timeline>,
    has_metadata: bool,
    steps: Vec<Step>,
}

impl<W: Write> Recorder<W> {
    /// Begins a file with the timestamps and the metadata that come.
    ///
    /// # Errors
    /// `output` fails.
    pub fn new(output: W) -> Result<Self> {
        let writer = Writer::new(output)?;
        let (waiting, counts, steps) = (HashMap::new(), Counts::default(), Vec::new());
        Ok(Self { writer, waiting, counts, timeline: None, has_metadata: false, steps })
    }

    /// Begins a file that is on a [`Timeline`], and whose metadata has its length and its duration.
    ///
    /// # Errors
    /// `output` fails.
    pub fn from_zero(output: W) -> Result<Self> {
        Ok(Self { timeline: Some(Timeline::new(1)), ..Self::new(output)? })
    }

    /// Takes the steps that were closed since the last call.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// The counts of written messages.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Appends a fragment to its message, and writes the message when it is complete.
    ///
    /// # Errors
    /// Those of the output, and [`ErrorKind::OutOfMemory`] if too many bytes are incomplete.
    pub fn take(&mut self, fragment: &Fragment<'_>) -> Result<()> {
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

    /// Writes a complete message.
    ///
    /// # Errors
    /// The output fails.
    pub fn write(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> Result<()> {
        match kind {
            MessageKind::AUDIO | MessageKind::VIDEO => self.write_tag(kind, timestamp, payload),
            MessageKind::AGGREGATE => Tags::aggregate(Timestamp(timestamp), payload)
                .try_for_each(|tag| self.write(tag.kind, tag.timestamp.0, tag.data)),
            // A file has the metadata without `@setDataFrame`, which is an instruction to the server.
            _ => match DataMessage::parse(payload) {
                Some(message) if message.name == *"@clearDataFrame" => Ok(()),
                Some(message) => self.write_tag(MessageKind::DATA, timestamp, message.body),
                None => Ok(()),
            },
        }
    }

    fn write_tag(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> Result<()> {
        let Some(timeline) = &mut self.timeline else {
            self.counts.count(kind, timestamp, payload.len());
            return self.writer.write(kind, timestamp, payload);
        };
        let (timestamp, step) = timeline.place(kind, timestamp, payload);
        self.steps.extend(step);
        self.counts.count(kind, timestamp, payload.len());
        if kind == MessageKind::DATA {
            self.has_metadata |= payload.starts_with(METADATA);
            return self.writer.write_metadata(timestamp, payload);
        }
        if !std::mem::replace(&mut self.has_metadata, true) {
            self.writer.write_metadata(0, &[METADATA, NO_PROPERTIES].concat())?;
        }
        self.writer.write(kind, timestamp, payload)
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// The output fails.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush()
    }
}

impl<W: Write + Seek> Recorder<W> {
    /// Completes the file.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(self) -> Result<()> {
        self.writer.finish().map(|_| ())
    }
}
