//! The recording of one stream, and the name of its file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::flv::Recorder;

/// The most characters of the application, and of the key, in a file's name.
const MAX_PART: usize = 100;

/// The most files of the same name.
const MAX_FILES: u32 = 100_000;

#[derive(Debug)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) recorder: Recorder<BufWriter<File>>,
}

impl Recording {
    /// Begins the recording of a stream in a new file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(directory: &Path, app: &[u8], key: &[u8]) -> io::Result<Self> {
        let (path, file) = create_file(directory, app, key)?;
        Ok(Self { path, recorder: Recorder::new(BufWriter::new(file))? })
    }

    /// Removes the file of a stream whose publish was rejected.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// The characters of a text that are safe in a file's name, cut to a maximum length.
fn sanitized(text: &[u8]) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.iter().copied().filter(harmless).take(MAX_PART).map(char::from).collect()
}

/// Creates the file for a stream: `APP-KEY.flv`, or `APP-KEY-2.flv` and so on if that exists. An existing file is never
/// overwritten, and a link is not followed.
fn create_file(directory: &Path, app: &[u8], key: &[u8]) -> io::Result<(PathBuf, File)> {
    let stem = format!("{}-{}", sanitized(app), sanitized(key));
    for number in 1..MAX_FILES {
        let name = if number == 1 { format!("{stem}.flv") } else { format!("{stem}-{number}.flv") };
        let path = directory.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::{Reader, Tag};
    use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
    use embedded_rtmp::media::flv::TagHeader;
    use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};

    fn created(directory: &Path, app: &[u8], key: &[u8]) -> String {
        let (path, _) = create_file(directory, app, key).unwrap();
        assert_eq!(path.parent(), Some(directory));
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_name_has_only_letters_digits_and_three_signs() {
        let directory = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for (app, key) in [
            (&b"live"[..], &b"x"[..]),
            (b"..", b"../../etc/passwd"),
            (b"", b""),
            (b"a/b", b"c?d=e f"),
            (b"li\0ve", b"\xff\xfe\xc3\xa9-_."),
            (b"/", b"-"),
        ] {
            names.push(created(directory.path(), app, key));
        }
        assert_eq!(names, ["live-x.flv", "..-....etcpasswd.flv", "-.flv", "ab-cdef.flv", "live--_..flv", "--.flv"]);
    }

    #[test]
    fn a_name_that_comes_again_gets_a_number() {
        let directory = tempfile::tempdir().unwrap();
        let next = || created(directory.path(), b"live", b"x");
        assert_eq!([next(), next(), next()], ["live-x.flv", "live-x-2.flv", "live-x-3.flv"]);
    }

    #[test]
    fn a_name_is_not_too_long_for_a_file_system() {
        let directory = tempfile::tempdir().unwrap();
        let long = vec![b'a'; 70_000];
        created(directory.path(), &long, &long);
        assert!(created(directory.path(), &long, &long).len() < 255);
    }

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
            recording.recorder.take(&Fragment { csid: ChunkStreamId::COMMAND, header, offset, data }).unwrap();
        }
        recording.recorder.finish().unwrap();
        let tags: Vec<Tag> =
            Reader::new(File::open(recording.path).unwrap()).unwrap().map(|tag| tag.unwrap()).collect();
        let expected = [
            (MessageKind::VIDEO, 100, &[0x17, 1, 0, 0, 0][..]),
            (MessageKind::AUDIO, 123, &[0xAF, 1, 7]),
            (MessageKind::DATA, 140, b"\x02\0\x0aonMetaData\x05"),
        ]
        .map(|(kind, timestamp, data)| Tag { kind, timestamp, payload: data.to_vec() });
        assert_eq!(tags, expected);
    }
}
