//! A relay: one publisher's stream for any number of players, through one ring of bytes that the caller lends.
//!
//! ```text
//!                           ┌──────────── Ring ────────────┐    peek
//!  publisher's  push        │ ▒▒│frame│audio│key frame ····│ ─────────► player: own session, own chunk headers
//!  fragments  ────────────► │              ▲       ▲       │ ─────────► player
//!               one copy    │            cursors           │ ─────────► player
//!                           │ kept: metadata, video, audio │     one copy each, into its socket
//!                           └──────────────────────────────┘
//! ```
//!
//! The fragments of the publisher's messages are copied into the [`Ring`] as they arrive, each message behind a header of
//! 8 bytes. Every player has a [`Cursor`] into it and sends from there, also from a message of which only a part has come.
//! A ring knows neither sessions nor sockets; [`Player`] joins a cursor to a [`Server`](crate::session::Server) session.
//!
//! # What a player gets
//! - First the metadata and the sequence headers, which are kept beside the ring, with the timestamp of what follows.
//! - Then everything from the last keyframe on, where the ring still holds that; else from the next one on. A stream that
//!   has had no video so far is joined at once, where it is.
//! - Timestamps as the publisher sent them: they need not begin at 0, and jump where another publisher takes over.
//! - `onMetaData` without the `@setDataFrame` before it, which is for servers; data behind an AMF3 selector as plain data.
//!
//! # Who is too slow
//! The publisher is never held up: what is older than the ring is long is overwritten. A player that this happens to
//! between two messages, or that is half a ring behind there, goes on with the last keyframe where that is newer (without
//! video: with what comes next), and the messages that it missed are [counted](Cursor::skipped). Within a message there
//! is no way on, and its connection is closed ([`Overtaken`]). The others do not notice.
//!
//! # What cannot be relayed
//! A message that is longer than the ring, with its 8 bytes, is left out and [counted](Counts::too_long). So is one that
//! begins while four others are unfinished.

mod class;
mod cursor;
mod kept;
mod play;
mod player;
mod record;
mod ring;
mod store;

pub use cursor::{Cursor, Overtaken};
pub use play::Piece;
pub use player::{Player, PumpError};
pub use ring::{Buffers, Counts, OVERHEAD, Ring};

#[cfg(test)]
mod tests;
