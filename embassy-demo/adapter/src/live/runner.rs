//! What gets a stream live, and again after the connection was lost.
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
use core::task::Poll;

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
use crate::client::dial::Host;
use crate::client::open::Dialing;
use crate::client::resolve::resolve;
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::fmt::{impl_format, info};
use crate::transport::{Net, Transport};

/// How connections are made: over embassy-net, or over streams of the caller.
pub(super) trait Attempts {
    /// What the session runs over.
    type Transport: Transport + 'static;

    /// Connects, and publishes until the connection is lost or the stream is stopped. Sets `began` when the stream begins.
    /// Returns why it is over, unless it was stopped.
    ///
    /// # Errors
    /// The configuration cannot work.
    async fn attempt(
        &mut self,
        shared: &RefCell<Shared<Self::Transport>>,
        url: &Url<'static>,
        rng: &mut dyn RngCore,
        began: &mut Option<Instant>,
    ) -> Result<Option<Error>, Error>;
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
        rng: &mut dyn RngCore,
        began: &mut Option<Instant>,
    ) -> Result<Option<Error>, Error> {
        let Config { ports, limits, .. } = shared.borrow().config;
        let order = Order::for_url_or(url, ports)?;
        // There is one socket: what the plan began beside it would fail.
        let mut plan = Plan::new(order.targets(), Limits { max_at_once: 1, ..limits })?;
        if let Some(target) = self.good {
            plan.prefer(target);
        }
        let attempt = connect(self.stack, shared, url, order.targets(), &mut plan, rng);
        let mut error = None;
        match select(wanted(shared, false), attempt).await {
            Either::First(()) => {}
            Either::Second(Err(why)) => error = Some(why),
            Either::Second(Ok(target)) => {
                self.good = Some(target);
                publish_live(shared, began).await;
            }
        }
        Ok(end(shared, error).await)
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
    /// Runs for ever. While [`Phase::Stopped`] it waits for [`Live::start`](crate::Live::start).
    pub async fn run(self) -> ! {
        let Self { mut attempts, shared, mut rng } = self;
        loop {
            wanted(shared, true).await;
            let result = publish(&mut attempts, shared, &mut rng).await;
            let mut shared = shared.borrow_mut();
            if let Err(error) = result {
                info!("given up: {}", error);
                (shared.last_error, shared.is_wanted) = (Some(error), false);
            }
            shared.enter(Phase::Stopped);
        }
    }
}

/// Publishes until the stream is stopped.
///
/// # Errors
/// The configuration cannot work, or there was no connection for too long.
async fn publish<A: Attempts>(
    attempts: &mut A,
    shared: &RefCell<Shared<A::Transport>>,
    rng: &mut dyn RngCore,
) -> Result<(), Error> {
    let Config { url, retry, .. } = shared.borrow().config;
    let url = Url::parse(url)?;
    url.key().ok_or(Error::NoStreamKey)?;
    let mut outage = Outage::new(clock(), &retry);
    loop {
        let mut began = None;
        let Some(lost) = attempts.attempt(shared, &url, rng, &mut began).await? else { return Ok(()) };
        let now = clock();
        if began.is_some_and(|began| now >= later(began, retry.longest)) {
            outage = Outage::new(now, &retry);
        }
        let wait = outage.next(now, &retry, rng.next_u32()).filter(|_| may_pass(&lost));
        let Some(wait) = wait else { return Err(lost) };
        info!("off the air: {}; again in {} ms", lost, wait.as_millis());
        shared.borrow_mut().rest();
        if let Either::First(()) = select(wanted(shared, false), passed(later(now, wait))).await {
            return Ok(());
        }
    }
}

/// Ends the connection, whatever state it is in. Returns why, unless the stream is not wanted any longer.
pub(super) async fn end<T: Transport>(shared: &RefCell<Shared<T>>, error: Option<Error>) -> Option<Error> {
    let is_stopped = {
        let shared = &mut *shared.borrow_mut();
        let is_stopped = !shared.is_wanted && error.is_none() && shared.connection.failed.is_none();
        if is_stopped && !shared.is_settled() {
            shared.connection.end(Error::Unfinished);
        }
        shared.finish(if is_stopped { Phase::Stopping } else { shared.phase() });
        if let Some(error) = error {
            shared.connection.end(error);
        }
        shared.connection.close();
        is_stopped
    };
    poll_fn(|cx| {
        let shared = &mut *shared.borrow_mut();
        if is_stopped && has_passed(shared.stop_by, cx) {
            shared.connection.end(Error::Lost);
            shared.connection.reset();
        }
        shared.connection.poll_closed(cx)
    })
    .await;
    let shared = &mut *shared.borrow_mut();
    let failed = shared.connection.failed.take();
    shared.is_in_order = failed.is_none();
    if !shared.is_wanted {
        return None;
    }
    let error = failed.unwrap_or(Error::Closed);
    shared.last_error = Some(error);
    Some(error)
}

/// Waits until the stream is wanted, or not wanted any longer. The handles wake this task.
pub(super) async fn wanted<T: Transport>(shared: &RefCell<Shared<T>>, is_wanted: bool) {
    poll_fn(|cx| {
        let mut shared = shared.borrow_mut();
        shared.runner.register(cx.waker());
        if shared.is_wanted == is_wanted { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits until a point in time; for ever if the clock does not count so far.
pub(super) async fn passed(at: Instant) {
    poll_fn(|cx| if has_passed(at, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Waits for an address of our own, finds those of the host, and carries out the port plan. Returns what led to a server.
async fn connect(
    stack: Stack<'static>,
    shared: &RefCell<Shared>,
    url: &Url<'static>,
    targets: &[Target],
    plan: &mut Plan<'_>,
    rng: &mut dyn RngCore,
) -> Result<Target, Error> {
    shared.borrow_mut().enter(Phase::Network);
    let until = clock() + shared.borrow().config.limits.total;
    match select(stack.wait_config_up(), passed(until)).await {
        Either::First(()) => {}
        Either::Second(()) => return Err(Error::NoNetwork),
    }
    shared.borrow_mut().enter(Phase::Resolving);
    let found = resolve(stack, url.host()).await?;
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
        let mut dialing = Dialing { host, plan, options, entropy: &mut entropy, request };
        let result = dialing.poll_open(from_mut(connection), cx);
        let port = connection.attempt.id.and_then(|id| targets.get(id.index()).copied());
        if shared.port != port {
            shared.port = port;
            shared.note_change();
        }
        result.map(|opened| if opened.is_ok() { port.ok_or(Error::Exhausted) } else { Err(shared.connection.why()) })
    })
    .await
}

/// Whether trying again may help.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Url(_) | Error::Plan(_) | Error::NoStreamKey | Error::Config(_) | Error::Request(_) => false,
        Error::Unfinished | Error::TooSlow => false,
        Error::Resolve(_) | Error::NoNetwork | Error::Exhausted | Error::Refused(_) => true,
        Error::Lost | Error::Closed | Error::Session(_) => true,
        #[cfg(feature = "rtmpt")]
        Error::Tunnel(_) => true,
    }
}
