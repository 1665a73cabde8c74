//! Our client against our server.

use super::server::*;
use super::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn item_098_what_is_published_through_a_tunnel_arrives_however_it_is_cut() {
    let frames = frames(36);
    for way in WAYS {
        let mut host = Host::new(TunnelConfig::new());
        let mut route = Route::new("cam", frames.clone(), way);
        run(&mut host, core::slice::from_mut(&mut route));
        assert!(host.received[0] == frames, "{way:?}");
        assert_eq!(route.publisher.seen, ["unpublished"]);
        assert_eq!(host.seen, [TunnelEvent::Open, TunnelEvent::Closed(TunnelId(0))], "{way:?}");
        assert!(host.tunnels.is_empty());
        let requests = text(&route.requests);
        let bodies = requests.match_indices("Content-Length: ").map(|(at, name)| {
            let digits = &requests[at + name.len()..];
            digits[..digits.find('\r').unwrap()].parse::<usize>().unwrap()
        });
        assert!(bodies.max().unwrap() <= MAX_BODY);
        let id = "01010101010101010101010101010101";
        for number in 0..3 {
            assert!(requests.contains(&std::format!("/{id}/{number} HTTP/1.1\r\n")), "{number}");
        }
        assert!(requests.contains(&std::format!("POST /close/{id}/")));
    }
}

#[test]
fn item_098_requests_have_numbers_and_each_waits_for_its_response() {
    let mut host = Host::new(TunnelConfig::new());
    let mut route = Route::new("cam", frames(9), WAYS[0]);
    run(&mut host, core::slice::from_mut(&mut route));
    let requests = text(&route.requests);
    let lines: Vec<_> =
        requests.match_indices("POST /").map(|(at, _)| requests[at..].lines().next().unwrap()).collect();
    assert_eq!(lines[0], "POST /open/1 HTTP/1.1");
    for (number, line) in lines[1..].iter().enumerate() {
        assert!(line.ends_with(&std::format!("/01010101010101010101010101010101/{number} HTTP/1.1")), "{line}");
    }
    assert_eq!(text(&route.responses).matches("HTTP/1.1 200 OK\r\n").count(), lines.len());
}

#[test]
fn two_tunnels_at_once_and_no_third() {
    for way in WAYS {
        let mut host = Host::new(TunnelConfig::new());
        let (one, two) = (frames(20), frames(25)[5..].to_vec());
        let mut routes = [Route::new("one", one.clone(), way), Route::new("two", two.clone(), way)];
        while host.tunnels.len() < 2 {
            for route in &mut routes {
                route.step(&mut host, START);
            }
        }
        let mut third = Publisher::new("three", Vec::new());
        let mut connection = TunnelConnection::new(START);
        let mut wire = [0; 1_000];
        let length = third.transmit(START, &mut wire);
        host.receive(&mut connection, START, &wire[..length]);
        let length = host.transmit(&mut connection, START, &mut wire);
        assert_eq!(third.receive(START, &wire[..length]), Err(TunnelError::Status(503)));
        run(&mut host, &mut routes);
        assert!(host.received[0] == one && host.received[1] == two, "{way:?}");
    }
}

#[test]
fn a_server_with_a_control_buffer_of_512_bytes_has_room_for_all_answers() {
    for way in WAYS {
        let mut host = Host::new(TunnelConfig::new());
        host.control = 512;
        let mut route = Route::new("cam", frames(9), way);
        run(&mut host, core::slice::from_mut(&mut route));
        assert!(host.received[0] == frames(9), "{way:?}");
    }
}

#[test]
fn an_idle_tunnel_asks_at_most_four_times_a_second() {
    let mut host = Host::new(TunnelConfig::new());
    let mut route = Route::new("cam", frames(1), WAYS[0]);
    // It publishes, and has nothing to send.
    route.publisher.frames[0].2 = std::vec![0; 10];
    route.publisher.frames.push((9, 40, Vec::new()));
    let mut now = START;
    let mut requests_at = Vec::new();
    while now.as_millis() < 20_000 {
        let before = route.requests.len();
        let hold_back = route.publisher.next == 1;
        if hold_back {
            route.publisher.frames.truncate(1);
        }
        let moved = route.step(&mut host, now);
        if route.requests.len() > before {
            requests_at.push(now.as_millis());
        }
        if !moved {
            let poll = route.publisher.tunnel.poll_timeout().unwrap();
            now = poll
                .min(route.connection.poll_timeout(&host.tunnels).unwrap())
                .max(Instant::from_micros(now.as_micros() + 1));
        }
    }
    assert!(route.publisher.session.publishing().is_some());
    for second in 5..19 {
        let count = requests_at.iter().filter(|at| (second * 1_000..(second + 1) * 1_000).contains(*at)).count();
        assert!((1..=4).contains(&count), "{count} requests in second {second}");
    }
}

#[test]
fn item_098_lengths_may_be_found_out_after_the_body() {
    for window in [MIN_ANSWER, 1_460, 4_096, 1 << 20] {
        for cut in [1, 100, 1 << 20] {
            let mut host = Host::new(TunnelConfig::new());
            host.whole = true;
            let mut route = Route::new("cam", frames(9), Way { cut, window, fresh: false });
            run(&mut host, core::slice::from_mut(&mut route));
            assert!(host.received[0] == frames(9), "{window} {cut}");
            let responses = text(&route.responses);
            // They are padded if the body is shorter than the room for it.
            let lengths = responses.split("Content-Length: ").skip(1).map(|rest| rest.split('\r').next().unwrap());
            assert!(lengths.clone().all(|length| length.trim_start().parse::<usize>().unwrap() <= window), "{window}");
            assert!(lengths.clone().any(|length| length.starts_with(' ')));
        }
    }
}

#[test]
fn an_answer_whose_length_is_unknown_waits_for_room() {
    let mut one = One::open();
    let whole = of_tunnel("send", 0, b"abc");
    let mut rest = &whole[..];
    let One { tunnels, connection, .. } = &mut one;
    assert_eq!(connection.next_event(START, &mut rest, tunnels), Some(TunnelEvent::Data(TunnelId(0))));
    connection.receive(START, &mut rest, |bytes| *bytes = &[]);
    assert_eq!(connection.next_event(START, &mut rest, tunnels), None);
    let mut out = [b'?'; MAX_BODY + 200];
    let small = &mut out[..MIN_ANSWER - 1];
    assert_eq!(connection.poll_answer(START, small, tunnels, true, |_| panic!("the answer must wait")), 0);
    let written = connection.poll_answer(START, &mut out, tunnels, true, |room| {
        assert_eq!(room.len(), MAX_BODY - 1);
        room[..5].fill(b'!');
        5
    });
    assert_eq!(text(&out[..written]), ok("\x01!!!!!").replace("Length: 6", "Length:     6"));
    // And a session that has nothing to send.
    assert_eq!(
        connection.next_event(START, &mut &of_tunnel("send", 1, b"x")[..], tunnels),
        Some(TunnelEvent::Data(TunnelId(0)))
    );
    connection.receive(START, &mut &b"x"[..], |bytes| *bytes = &[]);
    assert_eq!(connection.next_event(START, &mut &b""[..], tunnels), None);
    let written = connection.poll_answer(START, &mut out, tunnels, false, |_| panic!("the session must not be asked"));
    assert_eq!(text(&out[..written]), ok("\x01"));
}

#[test]
fn a_session_whose_answers_to_one_request_have_no_room_is_ended_at_once() {
    // All requests of our client arrive in one HTTP request. With 384 bytes, the answer to `connect` must be sent
    // before more is read, and then the answer to `publish`, for which there is no second HTTP response.
    for way in WAYS {
        let mut host = Host::new(TunnelConfig::new());
        host.control = 384;
        let mut route = Route::new("cam", frames(9), way);
        let mut now = START;
        while host.stuck == 0 {
            if !route.step(&mut host, now) {
                now = now.after_millis(1);
            }
            assert!(now < START.after_millis(5_000), "{way:?}: it hangs");
        }
        assert!(host.tunnels.is_empty());
    }
}
