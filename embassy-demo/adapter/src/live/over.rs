//! A stream that stays live over connections of the caller: TLS, or another network stack.

#[cfg(feature = "rtmpt")]
use core::cell::Cell;
use core::cell::RefCell;
use core::future::poll_fn;

use embassy_futures::select::{Either, select};
use embassy_time::Duration;
use embedded_rtmp::handshake;
use embedded_rtmp::port_plan::{Order, Sequence, Target, Transport as Way};
use embedded_rtmp::session::Client;
use embedded_rtmp::url::Url;
use rand_core::{CryptoRng, RngCore};
use static_cell::{ConstStaticCell, StaticCell};

use super::runner::{Attempts, end, enter, publish_and_end, wanted};
use super::shared::Shared;
use super::{Config, Live, LiveRunner, Phase};
use crate::buffers::Memory;
use crate::client::connection::{Connection, Stage};
use crate::client::open::check_scheme;
use crate::clock::{clock, later, passed};
use crate::error::Error;
use crate::fmt::impl_format;
#[cfg(feature = "rtmpt")]
use crate::transport::Tunnel;
#[cfg(feature = "rtmps")]
use crate::transport::tls::error::TlsError;
use crate::transport::{Connect, Pipe, Piped, Stream, Transport};

/// The time limit for closing a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The handle of a stream over connections of the caller.
pub type StreamLive = Live<Piped>;

/// The runner of a stream over connections of the caller, which `C` makes.
pub type StreamRunner<R, C> = LiveRunner<R, OverStreams<C>, Piped>;

/// All the memory of one stream that is published over connections of the caller, for a static. `INPUT` and `OUTPUT` are the
/// bytes of its [`Pipe`]; see [`Pipe::new`]. `GATHER` is that of [`Memory`], for `rtmpt` and `rtmpts` URLs.
pub struct StreamState<
    const INPUT: usize = 256,
    const OUTPUT: usize = 2920,
    const SCRATCH: usize = { handshake::SCRATCH },
    const CONTROL: usize = 512,
    const GATHER: usize = 0,
> {
    memory: ConstStaticCell<Memory<INPUT, OUTPUT, SCRATCH, CONTROL, GATHER>>,
    /// Borrows the memory.
    pipe: StaticCell<Pipe<'static>>,
    shared: StaticCell<RefCell<Shared<Piped>>>,
}

impl_format!(
    Debug,
    [const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize]
        StreamState<INPUT, OUTPUT, SCRATCH, CONTROL, GATHER>,
    _ => "StreamState<{}, {}, {}, {}, {}>", INPUT, OUTPUT, SCRATCH, CONTROL, GATHER
);

impl<const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize>
    StreamState<INPUT, OUTPUT, SCRATCH, CONTROL, GATHER>
{
    /// Memory for one stream. Sizes that cannot work do not compile.
    pub const fn new() -> Self {
        const { assert!(OUTPUT >= 2, "OUTPUT must be 2 or more: it is split in two halves") }
        Self { memory: ConstStaticCell::new(Memory::new()), pipe: StaticCell::new(), shared: StaticCell::new() }
    }
}

impl<const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize> Default
    for StreamState<INPUT, OUTPUT, SCRATCH, CONTROL, GATHER>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The same as [`new`](super::new), over the connections that `connector` makes: TLS, or another network stack.
/// Whenever the runner connects, it asks the connector for a connection to the host and the port of the URL. For a URL
/// without a port, it tries the targets of [`Config::ports`] one after another, until a server speaks RTMP. An `rtmps`
/// URL uses this list only if all of its targets are inside TLS, and otherwise port 443. After a refused certificate, no
/// further target is tried. Targets inside TLS need a connector with TLS ([`Connect::IS_TLS`]). With the feature `rtmpt`,
/// RTMPT and RTMPTS use a tunnel, which asks the connector for another connection whenever the server or a proxy has closed
/// the previous one. Other targets are skipped; RTMPE is not supported. Of [`Config::limits`], `attempt` is the time limit
/// of each connection, and `total` that of all targets.
///
/// # Panics
/// If it is called twice with the same `state`.
pub fn over<
    R: CryptoRng,
    C: Connect + 'static,
    const INPUT: usize,
    const OUTPUT: usize,
    const SCRATCH: usize,
    const CONTROL: usize,
    const GATHER: usize,
>(
    connector: C,
    state: &'static StreamState<INPUT, OUTPUT, SCRATCH, CONTROL, GATHER>,
    rng: R,
    config: Config,
) -> (StreamLive, StreamRunner<R, C>) {
    let lent = state.memory.take().split();
    let pipe: &'static Pipe<'static> = state.pipe.init_with(|| Pipe::new(lent.rx, lent.tx));
    #[cfg(not(feature = "rtmpt"))]
    let transport = pipe;
    #[cfg(feature = "rtmpt")]
    let transport = Tunnel::over(pipe, lent.gather);
    let connection = Connection::over(transport, Client::idle(lent.buffers));
    let shared: &'static RefCell<Shared<Piped>> =
        state.shared.init_with(|| RefCell::new(Shared::new(connection, config)));
    (Live { shared, seen: 0 }, LiveRunner::new(OverStreams { connector, pipe, good: None }, shared, rng))
}

/// Makes connections with the connector of the caller.
pub struct OverStreams<C> {
    connector: C,
    pipe: &'static Pipe<'static>,
    /// The target that led to a server the last time.
    good: Option<Target>,
}

/// How an attempt has ended.
enum Outcome {
    /// The stream is not wanted any longer.
    Stopped,
    /// No server has answered with RTMP. Another target may lead to one.
    Unreached,
    /// The connection to a server is over.
    Over,
}

impl Outcome {
    const fn new(is_wanted: bool, was_reached: bool) -> Self {
        match (is_wanted, was_reached) {
            (false, _) => Self::Stopped,
            (true, false) => Self::Unreached,
            (true, true) => Self::Over,
        }
    }
}

impl<C: Connect> Attempts for OverStreams<C> {
    type Transport = Piped;

    async fn attempt(&mut self, shared: &RefCell<Shared<Piped>>, url: &Url<'_>, rng: &mut impl RngCore) -> bool {
        let carries = |way: Way| {
            let has_tunnels = cfg!(feature = "rtmpt");
            !way.is_rtmpe() && (has_tunnels || !way.is_tunnel()) && (C::IS_TLS || !way.is_tls())
        };
        if let Err(error) = check_scheme(url, carries) {
            end(shared, error);
            return publish_and_end(shared).await;
        }
        let (ports, limits) = {
            let shared = shared.borrow();
            (shared.ports, shared.limits)
        };
        let order = Order::for_url_or(url, ports);
        let mut sequence = match Sequence::new(order.targets(), limits) {
            Ok(sequence) => sequence,
            Err(error) => {
                end(shared, error.into());
                return publish_and_end(shared).await;
            }
        };
        if let Some(target) = self.good {
            sequence.prefer(target);
        }
        enter(shared, Phase::Connecting);
        while let Some((id, target, _)) = sequence.dial(clock()) {
            if !carries(target.transport) {
                continue;
            }
            {
                let mut shared = shared.borrow_mut();
                (shared.connection.attempt.id, shared.connection.attempt.target) = (Some(id), target);
                shared.note_change();
            }
            match self.attempt_target(shared, url, target, rng).await {
                Outcome::Stopped => return false,
                Outcome::Unreached if is_refused(shared) => break,
                Outcome::Unreached => {}
                Outcome::Over => {
                    self.good = Some(target);
                    break;
                }
            }
        }
        true
    }
}

/// Returns whether the certificate of the server was refused. Other ports of this host are not tried then.
fn is_refused<T: Transport>(shared: &RefCell<Shared<T>>) -> bool {
    #[cfg(feature = "rtmps")]
    return matches!(shared.borrow().last_error, Some(Error::Tls(TlsError::Refused(_) | TlsError::Unauthenticated)));
    #[cfg(not(feature = "rtmps"))]
    {
        let _ = shared;
        false
    }
}

impl<C: Connect> OverStreams<C> {
    /// Connects to a target, and publishes until the connection is lost or the stream is stopped.
    async fn attempt_target(
        &mut self,
        shared: &RefCell<Shared<Piped>>,
        url: &Url<'_>,
        target: Target,
        rng: &mut impl RngCore,
    ) -> Outcome {
        let limit = shared.borrow().limits.attempt;
        #[cfg(feature = "rtmpt")]
        {
            shared.borrow_mut().connection.transport.begin_connected(target, url.host());
            if target.transport.is_tunnel() {
                return self.attempt_tunnel(shared, url, target.port, rng).await;
            }
        }
        // The future is not stored in a local variable, because that would need additional memory in this task.
        let mut stream = match select(
            wanted(shared, false),
            select(self.connector.connect(url.host(), target.port), passed(clock() + limit)),
        )
        .await
        {
            Either::Second(Either::First(Ok(stream))) => stream,
            outcome => {
                let error = match outcome {
                    Either::Second(Either::First(Err(error))) => Some(C::reason(&error)),
                    Either::Second(_) => Some(Error::Exhausted),
                    Either::First(()) => None,
                };
                if let Some(error) = error {
                    end(shared, error);
                }
                return Outcome::new(publish_and_end(shared).await, false);
            }
        };
        // The close reuses the memory of the session.
        let outcome = {
            let (mut reader, mut writer) = stream.split();
            self.pipe.run(&mut reader, &mut writer, publish(shared, url, rng)).await.0
        };
        if !matches!(outcome, Outcome::Stopped)
            && let Some(error) = stream.failure()
        {
            shared.borrow_mut().last_error = Some(error);
        }
        let _ = select(stream.close(), passed(later(clock(), CLOSE_LIMIT))).await;
        outcome
    }
}

#[cfg(feature = "rtmpt")]
impl<C: Connect> OverStreams<C> {
    /// Publishes in a tunnel, over one stream of the connector after another.
    async fn attempt_tunnel(
        &mut self,
        shared: &RefCell<Shared<Piped>>,
        url: &Url<'_>,
        port: u16,
        rng: &mut impl RngCore,
    ) -> Outcome {
        let Self { connector, pipe, .. } = self;
        let (failure, limit) = (Cell::new(None), shared.borrow().limits.attempt);
        let session = async {
            match select(wanted(shared, false), pipe.is_opened()).await {
                Either::First(()) => Outcome::new(publish_and_end(shared).await, false),
                Either::Second(true) => publish(shared, url, rng).await,
                Either::Second(false) => {
                    end(shared, failure.get().unwrap_or(Error::Exhausted));
                    Outcome::new(publish_and_end(shared).await, false)
                }
            }
        };
        let carry = async {
            while pipe.is_stream_wanted().await {
                let connecting = select(connector.connect(url.host(), port), pipe.until_over());
                let connected = select(connecting, passed(clock() + limit)).await;
                let Either::First(Either::First(Ok(mut stream))) = connected else {
                    failure.set(Some(match connected {
                        Either::First(Either::First(Err(error))) => C::reason(&error),
                        _ => Error::Exhausted,
                    }));
                    pipe.note_opened(false);
                    continue;
                };
                pipe.note_opened(true);
                {
                    let (mut reader, mut writer) = stream.split();
                    pipe.pump(&mut reader, &mut writer).await;
                }
                failure.set(stream.failure());
                let _ = select(stream.close(), passed(later(clock(), CLOSE_LIMIT))).await;
            }
        };
        let outcome = pipe.run_tunnel(session, carry).await;
        if !matches!(outcome, Outcome::Stopped)
            && let Some(error) = failure.get()
        {
            shared.borrow_mut().last_error = Some(error);
        }
        outcome
    }
}

/// Asks the server, and publishes until the connection is lost or the stream is stopped.
async fn publish(shared: &RefCell<Shared<Piped>>, url: &Url<'_>, rng: &mut impl RngCore) -> Outcome {
    let client = shared.borrow().client;
    let mut entropy = [0; 32];
    rng.fill_bytes(&mut entropy);
    let begun = shared.borrow_mut().connection.begin_connected(&client.session, &entropy);
    let asking = async {
        if let Err(error) = begun {
            return Err(end(shared, error.into()));
        }
        poll_fn(|cx| {
            let connection = &mut shared.borrow_mut().connection;
            connection.poll_asked(url, client, Client::publish_parts, cx)
        })
        .await
    };
    if let Either::Second(Ok(())) = select(wanted(shared, false), asking).await {
        shared.borrow_mut().begin();
    }
    let was_reached = shared.borrow().connection.stage != Stage::Handshake;
    Outcome::new(publish_and_end(shared).await, was_reached)
}
