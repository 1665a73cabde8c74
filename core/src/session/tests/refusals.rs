//! Publishers that are refused, and requests out of turn.

use super::*;
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
