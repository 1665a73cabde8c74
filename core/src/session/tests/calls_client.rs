//! A client that makes calls, is redirected, waits or closes.

use super::player_client::*;
use super::scripted_client::said;
use super::*;
use crate::amf0::Token;
use crate::command::{Command, PlayRequest, Status, code};

#[test]
fn item_079_calls_and_their_results_by_transaction() {
    let mut script = Script::new();
    script.connected().result(3.0, "three".into()).result(3.0, "again".into()).error(2.0, "App.No", "");
    script.result(4.0, 90.5.into()).call(0, "app.news", 0.0, "x".into()).call(0, "_onbwcheck", 9.0, "x".into());
    let (seen, output) = sees(
        &script,
        |player| assert_eq!(player.call("early", &[]), Err(RequestError::State)),
        |player, event| match event {
            Seen::Connected => {
                assert_eq!(player.call("app.one", &[1.0.into()]), Ok(2));
                assert_eq!(player.call("app.two", &[]), Ok(3));
                assert_eq!(player.call("app.three", &[]), Err(RequestError::TooMany(2)));
            }
            Seen::Answer(3, ..) => assert_eq!(player.stream_length("rec"), Ok(4)),
            _ => {}
        },
    );
    let text = |value: Token<'_>| std::format!("{:?}", Ok::<_, crate::amf0::DecodeError>(Some(value)));
    let expected = [
        Seen::Connected,
        Seen::Answer(3, true, text("three".into())),
        Seen::Answer(2, false, text(Token::ObjectStart)),
        Seen::Answer(4, true, text(90.5.into())),
        Seen::Call(0, "app.news".into(), 0),
    ];
    assert_eq!(seen, expected);
    let said = [
        ("connect", 1.0, 0),
        ("app.one", 2.0, 0),
        ("app.two", 3.0, 0),
        ("getStreamLength", 4.0, 0),
        ("_result", 9.0, 0),
    ];
    assert_eq!(names(&output), named(&said));
    // The answer to a forgotten call is ignored.
    let mut player = player();
    let mut script = Script::new();
    script.connected();
    drive_player(&mut player, &script.bytes, 999, 999, ignore).2.unwrap();
    assert_eq!(player.call("app.one", &[]), Ok(2));
    player.forget_call(2);
    let mut late = Script::new();
    late.result(2.0, 1.0.into());
    let (seen, ..) = drive_player(&mut player, &late.bytes[3_073..], 999, 999, ignore);
    assert_eq!(seen, []);
}

#[test]
fn item_087_a_player_that_closes_deletes_its_streams() {
    let mut script = Script::new();
    script.connected();
    started(&mut script, 2.0, 1);
    started(&mut script, 4.0, 2);
    let mut player = player();
    play_cam(&mut player);
    player.play(&PlayRequest::new("two")).unwrap();
    let before = drive_player(&mut player, &script.bytes, 999, 999, ignore).1;
    assert_eq!(player.playing().collect::<Vec<_>>(), [StreamId(1), StreamId(2)]);
    player.close().unwrap();
    assert!(!player.is_closed(), "there are bytes to send");
    let output = [before, drive_player(&mut player, &[], 1, 999, ignore).1].concat();
    let said = names(&output);
    let last = named(&[("deleteStream", 6.0, 0), ("deleteStream", 7.0, 0)]);
    assert_eq!((&said[said.len() - 2..], player.is_closed()), (&last[..], true));
    assert_eq!(player.play(&PlayRequest::new("late")), Err(RequestError::State));
}

#[test]
fn item_097_a_redirect_is_read() {
    let status = |values: &[Token<'_>]| {
        let bytes = encode(&[&["_error".into(), 1.0.into(), Token::Null][..], values].concat()).leak();
        Status::parse(Command::parse(bytes).unwrap().values)
    };
    let mut values = info("error", code::CONNECT_REJECTED, "moved")[..7].to_vec();
    let [ex, number, url, full] = ["ex", "code", "redirect", "redirect2"].map(|key| Token::Key(key.into()));
    values.extend([ex, Token::ObjectStart, number, 302.0.into(), url, "rtmp://other/live".into()]);
    values.extend([full, "rtmp://other/live/cam".into(), Token::End, Token::End]);
    let moved = status(&values);
    assert_eq!((moved.code, moved.description), (code::CONNECT_REJECTED.into(), "moved".into()));
    assert_eq!(moved.redirect(), Some("rtmp://other/live".into()));
    assert_eq!(status(&info("error", code::CONNECT_REJECTED, "no")).redirect(), None);
    // Our client reads the redirect of our server.
    let mut player = player();
    let (server, collector) = (&mut server(), &mut Collector::default());
    let connect = drive_player(&mut player, &Script::new().bytes, 999, 999, ignore).1;
    let decide = |server: &mut Server<'_, 8>, event: &Seen| {
        if let Seen::Connect(..) = event {
            server.redirect_connect("rtmp://third/live").unwrap();
        }
    };
    let (_, output, _) = drive(server, &connect, 999, 999, collector, decide);
    assert_eq!(said(&output)[0].0, "_error");
    let mut input = &output[3_073..];
    match player.next_event(START, &mut input).unwrap() {
        Some(ClientEvent::Refused(Stage::Connect, status)) => {
            assert_eq!(status.redirect(), Some("rtmp://third/live".into()));
        }
        other => panic!("{other:?}"),
    }
    assert!(player.is_closed());
}

#[test]
fn a_player_that_gets_no_answer_gives_up() {
    let mut script = Script::new();
    script.connected().result(2.0, 1.0.into());
    let mut player = player();
    play_cam(&mut player);
    drive_player(&mut player, &script.bytes, 999, 999, ignore).2.unwrap();
    let deadline = player.poll_timeout().unwrap();
    assert_eq!(player.handle_timeout(deadline), Err(SessionError::TimedOut(Stage::Play)));
}

#[test]
fn item_083_an_error_about_what_is_published_refuses_no_player() {
    let ask = |client: &mut Player| {
        client.publish("cam").unwrap();
        client.play(&PlayRequest::new("other")).unwrap();
    };
    let (denied, failed) = ("NetStream.Record.NoAccess", code::PLAY_FAILED);
    let mut script = Script::new();
    script.connected().result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START).status(1, "error", denied);
    script.result(6.0, 2.0.into()).status(1, "error", denied);
    let status = || Seen::Status(1, denied.into());
    let before = [Seen::Connected, Seen::Publishing(1), status(), status()];
    let mut plays = script.clone();
    plays.status(2, "status", code::PLAY_START);
    assert_eq!(sees(&plays, ask, ignore).0, [&before[..], &[Seen::Playing(2)]].concat());
    // An error on the player's stream, or on the connection's, refuses the player.
    for stream in [0, 2] {
        let mut refused = script.clone();
        refused.status(stream, "error", failed);
        let refusal = Seen::Refused(Stage::Play, failed.into(), "".into());
        assert_eq!(sees(&refused, ask, ignore).0, [&before[..], &[refusal]].concat());
    }
}
