use std::io::Cursor;

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::message::{MessageHeader, StreamId, Timestamp};

use super::*;

fn file(tags: &[Tag]) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    for tag in tags {
        writer.write(tag.kind, tag.timestamp, &tag.payload).unwrap();
    }
    let length = writer.length();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Tag>, ReadError> {
    Reader::new(bytes)?.collect()
}

/// The tags of a file, and its faults.
fn read_all(bytes: &[u8]) -> (Vec<Tag>, Vec<Notice>) {
    let mut reader = Reader::new(bytes).unwrap();
    let tags = reader.by_ref().map(Result::unwrap).collect();
    (tags, reader.take_notices())
}

fn tag(kind: MessageKind, timestamp: u32, payload: &[u8]) -> Tag {
    Tag { kind, timestamp, payload: payload.to_vec() }
}

#[test]
fn a_file_is_these_bytes() {
    let bytes = file(&[tag(MessageKind::AUDIO, 0x1234_5678, &[0xAF, 1, 2])]);
    let expected = [
        &b"FLV\x01\x04\0\0\0\x09\0\0\0\0"[..],
        &[8, 0, 0, 3, 0x34, 0x56, 0x78, 0x12, 0, 0, 0, 0xAF, 1, 2, 0, 0, 0, 14],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_written_reads_back() {
    let tags = [
        tag(MessageKind::DATA, 0, b"\x02\0\x0aonMetaData"),
        tag(MessageKind::VIDEO, 0, &[0x17, 0, 0, 0, 0]),
        tag(MessageKind::VIDEO, 0xFF_FFFF, &[0x27; 70_000]),
        tag(MessageKind::AUDIO, 0xFFFF_FFFF, &[]),
    ];
    assert_eq!(read(&file(&tags)).unwrap(), tags);
}

#[test]
fn flags_say_what_is_there() {
    assert_eq!(file(&[])[4], 0);
    assert_eq!(file(&[tag(MessageKind::VIDEO, 0, &[1])])[4], 1);
    assert_eq!(file(&[tag(MessageKind::VIDEO, 0, &[1]), tag(MessageKind::AUDIO, 0, &[1])])[4], 5);
    assert_eq!(file(&[tag(MessageKind::DATA, 0, &[1])])[4], 0);
}

#[test]
fn a_file_cut_anywhere_gives_the_tags_before_the_cut_and_then_says_so() {
    let tags =
        [tag(MessageKind::VIDEO, 0, &[1, 2, 3]), tag(MessageKind::AUDIO, 5, &[4]), tag(MessageKind::AUDIO, 9, &[])];
    let bytes = file(&tags);
    let ends = [13, 13 + 18, 13 + 18 + 16, 13 + 18 + 16 + 15];
    for cut in 0..bytes.len() {
        let Ok(reader) = Reader::new(&bytes[..cut]) else {
            assert!(cut < 9, "{cut}");
            continue;
        };
        let mut reader = reader;
        let whole = reader.by_ref().map(Result::unwrap).count();
        // The last four bytes of a tag are its back pointer. The last tag is complete without it.
        let expected = ends[1..].iter().filter(|end| **end - 4 == cut || **end <= cut).count();
        assert_eq!(whole, expected, "{cut}");
        let clean = cut <= 13 || ends.iter().any(|end| *end == cut || end.wrapping_sub(4) == cut);
        let notices = reader.take_notices();
        assert_eq!(notices.is_empty(), clean, "{cut}");
        assert!(notices.iter().all(|notice| matches!(notice, Notice::Truncated(_))), "{cut}: {notices:?}");
    }
}

#[test]
fn broken_files_are_told_apart() {
    assert!(matches!(read(b"RIFF.........."), Err(ReadError::NotFlv)));
    assert!(matches!(read(b"FLV\x01\x05\0\0\0\x08\0\0\0\0"), Err(ReadError::NotFlv)));
    let good = file(&[tag(MessageKind::VIDEO, 0, &[1, 2, 3])]);
    let mut encrypted = good.clone();
    encrypted[13] |= 0x20;
    assert_eq!(read_all(&encrypted), (vec![], vec![Notice::Encrypted(13)]));
    let clear = tag(MessageKind::VIDEO, 40, &[4, 5]);
    let mixed = [&encrypted[..], &file(std::slice::from_ref(&clear))[13..]].concat();
    assert_eq!(read_all(&mixed), (vec![clear], vec![Notice::Encrypted(13)]));
    let mut long = good.clone();
    long[14..17].copy_from_slice(&[0xFF; 3]);
    assert_eq!(read_all(&long), (vec![], vec![Notice::Truncated(13)]));
}

#[test]
fn item_163_reading_goes_on_after_a_wrong_back_pointer() {
    let tags =
        [tag(MessageKind::VIDEO, 0, &[1, 2, 3]), tag(MessageKind::AUDIO, 5, &[4]), tag(MessageKind::AUDIO, 9, &[])];
    let bytes = file(&tags);
    // The back pointers of the first, the second and the last tag: another value, and zero.
    for (at, tag_at) in [(13 + 14, 13), (13 + 18 + 12, 13 + 18), (13 + 18 + 16 + 11, 13 + 18 + 16)] {
        for value in [[0; 4], [0, 0, 1, 0], [0xFF; 4]] {
            let mut wrong = bytes.clone();
            wrong[at..at + 4].copy_from_slice(&value);
            assert_eq!(read_all(&wrong), (tags.to_vec(), vec![Notice::BackPointer(tag_at)]), "{at} {value:?}");
        }
    }
    let mut first = bytes.clone();
    first[9..13].copy_from_slice(&[9; 4]);
    assert_eq!(read_all(&first), (tags.to_vec(), vec![]));
}

#[test]
fn item_163_garbage_is_skipped() {
    let tags = [tag(MessageKind::VIDEO, 0, &[1, 2, 3]), tag(MessageKind::AUDIO, 5, &[4])];
    let bytes = file(&tags);
    for garbage in [&b"\0"[..], b"garbage", &[0xFF; 100], &[0; 15], &[9; 30], &[8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 7]]
    {
        for (at, count) in [(13, 0), (13 + 18, 1), (13 + 18 + 16, 2)] {
            let mut wrong = bytes.clone();
            wrong.splice(at..at, garbage.iter().copied());
            let (found, notices) = read_all(&wrong);
            assert_eq!(found, tags, "{garbage:?} after {count} tags");
            assert_eq!(notices.len(), 1, "{garbage:?} after {count} tags: {notices:?}");
        }
    }
}

#[test]
fn item_162_metadata_has_the_length_and_the_duration_of_the_file() {
    let number = |number: f64| [&[0][..], &number.to_be_bytes()].concat();
    let property = |key: &str, value: f64| [&[0, key.len() as u8][..], key.as_bytes(), &number(value)].concat();
    let name = b"\x02\0\x0aonMetaData";
    let array = |count: u8, properties: &[Vec<u8>]| {
        [&name[..], &[8, 0, 0, 0, count], &properties.concat(), &[0, 0, 9]].concat()
    };
    let object = |properties: &[Vec<u8>]| [&name[..], &[3], &properties.concat(), &[0, 0, 9]].concat();
    let [width, wrong_size, wrong_duration] =
        [("width", 640.0), ("filesize", 7.0), ("duration", 7.0)].map(|(key, value)| property(key, value));
    for (metadata, expected) in [
        (array(0, &[]), array(2, &[property("filesize", 0.0), property("duration", 2.5)])),
        (
            object(std::slice::from_ref(&width)),
            object(&[property("filesize", 0.0), property("duration", 2.5), width.clone()]),
        ),
        (
            array(2, &[width.clone(), wrong_size.clone()]),
            array(3, &[property("duration", 2.5), width.clone(), property("filesize", 0.0)]),
        ),
        (
            array(2, &[wrong_duration.clone(), width.clone(), wrong_size]),
            array(2, &[property("duration", 2.5), width.clone(), property("filesize", 0.0)]),
        ),
        // This is not metadata.
        (b"\x02\0\x03cueX".to_vec(), b"\x02\0\x03cueX".to_vec()),
        (name.to_vec(), name.to_vec()),
        ([&name[..], &[3, 0, 9]].concat(), [&name[..], &[3, 0, 9]].concat()),
    ] {
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        writer.write_metadata(0, &metadata).unwrap();
        writer.write(MessageKind::AUDIO, 2_500, &[0xAF, 1, 7]).unwrap();
        let length = writer.length();
        let bytes = writer.finish().unwrap().into_inner();
        assert_eq!(bytes.len() as u64, length);
        let found = read(&bytes).unwrap().swap_remove(0).payload;
        let mut expected = expected;
        if let Some(at) = expected.windows(8).position(|window| window == b"filesize") {
            expected[at + 9..][..8].copy_from_slice(&(length as f64).to_be_bytes());
        }
        assert_eq!(found, expected, "{length}");
    }
}

#[test]
fn numbers_are_corrected_in_the_first_metadata_only() {
    let metadata = b"\x02\0\x0aonMetaData\x03\0\0\x09";
    let many = [&metadata[..14], &b"\0\x08duration\0\0\0\0\0\0\0\0\0".repeat(100)[..], b"\0\0\x09"].concat();
    for (first, expected) in [(&metadata[..], 64), (&many, 1)] {
        let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
        writer.write_metadata(0, first).unwrap();
        for _ in 1..1000 {
            writer.write_metadata(0, metadata).unwrap();
        }
        writer.write(MessageKind::AUDIO, 2_500, &[0xAF, 1, 7]).unwrap();
        let tags = read(&writer.finish().unwrap().into_inner()).unwrap();
        let corrected = |tag: &&Tag| tag.payload.windows(8).any(|window| window == 2.5_f64.to_be_bytes());
        assert_eq!(tags.iter().filter(corrected).count(), expected);
        assert!(tags[expected..1000].iter().all(|tag| tag.payload == metadata));
        let numbers = tags[0].payload.windows(8).filter(|window| *window == 2.5_f64.to_be_bytes()).count();
        assert_eq!(numbers, 65 - expected);
    }
}

#[test]
fn only_the_first_steps_of_a_file_are_stored() {
    let mut recorder = Recorder::from_zero(Cursor::new(Vec::new())).unwrap();
    for number in 0..101 {
        let (timestamp, data) = (Timestamp(number % 2 * 1_000_000_000), &[0xAF, 1, 7]);
        let header = MessageHeader { timestamp, length: 3, kind: MessageKind::AUDIO, stream: StreamId(1) };
        recorder.take(&Fragment { csid: ChunkStreamId::COMMAND, header, offset: 0, data }).unwrap();
    }
    assert_eq!((recorder.take_steps().len(), recorder.more_steps()), (8, 92));
    recorder.finish().unwrap();
}

#[test]
fn a_longer_file_header_is_skipped() {
    let mut bytes = file(&[tag(MessageKind::VIDEO, 7, &[1])]);
    bytes[8] = 12;
    bytes.splice(9..9, [0xAA; 3]);
    assert_eq!(read(&bytes).unwrap(), [tag(MessageKind::VIDEO, 7, &[1])]);
}

#[test]
fn the_bundled_clip_is_as_its_readme_says() {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../embassy-demo/clip.flv")).unwrap();
    assert!(bytes.len() <= 200_000);
    let tags = read(&bytes).unwrap();
    let frames = |kind| tags.iter().filter(|tag| tag.kind == kind && !tag.is_configuration()).count();
    // FFmpeg writes an end of sequence after the last picture.
    assert_eq!((frames(MessageKind::VIDEO), frames(MessageKind::AUDIO)), (101, 174));
    assert_eq!(tags.iter().filter(|tag| tag.is_configuration()).count(), 2);
    assert_eq!(tags[0].kind, MessageKind::DATA);
    let keyframes =
        tags.iter().filter(|tag| tag.kind == MessageKind::VIDEO && tag.payload.starts_with(&[0x17, 1])).count();
    assert_eq!(keyframes, 4);
    assert!(tags.iter().any(|tag| tag.kind == MessageKind::VIDEO && tag.payload[2..5] != [0, 0, 0]));
    assert_eq!(file(&tags)[13..], bytes[13..]);
}
