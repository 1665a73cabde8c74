//! One TCP connection, as the sessions want it: nothing here waits, and nothing is copied between.
//!
//! Every method is synchronous, and so is every change of a session's state: a future can be dropped at any time.
//! Whoever finds nothing to do registers a waker with [`Link::wake`]. smoltcp wakes whoever waits whenever the
//! connection's state changes, so that a poll which looks at [`Link::may_receive`] and [`Link::may_send`] before it
//! registers learns of FIN and RST. [`Link::may_receive`] alone does not tell of a reset while something that came before it
//! is unread: who cannot read that before something else has gone out asks [`Link::is_lost`], too.

mod open;

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embassy_net::tcp::{State, TcpSocket};
use embassy_net::{IpAddress, IpEndpoint, Stack};
use embassy_time::Duration;

pub(crate) use self::open::OpenError;
#[cfg(feature = "rtmpt")]
pub(crate) use self::open::Opened;
use crate::error::Error;

/// How long the link stays silent before TCP asks whether the peer is there, and how long it waits for anything from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeepAlive {
    /// A probe is sent after this time without a segment from us.
    pub interval: Duration,
    /// The connection counts as lost when nothing has come for this time. It should be several intervals, and several
    /// of TCP's retransmissions, which smoltcp spaces by a second, then two, then four.
    pub timeout: Duration,
}

impl KeepAlive {
    /// Probes after 5 s, lost after 20 s.
    pub const DEFAULT: KeepAlive = KeepAlive { interval: Duration::from_secs(5), timeout: Duration::from_secs(20) };
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes that went over the TCP connection, modulo 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Bytes that the session consumed.
    pub received: u32,
    /// Bytes that the session put into the socket.
    pub sent: u32,
}

/// A TCP socket.
pub(crate) struct Link<'a> {
    pub(crate) stack: Stack<'a>,
    socket: TcpSocket<'a>,
    pub(crate) traffic: Traffic,
    /// Whether little made the send ring full, and it has not been half empty since.
    is_crowded: bool,
    /// Our address, where our half was closed.
    address: Option<IpAddress>,
}

/// The least send ring for which Nagle's algorithm pays while it is crowded: two whole segments are under way then, which a
/// peer acknowledges at once, and a third is being filled.
const NAGLE: usize = 4096;

/// So few bytes would be a small segment. Where more than that made the ring full, segments are large anyway.
const SMALL: usize = 512;

impl<'a> Link<'a> {
    pub(crate) fn new(stack: Stack<'a>, rx: &'a mut [u8], tx: &'a mut [u8]) -> Self {
        let mut socket = TcpSocket::new(stack, rx, tx);
        // A chunk header and its payload are written one after the other: Nagle's algorithm would hold the payload back
        // until the peer's delayed acknowledgement.
        socket.set_nagle_enabled(false);
        Self { stack, socket, traffic: Traffic::default(), is_crowded: false, address: None }
    }

    /// Begins anew, for another session.
    pub(crate) fn restart(&mut self) {
        self.socket.abort();
        self.socket.set_nagle_enabled(false);
        (self.traffic, self.is_crowded) = (Traffic::default(), false);
    }

    /// The connection counts as lost when nothing comes for so long while something should.
    pub(crate) fn limit_silence(&mut self, timeout: Duration) {
        self.socket.set_timeout(Some(timeout));
    }

    /// From now on a peer that is gone is noticed, or none is any more.
    pub(crate) fn keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        self.socket.set_timeout(keep_alive.map(|times| times.timeout));
        self.socket.set_keep_alive(keep_alive.map(|times| times.interval));
    }

    /// Gives what has come to `f`, which answers how much of it was consumed, and so does this. Where nothing has come,
    /// `f` is not called.
    // Not generic, nor is `write`: what smoltcp and embassy-net do around `f` is in flash once.
    pub(crate) fn read(&mut self, f: &mut dyn FnMut(&[u8]) -> usize) -> usize {
        match self.socket.can_recv().then(|| self.poll_read(&mut Context::from_waker(Waker::noop()), f)) {
            Some(Poll::Ready(consumed)) => consumed,
            _ => 0,
        }
    }

    /// As [`Self::read`]; where nothing has come, it is pending, and the task is woken when something has. Ready with 0 where
    /// nothing will.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, f: &mut dyn FnMut(&[u8]) -> usize) -> Poll<usize> {
        let mut consumed = 0;
        let read = pin!(self.socket.read_with(|input| {
            consumed = f(input);
            (consumed, ())
        }))
        .poll(cx);
        self.traffic.received = self.traffic.received.wrapping_add(consumed as u32);
        read.map(|_| consumed)
    }

    /// Gives the room in the socket to `f`, which answers how much of it was filled, and so does this. Where there is
    /// none, `f` is not called.
    pub(crate) fn write(&mut self, f: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let (mut filled, mut left) = (0, 0);
        if self.socket.can_send() {
            now(self.socket.write_with(|out| {
                filled = f(out);
                left = out.len().saturating_sub(filled);
                (filled, ())
            }));
            // Where the ring wraps, its other part may be free.
            if self.is_crowded || left == 0 && filled < SMALL && !self.socket.can_send() {
                self.crowd();
            }
        }
        self.traffic.sent = self.traffic.sent.wrapping_add(filled as u32);
        filled
    }

    /// On a way that is too slow, small messages go out together: if each acknowledgement were followed by what it has made
    /// room for, segments would become smaller and smaller (RFC 1122, section 4.2.3.4).
    #[cold]
    fn crowd(&mut self) {
        let capacity = self.socket.send_capacity();
        let is_crowded = capacity >= NAGLE && self.socket.send_queue() > capacity / 2;
        if is_crowded != self.is_crowded {
            self.is_crowded = is_crowded;
            self.socket.set_nagle_enabled(is_crowded);
        }
    }

    /// Whether there is room for at least one byte.
    pub(crate) fn has_room(&self) -> bool {
        self.socket.can_send()
    }

    /// Whether something may still come, or something that came is unread.
    pub(crate) fn may_receive(&self) -> bool {
        self.socket.may_recv()
    }

    /// Whether the connection is no more, though something that came may be unread.
    pub(crate) fn is_lost(&self) -> bool {
        self.socket.state() == State::Closed
    }

    /// Whether what is written may still arrive.
    pub(crate) fn may_send(&self) -> bool {
        self.socket.may_send()
    }

    /// Why the connection ended, where the peer ended it: whether it was in good order.
    pub(crate) fn end(&self) -> Error {
        if self.is_lost() { Error::Lost } else { Error::Closed }
    }

    /// After [`Self::close`]: waits until the peer has acknowledged all that was written, and the FIN. What still comes is
    /// thrown away.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.read(&mut |input| input.len()) > 0 {}
        match self.socket.state() {
            // smoltcp forgets what was not sent where our address has gone.
            State::Closed if self.socket.send_queue() > 0 || self.has_moved() => Poll::Ready(Err(Error::Lost)),
            State::FinWait1 | State::Closing | State::LastAck => {
                self.wake(cx);
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Waits until both sides have closed, or the connection was lost and RST is out; what still comes is thrown away.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.read(&mut |input| input.len()) > 0 {}
        match self.socket.state() {
            State::TimeWait => return Poll::Ready(()),
            // A socket that listens again at once would forget to tell the peer.
            State::Closed if self.socket.remote_endpoint().is_none() => return Poll::Ready(()),
            _ => self.wake(cx),
        }
        Poll::Pending
    }

    /// The port on our side.
    pub(crate) fn local_port(&self) -> u16 {
        self.socket.local_endpoint().map_or(0, |endpoint| endpoint.port)
    }

    /// Who is on the other side.
    pub(crate) fn remote(&self) -> Option<IpEndpoint> {
        self.socket.remote_endpoint()
    }

    /// Has the task woken when something comes that there was nothing of, when there is room where there was none, or when
    /// the connection's state changes.
    #[inline(never)]
    pub(crate) fn wake(&self, cx: &mut Context<'_>) {
        let _ = pin!(self.socket.wait_read_ready()).poll(cx);
        let _ = pin!(self.socket.wait_write_ready()).poll(cx);
    }

    #[cfg(feature = "rtmpt")]
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

    /// Bytes of the send ring.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn send_capacity(&self) -> usize {
        self.socket.send_capacity()
    }

    /// Whether the address that the connection had is not ours any more.
    fn has_moved(&self) -> bool {
        match self.address {
            Some(IpAddress::Ipv4(address)) => self.stack.config_v4().is_none_or(|it| it.address.address() != address),
            #[cfg(feature = "ipv6")]
            Some(IpAddress::Ipv6(address)) => self.stack.config_v6().is_none_or(|it| it.address.address() != address),
            _ => false,
        }
    }

    /// Closes our half: FIN follows what is written.
    pub(crate) fn close(&mut self) {
        self.address = self.socket.local_endpoint().map(|endpoint| endpoint.addr);
        self.socket.close();
    }

    /// Ends the connection at once; the stack sends RST when it runs next.
    pub(crate) fn abort(&mut self) {
        self.socket.abort();
    }
}

/// The outcome of a future that does not need to wait.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
