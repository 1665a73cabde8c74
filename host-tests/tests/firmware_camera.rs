//! The camera in QEMU: video, audio, status and a button in separate tasks.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use host_tests::firmware::{Firmware, FirmwareKind};
use host_tests::peers::{Application, Nginx, NginxOptions, finish_within, wait_until};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);
/// Two intervals between the pictures of the camera, in microseconds.
const TWO_PICTURES: u64 = 200_000;

/// The time from the capture of each sent keyframe until it was sent, in microseconds, from the log.
fn keyframes(log: &str) -> Vec<u64> {
    let sent =
        log.lines().filter_map(|line| line.split_once("keyframe: Sent after ")?.1.split(' ').next()?.parse().ok());
    sent.collect()
}

/// Decodes a recording with ffmpeg. Returns for each picture whether it is a keyframe.
fn decode(recording: &Path) -> Vec<bool> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "v", "-show_entries", "frame=key_frame", "-of", "csv=p=0"]);
    let finished = finish_within(LIMIT, probe.arg(recording)).unwrap();
    assert!(finished.status.success() && finished.stderr.is_empty(), "{}", finished.stderr);
    let output = String::from_utf8(finished.stdout).unwrap();
    output.lines().map(|line| line.trim_end_matches(',') == "1").collect()
}

/// Runs the camera over a restart of the server and a stop and start by the button.
fn camera(kind: FirmwareKind) {
    let mut nginx = Nginx::start(NginxOptions::default()).unwrap();
    let url = nginx.url(Application::Record, "x").replace("127.0.0.1", "10.0.2.2");
    let directory = tempfile::tempdir().unwrap();
    let button = directory.path().join("button");
    let uart = format!("unix:{},server=on,wait=off", button.display());
    // The second UART.
    let options = ["--qemu", "-serial", "--qemu", &uart];
    let mut firmware = Firmware::start_kind(kind, None, &options, &[&url]).unwrap();
    firmware.wait_for("publishing", LIMIT).unwrap();
    let press = || UnixStream::connect(&button).unwrap().write_all(b"x").unwrap();
    let times = |text: &str, count: usize, firmware: &Firmware| {
        wait_until(text, LIMIT, || firmware.log().matches(text).count() >= count)
            .unwrap_or_else(|error| panic!("{error:?}: {}", firmware.log()));
    };
    times("keyframe: Sent", 2, &firmware);

    nginx.kill();
    firmware.wait_for("off the air", LIMIT).unwrap();
    nginx.start_again().unwrap();
    times("publishing", 2, &firmware);
    let before = keyframes(&firmware.log()).len();
    times("keyframe: Sent", before + 1, &firmware);

    // nginx names its recordings after the second in which they begin.
    std::thread::sleep(Duration::from_millis(1_100));
    press();
    firmware.wait_for("stopped: InOrder", LIMIT).unwrap();
    std::thread::sleep(Duration::from_millis(1_100));
    press();
    times("publishing", 3, &firmware);
    let before = keyframes(&firmware.log()).len();
    times("keyframe: Sent", before + 1, &firmware);
    press();
    times("stopped: InOrder", 2, &firmware);

    let log = firmware.log();
    let left = keyframes(&log);
    assert!(left.len() >= 4 && left.iter().all(|micros| *micros < TWO_PICTURES), "{left:?}: {log}");
    let recordings = nginx.recordings("x").unwrap();
    assert_eq!(recordings.len(), 3, "{log}");
    for recording in recordings {
        let pictures = decode(&recording);
        assert!(!pictures.is_empty() && pictures[0], "{pictures:?}: {log}");
    }
}

#[test]
#[ignore = "needs qemu-system-arm, nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn a_camera_of_tasks_comes_back_with_a_keyframe_and_its_button_stops_it() {
    camera(FirmwareKind::Camera);
}

#[test]
#[ignore = "needs qemu-system-arm, nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn a_camera_whose_clock_ticks_32768_times_a_second_does_the_same() {
    camera(FirmwareKind::SlowClockCamera);
}
