//! Other programs publish to the firmware in QEMU, and play from it, over RTMPE and RTMPTE.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use host_tests::firmware::{Firmware, FirmwareKind, are_parts_of_the_clip};
use host_tests::peers::{FrameHashes, Program, Running, finish_within, frame_hashes, free_port, start, wait_until};
use support::{Serve, clip};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// Starts a player, and waits until the firmware plays to `count` players in total.
fn play(firmware: &Firmware, program: Program, url: &str, file: PathBuf, count: usize) -> (Running, PathBuf) {
    let running = start(&mut program.player(url, &file)).unwrap();
    let is_played = || firmware.log().matches("message stream 1 is played").count() == count;
    wait_until("the player receives the stream", LIMIT, is_played)
        .unwrap_or_else(|error| panic!("{error}: {}: {}", running.errors(), firmware.log()));
    (running, file)
}

/// The frames that a player has received.
fn received((running, file): (Running, PathBuf), firmware: &Firmware) -> FrameHashes {
    let finished = running.finish_within(LIMIT).unwrap();
    frame_hashes(&file).unwrap_or_else(|error| panic!("{error}: {}{}", finished.stderr, firmware.log()))
}

#[test]
#[ignore = "needs qemu-system-arm, ffmpeg 9 and rtmpdump: host-tests/run runs it"]
fn item_210_programs_publish_to_the_image_and_play_from_it_over_rtmpe_and_rtmpte() {
    let port = free_port().unwrap();
    let (forward, arguments) = (format!("{port}:80"), ["serve", "--publishers", "2"]);
    let mut firmware = Firmware::start_kind(FirmwareKind::Tunnels, None, &["--hostfwd", &forward], &arguments).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let (directory, all) = (tempfile::tempdir().unwrap(), frame_hashes(&clip()).unwrap());
    let url = |scheme: &str, key: &str| format!("{scheme}://127.0.0.1:{port}/live/{key}");
    let file = |name: &str| directory.path().join(name);
    // Each player connects after the previous one, because the firmware agrees on keys at most twice a second, and has
    // four sockets.
    let direct = play(&firmware, Program::Ffmpeg9, &url("rtmpe", "x"), file("direct.flv"), 1);
    let dumped = play(&firmware, Program::Rtmpdump, &url("rtmpe", "x"), file("dumped.flv"), 2);
    finish_within(LIMIT, &mut Program::Ffmpeg9.publisher(&clip(), &url("rtmpe", "x"), true))
        .unwrap()
        .successful()
        .unwrap_or_else(|error| panic!("{error}: {}", firmware.log()));
    for player in [direct, dumped] {
        assert!(received(player, &firmware) == all, "{}", firmware.log());
    }
    // The same through tunnels. When it closes a tunnel, ffmpeg drops what it has not sent yet.
    let tunnel = play(&firmware, Program::Ffmpeg9, &url("rtmpte", "y"), file("tunnel.flv"), 3);
    let dumped = play(&firmware, Program::Rtmpdump, &url("rtmpe", "y"), file("again.flv"), 4);
    finish_within(LIMIT, &mut Program::Ffmpeg9.publisher(&clip(), &url("rtmpte", "y"), true))
        .unwrap()
        .successful()
        .unwrap_or_else(|error| panic!("{error}: {}", firmware.log()));
    for player in [tunnel, dumped] {
        let found = received(player, &firmware);
        assert!(found.video.len() >= 95 && found.audio.len() >= 150, "{found:?}");
        assert!(all.video.starts_with(&found.video) && all.audio.starts_with(&found.audio), "{found:?}");
    }
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm: host-tests/run runs it"]
fn item_210_the_image_publishes_over_rtmpe_and_rtmpte() {
    let serve = Serve::start(&[]);
    for scheme in ["rtmpe", "rtmpte"] {
        let url = format!("{scheme}://10.0.2.2:{}/live/{scheme}", serve.port());
        let firmware = Firmware::start_kind(FirmwareKind::Tunnels, None, &[], &["publish", &url, "--fast"]).unwrap();
        let (status, log) = firmware.finish_within(LIMIT).unwrap();
        assert_eq!(status, Some(0), "{log}");
        are_parts_of_the_clip(&[serve.recording(&format!("live-{scheme}.flv"))], 1, &log).unwrap();
    }
}
