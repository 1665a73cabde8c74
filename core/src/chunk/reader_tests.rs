//! Tests of the reader. Every stream is read whole, cut once at every byte, and one byte at a time: always the same.

use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::message::{Header, Kind, StreamId};

/// A message as it arrived; `payload` is shorter than the header says where it was not finished.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    csid: u32,
    header: Header,
    payload: Vec<u8>,
}

fn message(csid: u32, timestamp: u32, kind: u8, stream: u32, payload: &[u8]) -> Message {
    let length = payload.len() as u32;
    let header = Header { timestamp: Timestamp(timestamp), length, kind: Kind(kind), stream: StreamId(stream) };
    Message { csid, header, payload: payload.to_vec() }
}

type Outcome = (Vec<Message>, Result<(), ReadError>);

/// Reads `pieces` one after the other; applies Set Chunk Size and Abort as a session does.
fn read_pieces<'a>(reader: &mut Reader<4>, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut messages = Vec::new();
    let mut partial: Vec<Message> = Vec::new();
    for mut input in pieces {
        loop {
            let fragment = match reader.next_fragment(&mut input) {
                Ok(Some(fragment)) => fragment,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_fragment(&mut &[0xC3][..]), Err(error), "an error repeats");
                    return (messages, Err(error));
                }
            };
            assert!(!fragment.data.is_empty() || fragment.header.length == 0, "an empty fragment");
            let csid = fragment.csid.value();
            if fragment.is_first() {
                partial.retain(|message| message.csid != csid);
                partial.push(Message { csid, header: fragment.header, payload: Vec::new() });
            }
            let index = partial.iter().position(|message| message.csid == csid).expect("begins with offset 0");
            assert_eq!(partial[index].header, fragment.header);
            assert_eq!(partial[index].payload.len(), fragment.offset as usize);
            partial[index].payload.extend_from_slice(fragment.data);
            if !fragment.is_last() {
                continue;
            }
            let message = partial.remove(index);
            let argument = message.payload.first_chunk().copied().map(u32::from_be_bytes);
            match (message.header.kind, argument) {
                (Kind::SET_CHUNK_SIZE, Some(size)) => {
                    if let Err(error) = reader.set_chunk_size(size) {
                        return (messages, Err(error));
                    }
                }
                (Kind::ABORT, Some(csid)) => {
                    ChunkStreamId::new(csid).into_iter().for_each(|csid| reader.abort(csid));
                    partial.retain(|message| message.csid != csid);
                }
                _ => {}
            }
            messages.push(message);
        }
        assert_eq!(input, b"", "what is not consumed would be lost");
    }
    (messages, Ok(()))
}

/// Reads `stream` in all ways and answers what each of them gave.
fn read_with(new: impl Fn() -> Reader<4>, stream: &[u8]) -> Outcome {
    let whole = read_pieces(&mut new(), [stream].into_iter());
    for size in [1, 2, 3, 5] {
        assert_eq!(read_pieces(&mut new(), stream.chunks(size)), whole, "in pieces of {size}");
    }
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(read_pieces(&mut new(), [front, back].into_iter()), whole, "cut at {cut}");
    }
    whole
}

/// The messages of a stream that is in order.
fn read(stream: &[u8]) -> Vec<Message> {
    let (messages, result) = read_with(Reader::new, stream);
    assert_eq!(result, Ok(()));
    messages
}

/// What a stream that breaks the protocol fails with, and the messages before that.
fn fails(stream: &[u8]) -> (usize, ReadError) {
    let (messages, result) = read_with(Reader::new, stream);
    (messages.len(), result.expect_err("breaks the protocol"))
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A type 0 header with chunk stream `csid` < 64 and message stream 1.
fn full(csid: u8, timestamp: u32, length: u32, kind: u8) -> Vec<u8> {
    let [_, t @ ..] = timestamp.to_be_bytes();
    let [_, l @ ..] = length.to_be_bytes();
    bytes(&[&[csid], &t, &l, &[kind, 1, 0, 0, 0]])
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    bytes(&[&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0], &size.to_be_bytes()])
}

/// `length` bytes that tell their places.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| place as u8 ^ 0x5A).collect()
}

#[test]
fn item_017_every_form_of_a_chunk_stream_id_is_the_same_stream() {
    let stream = bytes(&[
        &[0x01, 0, 0, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'a'],
        &[0xC0, 0, b'b'],
        &[0x01, 255, 255, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'c'],
        &[0xC1, 255, 255, b'd'],
        // A header whose first byte is 0.
        &[0x00, 255, 0, 0, 9, 0, 0, 1, 8, 1, 0, 0, 0, b'e'],
    ]);
    let expected = vec![
        message(64, 5, 8, 1, b"a"),
        message(64, 10, 8, 1, b"b"),
        message(65_599, 5, 8, 1, b"c"),
        message(65_599, 10, 8, 1, b"d"),
        message(319, 9, 8, 1, b"e"),
    ];
    assert_eq!(read(&stream), expected);
}

#[test]
fn item_019_each_type_keeps_what_it_leaves_out() {
    let stream = bytes(&[
        &[4, 0, 0, 100, 0, 0, 2, 8, 7, 0, 0, 0, 1, 2],
        &[0x44, 0, 0, 10, 0, 0, 1, 9, 3],
        &[0x84, 0, 0, 20, 4],
        &[0xC4, 5],
    ]);
    let expected = vec![
        message(4, 100, 8, 7, &[1, 2]),
        message(4, 110, 9, 7, &[3]),
        message(4, 130, 9, 7, &[4]),
        message(4, 150, 9, 7, &[5]),
    ];
    assert_eq!(read(&stream), expected);
}

#[test]
fn item_020_extended_timestamp_field_ffffff() {
    let stream = bytes(&[
        &full(4, 0xFF_FFFF, 1, 8),
        &[0x00, 0xFF, 0xFF, 0xFF, b'a'],
        &full(5, 0xFF_FFFE, 1, 8),
        b"b",
        &full(6, 0xFF_FFFF, 1, 8),
        &[0x01, 0x02, 0x03, 0x04, b'c'],
        // A delta in the extended form, and one that is not: the accumulated time does not decide.
        &[0x86, 0xFF, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0x00, b'd'],
        &[0x86, 0x00, 0x00, 0x01, b'e'],
        &[0xC6, b'f'],
    ]);
    let expected = vec![
        message(4, 0xFF_FFFF, 8, 1, b"a"),
        message(5, 0xFF_FFFE, 8, 1, b"b"),
        message(6, 0x0102_0304, 8, 1, b"c"),
        message(6, 0x0202_0304, 8, 1, b"d"),
        message(6, 0x0202_0305, 8, 1, b"e"),
        message(6, 0x0202_0306, 8, 1, b"f"),
    ];
    assert_eq!(read(&stream), expected);
}

/// A message of 300 bytes with an extended timestamp, whose continuation chunks hold `repeat` after their header.
fn extended(header: &[u8], extended: u32, repeat: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut stream = bytes(&[header, &extended.to_be_bytes()]);
    for (place, chunk) in payload.chunks(128).enumerate() {
        if place > 0 {
            stream.push(0xC0 | header[0] & 0x3F);
            stream.extend_from_slice(repeat);
        }
        stream.extend_from_slice(chunk);
    }
    stream
}

#[test]
fn item_021_type_3_repeats_the_extended_timestamp() {
    let (time, payload) = (0x0100_0000_u32, pattern(300));
    let mut stream = extended(&full(4, 0xFF_FFFF, 300, 9), time, &time.to_be_bytes(), &payload);
    // A new message by type 3: it repeats the field, and its delta is the timestamp before.
    for (place, chunk) in payload.chunks(128).enumerate() {
        let repeated = if place == 0 { time } else { time * 2 };
        stream.extend_from_slice(&bytes(&[&[0xC4], &repeated.to_be_bytes(), chunk]));
    }
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload), message(4, time * 2, 9, 1, &payload)]);
}

#[test]
fn item_022_a_peer_that_does_not_repeat_the_extended_timestamp() {
    let (time, payload) = (0x0100_0000_u32, pattern(300));
    let stream = bytes(&[&extended(&full(4, 0xFF_FFFF, 300, 9), time, &[], &payload), &full(4, 1, 1, 8), b"z"]);
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload), message(4, 1, 8, 1, b"z")]);
}

#[test]
fn item_022_payload_that_equals_the_extended_timestamp() {
    let time = 0x0100_0000_u32;
    // Behind a repeated field only the field is taken away, though the payload begins with the same bytes.
    let mut payload = pattern(300);
    payload[128..132].copy_from_slice(&time.to_be_bytes());
    payload[256..260].copy_from_slice(&time.to_be_bytes());
    let stream = extended(&full(4, 0xFF_FFFF, 300, 9), time, &time.to_be_bytes(), &payload);
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload)]);
    // Once a message was seen without the field, what looks like it is payload.
    let mut payload = pattern(300);
    payload[256..260].copy_from_slice(&time.to_be_bytes());
    let stream = extended(&full(4, 0xFF_FFFF, 300, 9), time, &[], &payload);
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload)]);
}

#[test]
fn item_022_the_last_payload_bytes_are_fewer_than_the_field() {
    // One, two and three bytes are left, with the next chunk's header behind them, or nothing at all.
    for left in 1..=3 {
        let payload = pattern(128 + left);
        let one = extended(&full(4, 0xFF_FFFF, payload.len() as u32, 9), 0x0100_0000, &[], &payload);
        let expected = message(4, 0x0100_0000, 9, 1, &payload);
        assert_eq!(read(&one), vec![expected.clone()]);
        let stream = bytes(&[&one, &full(6, 7, 2, 8), b"xy", &one]);
        assert_eq!(read(&stream), vec![expected.clone(), message(6, 7, 8, 1, b"xy"), expected]);
    }
}

#[test]
fn item_023_after_an_extended_delta_the_delta_or_the_time_is_repeated() {
    let (delta, payload) = (0x0100_0000_u32, pattern(300));
    let first = bytes(&[&full(4, 1_000, 1, 9), b"a"]);
    let header = [0x44, 0xFF, 0xFF, 0xFF, 0, 1, 44, 9];
    for repeat in [delta, delta + 1_000] {
        let stream = bytes(&[&first, &extended(&header, delta, &repeat.to_be_bytes(), &payload)]);
        assert_eq!(read(&stream), vec![message(4, 1_000, 9, 1, b"a"), message(4, delta + 1_000, 9, 1, &payload)]);
    }
}

#[test]
fn item_024_type_3_after_type_0_adds_the_timestamp_or_nothing() {
    let stream = bytes(&[&full(4, 40, 1, 8), b"a", &[0xC4, b'b'], &[0xC4, b'c']]);
    let with = |times: [u32; 3]| {
        times.iter().zip([b"a", b"b", b"c"]).map(|(time, payload)| message(4, *time, 8, 1, payload)).collect::<Vec<_>>()
    };
    assert_eq!(read(&stream), with([40, 80, 120]));
    let zero = || {
        let mut reader = Reader::new();
        reader.set_type_three_delta(TypeThreeDelta::Zero);
        reader
    };
    assert_eq!(read_with(zero, &stream), (with([40, 40, 40]), Ok(())));
}

#[test]
fn item_026_type_0_resets_the_delta() {
    let stream = bytes(&[
        &full(4, 40, 1, 8),
        b"a",
        &[0x84, 0, 0, 5, b'b'],
        &full(4, 1_000, 1, 8),
        b"c",
        &[0x44, 0, 0, 7, 0, 0, 1, 8, b'd'],
        &[0xC4, b'e'],
    ]);
    let times: Vec<u32> = read(&stream).iter().map(|message| message.header.timestamp.0).collect();
    assert_eq!(times, [40, 45, 1_000, 1_007, 1_014]);
}

#[test]
fn item_027_timestamps_wrap_at_2_32() {
    let stream = bytes(&[&full(4, 0xFF_FFFF, 1, 8), &0xFFFF_FFF0_u32.to_be_bytes(), b"a", &[0x84, 0, 0, 0x20, b'b']]);
    assert_eq!(read(&stream), vec![message(4, 0xFFFF_FFF0, 8, 1, b"a"), message(4, 0x10, 8, 1, b"b")]);
}

#[test]
fn item_030_messages_on_three_chunk_streams_interleave() {
    let (video, audio) = (pattern(300), pattern(200));
    let stream = bytes(&[
        &full(4, 1, 300, 9),
        &video[..128],
        &full(6, 2, 200, 8),
        &audio[..128],
        &[0xC4],
        &video[128..256],
        &[2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 1, 2, 3, 4],
        &[0xC6],
        &audio[128..],
        &[0xC4],
        &video[256..],
    ]);
    let expected = vec![message(2, 0, 3, 0, &[1, 2, 3, 4]), message(6, 2, 8, 1, &audio), message(4, 1, 9, 1, &video)];
    assert_eq!(read(&stream), expected);
}

#[test]
fn item_030_a_shorter_message_within_a_longer_one_mixes_nothing() {
    // Reassembly in one buffer for the connection underflows here (rml_rtmp, xiu).
    let long = pattern(200);
    let stream = bytes(&[&full(4, 1, 200, 9), &long[..128], &full(6, 2, 5, 8), b"short", &[0xC4], &long[128..]]);
    assert_eq!(read(&stream), vec![message(6, 2, 8, 1, b"short"), message(4, 1, 9, 1, &long)]);
}

#[test]
fn item_031_a_header_on_an_unfinished_message_begins_anew() {
    // CVE-2016-10191: another length must never extend what is there.
    let long = pattern(128);
    for length in [200_u32, 4, 0xFF_FFFF] {
        let again = pattern(length.min(100) as usize);
        for header in [full(4, 9, length, 9), vec![0x44, 0, 0, 8, 0, (length >> 8) as u8, length as u8, 9]] {
            if length == 0xFF_FFFF && header.len() == 8 {
                continue;
            }
            let stream = bytes(&[&full(4, 1, 200, 9), &long, &header, &again, &full(6, 3, 1, 8), b"x"]);
            let mut reader = Reader::<4>::new();
            let mut input = &stream[..];
            let mut fragments = Vec::new();
            while let Some(fragment) = reader.next_fragment(&mut input).unwrap() {
                fragments.push((fragment.offset, fragment.header.length, fragment.data.len()));
                if fragments.len() == 2 {
                    break;
                }
            }
            let (offset, announced, size) = fragments[1];
            assert_eq!((offset, announced), (0, length));
            assert!(size <= 128 && size as u32 <= length);
        }
    }
    let stream = bytes(&[&full(4, 1, 200, 9), &long, &full(4, 9, 3, 9), b"new", &full(6, 3, 1, 8), b"x"]);
    assert_eq!(read(&stream), vec![message(4, 9, 9, 1, b"new"), message(6, 3, 8, 1, b"x")]);
}

#[test]
fn item_032_a_fresh_chunk_stream_may_begin_with_type_1() {
    // librtmp's ping response.
    let stream = [0x42, 0, 0, 0, 0, 0, 6, 4, 0, 7, 1, 2, 3, 4];
    assert_eq!(read(&stream), vec![message(2, 0, 4, 0, &[0, 7, 1, 2, 3, 4])]);
    for first in [0x85, 0xC5] {
        let error = ReadError::UnknownChunkStream(ChunkStreamId::new(5).unwrap());
        assert_eq!(fails(&bytes(&[&full(4, 1, 1, 8), b"a", &[first, 0, 0, 1, 9, 9]])), (1, error));
    }
}

#[test]
fn item_033_item_035_a_chunk_size_counts_from_the_next_chunk() {
    // It comes within a message of another chunk stream, grows, and shrinks.
    let payload = pattern(600);
    let stream = bytes(&[
        &full(4, 1, 600, 9),
        &payload[..128],
        &set_chunk_size(256),
        &[0xC4],
        &payload[128..384],
        &set_chunk_size(150),
        &[0xC4],
        &payload[384..534],
        &[0xC4],
        &payload[534..],
        &full(6, 2, 150, 8),
        &payload[..150],
    ]);
    let messages = read(&stream);
    assert_eq!(messages[2], message(4, 1, 9, 1, &payload));
    assert_eq!(messages[3], message(6, 2, 8, 1, &payload[..150]));
}

#[test]
fn item_034_chunk_sizes_at_the_limits() {
    for size in [0, 0x8000_0000, 0xFFFF_FFFF] {
        let stream = bytes(&[&full(4, 1, 1, 8), b"a", &set_chunk_size(size), &full(4, 1, 1, 8), b"b"]);
        assert_eq!(fails(&stream), (1, ReadError::ChunkSize(size)));
    }
    let payload = pattern(300);
    for size in [65_537, 0xFF_FFFF, 0x100_0000, 0x7FFF_FFFF] {
        let stream = bytes(&[&set_chunk_size(size), &full(4, 1, 300, 9), &payload]);
        assert_eq!(read(&stream)[1], message(4, 1, 9, 1, &payload));
    }
    let mut stream = bytes(&[&set_chunk_size(1), &full(4, 1, 300, 9), &payload[..1]]);
    payload[1..].iter().for_each(|byte| stream.extend_from_slice(&[0xC4, *byte]));
    assert_eq!(read(&stream)[1], message(4, 1, 9, 1, &payload));
}

#[test]
fn item_036_empty_messages_of_every_kind() {
    let mut stream = Vec::new();
    for kind in 0..=255 {
        stream.extend_from_slice(&full(4, 1, 0, kind));
    }
    stream.extend_from_slice(&[0xC4, 0xC4]);
    let messages = read(&stream);
    assert_eq!(messages.len(), 258);
    assert!(messages.iter().all(|message| message.payload.is_empty()));
}

#[test]
fn item_037_a_message_of_the_greatest_length_streams_through() {
    let mut reader = Reader::<4>::new();
    reader.set_chunk_size(0xFF_FFFF).unwrap();
    let header = full(4, 1, 0xFF_FFFF, 9);
    let body = pattern(4_096);
    assert_eq!(reader.next_fragment(&mut &header[..]), Ok(None));
    let mut received = 0;
    while received < 0xFF_FFFF {
        let mut input = &body[..body.len().min(0xFF_FFFF - received)];
        let fragment = reader.next_fragment(&mut input).unwrap().unwrap();
        assert_eq!(fragment.offset as usize, received);
        received += fragment.data.len();
    }
    assert!(reader.is_at_boundary());
    let mut next = &full(4, 2, 1, 8)[..];
    assert_eq!(reader.next_fragment(&mut next), Ok(None));
}

#[test]
fn item_038_abort_drops_the_unfinished_message() {
    let payload = pattern(200);
    let abort = |csid: u32| bytes(&[&[2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0], &csid.to_be_bytes()]);
    let stream = bytes(&[
        &full(4, 1, 200, 9),
        &payload[..128],
        &abort(4),
        // A new message by type 3: a continuation would end after 72 bytes.
        &[0xC4],
        &payload[..128],
        &[0xC4],
        &payload[128..],
        // Of streams that do not exist, or have no unfinished message.
        &abort(4),
        &abort(0),
        &abort(1),
        &abort(99),
        &abort(u32::MAX),
        &[0xC4],
        &payload[..128],
        &[0xC4],
        &payload[128..],
    ]);
    let media: Vec<Message> = read(&stream).into_iter().filter(|message| message.csid == 4).collect();
    assert_eq!(media, vec![message(4, 2, 9, 1, &payload), message(4, 3, 9, 1, &payload)]);
}

#[test]
fn item_044_more_chunk_streams_than_room_recycle_idle_ones() {
    // One unfinished message stays, whatever else comes and goes.
    let payload = pattern(200);
    let mut stream = bytes(&[&full(4, 1, 200, 9), &payload[..128]]);
    for csid in 5..50 {
        stream.extend_from_slice(&bytes(&[&full(csid, 2, 1, 8), b"x"]));
    }
    stream.extend_from_slice(&bytes(&[&[0xC4], &payload[128..]]));
    let messages = read(&stream);
    assert_eq!(messages.len(), 46);
    assert_eq!(messages[45], message(4, 1, 9, 1, &payload));
}

#[test]
fn item_044_the_chunk_stream_in_use_is_not_the_one_recycled() {
    let mut stream = bytes(&[&full(4, 1, 1, 8), b"a"]);
    for csid in 10..60 {
        stream.extend_from_slice(&bytes(&[&full(csid, 2, 1, 8), b"x", &[0xC4, b'a']]));
    }
    assert_eq!(read(&stream).len(), 101);
}

#[test]
fn item_044_unfinished_messages_on_all_chunk_streams_leave_no_room() {
    let mut stream = Vec::new();
    for csid in 4..9 {
        stream.extend_from_slice(&bytes(&[&full(csid, 1, 200, 9), &[0; 128]]));
    }
    assert_eq!(fails(&stream), (0, ReadError::TooManyChunkStreams(4)));
}

#[test]
fn whether_the_stream_ends_between_messages() {
    let payload = pattern(200);
    let stream = bytes(&[&full(4, 1, 200, 9), &payload[..128], &[0xC4], &payload[128..]]);
    for end in 0..=stream.len() {
        let mut reader = Reader::<4>::new();
        read_pieces(&mut reader, [&stream[..end]].into_iter()).1.unwrap();
        assert_eq!(reader.is_at_boundary(), end == 0 || end == stream.len(), "{end}");
    }
}

#[test]
fn errors_say_what_broke() {
    assert_eq!(format!("{}", ReadError::ChunkSize(0)), "the peer announced a chunk size of 0x0");
}

proptest::proptest! {
    /// Random bytes make the same of every cut, and never more than the stream can hold.
    #[test]
    fn item_114_random_bytes_are_read_the_same_in_any_pieces(stream in proptest::collection::vec(proptest::num::u8::ANY, 0..400), size in 1_usize..40) {
        let whole = read_pieces(&mut Reader::new(), [&stream[..]].into_iter());
        let cut = read_pieces(&mut Reader::new(), stream.chunks(size));
        proptest::prop_assert_eq!(&whole, &cut);
        proptest::prop_assert!(whole.0.iter().map(|message| message.payload.len() + 1).sum::<usize>() <= stream.len());
    }
}
