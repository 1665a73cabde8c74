//! By when the client is to have done something.

use super::{Server, State};
use crate::control::PING_REQUEST;
use crate::fmt::warning;
use crate::session::{SessionError, Stage};
use crate::time::{Instant, OptionalInstant, earliest};

impl<'b, const STREAMS: usize> Server<'b, STREAMS> {
    /// When [`Self::handle_timeout`] is to be called. To be asked again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.deadline(), self.silence())
    }

    /// Tells the server the time: it pings a client that is silent, and gives up where that does not answer, does not
    /// finish the handshake or connect in time, or was refused and does not take the answer.
    ///
    /// # Errors
    /// The client has not done what it should in time, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        let stage = match self.state {
            State::ExpectHandshake => Stage::Handshake,
            _ => Stage::Connect,
        };
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            warning!("the client did not connect in time");
            self.fail(SessionError::TimedOut(stage));
        } else if self.silence().is_some_and(|deadline| now >= deadline) {
            if self.pinged {
                warning!("the client went silent");
                self.fail(SessionError::TimedOut(Stage::Traffic));
            } else {
                (self.since, self.pinged) = (OptionalInstant::at(now), true);
                // The time in it is for us alone. Where the queue is full, the client has been deaf, not silent.
                let _ = self.link.queue_event(PING_REQUEST, now.as_micros() as u32);
            }
        }
        self.failure().map_or(Ok(()), Err)
    }

    /// Begins to wait for the client, when that is not done yet.
    pub(super) fn arm(&mut self, now: Instant) {
        if self.since.get().is_none() {
            self.since = OptionalInstant::at(now);
        }
    }

    /// By when the client is to have finished the handshake, connected, or let itself be told that it is refused.
    fn deadline(&self) -> Option<Instant> {
        let awaits = match self.state {
            State::ExpectHandshake | State::ExpectConnect => true,
            State::Connecting | State::Open | State::Failed => false,
            State::Closed => self.link.wants_transmit(),
        };
        self.since.get().filter(|_| awaits).map(|since| since.after_millis(self.connect_millis))
    }

    /// When a client that is silent is pinged, or given up.
    fn silence(&self) -> Option<Instant> {
        // While the application is asked, nothing is read: the client cannot be heard.
        let listens = self.state == State::Open && !self.is_asking();
        self.since.get().filter(|_| listens).map(|since| since.after_millis(self.idle_millis / 2))
    }
}
