//! Carries out a port plan with several sockets: attempts overlap, and the one whose handshake is complete first wins.

use core::task::Poll;

use embassy_net::{IpAddress, Stack};
use embedded_rtmp::connect::{AttemptId, Failure, Plan, Step};
use embedded_rtmp::session::Client;
use embedded_rtmp::url::Url;

use crate::buffers::Memory;
use crate::connection::Connection;
use crate::dial::{Attempt, RESET_LIMIT, Stage, lookup, until};
use crate::error::Error;
use crate::fmt::info;
use crate::link::{Link, clock};
use crate::publisher::{PublishOptions, Publisher, may_be_cut_off};
use crate::tunnel::Tunnel;

impl<'a, const STREAMS: usize> Publisher<'a, STREAMS> {
    /// As [`Self::connect`], with N sockets, so that attempts overlap as the plan has it:
    /// [`Limits::smart`](embedded_rtmp::connect::Limits::smart) or
    /// [`Limits::staggered`](embedded_rtmp::connect::Limits::staggered), with no more at once than N.
    ///
    /// Each attempt under way uses one of `memory`, and the winner keeps its own; the others stay lent as long. The losers
    /// are reset before anything but the handshake is sent to anyone.
    ///
    /// # Errors
    /// Those of [`Self::connect`].
    pub async fn race<const N: usize, const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize>(
        stack: Stack<'a>,
        url: &Url<'a>,
        plan: &mut Plan<'_>,
        options: &PublishOptions<'_>,
        memory: &'a mut [Memory<RX, TX, SCRATCH, CONTROL>; N],
        mut entropy: impl FnMut() -> [u8; 32],
    ) -> Result<Self, Error> {
        url.key().ok_or(Error::NoStreamKey)?;
        let mut failed = None;
        let connections = memory.each_mut().map(|memory| {
            let (rx, tx, buffers) = memory.split();
            let client = Client::new(buffers, options.session, &entropy());
            let connection = client.map(|client| Connection::new(Link::new(stack, rx, tx), client, options.session));
            connection.map_err(|error| failed = Some(error)).ok()
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut race = Race::new(connections);
        let addresses = lookup(stack, url.host(), plan).await?;
        loop {
            let winner = race.run(url.host(), &addresses, plan, &mut entropy).await?;
            let connection = race.connection(winner).ok_or(Error::Exhausted)?;
            match connection.publish(url, options).await {
                Ok(stream) => {
                    let mut publisher = Self::over(race.take(winner).ok_or(Error::Exhausted)?);
                    publisher.inner.get_mut().begin(stream, options);
                    return Ok(publisher);
                }
                Err(error) => {
                    connection.reset().await;
                    if !may_be_cut_off(&error) || connection.was_answered() {
                        return Err(error);
                    }
                    race.reset(winner);
                    plan.report_cut_off(clock());
                }
            }
        }
    }
}

/// A socket with what a session is lent, and the attempt that uses it.
struct Lane<'a, const STREAMS: usize> {
    /// Always there, once the race has begun.
    connection: Option<Connection<'a, STREAMS>>,
    attempt: Option<Attempt>,
    /// A reset may not have been sent yet.
    is_reset: bool,
}

impl<const STREAMS: usize> Lane<'_, STREAMS> {
    fn has(&self, id: AttemptId) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.id == id)
    }

    /// Gives the attempt up. The reset is sent when the stack runs next: [`Self::settle`] waits for that.
    fn reset(&mut self) {
        self.attempt = None;
        self.is_reset = true;
        if let Some(connection) = &mut self.connection {
            connection.link.abort();
        }
    }

    async fn settle(&mut self) {
        if self.is_reset
            && let Some(connection) = &mut self.connection
        {
            connection.link.flush(RESET_LIMIT).await;
        }
        self.is_reset = false;
    }
}

/// As many sockets as there may be attempts at once.
struct Race<'a, const STREAMS: usize, const N: usize>([Lane<'a, STREAMS>; N]);

impl<'a, const STREAMS: usize, const N: usize> Race<'a, STREAMS, N> {
    fn new(connections: [Option<Connection<'a, STREAMS>>; N]) -> Self {
        Self(connections.map(|connection| Lane { connection, attempt: None, is_reset: false }))
    }

    /// Goes on with the plan, until an attempt has completed the RTMP handshake and all others are closed. Answers which
    /// it is.
    async fn run(
        &mut self,
        host: &'a str,
        addresses: &[IpAddress],
        plan: &mut Plan<'_>,
        entropy: &mut dyn FnMut() -> [u8; 32],
    ) -> Result<AttemptId, Error> {
        let Self(lanes) = self;
        loop {
            match plan.poll(clock()) {
                Step::Dial { id, target, .. } if !Tunnel::carries(target.transport) => {
                    plan.report_failed(id, clock(), Failure::Unsupported);
                }
                Step::Dial { id, target, deadline } => {
                    let idle = lanes.iter_mut().find(|lane| lane.attempt.is_none());
                    let Some(lane) = idle else {
                        plan.report_failed(id, clock(), Failure::Local);
                        continue;
                    };
                    lane.settle().await;
                    let Some(connection) = &mut lane.connection else { continue };
                    connection.restart(&entropy())?;
                    match connection.begin(id, target, host, deadline, addresses) {
                        Ok(attempt) => lane.attempt = Some(attempt),
                        Err(why) => plan.report_failed(id, clock(), why),
                    }
                }
                Step::Abandon(id) => lanes.iter_mut().filter(|lane| lane.has(id)).for_each(Lane::reset),
                Step::Await { deadline } => {
                    let news = until(deadline, |cx| {
                        for lane in lanes.iter_mut() {
                            if let (Some(connection), Some(attempt)) = (&mut lane.connection, &mut lane.attempt)
                                && let Poll::Ready(result) = connection.poll_attempt(attempt, addresses, cx)
                            {
                                return Poll::Ready((attempt.id, result));
                            }
                        }
                        Poll::Pending
                    });
                    let Some((id, result)) = news.await else { continue };
                    match result {
                        Ok(Stage::Tcp) => plan.report_tcp(id, clock()),
                        Ok(Stage::Handshake) => plan.report_connected(id, clock()),
                        Err(why) => {
                            info!("failed: {}", why);
                            plan.report_failed(id, clock(), why);
                            lanes.iter_mut().filter(|lane| lane.has(id)).for_each(Lane::reset);
                        }
                    }
                }
                Step::Connected(id) => {
                    // The losers' resets go out before the winner says anything.
                    for lane in lanes.iter_mut() {
                        lane.settle().await;
                    }
                    return Ok(id);
                }
                Step::Exhausted => return Err(Error::Exhausted),
            }
        }
    }

    /// The connection of an attempt.
    fn connection(&mut self, id: AttemptId) -> Option<&mut Connection<'a, STREAMS>> {
        self.0.iter_mut().find(|lane| lane.has(id))?.connection.as_mut()
    }

    /// Gives the attempt up.
    fn reset(&mut self, id: AttemptId) {
        self.0.iter_mut().filter(|lane| lane.has(id)).for_each(Lane::reset);
    }

    /// The connection of an attempt, and the end of all others.
    fn take(self, id: AttemptId) -> Option<Connection<'a, STREAMS>> {
        self.0.into_iter().find(|lane| lane.has(id))?.connection
    }
}
