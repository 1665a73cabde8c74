//! `serve` on the web: HTTP-FLV, WebSocket, the page and the status, with other programs as viewers.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use host_tests::peers::{Program, Running, finish_within, frame_hashes, start, wait_until};
use serde_json::Value;
use support::browser::watch;
use support::{LIMIT, Serve, clip, publish_well, publisher};
use tempfile::TempDir;

/// `serve` with a publisher of `live/x` that publishes the clip in real time.
struct Site {
    serve: Serve,
    publishing: Running,
}

impl Site {
    fn start(arguments: &[&str]) -> Self {
        let serve = Serve::start(arguments);
        let publishing = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
        serve.wait_until_it_says("live/x goes to");
        wait_until("it has media", LIMIT, || get(serve.port(), "/live/x.flv", "HEAD", "").0 == 200).unwrap();
        Self { serve, publishing }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.serve.port())
    }
}

fn connect(port: u16) -> TcpStream {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Sends bytes, and reads until the server closes the connection.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut socket = connect(port);
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is no error here.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Requests a path once. Returns the status, the head and the body.
fn get(port: u16, path: &str, method: &str, fields: &str) -> (u16, String, String) {
    let text = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{fields}\r\n");
    split(&exchange(port, text.as_bytes()))
}

fn split(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
    (head["HTTP/1.1 ".len()..][..3].parse().unwrap(), head.to_owned(), body.to_owned())
}

/// Requests the status.
fn status(port: u16, fields: &str) -> Value {
    let request = format!("GET /status.json HTTP/1.0\r\nHost: 127.0.0.1\r\n{fields}\r\n");
    let (status, _, body) = split(&exchange(port, request.as_bytes()));
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20"]).args(arguments);
    String::from_utf8_lossy(&finish_within(LIMIT, &mut command).unwrap().stdout).into_owned()
}

/// Checks that a file has frames of the clip up to its end without a gap, and returns the numbers of missing frames at its
/// start.
fn missing_frames(file: &Path) -> (usize, usize) {
    let (whole, part) = (frame_hashes(&clip()).unwrap(), frame_hashes(file).unwrap());
    let (video, audio) = whole.position_of(&part).expect("a run without a gap");
    assert_eq!((video + part.video.len(), audio + part.audio.len()), (whole.video.len(), whole.audio.len()));
    (video, audio)
}

#[test]
fn item_300_the_status_lists_streams_and_counts_players() {
    let site = Site::start(&[]);
    let port = site.serve.port();
    let mut viewer = connect(port);
    viewer.write_all(b"GET /live/x.flv?token=secret HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut begins = [0; 17];
    viewer.read_exact(&mut begins).unwrap();
    assert_eq!(&begins, b"HTTP/1.1 200 OK\r\n");
    site.serve.wait_until_it_says("plays live/x");
    let shown = status(port, "");
    assert_eq!((&shown["version"], &shown["publishers"], &shown["players"]), (&1.into(), &1.into(), &1.into()));
    let stream = &shown["streams"][0];
    assert_eq!((&stream["name"], &stream["players"], &stream["dropped"]), (&"live/x".into(), &1.into(), &0.into()));
    wait_until("the bit rate is measured", LIMIT, || {
        status(port, "")["streams"][0]["bit_rate"].as_u64().is_some_and(|rate| rate > 10_000)
    })
    .unwrap();
    drop(viewer);
    site.serve.wait_until_it_says("played live/x");
    assert_eq!(status(port, "")["players"], 0);
    assert!(!site.serve.said().contains("secret"), "no token reaches the log");
    let Site { serve, publishing } = site;
    drop(publishing);
    wait_until("the stream has ended", LIMIT, || status(port, "")["streams"] == serde_json::json!([])).unwrap();
    assert_eq!(get(port, "/live/x.flv", "GET", "").0, 404);
    serve.stop();
}

#[test]
fn item_301_a_connection_decides_once_between_a_tunnel_and_the_web() {
    let serve = Serve::start(&[]);
    let port = serve.port();
    assert!(serve.said().contains(&format!("serve: the page is at http://127.0.0.1:{port}/\n")));
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let open = "POST /open/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n\0";
    // A request for another path ends a connection of the web.
    for foreign in
        [open, "GET /cgi-bin/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    {
        let answer = exchange(port, format!("{page}{foreign}{page}").as_bytes());
        assert_eq!(answer.matches("200 OK").count(), 1, "{answer}");
        assert!(answer.contains("HTTP/1.1 404 ") || answer.contains("HTTP/1.1 405 "), "{answer}");
    }
    // A tunnel remains one.
    let last = "POST /x HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let answer = exchange(port, format!("{open}{page}{last}").as_bytes());
    assert!(answer.contains("RTMP and RTMPT are served here.") && !answer.contains("Content-Security"), "{answer}");
    serve.stop();
}

#[test]
fn item_302_only_local_connections_and_those_of_a_public_server_reach_the_web() {
    for (arguments, is_public) in [(&[][..], false), (&["--web"][..], true)] {
        let proxied = ["--proxy-protocol", "127.0.0.0/8"];
        let site = Serve::start(&[&proxied[..], arguments].concat());
        let port = site.port();
        let ask = |from: &str, path: &str| {
            let text = format!(
                "PROXY TCP4 {from} 127.0.0.1 5 {port}\r\nGET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            );
            exchange(port, text.as_bytes())
        };
        assert!(ask("127.0.0.1", "/").contains("Content-Security-Policy"));
        let answer = ask("192.0.2.1", "/");
        assert_eq!(answer.contains("Content-Security-Policy"), is_public, "{answer}");
        assert_eq!(ask("192.0.2.1", "/status.json").contains("\"streams\":["), is_public);
        site.stop();
    }
}

/// A load balancer before a port of `serve`, whose clients come from an address. Returns its port.
fn balancer(port: u16, from: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut server) = (client.unwrap(), connect(port));
            server.set_read_timeout(None).unwrap();
            write!(server, "PROXY TCP4 {from} 127.0.0.1 5 {port}\r\n").unwrap();
            let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut back, &mut forth);
                let _ = forth.shutdown(std::net::Shutdown::Both);
            });
            std::thread::spawn(move || {
                // Either may be gone already.
                let _ = std::io::copy(&mut client, &mut server);
                let _ = server.shutdown(std::net::Shutdown::Write);
            });
        }
    });
    own
}

#[test]
fn item_302_no_answer_to_another_machine_has_the_key_of_a_stream() {
    let serve = Serve::start(&["--web", "--proxy-protocol", "127.0.0.0/8"]);
    let port = balancer(serve.port(), "192.0.2.1");
    let url = format!("rtmp://127.0.0.1:{port}/live/sEcrEt?token=hIddEn");
    let publishing = start(&mut publisher(&clip(), &url, &[])).unwrap();
    serve.wait_until_it_says("live/sEcrEt goes to");
    // An error that names the stream is not the last error of the status.
    assert_ne!(support::publish(&clip(), &url, &["--fast"]).0, Some(0));
    serve.wait_until_it_says("turned away: live/sEcrEt");
    // A client that knows the key plays.
    wait_until("it has media", LIMIT, || get(port, "/live/sEcrEt.flv", "HEAD", "").0 == 200).unwrap();
    let paths = [
        "/",
        "/page.js",
        "/page.css",
        "/status.json",
        "/stream.flv",
        "/stream.mp4",
        "/live/x.flv",
        "/live/",
        "/favicon.ico",
    ];
    for (path, method) in paths.iter().flat_map(|path| [(path, "GET"), (path, "HEAD"), (path, "POST")]) {
        let (_, head, body) = get(port, path, method, "");
        for secret in ["sEcrEt", "hIddEn"] {
            assert!(!head.contains(secret) && !body.contains(secret), "{method} {path}: {head} {body}");
        }
    }
    assert_eq!(status(port, "")["streams"], serde_json::json!([]));
    drop(publishing);
    serve.stop();
}

#[test]
fn item_303_a_viewer_needs_the_password_and_wrong_ones_are_limited() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "correct-horse\n").unwrap();
    let arguments = ["--user", "camera", "--password-file", password.to_str().unwrap()];
    let serve = Serve::start(&arguments);
    let url = format!("rtmp://camera:correct-horse@127.0.0.1:{}/live/x", serve.port());
    let publishing = start(&mut publisher(&clip(), &url, &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let port = serve.port();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let right = "Authorization: Basic Y2FtZXJhOmNvcnJlY3QtaG9yc2U=\r\n";
    let wrong = "Authorization: Basic Y2FtZXJhOndyb25n\r\n";
    for (path, fields) in [
        ("/", ""),
        ("/page.js", ""),
        ("/status.json", ""),
        ("/live/x.flv", ""),
        ("/live/x.flv", upgrade),
        ("/live/y.flv", ""),
    ] {
        let (status, head, body) = get(port, path, "GET", fields);
        assert_eq!((status, body.as_str()), (401, "401 Unauthorized"), "{path}");
        assert!(head.contains("\r\nWWW-Authenticate: Basic realm="), "{head}");
        assert_eq!(get(port, path, "HEAD", right).0, if path == "/live/y.flv" { 404 } else { 200 });
    }
    for _ in 0..5 {
        assert_eq!(get(port, "/status.json", "GET", wrong).0, 401);
    }
    // Now this address has to wait, even with the right password.
    assert_eq!(get(port, "/status.json", "GET", wrong).0, 429);
    let (status, _, body) = get(port, "/live/x.flv", "GET", right);
    assert_eq!((status, body.as_str()), (429, "429 Too Many Requests"));
    wait_until("the wait is over", LIMIT, || get(port, "/status.json", "HEAD", right).0 == 200).unwrap();
    assert!(serve.said().contains("turned away: a wrong user or password"));
    assert!(!serve.said().contains("horse"));
    drop(publishing);
    serve.stop();
}

#[test]
fn item_304_a_viewer_that_stops_reading_is_disconnected_and_200_others_are_not() {
    let serve = Serve::start(&["--ring", "200000", "--idle", "2"]);
    let port = serve.port();
    let first = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let request = b"GET /live/x.flv HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let stuck = connect(port);
    rustix::net::sockopt::set_socket_recv_buffer_size(&stuck, 4096).unwrap();
    (&stuck).write_all(request).unwrap();
    let mut viewers: Vec<_> = (0..200).map(|_| connect(port)).collect();
    viewers.iter_mut().for_each(|viewer| viewer.write_all(request).unwrap());
    wait_until("all view", LIMIT, || serve.said().matches("plays live/x").count() == 201).unwrap();
    let readers: Vec<_> = viewers
        .into_iter()
        .map(|mut viewer| {
            std::thread::spawn(move || {
                let mut received = Vec::new();
                viewer.read_to_end(&mut received).unwrap();
                received
            })
        })
        .collect();
    first.finish_within(LIMIT).unwrap().successful().unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (number, reader) in readers.into_iter().enumerate() {
        let received = reader.join().unwrap();
        let start = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        if number % 50 == 0 {
            let file = directory.path().join(format!("{number}.flv"));
            fs::write(&file, &received[start..]).unwrap();
            let tags = support::media(&file);
            let clip = support::media(&clip());
            // All have the last tags, and no gap.
            assert!(tags.len() > 20 && clip.ends_with(&tags[tags.len() - 20..]), "{number}");
        }
    }
    // 40 MB do not fit in the buffers of the system.
    let large = support_large(&directory);
    let mut again = connect(port);
    let publishing = start(&mut publisher(&large, &serve.url("live/x"), &["--fast"])).unwrap();
    wait_until("it is there again", LIMIT, || get(port, "/live/x.flv", "HEAD", "").0 == 200).unwrap();
    again.write_all(request).unwrap();
    let begun = Instant::now();
    serve.wait_until_it_says("too slow");
    assert!(begun.elapsed() < Duration::from_secs(30));
    drop((stuck, publishing));
    serve.stop();
}

/// A large file: the clip with filler.
fn support_large(directory: &TempDir) -> std::path::PathBuf {
    use embedded_rtmp::message::MessageKind;
    let path = directory.path().join("large.flv");
    let mut writer = host_tests::flv::Writer::new(fs::File::create(&path).unwrap()).unwrap();
    let clip = support::media(&clip());
    for tag in &clip {
        let mut payload = tag.payload.clone();
        if tag.kind == MessageKind::VIDEO && payload[1] == 1 {
            payload.resize(payload.len() + 150_000, 0xFF);
        }
        writer.write(tag.kind, tag.timestamp, &payload).unwrap();
    }
    writer.finish().unwrap();
    path
}

#[test]
fn item_304_a_client_that_does_not_read_short_answers_is_disconnected() {
    let serve = Serve::start(&["--idle", "1"]);
    let mut socket = connect(serve.port());
    socket.set_write_timeout(Some(LIMIT)).unwrap();
    let requests = "GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let begun = Instant::now();
    // The answers to some thousand requests do not fit in the buffers of the system. Then nothing is read any longer.
    while socket.write_all(requests.as_bytes()).is_ok() {
        assert!(begun.elapsed() < LIMIT);
    }
    assert!(begun.elapsed() < LIMIT / 2, "the server has not closed the connection");
    assert_eq!(get(serve.port(), "/", "HEAD", "").0, 200);
    serve.stop();
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_305_ffmpeg_plays_a_stream_over_http() {
    for program in [Program::Ffmpeg, Program::Ffmpeg9] {
        let site = Site::start(&[]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("played.flv");
        let begun = Instant::now();
        let mut command = program.ffmpeg();
        command.args(["-analyzeduration", "1500000", "-i", &site.url("/live/x.flv"), "-c", "copy"]).arg(&file);
        // It ends by itself, because the response does.
        finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
        let (video, audio) = missing_frames(&file);
        println!("{}: began after {video} pictures and {audio} audio frames, in {:?}", program.name(), begun.elapsed());
        site.publishing.finish_within(LIMIT).unwrap().successful().unwrap();
        site.serve.stop();
    }
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn item_309_ffmpeg_plays_a_stream_as_mp4() {
    for program in [Program::Ffmpeg, Program::Ffmpeg9] {
        let site = Site::start(&[]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("played.flv");
        let mut command = program.ffmpeg();
        command.args(["-i", &site.url("/live/x.mp4"), "-c", "copy"]).arg(&file);
        finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
        let (video, audio) = missing_frames(&file);
        println!("{}: began after {video} pictures and {audio} audio frames", program.name());
        site.serve.stop();
    }
}

#[test]
#[ignore = "needs chromium and python3: host-tests/run runs it"]
fn item_310_chromium_shows_the_page_with_scripts_and_without() {
    let serve = Serve::start(&[]);
    let url = serve.url("live/x");
    let mut command = Program::Ffmpeg.ffmpeg();
    command.args(["-re", "-stream_loop", "20", "-i"]).arg(clip()).args(["-c", "copy", "-f", "flv", &url]);
    let publishing = start(&mut command).unwrap();
    serve.wait_until_it_says("live/x goes to");
    for (name, path, more) in
        [("page", "/", None), ("page-noscript", "/", Some("noscript")), ("page-hash", "/#live/x", None)]
    {
        let shown = watch(name, &format!("http://127.0.0.1:{}{path}", serve.port()), 10, more, 480);
        let state = &shown["state"];
        let source = state["src"].as_str().unwrap();
        assert_eq!(source.starts_with("blob:"), more.is_none(), "{source}");
        if more.is_none() {
            let text = state["text"].as_str().unwrap();
            assert!(text.contains("live/x") && text.contains("kbit/s") && text.contains("Players\n1"), "{text}");
        }
    }
    drop(publishing);
    serve.stop();
}

#[test]
#[ignore = "needs chromium, python3 and ffmpeg 9: host-tests/run runs it"]
fn item_365_chromium_plays_the_codecs_of_enhanced_rtmp() {
    let (serve, directory) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    let codecs = [
        ("av1-opus", "libaom-av1", ["-usage", "realtime"], "libopus"),
        ("vp9-flac", "libvpx-vp9", ["-deadline", "realtime"], "flac"),
    ];
    // Both at the same time, because the browser starts slowly and then waits for frames.
    std::thread::scope(|scope| {
        for (name, video, speed, audio) in codecs {
            let (serve, file) = (&serve, directory.path().join(format!("{name}.flv")));
            scope.spawn(move || {
                let mut command = Program::Ffmpeg9.ffmpeg();
                command.args(["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25"]);
                command.args(["-f", "lavfi", "-i", "sine=440:sample_rate=48000", "-t", "8", "-c:v", video]);
                command.args(speed).args(["-cpu-used", "8", "-g", "25", "-c:a", audio, "-f", "flv"]).arg(&file);
                finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
                let mut command = Program::Ffmpeg9.ffmpeg();
                command.args(["-re", "-stream_loop", "7", "-i"]).arg(&file);
                command.args(["-c", "copy", "-f", "flv", &serve.url(&format!("live/{name}"))]);
                let _publishing = start(&mut command).unwrap();
                serve.wait_until_it_says(&format!("live/{name} goes to"));
                let url = format!("http://127.0.0.1:{}/#live/{name}", serve.port());
                let shown = watch(&format!("page-{name}"), &url, 5, None, 160);
                assert!(shown["state"]["src"].as_str().unwrap().starts_with("blob:"), "{shown}");
            });
        }
    });
    serve.stop();
}

#[test]
#[ignore = "needs vlc: host-tests/run runs it"]
fn item_305_vlc_plays_a_stream_over_http() {
    let site = Site::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("played.mp4");
    // VLC does not run as root.
    let is_root = rustix::process::geteuid().is_root();
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cvlc"]);
        command
    } else {
        Command::new("cvlc")
    };
    if is_root {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let output = format!("#std{{access=file,mux=mp4,dst={}}}", file.display());
    command.env("HOME", directory.path()).args(["--quiet", "--sout", &output, &site.url("/live/x.flv"), "vlc://quit"]);
    finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    // VLC adds the parameter sets to each keyframe, and its muxer leaves out the last frames.
    let (mut whole, mut part) = (frame_hashes(&clip()).unwrap(), frame_hashes(&file).unwrap());
    let begins = whole.video.iter().position(|hash| *hash == part.video[1]).unwrap() - 1;
    let is_key = |number: usize| (begins + number).is_multiple_of(25);
    assert!(is_key(0), "{begins}");
    for (number, hash) in part.video.iter_mut().enumerate().filter(|(number, _)| is_key(*number)) {
        whole.video[begins + number].clone_from(hash);
    }
    let (video, audio) = whole.position_of(&part).expect("a run without a gap");
    println!("VLC: began after {video} pictures and {audio} audio frames");
    let missing = (whole.video.len() - video - part.video.len(), whole.audio.len() - audio - part.audio.len());
    assert!(missing.0 <= 2 && missing.1 <= 10, "{missing:?}");
    site.serve.stop();
}

#[test]
#[ignore = "needs curl: host-tests/run runs it"]
fn item_306_curl_asks_for_what_there_is_and_for_what_there_is_not() {
    let site = Site::start(&["--web-origin", "https://listed.example", "--web-name", "camera.test"]);
    let url = |path: &str| site.url(path);
    let head = curl(&["-I", &url("/live/x.flv")]);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n"), "{head}");
    assert!(!head.contains("Access-Control"), "{head}");
    let listed = curl(&["-I", "-H", "Origin: https://listed.example", &url("/status.json")]);
    assert!(listed.contains("\r\nAccess-Control-Allow-Origin: https://listed.example\r\n"), "{listed}");
    let other = curl(&["-I", "-H", "Origin: https://other.example", &url("/status.json")]);
    assert!(!other.contains("Access-Control"), "{other}");
    for (fields, path, expected) in [
        (&["-H", "Host: evil.example"][..], "/", "421"),
        (&["-H", "Host: camera.test:80"], "/", "200"),
        (&["-H", "Host:"], "/", "400"),
        (&["--path-as-is"], "/../../etc/passwd", "404"),
        (&["--path-as-is"], "/live/../x.flv", "404"),
        (&[], "/live/%00.flv", "400"),
        (&[], "/live/y.flv", "404"),
        (&[], "/live/x", "404"),
        (&["-X", "POST", "-d", "x"], "/nothing", "404"),
        (&["-X", "DELETE"], "/", "405"),
        (&["-H", "Transfer-Encoding: chunked", "-H", "Content-Length: 3"], "/", "400"),
    ] {
        let code = curl(&[fields, &["-o", "/dev/null", "-w", "%{http_code}", &url(path)]].concat());
        assert_eq!(code, expected, "{fields:?} {path}");
    }
    // A reader at 40 KB/s gets the stream, and two requests use one connection.
    let directory = tempfile::tempdir().unwrap();
    let slow = directory.path().join("slow.flv");
    curl(&["--limit-rate", "40k", "-o", slow.to_str().unwrap(), &url("/stream.flv")]);
    missing_frames(&slow);
    let count = curl(&["-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects}", &url("/"), &url("/page.js")]);
    assert_eq!(count, "10");
    site.serve.stop();
}

/// A client of WebSocket in Python, without packages. Prints the status line, then writes the messages into a file.
const CLIENT: &str = r#"
import base64, hashlib, os, socket, struct, sys
host, port, path, origin, output = sys.argv[1:]
key = base64.b64encode(os.urandom(16)).decode()
s = socket.create_connection((host, int(port)))
s.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{origin}\r\n").encode())
f = s.makefile('rb')
status = f.readline().decode().strip()
fields = dict(line.decode().strip().lower().split(': ', 1) for line in iter(f.readline, b'\r\n'))
print(status)
if ' 101 ' not in status:
    sys.exit(3)
digest = hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()
assert fields['sec-websocket-accept'] == base64.b64encode(digest).decode().lower(), fields
def send(first, payload):
    mask = os.urandom(4)
    s.sendall(bytes([first, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
send(0x89, b'hello')
pongs = messages = 0
with open(output, 'wb') as out:
    while True:
        first, second = f.read(2)
        assert not second & 0x80, 'frames of a server are not masked'
        length = second
        if second == 126: length, = struct.unpack('>H', f.read(2)); assert length > 125
        if second == 127: length, = struct.unpack('>Q', f.read(8)); assert length > 65535
        payload = f.read(length)
        if first == 0x82:
            out.write(payload); messages += 1
        elif first == 0x8A:
            assert payload == b'hello'; pongs += 1
        elif first == 0x88:
            send(0x88, payload)
            print('closed', struct.unpack('>H', payload[:2])[0]); break
        else:
            raise SystemExit(f'unexpected frame {first:#x}')
assert pongs == 1 and messages > 3, (pongs, messages)
"#;

#[test]
#[ignore = "needs python3: host-tests/run runs it"]
fn item_307_a_stream_over_websocket_is_the_same() {
    let site = Site::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("played.flv");
    let port = site.serve.port().to_string();
    let run = |path: &str, origin: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", CLIENT, "127.0.0.1", &port, path, origin]).arg(&file);
        finish_within(LIMIT, &mut command).unwrap()
    };
    for (path, origin, status) in
        [("/live/x.flv", "Origin: http://evil.example\r\n", "403"), ("/live/y.flv", "", "404"), ("/nothing", "", "404")]
    {
        let finished = run(path, origin);
        let line = String::from_utf8(finished.stdout).unwrap();
        assert!(finished.status.code() == Some(3) && line.contains(status), "{line} {}", finished.stderr);
    }
    let origin = format!("Origin: http://127.0.0.1:{port}\r\n");
    let finished = run("/live/x.flv", &origin).successful().unwrap();
    assert_eq!(String::from_utf8(finished.stdout).unwrap(), "HTTP/1.1 101 Switching Protocols\nclosed 1000\n");
    missing_frames(&file);
    site.serve.stop();
}

#[test]
fn item_308_a_viewer_waits_for_a_publisher_that_comes_back_within_the_grace_time() {
    let serve = Serve::start(&["--grace", "30"]);
    let first = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let mut viewer = connect(serve.port());
    viewer.write_all(b"GET /live/x.flv HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    serve.wait_until_it_says("plays live/x");
    first.signal("KILL").unwrap();
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        viewer.read_to_end(&mut received).unwrap();
        received
    });
    // The server ends the stream when it stops.
    serve.stop();
    let received = reader.join().unwrap();
    let start = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &received[start..]).unwrap();
    let (tags, clip) = (support::media(file.path()), support::media(&clip()));
    let last: Vec<_> = clip.iter().rev().take(50).map(|tag| &tag.payload).collect();
    assert!(tags.iter().rev().take(50).map(|tag| &tag.payload).eq(last));
    let frames: Vec<_> = tags.iter().filter(|tag| tag.payload[1] == 1).map(|tag| tag.timestamp).collect();
    assert!(frames.windows(2).all(|pair| pair[1] + 200 > pair[0]), "the timestamps do not jump back");
}
