//! A station: on the air, off it, on it again.

use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, Ipv4Address, Ipv4Cidr, Stack, StaticConfigV4};
use embassy_time::{Duration, Timer};
use embedded_rtmp_embassy::embedded_rtmp::media::FrameClass;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::Limits;
use embedded_rtmp_embassy::{
    ClientOptions, Clip, Counters, Error, Frame, Retry, Source, Station, StationOptions, Tally,
};

use super::pair::{IMPATIENT, LIMITS, Recorded, TestMemory, clip, while_serving, with_devices};
use crate::clip::BUNDLED;
use crate::compare::compare;
use crate::flv::{self, AUDIO, SCRIPT, Tag, VIDEO};
use crate::wire::Wire;

const URL: &str = "rtmp://10.0.0.2:1935/live/test";

fn options() -> StationOptions<'static> {
    let client = ClientOptions { keep_alive: IMPATIENT, ..Default::default() };
    StationOptions { client, limits: LIMITS, ..Default::default() }
}

/// Publishes until the source or the station ends.
async fn publish(
    stack: Stack<'_>,
    options: StationOptions<'_>,
    source: &mut impl Source,
) -> (Result<(), Error>, Counters) {
    let (mut memory, mut entropy) = (TestMemory::new(), || [7; 32]);
    let mut station = Station::new(stack, &mut memory, &mut entropy, &options);
    let result = station.publish(URL, source).await;
    (result, station.counters())
}

/// The frames of a recording, without metadata and sequence headers.
fn frames<'t>(tags: &'t [Tag<'t>]) -> impl Iterator<Item = &'t Tag<'t>> {
    tags.iter().filter(|tag| tag.kind != SCRIPT && FrameClass::of(tag.kind, tag.data) != FrameClass::Configuration)
}

#[test]
fn a_clip_arrives_whole_and_its_rounds_follow_each_other() {
    let recorded = Recorded::default();
    let (result, counters) = with_devices(&Wire::new(), async |first, second| {
        let mut source = Clip::new(BUNDLED, 3).unwrap().unpaced();
        let options = StationOptions { drop_limits: None, ..options() };
        while_serving(second, &[1935], &recorded, publish(first, options, &mut source)).await
    });
    assert_eq!(result, Ok(()));
    let file = recorded.file(0);
    let recording = flv::read(&file).unwrap();
    let clip: Vec<Tag<'_>> = clip().into_iter().filter(|tag| !tag.data.starts_with(&[0x17, 2])).collect();
    let one: Vec<Tag<'_>> = frames(&clip).copied().collect();
    let again = |offset: u32| one.iter().map(move |tag| Tag { timestamp: tag.timestamp.plus(offset), ..*tag });
    let expected: Vec<Tag<'_>> =
        clip[..3].iter().copied().chain(again(0)).chain(again(4_097)).chain(again(8_194)).collect();
    let of = |kind| expected.iter().filter(move |tag| tag.kind == kind).map(|tag| (tag.timestamp, tag.data));
    for kind in [AUDIO, VIDEO] {
        let found = recording.iter().filter(|tag| tag.kind == kind).map(|tag| (tag.timestamp, tag.data));
        assert!(of(kind).eq(found), "kind {kind}");
    }
    let tally = |taken| Tally { taken, sent: taken };
    assert_eq!((counters.audio, counters.video, counters.connections), (tally(3 * 174), tally(3 * 100), 1));
    assert_eq!(counters.bytes, 3 * one.iter().map(|tag| tag.data.len() as u64).sum::<u64>());
    assert_eq!((counters.audio.dropped(), counters.video.dropped()), (0, 0));
}

#[test]
fn a_server_that_comes_back_gets_the_headers_and_goes_on_from_a_keyframe() {
    let recorded = Recorded::default();
    let (result, counters) = with_devices(&Wire::new(), async |first, second| {
        let mut source = Clip::new(BUNDLED, 1).unwrap();
        let serve = async {
            while_serving(second, &[1935], &recorded, Timer::after(Duration::from_millis(1_300))).await;
            // Whoever dials now is refused.
            Timer::after(Duration::from_millis(300)).await;
            while_serving(second, &[1935], &recorded, std::future::pending::<()>()).await;
        };
        match select(publish(first, options(), &mut source), serve).await {
            Either::First(ended) => ended,
            Either::Second(()) => unreachable!(),
        }
    });
    assert_eq!(result, Ok(()));
    assert_eq!(counters.connections, 2);
    assert_eq!((counters.audio.taken, counters.video.taken), (174, 100));
    let files = [recorded.file(0), recorded.file(1)];
    let [before, after] = files.each_ref().map(|file| flv::read(file).unwrap());
    assert_eq!(after[..3].iter().map(|tag| tag.kind).collect::<Vec<_>>(), [SCRIPT, VIDEO, AUDIO]);
    assert!(after[1..3].iter().all(|tag| FrameClass::of(tag.kind, tag.data) == FrameClass::Configuration));
    let picture = frames(&after).find(|tag| tag.kind == VIDEO).unwrap();
    assert_eq!(FrameClass::of(MessageKind::VIDEO, picture.data), FrameClass::Keyframe);
    // On the same time line, and to its end.
    assert!(after[0].timestamp.since(before.last().unwrap().timestamp) > 0);
    assert_eq!(frames(&after).filter(|tag| tag.kind == VIDEO).last().unwrap().timestamp, Timestamp(3_960));
    let found = |tags: &[Tag<'_>], kind| frames(tags).filter(|tag| tag.kind == kind).count() as u32;
    for (kind, tally) in [(AUDIO, counters.audio), (VIDEO, counters.video)] {
        // What was in the socket when the server went was sent, and has not arrived.
        assert!(tally.dropped() > 0 && found(&before, kind) + found(&after, kind) <= tally.sent);
    }
    let clip = clip();
    assert!(frames(&before).chain(frames(&after)).all(|tag| clip.contains(tag)), "nothing arrived half");
}

#[test]
fn before_the_first_success_one_exhausted_plan_is_the_end() {
    let (result, counters) = with_devices(&Wire::new(), async |first, _| {
        publish(first, options(), &mut Clip::new(BUNDLED, 1).unwrap()).await
    });
    assert_eq!((result, counters), (Err(Error::Exhausted), Counters::default()));
}

#[test]
fn a_server_that_stays_away_is_given_up() {
    let retry =
        Retry { limit: Duration::from_secs(2), first: Duration::from_millis(100), longest: Duration::from_secs(1) };
    let (result, counters) = with_devices(&Wire::new(), async |first, second| {
        let options = StationOptions { retry, drop_limits: None, ..options() };
        let mut source = Clip::new(BUNDLED, 50).unwrap();
        let recorded = Recorded::default();
        let serve = async {
            while_serving(second, &[1935], &recorded, Timer::after(Duration::from_millis(500))).await;
            std::future::pending::<()>().await;
        };
        match select(publish(first, options, &mut source), serve).await {
            Either::First(ended) => ended,
            Either::Second(()) => unreachable!(),
        }
    });
    assert_eq!((result, counters.connections), (Err(Error::Exhausted), 1));
    // A source that can wait is not asked while nobody listens: one frame at most was under way.
    assert!(counters.audio.dropped() + counters.video.dropped() <= 1);
}

/// Publishes the clip, and has half a second later another address, or another prefix of the same.
fn with_another_address(recorded: &Recorded, host: u8, prefix: u8) -> (Result<(), Error>, Counters) {
    with_devices(&Wire::new(), async |first, second| {
        let mut source = Clip::new(BUNDLED, 1).unwrap();
        let change = async {
            Timer::after(Duration::from_millis(500)).await;
            let address = Ipv4Cidr::new(Ipv4Address::new(10, 0, 0, host), prefix);
            let config = StaticConfigV4 { address, gateway: None, dns_servers: Default::default() };
            first.set_config_v4(ConfigV4::Static(config));
            std::future::pending::<()>().await;
        };
        let client = select(publish(first, options(), &mut source), change);
        match while_serving(second, &[1935], recorded, client).await {
            Either::First(ended) => ended,
            Either::Second(()) => unreachable!(),
        }
    })
}

#[test]
fn another_address_is_another_connection() {
    let recorded = Recorded::default();
    let (result, counters) = with_another_address(&recorded, 77, 24);
    assert_eq!((result, counters.connections), (Ok(()), 2));
    let file = recorded.file(1);
    let after = flv::read(&file).unwrap();
    assert_eq!(frames(&after).filter(|tag| tag.kind == VIDEO).last().unwrap().timestamp, Timestamp(3_960));
}

#[test]
fn a_lease_that_is_renewed_with_another_prefix_ends_no_connection() {
    let recorded = Recorded::default();
    let (result, counters) = with_another_address(&recorded, 1, 16);
    assert_eq!((result, counters.connections, recorded.files.borrow().len()), (Ok(()), 1, 1));
}

/// A camera whose frames lie in several places.
struct Pieces(u32);

impl Source for Pieces {
    fn header(&mut self, _: usize) -> Option<Frame<'_>> {
        None
    }

    async fn next(&mut self) -> Option<Frame<'_>> {
        self.0 += 1;
        let parts: [&[u8]; 5] = [&[0x17, 1, 0, 0, 0], &[], &[0, 0, 0x4E, 0x20], &[7; 20_000], b"end"];
        (self.0 <= 2).then(|| Frame::new(MessageKind::VIDEO, Timestamp(self.0 * 40), &parts))
    }
}

#[test]
fn a_frame_in_several_places_is_one_message() {
    let recorded = Recorded::default();
    let (result, counters) = with_devices(&Wire::new(), async |first, second| {
        while_serving(second, &[1935], &recorded, publish(first, options(), &mut Pieces(0))).await
    });
    assert_eq!((result, counters.video.sent, counters.bytes), (Ok(()), 2, 2 * 20_012));
    let file = recorded.file(0);
    let whole = [&[0x17, 1, 0, 0, 0, 0, 0, 0x4E, 0x20][..], &[7; 20_000], b"end"].concat();
    let tag = |millis| Tag { kind: VIDEO, timestamp: Timestamp(millis), data: &whole };
    compare(&[tag(40), tag(80)], &flv::read(&file).unwrap()).unwrap();
}

#[test]
fn limits_for_several_sockets_try_one_port_after_another() {
    let wire = Wire { dropped_ports: vec![1935], ..Wire::new() };
    let result = with_devices(&wire, async |first, second| {
        let limits = Limits { tcp: LIMITS.tcp, handshake: LIMITS.handshake, ..Limits::smart(4) };
        let options = StationOptions { limits, ..options() };
        let (mut memory, mut entropy) = (TestMemory::new(), || [7; 32]);
        let mut station = Station::new(first, &mut memory, &mut entropy, &options);
        let mut source = Pieces(0);
        let publishing = station.publish("rtmp://10.0.0.2/live/test", &mut source);
        while_serving(second, &[1935, 80], &Recorded::default(), publishing).await
    });
    assert_eq!(result, Ok(()));
}

#[test]
fn urls_and_plans_that_make_no_sense_are_told_at_once() {
    with_devices(&Wire::new(), async |first, _| {
        let (mut memory, mut entropy, good) = (TestMemory::new(), || [7; 32], options());
        let mut station = Station::new(first, &mut memory, &mut entropy, &good);
        let mut source = Pieces(0);
        assert!(matches!(station.publish("http://h/x", &mut source).await, Err(Error::Url(_))));
        assert_eq!(station.publish("rtmp://10.0.0.2/live", &mut source).await, Err(Error::NoStreamKey));
        let bad = StationOptions { ports: &[], ..options() };
        let (mut memory, mut entropy) = (TestMemory::new(), || [7; 32]);
        let mut station = Station::new(first, &mut memory, &mut entropy, &bad);
        assert!(matches!(station.publish("rtmp://10.0.0.2/live/test", &mut source).await, Err(Error::Plan(_))));
    });
}
