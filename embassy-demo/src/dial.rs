//! Carries out a port plan: dials, keeps the deadlines, reports.

use core::future::poll_fn;
use core::task::{Context, Poll};

use embassy_net::{IpAddress, IpEndpoint};
use embassy_time::Duration;
use embedded_rtmp::connect::{AttemptId, Failure, Plan, Step, Transport};
use embedded_rtmp::session::ClientEvent;
use embedded_rtmp::time::Instant;

use crate::connection::Connection;
use crate::error::{Error, handshake_failure};
use crate::fmt::info;
use crate::link::{OpenError, clock, wake_at};
use crate::resolve::ResolveError;

/// How long an abandoned connection may take to send its RST.
pub(crate) const RESET_LIMIT: Duration = Duration::from_millis(100);

/// The attempt that is under way. There is one socket, so there is one attempt at a time.
struct Attempt {
    id: AttemptId,
    has_tcp: bool,
}

/// Tries the plan's targets until one has completed the RTMP handshake.
pub(crate) async fn dial<const STREAMS: usize>(
    connection: &mut Connection<'_, STREAMS>,
    address: IpAddress,
    plan: &mut Plan<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<(), Error> {
    let mut current: Option<Attempt> = None;
    loop {
        match plan.poll(clock()) {
            Step::Dial { id, .. } if current.is_some() => plan.report_failed(id, clock(), Failure::Local),
            Step::Dial { id, target, .. } if target.transport != Transport::Rtmp => {
                plan.report_failed(id, clock(), Failure::Unsupported);
            }
            Step::Dial { id, target, .. } => {
                info!("dial port {}", target.port);
                connection.restart(&entropy())?;
                match connection.link.open(IpEndpoint::new(address, target.port)) {
                    Ok(()) => current = Some(Attempt { id, has_tcp: false }),
                    Err(error) => plan.report_failed(id, clock(), error.into()),
                }
            }
            Step::Await { deadline } => {
                let Some(attempt) = &mut current else {
                    let _: Option<()> = until(deadline, |_| Poll::Pending).await;
                    continue;
                };
                let result = until(deadline, |cx| connection.poll_attempt(attempt.has_tcp, cx)).await;
                let now = clock();
                match result {
                    // The plan says what a passed deadline means.
                    None => continue,
                    Some(Ok(())) if attempt.has_tcp => plan.report_connected(attempt.id, now),
                    Some(Ok(())) => {
                        attempt.has_tcp = true;
                        plan.report_tcp(attempt.id, now);
                        continue;
                    }
                    Some(Err(why)) => {
                        info!("failed: {}", why);
                        plan.report_failed(attempt.id, now, why);
                        connection.link.abort();
                        connection.link.flush(RESET_LIMIT).await;
                    }
                }
                current = None;
            }
            Step::Abandon(_) => {
                info!("no answer in time");
                connection.link.abort();
                connection.link.flush(RESET_LIMIT).await;
                current = None;
            }
            Step::Connected(_) => return Ok(()),
            Step::Exhausted => return Err(Error::Exhausted),
        }
    }
}

/// Reports to every target of the plan that the host has no address.
pub(crate) fn report_unresolved(plan: &mut Plan<'_>, error: ResolveError) -> Error {
    while let Step::Dial { id, .. } = plan.poll(clock()) {
        plan.report_failed(id, clock(), Failure::Dns);
    }
    Error::Resolve(error)
}

impl<const STREAMS: usize> Connection<'_, STREAMS> {
    /// Waits for TCP, or for the end of the RTMP handshake.
    fn poll_attempt(&mut self, has_tcp: bool, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if !has_tcp {
            return self.link.poll_opened(cx).map_err(Failure::from);
        }
        let mut is_done = false;
        match self.advance(&mut |event| is_done |= matches!(event, ClientEvent::HandshakeDone(_))) {
            // Whatever came behind the handshake is another matter.
            _ if is_done => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(handshake_failure(&error))),
            Ok(()) => {
                self.register(false, cx);
                Poll::Pending
            }
        }
    }
}

/// What `poll` comes to, or `None` once the deadline has passed.
pub(crate) async fn until<T>(deadline: Instant, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if clock() >= deadline => Poll::Ready(None),
        Poll::Pending => {
            wake_at(deadline, cx);
            Poll::Pending
        }
    })
    .await
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Refused => Failure::Refused,
            OpenError::Unreachable => Failure::Unreachable,
        }
    }
}
