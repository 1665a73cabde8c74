//! Two devices on a wire, and helpers for tests on them.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::relay::{RelayConfig, StreamName};
use embedded_rtmp_embassy::embedded_rtmp::session::{self, ServerEvent};
use embedded_rtmp_embassy::embedded_rtmp::time;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, Error, Handler, KeepAlive, Memory, Played, Publisher, Rejection, Server, ServerOptions, SessionId,
};

use crate::clock::block_on_stepped;
use crate::device::Device;
use crate::flv::{self, Tag};
use crate::record::Recorder;
use crate::tasks::{self, Task};
use crate::wire::Wire;

/// No test may take longer than this: a bound against hanging, not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `test` with the stacks of two devices, 10.0.0.1 and 10.0.0.2, which `wire` joins.
pub(crate) fn with_devices<T>(wire: &Wire, test: impl AsyncFnOnce(Stack<'_>, Stack<'_>) -> T) -> T {
    with_devices_for(PATIENCE, wire, test)
}

/// Like [`with_devices`]. The test fails if it takes longer than `limit` in simulated time.
pub(crate) fn with_devices_for<T>(
    limit: Duration,
    wire: &Wire,
    test: impl AsyncFnOnce(Stack<'_>, Stack<'_>) -> T,
) -> T {
    let (mut first, mut second) = (Device::new(), Device::new());
    let (first, mut first_runner, first_port) = first.start(1);
    let (second, mut second_runner, second_port) = second.start(2);
    let network: [Task<'_>; 3] = [
        Box::pin(async { first_runner.run().await }),
        Box::pin(async { second_runner.run().await }),
        Box::pin(wire.run(first_port, second_port)),
    ];
    let test = with_timeout(limit, test(first, second));
    block_on_stepped(tasks::run(test, network)).expect("the test came to no end")
}

/// The session memory of most tests.
pub(crate) type TestMemory = Memory<4096, 4096>;

/// The URL to which most tests publish. The list of ports comes from the plan.
pub(crate) const URL: &str = "rtmp://10.0.0.2/live/test";

/// Long enough for a busy machine, and short enough for tests in which a port is dropped.
pub(crate) const LIMITS: Limits = Limits {
    tcp: std::time::Duration::from_millis(1_500),
    handshake: std::time::Duration::from_secs(4),
    ..Limits::SEQUENTIAL
};

/// RTMP on these ports.
pub(crate) fn targets<const N: usize>(ports: [u16; N]) -> [Target; N] {
    ports.map(Target::rtmp)
}

/// A peer that sends nothing for 3 s is considered dead.
pub(crate) const IMPATIENT: KeepAlive =
    KeepAlive { interval: Duration::from_millis(500), timeout: Duration::from_secs(3) };

/// Connects to [`URL`].
pub(crate) async fn connect<'a, const RX: usize, const TX: usize>(
    stack: Stack<'a>,
    plan: &mut Plan<'_>,
    memory: &'a mut Memory<RX, TX>,
) -> Result<Publisher<'a>, Error> {
    let options = ClientOptions { keep_alive: IMPATIENT, ..Default::default() };
    Publisher::connect(stack, &Url::parse(URL).unwrap(), plan, &options, memory, || [7; 32]).await
}

/// What a test's server recorded, and how its sessions ended.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    /// A stream key and a file, in the order of publishing.
    pub(crate) files: Rc<RefCell<Vec<(String, SharedFile)>>>,
}

#[derive(Clone, Default)]
pub(crate) struct SharedFile(Rc<RefCell<Vec<u8>>>);

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Recorded {
    /// A handler that records into this value.
    pub(crate) fn recorder(&self) -> Recorder<impl FnMut(SessionId, &str) -> io::Result<Box<dyn Write>> + use<>> {
        let files = self.files.clone();
        Recorder::new(move |_, key| {
            let file = SharedFile::default();
            files.borrow_mut().push((key.into(), file.clone()));
            Ok(Box::new(file))
        })
    }

    /// The file of the `index`th stream that was published.
    pub(crate) fn file(&self, index: usize) -> Vec<u8> {
        self.files.borrow()[index].1.0.borrow().clone()
    }

    /// The types of its messages, in the order of their ends.
    pub(crate) fn kinds(&self, index: usize) -> Vec<MessageKind> {
        let file = self.file(index);
        flv::read(&file).unwrap_or_default().iter().map(|tag| tag.kind).collect()
    }
}

/// The payload of a keyframe.
pub(crate) const fn keyframe<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut payload = [0x17; LENGTH];
    payload[1] = 1;
    payload
}

/// The grace time is 0, so players are told the end of a stream at once.
pub(crate) const NO_GRACE: RelayConfig = {
    let mut config = RelayConfig::new();
    config.grace = std::time::Duration::ZERO;
    config
};

/// Runs `client` while a server with 4 sockets on `ports` records.
pub(crate) async fn while_serving<T>(
    stack: Stack<'_>,
    ports: &[u16],
    recorded: &Recorded,
    client: impl Future<Output = T>,
) -> T {
    let mut memory: Box<[TestMemory; 4]> = Box::new([const { TestMemory::new() }; 4]);
    let options = ServerOptions { keep_alive: IMPATIENT, max_per_address: Some(4), ..Default::default() };
    let mut server = Server::<4>::new(stack, ports, &mut memory, &options).unwrap();
    let mut recorder = recorded.recorder();
    match select(client, server.run(&mut recorder)).await {
        Either::First(outcome) => outcome,
        Either::Second(()) => unreachable!("the server runs for ever"),
    }
}

/// The tags of the bundled clip.
pub(crate) fn clip() -> Vec<Tag<'static>> {
    flv::read(crate::clip::BUNDLED).unwrap()
}

/// A server session that the test drives. It accepts everything until the event that `until` looks for has arrived and
/// all received input is consumed.
pub(crate) async fn serve_until(
    socket: &mut TcpSocket<'_>,
    session: &mut session::Server<'_>,
    mut is_it: impl FnMut(&ServerEvent<'_>) -> bool,
) {
    let (now, mut input, mut out, mut found) = (time::Instant::from_millis(0), [0; 500], [0; 5_000], false);
    while !found {
        let length = socket.read(&mut input).await.unwrap();
        let mut rest = &input[..length];
        loop {
            while let Some(event) = session.next_event(now, &mut rest).unwrap() {
                found |= is_it(&event);
                match event {
                    ServerEvent::Connect(_) => session.accept_connect().unwrap(),
                    ServerEvent::Publish { stream, .. } => session.accept(stream).unwrap(),
                    _ => {}
                }
            }
            let length = session.poll_transmit(now, &mut out);
            let mut answer = &out[..length];
            while !answer.is_empty() {
                answer = &answer[socket.write(answer).await.unwrap()..];
            }
            if length == 0 && rest.is_empty() {
                break;
            }
        }
    }
}

/// The handler of a relay: accepts every client, and records the results of the players.
#[derive(Default)]
pub(crate) struct AcceptAll(pub(crate) Vec<Played>);

impl Handler for AcceptAll {
    fn entropy(&mut self) -> [u8; 32] {
        [1; 32]
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn played(&mut self, _: SessionId, played: Played) {
        self.0.push(played);
    }
}

/// Publishes nothing to the second device, and closes the connection. Returns how that ended, and the outcome of each
/// target: ports 1935 and 80.
#[cfg(any(feature = "auth", feature = "redirect"))]
pub(crate) async fn publish(
    stack: Stack<'_>,
    url: &str,
    options: &ClientOptions<'_>,
) -> (Result<(), Error>, Vec<embedded_rtmp_embassy::embedded_rtmp::port_plan::Outcome>) {
    let (targets, mut memory, url) = (targets([1935, 80]), TestMemory::new(), Url::parse(url).unwrap());
    let mut plan = Plan::new(&targets, LIMITS).unwrap();
    let publisher = Publisher::<8>::connect(stack, &url, &mut plan, options, &mut memory, || [7; 32]).await;
    let result = match publisher {
        Ok(mut publisher) => publisher.close().await,
        Err(error) => Err(error),
    };
    (result, plan.reports().map(|report| report.outcome).collect())
}
