//! The client that plays and calls, against scripted servers and our own (items 56, 79, 83, 86, 97).

use super::*;
use crate::amf0::Token;
use crate::command::{Code, Command, PlayRequest, Start, SwitchRequest, code};
use crate::control::UserControlEvent;

/// Plays up to two streams and has room for two calls.
pub(super) type Player = Client<'static, 8, 2, 2>;

pub(super) fn player() -> Player {
    let mut player = Player::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap();
    player.connect(&OPTIONS).unwrap();
    player
}

/// Runs `player` with `bytes`. `decide` is the application.
pub(super) fn drive_player(
    player: &mut Player,
    bytes: &[u8],
    cut: usize,
    window: usize,
    decide: fn(&mut Player, &Seen),
) -> Driven {
    let collector = &mut Collector::default();
    drive(player, bytes, cut, window, collector, decide)
}

/// The events and the commands of a player that `ask` prepares, for `script` after the handshake, in all pieces.
pub(super) fn sees(script: &Script, ask: fn(&mut Player), decide: fn(&mut Player, &Seen)) -> (Vec<Seen>, Vec<u8>) {
    let (seen, output, result) = everywhere(&|cut, window| {
        let mut player = player();
        ask(&mut player);
        drive_player(&mut player, &script.bytes, cut, window, decide)
    });
    assert_eq!(result, Ok(()));
    (seen[1..].to_vec(), output)
}

pub(super) fn ignore(_: &mut Player, _: &Seen) {}

pub(super) fn play_cam(player: &mut Player) {
    player.play(&PlayRequest::new("cam")).unwrap();
}

/// A server accepts a player on `stream`: Reset and Start.
pub(super) fn started(script: &mut Script, transaction: f64, stream: u32) {
    script.result(transaction, stream.into()).status(stream, "status", code::PLAY_RESET);
    script.status(stream, "status", code::PLAY_START);
}

pub(super) fn names(output: &[u8]) -> Vec<(String, f64, u32)> {
    commands(output).into_iter().map(|(name, id, stream, _)| (name, id, stream)).collect()
}

pub(super) fn named(expected: &[(&str, f64, u32)]) -> Vec<(String, f64, u32)> {
    expected.iter().map(|(name, id, stream)| (name.to_string(), *id, *stream)).collect()
}

#[test]
fn item_086_a_client_plays() {
    let mut script = Script::new();
    script.connected();
    started(&mut script, 2.0, 1);
    script.message(5, MessageKind::DATA, 1, &encode(&["|RtmpSampleAccess".into(), true.into(), true.into()]));
    let metadata = encode(&["onMetaData".into(), Token::EcmaArrayStart { len: 0 }, Token::End]);
    // Longer than a chunk, and in pieces.
    let long = [&metadata[..], &encode(&["x".repeat(300).as_str().into()])].concat();
    script.message_at(40, 5, MessageKind::DATA, 1, &long).message_at(40, 6, MessageKind::VIDEO, 1, &[0x17; 300]);
    script.message_at(41, 4, MessageKind::AUDIO, 1, &[0xAF; 3]).status(1, "status", code::PLAY_UNPUBLISH_NOTIFY);
    script.control(MessageKind::USER_CONTROL, &[0, 1, 0, 0, 0, 1]);
    let (seen, output) = sees(&script, play_cam, ignore);
    let expected = [
        Seen::Connected,
        Seen::Status(1, code::PLAY_RESET.into()),
        Seen::Playing(1),
        Seen::Data(1, 0, "|RtmpSampleAccess".into(), encode(&["|RtmpSampleAccess".into(), true.into(), true.into()])),
        Seen::Data(1, 40, "onMetaData".into(), long),
        Seen::Message(1, 9, 40, vec![0x17; 300]),
        Seen::Message(1, 8, 41, vec![0xAF; 3]),
        Seen::Status(1, code::PLAY_UNPUBLISH_NOTIFY.into()),
        Seen::User(UserControlEvent::StreamEof(StreamId(1))),
    ];
    assert_eq!(seen, expected);
    assert_eq!(names(&output), named(&[("connect", 1.0, 0), ("createStream", 2.0, 0), ("play", 3.0, 1)]));
    let messages = messages(&output);
    let play = encode(&["play".into(), 3.0.into(), Token::Null, "cam".into(), (-2_000.0).into()]);
    let (_, header, payload) = messages.last().unwrap();
    assert_eq!((header.stream, payload), (StreamId(1), &play));
    let (_, header, payload) = &messages[messages.len() - 2];
    assert_eq!((header.kind, &payload[..]), (MessageKind::USER_CONTROL, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8][..]));
}

#[test]
fn item_086_start_may_come_before_reset_and_begin_at_any_time() {
    let mut script = Script::new();
    script.connected().control(MessageKind::USER_CONTROL, &[0, 0, 0, 0, 0, 1]).result(2.0, 1.0.into());
    // On message stream 0, as some servers send it.
    script.status(0, "status", code::PLAY_START).status(0, "status", code::PLAY_RESET);
    script.control(MessageKind::USER_CONTROL, &[0, 4, 0, 0, 0, 1]);
    let (seen, _) = sees(&script, play_cam, ignore);
    let expected = [
        Seen::Connected,
        Seen::User(UserControlEvent::StreamBegin(StreamId(1))),
        Seen::Playing(1),
        Seen::Status(0, code::PLAY_RESET.into()),
        Seen::User(UserControlEvent::StreamIsRecorded(StreamId(1))),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn several_streams_are_requested_one_after_another() {
    let mut script = Script::new();
    // The publisher's three, then the players' two.
    script.connected().result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START);
    started(&mut script, 6.0, 2);
    script.status(2, "error", code::STREAM_FAILED);
    started(&mut script, 8.0, 7);
    script.message(4, MessageKind::AUDIO, 7, &[1]).message(4, MessageKind::AUDIO, 2, &[2]);
    let ask = |player: &mut Player| {
        player.play(&PlayRequest::new("one")).unwrap();
        player.publish("mine").unwrap();
        let mut two = PlayRequest::new("two");
        two.start = Start::Live;
        player.play(&two).unwrap();
        assert_eq!(player.play(&PlayRequest::new("three")), Err(RequestError::TooMany(2)));
    };
    let (seen, output) = sees(&script, ask, ignore);
    let status = |stream, code: &str| Seen::Status(stream, code.into());
    let expected = [
        Seen::Connected,
        Seen::Publishing(1),
        status(2, code::PLAY_RESET),
        Seen::Playing(2),
        // This status is not about the requested stream.
        status(2, code::STREAM_FAILED),
        status(7, code::PLAY_RESET),
        Seen::Playing(7),
        Seen::Message(7, 8, 0, vec![1]),
        Seen::Message(2, 8, 0, vec![2]),
    ];
    assert_eq!(seen, expected);
    let said = [
        ("connect", 1.0, 0),
        ("releaseStream", 2.0, 0),
        ("FCPublish", 3.0, 0),
        ("createStream", 4.0, 0),
        ("publish", 5.0, 1),
        ("createStream", 6.0, 0),
        ("play", 7.0, 2),
        ("createStream", 8.0, 0),
        ("play", 9.0, 7),
    ];
    assert_eq!(names(&output), named(&said));
}

#[test]
fn item_083_a_refused_player_may_ask_for_another_stream() {
    let mut script = Script::new();
    script.connected().result(2.0, 1.0.into()).status(1, "error", code::PLAY_STREAM_NOT_FOUND);
    script.error(5.0, code::CALL_FAILED, "no stream for you");
    script.result(6.0, 3.0.into()).error(7.0, code::PLAY_FAILED, "not today");
    started(&mut script, 9.0, 4);
    let ask = |player: &mut Player| {
        play_cam(player);
        player.play(&PlayRequest::new("second")).unwrap();
    };
    let (seen, output) = sees(&script, ask, |player, event| match event {
        Seen::Refused(Stage::Play, code, _) if code == code::PLAY_STREAM_NOT_FOUND => {
            assert_eq!(Code::of(code.as_str().into()), Code::PlayStreamNotFound);
            player.play(&PlayRequest::new("third")).unwrap();
        }
        Seen::Refused(Stage::Play, ..) => player.play(&PlayRequest::new("fourth")).unwrap(),
        _ => {}
    });
    let refused = |stage, code: &str, text: &str| Seen::Refused(stage, code.into(), text.into());
    let expected = [
        Seen::Connected,
        refused(Stage::Play, code::PLAY_STREAM_NOT_FOUND, ""),
        refused(Stage::CreateStream, code::CALL_FAILED, "no stream for you"),
        refused(Stage::Play, code::PLAY_FAILED, "not today"),
        Seen::Status(4, code::PLAY_RESET.into()),
        Seen::Playing(4),
    ];
    assert_eq!(seen, expected);
    let said = [
        ("connect", 1.0, 0),
        ("createStream", 2.0, 0),
        ("play", 3.0, 1),
        ("deleteStream", 4.0, 0),
        ("createStream", 5.0, 0),
        ("createStream", 6.0, 0),
        ("play", 7.0, 3),
        ("deleteStream", 8.0, 0),
        ("createStream", 9.0, 0),
        ("play", 10.0, 4),
    ];
    assert_eq!(names(&output), named(&said));
    // Which was asked for in which order.
    let plays: Vec<_> = messages(&output)
        .into_iter()
        .filter_map(|(_, _, payload)| PlayRequest::parse(&Command::parse(&payload)?).map(|play| play.name.to_string()))
        .filter(|name| !name.is_empty() && name != "live")
        .collect();
    assert_eq!(plays, ["cam", "third", "fourth"]);
}

#[test]
fn item_086_the_commands_of_a_player_about_a_stream() {
    let mut script = Script::new();
    script.connected();
    started(&mut script, 2.0, 1);
    let (_, output) = sees(&script, play_cam, |player, event| {
        let (one, two) = (StreamId(1), StreamId(2));
        if *event != Seen::Playing(1) {
            assert_eq!(player.pause(two, true, 0), Err(RequestError::Stream(two)));
            return;
        }
        player.pause(one, true, 1_500).unwrap();
        player.seek(one, 9_000).unwrap();
        player.receive_audio(one, false).unwrap();
        player.receive_video(one, true).unwrap();
        player.set_buffer_length(one, 500).unwrap();
    });
    let last = messages(&output);
    let values = |index: usize| last[last.len() - 5 + index].2.clone();
    let call = |name: &'static str, values: &[Token<'static>]| {
        encode(&[&[name.into(), 0.0.into(), Token::Null][..], values].concat())
    };
    assert_eq!(values(0), call("pause", &[true.into(), 1_500.0.into()]));
    assert_eq!(values(1), call("seek", &[9_000.0.into()]));
    assert_eq!(values(2), call("receiveAudio", &[false.into()]));
    assert_eq!(values(3), call("receiveVideo", &[true.into()]));
    assert_eq!(values(4), [0, 3, 0, 0, 0, 1, 0, 0, 1, 0xF4]);
    let (_, output) = sees(&script, play_cam, |player, event| {
        if *event == Seen::Playing(1) {
            let one = StreamId(1);
            player.switch(one, &SwitchRequest::bit_rate("cam", "cam2")).unwrap();
            player.close_stream(one).unwrap();
            let mut next = PlayRequest::new("next");
            next.reset = false;
            player.play_on(one, &next).unwrap();
            player.stop(one).unwrap();
            assert_eq!(player.stop(one), Err(RequestError::Stream(one)));
            player.play(&PlayRequest::new("other")).unwrap();
        }
    });
    let said = [
        ("connect", 1.0, 0),
        ("createStream", 2.0, 0),
        ("play", 3.0, 1),
        ("play2", 0.0, 1),
        ("closeStream", 0.0, 1),
        ("play", 0.0, 1),
        ("deleteStream", 4.0, 0),
        ("createStream", 5.0, 0),
    ];
    assert_eq!(names(&output), named(&said));
}

#[test]
fn item_086_our_client_plays_from_our_server() {
    for (cut, window) in [(9_999, 9_999), (1, 9_999), (9_999, 1), (7, 3)] {
        let (mut player, mut server) = (player(), server());
        play_cam(&mut player);
        let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
        let mut seen = (Vec::new(), Vec::new());
        for _ in 0..8 {
            let (saw, output, result) = drive_player(&mut player, &to_client, cut, window, ignore);
            result.unwrap();
            seen.0.extend(saw);
            to_server.clear();
            to_server.extend(output);
            let (saw, output, result) = drive_server(&mut server, &to_server, cut, window, &mut Collector::default());
            result.unwrap();
            seen.1.extend(saw);
            to_client = output;
        }
        let buffer = UserControlEvent::SetBufferLength { stream: StreamId(1), millis: 3_000 };
        let wants = Seen::Play(1, "cam".into(), Start::LiveOrRecorded, None, true);
        assert_eq!(seen.1[2..], [Seen::User(buffer), wants]);
        let names: Vec<_> = seen.0[1..]
            .iter()
            .map(|event| match event {
                Seen::Data(1, 0, name, _) => name.clone(),
                Seen::Status(1, code) => code.clone(),
                other => std::format!("{other:?}"),
            })
            .collect();
        let begin = std::format!("{:?}", Seen::User(UserControlEvent::StreamBegin(StreamId(1))));
        let expected = ["Connected", &begin, code::PLAY_RESET, "Playing(1)", "|RtmpSampleAccess", "onStatus"];
        assert_eq!(names, expected);
    }
}
