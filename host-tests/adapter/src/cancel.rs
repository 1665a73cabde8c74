//! Futures that are dropped before they are ready.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::{Error, Parts, Publisher};

use super::pair::{LIMITS, Recorded, TestMemory, connect, targets, while_serving, with_devices};
use crate::flv::{self, AUDIO, VIDEO};
use crate::wire::Wire;

/// Runs `test` on a publisher that is connected to a recording server.
fn with_publisher(recorded: &Recorded, test: impl AsyncFnOnce(Publisher<'_>)) {
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        while_serving(second, &[1935], recorded, async {
            test(connect(first, &mut plan, &mut memory).await.unwrap()).await;
        })
        .await;
    });
}

/// Polls a future once, and drops it if it is not done.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn frame() -> Vec<u8> {
    (0..30_000_u32).map(|at| (at % 241) as u8).collect()
}

#[test]
fn a_send_that_was_dropped_is_resumed_with_the_same_frame() {
    let (recorded, frame) = (Recorded::default(), frame());
    with_publisher(&recorded, async |mut publisher| {
        let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
        let work = async {
            assert_eq!(once(video.send(Timestamp(5), &frame)).await, None);
            assert!(video.is_unfinished());
            assert_eq!(video.send(Timestamp(6), &frame).await, Err(Error::Unfinished));
            assert_eq!(video.send(Timestamp(5), b"other").await, Err(Error::Unfinished));
            // Repeats this, and empties the ring in between.
            while once(video.send(Timestamp(5), &frame)).await.is_none() {
                Timer::after(Duration::from_millis(1)).await;
            }
            assert!(!video.is_unfinished());
            video.send(Timestamp(6), b"next").await.unwrap();
            audio.send(Timestamp(7), b"audio").await.unwrap();
        };
        let Either::First(()) = select(work, runner.run()).await else { panic!("the session ended") };
        publisher.close().await.unwrap();
    });
    assert_eq!(recorded.kinds(0), [VIDEO, VIDEO, AUDIO]);
    assert_eq!(flv::read(&recorded.file(0)).unwrap()[0].data, frame);
}

#[test]
fn a_send_that_was_dropped_before_its_first_byte_has_no_effect() {
    let (recorded, frame) = (Recorded::default(), frame());
    with_publisher(&recorded, async |mut publisher| {
        let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
        // The video frame fills the ring, and audio cannot begin.
        assert_eq!(once(video.send(Timestamp(5), &frame)).await, None);
        assert_eq!(once(audio.send(Timestamp(5), b"never sent")).await, None);
        assert!(!audio.is_unfinished());
        let work = async {
            // No sender waits for the audio frame that was dropped.
            video.send(Timestamp(5), &frame).await.unwrap();
            audio.send(Timestamp(8), b"sent").await.unwrap();
        };
        let Either::First(()) = select(work, runner.run()).await else { panic!("the session ended") };
        publisher.close().await.unwrap();
    });
    assert_eq!(recorded.kinds(0), [VIDEO, AUDIO]);
    assert_eq!(flv::read(&recorded.file(0)).unwrap()[1].data, b"sent");
}

#[test]
fn a_runner_that_was_dropped_can_run_again() {
    let (recorded, frame) = (Recorded::default(), frame());
    with_publisher(&recorded, async |mut publisher| {
        let Parts { mut runner, mut video, .. } = publisher.split();
        {
            let mut send = pin!(video.send(Timestamp(5), &frame));
            let mut rounds = 0;
            while once(&mut send).await.is_none() {
                let pause = select(runner.run(), Timer::after(Duration::from_millis(1)));
                assert!(matches!(pause.await, Either::Second(())));
                rounds += 1;
            }
            assert!(rounds > 3, "the frame is larger than the ring");
        }
        publisher.close().await.unwrap();
    });
    assert_eq!(flv::read(&recorded.file(0)).unwrap()[0].data, frame);
}

#[test]
fn a_close_with_a_frame_half_sent_closes_the_connection_and_leaves_no_message_open() {
    let (recorded, frame) = (Recorded::default(), frame());
    with_publisher(&recorded, async |mut publisher| {
        let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
        let work = async {
            audio.send(Timestamp(1), b"whole").await.unwrap();
            assert_eq!(once(video.send(Timestamp(5), &frame)).await, None);
            Timer::after(Duration::from_millis(50)).await;
        };
        let Either::First(()) = select(work, runner.run()).await else { panic!("the session ended") };
        assert_eq!(publisher.close().await, Err(Error::Unfinished));
        // Every later call returns the same.
        assert_eq!(publisher.close().await, Err(Error::Unfinished));
        let Parts { mut video, .. } = publisher.split();
        assert!(video.send(Timestamp(5), &frame).await.is_err());
    });
    assert_eq!(recorded.kinds(0), [AUDIO]);
}
