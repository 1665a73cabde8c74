//! The recording of one stream.

use std::fs::File;
use std::io::{BufWriter, Result};
use std::path::{Path, PathBuf};

use embedded_rtmp::chunk::Fragment;

use crate::counts::Counts;
use crate::flv::Recorder;

use super::names;

#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    recorder: Recorder<BufWriter<File>>,
}

impl Recording {
    pub(super) fn create(directory: &Path, app: &[u8], key: &[u8]) -> Result<Self> {
        let (path, file) = names::create(directory, app, key)?;
        Ok(Self { path, recorder: Recorder::new(BufWriter::new(file))? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a piece of a message, and writes the message when it is whole.
    pub(super) fn take(&mut self, fragment: &Fragment<'_>) -> Result<()> {
        self.recorder.take(fragment)
    }

    /// Completes the file; answers what is in it, and its first and last timestamp in ms.
    pub(super) fn finish(self) -> Result<(Counts, Option<(u32, u32)>)> {
        let found = (self.recorder.counts(), self.recorder.timestamps());
        self.recorder.finish()?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{Reader, Tag};
    use embedded_rtmp::chunk::ChunkStreamId;
    use embedded_rtmp::media::flv::TagHeader;
    use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};

    #[test]
    fn item_109_an_aggregate_is_recorded_as_the_messages_in_it() {
        let inside = |kind, millis, data: &[u8]| {
            let timestamp = Timestamp(millis);
            let header = TagHeader { kind, filtered: false, length: data.len() as u32, timestamp };
            [&header.emit()[..], data, &header.back_pointer()].concat()
        };
        let body = [
            inside(MessageKind::VIDEO, 5_000, &[0x17, 1, 0, 0, 0]),
            inside(MessageKind::AUDIO, 5_023, &[0xAF, 1, 7]),
            inside(MessageKind::AGGREGATE, 5_030, &inside(MessageKind::AUDIO, 0, &[0xAF, 1])),
            inside(MessageKind::DATA, 5_040, b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x05"),
        ]
        .concat();
        let length = body.len() as u32;
        let header =
            MessageHeader { timestamp: Timestamp(100), length, kind: MessageKind::AGGREGATE, stream: StreamId(1) };
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
            (MessageKind::VIDEO, 100, &[0x17, 1, 0, 0, 0][..]),
            (MessageKind::AUDIO, 123, &[0xAF, 1, 7]),
            (MessageKind::DATA, 140, b"\x02\0\x0aonMetaData\x05"),
        ]
        .map(|(kind, timestamp, data)| Tag { kind, timestamp, payload: data.to_vec() });
        assert_eq!(tags, expected);
    }
}
