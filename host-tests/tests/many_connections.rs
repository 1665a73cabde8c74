//! `serve` with many connections: one thread, a limit, and a lack of file descriptors. Only loopback is needed.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use host_tests::peers::{Running, start, wait_until};
use support::raw::RawClient;
use support::{LIMIT, Serve, clip, media, played, player, publish_well, tags, url};

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Connects, and reads the server's part of the handshake, which shows that the server has accepted the connection.
fn connect_in_rtmp(port: u16) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(&[&[3][..], &[0; 1536]].concat()).unwrap();
    stream.read_exact(&mut [0; 3073]).unwrap();
    stream
}

/// Whether the server closes the connection without sending anything.
fn is_closed(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn two_hundred_silent_clients_a_publisher_and_a_player_share_one_thread() {
    let serve = Serve::start(&[]);
    let threads = || fs::read_dir(format!("/proc/{}/task", serve.id())).unwrap().count();
    let before = threads();
    let silent: Vec<_> = (0..200).map(|_| connect_in_rtmp(serve.port())).collect();
    let (directory, url) = (tempfile::tempdir().unwrap(), serve.url("live/x"));
    let output = directory.path().join("played.flv");
    let playing = start(&mut player(&url, &output, &[])).unwrap();
    serve.wait_until_it_says("plays live/x");
    // One thread serves, and one waits for signals.
    assert_eq!((before, threads()), (2, 2), "threads");
    publish_well(&clip(), &url, &["--fast"]);
    let (status, summary, stderr) = played(playing);
    assert_eq!(status, Some(0), "{summary}: {stderr}");
    assert_eq!(media(&output), media(&clip()));
    assert_eq!(tags(&serve.recording("live-x.flv")), tags(&clip()));
    drop(silent);
}

#[test]
fn a_client_above_the_limit_is_rejected_and_logged_and_a_free_place_is_used_again() {
    let serve = Serve::start(&["--max-connections", "3", "--max-per-address", "4"]);
    let mut connections: Vec<_> = (0..3).map(|_| RawClient::player(serve.port(), "x")).collect();
    assert!(is_closed(connect(serve.port())));
    serve.wait_until_it_says("turned away: too many connections: the limit is 3 (--max-connections)");
    connections.pop();
    // The server may not have seen the end of that connection yet.
    let is_free = || {
        let mut stream = connect(serve.port());
        stream.write_all(&[&[3][..], &[0; 1536]].concat()).is_ok() && stream.read_exact(&mut [0; 3073]).is_ok()
    };
    wait_until("there is room", LIMIT, is_free).unwrap();
}

/// `serve` with few file descriptors. Returns its port, too.
fn short_of_descriptors(directory: &Path, descriptors: u32) -> (Running, u16) {
    let command = format!(
        "ulimit -n {descriptors}; exec {} --listen 127.0.0.1:0 --record {}",
        env!("CARGO_BIN_EXE_serve"),
        directory.display()
    );
    let running = start(Command::new("sh").args(["-c", &command])).unwrap();
    let mut port = None;
    wait_until("serve listens", LIMIT, || {
        let errors = running.errors();
        let found = errors.lines().find_map(|line| line.strip_prefix("serve: listening on 127.0.0.1:"));
        port = found.and_then(|port| port.parse().ok());
        port.is_some()
    })
    .unwrap();
    (running, port.unwrap())
}

#[test]
fn connections_are_accepted_again_after_the_system_was_short_of_file_descriptors() {
    let directory = tempfile::tempdir().unwrap();
    let (serve, port) = short_of_descriptors(directory.path(), 24);
    // Players are not disconnected to make room. The server cannot accept all of these.
    let is_over = Arc::new(AtomicBool::new(false));
    let play = |name: String| {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            let _player = RawClient::player(port, &name);
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    let is_short = || serve.errors().contains("cannot accept connections for now: ");
    let mut players = Vec::new();
    while !is_short() {
        let name = format!("player{}", players.len());
        players.push(play(name.clone()));
        wait_until("a player plays, or the server has no descriptors", LIMIT, || {
            is_short() || serve.errors().contains(&name)
        })
        .unwrap();
    }
    // The server waits between attempts, and its messages do not fill the log.
    let before = processor_ticks(serve.id());
    thread::sleep(Duration::from_millis(1500));
    assert!(processor_ticks(serve.id()) - before < 30, "ticks of 10 ms in 1.5 s");
    assert_eq!(serve.errors().matches("cannot accept").count(), 1, "{}", serve.errors());
    // Closed connections make room for the waiting one.
    is_over.store(true, Ordering::Relaxed);
    players.into_iter().for_each(|player| player.join().unwrap());
    publish_well(&clip(), &url(port, "live/x"), &["--fast"]);
    wait_until("it is recorded", LIMIT, || serve.errors().contains("live-x.flv: ")).unwrap();
    assert_eq!(media(&directory.path().join("live-x.flv")), media(&clip()));
}

#[test]
fn item_151_silent_clients_that_have_all_file_descriptors_are_disconnected() {
    let directory = tempfile::tempdir().unwrap();
    let (serve, port) = short_of_descriptors(directory.path(), 24);
    let silent: Vec<_> = (0..25).map(|_| connect(port)).collect();
    let last = connect_in_rtmp(port);
    assert!(serve.errors().contains("closed to make room for another client: it neither publishes nor plays"));
    drop((silent, last));
}

/// The processor time that a process has used, in hundredths of a second.
fn processor_ticks(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
