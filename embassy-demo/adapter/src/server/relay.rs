//! The streams that a server relays, and who plays them.

use embedded_rtmp::amf0;
use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::message::StreamId;
use embedded_rtmp::relay::{Generation, RelayConfig, Ring, StreamBuffers};

use crate::fmt::impl_format;
use crate::server::handler::SessionId;
use crate::server::playing::{Next, Played, Playing};

/// The memory of one stream that is relayed: for a static, or wherever the caller keeps it.
///
/// | Bytes | What they are for | How many |
/// |---|---|---|
/// | `RING` | What players have not sent yet, and what new ones begin with: see [`StreamBuffers`]. | Two groups of pictures; twice the largest keyframe at least. |
/// | `METADATA` | The last `onMetaData`. | 512 |
/// | `VIDEO` | The last video sequence header. | 64 for AVC, 256 for HEVC. |
/// | `AUDIO` | The last audio sequence header. | 32 |
/// | `NAME` | The stream's key, without its query; longer ones are refused. | 64 |
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

impl_format!(
    Debug,
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
        let ring = Ring::new(StreamBuffers { ring, metadata, video, audio }, &RelayConfig::new());
        Channel { ring, name, length: 0, publisher: None, generation: Generation::default(), players: 0 }
    }
}

impl<const RING: usize, const METADATA: usize, const VIDEO: usize, const AUDIO: usize, const NAME: usize> Default
    for StreamMemory<RING, METADATA, VIDEO, AUDIO, NAME>
{
    fn default() -> Self {
        Self::new()
    }
}

/// One stream.
pub(crate) struct Channel<'a> {
    pub(crate) ring: Ring<'a>,
    name: &'a mut [u8],
    length: usize,
    pub(crate) publisher: Option<(SessionId, StreamId)>,
    /// How often it was published, and how often that ended: who looks too late to see it published hears of the end.
    pub(crate) generation: Generation,
    players: u8,
}

impl Channel<'_> {
    fn is_free(&self) -> bool {
        self.publisher.is_none() && self.players == 0
    }

    fn name(&self) -> &[u8] {
        self.name.get(..self.length).unwrap_or_default()
    }

    /// Gives it another name, under which nobody plays.
    fn call(&mut self, name: &[u8]) {
        self.name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        (self.length, self.players) = (name.len(), 0);
    }
}

/// A stream's name: its key, without what stands behind a `?`.
fn name(key: amf0::Text<'_>) -> &[u8] {
    key.as_bytes().split(|byte| *byte == b'?').next().unwrap_or_default()
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

// What comes once in a stream is out of the way of what comes with each segment.
impl Relay<'_, '_> {
    /// The place of the stream of that name, or one that it can have: a free one, or, for a publisher, one where players
    /// only wait.
    fn find(&self, name: &[u8], publishes: bool) -> Result<usize, &'static str> {
        let place = |fits: &dyn Fn(&Channel<'_>) -> bool| self.channels.iter().position(fits);
        let can_have = |channel: &Channel<'_>| channel.publisher.is_none() && channel.name.len() >= name.len();
        place(&|channel| !channel.is_free() && channel.name() == name)
            .or_else(|| place(&|channel| can_have(channel) && channel.players == 0))
            .or_else(|| place(&|channel| can_have(channel) && publishes))
            .ok_or(FULL)
    }

    /// Whether a publisher can have a stream. Where nothing is relayed, each has its own.
    #[cold]
    pub(crate) fn may_publish(&self, key: amf0::Text<'_>) -> Result<(), &'static str> {
        if self.channels.is_empty() {
            return Ok(());
        }
        let place = self.find(name(key), true)?;
        let is_taken = self.channels.get(place).is_some_and(|channel| channel.publisher.is_some());
        if is_taken { Err(TAKEN) } else { Ok(()) }
    }

    /// A publisher that [may](Self::may_publish) has a stream. Players who wait for another one there wait no longer.
    #[cold]
    pub(crate) fn publish(&mut self, session: SessionId, stream: StreamId, key: amf0::Text<'_>) {
        let Ok(place) = self.find(name(key), true) else { return };
        let Some(channel) = self.channels.get_mut(place) else { return };
        if channel.name() != name(key) {
            self.players.iter_mut().flatten().for_each(|playing| playing.give_up(place));
            channel.call(name(key));
        }
        channel.publisher = Some((session, stream));
        channel.generation = channel.generation.next();
        self.moved = true;
    }

    /// A piece of what a publisher sends: copied in.
    pub(crate) fn push(&mut self, session: SessionId, fragment: &Fragment<'_>) {
        let publisher = Some((session, fragment.header.stream));
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.publisher == publisher) {
            channel.ring.push(fragment);
            self.moved |= channel.players > 0;
        }
    }

    /// A publisher has ended one stream, or with its session all.
    #[cold]
    pub(crate) fn unpublish(&mut self, session: SessionId, stream: Option<StreamId>) {
        for channel in self.channels.iter_mut() {
            if channel.publisher.is_some_and(|(by, on)| by == session && stream.is_none_or(|stream| stream == on)) {
                channel.publisher = None;
                channel.generation = channel.generation.next();
                channel.ring.end();
                self.moved = true;
            }
        }
    }

    /// A player wants a stream, in place of what it plays. Its session's messages must be whole before another's begin: so
    /// there is one for each, and where a message of what it played is unfinished, it plays on only when that is out.
    ///
    /// Answers what was played, if that is over. Where there is no room, nothing has happened.
    #[cold]
    pub(crate) fn play(
        &mut self,
        session: SessionId,
        stream: StreamId,
        key: amf0::Text<'_>,
    ) -> Result<Option<Played>, &'static str> {
        let name = name(key);
        let place = self.find(name, false).or_else(|full| self.own_place(session, name).ok_or(full))?;
        if self.player(session).is_none() && self.players.iter().all(Option::is_some) {
            return Err(FULL);
        }
        let is_done = self.player(session).is_some_and(|(playing, _)| playing.stop());
        let played = if is_done { self.leave(session) } else { None };
        self.follow(session, None);
        let channel = self.channels.get_mut(place).ok_or(FULL)?;
        if channel.is_free() {
            channel.call(name);
        }
        channel.players = channel.players.saturating_add(1);
        let of_session = |player: &&mut Playing| player.session() == session;
        if let Some(playing) = self.players.iter_mut().flatten().find(of_session) {
            playing.follow(Some(Next { stream, place, is_over: false }));
        } else if let Some(player) = self.players.iter_mut().find(|player| player.is_none()) {
            *player = Some(Playing::new(session, stream, place, channel));
        }
        Ok(played)
    }

    /// The place of a stream that has nobody but this player, who waits for it, if a stream of that name can have it.
    fn own_place(&mut self, session: SessionId, name: &[u8]) -> Option<usize> {
        let (playing, channel) = self.player(session)?;
        let channel = channel.filter(|channel| channel.publisher.is_none() && channel.players == 1)?;
        playing.place().filter(|_| playing.is_idle() && channel.name.len() >= name.len())
    }

    /// Has a player play something else next, or nothing.
    fn follow(&mut self, session: SessionId, next: Option<Next>) {
        let before = self.player(session).and_then(|(playing, _)| playing.follow(next));
        self.make_room(before.filter(|before| !before.is_over).map(|before| before.place));
    }

    /// A player does not want any more what it would play next on that stream.
    pub(crate) fn forget(&mut self, session: SessionId, stream: StreamId) {
        if self.player(session).is_some_and(|(playing, _)| playing.follows_on(stream)) {
            self.follow(session, None);
        }
    }

    /// There is one player less at a place.
    fn make_room(&mut self, place: Option<usize>) {
        if let Some(channel) = place.and_then(|place| self.channels.get_mut(place)) {
            channel.players = channel.players.saturating_sub(1);
        }
    }

    /// A player has gone; answers what it had.
    pub(crate) fn leave(&mut self, session: SessionId) -> Option<Played> {
        self.follow(session, None);
        let of_session =
            |player: &&mut Option<Playing>| player.as_ref().is_some_and(|player| player.session() == session);
        let playing = self.players.iter_mut().find(of_session)?.take()?;
        self.make_room(playing.place());
        Some(playing.played())
    }

    /// A player's last message is out: it goes, or plays what it has asked for meanwhile. Answers what it had.
    pub(crate) fn change(&mut self, session: SessionId) -> Option<Played> {
        let next = self.player(session).and_then(|(playing, _)| playing.follow(None));
        let played = self.leave(session);
        if let Some(next) = next
            && let Some(channel) = self.channels.get(next.place)
            && let Some(player) = self.players.iter_mut().find(|player| player.is_none())
        {
            let playing = player.insert(Playing::new(session, next.stream, next.place, channel));
            if next.is_over {
                playing.give_up(next.place);
            }
            self.moved = true;
        }
        played
    }

    /// What a session plays, and from where, unless a publisher has got that place.
    pub(crate) fn player(&mut self, session: SessionId) -> Option<(&mut Playing, Option<&Channel<'_>>)> {
        let playing = self.players.iter_mut().flatten().find(|player| player.session() == session)?;
        let channel = playing.place().and_then(|place| self.channels.get(place));
        Some((playing, channel))
    }
}

/// What each stream takes beside what is lent.
pub(crate) const CHANNEL_SIZE: usize = size_of::<Channel<'_>>();
