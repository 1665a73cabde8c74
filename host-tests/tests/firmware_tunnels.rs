//! RTMPT with the firmware in QEMU: other programs publish to it and play from it through tunnels, and it publishes
//! through a tunnel itself.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{Firmware, FirmwareKind, are_parts_of_the_clip};
use host_tests::peers::{finish_within, frame_hashes, free_port, start, wait_until};
use support::{Serve, clip};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// A command line of ffmpeg or rtmpdump.
fn command(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace());
    command
}

fn ffmpeg_publisher(url: &str) -> Command {
    command("ffmpeg", &format!("-nostdin -v error -re -i {} -c copy -f flv {url}", clip().display()))
}

/// The firmware with tunnels, which serves on port 80. Returns the port of this machine that is forwarded to it.
fn serving(publishers: u32) -> (Firmware, u16) {
    let port = free_port().unwrap();
    let (forward, publishers) = (format!("{port}:80"), publishers.to_string());
    let arguments = ["serve", "--publishers", &publishers];
    let mut firmware = Firmware::start_kind(FirmwareKind::Tunnels, None, &["--hostfwd", &forward], &arguments).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    (firmware, port)
}

/// Sends a request on a new connection. Returns the answer.
fn ask(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for byte in request.as_bytes() {
        socket.write_all(&[*byte]).unwrap();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
#[ignore = "needs qemu-system-arm, ffmpeg and rtmpdump: host-tests/run runs it"]
fn item_098_ffmpeg_publishes_and_programs_play_through_tunnels_of_the_image() {
    let (firmware, port) = serving(1);
    // A browser beside them.
    let page = ask(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("RTMP and RTMPT are served here.\n"), "{page}");
    assert!(ask(port, "GET /robots.txt HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 Not Found\r\n"));
    let directory = tempfile::tempdir().unwrap();
    let url = |scheme: &str| format!("{scheme}://127.0.0.1:{port}/live/x");
    let files = ["tunnel.flv", "direct.flv"].map(|name| directory.path().join(name));
    // One after the other, because a socket that is still closing does not listen, and there are only four.
    let players: Vec<_> = ["rtmpt", "rtmp"]
        .iter()
        .zip(&files)
        .zip(1..)
        .map(|((scheme, file), count)| {
            let arguments = format!("-q --live -r {} -o {}", url(scheme), file.display());
            let player = start(&mut command("rtmpdump", &arguments)).unwrap();
            let is_played = || firmware.log().matches("message stream 1 is played").count() == count;
            wait_until("the player receives the stream", LIMIT, is_played)
                .unwrap_or_else(|error| panic!("{error}: {}", firmware.log()));
            player
        })
        .collect();
    finish_within(LIMIT, &mut ffmpeg_publisher(&url("rtmpt"))).unwrap().successful().unwrap();
    let all = frame_hashes(&clip()).unwrap();
    for (running, file) in players.into_iter().zip(&files) {
        let finished = running.finish_within(LIMIT).unwrap();
        let found = frame_hashes(file).unwrap_or_else(|error| panic!("{error}: {}", finished.stderr));
        // When it closes a tunnel, ffmpeg drops what it has not sent yet: a few frames of audio.
        assert!(found.video.len() >= 95 && found.audio.len() >= 150, "{found:?}");
        assert_eq!(found.video, all.video[..found.video.len()]);
        assert_eq!(found.audio, all.audio[..found.audio.len()]);
    }
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("opened in a tunnel on port 80"), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn item_098_the_image_publishes_through_a_tunnel() {
    let serve = Serve::start(&[]);
    let url = format!("rtmpt://10.0.2.2:{}/live/x", serve.port());
    let firmware = Firmware::start_kind(FirmwareKind::Tunnels, None, &[], &["publish", &url, "--fast"]).unwrap();
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    let recording = serve.recording("live-x.flv");
    are_parts_of_the_clip(&[recording], 1, &log).unwrap();
    println!("{}", log.lines().filter(|line| line.contains("sent,") || line.contains("kbit")).collect::<String>());
}
