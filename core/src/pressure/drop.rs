//! Which frames are left out.

/// What a frame is to those that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Class {
    /// Metadata, or a codec's sequence header: nothing can be decoded without. It always goes out.
    Essential,
    /// Audio.
    Audio,
    /// Video that needs nothing before it.
    Keyframe,
    /// Video that needs what came before, and that others need.
    Inter,
    /// Video that no other frame needs.
    Disposable,
}

/// From which delay on what is left out, in ms: how long a frame would wait until it goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DropLimits {
    /// Frames that no other frame needs.
    pub disposable: u32,
    /// Video: all of it until the next keyframe.
    pub video: u32,
    /// Audio, which is left out last.
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

/// How many frames have been left out.
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

/// Decides which frames go out.
///
/// ```text
///              delay > video limit, at a frame that others need
///  ┌─────────┐ ────────────────────────────────────────────────► ┌───────────────────┐
///  │ flowing │                                                    │ until a keyframe  │
///  └─────────┘ ◄──────────────────────────────────────────────── └───────────────────┘
///      │ ▲       a keyframe, and delay <= video limit
///      └─┘
///    disposable frames alone are left out above their limit
/// ```
///
/// ```
/// use embedded_rtmp::pressure::{Class, DropLimits, DropPolicy};
///
/// let mut policy = DropPolicy::new(DropLimits::DEFAULT);
/// assert!(policy.admit(Class::Inter, 40));
/// assert!(!policy.admit(Class::Inter, 900), "too late");
/// assert!(!policy.admit(Class::Inter, 0), "it needs the one before");
/// assert!(policy.admit(Class::Audio, 900) && policy.admit(Class::Keyframe, 100) && policy.admit(Class::Inter, 100));
/// assert_eq!(policy.dropped().video, 2);
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DropPolicy {
    limits: DropLimits,
    /// What comes cannot be decoded until a keyframe has gone out.
    broken: bool,
    dropped: Dropped,
}

impl DropPolicy {
    /// A policy that has left nothing out. Limits that are not in order count as if the later were no less than the
    /// earlier.
    pub const fn new(limits: DropLimits) -> Self {
        Self { limits, broken: false, dropped: Dropped { disposable: 0, video: 0, audio: 0 } }
    }

    /// Whether a frame goes out that would have to wait for `delay` ms. To be asked once for each frame, in order, before
    /// it is begun; what is not admitted is not sent at all.
    #[must_use = "a frame that is not admitted must not be sent"]
    pub fn admit(&mut self, class: Class, delay: u32) -> bool {
        let DropLimits { disposable, video, audio } = self.limits;
        let video = video.max(disposable);
        let (admitted, counter) = match class {
            Class::Essential => return true,
            Class::Audio => (delay <= audio.max(video), &mut self.dropped.audio),
            Class::Disposable => (!self.broken && delay <= disposable, &mut self.dropped.disposable),
            Class::Keyframe => {
                self.broken = delay > video;
                (!self.broken, &mut self.dropped.video)
            }
            Class::Inter => {
                self.broken |= delay > video;
                (!self.broken, &mut self.dropped.video)
            }
        };
        if !admitted {
            *counter = counter.saturating_add(1);
        }
        admitted
    }

    /// Video goes on with the next keyframe alone: after a new connection, or where frames were lost otherwise.
    pub fn await_keyframe(&mut self) {
        self.broken = true;
    }

    /// Whether video waits for a keyframe: an encoder that can be asked for one should be.
    pub const fn awaits_keyframe(&self) -> bool {
        self.broken
    }

    /// What has been left out so far.
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// What goes out of `frames`, each with its delay.
    fn run(frames: &[(Class, u32)]) -> (Vec<usize>, Dropped) {
        let mut policy = DropPolicy::new(DropLimits::DEFAULT);
        let sent = frames.iter().enumerate().filter(|(_, (class, delay))| policy.admit(*class, *delay));
        let sent = sent.map(|(place, _)| place).collect();
        (sent, policy.dropped())
    }

    #[test]
    fn item_112_disposable_frames_go_first_and_alone() {
        use Class::*;
        let frames = [(Keyframe, 0), (Disposable, 201), (Inter, 201), (Disposable, 200), (Inter, 500), (Audio, 500)];
        assert_eq!(run(&frames), (vec_of(&[0, 2, 3, 4, 5]), Dropped { disposable: 1, video: 0, audio: 0 }));
    }

    #[test]
    fn item_112_then_all_video_until_the_next_keyframe() {
        use Class::*;
        let late = [(Keyframe, 0), (Inter, 501), (Inter, 0), (Disposable, 0), (Audio, 501)];
        let more = [(Keyframe, 501), (Inter, 0), (Essential, 5_000), (Keyframe, 500), (Inter, 0), (Disposable, 0)];
        let (sent, dropped) = run(&[&late[..], &more].concat());
        assert_eq!(sent, [0, 4, 7, 8, 9, 10]);
        assert_eq!(dropped, Dropped { disposable: 1, video: 4, audio: 0 });
    }

    #[test]
    fn item_112_audio_last() {
        use Class::*;
        let (sent, dropped) = run(&[(Audio, 2_000), (Audio, 2_001), (Audio, u32::MAX), (Audio, 0)]);
        assert_eq!((sent, dropped.audio), (vec_of(&[0, 3]), 2));
        // Also where the limits say otherwise.
        let mut policy = DropPolicy::new(DropLimits { disposable: 100, video: 50, audio: 10 });
        assert!(policy.admit(Inter, 100) && policy.admit(Audio, 100) && !policy.admit(Audio, 101));
    }

    #[test]
    fn a_new_connection_begins_with_a_keyframe() {
        let mut policy = DropPolicy::new(DropLimits::DEFAULT);
        policy.await_keyframe();
        assert!(policy.awaits_keyframe() && !policy.admit(Class::Inter, 0) && policy.admit(Class::Audio, 0));
        assert!(policy.admit(Class::Keyframe, 0) && !policy.awaits_keyframe() && policy.admit(Class::Inter, 0));
    }

    proptest::proptest! {
        /// What goes out can always be decoded: no frame without those that it needs.
        #[test]
        fn item_112_what_goes_out_can_be_decoded(
            frames in proptest::collection::vec((0_u8..5, 0_u32..3_000), 0..200),
        ) {
            let mut policy = DropPolicy::new(DropLimits::DEFAULT);
            let (mut whole, mut count) = (true, 0);
            for (class, delay) in frames {
                let class = [Class::Essential, Class::Audio, Class::Keyframe, Class::Inter, Class::Disposable]
                    [usize::from(class)];
                let admitted = policy.admit(class, delay);
                count += u32::from(!admitted);
                match class {
                    Class::Essential => assert!(admitted),
                    Class::Audio => assert_eq!(admitted, delay <= 2_000),
                    Class::Keyframe => whole = admitted,
                    Class::Inter | Class::Disposable if admitted => assert!(whole),
                    Class::Inter => whole = false,
                    Class::Disposable => {}
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
