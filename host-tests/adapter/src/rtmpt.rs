//! A device that publishes through a tunnel, to a gateway that accepts only well-formed HTTP.

use std::cell::{Cell, RefCell};

use embassy_futures::join::join_array;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, Instant, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Failure, Outcome, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::session::{Server, ServerConfig, ServerEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time::Instant as Time;
use embedded_rtmp_embassy::embedded_rtmp::tunnel::{Protocol, TunnelConfig, TunnelConnection, TunnelEvent, Tunnels};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{Error, Memory};

use super::pair::{LIMITS, TestMemory, URL, clip, connect, with_devices};
use crate::flv::{SCRIPT, Tag};
use crate::progress::Progress;
use crate::publish::publish;
use crate::wire::Wire;

/// MessageKind, timestamp and payload of a message.
type Message = (u8, u32, Vec<u8>);

/// A gateway with a server. It closes each TCP connection after some requests, as proxies do, and closes connections
/// that are not HTTP at once.
pub(super) struct Border<'b> {
    tunnels: RefCell<Tunnels<'static, 1>>,
    session: RefCell<Option<Server<'b>>>,
    buffers: RefCell<Option<SessionBuffers<'b>>>,
    messages: RefCell<Vec<Message>>,
    requests: Cell<usize>,
    pub(super) connections: Cell<usize>,
    /// Requests on a connection.
    most: usize,
    /// When requests began.
    times: RefCell<Vec<Instant>>,
}

fn now() -> Time {
    Time::from_micros(Instant::now().as_micros())
}

impl<'b> Border<'b> {
    pub(super) fn new(buffers: SessionBuffers<'b>, most: usize) -> Self {
        Self {
            tunnels: RefCell::new(Tunnels::new(TunnelConfig {
                hold: std::time::Duration::ZERO,
                ..TunnelConfig::new()
            })),
            session: RefCell::new(None),
            buffers: RefCell::new(Some(buffers)),
            messages: RefCell::default(),
            requests: Cell::new(0),
            connections: Cell::new(0),
            most,
            times: RefCell::default(),
        }
    }

    /// Accepts one connection after another on port 80. Several of these run at the same time.
    pub(super) async fn run(&self, stack: Stack<'_>) {
        let (mut rx, mut tx) = (vec![0; 8192], vec![0; 8192]);
        loop {
            let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
            socket.set_nagle_enabled(false);
            socket.accept(80).await.unwrap();
            self.connections.set(self.connections.get() + 1);
            self.serve(&mut socket).await;
            socket.close();
            let _ = with_timeout(Duration::from_millis(20), socket.flush()).await;
            socket.abort();
            let _ = with_timeout(Duration::from_millis(50), socket.flush()).await;
        }
    }

    async fn serve(&self, socket: &mut TcpSocket<'_>) {
        let mut connection = TunnelConnection::new(now());
        let (mut pending, mut served, mut has_begun) = (Vec::new(), 0, false);
        let mut piece = [0; 4096];
        loop {
            let Ok(length @ 1..) = socket.read(&mut piece).await else { break };
            pending.extend_from_slice(&piece[..length]);
            if !std::mem::replace(&mut has_begun, true) && Protocol::of(pending[0]) != Protocol::Http {
                let _ = socket.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                break;
            }
            let mut answer = Vec::new();
            if served + 1 >= self.most {
                connection.close_after_answer();
            }
            while self.step(&mut connection, &mut pending, &mut answer) {}
            if !answer.is_empty() {
                served += answer.windows(12).filter(|bytes| bytes == b"HTTP/1.1 200").count();
                let mut rest = &answer[..];
                while !rest.is_empty() {
                    let Ok(length) = socket.write(rest).await else { return };
                    rest = &rest[length..];
                }
                if served >= self.most {
                    break;
                }
            }
        }
        assert_eq!(connection.ended(now(), &mut self.tunnels.borrow_mut()), None, "within a request");
    }

    /// Does one step. Returns whether there was one to do.
    fn step(&self, connection: &mut TunnelConnection, pending: &mut Vec<u8>, answer: &mut Vec<u8>) -> bool {
        let (mut tunnels, mut session) = (self.tunnels.borrow_mut(), self.session.borrow_mut());
        let mut rest = &pending[..];
        let event = connection.next_event(now(), &mut rest, &mut tunnels);
        match event {
            Some(TunnelEvent::Open) => {
                connection.open(now(), &[7; 32], &mut tunnels).unwrap();
                let buffers = self.buffers.borrow_mut().take().expect("one tunnel");
                *session = Some(Server::new(buffers, ServerConfig::new(), &[8; 32]).unwrap());
            }
            Some(TunnelEvent::Data(_)) => self.data(connection, session.as_mut().unwrap(), &mut rest),
            Some(TunnelEvent::Closed(_)) => *session = None,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
        let taken = pending.len() - rest.len();
        pending.drain(..taken);
        let mut out = [0; 1000];
        let waiting = session.as_ref().map_or(0, |session| session.transmit_len());
        let written = connection.poll_transmit(now(), &mut out, &mut tunnels, waiting, |room| {
            session.as_mut().map_or(0, |session| session.poll_transmit(now(), room))
        });
        if written > 0 && answer.is_empty() {
            self.requests.set(self.requests.get() + 1);
            self.times.borrow_mut().push(Instant::now());
        }
        answer.extend_from_slice(&out[..written]);
        event.is_some() || taken > 0 || written > 0
    }

    fn data(&self, connection: &mut TunnelConnection, session: &mut Server<'b>, rest: &mut &[u8]) {
        let (mut connect, mut publish) = (false, None);
        match connection.receive(now(), rest, |bytes| session.next_event(now(), bytes)).unwrap() {
            Some(ServerEvent::Connect(_)) => connect = true,
            Some(ServerEvent::Publish { stream, .. }) => publish = Some(stream),
            Some(ServerEvent::Media(fragment)) => {
                let mut messages = self.messages.borrow_mut();
                let header = fragment.header;
                if fragment.is_first() {
                    messages.push((header.kind.0, header.timestamp.0, Vec::new()));
                }
                let open = messages.iter_mut().rev().find(|message| message.0 == header.kind.0).unwrap();
                open.2.extend_from_slice(fragment.data);
            }
            _ => {}
        }
        if connect {
            session.accept_connect().unwrap();
        }
        if let Some(stream) = publish {
            session.accept(stream).unwrap();
        }
    }
}

/// The outcome of a test.
struct Outcomes {
    result: Result<(), Error>,
    reports: Vec<Outcome>,
    messages: Vec<Message>,
    requests: usize,
    connections: usize,
    took: Duration,
}

/// Publishes `clip` over `wire` with rings of these sizes, to a gateway that closes each connection after `most`
/// requests.
fn published<const RX: usize, const TX: usize, const GATHER: usize>(
    wire: &Wire,
    clip: &[Tag<'_>],
    targets: &[Target],
    most: usize,
) -> Outcomes {
    let (mut scratch, mut control) = (vec![0; 1536], vec![0; 1024]);
    let border = Border::new(SessionBuffers { scratch: &mut scratch, control: &mut control }, most);
    let mut plan = Plan::new(targets, LIMITS).unwrap();
    let began = Instant::now();
    let result = with_devices(wire, async |first, second| {
        let mut memory = Box::new(Memory::<RX, TX, 1536, 512, GATHER>::new());
        let (url, progress) = (Url::parse(URL).unwrap(), Progress::default());
        let client = publish(first, &url, &mut plan, &mut memory, clip, false, &progress);
        let border = join_array([(); 6].map(|()| border.run(second)));
        match select(client, border).await {
            Either::First(result) => result,
            Either::Second(_) => unreachable!("the border runs for ever"),
        }
    });
    Outcomes {
        result,
        reports: plan.reports().map(|report| report.outcome).collect(),
        took: began.elapsed(),
        messages: border.messages.take(),
        requests: border.requests.get(),
        connections: border.connections.get(),
    }
}

/// The messages of the clip, without the metadata, which is encoded differently. Sorted by kind, because audio may pass
/// between the chunks of video.
fn expected(clip: &[Tag<'_>]) -> Vec<Message> {
    sorted(clip.iter().map(|tag| (tag.kind.0, tag.timestamp.0, tag.data.to_vec())).collect())
}

fn sorted(mut messages: Vec<Message>) -> Vec<Message> {
    messages.retain(|message| message.0 != SCRIPT.0);
    messages.sort_by_key(|message| message.0);
    messages
}

#[test]
fn item_098_the_clip_arrives_whole_through_a_tunnel() {
    let clip = clip();
    let outcomes = published::<4096, 4096, 4096>(&Wire::new(), &clip, &[Target::rtmpt(80)], usize::MAX);
    assert_eq!((outcomes.result, &outcomes.reports[..]), (Ok(()), &[Outcome::Connected][..]));
    assert!(sorted(outcomes.messages) == expected(&clip));
    assert_eq!(outcomes.connections, 1);
}

#[test]
fn each_request_may_be_the_last_of_its_connection() {
    let clip = &clip()[..60];
    for most in [1, 3] {
        let outcomes = published::<4096, 2048, 4096>(&Wire::new(), clip, &[Target::rtmpt(80)], most);
        assert_eq!(outcomes.result, Ok(()), "{most}");
        assert!(sorted(outcomes.messages) == expected(clip));
        assert!(outcomes.connections >= outcomes.requests / most, "{} {}", outcomes.connections, outcomes.requests);
    }
}

#[test]
fn rings_that_wrap_in_the_middle_of_requests_lose_nothing() {
    let clip = &clip()[..30];
    let outcomes = published::<97, 97, 4096>(&Wire::new(), clip, &[Target::rtmpt(80)], usize::MAX);
    assert_eq!(outcomes.result, Ok(()));
    assert!(sorted(outcomes.messages) == expected(clip));
}

#[test]
fn item_094_the_tunnel_is_tried_where_plain_rtmp_is_answered_in_http() {
    let clip = &clip()[..30];
    let targets = [Target::rtmp(80), Target::rtmpt(80)];
    let outcomes = published::<4096, 4096, 4096>(&Wire::new(), clip, &targets, 50);
    assert_eq!(outcomes.result, Ok(()));
    assert_eq!(outcomes.reports, [Outcome::Failed(Failure::NotRtmp), Outcome::Connected]);
    assert!(sorted(outcomes.messages) == expected(clip));
}

#[test]
fn the_bit_rate_of_a_tunnel_depends_on_the_memory_for_its_requests() {
    let clip = clip();
    let rate = |outcomes: Outcomes, clip: &[Tag<'_>], gather: usize| {
        assert_eq!(outcomes.result, Ok(()));
        assert!(sorted(outcomes.messages) == expected(clip));
        let bytes: usize = clip.iter().map(|tag| tag.data.len()).sum();
        let rate = bytes as u64 * 8 / outcomes.took.as_millis();
        println!(
            "a device that gathers {gather} bytes, 50 ms round trip: {rate} kbit/s in {} requests on {} connections",
            outcomes.requests, outcomes.connections
        );
        rate
    };
    let wire = || Wire { delay: Duration::from_millis(25), ..Wire::new() };
    let targets = [Target::rtmpt(80)];
    let most = rate(published::<4096, 8192, 4096>(&wire(), &clip, &targets, 20), &clip, 4_096);
    let less = rate(published::<4096, 8192, 1024>(&wire(), &clip, &targets, 20), &clip, 1_024);
    // Without such memory, each request has one message.
    let none = rate(published::<4096, 8192, 0>(&wire(), &clip[..60], &targets, 20), &clip[..60], 0);
    assert!(most > less && less > none, "{most} {less} {none}");
}

#[test]
fn an_idle_tunnel_of_a_device_polls_at_most_four_times_a_second() {
    let (mut scratch, mut control) = (vec![0; 1536], vec![0; 1024]);
    let border = Border::new(SessionBuffers { scratch: &mut scratch, control: &mut control }, 10);
    let targets = [Target::rtmpt(80)];
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    with_devices(&Wire::new(), async |first, second| {
        let mut memory = TestMemory::new();
        let client = async {
            let mut publisher = connect(first, &mut plan, &mut memory).await.unwrap();
            let mut parts = publisher.split();
            let ended = with_timeout(Duration::from_secs(6), parts.runner.run()).await;
            assert!(ended.is_err(), "the session ended: {ended:?}");
            publisher.close().await
        };
        match select(client, join_array([(); 6].map(|()| border.run(second)))).await {
            Either::First(result) => assert_eq!(result, Ok(())),
            Either::Second(_) => unreachable!("the border runs for ever"),
        }
    });
    let times = border.times.take();
    let from = times[0] + Duration::from_secs(2);
    let count = times.iter().filter(|at| (from..from + Duration::from_secs(3)).contains(at)).count();
    assert!((2..=12).contains(&count), "{count} requests in 3 s");
    assert!(border.connections.get() >= 2);
}
