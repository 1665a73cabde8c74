//! Administration over HTTP against arbitrary bytes of a client that knows the password. The calls and the answers do not
//! depend on cuts of the requests and of the answers. An answer has the length that it announces. The first byte chooses the
//! cuts.
#![no_main]

use embedded_rtmp::admin::{
    AdminAccess, AdminCall, AdminClient, AdminConnection, AdminData, AdminEvent, AdminFailure, AdminPublisher,
    AdminStats, AdminStream,
};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

const NAMES: [&[u8]; 3] = [b"live/camera", b"live/<\xFF>", b"x"];

struct Server;

impl AdminData for Server {
    fn stats(&self) -> AdminStats {
        AdminStats { timestamp: Some(1_190_571_400_000), uptime: Some(5), ..AdminStats::default() }
    }

    fn stream(&self, index: usize) -> Option<AdminStream<'_>> {
        Some(AdminStream { name: NAMES.get(index)?, publisher: Some(AdminPublisher::default()) })
    }

    fn subscriber(&self, stream: usize, index: usize) -> Option<AdminClient> {
        (stream == 0 && index < 2).then(AdminClient::default)
    }
}

/// The calls, the answers, and whether the connection is over.
type Happened = (Vec<String>, Vec<u8>, bool);

fn happened(mut stream: &[u8], mut cut: impl FnMut() -> usize) -> Happened {
    let now = Instant::from_millis(1);
    let mut access = AdminAccess::<4>::new("a", "b");
    let (mut connection, mut calls, mut answers) = (AdminConnection::<256>::new(now), Vec::new(), Vec::new());
    loop {
        let mut piece = &stream[..cut().min(stream.len())];
        let offered = piece.len();
        while let Some(event) = connection.next_event(now, &mut piece) {
            match event {
                AdminEvent::Login(credentials) => match access.check(now, [0; 16], credentials) {
                    Err(AdminFailure::Login) if credentials.is_some() => connection.accept_login(),
                    Err(failure) => connection.reject(now, failure),
                    Ok(()) => connection.accept_login(),
                },
                AdminEvent::Call(call) => {
                    calls.push(format!("{call:?}"));
                    let is_query = matches!(call, AdminCall::Query(_));
                    connection.answer(now, if is_query { Ok(()) } else { Err(AdminFailure::Client) });
                }
                _ => {}
            }
        }
        let taken = offered - piece.len();
        stream = &stream[taken..];
        let mut written = 0;
        while connection.wants_transmit() {
            let mut out = vec![0; cut()];
            let length = connection.poll_transmit(now, &mut out, &Server);
            answers.extend_from_slice(&out[..length]);
            written += length;
        }
        if taken + written == 0 && (offered > 0 || stream.is_empty()) {
            break;
        }
    }
    assert!(stream.is_empty() || connection.is_over(), "bytes that are not consumed");
    (calls, answers, connection.is_over())
}

/// Checks that all answers are whole. Those to HEAD have no body.
fn check(mut answers: &[u8]) {
    while !answers.is_empty() {
        let end = answers.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head ends") + 4;
        let (head, rest) = answers.split_at(end);
        let head = std::str::from_utf8(head).expect("a head is ASCII");
        assert!(head.starts_with("HTTP/1.1 "));
        let length = head.split("Content-Length: ").nth(1).and_then(|text| text.split("\r\n").next());
        let length: usize = length.expect("a length").parse().expect("a number");
        let is_head = rest.is_empty() || rest.starts_with(b"HTTP/1.1 ");
        let body = if is_head { &[][..] } else { &rest[..length] };
        assert!(is_head || body.ends_with(b"</result>") || body.ends_with(b"}\n"));
        answers = &rest[body.len()..];
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((seed, stream)) = input.split_first() else { return };
    let whole = happened(stream, || 5_000);
    check(&whole.1);
    let mut cuts = Cuts::new(*seed);
    assert_eq!(happened(stream, || cuts.length()), whole);
});
