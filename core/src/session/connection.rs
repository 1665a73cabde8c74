//! One side of a connection: the state and the functions that a client and a server share.

use crate::bytes::Cursor;
use crate::chunk::{ChunkStreamId, WriteProgress};
#[cfg(feature = "rtmpe")]
use crate::crypt::{Cipher, KeyPair};
use crate::fmt::{impl_format, warning};
use crate::handshake::{Handshake, HandshakeEvent, HandshakeKind};
use crate::message::{MessageKind, StreamId, Timestamp};
use crate::time::{Instant, OptionalInstant};

use super::config::{NO_LIMIT, SessionBuffers, Setup};
use super::error::{ConfigError, RequestError, SessionError, Stage};
use super::link::Link;

/// One side of a connection. A [`Client`](super::Client) and a [`Server`](super::Server) are connections, and `R` is
/// the state of their role. Code that drives a connection can be written once for both, generic over `R: Role`.
///
/// `STREAMS` is the number of incoming chunk streams that it has memory for, besides the one that is being read. If
/// more are needed, an idle chunk stream is evicted.
#[derive(Debug)]
pub struct Connection<'b, R, const STREAMS: usize> {
    pub(super) link: Link<'b, STREAMS>,
    pub(super) handshake: Handshake,
    /// When the current step of the peer began; for an open server, when the client last sent something or was pinged.
    pub(super) since: OptionalInstant,
    /// How long the peer may take in ms: for the handshake, and for each later step.
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

/// A trait that no other crate can implement.
pub trait Sealed {}

/// The role of a [`Connection`]: [`ClientRole`](super::ClientRole) or [`ServerRole`](super::ServerRole). There are no
/// others.
pub trait Role: Sealed + Sized + 'static {
    /// The events of a connection of this role.
    type Event<'d>
    where
        Self: 'd;
    /// The configuration of a connection of this role.
    type Config;

    #[doc(hidden)]
    fn new() -> Self;

    #[doc(hidden)]
    fn setup(config: &Self::Config) -> Result<Setup, ConfigError>;

    /// Stores the part of the configuration that only this role has.
    #[doc(hidden)]
    #[inline(always)]
    fn configure(&mut self, _: &Self::Config) {}

    /// Ends the session: no further events follow.
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

    /// The deadline of the peer's current step, and the step.
    #[doc(hidden)]
    fn deadline<const STREAMS: usize>(connection: &Connection<'_, Self, STREAMS>) -> Option<(Instant, Stage)>;

    /// Records that a part of a media message was written. `is_starved` says whether all available payload was written and
    /// the message is not complete.
    #[doc(hidden)]
    fn sent<const STREAMS: usize>(connection: &mut Connection<'_, Self, STREAMS>, is_starved: bool);

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
        let setup = R::setup(&config)?;
        let mut connection = Self::with(buffers, &setup, entropy);
        connection.role.configure(&config);
        Ok(connection)
    }

    /// Creates one side that has no configuration. Call [`Self::restart`] before any other function; it checks the
    /// buffers, too.
    pub fn idle(buffers: SessionBuffers<'b>) -> Self {
        Self::with(buffers, &Setup::IDLE, &[0; 32])
    }

    #[inline(always)]
    fn with(buffers: SessionBuffers<'b>, setup: &Setup, entropy: &[u8; 32]) -> Self {
        Self {
            link: Link::new(buffers, setup.window, setup.type_three_delta),
            handshake: Handshake::new(setup.handshake, seed(entropy)),
            since: OptionalInstant::NONE,
            limits: setup.limits,
            chunk_size: setup.chunk_size,
            failed: None,
            role: R::new(),
        }
    }

    /// Ends the session at once and begins another one in place, in the same buffers.
    ///
    /// # Errors
    /// As [`Self::new`]. Nothing has changed then.
    pub fn restart(&mut self, config: R::Config, entropy: &[u8; 32]) -> Result<(), ConfigError> {
        // This resets field by field, because a second connection on the stack would need several hundred bytes.
        self.link.check()?;
        let setup = R::setup(&config)?;
        self.link.reset(setup.window, setup.type_three_delta);
        self.handshake = Handshake::new(setup.handshake, seed(entropy));
        (self.since, self.failed) = (OptionalInstant::NONE, None);
        (self.limits, self.chunk_size) = (setup.limits, setup.chunk_size);
        self.role = R::new();
        self.role.configure(&config);
        Ok(())
    }

    /// Ends the session at once and returns the buffers.
    pub fn into_buffers(self) -> SessionBuffers<'b> {
        self.link.into_buffers()
    }

    /// Takes bytes from the front of `input` until they complete an event, and returns the event. Each byte costs a
    /// bounded amount of work.
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
    /// It writes nothing while a chunk of media is unfinished: [`Self::poll_media`] continues that chunk.
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

    /// Returns the time at which [`Self::handle_timeout`] must be called, or `None` if there is no deadline.
    ///
    /// May change after [`Self::next_event`], [`Self::poll_transmit`], [`Self::handle_timeout`], [`Self::restart`], and
    /// after every request and every answer of the application.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline().map(|(deadline, _)| deadline)
    }

    /// Handles deadlines that have passed: a server pings a client that is silent, and a connection fails if its peer
    /// took too long. Does nothing before [`Self::poll_timeout`].
    ///
    /// # Errors
    /// The peer took too long, or the session had failed before.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.arm(now);
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

    /// Returns whether the session is encrypted (RTMPE) and needs keys now. If it does, call [`Self::agree`]. Until
    /// then, the session reads and writes nothing. May change after [`Self::next_event`].
    ///
    /// The session of a server needs keys if the client begins with RTMPE, its digest is right, its public key is
    /// valid, and the server accepts [`Versions::Rtmpe`](crate::handshake::Versions::Rtmpe).
    #[cfg(feature = "rtmpe")]
    #[must_use]
    pub fn awaits_keys(&self) -> bool {
        self.failed.is_none() && self.handshake.awaits_keys()
    }

    /// Agrees with the peer on keys, and returns the ciphers. From now on, all bytes of the connection must pass
    /// through them: see [`Cipher`]. For a client, `pair` is the pair that was passed to
    /// [`encrypt`](super::Client::encrypt). For a server, it is a new pair. Returns `None` if no keys are needed now.
    ///
    /// This takes millions of instructions, so do not call it while the network stack is borrowed.
    #[cfg(feature = "rtmpe")]
    #[must_use = "without the ciphers, nothing can be read"]
    pub fn agree(&mut self, now: Instant, pair: &KeyPair) -> Option<Cipher> {
        if self.failed.is_some() { None } else { self.handshake.agree(now, pair, self.link.scratch()) }
    }

    /// Begins an audio, video or data message of `length` bytes on `stream`, and returns its chunk stream.
    /// [`Self::poll_media`] writes it. One message of each kind can be open at the same time.
    ///
    /// A client sends on the stream that it publishes, a server on any stream of the client. If the player leaves while
    /// a message is open, continue the message or end it with [`Self::complete_media`].
    ///
    /// # Errors
    /// There is no such stream, nothing is published or played on it, the previous message of the same kind is not
    /// finished, or the session has failed.
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
    /// part of it. The output of [`Self::poll_transmit`] has priority: this function writes it first whenever it is
    /// between two chunks.
    ///
    /// A session that has failed writes nothing, and its message is done.
    pub fn poll_media(&mut self, csid: ChunkStreamId, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        if self.failed.is_some() {
            return WriteProgress::none(true);
        }
        let progress = self.link.transmit_media(csid, rest, out);
        if progress.written > 0 {
            R::sent(self, progress.taken == rest.len() && !progress.done);
        }
        progress
    }

    /// Writes zeros to `out` as the rest of the message that is open on `csid`, and returns the number of bytes
    /// written. If the source of a message fails, call this until [`Self::media_left`] returns `None`, because a
    /// message that has begun must be completed. Does nothing if no message is open.
    #[must_use = "the output must be sent"]
    pub fn complete_media(&mut self, csid: ChunkStreamId, out: &mut [u8]) -> usize {
        if self.failed.is_some() { 0 } else { self.link.complete_media(csid, out) }
    }

    /// Cancels the message that is open on `csid`, if no byte of it has been written. Returns whether it was cancelled.
    /// If it was not, continue the message or end it with [`Self::complete_media`].
    pub fn cancel_media(&mut self, csid: ChunkStreamId) -> bool {
        self.link.writer.cancel(csid)
    }

    /// Returns the number of payload bytes that are missing from the message that is open on `csid`. Returns `None` if
    /// no message is open, the client does not publish any longer, or the session has failed.
    pub fn media_left(&self, csid: ChunkStreamId) -> Option<u32> {
        let sends = self.failed.is_none() && self.role.sends(None);
        self.link.writer.left(csid).filter(|_| sends)
    }

    /// Returns the least number of bytes that [`Self::poll_media`] can write now, if it is passed `at_hand` bytes of
    /// payload. It is the exact number if nothing else becomes due before the next end of a chunk.
    pub fn media_len(&self, csid: ChunkStreamId, at_hand: usize) -> usize {
        self.link.media_len(csid, at_hand)
    }

    /// Returns the chunk stream whose chunk is unfinished, and the number of payload bytes that are missing from the
    /// chunk; `None` between two chunks. Only the message of that chunk stream can continue. A caller that passes
    /// exactly this number of bytes to [`Self::poll_media`] stops at the end of the chunk, where another message may
    /// follow.
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        self.link.writer.open_chunk()
    }

    /// Returns the number of bytes received after the handshake, modulo 2³².
    pub fn bytes_received(&self) -> u32 {
        self.link.flow().received()
    }

    /// Returns the number in the last acknowledgement of the peer. Peers count in different ways: see
    /// [`Goodput`](crate::pressure::Goodput).
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

    /// Starts the time limit of the peer's current step, if it has not started yet.
    #[inline(never)]
    pub(super) fn arm(&mut self, now: Instant) {
        if self.since.get().is_none() {
            self.since = OptionalInstant::at(now);
        }
    }

    /// The time `millis` after the current step began; `None` if `millis` is [`NO_LIMIT`].
    pub(super) fn after(&self, millis: u32) -> Option<Instant> {
        self.since.get().filter(|_| millis != NO_LIMIT).map(|since| since.after_millis(millis))
    }

    #[cold]
    pub(super) fn fail(&mut self, error: SessionError) -> SessionError {
        (self.failed, self.since) = (Some(error), OptionalInstant::NONE);
        self.role.end();
        error
    }

    /// Continues the handshake. Returns its kind when the peer's part has been read. Our part may not be sent yet.
    pub(super) fn shake_hands(
        &mut self,
        now: Instant,
        input: &mut &[u8],
    ) -> Result<Option<HandshakeKind>, SessionError> {
        let event = self.handshake.next_event(now, input, self.link.scratch())?;
        Ok(event.map(|HandshakeEvent::PeerDone(kind)| kind))
    }

    /// Whether the handshake takes input, or the queue has `reserve` free bytes for the answers to a command.
    pub(super) fn reads(&self, reserve: usize) -> bool {
        if self.handshake.is_done() { self.link.has_room(reserve) } else { self.handshake.wants_input() }
    }
}

/// The seed of the handshake's filler. It is the part of the entropy that becomes public.
fn seed(entropy: &[u8; 32]) -> u64 {
    Cursor(entropy).array().map_or(0, u64::from_le_bytes)
}
