//! Why a message cannot be begun.

use core::fmt;

use crate::chunk::ChunkStreamId;

/// Why a message cannot be begun. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError {
    /// The caller's fault: the message before it on that chunk stream is not finished.
    MessageOpen(ChunkStreamId),
    /// The caller's fault: no message can be so long.
    TooLong(u32),
    /// Our table is too small: it has room for so many chunk streams.
    TooManyChunkStreams(usize),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageOpen(csid) => write!(f, "the message on chunk stream {csid} is not finished"),
            Self::TooLong(length) => write!(f, "{length} bytes are too long for a message"),
            Self::TooManyChunkStreams(room) => write!(f, "more than {room} chunk streams"),
        }
    }
}

impl core::error::Error for WriteError {}
