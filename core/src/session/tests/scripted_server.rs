//! The client with scripted servers (items 59, 76, 78 to 85).

use super::*;
use crate::amf0::{Text, Token};
use crate::command::code;

const PUBLISHED: [Seen; 2] = [Seen::Connected, Seen::Publishing(1)];

/// Name, transaction, message stream, chunk stream.
type Said = (String, f64, u32, u32);

/// The events and the commands of the client for `script` after the handshake.
fn sees(script: &Script) -> (Vec<Seen>, Vec<Said>) {
    let (seen, output, result) = client_sees(&script.bytes);
    assert_eq!(result, Ok(()));
    (seen[1..].to_vec(), commands(&output))
}

/// The commands of the client, except those that publishing needs.
fn says(script: &Script) -> Vec<Said> {
    let (seen, said) = sees(script);
    assert_eq!(seen, PUBLISHED);
    said[5..].to_vec()
}

fn refused(stage: Stage, code: &str, description: &str) -> Seen {
    Seen::Refused(stage, code.into(), description.into())
}

#[test]
fn item_078_the_answer_to_connect_comes_in_any_order_among_the_others() {
    let steps: [fn(&mut Script); 6] = [
        |script| _ = script.chunk_size(4_096),
        |script| _ = script.control(MessageKind::WINDOW_ACK_SIZE, &2_500_000_u32.to_be_bytes()),
        |script| _ = script.control(MessageKind::SET_PEER_BANDWIDTH, &[0, 0x26, 0x25, 0xA0, 2]),
        |script| _ = script.command(0, &["onBWDone".into(), 0.0.into(), Token::Null]),
        |script| _ = script.control(MessageKind::USER_CONTROL, &[0; 6]),
        |script| _ = script.connected(),
    ];
    let mut orders = vec![vec![0]];
    for step in 1..steps.len() {
        let longer = |order: &Vec<usize>| (0..=step).map(move |place| (place, order.clone())).collect::<Vec<_>>();
        orders = orders.iter().flat_map(longer).collect::<Vec<_>>().into_iter().map(insert(step)).collect();
    }
    assert_eq!(orders.len(), 720);
    for order in orders {
        let mut script = Script::new();
        order.iter().for_each(|step| steps[*step](&mut script));
        script.result(4.0, 1.0.into()).status(1, "status", code::PUBLISH_START);
        for (cut, window) in [(1 << 20, 8_192), (3, 5)] {
            let mut collector = Collector::default();
            let (seen, output, result) = drive_client(&mut publisher(), &script.bytes, cut, window, &mut collector);
            let seen: Vec<_> = seen[1..].iter().filter(|seen| !matches!(seen, Seen::User(_))).collect();
            assert_eq!((seen, result), (PUBLISHED.iter().collect(), Ok(())), "{order:?}");
            let (answers, rest): (Vec<_>, _) = commands(&output).into_iter().partition(|said| said.0 == "_checkbw");
            assert_eq!((answers.len(), rest.len()), (1, 5), "{order:?}");
        }
    }
}

fn insert(step: usize) -> impl Fn((usize, Vec<usize>)) -> Vec<usize> {
    move |(place, mut order)| {
        order.insert(place, step);
        order
    }
}

#[test]
fn item_079_answers_are_matched_by_their_transaction() {
    let undefined = Token::Undefined;
    let mut script = Script::new();
    // Unknown ones, and answers to what was not asked yet.
    script.result(99.0, 7.0.into()).result(0.0, 7.0.into()).result(2.5, 7.0.into()).error(98.0, "x", "y");
    script.result(4.0, 9.0.into()).error(4.0, "x", "y").status(1, "status", "NetStream.Play.Start");
    script.connected();
    // Out of order, and twice.
    script.connected().error(1.0, "x", "y").result(77.0, 7.0.into());
    script.result(4.0, 6.0.into()).result(4.0, 9.0.into()).result(3.0, undefined).result(2.0, undefined);
    script.result(5.0, undefined).status(6, "status", code::PUBLISH_START).result(4.0, 9.0.into()).connected();
    let (seen, said) = sees(&script);
    assert_eq!(seen, [Seen::Status(1, "NetStream.Play.Start".into()), Seen::Connected, Seen::Publishing(6)]);
    assert_eq!((said.len(), said[4].2), (5, 6));
}

#[test]
fn item_059_an_answer_with_an_unknown_transaction_is_ignored() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.5, 4_294_967_297.0, f64::MIN_POSITIVE] {
        let mut script = Script::new();
        script.result(odd, 1.0.into()).error(odd, "x", "y").connected();
        script.result(odd, 1.0.into()).error(odd, "x", "y").result(4.0, 1.0.into());
        script.error(odd, "x", "y").status(1, "status", code::PUBLISH_START);
        assert_eq!(says(&script), [], "{odd}");
    }
}

#[test]
fn item_059_a_stream_id_that_is_no_whole_number_is_an_error() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.5, 4_294_967_296.0];
    let none = [Token::Null, Token::Undefined, "1".into(), true.into(), Token::Amf3(&[4, 1])];
    for value in odd.map(Token::Number).into_iter().chain(none) {
        let mut script = Script::new();
        script.connected().result(4.0, value);
        let (seen, _, result) = client_sees(&script.bytes);
        assert_eq!((seen.len(), result), (2, Err(SessionError::StreamId)), "{value:?}");
    }
}

#[test]
fn item_080_the_answers_to_release_stream_and_fc_publish_are_ignored() {
    let answers: [fn(&mut Script); 6] = [
        |_| {},
        |script| _ = script.result(2.0, Token::Undefined).result(3.0, Token::Undefined),
        |script| _ = script.error(2.0, "NetConnection.Call.Failed", "").error(3.0, code::PUBLISH_BAD_NAME, ""),
        |script| _ = script.error(3.0, "NetConnection.Call.Failed", ""),
        |script| _ = script.command(0, &["_error".into(), 2.0.into()]).command(0, &["_result".into(), 3.0.into()]),
        |script| _ = script.result(2.0, 1.0.into()).result(3.0, 2.0.into()),
    ];
    for answer in answers {
        for place in 0..3 {
            let mut script = Script::new();
            script.connected();
            for step in 0..3 {
                if step == place {
                    answer(&mut script);
                }
                match step {
                    0 => script.result(4.0, 1.0.into()),
                    1 => script.status(1, "status", code::PUBLISH_START),
                    _ => &mut script,
                };
            }
            assert_eq!(says(&script), []);
        }
    }
}

#[test]
fn item_081_any_stream_id_and_anything_or_nothing_before_it() {
    let object = [Token::ObjectStart, Token::Key("code".into()), "x".into(), Token::Key("n".into()), 9.0.into()];
    let object = [&object[..], &[Token::End]].concat();
    let befores = [&[][..], &[Token::Null], &[Token::Undefined], &[Token::Null, Token::Null], &object];
    for id in [0, 1, 5, 1_000, u32::MAX] {
        for before in befores {
            let mut script = Script::new();
            script.connected();
            script.command(0, &[&["_result".into(), 4.0.into()], before, &[id.into(), "more".into()]].concat());
            script.status(id, "status", code::PUBLISH_START);
            let (seen, said) = sees(&script);
            assert_eq!(seen, [Seen::Connected, Seen::Publishing(id)], "{before:?}");
            let csid = if id == 0 { 3 } else { 8 };
            assert_eq!(said[4], ("publish".into(), 5.0, id, csid));
        }
    }
}

#[test]
fn item_082_publishing_starts_on_any_chunk_stream_and_message_stream() {
    for csid in [3, 4, 5, 8, 64] {
        for stream in [0, 1, 7] {
            for level in ["status", "", "warning"] {
                let mut payload = vec!["onStatus".into(), 0.0.into(), Token::Null];
                payload.extend(info(level, code::PUBLISH_START, "Start publishing"));
                let mut script = Script::new();
                script.connected().result(4.0, 1.0.into());
                script.message(csid, MessageKind::COMMAND, stream, &encode(&payload));
                assert_eq!(says(&script), []);
            }
        }
    }
}

#[test]
fn item_083_a_refusal_contains_the_reason() {
    let long = "x".repeat(60) + &"é".repeat(500);
    let utf8 = Text::new(b"caf\xE9 \xFF\xFE");
    for code in [code::PUBLISH_BAD_NAME, "NetStream.Publish.Failed", code::PUBLISH_DENIED, "NetStream.Whatever"] {
        for (description, shown) in [("", ""), ("in use", "in use"), (&long, &long)] {
            let mut tokens = vec!["onStatus".into(), 0.0.into(), Token::Null];
            tokens.extend(info("error", code, description));
            let mut script = Script::new();
            script.connected().result(4.0, 1.0.into()).command(1, &tokens);
            assert_eq!(sees(&script).0, [Seen::Connected, refused(Stage::Publish, code, shown)]);
        }
        let mut tokens = vec!["onStatus".into(), 0.0.into(), Token::Null];
        tokens.extend(info("error", code, ""));
        tokens[9] = utf8.into();
        let mut script = Script::new();
        script.connected().result(4.0, 1.0.into()).command(1, &tokens);
        let shown = "caf\u{FFFD} \u{FFFD}\u{FFFD}";
        assert_eq!(sees(&script).0, [Seen::Connected, refused(Stage::Publish, code, shown)]);
    }
}

#[test]
fn item_083_each_step_may_be_refused_with_error() {
    let mut script = Script::new();
    script.error(1.0, code::CONNECT_REJECTED, "no");
    assert_eq!(sees(&script).0, [refused(Stage::Connect, code::CONNECT_REJECTED, "no")]);
    let mut script = Script::new();
    script.status(0, "error", "NetConnection.Connect.InvalidApp");
    assert_eq!(sees(&script).0, [refused(Stage::Connect, "NetConnection.Connect.InvalidApp", "")]);
    let mut script = Script::new();
    script.connected().error(4.0, code::CALL_FAILED, "no");
    assert_eq!(sees(&script).0, [Seen::Connected, refused(Stage::CreateStream, code::CALL_FAILED, "no")]);
    let mut script = Script::new();
    script.connected().result(4.0, 1.0.into()).error(5.0, code::CALL_FAILED, "no");
    assert_eq!(sees(&script).0, [Seen::Connected, refused(Stage::Publish, code::CALL_FAILED, "no")]);
    // An error without an info object is also a refusal. Once the client publishes, a status is returned and ends
    // nothing.
    let mut script = Script::new();
    script.command(0, &["_error".into(), 1.0.into()]);
    assert_eq!(sees(&script).0, [refused(Stage::Connect, "", "")]);
    let mut script = Script::publishing();
    script.status(1, "error", code::PUBLISH_BAD_NAME).error(5.0, "x", "y").status(1, "status", code::UNPUBLISH_SUCCESS);
    let told = [code::PUBLISH_BAD_NAME, code::UNPUBLISH_SUCCESS].map(|code| Seen::Status(1, code.into()));
    assert_eq!(sees(&script).0, [&PUBLISHED[..], &told].concat());
}

#[test]
fn item_084_calls_of_servers_are_answered_or_ignored() {
    let mut script = Script::publishing();
    let mut status = vec!["onFCPublish".into(), 0.0.into(), Token::Null];
    status.extend(info("error", code::PUBLISH_BAD_NAME, ""));
    script.command(0, &status).command(0, &["onFCUnsubscribe".into(), 0.0.into(), Token::Null]);
    script.command(0, &["_onbwdone".into(), 0.0.into(), Token::Null]).command(0, &["nobody.knows".into(), 9.0.into()]);
    script.call(0, "onBWDone", 0.0, 8_192.0.into());
    script.call(0, "_onbwcheck", 77.5, "x".into()).call(0, "_onbwcheck", -3.0, Token::Null);
    let answers = [("_checkbw", 0.0), ("_result", 77.5), ("_result", -3.0)];
    assert_eq!(says(&script), answers.map(|(name, transaction)| (name.to_string(), transaction, 0, 3)));
}

#[test]
fn item_079_another_attempt_uses_new_transactions() {
    let mut client = publisher();
    let mut script = Script::new();
    script.connected().result(4.0, 1.0.into()).status(1, "error", code::PUBLISH_BAD_NAME);
    let collector = &mut Collector::default();
    let (_, first, _) = drive_client(&mut client, &script.bytes, 999, 999, collector);
    client.publish("other").unwrap();
    // The answer to the first attempt arrives late.
    let mut script = Script::new();
    script.result(4.0, 7.0.into()).error(5.0, code::CALL_FAILED, "").result(9.0, 2.0.into());
    script.error(5.0, code::CALL_FAILED, "").status(2, "status", code::PUBLISH_START);
    let (seen, second, result) = drive_client(&mut client, &script.bytes[3_073..], 999, 999, collector);
    assert_eq!((seen, result), (vec![Seen::Publishing(2)], Ok(())));
    let ids: Vec<_> = commands(&[first, second].concat()).into_iter().map(|(name, id, ..)| (name, id)).collect();
    let names = ["releaseStream", "FCPublish", "createStream", "publish"].map(String::from);
    let expected: Vec<_> = names.into_iter().zip([7.0, 8.0, 9.0, 10.0]).collect();
    assert_eq!(ids[ids.len() - 4..], expected);
}

#[test]
fn item_084_close_ends_the_session() {
    let mut script = Script::publishing();
    script.command(0, &["close".into(), 0.0.into(), Token::Null]).status(1, "status", "after");
    assert_eq!(sees(&script).0, [&PUBLISHED[..], &[Seen::Closed]].concat());
    let (mut client, mut collector) = (publisher(), Collector::default());
    drive_client(&mut client, &script.bytes, 50, 50, &mut collector).2.unwrap();
    assert!(client.is_closed() && !client.wants_input() && client.poll_timeout().is_none());
    assert_eq!(client.publishing(), None);
}

#[test]
fn item_085_a_transaction_of_0_is_not_answered() {
    let mut script = Script::publishing();
    for name in ["_onbwcheck", "onFCPublish", "nobody.knows", "createStream", "connect", "publish", "play"] {
        script.call(0, name, 0.0, "x".into()).call(0, name, -0.0, "x".into());
    }
    assert_eq!(says(&script), []);
}

#[test]
fn item_076_commands_of_type_17_and_stray_selectors() {
    for (kind, selector) in
        [(MessageKind::COMMAND_AMF3, &[0][..]), (MessageKind::COMMAND_AMF3, &[]), (MessageKind::COMMAND, &[0])]
    {
        let mut script = Script::new();
        let begin: [Token<'_>; 3] = ["_result".into(), 1.0.into(), Token::Null];
        let create: [Token<'_>; 4] = ["_result".into(), 4.0.into(), Token::Null, 1.0.into()];
        let mut start = vec!["onStatus".into(), 0.0.into(), Token::Null];
        start.extend(info("status", code::PUBLISH_START, ""));
        for tokens in [&begin[..], &create, &start] {
            // A message with another format selector is skipped.
            script.message(3, kind, 0, &[&[3], &encode(tokens)[..]].concat());
            script.message(3, kind, 0, &[selector, &encode(tokens)].concat());
        }
        assert_eq!(says(&script), []);
    }
}
