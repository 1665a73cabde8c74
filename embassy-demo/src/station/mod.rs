//! A publisher that stays on the air.

mod clip;
mod counters;
mod pressure;
mod retry;
mod source;

pub use clip::Clip;
pub use counters::{Counters, Tally};
pub use retry::Retry;
pub use source::{Frame, MAX_PARTS, Source};

use core::future::pending;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_rtmp::connect::{Limits, Order, Plan, SMART, Target};
use embedded_rtmp::message::{Kind, Timestamp};
use embedded_rtmp::session::Buffers;
use embedded_rtmp::session::pressure::DropLimits;
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::error::Error;
use crate::fmt::{brief, info};
use crate::publisher::{Parts, PublishOptions, Publisher};

use self::pressure::{LIVE, Pressure};
use self::retry::Outage;

/// How a [`Station`] publishes.
#[derive(Debug, Clone, Copy)]
pub struct StationOptions<'o> {
    /// How the client behaves.
    pub publish: PublishOptions<'o>,
    /// What is tried for a URL without a port; a URL with a port means that one alone.
    pub ports: &'o [Target],
    /// How long each port gets, and all of them together.
    pub limits: Limits,
    /// When to connect again after a connection was lost.
    pub retry: Retry,
    /// For a live source: how late frames may be before some are left out, since the server is too slow: by default half
    /// a second, one and four. While there is no connection, all are left out. `None` for a source that can wait: nothing
    /// is left out, and nothing taken while there is no connection.
    pub patience: Option<DropLimits>,
}

brief!(
    ['o] StationOptions<'o>,
    this => "StationOptions {{ publish: {}, ports: {}, limits: {}, retry: {}, patience: {} }}",
    this.publish, this.ports, this.limits, this.retry, this.patience
);

impl Default for StationOptions<'_> {
    fn default() -> Self {
        Self {
            publish: PublishOptions::default(),
            ports: SMART,
            limits: Limits::SEQUENTIAL,
            retry: Retry::DEFAULT,
            patience: Some(LIVE),
        }
    }
}

/// Publishes what a [`Source`] makes, and connects again when the connection is lost.
///
/// It dials the ports of the URL or of its list, tells the server the metadata and the sequence headers, then sends the
/// frames from the first keyframe on. A lost connection, a server that was restarted, a link that went down or a lease
/// that ran out: it connects again ([`Retry`]), beginning with the port that was good before, repeats the headers and
/// goes on from the next keyframe, on the source's own time line. When the server is slower than a live source, it leaves
/// messages out ([`StationOptions::patience`]).
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::{Clip, Error, Memory, Station, StationOptions};
///
/// async fn publish(stack: Stack<'static>, memory: &'static mut Memory<4096, 4096>, file: &[u8]) -> Result<(), Error> {
///     let mut entropy = || [0; 32]; // from the random number generator
///     let mut station = Station::new(stack, memory, &mut entropy, StationOptions::default());
///     let mut clip = Clip::new(file, 1).expect("is an FLV file");
///     station.publish("rtmp://media.example/live/camera-7", &mut clip).await
/// }
/// ```
pub struct Station<'a> {
    stack: Stack<'a>,
    rx: &'a mut [u8],
    tx: &'a mut [u8],
    buffers: Buffers<'a>,
    entropy: &'a mut dyn FnMut() -> [u8; 32],
    options: StationOptions<'a>,
    counters: Counters,
}

brief!(['a] Station<'a>, this => "Station {{ counters: {} }}", this.counters);

impl<'a> Station<'a> {
    /// A station; `entropy` gives 32 fresh random bytes for each attempt to connect.
    pub fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL>,
        entropy: &'a mut dyn FnMut() -> [u8; 32],
        options: StationOptions<'a>,
    ) -> Self {
        let (rx, tx, buffers) = memory.split();
        Self { stack, rx, tx, buffers, entropy, options, counters: Counters::default() }
    }

    /// What was sent and left out since the station was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Publishes under the URL's stream key until the source ends; then the stream is closed in good order.
    ///
    /// Before the first success nothing is taken from the source, and one plan that is exhausted is the end. The future
    /// can be dropped; the connection goes with it.
    ///
    /// # Errors
    /// The URL or the options make no sense; the first connection could not be made; a later one was lost and could not
    /// be made again in time, or not before the source's end: then the reason is the last one.
    pub async fn publish(&mut self, url: &str, source: &mut impl Source) -> Result<(), Error> {
        let Self { stack, rx, tx, buffers, entropy, options, counters } = self;
        let url = Url::parse(url)?;
        let order = Order::for_url_or(&url, options.ports)?;
        let mut air = Air { pressure: Pressure::new(options.patience), last: Timestamp(0), counters };
        let (mut good, mut outage, mut wait, mut limits) = (None, None::<Outage>, Duration::MIN, options.limits);
        let mut error = Error::Lost;
        let buffers = Buffers { scratch: &mut *buffers.scratch, control: &mut *buffers.control };
        let mut publisher = Publisher::<8>::new(*stack, (rx, tx, buffers), options.publish.session)?;
        loop {
            let mut plan = Plan::new(order.targets(), limits)?;
            if let Some(target) = good {
                plan.prefer(target);
            }
            let connecting = async {
                Timer::after(wait).await;
                let limit = Duration::from_micros(limits.total.as_micros() as u64);
                with_timeout(limit, stack.wait_config_up()).await.map_err(|_| Error::NoNetwork)?;
                publisher.open(&url, &mut plan, &options.publish, *entropy).await
            };
            let takes = outage.is_some() && options.patience.is_some();
            match select(connecting, air.pass_over(source, takes)).await {
                Either::First(Ok(())) => {
                    good = plan.winner().map(|winner| winner.target);
                    let connected = Instant::now();
                    let result = air.send(*stack, &mut publisher, source).await;
                    let closed = publisher.close().await;
                    match result {
                        Ok(()) => return closed,
                        Err(why) => error = why,
                    }
                    outage = Some(Outage::lost(outage, connected, Instant::now(), &options.retry));
                }
                Either::First(Err(why)) if outage.is_none() => return Err(why),
                Either::First(Err(why)) => error = why,
                Either::Second(()) => return Err(error),
            }
            if !may_pass(&error) {
                return Err(error);
            }
            let Some((next, left)) = outage.as_mut().and_then(|outage| outage.next(Instant::now(), &options.retry))
            else {
                return Err(error);
            };
            info!("off the air: {}; again in {} ms", error, next.as_millis());
            wait = next;
            limits.total = options.limits.total.min(core::time::Duration::from_micros(left.as_micros()));
        }
    }
}

/// Whether trying again may help.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Lost | Error::Closed | Error::Session(_) | Error::Refused(_) => true,
        Error::Exhausted | Error::Resolve(_) | Error::NoNetwork => true,
        Error::Url(_) | Error::Plan(_) | Error::NoStreamKey | Error::Config(_) => false,
        Error::Request(_) | Error::Unfinished | Error::TooSlow => false,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(_) => true,
    }
}

/// What lasts from one connection to the next.
struct Air<'c> {
    pressure: Pressure,
    /// The timestamp of the last frame that was taken.
    last: Timestamp,
    counters: &'c mut Counters,
}

impl Air<'_> {
    fn note(&mut self, frame: &Frame<'_>) {
        self.last = frame.timestamp;
        let tally = self.counters.tally(frame.kind);
        tally.taken = tally.taken.wrapping_add(1);
    }

    /// Takes frames while nobody can be sent them, if it is to; ends with the source.
    async fn pass_over(&mut self, source: &mut impl Source, takes: bool) {
        if !takes {
            pending::<()>().await;
        }
        while let Some(frame) = source.next().await {
            self.note(&frame);
        }
    }

    /// Sends headers and frames on one connection, until the source ends.
    async fn send(
        &mut self,
        stack: Stack<'_>,
        publisher: &mut Publisher<'_>,
        source: &mut impl Source,
    ) -> Result<(), Error> {
        self.pressure.begin();
        self.counters.connections = self.counters.connections.wrapping_add(1);
        let address = stack.config_v4().map(|config| config.address);
        let Parts { mut runner, mut audio, mut data, mut video } = publisher.split();
        let feed = async {
            let (mut number, mut is_header) = (0, true);
            loop {
                let frame = if is_header { source.header(number) } else { source.next().await };
                let Some(frame) = frame else {
                    if is_header {
                        is_header = false;
                        continue;
                    }
                    return Ok(());
                };
                number += usize::from(is_header);
                if !is_header {
                    self.note(&frame);
                    let now = Instant::now().as_millis() as u32;
                    if !self.pressure.admits(frame.kind, frame.timestamp, &frame.start(), now) {
                        continue;
                    }
                    let current = stack.config_v4().map(|config| config.address);
                    if current.is_some() && current != address {
                        // Nothing that is sent to our old address arrives.
                        return Err(Error::Lost);
                    }
                }
                let sender = match frame.kind {
                    Kind::AUDIO => &mut audio,
                    Kind::VIDEO => &mut video,
                    _ => &mut data,
                };
                sender.send_parts(self.last, &frame.parts).await?;
                if !is_header {
                    let tally = self.counters.tally(frame.kind);
                    tally.sent = tally.sent.wrapping_add(1);
                    self.counters.bytes = self.counters.bytes.wrapping_add(frame.len() as u64);
                }
            }
        };
        match select(feed, runner.run()).await {
            Either::First(result) => result,
            Either::Second(error) => Err(error),
        }
    }
}
