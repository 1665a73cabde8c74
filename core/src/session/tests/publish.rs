//! A client publishes to a server.

use super::*;
use crate::control::UserControlEvent;

/// A short session, in pieces of `cut` bytes and windows of `window`.
fn session(cut: usize, window: usize) -> Pair {
    let mut pair = Pair::publishing("cam?token=1", cut, window);
    pair.send(MessageKind::DATA, 0, b"\x02\x00\x0D@setDataFrame");
    pair.send(MessageKind::VIDEO, 0, &[0x17; 10_000]);
    pair.send(MessageKind::AUDIO, 23, &[0xAF; 300]);
    pair.send(MessageKind::AUDIO, 46, &[]);
    pair.send(MessageKind::VIDEO, 40, &[0x27; 5_000]);
    pair.run();
    pair.client.close().unwrap();
    pair.run();
    pair
}

#[test]
fn item_006_item_043_a_session_is_the_same_in_all_pieces_and_windows() {
    let whole = session(100_000, 100_000);
    let kind = whole.server_saw[0].clone();
    assert!(matches!(kind, Seen::HandshakeDone(_)));
    let expected = [
        kind,
        Seen::Connect("live".into(), "rtmp://host/live".into()),
        Seen::Publish(1, "cam?token=1".into()),
        Seen::Message(1, 18, 0, b"\x02\x00\x0D@setDataFrame".to_vec()),
        Seen::Message(1, 9, 0, vec![0x17; 10_000]),
        Seen::Message(1, 8, 23, vec![0xAF; 300]),
        Seen::Message(1, 8, 46, vec![]),
        Seen::Message(1, 9, 40, vec![0x27; 5_000]),
        Seen::Ended(1),
    ];
    assert_eq!(whole.server_saw, expected);
    let begin = Seen::User(UserControlEvent::StreamBegin(StreamId(1)));
    assert_eq!(whole.client_saw[1..], [Seen::Connected, begin, Seen::Publishing(1), Seen::Unpublished]);
    assert!(whole.client.is_closed());
    for (cut, window) in [(1, 1), (1, 100_000), (100_000, 1), (7, 3), (1_460, 1_460), (129, 64), (3, 4_097)] {
        let other = session(cut, window);
        assert_eq!(other.server_saw, whole.server_saw, "pieces of {cut}, windows of {window}");
        assert_eq!(other.client_saw, whole.client_saw, "pieces of {cut}, windows of {window}");
        assert_eq!(other.sent, whole.sent, "pieces of {cut}, windows of {window}");
    }
}

#[test]
fn item_001_the_client_sends_nothing_else_before_it_has_s1() {
    let mut client = client();
    client.connect(&OPTIONS).unwrap();
    client.publish("cam").unwrap();
    let (_, output, _) = drive_client(&mut client, &[], 1, 10_000, &mut Collector::default());
    assert_eq!((output.len(), output[0]), (1_537, 3));
}

#[test]
fn item_009_no_chunk_before_the_handshake_is_complete() {
    let mut client = client();
    client.connect(&OPTIONS).unwrap();
    let script = Script::new();
    let (first, last) = script.bytes.split_at(script.bytes.len() - 1);
    let (_, output, _) = drive_client(&mut client, first, 10_000, 10_000, &mut Collector::default());
    assert_eq!(output.len(), 1_537 + 1_536);
    let (seen, output, _) = drive_client(&mut client, last, 10_000, 10_000, &mut Collector::default());
    assert_eq!(seen, [Seen::HandshakeDone(handshake::HandshakeKind::Simple)]);
    assert!(!output.is_empty(), "connect follows");
}

#[test]
fn item_045_item_077_item_080_publishing_in_the_order_of_fmle() {
    let pair = session(10_000, 10_000);
    let expected = [
        ("connect", 1.0, 0, 3),
        ("releaseStream", 2.0, 0, 3),
        ("FCPublish", 3.0, 0, 3),
        ("createStream", 4.0, 0, 3),
        ("publish", 5.0, 1, 8),
        ("FCUnpublish", 6.0, 0, 3),
        ("deleteStream", 7.0, 0, 3),
    ];
    let expected = expected.map(|(name, id, stream, csid)| (name.to_string(), id, stream, csid));
    assert_eq!(commands(&pair.sent[0]), expected);
    for (csid, header, _) in messages(&pair.sent[0]).iter().chain(&messages(&pair.sent[1])) {
        if header.kind.is_control() {
            assert_eq!((*csid, header.stream, header.timestamp), (2, StreamId(0), Timestamp(0)));
        }
    }
}

#[test]
fn item_077_connect_contains_app_type_and_url_and_no_key() {
    let pair = session(10_000, 10_000);
    let (_, _, payload) = &messages(&pair.sent[0])[0];
    let expected = encode(&[
        "connect".into(),
        1.0.into(),
        crate::amf0::Token::ObjectStart,
        crate::amf0::Token::Key("app".into()),
        "live".into(),
        crate::amf0::Token::Key("type".into()),
        "nonprivate".into(),
        crate::amf0::Token::Key("flashVer".into()),
        ConnectOptions::FLASH_VER.into(),
        crate::amf0::Token::Key("tcUrl".into()),
        "rtmp://host/live".into(),
        crate::amf0::Token::End,
    ]);
    assert_eq!(*payload, expected);
}

#[test]
fn item_048_item_049_our_chunk_size_is_announced_before_it_is_used() {
    let pair = session(10_000, 10_000);
    // `messages` applies what it reads: a larger chunk before the announcement would not parse.
    let sizes: Vec<u32> = messages(&pair.sent[0])
        .iter()
        .filter(|(_, header, _)| header.kind == MessageKind::SET_CHUNK_SIZE)
        .map(|(_, _, payload)| u32::from_be_bytes(payload[..].try_into().unwrap()))
        .collect();
    assert_eq!(sizes, [4_096]);
    for size in [0, 1, 127] {
        let config = ClientConfig { chunk_size: size, ..ClientConfig::new() };
        let client = Client::new(buffers(512), config, &[7; 32]).unwrap();
        let mut pair = Pair::new(client, server(), 1_000, 1_000);
        pair.client.connect(&OPTIONS).unwrap();
        pair.run();
        let smallest =
            messages(&pair.sent[0]).into_iter().find(|(_, header, _)| header.kind == MessageKind::SET_CHUNK_SIZE);
        assert_eq!(smallest.unwrap().2, [0, 0, 0, 128], "never less than 128");
    }
}

#[test]
fn item_050_a_ping_is_answered_within_a_large_frame() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10_000).unwrap();
    let payload = [9; 10_000];
    // In the middle of the second chunk of 4,096 bytes.
    let mut stream = vec![0; 5_000];
    let WriteProgress { taken, written, .. } = pair.client.poll_media(csid, &payload, &mut stream);
    assert_eq!(written, 5_000);
    let ping = [0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6, 0xDE, 0xAD, 0xBE, 0xEF];
    assert!(pair.client.next_event(START, &mut &ping[..]).unwrap().is_none());
    assert_eq!(pair.client.poll_transmit(START, &mut [0; 100]), 0, "not within a chunk");
    assert!(!pair.client.wants_transmit());
    let mut out = vec![0; 10_000];
    let WriteProgress { taken: more, written, .. } = pair.client.poll_media(csid, &payload[taken..], &mut out);
    assert_eq!(taken + more, 10_000);
    let pong = [0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 7, 0xDE, 0xAD, 0xBE, 0xEF];
    let place = out[..written].windows(pong.len()).position(|window| window == pong);
    // The second chunk ends when its header, its payload and the bytes before it were written.
    assert_eq!(place, Some(12 + 4_096 + 1 + 4_096 - 5_000));
}

#[test]
fn item_050_audio_is_sent_at_the_end_of_a_chunk_of_video() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let (video, audio) = ([9; 10_000], [8; 100]);
    let client = &mut pair.client;
    let video_csid = client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10_000).unwrap();
    let audio_csid = client.begin_media(MessageKind::AUDIO, StreamId(1), Timestamp(0), 100).unwrap();
    assert_eq!(client.open_chunk(), None);
    assert_eq!(moved(client.poll_media(video_csid, &video, &mut [0; 1_000])), (988, 1_000));
    assert_eq!(client.open_chunk(), Some((video_csid, 4_096 - 988)));
    let mut out = [0; 5_000];
    assert_eq!(moved(client.poll_media(audio_csid, &audio, &mut out)), (0, 0));
    assert_eq!(moved(client.poll_media(video_csid, &video[988..4_096], &mut out)), (4_096 - 988, 4_096 - 988));
    assert_eq!(client.open_chunk(), None);
    assert_eq!(moved(client.poll_media(audio_csid, &audio, &mut out)), (100, 112));
    assert_eq!(moved(client.poll_media(video_csid, &video[4_096..], &mut [0; 1])), (0, 1));
    assert_eq!(client.open_chunk(), Some((video_csid, 4_096)));
}

#[test]
fn the_lent_memory_serves_another_session() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10).unwrap();
    assert_eq!(pair.client.poll_media(csid, &[1; 10], &mut [0; 5]).written, 5);
    let client = Client::<8>::new(pair.client.into_buffers(), ClientConfig::new(), &[1; 32]).unwrap();
    let server = Server::<8>::new(pair.server.into_buffers(), ServerConfig::new(), &[2; 32]).unwrap();
    assert_eq!((client.transmit_len(), server.transmit_len()), (1_537, 0));
}

#[test]
fn item_055_a_flood_of_pings_has_one_answer_pending() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let mut flood = Vec::new();
    for number in 0..10_000_u32 {
        flood.extend_from_slice(&[0x02, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6]);
        flood.extend_from_slice(&number.to_be_bytes());
    }
    let mut input = &flood[..];
    assert!(pair.client.next_event(START, &mut input).unwrap().is_none());
    assert!(input.is_empty());
    let mut out = [0; 1_000];
    assert_eq!(pair.client.poll_transmit(START, &mut out), 18);
    assert_eq!(out[12..18], [0, 7, 0, 0, 0x27, 0x0F], "to the last one");
}

#[test]
fn item_112_a_full_window_takes_nothing() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 100).unwrap();
    assert_eq!(moved(pair.client.poll_media(csid, &[9; 100], &mut [])), (0, 0));
    assert_eq!(pair.client.media_left(csid), Some(100));
    let again = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 5);
    assert_eq!(again, Err(RequestError::MessageOpen(csid)));
    assert_eq!(pair.client.close(), Err(RequestError::State), "a message is never left open");
}

#[test]
fn item_082_media_is_sent_on_the_stream_that_publishes() {
    let mut pair = Pair::new(client(), server(), 1_000, 1_000);
    let begin =
        |pair: &mut Pair, stream| pair.client.begin_media(MessageKind::AUDIO, StreamId(stream), Timestamp(0), 1);
    assert_eq!(begin(&mut pair, 1), Err(RequestError::Stream(StreamId(1))));
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    assert_eq!(begin(&mut pair, 2), Err(RequestError::Stream(StreamId(2))));
    let command = pair.client.begin_media(MessageKind::COMMAND, StreamId(1), Timestamp(0), 1);
    assert_eq!(command, Err(RequestError::MessageKind));
}

#[test]
fn item_087_close_sends_commands_if_a_stream_is_published() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    assert!(!pair.client.is_closed());
    pair.client.close().unwrap();
    assert!(!pair.client.is_closed(), "there are bytes to send");
    pair.run();
    assert_eq!(pair.client_saw.last(), Some(&Seen::Unpublished));
    assert!(pair.client.is_closed() && !pair.client.wants_input());
    // Before a stream is published, there is nothing to send.
    let mut client = client();
    client.close().unwrap();
    assert!(client.is_closed());
}
