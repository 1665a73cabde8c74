//! Converts timestamps of a sender's clock to times from 0 on.

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::{MessageKind, Timestamp};

/// The largest step between timestamps that stays, in ms. Larger steps are removed.
const MAX_STEP: i32 = 10_000;

/// A timeline on which the first frame of audio or video is at 0. Earlier timestamps become 0. The distance between audio
/// and video stays. A later step of more than 10 s, forward or back, is removed.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    /// The time in ms that replaces a step forward.
    gap: u32,
    has_begun: bool,
    /// What is subtracted from the timestamps of audio, and of video. `None` before the first frame.
    offsets: [Option<u32>; 2],
    /// The offset since the last step.
    offset: u32,
    /// The time of the last frame.
    last: u32,
}

/// A step that was removed: the timestamps of the frames before and after it, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Before.
    pub from: u32,
    /// After.
    pub to: u32,
}

impl Step {
    /// Whether the timestamps grow.
    pub fn is_forward(self) -> bool {
        Timestamp(self.to).since(Timestamp(self.from)) > 0
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the timestamps jump from {} to {} ms", self.from, self.to)
    }
}

impl Timeline {
    /// A timeline on which a step forward becomes `gap` ms. A step back becomes 1 ms.
    pub fn new(gap: u32) -> Self {
        Self { gap, has_begun: false, offsets: [None; 2], offset: 0, last: 0 }
    }

    /// Returns the time of a message, in ms, and the step before it, if one was removed.
    pub fn place(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> (u32, Option<Step>) {
        let track = usize::from(kind == MessageKind::VIDEO);
        let is_frame = matches!(kind, MessageKind::AUDIO | MessageKind::VIDEO)
            && !payload.is_empty()
            && FrameClass::of(kind, payload) != FrameClass::Configuration;
        if is_frame && !self.has_begun {
            (self.has_begun, self.offset) = (true, timestamp);
        }
        let own = self.offsets[track].unwrap_or(self.offset);
        if !is_frame {
            let time = self.near(own, timestamp).filter(|_| self.has_begun);
            return (time.unwrap_or(self.last), None);
        }
        // The other track may have jumped first. Then this track jumps to the same offset.
        let found = [own, self.offset].into_iter().find_map(|offset| Some((offset, self.near(offset, timestamp)?)));
        let (offset, time, step) = match found {
            Some((offset, time)) => (offset, time, None),
            None => {
                let step = Step { from: self.last.wrapping_add(own), to: timestamp };
                let time = self.last.wrapping_add(if step.is_forward() { self.gap } else { 1 });
                self.offset = timestamp.wrapping_sub(time);
                (self.offset, time, Some(step))
            }
        };
        (self.offsets[track], self.last) = (Some(offset), time);
        (time, step)
    }

    /// The time of a timestamp. `None` if it is more than [`MAX_STEP`] away from the last frame.
    fn near(&self, offset: u32, timestamp: u32) -> Option<u32> {
        let distance = Timestamp(timestamp.wrapping_sub(offset)).since(Timestamp(self.last));
        let is_near = distance.unsigned_abs() <= MAX_STEP.unsigned_abs();
        // The sum wraps after 2^32 ms, as a timestamp does.
        is_near.then(|| (i64::from(self.last) + i64::from(distance)).max(0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: (MessageKind, &[u8]) = (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 1]);
    const AUDIO: (MessageKind, &[u8]) = (MessageKind::AUDIO, &[0xAF, 1, 7]);
    const VIDEO_CONFIGURATION: (MessageKind, &[u8]) = (MessageKind::VIDEO, &[0x17, 0, 0, 0, 0, 1]);
    const DATA: (MessageKind, &[u8]) = (MessageKind::DATA, b"\x02\0\x0aonMetaData\x05");

    /// The times of messages, and the steps among them.
    fn placed(messages: &[((MessageKind, &[u8]), u32)]) -> (Vec<u32>, Vec<Step>) {
        let (mut timeline, mut steps) = (Timeline::new(1), Vec::new());
        let time = |((kind, payload), timestamp): &((MessageKind, &[u8]), u32)| {
            let (time, step) = timeline.place(*kind, *timestamp, payload);
            steps.extend(step);
            time
        };
        (messages.iter().map(time).collect(), steps)
    }

    #[test]
    fn item_162_the_first_frame_is_at_0_and_the_tracks_keep_their_distance() {
        for base in [0, 24_549_835, 3_600_000_000, u32::MAX - 10] {
            let at = |millis: u32| base.wrapping_add(millis);
            let messages = [
                (DATA, 0),
                (VIDEO_CONFIGURATION, at(0)),
                (AUDIO, at(0)),
                (VIDEO, at(80)),
                (AUDIO, at(23)),
                (DATA, 0),
                (VIDEO_CONFIGURATION, 0),
                (VIDEO, at(120)),
            ];
            let (times, steps) = placed(&messages);
            let late = if base == 0 || base > u32::MAX - 20 { [0, 0] } else { [23, 23] };
            let late = if base > u32::MAX - 20 { [11, 11] } else { late };
            assert_eq!(times, [0, 0, 0, 80, 23, late[0], late[1], 120], "{base}");
            assert_eq!(steps, []);
        }
        // What is earlier than the first frame becomes 0.
        assert_eq!(placed(&[(AUDIO, 1_000), (VIDEO, 960), (VIDEO, 1_000), (VIDEO, 1_040)]).0, [0, 0, 0, 40]);
        assert_eq!(placed(&[(VIDEO_CONFIGURATION, 7_000), (VIDEO, 0), (VIDEO, 40)]).0, [0, 0, 40]);
    }

    #[test]
    fn item_162_a_step_of_more_than_10_s_is_closed_once_for_both_tracks() {
        let (times, steps) = placed(&[
            (VIDEO, 0),
            (AUDIO, 10),
            (VIDEO, 40),
            (VIDEO, 60_080),
            (AUDIO, 33),
            (AUDIO, 60_056),
            (VIDEO, 60_120),
        ]);
        assert_eq!((times, steps), (vec![0, 10, 40, 41, 33, 17, 81], vec![Step { from: 40, to: 60_080 }]));
        // Back, as after a restart of the encoder.
        let (times, steps) = placed(&[(VIDEO, 90_000), (AUDIO, 90_010), (VIDEO, 0), (AUDIO, 13), (VIDEO, 40)]);
        assert_eq!((times, steps), (vec![0, 10, 11, 24, 51], vec![Step { from: 90_010, to: 0 }]));
        // Two clocks.
        let (times, steps) = placed(&[(AUDIO, 0), (VIDEO, 24_549_835), (AUDIO, 23), (VIDEO, 24_549_875)]);
        assert_eq!((times, steps.len()), (vec![0, 1, 23, 41], 1));
        // 10 s are a pause.
        assert_eq!(
            placed(&[(VIDEO, 5), (VIDEO, 10_005), (VIDEO, 20_006)]),
            (vec![0, 10_000, 10_001], vec![Step { from: 10_005, to: 20_006 }])
        );
    }
}
