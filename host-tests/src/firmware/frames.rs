//! Compares the frames of recordings with those of the clip.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::MessageKind;

use crate::flv::{Reader, Tag};

/// The duration of one round of the clip in milliseconds.
pub const PERIOD: u32 = 4_097;

/// The message for the end of an AVC sequence. It is not a frame.
const AVC_END: [u8; 2] = [0x17, 2];

/// The frames of one kind, without sequence headers and metadata.
///
/// # Errors
/// The file is not an FLV file, or is damaged.
pub fn frames(file: &Path, kind: MessageKind) -> Result<Vec<Tag>> {
    let file = File::open(file).with_context(|| file.display().to_string())?;
    let tags: Vec<Tag> = Reader::new(BufReader::new(file))?.collect::<Result<_, _>>()?;
    let is_frame = |tag: &Tag| {
        tag.kind == kind
            && FrameClass::of(kind, &tag.payload) != FrameClass::Configuration
            && !tag.payload.starts_with(&AVC_END)
    };
    Ok(tags.into_iter().filter(is_frame).collect())
}

/// Finds all frames of `found` by payload and time in a clip that is played repeatedly. They must be in the clip's order and
/// decodable: missing pictures must be disposable, or a keyframe must follow. Returns the position of the last frame, counted
/// from the first frame of the clip.
///
/// # Errors
/// A frame is missing in the clip, or cannot be decoded.
fn places(clip: &[Tag], period: u32, found: &[Tag]) -> Result<usize> {
    let first = found.first().context("the recording has no frames")?;
    let begin =
        clip.iter().position(|frame| frame.payload == first.payload).context("the first frame is not in the clip")?;
    let time = |place: usize| clip[place % clip.len()].timestamp + (place / clip.len()) as u32 * period;
    let mut at = begin;
    for (index, frame) in found.iter().enumerate() {
        let before = at;
        let wanted = frame.timestamp.wrapping_sub(first.timestamp);
        while time(at) - time(begin) < wanted {
            at += 1;
        }
        ensure!(time(at) - time(begin) == wanted, "frame {index}, at {wanted} ms, is at another time in the clip");
        ensure!(
            clip[at % clip.len()].payload == frame.payload,
            "frame {index}, at {wanted} ms, differs from the frame of the clip"
        );
        let mut missed = (before..at).map(|place| &clip[place % clip.len()]);
        let is_decodable = frame.kind != MessageKind::VIDEO
            || FrameClass::of(frame.kind, &frame.payload) == FrameClass::Keyframe
            || (index > 0
                && missed.all(|missed| FrameClass::of(missed.kind, &missed.payload) == FrameClass::Disposable));
        ensure!(is_decodable, "frame {index}, at {wanted} ms, depends on a frame that is missing");
        at += 1;
    }
    Ok(at - 1)
}

/// Checks that a recording is a part of the clip that is played repeatedly, without a gap.
///
/// # Errors
/// A check fails.
pub fn is_part_of_the_clip(recording: &Path) -> Result<()> {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../embassy-demo/clip.flv");
    for kind in [MessageKind::AUDIO, MessageKind::VIDEO] {
        let (whole, found) = (frames(&clip, kind)?, frames(recording, kind)?);
        let last = places(&whole, PERIOD, &found).with_context(|| recording.display().to_string())?;
        let first = whole.iter().position(|frame| frame.payload == found[0].payload).unwrap_or(0);
        ensure!(last + 1 - first == found.len(), "{} of {} frames arrived", found.len(), last + 1 - first);
    }
    Ok(())
}

/// The FNV-1a of each frame's FNV-1a, as the firmware computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub u32);

impl Digest {
    /// The hash of all frames.
    pub fn of<'t>(frames: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let fnv = |seed: u32, bytes: &[u8]| {
            bytes.iter().fold(seed, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
        };
        const SEED: u32 = 0x811C_9DC5;
        Self(frames.into_iter().fold(SEED, |all, frame| fnv(all, &fnv(SEED, frame).to_le_bytes())))
    }
}

/// The firmware's counters of sent and dropped frames: audio, then video.
///
/// # Errors
/// The log has no counters.
pub fn counted(log: &str) -> Result<[[usize; 2]; 2]> {
    let line = log.lines().find(|line| line.contains("sent,") && line.contains("video:")).context("no counters")?;
    let numbers = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
    let numbers: Vec<usize> = numbers.take(4).collect();
    let [audio_sent, audio_dropped, video_sent, video_dropped] = numbers[..] else {
        anyhow::bail!("no counters: {line}");
    };
    Ok([[audio_sent, audio_dropped], [video_sent, video_dropped]])
}

/// Checks that recordings are decodable parts of the clip in its order, up to its last round, and that the counters in the
/// firmware's log agree with them.
///
/// # Errors
/// A check fails.
pub fn are_parts_of_the_clip(recordings: &[PathBuf], loops: usize, log: &str) -> Result<()> {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../embassy-demo/clip.flv");
    for (kind, [sent, dropped]) in [MessageKind::AUDIO, MessageKind::VIDEO].into_iter().zip(counted(log)?) {
        let whole = frames(&clip, kind)?;
        let (mut count, mut last) = (0, 0);
        for recording in recordings {
            let found = frames(recording, kind)?;
            last = places(&whole, PERIOD, &found).with_context(|| recording.display().to_string())?;
            count += found.len();
        }
        let all = whole.len() * loops;
        // Pictures may also be dropped at the end. With one recording, the counters show whether anything else is missing at
        // the end.
        let is_whole = (last + 1) % whole.len() == 0;
        ensure!(
            kind == MessageKind::VIDEO || recordings.len() == 1 || is_whole,
            "the recording ends at frame {last}, within a round of the clip"
        );
        ensure!(sent + dropped == all, "{sent} sent and {dropped} dropped frames are not {all} frames");
        // Frames that were in the socket when a connection was lost count as sent, and have not arrived.
        let lost = sent.checked_sub(count).with_context(|| format!("{count} arrived, {sent} were sent"))?;
        let most = 100 * (recordings.len() - 1);
        ensure!(lost <= most, "{count} arrived, {sent} were sent");
    }
    Ok(())
}
