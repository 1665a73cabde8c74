//! The times of frames, by the timestamps of RTMP. The table is in the documentation of the [module](super).

use crate::message::Timestamp;

/// How far a timestamp may go back within a track, in ms.
const BACK: i64 = 500;
/// How far a timestamp may go ahead.
pub(super) const AHEAD: i64 = 10_000;
/// How far the first timestamp of a track may be before the other track.
const START_BACK: i64 = 5_000;

/// A timestamp, and the time that it stands for.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    timestamp: Timestamp,
    time: i64,
}

impl Anchor {
    fn time_of(&self, timestamp: Timestamp) -> i64 {
        self.time.wrapping_add(i64::from(timestamp.since(self.timestamp)))
    }
}

/// The last frame of a track.
#[derive(Debug, Clone, Copy)]
struct Last {
    anchor: Anchor,
    /// Its time. That of the next frame is later.
    time: i64,
    /// The time of decoding.
    decoding: i64,
}

/// The times of a frame in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) decoding: u64,
    /// What is added to its composition time, because it is decoded early.
    pub(super) early: u32,
    pub(super) duration: u32,
}

/// The times of both tracks, in ms.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    last: [Option<Last>; 2],
    /// The duration of the last frame of each track, in ms.
    pub(super) durations: [u32; 2],
    /// The last frame of any track.
    anchor: Option<Anchor>,
    /// The latest time of any track.
    latest: i64,
}

impl Timeline {
    pub(super) const fn new() -> Self {
        Self { last: [None; 2], durations: [0; 2], anchor: None, latest: 0 }
    }

    /// Returns whether a track has frames.
    pub(super) fn has(&self, track: usize) -> bool {
        self.last.get(track).is_some_and(Option::is_some)
    }

    /// Adds a frame. Returns its times, or `None` if it is before the start.
    pub(super) fn add(&mut self, track: usize, timestamp: Timestamp) -> Option<Times> {
        let (last, duration) = (self.last.get_mut(track)?, self.durations.get_mut(track)?);
        let ahead = |from: i64| from.wrapping_add(AHEAD);
        let earliest = match last {
            Some(last) => last.time.wrapping_sub(BACK),
            None => self.latest.wrapping_sub(START_BACK),
        };
        let by_track = last.map(|last| (last.anchor.time_of(timestamp), ahead(last.time)));
        let by_other = self.anchor.map(|anchor| (anchor.time_of(timestamp), ahead(self.latest)));
        let is_near = |&(time, latest): &(i64, i64)| (earliest..=latest).contains(&time);
        let near = by_track.filter(is_near).or(by_other.filter(is_near));
        let next = last.map_or(self.latest, |last| last.time.wrapping_add(i64::from(*duration)));
        let exact = near.map_or(next, |(time, _)| time);
        let time = exact.max(last.map_or(0, |last| last.time.wrapping_add(1)));
        if exact < 0 && last.is_none() {
            return None;
        }
        let mut decoding = time;
        if let Some(last) = last {
            decoding = time.min(last.decoding.wrapping_add(i64::from(*duration).wrapping_mul(2)));
            let distance = small(decoding.wrapping_sub(last.decoding));
            *duration = distance.max(duration.saturating_sub(duration.div_ceil(8)));
        }
        let anchor = Anchor { timestamp, time: exact };
        *last = Some(Last { anchor, time, decoding });
        (self.anchor, self.latest) = (Some(anchor), self.latest.max(time));
        let early = small(time.wrapping_sub(decoding));
        Some(Times { decoding: decoding.cast_unsigned(), early, duration: *duration })
    }
}

/// A span that has at most 32 bits.
fn small(span: i64) -> u32 {
    u32::try_from(span).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{AUDIO, VIDEO};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn timeline() -> Timeline {
        Timeline { durations: [40, 23], ..Timeline::new() }
    }

    /// The times of presentation, without composition times.
    fn times(frames: impl IntoIterator<Item = (usize, u32)>) -> Vec<Option<u64>> {
        let mut timeline = timeline();
        let shown = |times: Times| times.decoding + u64::from(times.early);
        frames.into_iter().map(|(track, at)| timeline.add(track, Timestamp(at)).map(shown)).collect()
    }

    fn of_video(timestamps: &[u32]) -> Vec<u64> {
        times(timestamps.iter().map(|at| (VIDEO, *at))).into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn item_332_both_tracks_have_the_offset_of_the_first_frame() {
        let frames = [(VIDEO, 5_000), (AUDIO, 4_990), (AUDIO, 5_013), (VIDEO, 5_040), (AUDIO, 5_036), (VIDEO, 5_080)];
        assert_eq!(times(frames), [Some(0), None, Some(13), Some(40), Some(36), Some(80)], "one is before the start");
    }

    #[test]
    fn item_332_a_timestamp_that_wraps_has_no_effect() {
        assert_eq!(of_video(&[0xFFFF_FFF0, 0x18, 0x40]), [0, 0x28, 0x50]);
        // 100 days in steps of 10 s: 64 bits do not wrap.
        let (mut timeline, mut last) = (timeline(), None);
        for step in 0..864_000_u64 {
            last = timeline.add(VIDEO, Timestamp((step * 10_000) as u32));
        }
        let expected = Times { decoding: 863_999 * 10_000, early: 0, duration: 10_000 };
        assert_eq!(last, Some(expected));
    }

    #[test]
    fn item_332_a_small_step_back_is_1_ms_ahead_and_leaves_no_offset() {
        assert_eq!(of_video(&[0, 40, 30, 35, 80, 80, 120]), [0, 40, 41, 42, 80, 81, 120]);
    }

    #[test]
    fn item_332_a_jump_of_a_track_is_removed() {
        assert_eq!(of_video(&[100, 140, 3_000_000, 3_000_040]), [0, 40, 80, 120], "ahead");
        assert_eq!(of_video(&[50_000, 50_040, 0, 40]), [0, 40, 80, 120], "back");
        assert_eq!(of_video(&[0, 40, 9_040]), [0, 40, 9_040], "a gap of 9 s stays");
    }

    #[test]
    fn item_332_the_tracks_stay_in_step_if_both_jump() {
        let frames =
            [(VIDEO, 90_000), (AUDIO, 90_000), (VIDEO, 90_040), (AUDIO, 90_023), (VIDEO, 0), (AUDIO, 5), (VIDEO, 40)];
        assert_eq!(times(frames), [0, 0, 40, 23, 80, 85, 120].map(Some));
    }

    #[test]
    fn item_332_tracks_whose_timestamps_are_far_apart_each_have_an_offset() {
        let frames = [(VIDEO, 0), (AUDIO, 800_000), (VIDEO, 40), (AUDIO, 800_023), (VIDEO, 80), (AUDIO, 800_046)];
        assert_eq!(times(frames), [0, 0, 40, 23, 80, 46].map(Some));
        let behind = [(AUDIO, 800_000), (VIDEO, 10), (AUDIO, 800_023), (VIDEO, 50)];
        assert_eq!(times(behind), [0, 0, 23, 40].map(Some));
    }

    /// The times of decoding, how early that is, and the durations.
    fn decoded(timestamps: &[u32]) -> Vec<(u64, u32, u32)> {
        let mut timeline = timeline();
        let times = timestamps.iter().map(|at| timeline.add(VIDEO, Timestamp(*at)).unwrap());
        times.map(|Times { decoding, early, duration }| (decoding, early, duration)).collect()
    }

    #[test]
    fn item_332_a_duration_is_the_distance_of_the_last_two_frames() {
        assert_eq!(decoded(&[0, 40, 80, 120]), [(0, 0, 40), (40, 0, 40), (80, 0, 40), (120, 0, 40)]);
        assert_eq!(decoded(&[0, 50, 83, 117]), [(0, 0, 40), (50, 0, 50), (83, 0, 43), (117, 0, 37)]);
        // The duration of the first frame is wrong.
        assert_eq!(decoded(&[0, 8, 16, 24]).last(), Some(&(24, 0, 26)));
        // Two frames that arrive at the same time do not make a duration of 1 ms.
        assert_eq!(decoded(&[0, 40, 40, 80]), [(0, 0, 40), (40, 0, 40), (41, 0, 35), (80, 0, 39)]);
    }

    #[test]
    fn item_332_a_frame_after_a_gap_is_decoded_early_and_shown_in_time() {
        // Nine pictures are missing.
        let expected = [(0, 0, 40), (40, 0, 40), (120, 320, 80), (280, 200, 160), (520, 0, 240), (560, 0, 210)];
        assert_eq!(decoded(&[0, 40, 440, 480, 520, 560]), expected);
    }

    proptest! {
        /// Whatever the timestamps are, the times of a track increase, and Media Source Extensions find no gap.
        #[test]
        fn times_always_increase(frames: Vec<(bool, u32)>, steps: Vec<(bool, i16)>) {
            let mut at = 0_u32;
            let steps = steps.into_iter().map(|(is_audio, step)| {
                at = at.wrapping_add_signed(step.into());
                (is_audio, at)
            });
            let (mut last, mut timeline): ([Option<Times>; 2], _) = ([None; 2], timeline());
            for (is_audio, at) in frames.into_iter().chain(steps) {
                let track = usize::from(is_audio);
                let Some(times) = timeline.add(track, Timestamp(at)) else {
                    prop_assert!(last[track].is_none());
                    continue;
                };
                if let Some(last) = last[track] {
                    prop_assert!(times.decoding > last.decoding);
                    prop_assert!(times.decoding - last.decoding <= u64::from(last.duration) * 2);
                    let shown = |times: Times| times.decoding + u64::from(times.early);
                    prop_assert!(shown(times) > shown(last) && times.duration > 0);
                }
                last[track] = Some(times);
            }
        }
    }
}
