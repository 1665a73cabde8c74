//! The streams that are relayed: the tables that the core's directory needs, which grow, and a ring for each stream.

use embedded_rtmp::relay::{
    Counts, Directory, DirectoryState, Generation, HeaderEntry, MAX_HEADERS, Player, PlayerEntry, PlayerIndex,
    RelayConfig, Ring, StreamBuffers, StreamEntry, StreamIndex,
};
use embedded_rtmp::time::Instant;
use embedded_rtmp::web::{BitRate, StreamStatus};

/// The metadata and the configurations of decoders that are cached for players, and the longest name of a stream, in bytes.
const MAX_CACHED: usize = 192 << 10;
const MAX_NAME: usize = 4096;
const OTHER_MEMORY: usize = MAX_CACHED + MAX_NAME;

/// Memory that is lent to streams is never freed. Entries for streams, and their rings, are used again.
pub(super) struct Streams {
    config: RelayConfig,
    ring_length: usize,
    state: DirectoryState,
    entries: Vec<StreamEntry<'static>>,
    rings: Vec<Ring<'static>>,
    /// Whether each ring was written to. The system allocates memory only for these rings.
    is_used: Vec<bool>,
    /// The most rings that may be written to.
    max_rings: usize,
    players: Vec<PlayerEntry>,
    /// The counts of the publication of each stream.
    counts: Vec<PublicationCounts>,
}

/// The counts of a publication.
#[derive(Debug, Clone, Copy)]
struct PublicationCounts {
    since: Instant,
    rate: BitRate,
    /// The counts of the ring when the publication began.
    before: Counts,
}

/// The status of a stream.
pub(super) struct Report {
    pub(super) name: String,
    /// Without the name.
    pub(super) status: StreamStatus<'static>,
}

impl Streams {
    /// Streams with rings of `ring_length` bytes. All rings together have at most `memory` bytes, but there is at least one.
    pub(super) fn new(ring_length: usize, config: RelayConfig, memory: usize) -> Self {
        let state = DirectoryState::new(&config);
        let max_rings = (memory / (ring_length + OTHER_MEMORY)).max(1);
        let (entries, rings, is_used, players, counts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { config, ring_length, state, entries, rings, is_used, max_rings, players, counts }
    }

    /// The most streams that can be published at the same time.
    pub(super) fn max_published(&self) -> usize {
        self.max_rings
    }

    /// The memory of the rings that were written to, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.used_rings() * (self.ring_length + OTHER_MEMORY)
    }

    fn used_rings(&self) -> usize {
        self.is_used.iter().filter(|is_used| **is_used).count()
    }

    /// Prepares the ring of a stream that will be published. Returns whether there is memory for it.
    pub(super) fn provide_ring(&mut self, stream: StreamIndex) -> bool {
        let place = stream.get();
        if self.is_used[place] {
            return true;
        }
        if self.used_rings() < self.max_rings {
            self.is_used[place] = true;
            return true;
        }
        // The memory of a place that is not published, if possible one without players.
        let is_spare = |other: &usize| self.is_used[*other] && !self.entries[*other].is_published();
        let spare = (0..self.rings.len()).filter(is_spare).max_by_key(|other| self.entries[*other].is_free());
        let Some(spare) = spare else { return false };
        let Ok([ring, other]) = self.rings.get_disjoint_mut([place, spare]) else { return false };
        ring.swap_memory(other);
        self.is_used.swap(place, spare);
        true
    }

    pub(super) fn directory(&mut self) -> Directory<'_, 'static> {
        Directory::new(&mut self.state, &mut self.entries, &mut self.players)
    }

    /// The directory, with room for one more stream and one more player.
    pub(super) fn with_room(&mut self) -> Directory<'_, 'static> {
        if !self.directory().has_room() {
            let memory = |length| vec![0; length].leak();
            let entries = vec![HeaderEntry::new(); MAX_HEADERS].leak();
            let buffers = StreamBuffers { ring: memory(self.ring_length), headers: memory(MAX_CACHED), entries };
            self.rings.push(Ring::new(buffers, &self.config));
            self.is_used.push(false);
            let since = Instant::from_micros(0);
            let before = Counts::default();
            self.counts.push(PublicationCounts { since, rate: BitRate::new(since), before });
            self.entries.push(StreamEntry::new(memory(MAX_NAME)));
            self.players.push(PlayerEntry::new());
        }
        self.directory()
    }

    /// Returns the ring of a published stream.
    pub(super) fn ring(&mut self, stream: StreamIndex) -> &mut Ring<'static> {
        &mut self.rings[stream.get()]
    }

    /// Begins to count for a publication.
    pub(super) fn begin_counts(&mut self, now: Instant, stream: StreamIndex) {
        let before = self.rings[stream.get()].counts();
        self.counts[stream.get()] = PublicationCounts { since: now, rate: BitRate::new(now), before };
    }

    /// Counts bytes of payload that a publisher has sent.
    pub(super) fn count(&mut self, now: Instant, stream: StreamIndex, bytes: usize) {
        self.counts[stream.get()].rate.add(now, bytes);
    }

    /// The number of players of all streams.
    pub(super) fn players(&self) -> u32 {
        let count = self.players.iter().filter(|entry| entry.played().is_some()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The status of a stream that is published.
    pub(super) fn report(&mut self, now: Instant, stream: StreamIndex) -> Report {
        let PublicationCounts { since, rate, before } = &mut self.counts[stream.get()];
        let (uptime, bit_rate) = (seconds(now, *since), rate.bits_per_second(now));
        let after = self.rings[stream.get()].counts();
        let dropped = |counts: &Counts| counts.too_long.wrapping_add(counts.cut).wrapping_add(counts.too_many);
        let dropped = dropped(&after).wrapping_sub(dropped(before));
        let directory = self.directory();
        let (players, skipped) = (directory.player_count(stream).into(), directory.skipped(stream));
        let name = String::from_utf8_lossy(directory.name(stream)).into_owned();
        let status = StreamStatus { name: "", uptime, bit_rate, players, dropped, skipped };
        Report { name, status }
    }

    /// Lends a player, with the ring and the state of its stream.
    pub(super) fn turn<R>(
        &mut self,
        index: PlayerIndex,
        turn: impl FnOnce(&mut Player, Option<&Ring<'static>>, Generation) -> R,
    ) -> Option<R> {
        let Self { state, entries, players, rings, .. } = self;
        let mut directory = Directory::new(state, entries, players);
        let found = directory.player(index)?;
        let ring = found.stream.map(|stream| &rings[stream.get()]);
        Some(turn(found.player, ring, found.generation))
    }
}

/// Whole seconds.
pub(super) fn seconds(now: Instant, since: Instant) -> u32 {
    u32::try_from(now.saturating_duration_since(since).as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
    use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
    use embedded_rtmp::relay::{Cursor, PeerId, PublishAnswer, Publisher, RelayEvent, StreamName};
    use embedded_rtmp::time::Instant;

    use super::*;

    const NOW: Instant = Instant::from_millis(0);

    /// Publishes, if there is a ring.
    fn publish(streams: &mut Streams, key: &str, peer: u32) -> Option<StreamIndex> {
        let name = StreamName::new(b"live", key.as_bytes());
        let stream = streams.with_room().may_publish(name).unwrap();
        if !streams.provide_ring(stream) {
            return None;
        }
        let publisher = Publisher { peer: PeerId(peer), stream: StreamId(1) };
        let answer = streams.directory().publish(NOW, name, publisher).unwrap();
        assert_eq!(answer, PublishAnswer::Accept(stream));
        Some(stream)
    }

    fn play(streams: &mut Streams, key: &str, peer: u32) -> PlayerIndex {
        let name = StreamName::new(b"live", key.as_bytes());
        streams.with_room().play(name, PeerId(peer), StreamId(1)).unwrap().player
    }

    fn leave(streams: &mut Streams, peer: u32) {
        streams.directory().unpublish(NOW, PeerId(peer), None);
        while let Some(event) = streams.directory().poll_event(NOW) {
            if let RelayEvent::Gone(stream) = event {
                streams.ring(stream).end();
            }
        }
    }

    fn push(streams: &mut Streams, stream: StreamIndex, data: &[u8]) {
        let (timestamp, kind) = (Timestamp(0), MessageKind::AUDIO);
        let header = MessageHeader { timestamp, length: data.len() as u32, kind, stream: StreamId(1) };
        streams.ring(stream).push(NOW, &Fragment { csid: ChunkStreamId::COMMAND, header, offset: 0, data });
    }

    /// The next message for a cursor on the stream that a player plays.
    fn peek(streams: &mut Streams, player: PlayerIndex, cursor: &mut Cursor) -> Option<Vec<u8>> {
        let piece = |_: &mut Player, ring: Option<&Ring<'static>>, _| {
            ring.unwrap().peek(cursor, NOW).unwrap().map(|piece| piece.parts.concat())
        };
        streams.turn(player, piece).unwrap()
    }

    fn streams(rings: usize) -> Streams {
        let mut config = RelayConfig::new();
        config.grace = Duration::ZERO;
        Streams::new(1000, config, rings * (1000 + OTHER_MEMORY))
    }

    #[test]
    fn a_player_gets_nothing_of_the_stream_whose_ring_its_stream_gets() {
        let mut streams = streams(2);
        publish(&mut streams, "a", 1).unwrap();
        let other = publish(&mut streams, "b", 2).unwrap();
        let (player, mut cursor) = (play(&mut streams, "p", 3), Cursor::new());
        assert_eq!(peek(&mut streams, player, &mut cursor), None);
        for _ in 0..20 {
            push(&mut streams, other, b"\xAF\x01secret");
        }
        leave(&mut streams, 2);
        let stream = publish(&mut streams, "p", 4).unwrap();
        assert_eq!(peek(&mut streams, player, &mut cursor), None);
        push(&mut streams, stream, b"\xAF\x01");
        assert_eq!(peek(&mut streams, player, &mut cursor).unwrap(), b"\xAF\x01");
    }

    #[test]
    fn players_of_names_that_nobody_publishes_take_no_rings() {
        let mut streams = streams(2);
        // They stay after the publishers have left.
        for (key, peer) in [("a", 1), ("b", 2)] {
            publish(&mut streams, key, peer).unwrap();
            play(&mut streams, key, peer + 10);
        }
        assert_eq!(publish(&mut streams, "c", 3), None);
        leave(&mut streams, 1);
        leave(&mut streams, 2);
        publish(&mut streams, "c", 3).unwrap();
        publish(&mut streams, "d", 4).unwrap();
        assert_eq!((publish(&mut streams, "a", 1), streams.used_rings()), (None, 2));
        leave(&mut streams, 3);
        publish(&mut streams, "a", 1).unwrap();
    }
}
