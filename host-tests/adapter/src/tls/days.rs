//! Hours and days of a live stream over TLS with 32 kbit/s, on connections that end in every way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::message::MessageKind;
use embedded_rtmp_embassy::transport::tls::{P256, Records, Roots, Time, Tls, TlsError, TlsOptions};
use embedded_rtmp_embassy::{Config, Error, Phase, Picture, SendOutcome, StreamState, over};
use tls_peer::{ALERT, HANDSHAKE, Server, Servers, Site, Wire};

use super::{behind_tls, entropy};
use crate::clock::block_on_stepped;
use crate::live::{TRACKS, TestRng};
use crate::pipe::Peer;
use crate::wire::Random;

/// The records in each direction of a connection.
const RECORD_LIMIT: u32 = 10_000;
/// The time between two pictures of 1,000 bytes each: 32 kbit/s.
const INTERVAL: Duration = Duration::from_millis(250);
/// Every eighth picture is a keyframe.
const GROUP: u32 = 8;
/// The longest time from the end of a connection to the next keyframe: the first wait of the retries, the handshakes, and
/// two seconds between two keyframes.
const LONGEST_OUTAGE: Duration = Duration::from_secs(4);

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    RecordLimit,
    KeyUpdate,
    Alert,
    CloseNotify,
    Fin,
}

const ENDINGS: [(Ending, Error); 5] = [
    (Ending::RecordLimit, Error::Tls(TlsError::RecordLimit)),
    (Ending::KeyUpdate, Error::Tls(TlsError::KeyUpdate)),
    (Ending::Alert, Error::Tls(TlsError::Alert(None))),
    (Ending::CloseNotify, Error::Closed),
    (Ending::Fin, Error::Tls(TlsError::Truncated)),
];

impl Ending {
    /// Ends the connection, as its server does.
    fn happen(self, wire: &mut Wire) {
        match self {
            Self::RecordLimit => {}
            // It asks for a KeyUpdate in return.
            Self::KeyUpdate => wire.send(HANDSHAKE, &[24, 0, 0, 1, 1]),
            // internal_error
            Self::Alert => wire.send(ALERT, &[2, 80]),
            Self::CloseNotify => wire.send(ALERT, &[1, 0]),
            Self::Fin => {
                wire.is_closed = true;
                wire.push(&[]);
            }
        }
    }
}

/// The server's side of a connection.
type Connection = (Rc<RefCell<Wire>>, Rc<RefCell<Peer>>);

/// What has arrived at the servers.
#[derive(Default)]
struct Arrived {
    pictures: u32,
    /// The number of the last picture.
    last: Option<u32>,
    /// Whether the next picture is the first one of a connection.
    begins: bool,
}

impl Arrived {
    /// Checks the pictures that a server has received since the last call. On one connection there is no gap.
    fn take(&mut self, peer: &mut Peer) {
        for (_, _, payload) in peer.published.drain(..).filter(|(kind, ..)| *kind == MessageKind::VIDEO) {
            if payload[1] == 0 {
                // The sequence header.
                self.begins = true;
                continue;
            }
            let number = u32::from_be_bytes(payload[10..14].try_into().unwrap());
            assert_eq!(payload.len(), 1_009);
            if self.begins {
                assert_eq!(payload[0], 0x17, "a connection begins with a keyframe");
                assert!(self.last < Some(number));
            } else {
                assert_eq!(Some(number), self.last.map(|last| last + 1), "a gap");
            }
            (self.begins, self.last) = (false, Some(number));
            self.pictures += 1;
        }
    }
}

/// Publishes for this time. A connection ends after one of `lasts` seconds, or by the limit of records.
fn publish_for(length: Duration, lasts: std::ops::Range<u32>) {
    let site = Site::new();
    let flight = site.flight();
    let root: &'static [u8] = site.root.leak();
    let anchors: &'static [&'static [u8]] = vec![root].leak();
    let (connection, count): (Rc<RefCell<Option<Connection>>>, Rc<Cell<usize>>) = Default::default();
    let below = Servers({
        let (connection, count) = (connection.clone(), count.clone());
        move || {
            let (wire, peer) = (Wire::new(Server::new(&flight)), Peer::new());
            wire.borrow_mut().application = Some(behind_tls(peer.clone()));
            *connection.borrow_mut() = Some((wire.clone(), peer));
            count.set(count.get() + 1);
            wire
        }
    });
    let records: &'static mut Records = Box::leak(Box::new(Records::new()));
    let options = TlsOptions { record_limit: RECORD_LIMIT, ..TlsOptions::DEFAULT };
    let tls = Tls::new(below, records, Roots::<P256>::new(anchors, Time::NoClock), entropy, options);
    let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
    let mut config = Config::new("rtmps://server.example/live/test");
    // Long enough for the camera to notice the end.
    config.retry.first = Duration::from_secs(1);
    let (live, runner) = over(tls, state, TestRng::new(), config);
    live.set_tracks(TRACKS);
    let camera = async {
        let (mut random, mut arrived, mut unit) = (Random(0x1357_9BDF_0246_8ACE), Arrived::default(), [0; 1_000]);
        let (start, mut ended) = (Instant::now(), [0; ENDINGS.len()]);
        // Of the connection that is in use.
        let (mut number, mut since, mut lasts_for) = (0, start, Duration::MAX);
        let (mut outage, mut longest) = (Some(start), Duration::MIN);
        let (mut sent, mut dropped, mut picture) = (0, 0, 0_u32);
        while start.elapsed() < length {
            Timer::at(start + INTERVAL * picture).await;
            let is_key = picture.is_multiple_of(GROUP);
            unit[0] = if is_key { 0x65 } else { 0x41 };
            unit[1..5].copy_from_slice(&picture.to_be_bytes());
            let at = u64::from(picture) * INTERVAL.as_micros();
            match live.video().send(Picture::new(at, at, is_key, &[&unit])).await {
                SendOutcome::Sent => sent += 1,
                SendOutcome::Dropped(_) => dropped += 1,
            }
            picture += 1;
            // The server gets what the client writes.
            Timer::after_millis(1).await;
            let current = connection.borrow().clone();
            let before = arrived.pictures;
            if let Some((_, peer)) = &current {
                arrived.take(&mut peer.borrow_mut());
            }
            let status = live.status();
            let ending = ENDINGS[number % ENDINGS.len()];
            match outage {
                Some(began) if arrived.pictures > before => {
                    longest = longest.max(began.elapsed());
                    (outage, since, number) = (None, Instant::now(), count.get() - 1);
                    let is_limit = ENDINGS[number % ENDINGS.len()].0 == Ending::RecordLimit;
                    let seconds = lasts.start + random.below(lasts.end - lasts.start);
                    lasts_for = if is_limit { Duration::MAX } else { Duration::from_secs(seconds.into()) };
                }
                None if status.phase != Phase::Live => {
                    assert_eq!(status.last_error, Some(ending.1), "connection {number}, {:?}", ending.0);
                    ended[number % ENDINGS.len()] += 1;
                    outage = Some(Instant::now());
                }
                None if lasts_for < since.elapsed() => {
                    lasts_for = Duration::MAX;
                    let (wire, _) = current.unwrap();
                    ending.0.happen(&mut wire.borrow_mut());
                }
                _ => {}
            }
            let down = outage.map_or(Duration::MIN, |began| began.elapsed());
            assert!(down < LONGEST_OUTAGE, "no picture for {} ms: {status:?}", down.as_millis());
        }
        let video = live.status().counters.video;
        assert_eq!((u64::from(video.sent), u64::from(video.dropped)), (sent, dropped));
        assert_eq!(sent + dropped, u64::from(picture));
        let ends: u64 = ended.iter().sum();
        let lost = sent - u64::from(arrived.pictures);
        println!("{picture} pictures: {} arrived, {dropped} dropped, {lost} lost with a connection", arrived.pictures);
        println!(
            "ended by {:?}: {ended:?}; at most {} ms without a picture",
            ENDINGS.map(|it| it.0),
            longest.as_millis()
        );
        assert!(ended.iter().all(|count| *count > 0), "{ended:?}");
        // A picture is lost if it is written when the connection ends.
        assert!(lost <= ends, "{lost} pictures are lost with {ends} connections");
        assert!(
            dropped <= ends * LONGEST_OUTAGE.as_millis() / INTERVAL.as_millis(),
            "{dropped} dropped in {ends} outages"
        );
    };
    let Either::Second(()) = block_on_stepped(select(runner.run(), camera));
}

#[test]
fn item_242_an_hour_over_tls_ends_in_every_way_and_loses_only_counted_pictures() {
    publish_for(Duration::from_secs(3_600), 60..200);
}

#[test]
#[ignore = "long: two days of simulated time; host-tests/run long runs it"]
fn long_item_242_two_days_over_tls_lose_only_counted_pictures() {
    publish_for(Duration::from_secs(48 * 3_600), 60..1_500);
}
