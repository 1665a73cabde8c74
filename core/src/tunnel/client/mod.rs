//! The client's side of a tunnel.
//!
//! Requests go out and responses come in independently, since a response may come before its request is complete:
//!
//! ```text
//!  out   Idle ──a request is due──► Head ──► Body ──────────────────────► Idle
//!
//!  in    Head ──► Id ───────────────────────► (the response is complete) ► Head
//!          │ └──► Hint ──► Data, lent ─────────────▲
//!          └────► Skip ────────────────────────────┘
//! ```
//!
//! A request is due where none is under way, and: the tunnel is not open yet (`/open`), the session has something to send
//! (`/send`), it is to be closed (`/close`), or it is time to ask (`/idle`).

mod request;
mod response;

use super::head::Head;
use super::{MAX_ID, TunnelError};
use crate::fmt::impl_format;
use crate::time::Instant;

/// How long nothing may move while a request is under way, in ms.
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

/// The client's side of a tunnel, around a session that it knows nothing of.
///
/// Whoever has the TCP connection calls [`Self::receive`] with what comes and [`Self::poll_transmit`] with room for what
/// goes, where it would call the session's functions without a tunnel, and lets the session at the bytes inside:
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
/// let length = tunnel.poll_transmit(now, waiting, &mut out, |room| session.poll_transmit(now, room));
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
/// let length = tunnel.poll_transmit(now, waiting, &mut out, |room| session.poll_transmit(now, room));
/// assert!(out[..length].starts_with(b"POST /send/cafe/0 HTTP/1.1\r\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TunnelClient<'h> {
    host: &'h str,
    port: u16,
    id: [u8; MAX_ID],
    id_length: u8,
    sequence: u32,
    out: Out,
    request: Request,
    /// Of its body; and how much of its head or its body is out.
    length: u32,
    sent: u32,
    head: Head,
    incoming: In,
    /// Bytes that the response's body lacks.
    left: u32,
    /// Requests that were begun, whose responses are not complete.
    outstanding: u8,
    /// The response came with bytes for the session.
    has_data: bool,
    /// It is a provisional one, another follows.
    is_interim: bool,
    /// The connection ends with the response.
    is_last: bool,
    hint: u8,
    /// Empty responses in a row.
    quiet: u8,
    /// The next request need not wait for the end of the response.
    send_early: bool,
    needs_connection: bool,
    closing: bool,
    closed: bool,
    /// When it may poll; or when something moved last, while a request is under way.
    since: Instant,
    failed: Option<TunnelError>,
}

impl_format!(['h] TunnelClient<'h>, this => "TunnelClient {{ port: {}, sequence: {} }}", this.port, this.sequence);

impl<'h> TunnelClient<'h> {
    /// A tunnel to `host`, over a TCP connection to its `port`, or to that of a proxy.
    pub const fn new(host: &'h str, port: u16) -> Self {
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

    /// Whether the server has opened the tunnel.
    pub const fn is_open(&self) -> bool {
        self.id_length > 0 && !matches!(self.incoming, In::Id)
    }

    /// Takes what is HTTP off the front of `input`, and lends the session's bytes that come next to `take`, which takes
    /// what it can of them off the front of its own slice; they may be none. To be called until nothing changes any more.
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

    /// Puts out what is to be sent, as far as `out` goes; answers how much it filled. To be called after every other
    /// call, until it has nothing more.
    ///
    /// `waiting` is how many bytes the session has to send. Where a request begins, that is announced, or
    /// [`MAX_BODY`](super::MAX_BODY) if it is less; then `fill`, which puts the session's bytes into the room that it is given and answers how many they
    /// were, must come up with so many, in this call or later ones. What is not announced any more waits for the next
    /// request.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        waiting: usize,
        out: &mut [u8],
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

    /// Whether [`Self::poll_transmit`] has something to put out, where the session has `waiting` bytes to send.
    pub fn wants_transmit(&self, now: Instant, waiting: usize) -> bool {
        self.failed.is_none() && !self.needs_connection && (self.out != Out::Idle || self.due(now, waiting).is_some())
    }

    /// When there is something to do at the latest: to poll, in [`Self::poll_transmit`], or to give up, in
    /// [`Self::handle_timeout`]. To be asked again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.failed.is_some() || self.closed || self.needs_connection {
            None
        } else if self.is_under_way() {
            Some(self.since.after_millis(TIMEOUT))
        } else {
            Some(self.since)
        }
    }

    /// Tells the client the time; it gives up where nothing has moved for 30 s while a request was under way.
    ///
    /// # Errors
    /// It gives up, or had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), TunnelError> {
        if self.failed.is_none() && self.is_under_way() && now >= self.since.after_millis(TIMEOUT) {
            self.failed = Some(TunnelError::TimedOut);
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// The session can take no more of the response before it has sent something: the next request goes out early. (It
    /// would wait for the end of the response for ever.)
    pub fn send_early(&mut self) {
        self.send_early = self.outstanding == 1 && self.incoming == In::Data;
    }

    /// Says that the TCP connection is at its end, either in good order or not. The tunnel goes on over another one:
    /// [`Self::connected`].
    ///
    /// # Errors
    /// A request was under way, or the tunnel had failed before.
    pub fn connection_ended(&mut self) -> Result<(), TunnelError> {
        if self.request == Request::Close && self.is_under_way() {
            // Servers known close the connection instead of an answer.
            (self.closed, self.out, self.outstanding) = (true, Out::Idle, 0);
        } else if self.failed.is_none() && (self.is_under_way() || !self.head.is_empty()) {
            self.failed = Some(TunnelError::Interrupted);
        }
        self.needs_connection = true;
        self.failed.map_or(Ok(()), Err)
    }

    /// Whether another TCP connection must be made before the tunnel can go on. What there is of the one before it can
    /// be closed.
    pub const fn needs_connection(&self) -> bool {
        self.needs_connection && !self.closed
    }

    /// Says that there is another TCP connection, on which nothing was sent yet.
    pub fn connected(&mut self) {
        self.needs_connection = false;
    }

    /// Ends the tunnel, once the session has nothing more to send.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Whether the tunnel was [closed](Self::close), and the server knows.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a request is not complete, or not answered.
    pub const fn is_under_way(&self) -> bool {
        self.outstanding > 0 || !matches!(self.out, Out::Idle)
    }
}
