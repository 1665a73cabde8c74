//! The server and its players (items 56, 84, 86, 88, 97).

use super::scripted_client::{Said, connect_seen, said, say};
use super::*;
use crate::amf0::Token;
use crate::command::{Command, DataMessage, Start, Status, code};

/// The events and the commands of the server for `script`, in all pieces. `decide` is the application.
pub(super) fn sees(script: &Script, decide: fn(&mut Server<'_, 8>, &Seen)) -> (Vec<Seen>, Vec<Said>) {
    let drive = |cut, window| {
        let (server, collector) = (&mut server(), &mut Collector::default());
        drive(server, &script.bytes, cut, window, collector, |server: &mut Server<'_, 8>, event: &Seen| {
            if let Seen::Connect(..) = event {
                server.accept_connect().unwrap();
            }
            decide(server, event);
        })
    };
    let (seen, output, result) = everywhere(&drive);
    assert_eq!((result, &seen[1]), (Ok(()), &connect_seen()));
    (seen[2..].to_vec(), said(&output)[1..].to_vec())
}

/// Accepts players, with the reset that they ask for.
pub(super) fn accept(server: &mut Server<'_, 8>, event: &Seen) {
    if let Seen::Play(stream, .., reset) = event {
        server.accept_play(StreamId(*stream), *reset).unwrap();
    }
}

pub(super) fn played(stream: u32, name: &str) -> Seen {
    Seen::Play(stream, name.into(), Start::LiveOrRecorded, None, true)
}

/// A client that plays on stream 1.
pub(super) fn player() -> Script {
    let mut script = Script::connect();
    script.create_stream(2.0).call(1, "play", 0.0, "cam".into());
    script
}

pub(super) fn status(code: &str) -> Said {
    say("onStatus", 0.0, 1, code)
}

#[test]
fn item_056_item_086_a_player_receives_begin_reset_start_and_data_start() {
    let (server, collector) = (&mut server(), &mut Collector::default());
    let (seen, output, result) = drive_server(server, &player().bytes, 999, 999, collector);
    assert_eq!((&seen[2..], result), (&[played(1, "cam")][..], Ok(())));
    let messages = messages(&output);
    let told: Vec<_> = messages[messages.len() - 5..]
        .iter()
        .map(|(_, header, payload)| match header.kind {
            MessageKind::USER_CONTROL => (header.stream.0, std::format!("{payload:?}")),
            MessageKind::DATA => {
                let data = DataMessage::parse(payload).unwrap();
                (header.stream.0, std::format!("{} {}", data.name, Status::parse(data.values).code))
            }
            _ => (header.stream.0, Status::parse(Command::parse(payload).unwrap().values).code.to_string()),
        })
        .collect();
    let expected = [
        (0, "[0, 0, 0, 0, 0, 1]"),
        (1, code::PLAY_RESET),
        (1, code::PLAY_START),
        (1, "|RtmpSampleAccess "),
        (1, "onStatus NetStream.Data.Start"),
    ];
    assert_eq!(told, expected.map(|(stream, text)| (stream, text.to_string())));
    let samples = encode(&["|RtmpSampleAccess".into(), true.into(), true.into()]);
    assert_eq!(messages[messages.len() - 2].2, samples);
}

#[test]
fn item_086_the_request_of_a_player_is_returned() {
    let mut script = Script::connect();
    script.create_stream(2.0);
    let play = |values: &[Token<'static>]| [&["play".into(), 0.0.into(), Token::Null], values].concat();
    script.command(1, &play(&["rec?x=1".into(), 5_000.0.into(), 90_000.0.into(), false.into()]));
    // Another stream may follow the current one, also on a message stream that was never created.
    script.command(1, &play(&["two".into(), (-1_000.0).into()])).command(9, &play(&["nine".into()]));
    let (seen, said) = sees(&script, accept);
    let recorded = Seen::Play(1, "rec?x=1".into(), Start::Recorded(5_000), Some(90_000), false);
    assert_eq!(seen, [recorded, Seen::Play(1, "two".into(), Start::Live, None, true), played(9, "nine")]);
    let nine = |code| say("onStatus", 0.0, 9, code);
    let [reset, start] = [code::PLAY_RESET, code::PLAY_START];
    assert_eq!(said[1..], [status(start), status(reset), status(start), nine(reset), nine(start)]);
}

#[test]
fn item_083_a_player_is_refused_with_a_code() {
    let mut script = player();
    script.call(1, "play", 0.0, "other".into()).call(1, "play", 0.0, 7.0.into()).publish(1, "cam");
    let (seen, said) = sees(&script, |server, event| match event {
        Seen::Play(_, name, ..) if name == "cam" => {
            assert_eq!(server.accept(StreamId(1)), Err(RequestError::State), "the client does not publish");
            assert_eq!(server.accept_play(StreamId(2), true), Err(RequestError::Stream(StreamId(2))));
            server.reject(StreamId(1), code::PLAY_STREAM_NOT_FOUND, "no such stream").unwrap();
            assert_eq!(server.accept_play(StreamId(1), true), Err(RequestError::State));
        }
        Seen::Play(..) => server.reject(StreamId(1), code::PLAY_FAILED, "").unwrap(),
        Seen::Publish(..) => server.reject(StreamId(1), code::PUBLISH_BAD_NAME, "").unwrap(),
        _ => {}
    });
    assert_eq!(seen, [played(1, "cam"), played(1, "other"), Seen::Publish(1, "cam".into())]);
    let codes = [code::PLAY_STREAM_NOT_FOUND, code::PLAY_FAILED, code::PLAY_FAILED, code::PUBLISH_BAD_NAME];
    assert_eq!(said[1..], codes.map(status));
}

#[test]
fn item_086_a_player_pauses_seeks_chooses_and_goes() {
    let mut script = player();
    script.command(1, &["pause".into(), 0.0.into(), Token::Null, true.into(), 1_500.0.into()]);
    script.command(1, &["pauseRaw".into(), 0.0.into(), Token::Null, false.into(), 1_500.0.into()]);
    // FFmpeg seeks on the stream, others on the connection.
    script.call(1, "seek", 0.0, 1_980.0.into()).call(0, "seek", 0.0, 7.5.into());
    script.call(1, "receiveAudio", 0.0, false.into()).call(1, "receiveVideo", 0.0, true.into());
    let [old, new] = ["oldStreamName", "streamName"].map(|key| Token::Key(key.into()));
    let object = [Token::ObjectStart, old, "cam".into(), new, "cam2".into(), Token::End];
    script.command(1, &[&["play2".into(), 0.0.into(), Token::Null][..], &object].concat());
    script.control(MessageKind::USER_CONTROL, &[0, 3, 0, 0, 0, 1, 0, 0, 0x0B, 0xB8]);
    script.command(1, &["closeStream".into(), 0.0.into(), Token::Null]);
    // Nothing is played any longer.
    script.call(1, "seek", 0.0, 1.0.into()).call(1, "receiveAudio", 0.0, true.into());
    script.call(1, "play", 0.0, "cam".into()).call(0, "deleteStream", 0.0, 1.0.into());
    script.call(0, "deleteStream", 0.0, 1.0.into());
    let (seen, said) = sees(&script, |server, event| {
        accept(server, event);
        match event {
            Seen::Seek(stream, 1_980) => {
                server.notify(StreamId(*stream), &Status::ok(code::SEEK_NOTIFY, "")).unwrap();
                assert_eq!(
                    server.notify(StreamId(9), &Status::ok(code::SEEK_NOTIFY, "")),
                    Err(RequestError::Stream(StreamId(9)))
                );
            }
            Seen::Seek(stream, _) => {
                server.notify(StreamId(*stream), &Status::error(code::SEEK_FAILED, "")).unwrap();
            }
            _ => {}
        }
    });
    let buffer = crate::control::UserControlEvent::SetBufferLength { stream: StreamId(1), millis: 3_000 };
    let expected = [
        played(1, "cam"),
        Seen::Pause(1, true, 1_500),
        Seen::Pause(1, false, 1_500),
        Seen::Seek(1, 1_980),
        Seen::Seek(1, 7),
        Seen::Receive(1, 8, false),
        Seen::Receive(1, 9, true),
        Seen::Switch(1, "cam".into(), "cam2".into()),
        Seen::User(buffer),
        Seen::Stopped(1),
        played(1, "cam"),
        Seen::Stopped(1),
    ];
    assert_eq!(seen, expected);
    let codes = [code::PLAY_RESET, code::PLAY_START, code::PAUSE_NOTIFY, code::UNPAUSE_NOTIFY, code::SEEK_NOTIFY];
    let after = [code::SEEK_FAILED, code::PLAY_RESET, code::PLAY_START];
    assert_eq!(said[1..], codes.into_iter().chain(after).map(status).collect::<Vec<_>>());
}

#[test]
fn item_056_item_086_a_player_is_told_of_changes_to_its_stream() {
    let mut pair = Pair::new(client(), server(), 999, 999);
    let server = &mut pair.server;
    let (_, before, _) = drive_server(server, &player().bytes, 999, 9_999, &mut Collector::default());
    let stream = StreamId(1);
    server.unpublish_notify(stream).unwrap();
    server.publish_notify(stream).unwrap();
    let rest = drive_server(server, &[], 1, 99, &mut Collector::default()).1;
    server.end_play(stream).unwrap();
    assert_eq!(server.end_play(stream), Err(RequestError::State), "the play has ended");
    assert_eq!(server.publish_notify(StreamId(3)), Err(RequestError::Stream(StreamId(3))));
    let last = drive_server(server, &[], 1, 99, &mut Collector::default()).1;
    let output = [before, rest, last].concat();
    let told: Vec<_> = said(&output)[4..].to_vec();
    assert_eq!(told, [code::PLAY_UNPUBLISH_NOTIFY, code::PLAY_PUBLISH_NOTIFY, code::PLAY_STOP].map(status));
    let mut events = messages(&output);
    events.retain(|(_, header, _)| header.kind == MessageKind::USER_CONTROL);
    assert_eq!(events.iter().map(|(_, _, payload)| payload[1]).collect::<Vec<_>>(), [0, 1, 0, 1]);
}

#[test]
fn a_player_receives_statuses_between_chunks_of_media() {
    let mut server = server();
    drive_server(&mut server, &player().bytes, 999, 9_999, &mut Collector::default()).2.unwrap();
    assert_eq!(
        server.begin_media(MessageKind::VIDEO, StreamId(2), Timestamp(0), 9),
        Err(RequestError::Stream(StreamId(2)))
    );
    let mut output = vec![0; 3_073];
    for (at, kind, length) in [(0, MessageKind::DATA, 30), (0, MessageKind::VIDEO, 9_000), (5, MessageKind::AUDIO, 100)]
    {
        let csid = server.begin_media(kind, StreamId(1), Timestamp(at), length as u32).unwrap();
        if kind == MessageKind::VIDEO {
            // It goes out between two chunks.
            server.publish_notify(StreamId(1)).unwrap();
        }
        let payload = vec![kind.0; length];
        let mut rest = &payload[..];
        while server.media_left(csid).is_some() {
            let mut out = [0; 100];
            let WriteProgress { taken, written, .. } = server.poll_media(csid, rest, &mut out);
            rest = &rest[taken..];
            output.extend_from_slice(&out[..written]);
        }
    }
    // The chunk size was announced before.
    let mut script = Script::new();
    script.chunk_size(4_096);
    let messages = messages(&[&script.bytes, &output[3_073..]].concat());
    let kinds: Vec<_> = messages[1..].iter().map(|(_, header, payload)| (header.kind.0, payload.len())).collect();
    assert_eq!(kinds[0], (18, 30));
    assert!(kinds.contains(&(9, 9_000)) && kinds.contains(&(8, 100)) && kinds.contains(&(4, 6)), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|(kind, _)| *kind == 20).count(), 1);
}

#[test]
fn item_083_the_current_stream_continues_if_another_is_refused() {
    let mut script = player();
    script.call(1, "play", 0.0, "other".into()).call(1, "seek", 0.0, 7.0.into());
    script.command(1, &["closeStream".into(), 0.0.into(), Token::Null]);
    let (seen, said) = sees(&script, |server, event| match event {
        Seen::Play(_, name, ..) if name == "other" => {
            server.reject(StreamId(1), code::PLAY_STREAM_NOT_FOUND, "").unwrap();
            assert_eq!(server.accept_play(StreamId(1), true), Err(RequestError::State));
        }
        _ => accept(server, event),
    });
    assert_eq!(seen, [played(1, "cam"), played(1, "other"), Seen::Seek(1, 7), Seen::Stopped(1)]);
    let codes = [code::PLAY_RESET, code::PLAY_START, code::PLAY_STREAM_NOT_FOUND];
    assert_eq!(said[1..], codes.map(status));
}
