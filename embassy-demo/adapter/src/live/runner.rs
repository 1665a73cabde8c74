//! The runner, which connects a stream, and connects it again when the connection is lost.
//!
//! ```text
//!             start()         an address          addresses            the server's yes
//!   Stopped ─────────► Network ────────► Resolving ────────► Connecting ────────────────► Live
//!      ▲                  ▲ │                │                    │                   lost │ │ stop()
//!      │             time │ ▼                ▼                    ▼                        │ ▼
//!      │                Resting ◄────────────┴────────────────────┴────────────────────────┘ Stopping
//!      │                  │ stop(), or no connection for too long                              │
//!      └──────────────────┴────────────────────────────────────────────────────────────────────┘
//! ```

use core::cell::RefCell;
use core::future::poll_fn;
use core::slice::from_mut;
use core::task::{Context, Poll};

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embedded_rtmp::port_plan::{Limits, Order, Plan, Target};
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;
use rand_core::{CryptoRng, RngCore};

use super::retry::Outage;
use super::shared::Shared;
use super::{Config, Phase};
use crate::client::connection::Over;
use crate::client::dial::Host;
use crate::client::open::Dialing;
use crate::client::resolve::resolve;
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::fmt::impl_format;
use crate::transport::{Net, Transport};

/// How connections are made: over embassy-net, or by the caller's connector.
pub(super) trait Attempts {
    /// The transport of the session.
    type Transport: Transport + 'static;

    /// Connects, and publishes until the connection is lost or the stream is stopped. Sets `began` when the stream begins.
    /// Returns whether the stream is still wanted; [`Shared::last_error`] then has the reason why the attempt is over.
    async fn attempt(
        &mut self,
        shared: &RefCell<Shared<Self::Transport>>,
        url: &Url<'static>,
        rng: &mut impl RngCore,
        began: &mut Option<Instant>,
    ) -> bool;
}

/// Connections over embassy-net: a port plan for each.
pub struct OverNet {
    pub(super) stack: Stack<'static>,
    /// The target that led to a server the last time.
    pub(super) good: Option<Target>,
}

impl Attempts for OverNet {
    type Transport = Net<'static>;

    async fn attempt(
        &mut self,
        shared: &RefCell<Shared>,
        url: &Url<'static>,
        rng: &mut impl RngCore,
        began: &mut Option<Instant>,
    ) -> bool {
        match select(wanted(shared, false), self.connect(shared, url, rng)).await {
            Either::First(()) => {}
            Either::Second(Ok(())) => publish_live(shared, began).await,
            Either::Second(Err(Over)) => {}
        }
        end(shared).await
    }
}

impl OverNet {
    /// Waits for an address of our own, finds those of the host, and carries out the port plan.
    ///
    /// # Errors
    /// No server has accepted, or the configuration cannot work.
    async fn connect(
        &mut self,
        shared: &RefCell<Shared>,
        url: &Url<'static>,
        rng: &mut impl RngCore,
    ) -> Result<(), Over> {
        let fail = |error| shared.borrow_mut().connection.end(error);
        let Config { ports, limits, .. } = shared.borrow().config;
        let order = Order::for_url_or(url, ports).map_err(|error| fail(error.into()))?;
        // There is one socket, so a second attempt at the same time would fail.
        let limits = Limits { max_at_once: 1, ..limits };
        let mut plan = Plan::new(order.targets(), limits).map_err(|error| fail(error.into()))?;
        if let Some(target) = self.good {
            plan.prefer(target);
        }
        shared.borrow_mut().enter(Phase::Network);
        let stack = self.stack;
        match select(stack.wait_config_up(), passed(clock() + limits.total)).await {
            Either::First(()) => {}
            Either::Second(()) => return Err(fail(Error::NoNetwork)),
        }
        shared.borrow_mut().enter(Phase::Resolving);
        let found = resolve(stack, url.host()).await.map_err(|error| fail(error.into()))?;
        shared.borrow_mut().enter(Phase::Connecting);
        poll_fn(|cx| {
            let shared = &mut *shared.borrow_mut();
            let Shared { connection, config, .. } = shared;
            let mut entropy = || {
                let mut bytes = [0; 32];
                rng.fill_bytes(&mut bytes);
                bytes
            };
            let host = Host { name: url.host(), addresses: found.addresses() };
            let (options, request) = (&config.client, Some((url, Client::publish as _)));
            let mut dialing = Dialing { host, plan: &mut plan, options, entropy: &mut entropy, request };
            let result = dialing.poll_open(from_mut(connection), cx);
            let port = connection.attempt.id.and_then(|id| order.targets().get(id.index()).copied());
            if shared.port != port {
                shared.port = port;
                shared.note_change();
            }
            result.map_ok(|_| self.good = port).map_err(|_| Over)
        })
        .await
    }
}

/// Publishes until the connection is over or the stream is to be ended.
pub(super) async fn publish_live<T: Transport>(shared: &RefCell<Shared<T>>, began: &mut Option<Instant>) {
    *began = Some(clock());
    shared.borrow_mut().begin();
    poll_fn(|cx| shared.borrow_mut().poll_live(cx)).await;
}

/// Keeps the connection of a stream: [`new`](super::new), [`over`](super::over).
pub struct LiveRunner<R, A = OverNet, T: 'static = Net<'static>> {
    attempts: A,
    shared: &'static RefCell<Shared<T>>,
    rng: R,
}

impl_format!(Debug, [R, A, T] LiveRunner<R, A, T>, _ => "LiveRunner");

impl<R, A, T> LiveRunner<R, A, T> {
    pub(super) fn new(attempts: A, shared: &'static RefCell<Shared<T>>, rng: R) -> Self {
        Self { attempts, shared, rng }
    }
}

#[allow(private_bounds, reason = "the caller cannot add a way to make connections; `Connect` is for that")]
impl<R: CryptoRng, A: Attempts<Transport = T>, T: Transport> LiveRunner<R, A, T> {
    /// Runs for ever. In [`Phase::Stopped`] it waits for [`Live::start`](crate::Live::start).
    pub async fn run(self) -> ! {
        let Self { mut attempts, shared, mut rng } = self;
        loop {
            wanted(shared, true).await;
            publish(&mut attempts, shared, &mut rng).await;
            shared.borrow_mut().enter(Phase::Stopped);
        }
    }
}

/// Publishes until the stream is stopped or given up. It is given up if the configuration cannot work, or if there was no
/// connection for too long.
async fn publish<A: Attempts>(attempts: &mut A, shared: &RefCell<Shared<A::Transport>>, rng: &mut impl RngCore) {
    let Config { url, retry, .. } = shared.borrow().config;
    let url = match Url::parse(url).map_err(Error::Url) {
        Ok(url) if url.key().is_some() => url,
        url => return shared.borrow_mut().give_up(url.err().unwrap_or(Error::NoStreamKey)),
    };
    let mut outage = Outage::new(clock(), &retry);
    loop {
        let mut began = None;
        if !attempts.attempt(shared, &url, rng, &mut began).await {
            return;
        }
        let now = clock();
        if began.is_some_and(|began| now >= later(began, retry.longest)) {
            outage = Outage::new(now, &retry);
        }
        let wait = outage.next(now, &retry, rng.next_u32());
        let Some(wait) = shared.borrow_mut().rest(wait) else { return };
        if let Either::First(()) = select(wanted(shared, false), passed(later(now, wait))).await {
            return;
        }
    }
}

/// Ends the connection, whatever state it is in. Returns whether the stream is still wanted.
pub(super) async fn end<T: Transport>(shared: &RefCell<Shared<T>>) -> bool {
    let is_stopped = shared.borrow_mut().begin_end();
    poll_fn(|cx| {
        let shared = &mut *shared.borrow_mut();
        if is_stopped && has_passed(shared.stop_by, cx) {
            shared.connection.end(Error::Lost);
            shared.connection.reset();
        }
        shared.connection.poll_closed(cx)
    })
    .await;
    shared.borrow_mut().finish_end()
}

/// Waits until the stream is wanted, or not wanted any longer. The handles wake this task.
pub(super) async fn wanted<T: Transport>(shared: &RefCell<Shared<T>>, is_wanted: bool) {
    poll_fn(|cx| poll_wanted(shared, is_wanted, cx)).await;
}

// Not inlined, because several futures poll it.
#[inline(never)]
fn poll_wanted<T: Transport>(shared: &RefCell<Shared<T>>, is_wanted: bool, cx: &mut Context<'_>) -> Poll<()> {
    let mut shared = shared.borrow_mut();
    shared.runner.register(cx.waker());
    if shared.is_wanted == is_wanted { Poll::Ready(()) } else { Poll::Pending }
}

/// Waits until an instant, or for ever if the clock cannot count that far.
pub(super) async fn passed(at: Instant) {
    poll_fn(|cx| if has_passed(at, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}
