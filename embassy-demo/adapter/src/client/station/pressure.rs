//! Which frames are left out when the server, or the way to it, is slower than the source.
//!
//! How late a frame is, is found here; what that means for it, the core's [`DropPolicy`] says.

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::pressure::{DropLimits, DropPolicy};

/// Half a second, one second, four seconds.
pub(super) const LIVE: DropLimits = DropLimits { disposable: 500, video: 1_000, audio: 4_000 };
/// Nothing is ever too late.
const PATIENT: DropLimits = DropLimits { disposable: u32::MAX, video: u32::MAX, audio: u32::MAX };

/// The judgement, frame by frame.
pub(super) struct Pressure {
    policy: DropPolicy,
    lateness: Lateness,
}

impl Pressure {
    pub(super) fn new(limits: Option<DropLimits>) -> Self {
        Self { policy: DropPolicy::new(limits.unwrap_or(PATIENT)), lateness: Lateness::default() }
    }

    /// A new server has seen no keyframe yet.
    pub(super) fn begin(&mut self) {
        self.policy.await_keyframe();
    }

    /// Whether a frame with these first bytes is to be sent. `now` in milliseconds, modulo 2³².
    pub(super) fn admits(&mut self, kind: MessageKind, timestamp: Timestamp, start: &[u8], now: u32) -> bool {
        let late = self.lateness.of(timestamp, now);
        self.policy.admit(FrameClass::of(kind, start), late)
    }
}

/// How late frames are: how much more time has passed since the first one than the timestamp says.
///
/// The source's clock and ours differ by a constant, and drift apart: so the least difference of late counts as none,
/// and grows by a thousandth of the time, which is more than clocks drift.
#[derive(Default)]
struct Lateness {
    /// Our time less the source's, when frames are in time; and when that was found.
    least: Option<(u32, u32)>,
}

impl Lateness {
    /// Milliseconds.
    fn of(&mut self, timestamp: Timestamp, now: u32) -> u32 {
        let difference = now.wrapping_sub(timestamp.0);
        let (least, at) = *self.least.get_or_insert((difference, now));
        let drift = now.wrapping_sub(at) / 1024;
        let least = least.wrapping_add(drift);
        let late = difference.wrapping_sub(least);
        if late as i32 <= 0 {
            self.least = Some((difference, now));
            return 0;
        }
        if drift > 0 {
            self.least = Some((least, at.wrapping_add(drift.wrapping_mul(1024))));
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 9, 0x65];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41];
    const DISPOSABLE: &[u8] = &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x01];
    const HEADER: &[u8] = &[0x17, 0, 0, 0, 0];
    const SOUND: &[u8] = &[0xAF, 1];

    fn begun(limits: Option<DropLimits>) -> Pressure {
        let mut pressure = Pressure::new(limits);
        pressure.begin();
        pressure
    }

    fn video(pressure: &mut Pressure, at: u32, start: &[u8], now: u32) -> bool {
        pressure.admits(MessageKind::VIDEO, Timestamp(at), start, now)
    }

    #[test]
    fn pictures_begin_with_a_keyframe() {
        let mut pressure = begun(None);
        assert!(!video(&mut pressure, 0, INTER, 0));
        assert!(video(&mut pressure, 0, HEADER, 0), "the configuration is no picture");
        assert!(video(&mut pressure, 40, KEY, 40) && video(&mut pressure, 80, INTER, 80));
        pressure.begin();
        assert!(!video(&mut pressure, 120, INTER, 120));
        assert!(pressure.admits(MessageKind::AUDIO, Timestamp(120), SOUND, 120), "sound does not wait");
    }

    #[test]
    fn the_least_missed_goes_first() {
        let mut pressure = begun(Some(LIVE));
        // The time stands still, so that there is no drift.
        let now = 5_000;
        assert!(video(&mut pressure, now, KEY, now));
        // (lateness, disposable, inter, audio)
        for (late, disposable, inter, audio) in [
            (500, true, true, true),
            (501, false, true, true),
            (1_000, false, true, true),
            (1_001, false, false, true),
            (0, false, false, true), // until the next keyframe
            (4_000, false, false, true),
            (4_001, false, false, false),
        ] {
            let at = now - late;
            assert_eq!(video(&mut pressure, at, DISPOSABLE, now), disposable, "{late}");
            assert_eq!(video(&mut pressure, at, INTER, now), inter, "{late}");
            assert_eq!(pressure.admits(MessageKind::AUDIO, Timestamp(at), SOUND, now), audio, "{late}");
            assert!(
                pressure.admits(MessageKind::DATA, Timestamp(at), b"\x02", now)
                    && video(&mut pressure, at, HEADER, now)
            );
        }
        assert!(!video(&mut pressure, now - 1_001, KEY, now), "too late for a keyframe, too");
        assert!(video(&mut pressure, now - 1_000, KEY, now) && video(&mut pressure, now - 1_000, INTER, now));
    }

    #[test]
    fn without_patience_nothing_is_late() {
        let mut pressure = begun(None);
        assert!(video(&mut pressure, 0, KEY, 0) && video(&mut pressure, 40, DISPOSABLE, 1_000_000));
    }

    #[test]
    fn clocks_that_drift_are_not_late_and_neither_is_one_that_goes_round() {
        let mut lateness = Lateness::default();
        // Ours is quicker by 200 millionths; half an hour, over the end of both counters.
        for tick in 0..45_000_u32 {
            let timestamp = Timestamp(0xFFFF_0000_u32.wrapping_add(tick * 40));
            let now = 0xFFFF_8000_u32.wrapping_add(tick * 40 + tick / 125);
            assert!(lateness.of(timestamp, now) <= 1, "{tick}");
        }
        // What is late for a while is so until the source has caught up.
        let (timestamp, on_time) = (0xFFFF_0000_u32.wrapping_add(1_800_000), 0xFFFF_8000_u32.wrapping_add(1_800_360));
        let late = lateness.of(Timestamp(timestamp), on_time.wrapping_add(2_000));
        assert!((1_990..=2_001).contains(&late), "{late}");
    }
}
