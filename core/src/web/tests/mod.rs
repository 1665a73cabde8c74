//! Requests, answers and streams, at any cut of the input and through any window of the output.

mod hostile;
mod route;
mod streams;

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::time::Instant;

const NOW: Instant = Instant::from_millis(100_000);

const CONFIG: WebConfig<'_> =
    WebConfig { names: &["camera.local", "localhost"], origins: &["https://listed.example"], ..WebConfig::new() };

/// What a connection does with requests.
#[derive(Debug, Default, PartialEq)]
struct Happened {
    events: Vec<String>,
    answer: String,
    is_over: bool,
}

const LISTED: [StreamStatus<'_>; 2] = [
    StreamStatus { name: "live/camera", uptime: 60, bit_rate: 2_500_000, players: 3, dropped: 1, skipped: 2 },
    StreamStatus { name: "door", uptime: 5, bit_rate: 0, players: 0, dropped: 0, skipped: 0 },
];

/// Passes requests in pieces of `cut` bytes, accepts what `accepts` says, and drains the output through `window` bytes.
fn happened(text: &str, cut: usize, window: usize, rejection: Option<WebRejection>) -> Happened {
    let (mut connection, mut happened) = (WebConnection::<256>::new(NOW), Happened::default());
    let mut answer = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let mut piece = &rest[..cut.min(rest.len())];
        let offered = piece.len();
        let event = connection.next_event(NOW, &mut piece, &CONFIG);
        let has_event = event.is_some();
        match event {
            Some(WebEvent::Request(request)) => {
                let text = |text: crate::amf0::Text<'_>| text.to_string();
                let WebRequest { resource, application, key, query, credentials, is_websocket, is_head } = request;
                let credentials =
                    credentials.map(|WebCredentials { user, password }| format!(" {}:{}", text(user), text(password)));
                happened.events.push(format!(
                    "{resource:?} {} {} {}{}{}{}",
                    text(application),
                    text(key),
                    text(query),
                    credentials.unwrap_or_default(),
                    if is_websocket { " websocket" } else { "" },
                    if is_head { " head" } else { "" }
                ));
                match rejection {
                    Some(rejection) => connection.reject(NOW, rejection),
                    None => connection.accept(NOW),
                }
            }
            Some(WebEvent::Refused(refusal)) => happened.events.push(format!("{refusal}")),
            None => {}
        }
        let taken = offered - piece.len();
        rest = &rest[taken..];
        let mut out = vec![0; window];
        let written = match connection.is_status() {
            true => {
                let status = WebStatus { uptime: 9, publishers: 2, players: 3, last_error: Some("x\"y") };
                connection.poll_status(NOW, &mut out, &status, &mut |index| LISTED.get(index).copied())
            }
            false => connection.poll_transmit(NOW, &mut out),
        };
        answer.extend_from_slice(&out[..written]);
        if taken == 0 && written == 0 && !has_event && (offered > 0 || rest.is_empty()) {
            break;
        }
    }
    (happened.answer, happened.is_over) = (String::from_utf8(answer).unwrap(), connection.is_over());
    happened
}

/// The same at many cuts and through many windows.
fn everywhere(text: &str, rejection: Option<WebRejection>) -> Happened {
    let whole = happened(text, usize::MAX, 100_000, rejection);
    for (cut, window) in [(1, 100_000), (usize::MAX, 1), (1, 1), (7, 3), (64, 65), (3, 64)] {
        let parts = happened(text, cut, window, rejection);
        assert_eq!(parts.events, whole.events, "{cut} {window}");
        assert_eq!(parts.answer, whole.answer, "{cut} {window}");
        assert_eq!(parts.is_over, whole.is_over, "{cut} {window}");
    }
    whole
}

/// A request with more fields.
fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: camera.local:8080\r\n{fields}\r\n")
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn the_page_its_script_and_its_style_are_answered_with_the_policy() {
    let policy = "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                  connect-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'\r\n";
    for (path, kind, body) in [
        ("/", "text/html", page::HTML),
        ("/?token=1", "text/html", page::HTML),
        ("/page.js", "text/javascript", page::SCRIPT),
        ("/page.css", "text/css", page::STYLE),
    ] {
        let Happened { events, answer, is_over } = everywhere(&get(path, ""), None);
        assert!(events[0].starts_with("Page"), "{events:?}");
        let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\n")), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
        assert!(
            head.contains("\r\nCache-Control: no-store\r\n") && head.contains("\r\nReferrer-Policy: no-referrer\r\n")
        );
        assert_eq!(head.contains(policy), kind == "text/html", "{head}");
        assert_eq!((rest, is_over), (body, false));
    }
    assert!(!page::HTML.contains("//") && !page::SCRIPT.contains("://"), "nothing is loaded from other hosts");
}

#[test]
fn requests_are_answered_one_after_another_on_one_connection() {
    let text =
        [get("/status.json", ""), get("/", ""), get("/page.css", "Connection: close\r\n"), get("/", "")].concat();
    let Happened { events, answer, is_over } = everywhere(&text, None);
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3);
    assert!(answer.ends_with(page::STYLE) && is_over);
    // With HTTP/1.0, the connection ends if the client does not ask for the opposite.
    for (fields, is_expected) in [("", true), ("Connection: keep-alive\r\n", false)] {
        let text = format!("GET / HTTP/1.0\r\n{fields}\r\n");
        assert_eq!(everywhere(&text, None).is_over, is_expected, "{fields}");
    }
}

#[test]
fn the_status_is_written_in_chunks_and_plain() {
    let expected = "{\"version\":1,\"uptime\":9,\"publishers\":2,\"players\":3,\"last_error\":\"x\\\"y\",\"streams\":[\
                    {\"name\":\"live/camera\",\"uptime\":60,\"bit_rate\":2500000,\"players\":3,\"dropped\":1,\"skipped\":2},\
                    {\"name\":\"door\",\"uptime\":5,\"bit_rate\":0,\"players\":0,\"dropped\":0,\"skipped\":0}]}\n";
    let Happened { answer, is_over, .. } = everywhere(&get("/status.json", ""), None);
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    let mut body = String::new();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&more[..length]);
        rest = &more[length + 2..];
    }
    assert_eq!((body.as_str(), rest, is_over), (expected, "", false));
    let old = everywhere("GET /status.json HTTP/1.0\r\nHost: localhost\r\n\r\n", None);
    assert!(old.answer.ends_with(&format!("\r\nConnection: close\r\n\r\n{expected}")), "{}", old.answer);
    assert!(old.is_over);
}

#[test]
fn head_requests_have_no_body() {
    for path in ["/", "/status.json", "/live/camera.flv"] {
        let text = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let Happened { events, answer, is_over } = everywhere(&text, None);
        assert!(events[0].ends_with(" head") && answer.starts_with("HTTP/1.1 200 OK\r\n"), "{events:?} {answer}");
        assert!(answer.ends_with("\r\n\r\n") && answer.matches("\r\n\r\n").count() == 1 && !is_over, "{answer}");
    }
}

#[test]
fn a_stream_is_requested_with_its_application_key_query_and_credentials() {
    for (path, fields, expected) in [
        ("/live/camera.flv", "", "Stream(Flv) live camera "),
        ("/live/camera.flv?token=a/b.flv&x=1", "", "Stream(Flv) live camera token=a/b.flv&x=1"),
        ("/a/b/c.flv", "", "Stream(Flv) a/b c "),
        ("/camera.flv", "", "Stream(Flv)  camera "),
        ("/live/my%20cam%c3%A9.flv", "", "Stream(Flv) live my camé "),
        ("http://camera.local:8080/live/x.flv", "", "Stream(Flv) live x "),
        ("/live/x.flv", "Authorization: Basic dXNlcjpwYXNzOndvcmQ=\r\n", "Stream(Flv) live x  user:pass:word"),
        ("/live/x.flv", "AUTHORIZATION: basic dXNlcjpwYXNz\r\n", "Stream(Flv) live x  user:pass"),
        // Not decoded: treated as missing.
        ("/live/x.flv", "Authorization: Basic !\r\n", "Stream(Flv) live x "),
        ("/live/x.flv", "Authorization: Basic dXNlcg==\r\n", "Stream(Flv) live x "),
        ("/live/x.flv", "Authorization: Bearer abc\r\n", "Stream(Flv) live x "),
        ("/live/x.flv", UPGRADE, "Stream(Flv) live x  websocket"),
    ] {
        let Happened { events, .. } = everywhere(&get(path, fields), Some(WebRejection::NotFound));
        assert_eq!(events, [expected], "{path} {fields}");
    }
}

#[test]
fn a_rejection_is_answered_with_its_status() {
    for (rejection, line) in [
        (WebRejection::Unauthorized, "401 Unauthorized"),
        (WebRejection::Forbidden, "403 Forbidden"),
        (WebRejection::NotFound, "404 Not Found"),
        (WebRejection::TooMany, "429 Too Many Requests"),
        (WebRejection::Unavailable, "503 Service Unavailable"),
    ] {
        for fields in ["", UPGRADE] {
            let Happened { answer, is_over, .. } = everywhere(&get("/live/x.flv", fields), Some(rejection));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {line}\r\n")) && answer.ends_with(line) && !is_over,
                "{answer}"
            );
            let has_challenge = answer.contains("\r\nWWW-Authenticate: Basic realm=");
            assert_eq!(has_challenge, rejection == WebRejection::Unauthorized);
        }
    }
}

#[test]
fn a_websocket_is_opened_with_the_answer_to_its_key() {
    for origin in [
        "",
        "Origin: http://camera.local:8080\r\n",
        "Origin: https://CAMERA.local:8080\r\n",
        "Origin: https://listed.example\r\n",
    ] {
        let Happened { answer, .. } = everywhere(&get("/live/x.flv", &format!("{UPGRADE}{origin}")), None);
        assert_eq!(
            answer,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }
}

#[test]
fn only_pages_of_listed_origins_may_read_the_answers() {
    for (fields, is_allowed) in [
        ("", false),
        ("Origin: https://listed.example\r\n", true),
        ("Origin: https://listed.example.evil\r\n", false),
        ("Origin: http://camera.local:8080\r\n", false),
        ("Origin: null\r\n", false),
    ] {
        for (path, rejection) in
            [("/status.json", None), ("/live/x.flv", None), ("/live/x.flv", Some(WebRejection::NotFound))]
        {
            let Happened { answer, .. } = everywhere(&get(path, fields), rejection);
            let allows = answer.contains("\r\nVary: Origin\r\nAccess-Control-Allow-Origin: https://listed.example\r\n");
            assert_eq!(allows, is_allowed, "{path} {fields}");
            assert_eq!(answer.contains("Access-Control"), is_allowed, "{answer}");
            assert!(answer.contains("\r\nCross-Origin-Resource-Policy: same-origin\r\n"));
        }
    }
}
