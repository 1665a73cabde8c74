//! A peer that takes nothing any more, and resets while an answer to it must go out first.

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::session::{self, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::{ClientOptions, Error, Frame, Parts, Retry, Source, Station, StationOptions};

use super::pair::{IMPATIENT, LIMITS, TestMemory, connect, serve_until, targets, with_devices};
use crate::wire::Wire;

/// A call of `onBWDone`, which is answered with an error.
const CALL: &[u8] = b"\x03\0\0\0\0\0\x15\x14\0\0\0\0\x02\x00\x08onBWDone\x00\0\0\0\0\0\0\0\0\x05";

/// Accepts everything, and reads nothing any more as soon as it is published to; then calls, and resets.
async fn calls_and_resets(stack: Stack<'_>, calls: usize) {
    let (mut rx, mut tx, mut scratch, mut control) = ([0; 2048], [0; 8192], [0; 1536], [0; 512]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut session = session::Server::<8>::new(buffers, ServerConfig::default(), &[1; 32]).unwrap();
    socket.accept(1935).await.unwrap();
    serve_until(&mut socket, &mut session, |event| matches!(event, ServerEvent::Publish { .. })).await;
    // The publisher's ring is full then, and so is ours.
    Timer::after(Duration::from_millis(300)).await;
    for _ in 0..calls {
        let mut rest = CALL;
        while !rest.is_empty() {
            rest = &rest[socket.write(rest).await.unwrap()..];
        }
    }
    // Not all of them are taken in.
    let _ = with_timeout(Duration::from_millis(500), socket.flush()).await;
    socket.abort();
    let _ = socket.flush().await;
    std::future::pending().await
}

/// How sending and the runner end.
fn reset_after(calls: usize) -> (Error, Error) {
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut video, .. } = publisher.split();
            let send = async { video.send(Timestamp(0), &[1; 100_000]).await.unwrap_err() };
            with_timeout(Duration::from_secs(15), join(send, runner.run())).await.expect("it is noticed")
        };
        match select(client, calls_and_resets(second, calls)).await {
            Either::First(errors) => errors,
            Either::Second(()) => unreachable!(),
        }
    })
}

#[test]
fn a_reset_behind_calls_that_cannot_be_answered_is_noticed() {
    assert_eq!(reset_after(0), (Error::Lost, Error::Lost));
    assert_eq!(reset_after(30), (Error::Lost, Error::Lost));
}

/// Large pictures, without an end.
struct Pictures(u32);

impl Source for Pictures {
    fn header(&mut self, _: usize) -> Option<Frame<'_>> {
        None
    }

    async fn next(&mut self) -> Option<Frame<'_>> {
        self.0 += 1;
        Timer::after(Duration::from_millis(40)).await;
        Some(Frame::new(MessageKind::VIDEO, Timestamp(self.0 * 40), &[&[0x17, 1, 0, 0, 0], &[7; 5_000]]))
    }
}

#[test]
fn a_station_notices_a_reset_behind_calls_that_cannot_be_answered() {
    let result = with_devices(&Wire::new(), async |first, second| {
        let client = ClientOptions { keep_alive: IMPATIENT, ..Default::default() };
        let retry = Retry { limit: Duration::MIN, ..Default::default() };
        let options = StationOptions { client, limits: LIMITS, retry, ..Default::default() };
        let (mut memory, mut entropy) = (TestMemory::new(), || [7; 32]);
        let mut station = Station::new(first, &mut memory, &mut entropy, &options);
        let mut pictures = Pictures(0);
        let publishing = station.publish("rtmp://10.0.0.2:1935/live/test", &mut pictures);
        match select(with_timeout(Duration::from_secs(20), publishing), calls_and_resets(second, 30)).await {
            Either::First(result) => result.expect("it is noticed"),
            Either::Second(()) => unreachable!(),
        }
    });
    assert_eq!(result, Err(Error::Lost));
}
