//! An embassy-net socket as a transport: the session reads and writes in the socket's rings, with no buffer in between.
//!
//! smoltcp wakes both directions whenever the state of the connection changes. A task that polls one of them and finds
//! nothing therefore learns of FIN and RST.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embassy_net::tcp::{ConnectError, State, TcpSocket};
use embassy_net::{IpAddress, IpEndpoint, Stack};
use embassy_time::Duration;
#[cfg(not(feature = "rtmpt"))]
use embedded_rtmp::port_plan;

use super::{End, Lend, Transport};
use crate::clock::LONGEST;
use crate::fmt::impl_format;

/// When TCP sends a probe to a silent peer, and when the connection counts as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeepAlive {
    /// TCP sends a probe if we have sent no segment for this time.
    pub interval: Duration,
    /// The connection counts as lost if no segment has arrived for this time. It should be long enough for several probes,
    /// and for several retransmissions, which smoltcp sends after 1, 2 and 4 seconds.
    pub timeout: Duration,
}

impl KeepAlive {
    /// A probe after 5 s; lost after 20 s.
    pub const DEFAULT: KeepAlive = KeepAlive { interval: Duration::from_secs(5), timeout: Duration::from_secs(20) };

    /// Sets these times for the connection of a socket and for those that follow.
    pub(super) fn apply(self, socket: &mut TcpSocket<'_>) {
        socket.set_timeout(Some(self.timeout.min(LONGEST)));
        socket.set_keep_alive(Some(self.interval.min(LONGEST)));
    }
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes that went over a connection, modulo 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Bytes that the session consumed.
    pub received: u32,
    /// Bytes that the session wrote.
    pub sent: u32,
}

impl Traffic {
    #[expect(clippy::cast_possible_truncation, reason = "bytes are counted modulo 2³²")]
    pub(super) fn count(&mut self, received: usize, sent: usize) {
        self.received = self.received.wrapping_add(received as u32);
        self.sent = self.sent.wrapping_add(sent as u32);
    }
}

/// A TCP socket of embassy-net.
pub struct Tcp<'a> {
    pub(crate) stack: Stack<'a>,
    socket: TcpSocket<'a>,
    traffic: Traffic,
    /// Whether small messages filled the send ring, which has not been half empty since.
    is_crowded: bool,
    is_closed: bool,
    is_aborted: bool,
    /// Our address when the caller closed the connection.
    address: Option<IpAddress>,
}

impl_format!(['a] Tcp<'a>, this => "Tcp {{ {} }}", this.traffic);

/// Why a connection could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The peer answered with RST.
    Refused,
    /// We have no address or no route from which to reach the peer.
    Unreachable,
}

/// The state of a connection that is being opened.
#[cfg(feature = "rtmpt")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// There is no result yet.
    NotYet,
    /// The connection is open, or has been.
    Yes,
    /// The connection could not be opened.
    No,
}

/// The least send ring with which Nagle's algorithm is useful while small messages fill the ring: two whole segments are
/// then in flight, which a peer acknowledges at once, and a third one is being filled.
const NAGLE: usize = 4096;

/// A segment with fewer bytes than this is small. If a write of more bytes than this filled the ring, segments are large in
/// any case.
const SMALL: usize = 512;

/// How long a connection that a client opens may stay half open. smoltcp sends SYN-ACK up to three times in this time.
const HALF_OPEN_LIMIT: Duration = Duration::from_secs(5);

impl<'a> Tcp<'a> {
    /// A socket that is not connected, with lent memory for its receive ring and its send ring.
    ///
    /// # Panics
    /// If the stack has no socket left (`StackResources`).
    pub fn new(stack: Stack<'a>, rx: &'a mut [u8], tx: &'a mut [u8]) -> Self {
        Self::over(stack, TcpSocket::new(stack, rx, tx))
    }

    /// A socket that the caller has connected or is going to connect.
    pub fn over(stack: Stack<'a>, mut socket: TcpSocket<'a>) -> Self {
        // A chunk header and its payload are written one after the other: Nagle's algorithm would delay the payload until
        // the peer's delayed acknowledgement.
        socket.set_nagle_enabled(false);
        let traffic = Traffic::default();
        Self { stack, socket, traffic, is_crowded: false, is_closed: false, is_aborted: false, address: None }
    }

    /// Aborts the connection and prepares the socket for the next session.
    pub(crate) fn restart(&mut self) {
        self.socket.abort();
        self.socket.set_nagle_enabled(false);
        (self.is_closed, self.is_aborted, self.address) = (false, false, None);
        (self.traffic, self.is_crowded) = (Traffic::default(), false);
    }

    /// Sets when a silent peer is probed and when the connection counts as lost, on this connection and those that follow.
    pub(crate) fn keep_alive(&mut self, times: KeepAlive) {
        times.apply(&mut self.socket);
    }

    /// Returns whether attempts of this kind can be carried out.
    #[cfg(not(feature = "rtmpt"))]
    pub(crate) fn carries(transport: port_plan::Transport) -> bool {
        use port_plan::Transport::{Rtmp, Rtmpe};
        transport == Rtmp || (cfg!(feature = "rtmpe") && transport == Rtmpe)
    }

    /// Prepares the socket for an attempt. Nagle's algorithm, if it is on, is turned off by the first write.
    #[cfg(not(feature = "rtmpt"))]
    pub(crate) fn begin(&mut self, _: port_plan::Target, _: &str) {
        self.traffic = Traffic::default();
    }

    /// The socket.
    #[cfg(not(feature = "rtmpt"))]
    pub(crate) fn tcp(&mut self) -> &mut Self {
        self
    }

    /// Begins to open a connection, after aborting the previous one of the session. [`Self::poll_opened`] returns the
    /// result.
    pub(crate) fn open(&mut self, to: IpEndpoint) -> Result<(), OpenError> {
        self.socket.abort();
        (self.is_closed, self.is_aborted, self.address) = (false, false, None);
        // smoltcp would dial from an address that is not ours, and then close the socket as if the peer had refused.
        let has_address = match to.addr {
            IpAddress::Ipv4(_) => self.stack.config_v4().is_some(),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => self.stack.config_v6().is_some(),
            #[allow(unreachable_patterns, reason = "families that another crate enables in the stack")]
            _ => true,
        };
        if !has_address {
            return Err(OpenError::Unreachable);
        }
        match now(self.socket.connect(to)) {
            None | Some(Ok(())) => Ok(()),
            Some(Err(ConnectError::NoRoute)) => Err(OpenError::Unreachable),
            Some(Err(_)) => Err(OpenError::Refused),
        }
    }

    /// Waits until the connection is open or refused.
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

    /// Returns the result of [`Self::open`], or that there is none yet.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn opened(&self) -> Opened {
        match self.socket.state() {
            State::SynSent | State::SynReceived => Opened::NotYet,
            State::Closed | State::TimeWait => Opened::No,
            _ => Opened::Yes,
        }
    }

    /// Waits for a connection to `port`. If the socket did something else before, it is restarted. A client that begins to
    /// connect and then goes away keeps the socket for [`HALF_OPEN_LIMIT`]. Call [`Self::keep_alive`] when this is ready.
    pub(crate) fn poll_accept(&mut self, port: u16, cx: &mut Context<'_>) -> Poll<()> {
        match self.socket.state() {
            State::Listen | State::SynReceived => {
                self.wake_when_writable(cx);
                Poll::Pending
            }
            State::Established | State::CloseWait => Poll::Ready(()),
            _ => {
                self.restart();
                self.socket.set_timeout(Some(HALF_OPEN_LIMIT));
                pin!(self.socket.accept(port)).poll(cx).map(|_| ())
            }
        }
    }

    /// Returns whether this socket would accept the next connection to its port.
    pub(crate) fn is_listening(&self) -> bool {
        self.socket.state() == State::Listen
    }

    /// Lends received bytes to `f`, and returns how many it consumed: 0 if there are none. Registers no waker.
    // Neither this nor `write` is generic, so that the code of smoltcp and embassy-net around `f` is in flash only once.
    #[cfg(any(feature = "rtmpt", feature = "web", feature = "admin"))]
    pub(crate) fn read(&mut self, f: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        match self.socket.can_recv().then(|| self.poll_read(&mut Context::from_waker(Waker::noop()), f)) {
            Some(Poll::Ready(Ok(consumed))) => consumed,
            _ => 0,
        }
    }

    /// Lends free room in the send ring to `f`, and returns how many bytes it wrote: 0 if there is no room. Registers no
    /// waker.
    pub(crate) fn write(&mut self, f: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        match self.socket.can_send().then(|| self.poll_write(&mut Context::from_waker(Waker::noop()), f)) {
            Some(Poll::Ready(Ok(filled))) => filled,
            _ => 0,
        }
    }

    /// On a path that is too slow, small messages are sent together. If each acknowledgement released only as many bytes as
    /// it made room for, segments would become smaller and smaller (RFC 1122, section 4.2.3.4).
    #[cold]
    fn crowd(&mut self) {
        let capacity = self.socket.send_capacity();
        let is_crowded = capacity >= NAGLE && self.socket.send_queue() > capacity / 2;
        if is_crowded != self.is_crowded {
            self.is_crowded = is_crowded;
            self.socket.set_nagle_enabled(is_crowded);
        }
    }

    /// Returns whether bytes may still arrive, or received bytes are unread.
    #[cfg(any(feature = "rtmpt", feature = "web", feature = "admin"))]
    pub(crate) fn may_receive(&self) -> bool {
        self.socket.may_recv()
    }

    /// Returns whether bytes may still arrive, after those that are unread.
    #[cfg(feature = "handover")]
    pub(crate) fn may_receive_more(&self) -> bool {
        self.socket.state() == State::Established
    }

    /// Returns the size of the receive ring in bytes.
    #[cfg(feature = "handover")]
    pub(crate) fn receive_capacity(&self) -> usize {
        self.socket.recv_capacity()
    }

    /// Returns whether the connection has ended, even if received bytes are unread.
    pub(crate) fn is_lost(&self) -> bool {
        self.socket.state() == State::Closed
    }

    /// Returns whether written bytes may still reach the peer.
    #[cfg(any(feature = "rtmpt", feature = "web", feature = "admin"))]
    pub(crate) fn may_send(&self) -> bool {
        self.socket.may_send()
    }

    /// Returns how the connection ended, if the peer ended it.
    pub(crate) fn end(&self) -> End {
        if self.is_lost() { End::Lost } else { End::Closed }
    }

    /// Returns the port on our side.
    pub(crate) fn local_port(&self) -> u16 {
        self.socket.local_endpoint().map_or(0, |endpoint| endpoint.port)
    }

    /// Returns the address and the port of the peer.
    pub(crate) fn remote(&self) -> Option<IpEndpoint> {
        self.socket.remote_endpoint()
    }

    /// Wakes the task if bytes arrive while none are unread, if the send ring gets room while it has none, or if the state
    /// of the connection changes.
    #[inline(never)]
    pub(crate) fn wake(&self, cx: &mut Context<'_>) {
        let _ = pin!(self.socket.wait_read_ready()).poll(cx);
        let _ = pin!(self.socket.wait_write_ready()).poll(cx);
    }

    #[cfg(any(feature = "rtmpt", feature = "web", feature = "admin"))]
    pub(crate) fn wake_when_readable(&self, cx: &mut Context<'_>) {
        if pin!(self.socket.wait_read_ready()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    pub(crate) fn wake_when_writable(&self, cx: &mut Context<'_>) {
        if pin!(self.socket.wait_write_ready()).poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Returns the size of the send ring in bytes.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn send_capacity(&self) -> usize {
        self.socket.send_capacity()
    }

    /// Returns whether the address that the connection had is no longer ours.
    fn has_moved(&self) -> bool {
        match self.address {
            Some(IpAddress::Ipv4(address)) => self.stack.config_v4().is_none_or(|it| it.address.address() != address),
            #[cfg(feature = "ipv6")]
            Some(IpAddress::Ipv6(address)) => self.stack.config_v6().is_none_or(|it| it.address.address() != address),
            _ => false,
        }
    }
}

impl Transport for Tcp<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        let mut consumed = 0;
        let read = pin!(self.socket.read_with(|input| {
            consumed = f(input);
            (consumed, ())
        }))
        .poll(cx);
        self.traffic.count(consumed, 0);
        read.map(|result| result.map(|()| consumed).map_err(|_| self.end()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, f: Lend<'_>) -> Poll<Result<usize, End>> {
        let (mut filled, mut left) = (0, 0);
        let written = pin!(self.socket.write_with(|out| {
            filled = f(out);
            left = out.len().saturating_sub(filled);
            (filled, ())
        }))
        .poll(cx);
        // If the ring wraps, its other part may be free.
        if self.is_crowded || left == 0 && matches!(filled, 1..SMALL) && !self.socket.can_send() {
            self.crowd();
        }
        self.traffic.count(0, filled);
        written.map(|result| result.map(|()| filled).map_err(|_| self.end()))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_ending = self.is_aborted || self.is_closed;
        if is_ending {
            while let Poll::Ready(Ok(1..)) = self.poll_read(cx, &mut |input| input.len()) {}
        }
        match self.socket.state() {
            State::TimeWait => return Poll::Ready(End::Closed),
            // The stack has not sent RST yet. If the socket connected or listened again, RST would not be sent.
            State::Closed if self.is_aborted && self.socket.remote_endpoint().is_some() => self.wake(cx),
            State::Closed => {
                // smoltcp discards unsent bytes if our address is gone.
                let is_sent = self.is_closed && self.socket.send_queue() == 0 && !self.has_moved();
                return Poll::Ready(if is_sent && !self.is_aborted { End::Closed } else { End::Lost });
            }
            _ if is_ending => self.wake(cx),
            // smoltcp wakes both directions when the state changes.
            _ => _ = pin!(self.socket.wait_write_ready()).poll(cx),
        }
        Poll::Pending
    }

    fn close(&mut self) {
        self.is_closed = true;
        self.address = self.socket.local_endpoint().map(|endpoint| endpoint.addr);
        self.socket.close();
    }

    fn abort(&mut self) {
        self.is_aborted = true;
        self.socket.abort();
    }

    fn unacknowledged(&self) -> Option<usize> {
        let fin = matches!(self.socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        Some(self.socket.send_queue().saturating_add(usize::from(fin)))
    }

    fn has_room(&self) -> bool {
        self.socket.can_send()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

/// The outcome of a future that does not need to wait.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
