//! `publish` and `serve` with each other, and with peers that misbehave. Only loopback is needed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use embedded_rtmp::message::MessageKind;
use embedded_rtmp::port_plan::{Failure, Limits, Outcome, Target};
use embedded_rtmp::session::{ClientConfig, Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp::time;
use host_tests::flv::{Reader, Writer};
use host_tests::net::{Clock, Dialler, TlsArguments};
use host_tests::peers::{finish_within, free_port, start, wait_until};
use support::{LIMIT, Serve, clip, media, publish, publish_well, publisher, six_publish, tags, url};

#[test]
fn what_is_published_is_recorded_whatever_the_handshake_and_the_chunk_sizes() {
    for (chunk_size, handshake) in [("128", "simple"), ("4096", "digest"), ("60000", "simple"), ("16777215", "digest")]
    {
        let serve = Serve::start(&["--chunk-size", chunk_size]);
        let arguments = ["--fast", "--chunk-size", chunk_size, "--handshake", handshake];
        let summary = publish_well(&clip(), &serve.url("live/x"), &arguments);
        assert_eq!(summary["acknowledged"], true);
        let expected = if handshake == "simple" { "simple" } else { "digest, scheme 0" };
        assert_eq!(summary["handshake"], expected);
        assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()), "{chunk_size}");
        let summary = serve.stop();
        assert_eq!(summary["recordings"][0]["recorded"]["video"], 102);
        assert_eq!(summary["recordings"][0]["end"], "unpublished");
    }
}

#[test]
fn several_publishers_at_once_on_several_addresses() {
    let serve = Serve::listening("127.0.0.1:0,127.0.0.1:0", 2, &[]);
    six_publish(&serve, |number| url(serve.ports()[number % 2], &format!("live/{number}")));
}

#[test]
fn item_088_a_second_publisher_of_a_stream_is_refused_and_the_first_continues() {
    let serve = Serve::start(&[]);
    let first = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let (status, summary, stderr) = publish(&clip(), &serve.url("live/x"), &["--fast"]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("NetStream.Publish.BadName"), "{stderr}");
    assert_eq!(summary["sent"]["video"], 0);
    // The same key in another application is another stream.
    publish_well(&clip(), &serve.url("other/x"), &["--fast"]);
    first.finish_within(LIMIT).unwrap().successful().unwrap();
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
    // It is free again.
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    assert_eq!(tags(&serve.recording("live-x-2.flv")), tags(&clip()));
}

#[test]
fn a_publisher_that_is_killed_leaves_a_valid_file() {
    let serve = Serve::start(&[]);
    let publisher = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    wait_until("something is sent", LIMIT, || {
        fs::metadata(serve.directory().join("live-x.flv")).unwrap().len() > 20_000
    })
    .unwrap();
    drop(publisher);
    let recorded = tags(&serve.recording("live-x.flv"));
    let all = tags(&clip());
    assert!(recorded.len() > 10 && recorded.len() < all.len());
    assert_eq!(recorded, all[..recorded.len()]);
}

#[test]
fn ctrl_c_completes_what_is_being_recorded() {
    let serve = Serve::start(&[]);
    let directory = serve.directory().to_owned();
    let publisher = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let file = directory.join("live-x.flv");
    wait_until("something is sent", LIMIT, || fs::metadata(&file).unwrap().len() > 20_000).unwrap();
    let copy = tempfile::NamedTempFile::new().unwrap();
    let saved = copy.path().to_owned();
    // The directory is deleted with the server, so the file gets a second link.
    fs::remove_file(&saved).unwrap();
    fs::hard_link(&file, &saved).unwrap();
    let summary = serve.stop();
    assert_eq!(summary["recordings"][0]["end"], "this server stopped");
    let recorded = tags(&saved);
    assert_eq!(recorded, tags(&clip())[..recorded.len()]);
    let finished = publisher.finish_within(LIMIT).unwrap();
    assert_eq!(finished.status.code(), Some(1), "{}", finished.stderr);
}

#[test]
fn file_names_are_harmless() {
    let serve = Serve::start(&[]);
    publish_well(&clip(), &serve.url("a$b/../..%2fetc/c:d.e_f-g"), &["--fast"]);
    assert_eq!(tags(&serve.recording("ab....2fetc-cd.e_f-g.flv")), tags(&clip()));
    let names: Vec<_> = fs::read_dir(serve.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn item_164_a_query_is_neither_in_a_file_name_nor_in_a_log_nor_in_the_summary() {
    let serve = Serve::start(&[]);
    let url = serve.url("live?pass=SECRET/k?token=SECRET");
    publish_well(&clip(), &url, &["--fast"]);
    assert_eq!(tags(&serve.recording("live-k.flv")), tags(&clip()));
    let said = serve.said();
    assert!(!said.contains("SECRET") && said.contains("live/k goes to"), "{said}");
    // Neither a refusal nor a URL that is not valid prints the query.
    let first = start(&mut publisher(&clip(), &url, &[])).unwrap();
    wait_until("the second publication", LIMIT, || serve.said().matches("live/k goes to").count() == 2).unwrap();
    for (url, status) in [(url.as_str(), 1), ("http://host/live/k?token=SECRET", 2)] {
        let (found, summary, stderr) = publish(&clip(), url, &["--fast"]);
        assert_eq!(found, Some(status), "{stderr}");
        assert!(!stderr.contains("SECRET") && !summary.to_string().contains("SECRET"), "{stderr}");
    }
    first.finish_within(LIMIT).unwrap().successful().unwrap();
    assert!(!serve.said().contains("SECRET"), "{}", serve.said());
    let summary = serve.stop();
    assert!(!summary.to_string().contains("SECRET"), "{summary}");
    assert_eq!(summary["recordings"][0]["stream"], "live/k");
}

/// Sends `bytes`, and returns the bytes that arrive until the server closes the connection. It must do so within two
/// seconds.
fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.write_all(bytes).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("{bytes:?}: {error}"),
        _ => answer,
    }
}

#[test]
fn item_168_other_protocols_are_recognised_at_once() {
    const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\x0a\0\0\x01\x12\x34\x07\x8f";
    let serve = Serve::start(&[]);
    for (bytes, said) in [
        (&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], "TLS (RTMPS or HTTPS)"),
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 1935\r\n\x03", "a PROXY header from an address"),
        (PROXY_2, "a PROXY header from an address"),
        (b"\r\nx", "neither RTMP nor HTTP"),
    ] {
        let count = serve.said().matches(said).count();
        assert_eq!(answer(serve.port(), bytes), b"", "{said}");
        wait_until(said, LIMIT, || serve.said().matches(said).count() > count).unwrap();
    }
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "PROPFIND", "DELETE", "CONNECT"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = answer(serve.port(), request.as_bytes());
        assert!(answer.starts_with(b"HTTP/1."), "{method}: {}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn item_168_behind_a_load_balancer_the_header_is_mandatory_and_names_the_client() {
    let serve = Serve::start(&["--proxy-protocol", "10.0.0.0/8,127.0.0.0/8"]);
    assert_eq!(answer(serve.port(), &[3; 100]), b"");
    serve.wait_until_it_says("no PROXY header, which is required");
    // This thread is a load balancer. It sends the header before the bytes of the publisher.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, target) = (listener.local_addr().unwrap().port(), serve.port());
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).unwrap();
            server.write_all(b"PROXY TCP4 192.0.2.77 10.0.0.1 4660 1935\r\n").unwrap();
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            let _ = std::io::copy(&mut client, &mut server);
        }
    });
    publish_well(&clip(), &url(port, "live/x"), &["--fast"]);
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
    assert!(serve.said().contains("192.0.2.77:4660: live/x goes to"), "{}", serve.said());
}

#[test]
fn item_168_the_limit_for_each_address_counts_the_clients_that_the_headers_name() {
    let serve = Serve::start(&["--proxy-protocol", "127.0.0.0/8", "--max-per-address", "2"]);
    let connect = |client: &str| {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
        socket.write_all(format!("PROXY TCP4 {client} 10.0.0.1 4660 1935\r\n").as_bytes()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        socket
    };
    let mut others = [1, 2, 3, 4].map(|number| connect(&format!("192.0.2.{number}")));
    let mut same = [(); 3].map(|()| connect("192.0.2.9"));
    serve.wait_until_it_says("192.0.2.9:4660: closed to make room");
    let is_open = |socket: &mut TcpStream| !matches!(socket.read(&mut [0]), Ok(0));
    assert!(others.iter_mut().all(is_open), "{}", serve.said());
    assert_eq!(same.iter_mut().filter_map(|socket| is_open(socket).then_some(())).count(), 2, "{}", serve.said());
}

#[test]
fn serve_continues_with_the_addresses_that_it_can_bind() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = Serve::listening(&format!("{address},127.0.0.1:0"), 1, &[]);
    assert!(serve.said().contains(&format!("cannot listen on {address}")), "{}", serve.said());
    publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    assert_eq!(serve.stop()["failed"][0]["address"], address);

    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_serve"));
    command.args(["--listen", &address, "--record"]).arg(directory.path());
    let finished = finish_within(LIMIT, &mut command).unwrap();
    assert_eq!(finished.status.code(), Some(2));
    assert!(finished.stderr.contains(&address), "{}", finished.stderr);
}

#[test]
fn clients_that_send_nonsense_do_not_disturb_others() {
    let serve = Serve::start(&[]);
    let first = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
    serve.wait_until_it_says("live/x goes to");
    let mut silent = Vec::new();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xFF; 5000], &[3; 100_000], b"", &[3]] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
        // It may have closed the connection already.
        let _ = stream.write_all(nonsense);
        silent.push(stream);
    }
    first.finish_within(LIMIT).unwrap().successful().unwrap();
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 1);
}

/// A server for one connection, which reads a little, sends `answer`, and closes.
fn rude_server(answer: &'static [u8]) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 1537]).unwrap();
        stream.write_all(answer).unwrap();
    };
    (port, thread::spawn(serve))
}

#[test]
fn item_094_a_server_that_answers_in_http_is_reported() {
    let (port, server) = rude_server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (status, summary, stderr) = publish(&clip(), &url(port, "live/x"), &[]);
    assert_eq!(status, Some(1));
    assert_eq!(summary["attempts"][0]["outcome"], "answered, but not in RTMP");
    assert!(stderr.contains(&format!("failed on RTMP {port}: answered, but not in RTMP")), "{stderr}");
    server.join().unwrap();
}

#[test]
fn a_server_that_closes_during_the_handshake_is_reported() {
    let (port, server) = rude_server(b"\x03half of S1");
    let (status, summary, _) = publish(&clip(), &url(port, "live/x"), &[]);
    assert_eq!((status, &summary["attempts"][0]["outcome"]), (Some(1), &"closed during the RTMP handshake".into()));
    server.join().unwrap();
}

#[test]
fn item_093_the_first_port_with_an_rtmp_handshake_wins() {
    let refused = free_port().unwrap();
    let (http, server) = rude_server(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let serve = Serve::start(&[]);
    let ports = [refused, http, silent.local_addr().unwrap().port(), serve.port(), refused];
    let targets = ports.map(Target::rtmp);
    let handshake = Duration::from_millis(500);
    for limits in [
        Limits { handshake, ..Limits::SEQUENTIAL },
        Limits { handshake, ..Limits::staggered(Duration::from_millis(10), 8) },
    ] {
        let (config, clock) = (ClientConfig::new(), Clock::new());
        let mut dialler =
            Dialler::<0>::new("127.0.0.1", &targets, limits, config, &TlsArguments::default(), clock).unwrap();
        let dialled = dialler.dial().unwrap();
        let reports = dialler.reports();
        let won = reports.iter().position(|report| report.outcome == Outcome::Connected);
        assert_eq!(won, Some(3));
        assert_eq!(reports[0].outcome, Outcome::Failed(Failure::Refused));
        // The server that answers in HTTP does so once. If attempts overlap, it may not be reached.
        let second = reports[1].outcome;
        let failed = [Failure::NotRtmp, Failure::Refused, Failure::Closed].map(Outcome::Failed);
        assert!(failed.contains(&second) || second == Outcome::Lost, "{second}");
        let third = reports[2].outcome;
        assert!(matches!(third, Outcome::Failed(Failure::HandshakeTimedOut) | Outcome::Lost), "{third}");
        assert!(dialled.pipe.peer().unwrap().port() == serve.port());
    }
    server.join().unwrap();
}

#[test]
fn publish_without_a_server_fails_and_names_the_port() {
    let port = free_port().unwrap();
    let (status, summary, stderr) = publish(&clip(), &url(port, "live/x"), &[]);
    assert_eq!((status, &summary["attempts"][0]["port"]), (Some(1), &port.into()));
    assert!(stderr.contains(&format!("failed on RTMP {port}: refused")), "{stderr}");
}

#[test]
fn invalid_arguments_are_status_2() {
    let no_file = Path::new("no-such-file.flv");
    let no_flv = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for (file, url, reason) in [
        (no_file, "rtmp://127.0.0.1:1/live/x", "no-such-file.flv"),
        (&no_flv, "rtmp://127.0.0.1:1/live/x", "not an FLV file"),
        (&clip(), "http://127.0.0.1:1/live/x", "URL"),
        (&clip(), "rtmp://127.0.0.1:1//x", "application"),
    ] {
        let (status, _, stderr) = publish(file, url, &[]);
        assert_eq!(status, Some(2), "{url}: {stderr}");
        assert!(stderr.contains(reason), "{url}: {stderr}");
    }
    for arguments in [&["--listen"][..], &["--record"], &["--ring", "5"], &["--listen", "nowhere"]] {
        let finished = finish_within(LIMIT, Command::new(env!("CARGO_BIN_EXE_serve")).args(arguments)).unwrap();
        assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn item_161_a_stream_is_found_in_every_spelling_of_its_url() {
    let serve = Serve::start(&[]);
    // The last column is the name of the stream.
    for (path, arguments, name) in [
        ("live/_definst_/cam?token=a/b", &[][..], "live/cam"),
        ("live/cam.flv", &[], "live/cam"),
        ("live/cam", &["--key", ""], "live"),
        ("live/cam/", &[], "live/cam"),
        ("cam", &["--app", "live"], "live/cam"),
        ("", &["--app", "live", "--key", "a/cam"], "live/a/cam"),
        ("live/a/cam", &[], "live/a/cam"),
    ] {
        let arguments = [arguments, &["--fast"]].concat();
        let (status, _, stderr) = publish(&clip(), &serve.url(path), &arguments);
        assert_eq!(status, Some(0), "{path} {arguments:?}: {stderr}");
        let published = format!("{name} goes to");
        let count = serve.said().lines().filter(|line| line.contains(&published)).count();
        assert!(count > 0, "{path} {arguments:?}: {}", serve.said());
    }
    assert_eq!(serve.said().matches("live/cam goes to").count(), 4);
    assert_eq!(serve.said().matches("live/a/cam goes to").count(), 2);
}

#[test]
fn item_163_a_truncated_file_is_sent_up_to_its_end() {
    let serve = Serve::start(&[]);
    let bytes = fs::read(clip()).unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    fs::write(cut.path(), &bytes[..50_000]).unwrap();
    let (status, summary, stderr) = publish(cut.path(), &serve.url("live/x"), &["--fast"]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("the file ends within the tag"), "{stderr}");
    assert_eq!(summary["notices"].as_array().map(Vec::len), Some(1));
    let whole: Vec<_> = Reader::new(&bytes[..50_000]).unwrap().map_while(Result::ok).collect();
    assert_eq!(tags(&serve.recording("live-x.flv")), whole);
}

#[test]
fn item_163_a_file_with_a_fault_in_each_tag_is_sent_and_some_faults_are_listed() {
    let serve = Serve::start(&[]);
    let mut bytes = fs::read(clip()).unwrap();
    let mut at = 13;
    while at < bytes.len() {
        at += 15 + u32::from_be_bytes([0, bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize;
        bytes[at - 4..at].fill(0);
    }
    let faulty = tempfile::NamedTempFile::new().unwrap();
    fs::write(faulty.path(), &bytes).unwrap();
    let (status, summary, stderr) = publish(faulty.path(), &serve.url("live/x"), &["--fast"]);
    assert_eq!(status, Some(0), "{stderr}");
    let notices = summary["notices"].as_array().unwrap();
    assert_eq!(notices.len(), 51);
    assert_eq!(notices[50], format!("{} more are not listed", tags(&clip()).len() - 50));
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
}

#[test]
fn item_162_a_recording_begins_at_0_and_its_file_is_published_without_a_pause() {
    for base in [0, 24_549_835, 3_600_000_000] {
        let shifted = tempfile::NamedTempFile::new().unwrap();
        let mut writer = Writer::new(shifted.reopen().unwrap()).unwrap();
        for tag in tags(&clip()) {
            let is_late = tag.kind != MessageKind::DATA && !tag.is_configuration();
            writer.write(tag.kind, if is_late { tag.timestamp + base } else { 0 }, &tag.payload).unwrap();
        }
        writer.finish().unwrap();
        let serve = Serve::from_zero(&[]);
        let begun = std::time::Instant::now();
        publish_well(shifted.path(), &serve.url("live/x"), &[]);
        assert!(begun.elapsed() < Duration::from_secs(30));
        let recording = serve.recording("live-x.flv");
        assert_eq!(media(&recording), media(&clip()), "{base}");
        let length = fs::metadata(&recording).unwrap().len();
        let metadata = tags(&recording).swap_remove(0).payload;
        let number = |key: &[u8]| {
            let at = metadata.windows(key.len()).position(|window| window == key).unwrap() + key.len();
            f64::from_be_bytes(metadata[at + 1..][..8].try_into().unwrap())
        };
        let last = media(&clip()).iter().map(|tag| tag.timestamp).max().unwrap();
        assert_eq!((number(b"duration"), number(b"filesize")), (f64::from(last) / 1000.0, length as f64), "{base}");
    }
}

/// A server that accepts one publisher and receives `messages` messages. After that it reads nothing. It closes the
/// connection after `pause`. If bytes are unread, this resets the connection.
fn accepting(messages: usize, pause: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut scratch, mut control) = ([0; 1_536], [0; 1_024]);
        let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
        let mut server = Server::<8>::new(buffers, ServerConfig::new(), &[1; 32]).unwrap();
        let (now, mut received, mut out, mut count) = (time::Instant::from_millis(1), [0; 4_096], [0; 4_096], 0);
        let mut is_publishing = false;
        while !is_publishing || count < messages {
            let length = socket.read(&mut received).unwrap();
            let mut input = &received[..length];
            // The commands after the last message are not answered, even if they have arrived with it.
            while !is_publishing || count < messages {
                let accepted = match server.next_event(now, &mut input).unwrap() {
                    Some(ServerEvent::Connect(_)) => server.accept_connect(),
                    Some(ServerEvent::Publish { stream, .. }) => {
                        is_publishing = true;
                        server.accept(stream)
                    }
                    Some(ServerEvent::Media(fragment)) => {
                        count += usize::from(fragment.is_last());
                        Ok(())
                    }
                    Some(_) => Ok(()),
                    None => {
                        let written = server.poll_transmit(now, &mut out);
                        socket.write_all(&out[..written]).unwrap();
                        if written > 0 {
                            continue;
                        }
                        break;
                    }
                };
                accepted.unwrap();
            }
            let written = server.poll_transmit(now, &mut out);
            socket.write_all(&out[..written]).unwrap();
        }
        thread::sleep(pause);
    });
    port
}

#[test]
fn item_166_a_reset_after_everything_has_arrived_is_no_error() {
    // The commands at the end stay unread.
    let port = accepting(tags(&clip()).len(), Duration::from_millis(500));
    let (status, summary, stderr) = publish(&clip(), &url(port, "live/x"), &["--fast"]);
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!((&summary["acknowledged"], &summary["error"]), (&false.into(), &().into()));
    // An earlier reset is an error.
    let port = accepting(20, Duration::from_millis(500));
    let (status, _, stderr) = publish(&clip(), &url(port, "live/x"), &[]);
    assert_eq!(status, Some(1), "{stderr}");
}

#[test]
fn item_166_acknowledged_bytes_are_reported() {
    // The server reads nothing, but its TCP buffers the whole clip.
    let port = accepting(0, Duration::from_secs(60));
    let (status, summary, stderr) = publish(&clip(), &url(port, "live/x"), &["--fast"]);
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("not confirmed by the server"), "{stderr}");
    assert_eq!(summary["tcp_acknowledged"], summary["tcp_bytes"]["sent"]);
    assert_eq!((&summary["confirmed"], &summary["rtmp_acknowledged"]), (&false.into(), &().into()));
    // It does not buffer 30 MB.
    let large = tempfile::NamedTempFile::new().unwrap();
    let mut writer = Writer::new(large.reopen().unwrap()).unwrap();
    for number in 0..300 {
        writer.write(MessageKind::VIDEO, number * 40, &[&[0x17, 1, 0, 0, 0][..], &[0; 100_000]].concat()).unwrap();
    }
    writer.finish().unwrap();
    let port = accepting(0, Duration::from_secs(60));
    let (status, summary, stderr) = publish(large.path(), &url(port, "live/x"), &["--fast"]);
    assert_eq!(status, Some(1), "{stderr}");
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let (sent, acknowledged) = (number(&summary["tcp_bytes"]["sent"]), number(&summary["tcp_acknowledged"]));
    assert!(acknowledged > 0 && acknowledged < sent, "{acknowledged} of {sent}");
    assert!(stderr.contains(&format!("TCP has acknowledged {acknowledged} and RTMP")), "{stderr}");
    // A server that confirms the end.
    let serve = Serve::start(&[]);
    let summary = publish_well(&clip(), &serve.url("live/x"), &["--fast"]);
    assert_eq!((&summary["confirmed"], &summary["acknowledged"]), (&true.into(), &true.into()));
}

#[test]
fn item_165_the_first_signal_completes_the_stream_and_a_second_one_at_once_changes_nothing() {
    for (name, count) in [("INT", 1), ("TERM", 2), ("INT", 2)] {
        let serve = Serve::start(&[]);
        let running = start(&mut publisher(&clip(), &serve.url("live/x"), &[])).unwrap();
        serve.wait_until_it_says("live/x goes to");
        thread::sleep(Duration::from_millis(500));
        let kill = format!("kill -{name} {0}; kill -{name} {0}", running.id());
        let kill = if count == 1 { kill.split(';').next().unwrap() } else { &kill };
        assert!(Command::new("sh").args(["-c", kill]).status().unwrap().success());
        let finished = running.finish_within(LIMIT).unwrap();
        assert_eq!(finished.status.code(), Some(0), "{name} {count}: {}", finished.stderr);
        let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!(summary["acknowledged"], true, "{name} {count}");
        let recorded = tags(&serve.recording("live-x.flv"));
        assert!(recorded.len() > 5 && tags(&clip()).starts_with(&recorded), "{name} {count}");
    }
}

#[test]
fn item_165_a_second_signal_after_100_ms_ends_a_tool_at_once() {
    // After the first signal, `publish` waits for this server for 2 s.
    let port = accepting(0, Duration::from_secs(60));
    let running = start(&mut publisher(&clip(), &url(port, "live/x"), &[])).unwrap();
    thread::sleep(Duration::from_millis(1_000));
    running.signal("TERM").unwrap();
    thread::sleep(Duration::from_millis(300));
    let begun = std::time::Instant::now();
    running.signal("INT").unwrap();
    let finished = running.finish_within(LIMIT).unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_000));
    assert_eq!((finished.status.code(), finished.stdout.len()), (Some(1), 0));
}

#[test]
fn item_116_timestamps_that_wrap_arrive_unchanged() {
    let shifted = tempfile::NamedTempFile::new().unwrap();
    let mut writer = Writer::new(shifted.reopen().unwrap()).unwrap();
    for tag in media(&clip()) {
        writer.write(tag.kind, tag.timestamp.wrapping_add(0xFFFF_F800), &tag.payload).unwrap();
    }
    writer.finish().unwrap();
    let serve = Serve::start(&[]);
    publish_well(shifted.path(), &serve.url("live/x"), &["--fast", "--chunk-size", "128"]);
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(shifted.path()));
}
