//! Time limits at the ends of their ranges.

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, KeepAlive, Phase, Publisher, Retry, SendOutcome, Server, ServerOptions, Stopped,
};

use super::live::{Bench, config_to, send, until};
use super::pair::{Recorded, TestMemory, URL, targets, with_devices};
use crate::flv::VIDEO;
use crate::wire::Wire;

pub(crate) const NO_END: KeepAlive = KeepAlive { interval: Duration::MAX, timeout: Duration::MAX };

const ENDLESS: Limits = Limits {
    attempt: std::time::Duration::MAX,
    tcp: std::time::Duration::MAX,
    handshake: std::time::Duration::MAX,
    total: std::time::Duration::MAX,
    stagger: Some(std::time::Duration::MAX),
    ..Limits::SEQUENTIAL
};

#[test]
fn item_191_unlimited_durations_never_time_out() {
    let (recorded, wire) = (Recorded::default(), Wire::new());
    with_devices(&wire, async |first, second| {
        let mut memory: Box<[TestMemory; 2]> = Box::new([const { TestMemory::new() }; 2]);
        let mut options = ServerOptions { keep_alive: NO_END, ..Default::default() };
        // The publisher sends nothing for a minute.
        options.session.media_timeout = None;
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
        };
        assert!(matches!(select(client, server.run(&mut recorder)).await, Either::First(())));
    });
    assert_eq!(recorded.kinds(0), [VIDEO]);
}

#[test]
fn item_191_a_live_stream_accepts_unlimited_durations() {
    let mut bench = Bench::new(Wire::new());
    let mut config = config_to("rtmp://10.0.0.2:1935/live/test");
    config.client = &const { ClientOptions { keep_alive: NO_END, ..ClientOptions::DEFAULT } };
    config.limits = &ENDLESS;
    config.retry = Retry { limit: Some(Duration::MAX), first: Duration::MAX, longest: Duration::MAX };
    (config.send_timeout, config.stop_timeout) = (Duration::MAX, Duration::MAX);
    config.stall_timeout = Some(Duration::MAX);
    let (_recorded, mut live) = (bench.serve(), bench.live(config));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(send(&live, 0, true, &[0x65; 30_000]).await, SendOutcome::Sent);
        Timer::after(Duration::from_secs(30)).await;
        assert_eq!(live.stop().await, Stopped::InOrder);
    });
}
