//! Time limits at the ends of their ranges.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, Clip, KeepAlive, Publisher, Retry, Server, ServerOptions, Station, StationOptions,
};

use super::pair::{Recorded, TestMemory, URL, targets, with_devices};
use crate::clip::BUNDLED;
use crate::flv::VIDEO;
use crate::wire::Wire;

const NO_END: KeepAlive = KeepAlive { interval: Duration::MAX, timeout: Duration::MAX };

const ENDLESS: Limits = Limits {
    attempt: std::time::Duration::MAX,
    tcp: std::time::Duration::MAX,
    handshake: std::time::Duration::MAX,
    total: std::time::Duration::MAX,
    stagger: Some(std::time::Duration::MAX),
    ..Limits::SEQUENTIAL
};

#[test]
fn limits_without_an_end_never_come() {
    let (recorded, wire) = (Recorded::default(), Wire::new());
    with_devices(&wire, async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let options = ServerOptions { keep_alive: NO_END, ..Default::default() };
        let mut server = Server::<2>::new(second, &[1935], &mut memory, &options).unwrap();
        let mut recorder = recorded.recorder();
        let client = async {
            let (targets, mut memory) = (targets([1935]), TestMemory::new());
            let mut plan = Plan::new(&targets, ENDLESS).unwrap();
            let options = ClientOptions { keep_alive: NO_END, ..Default::default() };
            let url = Url::parse(URL).unwrap();
            let publisher = Publisher::<8>::connect(first, &url, &mut plan, &options, &mut memory, || [7; 32]);
            let mut publisher = publisher.await.unwrap();
            let mut parts = publisher.split();
            assert!(with_timeout(Duration::from_secs(60), parts.runner.run()).await.is_err());
            let send = async {
                parts.video.send(Timestamp(60_000), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
                Timer::after(Duration::from_millis(100)).await;
            };
            assert!(matches!(select(send, parts.runner.run()).await, Either::First(())));
            publisher.close().await.unwrap();

            let client = ClientOptions { keep_alive: NO_END, ..Default::default() };
            let retry = Retry { limit: Duration::MAX, first: Duration::MAX, longest: Duration::MAX };
            let options = StationOptions { client, limits: ENDLESS, retry, ..Default::default() };
            let (mut memory, mut entropy) = (TestMemory::new(), || [7; 32]);
            let mut station = Station::new(first, &mut memory, &mut entropy, &options);
            station.publish("rtmp://10.0.0.2:1935/live/test", &mut Clip::new(BUNDLED, 1).unwrap()).await.unwrap();
        };
        assert!(matches!(select(client, server.run(&mut recorder)).await, Either::First(())));
    });
    assert_eq!(recorded.kinds(0), [VIDEO]);
    assert_eq!(recorded.kinds(1).len(), 277);
}
