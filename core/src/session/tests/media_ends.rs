//! Messages that are cancelled or completed, stored keys, sessions that are restarted or closed, and invalid
//! configurations.

use super::*;

/// Passes `input` to the server of `pair`. Returns the messages that it received.
fn received(pair: &mut Pair, input: &[u8]) -> Vec<Seen> {
    let mut collector = Collector::default();
    let (seen, _, result) = drive_server(&mut pair.server, input, 1_000, 1_000, &mut collector);
    result.unwrap();
    seen
}

#[test]
fn a_message_without_further_payload_is_completed_with_zeros() {
    for window in [1, 13, 100, 5_000, 20_000] {
        for taken in [1, 100, 4_096, 4_097, 9_999] {
            let mut pair = Pair::publishing("cam", 1_000, 1_000);
            let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(7), 10_000).unwrap();
            let mut sent = vec![0; 20_000];
            let progress = pair.client.poll_media(csid, &vec![9; taken], &mut sent);
            assert_eq!((progress.taken, progress.done), (taken, false));
            sent.truncate(progress.written);
            while pair.client.media_left(csid).is_some() {
                let mut out = vec![0xEE; window];
                let written = pair.client.complete_media(csid, &mut out);
                assert!(written > 0, "nothing was written");
                sent.extend_from_slice(&out[..written]);
            }
            assert_eq!(pair.client.complete_media(csid, &mut [0; 100]), 0);
            let payload = [vec![9; taken], vec![0; 10_000 - taken]].concat();
            assert_eq!(received(&mut pair, &sent), [Seen::Message(1, 9, 7, payload)], "{taken} in windows of {window}");
            // The next message and the end of the session follow as usual.
            pair.send(MessageKind::VIDEO, 40, &[1; 100]);
            pair.client.close().unwrap();
            pair.run();
            assert_eq!(pair.server_saw[3..], [Seen::Message(1, 9, 40, vec![1; 100]), Seen::Ended(1)]);
        }
    }
}

#[test]
fn a_message_is_cancelled_before_its_first_byte() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    pair.send(MessageKind::VIDEO, 20, &[1; 50]);
    let begin =
        |pair: &mut Pair, at| pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(at), 5_000).unwrap();
    let csid = begin(&mut pair, 40);
    assert!(!pair.client.poll_media(csid, &[2; 5_000], &mut []).done);
    assert!(pair.client.cancel_media(csid));
    assert_eq!((pair.client.media_left(csid), pair.client.cancel_media(csid)), (None, false));
    assert!(pair.client.poll_media(csid, &[2; 5_000], &mut [0; 100]).done);
    // After its first byte it cannot be cancelled.
    let csid = begin(&mut pair, 60);
    let mut out = [0; 1];
    assert_eq!(pair.client.poll_media(csid, &[3; 5_000], &mut out).written, 1);
    assert!(!pair.client.cancel_media(csid));
    let mut rest = vec![0; 6_000];
    let progress = pair.client.poll_media(csid, &[3; 5_000], &mut rest);
    assert!(progress.done);
    pair.run();
    let seen = received(&mut pair, &[&out[..], &rest[..progress.written]].concat());
    assert_eq!(seen, [Seen::Message(1, 9, 60, vec![3; 5_000])]);
    pair.send(MessageKind::VIDEO, 80, &[4; 50]);
    pair.run();
    let expected = [Seen::Message(1, 9, 20, vec![1; 50]), Seen::Message(1, 9, 80, vec![4; 50])];
    assert_eq!(pair.server_saw[3..], expected);
}

#[test]
fn a_session_is_restarted_in_place() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let fresh = |client: &mut Client<'static, 8>| {
        client.connect(&OPTIONS).unwrap();
        client.publish("other").unwrap();
        let mut pair = Pair::new(core::mem::replace(client, super::client()), server(), 1_000, 1_000);
        pair.run();
        assert_eq!(pair.client.publishing(), Some(StreamId(1)));
        pair.send(MessageKind::AUDIO, 3, &[7; 300]);
        pair.client.close().unwrap();
        pair.run();
        (pair.sent, pair.client_saw, pair.server_saw)
    };
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(7), 10_000).unwrap();
    assert_eq!(pair.client.poll_media(csid, &[9; 500], &mut [0; 300]).written, 300);
    // A header that is cut is forgotten, too.
    assert!(pair.client.next_event(START, &mut &[0x04, 0, 0][..]).unwrap().is_none());
    pair.client.restart(ClientConfig::new(), &[7; 32]).unwrap();
    assert_eq!(fresh(&mut pair.client), fresh(&mut client()));
}

#[test]
fn keys_and_names_need_not_outlive_the_call() {
    let mut pair = Pair::new(client(), server(), 1_000, 1_000);
    pair.client.connect(&OPTIONS).unwrap();
    // The later key replaces the previous one.
    for number in 0..20 {
        pair.client.publish(&std::format!("key-{number}")).unwrap();
    }
    pair.run();
    assert_eq!(pair.server_saw[2], Seen::Publish(1, "key-19".into()));
    let written = pair.client.publish(&"k".repeat(200));
    assert_eq!(written, Err(RequestError::State), "the session already publishes");
    let mut client = client();
    assert_eq!(client.publish(&"k".repeat(200)), Err(RequestError::ControlBuffer(400 + 3 + 192 + 203)));
    assert_eq!(client.publish(&"k".repeat(70_000)), Err(RequestError::ControlBuffer(usize::MAX)));
    client.publish(&"k".repeat(100)).unwrap();
}

#[test]
fn a_server_that_closes_tells_publisher_and_players() {
    let mut server = server();
    let (_, before, result) =
        drive_server(&mut server, &players::player().bytes, 999, 9_999, &mut Collector::default());
    result.unwrap();
    let csid = server.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10).unwrap();
    assert_eq!(server.close(), Err(RequestError::State), "a message is never left open");
    assert!(server.cancel_media(csid));
    server.close().unwrap();
    assert!(!server.is_closed() && !server.wants_input(), "there is something to write");
    let mut start = [0; 5];
    assert_eq!(server.poll_transmit(START, &mut start), 5);
    assert_eq!(server.poll_timeout(), Some(Instant::from_millis(11_000)), "the client must take it in time");
    let output = [before, start.to_vec(), drive_server(&mut server, &[], 1, 999, &mut Collector::default()).1].concat();
    assert!(server.is_closed());
    let all = messages(&output);
    let (_, header, payload) = &all[all.len() - 2];
    assert_eq!((header.kind, &payload[..]), (MessageKind::USER_CONTROL, &[0, 1, 0, 0, 0, 1][..]));
    assert_eq!(scripted_client::said(&output).last().unwrap().3, crate::command::code::PLAY_STOP);
    // A publisher.
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    pair.server.close().unwrap();
    let (_, output, _) = drive_server(&mut pair.server, &[], 1, 999, &mut Collector::default());
    let code = crate::command::code::UNPUBLISH_SUCCESS.as_bytes();
    assert!(output.windows(code.len()).any(|window| window == code));
    assert!(pair.server.is_closed());
}

#[test]
fn time_limits_of_zero_are_refused_and_none_is_no_limit() {
    use core::time::Duration;
    for zero in [Duration::ZERO, Duration::from_micros(999)] {
        let mut config = ClientConfig::new();
        config.response_timeout = Some(zero);
        let refused = Client::<8>::new(buffers(512), config, &[7; 32]);
        assert_eq!(refused.err(), Some(ConfigError::TimeLimit));
        assert_eq!(client().restart(config, &[7; 32]), Err(ConfigError::TimeLimit));
        let mut config = ServerConfig::new();
        config.idle_timeout = Some(zero);
        assert_eq!(Server::<8>::new(buffers(512), config, &[7; 32]).err(), Some(ConfigError::TimeLimit));
    }
    for forever in [None, Some(Duration::MAX)] {
        let mut config = ClientConfig::new();
        config.handshake_timeout = forever;
        let mut client = Client::<8>::new(buffers(512), config, &[7; 32]).unwrap();
        client.connect(&OPTIONS).unwrap();
        let _ = client.poll_transmit(START, &mut [0; 9_999]);
        assert_eq!((client.poll_timeout(), client.handle_timeout(Instant::from_millis(u64::MAX))), (None, Ok(())));
    }
}
