//! Random and damaged streams after a good handshake: no panic, an end, and the same outcome in all pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::amf0::Token;
use crate::command::code;

/// What a publisher sends, as chunks of several sizes.
fn client_bytes() -> Vec<u8> {
    let mut script = Script::publisher();
    script.chunk_size(60).call(0, "releaseStream", 3.0, "cam".into());
    let metadata = encode(&["@setDataFrame".into(), "onMetaData".into(), Token::EcmaArrayStart { len: 0 }, Token::End]);
    script.message(4, MessageKind::DATA, 1, &metadata);
    script.interleave(&[(6, MessageKind::VIDEO, 1, &[0x17; 150]), (4, MessageKind::AUDIO, 1, &[0xAF; 70])]);
    script.message_at(0x0100_0000, 6, MessageKind::VIDEO, 1, &[0x27; 130]);
    script
        .control(MessageKind::USER_CONTROL, &[0, 6, 1, 2, 3, 4])
        .control(MessageKind::WINDOW_ACK_SIZE, &[0, 0, 0, 99]);
    script.create_stream(4.0).publish(2, "mic").message(5, MessageKind::AUDIO, 2, &[0xAF; 9]);
    script.call(0, "FCUnpublish", 6.0, "cam".into()).call(0, "deleteStream", 7.0, 1.0.into());
    script.bytes.split_off(3_073)
}

fn server_bytes() -> Vec<u8> {
    let mut script = Script::new();
    script
        .control(MessageKind::WINDOW_ACK_SIZE, &[0, 0, 1, 0])
        .control(MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 1, 0, 2]);
    script.chunk_size(50).connected().command(0, &["onBWDone".into(), 0.0.into(), Token::Null]);
    script.result(2.0, Token::Undefined).error(3.0, code::CALL_FAILED, "no").result(4.0, 1.0.into());
    script.control(MessageKind::USER_CONTROL, &[0, 0, 0, 0, 0, 1]).status(1, "status", code::PUBLISH_START);
    script.control(MessageKind::USER_CONTROL, &[0, 6, 1, 2, 3, 4]).call(0, "_onbwcheck", 9.0, Token::Null);
    script.control(MessageKind::ACKNOWLEDGEMENT, &[0xF0, 0, 0, 0]).message(5, MessageKind::DATA, 1, &[2, 0, 1, b'x']);
    script.status(1, "error", code::PUBLISH_BAD_NAME).command(0, &["close".into(), 0.0.into()]);
    script.bytes.split_off(3_073)
}

/// A good stream with some bytes changed, a part left out, and a part there twice.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..6);
    let cuts = vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..3);
    (changes, cuts).prop_map(move |(changes, cuts)| {
        let mut bytes = good.clone();
        for (place, value) in changes {
            *place.get_mut(&mut bytes) = value;
        }
        for (one, other, twice) in cuts {
            let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
            let part = one.min(other)..one.max(other).min(one.min(other) + 40);
            let replacement = if twice { [&bytes[part.clone()]; 2].concat() } else { Vec::new() };
            bytes.splice(part, replacement);
        }
        bytes
    })
}

/// Bytes that look like chunks: small headers of all types with small values, and noise.
fn chunks() -> impl Strategy<Value = Vec<u8>> {
    let header = (0..4_u8, 2..9_u8, vec(0..6_u8, 11), 0..25_u8, vec(any::<u8>(), 0..40)).prop_map(
        |(format, csid, mut fields, kind, payload)| {
            fields[6] = kind;
            let length = [11, 7, 3, 0][usize::from(format)];
            [&[format << 6 | csid], &fields[..length], &payload].concat()
        },
    );
    vec(header, 0..40).prop_map(|headers| headers.concat())
}

fn streams(good: fn() -> Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => damaged(good()), 2 => chunks(), 1 => vec(any::<u8>(), 0..300)]
}

/// What must not depend on the pieces: events, the error, and which commands are sent.
type Outcome = (Vec<Seen>, Result<(), SessionError>, Vec<(String, f64, u32, u32)>);

fn outcome((seen, output, result): Driven) -> Outcome {
    // What was due when a session failed depends on when it was asked.
    let said = if result.is_ok() { commands(&output) } else { Vec::new() };
    (seen, result, said)
}

fn client_outcome(bytes: &[u8], cut: usize, window: usize) -> Outcome {
    let input = [&Script::new().bytes, bytes].concat();
    let (mut client, mut collector) = (publisher(), Collector::default());
    let first = drive_client(&mut client, &input[..3_073], 3_073, 8_192, &mut collector);
    outcome(join(first, drive_client(&mut client, &input[3_073..], cut, window, &mut collector)))
}

fn server_outcome(bytes: &[u8], cut: usize, window: usize) -> Outcome {
    let input = [&Script::new().bytes, bytes].concat();
    let (mut server, mut collector) = (server(), Collector::default());
    let first = drive_server(&mut server, &input[..3_073], 3_073, 8_192, &mut collector);
    outcome(join(first, drive_server(&mut server, &input[3_073..], cut, window, &mut collector)))
}

#[test]
fn the_good_streams_are_good() {
    let (seen, result, said) = server_outcome(&client_bytes(), 1 << 20, 8_192);
    assert_eq!((seen.len(), result, said.len()), (10, Ok(()), 9), "{seen:?}");
    let (seen, result, said) = client_outcome(&server_bytes(), 1 << 20, 8_192);
    assert_eq!((seen.len(), result, said.len()), (7, Ok(()), 7), "{seen:?}");
}

proptest! {
    #[test]
    fn item_114_a_server_makes_the_same_of_anything_in_all_pieces(
        bytes in streams(client_bytes), cut in 1..200_usize, window in 1..200_usize,
    ) {
        let whole = server_outcome(&bytes, 1 << 20, 8_192);
        prop_assert_eq!(&server_outcome(&bytes, cut, window), &whole);
        prop_assert_eq!(&server_outcome(&bytes, 1, window), &whole);
    }

    #[test]
    fn item_114_a_client_makes_the_same_of_anything_in_all_pieces(
        bytes in streams(server_bytes), cut in 1..200_usize, window in 1..200_usize,
    ) {
        let whole = client_outcome(&bytes, 1 << 20, 8_192);
        prop_assert_eq!(&client_outcome(&bytes, cut, window), &whole);
        prop_assert_eq!(&client_outcome(&bytes, 1, window), &whole);
    }
}
