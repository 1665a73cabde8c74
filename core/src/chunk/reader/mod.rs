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
//! The input may stop at any byte. A header that is cut waits in 18 bytes of the reader. The reader does not store
//! payload, with one exception: the four bytes after a type 3 header, which may be a repeated extended timestamp. If they
//! arrive in pieces and turn out to be payload, the reader lends them from its own memory.

mod track;

use core::fmt;

use super::header::{self, EXTENDED, Format};
use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE};
use crate::bytes::{low_u8, low_u32, move_down};
use crate::fmt::impl_format;
use crate::message::{StreamId, Timestamp};
use track::{Repeat, Track};

/// Why a chunk stream cannot be read any further. Every error is final: the start of the next chunk is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// The peer's fault: a header of type 2 or 3 on a chunk stream without a previous message. (If the peer uses more
    /// chunk streams than the reader has room for, the previous message may have been evicted.)
    UnknownChunkStream(ChunkStreamId),
    /// The peer's fault: a Set Chunk Size of 0 or of more than 31 bits.
    ChunkSize(u32),
    /// Our table is too small: this many chunk streams, which is all that it has room for, have an unfinished message.
    TooManyChunkStreams(usize),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownChunkStream(csid) => {
                write!(f, "chunk header of type 2 or 3 on chunk stream {csid}, which has no previous message")
            }
            Self::ChunkSize(size) => {
                write!(f, "the peer announced a chunk size of {size:#x}; it must be 1 to 0x7fffffff")
            }
            Self::TooManyChunkStreams(room) => write!(f, "more than {room} chunk streams have an unfinished message"),
        }
    }
}

impl core::error::Error for ReadError {}

/// What a type 3 header adds to the timestamp if it begins a message directly after a type 0 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TypeThreeDelta {
    /// The timestamp of the type 0 header (section 5.3.1.2.4). librtmp, FFmpeg and SRS send this.
    #[default]
    Timestamp,
    /// Nothing. nginx-rtmp and some Go libraries send this.
    Zero,
}

/// Not a byte: the next header is read in the general way.
const NO_CONTINUATION: u16 = 0x100;

/// Reads a chunk stream. It has memory for `STREAMS` chunk streams besides the current one. More than 255 do not
/// compile.
///
/// If the table is full, a new chunk stream evicts one without an unfinished message that was not used recently.
// In this order, the zeros of a new reader begin at a word. Setting them needs one routine less in an image.
#[derive(Debug)]
#[repr(C)]
pub struct Reader<const STREAMS: usize> {
    /// The chunk size that the peer announced; after a failure, the number of the error.
    chunk_size: u32,
    /// Missing payload bytes of the current chunk.
    chunk_left: u32,
    /// The chunk stream of the current chunk.
    track: Track,
    others: [Track; STREAMS],
    /// A header that was cut, and bytes that turned out to be payload.
    pending: [u8; header::MAX_SIZE],
    /// The header that continues the current message, if it has one byte; otherwise [`NO_CONTINUATION`]. Never a byte while
    /// bytes wait in `pending`.
    continuation: u16,
    /// Start and end of the bytes in `pending` that wait.
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

/// A piece of the current message's payload, from [`Reader::pull`]. [`Reader::fragment`] adds the header.
#[derive(Clone, Copy)]
pub(crate) struct Pulled<'i> {
    offset: u32,
    /// The payload, or, if it is in the reader, its length: it ends at `pending_start`.
    pub(crate) data: Result<&'i [u8], u8>,
}

impl<const STREAMS: usize> Default for Reader<STREAMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const STREAMS: usize> Reader<STREAMS> {
    /// Creates a reader at the start of a chunk stream, which follows the handshake.
    #[must_use]
    pub const fn new() -> Self {
        Self::with(TypeThreeDelta::Timestamp)
    }

    /// As [`Self::new`], with the meaning of a type 3 header after a type 0 header.
    pub(crate) const fn with(type_three_delta: TypeThreeDelta) -> Self {
        const { assert!(STREAMS <= u8::MAX as usize, "a reader has room for at most 255 more chunk streams") };
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

    /// Sets the meaning of a type 3 header after a type 0 header.
    pub fn set_type_three_delta(&mut self, delta: TypeThreeDelta) {
        self.type_three_delta = delta;
    }

    /// Sets the chunk size that the peer announced, in bytes. It applies from the next chunk on. Sizes above 0xFF_FFFF
    /// have the same meaning as 0xFF_FFFF (section 5.4.1).
    ///
    /// # Errors
    /// The size is zero, or has more than 31 bits.
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ReadError> {
        if size == 0 || size > i32::MAX as u32 {
            return Err(self.fail(Failure::ChunkSize, size));
        }
        if self.failed.is_none() {
            self.chunk_size = size.min(MAX_CHUNK_SIZE);
        }
        Ok(())
    }

    /// Drops the unfinished message of a chunk stream, when the peer has sent an Abort message (section 5.4.2). The next
    /// chunk there begins a message. Does nothing if there is no unfinished message, or in the middle of a chunk of it,
    /// in which no Abort message can arrive.
    pub fn abort(&mut self, csid: ChunkStreamId) {
        if self.track.csid() != csid {
            self.others.iter_mut().filter(|track| track.csid() == csid).for_each(|track| track.received = 0);
        } else if self.chunk_left == 0 {
            self.track.received = 0;
            self.continuation = NO_CONTINUATION;
        }
    }

    /// Marks the unfinished messages of the message streams for which `lost` returns true.
    pub(crate) fn discard(&mut self, lost: impl Fn(StreamId) -> bool) {
        let tracks = self.others.iter_mut().chain([&mut self.track]);
        tracks.filter(|track| track.is_partial() && lost(track.stream)).for_each(Track::discard);
    }

    /// The length of the message of the last fragment.
    pub(crate) fn message_length(&self) -> u32 {
        self.track.length_and_kind.length()
    }

    /// Whether the current message was marked.
    pub(crate) fn is_discarded(&self) -> bool {
        self.track.is_discarded()
    }

    /// Returns whether a message is incomplete on a chunk stream other than the current one.
    pub(crate) fn has_waiting(&self) -> bool {
        self.others.iter().any(Track::is_partial)
    }

    /// Adds 1 to the count of each incomplete message on another chunk stream. A chunk of a message sets its count to
    /// 0. Returns the highest count.
    #[inline(never)]
    pub(crate) fn count_waiting(&mut self) -> u32 {
        self.others.iter_mut().filter(|track| track.is_partial()).map(Track::wait).max().unwrap_or_default()
    }

    /// Returns whether the input so far ends between two messages: no header is cut, and no message is unfinished.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.chunk_left == 0 && !self.has_pending() && !self.track.is_partial() && !self.has_waiting()
    }

    /// Takes bytes from the front of `input` until it has a piece of a message's payload. Returns `None` when the input is
    /// empty.
    ///
    /// # Errors
    /// The peer broke the protocol, or the table is too small. An error is final: every later call returns it again.
    #[inline]
    pub fn next_fragment<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Result<Option<Fragment<'d>>, ReadError> {
        let Some(pulled) = self.pull(input)? else { return Ok(None) };
        Ok(Some(self.fragment(pulled)))
    }

    /// As [`Self::next_fragment`], for callers that need the reader again: the result borrows only the input.
    #[inline]
    pub(crate) fn pull<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Pulled<'i>>, ReadError> {
        match self.resume(input) {
            Some(pulled) => Ok(Some(pulled)),
            None => self.begin(input),
        }
    }

    /// Continues the current message in the common case: with more of its chunk, or with a chunk that has a header of one
    /// byte. Returns `None` in any other case, and if the input is empty.
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

    /// Takes payload bytes of the current chunk.
    #[inline]
    fn take<'i>(&mut self, input: &mut &'i [u8]) -> Option<Pulled<'i>> {
        let (data, rest) = input.split_at_checked(input.len().min(self.chunk_left as usize))?;
        *input = rest;
        Some(Pulled { offset: self.advance(data.len()), data: Ok(data) })
    }

    /// Counts payload bytes of the current chunk. Returns their offset in the message.
    #[inline]
    fn advance(&mut self, length: usize) -> u32 {
        self.chunk_left = self.chunk_left.wrapping_sub(low_u32(length));
        let (offset, is_last) = self.track.advance(length);
        if is_last {
            self.continuation = NO_CONTINUATION;
        }
        offset
    }

    /// Undoes the last [`Self::pull`]: the next one expects the same payload in the input again.
    pub(crate) fn put_back(&mut self, pulled: Pulled<'_>) {
        self.chunk_left = self.chunk_left.wrapping_add(low_u32(pulled.data.map_or(0, <[u8]>::len)));
        self.track.received = pulled.offset;
    }

    /// Takes the header of a chunk, and the first payload bytes after it.
    #[inline(never)]
    fn begin<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Pulled<'i>>, ReadError> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if self.chunk_left > 0 || !self.next_header(input)? {
            return Ok(None);
        }
        if self.has_pending() {
            let waiting = usize::from(self.pending_end.wrapping_sub(self.pending_start));
            let length = waiting.min(self.chunk_left as usize);
            self.pending_start = self.pending_start.wrapping_add(low_u8(length));
            return Ok(Some(Pulled { offset: self.advance(length), data: Err(low_u8(length)) }));
        }
        // A chunk without payload is an empty message.
        Ok(if self.chunk_left > 0 && input.is_empty() { None } else { self.take(input) })
    }

    /// Takes bytes of a header. Returns whether the header is complete.
    fn next_header(&mut self, input: &mut &[u8]) -> Result<bool, ReadError> {
        if let (false, Some(window)) = (self.has_pending(), input.first_chunk()) {
            let length = self.apply(window, header::MAX_SIZE)?;
            if length > 0 {
                *input = input.get(length..).unwrap_or(&[]);
                return Ok(true);
            }
        }
        // The header is cut. Collect it in `pending`, and no byte more than it needs.
        self.compact();
        loop {
            let window = self.pending;
            let length = self.apply(&window, usize::from(self.pending_end))?;
            if length != usize::from(self.pending_end) {
                self.continuation = NO_CONTINUATION;
            }
            if length > 0 {
                self.pending_start = low_u8(length);
                return Ok(true);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
            let Some(place) = self.pending.get_mut(usize::from(self.pending_end)) else { return Ok(false) };
            (*place, *input) = (byte, rest);
            self.pending_end = self.pending_end.wrapping_add(1);
        }
    }

    /// Moves the waiting bytes to the start of `pending`.
    fn compact(&mut self) {
        move_down(&mut self.pending, self.pending_start.into());
        (self.pending_start, self.pending_end) = (0, self.pending_end.wrapping_sub(self.pending_start));
    }

    /// Reads the header at the front of `window`, of which `have` bytes have arrived, and begins its chunk. Returns the
    /// length of the header. If the header is not complete, returns 0 and changes nothing.
    fn apply(&mut self, window: &[u8; header::MAX_SIZE], have: usize) -> Result<usize, ReadError> {
        let length = header::size(window[0]);
        let Some(after) = window.get(length..have) else { return Ok(0) };
        let after = after.get(..4).unwrap_or(after);
        let (csid, fields) = header::parse(window);
        let extended = fields.format != Format::Same && fields.time == EXTENDED;
        let (time, mut total) = match (extended, after.first_chunk()) {
            (false, _) => (fields.time, length),
            (true, Some(value)) => (u32::from_be_bytes(*value), length.wrapping_add(4)),
            (true, None) => return Ok(0),
        };
        if self.track.csid() != csid {
            self.switch(csid, matches!(fields.format, Format::Full | Format::SameStream))?;
        }
        let track = &mut self.track;
        if fields.format == Format::Same {
            match track.repeat(after) {
                Repeat::Absent => {}
                Repeat::Present => total = length.wrapping_add(4),
                Repeat::Undecided => return Ok(0),
            }
        } else {
            if matches!(fields.format, Format::Full | Format::SameStream) {
                track.length_and_kind = fields.length_and_kind;
            }
            if fields.format == Format::Full {
                track.stream = fields.stream;
                track.delta = if self.type_three_delta == TypeThreeDelta::Timestamp { time } else { 0 };
                track.begin_at(Timestamp(time));
            } else {
                track.begin_after(time);
            }
            track.set_extended(extended);
        }
        track.touch();
        self.chunk_left = track.missing().min(self.chunk_size);
        self.continuation = match header::continuation(csid) {
            Some(byte) if !track.is_extended() => u16::from(byte),
            _ => NO_CONTINUATION,
        };
        Ok(total)
    }

    /// Makes another chunk stream the current one: a known one, or a new one if its header `may_begin` one.
    fn switch(&mut self, csid: ChunkStreamId, may_begin: bool) -> Result<(), ReadError> {
        if let Some(other) = self.others.iter_mut().find(|track| track.csid() == csid) {
            self.track.swap(other);
            return Ok(());
        }
        if !may_begin {
            return Err(self.fail(Failure::UnknownChunkStream, csid.value()));
        }
        self.evict()?;
        self.track = Track::new(csid);
        Ok(())
    }

    /// Stores the current chunk stream instead of one that is not needed, so that another one can become the current one.
    fn evict(&mut self) -> Result<(), ReadError> {
        for _ in 0..2 {
            if let Some(old) = self.others.iter_mut().find(|track| track.is_idle()) {
                old.swap(&mut self.track);
                return Ok(());
            }
            // Every track was used since the last eviction. Clear the marks and evict the next one.
            self.others.iter_mut().for_each(Track::age);
        }
        if self.track.is_partial() {
            return Err(self.fail(Failure::TooManyChunkStreams, low_u32(STREAMS).saturating_add(1)));
        }
        Ok(())
    }

    /// Returns the fragment of what [`Self::pull`] returned last.
    #[inline]
    pub(crate) fn fragment<'d, 'i: 'd>(&'d self, pulled: Pulled<'i>) -> Fragment<'d> {
        let data = match pulled.data {
            Ok(data) => data,
            Err(length) => self.saved(length),
        };
        self.track.fragment(pulled.offset, data)
    }

    /// The payload bytes of the last fragment, if they were in the reader.
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
        // So that every later call checks for the error.
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
