//! The chunk stream: how messages are cut into chunks and interleaved (RTMP 1.0, section 5.3).
//!
//! [`Reader`] turns received bytes into [`Fragment`]s: pieces of message payload, lent from the input and never copied.
//! [`Assembler`] puts the fragments of small messages together in a buffer that the caller lends. [`Writer`] emits
//! chunk headers around payload that stays the caller's. [`header`] is the codec that both sides share.

mod assembler;
pub mod header;
mod reader;
mod writer;

pub use assembler::{Assembled, Assembler};
pub(crate) use reader::Pulled;
pub use reader::{ReadError, Reader, TypeThreeDelta};
pub use writer::{WriteError, Writer};

use core::fmt;

use crate::fmt::brief;
use crate::message;

/// The chunk size of both directions until a Set Chunk Size message changes it, in bytes (section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The largest chunk size that has a meaning: no message is longer (section 5.4.1).
pub const MAX_CHUNK_SIZE: u32 = message::MAX_LENGTH;

/// The id of a chunk stream: 2 to 65,599 (section 5.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkStreamId(u32);

impl ChunkStreamId {
    /// Chunk stream 2: protocol control messages.
    pub const CONTROL: ChunkStreamId = ChunkStreamId(2);
    /// Chunk stream 3: the commands of the connection, as all known clients use it.
    pub const COMMAND: ChunkStreamId = ChunkStreamId(3);
    /// The largest id.
    pub const MAX: ChunkStreamId = ChunkStreamId(65_599);

    /// The chunk stream `id`; `None` outside 2 to 65,599.
    pub const fn new(id: u32) -> Option<Self> {
        if id >= 2 && id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// The id as a number.
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ChunkStreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A piece of a message's payload.
///
/// A message arrives as one fragment or more, in order. Fragments of messages on different chunk streams may alternate.
/// A fragment with offset 0 begins a message, also where the message before it on that chunk stream was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'d> {
    /// The chunk stream that it came on.
    pub csid: ChunkStreamId,
    /// The header of its message.
    pub header: message::Header,
    /// Where in the message's payload `data` begins, in bytes.
    pub offset: u32,
    /// The payload bytes; empty only where the whole message is.
    pub data: &'d [u8],
}

brief!(
    ['d] Fragment<'d>,
    this => "Fragment {{ csid: {}, header: {}, offset: {}, {} bytes }}",
    this.csid, this.header, this.offset, this.data.len()
);

impl Fragment<'_> {
    /// Whether this is the first fragment of its message.
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Whether this is the last fragment of its message.
    pub const fn is_last(&self) -> bool {
        self.header.length.wrapping_sub(self.offset) as usize == self.data.len()
    }
}
