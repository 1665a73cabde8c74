//! Deadlines with a fake clock: when each side fails, and what `poll_timeout` returns.

use core::time::Duration;

use super::*;
use crate::amf0::Token;
use crate::command::code;

const fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Passes bytes to a session at the time `now`, and returns its output.
fn feed<R: Watch>(session: &mut Connection<'_, R, 8>, now: Instant, mut input: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    let (mut seen, mut output) = (Vec::new(), Vec::new());
    loop {
        let pending = session.next_event(now, &mut input).unwrap();
        let event = pending.and_then(|event| R::see(event, &mut Collector::default()));
        let mut out = [0; 5_000];
        let written = session.poll_transmit(now, &mut out);
        output.extend_from_slice(&out[..written]);
        if event.is_none() && written == 0 {
            return (seen, output);
        }
        seen.extend(event);
    }
}

fn feed_client(client: &mut Client<'_, 8>, now: Instant, bytes: &[u8]) -> Vec<Seen> {
    feed(client, now, bytes).0
}

fn feed_server(server: &mut Server<'_, 8>, now: Instant, bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
    feed(server, now, bytes)
}

/// What a scripted peer says after its handshake.
fn said(say: impl FnOnce(&mut Script) -> &mut Script) -> Vec<u8> {
    let mut script = Script::new();
    say(&mut script).bytes.split_off(3_073)
}

/// Checks that the session fails at `deadline` and not before, and that the error is final.
fn gives_up<R: Role>(session: &mut Connection<'_, R, 8>, deadline: Instant, stage: Stage) {
    assert_eq!(session.poll_timeout(), Some(deadline));
    let before = Instant::from_micros(deadline.as_micros() - 1);
    assert_eq!(session.handle_timeout(before), Ok(()));
    assert_eq!(session.poll_timeout(), Some(deadline));
    let error = SessionError::TimedOut(stage);
    assert_eq!(session.handle_timeout(deadline), Err(error));
    assert_eq!(session.handle_timeout(deadline), Err(error));
    assert_eq!(session.next_event(deadline, &mut &[3_u8][..]).err(), Some(error));
    assert_eq!(session.poll_transmit(deadline, &mut [0; 9]), 0);
    assert!(!session.wants_input() && !session.wants_transmit());
}

#[test]
fn item_016_a_client_has_a_deadline_for_each_step() {
    let config = ClientConfig {
        handshake_timeout: Some(Duration::from_millis(300)),
        response_timeout: Some(Duration::from_millis(50)),
        ..ClientConfig::new()
    };
    let connected = said(Script::connected);
    let created = said(|script| script.result(4.0, 1.0.into()));
    let started = said(|script| script.status(1, "status", code::PUBLISH_START));
    let answers = [(at(1_200), &Script::new().bytes), (at(1_240), &connected), (at(1_280), &created)];
    let stages = [Stage::Handshake, Stage::Connect, Stage::CreateStream, Stage::Publish];
    for (step, stage) in stages.into_iter().enumerate() {
        let mut client = Client::<8>::new(buffers(512), config, &[7; 32]).unwrap();
        client.connect(&OPTIONS).unwrap();
        client.publish("cam").unwrap();
        assert_eq!(client.poll_timeout(), None, "the deadline starts with the first call that has the time");
        feed_client(&mut client, START, &[]);
        let mut deadline = at(1_300);
        for (now, bytes) in &answers[..step] {
            assert_eq!(client.poll_timeout(), Some(deadline));
            feed_client(&mut client, *now, bytes);
            deadline = *now + Duration::from_millis(50);
        }
        gives_up(&mut client, deadline, stage);
    }
    let mut client = Client::<8>::new(buffers(512), config, &[7; 32]).unwrap();
    feed_client(&mut client, START, &answers[0].1[..3_000]);
    assert_eq!(client.poll_timeout(), Some(at(1_300)), "slow input does not extend the deadline of the handshake");
    feed_client(&mut client, at(1_299), &answers[0].1[3_000..]);
    assert_eq!(client.poll_timeout(), Some(at(1_349)), "the application must ask for something in this time");
    client.connect(&OPTIONS).unwrap();
    assert!(
        client.poll_transmit(at(5_000), &mut [0; 1]) == 1,
        "the clock runs when it is said, not when the answer is read"
    );
    assert_eq!(client.poll_timeout(), Some(at(5_050)));
    feed_client(&mut client, at(5_005), &[]);
    feed_client(&mut client, at(5_010), &connected);
    assert_eq!(client.poll_timeout(), Some(at(95_010)), "nothing is asked for");
    client.publish("cam").unwrap();
    feed_client(&mut client, at(6_000), &[]);
    assert_eq!(client.poll_timeout(), Some(at(6_050)));
    // Other messages of the server are not an answer.
    let other = said(|script| script.result(2.0, Token::Undefined).control(MessageKind::USER_CONTROL, &[0; 6]));
    feed_client(&mut client, at(6_040), &other);
    assert_eq!(client.poll_timeout(), Some(at(6_050)));
    feed_client(&mut client, at(6_049), &created);
    feed_client(&mut client, at(6_090), &started);
    assert_eq!((client.publishing(), client.poll_timeout()), (Some(StreamId(1)), Some(at(96_090))));
}

#[test]
fn a_client_that_is_refused_has_a_deadline_for_each_new_try() {
    let mut client = publisher();
    let bytes = said(|script| script.connected().result(4.0, 1.0.into()).status(1, "error", code::PUBLISH_BAD_NAME));
    feed_client(&mut client, START, &[Script::new().bytes, bytes].concat());
    assert_eq!(client.poll_timeout(), Some(at(91_000)), "it is connected");
    client.publish("other").unwrap();
    feed_client(&mut client, at(7_000), &[]);
    gives_up(&mut client, at(17_000), Stage::CreateStream);
}

const CONFIG: ServerConfig = ServerConfig {
    connect_timeout: Some(Duration::from_millis(100)),
    idle_timeout: Some(Duration::from_millis(1_000)),
    request_timeout: None,
    ..ServerConfig::new()
};

fn timed_server() -> Server<'static, 8> {
    Server::new(buffers(512), CONFIG, &[9; 32]).unwrap()
}

#[test]
fn item_016_a_server_has_a_deadline_for_connect() {
    let bytes = Script::connect().bytes;
    let mut server = timed_server();
    assert_eq!(server.poll_timeout(), None, "the deadline starts with the first call that has the time");
    feed_server(&mut server, START, &[]);
    feed_server(&mut server, at(1_090), &bytes[..3_072]);
    gives_up(&mut server, at(1_100), Stage::Handshake);
    let mut server = timed_server();
    assert_eq!(server.poll_transmit(START, &mut [0; 1]), 0);
    assert_eq!(server.poll_timeout(), Some(at(1_100)));
    feed_server(&mut server, at(1_050), &bytes[..3_073]);
    let ping = said(|script| script.control(MessageKind::USER_CONTROL, &[0, 6, 0, 0, 0, 0]));
    feed_server(&mut server, at(1_140), &ping);
    gives_up(&mut server, at(1_150), Stage::Connect);
}

/// A server with a connected client, which last sent something at the start.
fn open_server() -> Server<'static, 8> {
    let mut server = timed_server();
    feed_server(&mut server, START, &Script::connect().bytes);
    assert_eq!(server.poll_timeout(), None, "the application may take its time");
    assert_eq!(server.handle_timeout(at(900_000)), Ok(()));
    server.accept_connect().unwrap();
    assert!(!feed_server(&mut server, START, &[]).1.is_empty());
    server
}

/// The output of a server at its next deadline.
fn at_deadline(server: &mut Server<'_, 8>, deadline: Instant) -> Vec<u8> {
    assert_eq!(server.poll_timeout(), Some(deadline));
    server.handle_timeout(deadline).unwrap();
    feed_server(server, deadline, &[]).1
}

fn ping(now: Instant) -> Vec<u8> {
    let time = (now.as_micros() as u32).to_be_bytes();
    [&[2, 0, 0, 0, 0, 0, 6, 4, 0, 0, 0, 0, 0, 6], &time[..]].concat()
}

#[test]
fn item_055_a_server_pings_a_silent_client_and_then_fails() {
    let mut server = open_server();
    assert_eq!(server.handle_timeout(at(1_499)), Ok(()));
    assert!(!server.wants_transmit());
    assert_eq!(at_deadline(&mut server, at(1_500)), ping(at(1_500)));
    gives_up(&mut server, at(2_000), Stage::Traffic);
}

#[test]
fn item_055_a_client_that_answers_or_sends_anything_stays() {
    let mut server = open_server();
    let mut now = START;
    for round in 0..5 {
        now = now + Duration::from_millis(500);
        assert_eq!(at_deadline(&mut server, now), ping(now), "round {round}");
        now = now + Duration::from_millis(499);
        let mut pong = ping(now);
        pong[13] = 7;
        // Any byte shows that the client is alive.
        feed_server(&mut server, now, &pong[..1]);
        assert_eq!(server.poll_timeout(), Some(now + Duration::from_millis(500)));
        feed_server(&mut server, now, &pong[1..]);
    }
    let media = said(|script| script.create_stream(2.0).publish(1, "cam"));
    assert_eq!(feed_server(&mut server, now, &media).0, [Seen::Publish(1, "cam".into())]);
    server.accept(StreamId(1)).unwrap();
    for _ in 0..100 {
        now = now + Duration::from_millis(400);
        feed_server(&mut server, now, &said(|script| script.message(4, MessageKind::AUDIO, 1, &[0xAF; 9])));
        assert_eq!(server.handle_timeout(now + Duration::from_millis(99)), Ok(()));
        assert_eq!(server.poll_timeout(), Some(now + Duration::from_millis(500)));
        assert!(!server.wants_transmit());
    }
}

#[test]
fn a_ping_of_the_application_does_not_change_what_the_session_waits_for() {
    assert_eq!(server().ping(at(1)), Err(RequestError::State), "no client is connected yet");
    let mut server = open_server();
    server.ping(at(100)).unwrap();
    assert_eq!(feed_server(&mut server, at(100), &[]).1, ping(at(100)));
    assert_eq!(at_deadline(&mut server, at(1_500)), ping(at(1_500)));
    gives_up(&mut server, at(2_000), Stage::Traffic);
}

#[test]
fn a_server_whose_timeout_is_handled_late_still_waits_for_the_answer() {
    let mut server = open_server();
    assert_eq!(server.handle_timeout(at(60_000)), Ok(()));
    assert_eq!(feed_server(&mut server, at(60_000), &[]).1, ping(at(60_000)));
    gives_up(&mut server, at(60_500), Stage::Traffic);
}

#[test]
fn a_refused_client_that_was_sent_its_answer_has_no_deadline() {
    let mut server = timed_server();
    feed_server(&mut server, START, &Script::connect().bytes);
    server.reject_connect("no").unwrap();
    assert!(!feed_server(&mut server, START, &[]).1.is_empty());
    assert!(server.is_closed() && !server.wants_input() && server.poll_timeout().is_none());
}

#[test]
fn a_refused_client_that_does_not_read_has_the_connect_timeout() {
    let mut server = timed_server();
    feed_server(&mut server, START, &Script::connect().bytes);
    server.reject_connect("no").unwrap();
    assert_eq!(server.poll_timeout(), None, "the deadline starts with the first call that has the time");
    assert_eq!(server.poll_transmit(at(3_000), &mut []), 0);
    assert_eq!(server.poll_transmit(at(3_050), &mut [0; 9]), 9);
    assert!(!server.is_closed());
    gives_up(&mut server, at(3_100), Stage::Connect);
}

#[test]
fn a_client_that_reads_nothing_times_out_even_if_nothing_is_polled() {
    for accepted in [true, false] {
        let mut server = timed_server();
        feed_server(&mut server, START, &Script::connect().bytes);
        if accepted {
            server.accept_connect().unwrap()
        } else {
            server.reject_connect("no").unwrap()
        };
        assert!(server.next_event(at(3_000), &mut &[][..]).unwrap().is_none());
        if accepted {
            server.handle_timeout(at(3_500)).unwrap();
            gives_up(&mut server, at(4_000), Stage::Traffic);
        } else {
            gives_up(&mut server, at(3_100), Stage::Connect);
        }
    }
}

/// A server with the default limits. Its client has connected at [`START`].
fn default_server() -> Server<'static, 8> {
    let mut server = server();
    feed_server(&mut server, START, &Script::connect().bytes);
    server.accept_connect().unwrap();
    feed_server(&mut server, START, &[]);
    server
}

/// Sends the pongs for the server's pings until `end`, each 1 ms after the deadline of its ping.
fn answer_pings(server: &mut Server<'_, 8>, end: Instant) {
    let pong = said(|script| script.control(MessageKind::USER_CONTROL, &[0, 7, 0, 0, 0, 0]));
    while let Some(deadline) = server.poll_timeout().filter(|deadline| *deadline < end) {
        server.handle_timeout(deadline).unwrap();
        assert_eq!(feed_server(server, deadline, &[]).1, ping(deadline));
        feed_server(server, deadline + Duration::from_millis(1), &pong);
    }
}

#[test]
fn item_145_a_client_may_be_silent_inside_a_message_for_10_s() {
    let command = said(|script| script.call(0, "createStream", 2.0, Token::Null));
    let video = said(|script| script.create_stream(2.0).publish(1, "cam").message(6, MessageKind::VIDEO, 1, &[9; 300]));
    let unknown = said(|script| script.message(9, MessageKind(99), 1, &[9; 300]));
    // Inside a header, at the first byte of a message, in the middle, and before its last byte.
    let cuts = [(&command, 1), (&command, 13), (&command, 30), (&command, command.len() - 1)];
    let others = [(&video, video.len() - 1), (&video, video.len() - 250), (&unknown, 20)];
    for (bytes, cut) in cuts.into_iter().chain(others) {
        let mut server = default_server();
        let accept = |server: &mut Server<'_, 8>, mut bytes: &[u8], now| {
            while let Some(event) = server.next_event(now, &mut bytes).unwrap() {
                if let ServerEvent::Publish { stream, .. } = event {
                    server.accept(stream).unwrap();
                }
                let _ = server.poll_transmit(now, &mut [0; 999]);
            }
            let _ = server.poll_transmit(now, &mut [0; 999]);
        };
        for byte in 0..cut {
            accept(&mut server, &bytes[byte..=byte], at(2_000));
        }
        let mut whole = server.poll_timeout();
        assert_eq!(whole, Some(at(12_000)), "{cut}");
        // Each byte begins the time again, even shortly before the deadline.
        if cut < bytes.len() - 1 {
            accept(&mut server, &bytes[cut..=cut], at(11_999));
            whole = server.poll_timeout();
            assert_eq!(whole, Some(at(21_999)), "{cut}");
        }
        gives_up(&mut server, whole.unwrap(), Stage::Message);
    }
}

#[test]
fn item_146_a_client_may_neither_publish_nor_play_for_30_s() {
    let mut server = default_server();
    answer_pings(&mut server, at(31_000));
    gives_up(&mut server, at(31_000), Stage::Request);
    // Calls, and the creation of a stream, do not extend the time.
    let mut server = default_server();
    feed_server(&mut server, at(5_000), &said(|script| script.create_stream(2.0).call(0, "x", 3.0, Token::Null)));
    feed_server(&mut server, at(20_000), &said(|script| script.call(0, "deleteStream", 3.0, 7.0.into())));
    answer_pings(&mut server, at(31_000));
    gives_up(&mut server, at(31_000), Stage::Request);
    // The time begins again when publishing or playing ends. A rejected request does not extend it.
    let requests = [("play", true), ("play", false), ("publish", true), ("publish", false)];
    for (name, accept) in requests {
        let mut server = default_server();
        feed_server(&mut server, at(20_000), &said(|script| script.create_stream(2.0).call(1, name, 0.0, "x".into())));
        match (name, accept) {
            ("play", true) => server.accept_play(StreamId(1), true).unwrap(),
            (_, true) => server.accept(StreamId(1)).unwrap(),
            _ => server.reject(StreamId(1), code::PLAY_FAILED, "no").unwrap(),
        }
        feed_server(&mut server, at(20_000), &[]);
        let mut last = at(1_000);
        if accept {
            last = at(40_000);
            answer_pings(&mut server, last);
            feed_server(&mut server, last, &said(|script| script.call(0, "deleteStream", 0.0, 1.0.into())));
        }
        let end = last + Duration::from_secs(30);
        answer_pings(&mut server, end);
        gives_up(&mut server, end, Stage::Request);
    }
}

#[test]
fn item_147_a_publisher_may_send_no_media_for_60_s() {
    let published = said(|script| script.create_stream(2.0).publish(1, "cam"));
    let media = [MessageKind::AUDIO, MessageKind::VIDEO, MessageKind::DATA, MessageKind::AGGREGATE];
    for kind in media.map(Some).into_iter().chain([None]) {
        let mut server = default_server();
        feed_server(&mut server, at(2_000), &published);
        server.accept(StreamId(1)).unwrap();
        feed_server(&mut server, at(2_000), &[]);
        let mut end = at(62_000);
        if let Some(kind) = kind {
            answer_pings(&mut server, at(50_000));
            feed_server(&mut server, at(50_000), &said(|script| script.message(6, kind, 1, &[9; 40])));
            end = at(110_000);
        }
        // Answers to pings, a repeated publish, other commands, and media on a rejected stream do not extend the time.
        let other = said(|script| {
            script.publish(1, "cam").create_stream(3.0).publish(2, "no").message(6, MessageKind::VIDEO, 2, &[9; 40])
        });
        let mut input = &other[..];
        while let Some(event) = server.next_event(at(51_000), &mut input).unwrap() {
            match see_server(event, &mut Collector::default()) {
                Some(Seen::Publish(1, _)) => server.accept_again(StreamId(1), StreamId(1)).unwrap(),
                Some(Seen::Publish(2, _)) => server.reject(StreamId(2), code::PUBLISH_BAD_NAME, "no").unwrap(),
                event => panic!("{event:?}"),
            }
            let _ = server.poll_transmit(at(51_000), &mut [0; 999]);
        }
        answer_pings(&mut server, end);
        gives_up(&mut server, end, Stage::Media);
    }
}

#[test]
fn item_147_the_limits_of_a_client_do_not_pass_while_the_application_reads_nothing() {
    let mut server = default_server();
    feed_server(&mut server, at(2_000), &said(|script| script.create_stream(2.0).publish(1, "cam")));
    server.accept(StreamId(1)).unwrap();
    // A message has begun.
    feed_server(&mut server, at(2_000), &[6]);
    while let Some(deadline) = server.poll_timeout().filter(|deadline| *deadline < at(200_000)) {
        server.note_paused(deadline);
        server.handle_timeout(deadline).unwrap();
    }
    let end = server.poll_timeout().unwrap();
    gives_up(&mut server, end, Stage::Message);
}

#[test]
fn item_147_a_player_without_media_has_no_limit_while_it_is_alive() {
    let mut server = default_server();
    feed_server(&mut server, at(2_000), &said(|script| script.create_stream(2.0).call(1, "play", 0.0, "x".into())));
    server.accept_play(StreamId(1), true).unwrap();
    feed_server(&mut server, at(2_000), &[]);
    answer_pings(&mut server, at(90_000_000));
    assert!(server.poll_timeout().is_some());
}

#[test]
fn item_147_the_end_of_a_stream_that_a_publisher_plays_gives_it_no_more_time() {
    let mut server = default_server();
    let requests = said(|script| script.create_stream(2.0).publish(1, "cam"));
    feed_server(&mut server, at(2_000), &requests);
    server.accept(StreamId(1)).unwrap();
    feed_server(&mut server, at(2_000), &said(|script| script.create_stream(3.0).call(2, "play", 0.0, "x".into())));
    server.accept_play(StreamId(2), true).unwrap();
    feed_server(&mut server, at(2_000), &[]);
    answer_pings(&mut server, at(40_000));
    server.end_play(StreamId(2)).unwrap();
    feed_server(&mut server, at(40_000), &[]);
    answer_pings(&mut server, at(62_000));
    gives_up(&mut server, at(62_000), Stage::Media);
}

#[test]
fn item_148_an_open_server_has_a_deadline_unless_every_limit_is_none() {
    let unlimited = ServerConfig {
        idle_timeout: None,
        message_timeout: None,
        request_timeout: None,
        media_timeout: None,
        ..ServerConfig::new()
    };
    let second = Some(Duration::from_secs(1));
    let configs = [
        (unlimited, [None; 4]),
        (ServerConfig { idle_timeout: second, ..unlimited }, [Some(500), Some(500), Some(500), Some(500)]),
        (ServerConfig { message_timeout: second, ..unlimited }, [None, None, None, Some(1_000)]),
        (ServerConfig { request_timeout: second, ..unlimited }, [Some(1_000), None, None, None]),
        (ServerConfig { media_timeout: second, ..unlimited }, [None, Some(1_000), None, None]),
    ];
    for (config, expected) in configs {
        let mut found = Vec::new();
        for state in 0..4 {
            let mut server = Server::<8>::new(buffers(512), config, &[9; 32]).unwrap();
            feed_server(&mut server, START, &Script::connect().bytes);
            server.accept_connect().unwrap();
            feed_server(&mut server, START, &[]);
            let name = if state == 1 { "publish" } else { "play" };
            if state > 0 {
                feed_server(
                    &mut server,
                    START,
                    &said(|script| script.create_stream(2.0).call(1, name, 0.0, "x".into())),
                );
                match state {
                    1 => server.accept(StreamId(1)).unwrap(),
                    _ => server.accept_play(StreamId(1), true).unwrap(),
                }
                feed_server(&mut server, START, if state == 3 { &[3] } else { &[] });
            }
            found.push(server.poll_timeout().map(|deadline| deadline.as_millis() - START.as_millis()));
        }
        assert_eq!(found, expected, "{config:?}");
    }
    for zero in [Some(Duration::ZERO), Some(Duration::from_micros(999))] {
        for config in [
            ServerConfig { message_timeout: zero, ..ServerConfig::new() },
            ServerConfig { request_timeout: zero, ..ServerConfig::new() },
            ServerConfig { media_timeout: zero, ..ServerConfig::new() },
        ] {
            assert_eq!(config.check(), Err(ConfigError::TimeLimit));
            assert_eq!(Server::<8>::new(buffers(512), config, &[9; 32]).err(), Some(ConfigError::TimeLimit));
            assert_eq!(timed_server().restart(config, &[9; 32]), Err(ConfigError::TimeLimit));
        }
    }
}

#[test]
fn item_149_a_client_that_plays_and_receives_nothing_for_60_s_fails() {
    let play = |limit: Option<Option<Duration>>| {
        let mut client = Client::<8, 2>::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap();
        limit.into_iter().for_each(|limit| client.set_silence_limit(limit));
        client.connect(&OPTIONS).unwrap();
        client.play(&crate::command::PlayRequest::new("x")).unwrap();
        let bytes = said(|script| script.connected().result(2.0, 1.0.into()).status(1, "status", code::PLAY_START));
        let seen = feed(&mut client, START, &[Script::new().bytes, bytes].concat()).0;
        assert_eq!(seen.last(), Some(&Seen::Playing(1)));
        client
    };
    gives_up(&mut play(None), at(61_000), Stage::Traffic);
    gives_up(&mut play(Some(Some(Duration::from_secs(5)))), at(6_000), Stage::Traffic);
    assert_eq!(play(Some(None)).poll_timeout(), None);
    // Any byte counts: media, a ping, the first byte of a message.
    let media = said(|script| script.message(6, MessageKind::VIDEO, 1, &[9; 40]));
    let ping = said(|script| script.control(MessageKind::USER_CONTROL, &[0, 6, 0, 0, 0, 0]));
    for bytes in [&media[..], &ping, &media[..1]] {
        let mut client = play(None);
        feed(&mut client, at(30_000), bytes);
        gives_up(&mut client, at(90_000), Stage::Traffic);
    }
    // After a client has stopped playing, the limit for a client that plays nothing applies.
    let mut client = play(None);
    client.stop(StreamId(1)).unwrap();
    feed(&mut client, at(30_000), &[]);
    assert_eq!(client.poll_timeout(), Some(at(91_000)));
}

/// A client that publishes since [`START`].
fn publishing_client(limit: Option<Option<Duration>>) -> Client<'static, 8> {
    let mut client = publisher();
    limit.into_iter().for_each(|limit| client.set_idle_limit(limit));
    let bytes = said(|script| script.connected().result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START));
    let seen = feed_client(&mut client, START, &[Script::new().bytes, bytes].concat());
    assert_eq!(seen.last(), Some(&Seen::Publishing(1)));
    client
}

#[test]
fn item_193_a_client_that_publishes_fails_without_traffic() {
    // Bytes received before the start count as traffic at the first check.
    let mut client = publishing_client(None);
    assert_eq!(client.poll_timeout(), Some(at(91_000)));
    client.handle_timeout(at(91_000)).unwrap();
    gives_up(&mut client, at(181_000), Stage::Traffic);
    let mut client = publishing_client(Some(Some(Duration::from_secs(5))));
    client.handle_timeout(at(6_000)).unwrap();
    gives_up(&mut client, at(11_000), Stage::Traffic);
    let mut client = publishing_client(Some(None));
    assert_eq!(client.poll_timeout(), None, "the caller chose so");
    assert_eq!(client.handle_timeout(at(900_000_000)), Ok(()));
}

#[test]
fn item_193_received_bytes_and_sent_media_are_traffic() {
    // The server sends a byte from time to time, and the client sends no media.
    let mut client = publishing_client(None);
    let ping = said(|script| script.control(MessageKind::USER_CONTROL, &[0, 6, 0, 0, 0, 0]));
    for (round, byte) in (1..).zip(&ping) {
        let now = START + Duration::from_secs(90 * round);
        assert_eq!(client.poll_timeout(), Some(now));
        feed_client(&mut client, now, &[*byte]);
        client.handle_timeout(now).unwrap();
    }
    // The server is silent for hours, and the client sends media in pieces of any size.
    let mut client = publishing_client(None);
    let mut now = START;
    for _ in 0..100 {
        let csid = client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10).unwrap();
        for byte in 0..10 {
            now = now + Duration::from_secs(89);
            assert!(client.poll_media(csid, &[byte], &mut [0; 64]).written > 0);
            assert_eq!(client.poll_transmit(now, &mut [0; 64]), 0);
            assert_eq!(client.poll_timeout(), Some(now + Duration::from_secs(90)));
            client.handle_timeout(now).unwrap();
        }
    }
    // The transport takes no other bytes.
    let csid = client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 10).unwrap();
    client.handle_timeout(now + Duration::from_secs(90)).unwrap();
    assert_eq!(client.poll_media(csid, &[7; 10], &mut []).written, 0);
    gives_up(&mut client, now + Duration::from_secs(180), Stage::Traffic);
}

#[test]
fn item_193_a_client_that_asks_for_nothing_or_cannot_send_its_end_fails() {
    let mut client = Client::<8>::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap();
    feed_client(&mut client, START, &Script::new().bytes);
    gives_up(&mut client, at(11_000), Stage::Connect);
    let mut client = publishing_client(None);
    client.close().unwrap();
    assert_eq!(client.poll_transmit(at(20_000), &mut [0; 1]), 1);
    assert!(!client.is_closed());
    gives_up(&mut client, at(30_000), Stage::Traffic);
    let mut client = publishing_client(None);
    client.close().unwrap();
    feed_client(&mut client, at(20_000), &[]);
    assert!(client.is_closed() && client.poll_timeout().is_none(), "the application may close the connection");
}

/// Passes bytes to a server, and drops its events and its output.
fn pass(server: &mut Server<'_, 8>, now: Instant, mut bytes: &[u8]) {
    loop {
        let _ = server.poll_transmit(now, &mut [0; 999]);
        if server.next_event(now, &mut bytes).unwrap().is_none() && bytes.is_empty() {
            return;
        }
    }
}

#[test]
fn item_194_a_message_may_wait_10_s_for_its_next_chunk_while_others_arrive() {
    let published = said(|script| script.create_stream(2.0).publish(1, "cam"));
    let audio = said(|script| script.message(4, MessageKind::AUDIO, 1, &[0xAF; 9]));
    let command = said(|script| script.call(0, "createStream", 2.0, Token::Null));
    // Each stalls after a chunk of 128 bytes. The last one sends one more chunk after 8 s.
    let long = [&[7, 0, 0, 0, 0, 1, 0, 20, 0, 0, 0, 0][..], &[2; 128]].concat();
    let video = [&[6, 0, 0, 0, 0, 2, 0, 9, 1, 0, 0, 0][..], &[0x17; 128]].concat();
    let unknown = [&[9, 0, 0, 0, 0, 1, 0, 99, 1, 0, 0, 0][..], &[7; 128]].concat();
    for (partial, continues) in [(&long, false), (&video, false), (&unknown, false), (&video, true)] {
        let mut server = default_server();
        feed_server(&mut server, at(2_000), &published);
        server.accept(StreamId(1)).unwrap();
        pass(&mut server, at(2_000), partial);
        let mut now = at(2_000);
        let mut stalled = now;
        // Frames and commands continue.
        let error = loop {
            now = now + Duration::from_millis(20);
            assert!(now < at(30_000), "it is still open");
            pass(&mut server, now, if now.as_millis().is_multiple_of(100) { &command } else { &audio });
            if continues && now == at(10_000) {
                pass(&mut server, now, &[&[0xC6][..], &[8; 127]].concat());
                pass(&mut server, now, &[8]);
                stalled = now;
            }
            if server.poll_timeout().is_some_and(|deadline| deadline <= now)
                && let Err(error) = server.handle_timeout(now)
            {
                break error;
            }
        };
        assert_eq!(error, SessionError::TimedOut(Stage::Message));
        let waited = now.saturating_duration_since(stalled);
        assert!((10_000..11_300).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[test]
fn item_194_messages_that_take_turns_are_not_stalled() {
    // Two messages of 300,000 bytes in chunks of 128 bytes, with a pause of 8 s before each chunk.
    let mut server = default_server();
    feed_server(&mut server, at(2_000), &said(|script| script.create_stream(2.0).publish(1, "cam")));
    server.accept(StreamId(1)).unwrap();
    let mut now = at(2_000);
    for chunk in 0..200 {
        for (csid, kind) in [(4, 8), (6, 9)] {
            let header = [csid, 0, 0, 0, 4, 147, 224, kind, 1, 0, 0, 0];
            let header = if chunk == 0 { &header[..] } else { &[0xC0 | csid] };
            pass(&mut server, now, &[header, &[1; 128]].concat());
            now = now + Duration::from_secs(4);
            while server.poll_timeout().is_some_and(|deadline| deadline <= now) {
                server.handle_timeout(now).unwrap();
            }
        }
    }
}

#[test]
fn item_194_the_limit_inside_a_message_may_be_off() {
    let config = ServerConfig { message_timeout: None, ..CONFIG };
    let mut server = Server::<8>::new(buffers(512), config, &[9; 32]).unwrap();
    feed_server(&mut server, START, &Script::connect().bytes);
    server.accept_connect().unwrap();
    let partial = [&[3, 0, 0, 0, 0, 1, 0, 20, 0, 0, 0, 0][..], &[2; 128]].concat();
    pass(&mut server, START, &partial);
    for round in 1..1_000 {
        let now = START + Duration::from_millis(400 * round);
        pass(&mut server, now, &said(|script| script.control(MessageKind::USER_CONTROL, &[0, 7, 0, 0, 0, 0])));
        server.handle_timeout(now).unwrap();
    }
}

/// An open server that sends a player a message of 1,000 bytes. `sent` bytes of the message are available, and the output
/// has room for `room` bytes.
fn starved_server(sent: usize, room: usize) -> (Server<'static, 8>, ChunkStreamId) {
    let mut server = open_server();
    feed_server(&mut server, START, &said(|script| script.create_stream(2.0).call(1, "play", 0.0, "cam".into())));
    server.accept_play(StreamId(1), true).unwrap();
    feed_server(&mut server, START, &[]);
    let csid = server.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 1_000).unwrap();
    let _ = server.poll_media(csid, &[0x17; 1_000][..sent], &mut vec![0; room]);
    (server, csid)
}

#[test]
fn item_127_the_time_for_the_answer_begins_when_the_ping_leaves() {
    // The publisher stalls at the first byte, in the middle, and at the last byte.
    for (sent, room) in [(1, 500), (100, 500), (999, 1_500)] {
        let (mut server, csid) = starved_server(sent, room);
        for round in 1..=10 {
            // The publisher has stalled: the chunk cannot end.
            let now = START + Duration::from_millis(500 * round);
            assert_eq!(at_deadline(&mut server, now), [], "{sent} {round}");
        }
        let mut out = [0; 2_000];
        let written = server.complete_media(csid, &mut out);
        assert!(out[..written].ends_with(&ping(at(1_500))), "{sent}");
        assert_eq!(at_deadline(&mut server, START + Duration::from_millis(5_500)), []);
        gives_up(&mut server, START + Duration::from_millis(6_000), Stage::Traffic);
    }
}

#[test]
fn item_127_a_player_that_answers_the_late_ping_stays() {
    let (mut server, csid) = starved_server(100, 500);
    assert_eq!(at_deadline(&mut server, at(1_500)), []);
    assert_eq!(server.complete_media(csid, &mut [0; 2_000]), 900 + ping(at(1_500)).len());
    feed_server(&mut server, at(1_999), &ping(at(1_500))[..1]);
    assert_eq!(server.poll_timeout(), Some(at(2_499)));
}

#[test]
fn item_127_a_player_that_does_not_read_gets_no_extra_time() {
    // There was more payload than room.
    let (mut server, _) = starved_server(1_000, 300);
    assert_eq!(at_deadline(&mut server, at(1_500)), []);
    gives_up(&mut server, at(2_000), Stage::Traffic);
}

#[test]
fn item_153_acknowledged_bytes_are_signs_of_life_of_a_player() {
    let playing = |partial: &[u8]| {
        let mut server = default_server();
        feed_server(&mut server, at(2_000), &said(|script| script.create_stream(2.0).call(1, "play", 0.0, "x".into())));
        server.accept_play(StreamId(1), true).unwrap();
        feed_server(&mut server, at(2_000), partial);
        server
    };
    // The player answers no pings for an hour, and acknowledges bytes.
    let mut server = playing(&[]);
    let mut now = at(2_000);
    for _ in 0..240 {
        now = now + Duration::from_secs(15);
        assert_eq!(server.poll_timeout(), Some(now));
        server.note_acknowledged(now);
        server.handle_timeout(now).unwrap();
    }
    // After that, it acknowledges no bytes.
    now = now + Duration::from_secs(15);
    assert_eq!(at_deadline(&mut server, now), ping(now));
    gives_up(&mut server, now + Duration::from_secs(15), Stage::Traffic);
    // Inside a message, without a stream, and for a publisher, only received bytes count.
    let mut server = playing(&[3]);
    server.note_acknowledged(at(11_000));
    gives_up(&mut server, at(12_000), Stage::Message);
    for publishes in [false, true] {
        let mut server = default_server();
        if publishes {
            feed_server(&mut server, START, &said(|script| script.create_stream(2.0).publish(1, "cam")));
            server.accept(StreamId(1)).unwrap();
        }
        feed_server(&mut server, START, &[]);
        server.note_acknowledged(at(10_000));
        assert_eq!(at_deadline(&mut server, at(16_000)), ping(at(16_000)));
        server.note_acknowledged(at(20_000));
        gives_up(&mut server, at(31_000), Stage::Traffic);
    }
}
