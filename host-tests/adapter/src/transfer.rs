//! Whole transfers, compared message by message.

use std::cell::Cell;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{Error, Memory, Parts, Sender, Server, ServerOptions};

use super::pair::{LIMITS, Recorded, TestMemory, URL, clip, connect, targets, while_serving, with_devices};
use crate::compare::compare;
use crate::flv::{self, AUDIO, SCRIPT, Tag, VIDEO};
use crate::progress::Progress;
use crate::publish::publish;
use crate::tasks::{self, Task};
use crate::wire::Wire;

/// Publishes `clip` over `wire` with rings of these sizes on both sides, and compares.
fn transfer<const RX: usize, const TX: usize>(wire: &Wire, clip: &[Tag<'_>]) {
    let recorded = Recorded::default();
    with_devices(wire, async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = Box::new(Memory::<RX, TX>::new());
        let mut server_memory: Box<[Memory<RX, TX>; 2]> = Box::new([const { Memory::new() }; 2]);
        let mut server = Server::<2>::new(second, &[1935], &mut server_memory, &ServerOptions::default()).unwrap();
        let mut recorder = recorded.recorder();
        let (url, progress) = (Url::parse(URL).unwrap(), Progress::default());
        let client = publish(first, &url, &mut plan, &mut memory, clip, false, &progress);
        let Either::First(result) = select(client, server.run(&mut recorder)).await else { unreachable!() };
        assert_eq!(result, Ok(()));
    });
    let file = recorded.file(0);
    let recording = flv::read(&file).unwrap();
    compare(clip, &recording).unwrap();
    let script = |tags: &[Tag<'_>]| tags.iter().find(|tag| tag.kind == SCRIPT).map(|tag| tag.data.to_vec());
    assert_eq!(script(clip), script(&recording));
}

#[test]
fn the_clip_arrives_whole() {
    transfer::<4096, 4096>(&Wire::new(), &clip());
}

#[test]
fn the_clip_arrives_whole_through_a_wire_that_delays_and_loses() {
    let wire = Wire { loss: 2, delay: Duration::from_millis(2), ..Wire::new() };
    transfer::<8192, 8192>(&wire, &clip());
    assert!(wire.counts.get().lost > 0);
}

#[test]
fn segments_stay_large_on_a_path_that_is_too_slow() {
    let (recorded, wire) = (Recorded::default(), Wire { rate: Some(10_000), ..Wire::new() });
    with_devices(&wire, async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        while_serving(second, &[1935], &recorded, async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut audio, .. } = publisher.split();
            let send = async {
                // Each message is a separate segment until the ring is full.
                for time in 0..500 {
                    audio.send(Timestamp(time), &[7; 60]).await?;
                    yield_now().await;
                }
                Ok::<(), Error>(())
            };
            let Either::First(sent) = select(send, runner.run()).await else { panic!("the session ended") };
            assert_eq!(sent, Ok(()));
            publisher.close().await.unwrap();
        })
        .await;
    });
    assert_eq!(recorded.kinds(0).len(), 500);
    let carried = wire.counts.get().carried;
    assert!(carried < 400, "{carried} frames");
}

#[test]
fn rings_that_wrap_at_every_position_of_a_message_lose_nothing() {
    // 97 is prime, so that the rings wrap at many different positions of the messages.
    transfer::<97, 97>(&Wire::new(), &clip()[..40]);
}

#[test]
fn rings_of_one_byte_lose_nothing() {
    let tags = [
        Tag { kind: SCRIPT, timestamp: Timestamp(0), data: b"\x02\x00\x0aonMetaData\x05" },
        Tag { kind: VIDEO, timestamp: Timestamp(3), data: &[0x17; 300] },
        Tag { kind: AUDIO, timestamp: Timestamp(0xFF_FFFF), data: b"" },
        Tag { kind: AUDIO, timestamp: Timestamp(0x0100_0005), data: b"a" },
    ];
    transfer::<1, 1>(&Wire::new(), &tags);
}

#[test]
fn item_050_audio_passes_between_the_chunks_of_a_large_video_frame() {
    let recorded = Recorded::default();
    let frame: Vec<u8> = (0..200_000_u32).map(|at| (at % 253) as u8).collect();
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        while_serving(second, &[1935], &recorded, async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
            // The video frame is first, and far larger than the ring.
            let send = join(video.send(Timestamp(40), &frame), async {
                for time in 0..5 {
                    audio.send(Timestamp(time), b"audio").await?;
                }
                Ok::<(), Error>(())
            });
            let Either::First((video, audio)) = select(send, runner.run()).await else { panic!("the session ended") };
            assert_eq!((video, audio), (Ok(()), Ok(())));
            publisher.close().await.unwrap();
        })
        .await;
    });
    assert_eq!(recorded.kinds(0), [AUDIO, AUDIO, AUDIO, AUDIO, AUDIO, VIDEO]);
    assert_eq!(flv::read(&recorded.file(0)).unwrap()[5].data, frame);
}

#[test]
fn handles_in_separate_tasks_wake_each_other() {
    let recorded = Recorded::default();
    with_devices(&Wire::new(), async |first, second| {
        let targets = targets([1935]);
        let mut plan = Plan::new(&targets, LIMITS).unwrap();
        let mut memory = TestMemory::new();
        while_serving(second, &[1935], &recorded, async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let Parts { mut runner, mut audio, mut data, mut video } = publisher.split();
            let left = Cell::new(3);
            let feed = async |sender: &mut Sender<'_, '_>, length: usize, frames: u32| {
                for time in 0..frames {
                    sender.send(Timestamp(time), &vec![time as u8; length]).await.unwrap();
                }
                left.set(left.get() - 1);
            };
            let others: [Task<'_>; 4] = [
                Box::pin(async { panic!("the session ended: {}", runner.run().await) }),
                Box::pin(feed(&mut video, 9_000, 60)),
                Box::pin(feed(&mut audio, 90, 300)),
                Box::pin(feed(&mut data, 500, 100)),
            ];
            let all_done = async {
                while left.get() > 0 {
                    Timer::after(Duration::from_millis(5)).await;
                }
            };
            tasks::run(all_done, others).await;
            publisher.close().await.unwrap();
        })
        .await;
    });
    let kinds = recorded.kinds(0);
    let count = |kind| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((count(AUDIO), count(SCRIPT), count(VIDEO)), (300, 100, 60));
}
