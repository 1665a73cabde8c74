//! A simulated Ethernet wire between two devices, which can delay, lose and drop.
//!
//! Frames keep their order: each waits for the same time. A seeded generator decides which frames are lost, so that a
//! run with the same traffic loses the same frames.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use embassy_futures::join::join;
use embassy_net_driver_channel::driver::LinkState;
use embassy_net_driver_channel::{RxRunner, TxRunner};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Timer};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use super::device::{MTU, Port};
use super::options::Options;

/// How many frames one direction of the wire holds. A device that sends into a full wire waits.
const IN_FLIGHT: usize = 256;

/// What the wire does to the frames that cross it.
#[derive(Debug)]
pub struct Wire {
    /// How long a frame takes in one direction.
    pub delay: Duration,
    /// How many bytes of frames cross it in a second, in each direction.
    pub rate: Option<u64>,
    /// How many of a hundred frames are lost, in both directions.
    pub loss: u8,
    /// TCP segments from the first device to these ports of the second vanish.
    pub dropped_ports: Vec<u16>,
    /// What a firewall does to TCP segments from the first device to ports of the second.
    pub rules: Vec<(u16, Rule)>,
    /// Bytes of TCP payload that [`Rule::CutOff`] has let pass, by pair of ports.
    pub passed: RefCell<BTreeMap<(u16, u16), usize>>,
    /// While this is set, nothing crosses.
    pub cut: Cell<bool>,
    /// Decides which frames are lost.
    pub random: RefCell<Random>,
    /// What has happened so far.
    pub counts: Cell<Counts>,
}

/// What the firewall does to the segments that are sent to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Drops all segments.
    Drop,
    /// TCP connects. Segments with data are dropped.
    Silence,
    /// Passes only the first 1,537 bytes of a connection, which is the length of C0 and C1.
    CutOff,
}

/// What happened to the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that arrived.
    pub carried: u32,
    /// Frames that were lost by chance, or because the wire was cut.
    pub lost: u32,
    /// Frames that were dropped for their port.
    pub dropped: u32,
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl Wire {
    /// A wire without delay, loss or drops.
    pub fn new() -> Self {
        Self {
            delay: Duration::from_ticks(0),
            rate: None,
            loss: 0,
            dropped_ports: Vec::new(),
            rules: Vec::new(),
            passed: RefCell::default(),
            cut: Cell::new(false),
            random: RefCell::new(Random(0x9E37_79B9_7F4A_7C15)),
            counts: Cell::new(Counts::default()),
        }
    }

    /// A wire with the properties that the options choose.
    pub fn between(options: &Options) -> Self {
        let rules = [(&options.silence, Rule::Silence), (&options.cut_off, Rule::CutOff), (&options.drop, Rule::Drop)];
        let rules = rules.into_iter().flat_map(|(ports, rule)| ports.0.iter().map(move |port| (*port, rule)));
        Self { delay: Duration::from_millis(options.delay), loss: options.loss, rules: rules.collect(), ..Self::new() }
    }

    /// Carries frames between the two devices until it is dropped.
    pub async fn run(&self, mut a: Port<'_>, mut b: Port<'_>) {
        a.set_link_state(LinkState::Up);
        b.set_link_state(LinkState::Up);
        let (_, a_in, a_out) = a.borrow_split();
        let (_, b_in, b_out) = b.borrow_split();
        join(self.carry(a_out, b_in, true), self.carry(b_out, a_in, false)).await;
    }

    async fn carry(&self, mut from: TxRunner<'_, MTU>, mut to: RxRunner<'_, MTU>, through_firewall: bool) {
        let under_way = Channel::<NoopRawMutex, (Instant, Vec<u8>), IN_FLIGHT>::new();
        let take = async {
            let mut free = Instant::MIN;
            loop {
                let frame = from.tx_buf().await.to_vec();
                from.tx_done();
                if self.survives(&frame, through_firewall) {
                    let time = self.rate.map_or(0, |rate| 1_000_000 * frame.len() as u64 / rate);
                    free = free.max(Instant::now()) + Duration::from_micros(time);
                    under_way.send((free + self.delay, frame)).await;
                }
            }
        };
        let give = async {
            loop {
                let (due, frame) = under_way.receive().await;
                Timer::at(due).await;
                to.rx_buf().await[..frame.len()].copy_from_slice(&frame);
                to.rx_done(frame.len());
                self.count(|counts| counts.carried += 1);
            }
        };
        join(take, give).await;
    }

    fn survives(&self, frame: &[u8], through_firewall: bool) -> bool {
        if through_firewall && tcp_segment(frame).is_some_and(|segment| !self.passes(&segment)) {
            self.count(|counts| counts.dropped += 1);
            return false;
        }
        if self.cut.get() || self.random.borrow_mut().below(100) < u32::from(self.loss) {
            self.count(|counts| counts.lost += 1);
            return false;
        }
        true
    }

    /// Whether the firewall passes a segment.
    fn passes(&self, segment: &Segment) -> bool {
        if self.dropped_ports.contains(&segment.to) {
            return false;
        }
        let rule = self.rules.iter().find(|(port, _)| *port == segment.to);
        match rule.map(|(_, rule)| *rule) {
            None => true,
            Some(Rule::Drop) => false,
            Some(Rule::Silence) => segment.length == 0,
            Some(Rule::CutOff) => {
                let mut passed = self.passed.borrow_mut();
                let passed = passed.entry((segment.from, segment.to)).or_default();
                *passed += segment.length;
                segment.length == 0 || *passed <= 1 + 1536
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

/// The fields of a segment that the firewall inspects.
struct Segment {
    from: u16,
    to: u16,
    /// Bytes of payload.
    length: usize,
}

/// A frame's TCP segment; `None` for a frame that carries none.
fn tcp_segment(frame: &[u8]) -> Option<Segment> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    Some(Segment { from: tcp.src_port(), to: tcp.dst_port(), length: tcp.payload().len() })
}

/// A generator of the xorshift family: not random, but the same in every run.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `bound` - 1.
    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// 32 bytes, instead of those of a device's random number generator.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next_u64().to_le_bytes()));
        bytes
    }
}
