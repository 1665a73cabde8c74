//! Requests that are refused, and clients that are too slow.

use super::*;

/// The refusal of a request, and the status of the answer.
fn refused(text: &str) -> (String, String) {
    let Happened { events, answer, is_over } = everywhere(text, None);
    assert!(is_over && events.len() == 1, "{text}: {events:?}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    (events[0].clone(), answer["HTTP/1.1 ".len()..][..3].into())
}

#[test]
fn a_host_is_an_address_or_a_configured_name() {
    for host in [
        "camera.local",
        "CAMERA.local:80",
        "localhost",
        "127.0.0.1",
        "192.168.1.7:8080",
        "[::1]",
        "[fe80::1]:1935",
        "[::ffff:192.0.2.1]:80",
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert!(everywhere(&text, None).answer.starts_with("HTTP/1.1 200 OK"), "{host}");
    }
    for (host, status) in [
        ("evil.example", "421"),
        ("evil.example:1935", "421"),
        ("camera.local.", "421"),
        ("camera.local.evil.example", "421"),
        ("127.0.0.1.evil.example", "421"),
        ("xcamera.local", "421"),
        ("2130706433x", "421"),
        ("", "400"),
        ("camera.local:80:80", "400"),
        ("camera.local:http", "400"),
        ("camera.local:808080", "400"),
        ("user@camera.local", "400"),
        ("camera.local, camera.local", "400"),
        ("camera.local/", "400"),
        ("[evil.example]", "421"),
        ("[::1", "400"),
        ("[::1]x", "400"),
        ("camera.local\r\nHost: camera.local", "400"),
        ("camera.local\r\nHost: evil.example", "400"),
    ] {
        let (_, answered) = refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answered, status, "{host}");
    }
    assert_eq!(refused("GET / HTTP/1.1\r\n\r\n").1, "400");
    assert_eq!(refused("GET http://evil.example/ HTTP/1.1\r\nHost: camera.local\r\n\r\n").1, "400");
    assert_eq!(refused("GET http://evil.example/ HTTP/1.0\r\n\r\n").1, "421");
}

#[test]
fn a_websocket_of_another_site_is_refused() {
    for origin in [
        "http://evil.example",
        "http://camera.local",
        "http://camera.local:80",
        "ftp://camera.local:8080",
        "http://camera.local:8080.evil.example",
        "https://listed.example:444",
        "null",
        "",
        "*",
    ] {
        let text = get("/live/x.flv", &format!("{UPGRADE}Origin: {origin}\r\n"));
        assert_eq!(refused(&text).1, "403", "{origin}");
    }
    let two = format!("{UPGRADE}Origin: http://camera.local:8080\r\nOrigin: http://evil.example\r\n");
    assert_eq!(refused(&get("/live/x.flv", &two)).1, "400");
}

#[test]
fn a_websocket_request_must_be_complete() {
    for (from, to, status) in [
        ("Version: 13", "Version: 8", "426"),
        ("Sec-WebSocket-Version: 13\r\n", "", "426"),
        ("keep-alive, Upgrade", "keep-alive", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZTE=", "400"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "", "400"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400"),
    ] {
        let text = get("/live/x.flv", &UPGRADE.replace(from, to));
        assert_eq!(refused(&text).1, status, "{from}");
    }
    assert_eq!(refused(&get("/live/x.flv", UPGRADE).replace("GET", "HEAD")).1, "400");
    assert_eq!(refused(&get("/live/x.flv", UPGRADE).replace("HTTP/1.1", "HTTP/1.0")).1, "400");
    // Another protocol, or another resource, is answered without an upgrade.
    for (path, fields) in [("/", UPGRADE), ("/", "Upgrade: h2c\r\nConnection: Upgrade\r\n")] {
        assert!(everywhere(&get(path, fields), None).answer.starts_with("HTTP/1.1 200 OK"));
    }
}

#[test]
fn ambiguous_requests_and_other_methods_are_refused() {
    for (text, status) in [
        (get("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), "400"),
        (get("/", "Transfer-Encoding: chunked\r\n"), "400"),
        (get("/", "Content-Length: 3\r\nContent-Length: 4\r\n"), "400"),
        (get("/", "Content-Length: 3\r\n"), "413"),
        (get("/", "X: y\rContent-Length: 3\r\n"), "400"),
        (get("/", " folded\r\n"), "400"),
        (get("/", "Authorization: Basic dTpw\r\nAuthorization: Basic dTpx\r\n"), "400"),
        (get("/", &format!("X: {}\r\n", "y".repeat(20_000))), "431"),
        (get("/", &format!("Origin: {}\r\n", "y".repeat(300))), "431"),
        (get("/", &format!("Authorization: Basic {}\r\n", "dTpw".repeat(200))), "431"),
        (get(&format!("/{}", "y".repeat(300)), ""), "414"),
        (get(&format!("/{}", "y".repeat(200)), &format!("Origin: {}\r\n", "y".repeat(100))), "431"),
        (get("/%", ""), "400"),
        (get("/%zz", ""), "400"),
        (get("/live%2Fcamera.flv", ""), "400"),
        (get("/live/camera%3Ftoken.flv", ""), "400"),
        (get("/live/camera%0D%0A.flv", ""), "400"),
        (get("/live/camera%00.flv", ""), "400"),
        (get("/favicon.ico", ""), "404"),
        (get("/live/camera", ""), "404"),
        (get("/live/camera.ts", ""), "404"),
        (get("/.fl", ""), "404"),
        (get("*", ""), "404"),
        (get("/", "").replace("GET", "OPTIONS"), "405"),
        (get("/", "").replace("GET", "DELETE"), "405"),
        (get("/", "").replace("GET", "get"), "405"),
        (get("/", "").replace("HTTP/1.1", "HTTP/2.0"), "400"),
        ("GARBAGE\r\n\r\n".into(), "400"),
    ] {
        assert_eq!(refused(&text).1, status, "{text}");
    }
    // Nothing after a refused request is read.
    let text = [get("/favicon.ico", ""), get("/", "")].concat();
    let Happened { answer, .. } = everywhere(&text, None);
    assert!(!answer.contains("200 OK"));
}

#[test]
fn a_head_that_does_not_arrive_in_time_is_answered_with_408() {
    let at = |seconds: u64| Instant::from_millis(100_000 + seconds * 1_000);
    let mut connection = WebConnection::<256>::new(at(0));
    let mut out = [0; 2_000];
    assert_eq!(connection.poll_timeout(&CONFIG), Some(at(30)));
    for second in 5..15 {
        connection.handle_timeout(at(second), &CONFIG, false);
        let mut input = &b"G"[..];
        assert_eq!(connection.next_event(at(second), &mut input, &CONFIG), None);
        assert_eq!(connection.poll_timeout(&CONFIG), Some(at(15)));
    }
    connection.handle_timeout(at(15), &CONFIG, false);
    assert_eq!(connection.next_event(at(15), &mut &b""[..], &CONFIG), Some(WebEvent::Refused(WebRefusal::TooSlow)));
    let written = connection.poll_transmit(at(15), &mut out);
    assert!(out[..written].starts_with(b"HTTP/1.1 408 Request Timeout\r\n") && connection.is_over());
    assert_eq!(connection.poll_timeout(&CONFIG), None);
}

#[test]
fn a_client_that_does_not_read_or_does_not_ask_is_disconnected() {
    let at = |seconds: u64| Instant::from_millis(100_000 + seconds * 1_000);
    let mut silent = WebConnection::<256>::new(at(0));
    silent.handle_timeout(at(29), &CONFIG, false);
    assert!(!silent.is_over());
    silent.handle_timeout(at(30), &CONFIG, false);
    assert!(silent.is_over());
    let mut stuck = WebConnection::<256>::new(at(0));
    let text = get("/", "");
    let mut input = text.as_bytes();
    while stuck.next_event(at(0), &mut input, &CONFIG).is_some() {
        stuck.accept(at(0));
    }
    // Each byte adds 4 ms, but not beyond the time of the last one.
    let mut second = 0;
    while !stuck.is_over() {
        second += 10;
        stuck.handle_timeout(at(second), &CONFIG, true);
        let written = stuck.poll_transmit(at(second), &mut [0; 1]);
        assert!(written <= 1 && second < 100);
    }
    assert_eq!(second, 40);
}
