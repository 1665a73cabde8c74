//! A client session on its socket.

use core::task::Context;

use embedded_rtmp::session::{Client, ClientConfig, ClientEvent};

use crate::error::Error;
use crate::link::{Link, clock, wake_at};
use crate::tunnel::Tunnel;

/// A client session and the socket that it runs on. The session runs inside the socket's own closures: what comes is
/// lent from the receive ring, what goes is written into the send ring.
pub(crate) struct Connection<'a, const STREAMS: usize, const PLAYS: usize = 0> {
    pub(crate) link: Link<'a>,
    pub(crate) client: Client<'a, STREAMS, PLAYS>,
    pub(crate) tunnel: Tunnel<'a>,
    config: ClientConfig,
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    pub(crate) const fn new(link: Link<'a>, client: Client<'a, STREAMS, PLAYS>, config: ClientConfig) -> Self {
        Self { link, client, tunnel: Tunnel::none(), config }
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
        let now = clock();
        let Self { link, client, tunnel, .. } = self;
        if client.poll_timeout().is_some_and(|at| at <= now) {
            client.handle_timeout(now)?;
        }
        loop {
            let mut moved = tunnel.step(now, link)?;
            if client.wants_input() || tunnel.is_some() {
                let mut result: Result<(), Error> = Ok(());
                let consumed = link.read(&mut |input| {
                    let mut rest = input;
                    result = loop {
                        let before = rest.len();
                        match tunnel.receive(now, &mut rest, |bytes| client.next_event(now, bytes)) {
                            Ok(Ok(Some(event))) => on_event(event),
                            // Where there is a tunnel, HTTP may have been taken and nothing of the session's.
                            Ok(Ok(None)) if !tunnel.is_some() || rest.len() == before => break Ok(()),
                            Ok(Ok(None)) => {}
                            Ok(Err(error)) => break Err(error.into()),
                            Err(error) => break Err(error),
                        }
                    };
                    input.len() - rest.len()
                });
                result?;
                moved |= consumed > 0;
            }
            if tunnel.is_some() && !client.wants_input() && client.wants_transmit() {
                tunnel.hurry();
            }
            let waiting = tunnel.count(|| client.transmit_len());
            if tunnel.wants_transmit(client.wants_transmit(), waiting) {
                let mut put = |out: &mut [u8]| tunnel.transmit(waiting, out, |room| client.poll_transmit(now, room));
                moved |= link.write(&mut put) > 0;
            }
            if !moved {
                break;
            }
        }
        if link.may_receive() || tunnel.is_some() { Ok(()) } else { Err(link.end()) }
    }

    /// Whether media can be put out now.
    pub(crate) fn takes_media(&self) -> bool {
        self.tunnel.takes_media(self.link.has_room())
    }

    /// Whether what is written may still arrive, on this connection or on another one of the tunnel.
    pub(crate) fn may_send(&self) -> bool {
        self.link.may_send() || self.tunnel.is_some()
    }

    /// Has the task woken when there is something to do: something has come, room was made for what waits (or for a
    /// frame, where `frames_wait`), time has passed, or the connection's state has changed.
    pub(crate) fn register(&self, frames_wait: bool, cx: &mut Context<'_>) {
        let Self { link, client, tunnel, .. } = self;
        if client.wants_input() || tunnel.is_some() {
            link.wake_when_readable(cx);
        }
        let waits = frames_wait || client.wants_transmit() || !tunnel.is_settled() || tunnel.is_opening();
        if waits && !link.has_room() {
            link.wake_when_writable(cx);
        }
        for at in [client.poll_timeout(), tunnel.poll_timeout()].into_iter().flatten() {
            wake_at(at, cx);
        }
    }
}
