//! A server's tunnels against arbitrary bytes of a client. The lent bytes, the events and the responses do not depend
//! on the cuts of the requests. The ids of tunnels are known: 01 sixteen times, then 02, and so on. The first byte
//! chooses the cuts.
#![no_main]

use std::time::Duration;

use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{MIN_ANSWER, TunnelConfig, TunnelConnection, TunnelEvent, Tunnels};
use embedded_rtmp_fuzz::{Cuts, head};
use libfuzzer_sys::fuzz_target;

/// The bytes that were lent for each tunnel, the events, and the responses.
#[derive(Debug, Default, PartialEq)]
struct Happened {
    lent: [Vec<u8>; 2],
    events: Vec<String>,
    answers: Vec<u8>,
    is_over: bool,
}

fn happened(mut stream: &[u8], mut cut: impl FnMut() -> usize) -> Happened {
    let now = Instant::from_millis(1);
    let mut tunnels =
        Tunnels::<2>::new(TunnelConfig { hold: Duration::ZERO, page: Some("page"), ..TunnelConfig::new() });
    let (mut connection, mut happened, mut opened) = (TunnelConnection::new(now), Happened::default(), 0);
    loop {
        let mut piece = &stream[..cut().min(stream.len())];
        let offered = piece.len();
        let event = connection.next_event(now, &mut piece, &mut tunnels);
        match event {
            Some(TunnelEvent::Open) => {
                opened += 1;
                let _ = connection.open(now, &[opened; 32], &mut tunnels);
                assert!(tunnels.len() <= 2);
            }
            Some(TunnelEvent::Data(tunnel)) => connection.receive(now, &mut piece, |bytes| {
                let length = cut().min(bytes.len());
                happened.lent[tunnel.index()].extend_from_slice(&bytes[..length]);
                *bytes = &bytes[length..];
            }),
            _ => {}
        }
        happened
            .events
            .extend(event.filter(|event| !matches!(event, TunnelEvent::Data(_))).map(|event| format!("{event:?}")));
        let taken = offered - piece.len();
        stream = &stream[taken..];
        let mut out = vec![0; cut().min(300)];
        let waiting = if connection.tunnel(&tunnels).is_some() { 5 } else { 0 };
        let written = connection.poll_transmit(now, &mut out, &mut tunnels, waiting, |room| {
            room.fill(b'!');
            room.len()
        });
        happened.answers.extend_from_slice(&out[..written]);
        let moved = taken > 0 || written > 0 || event.is_some_and(|event| !matches!(event, TunnelEvent::Data(_)));
        if !moved && (offered > 0 || stream.is_empty()) {
            break;
        }
    }
    happened.is_over = connection.is_over();
    assert!(stream.is_empty() || happened.is_over, "bytes that neither the connection nor a session consumes");
    let open = tunnels.len();
    let ended = connection.ended(now, &mut tunnels);
    assert_eq!(tunnels.len(), open - usize::from(ended.is_some()));
    happened
}

/// Whether the answers of sessions that cannot say how much they will send are as long as they say, in any windows.
fn are_answers_whole(mut stream: &[u8], cuts: &mut Cuts) -> bool {
    let now = Instant::from_millis(1);
    let mut tunnels = Tunnels::<2>::new(TunnelConfig { hold: Duration::ZERO, ..TunnelConfig::new() });
    let (mut connection, mut answers, mut opened) = (TunnelConnection::new(now), Vec::new(), 0);
    loop {
        let before = stream.len();
        let event = connection.next_event(now, &mut stream, &mut tunnels);
        match event {
            Some(TunnelEvent::Open) => {
                opened += 1;
                let _ = connection.open(now, &[opened; 32], &mut tunnels);
            }
            Some(TunnelEvent::Data(_)) => {
                let taken = cuts.length();
                connection.receive(now, &mut stream, |bytes| *bytes = bytes.get(taken..).unwrap_or(&[]));
            }
            _ => {}
        }
        if cuts.length() == 1 {
            let _ = connection.answer_early();
        }
        let (mut out, wants, most) = (vec![0; MIN_ANSWER + cuts.length()], cuts.length() > 1, cuts.length());
        let written = connection.poll_answer(now, &mut out, &mut tunnels, wants, |room| {
            let length = most.min(room.len());
            room[..length].fill(b'!');
            length
        });
        answers.extend_from_slice(&out[..written]);
        if event.is_none() && stream.len() == before && written == 0 {
            break;
        }
    }
    let mut rest = &answers[..];
    while let Some((_, length, body)) = head(rest) {
        let Some(next) = body.get(length..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

fuzz_target!(|data: &[u8]| {
    let [seed, stream @ ..] = data else { return };
    let whole = happened(stream, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    assert_eq!(happened(stream, || cuts.length()), whole);
    assert!(are_answers_whole(stream, &mut cuts));
});
