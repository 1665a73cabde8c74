//! `serve` with each policy of the relay: what happens if a second publisher connects, and if a publisher leaves.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use embedded_rtmp::command::PlayRequest;
use embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp::port_plan::{Limits, Target};
use embedded_rtmp::relay::{RelayConfig, TakeOver};
use embedded_rtmp::session::{ClientConfig, ClientEvent, ServerConfig};
use embedded_rtmp::url::Url;
use host_tests::flv::Reader;
use host_tests::net::{Clock, Dialler, Link, LinkReport, TlsArguments};
use host_tests::serve::{Controls, Event, Listeners, Options, Recorded, WebOptions};
use tempfile::TempDir;

/// Long enough for everything here on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(60);
/// A time that no test reaches.
const NEVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);

const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0, 1];
const PICTURE: &[u8] = &[0x27, 1, 0, 0, 0, 2];

/// The event loop of `serve`, in a thread.
struct Serve {
    port: u16,
    directory: TempDir,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Recorded>>,
}

impl Serve {
    fn start(change: impl FnOnce(&mut RelayConfig)) -> Self {
        let (listeners, failed) = Listeners::bind(&["127.0.0.1:0".to_owned()]).unwrap();
        assert!(failed.is_empty());
        let (port, directory) = (listeners.addresses()[0].port(), tempfile::tempdir().unwrap());
        let mut relay = RelayConfig::new();
        change(&mut relay);
        let options = Options {
            agreement_interval: Duration::from_millis(500),
            directory: Some(directory.path().to_owned()),
            keeps_timestamps: true,
            user: None,
            proxies: Vec::new(),
            ring: 100_000,
            max_connections: 10,
            max_per_address: 10,
            memory: 512 << 20,
            tls: None,
            config: ServerConfig::new(),
            relay,
            reconnect_to: None,
            drain: Duration::ZERO,
            admin: None,
            handover: Vec::new(),
            web: WebOptions::default(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let controls = Controls { stop: Arc::clone(&stop), ..Controls::default() };
        let thread = thread::spawn(move || {
            let mut recorded = Vec::new();
            let mut tell = |event| match event {
                Event::Recorded(recording) => recorded.push(recording),
                event => eprintln!("{event:?}"),
            };
            listeners.serve(&options, &controls, &mut tell, &mut |_| {}).unwrap();
            recorded
        });
        Self { port, directory, stop, thread }
    }

    /// Stops, and returns the recordings: the end of each, and the timestamps in its file.
    fn stop(self) -> Vec<(String, Vec<u32>)> {
        self.stop.store(true, Ordering::Relaxed);
        let recorded = self.thread.join().unwrap();
        assert_eq!(std::fs::read_dir(self.directory.path()).unwrap().count(), recorded.len(), "files");
        recorded.into_iter().map(|recorded| (recorded.end, timestamps(&recorded.file))).collect()
    }

    fn client(&self) -> Peer {
        Peer::connect(Target::rtmp(self.port), self.port)
    }

    fn tunnelled(&self) -> Peer {
        Peer::connect(Target::rtmpt(self.port), self.port)
    }

    fn publisher(&self) -> Peer {
        let mut publisher = self.client();
        publisher.publish();
        publisher.wait_for("Publishing");
        publisher
    }

    fn player(&self) -> Peer {
        let mut player = self.client();
        player.link.session.play(&PlayRequest::new("x")).unwrap();
        player.wait_for("Playing");
        player.told.clear();
        player
    }
}

fn timestamps(file: &Path) -> Vec<u32> {
    Reader::new(std::fs::File::open(file).unwrap()).unwrap().map(|tag| tag.unwrap().timestamp).collect()
}

/// A client that runs only while a test waits.
struct Peer {
    link: Link<1>,
    /// Received messages for which the test has not waited yet.
    told: Vec<String>,
    /// The timestamps of the media that it has played.
    played: Vec<u32>,
    is_closed: bool,
}

impl Peer {
    fn connect(target: Target, port: u16) -> Self {
        let targets = Box::leak(Box::new([target]));
        let clock = Clock::new();
        let mut dialler = Dialler::new(
            "127.0.0.1",
            targets,
            Limits::SEQUENTIAL,
            ClientConfig::new(),
            &TlsArguments::default(),
            clock,
        )
        .unwrap();
        let url = format!("rtmp://127.0.0.1:{port}/live/x");
        let url = Url::parse(&url).unwrap();
        let link = Link::connect(&mut dialler, &url, &[], clock, &mut LinkReport::default()).unwrap();
        Self { link, told: Vec::new(), played: Vec::new(), is_closed: false }
    }

    fn publish(&mut self) {
        self.link.session.publish("x").unwrap();
    }

    /// Receives and sends available bytes. Returns whether there were any.
    fn step(&mut self) -> bool {
        let (told, played) = (&mut self.told, &mut self.played);
        let handled = self.link.receive(|event| {
            match event {
                ClientEvent::Publishing(_) => told.push("Publishing".to_owned()),
                ClientEvent::Playing(_) => told.push("Playing".to_owned()),
                ClientEvent::Refused(_, status) | ClientEvent::Status(_, status) => told.push(status.code.to_string()),
                ClientEvent::Media(fragment) if fragment.header.kind == MessageKind::VIDEO && fragment.is_last() => {
                    played.push(fragment.header.timestamp.0);
                }
                _ => {}
            }
            Ok(true)
        });
        let has_sent = self.link.send().unwrap_or(false);
        self.is_closed |= handled.is_err() || self.link.is_ended();
        has_sent | handled.unwrap_or(false)
    }

    fn until(&mut self, what: &str, is_it: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_it(self) {
            assert!(begin.elapsed() < LIMIT, "{what}: {:?} {:?}", self.told, self.played);
            if !self.step() {
                self.link.wait(Duration::from_millis(10)).unwrap();
            }
        }
    }

    /// Waits until the server sends `what`.
    fn wait_for(&mut self, what: &str) {
        self.until(what, |peer| peer.told.iter().any(|told| told == what));
        self.told.retain(|told| told != what);
    }

    /// Runs the client for `time`.
    fn idle(&mut self, time: Duration) {
        let begin = Instant::now();
        self.until("idle", |_| begin.elapsed() >= time);
    }

    /// Sends a picture.
    fn send(&mut self, timestamp: u32, payload: &[u8]) {
        let (session, now) = (&mut self.link.session, self.link.clock.now());
        let length = payload.len() as u32;
        let csid = session.begin_media(MessageKind::VIDEO, StreamId(1), Timestamp(timestamp), length).unwrap();
        let mut taken = 0;
        let sent = self.link.pipe.send(|out| {
            let before = session.poll_transmit(now, out);
            let progress = session.poll_media(csid, &payload[taken..], &mut out[before..]);
            taken += progress.taken;
            before + progress.written
        });
        assert!(sent.is_ok() && taken == payload.len());
    }

    /// Ends publishing, and waits until the server has noticed.
    fn unpublish(mut self) {
        self.link.session.close().unwrap();
        self.until("the end", |peer| peer.link.session.is_closed() || peer.is_closed);
    }
}

/// One publisher with a player that has its first keyframe.
fn published(serve: &Serve) -> (Peer, Peer) {
    let mut publisher = serve.publisher();
    publisher.send(1000, KEYFRAME);
    let mut player = serve.player();
    player.until("a keyframe", |player| player.played == [1000]);
    (publisher, player)
}

#[test]
fn with_refuse_and_no_grace_a_second_publisher_is_rejected_and_players_are_told_the_end_at_once() {
    let serve = Serve::start(|relay| (relay.take_over, relay.grace) = (TakeOver::Refuse, Duration::ZERO));
    let (mut publisher, mut player) = published(&serve);
    let mut second = serve.client();
    second.publish();
    second.wait_for("NetStream.Publish.BadName");
    publisher.send(1040, PICTURE);
    player.until("the next picture", |player| player.played == [1000, 1040]);
    publisher.unpublish();
    player.wait_for("NetStream.Play.UnpublishNotify");
    assert_eq!(serve.stop(), [("unpublished".to_owned(), vec![1000, 1040])]);
}

#[test]
fn a_tunnel_between_two_requests_is_not_closed_for_other_connections() {
    let serve = Serve::start(|_| {});
    let mut publisher = serve.tunnelled();
    publisher.publish();
    publisher.wait_for("Publishing");
    let mut player = serve.player();
    let mut silent = Vec::new();
    for timestamp in 1000..1010 {
        publisher.send(timestamp, KEYFRAME);
        publisher.idle(SHORT / 4);
        // The server has 10 places.
        silent.extend((0..20).map(|_| TcpStream::connect(("127.0.0.1", serve.port)).unwrap()));
    }
    publisher.send(1010, KEYFRAME);
    publisher.idle(SHORT);
    player.until("the last picture", |player| player.played.len() == 11);
    assert!(!publisher.is_closed);
    assert_eq!(serve.stop().len(), 1);
    drop(silent);
}

#[test]
fn a_second_publisher_takes_over_and_players_continue() {
    let serve = Serve::start(|relay| (relay.take_over, relay.grace) = (TakeOver::Always, Duration::ZERO));
    let (mut first, mut player) = published(&serve);
    let mut second = serve.publisher();
    first.wait_for("NetStream.Publish.BadName");
    first.until("the end of the connection", |first| first.is_closed);
    second.send(50, KEYFRAME);
    second.send(90, PICTURE);
    player.until("its pictures", |player| player.played.len() == 3);
    let [1000, keyframe, picture] = player.played[..] else { panic!("{:?}", player.played) };
    assert!(keyframe > 1000 && picture == keyframe + 40, "one offset: {:?}", player.played);
    assert_eq!(player.told, Vec::<String>::new());
    drop(second);
    player.wait_for("NetStream.Play.UnpublishNotify");
    let expected = [("another publisher took over".to_owned(), vec![1000])];
    assert_eq!(serve.stop()[..1], expected);
}

#[test]
fn a_stream_is_taken_over_again_and_again() {
    let serve = Serve::start(|relay| relay.take_over = TakeOver::Always);
    let (_first, mut player) = published(&serve);
    for timestamp in [2000, 3000] {
        let mut next = serve.publisher();
        next.send(timestamp, KEYFRAME);
        let count = player.played.len();
        player.until("its keyframe", |player| player.played.len() == count + 1);
    }
    assert!(player.played.is_sorted(), "{:?}", player.played);
    assert_eq!(serve.stop().len(), 3);
}

#[test]
fn item_120_a_publisher_that_answers_a_ping_keeps_its_name() {
    let serve = Serve::start(|relay| relay.answer_limit = NEVER);
    let (mut first, mut player) = published(&serve);
    for mut second in [serve.client(), serve.tunnelled()] {
        second.publish();
        second.idle(SHORT);
        assert_eq!(second.told, Vec::<String>::new(), "the second publisher waits");
        let mut third = serve.client();
        third.publish();
        third.wait_for("NetStream.Publish.BadName");
        // It sends only the answer to the ping.
        first.idle(SHORT);
        second.wait_for("NetStream.Publish.BadName");
    }
    first.send(1040, PICTURE);
    player.until("the next picture", |player| player.played == [1000, 1040]);
    assert_eq!((first.told.len(), player.told.len()), (0, 0));
    assert_eq!(serve.stop().len(), 1, "no file of a publisher that was rejected");
}

#[test]
fn item_120_media_in_transit_counts_as_an_answer_to_the_ping() {
    let serve = Serve::start(|relay| relay.answer_limit = NEVER);
    let (mut first, _player) = published(&serve);
    let mut second = serve.client();
    second.publish();
    second.idle(SHORT);
    // It sends without having read the ping.
    first.send(1040, PICTURE);
    second.wait_for("NetStream.Publish.BadName");
}

#[test]
fn item_120_a_silent_publisher_is_replaced() {
    for is_tunnelled in [false, true] {
        let serve = Serve::start(|relay| relay.answer_limit = SHORT);
        let (mut first, mut player) = published(&serve);
        let mut second = if is_tunnelled { serve.tunnelled() } else { serve.client() };
        second.publish();
        second.wait_for("Publishing");
        second.send(7, KEYFRAME);
        player.until("its keyframe", |player| player.played.len() == 2);
        assert!(player.played[1] > 1000 + 100, "the time that passed: {:?}", player.played);
        assert_eq!(player.told, Vec::<String>::new());
        first.wait_for("NetStream.Publish.BadName");
        assert_eq!(serve.stop().iter().map(|(_, timestamps)| timestamps.len()).collect::<Vec<_>>(), [1, 1]);
    }
}

#[test]
fn item_120_a_second_publisher_that_leaves_while_it_waits_changes_nothing() {
    let serve = Serve::start(|relay| relay.answer_limit = 5 * SHORT);
    let (mut first, mut player) = published(&serve);
    let mut second = serve.client();
    second.publish();
    second.idle(SHORT);
    drop(second);
    // The first publisher sends nothing.
    player.idle(10 * SHORT);
    first.send(1040, PICTURE);
    player.until("the next picture", |player| player.played == [1000, 1040]);
    assert_eq!((first.told.len(), player.told.len()), (0, 0));
    assert_eq!(serve.stop().len(), 1);
}

#[test]
fn a_second_publisher_that_leaves_unread_bytes_changes_nothing() {
    let serve = Serve::start(|relay| relay.answer_limit = 5 * SHORT);
    let (mut first, _player) = published(&serve);
    let mut second = serve.client();
    second.publish();
    second.idle(SHORT);
    // More than the server reads while it waits, and less than the system has room for.
    let mut left = 100_000;
    second
        .link
        .pipe
        .send(|out| {
            let length = out.len().min(left);
            left -= length;
            length
        })
        .unwrap();
    assert_eq!(left, 0);
    drop(second);
    thread::sleep(10 * SHORT);
    first.idle(SHORT);
    assert_eq!(first.told, Vec::<String>::new());
    assert_eq!(serve.stop().len(), 1);
}

#[test]
fn when_a_publisher_ends_the_waiting_one_is_accepted() {
    let serve = Serve::start(|relay| relay.answer_limit = NEVER);
    let (first, mut player) = published(&serve);
    let mut second = serve.client();
    second.publish();
    second.idle(SHORT);
    drop(first);
    second.wait_for("Publishing");
    second.send(5, KEYFRAME);
    player.until("its keyframe", |player| player.played.len() == 2);
    assert_eq!(player.told, Vec::<String>::new());
}

#[test]
fn item_121_in_the_grace_time_players_are_not_told_and_continue_with_the_next_publisher() {
    let serve = Serve::start(|relay| relay.grace = NEVER);
    let (first, mut player) = published(&serve);
    first.unpublish();
    player.idle(SHORT);
    let mut second = serve.publisher();
    second.send(3, KEYFRAME);
    player.until("its keyframe", |player| player.played.len() == 2);
    assert!(player.played[1] > 1000 + 100, "the time that passed: {:?}", player.played);
    drop(second);
    player.idle(SHORT);
    assert_eq!(player.told, Vec::<String>::new());
    let recorded = serve.stop();
    assert_eq!(recorded.iter().map(|(_, timestamps)| &timestamps[..]).collect::<Vec<_>>(), [&[1000][..], &[3]]);
}

#[test]
fn item_121_after_the_grace_time_players_are_told_and_play_the_next_publisher() {
    let serve = Serve::start(|relay| relay.grace = 2 * SHORT);
    let (first, mut player) = published(&serve);
    let ended = Instant::now();
    first.unpublish();
    player.wait_for("NetStream.Play.UnpublishNotify");
    assert!(ended.elapsed() >= 2 * SHORT);
    let mut second = serve.publisher();
    player.wait_for("NetStream.Play.PublishNotify");
    second.send(3, KEYFRAME);
    player.until("its keyframe", |player| player.played == [1000, 3]);
}
