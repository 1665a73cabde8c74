//! The player's side of a ring: reading messages to send.

use super::cached::HeaderEntry;
use super::cursor::{Cursor, Flag, Overtaken, Stage};
use super::record::{PartialMessage, Place, Position, Record, payload};
use super::ring::Ring;
use crate::bytes::low_u32;
use crate::fmt::impl_format;
use crate::media::FrameClass;
use crate::message::{MessageHeader, MessageKind, StreamId};
use crate::time::Instant;

/// The rest of a message that was cut is filled with these.
const ZEROS: &[u8] = &[0; 64];

/// After this number of messages, a kind of which nothing has arrived is not expected any longer.
#[cfg(feature = "web")]
const FEW: u32 = 16;

/// The zeros of one piece, for the rest of a message.
pub(super) fn zeros(left: u32) -> &'static [u8] {
    ZEROS.get(..left as usize).unwrap_or(ZEROS)
}

/// A piece of a message, for a player to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'r> {
    /// The header of a message to begin, with message stream 0; `None` inside a message.
    pub begin: Option<MessageHeader>,
    /// Payload: two parts if it lies around the end of the ring. Empty if the message is empty.
    pub parts: [&'r [u8]; 2],
}

impl_format!(
    ['r] Piece<'r>,
    Piece { begin, parts: [one, other] } => "Piece {{ begin: {}, {} + {} bytes }}", begin, one.len(), other.len()
);

impl Ring<'_> {
    /// Returns what a player has to send next, or `None` if that has not arrived yet. Call [`Self::begin_message`],
    /// [`Self::advance`] and [`Self::finish_message`] for what was sent of it.
    ///
    /// # Errors
    /// The player is inside a message that was overwritten.
    pub fn peek(&self, cursor: &mut Cursor, now: Instant) -> Result<Option<Piece<'_>>, Overtaken> {
        self.renew(cursor);
        loop {
            if cursor.at.0 > self.store.head() {
                // It comes from another ring.
                if cursor.is_inside() {
                    return Err(Overtaken);
                }
                (cursor.at, cursor.number, cursor.stage) = (Position(0), 0, Stage::Seek);
                cursor.set(Flag::Begun, false);
            }
            match cursor.stage {
                Stage::Seek => {
                    if !self.place(cursor, now) {
                        return Ok(None);
                    }
                }
                Stage::HeaderCache => {
                    let cached = self.due(cursor);
                    if cursor.is_inside() {
                        let Some((_, cached)) = cached else { return Err(Overtaken) };
                        let rest = self.headers.rest(cached, cursor.taken);
                        return Ok(Some(Piece { begin: None, parts: [rest, &[]] }));
                    }
                    let at = cursor.at.0;
                    let (is_gone, is_head) = (self.store.is_gone(at), at == self.store.head());
                    if is_gone || !is_head && self.record(at).cut {
                        // The message that it was going to begin with is gone.
                        cursor.stage = Stage::Seek;
                        continue;
                    }
                    let Some((bit, cached)) = cached else {
                        cursor.stage = Stage::Live;
                        cursor.set(Flag::Fresh, true);
                        continue;
                    };
                    let record = self.record(at);
                    match if is_head { Some(true) } else { self.is_for(cursor, &record, now) } {
                        Some(false) => continue,
                        None if MessageKind(record.kind) == MessageKind::VIDEO => return Ok(None),
                        _ => {}
                    }
                    // A message that has replaced it since is sent from the ring.
                    let is_due = cached.is_cached() && cached.position() < at && cursor.wants(cached.kind().0);
                    if !is_due {
                        cursor.due &= !bit;
                        if cached.is_cleared_video() && cached.position() < at {
                            // The player was going to begin with a picture whose publisher has ended.
                            cursor.stage = Stage::Seek;
                        }
                        continue;
                    }
                    if is_head {
                        return Ok(None);
                    }
                    // It is sent when the next message of the ring has arrived.
                    let payload = self.headers.rest(cached, 0);
                    let (timestamp, length) = (record.timestamp(), low_u32(payload.len()));
                    let begin =
                        Some(MessageHeader { timestamp, length, kind: cached.kind(), stream: StreamId::CONNECTION });
                    return Ok(Some(Piece { begin, parts: [payload, &[]] }));
                }
                Stage::Live => {
                    if self.store.is_gone(cursor.at.0) {
                        if cursor.is_inside() {
                            return Err(Overtaken);
                        }
                        cursor.stage = Stage::Seek;
                    } else if self.should_skip(cursor) {
                        cursor.stage = Stage::Seek;
                    } else if cursor.at.0 == self.store.head() {
                        return Ok(None);
                    } else if let Some(piece) = self.live(cursor, now) {
                        return piece;
                    }
                }
            }
        }
    }

    /// Whether a player between two messages is late, and there is a newer message to continue with.
    fn should_skip(&self, cursor: &Cursor) -> bool {
        let has_newer = match self.key {
            Some(key) if cursor.has(Flag::Video) => key.at > cursor.at.0,
            _ => {
                let gets_video = cursor.has(Flag::Video) && !cursor.has(Flag::AwaitsKeyframe);
                self.is_live && !(self.has_video && gets_video)
            }
        };
        !cursor.is_inside() && has_newer && self.store.is_old(cursor.at.0)
    }

    /// Returns whether the next message is for a player that is between two messages. If it is not, the player moves past
    /// it. Returns `None` if too little of the message has arrived.
    fn is_for(&self, cursor: &mut Cursor, record: &Record, now: Instant) -> Option<bool> {
        let is_video = MessageKind(record.kind) == MessageKind::VIDEO;
        if record.first {
            cursor.await_next_keyframe();
        }
        let mut is_for = !record.cut && cursor.wants(record.kind);
        if is_for && self.partial(cursor.at.0).is_some_and(PartialMessage::must_be_whole) {
            return None;
        }
        if is_video && record.cut {
            cursor.await_keyframe();
        }
        if is_for && is_video && (cursor.has(Flag::AwaitsKeyframe) || self.highest > 0) {
            is_for = self.may_follow(cursor, now);
        }
        if !is_for {
            cursor.pass(record.length);
        }
        Some(is_for)
    }

    /// Returns whether the video message at the position of a player is for the player: its track has begun or begins
    /// here, or there was no keyframe for [`KEYFRAME_WAIT`](super::cursor::KEYFRAME_WAIT). If the player is late, the
    /// highest tracks stop until their next keyframe.
    fn may_follow(&self, cursor: &mut Cursor, now: Instant) -> bool {
        let (class, track) = (self.class(cursor.at.0), self.track(cursor.at.0));
        if class == FrameClass::Configuration {
            return true;
        }
        let is_late = track > 0
            && self.key.is_some_and(|key| key.at > cursor.at.0)
            && self.store.is_old_for(cursor.at.0, track, self.highest);
        if is_late {
            cursor.stop_late_track(track);
        }
        let can_follow = cursor.has_track(track) || class == FrameClass::Keyframe;
        let may_follow = !is_late && (can_follow || cursor.misses_video(now.low_millis()));
        if !may_follow && cursor.has(if track == 0 { Flag::Late } else { Flag::LateTracks }) {
            cursor.skipped = cursor.skipped.wrapping_add(1);
        }
        may_follow
    }

    /// Returns a piece of the message that the player is at, or `Some(Ok(None))` if nothing has arrived. `None` means that
    /// the message is not for the player, which has moved past it.
    // The inner type is that of `peek`, which passes it on unchanged.
    fn live(&self, cursor: &mut Cursor, now: Instant) -> Option<Result<Option<Piece<'_>>, Overtaken>> {
        let (record, partial) = (self.record(cursor.at.0), self.partial(cursor.at.0));
        if !cursor.is_inside() {
            if record.cut && cursor.has(Flag::Fresh) {
                cursor.stage = Stage::Seek;
                return None;
            }
            match self.is_for(cursor, &record, now) {
                Some(true) => {}
                Some(false) => return None,
                None => return Some(Ok(None)),
            }
        }
        let length = record.length.saturating_sub(record.skip());
        let arrived = match partial {
            Some(partial) => partial.arrived,
            None if record.cut => record.word,
            None => record.length,
        };
        let left = arrived.saturating_sub(record.skip()).saturating_sub(cursor.taken);
        let from = payload(cursor.at.0).wrapping_add(u64::from(record.skip())).wrapping_add(u64::from(cursor.taken));
        let mut parts = self.store.parts(from, left as usize);
        if cursor.is_inside() && left == 0 && cursor.taken < length {
            if !record.cut {
                return Some(Ok(None));
            }
            let rest = length.wrapping_sub(cursor.taken);
            if rest > self.fill_cut {
                return Some(Err(Overtaken));
            }
            if MessageKind(record.kind) == MessageKind::VIDEO {
                // Later pictures need this one.
                cursor.await_keyframe();
            }
            parts = [zeros(rest), &[]];
        }
        let kind = if MessageKind(record.kind).is_data() { MessageKind::DATA } else { MessageKind(record.kind) };
        let header = MessageHeader { timestamp: record.timestamp(), length, kind, stream: StreamId::CONNECTION };
        Some(Ok(Some(Piece { begin: (!cursor.is_inside()).then_some(header), parts })))
    }

    /// Finds a place to begin with. Returns whether there is one.
    fn place(&self, cursor: &mut Cursor, now: Instant) -> bool {
        let key =
            self.key.filter(|key| cursor.has(Flag::Video) && key.at >= cursor.at.0 && !self.store.is_gone(key.at));
        let place = match key {
            // A sequence header before the keyframe is incomplete.
            Some(key) if self.pending().any(|pending| pending.at < key.at) => return false,
            Some(key) => key,
            None => {
                let is_old = |pending: &Place| self.store.is_old(pending.at);
                let is_video = |place: Place| MessageKind(self.record(place.at).kind) == MessageKind::VIDEO;
                // A late player (see `should_skip`) must not be sent back. After an incomplete sequence header, it could not
                // decode the pictures.
                if cursor.has(Flag::Video) && self.pending().filter(is_old).any(is_video) {
                    return false;
                }
                let pending = self.pending().filter(|pending| !is_old(pending)).min_by_key(|pending| pending.at);
                pending.unwrap_or(Place { at: self.store.head(), number: self.messages })
            }
        };
        if key.is_none() && self.is_live {
            cursor.await_keyframe();
            cursor.misses_video(now.low_millis());
            cursor.set(Flag::Late, cursor.has(Flag::Begun));
        }
        if cursor.has(Flag::Begun) {
            cursor.skipped = cursor.skipped.wrapping_add(place.number.wrapping_sub(cursor.number));
        }
        // The cached messages that it was not sent yet, or that have changed since.
        for (bit, cached) in self.headers.entries() {
            if cached.is_cached() && (cursor.at.0..place.at).contains(&cached.position()) {
                cursor.due |= bit;
            }
        }
        (cursor.at, cursor.number) = (Position(place.at), place.number);
        cursor.stop_tracks();
        cursor.set(Flag::LateTracks, cursor.has(Flag::Begun));
        cursor.stage = Stage::HeaderCache;
        cursor.set(Flag::Begun, true);
        true
    }

    /// Returns the cached message that is being sent to a player or is sent next, with its bit.
    fn due(&self, cursor: &Cursor) -> Option<(u32, &HeaderEntry)> {
        match cursor.is_inside() {
            true => self.headers.entries().find(|(_, entry)| entry.serial() == cursor.cached),
            false => self.headers.first_of(cursor.due),
        }
    }

    /// Between two messages, marks the configurations that must be sent again as due.
    fn renew(&self, cursor: &mut Cursor) {
        for (flag, kind) in [(Flag::AudioAgain, MessageKind::AUDIO), (Flag::VideoAgain, MessageKind::VIDEO)] {
            if cursor.is_inside() || !cursor.has(flag) {
                continue;
            }
            cursor.set(flag, false);
            let cached = self.headers.entries().filter(|(_, entry)| entry.is_cached() && entry.kind() == kind);
            cursor.due = cached.fold(cursor.due, |due, (bit, _)| due | bit);
            if cursor.stage == Stage::Live {
                cursor.stage = Stage::HeaderCache;
            }
        }
    }

    /// The player has begun the message that [`Self::peek`] returned.
    pub fn begin_message(&self, cursor: &mut Cursor) {
        match cursor.stage {
            Stage::HeaderCache => cursor.cached = self.due(cursor).map_or(0, |(_, cached)| cached.serial()),
            _ => cursor.set(Flag::Fresh, false),
        }
        let may_begin = cursor.stage == Stage::Live && (cursor.has(Flag::AwaitsKeyframe) || self.highest > 0);
        if may_begin && self.class(cursor.at.0).is_picture() {
            cursor.begin_track(self.track(cursor.at.0));
        }
        cursor.set(Flag::Inside, true);
        cursor.taken = 0;
    }

    /// The player has sent this number of bytes from the start of what [`Self::peek`] returned.
    pub fn advance(&self, cursor: &mut Cursor, bytes: usize) {
        cursor.taken = cursor.taken.saturating_add(low_u32(bytes));
    }

    /// The player has sent the message to its end.
    pub fn finish_message(&self, cursor: &mut Cursor) {
        match cursor.stage {
            Stage::HeaderCache => cursor.due &= !self.due(cursor).map_or(0, |(bit, _)| bit),
            // If it is gone, its length is not known any longer: the next peek looks for a new place.
            _ if self.store.is_gone(cursor.at.0) => cursor.number = cursor.number.wrapping_add(1),
            _ => cursor.pass(self.record(cursor.at.0).length),
        }
        cursor.sent = cursor.sent.wrapping_add(1);
        cursor.set(Flag::Inside, false);
        cursor.taken = 0;
    }

    /// Whether the stream has audio, and video, as far as that is known. Both, if little has arrived.
    #[cfg(feature = "web")]
    pub(crate) fn kinds(&self) -> (bool, bool) {
        let has =
            |kind: MessageKind| self.headers.entries().any(|(_, entry)| entry.is_cached() && entry.kind() == kind);
        let is_known = self.is_live && self.messages >= FEW;
        let (audio, video) = (self.has_audio || has(MessageKind::AUDIO), self.has_video || has(MessageKind::VIDEO));
        if is_known && (audio || video) { (audio, video) } else { (true, true) }
    }

    /// The greatest number of bytes that a player is behind: those from its place to the end of the ring's content.
    pub fn behind(&self, cursor: &Cursor) -> u64 {
        let start = if cursor.stage == Stage::Seek { self.store.head() } else { cursor.at.0 };
        self.store.head().saturating_sub(start)
    }
}
