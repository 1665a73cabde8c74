//! From the source's clock to the timestamps of the stream, and how late a message is.

use embedded_rtmp::message::Timestamp;

use super::slot::DATA;

/// A message may be earlier than the one before it by this many milliseconds. It is then sent with the same timestamp.
const JITTER: i32 = 500;
/// A clock that advances by this many milliseconds more than ours, from one message to the next, has jumped.
const LEAP: i32 = 5_000;

/// The time line of a stream. It begins at 0 with the first message and continues across connections.
///
/// ```text
///              first message                 jump                    keyframe
///   not begun ───────────────► running ───────────────► broken ─────────────────► running, from where it was
/// ```
///
/// All times in milliseconds are modulo 2³².
pub(super) struct Timeline {
    /// The source's time when the timestamp was 0.
    zero: u32,
    has_begun: bool,
    is_broken: bool,
    /// For each slot of audio and video: the timestamp of the last message, and our time when it was sent.
    last: [(u32, u32); DATA],
    /// The latest timestamp of all slots, and our time when it was sent.
    latest: (u32, u32),
}

impl Timeline {
    /// A time line that has not begun.
    pub(super) const NEW: Self =
        Self { zero: 0, has_begun: false, is_broken: false, last: [(0, 0); DATA], latest: (0, 0) };

    /// Returns the timestamp of a message of a slot that the source made at `time`, in microseconds of its clock. `now` is
    /// our time in milliseconds.
    ///
    /// Returns `None` after the source's clock has jumped, until a message with `may_continue`, such as a keyframe.
    pub(super) fn place(&mut self, slot: usize, time: u64, may_continue: bool, now: u32) -> Option<Timestamp> {
        let time = (time / 1_000) as u32;
        if !self.has_begun {
            let (last, latest) = ([(0, now); DATA], (0, now));
            *self = Self { zero: time, has_begun: true, is_broken: false, last, latest };
        }
        let (last, at) = self.last.get(slot).copied().unwrap_or_default();
        let mut millis = time.wrapping_sub(self.zero);
        let step = millis.wrapping_sub(last) as i32;
        let elapsed = now.wrapping_sub(at) as i32;
        self.is_broken |= step < -JITTER || step.saturating_sub(elapsed) > LEAP;
        if self.is_broken {
            if !may_continue {
                return None;
            }
            let (latest, at) = self.latest;
            millis = latest.wrapping_add(now.wrapping_sub(at)).wrapping_add(1);
            self.zero = time.wrapping_sub(millis);
            self.is_broken = false;
            (self.last, self.latest) = ([(millis, now); DATA], (millis, now));
        } else if step < 0 {
            millis = last;
        }
        if let Some(place) = self.last.get_mut(slot) {
            *place = (millis, now);
        }
        if (millis.wrapping_sub(self.latest.0) as i32) >= 0 {
            self.latest = (millis, now);
        }
        Some(Timestamp(millis))
    }

    /// Returns the latest timestamp so far.
    pub(super) const fn position(&self) -> Timestamp {
        Timestamp(self.latest.0)
    }
}

/// Measures how late the messages of one kind are because messages waited for the connection.
///
/// The source's clock and ours differ by an unknown offset, and drift apart. Therefore a message with the least difference
/// counts as on time. The least difference grows by 1/1024 of the time, which is more than clocks drift. If a difference
/// grows by more than messages have waited, the source has paused or was slow. The least difference then grows by the
/// excess.
pub(super) struct Lateness {
    /// Our time minus the source's time for a message that is on time, and our time when it was measured.
    least: Option<(u32, u32)>,
    late: u32,
    /// When the last message was measured, and how long messages had waited in total by then.
    measured_at: u32,
    waited: u32,
}

impl Lateness {
    pub(super) const NEW: Self = Self { least: None, late: 0, measured_at: 0, waited: 0 };

    /// Returns how late a message is that is sent `now`. `waited` is how long messages have waited in total so far. All
    /// times are in milliseconds, modulo 2³².
    pub(super) fn of(&mut self, timestamp: Timestamp, now: u32, waited: u32) -> u32 {
        let difference = now.wrapping_sub(timestamp.0);
        let (least, at) = self.least.unwrap_or((difference, now));
        let drift = now.wrapping_sub(at) / 1024;
        let late = difference.wrapping_sub(least).wrapping_sub(drift);
        let most = self.late.saturating_add(waited.wrapping_sub(self.waited));
        self.late = if (late as i32) < 0 { 0 } else { late.min(most) };
        // A drift of less than 1 ms is left for the next message.
        let at = if self.late == late { at.wrapping_add(drift.wrapping_mul(1024)) } else { now };
        self.least = Some((difference.wrapping_sub(self.late), at));
        (self.measured_at, self.waited) = (now, waited);
        self.late
    }

    /// Returns how late the last message was, less the time that has passed since.
    #[cfg(feature = "thumbnail")]
    pub(super) fn decayed(&self, now: u32) -> u32 {
        self.late.saturating_sub(self.since_measured(now))
    }

    /// Returns how long it is since the last message was measured.
    pub(super) const fn since_measured(&self, now: u32) -> u32 {
        now.wrapping_sub(self.measured_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::{AUDIO, VIDEO};
    use super::*;

    #[test]
    fn the_first_message_is_at_zero_whatever_the_clock_of_the_source_says() {
        let mut timeline = Timeline::NEW;
        let base = 7_000_000_000_000;
        assert_eq!(timeline.place(AUDIO, base, false, 50), Some(Timestamp(0)));
        assert_eq!(timeline.place(VIDEO, base + 40_900, true, 90), Some(Timestamp(40)));
        // A time shortly before zero.
        assert_eq!(timeline.place(AUDIO, base - 20_000, false, 91), Some(Timestamp(0)));
        assert_eq!(timeline.position(), Timestamp(40));
    }

    #[test]
    fn a_clock_that_begins_again_continues_at_the_next_keyframe() {
        let mut timeline = Timeline::NEW;
        timeline.place(VIDEO, 90_000_000, true, 1_000);
        assert_eq!(timeline.place(VIDEO, 91_000_000, false, 2_000), Some(Timestamp(1_000)));
        assert_eq!(timeline.place(VIDEO, 0, false, 2_040), None);
        assert_eq!(timeline.place(AUDIO, 20_000, false, 2_060), None);
        assert_eq!(timeline.place(VIDEO, 80_000, true, 2_120), Some(Timestamp(1_121)));
        assert_eq!(timeline.place(AUDIO, 90_000, false, 2_130), Some(Timestamp(1_131)));
    }

    #[test]
    fn a_clock_that_jumps_ahead_continues_at_the_next_keyframe() {
        let mut timeline = Timeline::NEW;
        timeline.place(VIDEO, 0, true, 0);
        assert_eq!(timeline.place(VIDEO, 3_600_000_000, false, 40), None);
        assert_eq!(timeline.place(VIDEO, 3_600_040_000, true, 80), Some(Timestamp(81)));
        // A pause is not a jump. A source that is faster than real time does not jump either.
        assert_eq!(timeline.place(VIDEO, 3_700_040_000, false, 100_080), Some(Timestamp(100_081)));
        assert_eq!(timeline.place(VIDEO, 3_704_040_000, false, 100_081), Some(Timestamp(104_081)));
    }

    #[test]
    fn timestamps_wrap_with_the_protocol() {
        let mut timeline = Timeline::NEW;
        let mut expected = 0_u32;
        // Sixty days in steps of an hour.
        for hour in 0..1_440_u64 {
            let now = (hour * 3_600_000) as u32;
            assert_eq!(timeline.place(VIDEO, hour * 3_600_000_000, false, now), Some(Timestamp(expected)));
            // There is no audio, whose last timestamp would be half of the range away after 25 days.
            assert_eq!(timeline.position(), Timestamp(expected));
            expected = expected.wrapping_add(3_600_000);
        }
    }

    #[test]
    fn clocks_that_drift_are_not_late_and_neither_is_one_that_wraps() {
        let mut lateness = Lateness::NEW;
        // Our clock is faster by 200 ppm. The test runs for half an hour, across the wrap of both counters.
        for tick in 0..45_000_u32 {
            let timestamp = Timestamp(0xFFFF_0000_u32.wrapping_add(tick * 40));
            let now = 0xFFFF_8000_u32.wrapping_add(tick * 40 + tick / 125);
            assert!(lateness.of(timestamp, now, tick) <= 1, "{tick}");
        }
        // Messages count as late until the source has caught up.
        let (timestamp, on_time) = (0xFFFF_0000_u32.wrapping_add(1_800_000), 0xFFFF_8000_u32.wrapping_add(1_800_360));
        let late = lateness.of(Timestamp(timestamp), on_time.wrapping_add(2_000), 45_000 + 2_000);
        assert!((1_990..=2_001).contains(&late), "{late}");
    }

    #[test]
    fn item_192_a_source_that_pauses_is_not_late_and_one_that_waited_is() {
        let mut lateness = Lateness::NEW;
        assert_eq!(lateness.of(Timestamp(0), 1_000, 0), 0);
        // Its timestamps do not count a pause of 5 s.
        assert_eq!(lateness.of(Timestamp(40), 6_040, 0), 0);
        assert_eq!(lateness.of(Timestamp(80), 6_080, 0), 0);
        // A message waited for 700 ms. The source needs three more messages to catch up.
        assert_eq!(lateness.of(Timestamp(120), 6_780, 700), 660);
        assert_eq!(lateness.of(Timestamp(320), 6_790, 700), 470);
        assert_eq!(lateness.of(Timestamp(520), 6_800, 700), 280);
        // It pauses again, and is not later than before.
        assert_eq!(lateness.of(Timestamp(560), 9_000, 700), 280);
        assert_eq!(lateness.of(Timestamp(900), 9_050, 700), 0);
    }
}
