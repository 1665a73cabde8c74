//! Properties of a tunnel's first TCP connection and of its later ones.

use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::session::SessionBuffers;

use super::pair::{IMPATIENT, LIMITS, TestMemory, connect, with_devices};
use super::rtmpt::Border;
use crate::wire::Wire;

#[test]
fn a_later_connection_notices_a_dead_peer_and_continues_to_count_traffic() {
    for most in [usize::MAX, 3] {
        let (mut scratch, mut control) = (vec![0; 1536], vec![0; 1024]);
        let border = Border::new(SessionBuffers { scratch: &mut scratch, control: &mut control }, most);
        let (targets, wire) = ([Target::rtmpt(80)], Wire::new());
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        with_devices(&wire, async |first, second| {
            let mut memory = TestMemory::new();
            let client = async {
                let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
                let before = publisher.traffic();
                let mut parts = publisher.split();
                let ended = with_timeout(Duration::from_secs(4), parts.runner.run()).await;
                assert!(ended.is_err(), "{ended:?}");
                wire.cut.set(true);
                let cut = Instant::now();
                parts.runner.run().await;
                let took = cut.elapsed();
                assert!(took < IMPATIENT.timeout + Duration::from_secs(2), "{most}: {} ms", took.as_millis());
                // The handshake and more of it.
                let after = publisher.traffic();
                assert!(before.sent > 3_000 && after.sent > before.sent, "{most}: {before:?} {after:?}");
            };
            let ended = select(client, join_array([(); 6].map(|()| border.run(second)))).await;
            assert!(matches!(ended, Either::First(())));
        });
        assert!(most > 3 || border.connections.get() > 3);
    }
}
