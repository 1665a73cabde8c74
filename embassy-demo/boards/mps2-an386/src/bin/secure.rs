//! Board: MPS2 AN386 in QEMU. Measures RTMPE, and RTMPS with each profile, beside RTMP. `bench_firmware --secure` of
//! host-tests starts it.
//!
//! Each section connects to the host, publishes messages, and closes. It prints the work of the handshake, the longest
//! computation without a yield, the deepest stack, and the work of the messages, in counts of 25 MHz.
#![no_std]
#![no_main]

use core::future::poll_fn;
use core::pin::pin;

use defmt_semihosting as _; // the log's way out
use embassy_executor::Spawner;
use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::Duration;
use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::transport::tls::{
    Algorithms, P256, P256RsaP384, Pin, Records, Roots, Time, Tls, TlsOptions, Verifier,
};
use embedded_rtmp_embassy::transport::{Connect, KeepAlive, Pipe, Stream, TcpConnect, Transport};
use embedded_rtmp_embassy::{ClientOptions, Error, Memory, Parts, Publisher};
use mps2_an386::CLIP;
use mps2_an386::board::executor::apart;
use mps2_an386::board::{self, executor, host, network, stack, time};
use static_cell::ConstStaticCell;

/// Bytes of a video message.
const MESSAGE: usize = 30_000;
/// The name in the certificates.
const HOST: &str = "server.example";

/// The words of the command line: the host's address, the ports, and the number of messages.
struct Arguments {
    address: &'static str,
    /// RTMP and RTMPE.
    plain: u16,
    /// RTMPS with the chains of `host-tests/chains`: p256, rsa, p384.
    secure: [u16; 3],
    messages: usize,
}

fn arguments(line: &'static str) -> Option<Arguments> {
    let mut words = line.split(',');
    let address = words.next()?;
    let mut number = || words.next()?.parse::<u16>().ok();
    let (plain, secure) = (number()?, [number()?, number()?, number()?]);
    Some(Arguments { address, plain, secure, messages: number()?.into() })
}

#[cortex_m_rt::entry]
fn main() -> ! {
    board::time::start();
    executor::run(|spawner| spawner.spawn(start(spawner).expect("the task is spawned only once")))
}

#[embassy_executor::task]
async fn start(spawner: Spawner) {
    let Some(arguments) = host::argument().and_then(arguments) else {
        defmt::error!("the argument is ADDRESS,PORT,PORT,PORT,PORT,MESSAGES");
        host::exit(2);
    };
    let stack = network::start(spawner);
    stack.wait_config_up().await;
    host::exit(if sections(stack, &arguments).await.is_some() { 0 } else { 1 });
}

type Rings = [[u8; 8_192]; 2];

async fn sections(stack: Stack<'static>, arguments: &Arguments) -> Option<()> {
    static MEMORY: ConstStaticCell<Memory<8_192, 8_192>> = ConstStaticCell::new(Memory::new());
    static RINGS: ConstStaticCell<Rings> = ConstStaticCell::new([[0; 8_192]; 2]);
    static RECORDS: ConstStaticCell<Records> = ConstStaticCell::new(Records::new());
    let memory = MEMORY.take();
    apart(over_net(stack, arguments, "rtmp", Target::rtmp(arguments.plain), memory)).await?;
    apart(over_net(stack, arguments, "rtmpe", Target::rtmpe(arguments.plain), memory)).await?;
    let [rx, tx] = RINGS.take();
    let mut tcp = At(TcpConnect::new(stack, rx, tx, KeepAlive::DEFAULT), arguments.address);
    apart(over(&mut &mut tcp, arguments.plain, arguments, "stream")).await?;
    let mut secure = Secure { tcp: &mut tcp, records: RECORDS.take(), arguments };
    let [p256, rsa, p384] = arguments.secure;
    let pins = [*include_bytes!("../../../../../host-tests/chains/p256/pin")];
    secure.section("rtmps_pin", p256, Pin::<P256>::new(&pins)).await?;
    secure.chain::<P256>("rtmps_p256", p256, include_bytes!("../../../../../host-tests/chains/p256/root.der")).await?;
    // rustls signs with SHA-512, so the image has the profile that supports it.
    secure
        .chain::<P256RsaP384>("rtmps_rsa", rsa, include_bytes!("../../../../../host-tests/chains/rsa/root.der"))
        .await?;
    secure
        .chain::<P256RsaP384>("rtmps_p384", p384, include_bytes!("../../../../../host-tests/chains/p384/root.der"))
        .await
}

/// RTMPS to servers of the host.
struct Secure<'s> {
    tcp: &'s mut At,
    records: &'s mut Records,
    arguments: &'s Arguments,
}

impl Secure<'_> {
    async fn chain<A: Algorithms>(&mut self, name: &'static str, port: u16, root: &[u8]) -> Option<()> {
        // 2030.
        self.section(name, port, Roots::<A>::new(&[root], Time::Clock(|| 1_893_456_000))).await
    }

    async fn section(&mut self, name: &'static str, port: u16, verifier: impl Verifier) -> Option<()> {
        // QEMU may be slow with P-384.
        let options = TlsOptions { handshake_limit: Duration::from_secs(300), ..TlsOptions::DEFAULT };
        let mut tls = Tls::new(&mut *self.tcp, &mut *self.records, verifier, host::random, options);
        apart(over(&mut tls, port, self.arguments, name)).await
    }
}

/// Connects to an address, whatever the name of the host is.
struct At(TcpConnect<'static>, &'static str);

impl Connect for &mut At {
    type Error = Error;
    type Stream<'s>
        = <TcpConnect<'static> as Connect>::Stream<'s>
    where
        Self: 's;

    async fn connect<'s>(&'s mut self, _: &str, port: u16) -> Result<Self::Stream<'s>, Error> {
        let At(tcp, address) = &mut **self;
        tcp.connect(address, port).await
    }
}

/// A measurement: counts of 25 MHz, all of them and those asleep.
struct Watch(u64, u64);

impl Watch {
    fn start() -> Self {
        Self(time::counts(), executor::asleep())
    }

    /// All counts, and those in which the board worked.
    fn read(&self) -> (u64, u64) {
        let (all, asleep) = (time::counts() - self.0, executor::asleep() - self.1);
        (all, all - asleep)
    }
}

/// Runs a handshake. Returns its output, its work, and its longest poll.
async fn watched<F: Future>(handshake: F) -> (F::Output, u64, u64) {
    let (mut handshake, mut longest) = (pin!(handshake), 0);
    let watch = Watch::start();
    let output = poll_fn(|cx| {
        let begin = time::counts();
        let polled = handshake.as_mut().poll(cx);
        longest = (time::counts() - begin).max(longest);
        polled
    })
    .await;
    (output, watch.read().1, longest)
}

/// Publishes the messages, and prints the figures of the section.
async fn publish<T: Transport>(
    mut publisher: Publisher<'_, 8, T>,
    name: &str,
    (handshake, longest): (u64, u64),
    messages: usize,
) -> Option<()> {
    let message = CLIP.get(..MESSAGE)?;
    let Parts { mut runner, mut video, .. } = publisher.split();
    let watch = Watch::start();
    let feed = async {
        for number in 0..messages {
            video.send(Timestamp(number as u32 * 40), message).await?;
        }
        Ok::<(), Error>(())
    };
    let Either::First(Ok(())) = select(feed, runner.run()).await else { return None };
    publisher.close().await.ok()?;
    let (all, busy) = watch.read();
    defmt::info!(
        "secure {} handshake {} longest {} stack {} bytes {} counts {} busy {}",
        name,
        handshake,
        longest,
        stack::deepest(),
        messages * MESSAGE,
        all,
        busy
    );
    Some(())
}

/// A section over embassy-net's TCP: RTMP or RTMPE.
async fn over_net(
    net: Stack<'static>,
    arguments: &Arguments,
    name: &'static str,
    target: Target,
    memory: &mut Memory<8_192, 8_192>,
) -> Option<()> {
    let targets = [target];
    let mut plan = Plan::new(&targets, Limits::SEQUENTIAL).ok()?;
    let mut text = heapless::String::<64>::new();
    core::fmt::write(&mut text, format_args!("rtmp://{}/live/{name}", arguments.address)).ok()?;
    let (url, options) = (Url::parse(&text).ok()?, ClientOptions::default());
    stack::paint();
    let connecting = Publisher::<8>::connect(net, &url, &mut plan, &options, memory, host::random);
    let (publisher, handshake, longest) = watched(connecting).await;
    publish(publisher.ok()?, name, (handshake, longest), arguments.messages).await
}

/// A section over a connector: a stream of TCP, or RTMPS.
async fn over<C: Connect>(connector: &mut C, port: u16, arguments: &Arguments, name: &'static str) -> Option<()> {
    let mut memory = Memory::<1, 1>::new();
    let (mut input, mut output) = ([0; 256], [0; 2_920]);
    let pipe = Pipe::new(&mut input, &mut output);
    let mut text = heapless::String::<64>::new();
    core::fmt::write(&mut text, format_args!("rtmp://{HOST}/live/{name}")).ok()?;
    let (url, options) = (Url::parse(&text).ok()?, ClientOptions::default());
    stack::paint();
    let (stream, handshake, longest) = watched(connector.connect(HOST, port)).await;
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => {
            defmt::error!("{}: {}", name, C::reason(&error));
            return None;
        }
    };
    let published = {
        let (mut reader, mut writer) = stream.split();
        let session = async {
            let publisher = Publisher::<8, _>::open(&pipe, &url, &options, memory.session(), &host::random()).await;
            publish(publisher.ok()?, name, (handshake, longest), arguments.messages).await
        };
        pipe.run(&mut reader, &mut writer, session).await.0
    };
    stream.close().await;
    published
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("panic: {}", defmt::Display2Format(info));
    host::exit(101);
}

#[cortex_m_rt::exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    defmt::error!("hard fault at {:#x}", frame.pc());
    host::exit(101);
}
