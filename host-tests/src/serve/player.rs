//! A client that plays.

use std::sync::Arc;

use anyhow::Result;
use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::relay::{Player, PumpError};
use embedded_rtmp::session::{RequestError, Server};
use embedded_rtmp::time::Instant;

use super::stream::{Name, PlayerWaker, Stream, is_published};

/// What a connection plays.
pub(super) struct Playing {
    player: Player,
    pub(super) name: Name,
    pub(super) stream: Arc<Stream>,
    pub(super) waker: Arc<PlayerWaker>,
    /// The turn of the stream that the player knows of.
    told: u32,
    is_paused: bool,
    wants: (bool, bool),
}

impl Playing {
    pub(super) fn new(id: StreamId, name: Name, stream: Arc<Stream>, waker: Arc<PlayerWaker>) -> Self {
        stream.join(&waker);
        let told = stream.generation();
        let mut player = Player::new(id);
        // From here on it misses nothing, whenever its thread looks next.
        let _ = stream.ring().peek(&mut player.cursor);
        Self { player, name, stream, waker, told, is_paused: false, wants: (true, true) }
    }

    pub(super) fn id(&self) -> StreamId {
        self.player.stream()
    }

    /// Messages sent, and left out.
    pub(super) fn counts(&self) -> (u32, u32) {
        (self.player.cursor.sent(), self.player.cursor.skipped())
    }

    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    pub(super) fn receive(&mut self, kind: MessageKind, wanted: bool) {
        match kind {
            MessageKind::AUDIO => self.wants.0 = wanted,
            _ => self.wants.1 = wanted,
        }
        self.player.cursor.select(self.wants.0, self.wants.1);
    }

    /// Begins nothing more; answers whether nothing is unfinished either.
    pub(super) fn stop(&mut self) -> bool {
        self.player.stop()
    }

    /// Tells the player when its stream has come, or gone: that after all that there was of it.
    pub(super) fn tell(&mut self, session: &mut Server<'_>) -> Result<()> {
        let generation = self.stream.generation();
        let is_published = is_published(generation);
        if generation == self.told || !is_published && self.stream.ring().behind(&self.player.cursor) > 0 {
            return Ok(());
        }
        let told = if is_published { session.publish_notify(self.id()) } else { session.unpublish_notify(self.id()) };
        match told {
            Ok(()) => self.told = generation,
            // Later, when there is room.
            Err(RequestError::ControlBuffer(_)) => {}
            // It is leaving.
            Err(RequestError::State | RequestError::Stream(_)) => self.told = generation,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Tells the player that it is over. Where there is no room for that now, it is over without a word.
    pub(super) fn say_goodbye(&mut self, session: &mut Server<'_>) {
        self.player.stop();
        let _ = session.end_play(self.id());
    }

    /// Fills `out` with what there is.
    pub(super) fn pump(&mut self, session: &mut Server<'_>, now: Instant, out: &mut [u8]) -> Result<usize, PumpError> {
        self.waker.rearm();
        if self.is_paused && !self.player.cursor.is_inside() {
            return Ok(session.poll_transmit(now, out));
        }
        self.player.pump(&self.stream.ring(), session, now, out)
    }
}
