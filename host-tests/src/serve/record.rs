//! The recording of one stream, and the name of its file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use crate::flv::Recorder;

use embedded_rtmp::relay::StreamName;

/// The most characters of the application, and of the key, in a file's name.
const MAX_PART: usize = 100;

/// The number of names that are tried one after another. If all are taken, a free number is searched by doubling and
/// halving.
const FIRST_NAMES: u32 = 50;

/// The most files of the same name.
const MAX_FILES: u32 = 100_000;

#[derive(Debug)]
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) recorder: Recorder<BufWriter<File>>,
}

impl Recording {
    /// Begins the recording of a stream in a new file, from time 0 on or with unchanged timestamps.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn create(directory: &Path, name: StreamName<'_>, keeps_timestamps: bool) -> io::Result<Self> {
        let (path, file) = create_file(directory, name)?;
        let file = BufWriter::new(file);
        let recorder = if keeps_timestamps { Recorder::new(file)? } else { Recorder::from_zero(file)? };
        Ok(Self { path, recorder })
    }

    /// Removes the file of a stream whose publish was rejected, or that had no media.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// The characters of a text that are safe in a file's name, cut to a maximum length.
fn sanitized(text: &[u8]) -> String {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.iter().copied().filter(harmless).take(MAX_PART).map(char::from).collect()
}

/// The application and the key of a stream: the parts of its name before and after the last slash. They have no query, which
/// may contain a secret.
fn app_and_key(name: StreamName<'_>) -> [Vec<u8>; 2] {
    let mut bytes = vec![0; name.len()];
    let name = name.emit(&mut bytes).unwrap_or_default();
    let slash = name.iter().rposition(|byte| *byte == b'/');
    slash.map_or([vec![], name.to_vec()], |slash| [name[..slash].to_vec(), name[slash + 1..].to_vec()])
}

/// Creates the file for a stream: `APP-KEY.flv`, or `APP-KEY-2.flv` and so on if that exists. An existing file is never
/// overwritten, and a link is not followed.
fn create_file(directory: &Path, name: StreamName<'_>) -> io::Result<(PathBuf, File)> {
    let [app, key] = app_and_key(name).map(|text| sanitized(&text));
    let stem = format!("{app}-{key}");
    let path_of =
        |number| directory.join(if number == 1 { format!("{stem}.flv") } else { format!("{stem}-{number}.flv") });
    let mut first = 1;
    if path_of(FIRST_NAMES).exists() {
        // The work must not grow in proportion to the number of files, so this does not try each name.
        let mut last = FIRST_NAMES;
        while last < MAX_FILES && path_of(last).exists() {
            (first, last) = (last, last * 2);
        }
        while first + 1 < last {
            let middle = first + (last - first) / 2;
            if path_of(middle).exists() { first = middle } else { last = middle }
        }
    }
    for number in first..MAX_FILES {
        let path = path_of(number);
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
        let (path, _) = create_file(directory, StreamName::new(app, key)).unwrap();
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
        assert_eq!(names, ["live-x.flv", "......etc-passwd.flv", "-.flv", "ab-c.flv", "live--_..flv", "--.flv"]);
    }

    #[test]
    fn item_164_no_query_is_in_a_files_name() {
        let directory = tempfile::tempdir().unwrap();
        let next = |app: &[u8], key: &[u8]| created(directory.path(), app, key);
        assert_eq!(next(b"live", b"k?token=SECRET"), "live-k.flv");
        assert_eq!(next(b"live?token=SECRET", b"k?token=OTHER/SECRET"), "live-k-2.flv");
        assert_eq!(next(b"live/k?token=SECRET", b""), "live-k-3.flv");
        assert_eq!(next(b"live/_definst_", b"flv:k.flv?SECRET"), "live-k-4.flv");
        assert_eq!(next(b"app?vhost=SECRET", b""), "-app.flv");
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
        let mut recording = Recording::create(directory.path(), StreamName::new(b"app", b"key"), true).unwrap();
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
