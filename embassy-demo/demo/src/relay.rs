//! One publisher device, one relay device, three player devices: one keeps up, one is slow, one stops reading.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll};

use anyhow::{Result, anyhow, ensure};
use embassy_futures::join::join4;
use embassy_futures::select::{Either, select};
use embassy_net::{IpAddress, Stack};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_rtmp_embassy::embedded_rtmp::amf0::Text;
use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, StreamId, Timestamp};
use embedded_rtmp_embassy::embedded_rtmp::port_plan::{Limits, Plan, Target};
use embedded_rtmp_embassy::embedded_rtmp::relay::StreamName;
use embedded_rtmp_embassy::embedded_rtmp::url::Url;
use embedded_rtmp_embassy::{
    ClientOptions, Error, Handler, Memory, Origin, PlayHandler, Played, Player, Rejection, Server, ServerOptions,
    SessionId, StreamMemory,
};

use super::clip::schedule;
use super::clock::block_on;
use super::compare::compare;
use super::device::Device;
use super::flv::{self, Tag};
use super::options::Options;
use super::progress::Progress;
use super::publish::publish;
use super::switch::switch;
use super::tasks::{self, Task};
use super::wire::Random;

const URL: &str = "rtmp://10.0.0.2:1935/live/clip";
const PORTS: &[u16] = &[1935];
const PLAYERS: usize = 3;
/// The publisher, the players, and one more socket, so that one still listens.
const SOCKETS: usize = PLAYERS + 2;
/// Room for a second and a half of the clip.
const RING: usize = 48 * 1024;
/// How much longer than the clip a run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the players read, by the number of their device.
const PACES: [(u8, &str, Pace); PLAYERS] =
    [(3, "keeps up", Pace::AsItComes), (4, "is slow", Pace::Percent(37)), (5, "stops", Pace::First(20_000))];

#[derive(Debug, Clone, Copy)]
enum Pace {
    AsItComes,
    /// Reads at most this part of what the player that keeps up has read, until that one has read everything.
    Percent(u64),
    /// Stops reading after this number of bytes.
    First(u64),
}

/// What a player device received.
struct Watch {
    pace: Pace,
    /// The bytes that the player that keeps up has read, or `u64::MAX` when it has read everything.
    leader: Rc<Cell<u64>>,
    bytes: u64,
    /// Messages: kind, timestamp, payload; the last one may be unfinished.
    messages: Vec<(MessageKind, Timestamp, Vec<u8>)>,
}

impl Watch {
    fn new(pace: Pace, leader: &Rc<Cell<u64>>) -> Self {
        Self { pace, leader: leader.clone(), bytes: 0, messages: Vec::new() }
    }

    fn tags(&self) -> Vec<Tag<'_>> {
        self.messages.iter().map(|(kind, timestamp, data)| Tag { kind: *kind, timestamp: *timestamp, data }).collect()
    }

    fn count(&self, kind: MessageKind) -> usize {
        self.messages.iter().filter(|message| message.0 == kind).count()
    }
}

impl PlayHandler for Watch {
    fn media(&mut self, fragment: &Fragment<'_>) {
        self.bytes += fragment.data.len() as u64;
        if let Pace::AsItComes = self.pace {
            self.leader.set(self.bytes);
        }
        if fragment.is_first() {
            self.messages.push((fragment.header.kind, fragment.header.timestamp, Vec::new()));
        }
        let message = self.messages.last_mut().expect("the message has begun");
        message.2.extend_from_slice(fragment.data);
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.pace {
            Pace::AsItComes => Poll::Ready(()),
            Pace::First(bytes) if self.bytes < bytes => Poll::Ready(()),
            Pace::First(_) => Poll::Pending,
            Pace::Percent(percent) if self.bytes <= self.leader.get() / 100 * percent => Poll::Ready(()),
            Pace::Percent(_) => {
                let _ = core::pin::pin!(Timer::after_millis(5)).poll(cx);
                Poll::Pending
            }
        }
    }
}

/// The handler of the relay device: accepts every client, and records the results of the players.
struct Owner {
    random: Random,
    devices: BTreeMap<SessionId, u8>,
    played: BTreeMap<u8, Played>,
    ended: BTreeMap<u8, Error>,
    /// How many sessions have ended.
    over: Rc<Cell<usize>>,
}

impl Handler for Owner {
    fn entropy(&mut self) -> [u8; 32] {
        self.random.bytes()
    }

    fn opened(&mut self, session: SessionId, from: Origin) {
        if let Some(IpAddress::Ipv4(address)) = from.remote.map(|remote| remote.addr) {
            self.devices.insert(session, address.octets()[3]);
        }
    }

    fn publish(&mut self, _: SessionId, _: StreamId, _: StreamName<'_>, _: Text<'_>) -> Result<(), Rejection<'_>> {
        Ok(())
    }

    fn media(&mut self, _: SessionId, _: &Fragment<'_>) {}

    fn played(&mut self, session: SessionId, played: Played) {
        self.played.insert(self.devices[&session], played);
    }

    fn closed(&mut self, session: SessionId, why: &Error) {
        self.ended.insert(self.devices[&session], *why);
        self.over.set(self.ended.len());
    }
}

/// The result of one player: a row of the summary.
pub struct Row {
    /// How it reads.
    pub name: &'static str,
    /// Video messages that it received.
    pub video: usize,
    /// Audio messages that it received.
    pub audio: usize,
    /// The relay's counts of this player.
    pub played: Played,
    /// Whether the relay closed its connection.
    pub closed: bool,
}

/// The result of the run.
pub struct Relayed {
    /// The players.
    pub rows: Vec<Row>,
    /// Messages that the publisher sent.
    pub published: u32,
    /// Bytes of RAM: the state of a session, a stream and a player; the memory lent to a session and to the stream.
    pub memory: [usize; 5],
}

/// Publishes the bundled clip through the relay to the three players.
///
/// # Errors
/// The run took too long, the player that keeps up did not receive everything, the slow player lost nothing, or the
/// player that stops reading was not closed.
pub fn relay(options: &Options) -> Result<Relayed> {
    let clip = flv::read(crate::clip::BUNDLED)?;
    block_on(run(&clip, Duration::from_millis(options.delay)))
}

async fn run(clip: &[Tag<'_>], delay: Duration) -> Result<Relayed> {
    let mut devices: Vec<Box<Device>> = (0..PLAYERS + 2).map(|_| Device::new()).collect();
    let started = devices.iter_mut().zip(1..).map(|(device, host)| device.start(host));
    let (stacks, mut runners, ports): (Vec<_>, Vec<_>, Vec<_>) = started.collect();
    let mut memory: Box<[Memory<4096, 8192>; SOCKETS]> = Box::new([const { Memory::new() }; SOCKETS]);
    let mut streams: Box<[StreamMemory<RING>; 1]> = Box::new([const { StreamMemory::new() }; 1]);
    let (devices, played, ended, over) = Default::default();
    let mut owner = Owner { random: Random(0x5EED_5EED_5EED_5EED), devices, played, ended, over };
    let over = owner.over.clone();
    let mut options = ServerOptions::default();
    // The clip is published once, so players need not wait for the next publisher.
    options.relay.grace = std::time::Duration::ZERO;
    let mut server = Server::<SOCKETS, 1, PLAYERS>::relaying(stacks[1], PORTS, &mut memory, &mut streams, &options)?;
    let leader = Rc::default();
    let mut watches = PACES.map(|(_, _, pace)| Watch::new(pace, &leader));
    let progress = Progress::default();
    let length =
        schedule(clip).last().map_or(Duration::from_ticks(0), |(due, _)| Duration::from_millis(due.as_millis() as u64));
    {
        let [keeps_up, slow, stops] = &mut watches;
        let publishing = async {
            // The players connect first and wait for the publisher.
            Timer::after(Duration::from_millis(300) + delay * 40).await;
            let (url, targets) = (Url::parse(URL)?, [Target::rtmp(1935)]);
            let mut plan = Plan::new(&targets, Limits::SEQUENTIAL)?;
            let mut memory = Memory::<4096, 8192>::new();
            anyhow::Ok(publish(stacks[0], &url, &mut plan, &mut memory, clip, true, &progress).await?)
        };
        // A player that stops reading does not receive the end of the stream.
        let stopping = select(play(stacks[4], stops), Timer::after(length + Duration::from_secs(4)));
        let leading = async {
            let played = play(stacks[2], keeps_up).await;
            leader.set(u64::MAX);
            played
        };
        let all = join4(publishing, leading, play(stacks[3], slow), stopping);
        let work = with_timeout(length + PATIENCE, async {
            let (published, first, second, third) = all.await;
            published?;
            first?;
            second?;
            if let Either::First(ended) = third {
                ended?;
            }
            // The relay notices the last end later than the player.
            while over.get() < PLAYERS + 1 {
                Timer::after_millis(20).await;
            }
            anyhow::Ok(())
        });
        let networks = runners.iter_mut().map(|runner| -> Task<'_> { Box::pin(async { runner.run().await }) });
        let mut others: Vec<Task<'_>> = networks.collect();
        others.push(Box::pin(switch(ports, delay, |_| true)));
        others.push(Box::pin(server.run(&mut owner)));
        tasks::run(work, others).await.map_err(|_| anyhow!("the run took too long"))??;
    }
    check(clip, &watches, &owner, progress.messages.get())
}

/// Plays until the stream is over.
async fn play(stack: Stack<'_>, watch: &mut Watch) -> Result<()> {
    let (url, targets) = (Url::parse(URL)?, [Target::rtmp(1935)]);
    let mut plan = Plan::new(&targets, Limits::SEQUENTIAL)?;
    let (mut memory, mut random) = (Memory::<4096, 4096>::new(), Random(0xA11C_E5ED_0000_0001));
    let options = ClientOptions::default();
    let mut player = Player::<8>::connect(stack, &url, &mut plan, &options, &mut memory, || random.bytes()).await?;
    player.run(watch).await?;
    player.close().await;
    Ok(())
}

fn check(clip: &[Tag<'_>], watches: &[Watch; PLAYERS], owner: &Owner, published: u32) -> Result<Relayed> {
    let rows: Vec<Row> = PACES
        .iter()
        .zip(watches)
        .map(|((device, name, _), watch)| Row {
            name,
            video: watch.count(MessageKind::VIDEO),
            audio: watch.count(MessageKind::AUDIO),
            played: owner.played.get(device).copied().unwrap_or_default(),
            closed: owner.ended.get(device) == Some(&Error::TooSlow),
        })
        .collect();
    compare(clip, &watches[0].tags())?;
    ensure!(rows[0].played.skipped == 0 && !rows[0].closed, "the player that keeps up lost frames");
    ensure!(!rows[1].closed, "the slow player was closed");
    ensure!(rows[1].played.skipped > 0, "the slow player lost no frames");
    ensure!(rows[2].closed, "the player that stopped was not closed");
    let memory = [
        Server::<'_, SOCKETS, 1, PLAYERS>::SESSION_SIZE,
        Server::<'_, SOCKETS, 1, PLAYERS>::STREAM_SIZE,
        Server::<'_, SOCKETS, 1, PLAYERS>::PLAYER_SIZE,
        size_of::<Memory<4096, 8192>>(),
        size_of::<StreamMemory<RING>>(),
    ];
    Ok(Relayed { rows, published, memory })
}
