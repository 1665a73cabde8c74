//! Control messages on any stream and cut anywhere, and the answers to them (items 39, 40, 51 to 58).

use super::*;
use crate::command::code;
use crate::control::{Control, UserControlEvent};

/// What a client sees of `script` after the handshake, and the control messages that it sends.
fn client_answers(script: &Script) -> (Vec<Seen>, Vec<Control>) {
    let (seen, output, result) = client_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    (seen[1..].to_vec(), controls(&output))
}

fn server_answers(script: &Script) -> (Vec<Seen>, Vec<Control>) {
    let (seen, output, result) = server_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    (seen[1..].to_vec(), controls(&output))
}

/// The control messages in the output of a session. All must be on chunk stream 2 and message stream 0.
fn controls(output: &[u8]) -> Vec<Control> {
    let controls = messages(output).into_iter().filter(|(_, header, _)| header.kind.is_control());
    controls
        .map(|(csid, header, payload)| {
            assert_eq!((csid, header.stream, header.timestamp), (2, StreamId(0), Timestamp(0)));
            Control::parse(header.kind, &payload).unwrap()
        })
        .collect()
}

/// What a client sends by itself once it is connected.
const CLIENT_SETUP: [Control; 2] = [Control::WindowAckSize(2_500_000), Control::SetChunkSize(4_096)];

fn pong(time: u32) -> Control {
    Control::User(UserControlEvent::PingResponse(time))
}

#[test]
fn item_039_control_on_any_chunk_stream_and_message_stream() {
    for (csid, stream) in [(2, 0), (3, 0), (4, 1), (5, 7), (6, 0xFFFF_FFFF), (64, 0), (320, 0)] {
        let mut script = Script::new();
        script.message(csid, MessageKind::USER_CONTROL, stream, &[0, 6, 1, 2, 3, 4]);
        script.message(csid, MessageKind::SET_CHUNK_SIZE, stream, &[0, 0, 0, 1]);
        script.chunk_size = 1;
        script.connected().message(csid, MessageKind::SET_CHUNK_SIZE, stream, &[0, 0, 0x10, 0]);
        script.chunk_size = 4_096;
        script.result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START);
        let (seen, sent) = client_answers(&script);
        assert_eq!(seen, [Seen::Connected, Seen::Publishing(1)], "chunk stream {csid}, message stream {stream}");
        assert_eq!(sent, [&CLIENT_SETUP[..], &[pong(0x0102_0304)]].concat());
        let mut script = Script::connect();
        script.message(csid, MessageKind::SET_CHUNK_SIZE, stream, &[0, 0, 0, 5]);
        script.chunk_size = 5;
        script.create_stream(2.0).publish(1, "cam");
        assert_eq!(server_answers(&script).0[1..], [Seen::Publish(1, "cam".into())]);
    }
}

#[test]
fn item_040_short_control_messages_are_ignored_by_both_sides() {
    let good: [(MessageKind, &[u8]); 6] = [
        (MessageKind::SET_CHUNK_SIZE, &[0, 0, 0, 1]),
        (MessageKind::ABORT, &[0, 0, 0, 3]),
        (MessageKind::ACKNOWLEDGEMENT, &[0, 0, 0, 9]),
        (MessageKind::WINDOW_ACK_SIZE, &[0, 0, 0, 1]),
        (MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0, 9, 0]),
        (MessageKind::USER_CONTROL, &[0, 6, 0, 0, 0, 1]),
    ];
    let mut shorts = Vec::new();
    for (kind, payload) in good {
        shorts.extend((0..payload.len()).map(|length| (kind, &payload[..length])));
    }
    assert_eq!(shorts.len(), 4 + 4 + 4 + 4 + 5 + 6);
    let (mut to_client, mut to_server) = (Script::new(), Script::connect());
    for (kind, payload) in shorts {
        to_client.control(kind, payload);
        to_server.control(kind, payload);
    }
    to_client.raw(&Script::publishing().bytes[3_073..]);
    assert_eq!(client_answers(&to_client), (vec![Seen::Connected, Seen::Publishing(1)], CLIENT_SETUP.to_vec()));
    to_server.create_stream(2.0).publish(1, "cam");
    let (seen, sent) = server_answers(&to_server);
    assert_eq!(seen[1..], [Seen::Publish(1, "cam".into())]);
    assert_eq!(sent.len(), 4, "window, bandwidth, chunk size, stream begin: {sent:?}");
}

#[test]
fn item_040_extra_bytes_of_control_messages_are_ignored() {
    let mut script = Script::new();
    script.control(MessageKind::USER_CONTROL, &[&[0, 6, 1, 2, 3, 4][..], &[9; 500]].concat());
    script.control(MessageKind::SET_CHUNK_SIZE, &[&[0, 0, 0x10, 0][..], &[9; 500]].concat());
    script.chunk_size = 4_096;
    script.connected().result(4.0, 1.0.into());
    let (seen, sent) = client_answers(&script);
    assert_eq!((seen, sent), (vec![Seen::Connected], [&CLIENT_SETUP[..], &[pong(0x0102_0304)]].concat()));
}

#[test]
fn item_051_item_052_acknowledgements_count_all_received_bytes() {
    for (cut, window) in [(1, 100), (7, 3), (100, 100), (1 << 20, 100)] {
        for announced in [1_u32, 100, 1_000] {
            let mut script = Script::publishing();
            script.control(MessageKind::WINDOW_ACK_SIZE, &announced.to_be_bytes());
            for number in 0..100 {
                script.message_at(number, 6, MessageKind::VIDEO, 1, &[9; 300]);
            }
            let (mut client, mut collector) = (publisher(), Collector::default());
            let (seen, output, result) = drive_client(&mut client, &script.bytes, cut, window, &mut collector);
            assert_eq!((seen.len(), result), (3 + 100, Ok(())));
            let received = (script.bytes.len() - 3_073) as u32;
            assert_eq!(client.bytes_received(), received);
            let mut last = 0;
            for control in &controls(&output)[2..] {
                let Control::Acknowledgement(sequence) = *control else { panic!("{control:?}") };
                assert!(sequence - last >= announced && sequence <= received, "{last} to {sequence} in {cut}");
                assert!(cut > 1 || last == 0 || sequence - last == announced, "{last} to {sequence}");
                last = sequence;
            }
            assert!(received - last < announced.max(312), "the last one is for {last} of {received}");
        }
    }
}

#[test]
fn item_052_no_window_no_acknowledgements() {
    for window in [0_u32, 0x8000_0000, 0xFFFF_FFFF] {
        let mut script = Script::publishing();
        script.control(MessageKind::WINDOW_ACK_SIZE, &10_u32.to_be_bytes());
        script.control(MessageKind::WINDOW_ACK_SIZE, &window.to_be_bytes());
        script.message(6, MessageKind::VIDEO, 1, &[9; 30_000]);
        let sent = client_answers_in_one(&script);
        let acknowledged = sent.iter().filter(|control| matches!(control, Control::Acknowledgement(_))).count();
        assert!(acknowledged <= 1, "window {window:#x}");
    }
}

/// The control messages that a client sends if all of `script` arrives at once.
fn client_answers_in_one(script: &Script) -> Vec<Control> {
    let mut collector = Collector::default();
    let (_, output, result) = drive_client(&mut publisher(), &script.bytes, 1 << 20, 8_192, &mut collector);
    assert_eq!(result, Ok(()));
    controls(&output)
}

#[test]
fn item_052_a_window_of_one_byte_and_a_flood_of_messages_has_one_acknowledgement_pending() {
    let mut script = Script::publishing();
    script.control(MessageKind::WINDOW_ACK_SIZE, &[0, 0, 0, 1]);
    for _ in 0..1_000 {
        script.control(MessageKind::ABORT, &[0, 0, 0, 77]);
    }
    let received = (script.bytes.len() - 3_073) as u32;
    assert_eq!(client_answers_in_one(&script)[2..], [Control::Acknowledgement(received)]);
}

#[test]
fn item_053_no_acknowledgement_of_the_servers_stops_sending() {
    let styles: [&[u32]; 6] = [
        &[0, 0, 0],
        &[2_500_000, 2_500_000, 2_500_000],
        &[0x7FFF_FFFF, 0, 1],
        &[0xFFFF_FFFF, 0x10],
        &[0xEFFF_FFFF, 0xF000_0000, 0],
        &[5, 4, 3, 0xFFFF_0000],
    ];
    for sequences in styles {
        let mut pair = Pair::publishing("cam", 1_000, 1_000);
        for (number, sequence) in sequences.iter().enumerate() {
            let mut script = Script::new();
            script.control(MessageKind::ACKNOWLEDGEMENT, &sequence.to_be_bytes());
            let mut collector = Collector::default();
            let (_, _, result) = drive_client(&mut pair.client, &script.bytes[3_073..], 3, 100, &mut collector);
            assert_eq!((result, pair.client.acknowledged()), (Ok(()), Some(*sequence)));
            pair.send(MessageKind::VIDEO, number as u32, &[7; 60_000]);
            pair.run();
            assert_eq!(pair.server_saw.last(), Some(&Seen::Message(1, 9, number as u32, vec![7; 60_000])));
        }
    }
    // Nor does a window of ours, or the acknowledgement of our own server.
    let mut pair = Pair::publishing("cam", 8_192, 8_192);
    for number in 0..60 {
        pair.send(MessageKind::VIDEO, number, &[7; 60_000]);
        pair.run();
    }
    assert!(pair.client.acknowledged().is_some_and(|sequence| sequence >= 2_500_000));
}

#[test]
fn item_054_a_peer_bandwidth_is_answered_with_a_window() {
    let mut script = Script::publishing();
    script.control(MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0x13, 0x88, 0]);
    script.control(MessageKind::USER_CONTROL, &[0, 0, 0, 0, 0, 1]);
    let (seen, sent) = client_answers(&script);
    assert_eq!(seen[2..], [Seen::User(UserControlEvent::StreamBegin(StreamId(1)))]);
    assert_eq!(sent[2..], [Control::WindowAckSize(5_000)]);
    // The same size again is not answered. Sizes of 0 and less would make FFmpeg close the connection.
    for size in [2_500_000_u32, 0, 0x8000_0000, 0xFFFF_FFFF] {
        for limit in [0, 1, 2, 3] {
            let mut script = Script::publishing();
            script.control(MessageKind::SET_PEER_BANDWIDTH, &[&size.to_be_bytes()[..], &[limit]].concat());
            assert_eq!(client_answers(&script).1, CLIENT_SETUP, "{size:#x}, {limit}");
        }
    }
    let mut script = Script::publisher();
    script.control(MessageKind::SET_PEER_BANDWIDTH, &[0, 0, 0x13, 0x88, 0]);
    assert_eq!(server_answers(&script).1[4..], [Control::WindowAckSize(5_000)]);
}

#[test]
fn item_055_a_ping_is_answered_with_its_own_bytes() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let ping = [0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0x80, 0xFF, 0x00, 0x7F];
    let mut expected = ping;
    expected[13] = 7;
    for (cut, window) in [(100, 100), (1, 1), (5, 7)] {
        let answer = drive_client(&mut pair.client, &ping, cut, window, &mut Collector::default());
        assert_eq!(answer, (vec![], expected.to_vec(), Ok(())));
        let answer = drive_server(&mut pair.server, &ping, cut, window, &mut Collector::default());
        assert_eq!(answer, (vec![], expected.to_vec(), Ok(())));
    }
}

#[test]
fn item_055_item_114_a_flood_of_pings_does_not_occupy_the_room_of_an_answer() {
    let mut script = Script::new();
    for number in 0..1_000_u32 {
        script.control(MessageKind::USER_CONTROL, &[&[0, 6][..], &number.to_be_bytes()].concat());
    }
    let mut to_server = script.clone();
    script.raw(&Script::publishing().bytes[3_073..]);
    let (mut client, mut collector) = (publisher(), Collector::default());
    let (seen, output, result) = drive_client(&mut client, &script.bytes, 1 << 20, 8_192, &mut collector);
    assert_eq!((result, &seen[1..]), (Ok(()), &[Seen::Connected, Seen::Publishing(1)][..]));
    let pongs = controls(&output).iter().filter(|control| matches!(control, Control::User(_))).count();
    assert_eq!((pongs, commands(&output).len()), (1, 5));
    to_server.raw(&Script::publisher().bytes[3_073..]);
    let (seen, output, result) = drive_server(&mut server(), &to_server.bytes, 1 << 20, 8_192, &mut collector);
    assert_eq!((result, seen.last()), (Ok(()), Some(&Seen::Publish(1, "cam".into()))));
    assert_eq!(commands(&output).len(), 3);
}

#[test]
fn item_056_item_057_stream_events_are_returned_and_others_ignored() {
    let stream = |event: fn(StreamId) -> UserControlEvent| Seen::User(event(StreamId(0x0102_0304)));
    let told = [
        (0, stream(UserControlEvent::StreamBegin)),
        (1, stream(UserControlEvent::StreamEof)),
        (2, stream(UserControlEvent::StreamDry)),
        (4, stream(UserControlEvent::StreamIsRecorded)),
    ];
    let mut script = Script::publishing();
    for (event, _) in &told {
        script.control(MessageKind::USER_CONTROL, &[0, *event, 1, 2, 3, 4]);
    }
    for event in [5_u8, 7, 8, 0x1A, 0x1B, 0x1F, 0x20, 0x29, 31, 32, 33, 0xFF] {
        for length in [0, 1, 4, 8] {
            script.control(MessageKind::USER_CONTROL, &[&[0, event][..], &[0; 8][..length]].concat());
        }
    }
    script
        .control(MessageKind::USER_CONTROL, &[0, 0x1A, 3])
        .control(MessageKind::USER_CONTROL, &[0x01, 0x06, 0, 0, 0, 1]);
    let (seen, sent) = client_answers(&script);
    assert_eq!(seen[2..], told.map(|(_, event)| event));
    assert_eq!(sent, CLIENT_SETUP);
    let mut script = Script::publisher();
    script.control(MessageKind::USER_CONTROL, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]);
    let expected = UserControlEvent::SetBufferLength { stream: StreamId(1), millis: 3_000 };
    assert_eq!(server_answers(&script).0.last(), Some(&Seen::User(expected)));
}

#[test]
fn item_058_stream_begin_may_arrive_at_any_time_or_never() {
    let begin = |script: &mut Script| {
        script.control(MessageKind::USER_CONTROL, &[0, 0, 0, 0, 0, 1]);
    };
    for place in 0..5 {
        let mut script = Script::new();
        let (result, start) = (1.0.into(), code::PUBLISH_START);
        for step in 0..4 {
            if step == place {
                begin(&mut script);
            }
            match step {
                0 => script.connected(),
                1 => script.result(4.0, result),
                2 => script.status(1, "status", start),
                _ => &mut script,
            };
        }
        let (seen, _) = client_answers(&script);
        let seen: Vec<_> = seen.into_iter().filter(|seen| !matches!(seen, Seen::User(_))).collect();
        assert_eq!(seen, [Seen::Connected, Seen::Publishing(1)], "place {place}");
    }
}
