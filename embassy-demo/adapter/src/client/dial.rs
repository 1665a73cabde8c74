//! One attempt of a port plan: TCP to one of the host's addresses after another, then RTMP's handshake.

use core::task::{Context, Poll};

use embassy_net::{IpAddress, IpEndpoint};
use embedded_rtmp::port_plan::{AttemptId, Failure, Target};
use embedded_rtmp::session::ClientConfig;
use embedded_rtmp::time::Instant;

use crate::client::connection::{Connection, Stage};
use crate::client::tunnel::Tunnel;
use crate::clock::{clock, has_passed};
use crate::error::handshake_failure;
use crate::fmt::info;
use crate::transport::OpenError;

/// An attempt that is under way on a connection, or won.
#[derive(Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) id: Option<AttemptId>,
    port: u16,
    /// Which of the host's addresses is tried.
    address: u8,
    /// Microseconds that each address gets of the time that TCP may take.
    share: u32,
    /// When the next address gets its turn.
    turn: Instant,
}

impl Attempt {
    pub(crate) const NONE: Self = Self { id: None, port: 0, address: 0, share: 0, turn: Instant::from_micros(0) };
}

/// What there is to reach.
pub(crate) struct Host<'h, 'a> {
    pub(crate) name: &'a str,
    pub(crate) addresses: &'h [IpAddress],
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// Whether it carries this attempt.
    pub(crate) fn carries(&self, id: AttemptId) -> bool {
        self.stage != Stage::Idle && self.attempt.id == Some(id)
    }

    /// Begins to connect to a port at the first address, anew and in the same memory. Each address gets its part of the
    /// time to `deadline`.
    pub(crate) fn begin(
        &mut self,
        (id, target, deadline): (AttemptId, Target, Instant),
        host: &Host<'_, 'a>,
        session: ClientConfig,
        entropy: &[u8; 32],
    ) -> Result<(), Failure> {
        if !Tunnel::carries(target.transport) {
            return Err(Failure::Unsupported);
        }
        info!("dial port {}", target.port);
        // The buffers have been found large enough before.
        self.client.restart(session, entropy).map_err(|_| Failure::Local)?;
        self.tunnel.begin(target, host.name);
        self.link.restart();
        self.link.keep_alive(None);
        let time = deadline.as_micros().wrapping_sub(clock().as_micros()) as u32;
        let share = time.checked_div(host.addresses.len() as u32).unwrap_or(0);
        self.attempt = Attempt { id: Some(id), port: target.port, address: 0, share, turn: deadline };
        self.open(host, Failure::Dns)
    }

    /// Begins to connect to the next address, from the attempt's on, for which that is possible; `why` is the failure
    /// where there is none.
    fn open(&mut self, host: &Host<'_, 'a>, mut why: Failure) -> Result<(), Failure> {
        while let Some(address) = host.addresses.get(usize::from(self.attempt.address)) {
            let to = IpEndpoint::new(*address, self.attempt.port);
            match self.link.open(to) {
                Ok(()) => {
                    self.tunnel.leads_to(to);
                    self.stage = Stage::Opening;
                    let turn = clock().as_micros().wrapping_add(self.attempt.share.into());
                    self.attempt.turn = Instant::from_micros(turn);
                    return Ok(());
                }
                Err(error) => why = error.into(),
            }
            self.attempt.address += 1;
        }
        Err(why)
    }

    /// Waits for the next stage: that TCP is there, or that RTMP's handshake is complete.
    pub(crate) fn poll_attempt(&mut self, host: &Host<'_, 'a>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.stage == Stage::Opening {
            let is_last = usize::from(self.attempt.address) + 1 >= host.addresses.len();
            let why = match self.link.poll_opened(cx) {
                Poll::Ready(Ok(())) => {
                    self.stage = Stage::Handshake;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending if is_last || !has_passed(self.attempt.turn, cx) => return Poll::Pending,
                Poll::Pending => Failure::TimedOut,
            };
            self.attempt.address += 1;
            self.open(host, why)?;
        }
        let result = self.advance();
        if self.stage == Stage::Greeted {
            // Whatever came behind the handshake is another matter.
            return Poll::Ready(Ok(()));
        }
        if result.is_err() {
            return Poll::Ready(Err(self.failed.take().map_or(Failure::Closed, |error| handshake_failure(&error))));
        }
        self.register(cx);
        Poll::Pending
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused => Failure::Refused,
            OpenError::Unreachable => Failure::Unreachable,
        }
    }
}
