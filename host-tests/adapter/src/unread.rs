//! A peer that stops reading, and resets the connection while an answer to it must be sent first.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::session::{self, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::{Error, Parts, Phase};

use super::live::{Bench, config_to, send, until};
use super::pair::{LIMITS, TestMemory, connect, serve_until, targets, with_devices};
use crate::wire::Wire;

/// A call of `onBWDone`, which is answered with an error.
const CALL: &[u8] = b"\x03\0\0\0\0\0\x15\x14\0\0\0\0\x02\x00\x08onBWDone\x00\0\0\0\0\0\0\0\0\x05";

/// A server that accepts everything and stops reading when publishing begins. Then it sends calls, and resets.
async fn calls_and_resets(stack: Stack<'_>, calls: usize) {
    let (mut rx, mut tx, mut scratch, mut control) = ([0; 2048], [0; 8192], [0; 1536], [0; 512]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut session = session::Server::<8>::new(buffers, ServerConfig::default(), &[1; 32]).unwrap();
    socket.accept(1935).await.unwrap();
    serve_until(&mut socket, &mut session, |event| matches!(event, ServerEvent::Publish { .. })).await;
    // By then the publisher's ring is full, and so is ours.
    Timer::after(Duration::from_millis(300)).await;
    for _ in 0..calls {
        let mut rest = CALL;
        while !rest.is_empty() {
            rest = &rest[socket.write(rest).await.unwrap()..];
        }
    }
    // The publisher does not read all of them.
    let _ = with_timeout(Duration::from_millis(500), socket.flush()).await;
    socket.abort();
    let _ = socket.flush().await;
    std::future::pending().await
}

/// Returns the results of sending and of the runner.
fn reset_after(calls: usize) -> (Error, Error) {
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let send = async { video.send(Timestamp(0), &[1; 100_000]).await.unwrap_err() };
            with_timeout(Duration::from_secs(15), join(send, runner.run())).await.expect("the reset is noticed")
        };
        match select(client, calls_and_resets(second, calls)).await {
            Either::First(errors) => errors,
            Either::Second(()) => unreachable!(),
        }
    })
}

#[test]
fn a_reset_after_calls_that_cannot_be_answered_is_noticed() {
    assert_eq!(reset_after(0), (Error::Lost, Error::Lost));
    assert_eq!(reset_after(30), (Error::Lost, Error::Lost));
}

#[test]
fn a_live_stream_notices_a_reset_after_calls_that_cannot_be_answered() {
    let mut bench = Bench::new(Wire::new());
    let stack = bench.second;
    bench.spawn(async move { calls_and_resets(stack, 30).await });
    let mut config = config_to("rtmp://10.0.0.2:1935/live/test");
    config.retry.limit = Some(Duration::MIN);
    let mut live = bench.live(config);
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        for number in 0.. {
            Timer::after(Duration::from_millis(40)).await;
            send(&live, number * 40, true, &[0x65; 5_000]).await;
            if live.status().phase == Phase::Stopped {
                break;
            }
        }
        assert_eq!(live.status().last_error, Some(Error::Lost));
    });
}
