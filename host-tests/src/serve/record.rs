//! The recording of one stream.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::command::DataMessage;
use embedded_rtmp::media::flv::Tags;
use embedded_rtmp::message::{Kind, Timestamp};

use crate::counts::Counts;
use crate::flv::Writer;

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
            Kind::AGGREGATE => Tags::aggregate(Timestamp(timestamp), payload)
                .try_for_each(|tag| self.write(tag.kind, tag.timestamp.0, tag.data)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{Reader, Tag};
    use embedded_rtmp::media::flv::TagHeader;
    use embedded_rtmp::message::{Header, StreamId};

    #[test]
    fn item_109_an_aggregate_is_recorded_as_the_messages_in_it() {
        let inside = |kind, millis, data: &[u8]| {
            let timestamp = Timestamp(millis);
            let header = TagHeader { kind, filtered: false, length: data.len() as u32, timestamp };
            [&header.emit()[..], data, &header.back_pointer()].concat()
        };
        let body = [
            inside(Kind::VIDEO, 5_000, &[0x17, 1, 0, 0, 0]),
            inside(Kind::AUDIO, 5_023, &[0xAF, 1, 7]),
            inside(Kind::AGGREGATE, 5_030, &inside(Kind::AUDIO, 0, &[0xAF, 1])),
            inside(Kind::DATA, 5_040, b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x05"),
        ]
        .concat();
        let length = body.len() as u32;
        let header = Header { timestamp: Timestamp(100), length, kind: Kind::AGGREGATE, stream: StreamId(1) };
        let (first, second) = body.split_at(20);

        let directory = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(directory.path(), b"app", b"key").unwrap();
        for (offset, data) in [(0, first), (20, second)] {
            recording.take(&Fragment { csid: ChunkStreamId::COMMAND, header, offset, data }).unwrap();
        }
        let path = recording.path().to_owned();
        recording.finish().unwrap();
        let tags: Vec<Tag> = Reader::new(File::open(path).unwrap()).unwrap().map(|tag| tag.unwrap()).collect();
        let expected = [
            (Kind::VIDEO, 100, &[0x17, 1, 0, 0, 0][..]),
            (Kind::AUDIO, 123, &[0xAF, 1, 7]),
            (Kind::DATA, 140, b"\x02\0\x0aonMetaData\x05"),
        ]
        .map(|(kind, timestamp, data)| Tag { kind, timestamp, payload: data.to_vec() });
        assert_eq!(tags, expected);
    }
}
