//! RTMPT: `publish` and `serve` through tunnels, and other requests to the listener. Only loopback is needed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use host_tests::peers::{start, wait_until};
use support::{LIMIT, Serve, clip, publish, publish_well, publisher, six_publish, tags};

fn rtmpt(port: u16, path: &str) -> String {
    format!("rtmpt://127.0.0.1:{port}/{path}")
}

#[test]
fn item_098_what_is_published_through_a_tunnel_is_recorded() {
    for arguments in
        [&["--fast"][..], &["--fast", "--handshake", "digest", "--chunk-size", "128"], &["--chunk-size", "60000"]]
    {
        let serve = Serve::start(&[]);
        let summary = publish_well(&clip(), &rtmpt(serve.port(), "live/x"), arguments);
        assert_eq!((&summary["acknowledged"], &summary["attempts"][0]["transport"]), (&true.into(), &"RTMPT".into()));
        assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()), "{arguments:?}");
        assert_eq!(serve.stop()["recordings"][0]["end"], "unpublished");
    }
}

#[test]
fn tunnels_and_plain_rtmp_at_the_same_listener_at_once() {
    let serve = Serve::start(&[]);
    six_publish(&serve, |number| {
        let path = format!("live/{number}");
        if number % 2 == 0 { rtmpt(serve.port(), &path) } else { serve.url(&path) }
    });
}

#[test]
fn a_publisher_in_a_tunnel_that_is_killed_leaves_a_valid_file() {
    let serve = Serve::start(&["--idle", "1"]);
    let publisher = start(&mut publisher(&clip(), &rtmpt(serve.port(), "live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let file = serve.directory().join("live-x.flv");
    wait_until("something is sent", LIMIT, || fs::metadata(&file).unwrap().len() > 20_000).unwrap();
    drop(publisher);
    let (recorded, all) = (tags(&serve.recording("live-x.flv")), tags(&clip()));
    assert!(recorded.len() > 10 && recorded.len() < all.len());
    assert_eq!(recorded, all[..recorded.len()]);
}

#[test]
fn item_088_a_second_publisher_in_a_tunnel_is_refused() {
    let serve = Serve::start(&[]);
    let first = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let (status, _, stderr) = publish(&clip(), &rtmpt(serve.port(), "live/x"), &["--fast"]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("NetStream.Publish.BadName"), "{stderr}");
    first.finish_within(LIMIT).unwrap().successful().unwrap();
}

/// Sends `bytes` in pieces. Returns the answer when the connection has ended or the answer contains `enough`.
fn asked(port: u16, bytes: &[u8], piece: usize, enough: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    for piece in bytes.chunks(piece) {
        stream.write_all(piece).unwrap();
        if bytes.len() < 400 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let (mut answer, mut part) = (Vec::new(), [0; 1000]);
    while !String::from_utf8_lossy(&answer).contains(enough) {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_plain_request_gets_the_page_and_a_probe_is_not_found() {
    // The streams on the web are only for clients of this machine.
    let serve = Serve::start(&["--proxy-protocol", "127.0.0.1/32"]);
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 40000 1935\r\n";
    for piece in [1, 1000] {
        let request = format!("{header}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let page = asked(serve.port(), request.as_bytes(), piece, "!");
        assert!(
            page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("RTMP and RTMPT are served here.\n"),
            "{page}"
        );
        // The connection stays open for a tunnel.
        let probe = "POST /fcs/ident2 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0";
        let both =
            [header, probe, "POST /open/1 HTTP/1.1\r\ncontent-length: 1\r\nconnection: close\r\n\r\n\0"].concat();
        let answer = asked(serve.port(), both.as_bytes(), piece, "!");
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
        let id = answer.trim_end().rsplit("\r\n").next().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{answer}");
    }
}

#[test]
fn bytes_that_are_neither_rtmp_nor_http_are_rejected() {
    let serve = Serve::start(&[]);
    // RTMPE both ways, without a digest; TLS; SSH's dash.
    for (bytes, said) in [
        (&[6; 1537][..], "the peer wants RTMPE, and its block has no right digest"),
        (&[8; 1537], "the peer wants RTMPE, and its block has no right digest"),
        (&[0x16, 3, 1, 0, 5], "TLS (RTMPS or HTTPS), which this server does not speak"),
        (b"-SSH\r\n", "neither RTMP nor HTTP: it begins with 0x2d"),
    ] {
        assert_eq!(asked(serve.port(), bytes, 1000, "!"), "");
        serve.wait_until_it_says(said);
    }
    // C0 alone, and then C1 a byte at a time, is RTMP.
    assert!(asked(serve.port(), &[&[3][..], &[0; 1536]].concat(), 1, "\u{3}").starts_with('\u{3}'));
}

#[test]
fn ids_of_tunnels_are_different_and_a_guessed_id_is_unknown() {
    let serve = Serve::start(&[]);
    let open = b"POST /open/1 HTTP/1.0\r\nContent-Length: 1\r\n\r\n\0";
    let id = || asked(serve.port(), open, 100, "!").trim_end().rsplit("\r\n").next().unwrap().to_owned();
    let ids: std::collections::HashSet<_> = (0..20).map(|_| id()).collect();
    assert_eq!(ids.len(), 20);
    let guess = format!("POST /send/{:032x}/0 HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", 0);
    assert!(asked(serve.port(), guess.as_bytes(), 100, "!").starts_with("HTTP/1.1 404 Not Found\r\n"));
}
