//! Regression tests for faults that attacks on the sessions found.

use core::time::Duration;

use super::*;
use crate::command::code;

/// The bytes of a scripted peer after its handshake.
fn said(say: impl FnOnce(&mut Script) -> &mut Script) -> Vec<u8> {
    let mut script = Script::new();
    say(&mut script).bytes.split_off(3_073)
}

/// Everything that a session has to send.
fn output(client: &mut Client<'_, 8>) -> Vec<u8> {
    let mut out = vec![0; 5_000];
    let written = client.poll_transmit(START, &mut out);
    out.truncate(written);
    out
}

#[test]
fn item_087_a_second_close_keeps_the_commands_of_the_first() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    pair.client.close().unwrap();
    pair.client.close().unwrap();
    assert!(!pair.client.is_closed(), "there are commands to send");
    pair.run();
    assert!(pair.client.is_closed());
    assert_eq!(pair.server_saw.last(), Some(&Seen::Ended(1)));
}

#[test]
fn item_087_a_client_that_the_server_has_closed_within_a_message_is_closed() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 100).unwrap();
    assert_eq!(pair.client.close(), Err(RequestError::State), "a message is half sent");
    assert_eq!(pair.client.poll_media(csid, &[0; 20], &mut [0; 50]).taken, 20);
    let close = said(|script| script.command(0, &["close".into(), 0.0.into(), crate::amf0::Token::Null]));
    let closed = drive_client(&mut pair.client, &close, 99, 99, &mut Collector::default());
    assert_eq!((closed.0, pair.client.is_closed()), (vec![Seen::Closed], true));
    assert_eq!(pair.client.close(), Ok(()));
}

#[test]
fn a_client_that_is_closed_does_not_connect() {
    let mut client = client();
    client.close().unwrap();
    assert_eq!(client.connect(&OPTIONS), Err(RequestError::State));
    assert_eq!(client.publish("cam"), Err(RequestError::State));
}

#[test]
fn a_publish_that_finds_no_room_changes_nothing() {
    let key = "a-key-of-some-length-that-is-there-twice";
    let mut client: Client<'_, 8> = Client::new(buffers(MIN_CONTROL), ClientConfig::new(), &[7; 32]).unwrap();
    client.connect(&OPTIONS).unwrap();
    let script = Script::new();
    drive_client(&mut client, &script.bytes, 5_000, 5_000, &mut Collector::default()).2.unwrap();
    // The server calls until the client reads no further input, and reads no answers.
    let mut asked = said(|script| {
        for _ in 0..9 {
            script.command(0, &["_onbwcheck".into(), 9.0.into(), crate::amf0::Token::Null]);
        }
        script
    });
    asked.splice(0..0, said(|script| script.connected()));
    let mut input = &asked[..];
    while client.next_event(START, &mut input).unwrap().is_some() {}
    assert!(!client.wants_input());
    assert!(matches!(client.publish(key), Err(RequestError::ControlBuffer(_))));
    let sent = output(&mut client);
    assert!(!sent.windows(13).any(|window| window == b"releaseStream"), "no part of the command was sent");
    client.publish(key).unwrap();
    let sent = output(&mut client);
    for name in ["releaseStream", "FCPublish", "createStream"] {
        assert_eq!(sent.windows(name.len()).filter(|window| *window == name.as_bytes()).count(), 1, "{name}");
    }
}

/// A client whose publishing is refused may try again any number of times, and leaves no streams behind on the server.
#[test]
fn item_083_a_stream_that_was_refused_is_deleted() {
    let mut pair = Pair::new(client(), server(), 100, 100);
    pair.client.connect(&OPTIONS).unwrap();
    let mut collectors: [Collector; 2] = Default::default();
    let (mut to_client, mut refused) = (Vec::new(), 0);
    pair.client.publish("cam").unwrap();
    for _ in 0..200 {
        let (seen, sent, result) = drive_client(&mut pair.client, &to_client, 1_000, 1_000, &mut collectors[0]);
        result.unwrap();
        for event in seen {
            if let Seen::Refused(stage, code, _) = event {
                assert_eq!((stage, &code[..]), (Stage::Publish, code::PUBLISH_BAD_NAME), "after {refused}");
                refused += 1;
                pair.client.publish("cam").unwrap();
            }
        }
        let see = |server: &mut Server<'_, 8>, event: &Seen| match event {
            Seen::Connect(..) => server.accept_connect().unwrap(),
            Seen::Publish(stream, _) => server.reject(StreamId(*stream), code::PUBLISH_BAD_NAME, "no").unwrap(),
            _ => {}
        };
        let server = &mut pair.server;
        let (_, answers, result) = drive(server, &sent, 1_000, 1_000, &mut collectors[1], see);
        result.unwrap();
        to_client = answers;
    }
    assert!(refused > 2 * MESSAGE_STREAMS);
}

#[test]
fn a_slow_application_does_not_count_as_silence_of_the_client() {
    let mut server = server();
    let script = Script::publisher();
    let mut input = &script.bytes[..];
    loop {
        let pending = server.next_event(START, &mut input).unwrap();
        let event = pending.and_then(|event| see_server(event, &mut Collector::default()));
        let mut out = [0; 5_000];
        let _ = server.poll_transmit(START, &mut out);
        match event {
            Some(Seen::Connect(..)) => server.accept_connect().unwrap(),
            Some(Seen::Publish(..)) => break,
            _ => {}
        }
    }
    assert_eq!(server.poll_timeout(), None);
    let later = START + Duration::from_secs(60);
    assert_eq!(server.handle_timeout(later), Ok(()));
    server.accept(StreamId(1)).unwrap();
    assert_eq!(server.handle_timeout(later), Ok(()), "a ping");
    assert!(server.poll_timeout().is_some_and(|deadline| deadline > later));
}

/// Media that begins before its publisher was accepted, or ends after the publisher has left, at every possible place.
#[test]
fn a_message_is_returned_from_its_beginning_or_not_at_all() {
    for (stream, published) in [(1, 1), (0, 1), (7, 1), (2, 1)] {
        let mut script = Script::connect();
        script.create_stream(2.0).create_stream(3.0);
        let video = said(|script| script.message(6, MessageKind::VIDEO, stream, &[9; 300]));
        // Its first chunk, the publisher, its others.
        script.raw(&video[..12 + 128]).publish(published, "cam").raw(&video[12 + 128..]).raw(&video);
        // The same if the publisher leaves and comes back.
        let command = ["closeStream".into(), 0.0.into(), crate::amf0::Token::Null];
        script.raw(&video[..12 + 128]).command(published, &command).publish(published, "cam");
        script.raw(&video[12 + 128..]).raw(&video);
        let (seen, _, result) = server_sees(&script.bytes);
        assert_eq!(result, Ok(()));
        let message = Seen::Message(published, 9, 0, vec![9; 300]);
        let (publish, ended) = (Seen::Publish(published, "cam".into()), Seen::Ended(published));
        assert_eq!(seen[2..], [publish.clone(), message.clone(), ended, publish, message], "stream {stream}");
    }
}

#[test]
fn item_031_abandoned_commands_do_not_occupy_the_room_of_others() {
    let mut script = Script::connect();
    let long = "x".repeat(200);
    let begun = said(|script| script.command(0, &["foo".into(), 0.0.into(), (&long[..]).into()]));
    for csid in [4, 5, 6] {
        // The beginning of a command, and on the same chunk stream a message of another type.
        let at = script.bytes.len();
        script.raw(&begun[..12 + 128]).message(csid, MessageKind::AUDIO, 0, &[9; 10]);
        script.bytes[at] = csid as u8;
    }
    let key = "k".repeat(200);
    script.create_stream(2.0).publish(1, &key);
    let (seen, _, result) = server_sees(&script.bytes);
    assert_eq!((result, seen.last()), (Ok(()), Some(&Seen::Publish(1, key))));
}

#[test]
fn item_048_item_052_announced_sizes_are_in_range() {
    for (asked, chunk, window) in [(0, 128, 1), (u32::MAX, 0xFF_FFFF, 0x7FFF_FFFF)] {
        let said = |output: &[u8]| {
            let controls = messages(output).into_iter().filter(|(_, header, _)| header.kind.is_control());
            controls.map(|(_, header, payload)| (header.kind, payload)).collect::<Vec<_>>()
        };
        let expect = |kind, value: u32| (kind, value.to_be_bytes().to_vec());
        let config = ServerConfig { chunk_size: asked, window: asked, ..ServerConfig::new() };
        let mut server = Server::new(buffers(512), config, &[9; 32]).unwrap();
        let bytes = Script::connect().bytes;
        let (_, sent, _) = drive_server(&mut server, &bytes, 5_000, 5_000, &mut Collector::default());
        let mut bandwidth = expect(MessageKind::SET_PEER_BANDWIDTH, window);
        bandwidth.1.push(2);
        let (size, ours) = (expect(MessageKind::SET_CHUNK_SIZE, chunk), expect(MessageKind::WINDOW_ACK_SIZE, window));
        assert_eq!(said(&sent), [ours.clone(), bandwidth, size.clone()]);
        let config = ClientConfig { chunk_size: asked, window: asked, ..ClientConfig::new() };
        let mut client = Client::new(buffers(512), config, &[9; 32]).unwrap();
        client.connect(&OPTIONS).unwrap();
        let mut script = Script::new();
        script.connected();
        let (_, sent, _) = drive_client(&mut client, &script.bytes, 5_000, 5_000, &mut Collector::default());
        assert_eq!(said(&sent), [ours, size]);
    }
}

/// A strict client with digests reads S2 only after it has sent C2.
#[cfg(feature = "digest")]
#[test]
fn item_012_a_strict_handshake_is_done_when_s2_has_been_read() {
    let config = ClientConfig { handshake: handshake::Style::Digest, strict_handshake: true, ..ClientConfig::new() };
    let mut client: Client<'_, 8> = Client::new(buffers(512), config, &[7; 32]).unwrap();
    client.connect(&OPTIONS).unwrap();
    let mut server = server();
    let (mut seen, mut to_server, mut to_client) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..10_000 {
        let mut input = &to_client[..];
        let pending = client.next_event(START, &mut input).unwrap();
        seen.extend(pending.and_then(|event| see_client(event, &mut Collector::default())));
        if let [Seen::HandshakeDone(kind)] = seen[..] {
            assert!(matches!(kind, handshake::HandshakeKind::Digest(_)));
            assert!(input.is_empty(), "S2 has been read");
        }
        to_client = input.to_vec();
        let (length, mut out) = (client.transmit_len(), [0; 50]);
        let written = client.poll_transmit(START, &mut out);
        assert_eq!(written, length.min(50));
        assert!(written == 50 || client.transmit_len() == 0, "{length} said, {written} given");
        to_server.extend_from_slice(&out[..written]);
        let (_, sent, result) = drive_server(&mut server, &to_server, 99, 99, &mut Collector::default());
        result.unwrap();
        to_server.clear();
        to_client.extend(sent);
    }
    assert_eq!(seen.get(1), Some(&Seen::Connected));
}
