//! A server that publishes the streams of its own device.

use std::cell::RefCell;

use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::code;
use embedded_rtmp_embassy::embedded_rtmp::media::FrameClass;
use embedded_rtmp_embassy::embedded_rtmp::media::audio::HEADER_SIZE;
use embedded_rtmp_embassy::embedded_rtmp::media::avc::prefixed::Units;
use embedded_rtmp_embassy::embedded_rtmp::media::video::{AvcPacket, FrameType, VideoTagHeader};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Plan;
use embedded_rtmp_embassy::embedded_rtmp::relay::{Counts, RelayConfig, TakeOver};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, DropReason, End, Error, LocalPublisher, Parts, Phase, Picture, PlayHandler, Player, SendOutcome,
    Server, ServerOptions, Stopped, StreamMemory,
};

use super::live::{Bench, TRACKS, config_to, until};
use super::pair::{AcceptAll, LIMITS, NO_GRACE, TestMemory, URL, clip, connect, targets, with_devices};
use crate::flv::{self, AUDIO, SCRIPT, Tag, VIDEO};
use crate::wire::Wire;

const OFFLINE: SendOutcome = SendOutcome::Dropped(DropReason::Offline);

/// What a player received.
#[derive(Default)]
pub(crate) struct Watch(pub(crate) RefCell<Vec<(MessageKind, Timestamp, Vec<u8>)>>);

impl PlayHandler for &Watch {
    fn data(&mut self, fragment: &Fragment<'_>) {
        self.media(fragment);
    }

    fn media(&mut self, fragment: &Fragment<'_>) {
        let mut messages = self.0.borrow_mut();
        if fragment.is_first() {
            messages.push((fragment.header.kind, fragment.header.timestamp, Vec::new()));
        }
        messages.last_mut().unwrap().2.extend_from_slice(fragment.data);
    }
}

pub(crate) async fn play(stack: Stack<'_>, url: &str, mut watch: &Watch) -> Result<End, Error> {
    let (url, targets, mut memory) = (Url::parse(url).unwrap(), targets([1935]), TestMemory::new());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let options = ClientOptions::default();
    let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [9; 32]).await?;
    player.run(&mut watch).await
}

/// Runs `clients` on the first device while the second publishes `live/test` with a ring of `RING` bytes.
fn with_local<const RING: usize>(
    relay: RelayConfig,
    clients: impl AsyncFnOnce(Stack<'_>, &LocalPublisher<'_>),
) -> Counts {
    with_devices(&Wire::new(), async |first, second| {
        let local = [LocalPublisher::new("live/test")];
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<RING>::new() }; 1]);
        let options = ServerOptions { relay, max_per_address: Some(4), ..Default::default() };
        let server = Server::<4, 1, 2>::relaying(second, &[1935], &mut memory, &mut streams, &options).unwrap();
        let mut server = server.with_local(&local);
        let mut handler = AcceptAll::default();
        assert_eq!(local[0].video(Picture::new(0, 0, true, &[&[0x65]])), OFFLINE, "no server runs");
        let Either::First(()) = select(clients(first, &local[0]), server.run(&mut handler)).await else {
            unreachable!()
        };
        let [counts] = server.relay_counts();
        counts
    })
}

/// Whether it is not a frame. The clip ends with the message for the end of an AVC sequence.
fn is_configuration(kind: MessageKind, data: &[u8]) -> bool {
    kind == SCRIPT || data.starts_with(&[0x17, 2]) || FrameClass::of(kind, data) == FrameClass::Configuration
}

/// The frames of a kind: their timestamps and payloads.
fn frames<'t>(tags: impl Iterator<Item = (MessageKind, Timestamp, &'t [u8])>, of: MessageKind) -> Vec<(u32, &'t [u8])> {
    let tags = tags.filter(|(kind, _, data)| *kind == of && !is_configuration(*kind, data));
    tags.map(|(_, timestamp, data)| (timestamp.0, data)).collect()
}

pub(crate) fn clip_frames<'t>(clip: &'t [Tag<'t>], of: MessageKind) -> Vec<(u32, &'t [u8])> {
    frames(clip.iter().map(|tag| (tag.kind, tag.timestamp, tag.data)), of)
}

pub(crate) fn watched(messages: &[(MessageKind, Timestamp, Vec<u8>)], of: MessageKind) -> Vec<(u32, &[u8])> {
    frames(messages.iter().map(|(kind, timestamp, data)| (*kind, *timestamp, &data[..])), of)
}

/// Publishes a tag of the clip, as an encoder and a microphone do. Returns `None` if it is not a frame.
fn publish(local: &LocalPublisher<'_>, tag: &Tag<'_>) -> Option<SendOutcome> {
    let at = u64::from(tag.timestamp.0) * 1_000;
    match tag.kind {
        _ if is_configuration(tag.kind, tag.data) => None,
        AUDIO => Some(local.audio(at, &tag.data[HEADER_SIZE..])),
        _ => {
            let (header, body) = VideoTagHeader::parse(tag.data)?;
            let VideoTagHeader::Avc { frame, packet: AvcPacket::NAL_UNITS, composition_time } = header else {
                return None;
            };
            let units: Vec<&[u8]> = Units::new(4, body).collect();
            let pts = at + composition_time as u64 * 1_000;
            Some(local.video(Picture::new(pts, at, frame == FrameType::KEY, &units)))
        }
    }
}

/// Publishes the clip in real time.
pub(crate) async fn publish_all(local: &LocalPublisher<'_>, clip: &[Tag<'_>]) {
    let start = Instant::now();
    for tag in clip {
        Timer::at(start + Duration::from_millis(tag.timestamp.0.into())).await;
        assert!(matches!(publish(local, tag), None | Some(SendOutcome::Sent)));
    }
}

/// A picture of one slice. `at` is in milliseconds.
pub(crate) fn picture(local: &LocalPublisher<'_>, at: u64, is_key: bool, length: usize) -> SendOutcome {
    let mut slice = vec![if is_key { 0x65 } else { 0x41 }; length];
    slice[1..].fill(at as u8);
    local.video(Picture::new(at * 1_000, at * 1_000, is_key, &[&slice]))
}

pub(crate) async fn until_published(local: &LocalPublisher<'_>) {
    while !local.is_published() {
        Timer::after_millis(1).await;
    }
}

#[test]
fn item_320_early_and_late_players_get_the_frames_of_the_device_after_their_headers() {
    let (clip, early, late) = (clip(), Watch::default(), Watch::default());
    let counts = with_local::<65_536>(NO_GRACE, async |stack, local| {
        local.set_tracks(TRACKS);
        until_published(local).await;
        let publishing = async {
            Timer::after_millis(300).await;
            publish_all(local, &clip).await;
            local.stop();
        };
        let late = async {
            Timer::after_millis(2_500).await;
            play(stack, URL, &late).await
        };
        let (early, late, ()) = join3(play(stack, URL, &early), late, publishing).await;
        assert_eq!((early, late), (Ok(End::Unpublished), Ok(End::Unpublished)));
        assert!(!local.is_published());
        assert_eq!(picture(local, 5_000, true, 10), OFFLINE);
        local.start();
        until_published(local).await;
        assert_eq!(picture(local, 5_040, true, 10), SendOutcome::Sent);
    });
    assert_eq!(counts, Counts::default());
    for (is_late, watch) in [(false, &early), (true, &late)] {
        let mut messages = watch.0.take();
        // Before the stream, the server sends messages of its own.
        messages.retain(|(kind, _, data)| *kind != SCRIPT || data.windows(10).any(|bytes| bytes == b"onMetaData"));
        let headers: Vec<_> = messages.iter().take(3).map(|(kind, ..)| *kind).collect();
        assert_eq!(headers, [SCRIPT, VIDEO, AUDIO]);
        assert!(messages[0].2.windows(5).any(|bytes| bytes == b"width"));
        assert!(messages[1].2.starts_with(b"\x17\0\0\0\0\x01\x42\xC0\x1E\xFF\xE1\0\x0A\x67"));
        assert_eq!(messages[2].2, [0xAF, 0, 0x12, 0x10]);
        assert!(messages[3..].iter().all(|(kind, _, data)| !is_configuration(*kind, data)), "once");
        for kind in [AUDIO, VIDEO] {
            let (expected, found) = (clip_frames(&clip, kind), watched(&messages, kind));
            assert!(expected.ends_with(&found), "{} of {} frames", found.len(), expected.len());
            assert_eq!(found.len() < expected.len(), is_late);
        }
        assert_eq!(FrameClass::of(VIDEO, watched(&messages, VIDEO)[0].1), FrameClass::Keyframe);
    }
}

#[test]
fn item_321_a_player_that_awaits_a_keyframe_makes_the_encoder_send_one() {
    let watch = Watch::default();
    let counts = with_local::<8_192>(NO_GRACE, async |stack, local| {
        local.set_tracks(TRACKS);
        until_published(local).await;
        let is_wanted =
            async |millis| with_timeout(Duration::from_millis(millis), local.keyframe_wanted()).await.is_ok();
        assert_eq!(picture(local, 0, true, 2_000), SendOutcome::Sent);
        // After these pictures, the keyframe is not in the ring any longer.
        for number in 1..=10 {
            assert_eq!(picture(local, number * 40, false, 1_000), SendOutcome::Sent);
        }
        assert!(!is_wanted(500).await, "there is no player");
        let publishing = async {
            let mut at = 400;
            loop {
                at += 40;
                assert_eq!(picture(local, at, false, 1_000), SendOutcome::Sent);
                if is_wanted(40).await {
                    break;
                }
                assert!(at < 1_600, "the player has joined long ago");
            }
            // It is not asked for again while the encoder makes it.
            assert_eq!(picture(local, at + 40, false, 1_000), SendOutcome::Sent);
            assert!(!is_wanted(200).await);
            assert!(watched(&watch.0.borrow(), VIDEO).is_empty());
            assert_eq!(picture(local, at + 80, true, 2_000), SendOutcome::Sent);
            assert!(!is_wanted(1_500).await, "it has come");
            // A keyframe that does not fit, and a picture that others need.
            for is_key in [true, false] {
                let outcome = picture(local, at + 1_600, is_key, 9_000);
                assert_eq!(outcome, SendOutcome::Dropped(DropReason::TooLarge));
                assert!(is_wanted(1).await);
                assert_eq!(picture(local, at + 1_640, true, 100), SendOutcome::Sent);
            }
        };
        let Either::Second(()) = select(play(stack, URL, &watch), publishing).await else { panic!("the player's end") };
    });
    assert_eq!((counts.too_long, counts.longest), (2, 9_009), "they are counted while the ring is lent");
    let messages = watch.0.borrow();
    let pictures = watched(&messages, VIDEO);
    assert_eq!(FrameClass::of(VIDEO, pictures[0].1), FrameClass::Keyframe);
    assert_eq!(pictures[0].1.len(), 2_009);
}

/// A remote publisher of the same name.
async fn remote<T>(stack: Stack<'_>, sends: impl AsyncFnOnce() -> T) -> Result<T, Error> {
    let (targets, mut memory) = (targets([1935]), TestMemory::new());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let mut publisher = connect(stack, &mut plan, &mut memory).await?;
    let Parts { mut runner, mut video, .. } = publisher.split();
    let sending = async {
        video.send(Timestamp(0), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
        sends().await
    };
    let Either::Second(result) = select(runner.run(), sending).await else { panic!("the publisher's end") };
    publisher.close().await.map(|()| result)
}

fn with_policy(take_over: TakeOver) -> RelayConfig {
    let mut config = RelayConfig::new();
    config.take_over = take_over;
    config
}

fn is_bad_name<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Refused(refusal)) if refusal.code.to_string() == code::PUBLISH_BAD_NAME)
}

#[test]
fn item_322_a_remote_publisher_of_the_same_name_is_refused_unless_the_policy_lets_it_replace_the_device() {
    for take_over in [TakeOver::Refuse, TakeOver::WhenSilent] {
        with_local::<8_192>(with_policy(take_over), async |stack, local| {
            local.set_tracks(TRACKS);
            until_published(local).await;
            // The device is not silent even if it has published nothing for a long time.
            Timer::after_secs(10).await;
            let begin = Instant::now();
            assert!(is_bad_name(remote(stack, async || ()).await), "{take_over:?}");
            assert!(begin.elapsed() < Duration::from_secs(1) && local.is_published());
            assert_eq!(picture(local, 0, true, 100), SendOutcome::Sent);
        });
    }
    let watch = Watch::default();
    with_local::<8_192>(with_policy(TakeOver::Always), async |stack, local| {
        local.set_tracks(TRACKS);
        until_published(local).await;
        let publishing = async {
            Timer::after_millis(300).await;
            assert_eq!(picture(local, 0, true, 100), SendOutcome::Sent);
            Timer::after_millis(300).await;
            let replaced = remote(stack, async || {
                assert_eq!(picture(local, 600, false, 100), OFFLINE);
                Timer::after_secs(3).await;
                assert!(!local.is_published(), "it does not replace the other one");
            });
            assert_eq!(replaced.await, Ok(()));
            // Players continue with the device.
            until_published(local).await;
            assert_eq!(picture(local, 9_000, true, 200), SendOutcome::Sent);
            Timer::after_millis(300).await;
        };
        let Either::Second(()) = select(play(stack, URL, &watch), publishing).await else { panic!("the player's end") };
    });
    let messages = watch.0.borrow();
    let pictures = watched(&messages, VIDEO);
    assert_eq!(pictures.iter().map(|(_, data)| data.len()).collect::<Vec<_>>(), [109, 8, 209]);
    assert!(pictures.is_sorted(), "the timestamps continue");
}

#[test]
fn item_322_the_device_publishes_when_the_remote_publisher_of_its_name_has_left() {
    for take_over in [TakeOver::Refuse, TakeOver::WhenSilent] {
        with_local::<8_192>(with_policy(take_over), async |stack, local| {
            local.set_tracks(TRACKS);
            until_published(local).await;
            local.stop();
            let published = remote(stack, async || {
                local.start();
                Timer::after_secs(5).await;
                local.is_published()
            });
            assert_eq!(published.await, Ok(false), "{take_over:?}");
            until_published(local).await;
            assert_eq!(picture(local, 0, true, 100), SendOutcome::Sent);
        });
    }
}

#[test]
fn item_323_one_picture_goes_to_the_relay_of_the_device_and_to_a_remote_server() {
    let mut bench = Bench::new(Wire::new());
    let local: &'static [LocalPublisher<'static>; 1] = Box::leak(Box::new([LocalPublisher::new("live/camera")]));
    let (stack, player) = (bench.first, bench.second);
    bench.spawn(async move {
        let memory: &'static mut [TestMemory; 3] = Box::leak(Box::new([const { TestMemory::new() }; 3]));
        let streams: &'static mut [StreamMemory<65_536>; 1] = Box::leak(Box::new([const { StreamMemory::new() }; 1]));
        let options = ServerOptions { relay: NO_GRACE, ..Default::default() };
        let server = Server::<3, 1, 2>::relaying(stack, &[1935], memory, streams, &options).unwrap();
        server.with_local(local).run(&mut AcceptAll::default()).await;
    });
    let (recorded, mut live) = (bench.serve(), bench.live(config_to("rtmp://10.0.0.2:1935/live/test")));
    bench.run(async move {
        local[0].set_tracks(TRACKS);
        until(&mut live, Phase::Live).await;
        let watch = Watch::default();
        let publishing = async {
            Timer::after_millis(300).await;
            for number in 0..50_u64 {
                let slice = vec![if number % 10 == 0 { 0x65 } else { 0x41 }; 400 + number as usize];
                let at = number * 40_000;
                let (units, is_key): ([&[u8]; 1], _) = ([&slice], number % 10 == 0);
                let picture = Picture::new(at, at, is_key, &units);
                let (remote, local) = join(live.video().send(picture), async { local[0].video(picture) }).await;
                assert_eq!((remote, local), (SendOutcome::Sent, SendOutcome::Sent));
                Timer::after_millis(40).await;
            }
            local[0].stop();
            assert_eq!(live.stop().await, Stopped::InOrder);
        };
        let (end, ()) = join(play(player, "rtmp://10.0.0.1/live/camera", &watch), publishing).await;
        assert_eq!(end, Ok(End::Unpublished));
        let file = recorded.file(0);
        let (tags, messages) = (flv::read(&file).unwrap(), watch.0.borrow());
        assert_eq!(clip_frames(&tags, VIDEO).len(), 50);
        assert!(clip_frames(&tags, VIDEO) == watched(&messages, VIDEO), "the pictures differ");
    });
}
