//! The interfaces between a server's sockets and what else serves their connections: tunnels (RTMPT), which serve those that
//! speak HTTP, and the application, to which connections are handed over.
//!
//! Without the features `rtmpt` and `handover`, the types are empty and need no flash.

use core::task::{Context, Poll};

#[cfg(feature = "enhanced")]
use embedded_rtmp::command::ReconnectRequest;
#[cfg(feature = "enhanced")]
use embedded_rtmp::relay::Directory;
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::server::handler::SessionId;
use crate::server::relay::Relay;
#[cfg(feature = "rtmpt")]
pub(crate) use crate::server::tunnels::Web;
use crate::transport::{End, Tcp};

/// Serves connections that speak HTTP: any number of tunnels.
#[cfg(feature = "rtmpt")]
pub(crate) trait WebServer {
    /// A connection has been opened. [`Self::poll`] looks at it first.
    fn accept(&self, link: &Tcp<'_>, relay: &Relay<'_, '_>) -> Web;

    /// Serves a connection. Ready if the connection is over, or if it does not speak HTTP. In the latter case, none of its
    /// input is consumed.
    fn poll(
        &mut self,
        web: &mut Web,
        link: &mut Tcp<'_>,
        relay: &mut Relay<'_, '_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>>;

    /// Returns whether the connection has a tunnel in which a client publishes or plays.
    fn is_active(&self, web: &Web) -> bool;

    /// Records that a connection is closed.
    fn leave(&mut self, web: &mut Web, relay: &mut Relay<'_, '_>, why: &Error);

    /// Handles timeouts and registers the next one. Call this after all connections were polled.
    fn tick(&mut self, relay: &mut Relay<'_, '_>, cx: &mut Context<'_>);

    /// Asks the clients in tunnels to connect again. Returns how many were asked.
    #[cfg(feature = "enhanced")]
    fn request_reconnect(&mut self, request: &ReconnectRequest<'_>, directory: &mut Directory<'_, '_>) -> usize;

    /// Ends the tunnel of a session. Returns whether there is one.
    #[cfg(feature = "admin")]
    fn close(&mut self, session: SessionId, relay: &mut Relay<'_, '_>, why: &Error) -> bool;

    /// Ends all tunnels.
    fn shutdown(&mut self, relay: &mut Relay<'_, '_>);
}

#[cfg(feature = "rtmpt")]
pub(crate) type Gateway<'a> = &'a mut (dyn WebServer + 'a);
#[cfg(not(feature = "rtmpt"))]
pub(crate) type Gateway<'a> = Web;

/// The types without the feature `rtmpt`: no connection is served.
#[cfg(not(feature = "rtmpt"))]
pub(crate) enum Web {}

#[cfg(not(feature = "rtmpt"))]
impl Web {
    pub(crate) fn accept(&self, _: &Tcp<'_>, _: &Relay<'_, '_>) -> Web {
        match *self {}
    }

    pub(crate) fn poll(
        &mut self,
        web: &mut Web,
        _: &mut Tcp<'_>,
        _: &mut Relay<'_, '_>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        match *web {}
    }

    pub(crate) fn is_active(&self, web: &Web) -> bool {
        match *web {}
    }

    pub(crate) fn leave(&mut self, web: &mut Web, _: &mut Relay<'_, '_>, _: &Error) {
        match *web {}
    }

    pub(crate) fn tick(&mut self, _: &mut Relay<'_, '_>, _: &mut Context<'_>) {}

    #[cfg(feature = "enhanced")]
    pub(crate) fn request_reconnect(&mut self, _: &ReconnectRequest<'_>, _: &mut Directory<'_, '_>) -> usize {
        match *self {}
    }

    #[cfg(feature = "admin")]
    pub(crate) fn close(&mut self, _: SessionId, _: &mut Relay<'_, '_>, _: &Error) -> bool {
        match *self {}
    }

    pub(crate) fn shutdown(&mut self, _: &mut Relay<'_, '_>) {}
}

/// A connection whose first byte or first request has not arrived.
#[cfg(feature = "web")]
#[derive(Clone, Copy)]
pub(crate) struct FirstLook {
    /// The time limit, if there is one.
    pub(crate) until: Option<Instant>,
    /// The number of bytes of a request that were seen.
    #[cfg(feature = "handover")]
    pub(crate) seen: usize,
}

/// What begins with the first request of a connection.
#[cfg(feature = "web")]
pub(crate) enum Route<'a> {
    /// RTMP, or a tunnel.
    Session,
    /// A viewer.
    Web,
    /// The application serves the connection.
    #[cfg_attr(not(feature = "handover"), expect(dead_code, reason = "nothing is handed over"))]
    HandedOver(Handovers<'a>),
    /// The connection is over. An answer may be written.
    Ended(End),
}

#[cfg(feature = "web")]
impl FirstLook {
    pub(crate) const fn new(until: Option<Instant>) -> Self {
        Self {
            until,
            #[cfg(feature = "handover")]
            seen: 0,
        }
    }
}

/// Connections of an application, any number of them, as the sockets of a server see them. Each has the id of its socket.
#[cfg(feature = "handover")]
pub(crate) trait HandoverServer {
    /// Waits for the first request, and decides about the connection. No input is consumed.
    fn poll_first_request(
        &self,
        look: &mut FirstLook,
        id: SessionId,
        has_web: bool,
        link: &mut Tcp<'_>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Route<'_>>;

    /// Does everything that can be done now, and registers the task's waker. Ready if the connection is over; it is forgotten
    /// then.
    fn poll(&self, id: SessionId, link: &mut Tcp<'_>, now: Instant, cx: &mut Context<'_>) -> Poll<End>;

    /// Forgets a connection.
    fn end(&self, id: SessionId);

    /// Forgets all connections.
    fn end_all(&self);
}

#[cfg(feature = "handover")]
pub(crate) type Handovers<'a> = &'a (dyn HandoverServer + 'a);

/// The type without the feature `handover`: no connection is handed over.
#[cfg(not(feature = "handover"))]
#[derive(Clone, Copy)]
pub(crate) enum Handovers<'a> {
    _None(core::convert::Infallible, core::marker::PhantomData<&'a ()>),
}

#[cfg(not(feature = "handover"))]
impl<'a> Handovers<'a> {
    #[cfg(feature = "web")]
    pub(crate) fn poll_first_request(
        self,
        _: &mut FirstLook,
        _: SessionId,
        _: bool,
        _: &mut Tcp<'_>,
        _: Instant,
        _: &mut Context<'_>,
    ) -> Poll<Route<'a>> {
        match self {}
    }

    pub(crate) fn poll(self, _: SessionId, _: &mut Tcp<'_>, _: Instant, _: &mut Context<'_>) -> Poll<End> {
        match self {}
    }

    pub(crate) fn end(self, _: SessionId) {}

    pub(crate) fn end_all(self) {}
}
