//! The interface between a server's sockets and its tunnels (RTMPT): which connections speak HTTP, and what serves them.
//!
//! Without the feature `rtmpt` the types are empty and take no flash.

#[cfg(feature = "rtmpt")]
pub(crate) use with::{Gateway, Web};
#[cfg(not(feature = "rtmpt"))]
pub(crate) use without::{Gateway, Web};

#[cfg(feature = "rtmpt")]
mod with {
    use core::task::{Context, Poll};

    use embedded_rtmp::tunnel::{Protocol, TunnelConnection};

    use crate::clock::{clock, wake_at};
    use crate::error::Error;
    use crate::server::handler::{Handler, Origin};
    use crate::server::relay::Relay;
    pub(crate) use crate::server::tunnels::Web;
    use crate::server::tunnels::WebServer;
    use crate::transport::Tcp;

    /// The server of the tunnels, if there are any.
    pub(crate) struct Gateway<'a>(Option<&'a mut (dyn WebServer + 'a)>);

    impl<'a> Gateway<'a> {
        pub(crate) const NONE: Self = Self(None);

        pub(crate) fn new(server: &'a mut (dyn WebServer + 'a)) -> Self {
            Self(Some(server))
        }

        /// A connection has been opened. If there are tunnels, [`Self::poll`] looks at it first.
        pub(crate) fn accept(&self, link: &Tcp<'_>) -> Option<Web> {
            let now = clock();
            let until = Some(now + self.0.as_ref()?.first_byte_limit());
            let from = Origin { port: link.local_port(), remote: link.remote() };
            Some(Web { connection: TunnelConnection::new(now), from, until })
        }

        /// Serves a connection. Ready if the connection is over, or if it does not speak HTTP: then nothing of its input is
        /// consumed.
        pub(crate) fn poll(
            &mut self,
            web: &mut Web,
            link: &mut Tcp<'_>,
            relay: &mut Relay<'_, '_>,
            handler: &mut dyn Handler,
            cx: &mut Context<'_>,
        ) -> Poll<Result<(), Error>> {
            let Some(server) = &mut self.0 else { return Poll::Ready(Ok(())) };
            if let Some(until) = web.until {
                let mut first = None;
                link.read(&mut |input| {
                    first = input.first().copied();
                    0
                });
                match first.map(Protocol::of) {
                    Some(Protocol::Http) => web.until = None,
                    Some(_) => return Poll::Ready(Ok(())),
                    None if !link.may_receive() => return Poll::Ready(Err(link.end().into())),
                    None if until <= clock() => return Poll::Ready(Err(Error::Lost)),
                    None => {
                        link.wake_when_readable(cx);
                        wake_at(until, cx);
                        return Poll::Pending;
                    }
                }
            }
            match server.advance(web, link, relay, handler, cx) {
                Ok(()) => Poll::Pending,
                Err(error) => {
                    server.leave(web, &error, relay, handler);
                    Poll::Ready(Err(error))
                }
            }
        }

        /// Handles timeouts and registers the next one. Call this after all connections were polled.
        pub(crate) fn tick(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler, cx: &mut Context<'_>) {
            if let Some(server) = &mut self.0 {
                server.tick(relay, handler, cx);
            }
        }

        /// Ends all tunnels.
        pub(crate) fn shutdown(&mut self, relay: &mut Relay<'_, '_>, handler: &mut dyn Handler) {
            if let Some(server) = &mut self.0 {
                server.shutdown(relay, handler);
            }
        }
    }
}

#[cfg(not(feature = "rtmpt"))]
mod without {
    use core::marker::PhantomData;
    use core::task::{Context, Poll};

    use crate::error::Error;
    use crate::server::handler::Handler;
    use crate::server::relay::Relay;
    use crate::transport::Tcp;

    /// No connection.
    pub(crate) enum Web {}

    /// No server.
    pub(crate) struct Gateway<'a>(PhantomData<&'a ()>);

    impl Gateway<'_> {
        pub(crate) const NONE: Self = Self(PhantomData);

        pub(crate) const fn accept(&self, _: &Tcp<'_>) -> Option<Web> {
            None
        }

        pub(crate) fn poll(
            &mut self,
            web: &mut Web,
            _: &mut Tcp<'_>,
            _: &mut Relay<'_, '_>,
            _: &mut dyn Handler,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), Error>> {
            match *web {}
        }

        pub(crate) fn tick(&mut self, _: &mut Relay<'_, '_>, _: &mut dyn Handler, _: &mut Context<'_>) {}

        pub(crate) fn shutdown(&mut self, _: &mut Relay<'_, '_>, _: &mut dyn Handler) {}
    }
}
