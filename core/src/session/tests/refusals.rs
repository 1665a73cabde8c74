//! Publishers that are refused, and requests out of turn.

use super::*;
use crate::amf0::Token;
use crate::command::code;

#[test]
fn item_083_a_refused_publisher_may_try_another_key() {
    let mut pair = Pair::new(client(), server(), 1_000, 1_000);
    pair.client.connect(&OPTIONS).unwrap();
    pair.client.publish("taken").unwrap();
    // By hand, since the pair's server accepts all.
    let mut collectors = [Collector::default(), Collector::default()];
    let mut refused = Vec::new();
    let mut to_client = Vec::new();
    for _ in 0..8 {
        let (seen, output, _) = drive_client(&mut pair.client, &to_client, 999, 999, &mut collectors[0]);
        refused.extend(seen);
        let decide = |server: &mut Server<'_, 8>, event: &Seen| match event {
            Seen::Connect(..) => server.accept_connect().unwrap(),
            Seen::Publish(stream, key) if key == "taken" => {
                server.reject(StreamId(*stream), code::PUBLISH_BAD_NAME, "in use").unwrap();
            }
            Seen::Publish(stream, _) => server.accept(StreamId(*stream)).unwrap(),
            _ => {}
        };
        let collector = &mut collectors[1];
        let server = &mut pair.server;
        let (_, output, result) = drive(server, &output, 999, 999, collector, decide);
        result.unwrap();
        to_client = output;
        if refused.len() == 3 && pair.client.publish("free").is_ok() {
            refused.push(Seen::Closed);
        }
    }
    let refusal = Seen::Refused(Stage::Publish, code::PUBLISH_BAD_NAME.into(), "in use".into());
    assert_eq!(refused[1..4], [Seen::Connected, refusal, Seen::Closed]);
    assert_eq!(refused.last(), Some(&Seen::Publishing(2)));
}

#[test]
fn a_client_that_is_refused_at_connect_ends() {
    let mut client = client();
    client.connect(&OPTIONS).unwrap();
    let mut server = server();
    let mut collectors = [Collector::default(), Collector::default()];
    let (mut to_client, mut saw) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (seen, output, _) = drive_client(&mut client, &to_client, 999, 999, &mut collectors[0]);
        saw.extend(seen);
        let decide = |server: &mut Server<'_, 8>, event: &Seen| {
            if let Seen::Connect(..) = event {
                server.reject_connect("no such application").unwrap();
            }
        };
        let (collector, server) = (&mut collectors[1], &mut server);
        let (_, output, _) = drive(server, &output, 999, 999, collector, decide);
        to_client = output;
    }
    let refusal = Seen::Refused(Stage::Connect, code::CONNECT_REJECTED.into(), "no such application".into());
    assert_eq!(saw[1..], [refusal]);
    assert!(client.is_closed() && server.is_closed());
}

#[test]
fn a_loop_over_media_ends_if_the_session_fails() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let csid = pair.client.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(0), 100).unwrap();
    // A header of type 3 on a chunk stream without a previous message.
    assert!(pair.client.next_event(START, &mut &[0xFF, 0][..]).is_err());
    assert_eq!(moved(pair.client.poll_media(csid, &[9; 100], &mut [0; 100])), (0, 0));
    assert_eq!(pair.client.media_left(csid), None);
    let again = pair.client.begin_media(MessageKind::AUDIO, StreamId(1), Timestamp(0), 1);
    assert_eq!(again, Err(RequestError::Stream(StreamId(1))));
}

#[test]
fn a_server_can_answer_only_a_client_that_has_asked() {
    let mut pair = Pair::publishing("cam", 1_000, 1_000);
    let server = &mut pair.server;
    assert_eq!(server.accept(StreamId(1)), Err(RequestError::State));
    assert_eq!(server.reject(StreamId(1), code::PUBLISH_BAD_NAME, "late"), Err(RequestError::State));
    assert_eq!(server.accept(StreamId(9)), Err(RequestError::Stream(StreamId(9))));
    assert_eq!(server.reject(StreamId(9), code::PUBLISH_BAD_NAME, "who"), Err(RequestError::Stream(StreamId(9))));
    assert_eq!(server.accept_connect(), Err(RequestError::State));
    assert_eq!(server.reject_connect("late"), Err(RequestError::State));
    assert!(!server.wants_transmit(), "nothing is sent");
}

#[test]
fn item_154_a_command_whose_end_does_not_fit_is_refused_with_its_size() {
    let refusal = |script: &Script| {
        let output = server_sees(&script.bytes).1;
        let (_, _, payload) = messages(&output).pop().unwrap();
        String::from_utf8_lossy(&payload).into_owned()
    };
    // `app` comes after a long property, or before it.
    let connect = |length: usize, is_last: bool| {
        let (long, pad) = ("x".repeat(length), Token::Key("pad".into()));
        let mut properties = [Token::Key("app".into()), "live".into(), pad, long.as_str().into()];
        if is_last {
            properties.rotate_left(2);
        }
        let mut script = Script::new();
        let tokens = [&["connect".into(), 1.0.into(), Token::ObjectStart], &properties[..], &[Token::End]].concat();
        script.command(0, &tokens);
        script
    };
    assert!(refusal(&connect(2_000, true)).contains("The command has 2043 bytes; the limit is 1516"));
    for whole in [connect(1_400, true), connect(2_000, false)] {
        assert_eq!(server_sees(&whole.bytes).0[1], Seen::Connect("live".into(), "".into()));
    }
    for (name, code) in [("publish", code::PUBLISH_BAD_NAME), ("play", code::PLAY_FAILED)] {
        let mut script = Script::connect();
        script.create_stream(2.0).call(1, name, 3.0, "k".repeat(1_600).as_str().into());
        let said = refusal(&script);
        assert!(said.contains(code) && said.contains("bytes; the limit is 1516"), "{said}");
    }
}
