//! The server with scripted clients (items 42, 59, 76, 80, 81, 84, 85, 87 to 90).

use super::*;
use crate::amf0::Token;
use crate::command::{Command, DataMessage, Status, code};

/// The events of the server for `script` after the handshake, and its commands: name, transaction, stream, and the
/// values after the command object.
fn sees(script: &Script) -> (Vec<Seen>, Vec<Said>) {
    let (seen, output, result) = server_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    (seen[1..].to_vec(), said(&output))
}

/// Name, transaction, message stream, and the number or the code in it.
pub(super) type Said = (String, f64, u32, String);

pub(super) fn said(output: &[u8]) -> Vec<Said> {
    let commands = messages(output).into_iter().filter(|(_, header, _)| header.kind == MessageKind::COMMAND);
    commands
        .map(|(_, header, payload)| {
            let command = Command::parse(&payload).unwrap();
            let code = Status::parse(command.values).code.to_string();
            let value = command.number_argument().map_or(code, |number| number.to_string());
            (command.name.to_string(), command.transaction, header.stream.0, value)
        })
        .collect()
}

pub(super) fn say(name: &str, transaction: f64, stream: u32, value: &str) -> Said {
    (name.into(), transaction, stream, value.into())
}

pub(super) fn connect_seen() -> Seen {
    Seen::Connect("live".into(), "rtmp://host/live".into())
}

fn connected() -> Said {
    say("_result", 1.0, 0, code::CONNECT_SUCCESS)
}

fn published(stream: u32, key: &str) -> Seen {
    Seen::Publish(stream, key.into())
}

fn started(stream: u32) -> Said {
    say("onStatus", 0.0, stream, code::PUBLISH_START)
}

#[test]
fn item_089_a_client_that_sends_everything_at_once() {
    let (seen, said) = sees(&Script::publisher());
    assert_eq!(seen, [connect_seen(), published(1, "cam")]);
    assert_eq!(said, [connected(), say("_result", 2.0, 0, "1"), started(1)]);
    // In one segment with C2, which `server_sees` cuts off.
    let bytes = Script::publisher().bytes;
    let (seen, output, result) = drive_server(&mut server(), &bytes, bytes.len(), 99, &mut Collector::default());
    assert_eq!((seen.len(), self::said(&output).len(), result), (3, 3, Ok(())));
}

#[test]
fn item_088_commands_that_need_only_an_answer_are_answered_with_null() {
    let mut script = Script::connect();
    for (name, transaction) in [("releaseStream", 2.0), ("FCPublish", 3.0), ("FCUnpublish", 4.5), ("_checkbw", 1e300)] {
        script.call(0, name, transaction, "cam".into());
    }
    let (_, output, _) = server_sees(&script.bytes);
    let mut answers = messages(&output);
    answers.retain(|(_, header, payload)| {
        header.kind == MessageKind::COMMAND && !payload.windows(4).any(|name| name == b"onFC")
    });
    for ((csid, header, payload), transaction) in answers[1..].iter().zip([2.0, 3.0, 4.5, 1e300]) {
        assert_eq!((*csid, header.stream), (3, StreamId(0)));
        assert_eq!(*payload, encode(&["_result".into(), transaction.into(), Token::Null, Token::Null]));
    }
    assert_eq!(answers.len(), 5);
}

#[test]
fn item_088_streams_are_created_until_there_is_no_room() {
    let mut script = Script::connect();
    for transaction in 2..9 {
        script.create_stream(f64::from(transaction));
    }
    // A deleted stream makes room, and no id is used twice.
    script.call(0, "deleteStream", 9.0, 2.0.into()).create_stream(10.0).create_stream(11.0);
    let mut expected = vec![connected()];
    expected.extend((2..6).map(|id| say("_result", f64::from(id), 0, &(id - 1).to_string())));
    expected.extend((6..9).map(|id| say("_error", f64::from(id), 0, code::CALL_FAILED)));
    expected.extend([say("_result", 10.0, 0, "5"), say("_error", 11.0, 0, code::CALL_FAILED)]);
    assert_eq!(sees(&script), (vec![connect_seen()], expected));
    assert_eq!(MESSAGE_STREAMS, 4);
}

#[test]
fn item_088_a_key_in_use_is_refused_by_the_application() {
    let mut script = Script::publisher();
    script.create_stream(3.0).publish(2, "cam").publish(2, "free").publish(1, "again");
    let drive = |cut, window| {
        let decide = |server: &mut Server<'_, 8>, event: &Seen| match event {
            Seen::Connect(..) => server.accept_connect().unwrap(),
            Seen::Publish(2, key) if key == "cam" => {
                assert_eq!(server.accept(StreamId(1)), Err(RequestError::State));
                assert_eq!(server.accept(StreamId(3)), Err(RequestError::Stream(StreamId(3))));
                server.reject(StreamId(2), code::PUBLISH_BAD_NAME, "in use").unwrap();
                assert_eq!(server.accept(StreamId(2)), Err(RequestError::State));
            }
            Seen::Publish(1, key) if key == "again" => {
                server.reject(StreamId(1), code::PUBLISH_BAD_NAME, "in use").unwrap();
            }
            Seen::Publish(stream, _) => server.accept(StreamId(*stream)).unwrap(),
            _ => {}
        };
        let (server, collector) = (&mut server(), &mut Collector::default());
        drive(server, &script.bytes, cut, window, collector, decide)
    };
    let (seen, output, result) = everywhere(&drive);
    let publishers = [published(1, "cam"), published(2, "cam"), published(2, "free"), published(1, "again")];
    assert_eq!((result, &seen[1..]), (Ok(()), &[&[connect_seen()], &publishers[..]].concat()[..]));
    let refused = |stream| say("onStatus", 0.0, stream, code::PUBLISH_BAD_NAME);
    assert_eq!(said(&output)[2..], [started(1), say("_result", 3.0, 0, "2"), refused(2), started(2), refused(1)]);
}

#[test]
fn item_042_media_belongs_to_its_stream_or_to_the_only_one() {
    let mut script = Script::publisher();
    for (number, stream) in [0, 1, 7, u32::MAX].into_iter().enumerate() {
        script.message_at(number as u32, 4, MessageKind::AUDIO, stream, &[0xAF; 300]);
    }
    let (seen, _) = sees(&script);
    let expected = [0, 1, 2, 3].map(|number| Seen::Message(1, 8, number, vec![0xAF; 300]));
    assert_eq!(seen[2..], expected);
    // With two publishers, media must be on its own stream.
    script.create_stream(3.0).publish(2, "mic");
    for stream in [0, 1, 2, 7] {
        script.message(6, MessageKind::VIDEO, stream, &[stream as u8; 10]);
    }
    let (seen, _) = sees(&script);
    let [one, two] = [1, 2].map(|stream| Seen::Message(stream, 9, 0, vec![stream as u8; 10]));
    assert_eq!(seen[6..], [published(2, "mic"), one, two]);
    // Before a stream is published, media is dropped.
    let mut script = Script::connect();
    script.message(6, MessageKind::VIDEO, 0, &[1; 300]).create_stream(2.0).message(6, MessageKind::VIDEO, 1, &[2; 300]);
    assert_eq!(sees(&script).0, [connect_seen()]);
}

#[test]
fn item_042_a_camera_that_publishes_on_stream_0_and_one_on_a_stream_never_created() {
    for stream in [0, 1, 9, u32::MAX] {
        let mut script = Script::connect();
        script.publish(stream, "cam").message(4, MessageKind::AUDIO, stream, &[0xAF; 3]);
        script.call(0, "deleteStream", 0.0, stream.into());
        let (seen, said) = sees(&script);
        let media = Seen::Message(stream, 8, 0, vec![0xAF; 3]);
        assert_eq!(seen, [connect_seen(), published(stream, "cam"), media, Seen::Ended(stream)]);
        assert_eq!(said[1..], [started(stream), say("onStatus", 0.0, stream, code::UNPUBLISH_SUCCESS)]);
    }
    // An id that a client has made up is not given to it again.
    let mut script = Script::connect();
    script.publish(3, "cam").create_stream(6.0).create_stream(7.0).create_stream(8.0);
    let given = [(6.0, "1"), (7.0, "2"), (8.0, "4")].map(|(transaction, id)| say("_result", transaction, 0, id));
    assert_eq!(sees(&script).1[2..], given);
}

#[test]
fn several_streams_publish_at_once_and_one_ends_without_the_other() {
    let mut script = Script::publisher();
    script.create_stream(3.0).publish(2, "mic");
    let [video, audio] = [vec![0x17; 500], vec![0xAF; 700]];
    script.interleave(&[
        (6, MessageKind::VIDEO, 1, &video),
        (7, MessageKind::VIDEO, 2, &audio),
        (4, MessageKind::AUDIO, 2, &audio),
    ]);
    script.call(0, "deleteStream", 0.0, 1.0.into());
    script.message(7, MessageKind::VIDEO, 2, &video).message(6, MessageKind::VIDEO, 1, &audio);
    let (seen, said) = sees(&script);
    let expected = [
        Seen::Message(1, 9, 0, video.clone()),
        Seen::Message(2, 9, 0, audio.clone()),
        Seen::Message(2, 8, 0, audio.clone()),
        Seen::Ended(1),
        // Media on stream 1 is dropped, because it was deleted.
        Seen::Message(2, 9, 0, video),
    ];
    assert_eq!(seen[3..], expected);
    assert_eq!(said[5..], [say("onStatus", 0.0, 1, code::UNPUBLISH_SUCCESS)]);
}

#[test]
fn item_087_closing_a_stream_leaves_it_for_another_publisher() {
    let mut script = Script::publisher();
    script.command(1, &["closeStream".into(), 0.0.into(), Token::Null]).publish(1, "again");
    script.command(1, &["closeStream".into(), 0.0.into(), Token::Null]);
    script.command(1, &["closeStream".into(), 0.0.into(), Token::Null]).call(0, "deleteStream", 0.0, 1.0.into());
    script.call(0, "deleteStream", 0.0, 1.0.into()).call(0, "deleteStream", 0.0, 77.0.into());
    let (seen, said) = sees(&script);
    assert_eq!(seen[2..], [Seen::Ended(1), published(1, "again"), Seen::Ended(1)]);
    let ended = say("onStatus", 0.0, 1, code::UNPUBLISH_SUCCESS);
    assert_eq!(said[3..], [ended.clone(), started(1), ended]);
}

#[test]
fn item_085_a_transaction_of_0_never_gets_a_reply() {
    let mut script = Script::connect();
    let names = ["releaseStream", "FCPublish", "FCUnpublish", "_checkbw", "createStream", "connect", "nobody.knows"];
    for name in names {
        script.call(0, name, 0.0, "x".into()).call(0, name, -0.0, "x".into()).command(0, &[name.into()]);
    }
    script.create_stream(2.0);
    assert_eq!(sees(&script).1, [connected(), say("_result", 2.0, 0, "1")]);
    // `connect` gets no answer either, but is accepted.
    let mut script = Script::new();
    script.command(0, &["connect".into(), 0.0.into(), Token::ObjectStart, Token::End]).create_stream(2.0);
    assert_eq!(sees(&script).1, [say("_result", 2.0, 0, "1")]);
    let (server, collector) = (&mut server(), &mut Collector::default());
    let decide = |server: &mut Server<'_, 8>, event: &Seen| {
        if let Seen::Connect(..) = event {
            server.reject_connect("no").unwrap();
        }
    };
    let (_, output, _) = drive(server, &script.bytes, 999, 999, collector, decide);
    assert_eq!((said(&output), server.is_closed()), (vec![], true));
}

#[test]
fn item_059_a_transaction_is_repeated_to_the_bit() {
    for odd in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.5, f64::MIN_POSITIVE] {
        let mut script = Script::connect();
        script.create_stream(odd).call(0, "nobody.knows", odd, Token::Null);
        // The stream to delete does not exist.
        script.call(7, "deleteStream", 0.0, odd.into()).publish(1, "cam");
        let (seen, said) = sees(&script);
        assert_eq!(seen[1..], [Seen::Call(0, "nobody.knows".into(), odd.to_bits()), published(1, "cam")]);
        assert_eq!(said[1..3].iter().map(|said| said.1.to_bits()).collect::<Vec<_>>(), [odd.to_bits(); 2]);
        assert_eq!(said.len(), 4);
    }
}

#[test]
fn item_084_unknown_commands_and_commands_out_of_order_fail() {
    let mut script = Script::new();
    script.create_stream(2.0).publish(1, "early").call(0, "FCPublish", 3.0, "cam".into());
    script.raw(&Script::connect().bytes[3_073..]).raw(&Script::connect().bytes[3_073..]);
    script.call(0, "nobody.knows", 4.0, "x".into()).command(0, &["_result".into(), 5.0.into()]);
    script.command(0, &["onStatus".into(), 5.0.into()]).command(0, &["_error".into(), 5.0.into()]);
    script.command(0, &["".into(), 6.0.into()]);
    let failed = |transaction| say("_error", transaction, 0, code::CALL_FAILED);
    let early = [2.0, 5.0, 3.0].map(failed);
    let late = [1.0, 4.0, 6.0].map(failed);
    let call = |name: &str, transaction: f64| Seen::Call(0, name.into(), transaction.to_bits());
    let seen = vec![connect_seen(), call("nobody.knows", 4.0), call("", 6.0)];
    assert_eq!(sees(&script), (seen, [&early[..], &[connected()], &late].concat()));
}

#[test]
fn item_090_data_arrives_as_it_was_sent() {
    let bodies: [&[Token<'_>]; 4] = [
        &["@setDataFrame".into(), "onMetaData".into(), Token::EcmaArrayStart { len: 0 }, Token::End],
        &["onMetaData".into(), Token::ObjectStart, Token::Key("a".into()), 1.0.into(), Token::End],
        &["@clearDataFrame".into(), "onMetaData".into()],
        &["onTextData".into(), "x".into()],
    ];
    let mut script = Script::publisher();
    for body in bodies {
        script.message(4, MessageKind::DATA, 1, &encode(body));
        script.message(4, MessageKind::DATA_AMF3, 1, &[&[0], &encode(body)[..]].concat());
    }
    let (seen, _) = sees(&script);
    for (number, pair) in seen[2..].chunks(2).enumerate() {
        let body = encode(bodies[number]);
        let selected = [&[0], &body[..]].concat();
        assert_eq!(*pair, [Seen::Message(1, 18, 0, body.clone()), Seen::Message(1, 15, 0, selected.clone())]);
        let name = ["onMetaData", "onMetaData", "@clearDataFrame", "onTextData"][number];
        for payload in [&body, &selected] {
            assert_eq!(DataMessage::parse(payload).unwrap().name, name);
        }
    }
    assert_eq!(seen.len(), 2 + 8);
}

#[test]
fn item_076_commands_of_type_17_and_stray_selectors() {
    for (kind, selector) in
        [(MessageKind::COMMAND_AMF3, &[0][..]), (MessageKind::COMMAND_AMF3, &[]), (MessageKind::COMMAND, &[0])]
    {
        let mut script = Script::new();
        let app = [Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End];
        let connect = [&["connect".into(), 1.0.into()], &app[..]].concat();
        let create = ["createStream".into(), 2.0.into(), Token::Null];
        let publish = ["publish".into(), 3.0.into(), Token::Null, "cam".into(), "live".into()];
        for (stream, tokens) in [(0, &connect[..]), (0, &create), (1, &publish)] {
            script.message(3, kind, stream, &[&[3], &encode(tokens)[..]].concat());
            script.message(3, kind, stream, &[selector, &encode(tokens)].concat());
        }
        assert_eq!(sees(&script).0, [Seen::Connect("live".into(), "".into()), published(1, "cam")]);
    }
}
