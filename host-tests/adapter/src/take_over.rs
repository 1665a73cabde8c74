//! A server whose configuration lets publishers of one stream follow each other.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::Write;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::command::{ConnectOptions, code};
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::relay::{RelayConfig, StreamName, TakeOver};
use embedded_rtmp_embassy::embedded_rtmp::session::{Client, ClientConfig, ClientEvent, SessionBuffers};
use embedded_rtmp_embassy::embedded_rtmp::time;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, End, Error, Handler, Parts, PlayHandler, Player, Publisher, Rejection, Server, ServerOptions,
    SessionId, StreamMemory,
};
#[cfg(feature = "rtmpt")]
use embedded_rtmp_embassy::{TunnelMemory, Tunnels, embedded_rtmp::tunnel::TunnelConfig};

use super::pair::{LIMITS, TestMemory, URL, connect, targets, with_devices};
use crate::wire::Wire;

/// Records the calls about publishers.
#[derive(Default)]
struct Notes {
    sessions: u8,
    asked: usize,
    unpublished: Vec<SessionId>,
    closed: Vec<Error>,
    /// While this is set, the handler is not ready for media.
    is_paused: Rc<Cell<bool>>,
}

impl Handler for Notes {
    fn entropy(&mut self) -> [u8; 32] {
        // A tunnel's id is made of it.
        self.sessions += 1;
        [self.sessions; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        self.asked += 1;
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn unpublished(&mut self, session: SessionId, _: StreamId) {
        self.unpublished.push(session);
    }

    fn closed(&mut self, _: SessionId, why: &Error) {
        self.closed.push(*why);
    }

    fn poll_ready(&mut self, _: SessionId, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_paused.get() {
            return Poll::Ready(());
        }
        let _ = pin!(Timer::after_millis(100)).poll(cx);
        Poll::Pending
    }
}

/// The timestamps of the messages that a player gets.
#[derive(Default)]
struct Timestamps(Vec<u32>);

impl PlayHandler for Timestamps {
    fn media(&mut self, fragment: &Fragment<'_>) {
        if fragment.is_first() {
            self.0.push(fragment.header.timestamp.0);
        }
    }
}

/// Runs `clients` on the first device while a server with this configuration runs on the second. It has one stream, and
/// tunnels if there are any.
fn while_relaying(relay: RelayConfig, clients: impl AsyncFnOnce(Stack<'_>)) -> Notes {
    while_relaying_if(&Cell::new(true), Notes::default(), relay, clients)
}

/// The same with a server that runs only while `runs`, as on a device that is sometimes busy with other things.
fn while_relaying_if(
    runs: &Cell<bool>,
    mut notes: Notes,
    relay: RelayConfig,
    clients: impl AsyncFnOnce(Stack<'_>),
) -> Notes {
    with_devices(&Wire::new(), async |first, second| {
        let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
        let mut streams = Box::new([const { StreamMemory::<8192>::new() }; 1]);
        #[cfg(feature = "rtmpt")]
        let mut lent = Box::new(TunnelMemory::<3>::new());
        #[cfg(feature = "rtmpt")]
        let mut tunnels = Tunnels::<3>::new(&mut lent, TunnelConfig::new());
        let options = ServerOptions { relay, max_per_address: Some(4), ..Default::default() };
        let server = Server::<4, 1, 2>::relaying(second, &[1935], &mut memory, &mut streams, &options);
        #[cfg(feature = "rtmpt")]
        let server = server.and_then(|server| server.with_tunnels(&mut tunnels));
        let mut server = server.unwrap();
        let mut serving = pin!(server.run(&mut notes));
        let serving = poll_fn(|cx| if runs.get() { serving.as_mut().poll(cx) } else { Poll::Pending });
        let Either::First(()) = select(clients(first), serving).await else { unreachable!() };
    });
    notes
}

/// A direct connection, and a tunnel if there are any.
fn ways() -> Vec<Target> {
    let tunnel = cfg!(feature = "rtmpt").then(|| Target::rtmpt(1935));
    [Target::rtmp(1935)].into_iter().chain(tunnel).collect()
}

async fn publisher<'a>(
    stack: Stack<'a>,
    way: Target,
    memory: &'a mut TestMemory,
) -> (Result<Publisher<'a>, Error>, Duration) {
    let (begin, targets) = (Instant::now(), [way]);
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    (connect(stack, &mut plan, memory).await, begin.elapsed())
}

/// Sends a keyframe.
async fn send(publisher: &mut Publisher<'_>, timestamp: u32) {
    let Parts { mut runner, mut video, .. } = publisher.split();
    let frame = async {
        video.send(Timestamp(timestamp), &[0x17, 1, 0, 0, 0, 1, 2, 3]).await.unwrap();
        Timer::after_millis(200).await;
    };
    if let Either::First(why) = select(runner.run(), frame).await {
        panic!("{why:?}");
    }
}

/// Runs a publisher until its connection ends.
async fn run(publisher: &mut Publisher<'_>) -> Error {
    publisher.split().runner.run().await
}

/// Asks to publish, and resets the connection while the request waits.
async fn ask_and_reset(stack: Stack<'_>) {
    let (mut rx, mut tx, mut scratch, mut control) = ([0; 4096], [0; 4096], [0; 1536], [0; 512]);
    let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
    socket.connect((IpAddress::v4(10, 0, 0, 2), 1935)).await.unwrap();
    let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
    let mut client: Client<'_> = Client::new(buffers, ClientConfig::new(), &[9; 32]).unwrap();
    client.connect(&ConnectOptions::new("live", &["rtmp://10.0.0.2/live"])).unwrap();
    client.publish("test").unwrap();
    let (now, mut input, mut out) = (time::Instant::from_millis(0), [0; 500], [0; 4096]);
    loop {
        let length = client.poll_transmit(now, &mut out);
        socket.write_all(&out[..length]).await.unwrap();
        let Ok(length) = with_timeout(Duration::from_millis(500), socket.read(&mut input)).await else { break };
        let mut rest = &input[..length.unwrap()];
        while let Some(event) = client.next_event(now, &mut rest).unwrap() {
            assert!(!matches!(event, ClientEvent::Publishing(_)));
        }
    }
    socket.abort();
    socket.flush().await.unwrap();
}

fn code_of(error: Error) -> String {
    let Error::Refused(refusal) = error else { panic!("{error:?}") };
    refusal.code.to_string()
}

/// Plays the stream until it ends.
async fn play(stack: Stack<'_>, seen: &mut Timestamps) -> Result<End, Error> {
    let (targets, mut memory) = (targets([1935]), TestMemory::new());
    let (url, mut plan) = (Url::parse(URL).unwrap(), Plan::new(&targets, LIMITS).unwrap());
    let options = ClientOptions::default();
    let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || [9; 32]).await?;
    player.run(seen).await
}

#[test]
fn item_120_a_publish_waits_and_is_accepted_if_the_first_publisher_is_silent() {
    for way in ways() {
        let mut seen = Timestamps::default();
        let notes = while_relaying(RelayConfig::new(), async |stack| {
            let publishing = async {
                let (mut one, mut two) = (TestMemory::new(), TestMemory::new());
                let mut first = publisher(stack, way, &mut one).await.0.unwrap();
                send(&mut first, 1_000).await;
                // The first publisher does not run, so it answers no ping.
                let (second, waited) = publisher(stack, way, &mut two).await;
                assert!((2_000..2_500).contains(&waited.as_millis()), "{waited}");
                let mut second = second.unwrap();
                send(&mut second, 0).await;
                assert_eq!(code_of(run(&mut first).await), code::UNPUBLISH_SUCCESS);
                send(&mut second, 100).await;
            };
            let Either::Second(()) = select(play(stack, &mut seen), publishing).await else { panic!("an end") };
        });
        // The player continues as if there were one publisher.
        let [before, after, last] = seen.0[..] else { panic!("{seen:?}", seen = seen.0) };
        assert!(before == 1_000 && (3_000..4_000).contains(&after) && last == after + 100, "{:?}", seen.0);
        assert_eq!((notes.asked, notes.unpublished.len(), &notes.closed[..]), (2, 1, &[Error::Closed][..]));
    }
}

#[test]
fn a_publish_that_waits_is_rejected_if_the_first_publisher_answers() {
    for way in ways() {
        let notes = while_relaying(RelayConfig::new(), async |stack| {
            let (mut one, mut two, mut three) = (TestMemory::new(), TestMemory::new(), TestMemory::new());
            let mut first = publisher(stack, way, &mut one).await.0.unwrap();
            let others = async {
                for memory in [&mut two, &mut three] {
                    let (second, waited) = publisher(stack, way, memory).await;
                    assert_eq!(code_of(second.err().unwrap()), code::PUBLISH_BAD_NAME);
                    assert!(waited < Duration::from_millis(1_500), "{waited}");
                }
            };
            let Either::Second(()) = select(run(&mut first), others).await else { panic!("the publisher's end") };
            send(&mut first, 0).await;
        });
        // The handler was asked about each publisher, and then told that its session ended.
        assert_eq!((notes.asked, notes.unpublished.len()), (3, 2));
    }
}

#[test]
fn a_publisher_whose_bytes_arrived_in_time_keeps_its_stream_on_a_busy_device() {
    let runs = Cell::new(true);
    let notes = while_relaying_if(&runs, Notes::default(), RelayConfig::new(), async |stack| {
        let [mut one, mut two] = [const { TestMemory::new() }; 2];
        let mut first = publisher(stack, Target::rtmp(1935), &mut one).await.0.unwrap();
        let sending = async {
            Timer::after_millis(500).await;
            runs.set(false);
            send(&mut first, 0).await;
            // The limit passes before the server looks at the bytes.
            Timer::after_secs(3).await;
            runs.set(true);
            Timer::after_secs(1).await;
        };
        let ((second, _), ()) = join(publisher(stack, Target::rtmp(1935), &mut two), sending).await;
        assert_eq!(code_of(second.err().unwrap()), code::PUBLISH_BAD_NAME);
        send(&mut first, 100).await;
    });
    assert_eq!((notes.asked, notes.unpublished.len()), (2, 1));
}

#[test]
fn a_publish_that_waits_ends_with_its_connection() {
    let notes = while_relaying(RelayConfig::new(), async |stack| {
        let [mut one, mut three] = [const { TestMemory::new() }; 2];
        let mut first = publisher(stack, Target::rtmp(1935), &mut one).await.0.unwrap();
        ask_and_reset(stack).await;
        Timer::after_secs(3).await;
        // The first publisher still publishes, and the place of the waiting one is free.
        send(&mut first, 0).await;
        let (third, waited) = publisher(stack, Target::rtmp(1935), &mut three).await;
        assert!(third.is_ok() && waited >= Duration::from_secs(2), "{waited}");
    });
    assert_eq!((notes.asked, notes.unpublished.len()), (3, 1));
}

#[test]
fn a_publisher_takes_over_at_once_if_the_configuration_says_so() {
    let mut config = RelayConfig::new();
    config.take_over = TakeOver::Always;
    for way in ways() {
        while_relaying(config, async |stack| {
            let (mut one, mut two) = (TestMemory::new(), TestMemory::new());
            let mut first = publisher(stack, way, &mut one).await.0.unwrap();
            let (second, waited) = publisher(stack, way, &mut two).await;
            assert!(second.is_ok() && waited < Duration::from_millis(1_500), "{waited}");
            assert_eq!(code_of(run(&mut first).await), code::UNPUBLISH_SUCCESS);
        });
    }
}

#[test]
fn item_121_players_wait_for_the_next_publisher_until_the_grace_time_is_over() {
    let config = RelayConfig::new();
    let (mut seen, way) = (Timestamps::default(), Target::rtmp(1935));
    while_relaying(config, async |stack| {
        let mut left_at = Instant::MAX;
        let playing = async {
            let end = play(stack, &mut seen).await;
            (end, Instant::now())
        };
        let publishing = async {
            for timestamp in [5_000, 0] {
                let mut memory = TestMemory::new();
                let mut publisher = publisher(stack, way, &mut memory).await.0.unwrap();
                send(&mut publisher, timestamp).await;
                publisher.close().await.unwrap();
                left_at = Instant::now();
                Timer::after_secs(1).await;
            }
            Timer::after_secs(20).await;
        };
        let Either::First((end, ended_at)) = select(playing, publishing).await else {
            panic!("the player did not end")
        };
        assert_eq!(end, Ok(End::Unpublished));
        let waited = ended_at.saturating_duration_since(left_at).as_millis();
        assert!((9_500..10_500).contains(&waited), "{waited}");
    });
    let [before, after] = seen.0[..] else { panic!("{seen:?}", seen = seen.0) };
    assert!(before == 5_000 && (6_000..7_000).contains(&after), "{:?}", seen.0);
}

#[test]
fn item_120_a_publisher_whose_future_was_dropped_is_let_in_again() {
    while_relaying(RelayConfig::new(), async |stack| {
        for _ in 0..2 {
            let mut memory = TestMemory::new();
            let (publisher, waited) = publisher(stack, Target::rtmp(1935), &mut memory).await;
            assert!(waited < Duration::from_millis(2_500), "{waited}");
            send(&mut publisher.unwrap(), 0).await;
        }
    });
}

#[test]
fn item_120_a_publisher_that_the_handler_holds_back_is_not_silent() {
    let is_paused = Rc::<Cell<bool>>::default();
    let notes = Notes { is_paused: is_paused.clone(), ..Notes::default() };
    let notes = while_relaying_if(&Cell::new(true), notes, RelayConfig::new(), async |stack| {
        let [mut one, mut two] = [const { TestMemory::new() }; 2];
        let mut first = publisher(stack, Target::rtmp(1935), &mut one).await.0.unwrap();
        is_paused.set(true);
        send(&mut first, 0).await;
        let others = async {
            let (second, _) = publisher(stack, Target::rtmp(1935), &mut two).await;
            // The handler is not ready for the session of the second one, either.
            assert!(second.is_err());
            // Longer than a publisher may be silent, inside a message or between messages.
            Timer::after_secs(90).await;
            is_paused.set(false);
            Timer::after_secs(1).await;
        };
        if let Either::First(why) = select(run(&mut first), others).await {
            panic!("{why}");
        }
        send(&mut first, 100).await;
    });
    assert_eq!(notes.unpublished.len(), 0);
}
