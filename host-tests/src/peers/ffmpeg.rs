//! What ffmpeg and ffprobe say about media.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::finish_within;

/// Which stream of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// The first video stream.
    Video,
    /// The first audio stream.
    Audio,
}

impl Media {
    fn specifier(self) -> &'static str {
        match self {
            Self::Video => "v:0",
            Self::Audio => "a:0",
        }
    }
}

/// The MD5 of each frame of a file as it stands there, not decoded: what two files must have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHashes {
    /// Of the video frames, in decoding order.
    pub video: Vec<String>,
    /// Of the audio frames.
    pub audio: Vec<String>,
}

impl FrameHashes {
    /// Where the frames of `part` begin in these, when they are a run of them without a gap: for video and for audio.
    pub fn position_of(&self, part: &FrameHashes) -> Option<(usize, usize)> {
        Some((run(&self.video, &part.video)?, run(&self.audio, &part.audio)?))
    }
}

fn run(whole: &[String], part: &[String]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    whole.windows(part.len()).position(|window| window == part)
}

/// The frames of a media file.
///
/// # Errors
/// ffmpeg is missing or cannot read the file.
pub fn frame_hashes(file: &Path) -> Result<FrameHashes> {
    Ok(FrameHashes { video: hashes(file, Media::Video)?, audio: hashes(file, Media::Audio)? })
}

fn hashes(file: &Path, media: Media) -> Result<Vec<String>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    command.args(["-map", &format!("0:{}", media.specifier()), "-c", "copy", "-f", "framemd5", "-"]);
    let finished = finish_within(Duration::from_secs(60), &mut command)?;
    let finished = finished.successful().with_context(|| format!("ffmpeg reads {}", file.display()))?;
    let frames = timed_frames(&String::from_utf8(finished.stdout)?)?;
    Ok(frames.into_iter().map(|frame| frame.hash).collect())
}

/// A frame with its times, as ffmpeg's `framemd5` format tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFrame {
    /// Which of the streams it belongs to, from 0 on.
    pub stream: u32,
    /// When it is to be decoded: in ms, where it comes from RTMP or FLV. ffmpeg counts on where these begin again at 0.
    pub dts: i64,
    /// When it is to be shown.
    pub pts: i64,
    /// The MD5 of its bytes.
    pub hash: String,
}

/// The frames that `framemd5` tells of, in its order.
///
/// # Errors
/// A line is none of that format.
pub fn timed_frames(framemd5: &str) -> Result<Vec<TimedFrame>> {
    let lines = framemd5.lines().filter(|line| !line.starts_with('#'));
    // Behind the hash there may be side data, which is no part of the frame.
    let frames = lines.map(|line| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let [stream, dts, pts, _, _, hash, ..] = fields[..] else { bail!("no frame: {line}") };
        Ok(TimedFrame { stream: stream.parse()?, dts: dts.parse()?, pts: pts.parse()?, hash: hash.to_owned() })
    });
    frames.collect()
}

/// How many packets of one kind a file has.
///
/// # Errors
/// ffprobe is missing or cannot read the file.
pub fn packet_count(file: &Path, media: Media) -> Result<u64> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-count_packets", "-select_streams", media.specifier()]);
    command.args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]).arg(file);
    let finished = finish_within(Duration::from_secs(60), &mut command)?.successful()?;
    let text = String::from_utf8(finished.stdout)?;
    match text.trim().trim_end_matches(',').parse() {
        Ok(count) => Ok(count),
        Err(_) => bail!("ffprobe counts {text:?} packets in {}", file.display()),
    }
}
