//! The firmware in QEMU, with other programs. `host-tests/run` installs these, and runs the tests.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use embedded_rtmp::message::MessageKind;
use host_tests::firmware::{Digest, Filter, Firmware, Monitor, PERIOD, are_parts_of_the_clip, board, counted, frames};
use host_tests::peers::{Application, Nginx, NginxOptions, finish_within, frame_hashes, free_port, start, wait_until};
use support::{clip, media};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// The same server, as the board sees it: QEMU's user networking has this machine at 10.0.2.2.
fn seen_from_board(nginx: &Nginx, application: Application) -> String {
    nginx.url(application, "x").replace("127.0.0.1", "10.0.2.2")
}

#[test]
#[ignore = "needs qemu-system-arm, nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn the_image_publishes_to_nginx_and_ffmpeg_pulls_every_frame() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pulled.flv");
    let url = nginx.url(Application::Live, "x");
    let mut player = Command::new("ffmpeg");
    player.args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-i", &url, "-c", "copy"]).arg(&file);
    let player = start(&mut player).unwrap();
    nginx.wait_for_player("x").unwrap();
    // Runs the script that a user runs.
    let mut run = Command::new(board().join("run"));
    let finished = finish_within(LIMIT, run.args(["publish", &seen_from_board(&nginx, Application::Live)])).unwrap();
    let log = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert_eq!(finished.status.code(), Some(0), "{log}{}", finished.stderr);
    assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
    let mut rest = &*log;
    for event in ["dial port", "connected", "publishing", "published"] {
        rest = rest.split_once(event).unwrap_or_else(|| panic!("{event}: {log}")).1;
    }
    player.finish_within(LIMIT).unwrap();
    assert!(frame_hashes(&file).unwrap() == frame_hashes(&clip()).unwrap());
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn without_a_listener_the_image_ends_with_an_error() {
    let port = free_port().unwrap();
    let arguments = ["publish", &format!("rtmp://10.0.2.2:{port}/live/secret-key")];
    let mut firmware = Firmware::start(None, &[], &arguments).unwrap();
    firmware.wait_for("dial", LIMIT).unwrap();
    let start = Instant::now();
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(status, Some(1), "{log}");
    assert!(
        log.contains(&format!("dial port {port}")) && log.contains("Refused") && log.contains("Exhausted"),
        "{log}"
    );
    assert!(!log.contains("secret"), "a stream key is a secret: {log}");
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn all_ports_dropped_is_an_error_and_every_attempt_is_reported() {
    // No host has this address, and QEMU does not let the board search for it.
    let firmware = Firmware::start(None, &["--nic", "user,restrict=on"], &["publish", "rtmp://10.0.2.77/live/x"]);
    let (status, log) = firmware.unwrap().finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(1), "{log}");
    for port in [1935, 80, 443] {
        assert!(log.contains(&format!("dial port {port}\n")), "{log}");
    }
    assert!(log.matches("no answer in time").count() >= 3 && log.contains("Exhausted"), "{log}");
}

/// The program that QEMU runs for each connection to a forwarded address. It connects its standard input and output to
/// `port`.
fn bridge(directory: &Path, port: u16) -> PathBuf {
    let path = directory.join("bridge");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}\ncat <&3 &\ncat >&3\nkill $!\n");
    fs::write(&path, script).unwrap();
    path
}

#[test]
#[ignore = "needs qemu-system-arm and nginx with its RTMP module: host-tests/run runs it"]
fn item_093_port_80_is_found_if_no_other_port_leaves_the_network() {
    // QEMU passes only what it forwards. It refuses everything else that the filter does not drop.
    for (is_dropped, outcome) in [(false, "failed: Refused"), (true, "no answer in time")] {
        let nginx = Nginx::start(NginxOptions::default()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let bridge = bridge(directory.path(), nginx.port());
        let nic = format!("user,restrict=on,guestfwd=tcp:10.0.2.77:80-cmd:bash {}", bridge.display());
        let filter = is_dropped.then(|| Filter::new(directory.path()));
        let mut options = vec!["--nic".to_owned(), nic];
        options.extend(filter.iter().flat_map(Filter::options));
        let options: Vec<&str> = options.iter().map(|option| &**option).collect();
        let firmware = Firmware::start(None, &options, &["publish", "--fast", "rtmp://10.0.2.77/rec/x"]).unwrap();
        filter.map_or(Ok(()), |filter| filter.drop_port(1935)).unwrap();
        let (status, log) = firmware.finish_within(LIMIT).unwrap();
        assert_eq!(status, Some(0), "{log}");
        let mut rest = &*log;
        for event in ["dial port 1935\n", outcome, "dial port 80\n", "connected", "publishing", "published"] {
            rest = rest.split_once(event).unwrap_or_else(|| panic!("{event}: {log}")).1;
        }
        assert_eq!(counted(&log).unwrap(), [[174, 0], [100, 0]]);
        let recordings = nginx.recordings("x").unwrap();
        are_parts_of_the_clip(&recordings, 1, &log).unwrap_or_else(|error| panic!("{error:?}: {log}"));
    }
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn an_invalid_command_line_has_its_own_exit_status() {
    let (status, log) = Firmware::start(None, &[], &["publish"]).unwrap().finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(2), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm and ffmpeg: host-tests/run runs it"]
fn ffmpeg_publishes_to_the_image_which_checks_every_message() {
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let forwards = [format!("{}:1935", ports[0]), format!("{}:80", ports[1])];
    let options = ["--hostfwd", &forwards[0], "--hostfwd", &forwards[1]];
    let mut firmware = Firmware::start(None, &options, &["serve", "--publishers", "2"]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let mut ffmpegs = ports.map(|port| {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-re", "-i"]).arg(clip());
        start(command.args(["-c", "copy", "-f", "flv", &format!("rtmp://127.0.0.1:{port}/live/x{port}")])).unwrap()
    });
    for ffmpeg in &mut ffmpegs {
        wait_until("ffmpeg has published", LIMIT, || ffmpeg.ended().unwrap().is_some()).unwrap();
        assert_eq!(ffmpeg.ended().unwrap().unwrap().code(), Some(0), "{}", ffmpeg.errors());
    }
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    let tags = media(&clip());
    for (name, kind) in [("audio", MessageKind::AUDIO), ("video", MessageKind::VIDEO)] {
        // The first is the configuration. FFmpeg sends the end of the sequence, too.
        let sent: Vec<&[u8]> = tags.iter().filter(|tag| tag.kind == kind).skip(1).map(|tag| &*tag.payload).collect();
        let bytes: usize = sent.iter().map(|payload| payload.len()).sum();
        let digest = Digest::of(sent.iter().copied()).0;
        let begin = format!("{} frames of {name}, {bytes} bytes", sent.len());
        let end = format!("digest {digest:08x}, 1 headers, 0 backwards, 0 torn");
        let found = log.lines().filter(|line| line.contains(&begin) && line.contains(&end)).count();
        assert_eq!(found, 2, "{begin}, {end}: {log}");
    }
}

#[test]
#[ignore = "needs qemu-system-arm and nginx with its RTMP module: host-tests/run runs it"]
fn a_server_that_is_killed_and_restarted_gets_the_rest_from_a_keyframe() {
    let mut nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = seen_from_board(&nginx, Application::Record);
    let mut firmware = Firmware::start(None, &[], &["publish", &url, "--loops", "4"]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    nginx.kill();
    firmware.wait_for("off the air", LIMIT).unwrap();
    nginx.start_again().unwrap();
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("2 connections"), "{log}");
    let recordings = nginx.recordings("x").unwrap();
    assert_eq!(recordings.len(), 2);
    are_parts_of_the_clip(&recordings, 4, &log).unwrap_or_else(|error| panic!("{error:?}: {log}"));
}

#[test]
#[ignore = "needs qemu-system-arm and nginx with its RTMP module: host-tests/run runs it"]
fn the_image_reconnects_after_the_cable_was_pulled() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = seen_from_board(&nginx, Application::Impatient);
    let directory = tempfile::tempdir().unwrap();
    let monitor = Monitor::new(directory.path());
    let options = monitor.options();
    let options = options.each_ref().map(|option| &**option);
    let mut firmware = Firmware::start(None, &options, &["publish", &url, "--loops", "6"]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    monitor.plug(false).unwrap();
    firmware.wait_for("link_up = false", LIMIT).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    monitor.plug(true).unwrap();
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    are_parts_of_the_clip(&nginx.recordings("x").unwrap(), 6, &log).unwrap_or_else(|error| panic!("{error:?}: {log}"));
}

/// Publishes the clip `loops` times as fast as possible, and checks the timestamps.
fn fast_forward(loops: usize) {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = seen_from_board(&nginx, Application::Record);
    let rounds = loops.to_string();
    let firmware = Firmware::start(None, &[], &["publish", &url, "--fast", "--loops", &rounds]).unwrap();
    let (status, log) = firmware.finish_within(Duration::from_secs(1_200)).unwrap();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(counted(&log).unwrap(), [[174 * loops, 0], [100 * loops, 0]]);
    let recording = nginx.recording("x").unwrap();
    for kind in [MessageKind::VIDEO, MessageKind::AUDIO] {
        let whole = frames(&clip(), kind).unwrap();
        let found = frames(&recording, kind).unwrap();
        assert_eq!(found.len(), whole.len() * loops);
        let first = found[0].timestamp.wrapping_sub(whole[0].timestamp);
        for (index, frame) in found.iter().enumerate() {
            let expected = &whole[index % whole.len()];
            let round = (index / whole.len()) as u32;
            assert_eq!(frame.timestamp - first, expected.timestamp + round * PERIOD, "frame {index}");
            assert!(frame.payload == expected.payload, "frame {index}");
        }
    }
}

#[test]
#[ignore = "needs qemu-system-arm and nginx with its RTMP module: host-tests/run runs it"]
fn ten_minutes_in_fast_forward_keep_their_time_line() {
    fast_forward(150);
}

#[test]
#[ignore = "long: two hours of stream time; host-tests/run long runs it"]
fn long_two_hours_in_fast_forward_keep_their_time_line() {
    fast_forward(1_800);
}
