use std::format;
use std::vec::Vec;

use super::*;

const TAGS: [Tag<'_>; 4] = [
    Tag { kind: MessageKind::DATA, timestamp: Timestamp(0), data: b"\x02\0\x0aonMetaData" },
    Tag { kind: MessageKind::VIDEO, timestamp: Timestamp(0x0123_4567), data: b"" },
    Tag { kind: MessageKind(15), timestamp: Timestamp(0x00FF_FFFF), data: &[0x17; 300] },
    Tag { kind: MessageKind::AUDIO, timestamp: Timestamp(u32::MAX), data: &[0xAF] },
];

fn header(tag: Tag<'_>) -> TagHeader {
    TagHeader { kind: tag.kind, filtered: false, length: tag.data.len() as u32, timestamp: tag.timestamp }
}

pub(crate) fn body(tags: &[Tag<'_>]) -> Vec<u8> {
    let whole = |tag: &Tag<'_>| [&header(*tag).emit()[..], tag.data, &header(*tag).back_pointer()].concat();
    tags.iter().flat_map(whole).collect()
}

fn file(tags: &[Tag<'_>]) -> Vec<u8> {
    let header = FileHeader { audio: true, video: true, length: 9 };
    [&header.emit()[..], &body(tags)].concat()
}

#[test]
fn a_file_header_is_these_bytes() {
    let bytes = b"FLV\x01\x04\0\0\0\x09\0\0\0\0";
    let header = FileHeader { audio: true, video: false, length: 9 };
    assert_eq!((FileHeader::parse(bytes), header.emit()), (Ok(header), *bytes));
    let video = FileHeader { audio: false, video: true, length: 9 };
    assert_eq!((FileHeader::parse(b"FLV\x01\x01\0\0\0\x09"), video.emit()[4]), (Ok(video), 1));
}

#[test]
fn a_tag_header_is_these_bytes() {
    let bytes = [9, 0x01, 0x02, 0x03, 0x34, 0x56, 0x78, 0x12, 0, 0, 0];
    let header =
        TagHeader { kind: MessageKind::VIDEO, filtered: false, length: 0x01_0203, timestamp: Timestamp(0x1234_5678) };
    assert_eq!((TagHeader::parse(&bytes), header.emit()), (header, bytes));
    assert_eq!(header.back_pointer(), [0x00, 0x01, 0x02, 0x0E]);
    let filtered = TagHeader { filtered: true, ..header };
    assert_eq!((TagHeader::parse(&filtered.emit()), filtered.emit()[0]), (filtered, 0x29));
    // The stream id is 0 by the specification. Other values are ignored.
    assert_eq!(TagHeader::parse(&[9, 1, 2, 3, 0x34, 0x56, 0x78, 0x12, 1, 2, 3]), header);
}

#[test]
fn other_files_are_refused() {
    let not = [&b""[..], b"FLV\x01\x05\0\0\0", b"FLV\x02\x05\0\0\0\x09", b"FLV\x01\x05\0\0\0\x08....", b"RIFF....WAVE"];
    for bytes in not.into_iter().chain([&b"FLV\x01\x05\0\0\0\x0A\0\0\0\0"[..9], b"FLV\x01\x05\xFF\xFF\xFF\xFF\0\0\0\0"])
    {
        assert_eq!(Tags::file(bytes).err(), Some(NotFlv), "{bytes:02x?}");
    }
    assert_eq!(format!("{NotFlv}"), "not an FLV file");
}

#[test]
fn a_longer_file_header_is_skipped() {
    let mut bytes = file(&TAGS);
    bytes[8] = 12;
    bytes.splice(9..9, [0xAA; 3]);
    assert!(Tags::file(&bytes).unwrap().eq(TAGS));
}

#[test]
fn a_file_gives_its_tags_and_those_of_unknown_kinds() {
    let bytes = file(&TAGS);
    let mut tags = Tags::file(&bytes).unwrap();
    assert!(tags.by_ref().eq(TAGS));
    assert!(tags.rest().is_empty() && tags.next().is_none());
}

#[test]
fn item_109_a_truncated_last_tag_is_dropped_wherever_it_is_cut() {
    let bytes = file(&TAGS);
    let mut ends = Vec::from([13]);
    for tag in TAGS {
        ends.push(ends.last().unwrap() + TagHeader::SIZE + tag.data.len() + BACK_POINTER);
    }
    for cut in 0..bytes.len() {
        let Ok(mut tags) = Tags::file(&bytes[..cut]) else {
            assert!(cut < FileHeader::SIZE, "{cut}");
            continue;
        };
        // The back pointer after the last tag may be missing.
        let whole = ends[1..].iter().filter(|end| **end - BACK_POINTER <= cut).count();
        assert!(tags.by_ref().eq(TAGS[..whole].iter().copied()), "{cut}");
        assert_eq!(tags.rest().len(), cut.saturating_sub(ends[whole]), "{cut}");
    }
}

#[test]
fn item_109_back_pointers_are_not_trusted() {
    let mut bytes = file(&TAGS[..1]);
    let end = bytes.len();
    for pointer in [[0; 4], [0xFF; 4], [0, 0, 0, 1]] {
        bytes[end - 4..].copy_from_slice(&pointer);
        let twice = [&bytes[..], &body(&TAGS[1..2])].concat();
        assert!(Tags::file(&twice).unwrap().eq(TAGS[..2].iter().copied()));
    }
}

#[test]
fn item_109_the_first_sub_timestamp_is_the_base() {
    let at = |kind, millis, data| Tag { kind, timestamp: Timestamp(millis), data };
    let inside = [
        at(MessageKind::AUDIO, 0x0100_0000, b"a"),
        at(MessageKind::VIDEO, 0x0100_0028, b"vv"),
        at(MessageKind::AUDIO, 0xFF_FFF0, b""),
    ];
    let bytes = body(&inside);
    for (timestamp, expected) in [(7, [7, 47, 0xFFFF_FFF7]), (u32::MAX, [u32::MAX, 39, 0xFFFF_FFEF])] {
        let tags = Tags::aggregate(Timestamp(timestamp), &bytes);
        assert!(tags.clone().map(|tag| tag.timestamp.0).eq(expected));
        assert!(tags.map(|tag| (tag.kind, tag.data)).eq(inside.map(|tag| (tag.kind, tag.data))));
    }
    assert_eq!(Tags::aggregate(Timestamp(7), &[]).next(), None);
}

#[test]
fn item_109_encrypted_tags_and_aggregates_within_are_left_out() {
    let [first, second, ..] = TAGS;
    let mut filtered = body(&[first]);
    filtered[0] |= 0x20;
    let nested = Tag { kind: MessageKind::AGGREGATE, timestamp: Timestamp(9), data: &filtered };
    let bytes = [&filtered[..], &body(&[nested, second])].concat();
    // The first tag still determines the base.
    let left = Tag { timestamp: Timestamp(100).plus(second.timestamp.0), ..second };
    assert!(Tags::aggregate(Timestamp(100), &bytes).eq([left]));
}
