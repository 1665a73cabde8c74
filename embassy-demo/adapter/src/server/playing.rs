//! One player of a stream that a server relays.

use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::relay::{Generation, Player, PumpError};
use embedded_rtmp::session::Server;
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::server::handler::SessionId;
use crate::server::relay::Channel;

pub use embedded_rtmp::relay::Played;

/// One player.
pub(crate) struct Playing {
    session: SessionId,
    /// Of its stream; `None` where a publisher has got it for another one.
    place: Option<usize>,
    player: Player,
    leaves: bool,
    generation: Generation,
    /// What it plays next, when its last message is out.
    next: Option<Next>,
}

/// What a player has asked for while a message of another stream was unfinished.
pub(crate) struct Next {
    pub(crate) stream: StreamId,
    pub(crate) place: usize,
    /// A publisher has got the place for another stream.
    pub(crate) is_over: bool,
}

impl Playing {
    /// A player of what is relayed through `channel`.
    pub(crate) fn new(session: SessionId, stream: StreamId, place: usize, channel: &Channel<'_>) -> Self {
        let mut player = Player::new(stream, channel.generation);
        // From here on it misses nothing, whenever it has its turn.
        let _ = player.has_more(&channel.ring);
        Self { session, place: Some(place), player, leaves: false, generation: channel.generation, next: None }
    }

    pub(crate) fn place(&self) -> Option<usize> {
        self.place
    }

    /// That place is another stream's.
    pub(crate) fn give_up(&mut self, place: usize) {
        self.place = self.place.filter(|mine| *mine != place);
        self.next.iter_mut().for_each(|next| next.is_over |= next.place == place);
    }

    /// Whether it plays something else on that stream next.
    pub(crate) fn follows_on(&self, stream: StreamId) -> bool {
        self.next.as_ref().is_some_and(|next| next.stream == stream)
    }

    /// Has it play something else when its last message is out; answers what that was before.
    pub(crate) fn follow(&mut self, next: Option<Next>) -> Option<Next> {
        core::mem::replace(&mut self.next, next)
    }

    pub(crate) fn played(&self) -> Played {
        self.player.played()
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.player.stream()
    }

    /// Whether no message is unfinished.
    pub(crate) fn is_idle(&self) -> bool {
        !self.player.is_inside()
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
        self.player.pause(is_paused);
    }

    pub(crate) fn receive(&mut self, kind: MessageKind, wanted: bool) {
        self.player.receive(kind, wanted);
    }

    /// Whether there is anything of its stream to put out.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn has_more(&mut self, channel: Option<&Channel<'_>>) -> bool {
        channel.is_some_and(|channel| self.player.has_more(&channel.ring))
    }

    /// Fills `out` with what there is.
    pub(crate) fn pump<const STREAMS: usize>(
        &mut self,
        channel: Option<&Channel<'_>>,
        session: &mut Server<'_, STREAMS>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        if channel.is_none() && self.next.is_some() {
            return if self.stop() { Ok(session.poll_transmit(now, out)) } else { Err(Error::TooSlow) };
        }
        let generation = channel.map_or(self.generation, |channel| channel.generation);
        let ring = channel.map(|channel| &channel.ring);
        let written = self.player.pump(ring, generation, session, now, out).map_err(|error| match error {
            PumpError::Request(error) => Error::Request(error),
            _ => Error::TooSlow,
        });
        self.leaves |= channel.is_none();
        written
    }
}

/// What each player takes beside its session.
pub(crate) const PLAYER_SIZE: usize = size_of::<Option<Playing>>();
