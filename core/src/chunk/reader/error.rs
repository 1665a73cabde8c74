//! Why a chunk stream cannot be read on.

use core::fmt;

use crate::chunk::ChunkStreamId;

/// Why a chunk stream cannot be read on. Every one is fatal: where the next chunk begins is no longer known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// The peer's fault: a header of type 2 or 3 on a chunk stream that has had no message (or whose memory had to be
    /// given to another, where more chunk streams are used than the reader has room for).
    UnknownChunkStream(ChunkStreamId),
    /// The peer's fault: a Set Chunk Size of 0 or of more than 31 bits.
    ChunkSize(u32),
    /// Our table is too small: all of its chunk streams, so many, have an unfinished message.
    TooManyChunkStreams(usize),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownChunkStream(csid) => {
                write!(f, "chunk stream {csid} begins with a header that refers to another")
            }
            Self::ChunkSize(size) => write!(f, "the peer announced a chunk size of {size:#x}"),
            Self::TooManyChunkStreams(room) => write!(f, "more than {room} chunk streams with an unfinished message"),
        }
    }
}

impl core::error::Error for ReadError {}
