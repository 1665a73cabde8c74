//! The position of a player.

use core::fmt;

use super::record::{Position, payload};
use crate::fmt::impl_format;
use crate::message::MessageKind;

/// The message that a player is inside of has been overwritten. The connection of the player must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overtaken;

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the player is too slow: the message that it is inside of was overwritten")
    }
}

impl core::error::Error for Overtaken {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It looks for a message to begin with.
    Seek,
    /// It gets the cached messages.
    HeaderCache,
    /// It gets the messages of the ring.
    Live,
}

/// The flags of a cursor. They are bits, because there is a cursor for each player.
#[derive(Debug, Clone, Copy)]
pub(super) enum Flag {
    /// A message is begun and not complete.
    Inside = 1,
    /// It has found its first message.
    Begun = 2,
    /// It was sent nothing yet of the message that it begins with.
    Fresh = 4,
    /// It gets no video until a keyframe, or until [`Cursor::video_at`].
    AwaitsKeyframe = 8,
    /// The player wants audio.
    Audio = 16,
    /// The player wants video.
    Video = 32,
    /// It awaits a keyframe because it was late. The video that it misses counts as skipped.
    Late = 64,
    /// Send the configurations of audio again after the current message.
    AudioAgain = 128,
    /// Send the configurations of video again after the current message.
    VideoAgain = 256,
    /// A track above 0 awaits a keyframe because the player was late. Pictures of tracks above 0 that the player misses
    /// count as skipped.
    LateTracks = 512,
}

/// How long a player awaits a keyframe, in ms. A stream with intra refresh has none.
pub(super) const KEYFRAME_WAIT: u32 = 3_000;

/// The position of one player in a ring. A cursor that is ahead of the ring comes from another one, and starts again as that
/// of a new player.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The message that is being sent, or the next one.
    pub(super) at: Position,
    /// Messages before `at`.
    pub(super) number: u32,
    /// The serial number of the cached message that is being sent. A message that replaces it has another one.
    pub(super) cached: u32,
    /// Payload bytes of the message that are sent.
    pub(super) taken: u32,
    pub(super) sent: u32,
    pub(super) skipped: u32,
    /// The time from which it gets video without a keyframe, in ms modulo 2³². 0 if it has not missed video yet.
    pub(super) video_at: u32,
    /// A bit for each cached message that is to be sent.
    pub(super) due: u32,
    /// A bit for each track of video that has begun. That of track 0 is not used.
    tracks: [u32; 8],
    pub(super) stage: Stage,
    flags: u16,
}

impl_format!([] Cursor, this => "Cursor {{ at: {}, skipped: {} }}", { this.at.0 }, this.skipped);

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

impl Cursor {
    /// Creates a cursor of a player that was sent nothing yet.
    pub const fn new() -> Self {
        Self {
            at: Position(0),
            number: 0,
            cached: 0,
            taken: 0,
            sent: 0,
            skipped: 0,
            video_at: 0,
            due: 0,
            tracks: [0; 8],
            stage: Stage::Seek,
            flags: Flag::Audio as u16 | Flag::Video as u16,
        }
    }

    /// Messages that were sent whole, cached ones included.
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    /// Messages that were skipped because the player was too slow, up to the last one that it was sent.
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Whether a message is begun and not complete.
    pub const fn is_inside(&self) -> bool {
        self.has(Flag::Inside)
    }

    /// Selects audio and video from the next message on; data is always sent. Video that was off begins again with the next
    /// keyframe, or after 3 s. A track that was off begins with its sequence header.
    pub fn select(&mut self, audio: bool, video: bool) {
        let (more_audio, more_video) = (audio && !self.has(Flag::Audio), video && !self.has(Flag::Video));
        if more_audio {
            self.set(Flag::AudioAgain, true);
        }
        if more_video {
            self.set(Flag::VideoAgain, true);
            self.await_next_keyframe();
        }
        self.set(Flag::Audio, audio);
        self.set(Flag::Video, video);
    }

    pub(super) const fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u16 != 0
    }

    pub(super) const fn set(&mut self, flag: Flag, is_set: bool) {
        self.flags = if is_set { self.flags | flag as u16 } else { self.flags & !(flag as u16) };
    }

    pub(super) fn wants(&self, kind: u8) -> bool {
        match MessageKind(kind) {
            MessageKind::AUDIO => self.has(Flag::Audio),
            MessageKind::VIDEO => self.has(Flag::Video),
            MessageKind(0) => false,
            _ => true,
        }
    }

    /// Makes each track of video wait for a keyframe, from the next message on. The time limit begins with the first
    /// video message that is not sent.
    pub(super) fn await_next_keyframe(&mut self) {
        self.set(Flag::AwaitsKeyframe, true);
        self.video_at = 0;
        self.stop_tracks();
    }

    /// Does the same if the cursor does not await a keyframe already.
    pub(super) fn await_keyframe(&mut self) {
        self.stop_tracks();
        if !self.has(Flag::AwaitsKeyframe) {
            self.await_next_keyframe();
        }
    }

    /// Makes all tracks of video above 0 wait for their keyframes.
    pub(super) const fn stop_tracks(&mut self) {
        self.tracks = [0; 8];
    }

    /// Returns whether a track of video has begun.
    pub(super) fn has_track(&self, track: u8) -> bool {
        match track {
            0 => !self.has(Flag::AwaitsKeyframe),
            _ => self.tracks.get(usize::from(track >> 5)).is_some_and(|tracks| tracks >> (track & 31) & 1 != 0),
        }
    }

    /// Records that a track of video has begun.
    pub(super) fn begin_track(&mut self, track: u8) {
        match track {
            0 => {
                self.set(Flag::AwaitsKeyframe, false);
                self.set(Flag::Late, false);
            }
            _ => self
                .tracks
                .iter_mut()
                .skip(usize::from(track >> 5))
                .take(1)
                .for_each(|tracks| *tracks |= 1 << (track & 31)),
        }
    }

    /// Makes a track of video above 0 wait for its keyframe, because the player is late.
    pub(super) fn stop_late_track(&mut self, track: u8) {
        self.tracks.iter_mut().skip(usize::from(track >> 5)).take(1).for_each(|tracks| *tracks &= !(1 << (track & 31)));
        self.set(Flag::LateTracks, true);
        if !self.has(Flag::AwaitsKeyframe) {
            self.video_at = 0;
        }
    }

    /// Records that the player misses a video message at the time `now`, in milliseconds. Returns whether the player
    /// has waited for a keyframe for [`KEYFRAME_WAIT`].
    pub(super) fn misses_video(&mut self, now: u32) -> bool {
        if self.video_at == 0 {
            self.video_at = now.wrapping_add(KEYFRAME_WAIT) | 1;
        }
        now.wrapping_sub(self.video_at) as i32 >= 0
    }

    /// Moves past a message of `length` bytes.
    pub(super) fn pass(&mut self, length: u32) {
        self.at = Position(payload(self.at.0).wrapping_add(u64::from(length)));
        self.number = self.number.wrapping_add(1);
    }
}

const _: () = assert!(size_of::<Cursor>() == 72);
