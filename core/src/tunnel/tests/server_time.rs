//! Our server's polls, hints and time-outs, and tunnels over several connections.

use super::server::*;
use super::*;

#[test]
fn a_poll_is_held_until_there_is_something_to_send_or_until_its_time_limit() {
    let mut one = One::open();
    let poll = |number| of_tunnel("idle", number, b"\0");
    assert_eq!(one.asked(&poll(0), START, 99).1, "");
    let until = one.connection.poll_timeout(&one.tunnels).unwrap();
    assert_eq!(until, START.after_millis(50));
    assert!(!one.connection.wants_transmit(START, 0) && one.connection.wants_transmit(START, 1));
    assert_eq!(one.asked(b"", until, 99).1, ok("\x01"));
    assert_eq!(one.asked(&poll(1), START, 99).1, "");
    one.saying = b"news".to_vec();
    assert_eq!(one.asked(b"", START, 99).1, ok("\x01news"));
}

#[test]
fn item_098_hints_grow_while_polls_find_nothing() {
    let mut one = One::open();
    let mut poll = |number, saying: &[u8]| {
        one.saying = saying.to_vec();
        let now = START.after_millis(number * 1_000);
        let held = one.asked(&of_tunnel("idle", number, b"\0"), now, 99).1;
        let answer = held + &one.asked(b"", now.after_millis(100), 99).1;
        answer.split("\r\n\r\n").nth(1).unwrap().as_bytes()[0]
    };
    let hints: Vec<u8> = (0..8).map(|number| poll(number, b"")).collect();
    assert_eq!(hints, [1, 3, 5, 9, 17, 33, 33, 33]);
    assert_eq!((poll(8, b"x"), poll(9, b"")), (1, 1));
}

#[test]
fn a_request_may_arrive_on_any_connection_and_only_one_at_a_time() {
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abcdef");
    assert_eq!(one.asked(&whole[..whole.len() - 2], START, 99).1, "");
    let mut other = core::mem::replace(&mut one.connection, TunnelConnection::new(START));
    let (events, answer) = one.asked(&of_tunnel("send", 1, b"ghi"), START, 99);
    assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::OutOfOrder)]);
    assert_eq!(answer, status("400 Bad Request", "Keep-Alive"));
    core::mem::swap(&mut one.connection, &mut other);
    assert_eq!(one.asked(b"ef", START, 99).1, ok("\x01"));
    core::mem::swap(&mut one.connection, &mut other);
    assert_eq!(one.asked(&of_tunnel("send", 1, b"ghi"), START, 99).1, ok("\x01"));
    assert_eq!(one.taken, b"abcdefghi");
}

#[test]
fn a_connection_that_ends_within_a_request_ends_only_its_tunnel() {
    // Within the head, and between requests: the tunnel continues.
    for part in [0, 30] {
        let mut one = One::open();
        one.asked(&of_tunnel("send", 0, b"abc")[..part], START, 99);
        assert_eq!(one.connection.ended(START, &mut one.tunnels), None);
        one.connection = TunnelConnection::new(START);
        assert_eq!(one.asked(&of_tunnel("send", 0, b"abc"), START, 99).1, ok("\x01"));
    }
    // Within the body.
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abc");
    one.asked(&whole[..whole.len() - 1], START, 99);
    assert_eq!(one.connection.ended(START, &mut one.tunnels), Some(TunnelId(0)));
    assert!(one.tunnels.is_empty());
    // While a poll is held: nothing is lost.
    let mut one = One::open();
    one.asked(&of_tunnel("idle", 0, b"\0"), START, 99);
    assert_eq!(one.connection.ended(START, &mut one.tunnels), None);
    one.connection = TunnelConnection::new(START);
    assert_eq!(one.asked(&of_tunnel("send", 1, b"abc"), START, 99).1, ok("\x01"));
}

#[test]
fn an_old_tunnel_and_a_silent_connection_time_out() {
    let mut one = One::open();
    let limit = one.tunnels.poll_timeout().unwrap();
    assert_eq!(limit, START.after_millis(30_000));
    assert_eq!(one.tunnels.handle_timeout(START.after_millis(29_999)), None);
    assert_eq!(one.tunnels.handle_timeout(limit), Some(TunnelId(0)));
    assert_eq!(one.tunnels.handle_timeout(limit), None);
    assert_eq!(one.tunnels.poll_timeout(), None);
    // A request that stalls does not keep its tunnel open for ever.
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abc");
    one.asked(&whole[..whole.len() - 1], START, 99);
    assert_eq!(one.tunnels.handle_timeout(limit), None, "the connection's deadline applies");
    assert_eq!(one.connection.poll_timeout(&one.tunnels), Some(limit));
    assert_eq!(one.connection.handle_timeout(limit, &mut one.tunnels), Some(TunnelId(0)));
    assert_eq!(one.asked(b"", limit, 99).1, status("408 Request Timeout", "close"));
    assert!(one.connection.is_over() && one.tunnels.is_empty());
    // A client that sends no request, or does not read the response, is disconnected without one.
    for request in [&b""[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut one = One::open();
        while one.connection.next_event(START, &mut &request[..], &mut one.tunnels).is_some() {}
        assert_eq!(one.connection.handle_timeout(limit, &mut one.tunnels), None);
        assert!(one.connection.is_over());
        assert_eq!(one.asked(b"", limit, 99).1, "");
    }
}

#[test]
fn a_tunnel_whose_session_ended_within_a_request_is_not_found() {
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abcdef");
    one.asked(&whole[..whole.len() - 3], START, 99);
    one.tunnels.close(TunnelId(0));
    assert_eq!(one.asked(&whole[whole.len() - 3..], START, 99).1, status("404 Not Found", "Keep-Alive"));
    assert_eq!(one.taken, b"abc");
    // Another tunnel reuses its place at once, and is found only by its own id.
    one.asked(&request("open/1", "1.1", "Content-Length: 1\r\n", b"\0"), START, 99);
    assert_eq!(one.tunnels.len(), 1);
}

#[test]
fn the_owner_may_end_a_connection_after_an_answer() {
    let mut one = One::open();
    one.connection.close_after_answer();
    let answer = one.asked(&of_tunnel("send", 0, b"abc"), START, 99).1;
    assert_eq!(answer, ok("\x01").replace("Keep-Alive", "close"));
    assert!(one.connection.is_over() && one.tunnels.len() == 1);
}

#[test]
fn an_answer_may_go_out_before_its_request_is_complete() {
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abcdef");
    let mut rest = &whole[..];
    let now = START;
    assert_eq!(one.connection.next_event(now, &mut rest, &mut one.tunnels), Some(TunnelEvent::Data(TunnelId(0))));
    one.connection.receive(now, &mut rest, |bytes| *bytes = &bytes[2..]);
    assert!(!one.connection.wants_transmit(now, 2));
    assert!(one.connection.answer_early());
    let mut out = [0; 1_000];
    let mut written = one.connection.poll_transmit(now, &mut out, &mut one.tunnels, 2, |room| {
        room.copy_from_slice(b"ok");
        2
    });
    assert_eq!(String::from_utf8_lossy(&out[..written]), ok("\x01ok"));
    assert_eq!(one.connection.next_event(now, &mut rest, &mut one.tunnels), Some(TunnelEvent::Data(TunnelId(0))));
    one.connection.receive(now, &mut rest, |bytes| *bytes = &[]);
    assert!(!one.connection.answer_early(), "a request has only one answer");
    assert_eq!(one.connection.next_event(now, &mut rest, &mut one.tunnels), None);
    written =
        one.connection.poll_transmit(now, &mut out, &mut one.tunnels, 2, |_| panic!("a request has only one answer"));
    assert_eq!(written, 0);
    assert_eq!(one.asked(&of_tunnel("send", 1, b"next"), now, 99).1, ok("\x01"));
}

#[test]
fn ids_come_from_the_second_half_of_the_entropy() {
    let mut tunnels = Tunnels::<1>::new(TunnelConfig::new());
    let entropy = core::array::from_fn(|place| place as u8);
    let (_, id) = tunnels.open(START, &entropy).unwrap();
    assert_eq!(&id, b"101112131415161718191a1b1c1d1e1f");
    // Two tunnels never have the same id, even if the entropy is bad.
    let mut tunnels = Tunnels::<2>::new(TunnelConfig::new());
    assert!(tunnels.open(START, &entropy).is_some() && tunnels.open(START, &entropy).is_none());
    tunnels.close(TunnelId(0));
    assert!(tunnels.open(START, &entropy).is_some());
}

/// Sends a request one byte every `every` ms. Returns how long that took, the response, and the tunnel that ended with
/// it.
fn trickled(one: &mut One, text: &[u8], every: u64) -> (u64, String, Option<TunnelId>, Vec<TunnelEvent>) {
    let (mut now, mut answers, mut ended, mut all) = (START, String::new(), None, Vec::new());
    for byte in text {
        let (events, answer) = one.asked(&[*byte], now, 1);
        answers += &answer;
        all.extend(events);
        let next = now.after_millis(every as u32);
        let limit = one.connection.poll_timeout(&one.tunnels).unwrap();
        if limit <= next {
            (now, ended) = (limit, one.connection.handle_timeout(limit, &mut one.tunnels));
            let (events, answer) = one.asked(b"", now, 1);
            answers += &answer;
            all.extend(events);
            break;
        }
        now = next;
    }
    (now.as_millis() - START.as_millis(), answers, ended, all)
}

#[test]
fn a_head_has_ten_seconds_however_it_comes() {
    for every in [100, 999, 9_999] {
        let mut one = One::open();
        let head = [b"\r\n\r\nGET / HTTP/1.1\r\n".to_vec(), b"X: y\r\n".repeat(1_000)].concat();
        let (took, answer, ended, events) = trickled(&mut one, &head, every);
        // Empty lines are not part of the head, and do not extend its time.
        let begun = (4 * every).min(30_000);
        assert_eq!((took, ended), (begun + if begun < 30_000 { 10_000 } else { 0 }, None), "{every}");
        if begun < 30_000 {
            assert_eq!(answer, status("408 Request Timeout", "close"));
            assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::TooSlow)]);
        }
        assert!(one.connection.is_over() && one.tunnels.len() == 1);
        assert_eq!(one.connection.handle_timeout(START.after_millis(99_999_999), &mut one.tunnels), None);
    }
    // A request that is complete in time is answered.
    let mut one = One::open();
    let (_, answer, _, _) = trickled(&mut one, b"GET / HTTP/1.1\r\n\r\n", 500);
    assert_eq!(answer, status("404 Not Found", "Keep-Alive"));
}

#[test]
fn a_body_that_arrives_too_slowly_is_refused_and_ends_its_tunnel() {
    let mut one = One::open();
    let whole = of_tunnel("send", 0, &[1; 500]);
    let head = whole.len() - 500;
    one.asked(&whole[..head], START, 1 << 20);
    let (took, answer, ended, events) = trickled(&mut one, &whole[head..], 1_000);
    assert_eq!((took, ended), (30_000 + 30 * 4, Some(TunnelId(0))));
    assert_eq!(answer, status("408 Request Timeout", "close"));
    assert_eq!(events, [TunnelEvent::Refused(TunnelRefusal::TooSlow)]);
    assert!(one.connection.is_over() && one.tunnels.is_empty());
    // 250 bytes a second are enough, for as long as it takes.
    let mut one = One::open();
    let whole = of_tunnel("send", 0, &[1; 20_000]);
    let head = whole.len() - 20_000;
    one.asked(&whole[..head], START, 1 << 20);
    let (took, answer, ended, _) = trickled(&mut one, &whole[head..], 4);
    assert_eq!((took, answer, ended), (80_000, ok("\x01"), None));
}

#[test]
fn a_client_that_reads_a_response_too_slowly_is_disconnected() {
    let mut one = One::new(Some("the page"));
    let mut rest = &b"GET / HTTP/1.1\r\n\r\n"[..];
    while one.connection.next_event(START, &mut rest, &mut one.tunnels).is_some() {}
    let mut now = START;
    while !one.connection.is_over() {
        assert_eq!(one.connection.poll_transmit(now, &mut [0], &mut one.tunnels, 0, |_| 0), 1);
        now = now.after_millis(1_000);
        assert_eq!(one.connection.handle_timeout(now, &mut one.tunnels), None);
        assert!(now.as_millis() < START.as_millis() + 32_000, "the connection was not ended in time");
    }
    assert_eq!(now.as_millis() - START.as_millis(), 31_000);
}
