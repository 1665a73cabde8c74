//! The port plan: which ports a client tries, when, and which attempt wins.
//!
//! Some firewalls let RTMP pass on one port and drop it on another. A client that cannot reach port 1935 tries the next
//! port. A [`Plan`] makes these decisions and does no I/O: [`Plan::poll_event`] returns what to do next. The caller has
//! the sockets and the clock, and reports the result.
//!
//! An attempt lasts from the dial to the end of the **RTMP handshake**. A TCP connection alone is not a success, because
//! captive portals accept TCP on port 80 and answer with HTTP. When the first attempt has completed its handshake, all
//! others are abandoned before [`PlanEvent::Connected`] is returned. Only then may the caller send a command.
//!
//! ```text
//!               PlanEvent::Dial           report_tcp              report_connected
//!   NotStarted ───────────────► Dialled ────────────► Handshake ──────────────────► Connected
//!       │                        │ │ │                  │ │ │                       PlanEvent::Connected, after the
//!       │                        │ │ └── report_failed ─┘ │ │                       others were abandoned
//!       │                        │ │         │            │ │
//!       │ total deadline         │ └─────────┼── deadline ┘ │
//!       ▼                        │           ▼  PlanEvent::Abandon
//!   Failed(NotTried)             │        Failed(why)       │
//!                                └── another attempt won ───┘
//!                                            ▼  PlanEvent::Abandon
//!                                          Lost ── report_cut_off ──► NotStarted
//! ```
//!
//! `report_connected` may come without a `report_tcp` before it.
//!
//! # When the next attempt starts
//! The first attempt starts with the first call of `poll_event`. The next one starts when the attempt before it has ended,
//! or [`Limits::stagger`] after the start of the attempt before it, if fewer than [`Limits::max_at_once`] are under way.
//! Every target is tried once, in the order of the list. [`Plan::prefer`] moves one target to the front.
//!
//! # Orders
//! | Order | Targets | Limits |
//! |---|---|---|
//! | the default for an `rtmp` URL without a port | [`DEFAULT_ORDER`] | [`Limits::smart`] |
//! | the same, with RTMPE or RTMPS as fallbacks of an `rtmp` URL | [`Allowed::default_order`] | [`Limits::smart`] |
//! | the default for an `rtmpe` URL without a port | [`RTMPE_ORDER`] | [`Limits::smart`] |
//! | the order of Adobe's players | [`PLAYER`] | [`Limits::SEQUENTIAL`] |
//! | the order of Adobe's NetConnection | [`NET_CONNECTION`] | [`Limits::SEQUENTIAL`] |
//! | the port of the URL and no other; RTMPS on 443 for an `rtmps` URL | [`Order::for_url`] | any |
//! | a list of the caller | up to [`MAX_TARGETS`] | [`Limits::staggered`] |
//!
//! A sequential plan waits 3 s for each port that a firewall drops, and 5 s more for a server that accepts and then
//! sends nothing. A staggered plan with enough sockets loses only its stagger. With one socket every plan is
//! sequential; a [`Sequence`] then makes the same decisions with less memory. If the caller does not support a target's [`Transport`], it reports [`Failure::Unsupported`].
//!
//! # Servers that must be authentic
//! An `rtmps` or `rtmpts` URL requires a server that proves its identity. For such a URL, [`Order`] has only targets
//! inside TLS. The caller must verify the server in the same way on each target. If the caller refuses the server's
//! certificate, it calls [`Plan::report_untrusted`], and the plan starts no further target. A redirect must not lead to
//! a URL with less protection: see [`Scheme::permits`](crate::url::Scheme::permits).
//!
//! The other schemes do not authenticate the server. They may fall back to RTMPS if the caller has enabled it and has a
//! verifier.
//!
//! # A sequential plan, step by step
//! ```
//! use core::time::Duration;
//! use embedded_rtmp::port_plan::{Limits, NET_CONNECTION, Plan, PlanEvent};
//! use embedded_rtmp::time::Instant;
//!
//! let mut plan = Plan::new(NET_CONNECTION, Limits::SEQUENTIAL)?;
//! let mut now = Instant::from_millis(500);
//!
//! // A firewall drops everything to port 1935: there is no answer.
//! let Some(PlanEvent::Dial { id: first, target, deadline }) = plan.poll_event(now) else { panic!() };
//! assert_eq!(target.port, 1935);
//! assert_eq!(plan.poll_event(now), None);
//! assert_eq!(plan.poll_timeout(), Some(deadline));
//! now = deadline;
//! assert_eq!(plan.poll_event(now), Some(PlanEvent::Abandon(first))); // close the socket
//!
//! // Port 80 answers, and completes the handshake after 60 ms.
//! let Some(PlanEvent::Dial { id: second, target, .. }) = plan.poll_event(now) else { panic!() };
//! assert_eq!(target.port, 80);
//! now = now + Duration::from_millis(20);
//! plan.report_tcp(second, now);
//! now = now + Duration::from_millis(40);
//! plan.report_connected(second, now);
//! assert_eq!(plan.poll_event(now), Some(PlanEvent::Connected(second))); // now send the connect command
//!
//! for (target, why) in plan.failures() {
//!     assert_eq!(format!("failed on {}: {why}", target.port), "failed on 1935: dropped, no answer in time");
//! }
//! let won = plan.winner().unwrap();
//! assert_eq!((won.target.port, won.to_tcp, won.took), (80, Some(Duration::from_millis(20)), Duration::from_millis(60)));
//! # Ok::<(), embedded_rtmp::port_plan::PlanError>(())
//! ```

mod event;
mod limits;
mod order;
mod plan;
mod report;
mod sequence;

#[cfg(test)]
mod tests;

pub use event::{AttemptId, PlanEvent};
pub use limits::Limits;
pub use order::{Allowed, DEFAULT_ORDER, NET_CONNECTION, Order, PLAYER, RTMPE_ORDER, Target, Transport};
pub use plan::{MAX_TARGETS, Plan};
pub use report::{AttemptReport, Failure, Outcome};
pub use sequence::Sequence;

use core::fmt;

/// Why a plan cannot be created. It is a mistake of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// The list of targets is empty.
    NoTargets,
    /// The list of targets is longer than [`MAX_TARGETS`].
    TooManyTargets,
    /// [`Limits::max_at_once`] is 0.
    NoneAtOnce,
    /// The caller does not support the [`Transport`] of the URL's scheme. The plan itself never returns this error,
    /// because it does not know what the caller supports.
    Scheme,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlanError::NoTargets => "the port plan has no targets",
            PlanError::TooManyTargets => "the port plan has more than 8 targets",
            PlanError::NoneAtOnce => "the port plan allows 0 attempts at once; it needs at least 1",
            PlanError::Scheme => "the scheme of the URL is not supported here",
        })
    }
}

impl core::error::Error for PlanError {}
