//! The streams that a server relays, and who plays them.

use embedded_rtmp::amf0;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::message::{Kind, StreamId};
use embedded_rtmp::relay::{Buffers, Player, PumpError, Ring};
use embedded_rtmp::session::{RequestError, Server};
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::fmt::brief;
use crate::handler::SessionId;

/// The memory of one stream that is relayed: for a static, or wherever the caller keeps it.
///
/// | Bytes | What they are for | How many |
/// |---|---|---|
/// | `RING` | What players have not sent yet, and what new ones begin with: see [`Buffers`]. | Two groups of pictures; twice the largest keyframe at least. |
/// | `METADATA` | The last `onMetaData`. | 512 |
/// | `VIDEO` | The last video sequence header. | 64 for AVC, 256 for HEVC. |
/// | `AUDIO` | The last audio sequence header. | 32 |
/// | `NAME` | The stream's key, without its query; longer ones are refused. | 64 |
#[derive(Debug)]
pub struct StreamMemory<
    const RING: usize,
    const METADATA: usize = 512,
    const VIDEO: usize = 256,
    const AUDIO: usize = 32,
    const NAME: usize = 64,
> {
    ring: [u8; RING],
    metadata: [u8; METADATA],
    video: [u8; VIDEO],
    audio: [u8; AUDIO],
    name: [u8; NAME],
}

brief!(
    [
        const RING: usize,
        const METADATA: usize,
        const VIDEO: usize,
        const AUDIO: usize,
        const NAME: usize
    ] StreamMemory<RING, METADATA, VIDEO, AUDIO, NAME>,
    _ => "StreamMemory<{}, {}, {}, {}, {}>", RING, METADATA, VIDEO, AUDIO, NAME
);

impl<const RING: usize, const METADATA: usize, const VIDEO: usize, const AUDIO: usize, const NAME: usize>
    StreamMemory<RING, METADATA, VIDEO, AUDIO, NAME>
{
    /// Memory, all zeros.
    pub const fn new() -> Self {
        Self { ring: [0; RING], metadata: [0; METADATA], video: [0; VIDEO], audio: [0; AUDIO], name: [0; NAME] }
    }

    /// What the relay gets.
    pub(crate) fn channel(&mut self) -> Channel<'_> {
        let Self { ring, metadata, video, audio, name } = self;
        let ring = Ring::new(Buffers { ring, metadata, video, audio });
        Channel { ring, name, length: 0, publisher: None, turn: 0, players: 0 }
    }
}

impl<const RING: usize, const METADATA: usize, const VIDEO: usize, const AUDIO: usize, const NAME: usize> Default
    for StreamMemory<RING, METADATA, VIDEO, AUDIO, NAME>
{
    fn default() -> Self {
        Self::new()
    }
}

/// What came of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Played {
    /// Messages that it was sent.
    pub sent: u32,
    /// Messages that were left out, up to a keyframe, since it was too slow.
    pub skipped: u32,
}

/// One stream.
pub(crate) struct Channel<'a> {
    ring: Ring<'a>,
    name: &'a mut [u8],
    length: usize,
    publisher: Option<(SessionId, StreamId)>,
    /// How often it was published, and how often that ended: who looks too late to see it published hears of the end.
    turn: u32,
    players: u8,
}

impl Channel<'_> {
    fn is_free(&self) -> bool {
        self.publisher.is_none() && self.players == 0
    }

    fn name(&self) -> &[u8] {
        self.name.get(..self.length).unwrap_or_default()
    }
}

/// One player.
pub(crate) struct Playing {
    session: SessionId,
    channel: usize,
    player: Player,
    /// The turn of the stream that it knows of.
    told: u32,
    is_paused: bool,
    leaves: bool,
    wants_audio: bool,
    wants_video: bool,
}

/// Why a stream is not to be had.
pub(crate) const TAKEN: &str = "The stream is being published.";
pub(crate) const FULL: &str = "There is no room for more.";

/// All streams and players. None of a socket: what is done here may be done within a socket's closure.
pub(crate) struct Relay<'r, 'a> {
    pub(crate) channels: &'r mut [Channel<'a>],
    pub(crate) players: &'r mut [Option<Playing>],
    /// Players may have something to do.
    pub(crate) moved: bool,
}

impl Relay<'_, '_> {
    /// The stream of that name, or one that is free and has the name from now on.
    fn find(&mut self, key: amf0::Text<'_>) -> Result<usize, &'static str> {
        let key = key.as_bytes().split(|byte| *byte == b'?').next().unwrap_or_default();
        let named = self.channels.iter().position(|channel| !channel.is_free() && channel.name() == key);
        if let Some(index) = named {
            return Ok(index);
        }
        let fits = |channel: &Channel<'_>| channel.is_free() && channel.name.len() >= key.len();
        let index = self.channels.iter().position(fits).ok_or(FULL)?;
        if let Some(channel) = self.channels.get_mut(index) {
            channel.name.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            channel.length = key.len();
        }
        Ok(index)
    }

    /// A publisher wants a stream. Where nothing is relayed, each has its own.
    pub(crate) fn publish(
        &mut self,
        session: SessionId,
        stream: StreamId,
        key: amf0::Text<'_>,
    ) -> Result<(), &'static str> {
        if self.channels.is_empty() {
            return Ok(());
        }
        let index = self.find(key)?;
        let Some(channel) = self.channels.get_mut(index) else { return Err(FULL) };
        if channel.publisher.is_some() {
            return Err(TAKEN);
        }
        channel.publisher = Some((session, stream));
        channel.turn = channel.turn.wrapping_add(1);
        self.moved = true;
        Ok(())
    }

    /// A piece of what a publisher sends: copied in.
    pub(crate) fn push(&mut self, session: SessionId, fragment: &Fragment<'_>) {
        let publisher = Some((session, fragment.header.stream));
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.publisher == publisher) {
            channel.ring.push(fragment);
            self.moved |= channel.players > 0;
        }
    }

    /// A publisher was not let in after all: nobody is to hear of it.
    pub(crate) fn withdraw(&mut self, session: SessionId, stream: StreamId) {
        let publisher = Some((session, stream));
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.publisher == publisher) {
            channel.publisher = None;
            channel.turn = channel.turn.wrapping_sub(1);
        }
    }

    /// A publisher has ended one stream, or with its session all.
    pub(crate) fn unpublish(&mut self, session: SessionId, stream: Option<StreamId>) {
        for channel in self.channels.iter_mut() {
            if channel.publisher.is_some_and(|(by, on)| by == session && stream.is_none_or(|stream| stream == on)) {
                channel.publisher = None;
                channel.turn = channel.turn.wrapping_add(1);
                channel.ring.end();
                self.moved = true;
            }
        }
    }

    /// A player wants a stream. Its session's messages must be whole before another's begin, so there is one for each.
    pub(crate) fn play(
        &mut self,
        session: SessionId,
        stream: StreamId,
        key: amf0::Text<'_>,
    ) -> Result<(), &'static str> {
        if self.player(session).is_some() {
            return Err("One player for each connection.");
        }
        let index = self.find(key)?;
        let place = self.players.iter_mut().find(|player| player.is_none()).ok_or(FULL)?;
        let channel = self.channels.get_mut(index).ok_or(FULL)?;
        channel.players = channel.players.saturating_add(1);
        let (told, mut player) = (channel.turn, Player::new(stream));
        // From here on it misses nothing, whenever it has its turn.
        let _ = channel.ring.peek(&mut player.cursor);
        let (is_paused, leaves, wants_audio, wants_video) = (false, false, true, true);
        *place = Some(Playing { session, channel: index, player, told, is_paused, leaves, wants_audio, wants_video });
        Ok(())
    }

    /// A player has gone; answers what it had.
    pub(crate) fn leave(&mut self, session: SessionId) -> Option<Played> {
        let of_session =
            |player: &&mut Option<Playing>| player.as_ref().is_some_and(|player| player.session == session);
        let playing = self.players.iter_mut().find(of_session)?.take()?;
        if let Some(channel) = self.channels.get_mut(playing.channel) {
            channel.players = channel.players.saturating_sub(1);
        }
        Some(playing.played())
    }

    /// What a session plays, and from where.
    pub(crate) fn player(&mut self, session: SessionId) -> Option<(&mut Playing, &Channel<'_>)> {
        let playing = self.players.iter_mut().flatten().find(|player| player.session == session)?;
        let channel = self.channels.get(playing.channel)?;
        Some((playing, channel))
    }
}

impl Playing {
    pub(crate) fn played(&self) -> Played {
        Played { sent: self.player.cursor.sent(), skipped: self.player.cursor.skipped() }
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.player.stream()
    }

    /// Begins nothing more; answers whether nothing is unfinished either.
    pub(crate) fn stop(&mut self) -> bool {
        self.leaves = true;
        self.player.stop()
    }

    /// Whether it was stopped, and its last message is out.
    pub(crate) fn has_left(&mut self) -> bool {
        self.leaves && self.player.stop()
    }

    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    pub(crate) fn receive(&mut self, kind: Kind, wanted: bool) {
        match kind {
            Kind::AUDIO => self.wants_audio = wanted,
            _ => self.wants_video = wanted,
        }
        self.player.cursor.select(self.wants_audio, self.wants_video);
    }

    /// Tells the player when its stream has come, or gone: that after all that there was of it. Notices a player that is
    /// too slow also while its socket takes nothing.
    pub(crate) fn tell<const STREAMS: usize>(
        &mut self,
        channel: &Channel<'_>,
        session: &mut Server<'_, STREAMS>,
    ) -> Result<(), Error> {
        channel.ring.peek(&mut self.player.cursor).map_err(|_| Error::TooSlow)?;
        let is_published = channel.publisher.is_some();
        if channel.turn == self.told || !is_published && channel.ring.behind(&self.player.cursor) > 0 {
            return Ok(());
        }
        let told =
            if is_published { session.publish_notify(self.stream()) } else { session.unpublish_notify(self.stream()) };
        // Where there is no room now, there will be.
        if !matches!(told, Err(RequestError::ControlBuffer(_))) {
            self.told = channel.turn;
        }
        Ok(())
    }

    /// Whether there is anything of its stream to put out.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn has_more(&mut self, channel: &Channel<'_>) -> bool {
        let goes_on = self.player.cursor.is_inside() || !self.is_paused && !self.leaves;
        let piece = channel.ring.peek(&mut self.player.cursor).ok().flatten();
        goes_on && piece.is_some_and(|piece| piece.begin.is_some() || piece.parts.iter().any(|part| !part.is_empty()))
    }

    /// Fills `out` with what there is.
    pub(crate) fn pump<const STREAMS: usize>(
        &mut self,
        channel: &Channel<'_>,
        session: &mut Server<'_, STREAMS>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if self.is_paused && !self.player.cursor.is_inside() {
            return Ok(session.poll_transmit(now, out));
        }
        self.player.pump(&channel.ring, session, now, out).map_err(|error| match error {
            PumpError::Request(error) => Error::Request(error),
            _ => Error::TooSlow,
        })
    }
}

/// What of a relay is neither lent nor a session: for each stream, and for each player.
pub(crate) const CHANNEL_SIZE: usize = size_of::<Channel<'_>>();
pub(crate) const PLAYER_SIZE: usize = size_of::<Option<Playing>>();
