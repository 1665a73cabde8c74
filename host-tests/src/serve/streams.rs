//! The streams that are relayed: the tables that the core's directory needs, which grow, and a ring for each stream.

use embedded_rtmp::relay::{
    Directory, DirectoryState, Generation, Player, PlayerEntry, PlayerIndex, RelayConfig, Ring, StreamBuffers,
    StreamEntry, StreamIndex,
};

/// The longest metadata and sequence headers that are cached for players, and the longest name of a stream, in bytes.
const MAX_CACHED: usize = 64 << 10;
const MAX_NAME: usize = 4096;
const OTHER_MEMORY: usize = 3 * MAX_CACHED + MAX_NAME;

/// Memory that is lent to streams is never freed. Entries for streams, and their rings, are used again.
pub(super) struct Streams {
    config: RelayConfig,
    ring_length: usize,
    state: DirectoryState,
    entries: Vec<StreamEntry<'static>>,
    rings: Vec<Ring<'static>>,
    /// Whether a ring was written to. The system gives memory to no other.
    is_used: Vec<bool>,
    /// The most rings that are written to.
    max_rings: usize,
    players: Vec<PlayerEntry>,
}

impl Streams {
    /// Streams with rings of `ring_length` bytes. All rings together have at most `memory` bytes, but there is one at least.
    pub(super) fn new(ring_length: usize, config: RelayConfig, memory: usize) -> Self {
        let state = DirectoryState::new(&config);
        let max_rings = (memory / (ring_length + OTHER_MEMORY)).max(1);
        let (entries, rings, is_used, players) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { config, ring_length, state, entries, rings, is_used, max_rings, players }
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
        // The ring of a place that no stream has.
        let is_spare = |other: &usize| self.is_used[*other] && self.entries[*other].is_free();
        let Some(spare) = (0..self.rings.len()).find(is_spare) else { return false };
        self.rings.swap(place, spare);
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
            let [metadata, video, audio] = [memory(MAX_CACHED), memory(MAX_CACHED), memory(MAX_CACHED)];
            let buffers = StreamBuffers { ring: memory(self.ring_length), metadata, video, audio };
            self.rings.push(Ring::new(buffers, &self.config));
            self.is_used.push(false);
            self.entries.push(StreamEntry::new(memory(MAX_NAME)));
            self.players.push(PlayerEntry::new());
        }
        self.directory()
    }

    /// Returns the ring of a published stream.
    pub(super) fn ring(&mut self, stream: StreamIndex) -> &mut Ring<'static> {
        &mut self.rings[stream.get()]
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
