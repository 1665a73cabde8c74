//! The port plan: which ports a client tries, when, and which attempt wins.
//!
//! Firewalls let RTMP through on one port and drop it on another, so a client that cannot reach port 1935 tries the
//! next. A [`Plan`] decides about that and does nothing itself: [`Plan::poll`] says what to do next, and the caller,
//! who has the sockets and the clock, reports what came of it.
//!
//! An attempt goes from the dial to the end of the **RTMP handshake**. A TCP connection is no success, for captive
//! proxies accept TCP on port 80 and answer it with HTTP. When the first attempt has completed its handshake, every other
//! one is abandoned before [`Step::Connected`] comes; only then may a command be sent.
//!
//! ```text
//!                 Step::Dial             report_tcp              report_connected
//!   NotStarted ───────────────► Dialled ────────────► Handshake ──────────────────► Connected
//!       │                        │ │ │                  │ │ │                       Step::Connected, when all others
//!       │                        │ │ └── report_failed ─┘ │ │                       have ended
//!       │                        │ │         │            │ │
//!       │ total deadline         │ └─────────┼── deadline ┘ │
//!       ▼                        │           ▼  Step::Abandon
//!   Failed(NotTried)             │        Failed(why)       │
//!                                └── another attempt won ───┘
//!                                            ▼  Step::Abandon
//!                                          Lost ── report_cut_off ──► NotStarted
//! ```
//!
//! (`report_connected` is as good without a `report_tcp` before it.)
//!
//! # When the next attempt starts
//! The first starts with the first poll. Each other starts when the one before it has ended, or
//! [`Limits::stagger`] after the start of the one before it, as long as no more than [`Limits::max_at_once`] are under
//! way. Every target is tried once, in the order of the list; one that won the last time may be put first with
//! [`Plan::prefer`].
//!
//! # Orders
//! | What | Targets | Limits |
//! |---|---|---|
//! | smart, the default where the URL has no port | [`DEFAULT_ORDER`] | [`Limits::smart`] |
//! | that of Adobe's players | [`PLAYER`] | [`Limits::SEQUENTIAL`] |
//! | that of Adobe's NetConnection | [`NET_CONNECTION`] | [`Limits::SEQUENTIAL`] |
//! | the URL's port and no other | [`Order::for_url`] | any |
//! | a list of the caller's own | up to [`MAX_TARGETS`] | [`Limits::staggered`] |
//!
//! A sequential order waits 3 s for each port that a firewall drops, and 5 s more for a server that accepts and then
//! says nothing; a staggered one, with sockets enough, is as late as its stagger. With one socket every plan is
//! sequential. A target whose [`Transport`] the caller cannot carry is reported as [`Failure::Unsupported`].
//!
//! # A sequential plan, step by step
//! ```
//! use core::time::Duration;
//! use embedded_rtmp::port_plan::{Limits, NET_CONNECTION, Plan, Step};
//! use embedded_rtmp::time::Instant;
//!
//! let mut plan = Plan::new(NET_CONNECTION, Limits::SEQUENTIAL)?;
//! let mut now = Instant::from_millis(500);
//!
//! // A firewall drops what goes to port 1935: nothing answers.
//! let Step::Dial { id: first, target, deadline } = plan.poll(now) else { panic!() };
//! assert_eq!(target.port, 1935);
//! assert_eq!(plan.poll(now), Step::Await { deadline });
//! now = deadline;
//! assert_eq!(plan.poll(now), Step::Abandon(first)); // closes the socket
//!
//! // Port 80 answers, and completes the handshake 60 ms later.
//! let Step::Dial { id: second, target, .. } = plan.poll(now) else { panic!() };
//! assert_eq!(target.port, 80);
//! now = now + Duration::from_millis(20);
//! plan.report_tcp(second, now);
//! now = now + Duration::from_millis(40);
//! plan.report_connected(second, now);
//! assert_eq!(plan.poll(now), Step::Connected(second)); // now send the connect command
//!
//! for (target, why) in plan.failures() {
//!     assert_eq!(format!("failed on {}: {why}", target.port), "failed on 1935: dropped, no answer in time");
//! }
//! let won = plan.winner().unwrap();
//! assert_eq!((won.target.port, won.to_tcp, won.took), (80, Some(Duration::from_millis(20)), Duration::from_millis(60)));
//! # Ok::<(), embedded_rtmp::port_plan::PlanError>(())
//! ```

mod limits;
mod order;
mod plan;
mod report;
mod step;

#[cfg(test)]
mod firewalls;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use order::{DEFAULT_ORDER, NET_CONNECTION, Order, PLAYER, Target, Transport};
pub use plan::{MAX_TARGETS, Plan};
pub use report::{AttemptReport, Failure, Outcome};
pub use step::{AttemptId, Step};

use core::fmt;

/// Why no plan can be made; the fault is the caller's.
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
    /// No transport here carries the URL's scheme.
    Scheme,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PlanError::NoTargets => "the port plan has no targets",
            PlanError::TooManyTargets => "the port plan has more than 8 targets",
            PlanError::NoneAtOnce => "the port plan allows no attempt at once",
            PlanError::Scheme => "the URL's scheme is not supported",
        })
    }
}

impl core::error::Error for PlanError {}
