//! A message that is being sent: its parts are written from the caller's memory into the transport.

use core::task::{Context, Waker};

use embedded_rtmp::chunk::{ChunkStreamId, WriteError};
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::session::RequestError;

use crate::client::connection::Connection;
use crate::transport::Transport;

/// A message in several parts, which are sent one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) kind: MessageKind,
    pub(crate) at: Timestamp,
    pub(crate) parts: &'m [&'m [u8]],
    pub(crate) length: u32,
}

/// A message whose first bytes are written.
pub(crate) struct Begun {
    pub(crate) csid: ChunkStreamId,
    at: Timestamp,
    length: u32,
    /// The number of bytes of its payload that are written.
    taken: usize,
}

impl<'m> Message<'m> {
    /// A message of these parts.
    ///
    /// # Errors
    /// The parts are longer than a message can be.
    pub(crate) fn new(kind: MessageKind, at: Timestamp, parts: &'m [&'m [u8]]) -> Result<Self, RequestError> {
        let length = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let length = u32::try_from(length).map_err(|_| WriteError::TooLong(u32::MAX))?;
        Ok(Self { kind, at, parts, length })
    }

    /// Returns whether this has the timestamp and the length of the message that was begun.
    pub(crate) fn is(&self, begun: &Begun) -> bool {
        (begun.at, begun.length) == (self.at, self.length)
    }
}

/// Returns the rest of the part that contains the byte `at`.
fn behind<'p>(parts: &[&'p [u8]], mut at: usize) -> &'p [u8] {
    for part in parts {
        match part.get(at..) {
            Some(rest) if !rest.is_empty() => return rest,
            _ => at = at.saturating_sub(part.len()),
        }
    }
    &[]
}

impl<const STREAMS: usize, const PLAYS: usize, T: Transport> Connection<'_, STREAMS, PLAYS, T> {
    /// Writes at most `limit` bytes of a message's payload, from one part, into the transport, with the headers that they
    /// need. Returns whether the message is complete; `begun` is then empty. Call it only if there is room.
    pub(crate) fn put(
        &mut self,
        begun: &mut Option<Begun>,
        message: &Message<'_>,
        limit: usize,
    ) -> Result<bool, RequestError> {
        let Self { client, keys, transport, .. } = self;
        let Message { kind, at, parts, length } = *message;
        if begun.is_none() {
            let stream = client.publishing().ok_or(RequestError::State)?;
            let csid = client.begin_media(kind, stream, at, length)?;
            *begun = Some(Begun { csid, at, length, taken: 0 });
        }
        let Some(open) = begun else { return Ok(true) };
        let rest = behind(parts, open.taken);
        let rest = rest.get(..limit).unwrap_or(rest);
        // The transport is told the length of all parts together.
        let at_hand = limit.min((length as usize).saturating_sub(open.taken));
        transport.announce(&mut || client.media_len(open.csid, at_hand));
        let _ = transport.poll_write(&mut Context::from_waker(Waker::noop()), &mut |room| {
            let progress = client.poll_media(open.csid, rest, room);
            open.taken = open.taken.saturating_add(progress.taken);
            keys.write(room, progress.written)
        });
        let is_done = client.media_left(open.csid).is_none();
        if is_done {
            *begun = None;
        }
        Ok(is_done)
    }
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn parts_are_one_after_the_other() {
        let parts: [&[u8]; 5] = [b"", b"abc", b"", b"d", b""];
        let rests = [&b"abc"[..], b"bc", b"c", b"d", b""];
        assert_eq!(core::array::from_fn(|at| behind(&parts, at)), rests);
        assert_eq!(behind(&[], 0), b"");
    }
}
