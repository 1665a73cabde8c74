//! The client's side of a tunnel.
//!
//! Requests and responses are independent, because a response may arrive before its request is complete:
//!
//! ```text
//!  out   Idle ──a request is due──► Head ──► Body ──────────────────────► Idle
//!
//!  in    Head ──► Id ───────────────────────► (the response is complete) ► Head
//!          │ └──► Hint ──► Data, lent ─────────────▲
//!          └────► Skip ────────────────────────────┘
//! ```
//!
//! A request is due when none is under way and the tunnel is not open yet (`/open`), the session has something to send
//! (`/send`), the tunnel is being closed (`/close`), or it is time to poll (`/idle`).

mod request;
mod response;

use super::{MAX_ID, TunnelError};
use crate::fmt::impl_format;
use crate::http::Head;
use crate::time::Instant;

/// How long a request may be under way without progress, in ms.
const TIMEOUT: u32 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Open,
    Send,
    Idle,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    Idle,
    Head,
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Head,
    Id,
    Hint,
    Data,
    Skip,
}

/// The client's side of a tunnel, around any session.
///
/// The caller owns the TCP connection. It calls [`Self::receive`] with received bytes and [`Self::poll_transmit`] with room
/// to send, instead of the functions of the session, and passes the bytes inside to the session:
///
/// ```
/// use embedded_rtmp::session::{SessionBuffers, Client as Session, ClientConfig, ClientEvent};
/// use embedded_rtmp::time::Instant;
/// use embedded_rtmp::tunnel::TunnelClient;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (mut scratch, mut control, now) = ([0; 1536], [0; 512], Instant::from_millis(1));
/// # let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
/// let mut session: Session = Session::new(buffers, ClientConfig::new(), &[0x5A; 32])?;
/// let mut tunnel = TunnelClient::new("media.example", 80);
/// let mut out = [0; 1460];
///
/// let waiting = session.transmit_len();
/// let length = tunnel.poll_transmit(now, &mut out, waiting, |room| session.poll_transmit(now, room));
/// assert!(out[..length].starts_with(b"POST /open/1 HTTP/1.1\r\nHost: media.example:80\r\n"));
///
/// let mut received = &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ncafe\n"[..];
/// while !received.is_empty() {
///     if let Some(event) = tunnel.receive(now, &mut received, |bytes| session.next_event(now, bytes))?? {
///         // what the session says
///     }
/// }
/// let waiting = session.transmit_len();
/// assert_eq!(waiting, 1537); // C0 and C1
/// let length = tunnel.poll_transmit(now, &mut out, waiting, |room| session.poll_transmit(now, room));
/// assert!(out[..length].starts_with(b"POST /send/cafe/0 HTTP/1.1\r\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TunnelClient<H = &'static str> {
    host: H,
    port: u16,
    id: [u8; MAX_ID],
    id_length: u8,
    sequence: u32,
    out: Out,
    request: Request,
    /// The length of the request's body, and how many bytes of its head or body were written.
    length: u32,
    sent: u32,
    head: Head,
    incoming: In,
    /// The number of bytes of the response's body that are missing.
    left: u32,
    /// The number of requests that were begun and whose responses are not complete.
    outstanding: u8,
    /// The response has bytes for the session.
    has_data: bool,
    /// The response is provisional, and another one follows.
    is_interim: bool,
    /// The server closes the connection after the response.
    is_last: bool,
    hint: u8,
    /// The number of consecutive empty responses.
    quiet: u8,
    /// The next request does not wait for the end of the response.
    send_early: bool,
    needs_connection: bool,
    closing: bool,
    closed: bool,
    /// When the next poll is due. While a request is under way: when something moved last.
    since: Instant,
    failed: Option<TunnelError>,
}

impl_format!([H] TunnelClient<H>, this => "TunnelClient {{ port: {}, sequence: {} }}", this.port, this.sequence);

impl<H: AsRef<str>> TunnelClient<H> {
    /// A tunnel to `host` and `port`, over a TCP connection to there or to a proxy. `H` is the text of the host: lent, or
    /// owned by the tunnel.
    pub const fn new(host: H, port: u16) -> Self {
        Self {
            host,
            port,
            id: [0; MAX_ID],
            id_length: 0,
            sequence: 0,
            out: Out::Idle,
            request: Request::Open,
            length: 0,
            sent: 0,
            head: Head::new(),
            incoming: In::Head,
            left: 0,
            outstanding: 0,
            has_data: false,
            is_interim: false,
            is_last: false,
            hint: 0,
            quiet: 0,
            send_early: false,
            needs_connection: false,
            closing: false,
            closed: false,
            since: Instant::from_micros(0),
            failed: None,
        }
    }

    /// Returns `true` if the server has opened the tunnel.
    pub const fn is_open(&self) -> bool {
        self.id_length > 0 && !matches!(self.incoming, In::Id)
    }

    /// Consumes HTTP from the front of `input`, and lends the session's bytes that follow to `take`, which consumes bytes from
    /// the front of its slice. The slice may be empty. Call it until `input` does not change any longer.
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    pub fn receive<'i, R>(
        &mut self,
        now: Instant,
        input: &mut &'i [u8],
        take: impl FnOnce(&mut &'i [u8]) -> R,
    ) -> Result<R, TunnelError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let length = self.unwrap(now, input).inspect_err(|error| self.failed = Some(*error))?;
        let (mut data, _) = input.split_at_checked(length).unwrap_or((&[], &[]));
        let result = take(&mut data);
        let taken = length.wrapping_sub(data.len());
        *input = input.get(taken..).unwrap_or(&[]);
        self.took(now, taken);
        Ok(result)
    }

    /// The same as [`Self::receive`] for a layer that changes the session's bytes in place, such as a cipher. `take` returns
    /// how many bytes it consumed; it is called if there are any. Returns how many bytes were taken off the front of
    /// `input`, HTTP included. Call it again with the rest until it returns 0.
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    pub fn receive_in_place(
        &mut self,
        now: Instant,
        input: &mut [u8],
        take: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, TunnelError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut rest = &*input;
        let length = self.unwrap(now, &mut rest).inspect_err(|error| self.failed = Some(*error))?;
        let start = input.len().wrapping_sub(rest.len());
        let taken = match input.get_mut(start..start.wrapping_add(length)) {
            None | Some([]) => 0,
            Some(data) => take(data).min(length),
        };
        self.took(now, taken);
        Ok(start.wrapping_add(taken))
    }

    /// Writes bytes to send to the front of `out` and returns their number. Call it after every other call, until it
    /// returns 0.
    ///
    /// `waiting` is the number of bytes that the session has to send. When a request begins, its head announces that length,
    /// at most [`MAX_BODY`](super::MAX_BODY). `fill` writes bytes of the session to the slice that it is given and returns
    /// their number. It must supply the announced number of bytes, in this call or in later ones. Bytes beyond that wait for
    /// the next request.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        out: &mut [u8],
        waiting: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> usize {
        let (written, room) = self.prepare(now, waiting, out);
        let filled = match out.get_mut(written..written.wrapping_add(room)) {
            None | Some([]) => 0,
            Some(room) => fill(room).min(room.len()),
        };
        self.filled(now, filled);
        written.wrapping_add(filled)
    }

    /// Returns `true` if [`Self::poll_transmit`] has something to write when the session has `waiting` bytes to send.
    pub fn wants_transmit(&self, now: Instant, waiting: usize) -> bool {
        self.failed.is_none() && !self.needs_connection && (self.out != Out::Idle || self.due(now, waiting).is_some())
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_transmit`] at the latest: to give up, or to poll the server.
    /// May change after every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.failed.is_some() || self.closed || self.needs_connection {
            None
        } else if self.is_under_way() {
            Some(self.since.after_millis(TIMEOUT))
        } else {
            Some(self.since)
        }
    }

    /// Fails the tunnel if nothing has moved for 30 s while a request was under way.
    ///
    /// # Errors
    /// [`TunnelError::TimedOut`], or the error that ended the tunnel before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), TunnelError> {
        if self.failed.is_none() && self.is_under_way() && now >= self.since.after_millis(TIMEOUT) {
            self.failed = Some(TunnelError::TimedOut);
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Sends the next request before the response is complete, because the session must send before it can read on.
    /// Otherwise it would wait for the end of the response for ever.
    pub fn send_early(&mut self) {
        self.send_early = self.outstanding == 1 && self.incoming == In::Data;
    }

    /// The TCP connection has ended, orderly or not. The tunnel continues over another one: see [`Self::connected`].
    ///
    /// # Errors
    /// [`TunnelError::Interrupted`] if a request was under way, or the error that ended the tunnel before.
    pub fn connection_ended(&mut self) -> Result<(), TunnelError> {
        if self.request == Request::Close && self.is_under_way() {
            // Known servers close the connection instead of answering.
            (self.closed, self.out, self.outstanding) = (true, Out::Idle, 0);
        } else if self.failed.is_none() && (self.is_under_way() || !self.head.is_empty()) {
            self.failed = Some(TunnelError::Interrupted);
        }
        self.needs_connection = true;
        self.failed.map_or(Ok(()), Err)
    }

    /// Returns `true` if the tunnel needs another TCP connection to continue. The caller can close the old one.
    pub const fn needs_connection(&self) -> bool {
        self.needs_connection && !self.closed
    }

    /// Another TCP connection is established, and nothing was sent on it yet.
    pub fn connected(&mut self) {
        self.needs_connection = false;
    }

    /// Ends the tunnel after the session has sent everything.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Returns `true` if the tunnel was [closed](Self::close) and the server has confirmed it.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns `true` if a request is incomplete or unanswered.
    pub const fn is_under_way(&self) -> bool {
        self.outstanding > 0 || !matches!(self.out, Out::Idle)
    }
}
