//! The reading side of a chunk stream (RTMP 1.0, section 5.3).
//!
//! ```text
//!            header complete                  message length 0
//!  ┌────────┐ ────────────► ┌─────────┐ ─────────────────────────┐
//!  │ header │               │ payload │                          │ fragment
//!  └────────┘ ◄──────────── └─────────┘ ◄── more of the chunk ◄──┤
//!       ▲      end of chunk                                      │
//!       └────────────────────────────────────────────────────────┘
//! ```
//!
//! The input may stop at any byte. A header that is cut waits in 18 bytes of the reader's own; payload is never kept,
//! with one exception: the four bytes behind a type 3 header that may or may not be a repeated extended timestamp. Where
//! they come in pieces and prove to be payload, the reader lends them from itself.

mod error;
mod headers;
mod track;

pub use error::ReadError;

use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE, header};
use crate::fmt::impl_format;
use crate::message::StreamId;
use track::Track;

/// What a type 3 header right after a type 0 header adds to the timestamp, where it begins a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TypeThreeDelta {
    /// The timestamp of the type 0 header, as section 5.3.1.2.4 says; librtmp, FFmpeg and SRS send this.
    #[default]
    Timestamp,
    /// Nothing, as nginx-rtmp and some Go libraries do.
    Zero,
}

/// No byte: the next header is not the common one.
const NO_CONTINUATION: u16 = 0x100;

/// Reads a chunk stream, with memory for `STREAMS` chunk streams, at most 255, besides the one that is being read.
///
/// A new chunk stream that finds no room takes the place of one that has no unfinished message and has not been used
/// lately.
// In this order, so that the zeros of a new one begin at a word: setting them takes one routine less in an image.
#[derive(Debug)]
#[repr(C)]
pub struct Reader<const STREAMS: usize> {
    /// The chunk size that the peer announced; or what the failure is about.
    chunk_size: u32,
    /// Payload bytes of the current chunk that are still to come.
    chunk_left: u32,
    /// The current chunk's.
    track: Track,
    others: [Track; STREAMS],
    /// A header that was cut, or bytes that turned out to be payload.
    pending: [u8; header::MAX_SIZE],
    /// The byte that continues the current message on the common path, or [`NO_CONTINUATION`]. It is no byte while
    /// something waits in `pending`.
    continuation: u16,
    /// Where in `pending` what is not used yet begins, and ends.
    pending_start: u8,
    pending_end: u8,
    failed: Option<Failure>,
    type_three_delta: TypeThreeDelta,
}

impl_format!(
    [const STREAMS: usize] Reader<STREAMS>,
    this => "Reader {{ chunk_size: {}, failed: {} }}", this.chunk_size, this.failure()
);

/// A [`ReadError`] without its number.
#[derive(Debug, Clone, Copy)]
enum Failure {
    UnknownChunkStream = 1,
    ChunkSize,
    TooManyChunkStreams,
}

/// What [`Reader::pull`] found: a piece of the current message's payload. [`Reader::fragment`] makes it whole.
#[derive(Clone, Copy)]
pub(crate) struct Pulled<'i> {
    offset: u32,
    /// The payload; where it lies in the reader, right before what is not used yet, its length.
    pub(crate) data: Result<&'i [u8], u8>,
}

impl<const STREAMS: usize> Default for Reader<STREAMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const STREAMS: usize> Reader<STREAMS> {
    /// A reader at the beginning of a chunk stream, which is the end of the handshake.
    pub const fn new() -> Self {
        Self::with(TypeThreeDelta::Timestamp)
    }

    /// The same, with what a type 3 header after a type 0 header means.
    pub(crate) const fn with(type_three_delta: TypeThreeDelta) -> Self {
        Self {
            track: Track::NONE,
            others: [Track::NONE; STREAMS],
            continuation: NO_CONTINUATION,
            chunk_size: DEFAULT_CHUNK_SIZE,
            chunk_left: 0,
            failed: None,
            pending: [0; header::MAX_SIZE],
            pending_start: 0,
            pending_end: 0,
            type_three_delta,
        }
    }

    /// Becomes a new reader in place, without a second one on the stack.
    pub(crate) fn reset(&mut self, type_three_delta: TypeThreeDelta) {
        self.others.iter_mut().chain([&mut self.track]).for_each(|track| *track = Track::NONE);
        (self.continuation, self.chunk_size, self.chunk_left) = (NO_CONTINUATION, DEFAULT_CHUNK_SIZE, 0);
        (self.failed, self.pending_start, self.pending_end) = (None, 0, 0);
        self.type_three_delta = type_three_delta;
    }

    /// Chooses what a type 3 header after a type 0 header means.
    pub fn set_type_three_delta(&mut self, delta: TypeThreeDelta) {
        self.type_three_delta = delta;
    }

    /// Sets the chunk size that the peer announced, in bytes; it counts from the next chunk on. Sizes above 0xFF_FFFF
    /// are the same as 0xFF_FFFF (section 5.4.1).
    ///
    /// # Errors
    /// Zero, and sizes of more than 31 bits, break the protocol.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ReadError> {
        if size == 0 || size > i32::MAX as u32 {
            return Err(self.fail(Failure::ChunkSize, size));
        }
        if self.failed.is_none() {
            self.chunk_size = size.min(MAX_CHUNK_SIZE);
        }
        Ok(())
    }

    /// Drops the unfinished message of a chunk stream, as the peer's Abort message says (section 5.4.2). The next chunk
    /// there begins a message. Does nothing where there is no unfinished message, or while a chunk of it is being read,
    /// in which no Abort message can come.
    pub fn abort(&mut self, csid: ChunkStreamId) {
        if self.track.csid() != csid {
            self.others.iter_mut().filter(|track| track.csid() == csid).for_each(|track| track.received = 0);
        } else if self.chunk_left == 0 {
            self.track.received = 0;
            self.continuation = NO_CONTINUATION;
        }
    }

    /// Marks the unfinished messages of the message streams that `lost` picks.
    pub(crate) fn discard(&mut self, lost: impl Fn(StreamId) -> bool) {
        let tracks = self.others.iter_mut().chain([&mut self.track]);
        tracks.filter(|track| track.is_partial() && lost(track.stream)).for_each(Track::discard);
    }

    /// Whether the current message was marked since it began.
    pub(crate) fn is_discarded(&self) -> bool {
        self.track.is_discarded()
    }

    /// Whether the input read so far ends between two messages: no header is cut, and no message is unfinished.
    pub fn is_at_boundary(&self) -> bool {
        let is_partial = self.track.is_partial() || self.others.iter().any(Track::is_partial);
        self.chunk_left == 0 && !self.has_pending() && !is_partial
    }

    /// Takes bytes from the front of `input` until it has a piece of a message's payload; `None` once the input is empty.
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    #[inline]
    pub fn next_fragment<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Result<Option<Fragment<'d>>, ReadError> {
        let Some(pulled) = self.pull(input)? else { return Ok(None) };
        Ok(Some(self.fragment(pulled)))
    }

    /// As [`Self::next_fragment`], for callers that must go on using the reader: the result borrows the input alone.
    #[inline]
    pub(crate) fn pull<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Pulled<'i>>, ReadError> {
        match self.resume(input) {
            Some(pulled) => Ok(Some(pulled)),
            None => self.begin(input),
        }
    }

    /// Goes on with the current message, as far as that is the common case: more of its chunk, or a chunk that continues
    /// it behind a header of one byte. `None` where it is another case, or there is no input.
    #[inline]
    pub(crate) fn resume<'i>(&mut self, input: &mut &'i [u8]) -> Option<Pulled<'i>> {
        if self.chunk_left == 0 {
            let (&first, rest) = input.split_first()?;
            if u16::from(first) != self.continuation {
                return None;
            }
            *input = rest;
            self.chunk_left = self.track.missing().min(self.chunk_size);
        }
        if input.is_empty() { None } else { self.take(input) }
    }

    /// Takes payload of the current chunk.
    #[inline]
    fn take<'i>(&mut self, input: &mut &'i [u8]) -> Option<Pulled<'i>> {
        let (data, rest) = input.split_at_checked(input.len().min(self.chunk_left as usize))?;
        *input = rest;
        Some(Pulled { offset: self.advance(data.len()), data: Ok(data) })
    }

    /// Counts payload of the current chunk; answers where in the message it begins.
    #[inline]
    fn advance(&mut self, length: usize) -> u32 {
        self.chunk_left = self.chunk_left.wrapping_sub(length as u32);
        let (offset, is_last) = self.track.advance(length);
        if is_last {
            self.continuation = NO_CONTINUATION;
        }
        offset
    }

    /// Takes the header of a chunk, and the first payload behind it.
    #[inline(never)]
    fn begin<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Pulled<'i>>, ReadError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if self.chunk_left > 0 || !self.next_header(input)? {
            return Ok(None);
        }
        if self.has_pending() {
            let waiting = self.pending_end.wrapping_sub(self.pending_start);
            let length = u32::from(waiting).min(self.chunk_left) as u8;
            self.pending_start = self.pending_start.wrapping_add(length);
            return Ok(Some(Pulled { offset: self.advance(usize::from(length)), data: Err(length) }));
        }
        // A chunk without payload is a message without payload.
        Ok(if self.chunk_left > 0 && input.is_empty() { None } else { self.take(input) })
    }

    /// The fragment that [`Self::pull`] found last.
    #[inline]
    pub(crate) fn fragment<'d, 'i: 'd>(&'d self, pulled: Pulled<'i>) -> Fragment<'d> {
        let data = match pulled.data {
            Ok(data) => data,
            Err(length) => self.saved(length),
        };
        self.track.fragment(pulled.offset, data)
    }

    /// The payload bytes of the last fragment, where it lay in the reader.
    #[cold]
    fn saved(&self, length: u8) -> &[u8] {
        let end = usize::from(self.pending_start);
        self.pending.get(end.saturating_sub(usize::from(length))..end).unwrap_or(&[])
    }

    fn has_pending(&self) -> bool {
        self.pending_start != self.pending_end
    }

    #[cold]
    fn fail(&mut self, why: Failure, number: u32) -> ReadError {
        // So that every later call comes to look at the error.
        (self.chunk_left, self.continuation) = (0, NO_CONTINUATION);
        (self.failed, self.chunk_size) = (Some(why), number);
        why.error(number)
    }

    fn failure(&self) -> Option<ReadError> {
        self.failed.map(|why| why.error(self.chunk_size))
    }
}

impl Failure {
    fn error(self, number: u32) -> ReadError {
        match self {
            Failure::UnknownChunkStream => ReadError::UnknownChunkStream(ChunkStreamId(number)),
            Failure::ChunkSize => ReadError::ChunkSize(number),
            Failure::TooManyChunkStreams => ReadError::TooManyChunkStreams(number as usize),
        }
    }
}

#[cfg(test)]
mod tests;
