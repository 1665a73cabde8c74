//! The streams that are relayed: the tables that the core's directory needs, which grow, and a ring for each stream.

use embedded_rtmp::relay::{
    Directory, DirectoryState, Generation, Player, PlayerEntry, PlayerIndex, RelayConfig, Ring, StreamBuffers,
    StreamEntry, StreamIndex,
};

/// The longest metadata and sequence headers that are cached for players, and the longest name of a stream, in bytes.
const MAX_CACHED: usize = 4096;
const MAX_NAME: usize = 4096;

/// Memory that is lent to streams is never freed. Entries for streams, and their rings, are used again.
pub(super) struct Streams {
    config: RelayConfig,
    ring_length: usize,
    state: DirectoryState,
    entries: Vec<StreamEntry<'static>>,
    rings: Vec<Ring<'static>>,
    players: Vec<PlayerEntry>,
}

impl Streams {
    /// Streams with rings of `ring_length` bytes.
    pub(super) fn new(ring_length: usize, config: RelayConfig) -> Self {
        let state = DirectoryState::new(&config);
        Self { config, ring_length, state, entries: Vec::new(), rings: Vec::new(), players: Vec::new() }
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
