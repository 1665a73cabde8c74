//! The next connection of a player that the server has asked to connect again.

use std::time::Duration;

use anyhow::{Result, bail};
use embedded_rtmp::message::MessageKind;
use embedded_rtmp::time::Instant;

use super::End;
use super::connection::{Connection, Received};
use super::written::{Written, is_after, is_far, part};
use crate::net::{Destination, LinkReport, Next};

/// If the current connection brings no media for this time, the next one continues the stream.
const QUIET: Duration = Duration::from_secs(1);

/// The most bytes of memory for messages that wait until the stream continues with them. Then nothing else is received.
const MAX_WAITING: usize = 32 << 20;

/// The memory of a message besides its payload, in bytes.
const MESSAGE: usize = 64;

/// A connection that plays the same stream, and its messages, which wait until the stream continues with them.
#[derive(Debug)]
pub(super) struct Coming {
    pub(super) connection: Connection,
    pub(super) destination: Destination,
    pub(super) report: LinkReport,
    pub(super) messages: Vec<(MessageKind, u32, Vec<u8>)>,
    /// The memory of `messages` in bytes.
    waiting: usize,
    /// The timestamp of the first frame of the kind that decides.
    first: Option<u32>,
    /// The request of its server to connect again.
    pub(super) asked: Option<Option<String>>,
    /// How the stream has ended after `messages`.
    pub(super) over: Option<End>,
}

/// How the stream continues on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The messages follow what was written, without a gap.
    Seamless,
    /// Nothing is known about what is between them.
    Unknown,
}

impl Coming {
    pub(super) fn new(next: Next<1, ()>) -> Self {
        let Next { link, destination, report, .. } = next;
        let connection = Connection::new(link, true);
        Self { connection, destination, report, messages: Vec::new(), waiting: 0, first: None, asked: None, over: None }
    }

    /// Receives messages. Returns whether there were any.
    ///
    /// # Errors
    /// The server does not play the stream, or the stream has ended, and nothing of it waits.
    pub(super) fn step(&mut self, written: &Written) -> Result<bool> {
        if self.over.is_some() && !self.has_media() {
            bail!("the server ends the stream");
        }
        if self.waiting > MAX_WAITING || self.over.is_some() {
            return Ok(false);
        }
        let Self { connection, report, messages, waiting, first, asked, over, .. } = self;
        let clock = connection.link.clock;
        let moved = connection.step(&mut |received| {
            match received {
                Received::Playing => report.to_media = Some(clock.until_now()),
                Received::Message(kind, timestamp, payload) => {
                    if kind == written.pivot() && part(kind, payload).is_none() {
                        first.get_or_insert(timestamp);
                    }
                    *waiting += MESSAGE + payload.len();
                    messages.push((kind, timestamp, payload.to_vec()));
                }
                Received::Ended => *over = Some(End::Ended),
                Received::Closed => *over = Some(End::Closed),
                Received::Reconnect(url) => *asked = Some(url),
                Received::Refused(_) | Received::Connected => {}
            }
            Ok(over.is_none())
        })?;
        connection.link.handle_timeout()?;
        if connection.link.is_ended() {
            over.get_or_insert(End::Closed);
        }
        Ok(moved)
    }

    /// Whether audio or video waits.
    fn has_media(&self) -> bool {
        self.messages.iter().any(|(kind, _, payload)| !kind.is_data() && part(*kind, payload).is_none())
    }

    /// Returns how the stream continues on this connection. Returns `None` if it does not continue yet. `current` is the time
    /// of the last media of the current connection, or `None` if that plays nothing or has ended. `is_live` says that only a
    /// live stream is wanted.
    pub(super) fn continues(
        &mut self,
        written: &Written,
        now: Instant,
        current: Option<Instant>,
        is_live: bool,
    ) -> Option<Continuation> {
        let position = written.position().zip(self.first);
        let far = position.map_or((false, false), |(position, first)| is_far(position, first));
        let is_reached = far == (false, false) && position.is_some_and(|(position, first)| is_after(first, position));
        let continuation = if is_reached { Continuation::Seamless } else { Continuation::Unknown };
        if written.is_empty() || current.is_none_or(|current| current + QUIET <= now) {
            return self.connection.is_playing.then_some(continuation);
        }
        // A recorded stream may begin again, and reach the position.
        if far.1 || far.0 && is_live {
            return Some(continuation);
        }
        self.messages.retain(|(kind, timestamp, payload)| {
            part(*kind, payload).is_some() || written.is_later(*kind, *timestamp, payload)
        });
        self.waiting = self.messages.iter().map(|(.., payload)| MESSAGE + payload.len()).sum();
        let pivot = written.pivot();
        let has_more = self.messages.iter().any(|(kind, _, payload)| *kind == pivot && part(*kind, payload).is_none());
        (is_reached && has_more).then_some(continuation)
    }
}
