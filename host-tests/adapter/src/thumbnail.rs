//! A thumbnail as the second track of video of a `Live` stream.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use embassy_futures::join::join;
use embassy_futures::poll_once;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::{DropReason, Live, Phase, Picture, SendOutcome, Stopped, Thumbnail, Tracks};

use super::live::{Bench, config_to, millis, send, until};
use super::offering::{OPTIONS, old_server};
use crate::flv::{self, AUDIO, SCRIPT, VIDEO};
use crate::wire::{Random, Wire};

const URL: &str = "rtmp://10.0.0.2:1935/live/x";
const LATE: SendOutcome = SendOutcome::Dropped(DropReason::Late);

const SPS: &[u8] = b"\x67\x42\xC0\x0A\xDA\x02\x80\xBF\xE5\x84";
const PPS: &[u8] = b"\x68\xCE\x3C\x80";

/// A slice, whose number is in its second to fifth byte. The other bytes are not zero.
fn slice(is_key: bool, length: usize, number: u32) -> Vec<u8> {
    let mut slice = vec![0xA5; length.max(5)];
    slice[0] = if is_key { 0x65 } else { 0x41 };
    slice[1..5].copy_from_slice(&[0, 7, 14, 21].map(|bits| (number >> bits) as u8 | 0x80));
    slice
}

/// The number of a slice.
fn number_of(slice: &[u8]) -> u32 {
    slice[1..5].iter().rev().fold(0, |number, byte| number << 7 | u32::from(byte & 0x7F))
}

/// The payload of a message of the thumbnail.
fn payload(is_key: bool, slice: &[u8]) -> Vec<u8> {
    let first = if is_key { 0x96 } else { 0xA6 };
    [&[first, 1], &b"avc1\x01\0\0\0"[..], &(slice.len() as u32).to_be_bytes(), slice].concat()
}

async fn send_small(thumbnail: &Thumbnail, at: u64, is_key: bool, slice: &[u8]) -> SendOutcome {
    thumbnail.send(Picture::new(at * 1_000, at * 1_000, is_key, &[slice])).await
}

/// The first bytes of the messages of a recording, except metadata: the kind, and what says the track and the packet type.
fn outline(file: &[u8]) -> Vec<&[u8]> {
    let tags = flv::read(file).unwrap();
    let length = |data: &[u8]| if data[0] & 0x0F == 6 && data[0] & 0x80 != 0 { 7 } else { 2 };
    tags.iter().filter(|tag| tag.kind != SCRIPT).map(|tag| &tag.data[..length(tag.data)]).collect()
}

#[test]
fn item_380_a_main_picture_and_a_thumbnail_are_two_tracks_whose_headers_are_sent_on_every_connection() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        let thumbnail = live.thumbnail();
        let no_track = SendOutcome::Dropped(DropReason::NoTrack);
        for round in 0..2 {
            until(&mut live, Phase::Live).await;
            let (key, inter) = (slice(true, 300, round), slice(false, 20, round));
            if round == 0 {
                assert_eq!(send_small(&thumbnail, 0, true, &key).await, no_track);
                thumbnail.set_tracks(Tracks::h264(SPS, PPS).aac(&[0x12, 0x10]));
            }
            assert_eq!(send(&live, 0, true, &key).await, SendOutcome::Sent);
            assert_eq!(send_small(&thumbnail, 20, true, &key).await, SendOutcome::Sent);
            assert_eq!(live.audio().send(25_000, &[7; 10]).await, SendOutcome::Sent);
            assert_eq!(send(&live, 40, false, &inter).await, SendOutcome::Sent);
            assert_eq!(send_small(&thumbnail, 60, false, &inter).await, SendOutcome::Sent);
            assert_eq!(live.stop().await, Stopped::InOrder);
            let file = recorded.file(round as usize);
            let expected: [&[u8]; 8] = [
                b"\x17\0",
                b"\x96\0avc1\x01",
                b"\xAF\0",
                b"\x17\x01",
                b"\x96\x01avc1\x01",
                b"\xAF\x01",
                b"\x27\x01",
                b"\xA6\x01avc1\x01",
            ];
            let mut found = outline(&file);
            if round == 0 {
                // The thumbnail's header came after the others.
                let header = found.iter().position(|start| *start == expected[1]).unwrap();
                let header = found.remove(header);
                found.insert(1, header);
            }
            assert_eq!(found, expected);
            let tags = flv::read(&file).unwrap();
            let of_track: Vec<_> = tags.iter().filter(|tag| tag.data[2..].starts_with(b"avc1")).collect();
            let record = [b"\x96\0avc1\x01\x01\x42\xC0\x0A\xFF\xE1\0\x0A", SPS, b"\x01\0\x04", PPS].concat();
            assert_eq!(of_track[0].data, record);
            assert_eq!((of_track[1].timestamp.0, of_track[1].data), (20, &payload(true, &key)[..]));
            assert_eq!((of_track[2].timestamp.0, of_track[2].data), (60, &payload(false, &inter)[..]));
            live.start();
        }
        let counters = live.status().counters;
        assert_eq!((counters.thumbnail.sent, counters.thumbnail.dropped), (4, 1));
        assert_eq!((counters.video.sent, counters.video.dropped), (4, 0));
        // Without tracks, nothing is sent.
        until(&mut live, Phase::Live).await;
        thumbnail.set_tracks(Tracks::NONE);
        assert_eq!(send_small(&thumbnail, 0, true, &slice(true, 10, 0)).await, no_track);
        live.stop().await;
        assert!(!outline(&recorded.file(2)).iter().any(|start| start.ends_with(b"avc1\x01") && start[1] == 1));
    });
}

#[test]
fn item_380_each_codec_of_a_thumbnail_stands_behind_its_track_number() {
    const HEVC: [&[u8]; 3] = [
        b"\x40\x01\x0C\x01\xFF\xFF\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3C\x95\x98\x09",
        b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3C\xA0\x0A\x08\x0B\x9F\x79\x65\x66\x92\x4C\xAF\x01\x68\x08\0\0\x03\0\x08\0\0\x03\0\xC8\x40",
        b"\x44\x01\xC1\x72\xB4\x62\x40",
    ];
    const AV1: &[u8] = b"\x0A\x0B\x02\x00\x00\x05\x21\xE7\xF6\x60\x17\xC0\x02";
    let tracks: [(Tracks, &[&[u8]], &str); 5] = [
        (Tracks::hevc(HEVC[0], HEVC[1], HEVC[2]), &[b"\x26\x01x"], "\u{1}hvc1\u{1}\0\0\0\0\0\0\u{3}\u{26}\u{1}x"),
        (
            Tracks::hevc_in_band(),
            &[HEVC[0], HEVC[1], HEVC[2], b"\x26\x01x"],
            "\u{1}hvc1\u{1}\0\0\0\0\0\0\u{3}\u{26}\u{1}x",
        ),
        (Tracks::h264_in_band(), &[SPS, PPS, b"\x65x"], "\u{1}avc1\u{1}\0\0\0\0\0\0\u{2}\u{65}x"),
        (Tracks::av1(AV1).unwrap(), &[b"\x12\0x"], "\u{1}av01\u{1}\u{12}\0x"),
        (Tracks::vp9(&[1, 0, 0, 0, 0, 10]), &[b"xyz"], "\u{1}vp09\u{1}xyz"),
    ];
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let thumbnail = live.thumbnail();
        let outcome = thumbnail.send(Picture::new(0, 0, true, &[b"\x65x"])).await;
        assert_eq!(outcome, SendOutcome::Dropped(DropReason::NoTrack));
        for (tracks, units, _) in tracks {
            thumbnail.set_tracks(tracks);
            assert_eq!(thumbnail.send(Picture::new(0, 0, true, units)).await, SendOutcome::Sent);
        }
        live.stop().await;
        let file = recorded.file(0);
        let tags = flv::read(&file).unwrap();
        let all: Vec<&[u8]> = tags.iter().filter(|tag| tag.data[0] == 0x96).map(|tag| tag.data).collect();
        assert_eq!(all.len(), 10);
        for (message, (_, _, expected)) in all.chunks(2).zip(tracks) {
            assert_eq!(message[1], [b"\x96", expected.as_bytes()].concat());
            // Before it came its sequence header.
            assert_eq!(message[0][..7], [b"\x96\0", &message[1][2..7]].concat());
            assert!(message[0].len() > 12);
        }
        // The main track and the audio were announced once.
        let of_main = tags.iter().filter(|tag| tag.data.starts_with(b"\x17\0") || tag.data.starts_with(b"\xAF\0"));
        assert_eq!(of_main.count(), 2);
    });
}

#[test]
fn item_381_each_track_awaits_its_own_keyframe() {
    let mut bench = Bench::new(Wire::new());
    let (recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        let (thumbnail, key, inter) = (live.thumbnail(), slice(true, 300, 1), slice(false, 20, 2));
        thumbnail.set_tracks(Tracks::h264(SPS, PPS));
        until(&mut live, Phase::Live).await;
        thumbnail.keyframe_wanted().await;
        assert!(poll_once(thumbnail.keyframe_wanted()).is_pending());
        assert_eq!(send(&live, 0, true, &key).await, SendOutcome::Sent);
        assert!(poll_once(live.keyframe_wanted()).is_pending());
        // The keyframe of the main track is not one of the thumbnail.
        assert_eq!(send_small(&thumbnail, 0, false, &inter).await, LATE);
        assert_eq!(send_small(&thumbnail, 20, true, &key).await, SendOutcome::Sent);
        assert_eq!(send_small(&thumbnail, 40, false, &inter).await, SendOutcome::Sent);
        // A thumbnail that is cut off is completed with zeros. The main track continues, and does not need a keyframe.
        let large = slice(true, 30_000, 3);
        {
            let units: [&[u8]; 1] = [&large];
            let mut half = pin!(thumbnail.send(Picture::new(60_000, 60_000, true, &units)));
            assert!(poll_fn(|cx| Poll::Ready(half.as_mut().poll(cx).is_pending())).await);
        }
        assert_eq!(send(&live, 80, false, &inter).await, SendOutcome::Sent);
        assert!(poll_once(live.keyframe_wanted()).is_pending());
        thumbnail.keyframe_wanted().await;
        assert_eq!(send_small(&thumbnail, 100, false, &inter).await, LATE);
        assert_eq!(send_small(&thumbnail, 120, true, &key).await, SendOutcome::Sent);
        // The same for the main track.
        {
            let units: [&[u8]; 1] = [&large];
            let mut half = pin!(live.video().send(Picture::new(140_000, 140_000, true, &units)));
            assert!(poll_fn(|cx| Poll::Ready(half.as_mut().poll(cx).is_pending())).await);
        }
        assert_eq!(send_small(&thumbnail, 160, false, &inter).await, SendOutcome::Sent);
        assert!(poll_once(thumbnail.keyframe_wanted()).is_pending());
        live.keyframe_wanted().await;
        assert_eq!(send(&live, 180, false, &inter).await, LATE);
        live.stop().await;
        let (file, starts): (_, [&[u8]; 11]) = (
            recorded.file(0),
            [
                b"\x17\0",
                b"\x96\0avc1\x01",
                b"\xAF\0",
                b"\x17\x01",
                b"\x96\x01avc1\x01",
                b"\xA6\x01avc1\x01",
                b"\x96\x01avc1\x01",
                b"\x27\x01",
                b"\x96\x01avc1\x01",
                b"\x17\x01",
                b"\xA6\x01avc1\x01",
            ],
        );
        assert_eq!(outline(&file), starts);
        let tags = flv::read(&file).unwrap();
        let cut = tags.iter().filter(|tag| tag.data.len() > 30_000 && tag.data.ends_with(&[0; 1_000]));
        assert_eq!(cut.count(), 2);
    });
}

#[test]
fn item_381_a_thumbnail_waits_for_the_rest_of_a_main_picture_that_was_dropped_between_two_chunks() {
    let mut bench = Bench::new(Wire { rate: Some(100_000), ..Wire::new() });
    let (recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
    bench.run(async move {
        let (thumbnail, key) = (live.thumbnail(), slice(true, 30_000, 1));
        thumbnail.set_tracks(Tracks::h264(SPS, PPS));
        until(&mut live, Phase::Live).await;
        Timer::after(millis(50)).await;
        // The audio goes between two chunks of the picture.
        let first = select(send(&live, 0, true, &key), live.audio().send(0, &[7; 20])).await;
        assert!(matches!(first, Either::Second(SendOutcome::Sent)));
        assert_eq!(send_small(&thumbnail, 0, true, &key[..100]).await, SendOutcome::Sent);
        live.stop().await;
        let file = recorded.file(0);
        assert_eq!(pictures(&file), [0x17, 0x96]);
        let tags = flv::read(&file).unwrap();
        assert!(tags.iter().any(|tag| tag.data.len() > 30_000 && tag.data.ends_with(&[0; 1_000])));
    });
}

/// What became of the pictures of a track, in order: its number, and whether it was sent.
type Outcomes = Rc<RefCell<Vec<(Instant, SendOutcome)>>>;

/// Spawns a task that makes a picture of `length` bytes every `interval`, with a keyframe when one is wanted, until `end`.
fn spawn_source(
    bench: &mut Bench,
    live: &Live,
    is_thumbnail: bool,
    (interval, length): (Duration, usize),
    (start, end): (Instant, Instant),
) -> Outcomes {
    let (outcomes, live) = (Outcomes::default(), live.clone());
    let log = outcomes.clone();
    bench.spawn(async move {
        let (thumbnail, video, mut number) = (live.thumbnail(), live.video(), 0);
        loop {
            Timer::at(start + interval * number).await;
            let wanted =
                if is_thumbnail { poll_once(thumbnail.keyframe_wanted()) } else { poll_once(live.keyframe_wanted()) };
            let slice = slice(wanted.is_ready(), length, number);
            let at = (interval * number).as_micros();
            let units: [&[u8]; 1] = [&slice];
            let picture = Picture::new(at, at, wanted.is_ready(), &units);
            let outcome = if is_thumbnail { thumbnail.send(picture).await } else { video.send(picture).await };
            log.borrow_mut().push((Instant::now(), outcome));
            number += 1;
            if Instant::now() >= end {
                break;
            }
        }
    });
    outcomes
}

/// How many pictures of a track were sent and dropped in this time.
fn sent_and_dropped(outcomes: &Outcomes, from: Instant, to: Instant) -> (usize, usize) {
    let outcomes = outcomes.borrow();
    let within = outcomes.iter().filter(|(at, _)| (from..to).contains(at));
    within.fold((0, 0), |(sent, dropped), (_, outcome)| match outcome {
        SendOutcome::Sent => (sent + 1, dropped),
        SendOutcome::Dropped(_) => (sent, dropped + 1),
    })
}

#[test]
fn item_382_under_pressure_the_thumbnail_is_dropped_before_the_main_picture() {
    // The main track needs 100,000 bytes a second, and the thumbnail 40,000.
    for (rate, main_is_whole) in [(160_000, true), (120_000, true), (60_000, false)] {
        let mut bench = Bench::new(Wire { rate: Some(rate), ..Wire::new() });
        let _recorded = bench.serve();
        let mut live = bench.live(config_to(URL));
        live.thumbnail().set_tracks(Tracks::h264(SPS, PPS));
        let start = Instant::now();
        let end = start + Duration::from_secs(20);
        let main = spawn_source(&mut bench, &live, false, (millis(40), 4_000), (start, end));
        let small = spawn_source(&mut bench, &live, true, (millis(100), 4_000), (start, end));
        bench.run(async move {
            until(&mut live, Phase::Live).await;
            Timer::at(end + Duration::from_secs(2)).await;
            let from = start + Duration::from_secs(1);
            let ((main_sent, main_dropped), (sent, dropped)) =
                (sent_and_dropped(&main, from, end), sent_and_dropped(&small, from, end));
            let report = format!("{rate}: {main_sent} {main_dropped} {sent} {dropped}");
            println!("{report}");
            assert_eq!(main_dropped == 0, main_is_whole, "{report}");
            assert_eq!(dropped == 0, rate == 160_000, "{report}");
            // A thumbnail that is dropped takes nothing of the main track, and continues later.
            assert!(sent > 0 || rate == 60_000, "{report}");
            // Of the two tracks, the thumbnail loses more.
            assert!(dropped * (main_sent + main_dropped) >= main_dropped * (sent + dropped), "{report}");
        });
    }
}

fn swap<T>((a, b): (T, T)) -> (T, T) {
    (b, a)
}

/// The first bytes of the pictures in a recording.
fn pictures(file: &[u8]) -> Vec<u8> {
    let tags = flv::read(file).unwrap();
    tags.iter().filter(|tag| tag.kind == VIDEO && tag.data[1] == 1).map(|tag| tag.data[0]).collect()
}

#[test]
fn item_382_a_main_picture_waits_for_the_thumbnail_that_has_begun_and_goes_before_one_that_waits() {
    let mut bench = Bench::new(Wire { rate: Some(100_000), ..Wire::new() });
    let mut config = config_to(URL);
    config.drop_limits = None;
    let (recorded, mut live) = (bench.serve(), bench.live(config));
    bench.run(async move {
        let thumbnail = live.thumbnail();
        thumbnail.set_tracks(Tracks::h264(SPS, PPS));
        until(&mut live, Phase::Live).await;
        Timer::after(millis(50)).await;
        let (key, small, sound) = (slice(true, 30_000, 1), slice(true, 8_000, 2), [7; 20_000]);
        // The thumbnail fills the ring.
        let sent = join(send_small(&thumbnail, 0, true, &small), send(&live, 0, true, &key)).await;
        assert_eq!(sent, (SendOutcome::Sent, SendOutcome::Sent));
        // Audio fills the ring, and both tracks of video wait.
        let two = join(send_small(&thumbnail, 40, true, &small), send(&live, 40, true, &key));
        let sent = join(live.audio().send(40_000, &sound), two).await;
        assert_eq!(sent, (SendOutcome::Sent, (SendOutcome::Sent, SendOutcome::Sent)));
        // Audio goes between the chunks of each picture, but the other track does not.
        for at in [80, 120] {
            let audio = async {
                for _ in 0..40 {
                    assert_eq!(live.audio().send(at * 1_000, &[7; 200]).await, SendOutcome::Sent);
                    Timer::after(millis(5)).await;
                }
            };
            // The track that begins later is polled first.
            let begin = async |is_later: bool| {
                if is_later {
                    Timer::after(millis(10)).await;
                }
            };
            let main = async {
                begin(at == 120).await;
                send(&live, at, true, &key).await
            };
            let small = async {
                begin(at == 80).await;
                send_small(&thumbnail, at, true, &key).await
            };
            let two = async { if at == 80 { join(small, main).await } else { swap(join(main, small).await) } };
            assert_eq!(join(audio, two).await.1, (SendOutcome::Sent, SendOutcome::Sent));
        }
        live.stop().await;
        assert_eq!(pictures(&recorded.file(0)), [0x96, 0x17, 0x17, 0x96, 0x17, 0x96, 0x96, 0x17]);
    });
}

#[test]
fn item_383_at_a_server_that_refuses_enhanced_rtmp_the_thumbnail_is_dropped_and_the_main_track_goes_on() {
    let mut bench = Bench::new(Wire::new());
    let mut config = config_to(URL);
    config.client = &OPTIONS;
    let mut live = bench.live(config);
    let thumbnail = live.thumbnail();
    thumbnail.set_tracks(Tracks::h264(SPS, PPS));
    let stack = bench.second;
    bench.spawn(async move { old_server(stack, 1935).await });
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        assert!(live.status().is_legacy);
        for number in 0..10 {
            let (key, at) = (slice(true, 300, number), u64::from(number) * 40);
            let legacy = SendOutcome::Dropped(DropReason::LegacyServer);
            assert_eq!(send_small(&thumbnail, at, true, &key).await, legacy);
            assert_eq!(send(&live, at, number == 0, &slice(number == 0, 300, number)).await, SendOutcome::Sent);
        }
        let counters = live.status().counters;
        assert_eq!((counters.thumbnail.sent, counters.thumbnail.dropped), (0, 10));
        assert_eq!((counters.video.sent, counters.video.dropped), (10, 0));
        assert_eq!(live.stop().await, Stopped::InOrder);
    });
}

/// A track in a recording: the number of its last picture, and whether the next one must be a keyframe.
#[derive(Default)]
struct Track {
    last: Option<u32>,
    has_header: bool,
    is_cut: bool,
}

impl Track {
    /// Checks a picture: `body` begins with its slice after the length.
    fn picture(&mut self, body: &[u8], name: &str) {
        let number = number_of(body);
        let is_key = body[0] == 0x65;
        assert!(self.has_header, "{name}: picture {number} before the header");
        let follows = self.last.is_some_and(|last| last + 1 == number) && !self.is_cut;
        assert!(is_key || follows, "{name}: picture {number} after {:?}, cut: {}", self.last, self.is_cut);
        let end = body.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        assert!(body[5..end].iter().all(|byte| *byte == 0xA5), "{name}: picture {number}");
        (self.last, self.is_cut) = (Some(number), end < body.len());
    }
}

#[test]
fn item_381_whatever_is_abandoned_or_lost_each_track_can_be_decoded() {
    for seed in 1..6_u64 {
        let mut bench = Bench::new(Wire { rate: Some(250_000), loss: 1, ..Wire::new() });
        let (recorded, mut live) = (bench.serve(), bench.live(config_to(URL)));
        live.thumbnail().set_tracks(Tracks::h264(SPS, PPS));
        let (start, wire) = (Instant::now(), bench.wire);
        for is_thumbnail in [false, true] {
            let (live, mut random) = (live.clone(), Random(seed * 2 + u64::from(is_thumbnail) + 0x9E37_79B9_7F4A_7C15));
            bench.spawn(async move {
                let (thumbnail, video, mut is_due) = (live.thumbnail(), live.video(), true);
                for number in 1_u32.. {
                    Timer::at(start + millis(40) * number).await;
                    is_due |= if is_thumbnail {
                        poll_once(thumbnail.keyframe_wanted()).is_ready()
                    } else {
                        poll_once(live.keyframe_wanted()).is_ready()
                    };
                    let slice = slice(is_due, 500 + (random.next_u64() % 6_000) as usize, number);
                    let (at, units): (_, [&[u8]; 1]) = (Instant::now().as_micros(), [&slice]);
                    let picture = Picture::new(at, at, is_due, &units);
                    let was_live = live.status().phase == Phase::Live;
                    let sending = if is_thumbnail { thumbnail.send(picture) } else { video.send(picture) };
                    let limit = millis(random.next_u64() % 400);
                    // A picture of which nothing was sent must be followed by a keyframe.
                    is_due = match select(sending, Timer::after(limit)).await {
                        Either::First(SendOutcome::Sent) => false,
                        Either::First(SendOutcome::Dropped(why)) => {
                            // The first connection is not lost before this.
                            let is_early = start.elapsed() < millis(3_900);
                            assert!(!was_live || !is_early || why != DropReason::Offline, "{number}");
                            is_due
                        }
                        Either::Second(()) => true,
                    };
                }
            });
        }
        let audio = live.audio();
        bench.spawn(async move {
            loop {
                Timer::after(millis(20)).await;
                audio.send(Instant::now().as_micros(), &[7; 100]).await;
            }
        });
        bench.run(async move {
            until(&mut live, Phase::Live).await;
            Timer::after(millis(4_000)).await;
            live.stop().await;
            live.start();
            until(&mut live, Phase::Live).await;
            Timer::after(millis(2_000)).await;
            wire.cut.set(true);
            Timer::after(millis(3_500)).await;
            wire.cut.set(false);
            Timer::at(start + Duration::from_secs(12)).await;
            live.stop().await;
            let (files, counters) = (recorded.files.borrow().len(), live.status().counters);
            assert!(files >= 2 && counters.thumbnail.sent > 20 && counters.video.sent > 20, "{files} {counters:?}");
            let cuts = Cell::new(0);
            for index in 0..files {
                let (file, mut main, mut small) = (recorded.file(index), Track::default(), Track::default());
                for tag in flv::read(&file).unwrap_or_default() {
                    match tag.data {
                        // Only the first byte of this picture was sent. The others are zeros.
                        [0x17 | 0x27, rest @ ..] if tag.kind == VIDEO && rest.iter().all(|byte| *byte == 0) => {
                            main.is_cut = true;
                        }
                        [0x17, 0, ..] if tag.kind == VIDEO => main.has_header = true,
                        [0x96, 0, ..] if tag.kind == VIDEO => small.has_header = true,
                        [0x17 | 0x27, 1, _, _, _, _, _, _, _, body @ ..] if tag.kind == VIDEO => {
                            main.picture(body, "main");
                        }
                        [0x96 | 0xA6, 1, ..] => small.picture(&tag.data[14..], "small"),
                        data => assert!(tag.kind == AUDIO || tag.kind == SCRIPT, "{data:?}"),
                    }
                    cuts.set(cuts.get() + u32::from(main.is_cut) + u32::from(small.is_cut));
                }
            }
            assert!(cuts.get() > 0);
        });
    }
}
