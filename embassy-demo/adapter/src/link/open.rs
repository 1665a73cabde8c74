//! How a connection comes about, on either side.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_net::tcp::State;
use embassy_net::{IpAddress, IpEndpoint};

use super::{Link, now};

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The peer answered with RST.
    Refused,
    /// There is no address of ours, or no way, from which to reach the peer.
    Unreachable,
}

/// What has become of a connection that was to be opened.
#[cfg(feature = "rtmpt")]
pub(crate) enum Opened {
    NotYet,
    Yes,
    No,
}

impl Link<'_> {
    /// Begins to open a connection of the session, in place of the one before it. [`Self::poll_opened`] tells what comes
    /// of it.
    pub(crate) fn open(&mut self, to: IpEndpoint) -> Result<(), OpenError> {
        self.socket.abort();
        // smoltcp would dial from an address that is not ours, and then close the socket as if it were refused.
        let has_address = match to.addr {
            IpAddress::Ipv4(_) => self.stack.config_v4().is_some(),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => self.stack.config_v6().is_some(),
            #[allow(unreachable_patterns, reason = "families that the stack was built with, and we were not")]
            _ => true,
        };
        if !has_address {
            return Err(OpenError::Unreachable);
        }
        match now(self.socket.connect(to)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(embassy_net::tcp::ConnectError::NoRoute)) => Err(OpenError::Unreachable),
            Some(Err(_)) => Err(OpenError::Refused),
        }
    }

    /// Waits until the connection is open, or refused.
    pub(crate) fn poll_opened(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), OpenError>> {
        match self.socket.state() {
            State::SynSent | State::SynReceived => {
                self.wake(cx);
                Poll::Pending
            }
            State::Closed | State::TimeWait => Poll::Ready(Err(OpenError::Refused)),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// What has become of [`Self::open`].
    #[cfg(feature = "rtmpt")]
    pub(crate) fn opened(&self) -> Opened {
        match self.socket.state() {
            State::SynSent | State::SynReceived => Opened::NotYet,
            State::Closed | State::TimeWait => Opened::No,
            _ => Opened::Yes,
        }
    }

    /// Waits for a connection to `port`. A socket that did something else before begins anew.
    pub(crate) fn poll_accept(&mut self, port: u16, cx: &mut Context<'_>) -> Poll<()> {
        match self.socket.state() {
            State::Listen | State::SynReceived => {
                self.wake_when_writable(cx);
                Poll::Pending
            }
            State::Established | State::CloseWait => Poll::Ready(()),
            _ => {
                self.restart();
                pin!(self.socket.accept(port)).poll(cx).map(|_| ())
            }
        }
    }

    /// Whether this socket would take the next connection to its port.
    pub(crate) fn is_listening(&self) -> bool {
        self.socket.state() == State::Listen
    }
}
