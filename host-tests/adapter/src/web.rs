//! A server device with tunnels, and hand-written HTTP requests of all kinds.

use embassy_futures::join::join_array;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::command::ConnectOptions;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::session::{Client as Session, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time::Instant as Time;
use embedded_rtmp_embassy::embedded_rtmp::tunnel::{TunnelClient, TunnelConfig};
use embedded_rtmp_embassy::{Error, SessionId};

use super::pair::{Recorded, with_devices};
use super::tunnels::{SOCKETS, TUNNELS, while_serving};
use crate::wire::Wire;

pub(super) const PAGE: &str = "RTMP and RTMPT are served here.\n";

/// Sends `request` on a new connection in pieces of `cut` bytes. Returns the answer up to the end of its body or of the
/// connection, and whether the connection ended.
pub(super) async fn ask(stack: Stack<'_>, request: &[u8], cut: usize) -> (Vec<u8>, bool) {
    let (mut rx, mut tx, mut answer) = (vec![0; 4096], vec![0; 4096], Vec::new());
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
    for piece in request.chunks(cut) {
        let mut rest = piece;
        while !rest.is_empty() {
            let Ok(written) = socket.write(rest).await else { return (answer, true) };
            rest = &rest[written..];
        }
        let _ = socket.flush().await;
    }
    let mut piece = vec![0; 1024];
    let is_over = loop {
        match with_timeout(Duration::from_millis(200), socket.read(&mut piece)).await {
            Ok(Ok(length @ 1..)) => answer.extend_from_slice(&piece[..length]),
            Ok(_) => break true,
            Err(_) if answer.is_empty() => {}
            Err(_) => break false,
        }
    };
    socket.close();
    let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
    socket.abort();
    let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
    (answer, is_over)
}

pub(super) fn text(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).into_owned()
}

/// The body, and the status line.
pub(super) fn parts(answer: &[u8]) -> (String, Vec<u8>) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    (text(&answer[..end]).lines().next().unwrap().to_owned(), answer[end..].to_vec())
}

pub(super) fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: 10.0.0.2:80\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn plain_requests_get_the_page_or_404_however_they_come() {
    for (page, path, status, body) in [
        (Some(PAGE), "/", "HTTP/1.1 200 OK", PAGE),
        (Some(PAGE), "/favicon.ico", "HTTP/1.1 404 Not Found", ""),
        (None, "/", "HTTP/1.1 404 Not Found", ""),
        (None, "/fcs/ident2", "HTTP/1.1 404 Not Found", ""),
    ] {
        with_devices(&Wire::new(), async |first, second| {
            let config = TunnelConfig { page, ..TunnelConfig::new() };
            let clients = async {
                for cut in [1, 7, 1_000] {
                    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {}\r\n\r\n", "x".repeat(300));
                    let (answer, is_over) = ask(first, request.as_bytes(), cut).await;
                    assert!(is_over, "a browser must not keep a socket");
                    assert!(text(&answer).contains("\r\nConnection: close\r\n"), "{}", text(&answer));
                    assert_eq!(parts(&answer), (status.to_owned(), body.as_bytes().to_vec()), "{path} {cut}");
                }
            };
            let ((), ended) = while_serving(second, config, &Recorded::default(), clients).await;
            assert_eq!(ended, [], "the handler is not told of a session");
        });
    }
}

#[test]
fn a_client_that_speaks_neither_rtmp_nor_http_is_disconnected() {
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            for (request, status) in [
                (&b"POST /open/1 HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 411 Length Required"),
                (b"GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 400 Bad Request"),
                (b"GET / HTTP/1.1\r\nX: y\rContent-Length: 5\r\n\r\n", "HTTP/1.1 400 Bad Request"),
                (b"POST /open/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 501 Not Implemented"),
                (b"POST /open/1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 Content Too Large"),
            ] {
                let (answer, is_over) = ask(first, request, 1_000).await;
                assert_eq!((parts(&answer).0.as_str(), is_over), (status, true));
            }
            // TLS, RTMPE, and an unknown protocol.
            for request in [&b"\x16\x03\x01\x02\x00"[..], b"\x06\0\0\0\0", b" / HTTP/1.1\r\n"] {
                assert_eq!(ask(first, request, 1_000).await, (Vec::new(), true), "{request:?}");
            }
        };
        while_serving(second, TunnelConfig::new(), &Recorded::default(), clients).await;
    });
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_with_408_and_no_socket_is_kept() {
    let config = TunnelConfig {
        head_timeout: std::time::Duration::from_millis(400),
        idle_timeout: std::time::Duration::from_millis(600),
        ..TunnelConfig::new()
    };
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let began = Instant::now();
            // One connection for each socket. Afterwards there is room for others.
            for (answer, is_over) in join_array([(); SOCKETS].map(|()| ask(first, b"GET / HTTP/1.1\r\nX", 1))).await {
                assert_eq!((parts(&answer).0.as_str(), is_over), ("HTTP/1.1 408 Request Timeout", true));
            }
            assert!(began.elapsed() >= Duration::from_millis(400));
            assert_eq!(parts(&ask(first, b"GET /x HTTP/1.1\r\n\r\n", 99).await.0).0, "HTTP/1.1 404 Not Found");
            // A client that sends no further request is disconnected without an answer.
            let (answer, is_over) = ask(first, &post("/open/1", b"\0"), 1_000).await;
            assert_eq!((parts(&answer).1.len(), is_over), (33, false));
        };
        while_serving(second, config, &Recorded::default(), clients).await;
    });
}

#[test]
fn the_number_of_tunnels_is_limited_and_ids_are_different() {
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let mut ids = Vec::new();
            for _ in 0..TUNNELS {
                let (status, body) = parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0);
                assert_eq!((status.as_str(), body.len()), ("HTTP/1.1 200 OK", 33));
                ids.push(text(&body).trim().to_owned());
            }
            assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
            let full = parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0);
            assert_eq!(full, ("HTTP/1.1 503 Service Unavailable".to_owned(), Vec::new()));
            // A closed tunnel makes room. Its id is then unknown, like any other.
            let close = post(&format!("/close/{}/0", ids[1]), b"\0");
            assert_eq!(parts(&ask(first, &close, 1_000).await.0).0, "HTTP/1.1 200 OK");
            for id in [&ids[1], "0", &"0".repeat(32)] {
                let idle = post(&format!("/idle/{id}/1"), b"\0");
                let (answer, is_over) = ask(first, &idle, 1_000).await;
                assert_eq!((parts(&answer).0.as_str(), is_over), ("HTTP/1.1 404 Not Found", true));
            }
            assert_eq!(parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0).0, "HTTP/1.1 200 OK");
        };
        let ((), ended) = while_serving(second, TunnelConfig::new(), &Recorded::default(), clients).await;
        assert_eq!(ended, [(SessionId(SOCKETS as u8 + 1), Error::Closed)]);
    });
}

fn now() -> Time {
    Time::from_micros(Instant::now().as_micros())
}

#[test]
fn item_098_every_request_may_come_on_a_connection_of_its_own() {
    let recorded = Recorded::default();
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let (mut scratch, mut control) = ([0; 1536], [0; 512]);
            let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
            let mut session: Session = Session::new(buffers, ClientConfig::new(), &[1; 32]).unwrap();
            let tc_url = ["rtmpt://10.0.0.2/live"];
            session.connect(&ConnectOptions::new("live", &tc_url)).unwrap();
            session.publish("cam").unwrap();
            let mut tunnel = TunnelClient::new("10.0.0.2", 80);
            let (mut requests, mut sent) = (0, 0);
            while !tunnel.is_closed() {
                let mut request = vec![0; 4096];
                let waiting = session.transmit_len();
                let length =
                    tunnel.poll_transmit(now(), &mut request, waiting, |room| session.poll_transmit(now(), room));
                if length == 0 {
                    embassy_time::Timer::after(Duration::from_millis(1)).await;
                    continue;
                }
                requests += 1;
                let (answer, is_over) = ask(first, &request[..length], 1_000).await;
                assert!(!is_over, "the server leaves it to the client to close");
                let (mut rest, mut stream) = (&answer[..], session.publishing());
                while !rest.is_empty() {
                    let event = tunnel.receive(now(), &mut rest, |bytes| session.next_event(now(), bytes)).unwrap();
                    if let Some(ClientEvent::Unpublished) = event.unwrap() {
                        tunnel.close();
                    }
                }
                stream = session.publishing().or(stream);
                if let Some(stream) = stream.filter(|_| sent < 3) {
                    let csid = session.begin_media(MessageKind::VIDEO, stream, Timestamp(sent), 1_000).unwrap();
                    let payload = [sent as u8; 1_000];
                    let (mut request, mut taken) = (vec![0; 4096], 0);
                    let waiting = session.media_len(csid, payload.len());
                    let length = tunnel.poll_transmit(now(), &mut request, waiting, |room| {
                        let progress = session.poll_media(csid, &payload[taken..], room);
                        taken += progress.taken;
                        progress.written
                    });
                    assert_eq!(taken, 1_000);
                    let (answer, _) = ask(first, &request[..length], 1_000).await;
                    let mut rest = &answer[..];
                    while !rest.is_empty() {
                        let event = tunnel.receive(now(), &mut rest, |bytes| session.next_event(now(), bytes)).unwrap();
                        event.unwrap();
                    }
                    sent += 1;
                    if sent == 3 {
                        session.close().unwrap();
                    }
                }
            }
            assert!(requests > 4);
        };
        let ((), ended) = while_serving(second, TunnelConfig::new(), &recorded, clients).await;
        assert_eq!(ended, [(SessionId(SOCKETS as u8), Error::Closed)]);
    });
    assert_eq!(recorded.kinds(0), [MessageKind::VIDEO; 3]);
}

#[test]
fn an_answer_waits_for_room_behind_those_before_it() {
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let (_, body) = parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0);
            let id = text(&body).trim().to_owned();
            // Enough requests at once that their answers fill the ring several times.
            let all: Vec<u8> = (0..60).flat_map(|number| post(&format!("/send/{id}/{number}"), &[3])).collect();
            let (answer, is_over) = ask(first, &all[..], 1 << 20).await;
            assert!(!is_over);
            let count = text(&answer).matches("HTTP/1.1 200 OK").count();
            (count, all.len())
        };
        let ((count, length), _) = while_serving(second, TunnelConfig::new(), &Recorded::default(), clients).await;
        // The handshake accepts the version, and the first bytes of C1.
        assert_eq!(count, 60, "of {length} bytes");
    });
}
