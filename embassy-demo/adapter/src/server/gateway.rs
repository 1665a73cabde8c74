//! The interface between a server's sockets and its tunnels (RTMPT), which serve the connections that speak HTTP.
//!
//! Without the feature `rtmpt`, the types are empty and need no flash.

use core::task::{Context, Poll};

use crate::error::Error;
use crate::server::relay::Relay;
#[cfg(feature = "rtmpt")]
pub(crate) use crate::server::tunnels::Web;
use crate::transport::Tcp;

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

    pub(crate) fn shutdown(&mut self, _: &mut Relay<'_, '_>) {}
}
