//! Servers that accept a stream and then take no bytes.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::{State, TcpSocket};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::message::MessageKind;
use embedded_rtmp_embassy::embedded_rtmp::session::{self, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::{ClientOptions, Config, DropReason, Error, Phase, SendOutcome};

use super::limits::NO_END;
use super::live::{Bench, config_to, send, until};
use super::pair::{URL, serve_until};
use crate::wire::Wire;

/// A server on `port` that accepts every stream, and then reads up to `bytes` bytes each second. With 0, its TCP window stays closed.
async fn reads_slowly(stack: Stack<'static>, port: u16, bytes: usize) {
    loop {
        let (mut rx, mut tx, mut scratch, mut control) = ([0; 2048], [0; 2048], [0; 1536], [0; 512]);
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
        let mut session = session::Server::<8>::new(buffers, ServerConfig::default(), &[1; 32]).unwrap();
        socket.accept(port).await.unwrap();
        serve_until(&mut socket, &mut session, |event| matches!(event, ServerEvent::Publish { .. })).await;
        for fiftieth in 1_u32.. {
            Timer::after(Duration::from_millis(20)).await;
            if socket.state() != State::Established {
                break;
            }
            if bytes > 0 && fiftieth % 50 == 0 && socket.can_recv() {
                let _ = socket.read(&mut [0; 2048][..bytes]).await;
            }
        }
        socket.abort();
        let _ = socket.flush().await;
    }
}

/// With these limits, the keep-alive of TCP does not end the connection.
const PATIENT: &ClientOptions<'_> = &ClientOptions { keep_alive: NO_END, ..ClientOptions::DEFAULT };

/// Publishes pictures of 1,000 bytes every 40 ms to such a server for `seconds`, or until the connection is lost. If it was
/// lost, returns the number of seconds that it lasted.
fn lasts(bytes: usize, seconds: u64, change: impl Fn(&mut Config)) -> Option<u64> {
    let mut bench = Bench::new(Wire::new());
    let stack = bench.second;
    bench.spawn(reads_slowly(stack, 1935, bytes));
    let mut config = config_to(URL);
    config.client = PATIENT;
    change(&mut config);
    let mut live = bench.live(config);
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let (start, sending) = (Instant::now(), live.clone());
        let pictures = async {
            let mut outcomes = Vec::new();
            for number in 0.. {
                Timer::at(start + Duration::from_millis(number * 40)).await;
                outcomes.push(send(&sending, number * 40, true, &[0x65; 1_000]).await);
                if start.elapsed() > Duration::from_secs(seconds) || sending.status().phase != Phase::Live {
                    break;
                }
            }
            outcomes
        };
        let outcomes = pictures.await;
        let (status, elapsed) = (live.status(), start.elapsed());
        let sent = outcomes.iter().filter(|outcome| **outcome == SendOutcome::Sent).count();
        assert_eq!(status.counters.video.sent as usize, sent);
        assert_eq!(status.counters.video.dropped as usize, outcomes.len() - sent);
        if status.phase == Phase::Live {
            assert_eq!((status.last_error, status.counters.stalls), (None, 0));
            return None;
        }
        assert_eq!(outcomes.last(), Some(&SendOutcome::Dropped(DropReason::Offline)));
        assert_eq!(status.counters.stalls, 1);
        // The next attempt follows.
        let connected = select(until(&mut live, Phase::Live), Timer::after(Duration::from_secs(1))).await;
        assert!(matches!(connected, Either::First(())));
        let status = live.status();
        assert_eq!((status.last_error, status.counters.connections), (Some(Error::Stalled), 2));
        Some(elapsed.as_secs())
    })
}

#[test]
fn item_190_a_server_that_takes_no_bytes_for_10_s_is_given_up() {
    assert_eq!(lasts(0, 15, |_| {}), Some(10));
    assert_eq!(lasts(0, 15, |config| config.client = &ClientOptions::DEFAULT), Some(10));
}

#[test]
fn item_190_a_send_that_waits_without_a_limit_ends_too() {
    let patient = |config: &mut Config| (config.send_timeout, config.drop_limits) = (Duration::MAX, None);
    assert_eq!(lasts(0, 15, patient), Some(10));
}

#[test]
fn item_190_the_limit_is_configurable() {
    assert_eq!(lasts(0, 15, |config| config.stall_timeout = Some(Duration::from_secs(3))), Some(3));
    assert_eq!(lasts(0, 30, |config| config.stall_timeout = None), None);
    assert_eq!(lasts(0, 30, |config| config.stall_timeout = Some(Duration::MAX)), None);
}

#[test]
fn item_190_a_server_that_is_slow_is_not_given_up() {
    assert_eq!(lasts(2_048, 40, |_| {}), None);
}

#[test]
fn item_190_a_stalled_destination_keeps_no_picture_for_longer_than_its_limit_and_is_given_up() {
    const PICTURES: u64 = 400;
    let mut bench = Bench::new(Wire::new());
    let (recorded, stack) = (bench.serve(), bench.second);
    bench.spawn(reads_slowly(stack, 80, 0));
    let mut good = bench.live(config_to(URL));
    let mut config = config_to("rtmp://10.0.0.2:80/live/test");
    (config.client, config.send_timeout) = (PATIENT, Duration::from_millis(500));
    let mut stalled = bench.live(config);
    bench.run(async move {
        until(&mut good, Phase::Live).await;
        until(&mut stalled, Phase::Live).await;
        let (mut late, mut longest) = (0, Duration::MIN);
        for number in 0..PICTURES {
            let begin = Instant::now();
            let picture: &[u8] = &[0x65; 1_000];
            let sends = join(send(&good, number * 40, true, picture), send(&stalled, number * 40, true, picture));
            let (sent, dropped) = sends.await;
            assert_eq!(sent, SendOutcome::Sent, "picture {number}");
            late += u32::from(dropped == SendOutcome::Dropped(DropReason::Late));
            longest = longest.max(begin.elapsed());
            Timer::at(begin + Duration::from_millis(40)).await;
        }
        assert!(late > 0 && (500..510).contains(&longest.as_millis()), "{late} {longest}");
        // Each stream has its own status. The stalled one has connected again.
        let (good, stalled) = (good.status(), stalled.status());
        assert_eq!((good.counters.connections, u64::from(good.counters.video.sent)), (1, PICTURES));
        assert_eq!((stalled.counters.stalls, stalled.last_error), (1, Some(Error::Stalled)));
        assert_eq!(recorded.kinds(0).iter().filter(|kind| **kind == MessageKind::VIDEO).count() as u64, PICTURES + 1);
    });
}

#[test]
fn item_190_a_pause_of_the_source_is_not_a_stall() {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(send(&live, 0, true, &[0x65; 1_000]).await, SendOutcome::Sent);
        Timer::after(Duration::from_secs(15)).await;
        // More than the send ring holds.
        assert_eq!(send(&live, 15_000, true, &[0x65; 20_000]).await, SendOutcome::Sent);
        let counters = live.status().counters;
        assert_eq!((counters.stalls, counters.connections), (0, 1));
    });
}
