//! RTMPT: a transport over a transport, which wraps the session's bytes in HTTP requests and responses.
//!
//! The session's bytes are written into the body of a request. While a request is under way, they are gathered in lent
//! memory for the next one. The tunnel opens another connection whenever the server or a proxy has closed the previous one.

use core::task::{Context, Poll};
use core::time::Duration;

use embassy_net::{IpEndpoint, Stack};
use embedded_rtmp::port_plan::{self, Target};
use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::TunnelClient;

use super::gathered::Gathered;
use super::tcp::{OpenError, Opened};
use super::{End, Lend, Pipe, Tcp, Traffic, Transport};
use crate::clock::{clock, wake_at};
use crate::fmt::impl_format;
use crate::text::Text;

/// The time limit for opening another TCP connection.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// The delay before the tunnel connects again after a refusal.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// How long the server has to answer the request that closes the tunnel.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// After this number of connections in a row on which nothing was received, the tunnel is over.
const MAX_FUTILE: u8 = 3;

/// The length of the longest host name in bytes: that of DNS (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// A connection that can be opened again after it has ended.
pub trait Reopen: Transport {
    /// What a connection is opened to.
    type To: Copy;

    /// Begins to open a connection, after aborting the previous one.
    ///
    /// # Errors
    /// There is no route.
    fn open(&mut self, to: Self::To) -> Result<(), OpenError>;

    /// Returns the result of [`Self::open`], or that there is none yet.
    fn opened(&self) -> Opened;

    /// Returns whether bytes may still arrive, or received bytes are unread.
    fn may_receive(&self) -> bool;

    /// Wakes the task when anything changes.
    fn wake(&self, cx: &mut Context<'_>);
}

impl Reopen for Tcp<'_> {
    type To = IpEndpoint;

    fn open(&mut self, to: IpEndpoint) -> Result<(), OpenError> {
        Tcp::open(self, to)
    }

    fn opened(&self) -> Opened {
        Tcp::opened(self)
    }

    fn may_receive(&self) -> bool {
        Tcp::may_receive(self)
    }

    fn wake(&self, cx: &mut Context<'_>) {
        Tcp::wake(self, cx);
    }
}

/// A TCP socket of embassy-net, or a [`Pipe`](super::Pipe) over streams of a connector, with a tunnel over it if the
/// attempt is RTMPT or RTMPTS.
pub struct Tunnel<'a, T: Reopen = Tcp<'a>> {
    tcp: T,
    /// `None` if the session runs without a tunnel.
    client: Option<TunnelClient<Text<MAX_HOST>>>,
    to: Option<T::To>,
    /// The deadline for the connection that is being opened.
    opening: Option<Instant>,
    /// When the tunnel connects again if it was refused.
    again: Instant,
    futile: u8,
    gathered: Gathered<'a>,
    /// How many bytes the session is going to write, as it has announced.
    announced: usize,
    failed: Option<End>,
    closing: Closing,
}

/// The stage of closing the tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// The session has not closed it.
    Open,
    /// The server is to answer the requests that were written.
    Settling,
    /// The server is to answer the request that closes the tunnel, before this deadline.
    Told(Instant),
    /// The TCP connection is being closed.
    Tcp,
}

impl_format!(['a, T: Reopen] Tunnel<'a, T>, this => "Tunnel {{ {} }}", this.traffic());

impl<'a> Tunnel<'a> {
    /// Creates a socket that is not connected. `gather` is memory for bytes that wait for the next request.
    pub(crate) fn new(stack: Stack<'a>, rx: &'a mut [u8], tx: &'a mut [u8], gather: &'a mut [u8]) -> Self {
        Self::over(Tcp::new(stack, rx, tx), gather)
    }

    /// Returns whether attempts of this kind can be carried out.
    pub(crate) fn carries(transport: port_plan::Transport) -> bool {
        !transport.is_tls() && (cfg!(feature = "rtmpe") || !transport.is_rtmpe())
    }

    /// Prepares the socket for an attempt.
    pub(crate) fn begin(&mut self, target: Target, host: &str) {
        self.restart(target, host);
        self.tcp.restart();
    }

    /// Begins to open a connection, and stores the address for the connections that follow.
    pub(crate) fn open(&mut self, to: IpEndpoint) -> Result<(), OpenError> {
        self.to = Some(to);
        self.tcp.open(to)
    }

    /// The socket.
    pub(crate) fn tcp(&mut self) -> &mut Tcp<'a> {
        &mut self.tcp
    }
}

impl<'a> Tunnel<'a, &'a Pipe<'a>> {
    /// Prepares for an attempt over a stream that is connected.
    pub(crate) fn begin_connected(&mut self, target: Target, host: &str) {
        self.restart(target, host);
        self.to = Some(());
    }
}

impl<'a, T: Reopen> Tunnel<'a, T> {
    /// Creates a session's transport over `tcp`. `gather` is memory for bytes that wait for the next request.
    pub(crate) fn over(tcp: T, gather: &'a mut [u8]) -> Self {
        Self {
            tcp,
            client: None,
            to: None,
            opening: None,
            again: Instant::from_micros(0),
            futile: 0,
            gathered: Gathered::new(gather),
            announced: 0,
            failed: None,
            closing: Closing::Open,
        }
    }

    fn restart(&mut self, target: Target, host: &str) {
        let is_tunnel = target.transport.is_tunnel();
        self.client = is_tunnel.then(|| TunnelClient::new(Text::new(host.into()), target.port));
        (self.to, self.opening, self.futile, self.announced) = (None, None, 0, 0);
        (self.failed, self.closing) = (None, Closing::Open);
        self.gathered.clear();
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let at = match self.opening {
            // If the deadline has passed, the connection is being opened.
            Some(limit) if clock() >= self.again => Some(limit),
            Some(_) => Some(self.again),
            None => self.client.as_ref()?.poll_timeout(),
        };
        match self.closing {
            Closing::Told(limit) => Some(at.map_or(limit, |at| at.min(limit))),
            _ => at,
        }
    }

    /// Checks the time and the connection, and opens another connection if one is needed.
    ///
    /// # Errors
    /// The tunnel is over.
    fn advance(&mut self, now: Instant) -> Result<(), End> {
        if let Some(end) = self.failed {
            return Err(end);
        }
        let result = self.try_advance(now);
        self.failed = result.err();
        result
    }

    fn try_advance(&mut self, now: Instant) -> Result<(), End> {
        let Some(client) = &mut self.client else { return Ok(()) };
        client.handle_timeout(now).map_err(End::Tunnel)?;
        if let Some(limit) = self.opening {
            return match self.tcp.opened() {
                Opened::Yes => {
                    self.opening = None;
                    client.connected();
                    Ok(())
                }
                _ if now >= limit => Err(End::Lost),
                // A proxy that is overloaded may accept a connection in a moment.
                Opened::No if now >= self.again => {
                    self.again = now + RETRY_DELAY;
                    let to = self.to.ok_or(End::Lost)?;
                    self.tcp.open(to).map_err(|_| End::Lost)
                }
                Opened::No | Opened::NotYet => Ok(()),
            };
        }
        if client.is_closed() || (!client.needs_connection() && self.tcp.may_receive()) {
            return Ok(());
        }
        if !client.needs_connection() {
            client.connection_ended().map_err(End::Tunnel)?;
        }
        if client.is_closed() {
            return Ok(());
        }
        self.futile = self.futile.saturating_add(1);
        let to = self.to.filter(|_| self.futile <= MAX_FUTILE).ok_or(End::Closed)?;
        self.tcp.open(to).map_err(|_| End::Lost)?;
        (self.opening, self.again) = (Some(now + OPEN_LIMIT), now + RETRY_DELAY);
        Ok(())
    }

    /// Writes a request, if one can be written, and lends the room in its body to `f`. Returns how many bytes `f` wrote, or
    /// `None` if it was not called.
    fn transmit(&mut self, now: Instant, cx: &mut Context<'_>, f: Lend<'_>) -> Option<usize> {
        let client = self.client.as_mut()?;
        let (gathered, mut filled) = (&mut self.gathered, None);
        loop {
            let waiting = self.announced.saturating_add(gathered.len());
            if !client.wants_transmit(now, waiting) {
                return filled;
            }
            let written = self.tcp.poll_write(cx, &mut |out| {
                client.poll_transmit(now, out, waiting, |room| {
                    let moved = gathered.move_to(room);
                    match room.get_mut(moved..) {
                        None | Some([]) => moved,
                        Some(room) => {
                            let written = f(room).min(room.len());
                            filled = Some(written);
                            moved.saturating_add(written)
                        }
                    }
                })
            });
            if filled.is_some() || !matches!(written, Poll::Ready(Ok(1..))) {
                return filled;
            }
        }
    }

    /// Does the tunnel's own work, such as polls and reconnections, and wakes the task when there is more to do.
    fn drive(&mut self, now: Instant, cx: &mut Context<'_>) -> Result<(), End> {
        self.advance(now)?;
        if self.closing == Closing::Settling
            && let Some(client) = self.client.as_mut().filter(|it| !it.is_under_way() && self.gathered.len() == 0)
        {
            client.close();
            self.closing = Closing::Told(now + CLOSE_LIMIT);
        }
        // If the session has announced a write, the request is sent with that write.
        if self.announced == 0 {
            self.transmit(now, cx, &mut |_| 0);
        }
        if let Some(at) = self.poll_timeout() {
            wake_at(at, cx);
        }
        Ok(())
    }
}

impl<T: Reopen> Transport for Tunnel<'_, T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        if self.client.is_none() {
            return self.tcp.poll_read(cx, f);
        }
        let now = clock();
        self.advance(now)?;
        let Self { tcp, client: Some(client), futile, failed, .. } = self else { return Poll::Pending };
        let (mut taken, mut is_stuck) = (0_usize, false);
        loop {
            let read = tcp.poll_read(cx, &mut |input| {
                *futile = 0;
                let mut consumed = 0_usize;
                while let Some(rest) = input.get_mut(consumed..)
                    && !is_stuck
                    && failed.is_none()
                {
                    let result = client.receive_in_place(now, rest, |data| {
                        let took = f(data).min(data.len());
                        taken = taken.saturating_add(took);
                        is_stuck = took < data.len();
                        took
                    });
                    match result {
                        Ok(0) => break,
                        Ok(more) => consumed = consumed.saturating_add(more),
                        Err(error) => *failed = Some(End::Tunnel(error)),
                    }
                }
                consumed
            });
            if let Some(end) = *failed {
                return Poll::Ready(Err(end));
            }
            if is_stuck && taken == 0 {
                // The session may have to write before it can read on.
                client.send_early();
            }
            if taken > 0 || is_stuck {
                return Poll::Ready(Ok(taken));
            }
            if !matches!(read, Poll::Ready(Ok(1..))) {
                return Poll::Pending;
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        let Some(client) = &self.client else { return self.tcp.poll_write(cx, f) };
        if self.closing != Closing::Open {
            return Poll::Ready(Err(End::Closed));
        }
        if let Some(end) = self.failed {
            return Poll::Ready(Err(end));
        }
        let now = clock();
        if client.wants_transmit(now, 1) {
            let filled = self.transmit(now, cx, f);
            self.announced = 0;
            return filled.map_or(Poll::Pending, |filled| Poll::Ready(Ok(filled)));
        }
        self.announced = 0;
        if self.gathered.is_full() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.gathered.gather(f)))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if self.client.is_none() || self.closing == Closing::Tcp {
            return self.tcp.poll_gone(cx);
        }
        let now = clock();
        if self.closing != Closing::Open {
            // Input that the session does not read any longer must not delay the responses.
            while let Poll::Ready(Ok(1..)) = self.poll_read(cx, &mut |bytes| bytes.len()) {}
        }
        let result = self.drive(now, cx);
        if let Closing::Told(limit) = self.closing {
            let is_closed = self.client.as_ref().is_none_or(|client| client.is_closed());
            if result.is_err() || is_closed || now >= limit {
                self.closing = Closing::Tcp;
                self.tcp.close();
                return self.tcp.poll_gone(cx);
            }
        }
        if let Err(end) = result {
            return Poll::Ready(end);
        }
        self.tcp.wake(cx);
        Poll::Pending
    }

    fn close(&mut self) {
        if self.client.is_some() {
            self.closing = Closing::Settling;
        } else {
            self.tcp.close();
        }
    }

    fn abort(&mut self) {
        self.client = None;
        self.tcp.abort();
    }

    fn leave(&mut self) -> bool {
        let Some(client) = self.client.as_mut().filter(|_| self.failed.is_none()) else { return false };
        client.close();
        self.closing = Closing::Told(clock() + CLOSE_LIMIT);
        true
    }

    fn unacknowledged(&self) -> Option<usize> {
        let is_told = self.client.is_none() || matches!(self.closing, Closing::Open | Closing::Tcp);
        Some(self.tcp.unacknowledged()?.saturating_add(usize::from(!is_told)))
    }

    fn has_room(&self) -> bool {
        match &self.client {
            Some(client) if !client.wants_transmit(clock(), 1) => !self.gathered.is_full(),
            _ => self.tcp.has_room(),
        }
    }

    fn traffic(&self) -> Traffic {
        self.tcp.traffic()
    }

    fn announce(&mut self, waiting: &mut dyn FnMut() -> usize) {
        if self.client.is_some() {
            self.announced = waiting();
        }
    }
}
