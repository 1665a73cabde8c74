//! The device in QEMU publishes HEVC and Opus with Enhanced RTMP, and a thumbnail as the second track of video.

mod support;

use std::path::Path;
use std::time::Duration;

use host_tests::firmware::{Firmware, FirmwareKind, board};
use host_tests::peers::{Program, finish_within, start, timed_frames, wait_until};
use support::{Serve, media};

/// Long enough for a build of the firmware on a machine that is busy with other things, and then for the test.
const LIMIT: Duration = Duration::from_secs(240);

/// The hashes of the frames of a stream of a file, from ffmpeg 9. It must read the file without an error.
fn hashes(file: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Program::Ffmpeg9.ffmpeg();
    command.arg("-i").arg(file).args(arguments).args(["-f", "framemd5", "-"]);
    let finished = finish_within(LIMIT, &mut command).unwrap().successful().unwrap();
    assert_eq!(finished.stderr, "", "{}", file.display());
    let frames = timed_frames(&String::from_utf8(finished.stdout).unwrap()).unwrap();
    frames.into_iter().map(|frame| frame.hash).collect()
}

/// The pictures, decoded.
const PICTURES: &[&str] = &["-map", "0:v:0"];
/// Those of the second track, decoded.
const THUMBNAILS: &[&str] = &["-map", "0:v:1"];
/// The packets of sound, as they are.
const SOUND: &[&str] = &["-map", "0:a", "-c", "copy"];

#[test]
#[ignore = "needs qemu-system-arm and ffmpeg 9: host-tests/run runs it"]
fn item_268_item_269_item_380_a_device_publishes_hevc_opus_and_a_thumbnail_and_ffmpeg_plays_them() {
    let (serve, directory) = (Serve::start(&[]), tempfile::tempdir().unwrap());
    let (url, played) = (serve.url("live/hevc"), directory.path().join("played.mkv"));
    let mut command = Program::Ffmpeg9.ffmpeg();
    // ffmpeg 9 writes two tracks to an FLV file with one that it cannot decode.
    command.args(["-i", &url, "-map", "0:v", "-map", "0:a", "-c", "copy"]).arg(&played);
    let player = start(&mut command).unwrap();
    wait_until("it plays", LIMIT, || serve.said().contains("plays live/hevc\n")).unwrap();
    let url = url.replace("127.0.0.1", "10.0.2.2");
    let firmware = Firmware::start_kind(FirmwareKind::Hevc, None, &[], &[&url]).unwrap();
    let (status, log) = firmware.finish_within(LIMIT).unwrap();
    assert_eq!(status, Some(0), "{log}");
    player.finish_within(LIMIT).unwrap().successful().unwrap();

    let source = board().join("../camera");
    let pictures = hashes(&source.join("camera.h265"), PICTURES);
    let sound = hashes(&source.join("camera.opus"), SOUND);
    let thumbnails = hashes(&source.join("camera.h264"), PICTURES);
    assert_eq!((pictures.len(), sound.len(), thumbnails.len()), (50, 101, 20));
    let recording = serve.recording("live-hevc.flv");
    for file in [&played, &recording] {
        assert!(hashes(file, PICTURES) == pictures && hashes(file, SOUND) == sound, "{}: {log}", file.display());
        assert!(hashes(file, THUMBNAILS) == thumbnails, "{}: {log}", file.display());
    }
    let has = |start: &[u8]| media(&recording).iter().any(|tag| tag.payload.starts_with(start));
    assert!(has(b"\x90hvc1") && has(b"\x91hvc1") && has(b"\x90Opus") && has(b"\x91Opus"));
    assert!(has(b"\x96\0avc1\x01") && has(b"\x96\x01avc1\x01") && has(b"\xA6\x01avc1\x01"));
}
