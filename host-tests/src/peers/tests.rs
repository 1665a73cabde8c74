//! Tests of the helpers.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::*;

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../embassy-demo/clip.flv");

#[test]
fn a_program_that_does_not_end_is_killed() {
    let began = Instant::now();
    let error = finish_within(Duration::from_millis(100), Command::new("sleep").arg("600")).unwrap_err();
    assert!(error.to_string().contains("sleep has not ended"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_a_program_prints_is_kept() {
    let finished = finish_within(
        Duration::from_secs(60),
        Command::new("sh").args(["-c", "echo out; echo err >&2; head -c 200000 /dev/zero; exit 3"]),
    );
    let finished = finished.unwrap();
    assert_eq!((finished.stdout.len(), finished.stderr.as_str()), (200_004, "err\n"));
    assert_eq!(finished.status.code(), Some(3));
    assert!(finished.successful().is_err());
}

#[test]
fn a_missing_program_is_named() {
    let error = start(&mut Command::new("no-such-program")).unwrap_err();
    assert!(format!("{error:#}").contains("no-such-program"), "{error:#}");
}

#[test]
fn frames_are_compared_as_runs() {
    let hashes = |video: &str, audio: &str| FrameHashes {
        video: video.chars().map(String::from).collect(),
        audio: audio.chars().map(String::from).collect(),
    };
    let whole = hashes("abcd", "wxyz");
    assert_eq!(whole.position_of(&hashes("cd", "xyz")), Some((2, 1)));
    assert_eq!(whole.position_of(&hashes("cb", "xyz")), None);
    assert_eq!(whole.position_of(&hashes("cd", "xz")), None);
    assert_eq!(whole.position_of(&hashes("", "xz")), None);
}

#[test]
#[ignore = "needs ffmpeg: host-tests/run runs it"]
fn the_clip_has_the_packets_that_its_readme_counts() {
    let clip = Path::new(CLIP);
    assert_eq!(packet_count(clip, Media::Video).unwrap(), 100);
    assert_eq!(packet_count(clip, Media::Audio).unwrap(), 174);
    let hashes = frame_hashes(clip).unwrap();
    assert_eq!((hashes.video.len(), hashes.audio.len()), (100, 174));
}

#[test]
#[ignore = "needs nginx with its RTMP module and ffmpeg: host-tests/run runs it"]
fn ffmpeg_publishes_to_nginx_and_the_recording_has_the_same_frames() {
    let nginx = Nginx::start(NginxOptions::default()).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i", CLIP, "-c", "copy", "-f", "flv"]);
    ffmpeg.arg(nginx.url(Application::Record, "x"));
    finish_within(Duration::from_secs(30), &mut ffmpeg).unwrap().successful().unwrap();
    let expected = frame_hashes(Path::new(CLIP)).unwrap();
    wait_until("nginx closes its recording", Duration::from_secs(10), || {
        nginx.recording("x").and_then(|file| frame_hashes(&file)).is_ok_and(|found| found == expected)
    })
    .unwrap();
}
