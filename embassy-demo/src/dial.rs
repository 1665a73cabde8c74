//! Carries out a port plan: dials, keeps the deadlines, reports.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_net::{IpAddress, IpEndpoint, Stack};
use embassy_time::Duration;
use embedded_rtmp::connect::{AttemptId, Failure, Plan, Step, Target};
use embedded_rtmp::session::ClientEvent;
use embedded_rtmp::time::Instant;

use crate::connection::Connection;
use crate::error::{Error, handshake_failure};
use crate::fmt::info;
use crate::link::{OpenError, clock, wake_at};
use crate::resolve::{Addresses, ResolveError, resolve};
use crate::tunnel::Tunnel;

/// How long an abandoned connection may take to send its RST.
pub(crate) const RESET_LIMIT: Duration = Duration::from_millis(100);
/// How long the name servers get.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// An attempt that is under way on a connection.
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    port: u16,
    has_tcp: bool,
    /// Which of the host's addresses is tried.
    address: u8,
    /// Microseconds that each address gets of the time that TCP may take.
    share: u32,
    /// When the next address gets its turn.
    turn: Instant,
}

/// What is new in an attempt.
pub(crate) enum Stage {
    /// The TCP connection is there.
    Tcp,
    /// The RTMP handshake is complete.
    Handshake,
}

/// Tries the plan's targets one after another, until one has completed the RTMP handshake.
pub(crate) async fn dial<'a, const STREAMS: usize, const PLAYS: usize>(
    connection: &mut Connection<'a, STREAMS, PLAYS>,
    host: &'a str,
    addresses: &[IpAddress],
    plan: &mut Plan<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<(), Error> {
    let mut current: Option<Attempt> = None;
    loop {
        match plan.poll(clock()) {
            // There is one socket, so there is one attempt at a time.
            Step::Dial { id, .. } if current.is_some() => plan.report_failed(id, clock(), Failure::Local),
            Step::Dial { id, target, .. } if !Tunnel::carries(target.transport) => {
                plan.report_failed(id, clock(), Failure::Unsupported);
            }
            Step::Dial { id, target, deadline } => {
                connection.restart(&entropy())?;
                match connection.begin(id, target, host, deadline, addresses) {
                    Ok(attempt) => current = Some(attempt),
                    Err(why) => plan.report_failed(id, clock(), why),
                }
            }
            Step::Await { deadline } => {
                let Some(attempt) = &mut current else {
                    let _: Option<()> = until(deadline, |_| Poll::Pending).await;
                    continue;
                };
                let result = until(deadline, |cx| connection.poll_attempt(attempt, addresses, cx)).await;
                let now = clock();
                match result {
                    // The plan says what a passed deadline means.
                    None => continue,
                    Some(Ok(Stage::Tcp)) => {
                        plan.report_tcp(attempt.id, now);
                        continue;
                    }
                    Some(Ok(Stage::Handshake)) => plan.report_connected(attempt.id, now),
                    Some(Err(why)) => {
                        info!("failed: {}", why);
                        plan.report_failed(attempt.id, now, why);
                        connection.reset().await;
                    }
                }
                current = None;
            }
            Step::Abandon(_) => {
                info!("no answer in time");
                connection.reset().await;
                current = None;
            }
            Step::Connected(_) => return Ok(()),
            Step::Exhausted => return Err(Error::Exhausted),
        }
    }
}

/// The addresses of a host. If there are none, every target of the plan has that for its reason.
pub(crate) async fn lookup(stack: Stack<'_>, host: &str, plan: &mut Plan<'_>) -> Result<Addresses, Error> {
    let result = embassy_time::with_timeout(RESOLVE_LIMIT, resolve(stack, host)).await;
    result.unwrap_or(Err(ResolveError::NoAnswer)).map_err(|error| {
        while let Step::Dial { id, .. } = plan.poll(clock()) {
            plan.report_failed(id, clock(), Failure::Dns);
        }
        Error::Resolve(error)
    })
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// Begins to connect to a port at the first of `addresses`. Each of them gets its part of the time to `deadline`.
    pub(crate) fn begin(
        &mut self,
        id: AttemptId,
        target: Target,
        host: &'a str,
        deadline: Instant,
        addresses: &[IpAddress],
    ) -> Result<Attempt, Failure> {
        let port = target.port;
        info!("dial port {}", port);
        self.tunnel.begin(target, host);
        let share = (deadline.as_micros().wrapping_sub(clock().as_micros()) as u32)
            .checked_div(addresses.len() as u32)
            .unwrap_or(0);
        let mut attempt = Attempt { id, port, has_tcp: false, address: 0, share, turn: deadline };
        self.open(&mut attempt, addresses, Failure::Dns).map(|()| attempt)
    }

    /// Begins to connect to the next address, from the attempt's on, for which that is possible; `why` is the failure
    /// where there is none.
    fn open(&mut self, attempt: &mut Attempt, addresses: &[IpAddress], mut why: Failure) -> Result<(), Failure> {
        while let Some(address) = addresses.get(usize::from(attempt.address)) {
            let to = IpEndpoint::new(*address, attempt.port);
            match self.link.open(to) {
                Ok(()) => {
                    self.tunnel.leads_to(to);
                    attempt.turn = Instant::from_micros(clock().as_micros().saturating_add(attempt.share.into()));
                    return Ok(());
                }
                Err(error) => why = error.into(),
            }
            attempt.address += 1;
        }
        Err(why)
    }

    /// Waits for TCP, or for the end of the RTMP handshake.
    pub(crate) fn poll_attempt(
        &mut self,
        attempt: &mut Attempt,
        addresses: &[IpAddress],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stage, Failure>> {
        while !attempt.has_tcp {
            let is_last = usize::from(attempt.address) + 1 >= addresses.len();
            let why = match self.link.poll_opened(cx) {
                Poll::Ready(Ok(())) => {
                    attempt.has_tcp = true;
                    return Poll::Ready(Ok(Stage::Tcp));
                }
                Poll::Ready(Err(error)) => error.into(),
                Poll::Pending if is_last => return Poll::Pending,
                Poll::Pending if clock() < attempt.turn => {
                    wake_at(attempt.turn, cx);
                    return Poll::Pending;
                }
                Poll::Pending => Failure::TimedOut,
            };
            attempt.address += 1;
            self.open(attempt, addresses, why)?;
        }
        let mut is_done = false;
        match self.advance(&mut |event| is_done |= matches!(event, ClientEvent::HandshakeDone(_))) {
            // Whatever came behind the handshake is another matter.
            _ if is_done => Poll::Ready(Ok(Stage::Handshake)),
            Err(error) => Poll::Ready(Err(handshake_failure(&error))),
            Ok(()) => {
                self.register(false, cx);
                Poll::Pending
            }
        }
    }

    /// Whether anything came behind the handshake.
    pub(crate) fn was_answered(&self) -> bool {
        self.client.bytes_received() > 0
    }

    /// Ends the connection with a reset, and sees to it that this is sent.
    pub(crate) async fn reset(&mut self) {
        self.link.abort();
        self.link.flush(RESET_LIMIT).await;
    }
}

/// What `poll` comes to, or `None` once the deadline has passed.
pub(crate) async fn until<T>(deadline: Instant, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if has_passed(deadline, cx) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Whether a deadline has passed; if not, the task is woken when it does.
#[inline(never)]
fn has_passed(deadline: Instant, cx: &mut Context<'_>) -> bool {
    let passed = clock() >= deadline;
    if !passed {
        wake_at(deadline, cx);
    }
    passed
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused => Failure::Refused,
            OpenError::Unreachable => Failure::Unreachable,
        }
    }
}
