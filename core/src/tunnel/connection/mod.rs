//! The server's side of one TCP connection that speaks HTTP.
//!
//! ```text
//!  in    Head ──► Body ──────────────────────────► Answered? ──► Head, or Over
//!                  │ └ lent, or skipped              ▲
//!                  ▼                                 │
//!  out   None ──► Due (perhaps held) ──► Head ──► Body ──► None
//! ```
//!
//! A response is due when its request is complete. It is due earlier if the session must send before it can read on.

mod answer;
mod request;
mod time;

use super::request::ID;
use super::request::{Ask, Line, parse};
use super::{TunnelEvent, TunnelId, TunnelRefusal, Tunnels};
use crate::bytes::low_u32;
use crate::fmt::impl_format;
use crate::http::{Head, HeadError, Progress};
use crate::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Head,
    /// The body belongs to the tunnel's session.
    Data,
    /// The body is skipped.
    Skip,
    /// Waits for the caller to open or refuse a tunnel.
    Asking,
    /// The next request waits for the response to this one.
    Answered,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    None,
    Due,
    Head,
    Body,
}

/// The content of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Bytes of the session of the current tunnel.
    Session {
        is_poll: bool,
    },
    /// The digits of a new tunnel's id.
    Id([u8; 2 * ID]),
    /// A tunnel was closed.
    Closed,
    Page,
    Status(u16),
}

/// The server's side of one TCP connection that speaks HTTP. It serves one tunnel at a time; each request may name another
/// tunnel.
#[derive(Debug)]
pub struct TunnelConnection {
    head: Head,
    incoming: In,
    out: Out,
    /// The parsed first line.
    line: Line,
    answer: Answer,
    /// The current tunnel, and this connection's number as its owner. Owner 0: no tunnel.
    tunnel: TunnelId,
    owner: u32,
    /// The number of bytes of the request's body that are missing.
    left: u32,
    /// The length of the response's body, and how many bytes of its head or body were written.
    length: u32,
    sent: u32,
    hint: u8,
    keep_alive: bool,
    /// The caller wants no further request after this one.
    is_last: bool,
    /// The response was written before the request was complete.
    is_early: bool,
    /// The time until which the response to a poll is held back.
    held: Option<Instant>,
    /// When the current head or the pause before it began. For a body or a response it moves on with each byte.
    since: Instant,
    refusal: Option<TunnelRefusal>,
}

impl_format!([] TunnelConnection, this => "TunnelConnection {{ left: {}, length: {}, sent: {} }}", this.left, this.length, this.sent);

impl TunnelConnection {
    /// A connection that was just recognised as [HTTP](super::Protocol).
    pub const fn new(now: Instant) -> Self {
        Self {
            head: Head::new(),
            incoming: In::Head,
            out: Out::None,
            line: Line { ask: Ask::Other, is_head: false, is_post: false, is_old: false },
            answer: Answer::Status(400),
            tunnel: TunnelId(0),
            owner: 0,
            left: 0,
            length: 0,
            sent: 0,
            hint: 0,
            keep_alive: true,
            is_last: false,
            is_early: false,
            held: None,
            since: now,
            refusal: None,
        }
    }

    /// Consumes HTTP from the front of `input` until a request asks for something. Returns `None` when all input is consumed,
    /// or when the response must be written first.
    pub fn next_event<const N: usize>(
        &mut self,
        now: Instant,
        input: &mut &[u8],
        tunnels: &mut Tunnels<'_, N>,
    ) -> Option<TunnelEvent> {
        let (before, had_begun) = (input.len(), !self.head.is_empty());
        let event = self.find_event(now, input, tunnels);
        let taken = before.wrapping_sub(input.len());
        match self.incoming {
            // The time limit of a head begins with its first byte.
            In::Head if had_begun || self.head.is_empty() => {}
            In::Head => self.since = now,
            _ => self.progress(now, taken),
        }
        event
    }

    fn find_event<const N: usize>(
        &mut self,
        now: Instant,
        input: &mut &[u8],
        tunnels: &mut Tunnels<'_, N>,
    ) -> Option<TunnelEvent> {
        loop {
            if let Some(refusal) = self.refusal.take() {
                return Some(TunnelEvent::Refused(refusal));
            }
            match self.incoming {
                In::Head => match self.head.read(input, ()) {
                    Ok(Progress::More) => return None,
                    Ok(Progress::FirstLine) => {
                        let (text, is_cut) = self.head.line();
                        match parse(text) {
                            _ if is_cut => self.fail(HeadError::TooLong.into(), 414),
                            Ok(line) => self.line = line,
                            Err(error) => self.fail(error.into(), 400),
                        }
                    }
                    Ok(Progress::Done(fields)) => self.begin(now, fields, tunnels),
                    Err(error) => self.fail(error.into(), request::status(error)),
                },
                In::Data | In::Skip if self.left == 0 => {
                    if let Some(event) = self.complete(now, tunnels) {
                        return Some(event);
                    }
                }
                In::Data if !tunnels.has(self.tunnel, self.owner) => self.incoming = In::Skip,
                In::Data => return (!input.is_empty()).then_some(TunnelEvent::Data(self.tunnel)),
                In::Skip => {
                    if input.is_empty() {
                        return None;
                    }
                    let skipped = input.len().min(self.left as usize);
                    *input = input.get(skipped..).unwrap_or(&[]);
                    self.left = self.left.wrapping_sub(low_u32(skipped));
                }
                In::Asking | In::Answered | In::Over => return None,
            }
        }
    }

    /// Lends the bytes that [`TunnelEvent::Data`] announced to `take`, which consumes bytes from the front of its slice. The
    /// same bytes are then removed from the front of `input`. Returns the result of `take`.
    pub fn receive<'i, R>(&mut self, now: Instant, input: &mut &'i [u8], take: impl FnOnce(&mut &'i [u8]) -> R) -> R {
        let length = if self.incoming == In::Data { input.len().min(self.left as usize) } else { 0 };
        let (mut data, _) = input.split_at_checked(length).unwrap_or((&[], &[]));
        let result = take(&mut data);
        let taken = length.wrapping_sub(data.len());
        *input = input.get(taken..).unwrap_or(&[]);
        self.left = self.left.wrapping_sub(low_u32(taken));
        self.progress(now, taken);
        result
    }

    /// The same as [`Self::receive`], for a layer that changes the bytes of the session in place, such as a cipher. `take`
    /// returns the number of bytes that it consumed. Returns the number of bytes that were removed from the front of
    /// `input`.
    pub fn receive_in_place(&mut self, now: Instant, input: &mut [u8], take: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let length = if self.incoming == In::Data { input.len().min(self.left as usize) } else { 0 };
        let taken = take(input.get_mut(..length).unwrap_or_default()).min(length);
        self.left = self.left.wrapping_sub(low_u32(taken));
        self.progress(now, taken);
        taken
    }

    /// Opens the tunnel that [`TunnelEvent::Open`] asks for. Its id is made from `entropy`, 32 random bytes that are used for
    /// nothing else. Returns `None` if the table is full; the response is 503 then.
    pub fn open<const N: usize>(
        &mut self,
        now: Instant,
        entropy: &[u8; 32],
        tunnels: &mut Tunnels<'_, N>,
    ) -> Option<TunnelId> {
        if self.incoming != In::Asking {
            return None;
        }
        let Some((tunnel, id)) = tunnels.open(now, entropy) else {
            self.refuse();
            return None;
        };
        self.incoming = In::Answered;
        self.answer_with(Answer::Id(id));
        Some(tunnel)
    }

    /// Refuses the tunnel that [`TunnelEvent::Open`] asks for, with 503.
    pub fn refuse(&mut self) {
        if self.incoming == In::Asking {
            self.incoming = In::Answered;
            self.answer_with(Answer::Status(503));
        }
    }

    /// The tunnel of the current request. Its session may have something to send.
    pub fn tunnel<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Option<TunnelId> {
        (self.owner != 0 && tunnels.has(self.tunnel, self.owner)).then_some(self.tunnel)
    }

    /// Writes the response before the request is complete, because the session must send before it can read on. Otherwise
    /// the session would wait for the end of the request for ever.
    ///
    /// Returns `false` if the response to this request was already written. Then the session can neither read nor send, and
    /// the caller must end it ([`Tunnels::close`]). With [`MIN_CONTROL`](super::MIN_CONTROL) bytes in its control buffer
    /// this does not happen with any known client.
    #[must_use = "the session may be stuck"]
    pub fn answer_early(&mut self) -> bool {
        if self.incoming == In::Data && self.out == Out::None && !self.is_early {
            self.out = Out::Due;
        }
        self.out != Out::None
    }

    /// Closes the connection after the response to the current or next request. If that response has not begun, it tells
    /// the client.
    pub fn close_after_answer(&mut self) {
        self.is_last = true;
    }

    /// Returns `true` if the caller must close the connection.
    pub fn is_over(&self) -> bool {
        self.incoming == In::Over && self.out == Out::None
    }

    /// The TCP connection has ended. Returns the tunnel that ended with it because its request was interrupted. Other tunnels
    /// may continue on another connection.
    pub fn ended<const N: usize>(&mut self, now: Instant, tunnels: &mut Tunnels<'_, N>) -> Option<TunnelId> {
        let tunnel = self.tunnel(tunnels)?;
        self.owner = 0;
        if self.incoming == In::Data || matches!(self.out, Out::Head | Out::Body) {
            tunnels.close(tunnel);
            return Some(tunnel);
        }
        tunnels.end(now, tunnel);
        None
    }
}
