//! What is stored for the second track of video.

use embedded_rtmp::pressure::{DropLimits, DropPolicy};

use super::enhanced::AVC;
use super::timeline::Lateness;
use super::tracks::Tracks;

/// The number of the second track of video.
pub(super) const NUMBER: u8 = 1;

/// The state of the second track of video.
pub(super) struct SecondTrack {
    pub(super) tracks: Tracks,
    pub(super) policy: DropPolicy,
    pub(super) lateness: Lateness,
    pub(super) is_keyframe_wanted: bool,
}

impl SecondTrack {
    /// A track that is not used. `limits` are those of the main track.
    pub(super) const fn new(limits: DropLimits) -> Self {
        let policy = DropPolicy::new(DropLimits { video: limits.disposable, ..limits });
        Self { tracks: Tracks::NONE, policy, lateness: Lateness::NEW, is_keyframe_wanted: false }
    }
}

impl Tracks {
    /// The video of these tracks, as the track with this number.
    pub(super) fn numbered(mut self, number: u8) -> Self {
        self.codec = self.codec.or(self.has_video.then_some(&AVC));
        self.number = Some(number);
        self
    }
}
