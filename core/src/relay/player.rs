//! A player's cursor, joined to its session.

use core::fmt;

use super::cursor::{Cursor, Overtaken};
use super::ring::Ring;
use crate::chunk::ChunkStreamId;
use crate::fmt::impl_format;
use crate::message::StreamId;
use crate::session::{RequestError, Server};
use crate::time::Instant;

/// Why a player's connection is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PumpError {
    /// It is too slow.
    Overtaken,
    /// The session takes no message: most likely its message stream is gone.
    Request(RequestError),
}

impl fmt::Display for PumpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overtaken => Overtaken.fmt(f),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PumpError {}

impl From<Overtaken> for PumpError {
    fn from(_: Overtaken) -> Self {
        Self::Overtaken
    }
}

impl From<RequestError> for PumpError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

/// One player of a stream.
#[derive(Debug)]
pub struct Player {
    /// Where it is in the ring.
    pub cursor: Cursor,
    stream: StreamId,
    /// The chunk stream of the message that the cursor is inside of: sessions use ids of one byte.
    csid: u8,
    leaves: bool,
}

impl_format!([] Player, this => "Player {{ cursor: {} }}", this.cursor);

impl Player {
    /// A player on a message stream of its session, that has had nothing yet.
    pub const fn new(stream: StreamId) -> Self {
        Self { cursor: Cursor::new(), stream, csid: 0, leaves: false }
    }

    /// The message stream that it plays on.
    pub const fn stream(&self) -> StreamId {
        self.stream
    }

    /// Begins no message any more: [`Self::pump`] finishes the one that is begun, for a session's message is never left open.
    /// Answers whether there is none, and the player can go.
    pub const fn stop(&mut self) -> bool {
        self.leaves = true;
        !self.cursor.is_inside()
    }

    /// Puts out what the session has to say, then as much of the stream as there is, or as `out` has room for; answers how
    /// much of `out` it filled. To be called when more has come into the ring, or more room is there.
    ///
    /// # Errors
    /// The player has to go. What was put out before is in `out` and counts for nothing any more.
    pub fn pump<const STREAMS: usize>(
        &mut self,
        ring: &Ring<'_>,
        session: &mut Server<'_, STREAMS>,
        now: Instant,
        out: &mut [u8],
    ) -> Result<usize, PumpError> {
        let mut written = session.poll_transmit(now, out);
        // Whether the player is overtaken is looked at even where there is no room.
        while let Some(piece) = ring.peek(&mut self.cursor)? {
            if written >= out.len() || self.leaves && !self.cursor.is_inside() {
                break;
            }
            if let Some(header) = piece.begin {
                let csid = session.begin_media(header.kind, self.stream, header.timestamp, header.length)?;
                self.csid = csid.value() as u8;
                ring.begin_message(&mut self.cursor);
            }
            let (csid, before) = (ChunkStreamId(u32::from(self.csid)), written);
            for part in piece.parts {
                let (taken, filled) = session.poll_media(csid, part, out.get_mut(written..).unwrap_or(&mut []));
                ring.advance(&mut self.cursor, taken);
                written = written.wrapping_add(filled);
                if taken < part.len() {
                    break;
                }
            }
            if session.media_left(csid).is_none() {
                ring.finish_message(&mut self.cursor);
            } else if written == before {
                break;
            }
        }
        Ok(written)
    }
}
