//! Tries targets one after another with one connection.

use core::task::{Context, Poll, ready};

use embedded_rtmp::port_plan::{Failure, Sequence};
use embedded_rtmp::url::Url;

use crate::client::ClientOptions;
use crate::client::connection::{Connection, Over, Stage};
use crate::client::dial::Host;
use crate::client::open::{Next, Request};
use crate::clock::{clock, has_passed};
use crate::error::Error;
use crate::fmt::info;

impl<'a, const STREAMS: usize, const PLAYS: usize> Connection<'a, STREAMS, PLAYS> {
    /// Tries the targets of `sequence`, until the server has accepted the request.
    ///
    /// # Errors
    /// No server has accepted it.
    pub(crate) fn poll_sequence(
        &mut self,
        sequence: &mut Sequence<'_>,
        host: &Host<'_>,
        (url, request): (&Url<'_>, Request<'a, STREAMS, PLAYS>),
        options: &ClientOptions<'_>,
        entropy: &mut dyn FnMut() -> [u8; 32],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Over>> {
        loop {
            // A reset must be sent before anything else happens.
            ready!(self.poll_closed(cx));
            let failure = match self.stage {
                Stage::Idle if self.failed.is_some() => return Poll::Ready(Err(Over)),
                Stage::Idle => {
                    let Some(attempt) = sequence.dial(clock()) else {
                        return Poll::Ready(Err(self.end(Error::Exhausted)));
                    };
                    self.begin(attempt, host, options, entropy).err()
                }
                Stage::Opening | Stage::Handshake => match self.poll_attempt(host, cx) {
                    Poll::Ready(Ok(())) => {
                        sequence.report_tcp(clock());
                        None
                    }
                    Poll::Ready(Err(why)) => Some(why),
                    Poll::Pending if has_passed(sequence.deadline(), cx) => Some(Failure::TimedOut),
                    Poll::Pending => return Poll::Pending,
                },
                _ => match ready!(self.poll_asked(url, options, request, cx)) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(Over) => {
                        if self.give_up() == Next::SameTarget {
                            sequence.dial_again();
                        }
                        None
                    }
                },
            };
            if let Some(why) = failure {
                if why == Failure::TimedOut {
                    info!("no answer in time");
                } else {
                    info!("failed: {}", why);
                }
                self.reset();
            }
        }
    }
}
