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
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, ready};

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embedded_rtmp::port_plan::{Order, Sequence, Target};
use embedded_rtmp::session::Client;
use embedded_rtmp::url::Url;
use rand_core::{CryptoRng, RngCore};

use super::Phase;
use super::shared::Shared;
use crate::client::connection::Over;
use crate::client::dial::Host;
use crate::client::open::check_scheme;
#[cfg(feature = "redirect")]
use crate::client::redirect::target;
use crate::client::resolve::resolve;
use crate::clock::{clock, has_passed, passed};
use crate::error::Error;
use crate::fmt::impl_format;
use crate::transport::{Net, Transport};

/// How connections are made: over embassy-net, or by the caller's connector.
pub(super) trait Attempts {
    /// The transport of the session.
    type Transport: Transport + 'static;

    /// Connects, and publishes until the connection is lost or the stream is stopped. Returns whether the stream is still
    /// wanted. If it is, [`Shared::last_error`] says why the attempt ended.
    async fn attempt(
        &mut self,
        shared: &RefCell<Shared<Self::Transport>>,
        url: &Url<'_>,
        rng: &mut impl RngCore,
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

    #[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice")]
    fn attempt(
        &mut self,
        shared: &RefCell<Shared>,
        url: &Url<'_>,
        rng: &mut impl RngCore,
    ) -> impl Future<Output = bool> {
        async move {
            // If that fails, the connection stores the reason.
            let _ = select(wanted(shared, false), self.connect(shared, url, rng)).await;
            publish_and_end(shared).await
        }
    }
}

impl OverNet {
    /// Waits for an address of the device, resolves the name of the host, and carries out the port plan, until the server
    /// accepts frames.
    ///
    /// # Errors
    /// No server has accepted, or the configuration cannot work.
    #[expect(clippy::manual_async_fn, reason = "an async fn stores its arguments twice")]
    fn connect(
        &mut self,
        shared: &RefCell<Shared>,
        url: &Url<'_>,
        rng: &mut impl RngCore,
    ) -> impl Future<Output = Result<(), Over>> {
        async move {
            enter(shared, Phase::Network);
            let (ports, limits) = {
                let shared = shared.borrow();
                (shared.ports, shared.limits)
            };
            // Otherwise the plan would retry a transport that is not built in again and again.
            check_scheme(url, Net::carries).map_err(|error| end(shared, error))?;
            let order = Order::for_url_or(url, ports);
            let mut sequence = Sequence::new(order.targets(), limits).map_err(|error| end(shared, error.into()))?;
            if let Some(target) = self.good {
                sequence.prefer(target);
            }
            let stack = self.stack;
            match select(stack.wait_config_up(), passed(clock() + limits.total)).await {
                Either::First(()) => {}
                Either::Second(()) => return Err(end(shared, Error::NoNetwork)),
            }
            enter(shared, Phase::Resolving);
            let found = resolve(stack, url.host()).await.map_err(|error| end(shared, error.into()))?;
            enter(shared, Phase::Connecting);
            poll_fn(|cx| {
                let shared = &mut *shared.borrow_mut();
                let Shared { connection, client: options, .. } = shared;
                let mut entropy = || {
                    let mut bytes = [0; 32];
                    rng.fill_bytes(&mut bytes);
                    bytes
                };
                let host = Host { name: url.host(), addresses: found.addresses() };
                let request = (url, Client::publish_parts as _);
                let before = connection.attempt.target;
                let result = connection.poll_sequence(&mut sequence, &host, request, options, &mut entropy, cx);
                let target = connection.attempt.target;
                if target != before {
                    shared.note_change();
                }
                ready!(result)?;
                self.good = Some(target);
                shared.begin();
                Poll::Ready(Ok(()))
            })
            .await
        }
    }
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
            let url = shared.borrow_mut().begin_outage(clock());
            if let Some(url) = url {
                // Until the stream is stopped, or given up because there was no connection for too long.
                loop {
                    #[cfg(feature = "redirect")]
                    let application = shared.borrow_mut().connection.begin_redirect(&url);
                    #[cfg(feature = "redirect")]
                    let to = &target(&url, application.as_ref());
                    #[cfg(not(feature = "redirect"))]
                    let to = &url;
                    let goes_on = loop {
                        if !attempts.attempt(shared, to, &mut rng).await {
                            break false;
                        }
                        if shared.borrow_mut().connection.retries_at_once() {
                            continue;
                        }
                        #[cfg(feature = "redirect")]
                        if shared.borrow_mut().is_sent_elsewhere(&url, application.as_ref()) {
                            break true;
                        }
                        break rested(shared, rng.next_u32()).await;
                    };
                    if !goes_on {
                        break;
                    }
                }
            }
            enter(shared, Phase::Stopped);
        }
    }
}

/// Publishes until the connection is lost or the stream is stopped. Then ends the connection in any state. Returns whether
/// the stream is still wanted.
pub(super) fn publish_and_end<T: Transport>(shared: &RefCell<Shared<T>>) -> impl Future<Output = bool> {
    let mut is_stopped = None;
    poll_fn(move |cx| {
        let shared = &mut *shared.borrow_mut();
        let is_stopped = match is_stopped {
            Some(is_stopped) => is_stopped,
            None => {
                ready!(shared.poll_live(cx));
                *is_stopped.insert(shared.begin_end())
            }
        };
        if is_stopped && has_passed(shared.stop_by, cx) {
            shared.connection.end(Error::Lost);
            shared.connection.reset();
        }
        shared.connection.poll_closed(cx).map(|()| shared.finish_end())
    })
}

/// Waits until the stream is wanted, or not wanted any longer. The handles wake this task.
pub(super) fn wanted<T: Transport>(shared: &RefCell<Shared<T>>, is_wanted: bool) -> impl Future<Output = ()> {
    poll_fn(move |cx| poll_wanted(shared, is_wanted, cx))
}

/// Waits until it is time for the next attempt to connect, or until the stream is not wanted any longer. Returns whether it
/// is still wanted. `random` is 32 random bits.
fn rested<T: Transport>(shared: &RefCell<Shared<T>>, random: u32) -> impl Future<Output = bool> {
    let until = shared.borrow_mut().rest(clock(), random);
    poll_fn(move |cx| match poll_wanted(shared, false, cx) {
        Poll::Ready(()) => Poll::Ready(false),
        Poll::Pending if has_passed(until, cx) => Poll::Ready(true),
        Poll::Pending => Poll::Pending,
    })
}

// Not inlined, because it has many callers.
#[inline(never)]
pub(super) fn enter<T: Transport>(shared: &RefCell<Shared<T>>, phase: Phase) {
    shared.borrow_mut().enter(phase);
}

/// Records why there is no connection.
// Not inlined, because it has many callers.
#[inline(never)]
pub(super) fn end<T: Transport>(shared: &RefCell<Shared<T>>, why: Error) -> Over {
    shared.borrow_mut().connection.end(why)
}

// Not inlined, because several futures poll it.
#[inline(never)]
fn poll_wanted<T: Transport>(shared: &RefCell<Shared<T>>, is_wanted: bool, cx: &mut Context<'_>) -> Poll<()> {
    let mut shared = shared.borrow_mut();
    shared.runner.register(cx.waker());
    if shared.is_wanted == is_wanted { Poll::Ready(()) } else { Poll::Pending }
}
