//! The server's side of one TCP connection of an administrator over HTTP.
//!
//! ```text
//!  in    Head ──► Body ──► Login ──► Granted ──► Call ──► Answered ──► Head, or Over
//!                         (caller)              (caller)
//!
//!  out   None ──────────────────────────────────────────► Due ──► Head ──► Body ──► None
//! ```
//!
//! A request that is refused goes from any of the first four states to `Answered`.

use core::fmt;

use super::answer::{AdminData, Answer};
use super::failure::AdminFailure;
use super::request::{AdminEvent, Request, Verb, body_part};
use super::tree::Form;
use crate::bytes::low_u32;
use crate::fmt::impl_format;
use crate::http::{Head, HeadError, Progress, request_line};
use crate::text::{Decimal, put};
use crate::time::Instant;

/// How long a request may take from its first byte to its last, in ms.
const REQUEST_LIMIT: u32 = 10_000;
/// How long a connection may be without a request, and how long an answer may wait until some of it can be sent, in ms.
const IDLE_LIMIT: u32 = 30_000;
/// The time in ms that each byte of an answer adds to its limit.
const MILLIS_PER_BYTE: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Head,
    /// The number of bytes of the body that are missing.
    Body(u32),
    /// Waits for the caller's decision about the user and the password.
    Login,
    Granted,
    /// Waits for the caller to answer a call.
    Call,
    /// The next request waits for the end of the answer.
    Answered,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Out {
    None,
    /// The answer must be prepared.
    Due,
    Head,
    Body,
}

/// The server's side of one TCP connection of an administrator over HTTP. See the [module](super).
///
/// It has one request at a time. A request must arrive within 10 s. A connection without a request ends after 30 s, and so
/// does one whose answer cannot be sent.
///
/// `SIZE` is the number of bytes of a line that are stored, and of the parts of a request that are stored together: the URL,
/// the body, `Host`, `Origin`, and the user and the password of `Authorization`. A request that needs more is refused. At
/// least 128.
pub struct AdminConnection<const SIZE: usize = 512> {
    head: Head<SIZE>,
    request: Request<SIZE>,
    incoming: In,
    out: Out,
    answer: Answer,
    result: Result<(), AdminFailure>,
    /// The number of bytes of the head or the body of the answer that were written.
    sent: u32,
    is_old: bool,
    keep_alive: bool,
    /// When the current request or the pause before it began. For an answer it moves on with each byte.
    since: Instant,
}

/// Omits the request, which has the password.
impl<const SIZE: usize> fmt::Debug for AdminConnection<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminConnection")
            .field("incoming", &self.incoming)
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

impl_format!(
    [const SIZE: usize] AdminConnection<SIZE>, this => "AdminConnection {{ is_over: {} }}", this.is_over()
);

impl<const SIZE: usize> AdminConnection<SIZE> {
    /// A connection that speaks [HTTP](crate::tunnel::Protocol::Http), of which no byte was consumed.
    pub const fn new(now: Instant) -> Self {
        Self {
            head: Head::new(),
            request: Request::new(),
            incoming: In::Head,
            out: Out::None,
            answer: Answer::NONE,
            result: Ok(()),
            sent: 0,
            is_old: false,
            keep_alive: false,
            since: now,
        }
    }

    /// Consumes bytes from the front of `input` until there is an event. Returns `None` when all input is consumed, when the
    /// caller must decide about the last event, or when the answer must be written first.
    pub fn next_event(&mut self, now: Instant, input: &mut &[u8]) -> Option<AdminEvent<'_>> {
        loop {
            match self.incoming {
                In::Head => {
                    let was_empty = self.head.is_empty();
                    let progress = self.head.read(input, &mut self.request);
                    // The time limit of a request begins with its first byte.
                    if was_empty && !self.head.is_empty() {
                        self.since = now;
                    }
                    match progress {
                        Ok(Progress::More) => return None,
                        Ok(Progress::FirstLine) => self.begin(now),
                        Ok(Progress::Done(fields)) => {
                            self.keep_alive = !fields.close && (!self.is_old || fields.keep_alive);
                            let length = fields.length.unwrap_or(0);
                            self.incoming = In::Body(length);
                            if length > 0 && self.request.verb != Verb::Post {
                                self.refuse(now, AdminFailure::Request);
                            } else if !self.request.begin_body(length) {
                                self.refuse(now, AdminFailure::TooLong);
                            }
                        }
                        Err(HeadError::TooLong) => self.refuse(now, AdminFailure::TooLong),
                        Err(_) => self.refuse(now, AdminFailure::Request),
                    }
                }
                In::Body(0) => match self.request.parse() {
                    Ok(()) => {
                        self.incoming = In::Login;
                        return Some(AdminEvent::Login(self.request.credentials()));
                    }
                    Err(failure) => self.refuse(now, failure),
                },
                In::Body(mut left) => {
                    if input.is_empty() {
                        return None;
                    }
                    self.request.push_body(body_part(input, &mut left));
                    self.incoming = In::Body(left);
                }
                In::Granted => match self.request.call() {
                    Ok(call) => {
                        self.incoming = In::Call;
                        return Some(AdminEvent::Call(call));
                    }
                    Err(failure) => self.answer_with(now, Err(failure)),
                },
                In::Login | In::Call | In::Answered | In::Over => return None,
            }
        }
    }

    /// A first line is complete.
    fn begin(&mut self, now: Instant) {
        let (line, is_cut) = self.head.line();
        let begun = match request_line(line) {
            _ if is_cut => Err(AdminFailure::TooLong),
            Err(_) => Err(AdminFailure::Request),
            Ok((method, target, is_old)) => {
                self.is_old = is_old;
                match method {
                    b"GET" => Ok((Verb::Get, target)),
                    b"HEAD" => Ok((Verb::Head, target)),
                    b"POST" => Ok((Verb::Post, target)),
                    _ => Err(AdminFailure::Verb),
                }
            }
        };
        let begun =
            begun.and_then(|(verb, target)| self.request.begin(verb, target).map_err(|_| AdminFailure::TooLong));
        if let Err(failure) = begun {
            // This forgets the previous request, and always succeeds.
            let _ = self.request.begin(Verb::Get, b"");
            self.refuse(now, failure);
        }
    }

    /// Refuses the request, and reads nothing after that.
    fn refuse(&mut self, now: Instant, failure: AdminFailure) {
        self.keep_alive = false;
        self.answer_with(now, Err(failure));
    }

    fn answer_with(&mut self, now: Instant, result: Result<(), AdminFailure>) {
        (self.incoming, self.out, self.sent) = (In::Answered, Out::Due, 0);
        (self.result, self.since) = (result, now);
    }

    /// Accepts the user and the password of [`AdminEvent::Login`]. The call follows.
    pub fn accept_login(&mut self) {
        if self.incoming == In::Login {
            self.incoming = In::Granted;
        }
    }

    /// Rejects the user and the password of [`AdminEvent::Login`].
    pub fn reject(&mut self, now: Instant, failure: AdminFailure) {
        if self.incoming == In::Login {
            self.answer_with(now, Err(failure));
        }
    }

    /// Ends the call of [`AdminEvent::Call`]: it was done, or it failed. The answer is to be written then.
    pub fn answer(&mut self, now: Instant, result: Result<(), AdminFailure>) {
        if self.incoming == In::Call {
            self.answer_with(now, result);
        }
    }

    /// Whether an answer is not written yet: `data` of [`Self::poll_transmit`] must stay as it is.
    pub fn wants_transmit(&self) -> bool {
        self.out != Out::None
    }

    /// Whether the caller must close the connection.
    pub fn is_over(&self) -> bool {
        self.incoming == In::Over && self.out == Out::None
    }

    /// When to call [`Self::handle_timeout`] at the latest. May change after every other call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_over()).then(|| self.limit())
    }

    fn limit(&self) -> Instant {
        self.since.after_millis(if self.is_within_request() { REQUEST_LIMIT } else { IDLE_LIMIT })
    }

    fn is_within_request(&self) -> bool {
        matches!(self.incoming, In::Body(_)) || self.incoming == In::Head && !self.head.is_empty()
    }

    /// Refuses a request that arrives too slowly (408). Ends a connection on which nothing has moved for too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() || now < self.limit() {
            return;
        }
        if self.is_within_request() {
            self.refuse(now, AdminFailure::TooSlow);
        } else {
            (self.incoming, self.out) = (In::Over, Out::None);
        }
    }

    /// Writes bytes to send to the front of `out` and returns their number. Call it after every other call, until it returns
    /// 0. If `data` has changed within an answer, the connection is over, and the client finds the answer too short.
    #[must_use = "the output must be sent"]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8], data: &dyn AdminData) -> usize {
        let mut written: usize = 0;
        if self.out == Out::Due {
            self.answer = Answer::new(self.result, &self.request, [0; 8], data);
            self.out = Out::Head;
        }
        if self.out == Out::Head {
            let (length, is_end) = self.put_head(out);
            (written, self.sent) = (length, self.sent.wrapping_add(low_u32(length)));
            if is_end {
                (self.out, self.sent) = (Out::Body, 0);
            }
        }
        if self.out == Out::Body {
            let has_body = self.request.verb != Verb::Head;
            if has_body {
                let room = out.get_mut(written..).unwrap_or_default();
                let part = self.answer.write(&self.request, data, self.sent, room);
                if !part.is_same {
                    (self.incoming, self.out) = (In::Over, Out::None);
                    return written;
                }
                (written, self.sent) =
                    (written.wrapping_add(part.stored), self.sent.wrapping_add(low_u32(part.stored)));
            }
            if !has_body || self.sent >= self.answer.identity.length {
                (self.out, self.since) = (Out::None, now);
                self.incoming = if self.keep_alive { In::Head } else { In::Over };
            }
        }
        let earned = low_u32(written).saturating_mul(MILLIS_PER_BYTE);
        self.since = self.since.after_millis(earned).min(now);
        written
    }

    /// Writes the head or the rest of it. Returns the number of bytes written, and whether it is complete.
    fn put_head(&self, out: &mut [u8]) -> (usize, bool) {
        let result = self.answer.result;
        let (line, more): (_, &[u8]) = match result {
            Ok(()) => (&b"200 OK"[..], b""),
            Err(failure) => (
                failure.status(),
                match failure {
                    AdminFailure::Login => b"\r\nWWW-Authenticate: Basic realm=\"admin\", charset=\"UTF-8\"",
                    AdminFailure::Wait { .. } => b"\r\nRetry-After: ",
                    AdminFailure::Verb => b"\r\nAllow: GET, HEAD, POST",
                    AdminFailure::MustPost => b"\r\nAllow: POST",
                    _ => b"",
                },
            ),
        };
        let wait = match result {
            Err(AdminFailure::Wait { seconds }) => Some(Decimal::new(seconds.into())),
            _ => None,
        };
        let length = Decimal::new(self.answer.identity.length);
        let parts: &[&[u8]] = &[
            b"HTTP/1.1 ",
            line,
            b"\r\nContent-Type: ",
            if self.request.form == Form::Json { b"application/json" } else { b"text/xml; charset=utf-8" },
            b"\r\nContent-Length: ",
            length.as_bytes(),
            // The URL may have the password.
            b"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer",
            b"\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'",
            more,
            wait.as_ref().map_or(b"", Decimal::as_bytes),
            b"\r\nConnection: ",
            if self.keep_alive { b"keep-alive" } else { b"close" },
            b"\r\n\r\n",
        ];
        put(parts, self.sent as usize, out)
    }
}
