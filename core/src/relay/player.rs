//! A player: a cursor into a stream, joined to the session that sends it.

use core::fmt;

use super::cursor::{Cursor, Flag, Overtaken};
use super::deliver::{Begin, Sink, deliver};
use super::ring::Ring;
use crate::bytes::low_u8;
use crate::chunk::{ChunkStreamId, WriteProgress};
use crate::fmt::impl_format;
use crate::message::{MessageHeader, MessageKind, StreamId};
use crate::session::{RequestError, Server};
use crate::time::Instant;

/// Why the connection of a player must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PumpError {
    /// The player is too slow: the rest of the message that it is in does not exist any longer.
    Overtaken,
    /// The session does not accept a message. Usually its message stream was deleted.
    Request(RequestError),
}

impl fmt::Display for PumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overtaken => Overtaken.fmt(f),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PumpError {}

impl From<Overtaken> for PumpError {
    fn from(_: Overtaken) -> Self {
        Self::Overtaken
    }
}

impl From<RequestError> for PumpError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// How often a stream was published and ended, modulo 2¹⁶. It is odd while the stream is published, so that a player that
/// polls after the stream has ended is still told that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Generation(pub(super) u16);

impl Generation {
    /// That of a stream that was never published.
    #[cfg(all(test, feature = "web"))]
    pub(crate) const ENDED: Self = Self(0);

    /// Whether the stream is published.
    pub const fn is_published(self) -> bool {
        self.0 & 1 == 1
    }

    /// The next one: the stream begins, or ends.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Playing,
    /// Paused: no message is begun until the client resumes.
    Paused,
    /// No message is begun any longer.
    Leaving,
}

/// Counts of what a player was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Played {
    /// Messages that were sent whole.
    pub sent: u32,
    /// Messages that were skipped, up to a keyframe, because the player was too slow.
    pub skipped: u32,
}

/// One player of a stream.
#[derive(Debug)]
pub struct Player {
    /// Its position in the ring.
    pub(super) cursor: Cursor,
    stream: StreamId,
    /// The last state that the client was told.
    told: Generation,
    /// The chunk stream of the message that the cursor is inside of. Sessions use ids of one byte.
    csid: u8,
    mode: Mode,
}

impl_format!([] Player, this => "Player {{ cursor: {} }}", this.cursor);

impl Player {
    /// A player on a message stream of its session, which knows of `generation`. [`Directory::play`](super::Directory::play)
    /// makes one; a server of a single stream can do without a directory.
    pub const fn new(stream: StreamId, generation: Generation) -> Self {
        Self { cursor: Cursor::new(), stream, told: generation, csid: 0, mode: Mode::Playing }
    }

    /// The message stream that it plays on.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// What it was sent so far.
    pub const fn played(&self) -> Played {
        Played { sent: self.cursor.sent(), skipped: self.cursor.skipped() }
    }

    /// Whether it wants video, and gets none before the next keyframe. It does not wait for longer than 3 s. This is known
    /// after [`Self::pump`].
    pub fn awaits_keyframe(&self) -> bool {
        self.mode == Mode::Playing && self.cursor.has(Flag::Video) && self.cursor.has(Flag::AwaitsKeyframe)
    }

    /// Pauses or resumes the player ([`ServerEvent::Pause`](crate::session::ServerEvent::Pause)). A message that is
    /// begun is completed.
    pub fn pause(&mut self, is_paused: bool) {
        if self.mode != Mode::Leaving {
            self.mode = if is_paused { Mode::Paused } else { Mode::Playing };
        }
    }

    /// Sets whether the client wants audio, or video ([`ServerEvent::Receive`](crate::session::ServerEvent::Receive)).
    pub fn receive(&mut self, kind: MessageKind, is_wanted: bool) {
        let (audio, video) = match kind {
            MessageKind::AUDIO => (is_wanted, self.cursor.has(Flag::Video)),
            _ => (self.cursor.has(Flag::Audio), is_wanted),
        };
        self.cursor.select(audio, video);
    }

    /// Stops the player: it begins no further message, and completes the current one. Returns whether there is no
    /// current one.
    pub fn stop(&mut self) -> bool {
        self.mode = Mode::Leaving;
        !self.cursor.is_inside()
    }

    /// Whether it was stopped and has completed its last message.
    pub(super) fn has_left(&self) -> bool {
        self.mode == Mode::Leaving && !self.cursor.is_inside()
    }

    /// Whether a message is begun and not complete.
    pub const fn is_inside(&self) -> bool {
        self.cursor.is_inside()
    }

    /// Whether [`Self::pump`] could send something of the stream.
    pub fn has_more(&mut self, ring: &Ring<'_>, now: Instant) -> bool {
        let goes_on = self.cursor.is_inside() || self.mode == Mode::Playing;
        let piece = ring.peek(&mut self.cursor, now).ok().flatten();
        goes_on && piece.is_some_and(|piece| piece.begin.is_some() || piece.parts.iter().any(|part| !part.is_empty()))
    }

    /// Tells the client that the stream has begun, or has ended, then sends what the session has to send, then as much of
    /// the stream as there is and as `out` has room for. Returns the number of bytes written to `out`.
    ///
    /// `ring` is the ring of the stream, or `None` if the player has [none](super::Turn::stream): then the client is told
    /// that playing has ended. Call this if the ring has more, or `out` has more room. Call it with an empty `out`, too, if
    /// there is no room, so that a player that is too slow is found.
    ///
    /// # Errors
    /// The connection must be closed. Ignore what was written to `out`.
    pub fn pump<const STREAMS: usize>(
        &mut self,
        ring: Option<&Ring<'_>>,
        generation: Generation,
        session: &mut Server<'_, STREAMS>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<usize, PumpError> {
        let Some(ring) = ring else {
            if self.mode != Mode::Leaving
                && !matches!(session.end_play(self.stream), Err(RequestError::ControlBuffer(_)))
            {
                self.mode = Mode::Leaving;
            }
            return if self.cursor.is_inside() {
                Err(PumpError::Overtaken)
            } else {
                Ok(session.poll_transmit(now, out))
            };
        };
        if generation != self.told {
            self.tell(ring, generation, session);
        }
        let mut written = session.poll_transmit(now, out);
        let room = out.get_mut(written..).unwrap_or(&mut []);
        let mut sink = Session { session, stream: self.stream, csid: &mut self.csid };
        let may_begin = self.mode == Mode::Playing;
        written = written.wrapping_add(deliver(ring, &mut self.cursor, may_begin, &mut sink, now, room)?);
        if generation != self.told {
            // The last messages may not be for this player, or were sent in this call.
            self.tell(ring, generation, session);
            written = written.wrapping_add(session.poll_transmit(now, out.get_mut(written..).unwrap_or(&mut [])));
        }
        Ok(written)
    }

    /// Writes the stream in another form than that of a session. The rules are those of [`Self::pump`]. Returns the number of
    /// bytes written to `out`, and whether the stream has ended for this player.
    ///
    /// # Errors
    /// The connection must be closed. Ignore what was written to `out`.
    #[cfg(feature = "web")]
    pub(crate) fn pump_into<S: Sink<Error = Overtaken>>(
        &mut self,
        ring: Option<&Ring<'_>>,
        generation: Generation,
        sink: &mut S,
        now: Instant,
        out: &mut [u8],
    ) -> Result<(usize, bool), Overtaken> {
        let Some(ring) = ring else {
            return if self.cursor.is_inside() { Err(Overtaken) } else { Ok((0, true)) };
        };
        let may_begin = self.mode == Mode::Playing;
        let mut written = deliver(ring, &mut self.cursor, may_begin, sink, now, out)?;
        if !self.cursor.is_inside() {
            written = written.wrapping_add(sink.poll_between(ring, out.get_mut(written..).unwrap_or(&mut []))?);
        }
        let is_behind = !sink.is_idle() || self.cursor.is_inside() || ring.behind(&self.cursor) > 0;
        Ok((written, sink.has_ended() || !generation.is_published() && !is_behind))
    }

    /// Tells the client that its stream has begun; or that it has ended, after everything that there was of it.
    #[cold]
    fn tell<const STREAMS: usize>(
        &mut self,
        ring: &Ring<'_>,
        generation: Generation,
        session: &mut Server<'_, STREAMS>,
    ) {
        let told = match generation.is_published() {
            true => session.publish_notify(self.stream),
            false if ring.behind(&self.cursor) > 0 => return,
            false => session.unpublish_notify(self.stream),
        };
        // Without room in the control buffer it is told later. Other errors mean that the client is leaving.
        if !matches!(told, Err(RequestError::ControlBuffer(_))) {
            self.told = generation;
        }
    }
}

/// The session of a player, with the message stream and the chunk stream on which it is sent.
struct Session<'p, 's, const STREAMS: usize> {
    session: &'p mut Server<'s, STREAMS>,
    stream: StreamId,
    csid: &'p mut u8,
}

impl<const STREAMS: usize> Session<'_, '_, STREAMS> {
    const fn csid(&self) -> ChunkStreamId {
        ChunkStreamId(*self.csid as u32)
    }
}

impl<const STREAMS: usize> Sink for Session<'_, '_, STREAMS> {
    type Error = PumpError;

    #[cfg(feature = "web")]
    fn is_idle(&self) -> bool {
        self.media_left().is_none()
    }

    fn begin(&mut self, _ring: &Ring<'_>, header: MessageHeader, _parts: [&[u8]; 2]) -> Result<Begin, PumpError> {
        let csid = self.session.begin_media(header.kind, self.stream, header.timestamp, header.length)?;
        *self.csid = low_u8(csid.value() as usize);
        Ok(Begin::Open)
    }

    fn poll_media(&mut self, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        self.session.poll_media(self.csid(), rest, out)
    }

    fn media_left(&self) -> Option<u32> {
        self.session.media_left(self.csid())
    }
}

const _: () = assert!(size_of::<Player>() == 80);
