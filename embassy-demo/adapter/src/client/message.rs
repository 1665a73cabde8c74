//! A message on its way out: from where its parts lie straight into the socket's send ring.

use embedded_rtmp::chunk::{ChunkStreamId, WriteError};
use embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp::session::RequestError;

use crate::client::connection::Connection;

/// A message that lies in several places, which are sent one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Message<'m> {
    pub(crate) kind: MessageKind,
    pub(crate) at: Timestamp,
    pub(crate) parts: &'m [&'m [u8]],
    pub(crate) length: u32,
}

/// A message whose first bytes are out.
pub(crate) struct Begun {
    pub(crate) csid: ChunkStreamId,
    at: Timestamp,
    length: u32,
    /// How much of its payload is out.
    taken: usize,
}

impl<'m> Message<'m> {
    /// What has no more bytes than a message can have.
    pub(crate) fn new(kind: MessageKind, at: Timestamp, parts: &'m [&'m [u8]]) -> Result<Self, RequestError> {
        let length = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let length = u32::try_from(length).map_err(|_| WriteError::TooLong(u32::MAX))?;
        Ok(Self { kind, at, parts, length })
    }

    /// Whether that is what was begun, as far as can be told.
    pub(crate) fn is(&self, begun: &Begun) -> bool {
        (begun.at, begun.length) == (self.at, self.length)
    }
}

/// What is left of the part in which the byte `at` is.
fn behind<'p>(parts: &[&'p [u8]], mut at: usize) -> &'p [u8] {
    for part in parts {
        match part.get(at..) {
            Some(rest) if !rest.is_empty() => return rest,
            _ => at -= part.len(),
        }
    }
    &[]
}

impl<const STREAMS: usize, const PLAYS: usize> Connection<'_, STREAMS, PLAYS> {
    /// Writes at most `limit` bytes of a message's payload, of one part, into the ring, with the headers that they need.
    /// Answers whether that was the end of it; `begun` is then empty.
    pub(crate) fn put(
        &mut self,
        begun: &mut Option<Begun>,
        message: &Message<'_>,
        limit: usize,
    ) -> Result<bool, RequestError> {
        let Self { client, tunnel, link, .. } = self;
        let Message { kind, at, parts, length } = *message;
        if begun.is_none() {
            let stream = client.publishing().ok_or(RequestError::State)?;
            let csid = client.begin_media(kind, stream, at, length)?;
            *begun = Some(Begun { csid, at, length, taken: 0 });
        }
        let Some(open) = begun else { return Ok(true) };
        let rest = behind(parts, open.taken);
        let rest = rest.get(..limit).unwrap_or(rest);
        // All parts are at hand, whichever is next.
        let at_hand = limit.min((length as usize).saturating_sub(open.taken));
        let waiting = tunnel.count(|| client.media_len(open.csid, at_hand));
        let mut put = |room: &mut [u8]| {
            let progress = client.poll_media(open.csid, rest, room);
            open.taken = open.taken.saturating_add(progress.taken);
            progress.written
        };
        if !tunnel.gather(&mut put) {
            link.write(&mut |out| tunnel.transmit(waiting, out, &mut put));
        }
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
