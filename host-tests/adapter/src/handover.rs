//! A server device that hands connections over to an HTTP server of the application.

use std::cell::RefCell;

use edge_http::io::server::Connection;
use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select, select3};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::web::WebConfig;
use embedded_rtmp_embassy::{Handover, HandoverStream, Server, ServerOptions, Viewers};

use super::pair::{AcceptAll, LIMITS, TestMemory, connect, targets, with_devices};
use crate::wire::{Random, Wire};

const REQUEST: &[u8] = b"PUT /settings HTTP/1.1\r\nHost: camera\r\nContent-Length: 5\r\n\r\nhello";

const IDLE: std::time::Duration = std::time::Duration::from_secs(3);

type Places = Handover<2, 100>;

/// Runs `clients` on the first device. The second one has four sockets, viewers, and two places for the application.
fn with_handover(clients: impl AsyncFnOnce(Stack<'_>, &Places)) {
    with_devices(&Wire::new(), async |first, second| {
        let handover = Places::new(IDLE);
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut viewers = Box::new(Viewers::<2>::new(WebConfig::new()));
        let options = ServerOptions { max_per_address: Some(4), ..Default::default() };
        let server = Server::<4>::new(second, &[80], &mut memory, &options).unwrap();
        let mut server = server.with_web(&mut viewers).with_handover(&handover);
        let mut handler = AcceptAll::default();
        let clients = clients(first, &handover);
        let Either::First(()) = select(clients, server.run(&mut handler)).await else { unreachable!() };
    });
}

async fn open<'a>(stack: Stack<'a>, rings: &'a mut ([u8; 1024], [u8; 1024])) -> TcpSocket<'a> {
    let mut socket = TcpSocket::new(stack, &mut rings.0, &mut rings.1);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
    socket
}

const RINGS: ([u8; 1024], [u8; 1024]) = ([0; 1024], [0; 1024]);

/// Reads until the peer has closed its side, or the connection is reset.
async fn rest(mut from: impl Read) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 300]);
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        bytes.extend_from_slice(&piece[..length]);
    }
    bytes
}

/// Sends a request on a new connection, in pieces. Returns the answer.
async fn ask(stack: Stack<'_>, request: &[u8], piece: usize) -> String {
    let mut rings = RINGS;
    let mut socket = open(stack, &mut rings).await;
    for bytes in request.chunks(piece) {
        if socket.write_all(bytes).await.is_err() || socket.flush().await.is_err() {
            break;
        }
    }
    let answer = rest(&mut socket).await;
    socket.abort();
    let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether a connection is handed over within 200 ms.
async fn is_handed_over(handover: &Places) -> bool {
    with_timeout(Duration::from_millis(200), handover.accept()).await.is_ok()
}

#[test]
fn item_370_all_bytes_pass_in_both_directions_and_each_side_can_end_first() {
    let body: Vec<u8> = (0..20_000_u32).map(|number| number as u8).collect();
    with_handover(async |stack, handover| {
        // The client ends first.
        let client = async {
            let mut rings = RINGS;
            let mut socket = open(stack, &mut rings).await;
            socket.write_all(REQUEST).await.unwrap();
            socket.write_all(&body).await.unwrap();
            socket.close();
            rest(&mut socket).await
        };
        let application = async {
            let mut stream = handover.accept().await;
            let origin = stream.origin();
            assert_eq!((origin.port, origin.remote.unwrap().addr), (80, IpAddress::v4(10, 0, 0, 1)));
            assert_eq!(rest(&mut stream).await, [REQUEST, &body].concat());
            stream.write_all(&body).await.unwrap();
            stream.flush().await.unwrap();
        };
        assert_eq!(join(client, application).await.0, body);
        // The application ends first.
        let client = async {
            let mut rings = RINGS;
            let mut socket = open(stack, &mut rings).await;
            socket.write_all(REQUEST).await.unwrap();
            assert_eq!(rest(&mut socket).await, b"answer");
            socket.write_all(&body).await.unwrap();
            socket.close();
            let _ = socket.flush().await;
        };
        let application = async {
            let stream = handover.accept().await;
            (&stream).write_all(b"answer").await.unwrap();
            stream.shut_down();
            assert!((&stream).write_all(b"more").await.is_err());
            assert_eq!(rest(&stream).await, [REQUEST, &body].concat());
        };
        join(client, application).await;
        // Both at the same time, on two connections, which are cut at random places.
        let random = RefCell::new(Random(7));
        let echo = async |stream: HandoverStream<'_, 100>| {
            let mut piece = [0; 64];
            loop {
                let room = random.borrow_mut().below(63) as usize + 1;
                let Ok(length @ 1..) = (&stream).read(&mut piece[..room]).await else { break };
                (&stream).write_all(&piece[..length]).await.unwrap();
            }
        };
        let client = async |pause: u64| {
            let mut rings = RINGS;
            let mut socket = open(stack, &mut rings).await;
            let (mut reader, mut writer) = socket.split();
            let sending = async {
                writer.write_all(REQUEST).await.unwrap();
                for bytes in body.chunks(700) {
                    writer.write_all(bytes).await.unwrap();
                    Timer::after_millis(pause).await;
                }
            };
            let receiving = async {
                let mut echoed = vec![0; REQUEST.len() + body.len()];
                reader.read_exact(&mut echoed).await.unwrap();
                echoed
            };
            let (_, echoed) = join(sending, receiving).await;
            assert!(echoed == [REQUEST, &body].concat());
            socket.abort();
            let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
        };
        let applications =
            join(async { echo(handover.accept().await).await }, async { echo(handover.accept().await).await });
        join3(client(0), client(3), applications).await;
    });
}

#[test]
fn item_371_a_request_that_is_ambiguous_or_too_long_or_too_slow_is_not_handed_over() {
    with_handover(async |stack, handover| {
        let post = |fields: &str| format!("POST /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        for (request, status) in [
            (post("Content-Length: 3\r\nTransfer-Encoding: chunked"), "400 Bad Request"),
            (post("Content-Length: 3\r\nContent-Length: 4"), "400 Bad Request"),
            (post("Content-Length: 3\r\nContent-Length: 3"), "400 Bad Request"),
            (post("Content-Length: -1"), "400 Bad Request"),
            (post("X: a\rb"), "400 Bad Request"),
            (post("X : a"), "400 Bad Request"),
            ("GET / HTTP/3.0\r\n\r\n".into(), "400 Bad Request"),
            (format!("PUT /{} HTTP/1.1\r\n\r\n", "x".repeat(600)), "431 Request Header Fields Too Large"),
            // The receive ring of the server has 4,096 bytes.
            (post(&"X: y\r\n".repeat(1_000)), "431 Request Header Fields Too Large"),
            ("x".repeat(5_000), "431 Request Header Fields Too Large"),
            (post("Content-Length: 99999999999"), "413 Content Too Large"),
            ("PUT /x HTTP/1.1\r\nX".into(), "408 Request Timeout"),
            ("P".into(), "408 Request Timeout"),
        ] {
            // More bytes than the receive ring has would reset the connection.
            let request = &request.as_bytes()[..request.len().min(4_096)];
            for piece in [request.len().div_ceil(100), request.len()] {
                let (answer, start) = (ask(stack, request, piece).await, String::from_utf8_lossy(request));
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{start:.60?}: {answer:?}");
                assert!(!is_handed_over(handover).await, "{start:.60?}");
            }
        }
        // The client has ended its side within the head.
        let mut rings = RINGS;
        let mut socket = open(stack, &mut rings).await;
        socket.write_all(&REQUEST[..40]).await.unwrap();
        socket.close();
        assert_eq!(rest(&mut socket).await, b"");
        assert!(!is_handed_over(handover).await);
        // A request in single bytes is as good as in one piece.
        let application = async {
            let (mut stream, mut request) = (handover.accept().await, [0; REQUEST.len()]);
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(&request).await.unwrap();
        };
        assert_eq!(join(ask(stack, REQUEST, 1), application).await.0.as_bytes(), REQUEST);
    });
}

#[test]
fn item_372_connections_of_the_application_are_few_and_may_not_be_silent() {
    with_handover(async |stack, handover| {
        let began = Instant::now();
        let asked = async |after: u64| {
            Timer::after_millis(after).await;
            let answer = ask(stack, REQUEST, REQUEST.len()).await;
            (answer, began.elapsed().as_millis())
        };
        // Two wait for the application, and a third has no place.
        let (first, second, third) = join3(asked(0), asked(100), asked(200)).await;
        for (answer, _) in [&first, &second, &third] {
            assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer:?}");
        }
        assert!(third.1 < 1_000 && (3_000..3_500).contains(&first.1), "{} {}", third.1, first.1);
        // The application accepts one, and lets it rest. It is reset when nothing has moved for the idle time-out.
        let mut rings = RINGS;
        let mut socket = open(stack, &mut rings).await;
        socket.write_all(REQUEST).await.unwrap();
        let mut stream = handover.accept().await;
        let mut request = [0; 200];
        let length = stream.read(&mut request).await.unwrap();
        assert_eq!(&request[..length], REQUEST);
        Timer::after_secs(2).await;
        stream.write_all(b"x").await.unwrap();
        let (began, mut byte) = (Instant::now(), [0]);
        assert!(stream.read(&mut byte).await.is_err());
        assert!((2_900..3_200).contains(&began.elapsed().as_millis()));
        assert!(stream.write_all(b"x").await.is_err());
        assert_eq!(rest(&mut socket).await, b"x");
        drop((stream, socket));
        // A reset of the client ends it at once.
        let mut socket = open(stack, &mut rings).await;
        socket.write_all(REQUEST).await.unwrap();
        let mut stream = handover.accept().await;
        stream.read_exact(&mut request[..REQUEST.len()]).await.unwrap();
        socket.abort();
        let began = Instant::now();
        assert!(stream.read(&mut byte).await.is_err());
        assert!(began.elapsed().as_millis() < 500);
        drop((stream, socket));
        // A publisher gets the socket of such a connection if no other socket is free, and then another one becomes free.
        let mut all_rings = [RINGS, RINGS, RINGS, RINGS];
        let mut sockets = Vec::new();
        for rings in &mut all_rings {
            let mut socket = open(stack, rings).await;
            socket.write_all(&REQUEST[..20]).await.unwrap();
            sockets.push(socket);
            if sockets.len() < 3 {
                sockets.last_mut().unwrap().write_all(&REQUEST[20..]).await.unwrap();
            }
        }
        let (one, two) = (handover.accept().await, handover.accept().await);
        let keeping = async {
            loop {
                let _ = join((&one).write_all(b"."), (&two).write_all(b".")).await;
                Timer::after_millis(500).await;
            }
        };
        let publishing = async {
            Timer::after_secs(4).await;
            let (targets, mut memory) = (targets([80]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            connect(stack, &mut plan, &mut memory).await.unwrap().close().await.unwrap();
        };
        select(keeping, publishing).await;
        let left = [(&one).write_all(b".").await.is_ok(), (&two).write_all(b".").await.is_ok()];
        assert_eq!(left, [false, false]);
    });
}

/// Serves `/settings` with the HTTP server of edge-http, for as long as the connection stays.
async fn serve_settings(handover: &Places) -> ! {
    loop {
        let (mut stream, mut buffer) = (handover.accept().await, [0; 1024]);
        loop {
            let Ok(mut connection) = Connection::<_, 16>::new(&mut buffer, &mut stream).await else { break };
            let path = connection.headers().unwrap().path.to_owned();
            let mut body = [0; 64];
            let mut length = 0;
            while let Ok(read @ 1..) = connection.read(&mut body[length..]).await {
                length += read;
            }
            let answer = format!("{path} {}", String::from_utf8_lossy(&body[..length]));
            let (status, reason) = if path == "/settings" { (200, "OK") } else { (404, "Not Found") };
            let text = answer.len().to_string();
            connection.initiate_response(status, Some(reason), &[("Content-Length", &text)]).await.unwrap();
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.complete().await.unwrap();
            if connection.needs_close() {
                break;
            }
        }
    }
}

#[test]
fn item_373_the_first_request_decides_about_the_connection() {
    with_handover(async |stack, handover| {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\n");
        let clients = async {
            // Requests of the application stay with it, whatever they are for.
            let mut rings = RINGS;
            let mut socket = open(stack, &mut rings).await;
            let requests = [REQUEST, get("/").as_bytes(), get("/other").as_bytes(), REQUEST].concat();
            socket.write_all(&requests).await.unwrap();
            let mut answers = String::new();
            let mut piece = [0; 500];
            while answers.matches("hello").count() < 2 {
                let length = socket.read(&mut piece).await.unwrap();
                answers += str::from_utf8(&piece[..length]).unwrap();
            }
            let found = |text: &str| answers.matches(text).count();
            assert_eq!((found("200 OK"), found("404 Not Found")), (2, 2), "{answers}");
            assert!(answers.contains("\r\n\r\n/ ") && answers.contains("\r\n\r\n/other "), "{answers}");
            drop(socket);
            Timer::after_millis(100).await;
            // The page, the status and streams are the server's, and so are all later requests of their connections.
            for (path, status) in [("/", 200), ("/status.json", 200), ("/live/none.flv", 404)] {
                let requests = [get(path).as_bytes(), get("/settings").as_bytes(), get("/").as_bytes()].concat();
                let answer = ask(stack, &requests, requests.len()).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
                let statuses: Vec<_> =
                    answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
                assert_eq!(statuses[1..], ["404"], "{path}: {answer}");
                assert!(!answer.contains("/settings"), "{answer}");
            }
            // A tunnel's request without tunnels, and RTMP.
            let answer = ask(stack, b"POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n\0", 99).await;
            assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
            let (targets, mut memory) = (targets([80]), TestMemory::new());
            let mut plan = Plan::new(&targets, LIMITS).unwrap();
            connect(stack, &mut plan, &mut memory).await.unwrap().close().await.unwrap();
        };
        select3(clients, serve_settings(handover), serve_settings(handover)).await;
    });
}
