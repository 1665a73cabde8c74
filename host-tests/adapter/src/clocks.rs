//! Sources whose clock starts again or pauses.

use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::{DropReason, Phase, Picture, SendOutcome};

use super::live::{Bench, config_to, until};
use super::pair::URL;
use crate::wire::Wire;

/// Publishes a picture every 40 ms. Each tenth picture is a keyframe. `time` returns the time of a picture in microseconds.
/// `pause` is the time before picture 25. Returns the pictures that were dropped.
fn dropped(pause: Duration, time: impl Fn(u64) -> u64 + 'static) -> Vec<u64> {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let mut dropped = Vec::new();
        for number in 0..75 {
            Timer::after(if number == 25 { pause } else { Duration::from_millis(40) }).await;
            let (at, is_key) = (time(number), number % 10 == 0);
            let slice: &[u8] = if is_key { &[0x65; 200] } else { &[0x41; 100] };
            match live.video().send(Picture::new(at, at, is_key, &[slice])).await {
                SendOutcome::Sent => {}
                outcome => {
                    assert_eq!(outcome, SendOutcome::Dropped(DropReason::Late));
                    dropped.push(number);
                }
            }
        }
        let counters = live.status().counters;
        assert_eq!((counters.video.dropped as usize, counters.connections), (dropped.len(), 1));
        dropped
    })
}

const FRAME: Duration = Duration::from_millis(40);

#[test]
fn item_192_a_source_that_pauses_loses_nothing() {
    for pause in [1_500, 5_000, 8_000].map(Duration::from_millis) {
        // The clock of the source does not count the pause, or counts it.
        assert_eq!(dropped(pause, |number| number * 40_000), []);
        let gap = pause.as_micros() - 40_000;
        assert_eq!(dropped(pause, move |number| number * 40_000 + if number < 25 { 0 } else { gap }), []);
    }
}

#[test]
fn item_192_after_a_clock_starts_again_the_stream_continues_at_the_next_keyframe() {
    // Microseconds in 32 bits, 90 kHz in 33 bits, and a reset of the encoder.
    let ends = [1 << 32, (1_u64 << 33) * 1_000_000 / 90_000, 7_000_000_000_000];
    let counted_from = |end| move |number| (end - 1_000_000 + number * 40_000) % end;
    for end in ends {
        assert_eq!(dropped(FRAME, counted_from(end)), [25, 26, 27, 28, 29]);
    }
    // Milliseconds in 32 bits wrap as timestamps do.
    assert_eq!(dropped(FRAME, counted_from((1 << 32) * 1_000)), []);
}
