//! Clients of servers that answer in unusual ways (items 180 to 185).

use super::player_client::{Player, ignore, play_cam, sees as player_sees, started};
use super::*;
use crate::amf0::Token;
use crate::command::{PlayRequest, code};

/// The events of a publisher that receives `script`, without that of the handshake. The result is the same in all pieces.
fn sees(script: &Script) -> Vec<Seen> {
    let (seen, _, result) = client_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    seen[1..].to_vec()
}

fn refused(stage: Stage, code: &str) -> Seen {
    Seen::Refused(stage, code.into(), String::new())
}

fn status(stream: u32, code: &str) -> Seen {
    Seen::Status(stream, code.into())
}

/// The script of a server that has accepted `connect` and has created stream 1. `transaction` is that of `createStream`.
fn created(transaction: f64) -> Script {
    let mut script = Script::new();
    script.connected().result(transaction, 1.0.into());
    script
}

/// Adds a command that consists of `head` and an info object.
fn told(script: &mut Script, stream: u32, head: &[Token<'_>], level: &str, code: &str) {
    script.command(stream, &[head, &info(level, code, "")].concat());
}

const LEVELS: [&str; 6] = ["error", "Error", "warning", "status", "", "x"];

#[test]
fn item_180_a_known_code_of_a_refusal_counts_at_every_level() {
    for level in LEVELS {
        for code in [code::PUBLISH_BAD_NAME, code::PUBLISH_DENIED, code::PUBLISH_FAILED, code::STREAM_FAILED] {
            let mut script = created(4.0);
            script.status(1, level, code);
            assert_eq!(sees(&script), [Seen::Connected, refused(Stage::Publish, code)], "{level} {code}");
        }
        for code in [code::PLAY_STREAM_NOT_FOUND, code::PLAY_FAILED] {
            let mut script = created(2.0);
            script.status(1, level, code);
            let (seen, _) = player_sees(&script, play_cam, ignore);
            assert_eq!(seen, [Seen::Connected, refused(Stage::Play, code)], "{level} {code}");
        }
        for code in [code::CONNECT_REJECTED, code::CONNECT_INVALID_APP] {
            let mut script = Script::new();
            script.status(0, level, code);
            assert_eq!(sees(&script), [refused(Stage::Connect, code)], "{level} {code}");
        }
        // No level turns a success into a refusal.
        let mut script = created(4.0);
        script.status(1, level, code::PUBLISH_START);
        assert_eq!(sees(&script), [Seen::Connected, Seen::Publishing(1)], "{level}");
    }
}

#[test]
fn item_180_the_level_decides_what_an_unknown_code_means() {
    for (level, is_error) in LEVELS.iter().zip([true, true, false, false, false, false]) {
        for code in ["NetStream.Publish.Unheard", "NetStream.Whatever", "x", ""] {
            let mut script = created(4.0);
            script.status(1, level, code);
            let expected = if is_error { refused(Stage::Publish, code) } else { status(1, code) };
            assert_eq!(sees(&script), [Seen::Connected, expected], "{level} {code}");
        }
    }
}

#[test]
fn item_180_an_answer_may_be_a_refusal_in_the_form_of_a_result() {
    for (level, code) in [("error", code::CONNECT_REJECTED), ("status", code::CONNECT_INVALID_APP), ("Error", "x")] {
        let mut script = Script::new();
        told(&mut script, 0, &["_result".into(), 1.0.into(), Token::Null], level, code);
        assert_eq!(sees(&script), [refused(Stage::Connect, code)]);
    }
    // The answer to `publish`: the code says which one it is, and without a code the status follows.
    for (code, expected) in [
        (code::PUBLISH_START, Some(Seen::Publishing(1))),
        (code::PUBLISH_BAD_NAME, Some(refused(Stage::Publish, code::PUBLISH_BAD_NAME))),
        ("", None),
    ] {
        let mut script = created(4.0);
        told(&mut script, 1, &["_result".into(), 5.0.into(), Token::Null], "status", code);
        assert_eq!(sees(&script), [Seen::Connected].into_iter().chain(expected).collect::<Vec<_>>(), "{code}");
    }
    // A status alone is the answer to `connect`.
    let mut script = Script::new();
    script.status(0, "status", code::CONNECT_SUCCESS).connected();
    assert_eq!(sees(&script), [Seen::Connected]);
}

#[test]
fn item_181_only_codes_of_the_awaited_request_count_on_message_stream_0() {
    let others = [code::STREAM_FAILED, code::PLAY_FAILED, code::CALL_FAILED, code::CONNECT_CLOSED, "x"];
    for code in others {
        // The statuses come before and after the answer to `createStream`.
        let mut script = Script::new();
        script.connected().status(0, "error", code).result(4.0, 1.0.into()).status(0, "error", code);
        script.status(1, "status", code::PUBLISH_START);
        let expected = [Seen::Connected, status(0, code), status(0, code), Seen::Publishing(1)];
        assert_eq!(sees(&script), expected, "{code}");
    }
    let mut script = Script::new();
    script.status(0, "error", code::PUBLISH_BAD_NAME).connected().status(0, "error", code::PUBLISH_BAD_NAME);
    let refused_early = [status(0, code::PUBLISH_BAD_NAME), Seen::Connected];
    assert_eq!(sees(&script), [&refused_early[..], &[refused(Stage::CreateStream, code::PUBLISH_BAD_NAME)]].concat());
    let mut script = created(4.0);
    script.status(0, "status", code::PUBLISH_DENIED);
    assert_eq!(sees(&script), [Seen::Connected, refused(Stage::Publish, code::PUBLISH_DENIED)]);
    let mut script = created(2.0);
    script.status(0, "error", code::PUBLISH_BAD_NAME).status(0, "status", code::PLAY_STREAM_NOT_FOUND);
    let (seen, _) = player_sees(&script, play_cam, ignore);
    let refused_play = refused(Stage::Play, code::PLAY_STREAM_NOT_FOUND);
    assert_eq!(seen, [Seen::Connected, status(0, code::PUBLISH_BAD_NAME), refused_play]);
}

#[test]
fn item_181_a_status_of_another_message_stream_refuses_nothing() {
    for code in [code::PUBLISH_BAD_NAME, code::STREAM_FAILED, code::PLAY_FAILED] {
        let mut script = created(4.0);
        script.status(7, "error", code).status(1, "status", code::PUBLISH_START).status(7, "error", code);
        assert_eq!(sees(&script), [Seen::Connected, status(7, code), Seen::Publishing(1), status(7, code)], "{code}");
    }
}

#[test]
fn item_182_missing_transaction_ids_are_tolerated() {
    for id in [&[][..], &[Token::Null], &[Token::Undefined], &[0.0.into()]] {
        let head = |name: &'static str| [&[name.into()][..], id, &[Token::Null]].concat();
        let mut script = Script::new();
        told(&mut script, 0, &head("_result"), "status", code::CONNECT_SUCCESS);
        script.command(0, &[&head("_result")[..], &[6.0.into()]].concat());
        told(&mut script, 6, &head("onStatus"), "status", code::PUBLISH_START);
        assert_eq!(sees(&script), [Seen::Connected, Seen::Publishing(6)], "{id:?}");
        let mut script = created(4.0);
        told(&mut script, 1, &head("_error"), "error", "x");
        assert_eq!(sees(&script), [Seen::Connected, refused(Stage::Publish, "x")], "{id:?}");
        let mut script = Script::new();
        script.connected().command(0, &[&head("_result")[..], &[3.0.into()]].concat());
        told(&mut script, 3, &head("onStatus"), "status", code::PLAY_START);
        assert_eq!(player_sees(&script, play_cam, ignore).0, [Seen::Connected, Seen::Playing(3)], "{id:?}");
    }
}

#[test]
fn item_182_a_server_need_not_count_release_stream_and_fc_publish_as_transactions() {
    for id in [2.0, 3.0] {
        let mut script = Script::new();
        // The answers to `releaseStream` and `FCPublish` have no number after the transaction id.
        script.connected().result(2.0, Token::Null).result(3.0, Token::Undefined).result(id, 5.0.into());
        script.status(5, "status", code::PUBLISH_START);
        assert_eq!(sees(&script), [Seen::Connected, Seen::Publishing(5)], "{id}");
    }
}

#[test]
fn item_182_publishing_may_start_before_the_stream_is_known() {
    let mut script = Script::new();
    script.connected().status(1, "status", code::PUBLISH_START).result(4.0, 1.0.into());
    assert_eq!(sees(&script), [Seen::Connected, status(1, code::PUBLISH_START), Seen::Publishing(1)]);
}

#[test]
fn item_183_the_first_media_on_the_awaited_stream_is_the_start() {
    type Before = fn(&mut Script);
    let befores: [(Before, &[Seen]); 4] = [
        (|_| {}, &[]),
        (|script| _ = script.status(1, "status", code::PLAY_RESET), &[status(1, code::PLAY_RESET)]),
        (|script| _ = script.status(1, "status", code::PLAY_PUBLISH_NOTIFY), &[status(1, code::PLAY_PUBLISH_NOTIFY)]),
        (|script| _ = script.message(4, MessageKind::AUDIO, 1, &[]), &[Seen::Message(1, 8, 0, vec![])]),
    ];
    for (before, told) in befores {
        for kind in [MessageKind::AUDIO, MessageKind::VIDEO, MessageKind::AGGREGATE] {
            let mut script = created(2.0);
            before(&mut script);
            // The first message is longer than a chunk.
            script.message(6, kind, 1, &[0x17; 300]).message(6, kind, 1, &[0x27; 5]);
            // The start that follows is reported as an ordinary status.
            script.status(1, "status", code::PLAY_START);
            let media = [Seen::Message(1, kind.0, 0, vec![0x17; 300]), Seen::Message(1, kind.0, 0, vec![0x27; 5])];
            let (seen, output) = player_sees(&script, play_cam, ignore);
            let start = [status(1, code::PLAY_START)];
            assert_eq!(seen, [&[Seen::Connected][..], told, &[Seen::Playing(1)], &media, &start].concat(), "{kind}");
            assert_eq!(commands(&output).len(), 3);
        }
    }
}

#[test]
fn item_183_bytes_that_start_a_stream_are_counted_once() {
    let mut script = created(2.0);
    script.message(6, MessageKind::VIDEO, 1, &[0x17; 1_000]).message(4, MessageKind::AUDIO, 1, &[0xAF; 9]);
    let mut player = super::player_client::player();
    play_cam(&mut player);
    let mut collector = Collector::default();
    let (seen, _, result) = drive(&mut player, &script.bytes, 700, 1_000, &mut collector, |_, _| {});
    assert_eq!((seen.len(), result), (5, Ok(())));
    assert_eq!(player.bytes_received() as usize, script.bytes.len() - 1 - 2 * 1_536);
}

#[test]
fn item_184_a_client_that_plays_one_stream_takes_media_on_any_unused_id() {
    for id in [0, 1, 5, u32::MAX] {
        // The media comes without a start, and after the start.
        let mut script = created(2.0);
        script.message(6, MessageKind::VIDEO, id, &[1]);
        assert_eq!(
            player_sees(&script, play_cam, ignore).0,
            [Seen::Connected, Seen::Playing(1), Seen::Message(1, 9, 0, vec![1])],
            "{id}"
        );
        let mut script = created(2.0);
        script.status(1, "status", code::PLAY_START).message(6, MessageKind::VIDEO, id, &[1]);
        assert_eq!(
            player_sees(&script, play_cam, ignore).0,
            [Seen::Connected, Seen::Playing(1), Seen::Message(1, 9, 0, vec![1])],
            "{id}"
        );
    }
}

#[test]
fn item_184_media_on_an_id_of_another_stream_is_not_mixed_in() {
    // Stream 1 was refused. Stream 2 was played and stopped. Then stream 3 is played.
    let mut script = created(2.0);
    script.status(1, "error", code::PLAY_STREAM_NOT_FOUND);
    started(&mut script, 5.0, 2);
    script.result(8.0, 3.0.into());
    script.message(6, MessageKind::VIDEO, 1, &[1]).message(6, MessageKind::VIDEO, 2, &[2]);
    script.message(6, MessageKind::VIDEO, 9, &[9]);
    let (seen, _) = player_sees(
        &script,
        |player: &mut Player| {
            play_cam(player);
            play_cam(player);
        },
        |player, event| {
            if *event == Seen::Playing(2) {
                player.stop(StreamId(2)).unwrap();
                player.play(&PlayRequest::new("next")).unwrap();
            }
        },
    );
    let media = [(1, 1), (2, 2)].map(|(stream, byte)| Seen::Message(stream, 9, 0, vec![byte]));
    let expected = [
        &[Seen::Connected, refused(Stage::Play, code::PLAY_STREAM_NOT_FOUND), status(2, code::PLAY_RESET)][..],
        &[Seen::Playing(2)],
        &media,
        &[Seen::Playing(3), Seen::Message(3, 9, 0, vec![9])],
    ];
    assert_eq!(seen, expected.concat());
    // If two streams are played, media belongs to the stream of its id.
    let mut script = created(2.0);
    script.status(1, "status", code::PLAY_START).result(4.0, 2.0.into()).message(6, MessageKind::VIDEO, 9, &[9]);
    script.message(6, MessageKind::VIDEO, 1, &[1]).message(6, MessageKind::VIDEO, 2, &[2]);
    let two = |player: &mut Player| {
        play_cam(player);
        play_cam(player);
    };
    let media = |stream: u32| Seen::Message(stream, 9, 0, vec![stream as u8]);
    let expected = [Seen::Connected, Seen::Playing(1), media(9), media(1), Seen::Playing(2), media(2)];
    assert_eq!(player_sees(&script, two, ignore).0, expected);
}

#[test]
fn item_185_requests_that_need_no_action_are_answered_with_null() {
    let mut script = Script::connect();
    for (id, name) in ["releaseStream", "FCPublish", "FCUnpublish", "FCSubscribe"].into_iter().enumerate() {
        script.call(0, name, id as f64 + 2.0, "cam".into());
    }
    let (_, output, result) = drive_server(&mut server(), &script.bytes, 1 << 20, 8_192, &mut Collector::default());
    assert_eq!(result, Ok(()));
    let results: Vec<_> =
        messages(&output).into_iter().filter(|(.., payload)| payload.starts_with(b"\x02\0\x07_result")).collect();
    assert_eq!(results.len(), 5);
    for (.., payload) in &results[1..] {
        assert_eq!(payload[payload.len() - 2..], [5, 5]);
    }
}
