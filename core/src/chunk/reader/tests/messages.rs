//! Messages: interleaved, restarted, empty, long and aborted; chunk sizes; more chunk streams than room.

use super::*;

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
    // A reassembly with one buffer for the connection underflows here (rml_rtmp, xiu).
    let long = pattern(200);
    let stream = bytes(&[&full(4, 1, 200, 9), &long[..128], &full(6, 2, 5, 8), b"short", &[0xC4], &long[128..]]);
    assert_eq!(read(&stream), vec![message(6, 2, 8, 1, b"short"), message(4, 1, 9, 1, &long)]);
}

#[test]
fn item_031_a_header_on_an_unfinished_message_begins_a_new_message() {
    // CVE-2016-10191: a new length must never extend the stored message.
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
    // Set Chunk Size within a message of another chunk stream: larger, then smaller.
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
        // Abort of chunk streams that do not exist, or have no unfinished message.
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
    // One unfinished message stays, while other chunk streams come and go.
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
fn item_044_as_many_as_there_is_room_for_stay_known() {
    let mut stream = Vec::new();
    for csid in 10..15 {
        stream.extend_from_slice(&bytes(&[&full(csid, 1, 1, 8), b"a"]));
    }
    for csid in [10, 14, 11, 13, 12, 10] {
        stream.extend_from_slice(&[0xC0 | csid, b'b']);
    }
    assert_eq!(read(&stream).len(), 11);
}

#[test]
fn item_044_unfinished_messages_on_all_chunk_streams_leave_no_room() {
    let mut stream = Vec::new();
    for csid in 4..10 {
        stream.extend_from_slice(&bytes(&[&full(csid, 1, 200, 9), &[0; 128]]));
    }
    assert_eq!(fails(&stream), (0, ReadError::TooManyChunkStreams(5)));
}
