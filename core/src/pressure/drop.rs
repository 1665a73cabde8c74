//! The policy that drops frames.

use crate::media::FrameClass;

/// The longest delays at which frames are sent, in milliseconds. The delay is the time that a frame would wait before it
/// is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DropLimits {
    /// Frames that no other frame needs.
    pub disposable: u32,
    /// Other video. If a frame is later than this, all video until the next keyframe is dropped.
    pub video: u32,
    /// Audio, which is dropped last.
    pub audio: u32,
}

impl DropLimits {
    /// 200 ms, 500 ms and 2 s.
    pub const DEFAULT: Self = Self { disposable: 200, video: 500, audio: 2_000 };
}

impl Default for DropLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The number of frames that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dropped {
    /// Frames that no other frame needs.
    pub disposable: u32,
    /// Other video.
    pub video: u32,
    /// Audio.
    pub audio: u32,
}

/// Decides which frames are sent.
///
/// ```text
///              delay > video limit, at a frame that others need
///  ┌─────────┐ ────────────────────────────────────────────────► ┌───────────────────┐
///  │ flowing │                                                    │ until a keyframe  │
///  └─────────┘ ◄──────────────────────────────────────────────── └───────────────────┘
///      │ ▲       a keyframe, and delay <= video limit
///      └─┘
///    above their own limit, only disposable frames are dropped
/// ```
///
/// ```
/// use embedded_rtmp::media::FrameClass;
/// use embedded_rtmp::pressure::{DropLimits, DropPolicy};
///
/// let mut policy = DropPolicy::new(DropLimits::DEFAULT);
/// assert!(policy.admit(FrameClass::Inter, 40));
/// assert!(!policy.admit(FrameClass::Inter, 900), "too late");
/// assert!(!policy.admit(FrameClass::Inter, 0), "it depends on the dropped picture");
/// assert!(policy.admit(FrameClass::Audio, 900) && policy.admit(FrameClass::Keyframe, 100) && policy.admit(FrameClass::Inter, 100));
/// assert_eq!(policy.dropped().video, 2);
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DropPolicy {
    limits: DropLimits,
    /// Video cannot be decoded until a keyframe has been sent.
    broken: bool,
    dropped: Dropped,
}

impl DropPolicy {
    /// A policy that has dropped nothing. A limit that is less than the limit before it counts as equal to it, in the order
    /// disposable, video, audio.
    pub const fn new(limits: DropLimits) -> Self {
        Self { limits, broken: false, dropped: Dropped { disposable: 0, video: 0, audio: 0 } }
    }

    /// Returns whether to send a frame that would wait for `delay` milliseconds. Call this once for each frame, in order,
    /// before its first byte. A frame that is not admitted must not be sent at all.
    #[must_use = "a frame that is not admitted must not be sent"]
    pub fn admit(&mut self, class: FrameClass, delay: u32) -> bool {
        let DropLimits { disposable, video, audio } = self.limits;
        let video = video.max(disposable);
        let (admitted, counter) = match class {
            FrameClass::Audio => (delay <= audio.max(video), &mut self.dropped.audio),
            FrameClass::Disposable => (!self.broken && delay <= disposable, &mut self.dropped.disposable),
            FrameClass::Keyframe => {
                self.broken = delay > video;
                (!self.broken, &mut self.dropped.video)
            }
            FrameClass::Inter => {
                self.broken |= delay > video;
                (!self.broken, &mut self.dropped.video)
            }
            // Nothing can be decoded without configuration and metadata.
            _ => return true,
        };
        if !admitted {
            *counter = counter.saturating_add(1);
        }
        admitted
    }

    /// Drops video until the next keyframe. Call this after a new connection, or if frames were lost otherwise.
    pub fn await_keyframe(&mut self) {
        self.broken = true;
    }

    /// Whether video waits for a keyframe. If the encoder can be asked for one, ask it.
    pub const fn awaits_keyframe(&self) -> bool {
        self.broken
    }

    /// The number of frames that were dropped so far.
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The places of the frames that are sent of `frames`, each with its delay.
    fn run(frames: &[(FrameClass, u32)]) -> (Vec<usize>, Dropped) {
        let mut policy = DropPolicy::new(DropLimits::DEFAULT);
        let sent = frames.iter().enumerate().filter(|(_, (class, delay))| policy.admit(*class, *delay));
        let sent = sent.map(|(place, _)| place).collect();
        (sent, policy.dropped())
    }

    #[test]
    fn item_112_disposable_frames_go_first_and_alone() {
        use FrameClass::*;
        let frames = [(Keyframe, 0), (Disposable, 201), (Inter, 201), (Disposable, 200), (Inter, 500), (Audio, 500)];
        assert_eq!(run(&frames), (vec_of(&[0, 2, 3, 4, 5]), Dropped { disposable: 1, video: 0, audio: 0 }));
    }

    #[test]
    fn item_112_then_all_video_until_the_next_keyframe() {
        use FrameClass::*;
        let late = [(Keyframe, 0), (Inter, 501), (Inter, 0), (Disposable, 0), (Audio, 501)];
        let more = [(Keyframe, 501), (Inter, 0), (Configuration, 5_000), (Keyframe, 500), (Inter, 0), (Disposable, 0)];
        let (sent, dropped) = run(&[&late[..], &more].concat());
        assert_eq!(sent, [0, 4, 7, 8, 9, 10]);
        assert_eq!(dropped, Dropped { disposable: 1, video: 4, audio: 0 });
    }

    #[test]
    fn item_112_audio_last() {
        use FrameClass::*;
        let (sent, dropped) = run(&[(Audio, 2_000), (Audio, 2_001), (Audio, u32::MAX), (Audio, 0)]);
        assert_eq!((sent, dropped.audio), (vec_of(&[0, 3]), 2));
        // Also if the limits are not in order.
        let mut policy = DropPolicy::new(DropLimits { disposable: 100, video: 50, audio: 10 });
        assert!(policy.admit(Inter, 100) && policy.admit(Audio, 100) && !policy.admit(Audio, 101));
    }

    #[test]
    fn a_new_connection_begins_with_a_keyframe() {
        let mut policy = DropPolicy::new(DropLimits::DEFAULT);
        policy.await_keyframe();
        assert!(policy.awaits_keyframe() && !policy.admit(FrameClass::Inter, 0) && policy.admit(FrameClass::Audio, 0));
        assert!(
            policy.admit(FrameClass::Keyframe, 0) && !policy.awaits_keyframe() && policy.admit(FrameClass::Inter, 0)
        );
    }

    proptest::proptest! {
        /// What is sent can always be decoded: no frame is sent without those that it needs.
        #[test]
        fn item_112_what_goes_out_can_be_decoded(
            frames in proptest::collection::vec((0_u8..5, 0_u32..3_000), 0..200),
        ) {
            let mut policy = DropPolicy::new(DropLimits::DEFAULT);
            let (mut whole, mut count) = (true, 0);
            for (class, delay) in frames {
                let class = [FrameClass::Configuration, FrameClass::Audio, FrameClass::Keyframe, FrameClass::Inter, FrameClass::Disposable]
                    [usize::from(class)];
                let admitted = policy.admit(class, delay);
                count += u32::from(!admitted);
                match class {
                    FrameClass::Configuration => assert!(admitted),
                    FrameClass::Audio => assert_eq!(admitted, delay <= 2_000),
                    FrameClass::Keyframe => whole = admitted,
                    FrameClass::Inter | FrameClass::Disposable if admitted => assert!(whole),
                    FrameClass::Inter => whole = false,
                    _ => {}
                }
            }
            let Dropped { disposable, video, audio } = policy.dropped();
            assert_eq!(disposable + video + audio, count);
        }
    }

    fn vec_of(places: &[usize]) -> Vec<usize> {
        places.to_vec()
    }
}
