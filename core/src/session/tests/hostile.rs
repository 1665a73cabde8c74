//! Malformed and hostile input, including inputs that broke other implementations.

use super::scripted_client::{connect_seen, said, say};
use super::*;
use crate::amf0::Token;
use crate::command::code;

fn commands_of_clients() -> Vec<(u32, Vec<u8>)> {
    let app = [Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End];
    let connect = [&["connect".into(), 1.0.into()], &app[..]].concat();
    let call = |name: &'static str, argument| [name.into(), 2.0.into(), Token::Null, argument];
    vec![
        (0, encode(&connect)),
        (0, encode(&call("releaseStream", "cam".into()))),
        (0, encode(&call("FCPublish", "cam".into()))),
        (0, encode(&["createStream".into(), 2.0.into(), Token::Null])),
        (1, encode(&["publish".into(), 5.0.into(), Token::Null, "cam".into(), "live".into()])),
        (1, encode(&["play".into(), 5.0.into(), Token::Null, "cam".into(), (-2.0).into(), true.into()])),
        (0, encode(&call("deleteStream", 1.0.into()))),
        (1, encode(&["closeStream".into(), 0.0.into(), Token::Null])),
        (0, encode(&call("FCUnpublish", "cam".into()))),
    ]
}

fn commands_of_servers() -> Vec<(u32, Vec<u8>)> {
    let with_info = |head: &[Token<'static>], level, code| encode(&[head, &info(level, code, "why")].concat());
    let start = ["onStatus".into(), 0.0.into(), Token::Null];
    vec![
        (0, with_info(&["_result".into(), 1.0.into(), Token::Null], "status", code::CONNECT_SUCCESS)),
        (0, with_info(&["_error".into(), 1.0.into(), Token::Null], "error", code::CONNECT_REJECTED)),
        (0, encode(&["_result".into(), 4.0.into(), Token::Null, 1.0.into()])),
        (1, with_info(&start, "status", code::PUBLISH_START)),
        (1, with_info(&start, "error", code::PUBLISH_BAD_NAME)),
        (0, encode(&["onBWDone".into(), 0.0.into(), Token::Null, 1.0.into()])),
        (0, encode(&["_onbwcheck".into(), 7.0.into(), Token::Null])),
    ]
}

#[test]
fn item_059_every_command_truncated_at_every_byte_leaves_a_server_that_works() {
    for before in [Script::new(), Script::publisher()] {
        for (stream, command) in commands_of_clients() {
            for length in 0..command.len() {
                let mut script = before.clone();
                script.message(3, MessageKind::COMMAND, stream, &command[..length]);
                script.raw(&Script::connect().bytes[3_073..]).create_stream(9.0).publish(77, "last");
                let (seen, output, result) = server_sees(&script.bytes);
                assert_eq!(result, Ok(()));
                assert_eq!(seen.last(), Some(&Seen::Publish(77, "last".into())), "{length} of {command:?}");
                assert!(said(&output).iter().any(|(name, transaction, ..)| name == "_result" && *transaction == 9.0));
            }
        }
    }
}

#[test]
fn item_059_every_command_truncated_at_every_byte_leaves_a_client_that_works_or_returns_an_error() {
    for (stream, command) in commands_of_servers() {
        for place in 0..3 {
            for length in 0..command.len() {
                let mut script = Script::new();
                for step in 0..3 {
                    if step == place {
                        script.message(3, MessageKind::COMMAND, stream, &command[..length]);
                    }
                    match step {
                        0 => script.connected(),
                        1 => script.result(4.0, 1.0.into()),
                        _ => script.status(1, "status", code::PUBLISH_START),
                    };
                }
                let (seen, _, result) = client_sees(&script.bytes);
                let refused = seen.iter().any(|seen| matches!(seen, Seen::Refused(..)));
                let works = result == Ok(()) && (seen.contains(&Seen::Publishing(1)) || refused);
                assert!(
                    works || result == Err(SessionError::StreamId),
                    "{length} of {command:?}: {seen:?}, {result:?}"
                );
            }
        }
    }
}

#[test]
fn cve_2015_8272_arguments_that_are_missing_or_of_another_type() {
    let connects: [&[Token<'_>]; 6] = [
        &[],
        &[Token::Null],
        &["live".into(), "more".into()],
        &[5.0.into()],
        &[
            Token::ObjectStart,
            Token::Key("app".into()),
            7.0.into(),
            Token::Key("tcUrl".into()),
            Token::Null,
            Token::End,
        ],
        &[Token::StrictArrayStart { len: 1 }, Token::Null, Token::End],
    ];
    for arguments in connects {
        let mut script = Script::new();
        script.command(0, &[&["connect".into(), 1.0.into()], arguments].concat()).publish(1, "cam");
        let (seen, ..) = server_sees(&script.bytes);
        assert_eq!(seen[1..], [Seen::Connect("".into(), "".into()), Seen::Publish(1, "cam".into())], "{arguments:?}");
    }
    let refusals: [&[Token<'_>]; 7] = [
        &[],
        &[Token::Null],
        &[Token::Null, 7.0.into(), "live".into()],
        &[Token::Null, true.into(), "live".into()],
        &[Token::Null, Token::Date { ms: 0.0, tz: 0 }, "live".into()],
        &[Token::Null, Token::StrictArrayStart { len: 1 }, "cam".into(), Token::End, "live".into()],
        &[Token::Null, Token::Amf3(&[6, 7, b'c', b'a', b'm'])],
    ];
    for arguments in refusals {
        let mut script = Script::connect();
        script.create_stream(2.0).command(1, &[&["publish".into(), 3.0.into()], arguments].concat());
        script.call(1, "play", 3.0, 7.0.into());
        let (seen, output, result) = server_sees(&script.bytes);
        assert_eq!((&seen[1..], result), (&[connect_seen()][..], Ok(())), "{arguments:?}");
        let [bad_name, failed] = [code::PUBLISH_BAD_NAME, code::PLAY_FAILED].map(|code| say("onStatus", 0.0, 1, code));
        assert_eq!(said(&output)[2..], [bad_name, failed]);
    }
}

#[test]
fn cve_2015_8270_cve_2015_8271_amf3_values_end_the_decoding() {
    let values: [&[u8]; 5] =
        [&[], &[6], &[6, 0xFF, 0xFF, 0xFF, 0xFF, b'x'], &[0x0A, 0xFF, 0xFF, 0xFF, 0xFB], &[9, 0xFF]];
    for bytes in values {
        let amf3 = Token::Amf3(bytes);
        let (app, odd) = (Token::Key("app".into()), Token::Key("odd".into()));
        let mut script = Script::new();
        script.command(0, &["connect".into(), 1.0.into(), Token::ObjectStart, app, "live".into(), odd, amf3]);
        script.command(0, &["createStream".into(), 2.0.into(), amf3]).command(1, &["publish".into(), 3.0.into(), amf3]);
        script.command(0, &[amf3]).command(0, &["connect".into(), amf3]).publish(1, "cam");
        let (seen, _, result) = server_sees(&script.bytes);
        let expected = [Seen::Connect("live".into(), "".into()), Seen::Publish(1, "cam".into())];
        assert_eq!((&seen[1..], result), (&expected[..], Ok(())));
        let mut script = Script::new();
        script.command(0, &["_result".into(), 1.0.into(), amf3]).command(0, &["onStatus".into(), 0.0.into(), amf3]);
        let (seen, _, result) = client_sees(&script.bytes);
        assert_eq!((&seen[1..], result), (&[Seen::Connected, Seen::Status(0, "".into())][..], Ok(())));
    }
}

#[test]
fn item_041_unknown_types_are_ignored() {
    let mut script = Script::connect();
    for kind in (0..=u8::MAX).map(MessageKind).filter(|kind| kind.name().is_none() || matches!(kind.0, 16 | 19)) {
        for length in [0, 1, 300] {
            script.message(5, kind, 1, &vec![kind.0; length]);
        }
    }
    let mut to_client = Script::new();
    to_client.raw(&script.bytes[Script::connect().bytes.len()..]).raw(&Script::publishing().bytes[3_073..]);
    script.publish(1, "cam");
    let (seen, _, result) = server_sees(&script.bytes);
    assert_eq!((&seen[1..], result), (&[connect_seen(), Seen::Publish(1, "cam".into())][..], Ok(())));
    let (seen, _, result) = client_sees(&to_client.bytes);
    assert_eq!((&seen[1..], result), (&[Seen::Connected, Seen::Publishing(1)][..], Ok(())));
}
