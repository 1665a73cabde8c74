//! Clients that use too much memory or too many connections of `serve`. Only loopback is needed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use embedded_rtmp::amf0::Token;
use embedded_rtmp::crypt::KeyPair;
use embedded_rtmp::message::MessageKind;
use embedded_rtmp::session::{Client, ClientConfig, SessionBuffers};
use embedded_rtmp::time;
use host_tests::peers::{start, wait_until};
use support::raw::{KEYFRAME, RawClient, command};
use support::{LIMIT, Serve, clip, media, played, player, publish_well, tags};

/// A field of the status of the process, in KB: its peak memory, or its memory now.
fn memory(serve: &Serve, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", serve.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

fn most_memory(serve: &Serve) -> u64 {
    memory(serve, "VmHWM")
}

/// Publishes the clip, and checks that all of it is recorded.
fn serves_others(serve: &Serve) {
    publish_well(&clip(), &serve.url("live/honest"), &["--fast"]);
    assert_eq!(tags(&serve.recording("live-honest.flv")), tags(&clip()));
}

/// Reads and discards what the server sends, so that it never waits for this client.
fn drain(client: &RawClient) {
    let mut stream = client.stream.try_clone().unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
    });
}

#[test]
fn item_150_repeated_plays_need_no_more_memory() {
    let serve = Serve::start(&[]);
    let mut client = RawClient::connected(serve.port());
    client.call(0, "createStream", &[]);
    drain(&client);
    let before = most_memory(&serve);
    for number in 0..200 {
        let plays: Vec<u8> = (0..100)
            .flat_map(|play| {
                let name = format!("{number}-{play}");
                RawClient::bytes(
                    3,
                    1,
                    MessageKind::COMMAND,
                    &command("play", 0.0, &[Token::Null, name.as_str().into()]),
                )
            })
            .collect();
        client.stream.write_all(&plays).unwrap();
    }
    wait_until("all are played", LIMIT, || serve.said().contains("plays live/199-99")).unwrap();
    let grown = most_memory(&serve) - before;
    assert!(grown < 16_000, "{grown} KB");
    serves_others(&serve);
    client.stream.shutdown(std::net::Shutdown::Both).unwrap();
    serve.wait_until_it_says("; the connection was closed");
    assert_eq!(serve.stop()["players"].as_array().unwrap().len(), 20_000);
}

/// Begins messages of 16 MB on six chunk streams, and sends up to `length` bytes of each, until the server closes the
/// connection. Returns whether it did.
fn begin_long_messages(client: &mut RawClient, length: usize) -> bool {
    client.send(0, MessageKind::SET_CHUNK_SIZE, &65_536_u32.to_be_bytes());
    let chunk = vec![0x27; 65_536];
    for round in 0..length / chunk.len() {
        for csid in 10..16_u8 {
            let header = [csid, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
            let header = if round == 0 { &header[..] } else { &[0xC0 | csid] };
            if client.stream.write_all(&[header, &chunk].concat()).is_err() {
                return true;
            }
        }
    }
    false
}

#[test]
fn item_150_incomplete_messages_have_a_limit_for_each_connection() {
    let serve = Serve::start(&[]);
    let before = most_memory(&serve);
    let mut client = RawClient::publisher(serve.port(), "x");
    client.video(1);
    assert!(begin_long_messages(&mut client, 16 << 20));
    serve.wait_until_it_says("incomplete messages need more than 20971520 bytes");
    let grown = most_memory(&serve) - before;
    // The ring has 4 MB.
    assert!(grown < 30_000, "{grown} KB");
    serves_others(&serve);
}

#[test]
fn item_150_incomplete_messages_of_many_connections_have_a_limit() {
    let serve = Serve::start(&["--memory", "96", "--ring", "1000000"]);
    let mut honest = RawClient::publisher(serve.port(), "y");
    let mut clients: Vec<_> = (0..10).map(|key| RawClient::publisher(serve.port(), &key.to_string())).collect();
    for client in &mut clients {
        client.video(1);
        let _ = begin_long_messages(client, 3 << 19);
        honest.video(1);
    }
    serve.wait_until_it_says("all clients together need too much memory, and this one has the most");
    let most = most_memory(&serve);
    assert!(most < 96 << 10, "{most} KB");
    // The server goes on to record the publisher with small messages, and records another client.
    honest.video(1);
    serves_others(&serve);
    drop(clients);
    honest.call(1, "closeStream", &[]);
    assert_eq!(tags(&serve.recording("live-y.flv")).len(), 12 - 1);
    let after = memory(&serve, "VmRSS");
    assert!(after < 96 << 10, "{after} KB");
}

#[test]
fn item_150_the_memory_limits_the_number_of_rings() {
    let serve = Serve::start(&["--memory", "64", "--ring", "8000000"]);
    let mut client = RawClient::connected(serve.port());
    let (mut published, mut others) = (0, Vec::new());
    let refusal = loop {
        client.call(0, "createStream", &[]);
        if published == 4 {
            // A connection has four message streams.
            others.push(std::mem::replace(&mut client, RawClient::connected(serve.port())));
            client.call(0, "createStream", &[]);
        }
        client.call(published % 4 + 1, "publish", &[format!("{published}").as_str().into()]);
        let told = loop {
            let told = client.receive().unwrap();
            if let Some(status) = told.into_iter().find(|(code, _)| code.starts_with("NetStream.Publish")) {
                break status;
            }
        };
        if told.0 != "NetStream.Publish.Start" {
            break told.1;
        }
        published += 1;
        assert!(published < 8);
    };
    assert!(refusal.contains("no memory for more than 5 streams"), "{refusal}");
    assert_eq!(published, 5);
}

#[test]
fn item_150_the_work_for_aborts_is_proportional_to_their_bytes() {
    let serve = Serve::start(&[]);
    let mut client = RawClient::publisher(serve.port(), "x");
    client.video(1);
    // A message begins on each of 65,000 chunk streams, and is aborted.
    let mut input = Vec::new();
    for csid in 0..65_000_u32 {
        let [low, high, ..] = csid.to_le_bytes();
        input.extend_from_slice(&[1, low, high, 0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0]);
        input.extend_from_slice(&[0x27; 128]);
        input.extend_from_slice(&RawClient::bytes(2, 0, MessageKind::ABORT, &(csid + 64).to_be_bytes()));
    }
    let begin = Instant::now();
    client.stream.write_all(&input).unwrap();
    client.call(1, "closeStream", &[]);
    client.wait_for("NetStream.Unpublish.Success");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{} bytes took {took:?}", input.len());
    assert_eq!(tags(&serve.recording("live-x.flv")).len(), 1);
}

#[test]
fn item_151_idle_and_half_open_connections_are_closed_to_make_room() {
    let serve = Serve::start(&["--max-connections", "8"]);
    let mut player = RawClient::player(serve.port(), "honest");
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap()).collect();
    let half_open: Vec<_> = (0..20).map(|_| RawClient::connect(serve.port())).collect();
    let idle: Vec<_> = (0..20).map(|_| RawClient::connected(serve.port())).collect();
    serves_others(&serve);
    player.wait_for("NetStream.Play.PublishNotify");
    drop((silent, half_open, idle));
    assert!(serve.said().contains("closed to make room for another client: it neither publishes nor plays"));
}

#[test]
fn item_151_one_address_gets_half_of_the_connections() {
    let serve = Serve::start(&["--max-connections", "6"]);
    let mut players: Vec<_> = (0..3).map(|_| RawClient::player(serve.port(), "x")).collect();
    let is_refused = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
    };
    assert!(is_refused());
    serve.wait_until_it_says("too many connections from this address: the limit is 3 (--max-per-address)");
    // Clients from other addresses are accepted.
    let other = |_| RawClient::from(Ipv4Addr::new(127, 0, 0, 2), serve.port()).join().play("x");
    let others: Vec<_> = (0..3).map(other).collect();
    players.pop();
    wait_until("there is room", LIMIT, || !is_refused_now(&serve)).unwrap();
    drop(others);
}

/// Whether a connection is closed instead of answered.
fn is_refused_now(serve: &Serve) -> bool {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(&[&[3][..], &[0; 1536]].concat()).is_err() || stream.read_exact(&mut [0; 3073]).is_err()
}

/// Asks for a tunnel. Returns the status line and the tunnel's id.
fn open_tunnel(stream: &mut TcpStream) -> (String, String) {
    let answer = post(stream, "/open/1");
    (answer.lines().next().unwrap().to_owned(), answer.lines().last().unwrap().to_owned())
}

/// Sends a request of one byte. Returns the answer.
fn post(stream: &mut TcpStream, path: &str) -> String {
    post_bytes(stream, path, &[0])
}

/// Sends a request with this body. Returns the answer.
fn post_bytes(stream: &mut TcpStream, path: &str, body: &[u8]) -> String {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).unwrap();
        answer.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(usize::MAX, |end| end + 4);
        let announced = text.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let announced = announced.and_then(|text| text.trim().parse().ok()).unwrap_or(usize::MAX);
        if length == 0 || end.saturating_add(announced) <= answer.len() {
            return text;
        }
    }
}

#[test]
fn item_196_tunnels_have_the_limits_of_connections() {
    let serve = Serve::start(&["--max-per-address", "4"]);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
    // Idle tunnels make room for each other.
    let tunnels: Vec<_> = (0..300).map(|_| open_tunnel(&mut stream)).collect();
    assert!(tunnels.iter().all(|(status, _)| status == "HTTP/1.1 200 OK"));
    let lives = |stream: &mut TcpStream, id: &str| post(stream, &format!("/idle/{id}/0")).starts_with("HTTP/1.1 200");
    let left = tunnels[290..].iter().filter(|(_, id)| lives(&mut stream, id)).count();
    assert_eq!(left, 4);
    assert!(serve.said().contains("closed to make room for another client: it neither publishes nor plays"));
    // A publisher gets the place of an idle tunnel, and keeps it.
    publish_well(&clip(), &serve.url("live/tunnel").replace("rtmp:", "rtmpt:"), &["--fast"]);
    assert_eq!(tags(&serve.recording("live-tunnel.flv")), tags(&clip()));
}

#[test]
fn item_196_tunnels_that_publish_are_not_closed_for_others() {
    let serve = Serve::start(&["--max-per-address", "3"]);
    let publish = |key: usize| {
        let url = serve.url(&format!("live/{key}")).replace("rtmp:", "rtmpt:");
        thread::spawn(move || publish_well(&clip(), &url, &[]))
    };
    let publishers = [publish(0), publish(1)];
    serve.wait_until_it_says("live/0 goes to");
    serve.wait_until_it_says("live/1 goes to");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
    for _ in 0..20 {
        assert_eq!(open_tunnel(&mut stream).0, "HTTP/1.1 200 OK");
    }
    publishers.into_iter().for_each(|publisher| drop(publisher.join().unwrap()));
    for key in ["live-0.flv", "live-1.flv"] {
        assert_eq!(tags(&serve.recording(key)), tags(&clip()));
    }
}

#[test]
fn item_196_the_memory_of_tunnels_is_limited() {
    let serve = with_little_memory();
    let mut streams: Vec<_> =
        (0..40).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap()).collect();
    for stream in &mut streams {
        for _ in 0..10 {
            assert_eq!(open_tunnel(stream).0, "HTTP/1.1 200 OK");
        }
    }
    let most = most_memory(&serve);
    assert!(most < 32 << 10, "{most} KB");
    assert!(serve.said().contains("closed to make room for another client"));
    serves_others(&serve);
}

#[test]
fn item_197_a_player_in_a_tunnel_that_asks_for_more_and_answers_no_pings_is_not_disconnected() {
    let serve = Serve::start(&["--idle", "2"]);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
    let (_, id) = open_tunnel(&mut stream);
    let [connect, create, play] = [
        command("connect", 1.0, &[Token::ObjectStart, Token::Key("app".into()), "live".into(), Token::End]),
        command("createStream", 2.0, &[Token::Null]),
        command("play", 3.0, &[Token::Null, "x".into()]),
    ];
    let [connect, create] = [connect, create].map(|bytes| RawClient::bytes(3, 0, MessageKind::COMMAND, &bytes));
    let play = RawClient::bytes(3, 1, MessageKind::COMMAND, &play);
    let said = [[&[3][..], &[0; 1536]].concat(), [&[0; 1536][..], &connect].concat(), create, play];
    for (number, bytes) in said.iter().enumerate() {
        let answer = post_bytes(&mut stream, &format!("/send/{id}/{number}"), bytes);
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}: {}", serve.said());
    }
    serve.wait_until_it_says("plays live/x");
    for number in 4..34 {
        thread::sleep(Duration::from_millis(200));
        let answer = post(&mut stream, &format!("/idle/{id}/{number}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}: {}", serve.said());
    }
    serves_others(&serve);
}

/// `serve` with 28 MB for connections. Each has 88 KB at least.
fn with_little_memory() -> Serve {
    Serve::start(&["--memory", "32", "--ring", "100000", "--max-connections", "1000", "--max-per-address", "1000"])
}

#[test]
fn idle_connections_go_first_when_memory_runs_out() {
    let serve = with_little_memory();
    let mut players: Vec<_> = (0..10).map(|_| RawClient::player(serve.port(), "honest")).collect();
    let idle: Vec<_> = (0..400).map(|_| RawClient::connected(serve.port())).collect();
    serve.wait_until_it_says("closed to make room for another client: it neither publishes nor plays");
    serves_others(&serve);
    players.iter_mut().for_each(|player| _ = player.wait_for("NetStream.Play.PublishNotify"));
    drop(idle);
}

#[test]
fn a_client_for_which_there_is_no_memory_is_turned_away() {
    let (serve, mut players) = (with_little_memory(), Vec::new());
    let port = serve.port();
    while let Ok(player) = thread::spawn(move || RawClient::player(port, "x")).join() {
        players.push(player);
        assert!(players.len() < 400);
    }
    assert!(players.len() > 100, "{}", players.len());
    assert!(is_refused_now(&serve));
    // Those that play have their places.
    assert!(players.iter_mut().all(|player| player.receive().is_ok()));
}

#[test]
fn item_152_recordings_without_media_are_removed() {
    let serve = Serve::start(&[]);
    let mut client = RawClient::connected(serve.port());
    client.call(0, "createStream", &[]);
    let publish = command("publish", 0.0, &[Token::Null, "x".into()]);
    let close = command("closeStream", 0.0, &[Token::Null]);
    let metadata = command("@setDataFrame", 0.0, &["onMetaData".into(), Token::ObjectStart, Token::End]);
    for round in 0..200 {
        client.send(1, MessageKind::COMMAND, &publish);
        if round % 2 == 0 {
            client.send(1, MessageKind::DATA, &metadata);
        }
        client.send(1, MessageKind::COMMAND, &close);
        let _ = client.receive().unwrap();
    }
    client.call(1, "publish", &["last".into()]);
    client.send(1, MessageKind::VIDEO, KEYFRAME);
    client.call(1, "closeStream", &[]);
    assert_eq!(tags(&serve.recording("live-last.flv")).len(), 1);
    assert_eq!(fs::read_dir(serve.directory()).unwrap().count(), 1);
    assert_eq!(serve.stop()["recordings"].as_array().unwrap().len(), 1);
}

#[test]
fn item_154_long_commands_are_accepted_or_refused_with_their_size() {
    let serve = Serve::start(&[]);
    let mut client = RawClient::connect(serve.port());
    let long = "x".repeat(20_000);
    let properties = [Token::ObjectStart, Token::Key("pad".into()), long.as_str().into(), Token::Key("app".into())];
    let connect = [&properties[..], &["live".into(), Token::End]].concat();
    client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
    client.wait_for("NetConnection.Connect.Success");
    client.call(0, "createStream", &[]);
    client.call(1, "publish", &["x".into()]);
    client.wait_for("NetStream.Publish.Start");
    drop(client);
    let mut client = RawClient::connect(serve.port());
    let long = "x".repeat(60_000);
    let properties = [Token::ObjectStart, Token::Key("pad".into()), long.as_str().into(), Token::Key("pad".into())];
    let connect =
        [&properties[..], &[long.as_str().into(), Token::Key("app".into()), "live".into(), Token::End]].concat();
    client.send(0, MessageKind::COMMAND, &command("connect", 1.0, &connect));
    let refusal = client.wait_for("NetConnection.Connect.Rejected");
    assert_eq!(refusal, "The command has 120051 bytes; the limit is 65516");
    serve.wait_until_it_says("live/x goes to");
}

/// C0 and C1 of a client of RTMPE, with a right digest.
fn beginning_of_rtmpe() -> Vec<u8> {
    let (mut scratch, mut control, mut out) = ([0; 1_536], [0; 512], [0; 1_537]);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client: Client<'_> = Client::new(buffers, ClientConfig::new(), &[9; 32]).unwrap();
    client.encrypt(&KeyPair::new(&[7; 32])).unwrap();
    assert_eq!(client.poll_transmit(time::Instant::from_millis(1), &mut out), out.len());
    out.to_vec()
}

#[test]
fn item_211_a_flood_of_key_agreements_does_not_harm_a_stream_of_serve() {
    let (serve, directory, beginning) = (Serve::start(&[]), tempfile::tempdir().unwrap(), beginning_of_rtmpe());
    let file = directory.path().join("played.flv");
    let playing = start(&mut player(&serve.url("live/x"), &file, &[])).unwrap();
    serve.wait_until_it_says(": plays live/x");
    let (is_over, agreements, attempts) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, serve.port())).unwrap();
                    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                    // The server may close the connection first.
                    let has_sent = socket.write_all(&beginning).is_ok();
                    attempts.fetch_add(u64::from(has_sent), Ordering::Relaxed);
                    let is_answered = socket.read(&mut [0]).is_ok_and(|length| length == 1);
                    agreements.fetch_add(u64::from(is_answered), Ordering::Relaxed);
                }
            });
        }
        publish_well(&clip(), &serve.url("live/x"), &[]);
        is_over.store(true, Ordering::Relaxed);
    });
    let (status, _, errors) = played(playing);
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(media(&file), media(&clip()));
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
    let (agreements, attempts, limit) =
        (agreements.into_inner(), attempts.into_inner(), 2 * began.elapsed().as_secs() + 3);
    assert!(attempts > 2 * limit && (1..=limit).contains(&agreements), "{agreements} of {attempts}, at most {limit}");
}
