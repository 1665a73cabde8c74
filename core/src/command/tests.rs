//! Commands: the written bytes, and parsing of valid and malformed input.

use std::string::ToString;
use std::vec::Vec;

use super::*;
use crate::amf0::{Text, Token};
use crate::url::Url;

fn encode(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut buffer = [0; 1_024];
    let mut encoder = Encoder::new(&mut buffer);
    for token in tokens {
        encoder.put(*token).unwrap();
    }
    encoder.finish().to_vec()
}

/// The output of `emit`. It fits in a buffer of exactly its size, and in no smaller one.
fn emitted(emit: &dyn Fn(&mut Encoder<'_>) -> Result<(), BufferFull>) -> Vec<u8> {
    let mut buffer = [0; 1_024];
    let mut encoder = Encoder::new(&mut buffer);
    emit(&mut encoder).unwrap();
    let bytes = encoder.finish().to_vec();
    for length in 0..bytes.len() {
        let BufferFull { needed } = emit(&mut Encoder::new(&mut buffer[..length])).unwrap_err();
        assert!(needed > length && needed <= bytes.len(), "{length} bytes, and {needed} needed of {}", bytes.len());
    }
    emit(&mut Encoder::new(&mut buffer[..bytes.len()])).unwrap();
    bytes
}

const OPTIONS: ConnectOptions<'_> =
    ConnectOptions { flash_ver: "FMLE/3.0", ..ConnectOptions::new("live", &["rtmp://", "host", "/", "live"]) };

#[test]
fn item_077_connect_is_written() {
    let expected = b"\x02\0\x07connect\0\x3F\xF0\0\0\0\0\0\0\x03\
        \0\x03app\x02\0\x04live\0\x04type\x02\0\x0Anonprivate\
        \0\x08flashVer\x02\0\x08FMLE/3.0\0\x05tcUrl\x02\0\x10rtmp://host/live\0\0\x09";
    assert_eq!(emitted(&|encoder| OPTIONS.emit(encoder, 1)), expected);
}

/// rtmpsuck 2.4 aborts if `connect` has a text property that it does not know, such as `type`.
#[test]
fn item_285_a_client_that_does_not_publish_sends_no_type() {
    let expected = b"\x02\0\x07connect\0\x3F\xF0\0\0\0\0\0\0\x03\
        \0\x03app\x02\0\x04live\
        \0\x08flashVer\x02\0\x08FMLE/3.0\0\x05tcUrl\x02\0\x10rtmp://host/live\0\0\x09";
    assert_eq!(emitted(&|encoder| encoder.write(|out| OPTIONS.put(out, 1, false))), expected);
}

#[test]
fn item_077_item_091_tc_url_has_neither_user_nor_key() {
    let urls = [
        ("rtmp://host/live/key?token=1", "live", "rtmp://host/live"),
        ("rtmp://user:secret@host:1936/live/key", "live", "rtmp://host:1936/live"),
        ("rtmp://[2001:db8::1]/app?x=y/key", "app?x=y", "rtmp://[2001:db8::1]/app?x=y"),
        ("rtmp://host/app?x=y", "app?x=y", "rtmp://host/app?x=y"),
        ("rtmp://host/a%20b/k%2F", "a%20b", "rtmp://host/a%20b"),
    ];
    for (text, app, tc_url) in urls {
        let url = Url::parse(text).unwrap();
        let parts = url.tc_url_parts();
        let options = ConnectOptions { app: url.app(), tc_url: &parts, ..OPTIONS };
        let bytes = emitted(&|encoder| options.emit(encoder, 1));
        let request = ConnectRequest::parse(&Command::parse(&bytes).unwrap());
        assert_eq!((request.app.to_string(), request.tc_url.to_string()), (app.into(), tc_url.into()), "{text}");
        assert!(!bytes.windows(3).any(|part| part == b"key" || part == b"sec"), "{text}");
    }
}

#[test]
fn item_080_item_082_item_087_a_publishers_commands_are_written() {
    let create = emitted(&|encoder| put(encoder, "createStream", 4.0, &[Token::Null]));
    assert_eq!(create, b"\x02\0\x0CcreateStream\0\x40\x10\0\0\0\0\0\0\x05");
    let release = emitted(&|encoder| put(encoder, "releaseStream", 2.0, &[Token::Null, "cam".into()]));
    assert_eq!(release, b"\x02\0\x0DreleaseStream\0\x40\0\0\0\0\0\0\0\x05\x02\0\x03cam");
    let publish = emitted(&|encoder| put(encoder, "publish", 5.0, &[Token::Null, "cam".into(), "live".into()]));
    assert_eq!(publish, b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02\0\x03cam\x02\0\x04live");
    let delete = emitted(&|encoder| put(encoder, "deleteStream", 7.0, &[Token::Null, 1.0.into()]));
    assert_eq!(delete, b"\x02\0\x0CdeleteStream\0\x40\x1C\0\0\0\0\0\0\x05\0\x3F\xF0\0\0\0\0\0\0");
}

#[test]
fn item_081_item_083_item_088_a_servers_answers_are_written() {
    let created = emitted(&|encoder| put(encoder, "_result", 4.0, &[Token::Null, 1.0.into()]));
    assert_eq!(created, b"\x02\0\x07_result\0\x40\x10\0\0\0\0\0\0\x05\0\x3F\xF0\0\0\0\0\0\0");
    let undefined = emitted(&|encoder| put(encoder, "_result", 2.0, &[Token::Null, Token::Undefined]));
    assert_eq!(undefined, b"\x02\0\x07_result\0\x40\0\0\0\0\0\0\0\x05\x06");
    let info = b"\x03\0\x05level\x02\0\x05error\0\x04code\x02\0\x01c\0\x0Bdescription\x02\0\x02no\0\0\x09";
    let refused = emitted(&|encoder| put_status(encoder, "_error", 1.0, &Status::error("c", "no")));
    assert_eq!(refused, [&b"\x02\0\x06_error\0\x3F\xF0\0\0\0\0\0\0\x05"[..], info].concat());
    let status = emitted(&|encoder| put_status(encoder, "onStatus", 0.0, &Status::error("c", "no")));
    assert_eq!(status, [&b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05"[..], info].concat());
    let accepted = emitted(&|encoder| encoder.write(|out| accepted(out, 1.0_f64.to_bits(), &|_| {})));
    let command = Command::parse(&accepted).unwrap();
    assert_eq!((command.name, command.transaction), ("_result".into(), 1.0));
    assert_eq!(Status::parse(command.values), Status::ok(code::CONNECT_SUCCESS, "Connection succeeded."));
}

#[test]
fn item_076_only_a_selector_of_0_is_skipped() {
    let command = encode(&["publish".into(), 5.0.into(), Token::Null, "cam".into()]);
    for (selector, is_command) in [(&[][..], true), (&[0], true), (&[1], false), (&[3], false), (&[0, 0], false)] {
        let payload = [selector, &command].concat();
        assert_eq!(Command::parse(&payload).is_some(), is_command, "{selector:?}");
        assert_eq!(DataMessage::parse(&payload).is_some(), is_command, "{selector:?}");
    }
    assert!(Command::parse(&[]).is_none() && Command::parse(&[0]).is_none() && DataMessage::parse(&[0]).is_none());
}

#[test]
fn item_059_item_085_transactions() {
    let transaction = |number: f64| {
        let bytes = encode(&["name".into(), number.into()]);
        let command = Command::parse(&bytes).unwrap();
        assert_eq!(command.transaction.to_bits(), number.to_bits());
        (command.transaction_id(), command.wants_answer())
    };
    assert_eq!([0.0, -0.0].map(transaction), [(Some(0), false); 2]);
    assert_eq!([1.0, 4_294_967_295.0].map(transaction), [(Some(1), true), (Some(u32::MAX), true)]);
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300, 0.5, 4_294_967_296.0] {
        assert_eq!(transaction(odd), (None, true), "{odd}");
    }
    let bytes = encode(&["name".into()]);
    assert!(!Command::parse(&bytes).unwrap().wants_answer());
    // Without a transaction id, the value after the name is the first argument.
    for value in [Token::Null, Token::Undefined, "1".into(), true.into(), Token::ObjectStart] {
        let bytes = encode(&["name".into(), value, "x".into()]);
        let command = Command::parse(&bytes).unwrap();
        let first = if value == "1".into() { "1" } else { "x" };
        assert_eq!((command.transaction.to_bits(), command.wants_answer()), (0, false), "{value:?}");
        let text = command.arguments().find_map(|argument| argument.as_text());
        assert_eq!(text, (value != Token::ObjectStart).then_some(first.into()), "{value:?}");
    }
    for name in [Token::Null, 1.0.into(), Token::ObjectStart, Token::Xml("x".into())] {
        assert!(Command::parse(&encode(&[name, 1.0.into()])).is_none(), "{name:?}");
    }
}

#[test]
fn item_081_the_first_argument_follows_command_objects_of_any_kind() {
    let map = [Token::ObjectStart, Token::Key("a".into()), 5.0.into(), Token::End];
    let array = [Token::EcmaArrayStart { len: 99 }, Token::Key("a".into()), "x".into(), Token::End];
    let befores = [&[][..], &[Token::Null], &[Token::Undefined], &[Token::Null, Token::Undefined], &map, &array];
    for before in befores {
        let with = |argument: Token<'_>| {
            let bytes =
                encode(&[&["name".into(), 1.0.into()], before, &[argument, 8.0.into(), "late".into()]].concat());
            let command = Command::parse(&bytes).unwrap();
            (command.number_argument(), command.string_argument().map(|text| text.to_string()))
        };
        assert_eq!(with(7.0.into()), (Some(7), None), "{before:?}");
        assert_eq!(with("cam".into()), (None, Some("cam".into())), "{before:?}");
        for other in [true.into(), f64::NAN.into(), 0.5.into(), Token::Unsupported, Token::Amf3(&[4, 1])] {
            assert_eq!(with(other), (None, None), "{other:?}");
        }
    }
}

#[test]
fn item_063_item_064_item_074_item_075_maps_of_any_kind_and_end() {
    let pairs: [Token<'_>; 6] = [
        Token::Key("app".into()),
        "first".into(),
        Token::Key("tcUrl".into()),
        Token::Null,
        Token::Key("app".into()),
        "live".into(),
    ];
    let starts = [
        Token::ObjectStart,
        Token::TypedObjectStart("C".into()),
        Token::EcmaArrayStart { len: 0 },
        Token::EcmaArrayStart { len: u32::MAX },
    ];
    for start in starts {
        for end in [&[Token::End][..], &[]] {
            let bytes = encode(&[&["connect".into(), 1.0.into(), start], &pairs[..], end].concat());
            let request = ConnectRequest::parse(&Command::parse(&bytes).unwrap());
            assert_eq!((request.app, request.tc_url), ("live".into(), Text::default()), "the last one counts");
        }
    }
}

#[test]
fn item_083_a_status_is_the_last_map_with_a_code() {
    let info = |code| [Token::ObjectStart, Token::Key("code".into()), code, Token::End];
    let status = |tokens: &[Token<'_>]| {
        let bytes = encode(tokens);
        let status = Status::parse(Decoder::new(&bytes));
        (status.level.to_string(), status.code.to_string(), status.description.to_string())
    };
    let code = |code: &str| ("".into(), code.into(), "".into());
    assert_eq!(status(&[&[Token::Null], &info("a".into())[..]].concat()), code("a"));
    assert_eq!(status(&[info("a".into()), info("b".into())].concat()), code("b"));
    assert_eq!(status(&[&info("a".into())[..], &[Token::ObjectStart, Token::End, 5.0.into()]].concat()), code("a"));
    assert_eq!(status(&info(7.0.into())), code(""));
    assert_eq!(status(&[]), code(""));
    assert_eq!(status(&[Token::Null, "why".into()]), ("".into(), "".into(), "why".into()));
    let odd = [Token::ObjectStart, Token::Key("level".into()), Text::new(b"\xFFx").into(), Token::End];
    assert_eq!(status(&odd).0, "\u{FFFD}x");
}

#[test]
fn item_090_data_messages_with_and_without_set_data_frame() {
    let array = [Token::EcmaArrayStart { len: 1 }, Token::Key("width".into()), 1_280.0.into(), Token::End];
    let plain = encode(&[&["onMetaData".into()], &array[..]].concat());
    for before in [&[][..], &["@setDataFrame".into()]] {
        for selector in [&[][..], &[0]] {
            let payload = [selector, &encode(before), &plain].concat();
            let DataMessage { name, body, mut values } = DataMessage::parse(&payload).unwrap();
            assert_eq!((name, body), ("onMetaData".into(), &plain[..]));
            assert!(values.next_token().unwrap().is_some_and(|token| token.opens_map()));
            assert_eq!(values.next_property(), Ok(Some(("width".into(), Token::Number(1_280.0)))));
        }
    }
    let clear = encode(&["@clearDataFrame".into(), "onMetaData".into()]);
    let DataMessage { name, body, mut values } = DataMessage::parse(&clear).unwrap();
    assert_eq!((name, body), ("@clearDataFrame".into(), &clear[..]));
    assert_eq!(values.next_token(), Ok(Some("onMetaData".into())));
    for broken in [&[][..], &["@setDataFrame".into()], &["@setDataFrame".into(), 1.0.into()], &[Token::Null]] {
        assert!(DataMessage::parse(&encode(broken)).is_none(), "{broken:?}");
    }
}

#[test]
fn item_059_a_truncated_command_is_read_up_to_its_end() {
    let object = [Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End];
    let whole = encode(&[&["connect".into(), 1.0.into()], &object[..], &[3.0.into(), "x".into()]].concat());
    let apps: Vec<_> = (0..whole.len())
        .map(|length| Command::parse(&whole[..length]).map(|it| ConnectRequest::parse(&it).app.to_string()))
        .collect();
    let first = |wanted: Option<&str>| apps.iter().position(|app| app.as_deref() == wanted).unwrap();
    // The name is 10 bytes, the transaction id 9, the object up to its text's end 13.
    assert_eq!((first(None), first(Some("")), first(Some("live"))), (0, 10, 10 + 9 + 13));
    assert!(apps[11..19].iter().all(Option::is_none), "an id that is cut is none");
    for length in 0..whole.len() {
        let Some(command) = Command::parse(&whole[..length]) else { continue };
        let arguments = (command.number_argument(), command.string_argument(), Status::parse(command.values));
        assert_eq!(arguments.0.is_some(), length >= 10 + 9 + 16 + 9);
        assert!(arguments.1.is_none() && arguments.2.code.is_empty());
    }
}

#[test]
fn the_first_boolean_of_a_command_counts() {
    let values: [(&[Token<'_>], bool); 5] = [
        (&[], false),
        (&[1.0.into(), "x".into()], false),
        (&[true.into(), 1.0.into()], true),
        (&[1.0.into(), true.into(), false.into()], true),
        (&[false.into(), true.into()], false),
    ];
    for (values, flag) in values {
        let bytes = encode(&[&["pause".into(), 0.0.into(), Token::Null], values].concat());
        assert_eq!(Command::parse(&bytes).unwrap().flag(), flag, "{values:?}");
    }
}

#[test]
fn item_077_further_properties_and_arguments_of_connect_are_written_and_read() {
    let (mut properties, mut buffer) = ([0; 100], [0; 100]);
    let mut encoder = Encoder::new(&mut properties);
    encoder.property("fourCcList", Token::StrictArrayStart { len: 2 }).unwrap();
    encoder.put_all(&["hvc1".into(), "av01".into(), Token::End]).unwrap();
    encoder.property("capsEx", 1.0.into()).unwrap();
    let (mut options, arguments) = (OPTIONS, ["user".into(), "secret".into()]);
    options.properties = encoder.finish();
    let mut encoder = Encoder::new(&mut buffer);
    encoder.put_all(&arguments).unwrap();
    options.arguments = encoder.finish();
    let mut buffer = [0; 400];
    let mut encoder = Encoder::new(&mut buffer);
    options.emit(&mut encoder, 1).unwrap();
    let bytes = encoder.finish().to_vec();
    let request = ConnectRequest::parse(&Command::parse(&bytes).unwrap());
    assert_eq!((request.app, request.flash_ver), ("live".into(), "FMLE/3.0".into()));
    assert_eq!(request.property("capsEx"), Some(1.0.into()));
    assert_eq!(request.property("fourCcList"), Some(Token::StrictArrayStart { len: 2 }));
    assert_eq!(request.property("type"), Some("nonprivate".into()));
    assert_eq!(request.property("swfUrl"), None);
    assert!(request.arguments().eq(arguments));
    // Without them, nothing is added.
    let plain = {
        let mut buffer = [0; 400];
        let mut encoder = Encoder::new(&mut buffer);
        OPTIONS.emit(&mut encoder, 1).unwrap();
        encoder.finish().to_vec()
    };
    assert_eq!(bytes[..plain.len() - 3], plain[..plain.len() - 3]);
    assert!(ConnectRequest::parse(&Command::parse(&plain).unwrap()).arguments().next().is_none());
}

#[test]
fn item_080_all_arguments_of_publish_and_play_are_read() {
    let encoded = |values: &[Token<'_>]| {
        let mut buffer = [0; 200];
        let mut encoder = Encoder::new(&mut buffer);
        put(&mut encoder, "x", 5.0, values).unwrap();
        encoder.finish().to_vec()
    };
    let bytes = encoded(&[Token::Null, "cam".into(), "record".into(), 7.0.into()]);
    let command = Command::parse(&bytes).unwrap();
    let request = PublishRequest::parse(&command);
    assert_eq!((request.key, request.kind), ("cam".into(), "record".into()));
    assert!(request.arguments().eq(["cam".into(), "record".into(), 7.0.into()]));
    let request = PlayRequest::parse(&command).unwrap();
    assert!(request.arguments().eq(["cam".into(), "record".into(), 7.0.into()]));
    let bytes = encoded(&[Token::Null, "cam".into()]);
    assert!(PublishRequest::parse(&Command::parse(&bytes).unwrap()).kind.is_empty());
}
