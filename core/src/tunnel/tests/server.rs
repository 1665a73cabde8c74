//! Our server against scripted clients.

use super::*;
use std::format;

pub(super) const ID: &str = "05050505050505050505050505050505";

/// A connection, and the table that it shares.
pub(super) struct One {
    pub(super) tunnels: Tunnels<'static, 2>,
    pub(super) connection: TunnelConnection,
    /// The bytes that were lent to sessions.
    pub(super) taken: Vec<u8>,
    /// The bytes that they have to send.
    pub(super) saying: Vec<u8>,
}

impl One {
    pub(super) fn new(page: Option<&'static str>) -> Self {
        let config = TunnelConfig { page, ..TunnelConfig::new() };
        let (taken, saying) = Default::default();
        Self { tunnels: Tunnels::new(config), connection: TunnelConnection::new(START), taken, saying }
    }

    /// With a tunnel that has [`ID`].
    pub(super) fn open() -> Self {
        let mut one = Self::new(None);
        let (events, answer) = one.asked(&request("open/1", "1.1", "Content-Length: 1\r\n", b"\0"), START, 1 << 20);
        assert_eq!(events, [TunnelEvent::Open]);
        assert!(answer.ends_with(&format!("\r\n\r\n{ID}\n")), "{answer}");
        one
    }

    /// Feeds input. Returns the events and the responses.
    pub(super) fn asked(&mut self, input: &[u8], now: Instant, cut: usize) -> (Vec<TunnelEvent>, String) {
        let (mut events, mut answer) = (Vec::new(), Vec::new());
        let mut pending = Vec::new();
        for piece in input.chunks(cut.max(1)).chain([&[][..]]) {
            pending.extend_from_slice(piece);
            loop {
                let mut rest = &pending[..];
                let moved = self.step(now, &mut rest, &mut events, &mut answer);
                let taken = pending.len() - rest.len();
                pending.drain(..taken);
                if !moved && taken == 0 {
                    break;
                }
            }
        }
        (events, String::from_utf8_lossy(&answer).into_owned())
    }

    fn step(&mut self, now: Instant, rest: &mut &[u8], events: &mut Vec<TunnelEvent>, answer: &mut Vec<u8>) -> bool {
        let event = self.connection.next_event(now, rest, &mut self.tunnels);
        match event {
            Some(TunnelEvent::Open) => drop(self.connection.open(now, &[5; 32], &mut self.tunnels)),
            Some(TunnelEvent::Data(_)) => {
                let taken = &mut self.taken;
                self.connection.receive(now, rest, |bytes| taken.extend_from_slice(core::mem::take(bytes)));
            }
            _ => {}
        }
        events.extend(event.filter(|event| !matches!(event, TunnelEvent::Data(_))));
        let mut out = [0; 7];
        let waiting = if self.connection.tunnel(&self.tunnels).is_some() { self.saying.len() } else { 0 };
        let saying = &mut self.saying;
        let written = self.connection.poll_transmit(now, &mut out, &mut self.tunnels, waiting, |room| {
            let length = room.len().min(saying.len());
            room[..length].copy_from_slice(&saying[..length]);
            saying.drain(..length);
            length
        });
        answer.extend_from_slice(&out[..written]);
        written > 0 || event.is_some()
    }
}

pub(super) fn request(path: &str, version: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST /{path} HTTP/{version}\r\n{fields}\r\n").as_bytes(), body].concat()
}

/// A request of the tunnel.
pub(super) fn of_tunnel(verb: &str, number: u32, body: &[u8]) -> Vec<u8> {
    request(&format!("{verb}/{ID}/{number}"), "1.1", &format!("content-length: {}\r\n", body.len()), body)
}

pub(super) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
         Connection: Keep-Alive\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn status(text: &str, connection: &str) -> String {
    format!(
        "HTTP/1.1 {text}\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nCache-Control: no-cache\r\n\
         Connection: {connection}\r\n\r\n"
    )
}

#[test]
fn item_098_requests_are_answered_however_they_are_cut_and_one_after_another() {
    let all = [
        of_tunnel("send", 0, b"first "),
        of_tunnel("send", 1, b"second"),
        of_tunnel("send", 2, b"x"),
        of_tunnel("close", 3, b"\0"),
    ]
    .concat();
    for cut in 1..=all.len() {
        let mut one = One::open();
        one.saying = b"all that".to_vec();
        let (events, answer) = one.asked(&all, START, cut);
        assert_eq!(answer, [ok("\x01all that"), ok("\x01"), ok("\x01"), ok("\0")].concat(), "{cut}");
        assert_eq!(one.taken, b"first secondx");
        assert_eq!(events, [TunnelEvent::Closed(TunnelId(0))]);
        assert!(one.tunnels.is_empty());
    }
}

#[test]
fn item_098_numbers_begin_anywhere_and_then_increase_by_one() {
    for first in [0, 1, 2, u32::MAX] {
        let mut one = One::open();
        for step in 0..3 {
            assert_eq!(one.asked(&of_tunnel("send", first.wrapping_add(step), b"x"), START, 99).1, ok("\x01"));
        }
        for wrong in [first, first.wrapping_add(2), first.wrapping_add(4)] {
            let (events, answer) = one.asked(&of_tunnel("send", wrong, b"lost"), START, 99);
            assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::OutOfOrder)]);
            assert_eq!(answer, status("400 Bad Request", "Keep-Alive"));
        }
        assert_eq!(one.asked(&of_tunnel("send", first.wrapping_add(3), b"y"), START, 99).1, ok("\x01"));
        assert_eq!(one.taken, b"xxxy", "what is refused is not handed on");
    }
}

#[test]
fn item_098_lengths_that_are_missing_zero_negative_or_huge() {
    for (fields, text, connection, refusal) in [
        ("", "411 Length Required", "close", HeadError::LengthMissing),
        ("Content-Length: 0\r\n", "400 Bad Request", "Keep-Alive", HeadError::LengthInvalid),
        ("Content-Length: -1\r\n", "400 Bad Request", "close", HeadError::LengthInvalid),
        ("Content-Length: 9223372036854775808\r\n", "413 Content Too Large", "close", HeadError::LengthTooLarge),
        ("Transfer-Encoding: chunked\r\n", "501 Not Implemented", "close", HeadError::Chunked),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", "400 Bad Request", "close", HeadError::LengthInvalid),
    ] {
        for path in ["open/1", &format!("send/{ID}/0"), &format!("idle/{ID}/0"), &format!("close/{ID}/0")] {
            let mut one = One::open();
            let (events, answer) = one.asked(&request(path, "1.1", fields, b""), START, 3);
            assert_eq!(answer, status(text, connection), "{path} {fields}");
            assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::Head(refusal))]);
            assert_eq!(one.connection.is_over(), connection == "close");
            assert_eq!(one.tunnels.len(), 1, "the tunnel is not affected");
        }
    }
}

#[test]
fn ids_that_are_unknown_are_not_found() {
    let mut one = One::open();
    for id in
        ["x", "05050505050505050505050505050506", "00000000000000000000000000000000", "..", &ID.to_uppercase()[1..]]
    {
        let path = format!("send/{id}/0");
        let (events, answer) = one.asked(&request(&path, "1.1", "Content-Length: 3\r\n", b"abc"), START, 2);
        assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::NoTunnel)], "{id}");
        assert_eq!(answer, status("404 Not Found", "Keep-Alive"));
    }
    one.tunnels.close(TunnelId(0));
    let (events, _) = one.asked(&of_tunnel("send", 0, b"abc"), START, 2);
    assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::NoTunnel)]);
    assert_eq!(one.taken, b"");
}

#[test]
fn a_probe_is_not_found_and_the_connection_continues() {
    for version in ["1.0", "1.1"] {
        let mut one = One::new(None);
        let fields = "Content-Length: 1\r\nConnection: Keep-Alive\r\n";
        let probe = request("fcs/ident2", version, fields, b"\0");
        let open = request("open/1", version, fields, b"\0");
        let (events, answer) = one.asked(&[probe, open].concat(), START, 5);
        assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::NotFound), TunnelEvent::Open]);
        assert_eq!(answer, status("404 Not Found", "Keep-Alive") + &ok(&format!("{ID}\n")));
    }
}

#[test]
fn a_plain_request_gets_a_page_or_404() {
    let get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut one = One::new(None);
    assert_eq!(one.asked(get, START, 9).1, status("404 Not Found", "Keep-Alive"));
    let mut one = One::new(Some("RTMP is served here.\n"));
    let (events, answer) = one.asked(&[&get[..], b"HEAD / HTTP/1.0\r\n\r\n"].concat(), START, 9);
    assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::Page); 2]);
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 21\r\nCache-Control: no-cache\r\n";
    assert_eq!(
        answer,
        format!("{page}Connection: Keep-Alive\r\n\r\nRTMP is served here.\n{page}Connection: close\r\n\r\n")
    );
    assert!(one.connection.is_over());
    let mut one = One::new(Some("x"));
    assert_eq!(one.asked(b"GET /favicon.ico HTTP/1.1\r\n\r\n", START, 9).1, status("404 Not Found", "Keep-Alive"));
}

#[test]
fn bytes_that_are_not_a_request_are_refused_and_end_the_connection() {
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(300));
    let endless = format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(5_000));
    for (text, answer) in [
        ("GET /\r\n\r\n", "400 Bad Request"),
        ("POST /open/1 HTTP/3.0\r\n\r\n", "400 Bad Request"),
        ("POST /open/1 HTTP/1.1\r\nno colon\r\n\r\n", "400 Bad Request"),
        (&long, "414 URI Too Long"),
        (&endless, "431 Request Header Fields Too Large"),
    ] {
        for cut in [1, 2, 50, 1 << 20] {
            let mut one = One::new(None);
            let (mut input, mut events, mut said) = (text.as_bytes(), Vec::new(), Vec::new());
            while !one.connection.is_over() {
                let mut piece = &input[..cut.min(input.len())];
                let before = piece.len();
                let moved = one.step(START, &mut piece, &mut events, &mut said);
                assert!(moved || piece.len() < before, "the connection makes no progress");
                input = &input[before - piece.len()..];
            }
            assert_eq!(String::from_utf8(said).unwrap(), status(answer, "close"), "{cut}");
            assert!(one.connection.is_over());
        }
    }
}
