//! Carries out a port plan: dials, keeps the deadlines, reports, and asks the server that answers.
//!
//! There is one connection for each attempt that may be in progress at the same time. One connection tries the ports one
//! after another. Several connections overlap their attempts as the plan says. The connection whose handshake is complete
//! first wins. The others are reset before they have sent anything except the handshake. If the winner is cut off before the
//! server has answered, the plan continues.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use embassy_net::Stack;
#[cfg(feature = "auth")]
use embedded_rtmp::auth::Credentials;
use embedded_rtmp::command::ConnectOptions;
use embedded_rtmp::port_plan::{self, Failure, Plan, PlanError, PlanEvent};
#[cfg(feature = "redirect")]
use embedded_rtmp::port_plan::{DEFAULT_ORDER, Order};
use embedded_rtmp::session;
use embedded_rtmp::session::{Client, RequestError};
use embedded_rtmp::url::{KEY_PARTS, Url};

use crate::client::ClientOptions;
use crate::client::connection::{Connection, Over, Stage};
use crate::client::dial::Host;
#[cfg(feature = "redirect")]
use crate::client::redirect::{Address, Redirect, target};
use crate::client::resolve::{Lookup, resolve};
use crate::clock::{clock, wake_at};
use crate::error::Error;
use crate::fmt::info;
use crate::transport::Transport;

/// Asks the server to publish or to play the URL's key.
pub(crate) type Request<'a, const STREAMS: usize, const PLAYS: usize> =
    fn(&mut Client<'a, STREAMS, PLAYS>, &[&str; KEY_PARTS]) -> Result<(), RequestError>;

/// What follows on a connection that the server has not accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another connection to the same target.
    SameTarget,
    /// The next target.
    OtherTarget,
    /// Nothing: the connection stores why.
    Nothing,
}

/// The host, the plan, and the request to the server.
pub(crate) struct Dialing<'c, 'p, 'a, const STREAMS: usize, const PLAYS: usize> {
    pub(crate) host: Host<'c>,
    pub(crate) plan: &'c mut Plan<'p>,
    pub(crate) options: &'c ClientOptions<'c>,
    pub(crate) entropy: &'c mut dyn FnMut() -> [u8; 32],
    /// `None` if only the handshake is wanted.
    pub(crate) request: Option<(&'c Url<'c>, Request<'a, STREAMS, PLAYS>)>,
}

/// Waits until one of the connections is open, and returns its index.
pub(crate) async fn open<'a, const STREAMS: usize, const PLAYS: usize>(
    connections: &mut [Connection<'a, STREAMS, PLAYS>],
    course: &mut Dialing<'_, '_, 'a, STREAMS, PLAYS>,
) -> Result<usize, Error> {
    let result = poll_fn(|cx| course.poll_open(connections, cx)).await;
    result.map_err(|index| connections.get(index).and_then(|it| it.failed).unwrap_or(Error::Exhausted))
}

/// Looks up the host of a URL and carries out the plan, until one of the connections is open. Returns its index. If the
/// server sends the client elsewhere, the same happens there, with a plan of the same limits. `application` is then the one
/// that the server has named.
///
/// # Errors
/// No connection is open, or the URL cannot be used.
pub(crate) async fn open_url<'a, const STREAMS: usize, const PLAYS: usize>(
    stack: Stack<'_>,
    connections: &mut [Connection<'a, STREAMS, PLAYS>],
    request: (&Url<'_>, Request<'a, STREAMS, PLAYS>),
    #[cfg(feature = "redirect")] application: &mut Option<Address>,
    plan: &mut Plan<'_>,
    options: &ClientOptions<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<usize, Error> {
    let result = open_at(stack, connections, request, plan, options, entropy).await;
    #[cfg(feature = "redirect")]
    if let Err(error) = result {
        return follow(stack, connections, request, (application, error), plan, options, entropy).await;
    }
    result
}

/// Follows a server that has sent the client elsewhere, from `application` on. `error` is returned if there is no such server.
///
/// # Errors
/// No connection is open, or the client does not follow.
#[cfg(feature = "redirect")]
pub(crate) async fn follow<'a, const STREAMS: usize, const PLAYS: usize>(
    stack: Stack<'_>,
    connections: &mut [Connection<'a, STREAMS, PLAYS>],
    (url, request): (&Url<'_>, Request<'a, STREAMS, PLAYS>),
    (application, error): (&mut Option<Address>, Error),
    plan: &Plan<'_>,
    options: &ClientOptions<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<usize, Error> {
    let mut result = Err(error);
    let list = if url.port().is_some() { DEFAULT_ORDER } else { plan.targets() };
    while result.is_err()
        && let Some(sent) = connections.iter_mut().find(|it| it.redirect.is_new())
    {
        sent.redirect.resolve(url, application.as_ref()).map_err(Error::Redirect)?;
        let redirect = core::mem::replace(&mut sent.redirect, Redirect::NONE);
        for connection in &mut *connections {
            connection.redirect.clone_from(&redirect);
            *application = connection.begin_redirect(url);
            connection.failed = None;
        }
        let to = target(url, application.as_ref());
        let order = Order::for_url_or(&to, list);
        let mut plan = plan.for_targets(order.targets())?;
        result = open_at(stack, connections, (&to, request), &mut plan, options, entropy).await;
    }
    result
}

async fn open_at<'a, const STREAMS: usize, const PLAYS: usize>(
    stack: Stack<'_>,
    connections: &mut [Connection<'a, STREAMS, PLAYS>],
    (url, request): (&Url<'_>, Request<'a, STREAMS, PLAYS>),
    plan: &mut Plan<'_>,
    options: &ClientOptions<'_>,
    entropy: &mut dyn FnMut() -> [u8; 32],
) -> Result<usize, Error> {
    let found = lookup(stack, url, plan).await?;
    let host = Host { name: url.host(), addresses: found.addresses() };
    open(connections, &mut Dialing { host, plan, options, entropy, request: Some((url, request)) }).await
}

/// Checks that a URL's transport is one that `carries` accepts.
///
/// # Errors
/// [`PlanError::Scheme`].
pub(crate) fn check_scheme(url: &Url<'_>, carries: impl FnOnce(port_plan::Transport) -> bool) -> Result<(), Error> {
    if carries(port_plan::Transport::of(url.scheme())) { Ok(()) } else { Err(Error::Plan(PlanError::Scheme)) }
}

/// Finds the addresses of the host of a URL. If there are none, the plan reports this failure for every target.
///
/// # Errors
/// There are no addresses, or the URL needs TLS, which the attempts of a plan do not support.
async fn lookup(stack: Stack<'_>, url: &Url<'_>, plan: &mut Plan<'_>) -> Result<Lookup, Error> {
    check_scheme(url, |transport| !transport.is_tls())?;
    resolve(stack, url.host()).await.map_err(|error| {
        while let Some(PlanEvent::Dial { id, .. }) = plan.poll_event(clock()) {
            plan.report_failed(id, clock(), Failure::Dns);
        }
        Error::Resolve(error)
    })
}

impl<'a, const STREAMS: usize, const PLAYS: usize> Dialing<'_, '_, 'a, STREAMS, PLAYS> {
    /// Waits until one of the connections is open, and returns its index. If none opens, returns the index of the connection
    /// that stores the reason.
    pub(crate) fn poll_open(
        &mut self,
        connections: &mut [Connection<'a, STREAMS, PLAYS>],
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, usize>> {
        loop {
            // A reset must be sent before anything else happens.
            if connections.iter_mut().any(|it| it.poll_closed(cx).is_pending()) {
                return Poll::Pending;
            }
            if let Some(index) = connections.iter().position(|it| it.stage == Stage::Idle && it.failed.is_some()) {
                return Poll::Ready(Err(index));
            }
            let now = clock();
            match self.plan.poll_event(now) {
                Some(PlanEvent::Dial { id, target, deadline }) => {
                    // Only the connection that has received the server's challenge or refusal knows what to send next.
                    let is_owned = connections.iter().any(Connection::owns_next_attempt);
                    let is_free = |it: &&mut Connection<'_, STREAMS, PLAYS>| {
                        it.stage == Stage::Idle && it.owns_next_attempt() == is_owned
                    };
                    let idle = connections.iter_mut().find(is_free);
                    let begun = idle.map_or(Err(Failure::Local), |it| {
                        it.begin((id, target, deadline), &self.host, self.options, self.entropy)
                    });
                    if let Err(why) = begun {
                        self.plan.report_failed(id, now, why);
                    }
                }
                Some(PlanEvent::Abandon(id)) => {
                    // The attempts that lost are also abandoned.
                    if self.plan.winner().is_none() {
                        info!("no answer in time");
                    }
                    connections.iter_mut().filter(|it| it.carries(id)).for_each(Connection::reset);
                }
                None => {
                    let news = connections.iter_mut().filter(|it| it.stage != Stage::Idle);
                    let mut news = news.filter_map(|it| match it.poll_attempt(&self.host, cx) {
                        Poll::Ready(result) => Some((it, result)),
                        Poll::Pending => None,
                    });
                    let Some((connection, result)) = news.next() else {
                        if let Some(deadline) = self.plan.poll_timeout() {
                            wake_at(deadline, cx);
                        }
                        return Poll::Pending;
                    };
                    let Some(id) = connection.attempt.id else { continue };
                    match result {
                        Ok(()) if connection.stage == Stage::Greeted => self.plan.report_connected(id, now),
                        Ok(()) => self.plan.report_tcp(id, now),
                        Err(why) => {
                            info!("failed: {}", why);
                            self.plan.report_failed(id, now, why);
                            connection.reset();
                        }
                    }
                }
                Some(PlanEvent::Connected(id)) => {
                    let winner = connections.iter_mut().enumerate().find(|(_, it)| it.carries(id));
                    let Some((index, winner)) = winner else { return Poll::Ready(Err(0)) };
                    let Some((url, request)) = self.request else { return Poll::Ready(Ok(index)) };
                    match ready!(winner.poll_asked(url, self.options, request, cx)) {
                        Ok(()) => return Poll::Ready(Ok(index)),
                        Err(Over) => match winner.give_up() {
                            Next::SameTarget => self.plan.dial_again(),
                            Next::OtherTarget => self.plan.report_cut_off(now),
                            Next::Nothing => {}
                        },
                    }
                }
                Some(PlanEvent::Exhausted) => {
                    let Some(first) = connections.first_mut() else { return Poll::Ready(Err(0)) };
                    first.end(Error::Exhausted);
                }
            }
        }
    }
}

impl<'a, const STREAMS: usize, const PLAYS: usize, T: Transport> Connection<'a, STREAMS, PLAYS, T> {
    /// Waits until the handshake is complete, asks the server, and waits until it has accepted.
    pub(crate) fn poll_asked(
        &mut self,
        url: &Url<'_>,
        options: &ClientOptions<'_>,
        request: Request<'a, STREAMS, PLAYS>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Over>> {
        loop {
            if self.stage == Stage::Greeted {
                self.ask(url, options, request);
            }
            if let Err(Over) = self.advance(cx) {
                #[cfg(feature = "auth")]
                {
                    let app = self.given_app(options).unwrap_or(url.app());
                    let credentials = self.credentials(url, options);
                    if let Err(error) = self.answer.conclude(app, credentials) {
                        self.failed = Some(Error::Auth(error));
                    }
                }
                #[cfg(feature = "enhanced")]
                self.offering.conclude(self.failed);
                return Poll::Ready(Err(Over));
            }
            match self.stage {
                Stage::Handshake | Stage::Asked => return Poll::Pending,
                Stage::Greeted => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Asks for the application and the key of the options, or of the URL.
    fn ask(&mut self, url: &Url<'_>, options: &ClientOptions<'_>, request: Request<'a, STREAMS, PLAYS>) {
        self.stage = Stage::Asked;
        self.lost_after = options.keep_alive.timeout;
        let mut tc_url = url.tc_url_parts();
        let given = self.given_app(options);
        let [.., app] = &mut tc_url;
        *app = given.unwrap_or(app);
        #[cfg(feature = "auth")]
        {
            *app = self.answer.app(app);
        }
        let app = *app;
        let mut connect = ConnectOptions::new(app, &tc_url);
        connect.flash_ver = options.flash_ver;
        #[cfg(feature = "enhanced")]
        {
            connect.properties = self.offering.properties(options.capabilities);
        }
        let key = options.key.map_or_else(|| url.key_parts(), |key| ["", key, ""]);
        let result = self.client.connect(&connect);
        if let Err(error) = result.and_then(|()| request(&mut self.client, &key)) {
            self.end(error.into());
        }
    }

    /// Returns the application that the caller has given instead of that of the URL.
    fn given_app<'o>(&self, options: &ClientOptions<'o>) -> Option<&'o str> {
        #[cfg(feature = "redirect")]
        if self.redirect.is_followed {
            return None;
        }
        options.app
    }

    /// Returns the user and the password for the server. Only the host of the caller's URL gets them.
    #[cfg(feature = "auth")]
    fn credentials<'o>(&self, url: &Url<'o>, options: &ClientOptions<'o>) -> Option<Credentials<'o>> {
        #[cfg(feature = "redirect")]
        if self.redirect.is_elsewhere {
            return None;
        }
        let in_url = || Some(Credentials { user: url.user()?, password: url.password().unwrap_or_default() });
        options.credentials.or_else(in_url)
    }

    /// Resets a connection that the server has not accepted. Returns what the port plan does next.
    pub(crate) fn give_up(&mut self) -> Next {
        let next = if self.retries_at_once() {
            Next::SameTarget
        } else if self.is_cut_off() {
            Next::OtherTarget
        } else {
            Next::Nothing
        };
        if next != Next::Nothing {
            self.failed = None;
        }
        self.reset();
        next
    }

    /// Returns whether the next connection should be made at once: this one has received a challenge, or was refused
    /// because of the offer of Enhanced RTMP. Returns `true` once for each.
    pub(crate) fn retries_at_once(&mut self) -> bool {
        #[cfg(feature = "auth")]
        if self.answer.take_new() {
            return true;
        }
        #[cfg(feature = "enhanced")]
        if self.offering.take_new() {
            return true;
        }
        false
    }

    /// Returns whether the next attempt has an answer to send, or omits the offer of Enhanced RTMP.
    pub(crate) fn owns_next_attempt(&self) -> bool {
        #[cfg(feature = "auth")]
        if self.answer.is_due() {
            return true;
        }
        #[cfg(feature = "enhanced")]
        if self.offering.is_due() {
            return true;
        }
        false
    }

    /// Returns whether the connection ended as if a firewall let only the handshake through.
    fn is_cut_off(&self) -> bool {
        let may_be = matches!(
            self.failed,
            Some(Error::Closed | Error::Lost | Error::Session(session::SessionError::TimedOut(_)))
        );
        may_be && !self.was_answered()
    }
}
