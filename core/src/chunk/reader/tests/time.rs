//! Timestamps and deltas, extended or not.

use super::*;

#[test]
fn item_020_extended_timestamp_field_ffffff() {
    let stream = bytes(&[
        &full(4, 0xFF_FFFF, 1, 8),
        &[0x00, 0xFF, 0xFF, 0xFF, b'a'],
        &full(5, 0xFF_FFFE, 1, 8),
        b"b",
        &full(6, 0xFF_FFFF, 1, 8),
        &[0x01, 0x02, 0x03, 0x04, b'c'],
        // One delta in the extended form and one in the short form. The accumulated time does not matter.
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

/// A message of 300 bytes with an extended timestamp, whose later chunks have `repeat` after their header.
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
    // A type 3 header begins a message: it repeats the field, and its delta is the previous timestamp.
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
    // Only the repeated field is removed, even if the payload begins with the same bytes.
    let mut payload = pattern(300);
    payload[128..132].copy_from_slice(&time.to_be_bytes());
    payload[256..260].copy_from_slice(&time.to_be_bytes());
    let stream = extended(&full(4, 0xFF_FFFF, 300, 9), time, &time.to_be_bytes(), &payload);
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload)]);
    // After one header without the field, bytes that look like it are payload.
    let mut payload = pattern(300);
    payload[256..260].copy_from_slice(&time.to_be_bytes());
    let stream = extended(&full(4, 0xFF_FFFF, 300, 9), time, &[], &payload);
    assert_eq!(read(&stream), vec![message(4, time, 9, 1, &payload)]);
}

#[test]
fn item_022_the_last_payload_bytes_are_fewer_than_the_field() {
    // One, two and three bytes are left, followed by the next chunk's header or by nothing.
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
