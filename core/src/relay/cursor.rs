//! Where a player is.

use core::fmt;

use super::record::{Position, payload};
use crate::fmt::impl_format;
use crate::message::MessageKind;

/// The message that a player was sending has been overwritten: its connection can only be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overtaken;

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too slow for the stream, within a message")
    }
}

impl core::error::Error for Overtaken {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It looks for a place to begin.
    Seek,
    /// It gets what is kept.
    HeaderCache,
    /// It gets the messages of the ring.
    Live,
}

/// How far above the bits of what is due those stand of what is due again.
const AGAIN: u32 = 4;

/// Where one player is.
#[derive(Debug, Clone)]
pub struct Cursor {
    /// The message that it gets, or will get next.
    pub(super) at: Position,
    /// Messages before `at`.
    pub(super) number: u32,
    /// What tells the kept message that is being sent from one that takes its place.
    pub(super) cached: u32,
    /// How many payload bytes of the message that is being sent the player took.
    pub(super) taken: u32,
    pub(super) sent: u32,
    pub(super) skipped: u32,
    pub(super) stage: Stage,
    /// A bit for each of those that are kept: what it has not had yet. The lowest comes first. Above them a bit for each
    /// that becomes due between two messages.
    pub(super) due: u8,
    pub(super) is_inside: bool,
    pub(super) has_begun: bool,
    /// It has had nothing yet of what it was to begin with.
    pub(super) is_fresh: bool,
    /// It is to look for a new place once its message is finished.
    pub(super) reseek: bool,
    pub(super) audio: bool,
    pub(super) video: bool,
}

impl_format!([] Cursor, this => "Cursor {{ at: {}, skipped: {} }}", { this.at.0 }, this.skipped);

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

impl Cursor {
    /// A player that has had nothing yet.
    pub const fn new() -> Self {
        Self {
            at: Position(0),
            number: 0,
            cached: 0,
            taken: 0,
            sent: 0,
            skipped: 0,
            stage: Stage::Seek,
            due: 0,
            is_inside: false,
            has_begun: false,
            is_fresh: false,
            reseek: false,
            audio: true,
            video: true,
        }
    }

    /// Messages that were sent whole, those that were kept for the beginning among them.
    pub const fn sent(&self) -> u32 {
        self.sent
    }

    /// Messages that were left out since the player was too slow for them, up to the last one that it got.
    pub const fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Whether a message is begun and not finished.
    pub const fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// Whether the player wants audio and video; data it always gets. Counts from the next message on. To have video again
    /// is to begin anew, with the next keyframe. What comes back comes with its sequence header.
    pub fn select(&mut self, audio: bool, video: bool) {
        let again = u8::from(video && !self.video) << 1 | u8::from(audio && !self.audio) << 2;
        self.due |= again << AGAIN;
        if video && !self.video {
            self.reseek = self.is_inside;
            self.seek();
        }
        (self.audio, self.video) = (audio, video);
    }

    pub(super) fn wants(&self, kind: u8) -> bool {
        match MessageKind(kind) {
            MessageKind::AUDIO => self.audio,
            MessageKind::VIDEO => self.video,
            MessageKind(0) => false,
            _ => true,
        }
    }

    /// Looks for a new place.
    pub(super) fn seek(&mut self) {
        if !self.is_inside {
            self.stage = Stage::Seek;
        }
    }

    /// Between two messages what is due again becomes due.
    pub(super) fn renew(&mut self) {
        if !self.is_inside && self.due >> AGAIN != 0 {
            self.due = (self.due | self.due >> AGAIN) & 0b111;
            if self.stage == Stage::Live {
                self.stage = Stage::HeaderCache;
            }
        }
    }

    /// It has had the kept message that came first, or that is not for it.
    pub(super) fn pop(&mut self) {
        self.due &= self.due.wrapping_sub(1);
    }

    /// Goes on behind a message of `length` bytes.
    pub(super) fn pass(&mut self, length: u32) {
        self.at = Position(payload(self.at.0).wrapping_add(u64::from(length)));
        self.number = self.number.wrapping_add(1);
    }
}

const _: () = assert!(size_of::<Cursor>() == 36);
