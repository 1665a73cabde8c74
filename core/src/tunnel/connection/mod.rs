//! The server's side of one TCP connection that speaks HTTP.
//!
//! ```text
//!  in    Head ──► Body ──────────────────────────► Answered? ──► Head, or Over
//!                  │ └ lent, or skipped              ▲
//!                  ▼                                 │
//!  out   None ──► Due (perhaps held) ──► Head ──► Body ──► None
//! ```
//!
//! An answer is due when its request is complete; or early, where the session takes no more before it has sent
//! something.

mod answer;
mod request;
mod time;

use super::head::{Head, HeadError, Progress};
use super::request::{Ask, Line, parse};
use super::table::ID;
use super::{TunnelEvent, TunnelId, TunnelRefusal, Tunnels};
use crate::fmt::impl_format;
use crate::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Head,
    /// Of the tunnel's session.
    Data,
    /// Of no interest.
    Skip,
    /// The application is asked for a tunnel.
    Asking,
    /// The next request has to wait for the answer to this one.
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

/// What the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// Of the tunnel that this connection works at.
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

/// The server's side of one TCP connection that speaks HTTP. It works at one tunnel at a time, and at another one with
/// the next request, if that says so.
#[derive(Debug)]
pub struct TunnelConnection {
    head: Head,
    incoming: In,
    out: Out,
    /// What the first line said.
    line: Line,
    answer: Answer,
    /// The tunnel that is worked at, and who does; 0 is nobody.
    tunnel: TunnelId,
    owner: u32,
    /// Bytes that the request's body lacks.
    left: u32,
    /// Of the answer's body; and how much of its head or its body is out.
    length: u32,
    sent: u32,
    hint: u8,
    keep_alive: bool,
    /// The owner wants no request after this one.
    is_last: bool,
    /// The answer has gone out before the request was complete.
    is_early: bool,
    /// Until when a poll is held back.
    held: Option<Instant>,
    /// When what is under way began: a head, or the pause before it. Of a body and of an answer it is later by what has
    /// come of it, or gone.
    since: Instant,
    refusal: Option<TunnelRefusal>,
}

impl_format!([] TunnelConnection, this => "TunnelConnection {{ left: {}, length: {}, sent: {} }}", this.left, this.length, this.sent);

impl TunnelConnection {
    /// A connection of which nothing is known but that it [speaks HTTP](super::Protocol), at the time that it is.
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

    /// Takes what is HTTP off the front of `input` until something is asked for; `None` once all is taken, or where the
    /// answer must go out first.
    pub fn next_event<const N: usize>(
        &mut self,
        tunnels: &mut Tunnels<'_, N>,
        now: Instant,
        input: &mut &[u8],
    ) -> Option<TunnelEvent> {
        let (before, had_begun) = (input.len(), !self.head.is_empty());
        let event = self.find_event(tunnels, now, input);
        let taken = before.wrapping_sub(input.len());
        match self.incoming {
            // A head has its time from its first byte on, however it comes.
            In::Head if had_begun || self.head.is_empty() => {}
            In::Head => self.since = now,
            _ => self.progress(now, taken),
        }
        event
    }

    fn find_event<const N: usize>(
        &mut self,
        tunnels: &mut Tunnels<'_, N>,
        now: Instant,
        input: &mut &[u8],
    ) -> Option<TunnelEvent> {
        loop {
            if let Some(refusal) = self.refusal.take() {
                return Some(TunnelEvent::Refused(refusal));
            }
            match self.incoming {
                In::Head => match self.head.read(input) {
                    Ok(Progress::More) => return None,
                    Ok(Progress::FirstLine) => {
                        let (text, is_cut) = self.head.line();
                        match parse(text) {
                            _ if is_cut => self.fail(HeadError::TooLong.into(), 414),
                            Ok(line) => self.line = line,
                            Err(error) => self.fail(error.into(), 400),
                        }
                    }
                    Ok(Progress::Done(fields)) => self.begin(tunnels, now, fields),
                    Err(error) => self.fail(error.into(), request::status(error)),
                },
                In::Data | In::Skip if self.left == 0 => {
                    if let Some(event) = self.complete(tunnels, now) {
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
                    self.left = self.left.wrapping_sub(skipped as u32);
                }
                In::Asking | In::Answered | In::Over => return None,
            }
        }
    }

    /// Lends the bytes that [`TunnelEvent::Data`] announced to `take`, which takes what it can of them off the front of its own
    /// slice, and takes these off the front of `input`.
    pub fn receive<'i, R>(&mut self, now: Instant, input: &mut &'i [u8], take: impl FnOnce(&mut &'i [u8]) -> R) -> R {
        let length = if self.incoming == In::Data { input.len().min(self.left as usize) } else { 0 };
        let (mut data, _) = input.split_at_checked(length).unwrap_or((&[], &[]));
        let result = take(&mut data);
        let taken = length.wrapping_sub(data.len());
        *input = input.get(taken..).unwrap_or(&[]);
        self.left = self.left.wrapping_sub(taken as u32);
        self.progress(now, taken);
        result
    }

    /// Opens the tunnel that [`TunnelEvent::Open`] asks for; its id is made of `entropy`, 32 random bytes that were used for
    /// nothing else. `None` where there are too many, which the client is told.
    pub fn open<const N: usize>(
        &mut self,
        tunnels: &mut Tunnels<'_, N>,
        now: Instant,
        entropy: &[u8; 32],
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

    /// Refuses the tunnel that [`TunnelEvent::Open`] asks for: 503.
    pub fn refuse(&mut self) {
        if self.incoming == In::Asking {
            self.incoming = In::Answered;
            self.answer_with(Answer::Status(503));
        }
    }

    /// The tunnel whose request is under way, whose session may have something to send.
    pub fn tunnel<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Option<TunnelId> {
        (self.owner != 0 && tunnels.has(self.tunnel, self.owner)).then_some(self.tunnel)
    }

    /// The session can take no more of the request before it has sent something: the answer goes out early. (It would
    /// wait for the end of the request for ever.)
    ///
    /// Answers `false` where that cannot be, since a request has one answer, and this one's is out: the session can neither
    /// go on reading nor say anything any more, and is to be ended ([`Tunnels::close`]). With
    /// [`MIN_CONTROL`](super::MIN_CONTROL) bytes in its control buffer, that happens to no client known.
    #[must_use = "the session may be stuck"]
    pub fn answer_early(&mut self) -> bool {
        if self.incoming == In::Data && self.out == Out::None && !self.is_early {
            self.out = Out::Due;
        }
        self.out != Out::None
    }

    /// The connection is to be closed when what is asked, or is asked next, has been answered. The client is told with the
    /// answer, if that is not begun.
    pub fn close_after_answer(&mut self) {
        self.is_last = true;
    }

    /// Whether the connection is to be closed.
    pub fn is_over(&self) -> bool {
        self.incoming == In::Over && self.out == Out::None
    }

    /// Says that the TCP connection is at its end. Answers the tunnel that is over with it, since a request of it was cut
    /// off; the others may come back on another connection.
    pub fn ended<const N: usize>(&mut self, tunnels: &mut Tunnels<'_, N>, now: Instant) -> Option<TunnelId> {
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
