//! Requests that are repeated, that end a stream, or that name a stream that does not exist (items 140 to 144).

use super::*;
use crate::amf0::Token;
use crate::command::code;

/// A server whose application knows two names. A publish of "cam" on another message stream continues the first one. "taken"
/// belongs to another client. Returns the events after `connect`, the message streams and codes of the answers, and the
/// number of dropped messages.
fn relay_sees(script: &Script) -> (Vec<Seen>, Vec<(u32, String)>, u32) {
    let (server, collector) = (&mut server(), &mut Collector::default());
    let mut published: Option<StreamId> = None;
    let decide = |server: &mut Server<'_, 8>, event: &Seen| match event {
        Seen::Connect(..) => server.accept_connect().unwrap(),
        Seen::Publish(stream, key) if key == "taken" => {
            server.reject(StreamId(*stream), code::PUBLISH_BAD_NAME, "in use").unwrap();
        }
        Seen::Publish(stream, key) if key == "cam" => {
            let stream = StreamId(*stream);
            match published {
                Some(first) => server.accept_again(stream, first).unwrap(),
                None => server.accept(stream).unwrap(),
            }
            published.get_or_insert(stream);
        }
        Seen::Publish(stream, _) => server.accept(StreamId(*stream)).unwrap(),
        Seen::Play(stream, name, .., reset) => match &name[..] {
            "taken" => server.reject(StreamId(*stream), code::PLAY_FAILED, "no").unwrap(),
            _ => server.accept_play(StreamId(*stream), *reset).unwrap(),
        },
        Seen::Ended(stream) => _ = published.take_if(|first| first.0 == *stream),
        _ => {}
    };
    let (seen, output, result) = drive(server, &script.bytes, 999, 9_999, collector, decide);
    assert_eq!(result, Ok(()));
    let commands = messages(&output).into_iter().filter(|(_, header, _)| header.kind == MessageKind::COMMAND);
    let codes = commands.map(|(_, header, payload)| {
        let command = crate::command::Command::parse(&payload).unwrap();
        let status = crate::command::Status::parse(command.values);
        let is_status = !status.code.as_bytes().is_empty();
        (header.stream.0, if is_status { status.code.to_string() } else { command.name.to_string() })
    });
    (seen[2..].to_vec(), codes.skip(1).collect(), server.dropped_media())
}

fn media(stream: u32) -> Seen {
    Seen::Message(stream, 9, 0, vec![0x17; 9])
}

fn say(stream: u32, code: &str) -> (u32, String) {
    (stream, code.into())
}

impl Script {
    fn media(&mut self, stream: u32) -> &mut Self {
        self.message(6, MessageKind::VIDEO, stream, &[0x17; 9])
    }

    fn close_stream(&mut self, stream: u32) -> &mut Self {
        self.command(stream, &["closeStream".into(), 0.0.into(), Token::Null])
    }
}

#[test]
fn item_140_the_same_publish_on_the_same_stream_continues() {
    let mut script = Script::publisher();
    script.media(1).publish(1, "cam").media(1).publish(1, "cam").media(1).close_stream(1);
    let again = Seen::Publish(1, "cam".into());
    let expected = [again.clone(), media(1), again.clone(), media(1), again, media(1), Seen::Ended(1)];
    let (seen, said, dropped) = relay_sees(&script);
    assert_eq!((seen, dropped), (expected.to_vec(), 0));
    let start = || say(1, code::PUBLISH_START);
    assert_eq!(said[1..], [start(), start(), start(), say(1, code::UNPUBLISH_SUCCESS)]);
}

#[test]
fn item_140_an_incomplete_message_continues_after_the_same_publish() {
    let mut script = Script::publisher();
    let mut video = Script::new();
    let bytes = video.message(6, MessageKind::VIDEO, 1, &[0x17; 200]).bytes.split_off(3_073);
    let (begin, end) = bytes.split_at(12 + 128);
    script.raw(begin).publish(1, "cam").raw(end);
    let expected = Seen::Message(1, 9, 0, vec![0x17; 200]);
    assert_eq!(relay_sees(&script).0.last(), Some(&expected));
}

#[test]
fn item_140_the_same_publish_on_another_stream_continues_the_first() {
    let mut script = Script::publisher();
    script.media(1).call(0, "releaseStream", 3.0, "cam".into()).call(0, "FCPublish", 4.0, "cam".into());
    // Media on both streams, and on one that does not exist, belongs to the first stream.
    script.create_stream(5.0).publish(2, "cam").media(2).media(1).media(0).media(9);
    // The end of the first stream ends nothing, because the client continues on the second one.
    script.call(0, "deleteStream", 0.0, 1.0.into()).media(2).call(0, "deleteStream", 0.0, 2.0.into()).media(2);
    let (seen, said, dropped) = relay_sees(&script);
    let [first, again] = [1, 2].map(|stream| Seen::Publish(stream, "cam".into()));
    let media = [const { 1 }; 5].map(media);
    assert_eq!(seen, [&[first, media[0].clone(), again], &media[..], &[Seen::Ended(1)]].concat());
    assert_eq!(dropped, 1);
    assert_eq!(said[said.len() - 2..], [say(2, code::PUBLISH_START), say(2, code::UNPUBLISH_SUCCESS)]);
    assert!(said.iter().all(|(_, code)| !code.contains("BadName") && !code.contains("_error")), "{said:?}");
}

#[test]
fn item_140_the_stream_of_the_last_repeated_publish_ends_the_publication() {
    let mut script = Script::publisher();
    script
        .create_stream(3.0)
        .publish(2, "cam")
        .create_stream(4.0)
        .publish(3, "cam")
        .publish(1, "cam")
        .media(2)
        .media(3);
    script.close_stream(2).close_stream(3).media(1).close_stream(1).publish(1, "other").media(1);
    let (seen, _, dropped) = relay_sees(&script);
    let publishes = [1, 2, 3, 1].map(|stream| Seen::Publish(stream, "cam".into()));
    let other = Seen::Publish(1, "other".into());
    let rest = [media(1), media(1), media(1), Seen::Ended(1), other, media(1)];
    assert_eq!((seen, dropped), ([&publishes[..], &rest].concat(), 0));
}

#[test]
fn item_143_media_on_another_name_of_a_stream_is_dropped_when_the_stream_is_published_under_a_new_key() {
    let mut script = Script::publisher();
    script.create_stream(3.0).publish(2, "cam").media(2).publish(1, "other").media(2).media(1);
    let (seen, _, dropped) = relay_sees(&script);
    let publishes = [(1, "cam"), (2, "cam"), (1, "other")].map(|(stream, key)| Seen::Publish(stream, key.into()));
    let [first, again, other] = publishes;
    assert_eq!((seen, dropped), (vec![first, again, media(1), other, media(1)], 1));
}

#[test]
fn item_141_publish_false_ends_publishing_and_another_name_may_follow() {
    let end = |script: &mut Script, stream| _ = script.call(stream, "publish", 0.0, false.into());
    for on in [1, 0] {
        let mut script = Script::publisher();
        script.media(1);
        end(&mut script, on);
        script.publish(1, "two").media(1);
        // The second end changes nothing, and the client gets the same answer.
        end(&mut script, 1);
        end(&mut script, 1);
        let (seen, said, _) = relay_sees(&script);
        let publishes = ["cam", "two"].map(|key| Seen::Publish(1, key.into()));
        let [one, two] = publishes.map(|publish| [publish, media(1), Seen::Ended(1)]);
        assert_eq!(seen, [one, two].concat());
        let [start, end] = [code::PUBLISH_START, code::UNPUBLISH_SUCCESS].map(|code| say(1, code));
        assert_eq!(said[1..], [start.clone(), end.clone(), start, end.clone(), end]);
    }
    // `publish(false)` does not end playing.
    let mut script = Script::connect();
    script.create_stream(2.0).call(1, "play", 3.0, "cam".into());
    end(&mut script, 1);
    let (seen, said, _) = relay_sees(&script);
    assert_eq!((seen.len(), said.last()), (1, Some(&say(1, code::UNPUBLISH_SUCCESS))));
}

#[test]
fn item_142_requests_that_name_a_missing_stream_are_no_errors() {
    let mut script = Script::connect();
    for (number, name) in ["FCUnpublish", "releaseStream", "FCPublish", "FCUnsubscribe"].into_iter().enumerate() {
        script.call(0, name, 10.0 + number as f64, "cam".into());
    }
    for stream in [1.0, 77.0, 0.0, 4_294_967_295.0] {
        script.call(0, "deleteStream", 20.0, stream.into()).close_stream(stream as u32);
    }
    for name in ["pause", "seek", "receiveAudio", "receiveVideo"] {
        script.call(0, name, 30.0, true.into()).call(5, name, 30.0, 1.0.into());
    }
    script.create_stream(2.0).publish(1, "cam").create_stream(3.0).create_stream(4.0).media(1);
    let (seen, said, _) = relay_sees(&script);
    assert_eq!(seen, [Seen::Publish(1, "cam".into()), media(1)]);
    assert!(said.iter().all(|(_, code)| !code.contains("Failed") && !code.contains("BadName")), "{said:?}");
}

#[test]
fn item_142_commands_of_a_player_on_a_stream_that_does_not_play_are_ignored() {
    let mut script = Script::connect();
    script.create_stream(2.0).create_stream(3.0).call(1, "play", 3.0, "cam".into());
    for stream in [2, 1, 0] {
        script.call(stream, "receiveAudio", 0.0, false.into());
    }
    script.call(2, "pause", 0.0, true.into()).call(0, "deleteStream", 0.0, 2.0.into()).call(
        2,
        "pause",
        0.0,
        true.into(),
    );
    let (seen, _, _) = relay_sees(&script);
    // A command on stream 0 is for the only stream that is played.
    let receive = Seen::Receive(1, 8, false);
    assert_eq!(seen[1..], [receive.clone(), receive]);
}

#[test]
fn item_142_a_fifth_message_stream_is_refused_with_the_limit() {
    let mut script = Script::connect();
    (2..7).for_each(|transaction| _ = script.create_stream(f64::from(transaction)));
    script.call(0, "deleteStream", 0.0, 2.0.into()).create_stream(9.0);
    let output = server_sees(&script.bytes).1;
    let texts: Vec<_> =
        messages(&output).into_iter().map(|(_, _, payload)| String::from_utf8_lossy(&payload).into_owned()).collect();
    assert!(
        texts.iter().any(|text| text.contains("_error") && text.contains("can have 4 message streams")),
        "{texts:?}"
    );
    assert_eq!(
        texts.last(),
        Some(&String::from_utf8_lossy(&encode(&["_result".into(), 9.0.into(), Token::Null, 5.0.into()])).into_owned())
    );
}

#[test]
fn item_143_media_on_a_rejected_or_ended_stream_is_dropped_and_counted() {
    let reject = |script: &mut Script| _ = script.publish(2, "taken");
    let delete = |script: &mut Script| _ = script.call(0, "deleteStream", 0.0, 2.0.into());
    let close = |script: &mut Script| _ = script.publish(2, "mic").close_stream(2);
    let replace = |script: &mut Script| {
        // After that, other streams take the place of the deleted one.
        script.call(0, "deleteStream", 0.0, 2.0.into());
        [6.0, 7.0, 8.0].into_iter().for_each(|transaction| _ = script.create_stream(transaction));
    };
    let refuse_play = |script: &mut Script| _ = script.call(2, "play", 0.0, "taken".into());
    let ends: [&dyn Fn(&mut Script); 5] = [&reject, &delete, &close, &replace, &refuse_play];
    for (number, end) in ends.into_iter().enumerate() {
        let mut script = Script::publisher();
        script.create_stream(3.0);
        end(&mut script);
        script.media(2).media(2).media(1);
        let (seen, _, dropped) = relay_sees(&script);
        let arrived: Vec<_> = seen.into_iter().filter(|seen| matches!(seen, Seen::Message(..))).collect();
        assert_eq!((arrived, dropped), (vec![media(1)], 2), "way {number}");
    }
}

#[test]
fn item_144_a_refused_publish_does_not_end_the_publication() {
    let mut script = Script::publisher();
    script.media(1).publish(1, "taken").media(1).create_stream(3.0).publish(2, "taken").media(1).call(
        1,
        "play",
        0.0,
        "x".into(),
    );
    script.media(1);
    let (seen, said, dropped) = relay_sees(&script);
    let arrived = seen.iter().filter(|seen| **seen == media(1)).count();
    assert_eq!((arrived, dropped), (4, 0));
    assert_eq!(said.iter().filter(|(_, code)| code == code::PUBLISH_BAD_NAME).count(), 2);
}

#[test]
fn item_144_a_refused_play_does_not_end_playing() {
    for on in [1, 2] {
        let mut script = Script::connect();
        script.create_stream(2.0).create_stream(3.0).call(1, "play", 0.0, "cam".into());
        let mut server = server();
        let collector = &mut Collector::default();
        let decide = |server: &mut Server<'_, 8>, event: &Seen| match event {
            Seen::Connect(..) => server.accept_connect().unwrap(),
            Seen::Play(stream, name, ..) if name == "cam" => server.accept_play(StreamId(*stream), true).unwrap(),
            Seen::Play(stream, ..) => server.reject(StreamId(*stream), code::PLAY_FAILED, "no").unwrap(),
            _ => {}
        };
        drive(&mut server, &script.bytes, 999, 9_999, collector, decide).2.unwrap();
        let csid = server.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 300).unwrap();
        let mut out = [0; 999];
        let first = server.poll_media(csid, &[9; 100], &mut out);
        let mut refused = Script::new();
        let bytes = refused.call(on, "play", 0.0, "other".into()).bytes.split_off(3_073);
        drive(&mut server, &bytes, 99, 9_999, collector, decide).2.unwrap();
        let rest = server.poll_media(csid, &[9; 200], &mut out);
        assert_eq!((first.taken, rest.taken, rest.done), (100, 200, true), "on {on}");
        assert!(server.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(40), 10).is_ok());
    }
}
