//! One attempt of a port plan: TCP to the host's addresses, one after another, then RTMP's handshake.

use core::task::{Context, Poll};

use embassy_net::{IpAddress, IpEndpoint, Stack};
use embedded_rtmp::port_plan::{AttemptId, Failure, Target};
use embedded_rtmp::session::{Client, ClientConfig, ConfigError};
use embedded_rtmp::time::Instant;

use crate::buffers::Lent;
use crate::client::ClientOptions;
use crate::client::attempt::Attempt;
use crate::client::connection::{Connection, Stage};
use crate::clock::{clock, has_passed};
use crate::error::handshake_failure;
use crate::fmt::info;
use crate::transport::keys::Keys;
use crate::transport::{Net, OpenError};

/// The host to connect to.
pub(crate) struct Host<'h> {
    pub(crate) name: &'h str,
    pub(crate) addresses: &'h [IpAddress],
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// A connection over a socket of embassy-net, in [`Stage::Idle`]. The session is configured when an attempt begins.
    pub(crate) fn idle_over_net(stack: Stack<'a>, lent: Lent<'a>) -> Self {
        #[cfg(feature = "rtmpt")]
        let net = Net::new(stack, lent.rx, lent.tx, lent.gather);
        #[cfg(not(feature = "rtmpt"))]
        let net = Net::new(stack, lent.rx, lent.tx);
        Self::over(net, Client::idle(lent.buffers))
    }

    /// The same, with the configuration checked.
    pub(crate) fn over_net(stack: Stack<'a>, lent: Lent<'a>, session: &ClientConfig) -> Result<Self, ConfigError> {
        let mut connection = Self::idle_over_net(stack, lent);
        // Each attempt begins with entropy of its own.
        connection.client.restart(*session, &[0; 32])?;
        Ok(connection)
    }

    /// Returns whether the connection carries out this attempt.
    pub(crate) fn carries(&self, id: AttemptId) -> bool {
        self.stage != Stage::Idle && self.attempt.id == Some(id)
    }

    /// Restarts the session, and begins to connect to a port at the first address. Each address gets an equal part of the
    /// time to `deadline`.
    #[expect(clippy::cast_possible_truncation, reason = "a port has less than an hour, and a host has few addresses")]
    pub(crate) fn begin(
        &mut self,
        (id, target, deadline): (AttemptId, Target, Instant),
        host: &Host<'_>,
        options: &ClientOptions<'_>,
        entropy: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<(), Failure> {
        if !Net::carries(target.transport) {
            return Err(Failure::Unsupported);
        }
        info!("dial port {}", target.port);
        if let Err(error) = self.restart(&options.session, &entropy()) {
            self.end(error.into());
            return Err(Failure::Local);
        }
        self.keys = Keys::None;
        // The keys are made before the connection.
        #[cfg(feature = "rtmpe")]
        if target.transport.is_rtmpe()
            && let Err(error) = self.keys.begin(&mut self.client, &entropy())
        {
            self.end(error.into());
            return Err(Failure::Local);
        }
        self.transport.begin(target, host.name);
        self.transport.tcp().keep_alive(options.keep_alive);
        let time = deadline.as_micros().wrapping_sub(clock().as_micros()) as u32;
        let share = time.checked_div(host.addresses.len() as u32).unwrap_or(0);
        self.attempt = Attempt { id: Some(id), target, address: 0, share };
        self.open(host, Failure::Dns)
    }

    /// Begins to connect to the first possible address, starting with the current address of the attempt. If no address is
    /// possible, the attempt fails with `why`.
    fn open(&mut self, host: &Host<'_>, mut why: Failure) -> Result<(), Failure> {
        while let Some(address) = host.addresses.get(usize::from(self.attempt.address)) {
            match self.transport.open(IpEndpoint::new(*address, self.attempt.target.port)) {
                Ok(()) => {
                    self.stage = Stage::Opening;
                    self.until = Instant::from_micros(clock().as_micros().wrapping_add(self.attempt.share.into()));
                    return Ok(());
                }
                Err(error) => why = error.into(),
            }
            self.attempt.address = self.attempt.address.wrapping_add(1);
        }
        Err(why)
    }

    /// Waits for the next stage: TCP is open, or RTMP's handshake is complete.
    pub(crate) fn poll_attempt(&mut self, host: &Host<'_>, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        while self.stage == Stage::Opening {
            let is_last = usize::from(self.attempt.address).saturating_add(1) >= host.addresses.len();
            let why = match self.transport.tcp().poll_opened(cx) {
                Poll::Ready(Ok(())) => {
                    self.stage = Stage::Handshake;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending if is_last || !has_passed(self.until, cx) => return Poll::Pending,
                Poll::Pending => Failure::TimedOut,
            };
            self.attempt.address = self.attempt.address.wrapping_add(1);
            self.open(host, why)?;
        }
        let result = self.advance(cx);
        if self.stage == Stage::Greeted {
            // Whatever came after the handshake is handled later.
            return Poll::Ready(Ok(()));
        }
        if result.is_err() {
            let why = self.failed.as_ref().map_or(Failure::Closed, handshake_failure);
            self.failed = None;
            return Poll::Ready(Err(why));
        }
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
