//! Tests of the pictures that the stand-in delivers.

use core::pin::pin;
use core::task::Poll;
use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

use embassy_futures::poll_once;
use embassy_time::MockDriver;

use crate::{Encoder, PICTURE_INTERVAL, hevc_pictures, opus_head, opus_packets};

/// Pictures in the file.
const PICTURES: usize = 20;

/// The MD5 sums of the decoded pictures, one a line, and the size of them.
fn decoded(stream: &[u8]) -> String {
    let arguments = ["-v", "error", "-f", "h264", "-i", "pipe:0", "-map", "0:v", "-vsync", "0", "-f", "framemd5", "-"];
    let mut ffmpeg = Command::new("ffmpeg")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg is here: host-tests/setup");
    ffmpeg.stdin.take().unwrap().write_all(stream).unwrap();
    let output = ffmpeg.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let is_picture = |line: &&str| !line.starts_with('#') || line.contains("dimensions");
    lines.lines().filter(is_picture).map(|line| line.rsplit(',').next().unwrap().trim().to_string() + "\n").collect()
}

#[test]
fn the_encoder_delivers_a_picture_at_a_time_and_a_keyframe_when_it_is_asked_to() {
    let clock = MockDriver::get();
    let (mut encoder, mut stream, mut times) = (Encoder::new(), Vec::new(), Vec::new());
    for number in 0..PICTURES + 5 {
        if number == PICTURES + 3 {
            encoder.make_keyframe();
        }
        let mut picture = pin!(encoder.picture());
        assert!(poll_once(picture.as_mut()).is_pending(), "picture {number}");
        if number > 0 {
            clock.advance(PICTURE_INTERVAL);
        }
        let Poll::Ready(coded) = poll_once(picture) else { panic!("picture {number} is due") };
        assert_eq!(coded.is_key, [0, PICTURES, PICTURES + 3].contains(&number), "{number}");
        stream.extend_from_slice(coded.bytes);
        times.push(coded.at);
    }
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == PICTURE_INTERVAL.as_micros()), "{times:?}");
    let pictures = decoded(&stream);
    assert!(pictures.contains("160x120"), "{pictures}");
    let file = decoded(include_bytes!("../camera.h264"));
    let (once, again): (Vec<&str>, Vec<&str>) = (file.lines().collect(), pictures.lines().collect());
    assert_eq!(once.len(), PICTURES + 1);
    assert_eq!(again, [&once[..], &once[1..4], &once[1..3]].concat());
}

#[test]
fn the_recorded_stream_is_taken_apart() {
    let pictures: Vec<_> = hevc_pictures().collect();
    assert_eq!((pictures.len(), pictures.concat()), (50, include_bytes!("../camera.h265").to_vec()));
    assert!(pictures.iter().all(|picture| picture.starts_with(&[0, 0, 0, 1, 0x46, 1])));
    let packets: Vec<_> = opus_packets().collect();
    assert_eq!(packets.len(), 101);
    // The first byte of a packet says that it has one frame of 20 ms (RFC 6716, section 3.1).
    assert!(packets.iter().all(|packet| packet.len() > 10 && packet[0] & 3 == 0), "{packets:?}");
    assert_eq!(opus_head().map(|head| &head[..8]), Some(&b"OpusHead"[..]));
}
