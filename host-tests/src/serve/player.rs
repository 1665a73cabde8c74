//! A client that plays.

use std::sync::Arc;

use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::relay::{Player, PumpError};
use embedded_rtmp::session::Server;
use embedded_rtmp::time::Instant;

use super::stream::{Name, PlayerWaker, Stream};

/// What a connection plays.
pub(super) struct Playing {
    player: Player,
    pub(super) name: Name,
    pub(super) stream: Arc<Stream>,
    pub(super) waker: Arc<PlayerWaker>,
}

impl Playing {
    pub(super) fn new(id: StreamId, name: Name, stream: Arc<Stream>, waker: Arc<PlayerWaker>) -> Self {
        stream.join(&waker);
        let mut player = Player::new(id, stream.generation());
        // From here on it misses nothing, whenever its thread looks next.
        let _ = player.has_more(&stream.ring());
        Self { player, name, stream, waker }
    }

    pub(super) fn id(&self) -> StreamId {
        self.player.stream()
    }

    /// Messages sent, and left out.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.player.played().sent, self.player.played().skipped)
    }

    pub(super) fn pause(&mut self, is_paused: bool) {
        self.player.pause(is_paused);
    }

    pub(super) fn receive(&mut self, kind: MessageKind, wanted: bool) {
        self.player.receive(kind, wanted);
    }

    /// Begins nothing more; answers whether nothing is unfinished either.
    pub(super) fn stop(&mut self) -> bool {
        self.player.stop()
    }

    /// Tells the player that it is over. Where there is no room for that now, it is over without a word.
    pub(super) fn say_goodbye(&mut self, session: &mut Server<'_>) {
        self.player.stop();
        let _ = session.end_play(self.id());
    }

    /// Fills `out` with what there is.
    pub(super) fn pump(&mut self, session: &mut Server<'_>, now: Instant, out: &mut [u8]) -> Result<usize, PumpError> {
        self.waker.rearm();
        let generation = self.stream.generation();
        self.player.pump(Some(&self.stream.ring()), generation, session, now, out)
    }
}
