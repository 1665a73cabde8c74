//! Clients: they look up a host, carry out a port plan, and publish or play.
//!
//! ```text
//!   live::LiveRunner    Publisher ◄── Sender      Player      test_ports
//!      │             │                        │            │
//!      └─────────────┴───────────┬────────────┴────────────┘
//!                                ▼
//!   open: the plan, attempt by attempt, and what is asked of the server ──► resolve: the host's addresses
//!   sequence: the same with one socket
//!                                ▼
//!   connection: a client on a transport ──► dial: how it begins · message: how frames go out · close: how it ends
//! ```

#[cfg(feature = "auth")]
mod answer;
pub(crate) mod attempt;
pub(crate) mod close;
pub(crate) mod connection;
pub(crate) mod dial;
pub(crate) mod message;
#[cfg(feature = "enhanced")]
mod offering;
pub(crate) mod open;
mod options;
#[cfg(feature = "player")]
pub(crate) mod player;
pub(crate) mod ports;
pub(crate) mod publisher;
mod race;
#[cfg(feature = "redirect")]
pub(crate) mod redirect;
pub(crate) mod resolve;
pub(crate) mod sender;
#[cfg(feature = "live")]
mod sequence;

pub use options::ClientOptions;
