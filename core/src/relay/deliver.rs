//! Sends the messages of a ring in the form that a player receives.

use super::cursor::{Cursor, Overtaken};
use super::play::{Piece, zeros};
use super::ring::Ring;
use crate::chunk::WriteProgress;
use crate::message::MessageHeader;
use crate::time::Instant;

/// The form in which a player receives the messages: the chunks of a session, or a file. It has at most one open message.
pub(crate) trait Sink {
    type Error: From<Overtaken>;

    /// Writes what precedes the next message to the front of `out`. Returns the number of bytes.
    ///
    /// # Errors
    /// The player cannot continue.
    fn poll_between(&mut self, _ring: &Ring<'_>, _out: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }

    /// Whether nothing of a message waits to be written.
    #[cfg(feature = "web")]
    fn is_idle(&self) -> bool;

    /// Whether the player gets nothing after this, whatever follows in the stream.
    #[cfg(feature = "web")]
    fn has_ended(&self) -> bool {
        false
    }

    /// Begins a message. `parts` are the first bytes of its payload. The output has room after [`Self::poll_between`].
    ///
    /// # Errors
    /// The message cannot be sent.
    fn begin(&mut self, ring: &Ring<'_>, header: MessageHeader, parts: [&[u8]; 2]) -> Result<Begin, Self::Error>;

    /// Writes a part of the open message. `rest` begins with its payload that was not taken yet.
    fn poll_media(&mut self, rest: &[u8], out: &mut [u8]) -> WriteProgress;

    /// The number of bytes of the open message that were not taken. `None` if no message is open.
    fn media_left(&self) -> Option<u32>;
}

/// The result of [`Sink::begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The message is open.
    Open,
    /// The message cannot begin now: more bytes of it are needed, or the sink [has ended](Sink::has_ended).
    #[cfg(feature = "web")]
    Wait,
    /// Something else may have to be written first: see [`Sink::poll_between`].
    #[cfg(feature = "web")]
    Later,
}

/// Writes as much of a stream as there is and as `out` has room for. Returns the number of bytes written. `may_begin` says
/// whether further messages may begin.
pub(super) fn deliver<S: Sink>(
    ring: &Ring<'_>,
    cursor: &mut Cursor,
    may_begin: bool,
    sink: &mut S,
    now: Instant,
    out: &mut [u8],
) -> Result<usize, S::Error> {
    let mut written: usize = 0;
    loop {
        // Look for an overtaken player even if there is no room.
        let piece = match ring.peek(cursor, now) {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => match sink.media_left() {
                Some(left) if left <= ring.fill_overtaken => Piece { begin: None, parts: [zeros(left), &[]] },
                _ => return Err(error.into()),
            },
        };
        if !cursor.is_inside() {
            written = written.wrapping_add(sink.poll_between(ring, out.get_mut(written..).unwrap_or(&mut []))?);
        }
        if written >= out.len() || !may_begin && !cursor.is_inside() {
            break;
        }
        if let Some(header) = piece.begin {
            match sink.begin(ring, header, piece.parts)? {
                Begin::Open => ring.begin_message(cursor),
                #[cfg(feature = "web")]
                Begin::Wait => break,
                #[cfg(feature = "web")]
                Begin::Later => continue,
            }
        }
        let before = written;
        for part in piece.parts {
            let progress = sink.poll_media(part, out.get_mut(written..).unwrap_or(&mut []));
            ring.advance(cursor, progress.taken);
            written = written.wrapping_add(progress.written);
            if progress.taken < part.len() {
                break;
            }
        }
        if sink.media_left().is_none() {
            ring.finish_message(cursor);
        } else if written == before {
            break;
        }
    }
    Ok(written)
}
