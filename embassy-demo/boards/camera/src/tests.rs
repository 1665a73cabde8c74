//! What comes out is what was encoded.

use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

use embassy_futures::block_on;
use embedded_rtmp_embassy::embedded_rtmp::media::flv::{FileHeader, TagHeader};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::{Frame, Source};

use crate::Camera;

/// Pictures in the file.
const PICTURES: u32 = 20;

/// A message as FLV has it.
fn tag(frame: &Frame<'_>) -> Vec<u8> {
    let data = frame.parts.concat();
    let header = TagHeader { kind: frame.kind, filtered: false, length: data.len() as u32, timestamp: frame.timestamp };
    [&header.emit()[..], &data, &header.back_pointer()].concat()
}

/// The MD5 sums of the decoded pictures, one a line, and the size of them.
fn decoded(format: &str, stream: &[u8]) -> String {
    let arguments = ["-v", "error", "-f", format, "-i", "pipe:0", "-map", "0:v", "-vsync", "0", "-f", "framemd5", "-"];
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

/// The timestamps are the encoder's, over the end of the file, and ffmpeg sees the same pictures as in the file.
#[test]
fn pictures_and_sound_go_through_unchanged() {
    let mut camera = Camera::new();
    let mut file = FileHeader { audio: true, video: true, length: 9 }.emit().to_vec();
    let mut headers = Vec::new();
    while let Some(frame) = camera.header(headers.len()) {
        headers.push(frame.kind);
        file.extend(tag(&frame));
    }
    assert_eq!(headers, [MessageKind::DATA, MessageKind::VIDEO]);
    for number in 0..2 * (PICTURES + 1) {
        let frame = block_on(camera.next()).expect("there is no end");
        let kind = if number % 2 == 0 { MessageKind::VIDEO } else { MessageKind::AUDIO };
        assert_eq!((frame.kind, frame.timestamp), (kind, Timestamp(number / 2 * 100)), "{number}");
        match kind {
            MessageKind::AUDIO => assert_eq!((frame.parts[0], frame.len()), (&[0x72][..], 801)),
            _ => assert_eq!(frame.parts[0][0] >> 4, if number / 2 % PICTURES == 0 { 1 } else { 2 }, "{number}"),
        }
        if number < 2 * PICTURES {
            file.extend(tag(&frame));
        }
    }
    let pictures = decoded("flv", &file);
    assert_eq!(pictures, decoded("h264", include_bytes!("../camera.h264")));
    assert_eq!(pictures.lines().count(), PICTURES as usize + 1, "{pictures}");
    assert!(pictures.contains("160x120"), "{pictures}");
}
