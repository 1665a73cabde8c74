//! A server device with tunnels, and clients that send arbitrary requests.

use std::cell::{Cell, RefCell};

use embassy_futures::join::join_array;
use embassy_futures::select::select;
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
use embedded_rtmp_embassy::{Server, ServerOptions, TunnelMemory, Tunnels};

use super::pair::{Recorded, TestMemory, with_devices};
use super::tunnels::{SOCKETS, TUNNELS, while_serving};
use super::web::{PAGE, ask, parts, post, text};
use crate::wire::{Random, Wire};

/// Pieces of requests, good and bad.
const PIECES: [&[u8]; 18] = [
    b"POST /open/1 HTTP/1.1\r\n",
    b"POST /send/",
    b"POST /idle/",
    b"POST /close/",
    b"/0 HTTP/1.1\r\n",
    b"/1 HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"Content-Length: 1\r\n",
    b"Content-Length: 70000\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"\x03",
    b"\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\0\x01",
    b" folded\r\n",
];

#[test]
fn the_server_serves_after_arbitrary_requests() {
    let recorded = Recorded::default();
    let config = TunnelConfig {
        head_timeout: std::time::Duration::from_millis(100),
        idle_timeout: std::time::Duration::from_millis(150),
        page: Some(PAGE),
        ..TunnelConfig::new()
    };
    with_devices(&Wire::new(), async |first, second| {
        let hostile = async |seed: u64| {
            let (mut random, mut id) = (Random(seed), "0".repeat(32));
            for _ in 0..25 {
                let mut request = Vec::new();
                for byte in random.bytes().into_iter().take(12) {
                    let piece = PIECES[usize::from(byte) % PIECES.len()];
                    request.extend_from_slice(piece);
                    if piece.ends_with(b"/") {
                        request.extend_from_slice(id.as_bytes());
                    }
                }
                // One client in four has opened a tunnel, and knows its id.
                if seed.is_multiple_of(4) {
                    let (answer, _) = hurried(first, &post("/open/1", b"\0")).await;
                    if answer.ends_with(b"\n") && answer.len() > 33 {
                        id = text(&answer[answer.len() - 33..]).trim().to_owned();
                    }
                }
                let _ = hurried(first, &request).await;
            }
        };
        let clients = async {
            join_array([1, 2, 4, 8].map(|seed| Box::pin(hostile(seed)))).await;
            // By now, every tunnel and connection that the clients left behind has timed out.
            Timer::after(Duration::from_millis(600)).await;
            let page = parts(&ask(first, b"GET / HTTP/1.1\r\n\r\n", 99).await.0);
            assert_eq!(page, ("HTTP/1.1 200 OK".to_owned(), PAGE.as_bytes().to_vec()));
            for _ in 0..TUNNELS {
                assert_eq!(parts(&ask(first, &post("/open/1", b"\0"), 99).await.0).0, "HTTP/1.1 200 OK");
            }
        };
        while_serving(second, config, &recorded, clients).await;
    });
    assert!(recorded.files.borrow().is_empty());
}

/// Returns the bytes of the answer that arrive within 30 ms, then resets the connection.
async fn hurried(stack: Stack<'_>, request: &[u8]) -> (Vec<u8>, bool) {
    let (mut rx, mut tx, mut answer) = (vec![0; 1024], vec![0; 4096], Vec::new());
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    if socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.is_err() {
        return (answer, true);
    }
    let _ = socket.write(request).await;
    let mut piece = vec![0; 1024];
    while let Ok(Ok(length @ 1..)) = with_timeout(Duration::from_millis(30), socket.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..length]);
    }
    socket.abort();
    let _ = with_timeout(Duration::from_millis(20), socket.flush()).await;
    (answer, false)
}

#[test]
fn after_a_reset_another_connection_continues_the_tunnel_whatever_request_followed() {
    let config = TunnelConfig { hold: std::time::Duration::from_millis(300), ..TunnelConfig::new() };
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let (_, body) = parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0);
            let id = text(&body).trim().to_owned();
            let poll = |number: u32| post(&format!("/idle/{id}/{number}"), b"\0");
            // One connection for each socket. Each sends a second request, which is not read before the first one is
            // answered.
            for number in 0..SOCKETS as u32 {
                let both = [poll(number), poll(number + 1)].concat();
                assert_eq!(text(&hurried(first, &both).await.0), "", "the answer to {number} is held back");
                Timer::after(Duration::from_millis(500)).await;
            }
            let (status, body) = parts(&ask(first, &poll(SOCKETS as u32), 1_000).await.0);
            assert_eq!((status.as_str(), body.len()), ("HTTP/1.1 200 OK", 1));
        };
        while_serving(second, config, &Recorded::default(), clients).await;
    });
}

#[test]
fn tunnels_of_a_dropped_server_are_free_for_the_next_server() {
    with_devices(&Wire::new(), async |first, second| {
        let mut lent = Box::new(TunnelMemory::<1>::new());
        let config = TunnelConfig { hold: std::time::Duration::from_secs(5), ..TunnelConfig::new() };
        let mut tunnels = Tunnels::<1>::new(&mut lent, config);
        let recorded = Recorded::default();
        for _ in 0..2 {
            let mut memory = Box::new([const { TestMemory::new() }; 3]);
            let server = Server::<3>::new(second, &[80], &mut memory, &ServerOptions::default());
            let mut server = server.and_then(|server| server.with_tunnels(&mut tunnels)).unwrap();
            let mut recorder = recorded.recorder();
            let client = async {
                let (status, body) = parts(&ask(first, &post("/open/1", b"\0"), 1_000).await.0);
                assert_eq!(status, "HTTP/1.1 200 OK");
                // The server is dropped in the middle of a request.
                let id = text(&body).trim().to_owned();
                let (mut rx, mut tx) = ([0; 64], [0; 256]);
                let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
                socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
                socket.write(&post(&format!("/idle/{id}/0"), b"\0")).await.unwrap();
                Timer::after(Duration::from_millis(100)).await;
            };
            select(Box::pin(client), server.run(&mut recorder)).await;
        }
    });
}

#[test]
fn a_client_that_half_closes_after_its_request_receives_the_whole_answer() {
    let page = "A page. ".repeat(2_000);
    let config = TunnelConfig { page: Some(&page), ..TunnelConfig::new() };
    with_devices(&Wire::new(), async |first, second| {
        let clients = async {
            let (mut rx, mut tx, mut answer) = (vec![0; 1024], vec![0; 1024], Vec::new());
            let mut socket = TcpSocket::new(first, &mut rx, &mut tx);
            socket.connect((IpAddress::v4(10, 0, 0, 2), 80)).await.unwrap();
            socket.write(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            socket.close();
            let mut piece = vec![0; 1024];
            while let Ok(length @ 1..) = socket.read(&mut piece).await {
                answer.extend_from_slice(&piece[..length]);
            }
            assert_eq!(parts(&answer).1, page.as_bytes());
        };
        while_serving(second, config, &Recorded::default(), clients).await;
    });
}

#[test]
fn clients_that_share_a_tunnel_id_and_reset_keep_neither_the_tunnel_nor_a_socket() {
    let short = std::time::Duration::from_millis(150);
    let config = TunnelConfig { head_timeout: short, idle_timeout: short, ..TunnelConfig::new() };
    with_devices(&Wire::new(), async |first, second| {
        let (id, number) = (RefCell::new("0".repeat(32)), Cell::new(0_u32));
        let hostile = async |seed: u64| {
            let mut random = Random(seed);
            for _ in 0..40 {
                if random.below(5) == 0 {
                    let (answer, _) = hurried(first, &post("/open/1", b"\0")).await;
                    if answer.ends_with(b"\n") {
                        id.replace(text(&answer[answer.len() - 33..]).trim().to_owned());
                        number.set(0);
                    }
                }
                let mut requests = Vec::new();
                for _ in 0..=random.below(4) {
                    let verb = ["send", "idle", "send", "idle", "close"][random.below(5) as usize];
                    let body = [&[3][..], &vec![0; random.below(2_000) as usize]].concat();
                    requests.extend(post(&format!("/{verb}/{}/{}", id.borrow(), number.get()), &body));
                    number.set(number.get() + u32::from(random.below(4) > 0));
                }
                if random.below(3) == 0 {
                    requests.truncate(random.below(requests.len() as u32) as usize);
                }
                let _ = hurried(first, &requests).await;
            }
        };
        let clients = async {
            join_array([1, 2, 4].map(|seed| Box::pin(hostile(seed)))).await;
            Timer::after(Duration::from_millis(600)).await;
            for _ in 0..TUNNELS {
                assert_eq!(parts(&ask(first, &post("/open/1", b"\0"), 99).await.0).0, "HTTP/1.1 200 OK");
            }
            for (answer, _) in join_array([(); SOCKETS].map(|()| ask(first, b"GET /x HTTP/1.1\r\n\r\n", 99))).await {
                assert_eq!(parts(&answer).0, "HTTP/1.1 404 Not Found");
            }
        };
        let ((), ended) = while_serving(second, config, &Recorded::default(), clients).await;
        assert!(ended.len() > 5, "{ended:?}");
    });
}
