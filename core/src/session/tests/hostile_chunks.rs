//! Broken handshakes and chunk streams, and peers that want too much at once.

use super::scripted_client::{connect_seen, said};
use super::*;
use crate::amf0::Token;
use crate::chunk::ReadError;
use crate::command::code;

/// The message streams that are published.
fn published(seen: &[Seen]) -> Vec<u32> {
    let published = |seen: &Seen| if let Seen::Publish(stream, _) = seen { Some(*stream) } else { None };
    seen.iter().filter_map(published).collect()
}

fn publish(key: &str) -> Vec<u8> {
    encode(&["publish".into(), 3.0.into(), Token::Null, key.into(), "live".into()])
}

#[test]
fn item_037_commands_larger_than_the_scratch_are_truncated() {
    for chunk_size in [128, 4_096, 0xFF_FFFF] {
        for extra in [0, 1, 60_000] {
            let mut script = Script::connect();
            script.chunk_size(chunk_size);
            let mut command = publish("large");
            command.resize(1_536 + extra, 5);
            script.message(8, MessageKind::COMMAND, 7, &command).publish(1, "cam");
            let (seen, _, result) = server_sees(&script.bytes);
            assert_eq!((published(&seen), result), (vec![7, 1], Ok(())), "chunks of {chunk_size}, {extra}");
        }
    }
    // A truncated key is treated as missing.
    let mut script = Script::connect();
    script.publish(7, &"k".repeat(1_536)).publish(1, "cam");
    let (seen, output, result) = server_sees(&script.bytes);
    assert_eq!((published(&seen), result), (vec![1], Ok(())));
    assert_eq!(scripted_client::said(&output)[1].3, crate::command::code::PUBLISH_BAD_NAME);
}

#[test]
fn item_037_a_refusal_larger_than_the_scratch_is_recognised() {
    let mut script = Script::new();
    script.error(1.0, crate::command::code::CONNECT_REJECTED, &"no".repeat(1_000));
    let (seen, _, result) = client_sees(&script.bytes);
    let refused = Seen::Refused(Stage::Connect, crate::command::code::CONNECT_REJECTED.into(), "".into());
    assert_eq!((&seen[1..], result), (&[refused][..], Ok(())));
}

#[test]
fn item_030_interleaved_commands_share_the_scratch() {
    let (long, short) = (publish(&"k".repeat(700)), publish(&"s".repeat(200)));
    for chunk_size in [128, 60, 1] {
        let mut script = Script::connect();
        script.chunk_size(chunk_size);
        script.interleave(&[(8, MessageKind::COMMAND, 1, &long), (9, MessageKind::COMMAND, 2, &short)]);
        // These two do not fit together.
        let longer = publish(&"x".repeat(1_000));
        script.interleave(&[(8, MessageKind::COMMAND, 3, &longer), (9, MessageKind::COMMAND, 4, &long)]);
        // There is no room for a third one, even if it arrives in one piece.
        let third = publish("third");
        script.interleave(&[
            (8, MessageKind::COMMAND, 6, &short),
            (9, MessageKind::COMMAND, 7, &short),
            (3, MessageKind::COMMAND, 5, &third),
        ]);
        let (seen, _, result) = server_sees(&script.bytes);
        assert_eq!((published(&seen), result), (vec![2, 1, 3, 6], Ok(())), "chunks of {chunk_size}");
    }
}

#[test]
fn item_038_an_abort_drops_only_its_command() {
    let mut script = Script::connect();
    let begun = &publish(&"x".repeat(300))[..128];
    // A header that announces 400 bytes on chunk stream 8, and one chunk of them.
    let header = [8, 0, 0, 0, 0, 1, 0x90, 20, 1, 0, 0, 0];
    script.raw(&header).raw(begun).control(MessageKind::ABORT, &8_u32.to_be_bytes());
    script.message(8, MessageKind::COMMAND, 2, &publish("whole"));
    for other in [0_u32, 1, 2, 77, u32::MAX] {
        script.control(MessageKind::ABORT, &other.to_be_bytes());
    }
    assert_eq!(published(&server_sees(&script.bytes).0), [2]);
    // A command that begins again, longer or shorter, contains no bytes of the previous one.
    for key in ["s", &"y".repeat(1_000)] {
        let mut script = Script::connect();
        script.raw(&header).raw(begun).message(8, MessageKind::COMMAND, 2, &publish(key));
        let (seen, ..) = server_sees(&script.bytes);
        assert_eq!(seen[1..], [connect_seen(), Seen::Publish(2, key.into())]);
    }
}

#[test]
fn item_031_cve_2016_10191_a_message_that_is_begun_again_with_another_length() {
    let first = [6, 0, 0, 9, 1, 0, 0, 9, 1, 0, 0, 0];
    let restarts: [&[u8]; 4] = [
        &[6, 0, 0, 9, 0, 0, 0x10, 9, 1, 0, 0, 0],
        &[0x46, 0, 0, 9, 0, 0, 0x10, 9],
        &[6, 0, 0, 9, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0],
        &[0x46, 0, 0, 9, 0xFF, 0xFF, 0xFF, 9],
    ];
    let message = |at| Seen::Message(1, 9, at, vec![2; 16]);
    let expected = [vec![message(9)], vec![message(18)], vec![], vec![]];
    for (restart, expected) in restarts.into_iter().zip(expected) {
        let mut script = Script::publisher();
        script.raw(&first).raw(&[1; 128]).raw(restart).raw(&[2; 16]);
        let (seen, _, result) = server_sees(&script.bytes);
        assert_eq!((&seen[3..], result), (&expected[..], Ok(())));
    }
}

#[test]
fn a_control_message_within_two_others_is_an_error() {
    let mut script = Script::connect();
    script.chunk_size(3);
    let ping = [0, 6, 1, 2, 3, 4];
    let event = |csid| (csid, MessageKind::USER_CONTROL, 0, &ping[..]);
    script.interleave(&[event(2), event(3), event(4)]);
    let four = ChunkStreamId::new(4).unwrap();
    assert_eq!(server_sees(&script.bytes).2, Err(SessionError::InterleavedControl(four)));
    // Within one other control message it is not an error.
    let mut script = Script::connect();
    script.chunk_size(3);
    let begin = [0, 0, 0, 0, 0, 1];
    script.interleave(&[(2, MessageKind::USER_CONTROL, 0, &begin), (3, MessageKind::USER_CONTROL, 0, &begin)]);
    assert_eq!(server_sees(&script.bytes).2, Ok(()));
    // Media and commands within one are not errors. One that begins again is dropped.
    let mut script = Script::connect();
    script.chunk_size(3);
    script.interleave(&[(2, MessageKind::USER_CONTROL, 0, &ping), (8, MessageKind::COMMAND, 1, &publish("cam"))]);
    script.raw(&[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0]).raw(&ping[..3]);
    script.message(2, MessageKind::USER_CONTROL, 0, &ping);
    let (seen, output, result) = server_sees(&script.bytes);
    assert_eq!((published(&seen), result), (vec![1], Ok(())));
    let pong = |(_, header, payload): &(u32, MessageHeader, Vec<u8>)| {
        header.kind == MessageKind::USER_CONTROL && payload[1] == 7
    };
    assert!(messages(&output).iter().any(pong));
}

#[test]
fn item_031_control_messages_that_are_cut_off_occupy_no_room() {
    let mut script = Script::new();
    script.connected();
    for csid in [10, 11, 12] {
        // An acknowledgement of 200 bytes is cut after the first chunk. Media on the same chunk stream follows.
        script.raw(&[csid, 0, 0, 0, 0, 0, 200, 3, 0, 0, 0, 0]).raw(&[0; 128]);
        script.message(u32::from(csid), MessageKind::AUDIO, 1, &[0xAF]);
    }
    script.control(MessageKind::WINDOW_ACK_SIZE, &[0, 1, 0, 0]);
    assert_eq!(client_sees(&script.bytes).2, Ok(()));
}

/// Both sides after a handshake, given `bytes`.
fn fails(bytes: &[u8], error: SessionError) {
    let input = [&Script::connect().bytes, bytes].concat();
    assert_eq!(server_sees(&input).2, Err(error), "{bytes:?}");
    let input = [&Script::new().bytes, bytes].concat();
    assert_eq!(client_sees(&input).2, Err(error), "{bytes:?}");
    // The error is final.
    let (mut client, mut collector) = (publisher(), Collector::default());
    assert_eq!(drive_client(&mut client, &input, 1 << 20, 99, &mut collector).2, Err(error));
    assert_eq!(client.next_event(START, &mut &[3][..]).err(), Some(error));
    assert_eq!(client.handle_timeout(START), Err(error));
    assert!(!client.wants_input() && !client.wants_transmit() && client.poll_transmit(START, &mut [0; 9]) == 0);
    assert_eq!(client.publish("cam"), Err(RequestError::State));
}

#[test]
fn item_032_item_034_item_044_invalid_chunk_streams_are_errors() {
    for size in [0, 0x8000_0000, u32::MAX] {
        let mut script = Script::new();
        script.control(MessageKind::SET_CHUNK_SIZE, &u32::to_be_bytes(size)).message(6, MessageKind::VIDEO, 1, &[0; 9]);
        fails(&script.bytes[3_073..], SessionError::Chunk(ReadError::ChunkSize(size)));
    }
    let nine = ChunkStreamId::new(9).unwrap();
    fails(&[0x89, 0, 0, 0], SessionError::Chunk(ReadError::UnknownChunkStream(nine)));
    fails(&[0xC9], SessionError::Chunk(ReadError::UnknownChunkStream(nine)));
    fails(&[0xC1, 0xFF, 0xFF], SessionError::Chunk(ReadError::UnknownChunkStream(ChunkStreamId::MAX)));
    // Ten unfinished messages, where eight have room, and the one that is being read.
    let mut begun = Vec::new();
    for csid in 10..20 {
        begun.extend([csid, 0, 0, 0, 0, 1, 0, 9, 1, 0, 0, 0]);
        begun.extend([7; 128]);
    }
    fails(&begun, SessionError::Chunk(ReadError::TooManyChunkStreams(9)));
}

#[test]
fn item_008_item_094_invalid_handshakes_are_errors() {
    for (garbage, version) in [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b'H'), (&[0; 4_000], 0), (&[32; 9], 32)] {
        for cut in [1, 5, 10_000] {
            let (seen, output, result) = drive_client(&mut publisher(), garbage, cut, 50, &mut Collector::default());
            let error = SessionError::Handshake(handshake::HandshakeError::Version(version));
            assert_eq!((seen, result), (vec![], Err(error)));
            assert!(output.len() <= 1_537);
            let (seen, output, result) = drive_server(&mut server(), garbage, cut, 50, &mut Collector::default());
            assert_eq!((seen, output, result), (vec![], vec![], Err(error)));
        }
    }
    let (_, _, result) = drive_client(&mut publisher(), &[6], 1, 1, &mut Collector::default());
    assert_eq!(result, Err(SessionError::Handshake(handshake::HandshakeError::Encrypted(6))));
    // A good first byte, and noise after it, is a handshake; what follows is a chunk stream, or is not.
    let noise: Vec<u8> = (0..4_000_u32).map(|at| if at == 0 { 3 } else { (at * 7 % 251) as u8 }).collect();
    assert_eq!(client_sees(&noise).0, [Seen::HandshakeDone(handshake::HandshakeKind::Simple)]);
}

#[test]
fn a_client_that_does_not_read_our_answers_is_not_read() {
    let mut script = Script::connect();
    for transaction in 0..10_000_u32 {
        script.create_stream(f64::from(transaction) + 2.0);
    }
    let mut server = server();
    let (mut rest, mut output, mut stalls) = (&script.bytes[..], Vec::new(), 0);
    loop {
        if let Some(ServerEvent::Connect(_)) = server.next_event(START, &mut rest).unwrap() {
            server.accept_connect().unwrap();
            continue;
        }
        if rest.is_empty() && !server.wants_transmit() {
            break;
        }
        // It reads no further input, however often it is called, until it has sent something.
        stalls += 1;
        assert_eq!(server.wants_input(), rest.is_empty() && server.transmit_len() < 128);
        let before = rest.len();
        assert!(server.next_event(START, &mut rest).unwrap().is_none());
        assert_eq!(rest.len(), before);
        assert!(server.transmit_len() <= 3_073 + 700, "the control buffer bounds what waits");
        let mut out = [0; 3_000];
        let written = server.poll_transmit(START, &mut out);
        output.extend_from_slice(&out[..written]);
    }
    assert!(stalls > 1_000);
    let answers = said(&output);
    let expected = (0..10_000).map(|number| f64::from(number) + 2.0);
    assert!(answers[1..].iter().map(|(_, transaction, ..)| *transaction).eq(expected), "none is lost");
    assert_eq!(answers.iter().filter(|(name, ..)| name == "_result").count(), 1 + MESSAGE_STREAMS);
    assert_eq!(answers[MESSAGE_STREAMS + 1].3, code::CALL_FAILED);
}
