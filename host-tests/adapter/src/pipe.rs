//! Sessions over streams of `embedded_io_async`: streams that lose the data of a dropped future, that cut everything
//! into pieces, or that fail; servers that send nothing or read nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{PlanError, Target};
use embedded_rtmp_embassy::embedded_rtmp::session::{Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::{Connect, End, Lend, Pipe, Stream, Traffic, Transport};
use embedded_rtmp_embassy::{
    ClientOptions, Config, Error, Memory, Parts, Phase, Picture, PlayHandler, Player, Publisher, SendOutcome, Stopped,
    StreamState, over,
};

use super::live::{TRACKS, TestRng};
use crate::clock::block_on_stepped;

const URL: &str = "rtmp://server.example/live/test";

/// A message as it was sent or received.
pub(super) type Message = (MessageKind, u32, Vec<u8>);

/// A server at the other end of a stream, and the bytes in transit.
pub(super) struct Peer {
    server: Server<'static, 8>,
    pub(super) to_client: VecDeque<u8>,
    /// Bytes that the client has written and not flushed.
    unflushed: Vec<u8>,
    pub(super) from_client: VecDeque<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    pub(super) published: Vec<Message>,
    /// The messages that a player receives.
    played: Vec<Message>,
    playing: Option<StreamId>,
    /// It does not read.
    is_deaf: bool,
    /// It sends nothing once it has accepted a publisher.
    pub(super) falls_silent: bool,
    is_silent: bool,
    is_closed: bool,
    /// Reading fails after this number of bytes, and so does writing.
    read_limit: usize,
    write_limit: usize,
    flushes: usize,
}

/// The bytes that a deaf server accepts without reading them.
const WINDOW: usize = 2_000;

impl Peer {
    pub(super) fn new() -> Rc<RefCell<Self>> {
        let buffers = SessionBuffers { scratch: vec![0; 1_536].leak(), control: vec![0; 1_024].leak() };
        Rc::new(RefCell::new(Self {
            server: Server::new(buffers, ServerConfig::new(), &[7; 32]).unwrap(),
            to_client: VecDeque::new(),
            unflushed: Vec::new(),
            from_client: VecDeque::new(),
            reader: None,
            writer: None,
            published: Vec::new(),
            played: Vec::new(),
            playing: None,
            is_deaf: false,
            falls_silent: false,
            is_silent: false,
            is_closed: false,
            read_limit: usize::MAX,
            write_limit: usize::MAX,
            flushes: 0,
        }))
    }

    fn now() -> embedded_rtmp_embassy::embedded_rtmp::time::Instant {
        embedded_rtmp_embassy::embedded_rtmp::time::Instant::from_micros(Instant::now().as_micros())
    }

    /// Handles the bytes that have arrived, and answers.
    pub(super) fn turn(&mut self) {
        if self.is_deaf {
            return;
        }
        let bytes: Vec<u8> = self.from_client.drain(..).collect();
        let mut rest = &bytes[..];
        loop {
            let mut accept = None;
            match self.server.next_event(Self::now(), &mut rest) {
                Ok(Some(ServerEvent::Connect(_))) => self.server.accept_connect().unwrap(),
                Ok(Some(ServerEvent::Publish { stream, .. })) => accept = Some((stream, false)),
                Ok(Some(ServerEvent::Play { stream, .. })) => accept = Some((stream, true)),
                Ok(Some(ServerEvent::Media(fragment))) => take_in(&mut self.published, &fragment),
                Ok(Some(_)) => {}
                Ok(None) => {
                    if !self.transmit() {
                        break;
                    }
                }
                Err(_) => {
                    self.is_closed = true;
                    break;
                }
            }
            match accept {
                Some((stream, false)) => {
                    self.server.accept(stream).unwrap();
                    self.transmit();
                    self.is_silent = self.falls_silent;
                }
                Some((stream, true)) => {
                    self.server.accept_play(stream, false).unwrap();
                    self.playing = Some(stream);
                }
                None => {}
            }
        }
        self.play();
        self.from_client.extend(rest);
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    fn transmit(&mut self) -> bool {
        let mut out = [0; 500];
        let written = self.server.poll_transmit(Self::now(), &mut out);
        if !self.is_silent {
            self.to_client.extend(&out[..written]);
        }
        written > 0
    }

    /// Sends all messages that are to be played.
    fn play(&mut self) {
        let Some(stream) = self.playing else { return };
        for (kind, at, payload) in self.played.drain(..) {
            let csid = self.server.begin_media(kind, stream, Timestamp(at), payload.len() as u32).unwrap();
            let mut rest = &payload[..];
            while self.server.media_left(csid).is_some() {
                let mut out = [0; 500];
                let progress = self.server.poll_media(csid, rest, &mut out);
                rest = &rest[progress.taken..];
                self.to_client.extend(&out[..progress.written]);
            }
        }
    }
}

fn take_in(messages: &mut Vec<Message>, fragment: &Fragment<'_>) {
    if fragment.is_first() {
        messages.push((fragment.header.kind, fragment.header.timestamp.0, Vec::new()));
    }
    let message = messages.iter_mut().rev().find(|message| message.0 == fragment.header.kind).unwrap();
    message.2.extend(fragment.data);
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// One half of a stream that moves at most `piece` bytes at a time. While its future waits, a read has already taken
/// bytes from the stream, and a write has passed on only the first half of its bytes. Dropping either future loses
/// data.
struct Half {
    peer: Rc<RefCell<Peer>>,
    piece: usize,
}

/// Both halves of a stream to `peer`.
fn stream(peer: &Rc<RefCell<Peer>>, piece: usize) -> (Half, Half) {
    (Half { peer: peer.clone(), piece }, Half { peer: peer.clone(), piece })
}

impl ErrorType for Half {
    type Error = ErrorKind;
}

impl Read for Half {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let taken = poll_fn(|cx| {
            let mut peer = self.peer.borrow_mut();
            if peer.read_limit == 0 {
                return Poll::Ready(Err(ErrorKind::ConnectionReset));
            }
            let count = buffer.len().min(self.piece).min(peer.to_client.len()).min(peer.read_limit);
            if count == 0 && !peer.is_closed {
                peer.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            peer.read_limit -= count;
            Poll::Ready(Ok(peer.to_client.drain(..count).collect::<Vec<u8>>()))
        })
        .await?;
        yield_now().await;
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}

impl Write for Half {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let count = poll_fn(|cx| {
            let mut peer = self.peer.borrow_mut();
            if peer.write_limit == 0 || peer.is_closed {
                return Poll::Ready(Err(ErrorKind::BrokenPipe));
            }
            if peer.from_client.len() >= WINDOW {
                peer.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let count = bytes.len().min(self.piece).min(peer.write_limit);
            peer.write_limit -= count;
            peer.unflushed.extend(&bytes[..count / 2]);
            Poll::Ready(Ok(count))
        })
        .await?;
        yield_now().await;
        self.peer.borrow_mut().unflushed.extend(&bytes[count / 2..count]);
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        yield_now().await;
        let peer = &mut *self.peer.borrow_mut();
        peer.flushes += 1;
        peer.from_client.extend(peer.unflushed.drain(..));
        peer.turn();
        Ok(())
    }
}

/// Drops each read or write that is not complete at once and begins another one, as a careless pump would.
struct Impatient(Half);

impl ErrorType for Impatient {
    type Error = ErrorKind;
}

impl Read for Impatient {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            poll_fn(|cx| {
                let mut peer = self.0.peer.borrow_mut();
                peer.reader = Some(cx.waker().clone());
                if peer.to_client.is_empty() { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            // The first future is dropped; the second one is completed if there is something left.
            let _ = select(self.0.read(buffer), poll_fn(|_| Poll::Ready(()))).await;
            if !self.0.peer.borrow().to_client.is_empty() {
                return self.0.read(buffer).await;
            }
        }
    }
}

impl Write for Impatient {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        // The first future is dropped; the second one is completed.
        let _ = select(self.0.write(bytes), poll_fn(|_| Poll::Ready(()))).await;
        self.0.write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await
    }
}

/// Audio every 20 ms and pictures every 40 ms, for this time.
pub(super) fn messages(seconds: u32) -> Vec<Message> {
    let message = |tick: u32| {
        let at = tick * 20;
        let audio = (MessageKind::AUDIO, at, [vec![0x72], vec![tick as u8; 160]].concat());
        let size = if tick.is_multiple_of(50) { 5_000 } else { 700 };
        let first = if tick.is_multiple_of(50) { 0x17 } else { 0x27 };
        let video = (MessageKind::VIDEO, at, [vec![first, 1, 0, 0, 0], vec![(tick / 7) as u8; size]].concat());
        [Some(audio), tick.is_multiple_of(2).then_some(video)]
    };
    (0..seconds * 50).flat_map(message).flatten().collect()
}

/// Publishes over a transport, each message when it is due, and closes the stream. Returns the largest delay of a
/// message.
pub(super) async fn publish<T: Transport>(transport: T, messages: &[Message]) -> Result<Duration, Error> {
    let mut memory = Memory::<1, 1>::new();
    let (url, options) = (Url::parse(URL).unwrap(), ClientOptions::DEFAULT);
    let mut publisher = Publisher::<8, T>::open(transport, &url, &options, memory.session(), &[9; 32]).await?;
    let Parts { mut runner, mut audio, mut video, .. } = publisher.split();
    let start = Instant::now();
    let latest = RefCell::new(Duration::MIN);
    let send = async |sender: &mut embedded_rtmp_embassy::Sender<'_, '_, 8, T>, kind| {
        for (_, at, payload) in messages.iter().filter(|message| message.0 == kind) {
            let due = start + Duration::from_millis((*at).into());
            Timer::at(due).await;
            sender.send(Timestamp(*at), payload).await?;
            let late = latest.borrow().max(Instant::now() - due);
            latest.replace(late);
        }
        Ok::<(), Error>(())
    };
    let sending = join(send(&mut audio, MessageKind::AUDIO), send(&mut video, MessageKind::VIDEO));
    match select(runner.run(), sending).await {
        Either::First(error) => return Err(error),
        Either::Second((audio, video)) => audio.and(video)?,
    }
    publisher.close().await?;
    Ok(latest.into_inner())
}

pub(super) fn of_kind(messages: &[Message], kind: MessageKind) -> Vec<&Message> {
    messages.iter().filter(|message| message.0 == kind).collect()
}

/// Checks that a server got exactly these messages.
pub(super) fn assert_published(peer: &Rc<RefCell<Peer>>, messages: &[Message]) {
    for kind in [MessageKind::AUDIO, MessageKind::VIDEO] {
        assert_eq!(of_kind(&peer.borrow().published, kind), of_kind(messages, kind));
    }
}

/// Publishes over a pipe through these halves. An outer limit in simulated time ends a test that hangs.
fn run_publisher(
    (mut reader, mut writer): (impl Read, impl Write),
    (input, output): (usize, usize),
    messages: &[Message],
) -> (Result<Duration, Error>, End) {
    let (mut input, mut output) = (vec![0; input], vec![0; output]);
    let pipe = Pipe::new(&mut input, &mut output);
    block_on_stepped(async {
        let running = pipe.run(&mut reader, &mut writer, publish(&pipe, messages));
        with_timeout(Duration::from_secs(120), running).await.unwrap_or((Err(Error::Exhausted), End::Lost))
    })
}

#[test]
fn a_stream_of_single_bytes_and_split_writes_carries_a_publisher() {
    let messages = messages(2);
    for (piece, memory) in [(1, (1, 2)), (3, (16, 64)), (700, (256, 2_920)), (usize::MAX, (4_096, 8_192))] {
        let peer = Peer::new();
        let (result, end) = run_publisher(stream(&peer, piece), memory, &messages);
        assert!(result.is_ok() && end == End::Closed, "{piece}: {result:?}, {end:?}");
        assert_published(&peer, &messages);
        let (flushes, count) = (peer.borrow().flushes, messages.len());
        assert!(flushes > 0 && (piece < 700 || flushes < 2 * count), "{flushes} flushes for {count} messages");
    }
}

#[test]
fn a_pump_that_drops_reads_or_writes_loses_data_on_the_same_stream() {
    let messages = messages(1);
    let peer = Peer::new();
    let (reader, writer) = stream(&peer, 100);
    let (result, _) = run_publisher((Impatient(reader), writer), (256, 2_920), &messages);
    assert!(result.is_err(), "reads were dropped, and nothing was lost");
    let peer = Peer::new();
    let (reader, writer) = stream(&peer, 100);
    let (result, _) = run_publisher((reader, Impatient(writer)), (256, 2_920), &messages);
    assert!(result.is_err(), "writes were dropped, and nothing was lost");
}

#[test]
fn a_stream_that_fails_is_lost_and_the_pipe_serves_the_next_one() {
    let messages = messages(1);
    let (mut input, mut output) = ([0; 256], [0; 2_920]);
    let pipe = Pipe::new(&mut input, &mut output);
    for (read_limit, write_limit) in [(1_000, usize::MAX), (3_500, usize::MAX), (usize::MAX, 700), (usize::MAX, 9_000)]
    {
        let peer = Peer::new();
        (peer.borrow_mut().read_limit, peer.borrow_mut().write_limit) = (read_limit, write_limit);
        let (mut reader, mut writer) = stream(&peer, 100);
        let (result, end) = block_on_stepped(pipe.run(&mut reader, &mut writer, publish(&pipe, &messages)));
        assert_eq!((result, end), (Err(Error::Lost), End::Lost), "{read_limit}, {write_limit}");
        let peer = Peer::new();
        let (mut reader, mut writer) = stream(&peer, 100);
        let (result, end) = block_on_stepped(pipe.run(&mut reader, &mut writer, publish(&pipe, &messages)));
        assert!(result.is_ok() && end == End::Closed, "{result:?}, {end:?}");
        assert_published(&peer, &messages);
    }
}

#[test]
fn a_peer_that_closes_the_stream_ends_the_session_as_closed() {
    let peer = Peer::new();
    let close = async {
        Timer::after_millis(500).await;
        peer.borrow_mut().is_closed = true;
        wake(&mut peer.borrow_mut().reader);
        std::future::pending::<()>().await;
    };
    let (mut input, mut output) = ([0; 256], [0; 2_920]);
    let pipe = Pipe::new(&mut input, &mut output);
    let (mut reader, mut writer) = stream(&peer, 100);
    let messages = messages(2);
    let running = pipe.run(&mut reader, &mut writer, publish(&pipe, &messages));
    let Either::First((result, _)) = block_on_stepped(select(running, close)) else {
        panic!("the task ended too early")
    };
    assert_eq!(result, Err(Error::Closed));
}

#[test]
fn a_server_that_sends_nothing_for_a_minute_receives_every_message_in_time() {
    let peer = Peer::new();
    peer.borrow_mut().falls_silent = true;
    let messages = messages(60);
    let (result, end) = run_publisher(stream(&peer, 1_460), (256, 2_920), &messages);
    assert_eq!(end, End::Closed);
    let late = result.unwrap();
    assert!(late < Duration::from_millis(5), "a message left {} ms late", late.as_millis());
    assert!(peer.borrow().is_silent);
    assert_published(&peer, &messages);
}

/// A message of an unknown type on a chunk stream of its own, which a session skips.
const UNKNOWN: [u8; 18] = [30, 0, 0, 0, 0, 0, 6, 99, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6];

#[test]
fn bytes_of_a_server_that_does_not_read_are_read_while_a_write_is_pending() {
    let peer = Peer::new();
    let talk = async {
        Timer::after_secs(1).await;
        peer.borrow_mut().is_deaf = true;
        for _ in 0..300 {
            Timer::after_millis(10).await;
            peer.borrow_mut().to_client.extend(UNKNOWN);
            wake(&mut peer.borrow_mut().reader);
        }
        Timer::after_millis(10).await;
        {
            let mut peer = peer.borrow_mut();
            assert!(peer.writer.is_some(), "no write is pending");
            assert_eq!(peer.to_client.len(), 0, "bytes are left unread");
            peer.is_deaf = false;
            peer.turn();
        }
        std::future::pending::<()>().await;
    };
    let messages = messages(6);
    let (mut input, mut output) = ([0; 256], [0; 2_920]);
    let pipe = Pipe::new(&mut input, &mut output);
    let (mut reader, mut writer) = stream(&peer, 1_460);
    let running = pipe.run(&mut reader, &mut writer, publish(&pipe, &messages));
    let Either::First((result, end)) = block_on_stepped(select(running, talk)) else {
        panic!("the task ended too early")
    };
    assert!(result.unwrap() > Duration::from_secs(2), "the server did not read, and nothing was late");
    assert_eq!(end, End::Closed);
    assert!(pipe_received(&pipe) > 300 * UNKNOWN.len());
    assert_published(&peer, &messages);
}

fn pipe_received(pipe: &Pipe<'_>) -> usize {
    (&mut &*pipe as &mut dyn Transport).traffic().received as usize
}

/// A layer that changes every byte in place, over any transport.
struct Xor<'t> {
    below: &'t mut dyn Transport,
    /// Bytes that were deciphered and not consumed.
    deciphered: usize,
}

impl Transport for Xor<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        let deciphered = &mut self.deciphered;
        self.below.poll_read(cx, &mut |bytes| {
            bytes.iter_mut().skip(*deciphered).for_each(|byte| *byte ^= 0x5A);
            let consumed = f(bytes);
            *deciphered = bytes.len() - consumed;
            consumed
        })
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        self.below.poll_write(cx, &mut |room| {
            let written = f(room);
            room[..written].iter_mut().for_each(|byte| *byte ^= 0x5A);
            written
        })
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.below.poll_gone(cx)
    }

    fn close(&mut self) {
        self.below.close();
    }

    fn abort(&mut self) {
        self.below.abort();
    }

    fn unacknowledged(&self) -> Option<usize> {
        self.below.unacknowledged()
    }

    fn has_room(&self) -> bool {
        self.below.has_room()
    }

    fn traffic(&self) -> Traffic {
        self.below.traffic()
    }
}

#[test]
fn transports_stack_as_trait_objects() {
    // Two layers that undo each other, with pieces that end anywhere.
    let messages = messages(1);
    let peer = Peer::new();
    let (mut input, mut output) = ([0; 7], [0; 300]);
    let pipe = Pipe::new(&mut input, &mut output);
    let (mut reader, mut writer) = stream(&peer, 5);
    let session = async {
        let mut transport = &pipe;
        let mut first = Xor { below: &mut transport, deciphered: 0 };
        let second: &mut dyn Transport = &mut Xor { below: &mut first, deciphered: 0 };
        publish(second, &messages).await
    };
    let (result, end) = block_on_stepped(pipe.run(&mut reader, &mut writer, session));
    assert!(result.is_ok() && end == End::Closed, "{result:?}, {end:?}");
    assert_published(&peer, &messages);
}

#[derive(Default)]
struct Watcher(Vec<Message>);

impl PlayHandler for Watcher {
    fn media(&mut self, fragment: &Fragment<'_>) {
        take_in(&mut self.0, fragment);
    }
}

#[test]
fn a_player_plays_over_a_stream() {
    let messages = messages(1);
    let peer = Peer::new();
    peer.borrow_mut().played.clone_from(&messages);
    let (mut input, mut output) = ([0; 64], [0; 300]);
    let pipe = Pipe::new(&mut input, &mut output);
    let (mut reader, mut writer) = stream(&peer, 50);
    let mut viewer = Watcher::default();
    let session = async {
        let mut memory = Memory::<1, 1>::new();
        let (url, options) = (Url::parse(URL).unwrap(), ClientOptions::DEFAULT);
        let mut player = Player::<8, &Pipe<'_>>::open(&pipe, &url, &options, memory.session(), &[9; 32]).await?;
        // The server sends nothing after the last message.
        let result = with_timeout(Duration::from_secs(1), player.run(&mut viewer)).await;
        player.close().await;
        result.map_or(Ok(()), |result| result.map(drop))
    };
    let (result, end) = block_on_stepped(pipe.run(&mut reader, &mut writer, session));
    assert_eq!((result, end), (Ok(()), End::Lost));
    for kind in [MessageKind::AUDIO, MessageKind::VIDEO] {
        assert_eq!(of_kind(&viewer.0, kind), of_kind(&messages, kind));
    }
}

/// Makes a new server for each connection.
struct Servers {
    peers: Rc<RefCell<Vec<Rc<RefCell<Peer>>>>>,
    closed: Rc<RefCell<usize>>,
}

struct Halves {
    peer: Rc<RefCell<Peer>>,
    closed: Rc<RefCell<usize>>,
}

impl Connect for Servers {
    type Error = ErrorKind;
    type Stream<'s> = Halves;

    async fn connect(&mut self, host: &str, port: u16) -> Result<Halves, ErrorKind> {
        assert_eq!((host, port), ("server.example", 1935));
        let peer = Peer::new();
        self.peers.borrow_mut().push(peer.clone());
        match self.peers.borrow().len() {
            1 => return Err(ErrorKind::ConnectionRefused),
            2 => peer.borrow_mut().write_limit = 20_000,
            3 => peer.borrow_mut().read_limit = 1_000,
            _ => {}
        }
        Ok(Halves { peer, closed: self.closed.clone() })
    }
}

impl Stream for Halves {
    type Reader<'h> = Half;
    type Writer<'h> = Half;

    fn split(&mut self) -> (Half, Half) {
        stream(&self.peer, 1_000)
    }

    async fn close(self) {
        *self.closed.borrow_mut() += 1;
    }
}

#[test]
fn a_live_stream_reconnects_over_streams_that_the_caller_connects() {
    let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
    let (peers, closed) = (Rc::default(), Rc::default());
    let servers = Servers { peers: Rc::clone(&peers), closed: Rc::clone(&closed) };
    let mut config = Config::new(URL);
    config.ports = &const { [Target::rtmp(1935)] };
    let (live, runner) = over(servers, state, TestRng::new(), config);
    live.set_tracks(TRACKS);
    let camera = async {
        let (video, mut sent) = (live.video(), 0);
        for index in 0..150_u64 {
            Timer::after_millis(40).await;
            let unit: &[u8] = if index.is_multiple_of(10) { &[0x65; 2_000] } else { &[0x41; 800] };
            let pts = index * 40_000;
            let outcome = video.send(Picture::new(pts, pts, index.is_multiple_of(10), &[unit])).await;
            sent += usize::from(outcome == SendOutcome::Sent);
        }
        assert_eq!((live.status().phase, live.stop().await), (Phase::Live, Stopped::InOrder));
        sent
    };
    let Either::Second(sent) = block_on_stepped(select(runner.run(), camera));
    // One connection is refused, two are lost, and the last one is closed.
    let peers = peers.borrow();
    assert_eq!((peers.len(), *closed.borrow(), live.status().counters.connections), (4, 3, 2));
    let last = &peers[3].borrow().published;
    let pictures = of_kind(last, MessageKind::VIDEO);
    assert!(pictures.len() > 60 && sent > 60, "{} of {sent} pictures", pictures.len());
    // The sequence header, and then a keyframe.
    assert_eq!((&pictures[0].2[..2], &pictures[1].2[..2]), (&[0x17, 0][..], &[0x17, 1][..]));
}

#[test]
fn item_221_an_rtmps_url_needs_a_connector_of_tls() {
    let (peers, closed) = (Rc::default(), Rc::default());
    let tunnel = (!cfg!(feature = "rtmpt")).then_some("rtmpt");
    for scheme in ["rtmps", "rtmpts", "rtmpe", "rtmpte"].into_iter().chain(tunnel) {
        let url: &'static str = Box::leak(format!("{scheme}://server.example/live/x").into());
        let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
        let servers = Servers { peers: Rc::clone(&peers), closed: Rc::clone(&closed) };
        let (live, runner) = over(servers, state, TestRng::new(), Config::new(url));
        let end = with_timeout(Duration::from_secs(5), runner.run());
        assert!(block_on_stepped(end).is_err());
        let status = live.status();
        assert_eq!((status.phase, status.last_error), (Phase::Stopped, Some(Error::Plan(PlanError::Scheme))), "{url}");
    }
    assert!(peers.borrow().is_empty());
}

/// A host on whose port 1935 nothing listens, and on whose port 80 nothing answers. The server on 443 is lost at first.
struct Ports {
    asked: Rc<RefCell<Vec<u16>>>,
    closed: Rc<RefCell<usize>>,
}

impl Connect for Ports {
    type Error = ErrorKind;
    type Stream<'s> = Halves;

    async fn connect(&mut self, host: &str, port: u16) -> Result<Halves, ErrorKind> {
        assert_eq!(host, "server.example");
        let is_first = !self.asked.borrow().contains(&443);
        self.asked.borrow_mut().push(port);
        let peer = Peer::new();
        match port {
            1935 => return Err(ErrorKind::ConnectionRefused),
            80 => peer.borrow_mut().is_deaf = true,
            _ if is_first => peer.borrow_mut().write_limit = 20_000,
            _ => {}
        }
        Ok(Halves { peer, closed: self.closed.clone() })
    }
}

#[test]
fn item_366_a_live_stream_over_a_connector_tries_its_ports_and_then_begins_with_the_good_one() {
    let state: &'static StreamState = Box::leak(Box::new(StreamState::new()));
    let (asked, closed) = (Rc::default(), Rc::default());
    let ports = Ports { asked: Rc::clone(&asked), closed };
    let mut config = Config::new("rtmp://server.example/live/x");
    // RTMPS is skipped, because the connector has no TLS.
    config.ports = &const { [Target::rtmp(1935), Target::rtmp(80), Target::rtmps(443), Target::rtmp(443)] };
    let (live, runner) = over(ports, state, TestRng::new(), config);
    live.set_tracks(TRACKS);
    let camera = async {
        for index in 0..1_500_u64 {
            Timer::after_millis(40).await;
            let pts = index * 40_000;
            let _ = live.video().send(Picture::new(pts, pts, index.is_multiple_of(10), &[&[0x65; 1_000]])).await;
        }
        live.status()
    };
    let Either::Second(status) = block_on_stepped(select(runner.run(), camera));
    assert_eq!(*asked.borrow(), [1935, 80, 443, 443]);
    assert_eq!((status.phase, status.port, status.counters.connections), (Phase::Live, Some(Target::rtmp(443)), 2));
}

/// The session's future is dropped at different times. The pipe works after each.
#[test]
fn the_pipe_works_for_the_next_session_after_a_session_was_dropped() {
    let messages = messages(1);
    let (mut input, mut output) = ([0; 256], [0; 2_920]);
    let pipe = Pipe::new(&mut input, &mut output);
    for millis in [0, 1, 5, 37, 120, 700] {
        let peer = Peer::new();
        let (mut reader, mut writer) = stream(&peer, 40);
        let running = pipe.run(&mut reader, &mut writer, publish(&pipe, &messages));
        assert!(block_on_stepped(with_timeout(Duration::from_millis(millis), running)).is_err());
        assert_eq!(ended(&pipe), Poll::Ready(End::Lost), "after {millis} ms");
        let peer = Peer::new();
        let (mut reader, mut writer) = stream(&peer, 40);
        let (result, end) = block_on_stepped(pipe.run(&mut reader, &mut writer, publish(&pipe, &messages)));
        assert!(result.is_ok() && end == End::Closed, "{result:?}, {end:?}");
        assert_published(&peer, &messages);
    }
}

fn ended(mut pipe: &Pipe<'_>) -> Poll<End> {
    pipe.poll_gone(&mut Context::from_waker(Waker::noop()))
}
