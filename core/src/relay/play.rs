//! A player's side: what goes out.

use super::cached::HeaderCache;
use super::cursor::{Cursor, Overtaken, Stage};
use super::record::{PartialMessage, Place, Position, payload};
use super::ring::Ring;
use crate::fmt::impl_format;
use crate::message::{MessageHeader, MessageKind, StreamId};

/// What a message that was cut off is filled up with.
const ZEROS: &[u8] = &[0; 64];

/// As many zeros of the rest of a message as one piece has.
pub(super) fn zeros(left: u32) -> &'static [u8] {
    ZEROS.get(..left as usize).unwrap_or(ZEROS)
}

/// A piece of a message, for a player to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'r> {
    /// The header of a message that is to be begun, on message stream 0; `None` while one is being sent.
    pub begin: Option<MessageHeader>,
    /// Payload: two parts where it lies around the end of the ring. Empty where the message is.
    pub parts: [&'r [u8]; 2],
}

impl_format!(
    ['r] Piece<'r>,
    Piece { begin, parts: [one, other] } => "Piece {{ begin: {}, {} + {} bytes }}", begin, one.len(), other.len()
);

impl Ring<'_> {
    /// What a player is to send next; `None` where that has not come yet. What it takes of it is told by
    /// [`Self::begin_message`], [`Self::advance`] and [`Self::finish_message`].
    ///
    /// # Errors
    /// The player is overtaken within a message.
    pub fn peek(&self, cursor: &mut Cursor) -> Result<Option<Piece<'_>>, Overtaken> {
        cursor.renew();
        loop {
            match cursor.stage {
                Stage::Seek => {
                    if !self.place(cursor) {
                        return Ok(None);
                    }
                }
                Stage::HeaderCache => {
                    let cached = self.due(cursor);
                    if let Some(cached) = cached.filter(|_| cursor.is_inside) {
                        if cached.position as u32 != cursor.cached {
                            return Err(Overtaken);
                        }
                        return Ok(Some(Piece { begin: None, parts: [cached.rest(cursor.taken), &[]] }));
                    }
                    let at = cursor.at.0;
                    let (is_gone, is_head) = (self.store.is_gone(at), at == self.store.head());
                    if is_gone || !is_head && self.record(at).cut {
                        // What it was to begin with is not there any more.
                        cursor.stage = Stage::Seek;
                        continue;
                    }
                    let Some(cached) = cached else {
                        (cursor.stage, cursor.is_fresh) = (Stage::Live, true);
                        continue;
                    };
                    // What has taken its place since comes in its own place.
                    let is_due = cached.position < at && cursor.wants(cached.kind.0);
                    let Some(payload) = cached.payload().filter(|_| is_due) else {
                        cursor.pop();
                        continue;
                    };
                    if is_head {
                        return Ok(None);
                    }
                    // Due when the message is that comes next.
                    let (timestamp, length) = (self.record(at).timestamp(), payload.len() as u32);
                    let begin =
                        Some(MessageHeader { timestamp, length, kind: cached.kind, stream: StreamId::CONNECTION });
                    return Ok(Some(Piece { begin, parts: [payload, &[]] }));
                }
                Stage::Live => {
                    if self.store.is_gone(cursor.at.0) {
                        if cursor.is_inside {
                            return Err(Overtaken);
                        }
                        cursor.seek();
                    } else if self.should_skip(cursor) {
                        cursor.seek();
                    } else if cursor.at.0 == self.store.head() {
                        return Ok(None);
                    } else if let Some(piece) = self.live(cursor)? {
                        return Ok(piece);
                    }
                }
            }
        }
    }

    /// Whether a player between two messages is so far behind that it would be overtaken within one of the next, and
    /// there is something newer to go on with.
    fn should_skip(&self, cursor: &Cursor) -> bool {
        let has_newer = match self.key {
            Some(key) if cursor.video => key.at > cursor.at.0,
            _ => self.is_live && !(self.has_video && cursor.video),
        };
        !cursor.is_inside && has_newer && self.store.is_old(cursor.at.0)
    }

    /// A piece of the message that the player is at; `None` where that is not for it, and it has gone on.
    fn live(&self, cursor: &mut Cursor) -> Result<Option<Option<Piece<'_>>>, Overtaken> {
        let (record, partial) = (self.record(cursor.at.0), self.partial(cursor.at.0));
        if !cursor.is_inside {
            if record.cut && cursor.is_fresh {
                cursor.seek();
                return Ok(None);
            }
            if record.cut || !cursor.wants(record.kind) {
                cursor.pass(record.length);
                return Ok(None);
            }
            if partial.is_some_and(PartialMessage::must_be_whole) {
                return Ok(Some(None));
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
        if cursor.is_inside && left == 0 && cursor.taken < length {
            if !record.cut {
                return Ok(Some(None));
            }
            let rest = length.wrapping_sub(cursor.taken);
            if rest > self.fill_cut {
                return Err(Overtaken);
            }
            parts = [zeros(rest), &[]];
        }
        let kind = if MessageKind(record.kind).is_data() { MessageKind::DATA } else { MessageKind(record.kind) };
        let header = MessageHeader { timestamp: record.timestamp(), length, kind, stream: StreamId::CONNECTION };
        Ok(Some(Some(Piece { begin: (!cursor.is_inside).then_some(header), parts })))
    }

    /// Finds a place to begin with; answers whether there is one.
    fn place(&self, cursor: &mut Cursor) -> bool {
        let pending = self.pending();
        let key = self.key.filter(|key| cursor.video && key.at >= cursor.at.0 && !self.store.is_gone(key.at));
        let place = match key {
            // What it needs before has not come in whole yet.
            Some(key) if pending.is_some_and(|pending| pending.at < key.at) => return false,
            Some(key) => key,
            None if self.has_video && cursor.video => return false,
            // Who is too far behind to be there (see `should_skip`) must not be sent back.
            None => pending
                .filter(|pending| !self.store.is_old(pending.at))
                .unwrap_or(Place { at: self.store.head(), number: self.messages }),
        };
        if cursor.has_begun {
            cursor.skipped = cursor.skipped.wrapping_add(place.number.wrapping_sub(cursor.number));
        }
        // What it has not had before, and what has been kept since it was last sent anything.
        for (bit, cached) in [1, 2, 4].into_iter().zip(&self.cached) {
            if (cursor.at.0..place.at).contains(&cached.position) {
                cursor.due |= bit;
            }
        }
        (cursor.at, cursor.number) = (Position(place.at), place.number);
        (cursor.has_begun, cursor.stage) = (true, Stage::HeaderCache);
        true
    }

    /// Of those that are kept, the one that a player gets next.
    fn due(&self, cursor: &Cursor) -> Option<&HeaderCache<'_>> {
        self.cached.get(cursor.due.trailing_zeros() as usize)
    }

    /// The player has begun the message that [`Self::peek`] showed.
    pub fn begin_message(&self, cursor: &mut Cursor) {
        match cursor.stage {
            Stage::HeaderCache => cursor.cached = self.due(cursor).map_or(0, |cached| cached.position as u32),
            _ => cursor.is_fresh = false,
        }
        (cursor.is_inside, cursor.taken) = (true, 0);
    }

    /// The player took so many bytes from the front of what [`Self::peek`] showed.
    pub fn advance(&self, cursor: &mut Cursor, bytes: usize) {
        cursor.taken = cursor.taken.saturating_add(bytes as u32);
    }

    /// The player has sent the message to its end.
    pub fn finish_message(&self, cursor: &mut Cursor) {
        match cursor.stage {
            Stage::HeaderCache => cursor.pop(),
            // Where it is gone meanwhile, there is nothing to go on behind: the next peek looks for a new place.
            _ if self.store.is_gone(cursor.at.0) => cursor.number = cursor.number.wrapping_add(1),
            _ => cursor.pass(self.record(cursor.at.0).length),
        }
        cursor.sent = cursor.sent.wrapping_add(1);
        (cursor.is_inside, cursor.taken) = (false, 0);
        if core::mem::take(&mut cursor.reseek) {
            cursor.seek();
        }
    }

    /// How many bytes of the ring a player is behind, at most: those from its place to the end of what has come.
    pub fn behind(&self, cursor: &Cursor) -> u64 {
        let start = if cursor.stage == Stage::Seek { self.store.head() } else { cursor.at.0 };
        self.store.head().saturating_sub(start)
    }
}
