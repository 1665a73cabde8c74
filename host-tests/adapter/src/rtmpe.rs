//! RTMPE and RTMPTE between two devices.

use embassy_futures::join::join3;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Outcome, Target};
use embedded_rtmp_embassy::embedded_rtmp::tunnel::TunnelConfig;
use embedded_rtmp_embassy::{ClientOptions, End, test_ports};

use super::pair::{LIMITS, Recorded, TestMemory, URL, clip, with_devices};
use super::tunnels::{Watch, plays, publishes, while_serving};
use crate::compare::compare;
use crate::flv;
use crate::wire::Wire;

const DIRECT: Target = Target::rtmpe(80);
const TUNNEL: Target = Target::rtmpte(80);

#[test]
fn item_210_devices_publish_and_play_over_rtmpe_and_rtmpte() {
    let clip = clip();
    for publisher in [DIRECT, TUNNEL] {
        let (recorded, mut watches) = (Recorded::default(), [(); 2].map(|()| Watch::default()));
        let [one, two] = &mut watches;
        with_devices(&Wire::new(), async |first, second| {
            let clients = join3(plays(first, DIRECT, one), plays(first, TUNNEL, two), async {
                // The players connect first. The limit is two agreements per second.
                Timer::after(Duration::from_millis(1_500)).await;
                Box::pin(publishes(first, URL, publisher, &clip, true)).await;
            });
            let ((one, two, ()), _) = while_serving(second, TunnelConfig::new(), &recorded, clients).await;
            assert_eq!([one, two], [Ok(End::Unpublished); 2]);
        });
        for watch in &watches {
            compare(&clip, &watch.tags()).unwrap();
        }
        compare(&clip, &flv::read(&recorded.file(0)).unwrap()).unwrap();
    }
}

#[test]
fn item_211_a_flood_of_key_agreements_does_not_harm_a_stream() {
    let (recorded, clip) = (Recorded::default(), clip());
    let (mut agreements, mut began) = (0, None);
    with_devices(&Wire::new(), async |first, second| {
        let mut memory = TestMemory::new();
        let flood = async {
            began = Some(Instant::now());
            loop {
                let options = ClientOptions::default();
                let test = test_ports(
                    first,
                    "10.0.0.2",
                    &[DIRECT],
                    LIMITS,
                    &options,
                    &mut memory,
                    || [7; 32],
                    |report| {
                        agreements += u32::from(report.outcome == Outcome::Connected);
                    },
                );
                test.await.unwrap();
            }
        };
        let stream = Box::pin(publishes(first, URL, Target::rtmp(80), &clip, true));
        let clients = async {
            let Either::First(()) = select(stream, Box::pin(flood)).await;
        };
        while_serving(second, TunnelConfig::new(), &recorded, clients).await;
    });
    compare(&clip, &flv::read(&recorded.file(0)).unwrap()).unwrap();
    let seconds = began.unwrap().elapsed().as_millis() as u32 / 1_000 + 1;
    assert!(agreements >= 4 && agreements <= 2 * seconds + 1, "{agreements} agreements in {seconds} s");
}
