//! Writes the messages of a connection to an FLV file.

use std::borrow::Cow;
use std::io::{Error, ErrorKind, Result, Seek, Write};

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::command::DataMessage;
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::message::{MessageKind, Timestamp};

use super::{Step, Timeline, Writer};
use crate::counts::Counts;

/// The most bytes of memory for the incomplete messages of one stream. The longest message has 16 MB.
const MOST_WAITING: usize = 20 << 20;

/// The most incomplete messages. A session cannot have as many, so the rest of the oldest one will not arrive.
const MOST_MESSAGES: usize = 16;

/// The least room for a message that arrives in pieces, in bytes.
const ROOM: usize = 64 << 10;

/// The most jumps of the timestamps that are stored. Others are counted.
const MAX_STEPS: usize = 8;

/// The start of metadata, and an ECMA array without properties.
const METADATA: &[u8] = b"\x02\0\x0aonMetaData";
const NO_PROPERTIES: &[u8] = b"\x08\0\0\0\0\0\0\x09";

/// Assembles the messages of one stream.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The received parts of incomplete messages, by chunk stream, the oldest first.
    waiting: Vec<(ChunkStreamId, Vec<u8>)>,
    /// The memory of `waiting`, in bytes.
    collected: usize,
}

impl Assembler {
    /// Appends a fragment to its message. Returns the payload of the message if it is complete.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] if too many bytes are incomplete.
    pub fn take<'f>(&mut self, fragment: &Fragment<'f>) -> Result<Option<Cow<'f, [u8]>>> {
        let place = self.waiting.iter().position(|(csid, _)| *csid == fragment.csid);
        if fragment.is_first() {
            // A new message replaces an incomplete one on the same chunk stream.
            place.map(|place| self.remove(place));
            if fragment.is_last() {
                return Ok(Some(fragment.data.into()));
            }
            if self.waiting.len() == MOST_MESSAGES {
                self.remove(0);
            }
            self.waiting.push((fragment.csid, Vec::new()));
        }
        let place = if fragment.is_first() { Some(self.waiting.len() - 1) } else { place };
        // The rest of a message whose beginning was discarded is ignored.
        let Some(place) = place.filter(|place| self.waiting[*place].1.len() == fragment.offset as usize) else {
            return Ok(None);
        };
        let payload = &mut self.waiting[place].1;
        let (before, missing) = (payload.capacity(), fragment.header.length as usize - payload.len());
        if before - payload.len() < fragment.data.len() {
            payload.reserve_exact(payload.len().max(ROOM).max(fragment.data.len()).min(missing));
        }
        payload.extend_from_slice(fragment.data);
        self.collected += payload.capacity() - before;
        if fragment.is_last() {
            return Ok(Some(self.remove(place).into()));
        }
        if self.collected > MOST_WAITING {
            let text = format!("incomplete messages need more than {MOST_WAITING} bytes");
            return Err(Error::new(ErrorKind::OutOfMemory, text));
        }
        Ok(None)
    }

    /// Removes an incomplete message, and returns the bytes of it that have arrived.
    fn remove(&mut self, place: usize) -> Vec<u8> {
        let (_, payload) = self.waiting.remove(place);
        self.collected -= payload.capacity();
        payload
    }
}

/// Assembles messages, splits aggregates, and writes tags.
#[derive(Debug)]
pub struct Recorder<W> {
    writer: Writer<W>,
    messages: Assembler,
    counts: Counts,
    /// `None` if timestamps and metadata are written unchanged.
    timeline: Option<Timeline>,
    has_metadata: bool,
    steps: Vec<Step>,
    /// How many jumps were removed.
    removed: usize,
}

impl<W: Write> Recorder<W> {
    /// Begins a file with unchanged timestamps and metadata.
    ///
    /// # Errors
    /// `output` fails.
    pub fn new(output: W) -> Result<Self> {
        let writer = Writer::new(output)?;
        let (messages, counts, steps) = (Assembler::default(), Counts::default(), Vec::new());
        Ok(Self { writer, messages, counts, timeline: None, has_metadata: false, steps, removed: 0 })
    }

    /// Begins a file with the timestamps of a [`Timeline`]. Its metadata has the length and the duration of the file.
    ///
    /// # Errors
    /// `output` fails.
    pub fn from_zero(output: W) -> Result<Self> {
        Ok(Self { timeline: Some(Timeline::new(1)), ..Self::new(output)? })
    }

    /// Takes the jumps of the timestamps that were removed since the last call. Only the first 8 of a file are returned.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// How many jumps were removed and are not returned by [`Self::take_steps`].
    pub fn more_steps(&self) -> usize {
        self.removed.saturating_sub(MAX_STEPS)
    }

    /// The counts of written messages.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The memory of incomplete messages, in bytes.
    pub fn collected(&self) -> usize {
        self.messages.collected
    }

    /// Appends a fragment to its message, and writes the message when it is complete.
    ///
    /// # Errors
    /// Those of the output, and [`ErrorKind::OutOfMemory`] if too many bytes are incomplete.
    pub fn take(&mut self, fragment: &Fragment<'_>) -> Result<()> {
        match self.messages.take(fragment)? {
            Some(payload) => self.write(fragment.header.kind, fragment.header.timestamp.0, &payload),
            None => Ok(()),
        }
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
        self.removed += usize::from(step.is_some());
        self.steps.extend(step.filter(|_| self.removed <= MAX_STEPS));
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
