//! One player of a stream that a server relays.

use embedded_rtmp::message::{MessageKind, StreamId};
use embedded_rtmp::relay::{Player, PumpError};
use embedded_rtmp::session::{RequestError, Server};
use embedded_rtmp::time::Instant;

use crate::error::Error;
use crate::server::handler::SessionId;
use crate::server::relay::Channel;

/// What came of a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Played {
    /// Messages that it was sent.
    pub sent: u32,
    /// Messages that were left out, up to a keyframe, since it was too slow.
    pub skipped: u32,
}

/// One player.
pub(crate) struct Playing {
    session: SessionId,
    /// Of its stream; `None` where a publisher has got it for another one.
    place: Option<usize>,
    player: Player,
    /// The turn of the stream that it knows of.
    told: u32,
    is_paused: bool,
    leaves: bool,
    wants_audio: bool,
    wants_video: bool,
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
        let mut player = Player::new(stream);
        // From here on it misses nothing, whenever it has its turn.
        let _ = channel.ring.peek(&mut player.cursor);
        Self {
            session,
            place: Some(place),
            player,
            told: channel.generation,
            is_paused: false,
            leaves: false,
            wants_audio: true,
            wants_video: true,
            next: None,
        }
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
        Played { sent: self.player.cursor.sent(), skipped: self.player.cursor.skipped() }
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.player.stream()
    }

    /// Whether no message is unfinished.
    pub(crate) fn is_idle(&self) -> bool {
        !self.player.cursor.is_inside()
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

    pub(crate) fn receive(&mut self, kind: MessageKind, wanted: bool) {
        match kind {
            MessageKind::AUDIO => self.wants_audio = wanted,
            _ => self.wants_video = wanted,
        }
        self.player.cursor.select(self.wants_audio, self.wants_video);
    }

    /// Tells the player when its stream has come, or gone: that after all that there was of it. Notices a player that is
    /// too slow also while its socket takes nothing. Without a channel it is over for the player.
    pub(crate) fn tell<const STREAMS: usize>(
        &mut self,
        channel: Option<&Channel<'_>>,
        session: &mut Server<'_, STREAMS>,
    ) -> Result<(), Error> {
        let Some(channel) = channel else {
            let told = if self.next.is_none() { session.end_play(self.stream()) } else { Ok(()) };
            return match told {
                // There will be.
                Err(RequestError::ControlBuffer(_)) => Ok(()),
                // The rest of a message has gone with the stream.
                _ => self.stop().then_some(()).ok_or(Error::TooSlow),
            };
        };
        channel.ring.peek(&mut self.player.cursor).map_err(|_| Error::TooSlow)?;
        let is_published = channel.publisher.is_some();
        if channel.generation == self.told || !is_published && channel.ring.behind(&self.player.cursor) > 0 {
            return Ok(());
        }
        let told =
            if is_published { session.publish_notify(self.stream()) } else { session.unpublish_notify(self.stream()) };
        // Where there is no room now, there will be.
        if !matches!(told, Err(RequestError::ControlBuffer(_))) {
            self.told = channel.generation;
        }
        Ok(())
    }

    /// Whether there is anything of its stream to put out.
    #[cfg(feature = "rtmpt")]
    pub(crate) fn has_more(&mut self, channel: Option<&Channel<'_>>) -> bool {
        let goes_on = self.player.cursor.is_inside() || !self.is_paused && !self.leaves;
        let piece = channel.and_then(|channel| channel.ring.peek(&mut self.player.cursor).ok().flatten());
        goes_on && piece.is_some_and(|piece| piece.begin.is_some() || piece.parts.iter().any(|part| !part.is_empty()))
    }

    /// Fills `out` with what there is.
    pub(crate) fn pump<const STREAMS: usize>(
        &mut self,
        channel: Option<&Channel<'_>>,
        session: &mut Server<'_, STREAMS>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let goes_on = !self.is_paused || self.player.cursor.is_inside();
        let Some(channel) = channel.filter(|_| goes_on) else { return Ok(session.poll_transmit(now, out)) };
        self.player.pump(&channel.ring, session, now, out).map_err(|error| match error {
            PumpError::Request(error) => Error::Request(error),
            _ => Error::TooSlow,
        })
    }
}

/// What each player takes beside its session.
pub(crate) const PLAYER_SIZE: usize = size_of::<Option<Playing>>();
