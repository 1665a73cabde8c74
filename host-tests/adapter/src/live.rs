//! `Live`: the runner, and handles in their own tasks.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, Ipv4Address, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::media::FrameClass;
use embedded_rtmp_embassy::embedded_rtmp::media::avc::prefixed::Units;
use embedded_rtmp_embassy::embedded_rtmp::media::video::{AvcPacket, FrameType, VideoTagHeader};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, PlanError, Target};
use embedded_rtmp_embassy::rand_core::{CryptoRng, RngCore};
use embedded_rtmp_embassy::{
    ClientOptions, Config, DropReason, Error, Live, Phase, Picture, SendOutcome, Server, ServerOptions, State, Stopped,
    Tracks, new,
};

use super::pair::{IMPATIENT, LIMITS, Recorded, TestMemory, clip};
use crate::clock::block_on_stepped;
use crate::device::Device;
use crate::flv::{self, AUDIO, SCRIPT, Tag, VIDEO};
use crate::tasks::{self, Task};
use crate::wire::{Random, Wire};

const URL: &str = "rtmp://10.0.0.2:1935/live/test";
/// Baseline, 160 × 120.
const SPS: &[u8] = b"\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84";
const PPS: &[u8] = b"\x68\xCE\x3C\x80";
pub(crate) const TRACKS: Tracks = Tracks::h264(SPS, PPS).size(160, 120).aac(&[0x12, 0x10]);
/// No test may take longer than this: a bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Replaces a chip's random number generator.
pub(crate) struct TestRng(Random);

impl TestRng {
    pub(crate) fn new() -> Self {
        Self(Random(0x2545_F491_4F6C_DD1D))
    }
}

impl RngCore for TestRng {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.next_u64() as u8);
    }
}

impl CryptoRng for TestRng {}

/// Two devices on a wire. They live as long as the program, because the memory of a stream is a static.
pub(crate) struct Bench {
    pub(crate) wire: &'static Wire,
    pub(crate) first: Stack<'static>,
    pub(crate) second: Stack<'static>,
    tasks: Vec<Task<'static>>,
}

impl Bench {
    pub(crate) fn new(wire: Wire) -> Self {
        let wire: &'static Wire = Box::leak(Box::new(wire));
        let (first, mut first_runner, first_port) = Box::leak(Device::new()).start(1);
        let (second, mut second_runner, second_port) = Box::leak(Device::new()).start(2);
        let tasks: Vec<Task<'static>> = vec![
            Box::pin(async move { first_runner.run().await }),
            Box::pin(async move { second_runner.run().await }),
            Box::pin(wire.run(first_port, second_port)),
        ];
        Self { wire, first, second, tasks }
    }

    /// Adds a task.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(Box::pin(async move {
            task.await;
            std::future::pending().await
        }));
    }

    /// A stream from the first device. The rings have 1 and 4 KiB.
    pub(crate) fn live(&mut self, config: Config) -> Live {
        let state: &'static State<1024, 4096> = Box::leak(Box::new(State::new()));
        let (live, runner) = new(self.first, state, TestRng::new(), config);
        live.set_tracks(TRACKS);
        self.spawn(async { runner.run().await });
        live
    }

    /// A server on the second device that records, on port 1935.
    pub(crate) fn serve(&mut self) -> Recorded {
        let recorded = Recorded::default();
        let (stack, recording) = (self.second, recorded.clone());
        self.spawn(async move { serve(stack, &[1935], recording).await });
        recorded
    }

    pub(crate) fn run<T: 'static>(self, test: impl Future<Output = T> + 'static) -> T {
        let test = with_timeout(PATIENCE, test);
        block_on_stepped(tasks::run(test, self.tasks)).expect("the test came to no end")
    }
}

async fn serve(stack: Stack<'static>, ports: &[u16], recorded: Recorded) {
    let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
    let options = ServerOptions { keep_alive: IMPATIENT, max_per_address: Some(4), ..Default::default() };
    let mut server = Server::<4>::new(stack, ports, &mut memory, &options).unwrap();
    server.run(&mut recorded.recorder()).await;
}

fn config() -> Config {
    config_to(URL)
}

pub(crate) fn config_to(url: &'static str) -> Config {
    let mut config = Config::new(url);
    config.client = &const { ClientOptions { keep_alive: IMPATIENT, ..ClientOptions::DEFAULT } };
    config.limits = &LIMITS;
    config.retry.first = millis(100);
    config
}

pub(crate) async fn until(live: &mut Live, phase: Phase) {
    while live.status().phase != phase {
        live.changed().await;
    }
}

/// Polls a future once.
async fn once<T>(mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A slice of a keyframe, or of a picture that needs other pictures.
fn slice(is_key: bool, length: usize, seed: u8) -> Vec<u8> {
    let first = if is_key { 0x65 } else { 0x41 };
    std::iter::once(first).chain((1..length).map(|at| (at % 251) as u8 ^ seed | 1)).collect()
}

/// The payload of the message for a picture of one slice.
fn payload(is_key: bool, slice: &[u8]) -> Vec<u8> {
    let header = [if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0];
    [&header[..], &(slice.len() as u32).to_be_bytes(), slice].concat()
}

/// Sends a picture of one slice. `at` is its decoding and presentation time in milliseconds.
pub(crate) async fn send(live: &Live, at: u64, is_key: bool, slice: &[u8]) -> SendOutcome {
    live.video().send(Picture::new(at * 1_000, at * 1_000, is_key, &[slice])).await
}

fn is_sequence_header(kind: MessageKind, data: &[u8]) -> bool {
    kind != SCRIPT && FrameClass::of(kind, data) == FrameClass::Configuration
}

fn is_keyframe(data: &[u8]) -> bool {
    FrameClass::of(VIDEO, data) == FrameClass::Keyframe
}

/// The frames of a recording, without metadata and sequence headers.
fn frames<'t>(tags: &'t [Tag<'t>], kind: MessageKind) -> Vec<&'t Tag<'t>> {
    tags.iter().filter(|tag| tag.kind == kind && !is_sequence_header(tag.kind, tag.data)).collect()
}

const LATE: SendOutcome = SendOutcome::Dropped(DropReason::Late);
const OFFLINE: SendOutcome = SendOutcome::Dropped(DropReason::Offline);

#[test]
fn headers_go_first_and_times_are_rebased() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        live.keyframe_wanted().await;
        let base = 7_000_000_000;
        let (sps, pps, key, inter) = (SPS, PPS, slice(true, 300, 1), slice(false, 200, 2));
        let units: [&[u8]; 5] = [&[9, 0xF0], sps, pps, &key[..100], &key];
        let video = live.video();
        let picture = Picture::new(base + 80_000, base, true, &units);
        assert_eq!(video.send(picture).await, SendOutcome::Sent);
        assert_eq!(live.audio().send(base + 21_000, &[0x21; 50]).await, SendOutcome::Sent);
        assert_eq!(video.send(Picture::new(base + 40_000, base + 40_000, false, &[&inter])).await, SendOutcome::Sent);
        assert_eq!(live.stop().await, Stopped::InOrder);
        assert_eq!(live.status().counters.video.sent, 2);
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        assert_eq!(tags.iter().map(|tag| tag.kind).collect::<Vec<_>>(), [SCRIPT, VIDEO, AUDIO, VIDEO, AUDIO, VIDEO]);
        assert!(tags[0].data.windows(5).any(|bytes| bytes == b"width"));
        assert!(tags[1].data.starts_with(b"\x17\0\0\0\0\x01\x42\xC0\x1E\xFF\xE1\0\x0A\x67"));
        assert_eq!(tags[2].data, [0xAF, 0, 0x12, 0x10]);
        let lengths = [&100_u32.to_be_bytes()[..], &key[..100], &300_u32.to_be_bytes(), &key].concat();
        assert_eq!(
            (tags[3].timestamp, tags[3].data),
            (Timestamp(0), &[&[0x17, 1, 0, 0, 80], &lengths[..]].concat()[..])
        );
        assert_eq!((tags[4].timestamp, tags[4].data), (Timestamp(21), &[&[0xAF, 1][..], &[0x21; 50]].concat()[..]));
        assert_eq!((tags[5].timestamp, tags[5].data), (Timestamp(40), &payload(false, &inter)[..]));
    });
}

/// What the tasks of a camera record.
#[derive(Default)]
struct Notes {
    longest_audio: Cell<u64>,
    sent: RefCell<Vec<(u64, Vec<u8>)>>,
    phases: RefCell<Vec<Phase>>,
    is_over: Cell<bool>,
}

#[test]
fn audio_video_status_and_button_run_in_separate_tasks_on_a_slow_link() {
    // Keyframes of 65 KB take 430 ms.
    let mut bench = Bench::new(Wire { rate: Some(150_000), ..Wire::new() });
    let (recorded, live) = (bench.serve(), bench.live(config()));
    let notes = Rc::<Notes>::default();
    let start = Instant::now();
    let now = move || start.elapsed().as_micros();

    let (handle, note) = (live.clone(), notes.clone());
    bench.spawn(async move {
        let mut key_is_due = true;
        for number in 0_u64.. {
            Timer::at(start + millis(40) * number as u32).await;
            let mut wanted = pin!(handle.keyframe_wanted());
            key_is_due |= once(wanted.as_mut()).await.is_some() || number % 50 == 0;
            let slice = slice(key_is_due, if key_is_due { 65_000 } else { 1_000 }, number as u8);
            let at = now();
            if handle.video().send(Picture::new(at, at, key_is_due, &[&slice])).await == SendOutcome::Sent {
                note.sent.borrow_mut().push((at, payload(key_is_due, &slice)));
                key_is_due = false;
            }
            if note.is_over.get() {
                break;
            }
        }
    });
    let (handle, note) = (live.clone(), notes.clone());
    bench.spawn(async move {
        while !note.is_over.get() {
            Timer::after(millis(20)).await;
            let begin = now();
            if handle.audio().send(begin, &[7; 160]).await == SendOutcome::Sent {
                note.longest_audio.set(note.longest_audio.get().max(now() - begin));
            }
        }
    });
    let (mut handle, note) = (live.clone(), notes.clone());
    bench.spawn(async move {
        loop {
            let phase = handle.changed().await.phase;
            note.phases.borrow_mut().push(phase);
        }
    });
    let note = notes.clone();
    let mut button = live.clone();
    bench.run(async move {
        until(&mut button, Phase::Live).await;
        Timer::after(millis(3_000)).await;
        assert_eq!(button.stop().await, Stopped::InOrder);
        button.start();
        until(&mut button, Phase::Live).await;
        Timer::after(millis(1_500)).await;
        note.is_over.set(true);
        Timer::after(millis(1_100)).await;
        button.stop().await;
        let status = button.status();
        assert_eq!((status.phase, status.counters.connections, status.last_error), (Phase::Stopped, 2, None));
        // The link carries 1.2 Mbit/s, and between keyframes less is sent.
        assert!((200_000..1_400_000).contains(&status.bit_rate.unwrap()), "{status:?}");
        assert!(status.counters.video.sent > 10 && status.counters.audio.sent > 100, "{status:?}");
        for phase in [Phase::Connecting, Phase::Live, Phase::Stopping, Phase::Stopped] {
            assert!(note.phases.borrow().contains(&phase), "{phase:?}");
        }
        // A chunk of 4,096 bytes takes 27 ms. The bytes before it in the ring and on the wire take a multiple of that.
        assert!(note.longest_audio.get() < 300_000, "audio waited for {} us", note.longest_audio.get());
        let files = [recorded.file(0), recorded.file(1)];
        let tags = files.each_ref().map(|file| flv::read(file).unwrap());
        let pictures: Vec<&Tag<'_>> = tags.iter().flat_map(|tags| frames(tags, VIDEO)).collect();
        assert_eq!(pictures.len(), note.sent.borrow().len());
        for (picture, (_, sent)) in pictures.iter().zip(&*note.sent.borrow()) {
            assert!(picture.data == sent, "a picture at {:?} has changed", picture.timestamp);
        }
        for tags in &tags {
            assert!(is_keyframe(frames(tags, VIDEO)[0].data));
        }
        // Messages are recorded when they end: audio that was made after a picture and recorded before it has passed it.
        let passed = tags.iter().flat_map(|tags| {
            tags.iter().enumerate().filter(|(_, tag)| tag.kind == VIDEO).flat_map(|(place, picture)| {
                let is_newer = |tag: &&Tag<'_>| tag.kind == AUDIO && tag.timestamp.since(picture.timestamp) > 0;
                tags[..place].iter().filter(is_newer)
            })
        });
        assert!(passed.count() > 20);
    });
}

#[test]
fn a_send_that_was_dropped_before_its_first_byte_leaves_no_trace() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let (key, inter) = (slice(true, 30_000, 1), slice(false, 100, 2));
        {
            // The picture fills the ring, and audio cannot begin.
            let units: [&[u8]; 1] = [&key];
            let mut picture = pin!(live.video().send(Picture::new(0, 0, true, &units)));
            assert_eq!(once(picture.as_mut()).await, None);
            assert_eq!(once(pin!(live.audio().send(0, b"never sent"))).await, None);
            assert_eq!(picture.await, SendOutcome::Sent);
        }
        assert_eq!(live.audio().send(40_000, b"sent").await, SendOutcome::Sent);
        assert_eq!(send(&live, 40, false, &inter).await, SendOutcome::Sent);
        assert_eq!(live.stop().await, Stopped::InOrder);
        let counters = live.status().counters;
        assert_eq!((counters.audio.sent, counters.audio.dropped), (1, 0));
        assert_eq!((counters.video.sent, counters.video.dropped), (2, 0));
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        assert_eq!(frames(&tags, AUDIO).iter().map(|tag| tag.data).collect::<Vec<_>>(), [b"\xAF\x01sent"]);
        assert_eq!(frames(&tags, VIDEO)[0].data, payload(true, &key));
    });
}

#[test]
fn after_a_keyframe_is_dropped_before_its_first_byte_video_still_waits_for_a_keyframe() {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(live.audio().send(0, &[0; 20]).await, SendOutcome::Sent);
        // Audio fills the ring.
        let sound = vec![1; 20_000];
        let mut audio = pin!(live.audio().send(0, &sound));
        assert_eq!(once(audio.as_mut()).await, None);
        let (key, inter) = (slice(true, 100, 1), slice(false, 100, 2));
        assert_eq!(once(pin!(send(&live, 0, true, &key))).await, None);
        assert_eq!(audio.await, SendOutcome::Sent);
        assert_eq!(send(&live, 40, false, &inter).await, LATE);
        assert_eq!(send(&live, 80, true, &key).await, SendOutcome::Sent);
        assert_eq!(live.status().counters.video.sent, 1);
    });
}

/// Sends half a picture, and runs `end` on that send. Then sends a picture that needs the first one, and a keyframe.
fn half_sent(
    dropped_meanwhile: u32,
    end: impl AsyncFnOnce(&Live, Pin<Box<dyn Future<Output = SendOutcome>>>) + 'static,
) {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        live.keyframe_wanted().await;
        let (key, inter) = (slice(true, 30_000, 1), slice(false, 100, 2));
        let lent: &'static [&'static [u8]] = Box::leak(Box::new([&*key.clone().leak()]));
        let mut half: Pin<Box<dyn Future<Output = SendOutcome>>> =
            Box::pin(live.video().send(Picture::new(0, 0, true, lent)));
        assert_eq!(once(half.as_mut()).await, None);
        end(&live, half).await;
        live.keyframe_wanted().await;
        assert_eq!(send(&live, 40, false, &inter).await, LATE);
        assert_eq!(live.audio().send(50_000, &[3; 20]).await, SendOutcome::Sent);
        assert_eq!(send(&live, 80, true, &key).await, SendOutcome::Sent);
        assert_eq!(live.stop().await, Stopped::InOrder);
        let counters = live.status().counters;
        assert_eq!((counters.connections, counters.video.sent, counters.video.dropped), (1, 1, 2 + dropped_meanwhile));
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        let pictures = frames(&tags, VIDEO);
        assert_eq!(pictures.len(), 2);
        let (whole, cut) = (payload(true, &key), pictures[0].data);
        let same = whole.iter().zip(cut).take_while(|(a, b)| a == b).count();
        assert!((1_000..29_000).contains(&same) && cut[same..].iter().all(|byte| *byte == 0), "{same}");
        assert_eq!((cut.len(), pictures[1].data), (whole.len(), &whole[..]));
    });
}

#[test]
fn a_send_that_was_dropped_half_way_is_completed_with_zeros_on_the_same_connection() {
    half_sent(0, async |_, half| drop(half));
}

#[test]
fn a_send_that_was_forgotten_half_way_is_completed_at_its_deadline() {
    half_sent(1, async |live, half| {
        std::mem::forget(half);
        let inter = slice(false, 100, 2);
        assert_eq!(send(live, 20, false, &inter).await, SendOutcome::Dropped(DropReason::Busy));
        Timer::after(millis(1_050)).await;
    });
}

#[test]
fn a_new_send_waits_behind_an_orphan() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    let wire = bench.wire;
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        wire.cut.set(true);
        let (key, next) = (slice(true, 30_000, 1), slice(true, 10_000, 2));
        let half = once(pin!(send(&live, 0, true, &key))).await;
        assert_eq!(half, None);
        let units: [&[u8]; 1] = [&next];
        let mut behind = pin!(live.video().send(Picture::new(40_000, 40_000, true, &units)));
        assert_eq!(once(behind.as_mut()).await, None);
        Timer::after(millis(100)).await;
        wire.cut.set(false);
        // TCP retransmits after a second at the earliest. This send ends before that, at its deadline, and has no
        // effect.
        assert_eq!(behind.await, LATE);
        while send(&live, 80, true, &next).await != SendOutcome::Sent {
            Timer::after(millis(40)).await;
        }
        assert_eq!(live.stop().await, Stopped::InOrder);
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        let lengths: Vec<usize> = frames(&tags, VIDEO).iter().map(|tag| tag.data.len()).collect();
        assert_eq!(lengths, [30_009, 10_009]);
        assert_eq!(frames(&tags, VIDEO)[1].data, payload(true, &next));
    });
}

#[test]
fn no_sender_wakes_another_without_having_moved() {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, mut live) = (bench.serve(), bench.live(config()));
    let wire = bench.wire;
    let polls = Rc::<[Cell<u32>; 2]>::default();
    let (audio, video) = (live.audio(), live.video());
    let (go, count) = (Rc::new(Cell::new(false)), polls.clone());
    let is_go = go.clone();
    bench.spawn(async move {
        while !is_go.get() {
            Timer::after(millis(5)).await;
        }
        let key = slice(true, 30_000, 1);
        let units: [&[u8]; 1] = [&key];
        let mut sending = pin!(video.send(Picture::new(0, 0, true, &units)));
        poll_fn(|cx| {
            count[0].set(count[0].get() + 1);
            sending.as_mut().poll(cx)
        })
        .await;
    });
    let (is_go, count) = (go.clone(), polls.clone());
    bench.spawn(async move {
        while !is_go.get() {
            Timer::after(millis(5)).await;
        }
        Timer::after(millis(50)).await;
        let mut sending = pin!(audio.send(0, &[1; 100]));
        poll_fn(|cx| {
            count[1].set(count[1].get() + 1);
            sending.as_mut().poll(cx)
        })
        .await;
    });
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        wire.cut.set(true);
        go.set(true);
        Timer::after(millis(700)).await;
        // Both sends wait while the wire is cut.
        assert!((1..=3).contains(&polls[0].get()) && (1..=3).contains(&polls[1].get()), "{polls:?}");
    });
}

#[test]
fn two_streams_send_the_same_picture_at_the_same_time() {
    let mut bench = Bench::new(Wire::new());
    let recorded = bench.serve();
    let mut one = bench.live(config());
    let mut two = bench.live(config_to("rtmp://10.0.0.2:1935/live/two"));
    bench.run(async move {
        until(&mut one, Phase::Live).await;
        until(&mut two, Phase::Live).await;
        let key = slice(true, 30_000, 1);
        let units: [&[u8]; 1] = [&key];
        let picture = Picture::new(0, 0, true, &units);
        let sent = join(one.video().send(picture), two.video().send(picture)).await;
        assert_eq!(sent, (SendOutcome::Sent, SendOutcome::Sent));
        assert_eq!((one.stop().await, two.stop().await), (Stopped::InOrder, Stopped::InOrder));
        for index in 0..2 {
            let file = recorded.file(index);
            assert_eq!(frames(&flv::read(&file).unwrap(), VIDEO)[0].data, payload(true, &key));
        }
    });
}

/// Stops a stream while `open` bytes of a picture were sent, on a wire that is cut or not. Returns how long stopping
/// took.
fn stop_with(open: usize, is_cut: bool, drops: bool) -> (Stopped, Duration, u32) {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    let wire = bench.wire;
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        Timer::after(millis(50)).await;
        wire.cut.set(is_cut);
        let key = slice(true, open.max(10), 1);
        let units: [&[u8]; 1] = [&key];
        let mut half = Some(Box::pin(live.video().send(Picture::new(0, 0, true, &units))));
        assert_eq!(once(half.as_mut().unwrap().as_mut()).await.is_none(), open > 5_000);
        if drops {
            half = None;
        }
        let start = Instant::now();
        let (stopped, _) = join(live.stop(), async {
            if let Some(half) = half.filter(|_| open > 5_000) {
                half.await;
            }
        })
        .await;
        let took = start.elapsed();
        assert_eq!(live.status().phase, Phase::Stopped);
        assert_eq!(send(&live, 40, true, &key).await, OFFLINE);
        wire.cut.set(false);
        live.start();
        until(&mut live, Phase::Live).await;
        assert_eq!(send(&live, 40, true, &[0x65; 10]).await, SendOutcome::Sent);
        let connections = live.status().counters.connections;
        drop(recorded);
        (stopped, took, connections)
    })
}

#[test]
fn a_live_stream_stops_at_once() {
    let (stopped, took, connections) = stop_with(100, false, false);
    assert_eq!((stopped, connections), (Stopped::InOrder, 2));
    assert!(took < millis(500), "{} ms", took.as_millis());
}

#[test]
fn a_stop_lets_the_open_message_finish_and_completes_an_orphan() {
    for drops in [false, true] {
        let (stopped, took, connections) = stop_with(30_000, false, drops);
        assert_eq!((stopped, connections), (Stopped::InOrder, 2));
        assert!(took < millis(1_000), "{drops}: {} ms", took.as_millis());
    }
}

#[test]
fn a_stop_on_a_stalled_connection_ends_within_its_time_limit() {
    let (stopped, took, connections) = stop_with(30_000, true, false);
    assert_eq!((stopped, connections), (Stopped::Cut, 2));
    assert!((millis(1_900)..millis(2_600)).contains(&took), "{} ms", took.as_millis());
}

#[test]
fn a_stop_while_dialling_or_waiting_to_retry_ends_at_once() {
    for dropped in [true, false] {
        let mut bench = Bench::new(Wire { dropped_ports: if dropped { vec![1935] } else { vec![] }, ..Wire::new() });
        let mut live = bench.live(config());
        bench.run(async move {
            until(&mut live, if dropped { Phase::Connecting } else { Phase::Resting }).await;
            Timer::after(millis(20)).await;
            let start = Instant::now();
            assert_eq!(live.stop().await, Stopped::InOrder);
            assert!(start.elapsed() < millis(150), "{} ms", start.elapsed().as_millis());
            assert_eq!(live.status().port, Some(Target::rtmp(1935)));
            assert_eq!(live.stop().await, Stopped::InOrder, "again");
        });
    }
}

#[test]
fn a_send_ends_within_its_time_limit_and_the_connection_survives_the_stall() {
    let mut bench = Bench::new(Wire::new());
    // Shorter than TCP's retransmission timeout, after which the connection is used again.
    let mut config = config();
    config.send_timeout = millis(600);
    let (_recorded, mut live) = (bench.serve(), bench.live(config));
    let wire = bench.wire;
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        wire.cut.set(true);
        let key = slice(true, 30_000, 1);
        let start = Instant::now();
        assert_eq!(send(&live, 0, true, &key).await, LATE);
        let took = start.elapsed();
        assert!((millis(590)..millis(700)).contains(&took), "{} ms", took.as_millis());
        live.keyframe_wanted().await;
        wire.cut.set(false);
        while send(&live, start.elapsed().as_millis(), true, &key).await != SendOutcome::Sent {
            Timer::after(millis(40)).await;
        }
        assert_eq!((live.status().counters.connections, live.status().last_error), (1, None));
    });
}

#[test]
fn the_first_picture_after_a_reconnection_leaves_within_two_frame_intervals_of_the_keyframe() {
    let mut bench = Bench::new(Wire::new());
    let recorded = Recorded::default();
    let (stack, recording) = (bench.second, recorded.clone());
    bench.spawn(async move {
        // The server is restarted.
        with_timeout(millis(800), serve(stack, &[1935], recording.clone())).await.unwrap_err();
        Timer::after(millis(300)).await;
        serve(stack, &[1935], recording).await;
    });
    let mut live = bench.live(config());
    let made = Rc::new(Cell::new(None));
    let (handle, encoder) = (live.clone(), made.clone());
    bench.spawn(async move {
        let start = Instant::now();
        for number in 0_u32.. {
            Timer::at(start + millis(40) * number).await;
            let is_key = once(pin!(handle.keyframe_wanted())).await.is_some();
            let slice = slice(is_key, 2_000, number as u8);
            let at = u64::from(number) * 40;
            if is_key {
                encoder.set(Some(Instant::now()));
            }
            if send(&handle, at, is_key, &slice).await == SendOutcome::Sent && is_key {
                let left = encoder.get().unwrap().elapsed();
                assert!(left < millis(80), "{} ms", left.as_millis());
            }
        }
    });
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        until(&mut live, Phase::Resting).await;
        until(&mut live, Phase::Live).await;
        let back = Instant::now();
        while recorded.files.borrow().len() < 2
            || frames(&flv::read(&recorded.file(1)).unwrap_or_default(), VIDEO).is_empty()
        {
            Timer::after(millis(5)).await;
        }
        assert!(back.elapsed() < millis(150), "{} ms", back.elapsed().as_millis());
        assert!(made.get().unwrap() >= back, "the keyframe was asked for");
        Timer::after(millis(200)).await;
        live.stop().await;
        let status = live.status();
        assert_eq!(status.counters.connections, 2);
        assert!(status.last_error.is_some());
        let files = [recorded.file(0), recorded.file(1)];
        let [before, after] = files.each_ref().map(|file| flv::read(file).unwrap());
        assert_eq!(after[..3].iter().map(|tag| tag.kind).collect::<Vec<_>>(), [SCRIPT, VIDEO, AUDIO]);
        assert!(after[1..3].iter().all(|tag| is_sequence_header(tag.kind, tag.data)));
        assert!(is_keyframe(frames(&after, VIDEO)[0].data));
        // Its timestamp continues those before the reconnection.
        assert!(after[0].timestamp.since(before.last().unwrap().timestamp) > 0);
    });
}

#[test]
fn a_new_address_causes_a_reconnection_and_a_new_prefix_does_not() {
    for (host, prefix, connections) in [(77, 24, 2), (1, 16, 1)] {
        let mut bench = Bench::new(Wire::new());
        let (_recorded, mut live) = (bench.serve(), bench.live(config()));
        let stack = bench.first;
        bench.run(async move {
            until(&mut live, Phase::Live).await;
            let address = Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, host), prefix);
            let config = StaticConfigV4 { address, gateway: None, dns_servers: Default::default() };
            stack.set_config_v4(ConfigV4::Static(config));
            let start = Instant::now();
            while start.elapsed() < millis(1_500) {
                let _ = send(&live, start.elapsed().as_millis(), true, &slice(true, 500, 0)).await;
                Timer::after(millis(20)).await;
            }
            assert_eq!((live.status().phase, live.status().counters.connections), (Phase::Live, connections));
        });
    }
}

#[test]
fn an_error_that_a_retry_cannot_fix_stops_the_runner_and_is_reported() {
    let mut without_ports = config_to("rtmp://10.0.0.2/live/test");
    without_ports.ports = &[];
    type Matches = fn(&Error) -> bool;
    let errors: [(Config, Matches); 3] = [
        (config_to("http://h/x"), |error| matches!(error, Error::Url(_))),
        (without_ports, |error| matches!(error, Error::Plan(PlanError::NoTargets))),
        // The transport is not built in.
        (config_to("rtmps://10.0.0.2/live/test"), |error| matches!(error, Error::Plan(PlanError::Scheme))),
    ];
    for (config, is_it) in errors {
        let mut bench = Bench::new(Wire::new());
        let mut live = bench.live(config);
        bench.run(async move {
            let status = live.changed().await;
            let error = status.last_error.unwrap();
            assert!(status.phase == Phase::Stopped && is_it(&error), "{error}");
        });
    }
}

#[test]
fn the_runner_gives_up_after_the_configured_number_of_retries() {
    let mut bench = Bench::new(Wire::new());
    let mut patient = config();
    patient.retry.limit = Some(millis(1_000));
    let mut live = bench.live(patient);
    bench.run(async move {
        let start = Instant::now();
        while live.status().phase != Phase::Stopped || live.status().last_error.is_none() {
            live.changed().await;
        }
        assert_eq!(live.status().last_error, Some(Error::Exhausted));
        assert!((millis(300)..millis(2_000)).contains(&start.elapsed()));
    });
}

#[test]
fn nothing_is_sent_without_tracks_and_parameter_sets_in_band_are_used() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        live.set_tracks(Tracks::h264_in_band());
        until(&mut live, Phase::Live).await;
        let (key, no_track) = (slice(true, 100, 1), SendOutcome::Dropped(DropReason::NoTrack));
        assert_eq!(send(&live, 0, true, &key).await, no_track);
        assert_eq!(live.audio().send(0, &[1]).await, no_track);
        let other = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5, 0x85];
        for (at, sps) in [(40, SPS), (80, SPS), (120, &other)] {
            let units: [&[u8]; 3] = [sps, PPS, &key];
            let picture = Picture::new(at * 1_000, at * 1_000, true, &units);
            assert_eq!(live.video().send(picture).await, SendOutcome::Sent);
        }
        assert_eq!(live.stop().await, Stopped::InOrder);
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        let found: Vec<(MessageKind, bool)> =
            tags.iter().map(|tag| (tag.kind, is_sequence_header(tag.kind, tag.data))).collect();
        let (header, picture, script) = ((VIDEO, true), (VIDEO, false), (SCRIPT, false));
        assert_eq!(found, [script, header, picture, picture, script, header, picture]);
        assert!(tags.iter().filter(|tag| tag.data.len() == 109).all(|tag| tag.data == payload(true, &key)));
    });
}

#[test]
fn a_second_send_of_the_same_kind_at_the_same_time_is_dropped() {
    let mut bench = Bench::new(Wire::new());
    let (_recorded, mut live) = (bench.serve(), bench.live(config()));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let key = slice(true, 30_000, 1);
        let sent = join(send(&live, 0, true, &key), send(&live, 0, true, &key)).await;
        assert_eq!(sent, (SendOutcome::Sent, SendOutcome::Dropped(DropReason::Busy)));
        assert_eq!(live.status().counters.video.dropped, 1);
    });
}

/// Sends the bundled clip `rounds` times, as fast as the server accepts it.
async fn send_clip(live: &Live, rounds: u64) {
    for (round, tag) in (0..rounds).flat_map(|round| clip().into_iter().map(move |tag| (round, tag))) {
        let at = (round * 4_097 + u64::from(tag.timestamp.0)) * 1_000;
        let outcome = match FrameClass::of(tag.kind, tag.data) {
            _ if tag.kind == SCRIPT => continue,
            FrameClass::Configuration => continue,
            FrameClass::Audio => live.audio().send(at, &tag.data[2..]).await,
            _ => {
                let Some((VideoTagHeader::Avc { frame, packet, composition_time }, body)) =
                    VideoTagHeader::parse(tag.data)
                else {
                    panic!("the clip is H.264")
                };
                if packet != AvcPacket::NAL_UNITS {
                    continue;
                }
                let units: Vec<&[u8]> = Units::new(4, body).collect();
                let pts = at.wrapping_add_signed(i64::from(composition_time) * 1_000);
                live.video().send(Picture::new(pts, at, frame == FrameType::KEY, &units)).await
            }
        };
        assert_eq!(outcome, SendOutcome::Sent);
    }
}

#[test]
fn a_clip_that_is_sent_repeatedly_arrives_whole() {
    let mut bench = Bench::new(Wire::new());
    let mut patient = config();
    (patient.drop_limits, patient.send_timeout) = (None, Duration::MAX);
    let (recorded, mut live) = (bench.serve(), bench.live(patient));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        send_clip(&live, 3).await;
        assert_eq!(live.stop().await, Stopped::InOrder);
        let file = recorded.file(0);
        let recording = flv::read(&file).unwrap();
        let clip = clip();
        let one = |kind| frames(&clip, kind).into_iter().filter(|tag| !tag.data.starts_with(&[0x17, 2]));
        for kind in [AUDIO, VIDEO] {
            let expected =
                (0..3).flat_map(|round| one(kind).map(move |tag| (tag.timestamp.plus(round * 4_097), tag.data)));
            let found = frames(&recording, kind).into_iter().map(|tag| (tag.timestamp, tag.data));
            assert!(expected.eq(found), "kind {kind}");
        }
        let counters = live.status().counters;
        assert_eq!((counters.audio.sent, counters.video.sent, counters.connections), (3 * 174, 3 * 100, 1));
        let bytes = |kind| one(kind).map(|tag| tag.data.len() as u64).sum::<u64>();
        assert_eq!(counters.bytes, 3 * (bytes(AUDIO) + bytes(VIDEO)));
        assert_eq!((counters.audio.dropped, counters.video.dropped), (0, 0));
    });
}

#[test]
fn limits_for_several_sockets_try_one_port_after_another() {
    let mut bench = Bench::new(Wire { dropped_ports: vec![1935], ..Wire::new() });
    let mut config = config_to("rtmp://10.0.0.2/live/test");
    config.limits = &const { Limits { tcp: LIMITS.tcp, handshake: LIMITS.handshake, ..Limits::smart(4) } };
    let stack = bench.second;
    bench.spawn(async move { serve(stack, &[1935, 80], Recorded::default()).await });
    let mut live = bench.live(config);
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert_eq!(live.status().port, Some(Target::rtmp(80)));
        assert_eq!(live.stop().await, Stopped::InOrder);
    });
}

#[test]
#[should_panic(expected = "already")]
fn a_second_stream_on_one_state_panics() {
    let bench = Bench::new(Wire::new());
    let state: &'static State<1024, 4096> = Box::leak(Box::new(State::new()));
    let _first = new(bench.first, state, TestRng::new(), config());
    let _second = new(bench.first, state, TestRng::new(), config());
}

#[test]
fn every_handle_is_notified_of_a_status_change() {
    let mut bench = Bench::new(Wire::new());
    let mut config = config();
    config.starts = false;
    let (_recorded, mut live) = (bench.serve(), bench.live(config));
    let seen = Rc::new(Cell::new(0));
    for _ in 0..6 {
        let (mut handle, seen) = (live.clone(), seen.clone());
        bench.spawn(async move {
            until(&mut handle, Phase::Live).await;
            seen.set(seen.get() + 1);
        });
    }
    bench.run(async move {
        Timer::after(millis(50)).await;
        assert_eq!(live.status().phase, Phase::Stopped);
        live.start();
        until(&mut live, Phase::Live).await;
        match select(Timer::after(millis(50)), live.changed()).await {
            Either::First(()) => {}
            Either::Second(status) => panic!("the status has not changed: {status:?}"),
        }
        Timer::after(millis(100)).await;
        assert_eq!(seen.get(), 6, "handles whose wakers the stream has no room for are notified, too");
    });
}
