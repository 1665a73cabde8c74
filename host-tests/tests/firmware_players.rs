//! Other programs play from the firmware in QEMU.

mod support;

use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{Firmware, is_part_of_the_clip};
use host_tests::peers::{Program, finish_within, frame_hashes, free_port, start, wait_until};
use support::{clip, url};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
#[ignore = "needs qemu-system-arm, ffmpeg and rtmpdump: host-tests/run runs it"]
fn ffmpeg_and_rtmpdump_play_from_the_image_what_ffmpeg_publishes_to_it() {
    let port = free_port().unwrap();
    let forward = format!("{port}:1935");
    let mut firmware = Firmware::start(None, &["--hostfwd", &forward], &["serve", "--publishers", "1"]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let (directory, url) = (tempfile::tempdir().unwrap(), url(port, "live/x"));
    let players = [Program::Ffmpeg, Program::Rtmpdump].map(|program| {
        let file = directory.path().join(program.name());
        let file = file.with_extension("flv");
        (start(&mut program.player(&url, &file)).unwrap(), file)
    });
    // Each player is accepted before the publisher connects.
    firmware.wait_for("message stream 1 is played", LIMIT).unwrap();
    wait_until("both play", LIMIT, || firmware.log().matches("message stream 1 is played").count() == 2).unwrap();
    finish_within(LIMIT, &mut Program::Ffmpeg.publisher(&clip(), &url, true)).unwrap().successful().unwrap();
    for (running, file) in players {
        let finished = running.finish_within(LIMIT).unwrap();
        assert!(frame_hashes(&file).unwrap() == frame_hashes(&clip()).unwrap(), "{}", finished.stderr);
    }
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    assert_eq!(log.matches("played, 278 messages sent, 0 left out").count(), 2, "{log}");
}

#[test]
#[ignore = "needs qemu-system-arm and ffmpeg: host-tests/run runs it"]
fn item_320_ffmpeg_plays_the_clip_that_the_image_publishes_itself() {
    let port = free_port().unwrap();
    let forward = format!("{port}:1935");
    let mut firmware = Firmware::start(None, &["--hostfwd", &forward], &["serve", "--clip"]).unwrap();
    firmware.wait_for("serving on ports", LIMIT).unwrap();
    let (directory, url) = (tempfile::tempdir().unwrap(), url(port, "live/clip"));
    let players = ["one", "two"].map(|name| {
        let file = directory.path().join(name).with_extension("flv");
        let mut player = Command::new("ffmpeg");
        player.args(["-nostdin", "-v", "error", "-analyzeduration", "1500000", "-i", &url, "-t", "7", "-c", "copy"]);
        let player = start(player.arg(&file)).unwrap();
        // The second player comes later.
        firmware.wait_for("message stream 1 is played", LIMIT).unwrap();
        (player, file)
    });
    for (running, file) in players {
        let finished = running.finish_within(LIMIT).unwrap();
        is_part_of_the_clip(&file).unwrap_or_else(|error| panic!("{error:#}: {}", finished.stderr));
    }
}
