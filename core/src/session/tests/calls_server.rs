//! A server that answers calls, makes calls, redirects, has no room, or has failed.

use super::players::*;
use super::scripted_client::say;
use super::*;
use crate::amf0::Token;
use crate::command::code;

#[test]
fn item_084_calls_are_answered_or_refused() {
    let mut script = Script::connect();
    script.call(0, "getStreamLength", 2.0, "rec".into()).call(8, "getStreamLength", 3.0, "live".into());
    script.call(0, "app.sum", 4.0, 5.0.into()).call(0, "app.no", 5.0, 5.0.into()).call(0, "app.late", 6.0, 0.0.into());
    script.call(0, "app.quiet", 0.0, 0.0.into()).call(0, "FCSubscribe", 7.0, "cam".into()).create_stream(8.0);
    let (seen, said) = sees(&script, |server, event| match event {
        Seen::StreamLength(name) if name == "rec" => server.answer(&[90.5.into()]).unwrap(),
        Seen::Call(_, name, _) if name == "app.sum" => {
            server.answer(&["five".into()]).unwrap();
            assert_eq!(server.answer(&[]), Err(RequestError::State), "once");
        }
        Seen::Call(_, name, _) if name == "app.no" => server.reject_call("App.No", "never").unwrap(),
        Seen::Call(_, name, _) if name == "app.quiet" => server.answer(&[1.0.into()]).unwrap(),
        _ => {}
    });
    let call = |name: &str, transaction: f64| Seen::Call(0, name.into(), transaction.to_bits());
    let lengths = [Seen::StreamLength("rec".into()), Seen::StreamLength("live".into())];
    let calls = [call("app.sum", 4.0), call("app.no", 5.0), call("app.late", 6.0), call("app.quiet", 0.0)];
    assert_eq!(seen, [&lengths[..], &calls].concat());
    let expected = [
        say("_result", 2.0, 0, ""),
        say("_result", 3.0, 0, "0"),
        say("_result", 4.0, 0, ""),
        say("_error", 5.0, 0, "App.No"),
        say("_error", 6.0, 0, code::CALL_FAILED),
        say("_result", 7.0, 0, ""),
        say("onFCSubscribe", 0.0, 0, code::PLAY_START),
        say("_result", 8.0, 0, "1"),
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_server_calls_the_client() {
    let mut server = server();
    assert_eq!(server.call(StreamId::CONNECTION, "onBWDone", &[]), Err(RequestError::State));
    let (_, before, _) = drive_server(&mut server, &player().bytes, 999, 9_999, &mut Collector::default());
    server.call(StreamId(1), "app.news", &["x".into(), 1.0.into()]).unwrap();
    let output = [before, drive_server(&mut server, &[], 1, 999, &mut Collector::default()).1].concat();
    let last = messages(&output).pop().unwrap();
    assert_eq!(last.2, encode(&["app.news".into(), 0.0.into(), Token::Null, "x".into(), 1.0.into()]));
}

#[test]
fn item_097_a_client_is_redirected() {
    let (server, collector) = (&mut server(), &mut Collector::default());
    let decide = |server: &mut Server<'_, 8>, event: &Seen| {
        if let Seen::Connect(..) = event {
            server.redirect_connect("rtmp://other/live").unwrap();
        }
    };
    let (_, output, _) = drive(server, &Script::connect().bytes, 999, 999, collector, decide);
    let (_, _, payload) = messages(&output).pop().unwrap();
    let mut expected = vec!["_error".into(), 1.0.into(), Token::Null];
    expected.extend(&info("error", code::CONNECT_REJECTED, "Connect to another server.")[..7]);
    let [ex, number, url] = ["ex", "code", "redirect"].map(|key| Token::Key(key.into()));
    expected.extend([
        ex,
        Token::ObjectStart,
        number,
        302.0.into(),
        url,
        "rtmp://other/live".into(),
        Token::End,
        Token::End,
    ]);
    assert_eq!((payload, server.is_closed()), (encode(&expected), true));
}

#[test]
fn a_full_queue_sends_an_answer_whole_or_not_at_all() {
    let mut server = Server::<8>::new(buffers(384), ServerConfig::new(), &[9; 32]).unwrap();
    drive_server(&mut server, &player().bytes, 999, 9_999, &mut Collector::default()).2.unwrap();
    let mut said = 0;
    let full = loop {
        match server.publish_notify(StreamId(1)) {
            Ok(()) => said += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((said, full), (2, RequestError::ControlBuffer(152)));
    let mut out = [0; 999];
    let written = server.poll_transmit(START, &mut out);
    let mut script = Script::new();
    script.chunk_size(4_096);
    assert_eq!(messages(&[&script.bytes, &out[..written]].concat()).len(), 1 + 4);
}

#[test]
fn accepting_a_publisher_queues_everything_or_nothing() {
    let mut server = server();
    let decide = |server: &mut Server<'_, 8>, event: &Seen| match event {
        Seen::Connect(..) => server.accept_connect().unwrap(),
        Seen::Publish(stream, _) => {
            while server.transmit_len() < 440 {
                server.call(StreamId(0), "x", &[]).unwrap();
            }
            let full = server.transmit_len();
            assert_eq!(server.accept(StreamId(*stream)), Err(RequestError::ControlBuffer(152)));
            assert_eq!(server.transmit_len(), full);
        }
        _ => {}
    };
    let bytes = Script::publisher().bytes;
    drive(&mut server, &bytes, 9_999, 8_192, &mut Collector::default(), decide).2.unwrap();
    assert!(!server.wants_input(), "the publisher waits");
    server.accept(StreamId(1)).unwrap();
    let mut out = [0; 999];
    let written = server.poll_transmit(START, &mut out);
    let mut script = Script::new();
    script.chunk_size(4_096);
    assert_eq!(messages(&[&script.bytes, &out[..written]].concat()).len(), 1 + 2);
}

#[test]
fn a_server_that_has_failed_sends_no_media() {
    let mut server = server();
    drive_server(&mut server, &player().bytes, 999, 9_999, &mut Collector::default()).2.unwrap();
    let csid = server.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 100).unwrap();
    assert!(server.next_event(START, &mut &[0xFF, 0][..]).is_err());
    assert_eq!((server.media_left(csid), moved(server.poll_media(csid, &[9; 100], &mut [0; 100]))), (None, (0, 0)));
    assert_eq!(server.begin_media(MessageKind::AUDIO, StreamId(1), Timestamp(0), 1), Err(RequestError::State));
    assert_eq!(server.publish_notify(StreamId(1)), Err(RequestError::State));
}
