//! Tests of the writer. Every message is written into windows of all sizes, with the same bytes in the end.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::chunk::Reader;
use crate::message::{MessageKind, StreamId, Timestamp};

fn csid(id: u32) -> ChunkStreamId {
    ChunkStreamId::new(id).unwrap()
}

fn header(timestamp: u32, kind: MessageKind, stream: u32, length: usize) -> MessageHeader {
    MessageHeader { timestamp: Timestamp(timestamp), length: length as u32, kind, stream: StreamId(stream) }
}

/// Writes a whole message into windows of `window` bytes.
fn put(writer: &mut Writer<4>, id: u32, header: MessageHeader, mut payload: &[u8], window: usize) -> Vec<u8> {
    writer.begin(csid(id), header).unwrap();
    let mut stream = Vec::new();
    while writer.left(csid(id)).is_some() {
        let mut out = vec![0xEE; window];
        let WriteProgress { taken, written, .. } = writer.poll(csid(id), payload, &mut out);
        assert!(written > 0, "nothing was written");
        payload = &payload[taken..];
        stream.extend_from_slice(&out[..written]);
    }
    assert_eq!(payload, b"");
    assert!(writer.is_at_boundary());
    stream
}

/// The bytes of messages, each `(csid, header, payload)`, which must be the same in windows of all sizes.
fn write(chunk_size: u32, messages: &[(u32, MessageHeader, &[u8])]) -> Vec<Vec<u8>> {
    let run = |window| {
        let mut writer = Writer::<4>::new();
        writer.set_chunk_size(chunk_size);
        messages.iter().map(|(id, header, payload)| put(&mut writer, *id, *header, payload, window)).collect::<Vec<_>>()
    };
    let whole = run(100_000);
    for window in [1, 2, 3, 7, 64, 129, 130, 1_460] {
        assert_eq!(run(window), whole, "windows of {window}");
    }
    whole
}

#[test]
fn item_045_the_first_header_has_all_fields() {
    let written = write(128, &[(6, header(40, MessageKind::VIDEO, 1, 3), b"abc")]);
    assert_eq!(written[0], [&[6, 0, 0, 40, 0, 0, 3, 9, 1, 0, 0, 0][..], b"abc"].concat());
}

#[test]
fn item_046_continuation_headers_have_the_form_of_the_first() {
    let payload = [7; 5];
    for (id, first, more) in [
        (6, &[0x06][..], &[0xC6][..]),
        (64, &[0x00, 0], &[0xC0, 0]),
        (319, &[0x00, 255], &[0xC0, 255]),
        (320, &[0x01, 0, 1], &[0xC1, 0, 1]),
        (65_599, &[0x01, 255, 255], &[0xC1, 255, 255]),
    ] {
        let written = write(2, &[(id, header(0, MessageKind::VIDEO, 1, 5), &payload)]);
        let fields: &[u8] = &[0, 0, 0, 0, 0, 5, 9, 1, 0, 0, 0];
        assert_eq!(written[0], [first, fields, &[7, 7], more, &[7, 7], more, &[7]].concat());
    }
}

#[test]
fn item_047_the_extended_timestamp_is_in_every_chunk() {
    let payload = [7; 5];
    let written = write(2, &[(6, header(0x0102_0304, MessageKind::VIDEO, 1, 5), &payload)]);
    let time = [1, 2, 3, 4];
    let fields: &[u8] = &[6, 255, 255, 255, 0, 0, 5, 9, 1, 0, 0, 0];
    assert_eq!(written[0], [fields, &time, &[7, 7], &[0xC6], &time, &[7, 7], &[0xC6], &time, &[7]].concat());
}

#[test]
fn item_020_ffffff_is_extended_and_fffffe_is_not() {
    let one = |timestamp| write(128, &[(6, header(timestamp, MessageKind::VIDEO, 1, 1), b"a")]).remove(0);
    assert_eq!(one(0xFF_FFFE)[..4], [6, 0xFF, 0xFF, 0xFE]);
    assert_eq!(one(0xFF_FFFF)[12..], [0x00, 0xFF, 0xFF, 0xFF, b'a']);
}

#[test]
fn item_025_a_delta_is_sent_before_type_3_repeats_it() {
    let audio = |timestamp| header(timestamp, MessageKind::AUDIO, 1, 1);
    let written = write(
        128,
        &[
            (4, audio(23), b"a"),
            (4, audio(46), b"b"),
            (4, audio(69), b"c"),
            (4, audio(93), b"d"),
            (4, header(117, MessageKind::AUDIO, 1, 2), b"ee"),
            (4, header(141, MessageKind::AUDIO, 1, 2), b"ff"),
            (4, header(141, MessageKind::AUDIO, 2, 2), b"gg"),
            (4, header(141, MessageKind::AUDIO, 2, 2), b"hh"),
        ],
    );
    let firsts: Vec<u8> = written.iter().map(|message| message[0]).collect();
    // The delta is equal to the first timestamp. Only some readers would understand type 3 here.
    assert_eq!(firsts, [0x04, 0x84, 0xC4, 0x84, 0x44, 0xC4, 0x04, 0x84]);
}

#[test]
fn item_029_time_that_goes_back_takes_a_full_header() {
    let video = |timestamp| header(timestamp, MessageKind::VIDEO, 1, 1);
    let written = write(
        128,
        &[(6, video(100), b"a"), (6, video(60), b"b"), (6, video(0xFFFF_FFF0), b"c"), (6, video(0x10), b"d")],
    );
    // The time goes back from 60 to 0xFFFF_FFF0, and forward from there to 0x10.
    let firsts: Vec<u8> = written.iter().map(|message| message[0]).collect();
    assert_eq!(firsts, [0x06, 0x06, 0x06, 0x86]);
}

#[test]
fn a_delta_that_would_be_extended_takes_a_full_header() {
    let video = |timestamp| header(timestamp, MessageKind::VIDEO, 1, 1);
    let written = write(128, &[(6, video(0), b"a"), (6, video(0xFF_FFFE), b"b"), (6, video(0x1FF_FFFD), b"c")]);
    assert_eq!(written[1][..4], [0x86, 0xFF, 0xFF, 0xFE]);
    assert_eq!(written[2][..4], [0x06, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn item_036_an_empty_message_is_its_header() {
    assert_eq!(write(128, &[(4, header(0, MessageKind::AUDIO, 1, 0), b"")])[0], [4, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0, 0]);
}

#[test]
fn item_050_audio_passes_between_the_chunks_of_a_video_frame() {
    let mut writer = Writer::<4>::new();
    let (video, audio) = ([9; 300], [8; 4]);
    writer.begin(csid(6), header(0, MessageKind::VIDEO, 1, 300)).unwrap();
    writer.begin(csid(4), header(0, MessageKind::AUDIO, 1, 4)).unwrap();
    let mut out = [0; 12 + 100];
    assert_eq!(moved(writer.poll(csid(6), &video, &mut out)), (100, 112));
    // Within a chunk, no other message can be written.
    assert_eq!(moved(writer.poll(csid(4), &audio, &mut [0; 50])), (0, 0));
    assert_eq!(moved(writer.poll(csid(6), &video[100..], &mut [0; 28])), (28, 28));
    let mut out = [0; 16];
    assert_eq!(moved(writer.poll(csid(4), &audio, &mut out)), (4, 16));
    assert_eq!(out, [4, 0, 0, 0, 0, 0, 4, 8, 1, 0, 0, 0, 8, 8, 8, 8]);
    assert_eq!(moved(writer.poll(csid(6), &video[128..], &mut [0; 500])), (172, 174));
    assert!(!writer.has_open());
}

#[test]
fn payload_may_be_handed_over_in_parts() {
    let mut writer = Writer::<4>::new();
    writer.begin(csid(6), header(0, MessageKind::VIDEO, 1, 6)).unwrap();
    let mut out = [0; 100];
    assert_eq!(moved(writer.poll(csid(6), &[], &mut out)), (0, 0), "no header before there is payload");
    assert_eq!(moved(writer.poll(csid(6), &[1, 2], &mut out)), (2, 14));
    assert_eq!(writer.left(csid(6)), Some(4));
    assert_eq!(moved(writer.poll(csid(6), &[3, 4, 5, 6, 99], &mut out)), (4, 4), "what is too much is left");
    assert_eq!(writer.left(csid(6)), None);
}

#[test]
fn invalid_messages_cannot_begin() {
    let mut writer = Writer::<1>::new();
    let one = header(0, MessageKind::VIDEO, 1, 1);
    assert_eq!(
        writer.begin(csid(6), header(0, MessageKind::VIDEO, 1, 0x100_0000)),
        Err(WriteError::TooLong(0x100_0000))
    );
    writer.begin(csid(6), one).unwrap();
    assert_eq!(writer.begin(csid(6), one), Err(WriteError::MessageOpen(csid(6))));
    assert_eq!(writer.begin(csid(4), one), Err(WriteError::TooManyChunkStreams(1)));
    assert_eq!(moved(writer.poll(csid(4), b"a", &mut [0; 20])), (0, 0));
}

#[test]
fn a_chunk_stream_without_an_open_message_makes_room() {
    let mut writer = Writer::<1>::new();
    let one = header(0, MessageKind::VIDEO, 1, 1);
    for id in [6, 6, 4, 6] {
        writer.begin(csid(id), one).unwrap();
        assert_eq!(writer.poll(csid(id), b"a", &mut [0; 20]).taken, 1);
    }
    let mut out = [0; 20];
    writer.begin(csid(4), one).unwrap();
    assert_eq!(moved(writer.poll(csid(4), b"a", &mut out)), (1, 13), "what is forgotten takes a full header");
}

/// Reads messages back as `(csid, header, payload)`.
fn read(chunk_size: u32, mut stream: &[u8]) -> Vec<(u32, MessageHeader, Vec<u8>)> {
    let mut reader = Reader::<4>::new();
    reader.set_chunk_size(chunk_size).unwrap();
    let mut messages: Vec<(u32, MessageHeader, Vec<u8>)> = Vec::new();
    while let Some(fragment) = reader.next_fragment(&mut stream).unwrap() {
        if fragment.is_first() {
            messages.push((fragment.csid.value(), fragment.header, Vec::new()));
        }
        messages.last_mut().unwrap().2.extend_from_slice(fragment.data);
    }
    messages
}

proptest::proptest! {
    /// The reader reads what the writer wrote, for random messages, chunk sizes and windows.
    #[test]
    fn what_is_written_is_read(
        messages in proptest::collection::vec((2_u32..70, proptest::num::u32::ANY, 0_u8..3, 0_usize..600, 1_u32..3), 1..20),
        chunk_size in 1_u32..300,
        window in 1_usize..700,
    ) {
        let mut writer = Writer::<4>::new();
        writer.set_chunk_size(chunk_size);
        let (mut stream, mut expected, mut time) = (Vec::new(), Vec::new(), 0_u32);
        for (id, step, kind, length, message_stream) in messages {
            // Mostly small steps, like media. Some are huge, some go back.
            time = if step % 8 == 0 { step } else { time.wrapping_add(step % 50) };
            let (id, payload) = (2 + id % 4 * 20, vec![step as u8; length]);
            let header = header(time, MessageKind(8 + kind), message_stream, length);
            stream.extend_from_slice(&put(&mut writer, id, header, &payload, window));
            expected.push((id, header, payload));
        }
        proptest::prop_assert_eq!(read(chunk_size, &stream), expected);
    }
}
