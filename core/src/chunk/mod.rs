//! The chunk stream: messages are cut into chunks, which may be interleaved (RTMP 1.0, section 5.3).
//!
//! [`Reader`] turns received bytes into [`Fragment`]s: pieces of message payload, which borrow the input. [`Assembler`]
//! collects the fragments of small messages in a buffer that the caller lends. [`Writer`] writes chunk headers and copies
//! payload from the caller's memory to the output. [`header`] is the codec of chunk headers. Nothing here depends on time,
//! so no call takes it.
//!
//! ```text
//!  messages   video, 200 bytes on chunk stream 6          audio, 4 bytes on chunk stream 4
//!
//!  bytes      ┌ header ┬ 128 bytes ┐ ┌ header ┬ 4 bytes ┐ ┌ 1 byte ┬ 72 bytes ┐
//!             └ type 0 ┴ of video  ┘ └ type 0 ┴ audio   ┘ └ type 3 ┴ of video ┘
//!
//!  fragments    6, offset 0, …         4, offset 0: whole     6, offset 128, …: one for each piece of input
//! ```
//!
//! ```
//! use embedded_rtmp::chunk::{ChunkStreamId, Reader, Writer};
//! use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
//!
//! let (video, audio) = (ChunkStreamId::new(6).unwrap(), ChunkStreamId::new(4).unwrap());
//! let header = |kind, length| MessageHeader { timestamp: Timestamp(40), length, kind, stream: StreamId(1) };
//! let (frame, sound) = ([0x17; 200], [0xAF, 1, 2, 3]);
//!
//! let mut writer = Writer::<2>::new();
//! let mut out = [0; 300];
//! writer.begin(video, header(MessageKind::VIDEO, 200))?;
//! let first = writer.poll(video, &frame[..128], &mut out); // up to the end of the chunk
//! let mut end = first.written;
//! writer.begin(audio, header(MessageKind::AUDIO, 4))?;
//! end += writer.poll(audio, &sound, &mut out[end..]).written;
//! end += writer.poll(video, &frame[first.taken..], &mut out[end..]).written;
//! assert_eq!(end, (12 + 128) + (12 + 4) + (1 + 72));
//!
//! let mut reader = Reader::<2>::new();
//! let mut input = &out[..end];
//! let mut found = Vec::new();
//! while let Some(fragment) = reader.next_fragment(&mut input)? {
//!     found.push((fragment.csid, fragment.offset, fragment.data.len(), fragment.is_last()));
//! }
//! assert_eq!(found, [(video, 0, 128, false), (audio, 0, 4, true), (video, 128, 72, true)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembler;
pub mod header;
mod reader;
mod writer;

pub use assembler::{Assembled, Assembler};
pub(crate) use reader::Pulled;
pub use reader::{ReadError, Reader, TypeThreeDelta};
#[cfg(test)]
pub(crate) use writer::moved;
pub use writer::{WriteError, WriteProgress, Writer};

use core::fmt;

use crate::fmt::impl_format;
use crate::message;

/// The chunk size in bytes of each direction until a Set Chunk Size message changes it (section 5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// The largest useful chunk size in bytes: the length of the longest message (section 5.4.1).
pub const MAX_CHUNK_SIZE: u32 = message::MAX_MESSAGE_LENGTH;

/// The id of a chunk stream: 2 to 65,599 (section 5.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ChunkStreamId(pub(crate) u32);

impl ChunkStreamId {
    /// No chunk stream.
    pub(crate) const NONE: ChunkStreamId = ChunkStreamId(0);
    /// Chunk stream 2: protocol control messages.
    pub const CONTROL: ChunkStreamId = ChunkStreamId(2);
    /// Chunk stream 3: the commands of the connection, in all known clients.
    pub const COMMAND: ChunkStreamId = ChunkStreamId(3);
    /// The largest id.
    pub const MAX: ChunkStreamId = ChunkStreamId(65_599);

    /// Returns the chunk stream `id`, or `None` if the id is not in 2 to 65,599.
    #[must_use]
    pub const fn new(id: u32) -> Option<Self> {
        if id >= 2 && id <= Self::MAX.0 { Some(Self(id)) } else { None }
    }

    /// Returns the id as a number.
    #[must_use]
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
/// A message arrives as one or more fragments, in order. Fragments of messages on different chunk streams may alternate.
/// A fragment with offset 0 begins a message, even if the previous message on its chunk stream was not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'d> {
    /// The chunk stream on which it arrived.
    pub csid: ChunkStreamId,
    /// The header of its message.
    pub header: message::MessageHeader,
    /// The position of `data` in the message's payload, in bytes.
    pub offset: u32,
    /// The payload bytes. Empty only if the whole message is empty.
    pub data: &'d [u8],
}

impl_format!(
    ['d] Fragment<'d>,
    this => "Fragment {{ csid: {}, header: {}, offset: {}, {} bytes }}",
    this.csid, this.header, this.offset, this.data.len()
);

impl Fragment<'_> {
    /// Returns whether this is the first fragment of its message.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.offset == 0
    }

    /// Returns whether this is the last fragment of its message.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.header.length.wrapping_sub(self.offset) as usize == self.data.len()
    }
}
