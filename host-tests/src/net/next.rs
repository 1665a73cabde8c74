//! The next connection of a client that the server has asked to connect again, and the end of the previous one.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result, anyhow, bail};
use embedded_rtmp::message::FourCc;
use embedded_rtmp::session::{ClientConfig, ClientEvent, Stage};
use embedded_rtmp::time::Instant;

use super::{Clock, Destination, Dialler, Link, LinkReport, OrderArguments, TlsArguments};

/// The time that the server of the previous connection has to acknowledge the end of the stream.
const CLOSE: Duration = Duration::from_secs(2);

/// How often a connection that is being prepared is checked.
const LOOK: Duration = Duration::from_millis(100);

/// How a connection is made.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The order in which targets are tried.
    pub(crate) order: OrderArguments,
    /// The options for verifying a server inside TLS.
    pub(crate) tls: TlsArguments,
    /// The configuration of the session.
    pub(crate) config: ClientConfig,
    /// The codecs that the server must accept.
    pub(crate) codecs: Vec<FourCc>,
}

/// A connection whose server has accepted `connect`.
#[derive(Debug)]
pub(crate) struct Next<const PLAYS: usize, T> {
    pub(crate) link: Link<PLAYS>,
    pub(crate) destination: Destination,
    pub(crate) report: LinkReport,
    /// What the preparation has returned.
    pub(crate) prepared: T,
    /// When it was ready.
    pub(crate) since: Instant,
}

/// The state of the next connection.
#[derive(Debug, Default)]
pub(crate) enum Prepared<const PLAYS: usize, T> {
    /// There is none.
    #[default]
    No,
    UnderWay(Receiver<Result<Next<PLAYS, T>>>),
    Ready(Box<Next<PLAYS, T>>),
}

impl<const PLAYS: usize, T: Send + 'static> Prepared<PLAYS, T> {
    /// Prepares a connection in a thread: handshake, `connect`, and what `complete` does. Redirects and challenges are
    /// followed.
    pub(crate) fn begin(
        destination: Destination,
        route: Route,
        clock: Clock,
        complete: impl FnOnce(&mut Link<PLAYS>, &Destination) -> Result<T> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel();
        // If the client does not wait any longer, the connection is closed.
        thread::spawn(move || _ = sender.send(connect(destination, &route, clock, complete)));
        Self::UnderWay(receiver)
    }

    /// Looks whether the connection is ready.
    ///
    /// # Errors
    /// There is no connection. The state is [`Self::No`] then.
    pub(crate) fn poll(&mut self) -> Result<()> {
        let Self::UnderWay(receiver) = self else { return Ok(()) };
        let received = match receiver.try_recv() {
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => Err(anyhow!("the thread has ended")),
            Ok(result) => result,
        };
        *self = Self::No;
        *self = Self::Ready(Box::new(received?));
        Ok(())
    }
}

fn connect<const PLAYS: usize, T>(
    mut destination: Destination,
    route: &Route,
    clock: Clock,
    complete: impl FnOnce(&mut Link<PLAYS>, &Destination) -> Result<T>,
) -> Result<Next<PLAYS, T>> {
    loop {
        let target = destination.stream().clone();
        let url = target.url()?;
        let way = route.order.for_url(&url);
        let mut dialler = Dialler::new(url.host(), &way.targets, way.limits, route.config, &route.tls, clock)?;
        let mut report = LinkReport::default();
        let mut link = Link::connect(&mut dialler, &url, destination.properties(), clock, &mut report)?;
        if is_accepted(&mut link, &mut destination, &route.codecs)? {
            let prepared = complete(&mut link, &destination)?;
            return Ok(Next { link, destination, report, prepared, since: clock.now() });
        }
    }
}

/// Waits for the answer to `connect`. Returns `false` if the client must connect again: the server has sent it elsewhere, or
/// may accept it without the announcement of Enhanced RTMP.
fn is_accepted<const PLAYS: usize>(
    link: &mut Link<PLAYS>,
    destination: &mut Destination,
    codecs: &[FourCc],
) -> Result<bool> {
    let answer = run_until(link, |event| match event {
        ClientEvent::Connected => {
            destination.accepted();
            codecs.iter().try_for_each(|codec| destination.check(*codec))?;
            Ok(Some(true))
        }
        ClientEvent::Refused(Stage::Connect, status) => destination.follow(&status).map(|()| Some(false)),
        _ => Ok(None),
    });
    match answer {
        Err(error) if error.is::<io::Error>() && destination.closed() => Ok(false),
        answer => answer,
    }
}

/// Lets the session of a new connection run until `handle` returns a result for one of its events.
///
/// # Errors
/// `handle` fails, or the session, or the connection. The last one is an [`io::Error`].
pub(crate) fn run_until<const PLAYS: usize, T>(
    link: &mut Link<PLAYS>,
    mut handle: impl FnMut(ClientEvent<'_>) -> Result<Option<T>>,
) -> Result<T> {
    loop {
        let mut result = None;
        let received = link.receive(|event| {
            if let ClientEvent::Closed = event {
                bail!("the server closed the connection");
            }
            result = handle(event)?;
            Ok(result.is_none())
        });
        if let Some(result) = result {
            return Ok(result);
        }
        if !received.and_then(|received| Ok(link.send()? | received))? {
            if link.is_ended() {
                return Err(io::Error::new(ErrorKind::ConnectionAborted, "the server closed the connection").into());
            }
            link.wait(LOOK)?;
        }
        // A server may send without an answer.
        link.handle_timeout()?;
    }
}

/// A connection that is left in good order.
#[derive(Debug)]
pub(crate) struct Leaving<const PLAYS: usize> {
    link: Link<PLAYS>,
    until: Instant,
}

impl<const PLAYS: usize> Leaving<PLAYS> {
    /// Leaves a connection. The end of the stream is sent, unless it was sent before.
    pub(crate) fn new(mut link: Link<PLAYS>) -> Self {
        // This fails if the session has failed.
        let _ = link.session.close();
        let until = link.clock.now() + CLOSE;
        Self { link, until }
    }

    /// Does all work that is possible now. Returns whether the connection has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut is_over = self.link.clock.now() >= self.until;
        let moved = self.link.receive(|event| {
            is_over |= matches!(event, ClientEvent::Unpublished | ClientEvent::Closed);
            Ok(true)
        });
        is_over |= moved.and_then(|_| self.link.send()).is_err() || self.link.is_ended();
        // A player does not wait for an answer.
        is_over |= PLAYS > 0 && self.link.session.is_closed() && !self.link.pipe.has_output();
        if is_over {
            self.link.close_tunnel();
        }
        is_over
    }
}

/// The notice about a request to connect again to a server that cannot be used.
pub(crate) fn no_other_connection(error: &Error) -> String {
    format!("asked to connect again, but there is no other connection: {error:#}")
}

/// The notice about a request to connect again that is not followed.
pub(crate) fn not_followed(error: &Error) -> String {
    format!("a request to connect again is not followed: {error:#}")
}
