//! Requests that `serve` hands over to another HTTP server.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use host_tests::peers::{finish_within, free_port, start, wait_for_listener};
use support::{LIMIT, Serve, clip, played, player, publish_well};

const REQUEST: &[u8] = b"PUT /settings HTTP/1.1\r\nHost: camera\r\nContent-Length: 5\r\n\r\nhello";

/// `serve`, which hands requests over to the server on `port`.
fn serving(port: u16) -> Serve {
    Serve::start(&["--http-handover", &format!("127.0.0.1:{port}"), "--idle", "5"])
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Reads until the peer closes its side.
fn rest(mut socket: &TcpStream) -> String {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a request in pieces. Returns the answer.
fn ask(port: u16, request: &[u8], piece: usize) -> String {
    let mut socket = connect(port);
    socket.set_nodelay(true).unwrap();
    for bytes in request.chunks(piece) {
        socket.write_all(bytes).unwrap();
    }
    rest(&socket)
}

/// A server that passes each accepted connection to the test.
fn other() -> (u16, Receiver<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, (sender, receiver)) = (listener.local_addr().unwrap().port(), channel());
    thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            socket.set_read_timeout(Some(LIMIT)).unwrap();
            if sender.send(socket).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

#[test]
fn item_350_all_bytes_pass_in_both_directions_and_each_side_can_end_first() {
    let (port, accepted) = other();
    let serve = serving(port);
    // The client ends first. A megabyte follows the request.
    let body = vec![b'x'; 1_000_000];
    let mut client = connect(serve.port());
    client.write_all(REQUEST).unwrap();
    client.write_all(&body).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut server = accepted.recv_timeout(LIMIT).unwrap();
    assert_eq!(rest(&server).into_bytes(), [REQUEST, &body].concat());
    server.write_all(&body).unwrap();
    drop(server);
    assert_eq!(rest(&client).into_bytes(), body);
    // The server ends first.
    let mut client = connect(serve.port());
    client.write_all(REQUEST).unwrap();
    let mut server = accepted.recv_timeout(LIMIT).unwrap();
    server.write_all(b"answer").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&client), "answer");
    client.write_all(b"more").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&server).into_bytes(), [REQUEST, b"more"].concat());
}

#[test]
fn item_350_a_connection_on_which_nothing_moves_is_closed() {
    let (port, accepted) = other();
    let serve = serving(port);
    let mut client = connect(serve.port());
    client.write_all(REQUEST).unwrap();
    let server = accepted.recv_timeout(LIMIT).unwrap();
    assert_eq!((rest(&client).as_str(), rest(&server).into_bytes()), ("", REQUEST.to_vec()));
    // An incomplete request is not handed over.
    let mut client = connect(serve.port());
    client.write_all(&REQUEST[..40]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&client), "");
    assert!(accepted.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
fn item_350_ambiguous_requests_get_400_and_are_not_handed_over() {
    let (port, accepted) = other();
    let serve = serving(port);
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3\r\nContent-Length: 3",
        "X: a\rb",
    ] {
        let request = format!("POST /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
        for piece in [1, request.len()] {
            let answer = ask(serve.port(), request.as_bytes(), piece);
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{fields:?}: {answer:?}");
        }
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(5000));
    assert!(ask(serve.port(), long.as_bytes(), long.len()).starts_with("HTTP/1.1 431 "));
    assert!(accepted.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
fn item_350_a_server_that_cannot_be_reached_is_502_and_too_many_connections_are_503() {
    let port = free_port().unwrap();
    let serve = serving(port);
    assert!(ask(serve.port(), REQUEST, 7).starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    assert!(serve.said().contains("cannot be reached"), "{}", serve.said());
    let (port, accepted) = other();
    let serve = serving(port);
    let open = |_: usize| {
        let mut client = connect(serve.port());
        client.write_all(REQUEST).unwrap();
        (client, accepted.recv_timeout(LIMIT).unwrap())
    };
    let open: Vec<_> = (0..64).map(open).collect();
    assert!(ask(serve.port(), REQUEST, 100).starts_with("HTTP/1.1 503 "));
    drop(open);
}

#[test]
fn item_350_tunnels_and_streams_stay_here() {
    let (port, accepted) = other();
    let serve = serving(port);
    let directory = tempfile::tempdir().unwrap();
    let url = format!("rtmpt://127.0.0.1:{}/live/x", serve.port());
    let file = directory.path().join("x.flv");
    let playing = start(&mut player(&url, &file, &[])).unwrap();
    serve.wait_until_it_says("plays live/x");
    publish_well(&clip(), &url, &["--fast"]);
    assert_eq!(played(playing).0, Some(0));
    let page = b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\nGET /x HTTP/1.0\r\n\r\n";
    assert!(ask(serve.port(), page, 5).starts_with("HTTP/1.1 200 OK\r\n"));
    // After a request for the page, one for the other server is not handed over.
    let both = b"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let answers = ask(serve.port(), both, both.len());
    assert!(answers.starts_with("HTTP/1.1 200 OK\r\n") && answers.contains("HTTP/1.1 404 Not Found\r\n"), "{answers}");
    assert!(accepted.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
#[ignore = "needs nginx and curl: host-tests/run runs it"]
fn item_350_nginx_answers_requests_with_keep_alive_and_pipelining() {
    let (directory, port) = (tempfile::tempdir().unwrap(), free_port().unwrap());
    let path = directory.path().join("nginx.conf");
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{ }}
http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi; client_max_body_size 10m;
  server {{ listen 127.0.0.1:{port};
    location /echo {{ return 200 \"$request_method $http_content_length $arg_n\\n\"; }} }} }}"
    );
    fs::write(&path, configuration).unwrap();
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(&path).arg("-p").arg(directory.path());
    let mut nginx = start(&mut command).unwrap();
    wait_for_listener(port, &mut nginx).unwrap_or_else(|error| panic!("{error}: {}", nginx.errors()));
    let serve = serving(port);
    let request = |number: u32| format!("GET /echo?n={number} HTTP/1.1\r\nHost: h\r\n\r\n");
    let pipelined: String = (0..20).map(request).collect::<String>() + "GET /echo?n=last HTTP/1.0\r\n\r\n";
    for piece in [3, pipelined.len()] {
        let answers = ask(serve.port(), pipelined.as_bytes(), piece);
        assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 21, "{answers}");
        let numbers: Vec<_> = answers.lines().filter_map(|line| line.strip_prefix("GET  ")).collect();
        let expected: Vec<_> = (0..20).map(|number: u32| number.to_string()).chain(["last".to_owned()]).collect();
        assert_eq!(numbers, expected);
    }
    let file = directory.path().join("upload");
    fs::write(&file, vec![b'u'; 3_000_000]).unwrap();
    let url = format!("http://127.0.0.1:{}/echo?n=1", serve.port());
    let data = format!("@{}", file.display());
    let arguments = ["-s", "--max-time", "20", "--data-binary", &data, &url, &url];
    let output = finish_within(LIMIT, Command::new("curl").args(arguments)).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "POST 3000000 1\n".repeat(2));
}
