//! Reads media files with ffmpeg and ffprobe.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::finish_within;

/// A stream of a file.
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

/// The MD5 of each frame of a file, not decoded. Two files with the same media have the same hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameHashes {
    /// The video frames, in decoding order.
    pub video: Vec<String>,
    /// The audio frames.
    pub audio: Vec<String>,
}

impl FrameHashes {
    /// The positions, for video and audio, at which the frames of `part` occur in these without a gap.
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

/// A frame with its times, as in ffmpeg's `framemd5` format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFrame {
    /// The index of its stream, counted from 0.
    pub stream: u32,
    /// The decoding time, in ms for RTMP and FLV. If timestamps restart at 0, ffmpeg counts on.
    pub dts: i64,
    /// The presentation time.
    pub pts: i64,
    /// The MD5 of its bytes.
    pub hash: String,
}

/// The frames in a `framemd5` text, in its order.
///
/// # Errors
/// A line does not have that format.
pub fn timed_frames(framemd5: &str) -> Result<Vec<TimedFrame>> {
    let lines = framemd5.lines().filter(|line| !line.starts_with('#'));
    // Side data may follow the hash. It is not part of the frame.
    let frames = lines.map(|line| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        let [stream, dts, pts, _, _, hash, ..] = fields[..] else { bail!("not a framemd5 line: {line}") };
        Ok(TimedFrame { stream: stream.parse()?, dts: dts.parse()?, pts: pts.parse()?, hash: hash.to_owned() })
    });
    frames.collect()
}

/// The number of packets of one kind in a file.
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
