//! How our client's connections, requests and tunnels end.

use super::client::*;
use super::*;

#[test]
fn a_connection_that_ends_between_requests_is_made_again() {
    let mut client = open();
    assert!(!client.needs_connection());
    assert_eq!(client.connection_ended(), Ok(()));
    assert!(client.needs_connection() && !client.wants_transmit(START, 5));
    assert_eq!(sent(&mut client, START, b"x"), "");
    client.connected();
    assert!(sent(&mut client, START, b"x").starts_with("POST /send/cafe/0 "));
}

#[test]
fn a_server_may_end_each_connection() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n\x01",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n\x01",
    ] {
        let mut client = open();
        sent(&mut client, START, b"x");
        take(&mut client, head.as_bytes()).unwrap();
        assert!(client.needs_connection(), "{head}");
        assert_eq!(client.connection_ended(), Ok(()));
        client.connected();
        assert!(client.wants_transmit(START, 1));
    }
    let mut client = open();
    sent(&mut client, START, b"x");
    take(&mut client, b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\nContent-Length: 1\r\n\r\n\x01").unwrap();
    assert!(!client.needs_connection());
}

#[test]
fn a_connection_that_ends_within_a_request_ends_the_tunnel() {
    let mut client = open();
    assert!(client.poll_transmit(START, &mut [0; 10], 5, |_| 0) > 0);
    assert_eq!(client.connection_ended(), Err(TunnelError::Interrupted));
    for part in [0, 1, 20, HEAD.len() + 6] {
        let mut client = open();
        sent(&mut client, START, b"x");
        take(&mut client, &response(b"\x01abc")[..part]).unwrap();
        assert_eq!(client.connection_ended(), Err(TunnelError::Interrupted), "{part}");
    }
    let mut client = opening();
    assert_eq!(client.connection_ended(), Err(TunnelError::Interrupted));
}

#[test]
fn a_server_may_close_the_connection_instead_of_answering_close() {
    let closing = || {
        let mut client = open();
        client.close();
        assert!(sent(&mut client, START, b"").starts_with("POST /close/cafe/0 "));
        client
    };
    let mut client = closing();
    assert_eq!(client.connection_ended(), Ok(()));
    assert!(client.is_closed() && !client.needs_connection());
    for answer in ["HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] {
        let mut client = closing();
        take(&mut client, answer.as_bytes()).unwrap();
        assert!(client.is_closed());
    }
    let mut client = open();
    client.close();
    assert!(sent(&mut client, START, b"last").starts_with("POST /send/"), "what waits goes first");
}

#[test]
fn a_request_that_is_not_answered_times_out() {
    let mut client = opening();
    let deadline = client.poll_timeout().unwrap();
    assert_eq!(deadline, START.after_millis(30_000));
    assert_eq!(client.handle_timeout(Instant::from_micros(deadline.as_micros() - 1)), Ok(()));
    assert_eq!(client.handle_timeout(deadline), Err(TunnelError::TimedOut));
    let mut client = open();
    assert_eq!(client.handle_timeout(deadline), Ok(()), "no request is in progress");
}

#[test]
fn the_next_request_is_sent_early_if_the_session_cannot_read_the_response() {
    let mut client = open();
    sent(&mut client, START, b"x");
    let bytes = [response(b"\x01abcdef"), response(b"\x01gh")].concat();
    let mut rest = &bytes[..];
    // The session reads three bytes, and then must send before it reads on.
    client.receive(START, &mut rest, |bytes| *bytes = &bytes[3..]).unwrap();
    assert!(!client.wants_transmit(START, 4));
    client.send_early();
    assert!(client.wants_transmit(START, 4) && !client.wants_transmit(START, 0));
    assert!(sent(&mut client, START, b"four").ends_with("four"));
    assert!(!client.wants_transmit(START, 4), "once");
    let mut all = Vec::new();
    while !rest.is_empty() {
        client.receive(START, &mut rest, |bytes| all.extend_from_slice(core::mem::take(bytes))).unwrap();
    }
    assert_eq!(all, b"defgh");
    assert!(client.wants_transmit(START, 4));
}

#[test]
fn a_response_may_come_before_its_request_is_complete() {
    let mut client = open();
    let head = client.poll_transmit(START, &mut [0; 1_000], 10, |room| room.len().min(4));
    assert!(head > 100);
    take(&mut client, &response(b"\x01ok")).unwrap();
    assert_eq!(client.poll_transmit(START, &mut [0; 1_000], 10, |room| room.len()), 6);
    assert!(sent(&mut client, START, b"next").starts_with("POST /send/cafe/1 "));
}
