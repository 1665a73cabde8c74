//! Throughput and instructions: a bare TCP socket of embassy-net against RTMP, with equal rings, sending and receiving.

use core::future::Future;
use core::task::{Context, Waker};

use embassy_futures::select::{Either, select};
use embassy_net::tcp::TcpSocket;
use embassy_net::{IpAddress, Ipv4Address, Stack};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, Error, Handler, KeepAlive, Memory, Parts, Publisher, Rejection, Server, ServerOptions, SessionId,
};
use mps2_an386::CLIP;
use mps2_an386::arguments::Bench;
use mps2_an386::board::{executor, host, time};
use static_cell::ConstStaticCell;

/// Bytes of a video message.
const MESSAGE: usize = 30_000;
/// The largest rings.
const LARGEST: usize = 8_192;
/// The port on which the board listens for a publisher.
const PORT: u16 = 1935;

/// The bytes that are added to the stream key, round after round.
const SHIFTS: [&str; 4] = ["", "+", "++", "+++"];

type Rings = [[u8; LARGEST]; 2];
type Sessions<const R: usize> = [Memory<R, R>; 2];

/// All rings have the same alignment, independent of the linker.
#[repr(align(4))]
struct Aligned<T>(T);

static RINGS: ConstStaticCell<Aligned<Rings>> = ConstStaticCell::new(Aligned([[0; LARGEST]; 2]));
static SMALL: ConstStaticCell<Aligned<Sessions<2_048>>> = ConstStaticCell::new(Aligned([const { Memory::new() }; 2]));
static MEDIUM: ConstStaticCell<Aligned<Sessions<4_096>>> = ConstStaticCell::new(Aligned([const { Memory::new() }; 2]));
static LARGE: ConstStaticCell<Aligned<Sessions<LARGEST>>> = ConstStaticCell::new(Aligned([const { Memory::new() }; 2]));

pub(crate) async fn bench(stack: Stack<'static>, options: Bench) -> bool {
    stack.wait_config_up().await;
    let Aligned(rings) = RINGS.take();
    pairs(stack, &options, &mut SMALL.take().0, rings).await
        && pairs(stack, &options, &mut MEDIUM.take().0, rings).await
        && pairs(stack, &options, &mut LARGE.take().0, rings).await
}

async fn pairs<const R: usize>(
    stack: Stack<'static>,
    options: &Bench,
    sessions: &mut Sessions<R>,
    rings: &mut Rings,
) -> bool {
    for round in 0..options.pairs {
        // Copies take longer where source and destination are not aligned alike. How they are depends on what went over
        // the connection before, so each round has bytes more of that: in RTMP through a longer key, here and on the host.
        let shift = round as usize % SHIFTS.len();
        let done = async {
            send_tcp::<R>(stack, options, rings, shift).await?;
            send_rtmp(stack, options, sessions, shift).await?;
            receive_tcp::<R>(stack, options, rings, shift).await?;
            receive_rtmp(stack, options, sessions).await
        };
        if done.await.is_none() {
            defmt::error!("the measurement was cut off");
            return false;
        }
    }
    true
}

/// A measurement in progress: counts of 25 MHz, all of them and those asleep.
struct Watch(u64, u64);

impl Watch {
    fn start() -> Self {
        Self(time::counts(), executor::asleep())
    }

    fn tell(self, what: &str, ring: usize, bytes: usize) {
        let (all, asleep) = (time::counts() - self.0, executor::asleep() - self.1);
        defmt::info!("bench {} ring {} bytes {} counts {} busy {}", what, ring, bytes, all, all - asleep);
    }
}

async fn connect<'r>(
    stack: Stack<'r>,
    options: &Bench,
    port: u16,
    rings: &'r mut Rings,
    ring: usize,
) -> Option<TcpSocket<'r>> {
    let [rx, tx] = rings;
    let mut socket = TcpSocket::new(stack, rx.get_mut(..ring)?, tx.get_mut(..ring)?);
    // The same options as for a session.
    socket.set_nagle_enabled(false);
    socket.set_keep_alive(Some(KeepAlive::DEFAULT.interval));
    socket.set_timeout(Some(KeepAlive::DEFAULT.timeout));
    socket.connect((IpAddress::Ipv4(Ipv4Address::from_bits(options.host)), port)).await.ok()?;
    Some(socket)
}

async fn send_tcp<const R: usize>(stack: Stack<'_>, options: &Bench, rings: &mut Rings, shift: usize) -> Option<()> {
    let mut socket = connect(stack, options, options.ports[0], rings, R).await?;
    let message = CLIP.get(..MESSAGE)?;
    if shift > 0 {
        socket.write(SHIFTS.get(shift)?.as_bytes()).await.ok()?;
    }
    let watch = Watch::start();
    for _ in 0..options.messages {
        let mut rest = message;
        while !rest.is_empty() {
            rest = rest.get(socket.write(rest).await.ok()?..)?;
        }
    }
    socket.close();
    socket.flush().await.ok()?;
    watch.tell("send tcp", R, options.messages * MESSAGE);
    // The peer also closes.
    let _ = socket.read_with(|bytes| (bytes.len(), ())).await;
    Some(())
}

async fn send_rtmp<const R: usize>(
    stack: Stack<'_>,
    options: &Bench,
    sessions: &mut Sessions<R>,
    shift: usize,
) -> Option<()> {
    let targets = [Target::rtmp(options.ports[1])];
    let mut plan = Plan::new(&targets, Limits::SEQUENTIAL).ok()?;
    let mut text = heapless::String::<64>::new();
    let host = Ipv4Address::from_bits(options.host);
    core::fmt::write(&mut text, format_args!("rtmp://{host}/live/bench{}", SHIFTS.get(shift)?)).ok()?;
    let (url, how) = (Url::parse(&text).ok()?, ClientOptions::default());
    let [memory, _] = sessions;
    let mut publisher = Publisher::<8>::connect(stack, &url, &mut plan, &how, memory, host::random).await.ok()?;
    let Parts { mut runner, mut video, .. } = publisher.split();
    let message = CLIP.get(..MESSAGE)?;
    let watch = Watch::start();
    let feed = async {
        for number in 0..options.messages {
            video.send(Timestamp(number as u32 * 40), message).await?;
        }
        Ok::<(), Error>(())
    };
    let Either::First(Ok(())) = select(feed, runner.run()).await else { return None };
    publisher.close().await.ok()?;
    watch.tell("send rtmp", R, options.messages * MESSAGE);
    Some(())
}

async fn receive_tcp<const R: usize>(stack: Stack<'_>, options: &Bench, rings: &mut Rings, shift: usize) -> Option<()> {
    // A server has one more socket, which listens at the same time, and the stack polls each of them.
    let (mut rx, mut tx) = ([0; 64], [0; 64]);
    let mut other = TcpSocket::new(stack, &mut rx, &mut tx);
    let _ = core::pin::pin!(other.accept(PORT)).as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let mut socket = connect(stack, options, options.ports[2], rings, R).await?;
    // These bytes come before the rest, in a separate segment.
    let mut first = [0; SHIFTS.len()];
    let mut left = shift + 1;
    while left > 0 {
        left -= socket.read(first.get_mut(..left)?).await.ok()?;
    }
    socket.write(b"+").await.ok()?;
    let mut left = options.messages * MESSAGE;
    let mut watch = None;
    while left > 0 {
        let length = socket.read_with(|bytes| (bytes.len(), bytes.len())).await.ok()?;
        watch.get_or_insert_with(Watch::start);
        left = left.checked_sub(length)?;
    }
    watch?.tell("receive tcp", R, options.messages * MESSAGE);
    socket.close();
    let _ = socket.flush().await;
    Some(())
}

/// Accepts one publisher, and measures.
struct Sink<'s> {
    left: usize,
    watch: Option<Watch>,
    ring: usize,
    bytes: usize,
    over: &'s Signal<NoopRawMutex, bool>,
}

impl Handler for Sink<'_> {
    fn entropy(&mut self) -> [u8; 32] {
        host::random()
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, fragment: &Fragment<'_>) {
        self.watch.get_or_insert_with(Watch::start);
        self.left = self.left.saturating_sub(fragment.data.len());
        if self.left == 0
            && let Some(watch) = self.watch.take()
        {
            watch.tell("receive rtmp", self.ring, self.bytes);
        }
    }

    fn closed(&mut self, _: SessionId, _: &Error) {
        self.over.signal(self.left == 0);
    }
}

async fn receive_rtmp<const R: usize>(stack: Stack<'_>, options: &Bench, sessions: &mut Sessions<R>) -> Option<()> {
    let (over, bytes) = (Signal::new(), options.messages * MESSAGE);
    let mut sink = Sink { left: bytes, watch: None, ring: R, bytes, over: &over };
    let mut server = Server::<2>::new(stack, &[PORT], sessions, &ServerOptions::default()).ok()?;
    let ended = async {
        // The side that accepts this connection begins to publish.
        let (mut rx, mut tx) = ([0; 64], [0; 64]);
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.connect((IpAddress::Ipv4(Ipv4Address::from_bits(options.host)), options.ports[3])).await.ok()?;
        drop(socket);
        over.wait().await.then_some(())
    };
    match select(server.run(&mut sink), ended).await {
        Either::First(()) => None,
        Either::Second(result) => result,
    }
}
