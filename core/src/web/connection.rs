//! The server's side of one TCP connection of a browser or another viewer.
//!
//! ```text
//!  in    Head ──► Asking ──► Answered ──────────────────► Head, or Over
//!                 (caller)      └──► Frames (WebSocket) ────────► Over
//!
//!  out   None ──► Head ──► Body ────────────────────────► None
//!                   ├────► Status ──► Ending ───────────►
//!                   └────► Stream ──► Ending ───────────►
//! ```
//!
//! A head has a time limit from its first byte to its last. An answer has as long as a pause between requests, and each of
//! its bytes adds to that. A stream has no limit while all that was written is sent.

use core::fmt;

use super::fragments::{Fragments, Muxed};
use super::framing::{Broken, Control, FrameReader, Framing, MAX_CONTROL, NORMAL, Opcode, PROTOCOL_ERROR, put_control};
use super::request::{Path, Stored};
use super::tags::FlvTags;
use super::{WebConfig, WebEvent, WebFormat, WebRefusal, WebRejection, WebResource};
use crate::bytes::low_u16;
use crate::fmt::impl_format;
use crate::http::{Head, HeadError, Progress, request_line};
use crate::time::{Instant, millis};

/// The time in ms that each byte of an answer adds to its time limit. A client that is slower than 250 bytes per second for
/// [`WebConfig::idle_timeout`] is too slow.
const MILLIS_PER_BYTE: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    Head,
    /// Waits for the caller to accept or reject a request.
    Asking,
    /// The next request waits for the end of the answer.
    Answered,
    /// Frames of a WebSocket.
    Frames,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Out {
    None,
    Head,
    Body,
    /// The number of parts of the status that were written, and whether one of them was a stream.
    Status(u16, bool),
    /// The last part of the status waits to be sent.
    LastPart,
    Stream,
    /// The last bytes wait to be sent.
    Ending,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// What was requested.
    Accepted,
    /// A status other than 200.
    Status(u16),
}

/// The server's side of one TCP connection of a browser or another viewer. See the [module](super).
///
/// `SIZE` is the number of bytes of a line that are stored, and of the parts of a request that are stored together: the URL,
/// `Host`, `Origin`, the user and the password. A request that needs more is answered with 414 or 431. At least 256.
pub struct WebConnection<const SIZE: usize = 512> {
    pub(super) head: Head<SIZE>,
    pub(super) stored: Stored<SIZE>,
    pub(super) incoming: In,
    pub(super) out: Out,
    pub(super) path: Path,
    pub(super) answer: Answer,
    pub(super) framing: Framing,
    pub(super) muxed: Muxed,
    frames: FrameReader,
    /// A control frame of the client that is to be answered. Its payload is in the scratch of `head`.
    control: Option<Control>,
    /// The part of the stored text that waits to be sent.
    pub(super) start: u16,
    pub(super) end: u16,
    /// The number of bytes of the head or the body that were written.
    pub(super) sent: u32,
    pub(super) keep_alive: bool,
    /// The stored names of the codecs of a stream: start and length.
    pub(super) codecs: Option<(u16, u16)>,
    /// The stored origin whose pages may read the answer: start and length.
    pub(super) origin: Option<(u16, u16)>,
    /// When the current head or the pause before it began. For an answer it moves on with each byte.
    pub(super) since: Instant,
    refusal: Option<WebRefusal>,
}

/// Omits the request, which may have a key, a token and a password.
impl<const SIZE: usize> fmt::Debug for WebConnection<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConnection")
            .field("incoming", &self.incoming)
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

impl_format!(
    [const SIZE: usize] WebConnection<SIZE>, this => "WebConnection {{ is_streaming: {} }}", this.is_streaming()
);

impl<const SIZE: usize> WebConnection<SIZE> {
    /// A connection of which no byte was consumed.
    pub const fn new(now: Instant) -> Self {
        Self {
            head: Head::new(),
            stored: Stored::new(),
            incoming: In::Head,
            out: Out::None,
            path: Path::Resource(WebResource::Page),
            answer: Answer::Status(404),
            framing: Framing::Close,
            muxed: Muxed::Flv(FlvTags::new()),
            codecs: None,
            frames: FrameReader::new(),
            control: None,
            start: 0,
            end: 0,
            sent: 0,
            keep_alive: false,
            origin: None,
            since: now,
            refusal: None,
        }
    }

    /// Consumes bytes from the front of `input` until there is an event. Returns `None` when all input is consumed, or when
    /// the answer must be written first.
    pub fn next_event(&mut self, now: Instant, input: &mut &[u8], config: &WebConfig<'_>) -> Option<WebEvent<'_>> {
        let resource = loop {
            if let Some(refusal) = self.refusal.take() {
                return Some(WebEvent::Refused(refusal));
            }
            match self.incoming {
                In::Head => {
                    let was_empty = self.head.is_empty();
                    let progress = self.head.read(input, &mut self.stored);
                    // The time limit of a head begins with its first byte.
                    if was_empty && !self.head.is_empty() {
                        self.since = now;
                    }
                    match progress {
                        Ok(Progress::More) => return None,
                        Ok(Progress::FirstLine) => self.begin(now),
                        Ok(Progress::Done(fields)) => {
                            self.keep_alive = !fields.close && (!self.stored.is_old || fields.keep_alive);
                            match self.stored.check(fields.length, config) {
                                Ok((path, is_websocket)) => {
                                    (self.incoming, self.since) = (In::Asking, now);
                                    (self.path, self.origin) = (path, self.stored.allowed_origin(config));
                                    self.framing = match (is_websocket, self.stored.is_old) {
                                        (true, _) => Framing::WebSocket,
                                        (_, true) => Framing::Close,
                                        _ => Framing::Chunked,
                                    };
                                    break path.resource();
                                }
                                Err(refusal) => self.refuse(now, refusal),
                            }
                        }
                        Err(error) => self.refuse(now, WebRefusal::Head(error)),
                    }
                }
                In::Frames if self.control.is_none() => match self.frames.read(input, self.head.scratch()) {
                    Ok(None) => return None,
                    Ok(control) => self.control = control,
                    Err(Broken) => {
                        let scratch = self.head.scratch();
                        PROTOCOL_ERROR.to_be_bytes().iter().zip(scratch).for_each(|(byte, place)| *place = *byte);
                        self.control = Some(Control { opcode: Opcode::Close, length: 2 });
                    }
                },
                In::Asking | In::Answered | In::Frames | In::Over => return None,
            }
        };
        Some(WebEvent::Request(self.stored.request(resource, self.framing == Framing::WebSocket)))
    }

    /// A first line is complete.
    fn begin(&mut self, now: Instant) {
        let (line, is_cut) = self.head.line();
        let result = match request_line(line) {
            _ if is_cut => Err(WebRefusal::Head(HeadError::TooLong)),
            Err(error) => Err(WebRefusal::Head(error)),
            Ok((method @ (b"GET" | b"HEAD"), target, is_old)) => {
                self.stored.begin(target, method == b"HEAD", is_old).map_err(WebRefusal::Head)
            }
            Ok(_) => Err(WebRefusal::Method),
        };
        if let Err(refusal) = result {
            self.stored.is_head = false;
            self.refuse(now, refusal);
            if is_cut {
                self.answer = Answer::Status(414);
            }
        }
    }

    /// Sends an error, and reads nothing after that.
    fn refuse(&mut self, now: Instant, refusal: WebRefusal) {
        (self.refusal, self.keep_alive, self.origin) = (Some(refusal), false, None);
        self.answer_with(now, Answer::Status(refusal.status()));
    }

    pub(super) fn answer_with(&mut self, now: Instant, answer: Answer) {
        (self.answer, self.out, self.sent) = (answer, Out::Head, 0);
        (self.incoming, self.since) = (In::Answered, now);
    }

    /// Accepts the request of [`WebEvent::Request`]. A stream begins, except if only its head was requested.
    pub fn accept(&mut self, now: Instant) {
        if self.incoming != In::Asking {
            return;
        }
        self.answer_with(now, Answer::Accepted);
        if self.framing == Framing::WebSocket {
            self.incoming = In::Frames;
            self.store_accept_key();
        }
        (self.start, self.end, self.control) = (0, 0, None);
        self.muxed = match self.path {
            Path::Resource(WebResource::Stream(WebFormat::Mp4)) => Muxed::Mp4(Fragments::new()),
            _ => Muxed::Flv(FlvTags::new()),
        };
        (self.frames, self.codecs) = (FrameReader::new(), None);
    }

    /// Rejects the request of [`WebEvent::Request`].
    pub fn reject(&mut self, now: Instant, rejection: WebRejection) {
        if self.incoming == In::Asking {
            self.answer_with(now, Answer::Status(rejection.status()));
        }
    }

    /// Whether an accepted stream has not ended: [`Self::poll_stream`] writes it.
    pub fn is_streaming(&self) -> bool {
        let is_stream = matches!(self.path, Path::Resource(WebResource::Stream(_))) && !self.stored.is_head;
        is_stream && self.answer == Answer::Accepted && matches!(self.out, Out::Head | Out::Stream)
    }

    /// Whether the status is requested: [`Self::poll_status`] writes it.
    pub fn is_status(&self) -> bool {
        let is_status = self.path == Path::Resource(WebResource::Status) && self.answer == Answer::Accepted;
        is_status && matches!(self.out, Out::Head | Out::Status(..))
    }

    /// Ends a stream between two parts, as if its publisher had left.
    pub fn end_stream(&mut self) {
        if self.out == Out::Stream && self.start == self.end {
            self.begin_end(NORMAL);
        }
    }

    /// Whether [`Self::poll_transmit`] has something to write.
    pub fn wants_transmit(&self) -> bool {
        self.start < self.end
            || self.control.is_some()
            || matches!(self.out, Out::Head | Out::Body | Out::LastPart | Out::Ending)
    }

    /// Whether the caller must close the connection.
    pub fn is_over(&self) -> bool {
        self.incoming == In::Over && self.out == Out::None
    }

    /// When to call [`Self::handle_timeout`] at the latest. May change after every other call.
    #[must_use]
    pub fn poll_timeout(&self, config: &WebConfig<'_>) -> Option<Instant> {
        (!self.is_over()).then(|| self.limit(config))
    }

    fn limit(&self, config: &WebConfig<'_>) -> Instant {
        let is_within_head = self.incoming == In::Head && !self.head.is_empty();
        self.since.after_millis(millis(if is_within_head { config.head_timeout } else { config.idle_timeout }))
    }

    /// Sends 408 if a request arrives too slowly. Ends a connection on which nothing has moved for too long. A stream
    /// ends only if `has_output` says that bytes which were written are not sent or not acknowledged yet.
    pub fn handle_timeout(&mut self, now: Instant, config: &WebConfig<'_>, has_output: bool) {
        if self.is_over() || now < self.limit(config) {
            return;
        }
        let is_within_head = self.incoming == In::Head && !self.head.is_empty();
        if is_within_head {
            self.stored.is_head = false;
            self.refuse(now, WebRefusal::TooSlow);
        } else if self.out == Out::Stream && self.start == self.end && !has_output {
            self.since = now;
        } else {
            (self.incoming, self.out, self.start, self.end) = (In::Over, Out::None, 0, 0);
        }
    }

    /// `bytes` bytes of an answer were written.
    pub(super) fn progress(&mut self, now: Instant, bytes: usize) {
        let earned = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(MILLIS_PER_BYTE);
        self.since = self.since.after_millis(earned).min(now);
    }

    /// Prepares the answer to a control frame of the client, if the previous bytes are sent. Returns whether there is one.
    pub(super) fn answer_control(&mut self) -> bool {
        let is_free = self.start == self.end && matches!(self.out, Out::Stream);
        let Some(Control { opcode, length }) = self.control.take_if(|_| is_free) else { return false };
        let payload = self.head.scratch().get(..length.min(MAX_CONTROL)).unwrap_or_default();
        let answer = match opcode {
            Opcode::Ping => Opcode::Pong,
            Opcode::Close => {
                (self.out, self.incoming) = (Out::Ending, In::Over);
                Opcode::Close
            }
            Opcode::Binary | Opcode::Pong => return false,
        };
        // The payload of a close frame may have a reason. Only the status is repeated.
        let payload = if answer == Opcode::Close { payload.get(..2).unwrap_or_default() } else { payload };
        (self.start, self.end) = (0, low_u16(put_control(answer, payload, &mut self.stored.texts.bytes)));
        true
    }

    /// Prepares the last bytes of an answer without a length.
    pub(super) fn begin_end(&mut self, code: u16) {
        self.out = Out::Ending;
        let length = match self.framing {
            Framing::Close => 0,
            Framing::Chunked => crate::bytes::copy(super::framing::LAST_CHUNK, &mut self.stored.texts.bytes),
            Framing::WebSocket => put_control(Opcode::Close, &code.to_be_bytes(), &mut self.stored.texts.bytes),
        };
        (self.start, self.end) = (0, low_u16(length));
        if self.framing != Framing::Chunked {
            (self.incoming, self.keep_alive) = (In::Over, false);
        }
    }

    /// The answer is written.
    pub(super) fn end_answer(&mut self, now: Instant) {
        (self.out, self.since) = (Out::None, now);
        self.incoming = if self.keep_alive && self.incoming == In::Answered { In::Head } else { In::Over };
    }
}
