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
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::slice::from_mut;
use core::task::Poll;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embedded_rtmp::port_plan::{Limits, Order, Plan, Target};
use embedded_rtmp::session::Client;
use embedded_rtmp::time::Instant;
use embedded_rtmp::url::Url;
use rand_core::CryptoRng;

use super::retry::Outage;
use super::shared::Shared;
use super::{Config, Phase};
use crate::client::dial::Host;
use crate::client::open::{Dialing, lookup};
use crate::clock::{clock, has_passed, later};
use crate::error::Error;
use crate::fmt::{impl_format, info};

/// Keeps the connection of a stream: [`new`](super::new).
pub struct LiveRunner<R> {
    stack: Stack<'static>,
    shared: &'static RefCell<Shared>,
    rng: R,
    config: Config,
}

impl_format!(Debug, [R] LiveRunner<R>, _ => "LiveRunner");

impl<R: CryptoRng> LiveRunner<R> {
    pub(super) fn new(stack: Stack<'static>, shared: &'static RefCell<Shared>, rng: R, config: Config) -> Self {
        Self { stack, shared, rng, config }
    }

    /// Runs for ever. While [`Phase::Stopped`] it waits for [`Live::start`](crate::Live::start).
    pub async fn run(mut self) -> ! {
        let shared = self.shared;
        let mut work = pin!(async {
            loop {
                poll_fn(|_| if shared.borrow().is_wanted { Poll::Ready(()) } else { Poll::Pending }).await;
                let result = self.publish().await;
                let mut shared = shared.borrow_mut();
                if let Err(error) = result {
                    info!("given up: {}", error);
                    (shared.last_error, shared.is_wanted) = (Some(error), false);
                }
                shared.enter(Phase::Stopped);
            }
        });
        poll_fn(|cx| {
            // The handles wake this task.
            shared.borrow_mut().runner.register(cx.waker());
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Publishes until the stream is stopped.
    ///
    /// # Errors
    /// The configuration cannot work, or there was no connection for too long.
    async fn publish(&mut self) -> Result<(), Error> {
        let (shared, config) = (self.shared, &self.config);
        let url = Url::parse(config.url)?;
        url.key().ok_or(Error::NoStreamKey)?;
        let order = Order::for_url_or(&url, config.ports)?;
        // There is one socket: what the plan began beside it would fail.
        let limits = Limits { max_at_once: 1, ..config.limits };
        let mut good = None;
        let mut outage = Outage::new(clock(), &config.retry);
        loop {
            let mut plan = Plan::new(order.targets(), limits)?;
            if let Some(target) = good {
                plan.prefer(target);
            }
            let mut entropy = || {
                let mut bytes = [0; 32];
                self.rng.fill_bytes(&mut bytes);
                bytes
            };
            let attempt = connect(self.stack, shared, config, &url, order.targets(), &mut plan, &mut entropy);
            let result = match select(stopped(shared), attempt).await {
                Either::First(()) => Ok(None),
                Either::Second(result) => result.map(Some),
            };
            let began = clock();
            let error = match result {
                Err(error) => Some(error),
                Ok(None) => None,
                Ok(Some(target)) => {
                    good = Some(target);
                    shared.borrow_mut().begin();
                    poll_fn(|cx| shared.borrow_mut().poll_live(cx)).await;
                    None
                }
            };
            let Some(lost) = end(shared, error).await else { return Ok(()) };
            let now = clock();
            if good.is_some() && now >= later(began, config.retry.longest) {
                outage = Outage::new(now, &config.retry);
            }
            if !may_pass(&lost) {
                return Err(lost);
            }
            let Some(wait) = outage.next(now, &config.retry, self.rng.next_u32()) else { return Err(lost) };
            info!("off the air: {}; again in {} ms", lost, wait.as_millis());
            {
                let mut shared = shared.borrow_mut();
                shared.is_in_order = true;
                shared.enter(Phase::Resting);
            }
            if let Either::First(()) = select(stopped(shared), passed(later(now, wait))).await {
                return Ok(());
            }
        }
    }
}

/// Ends the connection, whatever state it is in. Returns why, unless the stream is not wanted any longer.
async fn end(shared: &RefCell<Shared>, error: Option<Error>) -> Option<Error> {
    let is_stopped = {
        let shared = &mut *shared.borrow_mut();
        let is_stopped = !shared.is_wanted && error.is_none() && shared.connection.failed.is_none();
        if is_stopped && !shared.is_settled() {
            shared.connection.end(Error::Unfinished);
        }
        shared.finish(if is_stopped { Phase::Stopping } else { shared.phase() });
        shared.forget();
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

/// Waits until the stream is not wanted any longer.
async fn stopped(shared: &RefCell<Shared>) {
    poll_fn(|_| if shared.borrow().is_wanted { Poll::Pending } else { Poll::Ready(()) }).await;
}

/// Waits until a point in time; for ever if the clock does not count so far.
async fn passed(at: Instant) {
    poll_fn(|cx| if has_passed(at, cx) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Waits for an address of our own, finds those of the host, and carries out the port plan. Returns what led to a server.
async fn connect(
    stack: Stack<'static>,
    shared: &RefCell<Shared>,
    config: &Config,
    url: &Url<'static>,
    targets: &[Target],
    plan: &mut Plan<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<Target, Error> {
    shared.borrow_mut().enter(Phase::Network);
    match select(stack.wait_config_up(), passed(clock() + config.limits.total)).await {
        Either::First(()) => {}
        Either::Second(()) => return Err(Error::NoNetwork),
    }
    shared.borrow_mut().enter(Phase::Resolving);
    let found = lookup(stack, url.host(), plan).await?;
    shared.borrow_mut().enter(Phase::Connecting);
    let host = Host { name: url.host(), addresses: found.addresses() };
    let mut dialing = Dialing { host, plan, options: &config.client, entropy, request: Some((url, Client::publish)) };
    poll_fn(|cx| {
        let shared = &mut *shared.borrow_mut();
        let connection = &mut shared.connection;
        let result = dialing.poll_open(from_mut(connection), cx).map_err(|_| connection.why());
        let port = connection.attempt.id.and_then(|id| targets.get(id.index()).copied());
        if shared.port != port {
            shared.port = port;
            shared.note_change();
        }
        result
    })
    .await?;
    shared.borrow().port.ok_or(Error::Exhausted)
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
