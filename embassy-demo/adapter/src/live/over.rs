//! A stream that stays live over connections of the caller: TLS, or another network stack.

use core::cell::RefCell;
use core::future::poll_fn;

use embassy_futures::select::{Either, select};
use embassy_time::Duration;
use embedded_rtmp::handshake;
use embedded_rtmp::port_plan::Transport as Way;
use embedded_rtmp::session::Client;
use embedded_rtmp::url::Url;
use rand_core::{CryptoRng, RngCore};
use static_cell::{ConstStaticCell, StaticCell};

use super::runner::{Attempts, publish_and_end, wanted};
use super::shared::Shared;
use super::{Config, Live, LiveRunner, Phase};
use crate::buffers::Memory;
use crate::client::connection::Connection;
use crate::client::open::check_scheme;
use crate::clock::{clock, later, passed};
use crate::error::Error;
use crate::fmt::impl_format;
use crate::transport::{Connect, Pipe, Stream};

/// The time limit for closing a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

type OverPipe = &'static Pipe<'static>;

/// The handle of a stream over connections of the caller.
pub type StreamLive = Live<&'static Pipe<'static>>;

/// The runner of a stream over connections of the caller, which `C` makes.
pub type StreamRunner<R, C> = LiveRunner<R, OverStreams<C>, &'static Pipe<'static>>;

/// All the memory of one stream that is published over connections of the caller, for a static. `INPUT` and `OUTPUT` are the
/// bytes of its [`Pipe`]; see [`Pipe::new`].
pub struct StreamState<
    const INPUT: usize = 256,
    const OUTPUT: usize = 2920,
    const SCRATCH: usize = { handshake::SCRATCH },
    const CONTROL: usize = 512,
> {
    memory: ConstStaticCell<Memory<INPUT, OUTPUT, SCRATCH, CONTROL>>,
    /// Borrows the memory.
    pipe: StaticCell<Pipe<'static>>,
    shared: StaticCell<RefCell<Shared<OverPipe>>>,
}

impl_format!(
    Debug,
    [const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize]
        StreamState<INPUT, OUTPUT, SCRATCH, CONTROL>,
    _ => "StreamState<{}, {}, {}, {}>", INPUT, OUTPUT, SCRATCH, CONTROL
);

impl<const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize>
    StreamState<INPUT, OUTPUT, SCRATCH, CONTROL>
{
    /// Memory for one stream. Sizes that cannot work do not compile.
    pub const fn new() -> Self {
        const { assert!(OUTPUT >= 2, "OUTPUT must be 2 or more: it is split in two halves") }
        Self { memory: ConstStaticCell::new(Memory::new()), pipe: StaticCell::new(), shared: StaticCell::new() }
    }
}

impl<const INPUT: usize, const OUTPUT: usize, const SCRATCH: usize, const CONTROL: usize> Default
    for StreamState<INPUT, OUTPUT, SCRATCH, CONTROL>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The same as [`new`](super::new), over the connections that `connector` makes: TLS, or another network stack.
/// Whenever the runner connects, it asks the connector for a connection to the host and the port of the URL, or the
/// scheme's default port: 443 for `rtmps`. An `rtmps` URL needs a connector with TLS ([`Connect::IS_TLS`]). The URL
/// schemes of tunnels and of RTMPE are not supported. [`Config::ports`] is not used. Of [`Config::limits`], only
/// `attempt` is used: the time limit of each connection attempt.
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
>(
    connector: C,
    state: &'static StreamState<INPUT, OUTPUT, SCRATCH, CONTROL>,
    rng: R,
    config: Config,
) -> (StreamLive, StreamRunner<R, C>) {
    let lent = state.memory.take().split();
    let pipe: OverPipe = state.pipe.init_with(|| Pipe::new(lent.rx, lent.tx));
    let connection = Connection::over(pipe, Client::idle(lent.buffers));
    let shared: &'static RefCell<Shared<OverPipe>> =
        state.shared.init_with(|| RefCell::new(Shared::new(connection, config)));
    (Live { shared, seen: 0 }, LiveRunner::new(OverStreams { connector, pipe }, shared, rng))
}

/// Makes connections with the connector of the caller.
pub struct OverStreams<C> {
    connector: C,
    pipe: OverPipe,
}

impl<C: Connect> Attempts for OverStreams<C> {
    type Transport = OverPipe;

    async fn attempt(&mut self, shared: &RefCell<Shared<OverPipe>>, url: &Url<'_>, rng: &mut impl RngCore) -> bool {
        if let Err(error) = check_scheme(url, |way| way == Way::Rtmp || (C::IS_TLS && way == Way::Rtmps)) {
            shared.borrow_mut().connection.end(error);
            return publish_and_end(shared).await;
        }
        shared.borrow_mut().enter(Phase::Connecting);
        let (client, limits) = (shared.borrow().client, shared.borrow().limits);
        // The future is not stored in a local variable, because that would need additional memory in this task.
        let mut stream = match select(
            wanted(shared, false),
            select(
                self.connector.connect(url.host(), url.port().unwrap_or(url.scheme().default_port())),
                passed(clock() + limits.attempt),
            ),
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
                    shared.borrow_mut().connection.end(error);
                }
                return publish_and_end(shared).await;
            }
        };
        // The close reuses the memory of the session.
        let is_wanted = {
            let (mut reader, mut writer) = stream.split();
            let session = async {
                let mut entropy = [0; 32];
                rng.fill_bytes(&mut entropy);
                let begun = shared.borrow_mut().connection.begin_connected(client.session, &entropy);
                let asking = async {
                    if let Err(error) = begun {
                        return Err(shared.borrow_mut().connection.end(error.into()));
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
                publish_and_end(shared).await
            };
            self.pipe.run(&mut reader, &mut writer, session).await.0
        };
        if is_wanted && let Some(error) = stream.failure() {
            shared.borrow_mut().last_error = Some(error);
        }
        let _ = select(stream.close(), passed(later(clock(), CLOSE_LIMIT))).await;
        is_wanted
    }
}
