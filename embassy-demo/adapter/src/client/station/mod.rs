//! A publisher that stays on the air.

mod air;
mod clip;
mod counters;
mod frames;
mod pressure;
mod retry;
mod source;

pub use clip::Clip;
pub use counters::{Counters, Tally};
pub use retry::Retry;
pub use source::{Frame, MAX_PARTS, Source};

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, ready};

use embassy_net::Stack;
use embedded_rtmp::port_plan::{DEFAULT_ORDER, Limits, Order, Target};
use embedded_rtmp::pressure::DropLimits;
use embedded_rtmp::url::Url;

use crate::buffers::{Lent, Memory};
use crate::client::ClientOptions;
use crate::client::connection::Connection;
use crate::client::resolve::Lookup;
use crate::error::Error;
use crate::fmt::impl_format;

use self::air::{Air, Gear, Phase};
use self::pressure::LIVE;

/// How a [`Station`] publishes.
#[derive(Debug, Clone, Copy)]
pub struct StationOptions<'o> {
    /// How the client behaves.
    pub client: ClientOptions<'o>,
    /// What is tried for a URL without a port; a URL with a port means that one alone.
    pub ports: &'o [Target],
    /// How long each port gets, and all of them together. A station has one socket: `max_at_once` and `stagger` count for
    /// nothing.
    pub limits: Limits,
    /// When to connect again after a connection was lost.
    pub retry: Retry,
    /// For a live source: how late frames may be before some are left out, since the server is too slow: by default
    /// `disposable` 500 ms, `video` 1 s, `audio` 4 s; not [`DropLimits::DEFAULT`]. While there is no connection, all are left
    /// out. `None` for a source that can wait: nothing is left out, and nothing taken while there is no connection.
    pub drop_limits: Option<DropLimits>,
}

impl_format!(
    ['o] StationOptions<'o>,
    this => "StationOptions {{ client: {}, ports: {}, limits: {}, retry: {}, drop_limits: {} }}",
    this.client, this.ports, this.limits, this.retry, this.drop_limits
);

impl StationOptions<'_> {
    /// All ports one after another, and drop_limits as a live source has it.
    pub const DEFAULT: StationOptions<'static> = StationOptions {
        client: ClientOptions::DEFAULT,
        ports: DEFAULT_ORDER,
        limits: Limits::SEQUENTIAL,
        retry: Retry::DEFAULT,
        drop_limits: Some(LIVE),
    };
}

impl Default for StationOptions<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Publishes what a [`Source`] makes, and connects again when the connection is lost.
///
/// It dials the ports of the URL or of its list, tells the server the metadata and the sequence headers, then sends the
/// frames from the first keyframe on. A lost connection, a server that was restarted, a link that went down or a lease
/// that ran out: it connects again ([`Retry`]), beginning with the port that was good before, repeats the headers and
/// goes on from the next keyframe, on the source's own time line. When the server is slower than a live source, it leaves
/// messages out ([`StationOptions::drop_limits`]).
///
/// ```no_run
/// use embassy_net::Stack;
/// use embedded_rtmp_embassy::{Clip, Error, Memory, Station, StationOptions};
///
/// async fn publish(stack: Stack<'static>, memory: &'static mut Memory<4096, 4096>, file: &[u8]) -> Result<(), Error> {
///     let mut entropy = || [0; 32]; // from the random number generator
///     let mut station = Station::new(stack, memory, &mut entropy, &StationOptions::DEFAULT);
///     let mut clip = Clip::new(file, 1).expect("is an FLV file");
///     station.publish("rtmp://media.example/live/camera-7", &mut clip).await
/// }
/// ```
pub struct Station<'a> {
    lent: Lent<'a>,
    gear: Gear<'a>,
}

impl_format!(['a] Station<'a>, this => "Station {{ counters: {} }}", this.gear.counters);

impl<'a> Station<'a> {
    /// A station; `entropy` gives 32 fresh random bytes for each attempt to connect.
    pub fn new<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize>(
        stack: Stack<'a>,
        memory: &'a mut Memory<RX, TX, SCRATCH, CONTROL, GATHER>,
        entropy: &'a mut dyn FnMut() -> [u8; 32],
        options: &'a StationOptions<'a>,
    ) -> Self {
        Self { lent: memory.split(), gear: Gear { stack, entropy, options, counters: Counters::default() } }
    }

    /// What was sent and left out since the station was made.
    pub fn counters(&self) -> Counters {
        self.gear.counters
    }

    /// Publishes under the URL's stream key until the source ends; then the stream is closed in good order.
    ///
    /// Before the first success nothing is taken from the source, and one plan that is exhausted is the end. The future
    /// can be dropped; the connection goes with it.
    ///
    /// # Panics
    /// Where the stack has no socket left (`StackResources`).
    ///
    /// # Errors
    /// The URL or the options make no sense; the first connection could not be made; a later one was lost and could not
    /// be made again in time, or not before the source's end: then the reason is the last one.
    pub async fn publish(&mut self, url: &str, source: &mut impl Source) -> Result<(), Error> {
        let Self { lent, gear } = self;
        let (stack, url) = (gear.stack, Url::parse(url)?);
        let order = Order::for_url_or(&url, gear.options.ports)?;
        url.key().ok_or(Error::NoStreamKey)?;
        let lookup = Lookup::new(url.host())?;
        let mut connection = Connection::over_net(stack, lent.again(), &gear.options.client.session)?;
        let mut air = Air::new(gear, &url, order.targets(), lookup, &mut connection);
        let mut query = pin!(None);
        loop {
            let header = air.header;
            let frame = if let Some(number) = header {
                let frame = source.header(number);
                air.header = frame.is_some().then_some(number.wrapping_add(1));
                frame
            } else {
                let mut next = pin!(source.next());
                let news = poll_fn(|cx| {
                    let mut ask = |lookup: &mut Lookup, cx: &mut Context<'_>| {
                        if query.is_none() {
                            query.set(Some(stack.dns_query(url.host(), lookup.family())));
                        }
                        let Some(asking) = query.as_mut().as_pin_mut() else { return Poll::Pending };
                        let answer = ready!(asking.poll(cx));
                        query.set(None);
                        Poll::Ready(lookup.take(answer.as_deref().map_err(|error| *error)))
                    };
                    let news = air.poll(&mut ask, cx);
                    if air.phase != Phase::Resolving {
                        query.set(None);
                    }
                    match news {
                        Poll::Ready(is_on_air) => Poll::Ready(Err(is_on_air)),
                        Poll::Pending if air.takes_frames() => next.as_mut().poll(cx).map(Ok),
                        Poll::Pending => Poll::Pending,
                    }
                });
                match news.await {
                    Ok(None) => {
                        air.finish();
                        None
                    }
                    Ok(frame) => frame,
                    Err(true) => None,
                    Err(false) => return air.result(),
                }
            };
            let Some(frame) = frame else { continue };
            if header.is_some() || air.admits(&frame) {
                poll_fn(|cx| air.poll_send(&frame, header.is_none(), cx)).await;
            }
        }
    }
}
