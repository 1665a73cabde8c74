//! The players of the streams.

use super::{Directory, NONE, PeerId, RelayRejection, StreamEntry, StreamIndex};
use crate::bytes::low_u16;
use crate::fmt::impl_format;
use crate::message::StreamId;
use crate::relay::name::StreamName;
use crate::relay::player::{Generation, Played, Player};

/// The place of a player in the table of players. It is valid until the player leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PlayerIndex(pub(super) u16);

impl PlayerIndex {
    /// The index in the slice of players.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// A player in the table of players.
#[derive(Debug)]
pub(super) struct Playing {
    pub(super) peer: PeerId,
    pub(super) player: Player,
    /// The message stream on which it plays the next stream, when its last message is sent.
    next_id: StreamId,
    /// That next stream; `NONE` if there is none, or if a publisher of another one has taken the place.
    pub(super) next_place: u16,
    has_next: bool,
    /// The stream that it plays; `NONE` if a publisher of another one has taken the place.
    pub(super) place: u16,
    /// The next player of that stream.
    pub(super) link: u16,
    /// It had its turn since [`Directory::wake`] showed it last.
    pub(super) is_armed: bool,
}

/// A place for a player.
#[derive(Debug, Default)]
pub struct PlayerEntry(pub(super) Option<Playing>);

impl_format!([] PlayerEntry, this => "PlayerEntry {{ is_free: {} }}", this.0.is_none());

impl PlayerEntry {
    /// A place without a player.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The peer of this place, and what it was sent so far.
    pub fn played(&self) -> Option<(PeerId, Played)> {
        self.0.as_ref().map(|playing| (playing.peer, playing.player.played()))
    }
}

/// A player, and what [`Player::pump`] needs.
#[derive(Debug)]
pub struct Turn<'d> {
    /// The player.
    pub player: &'d mut Player,
    /// The stream that it plays: its ring is the first argument of [`Player::pump`]. `None` if the stream was given up.
    pub stream: Option<StreamIndex>,
    /// The second argument of [`Player::pump`].
    pub generation: Generation,
}

impl_format!(
    ['d] Turn<'d>,
    this => "Turn {{ stream: {}, generation: {} }}", this.stream, this.generation
);

/// A player was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Accepted {
    /// Its place in the table of players.
    pub player: PlayerIndex,
    /// The counts of the previous stream of this peer, if it has ended. If one of its messages is unfinished,
    /// [`Directory::settle`] returns them later.
    pub played: Option<Played>,
}

impl Directory<'_, '_> {
    /// Plays a stream, which need not be published yet. A peer plays one stream at a time. This one replaces the
    /// previous one as soon as its current message is complete. Accept the play in the session, then call
    /// [`Player::pump`].
    ///
    /// # Errors
    /// The play is rejected, and nothing has changed.
    pub fn play(&mut self, name: StreamName<'_>, peer: PeerId, stream: StreamId) -> Result<Accepted, RelayRejection> {
        let before = self.player_of(peer);
        let place = self.find(name, false).or_else(|full| self.own_place(before, name).ok_or(full))?;
        if before.is_none() && self.players.iter().all(|entry| entry.0.is_some()) {
            return Err(RelayRejection::Full);
        }
        let is_done = before.and_then(|index| self.playing(index)).is_some_and(|playing| playing.player.stop());
        let played = before.filter(|_| is_done).and_then(|index| self.leave(index));
        if self.entry(place).is_some_and(StreamEntry::is_free) {
            self.rename(place, name);
        }
        if let Some(entry) = self.streams.get_mut(place.get()) {
            entry.players = entry.players.saturating_add(1);
        }
        let player = match before.filter(|_| !is_done) {
            Some(index) => {
                self.forget(index);
                if let Some(playing) = self.playing(index) {
                    (playing.next_id, playing.next_place, playing.has_next) = (stream, place.0, true);
                }
                index
            }
            None => self.begin(peer, stream, place.0).ok_or(RelayRejection::Full)?,
        };
        Ok(Accepted { player, played })
    }

    /// The place of a peer's player. The time that this takes is proportional to the number of places for players.
    pub fn player_of(&self, peer: PeerId) -> Option<PlayerIndex> {
        let is_it = |entry: &PlayerEntry| entry.0.as_ref().is_some_and(|playing| playing.peer == peer);
        Some(PlayerIndex(low_u16(self.players.iter().position(is_it)?)))
    }

    /// Returns a player, for requests of its client or to [pump](Player::pump) it. From now on [`Self::wake`] returns
    /// it again.
    pub fn player(&mut self, index: PlayerIndex) -> Option<Turn<'_>> {
        let playing = self.players.get_mut(index.get())?.0.as_mut()?;
        playing.is_armed = true;
        let entry = self.streams.get(usize::from(playing.place));
        let stream = entry.map(|_| StreamIndex(playing.place));
        let generation = entry.map_or(Generation(0), |entry| entry.generation);
        Some(Turn { player: &mut playing.player, stream, generation })
    }

    /// Whether a player of a stream gets no video before the next keyframe. It does not wait for longer than 3 s. The time
    /// that this takes is proportional to the number of places for players.
    pub fn awaits_keyframe(&self, stream: StreamIndex) -> bool {
        let mut players = self.players.iter().filter_map(|entry| entry.0.as_ref());
        players.any(|playing| playing.place == stream.0 && playing.player.awaits_keyframe())
    }

    /// Ends playing on one message stream of a client. Returns what it was sent, if no message is unfinished.
    pub fn stop(&mut self, index: PlayerIndex, stream: StreamId) -> Option<Played> {
        let playing = self.playing(index)?;
        if playing.has_next && playing.next_id == stream {
            self.forget(index);
        }
        let playing = self.playing(index)?;
        if playing.player.stream() == stream {
            playing.player.stop();
        }
        self.settle(index)
    }

    /// After [`Player::pump`]: if the player was stopped and its last message is sent, it leaves, or begins to play the
    /// stream that its client has asked for since. Returns what it was sent until then. If there is a result, the next
    /// stream may have something to send.
    pub fn settle(&mut self, index: PlayerIndex) -> Option<Played> {
        let playing = self.playing(index).filter(|playing| playing.player.has_left())?;
        let (peer, has_next, id, place) = (playing.peer, playing.has_next, playing.next_id, playing.next_place);
        // The stream keeps the place of its player.
        playing.has_next = false;
        let played = self.leave(index);
        if has_next {
            self.begin(peer, id, place);
        }
        played
    }

    /// Removes a player whose session has ended. Returns what it was sent.
    pub fn leave(&mut self, index: PlayerIndex) -> Option<Played> {
        self.forget(index);
        let playing = self.players.get_mut(index.get())?.0.take()?;
        if let Some(entry) = self.streams.get_mut(usize::from(playing.place)) {
            entry.lose_player();
            let mut at = entry.first;
            if at == index.0 {
                entry.first = playing.link;
            }
            while let Some(other) = self.playing(PlayerIndex(at)) {
                at = other.link;
                if at == index.0 {
                    other.link = playing.link;
                    break;
                }
            }
        }
        Some(playing.player.played())
    }

    /// Returns the players of a stream that have something to do and were not returned since their last
    /// [turn](Self::player). The time that this takes is proportional to the number of the stream's players.
    pub fn wake(&mut self, stream: StreamIndex) -> Wake<'_> {
        let next = self.entry(stream).map_or(NONE, |entry| entry.first);
        Wake { players: self.players, next }
    }

    fn playing(&mut self, index: PlayerIndex) -> Option<&mut Playing> {
        self.players.get_mut(index.get())?.0.as_mut()
    }

    /// Cancels the stream that a player would play next.
    fn forget(&mut self, index: PlayerIndex) {
        let Some(playing) = self.playing(index).filter(|playing| playing.has_next) else { return };
        playing.has_next = false;
        let place = usize::from(playing.next_place);
        if let Some(entry) = self.streams.get_mut(place) {
            entry.lose_player();
        }
    }

    /// Lets a peer play the stream at a place, which counts it as a player already.
    fn begin(&mut self, peer: PeerId, stream: StreamId, place: u16) -> Option<PlayerIndex> {
        let index = self.players.iter().take(usize::from(NONE)).position(|entry| entry.0.is_none())?;
        let entry = self.streams.get_mut(usize::from(place));
        let generation = entry.as_ref().map_or(Generation(0), |entry| entry.generation);
        let link = entry.map_or(NONE, |entry| core::mem::replace(&mut entry.first, low_u16(index)));
        let playing = Playing {
            peer,
            player: Player::new(stream, generation),
            next_id: StreamId(0),
            next_place: NONE,
            has_next: false,
            place,
            link,
            is_armed: true,
        };
        self.state.has_orphans |= place == NONE;
        self.players.get_mut(index)?.0 = Some(playing);
        Some(PlayerIndex(low_u16(index)))
    }
}

/// See [`Directory::wake`].
#[derive(Debug)]
pub struct Wake<'d> {
    players: &'d mut [PlayerEntry],
    next: u16,
}

impl_format!(['d] Wake<'d>, this => "Wake {{ next: {} }}", this.next);

impl Iterator for Wake<'_> {
    type Item = (PlayerIndex, PeerId);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = PlayerIndex(self.next);
            let playing = self.players.get_mut(index.get())?.0.as_mut()?;
            self.next = playing.link;
            if core::mem::take(&mut playing.is_armed) {
                return Some((index, playing.peer));
            }
        }
    }
}
