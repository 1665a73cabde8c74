//! One side of a connection: what a client and a server share.

use crate::bytes::Cursor;
use crate::chunk::{ChunkStreamId, WriteProgress};
use crate::fmt::{impl_format, warning};
use crate::handshake::{Handshake, HandshakeEvent, HandshakeKind};
use crate::message::{MessageKind, StreamId, Timestamp};
use crate::time::{Instant, OptionalInstant};

use super::config::{NO_LIMIT, SessionBuffers, Setup};
use super::error::{ConfigError, RequestError, SessionError, Stage};
use super::link::Link;

/// One side of a connection. A [`Client`](super::Client) and a [`Server`](super::Server) are connections, and `R` is the
/// state of their role. What they share is here, so that code which drives a connection is written once for both: with
/// `R: Role`.
///
/// `STREAMS` is the number of incoming chunk streams that it has memory for, besides the one that is being read. A chunk
/// stream that is idle makes room for a new one.
#[derive(Debug)]
pub struct Connection<'b, R, const STREAMS: usize> {
    pub(super) link: Link<'b, STREAMS>,
    pub(super) handshake: Handshake,
    /// When the peer was asked for what is awaited; for an open server, when the client was last heard or pinged.
    pub(super) since: OptionalInstant,
    /// How long the peer may take in ms: for the handshake, and for what is awaited later.
    pub(super) limits: [u32; 2],
    /// The size of our chunks, which is announced when the peer is connected.
    pub(super) chunk_size: u32,
    pub(super) failed: Option<SessionError>,
    pub(super) role: R,
}

impl_format!(
    ['b, R, const STREAMS: usize] Connection<'b, R, STREAMS>,
    this => "Connection {{ received: {}, failed: {} }}", this.link.flow().received(), this.failed
);

/// What no other crate can implement.
pub trait Sealed {}

/// The role of a [`Connection`]: [`ClientRole`](super::ClientRole) or [`ServerRole`](super::ServerRole). There are no
/// others.
pub trait Role: Sealed + Sized + 'static {
    /// What happens on a connection of this role.
    type Event<'d>
    where
        Self: 'd;
    /// How a connection of this role behaves.
    type Config;

    #[doc(hidden)]
    fn new() -> Self;

    #[doc(hidden)]
    fn setup(config: &Self::Config) -> Setup;

    /// Nothing more happens.
    #[doc(hidden)]
    fn end(&mut self);

    /// Whether media can be sent on `stream`, or on any.
    #[doc(hidden)]
    fn sends(&self, stream: Option<StreamId>) -> bool;

    #[doc(hidden)]
    fn next_event<'d, 'i: 'd, const STREAMS: usize>(
        connection: &'d mut Connection<'_, Self, STREAMS>,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<Self::Event<'d>>, SessionError>;

    #[doc(hidden)]
    fn wants_input<const STREAMS: usize>(connection: &Connection<'_, Self, STREAMS>) -> bool;

    /// By when the peer must have done something, and what.
    #[doc(hidden)]
    fn deadline<const STREAMS: usize>(connection: &Connection<'_, Self, STREAMS>) -> Option<(Instant, Stage)>;

    /// Whether the peer has more time after its deadline.
    #[doc(hidden)]
    fn extends<const STREAMS: usize>(_: &mut Connection<'_, Self, STREAMS>, _: Instant, _: Stage) -> bool {
        false
    }
}

impl<'b, R: Role, const STREAMS: usize> Connection<'b, R, STREAMS> {
    /// Creates one side at the beginning of a connection. The first 8 bytes of `entropy` are the seed of the filler in our
    /// handshake, where everyone can see them: never derive a secret from these.
    ///
    /// # Errors
    /// A buffer is too small, or a time limit of the configuration is zero.
    pub fn new(buffers: SessionBuffers<'b>, config: R::Config, entropy: &[u8; 32]) -> Result<Self, ConfigError> {
        buffers.check()?;
        let setup = R::setup(&config);
        setup.check()?;
        Ok(Self {
            link: Link::new(buffers, setup.window, setup.type_three_delta),
            handshake: Handshake::new(setup.handshake, seed(entropy)),
            since: OptionalInstant::NONE,
            limits: setup.limits,
            chunk_size: setup.chunk_size,
            failed: None,
            role: R::new(),
        })
    }

    /// Ends the session at once and begins another one in place, in the same buffers.
    ///
    /// # Errors
    /// As [`Self::new`]. Nothing has changed then.
    pub fn restart(&mut self, config: R::Config, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        // Field by field: a second connection on the stack would be several hundred bytes.
        let setup = R::setup(&config);
        setup.check()?;
        self.link.reset(setup.window, setup.type_three_delta);
        self.handshake = Handshake::new(setup.handshake, seed(entropy));
        (self.since, self.failed) = (OptionalInstant::NONE, None);
        (self.limits, self.chunk_size) = (setup.limits, setup.chunk_size);
        self.role = R::new();
        Ok(())
    }

    /// Ends the session at once and returns the buffers.
    pub fn into_buffers(self) -> SessionBuffers<'b> {
        self.link.into_buffers()
    }

    /// Takes bytes from the front of `input` until something happens, and returns what. Each byte costs a bounded amount
    /// of work.
    ///
    /// Returns `None` if the input is empty, or if the connection cannot read for now: see [`Self::wants_input`].
    ///
    /// # Errors
    /// The peer broke the protocol, or gave no answer in time. An error is final: every later call returns it again.
    #[inline]
    pub fn next_event<'d, 'i: 'd>(
        &'d mut self,
        now: Instant,
        input: &mut &'i [u8],
    ) -> Result<Option<R::Event<'d>>, SessionError> {
        R::next_event(self, now, input)
    }

    /// Writes what is to be sent to `out`: the handshake, control messages and commands. Returns the number of bytes
    /// written. Call it after every other call, until it returns 0.
    ///
    /// It writes nothing while a chunk of media is unfinished: [`Self::poll_media`] goes on with that.
    #[must_use = "the output must be sent"]
    #[inline(never)]
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        if self.failed.is_some() {
            return 0;
        }
        self.arm(now);
        let written = self.handshake.poll_transmit(now, out, self.link.scratch());
        if !self.handshake.is_done() {
            return written;
        }
        written.saturating_add(self.link.transmit(out.get_mut(written..).unwrap_or(&mut [])))
    }

    /// Returns the time at which [`Self::handle_timeout`] must be called, or `None` if nothing is awaited.
    ///
    /// May change after [`Self::next_event`], [`Self::poll_transmit`], [`Self::handle_timeout`], [`Self::restart`], and
    /// after every request and every answer of the application.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline().map(|(deadline, _)| deadline)
    }

    /// Handles the time: a server pings a client that is silent, and a connection whose peer did not do in time what is
    /// awaited fails. Does nothing before [`Self::poll_timeout`].
    ///
    /// # Errors
    /// The peer's time is up, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        if let Some((deadline, stage)) = self.deadline()
            && now >= deadline
            && !R::extends(self, now, stage)
        {
            warning!("the peer did not answer in time");
            self.fail(SessionError::TimedOut(stage));
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// Whether [`Self::next_event`] takes input now. Otherwise output must drain first, the application of a server must
    /// answer a request, or the session is over. May change after each call that changes the connection.
    pub fn wants_input(&self) -> bool {
        self.failed.is_none() && R::wants_input(self)
    }

    /// Whether [`Self::poll_transmit`] has something to write now.
    pub fn wants_transmit(&self) -> bool {
        let shakes_hands = self.handshake.wants_transmit();
        self.failed.is_none() && (shakes_hands || (self.handshake.has_read() && self.link.wants_transmit()))
    }

    /// Returns the number of bytes that [`Self::poll_transmit`] can write now.
    pub fn transmit_len(&self) -> usize {
        if self.failed.is_some() {
            return 0;
        }
        let queued = if self.handshake.has_read() { self.link.transmit_len() } else { 0 };
        self.handshake.transmit_len().saturating_add(queued)
    }

    /// Begins an audio, video or data message of `length` bytes on `stream`, and returns its chunk stream.
    /// [`Self::poll_media`] writes it. One message of each kind can be open at the same time.
    ///
    /// A client sends on the stream that it publishes, a server on any stream of the client. If the player goes away while
    /// a message is open, the message must go on, or [`Self::complete_media`] must end it.
    ///
    /// # Errors
    /// There is no such stream, it does not publish, the message of the same kind before it is not finished, or the session
    /// has failed.
    pub fn begin_media(
        &mut self,
        kind: MessageKind,
        stream: StreamId,
        at: Timestamp,
        length: u32,
    ) -> Result<ChunkStreamId, RequestError> {
        if !self.role.sends(Some(stream)) {
            return Err(RequestError::Stream(stream));
        }
        if self.failed.is_some() {
            return Err(RequestError::State);
        }
        self.link.begin_media(kind, stream, at, length)
    }

    /// Writes the message that is open on `csid` to `out`. `rest` is the payload that was not taken before, or the next
    /// part of it. What [`Self::poll_transmit`] would write goes first, whenever the output is between two chunks.
    ///
    /// A session that has failed writes nothing, and its message is done.
    pub fn poll_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        if self.failed.is_some() {
            return WriteProgress::none(true);
        }
        self.link.transmit_media(csid, rest, out)
    }

    /// Writes zeros to `out` as the rest of the message that is open on `csid`, and returns the number of bytes written.
    /// Call it until [`Self::media_left`] returns `None`, if the source of the message is gone: a message is never left
    /// open. It does nothing if no message is open.
    #[must_use = "the output must be sent"]
    pub fn complete_media(&mut self, csid: ChunkStreamId, out: &mut [u8]) -> usize {
        if self.failed.is_some() { 0 } else { self.link.complete_media(csid, out) }
    }

    /// Takes back the message that is open on `csid`, if no byte of it has been written. Returns whether it did. Otherwise
    /// the message must go on, or [`Self::complete_media`] must end it.
    pub fn cancel_media(&mut self, csid: ChunkStreamId) -> bool {
        self.link.writer.cancel(csid)
    }

    /// Returns the number of payload bytes that the message open on `csid` lacks, or `None` if no message is open, the
    /// client publishes no longer, or the session has failed.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        let sends = self.failed.is_none() && self.role.sends(None);
        self.link.writer.left(csid).filter(|_| sends)
    }

    /// Returns the least number of bytes that [`Self::poll_media`] can write now, if it is passed `at_hand` bytes of
    /// payload. It is the exact number if nothing else becomes due before the next end of a chunk.
    pub fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
        self.link.media_len(csid, at_hand)
    }

    /// Returns the chunk stream whose chunk is unfinished, and the number of payload bytes that the chunk lacks; `None`
    /// between two chunks. Only the message of that chunk stream can go on. A caller that passes exactly so many bytes of
    /// it to [`Self::poll_media`] stops at the end of the chunk, where another message may follow.
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        self.link.writer.open_chunk()
    }

    /// Returns the number of bytes received after the handshake, modulo 2³².
    pub fn bytes_received(&self) -> u32 {
        self.link.flow().received()
    }

    /// Returns the number in the last acknowledgement of the peer. Peers count in different ways.
    pub fn acknowledged(&self) -> Option<u32> {
        self.link.flow().peer_acknowledged()
    }

    /// Returns how many commands were skipped because the scratch had no room for them beside others.
    pub fn skipped(&self) -> u32 {
        self.link.skipped()
    }

    #[inline(never)]
    fn deadline(&self) -> Option<(Instant, Stage)> {
        if self.failed.is_some() { None } else { R::deadline(self) }
    }

    /// Begins to wait for the peer, if the connection does not wait yet.
    #[inline(never)]
    pub(super) fn arm(&mut self, now: Instant) {
        if self.since.get().is_none() {
            self.since = OptionalInstant::at(now);
        }
    }

    /// The time `millis` after the connection began to wait; `None` if that is [`NO_LIMIT`].
    pub(super) fn after(&self, millis: u32) -> Option<Instant> {
        self.since.get().filter(|_| millis != NO_LIMIT).map(|since| since.after_millis(millis))
    }

    #[cold]
    pub(super) fn fail(&mut self, error: SessionError) -> SessionError {
        (self.failed, self.since) = (Some(error), OptionalInstant::NONE);
        self.role.end();
        error
    }

    /// Goes on with the handshake. Returns its kind when the peer's part has been read: our part may still be due.
    pub(super) fn shake_hands(
        &mut self,
        now: Instant,
        input: &mut &[u8],
    ) -> Result<Option<HandshakeKind>, SessionError> {
        let event = self.handshake.next_event(now, input, self.link.scratch())?;
        Ok(event.map(|HandshakeEvent::PeerDone(kind)| kind))
    }

    /// Whether the handshake takes input, or the queue has `reserve` bytes for what a command brings about.
    pub(super) fn reads(&self, reserve: usize) -> bool {
        if self.handshake.is_done() { self.link.has_room(reserve) } else { self.handshake.wants_input() }
    }
}

/// The seed of the handshake's filler, from the part of the entropy that everyone may see.
fn seed(entropy: &[u8; 32]) -> u64 {
    Cursor(entropy).array().map_or(0, u64::from_le_bytes)
}
