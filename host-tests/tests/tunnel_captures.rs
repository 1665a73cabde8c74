//! Captured RTMPT sessions of FFmpeg and crtmpserver. Our server reads the client's requests, and our client reads the
//! server's responses. Their content must be what an independent parser found.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{TunnelClient, TunnelConfig, TunnelConnection, TunnelEvent, Tunnels};
use host_tests::replay::{Side, replay};
use serde_json::Value;

const SESSIONS: [&str; 2] = ["ff5-rtmpt-crtmp-publish", "ff5-rtmpt-crtmp-play"];
const CUTS: [usize; 4] = [1, 7, 1460, usize::MAX];
/// The id that our server makes from entropy of ones.
const ID: &str = "01010101010101010101010101010101";

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("captures/rtmpt").join(name)).unwrap()
}

fn facts(session: &str) -> Value {
    serde_json::from_slice(&file(&format!("{session}.json"))).unwrap()
}

/// The tunnel id of a captured session.
fn id_of(session: &str) -> String {
    let answers = file(&format!("{session}.s2c.bin"));
    let end = answers.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    String::from_utf8(answers[end..end + 16].to_vec()).unwrap()
}

/// The client's bytes, with our id instead of the server's.
fn requests(session: &str) -> Vec<u8> {
    let (theirs, mut rest, mut all) =
        (format!("/{}/", id_of(session)), &file(&format!("{session}.c2s.bin"))[..], vec![]);
    let mut replaced = 0;
    while let Some(place) = rest.windows(theirs.len()).position(|bytes| bytes == theirs.as_bytes()) {
        all.extend_from_slice(&rest[..place]);
        all.extend_from_slice(format!("/{ID}/").as_bytes());
        rest = &rest[place + theirs.len()..];
        replaced += 1;
    }
    assert!(replaced > 30);
    [all, rest.to_vec()].concat()
}

/// Checks the content of one direction of a session against its description.
fn check(session: &str, direction: &str, side: Side, bytes: &[u8]) {
    let (facts, mut shown) = (facts(session)["inner"][direction].clone(), Vec::new());
    replay(side, bytes, usize::MAX, &mut |value| shown.push(value)).unwrap();
    let messages = &shown[1..];
    assert_eq!(Some(messages.len() as u64), facts["messages"].as_u64(), "{session} {direction}");
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message["type"].as_u64().unwrap()).or_insert(0_u64) += 1;
    }
    let described = facts["by_type"].as_object().unwrap().iter();
    let described: BTreeMap<u64, u64> = described
        .map(|(key, count)| (key.split(' ').next().unwrap().parse().unwrap(), count.as_u64().unwrap()))
        .collect();
    assert_eq!(counts, described, "{session} {direction}");
}

#[test]
fn item_098_our_server_reads_the_requests_of_ffmpeg() {
    for session in SESSIONS {
        let requests = requests(session);
        let described = facts(session)["http"]["requests"].clone();
        for cut in CUTS {
            let mut tunnels = Tunnels::<1>::new(TunnelConfig { hold: Duration::ZERO, ..TunnelConfig::new() });
            let now = Instant::from_millis(1);
            let mut connection = TunnelConnection::new(now);
            let (mut bytes, mut pending, mut answers) = (Vec::new(), Vec::new(), Vec::new());
            let (mut opened, mut closed) = (0, 0);
            for piece in requests.chunks(cut) {
                pending.extend_from_slice(piece);
                loop {
                    let mut rest = &pending[..];
                    let event = connection.next_event(now, &mut rest, &mut tunnels);
                    match event {
                        Some(TunnelEvent::Open) => {
                            opened += 1;
                            connection.open(now, &[1; 32], &mut tunnels).unwrap();
                        }
                        Some(TunnelEvent::Data(_)) => {
                            connection.receive(now, &mut rest, |data| bytes.extend_from_slice(std::mem::take(data)));
                        }
                        Some(TunnelEvent::Closed(_)) => closed += 1,
                        Some(other) => panic!("{other:?}"),
                        None => {}
                    }
                    let taken = pending.len() - rest.len();
                    pending.drain(..taken);
                    let mut out = [0; 500];
                    let written = connection.poll_transmit(now, &mut out, &mut tunnels, 0, |_| 0);
                    answers.extend_from_slice(&out[..written]);
                    if event.is_none() && taken == 0 && written == 0 {
                        break;
                    }
                }
            }
            assert_eq!((opened, closed, tunnels.len(), pending.len()), (1, 1, 0, 0), "{session}, {cut}");
            check(session, "c2s", Side::Server, &bytes);
            let answers = String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK\r\n").count() as u64;
            let count = |kind: &str| described[kind].as_u64().unwrap_or(0);
            assert_eq!(answers, count("open") + count("send") + count("idle") + count("close"), "{session}, {cut}");
        }
    }
}

#[test]
fn item_098_our_client_reads_the_responses_of_crtmpserver() {
    for session in SESSIONS {
        let responses = file(&format!("{session}.s2c.bin"));
        for cut in CUTS {
            let mut client = TunnelClient::new("127.0.0.1", 32500);
            let (mut bytes, mut now, mut requests) = (Vec::new(), Instant::from_millis(1), Vec::new());
            // Feeds each response separately, because none arrives before its request.
            let starts = responses.windows(9).enumerate().filter(|(_, bytes)| bytes == b"HTTP/1.1 ").map(|(at, _)| at);
            let ends = starts.skip(1).chain([responses.len()]);
            let each = ends.scan(0, |start, end| Some(&responses[std::mem::replace(start, end)..end]));
            for mut piece in each.flat_map(|response| response.chunks(cut)) {
                while !piece.is_empty() {
                    if !client.is_under_way() {
                        now = client.poll_timeout().unwrap().max(now);
                    }
                    let mut out = [0; 500];
                    let written = client.poll_transmit(now, &mut out, 1, |room| room.len());
                    requests.extend_from_slice(&out[..written]);
                    let taken = client.receive(now, &mut piece, |data| {
                        bytes.extend_from_slice(data);
                        std::mem::take(data).len()
                    });
                    taken.unwrap_or_else(|error| panic!("{session}, {cut}: {error}"));
                }
            }
            assert!(client.is_open() && !client.is_under_way(), "{session}, {cut}");
            let requests = String::from_utf8_lossy(&requests).into_owned();
            assert!(requests.contains(&format!("POST /send/{}/0 HTTP/1.1\r\n", id_of(session))), "{session}");
            check(session, "s2c", Side::Client, &bytes);
            // It closes the connection instead of answering the last request.
            client.close();
            assert!(client.poll_transmit(now, &mut [0; 500], 0, |_| 0) > 0);
            client.connection_ended().unwrap();
            assert!(client.is_closed());
        }
    }
}
