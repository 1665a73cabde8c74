//! A server that asks its publisher to connect again, and a live stream with memory for one connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Instant, Timer, with_deadline, with_timeout};
use embedded_io_async::Write;
use embedded_rtmp_embassy::embedded_rtmp::chunk::{Assembled, Assembler, Fragment};
use embedded_rtmp_embassy::embedded_rtmp::command::{Capabilities, Extensions, ReconnectRequest};
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Order, Plan};
use embedded_rtmp_embassy::embedded_rtmp::session::{Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time::Instant as Time;
use embedded_rtmp_embassy::embedded_rtmp::url::{RedirectError, Url};
use embedded_rtmp_embassy::{
    ClientOptions, Config, End, Error, KeepAlive, Live, Phase, PlayHandler, Player, SendOutcome, Tracks,
};

use super::live::{Bench, config_to, millis, until};
use super::pair::{LIMITS, TestMemory};
use crate::wire::Wire;

/// The server announces requests to reconnect, and so does the client.
const RECONNECTS: Capabilities<'_> =
    Capabilities { video: &[], audio: &[], extensions: Extensions::RECONNECT, has_list: false };
const ANNOUNCED: &[u8] = b"\0\x06capsEx\0\x3F\xF0\0\0\0\0\0\0";

/// What the servers have noted.
#[derive(Default)]
struct Notes {
    /// The URL with which each publisher is asked to connect again after 5 messages of audio, first to last. An empty text
    /// stands for the same URL.
    asks: VecDeque<&'static str>,
    /// What publishers asked and ended, and when.
    events: Vec<(String, Instant)>,
    /// The first bytes of each message of audio.
    audio: Vec<u32>,
}

impl Notes {
    fn events(&self) -> Vec<&str> {
        self.events.iter().map(|(event, _)| event.as_str()).collect()
    }
}

/// Serves one publisher after another on a port.
async fn serve(stack: Stack<'static>, port: u16, notes: Rc<RefCell<Notes>>) {
    let [mut rx, mut tx] = [vec![0; 8192], vec![0; 4096]];
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.accept(port).await.unwrap();
        converse(&mut socket, &notes).await;
        socket.close();
        let _ = with_timeout(millis(50), socket.flush()).await;
        socket.abort();
        let _ = with_timeout(millis(50), socket.flush()).await;
    }
}

/// Runs a session until the client closes the connection.
async fn converse(socket: &mut TcpSocket<'_>, notes: &RefCell<Notes>) {
    let [scratch, control] = [vec![0; 1536].leak(), vec![0; 1024].leak()];
    let mut session = Server::<8>::new(SessionBuffers { scratch, control }, ServerConfig::new(), &[3; 32]).unwrap();
    let (mut pending, mut piece, mut heard, mut played) = (Vec::new(), [0; 4096], 0, None);
    loop {
        let now = Time::from_micros(Instant::now().as_micros());
        let mut input = &pending[..];
        let before = input.len();
        while let Some(event) = session.next_event(now, &mut input).unwrap() {
            let note = |event: String| notes.borrow_mut().events.push((event, Instant::now()));
            match event {
                ServerEvent::Connect(request) => {
                    note(request.tc_url.to_string());
                    session.accept_connect_with(&RECONNECTS).unwrap();
                }
                ServerEvent::Publish { stream, request } => {
                    note(format!("publish {}", request.key));
                    session.accept(stream).unwrap();
                }
                ServerEvent::Play { stream, request } => {
                    note(format!("play {}", request.name));
                    session.accept_play(stream, true).unwrap();
                    played = Some((stream, sound_number()));
                }
                ServerEvent::Unpublished(_) => note("end".into()),
                ServerEvent::Media(fragment) if fragment.header.kind == MessageKind::AUDIO && fragment.is_first() => {
                    // After the sound format and the type of the packet.
                    if let Some(number) = fragment.data.get(2..6).filter(|_| fragment.data[1] == 1) {
                        notes.borrow_mut().audio.push(u32::from_be_bytes(number.try_into().unwrap()));
                        heard += 1;
                    }
                }
                _ => {}
            }
        }
        let mut media = Vec::new();
        if let Some((stream, number)) = &mut played {
            while *number < sound_number() {
                let payload = [&[0xAF, 1], &number.to_be_bytes()[..]].concat();
                let csid = session.begin_media(MessageKind::AUDIO, *stream, Timestamp(*number * 20), 6).unwrap();
                let mut out = [0; 4096];
                let progress = session.poll_media(csid, &payload, &mut out);
                assert!(progress.done);
                media.extend_from_slice(&out[..progress.written]);
                (*number, heard) = (*number + 1, heard + 1);
            }
        }
        if heard >= 5
            && let Some(url) = notes.borrow_mut().asks.pop_front()
        {
            let tc_url = Some(url.into()).filter(|_| !url.is_empty());
            session.request_reconnect(&ReconnectRequest { tc_url, description: "".into() }).unwrap();
            heard = i32::MIN;
        }
        let taken = before - input.len();
        pending.drain(..taken);
        let mut out = [0; 4096];
        let written = session.poll_transmit(now, &mut out);
        if socket.write_all(&media).await.is_err() || socket.write_all(&out[..written]).await.is_err() {
            return;
        }
        if taken > 0 || written > 0 {
            continue;
        }
        match select(socket.read(&mut piece), Timer::after_millis(20)).await {
            Either::First(Ok(length @ 1..)) => pending.extend_from_slice(&piece[..length]),
            Either::First(_) => return,
            Either::Second(()) => {}
        }
    }
}

/// The number of the sound that is heard now, on every server: one each 20 ms.
fn sound_number() -> u32 {
    (Instant::now().as_millis() / 20) as u32
}

pub(crate) fn config() -> Config {
    let mut config = config_to("rtmp://10.0.0.2:1935/live/x");
    config.client =
        &const { ClientOptions { capabilities: ANNOUNCED, keep_alive: KeepAlive::DEFAULT, ..ClientOptions::DEFAULT } };
    config
}

/// Publishes audio for some time, and numbers the frames. Returns how many were sent, and how many were offered.
async fn speak(live: &Live, time: u64) -> (u32, u32) {
    let (begin, mut sent, mut number) = (Instant::now(), 0, 0);
    while begin.elapsed() < millis(time) {
        let outcome = live.audio().send(Instant::now().as_micros(), &u32::to_be_bytes(number)).await;
        sent += u32::from(outcome == SendOutcome::Sent);
        number += 1;
        Timer::after_millis(20).await;
    }
    (sent, number)
}

/// Runs a live stream for 3 s, with servers on ports 1935 and 80. Returns what they noted, and checks that each frame that
/// was sent has arrived once, and that each other one was counted.
fn run(asks: &[&'static str]) -> Rc<RefCell<Notes>> {
    let notes = Rc::new(RefCell::new(Notes { asks: asks.iter().copied().collect(), ..Notes::default() }));
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config());
    live.set_tracks(Tracks::NONE.aac(&[0x12, 0x10]));
    for port in [1935, 80] {
        bench.spawn(serve(bench.second, port, Rc::clone(&notes)));
    }
    let noted = Rc::clone(&notes);
    bench.run(async move {
        until(&mut live, Phase::Live).await;
        let before = live.status().counters.audio;
        let (sent, offered) = speak(&live, 3_000).await;
        live.stop().await;
        let after = live.status().counters.audio;
        assert_eq!((after.sent - before.sent, after.dropped - before.dropped), (sent, offered - sent));
        let notes = noted.borrow();
        assert!(notes.audio.is_sorted_by(|a, b| a < b), "{:?}", notes.audio);
        assert_eq!(notes.audio.len() as u32, sent, "of {offered}");
        drop(notes);
    });
    notes
}

#[test]
fn item_107_a_live_stream_with_memory_for_one_connection_leaves_in_good_order_and_continues_elsewhere() {
    let notes = run(&["rtmp://10.0.0.2:80/other"]);
    let notes = notes.borrow();
    let expected = ["rtmp://10.0.0.2:1935/live", "publish x", "end", "rtmp://10.0.0.2:80/other", "publish x", "end"];
    assert_eq!(notes.events(), expected);
    // The gap has only the time for the end and for the new connection.
    let gap = notes.events[4].1 - notes.events[2].1;
    assert!(gap < millis(200), "{gap}");
}

#[test]
fn item_107_without_a_url_and_with_a_relative_one_the_same_server_is_meant() {
    let first = "rtmp://10.0.0.2:1935/live";
    for (asked, then) in [
        ("", first),
        ("/other", "rtmp://10.0.0.2:1935/other"),
        ("//10.0.0.2:80/other", "rtmp://10.0.0.2:80/other"),
        // It is relative to the application of the connection.
        ("/live", first),
    ] {
        let notes = run(&[asked]);
        assert_eq!(notes.borrow().events(), [first, "publish x", "end", then, "publish x", "end"], "{asked}");
    }
    let notes = run(&["//10.0.0.2:80/a", "/b"]);
    let urls: Vec<_> =
        notes.borrow().events().iter().filter(|event| event.starts_with("rtmp")).map(|url| url.to_string()).collect();
    assert_eq!(urls, [first, "rtmp://10.0.0.2:80/a", "rtmp://10.0.0.2:80/b"]);
}

#[test]
fn item_107_if_the_new_server_is_dead_the_stream_continues_at_its_own_url() {
    let notes = run(&["rtmp://10.0.0.2:81/other"]);
    let first = "rtmp://10.0.0.2:1935/live";
    assert_eq!(notes.borrow().events(), [first, "publish x", "end", first, "publish x", "end"]);
}

#[test]
fn item_107_a_request_with_a_url_that_cannot_be_used_is_ignored() {
    let notes = run(&["http://10.0.0.2:80/other"]);
    assert_eq!(notes.borrow().events(), ["rtmp://10.0.0.2:1935/live", "publish x", "end"]);
}

#[test]
fn item_107_a_server_that_always_asks_does_not_keep_a_stream_from_pausing() {
    let notes = Rc::new(RefCell::new(Notes { asks: [""; 100].into(), ..Notes::default() }));
    let mut bench = Bench::new(Wire::new());
    let mut live = bench.live(config());
    live.set_tracks(Tracks::NONE.aac(&[0x12, 0x10]));
    bench.spawn(serve(bench.second, 1935, Rc::clone(&notes)));
    bench.run(async move {
        let handle = live.clone();
        let pausing = async {
            until(&mut live, Phase::Resting).await;
            live.status().last_error
        };
        let Either::Second(error) = select(speak(&handle, 20_000), pausing).await else { panic!("it did not pause") };
        assert_eq!(error, Some(Error::Redirect(RedirectError::TooMany)));
        let connections = notes.borrow().events().iter().filter(|event| event.starts_with("publish")).count();
        assert_eq!(connections, 4);
    });
}

/// Notes the numbers of the sounds that are played.
pub(crate) struct Listener {
    assembler: Assembler,
    payload: [u8; 6],
    pub(crate) numbers: Vec<u32>,
}

impl Listener {
    pub(crate) fn new() -> Self {
        Self { assembler: Assembler::new(), payload: [0; 6], numbers: Vec::new() }
    }
}

impl PlayHandler for Listener {
    fn media(&mut self, fragment: &Fragment<'_>) {
        let Self { assembler, payload, numbers } = self;
        // A sequence header is shorter.
        if let Assembled::Whole(range) = assembler.push(fragment, usize::MAX, payload)
            && range.len() == payload.len()
        {
            numbers.push(u32::from_be_bytes(payload[2..].try_into().unwrap()));
        }
    }
}

/// Plays for 3 s, with servers on ports 1935 and 80, and connects again whenever the server asks for it. Returns what the
/// servers noted, the numbers of the sounds, and the results of [`Player::reconnect`].
fn listen(url: &str, asks: &[&'static str]) -> (Vec<String>, Vec<u32>, Vec<Result<(), Error>>) {
    let notes = Rc::new(RefCell::new(Notes { asks: asks.iter().copied().collect(), ..Notes::default() }));
    let mut bench = Bench::new(Wire::new());
    for port in [1935, 80] {
        // A server of a script serves one client at a time. The next one may connect before the last one has left.
        for _ in 0..2 {
            bench.spawn(serve(bench.second, port, Rc::clone(&notes)));
        }
    }
    let (stack, url, mut results) = (bench.first, url.to_owned(), Vec::new());
    let mut listener = Listener::new();
    let (sounds, results) = bench.run(async move {
        let url = Url::parse(&url).unwrap();
        let order = Order::for_url(&url);
        let options = config().client;
        let (mut memory, mut plan) = (TestMemory::new(), Plan::new(order.targets(), LIMITS).unwrap());
        let mut player = Player::<8>::connect(stack, &url, &mut plan, options, &mut memory, || [9; 32]).await.unwrap();
        let until = Instant::now() + millis(3_000);
        while let Ok(end) = with_deadline(until, player.run(&mut listener)).await {
            assert_eq!(end, Ok(End::Reconnect));
            results.push(player.reconnect(stack, &url, &plan, options, || [9; 32]).await);
        }
        player.close().await;
        (listener.numbers, results)
    });
    let events = notes.take().events.into_iter().map(|(event, _)| event).collect();
    (events, sounds, results)
}

/// The numbers that are missing at each gap. Checks that no sound comes twice.
pub(crate) fn gaps(sounds: &[u32]) -> Vec<u32> {
    assert!(sounds.is_sorted_by(|a, b| a < b), "{sounds:?}");
    sounds.windows(2).map(|pair| pair[1] - pair[0] - 1).filter(|gap| *gap > 0).collect()
}

#[test]
fn item_386_a_player_with_memory_for_one_connection_leaves_it_and_continues_where_the_server_says() {
    let first = "rtmp://10.0.0.2:1935/live";
    for (asked, then) in [
        ("rtmp://10.0.0.2:80/other", "rtmp://10.0.0.2:80/other"),
        ("", first),
        ("/other", "rtmp://10.0.0.2:1935/other"),
        ("//10.0.0.2:80/other", "rtmp://10.0.0.2:80/other"),
    ] {
        let (events, sounds, results) = listen("rtmp://10.0.0.2:1935/live/x", &[asked]);
        assert_eq!(
            (events, results),
            ([first, "play x", then, "play x"].map(str::to_owned).to_vec(), vec![Ok(())]),
            "{asked}"
        );
        let gaps = gaps(&sounds);
        assert!(sounds.len() > 120 && gaps.iter().sum::<u32>() < 15, "{asked}: {gaps:?}");
    }
    // The second request is relative to the application of the second connection.
    let (events, ..) = listen("rtmp://10.0.0.2:1935/live/x", &["//10.0.0.2:80/a", "/b"]);
    let urls: Vec<_> = events.iter().filter(|event| event.starts_with("rtmp")).collect();
    assert_eq!(urls, [first, "rtmp://10.0.0.2:80/a", "rtmp://10.0.0.2:80/b"]);
}

#[test]
fn item_386_a_target_without_a_port_goes_through_the_port_plan() {
    let (events, _, results) = listen("rtmp://10.0.0.2/live/x", &["rtmp://10.0.0.2/other"]);
    assert_eq!(events, ["rtmp://10.0.0.2/live", "play x", "rtmp://10.0.0.2/other", "play x"]);
    assert_eq!(results, [Ok(())]);
}

#[test]
fn item_386_if_the_new_server_is_dead_the_player_continues_at_its_own_url() {
    let (events, sounds, results) = listen("rtmp://10.0.0.2:1935/live/x", &["rtmp://10.0.0.2:81/other"]);
    let first = "rtmp://10.0.0.2:1935/live";
    assert_eq!((events, results), ([first, "play x", first, "play x"].map(str::to_owned).to_vec(), vec![Ok(())]));
    assert!(gaps(&sounds).len() <= 1, "{sounds:?}");
}

#[test]
fn item_386_a_player_stays_if_it_does_not_follow_a_request() {
    // A URL that cannot be used is ignored.
    let (events, sounds, results) = listen("rtmp://10.0.0.2:1935/live/x", &["http://10.0.0.2:80/other"]);
    assert_eq!((events.len(), gaps(&sounds), results), (2, vec![], vec![]));
    // Only three requests in a row are followed. The connection continues.
    let (events, sounds, results) = listen("rtmp://10.0.0.2:1935/live/x", &[""; 100]);
    assert_eq!((events.len(), results.len()), (8, 4));
    assert_eq!(results.last(), Some(&Err(Error::Redirect(RedirectError::TooMany))));
    assert!(sounds.len() > 100 && gaps(&sounds).len() <= 3, "{sounds:?}");
}

#[test]
fn item_386_without_a_connection_a_player_fails_until_it_connects_again() {
    let notes = Rc::new(RefCell::new(Notes::default()));
    let mut bench = Bench::new(Wire::new());
    bench.spawn(serve(bench.second, 1935, Rc::clone(&notes)));
    let stack = bench.first;
    bench.run(async move {
        let [url, dead] =
            ["rtmp://10.0.0.2:1935/live/x", "rtmp://10.0.0.2:81/live/x"].map(|url| Url::parse(url).unwrap());
        let [order, other] = [Order::for_url(&url), Order::for_url(&dead)];
        let (options, mut memory, mut listener) = (config().client, TestMemory::new(), Listener::new());
        let mut plan = Plan::new(order.targets(), LIMITS).unwrap();
        let dead_plan = Plan::new(other.targets(), LIMITS).unwrap();
        let mut player = Player::<8>::connect(stack, &url, &mut plan, options, &mut memory, || [9; 32]).await.unwrap();
        for round in 0..3 {
            let playing = with_timeout(millis(500), player.run(&mut listener)).await;
            assert!(playing.is_err(), "{playing:?}");
            if round == 2 {
                break;
            }
            let result = player.reconnect(stack, &dead, &dead_plan, options, || [9; 32]).await;
            assert_eq!(result, Err(Error::Exhausted));
            assert!(player.run(&mut listener).await.is_err());
            player.reconnect(stack, &url, &plan, options, || [9; 32]).await.unwrap();
        }
        assert!(listener.numbers.len() > 40, "{:?}", listener.numbers);
    });
    let plays = notes.borrow().events().iter().filter(|event| **event == "play x").count();
    assert_eq!(plays, 3);
}
