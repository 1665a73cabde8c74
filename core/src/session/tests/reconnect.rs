//! A server that asks a client to connect again, and a client that prepares a message stream on another connection.

use super::*;
use crate::amf0::{Encoder, Token};
use crate::command::{Capabilities, Extensions, ReconnectRequest};

const BOTH: Capabilities<'_> = Capabilities { extensions: Extensions::RECONNECT, ..NEITHER };
const NEITHER: Capabilities<'_> = Capabilities { extensions: Extensions::MULTITRACK, ..Capabilities::PASSES_ON };

type Caller = Client<'static, 8, 0, 1>;

/// Passes `wire` on in pieces of `cut` bytes, until one is not taken whole.
fn take(wire: &mut Vec<u8>, cut: usize, mut pass: impl FnMut(&mut &[u8])) {
    let (mut taken, mut is_stuck) = (0, false);
    for mut piece in wire.chunks(cut) {
        if !is_stuck {
            let length = piece.len();
            pass(&mut piece);
            taken += length - piece.len();
            is_stuck = !piece.is_empty();
        }
    }
    wire.drain(..taken);
}

/// Moves bytes in pieces of `cut` bytes until nothing moves. The server accepts everything. Returns its events, and what
/// `note` returns for the events of the client.
fn run<T>(
    client: &mut Caller,
    server: &mut Server<'_, 8>,
    (answer, cut): (&Capabilities<'_>, usize),
    mut note: impl FnMut(&ClientEvent<'_>) -> Option<T>,
) -> (Vec<String>, Vec<T>) {
    let (now, mut asked, mut noted, mut out) = (START, Vec::new(), Vec::new(), vec![0; 8192]);
    let mut wires = [Vec::new(), Vec::new()];
    for _ in 0..20 {
        let length = client.poll_transmit(now, &mut out);
        wires[0].extend_from_slice(&out[..length]);
        take(&mut wires[0], cut, |piece| {
            while let Some(event) = server.next_event(now, piece).unwrap() {
                match event {
                    ServerEvent::Connect(_) => server.accept_connect_with(answer).unwrap(),
                    ServerEvent::Publish { stream, request } => {
                        asked.push(std::format!("{} on {}", request.key, stream.0));
                        server.accept(stream).unwrap();
                    }
                    _ => {}
                }
            }
        });
        let length = server.poll_transmit(now, &mut out);
        wires[1].extend_from_slice(&out[..length]);
        take(&mut wires[1], cut, |piece| {
            while let Some(event) = client.next_event(now, piece).unwrap() {
                noted.extend(note(&event));
            }
        });
    }
    (asked, noted)
}

fn connected(offer: &Capabilities<'_>, answer: &Capabilities<'_>) -> (Caller, Server<'static, 8>) {
    let mut buffer = [0; 300];
    let mut encoder = Encoder::new(&mut buffer);
    offer.emit(&mut encoder).unwrap();
    let options = ConnectOptions { properties: encoder.finish(), ..OPTIONS };
    let mut client = Caller::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap();
    client.connect(&options).unwrap();
    let mut server = server();
    assert!(!server.may_request_reconnect());
    run(&mut client, &mut server, (answer, 8192), |_| None::<()>);
    (client, server)
}

/// The URL and the description of a request, with whether it came on the stream of the connection.
fn requested(event: &ClientEvent<'_>) -> Option<(Option<String>, String, bool)> {
    let ClientEvent::Status(stream, status) = event else { return None };
    let ReconnectRequest { tc_url, description } = ReconnectRequest::of(status)?;
    Some((tc_url.map(|url| url.to_string()), description.to_string(), *stream == StreamId::CONNECTION))
}

#[test]
fn item_107_a_server_asks_a_client_to_reconnect_and_both_go_on() {
    for cut in [1, 7, 8192] {
        let (mut client, mut server) = connected(&BOTH, &BOTH);
        client.publish("cam").unwrap();
        let (asked, _) = run(&mut client, &mut server, (&BOTH, cut), requested);
        assert_eq!(asked, ["cam on 1"]);
        assert!(server.may_request_reconnect());
        let request = ReconnectRequest { tc_url: Some("rtmp://other/live".into()), description: "Bye.".into() };
        server.request_reconnect(&request).unwrap();
        server.request_reconnect(&ReconnectRequest::default()).unwrap();
        let (_, requests) = run(&mut client, &mut server, (&BOTH, cut), requested);
        let url = Some("rtmp://other/live".to_string());
        assert_eq!(requests, [(url, "Bye.".to_string(), true), (None, String::new(), true)], "{cut}");
        assert_eq!(client.publishing(), Some(StreamId(1)));
        client.begin_media(MessageKind::AUDIO, StreamId(1), Timestamp(0), 1).unwrap();
        assert!(server.is_active());
    }
}

#[test]
fn item_107_only_a_client_that_can_reconnect_is_asked_and_only_if_the_server_has_said_so() {
    for (offer, answer) in [(&NEITHER, &BOTH), (&BOTH, &NEITHER), (&NEITHER, &NEITHER)] {
        let (mut client, mut server) = connected(offer, answer);
        assert!(!server.may_request_reconnect());
        assert_eq!(server.request_reconnect(&ReconnectRequest::default()), Err(RequestError::State));
        assert_eq!(run(&mut client, &mut server, (answer, 8192), requested).1, []);
    }
    // A URL that does not fit in the control buffer.
    let (mut client, mut server) = connected(&BOTH, &BOTH);
    let long = "x".repeat(600);
    let request = ReconnectRequest { tc_url: Some(long.as_str().into()), ..ReconnectRequest::default() };
    assert!(matches!(server.request_reconnect(&request), Err(RequestError::ControlBuffer(_))));
    assert_eq!(run(&mut client, &mut server, (&BOTH, 8192), requested).1, []);
    server.close().unwrap();
    assert!(!server.may_request_reconnect(), "the session is over");
}

#[test]
fn item_276_a_client_publishes_on_a_message_stream_that_it_has_prepared() {
    for cut in [1, 8192] {
        let (mut client, mut server) = connected(&BOTH, &BOTH);
        let call = client.call("createStream", &[]).unwrap();
        let created = |event: &ClientEvent<'_>| match event {
            ClientEvent::Answer { transaction, succeeded: true, values } if *transaction == call => {
                let mut values = *values;
                core::iter::from_fn(|| values.next_token().unwrap()).find_map(|value| match value {
                    Token::Number(number) => Some(number as u32),
                    _ => None,
                })
            }
            _ => None,
        };
        let (asked, streams) = run(&mut client, &mut server, (&BOTH, cut), created);
        assert_eq!((asked.len(), streams.as_slice()), (0, &[1][..]), "nothing is published yet");
        client.publish_on(StreamId(1), &["", "cam?x", ""]).unwrap();
        assert_eq!(client.publish_on(StreamId(1), &["", "cam", ""]), Err(RequestError::State));
        let published = |event: &ClientEvent<'_>| matches!(event, ClientEvent::Publishing(StreamId(1))).then_some(());
        let (asked, published) = run(&mut client, &mut server, (&BOTH, cut), published);
        assert_eq!(
            (asked, published.len(), client.publishing()),
            (vec!["cam?x on 1".to_string()], 1, Some(StreamId(1)))
        );
        // The end names the key.
        client.close().unwrap();
        let ended = |event: &ClientEvent<'_>| matches!(event, ClientEvent::Unpublished).then_some(());
        run(&mut client, &mut server, (&BOTH, cut), ended);
        assert!(!server.is_active());
    }
}

#[test]
fn item_276_a_prepared_publish_needs_a_connection_and_room() {
    let mut client = Caller::new(buffers(512), ClientConfig::new(), &[7; 32]).unwrap();
    assert_eq!(client.publish_on(StreamId(1), &["", "cam", ""]), Err(RequestError::State));
    let (mut client, _) = connected(&BOTH, &BOTH);
    let long = "k".repeat(300);
    let error = client.publish_on(StreamId(1), &["", &long, ""]);
    assert!(matches!(error, Err(RequestError::ControlBuffer(_))), "{error:?}");
    assert_eq!(client.publish_on(StreamId(1), &["", "cam", ""]), Ok(()), "the state is unchanged");
}
