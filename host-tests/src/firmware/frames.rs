//! Frames of recordings, compared with those of the clip.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use embedded_rtmp::media::{is_disposable, is_keyframe, is_sequence_header};
use embedded_rtmp::message::Kind;

use crate::flv::{Reader, Tag};

/// The end of an AVC sequence, which is no frame.
const AVC_END: [u8; 2] = [0x17, 2];

/// The frames of one kind: no sequence headers, no metadata.
///
/// # Errors
/// The file is no FLV file, or damaged.
pub fn frames(file: &Path, kind: Kind) -> Result<Vec<Tag>> {
    let file = File::open(file).with_context(|| file.display().to_string())?;
    let tags: Vec<Tag> = Reader::new(BufReader::new(file))?.collect::<Result<_, _>>()?;
    let is_frame =
        |tag: &Tag| tag.kind == kind && !is_sequence_header(kind, &tag.payload) && !tag.payload.starts_with(&AVC_END);
    Ok(tags.into_iter().filter(is_frame).collect())
}

/// Frames that were taken out of a clip which was played again and again.
#[derive(Debug, Clone, Copy)]
pub struct Pick<'c> {
    /// The clip's frames.
    pub clip: &'c [Tag],
    /// How often it was played.
    pub loops: usize,
}

/// Which frames of the clip there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked {
    /// How many there are.
    pub count: usize,
    /// Where the last one is, counted from the clip's first, and further in its second round.
    pub last: usize,
}

impl Pick<'_> {
    /// Finds all of `found` in the clip, in its order, from the frame `from` on. Where pictures are missing, they must
    /// be such as no other needs, or the next must be a keyframe.
    ///
    /// # Errors
    /// One is not there, or could not be decoded.
    pub fn find(&self, found: &[Tag], from: usize) -> Result<Picked> {
        let mut at = from;
        for (index, frame) in found.iter().enumerate() {
            let begin = at;
            let end = self.clip.len() * self.loops;
            let is_it = |place: &usize| self.clip[place % self.clip.len()].payload == frame.payload;
            at = (begin..end).find(is_it).with_context(|| format!("frame {index} is none of the clip's"))?;
            let missed = (begin..at).map(|place| &self.clip[place % self.clip.len()]);
            let decodable = frame.kind != Kind::VIDEO
                || is_keyframe(frame.kind, &frame.payload)
                || (index > 0 && missed.into_iter().all(|missed| is_disposable(missed.kind, &missed.payload)));
            ensure!(decodable, "frame {index} is the clip's {at}, and what it needs since {begin} is missing");
            at += 1;
        }
        Ok(Picked { count: found.len(), last: at.saturating_sub(1) })
    }
}

/// FNV-1a of each frame's FNV-1a, as the firmware makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub u32);

impl Digest {
    /// Of all these.
    pub fn of<'t>(frames: impl IntoIterator<Item = &'t [u8]>) -> Self {
        let fnv = |seed: u32, bytes: &[u8]| {
            bytes.iter().fold(seed, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
        };
        const SEED: u32 = 0x811C_9DC5;
        Self(frames.into_iter().fold(SEED, |all, frame| fnv(all, &fnv(SEED, frame).to_le_bytes())))
    }
}
