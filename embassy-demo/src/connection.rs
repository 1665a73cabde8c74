//! A client session on its socket.

use core::task::Context;

use embedded_rtmp::session::{Client, ClientConfig, ClientEvent};

use crate::error::Error;
use crate::link::{Link, clock, wake_at};

/// A client session and the socket that it runs on. The session runs inside the socket's own closures: what comes is
/// lent from the receive ring, what goes is written into the send ring.
pub(crate) struct Connection<'a, const STREAMS: usize, const PLAYS: usize = 0> {
    pub(crate) link: Link<'a>,
    pub(crate) client: Client<'a, STREAMS, PLAYS>,
    config: ClientConfig,
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    pub(crate) const fn new(link: Link<'a>, client: Client<'a, STREAMS, PLAYS>, config: ClientConfig) -> Self {
        Self { link, client, config }
    }

    /// Begins anew in the same memory, for another attempt.
    pub(crate) fn restart(&mut self, entropy: &[u8; 32]) -> Result<(), Error> {
        Ok(self.client.restart(self.config, entropy)?)
    }

    /// Takes in what has come, puts out what waits, and looks at the clock. Nothing is left to do then before more
    /// comes, room is made or time passes; [`Self::register`] waits for that.
    ///
    /// # Errors
    /// The session has failed, or the connection is over. All that came before that has been handed on.
    pub(crate) fn advance(&mut self, on_event: &mut dyn FnMut(ClientEvent<'_>)) -> Result<(), Error> {
        let (now, client) = (clock(), &mut self.client);
        if client.poll_timeout().is_some_and(|at| at <= now) {
            client.handle_timeout(now)?;
        }
        loop {
            let mut moved = false;
            if client.wants_input() {
                let mut result = Ok(());
                let consumed = self.link.read(&mut |input| {
                    let mut rest = input;
                    result = loop {
                        match client.next_event(now, &mut rest) {
                            Ok(Some(event)) => on_event(event),
                            Ok(None) => break Ok(()),
                            Err(error) => break Err(error),
                        }
                    };
                    input.len() - rest.len()
                });
                result?;
                moved |= consumed > 0;
            }
            if client.wants_transmit() {
                moved |= self.link.write(&mut |out| client.poll_transmit(now, out)) > 0;
            }
            if !moved {
                break;
            }
        }
        if self.link.may_receive() { Ok(()) } else { Err(self.link.end()) }
    }

    /// Has the task woken when there is something to do: something has come, room was made for what waits (or for a
    /// frame, where `frames_wait`), time has passed, or the connection's state has changed.
    pub(crate) fn register(&self, frames_wait: bool, cx: &mut Context<'_>) {
        if self.client.wants_input() {
            self.link.wake_when_readable(cx);
        }
        if (frames_wait || self.client.wants_transmit()) && !self.link.has_room() {
            self.link.wake_when_writable(cx);
        }
        if let Some(at) = self.client.poll_timeout() {
            wake_at(at, cx);
        }
    }
}
