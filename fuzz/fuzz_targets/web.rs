//! A web connection against arbitrary bytes of a client. The events and the answers do not depend on the cuts of the requests
//! or on the output windows, except how a stream is divided into parts. The first byte chooses the cuts. The second byte says
//! which requests are rejected.
#![no_main]

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp::relay::{Generation, HeaderEntry, Player, RelayConfig, Ring, StreamBuffers};
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{StreamStatus, WebConfig, WebConnection, WebEvent, WebRejection, WebResource, WebStatus};
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_millis(1);

/// A sequence header of AVC for 160 × 90 pixels, and a keyframe.
const AVC: &[u8] = b"\x17\0\0\0\0\x01\x64\0\x0b\xff\xe1\0\x19\x67\x64\0\x0b\xac\xd9\x42\x8d\xf9\x30\x11\
    \0\0\x03\0\x01\0\0\x03\0\x32\x0f\x14\x29\x96\x01\0\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\0";
const KEY: &[u8] = b"\x17\x01\0\0\0\0\0\0\x03abc";

/// The events, and the answers: each with its head and its body, without framing.
#[derive(Debug, Default)]
struct Happened {
    events: Vec<String>,
    answers: Vec<(String, Vec<u8>)>,
    is_websocket: bool,
    is_over: bool,
}

fn push(ring: &mut Ring<'_>, payload: &[u8]) {
    let (kind, stream, timestamp) = (MessageKind::VIDEO, StreamId(1), Timestamp(5));
    let header = MessageHeader { timestamp, length: payload.len() as u32, kind, stream };
    ring.push(NOW, &Fragment { csid: ChunkStreamId::new(6).unwrap(), header, offset: 0, data: payload });
}

fn happened(mut stream: &[u8], rejects: u8, mut cut: impl FnMut() -> usize) -> Happened {
    let (mut memory, mut headers, mut entries) = ([0; 1_000], [0; 256], [HeaderEntry::new(); 4]);
    let buffers = StreamBuffers { ring: &mut memory, headers: &mut headers, entries: &mut entries };
    let mut ring = Ring::new(buffers, &RelayConfig::new());
    push(&mut ring, AVC);
    push(&mut ring, KEY);
    let config = WebConfig { names: &["host"], origins: &["http://listed"], ..WebConfig::new() };
    let (mut connection, mut happened) = (WebConnection::<256>::new(NOW), Happened::default());
    // A stream that has ended: its response has what is in the ring, and its end.
    let ended = Generation::default();
    let (mut player, mut output, mut heads, mut count) = (Player::new(StreamId(1), ended), Vec::new(), Vec::new(), 0);
    loop {
        let mut piece = &stream[..cut().min(stream.len())];
        let offered = piece.len();
        let event = connection.next_event(NOW, &mut piece, &config);
        let has_event = event.is_some();
        match event {
            Some(WebEvent::Request(request)) => {
                let path = [request.application.as_bytes(), request.key.as_bytes(), request.query.as_bytes()];
                let (credentials, is_head) = (request.credentials.is_some(), request.is_head);
                happened.events.push(format!("{:?} {path:?} {credentials} {is_head}", request.resource));
                happened.is_websocket = request.is_websocket;
                heads.push(is_head);
                assert!(matches!(request.resource, WebResource::Stream(_)) || request.key.is_empty());
                if rejects >> (count % 8) & 1 != 0 {
                    happened.is_websocket = false;
                    connection.reject(NOW, WebRejection::Unauthorized);
                } else {
                    player = Player::new(StreamId(1), ended);
                    connection.accept(NOW);
                }
                count += 1;
            }
            Some(WebEvent::Refused(refusal)) => {
                happened.events.push(format!("{refusal:?}"));
                heads.push(false);
            }
            _ => {}
        }
        let taken = offered - piece.len();
        stream = &stream[taken..];
        let mut out = vec![0; cut().min(300)];
        let written = if connection.is_streaming() {
            let polled = connection.poll_stream(NOW, &mut out, &mut player, Some(&ring), ended);
            polled.expect("nothing is overwritten")
        } else if connection.is_status() {
            let listed = StreamStatus { name: "live/x", ..StreamStatus::default() };
            connection.poll_status(NOW, &mut out, &WebStatus::default(), &mut |index| (index < 2).then_some(listed))
        } else {
            connection.poll_transmit(NOW, &mut out)
        };
        output.extend_from_slice(&out[..written]);
        let has_moved = taken > 0 || written > 0 || has_event;
        if !has_moved && (offered > 0 || stream.is_empty()) {
            break;
        }
    }
    happened.is_over = connection.is_over();
    assert!(stream.is_empty() || happened.is_over, "bytes that the connection does not consume");
    happened.answers = answers(&output, &heads);
    happened
}

/// Removes the framing from the answers. `heads` says which of them have no body.
fn answers(mut output: &[u8], heads: &[bool]) -> Vec<(String, Vec<u8>)> {
    let mut answers = Vec::new();
    for is_head in heads {
        let end = output.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer to each request") + 4;
        let (head, mut rest) = output.split_at(end);
        let head = String::from_utf8(head.to_vec()).expect("text");
        let mut body = Vec::new();
        if *is_head {
        } else if head.starts_with("HTTP/1.1 101 ") {
            while let [first, second, more @ ..] = rest {
                let (length, more) = match second {
                    126 => (usize::from(u16::from_be_bytes([more[0], more[1]])), &more[2..]),
                    second => (usize::from(*second), more),
                };
                if *first == 0x82 {
                    body.extend_from_slice(&more[..length]);
                }
                rest = &more[length..];
            }
        } else if head.contains("Transfer-Encoding: chunked") {
            loop {
                let digits = rest.windows(2).position(|window| window == b"\r\n").expect("a whole answer");
                let length = std::str::from_utf8(&rest[..digits]).expect("digits");
                let length = usize::from_str_radix(length, 16).expect("digits");
                body.extend_from_slice(&rest[digits + 2..][..length]);
                assert!(rest[digits + 2 + length..].starts_with(b"\r\n"));
                rest = &rest[digits + 4 + length..];
                if length == 0 {
                    break;
                }
            }
        } else if let Some((_, length)) = head.split_once("Content-Length: ") {
            let length = length.split("\r\n").next().unwrap_or_default().parse().expect("a length");
            // An answer to HEAD that the caller was not asked for is the last one.
            let length: usize = if rest.is_empty() { 0 } else { length };
            body.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        } else {
            body.extend_from_slice(rest);
            rest = &[];
        }
        answers.push((head, body));
        output = rest;
    }
    assert!(output.is_empty(), "more answers than requests");
    answers
}

fuzz_target!(|data: &[u8]| {
    let [seed, rejects, stream @ ..] = data else { return };
    let mut whole = happened(stream, *rejects, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    let mut parts = happened(stream, *rejects, || cuts.length());
    assert_eq!(parts.events, whole.events);
    if whole.is_websocket {
        // Frames of the client may end the stream earlier.
        let (one, other) = (whole.answers.pop().unwrap_or_default(), parts.answers.pop().unwrap_or_default());
        assert!(one.0 == other.0 && (one.1.starts_with(&other.1) || other.1.starts_with(&one.1)));
    } else {
        assert_eq!(parts.is_over, whole.is_over);
    }
    assert_eq!(parts.answers, whole.answers);
});
