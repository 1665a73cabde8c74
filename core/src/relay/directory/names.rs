//! The names of the streams, and their places in the table.

use super::playing::Playing;
use super::{Directory, NONE, PeerId, PlayerIndex, Publisher, RelayRejection, StreamEntry, StreamIndex};
use crate::bytes::low_u16;
use crate::relay::name::{NameTooLong, StreamName};

impl Directory<'_, '_> {
    /// Returns whether there are free places for one more stream and for one more player. If no place for a stream is
    /// free, a publish takes the place of a stream that has players and no publisher
    /// ([`RelayEvent::GivenUp`](super::RelayEvent::GivenUp)). A caller that can lend larger tables does so before that.
    pub fn has_room(&self) -> bool {
        self.streams.iter().any(StreamEntry::is_free) && self.players.iter().any(|entry| entry.0.is_none())
    }

    /// The place of the stream of that name, if it is published or waits for its next publisher. The time that this takes is
    /// proportional to the number of streams.
    pub fn published_as(&self, name: StreamName<'_>) -> Option<StreamIndex> {
        self.published_streams().find(|stream| name.is(self.name(*stream)))
    }

    /// The places of all streams that are published or wait for their next publishers, in the order of the table.
    pub fn published_streams(&self) -> impl Iterator<Item = StreamIndex> {
        let streams = self.streams.iter().take(usize::from(NONE)).enumerate();
        streams.filter(|(_, entry)| entry.is_published()).map(|(place, _)| StreamIndex(low_u16(place)))
    }

    /// The number of players of a stream.
    pub fn player_count(&self, stream: StreamIndex) -> u16 {
        self.entry(stream).map_or(0, |entry| entry.players)
    }

    /// The messages that the current players of a stream missed because they were too slow, in all. The time that this takes is
    /// proportional to the number of the stream's players.
    pub fn skipped(&self, stream: StreamIndex) -> u32 {
        self.players_of(stream).fold(0, |skipped, playing| skipped.wrapping_add(playing.player.played().skipped))
    }

    /// The publisher of a stream. In its grace time, it has none.
    pub fn publisher(&self, stream: StreamIndex) -> Option<Publisher> {
        self.entry(stream)?.publisher
    }

    /// The players of a stream, in no particular order.
    pub fn players(&self, stream: StreamIndex) -> impl Iterator<Item = PeerId> {
        self.players_of(stream).map(|playing| playing.peer)
    }

    fn players_of(&self, stream: StreamIndex) -> impl Iterator<Item = &Playing> {
        let playing = |place: u16| self.players.get(usize::from(place))?.0.as_ref();
        let first = self.entry(stream).and_then(|entry| playing(entry.first));
        // The list is not longer than the table.
        core::iter::successors(first, move |before| playing(before.link)).take(self.players.len())
    }

    /// The name of a stream.
    pub fn name(&self, stream: StreamIndex) -> &[u8] {
        self.entry(stream).map_or(&[], StreamEntry::name)
    }

    /// The place of the stream of that name, or a place that it can get. For a player, that is a free one. A publisher can
    /// also get the place of a stream that has only players. It gets that of a stream in its grace time last.
    #[cold]
    pub(super) fn find(&self, name: StreamName<'_>, publishes: bool) -> Result<StreamIndex, RelayRejection> {
        let (needed, mut room, [mut free, mut waited, mut in_grace]) = (name.len(), 0, [None; 3]);
        for (index, entry) in self.streams.iter().take(usize::from(NONE)).enumerate() {
            let place = StreamIndex(low_u16(index));
            if !entry.is_free() && name.is(entry.name()) {
                return Ok(place);
            }
            if entry.publisher.is_none() && entry.room() >= needed {
                let places = match (entry.players, entry.is_published()) {
                    (0, _) => &mut free,
                    (_, false) => &mut waited,
                    (_, true) => &mut in_grace,
                };
                places.get_or_insert(place);
            }
            room = room.max(entry.room());
        }
        let found = free.or(waited.or(in_grace).filter(|_| publishes));
        let error =
            if room < needed { RelayRejection::Name(NameTooLong { needed, room }) } else { RelayRejection::Full };
        found.ok_or(error)
    }

    /// The place of the stream that a player waits for. The stream must have no publisher and no other player, and a stream
    /// of the given name must fit in the place.
    pub(super) fn own_place(&self, player: Option<PlayerIndex>, name: StreamName<'_>) -> Option<StreamIndex> {
        let playing = self.players.get(player?.get())?.0.as_ref()?;
        let entry = self.streams.get(usize::from(playing.place))?;
        let is_its_own = entry.publisher.is_none() && entry.players == 1 && !playing.player.is_inside();
        (is_its_own && entry.room() >= name.len()).then_some(StreamIndex(playing.place))
    }

    /// Gives a place to the stream of another name.
    pub(super) fn rename(&mut self, place: StreamIndex, name: StreamName<'_>) {
        let Some(entry) = self.streams.get_mut(place.get()) else { return };
        if entry.is_published() {
            entry.end();
        }
        // `find` has seen that it fits.
        entry.length = name.emit(entry.name).map_or(0, |name| low_u16(name.len()));
        (entry.players, entry.first) = (0, NONE);
    }

    /// Removes the players of a place.
    pub(super) fn give_up(&mut self, place: StreamIndex) {
        for playing in self.players.iter_mut().filter_map(|entry| entry.0.as_mut()) {
            if playing.place == place.0 {
                (playing.place, playing.is_armed) = (NONE, true);
                self.state.has_orphans = true;
            }
            if playing.next_place == place.0 {
                playing.next_place = NONE;
            }
        }
    }
}
