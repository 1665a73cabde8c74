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

use core::fmt;

use heapless::Vec;

use super::header::{self, ChunkHeader, EXTENDED, MessageHeader};
use super::track::{Repeat, Track};
use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, Fragment, MAX_CHUNK_SIZE};
use crate::message::Timestamp;

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

/// Reads a chunk stream, with memory for `STREAMS` chunk streams.
///
/// A new chunk stream that finds no room takes the place of one that has no unfinished message and has not been used
/// lately.
#[derive(Debug)]
pub struct Reader<const STREAMS: usize> {
    tracks: Vec<Track, STREAMS>,
    /// The chunk size that the peer announced.
    chunk_size: u32,
    /// Payload bytes of the current chunk that are still to come.
    chunk_left: u32,
    /// The track of the current chunk.
    current: usize,
    /// The byte that continues the current message on the common path, or [`NO_CONTINUATION`].
    continuation: u16,
    /// A header that was cut, or bytes that turned out to be payload.
    pending: [u8; header::MAX_SIZE],
    /// Where in `pending` what is not used yet begins, and ends.
    pending_start: u8,
    pending_end: u8,
    /// How many bytes before `pending_start` the last fragment lends.
    kept: u8,
    /// The track that is looked at first when one must be recycled.
    hand: u8,
    type_three_delta: TypeThreeDelta,
    failed: Option<ReadError>,
}

/// What [`Reader::pull`] found: a fragment whose payload lies in the input, or else in [`Reader::kept`].
#[derive(Clone, Copy)]
pub(crate) struct Pulled<'i> {
    /// The fragment; without its payload where `kept`.
    pub(crate) fragment: Fragment<'i>,
    /// The payload is what [`Reader::kept`] lends.
    pub(crate) kept: bool,
}

/// What [`Reader::apply`] made of the bytes it was shown.
enum Applied {
    /// The header was so long; the payload follows.
    Header(usize),
    /// The header is at least so long.
    Needs(usize),
}

impl<const STREAMS: usize> Default for Reader<STREAMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const STREAMS: usize> Reader<STREAMS> {
    /// A reader at the beginning of a chunk stream, which is the end of the handshake.
    pub const fn new() -> Self {
        Self {
            tracks: Vec::new(),
            chunk_size: DEFAULT_CHUNK_SIZE,
            chunk_left: 0,
            current: 0,
            continuation: NO_CONTINUATION,
            pending: [0; header::MAX_SIZE],
            pending_start: 0,
            pending_end: 0,
            kept: 0,
            hand: 0,
            type_three_delta: TypeThreeDelta::Timestamp,
            failed: None,
        }
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
            return Err(self.fail(ReadError::ChunkSize(size)));
        }
        self.chunk_size = size.min(MAX_CHUNK_SIZE);
        Ok(())
    }

    /// Drops the unfinished message of a chunk stream, as the peer's Abort message says (section 5.4.2). The next chunk
    /// there begins a message. Does nothing where there is no unfinished message, or while a chunk of it is being read,
    /// in which no Abort message can come.
    pub fn abort(&mut self, csid: ChunkStreamId) {
        let Some(index) = self.tracks.iter().position(|track| track.csid == csid) else { return };
        if index == self.current {
            if self.chunk_left > 0 {
                return;
            }
            self.continuation = NO_CONTINUATION;
        }
        if let Some(track) = self.tracks.get_mut(index) {
            track.received = 0;
        }
    }

    /// Whether the input read so far ends between two messages: no header is cut, and no message is unfinished.
    pub fn is_at_boundary(&self) -> bool {
        self.chunk_left == 0 && self.pending_start == self.pending_end && !self.tracks.iter().any(Track::is_partial)
    }

    /// Takes bytes from the front of `input` until it has a piece of a message's payload; `None` once the input is empty.
    ///
    /// # Errors
    /// An error is final: every later call repeats it.
    pub fn next_fragment<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Result<Option<Fragment<'d>>, ReadError> {
        let Some(pulled) = self.pull(input)? else { return Ok(None) };
        Ok(Some(self.lend(pulled)))
    }

    /// As [`Self::next_fragment`], for callers that must go on using the reader: the result borrows the input alone.
    #[inline]
    pub(crate) fn pull<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Pulled<'i>>, ReadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.chunk_left == 0 && !self.next_chunk(input)? {
            return Ok(None);
        }
        let Some(track) = self.tracks.get_mut(self.current) else { return Ok(None) };
        let (mut data, mut length): (&[u8], usize) = (&[], 0);
        if self.chunk_left > 0 {
            let waiting = self.pending_end.saturating_sub(self.pending_start);
            if waiting > 0 {
                self.kept = waiting.min(self.chunk_left.min(u32::from(u8::MAX)) as u8);
                self.pending_start = self.pending_start.wrapping_add(self.kept);
                length = usize::from(self.kept);
            } else {
                length = input.len().min(self.chunk_left as usize);
                let Some((taken, rest)) = input.split_at_checked(length) else { return Ok(None) };
                if taken.is_empty() {
                    return Ok(None);
                }
                (data, *input) = (taken, rest);
            }
            self.chunk_left = self.chunk_left.wrapping_sub(length as u32);
        }
        let kept = data.len() != length;
        let offset = track.advance(length);
        if !track.is_partial() {
            self.continuation = NO_CONTINUATION;
        }
        let fragment = Fragment { csid: track.csid, header: track.header, offset, data };
        Ok(Some(Pulled { fragment, kept }))
    }

    /// The whole of what [`Self::pull`] found.
    pub(crate) fn lend<'d, 'i: 'd>(&'d self, pulled: Pulled<'i>) -> Fragment<'d> {
        let mut fragment: Fragment<'d> = pulled.fragment;
        if pulled.kept {
            fragment.data = self.kept();
        }
        fragment
    }

    /// The payload bytes of the last fragment, where it lay in the reader.
    pub(crate) fn kept(&self) -> &[u8] {
        let end = usize::from(self.pending_start);
        self.pending.get(end.saturating_sub(usize::from(self.kept))..end).unwrap_or(&[])
    }

    /// Takes the next chunk's header; answers whether it is complete.
    #[inline]
    fn next_chunk(&mut self, input: &mut &[u8]) -> Result<bool, ReadError> {
        if self.pending_start == self.pending_end {
            let Some((&first, rest)) = input.split_first() else { return Ok(false) };
            if u16::from(first) == self.continuation
                && let Some(track) = self.tracks.get(self.current)
            {
                self.chunk_left = track.missing().min(self.chunk_size);
                *input = rest;
                return Ok(true);
            }
            if let Some(window) = input.first_chunk()
                && let Applied::Header(length) = self.apply(window, header::MAX_SIZE)?
            {
                *input = input.get(length..).unwrap_or(&[]);
                return Ok(true);
            }
        }
        self.gather(input)
    }

    /// Takes a header that is cut: collects it in `pending`, no more than it needs.
    #[cold]
    fn gather(&mut self, input: &mut &[u8]) -> Result<bool, ReadError> {
        self.compact();
        loop {
            let window = self.pending;
            match self.apply(&window, usize::from(self.pending_end))? {
                Applied::Header(length) => {
                    self.pending_start = length as u8;
                    return Ok(true);
                }
                Applied::Needs(length) => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
                    let Some(place) = self.pending.get_mut(usize::from(self.pending_end)) else { return Ok(false) };
                    (*place, *input) = (byte, rest);
                    self.pending_end = self.pending_end.wrapping_add(1);
                    let more = length.saturating_sub(usize::from(self.pending_end));
                    let room = self.pending.get_mut(usize::from(self.pending_end)..).unwrap_or(&mut []);
                    let room = room.get_mut(..more).unwrap_or(&mut []);
                    let taken = crate::bytes::copy(input, room);
                    *input = input.get(taken..).unwrap_or(&[]);
                    self.pending_end = self.pending_end.wrapping_add(taken as u8);
                }
            }
        }
    }

    /// Moves what waits in `pending` to its front.
    fn compact(&mut self) {
        let waiting = self.pending;
        let (start, end) = (usize::from(self.pending_start), usize::from(self.pending_end));
        let moved = crate::bytes::copy(waiting.get(start..end).unwrap_or(&[]), &mut self.pending);
        (self.pending_start, self.pending_end) = (0, moved as u8);
    }

    /// Reads the header at the front of `window`, of which `have` bytes are there, and begins its chunk. Changes nothing
    /// unless the header is complete.
    fn apply(&mut self, window: &[u8; header::MAX_SIZE], have: usize) -> Result<Applied, ReadError> {
        let length = if have == 0 { 1 } else { header::size(window[0]) };
        let Some(after) = window.get(length..have) else { return Ok(Applied::Needs(length)) };
        if have == 0 {
            return Ok(Applied::Needs(length));
        }
        let after = after.get(..4).unwrap_or(after);
        let ChunkHeader { csid, message } = ChunkHeader::parse(window);
        let extended = after.first_chunk().copied().map(u32::from_be_bytes);
        let (time, mut total) = match (message.time_field(), extended) {
            (Some(EXTENDED), Some(extended)) => (extended, length + 4),
            (Some(EXTENDED), None) => return Ok(Applied::Needs(length + 4)),
            (field, _) => (field.unwrap_or(0), length),
        };
        let known = self.tracks.iter().position(|track| track.csid == csid);
        let index = match (known, message) {
            (Some(index), _) => index,
            (None, MessageHeader::Full { .. } | MessageHeader::SameStream { .. }) => self.add(csid)?,
            (None, _) => return Err(self.fail(ReadError::UnknownChunkStream(csid))),
        };
        let Some(track) = self.tracks.get_mut(index) else { return Ok(Applied::Needs(have + 1)) };
        match message {
            MessageHeader::Full { length, kind, stream, .. } => {
                track.header.length = length;
                track.header.kind = kind;
                track.header.stream = stream;
                track.delta = if self.type_three_delta == TypeThreeDelta::Timestamp { time } else { 0 };
                track.begin_at(Timestamp(time));
            }
            MessageHeader::SameStream { length, kind, .. } => {
                track.header.length = length;
                track.header.kind = kind;
                track.begin_after(time);
            }
            MessageHeader::SameLength { .. } => track.begin_after(time),
            MessageHeader::Same => match track.repeat(after) {
                Repeat::Absent => {}
                Repeat::Present => total = length + 4,
                Repeat::Undecided => return Ok(Applied::Needs(have + 1)),
            },
        }
        if let Some(field) = message.time_field() {
            track.extended = field == EXTENDED;
        }
        track.recent = true;
        self.chunk_left = track.missing().min(self.chunk_size);
        self.continuation = match csid.value() {
            id @ 2..64 if !track.extended => 0xC0 | id as u16,
            _ => NO_CONTINUATION,
        };
        self.current = index;
        Ok(Applied::Header(total))
    }

    /// Makes room for a chunk stream; answers where.
    fn add(&mut self, csid: ChunkStreamId) -> Result<usize, ReadError> {
        let track = Track::new(csid);
        let Err(track) = self.tracks.push(track) else { return Ok(self.tracks.len().saturating_sub(1)) };
        // A clock: the first round may find all of them recent, and makes them not so.
        for _ in 0..STREAMS.saturating_mul(2) {
            let index = usize::from(self.hand);
            self.hand = if index + 1 < STREAMS { self.hand.wrapping_add(1) } else { 0 };
            let Some(old) = self.tracks.get_mut(index) else { continue };
            // The last one used is the likeliest to be used again.
            let spared = index == self.current && STREAMS > 1;
            if !spared && !old.is_partial() && !core::mem::take(&mut old.recent) {
                *old = track;
                return Ok(index);
            }
        }
        Err(self.fail(ReadError::TooManyChunkStreams(STREAMS)))
    }

    fn fail(&mut self, error: ReadError) -> ReadError {
        self.failed = Some(error);
        error
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
