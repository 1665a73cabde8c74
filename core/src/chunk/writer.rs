//! The writing side of a chunk stream (RTMP 1.0, section 5.3).
//!
//! The writer emits chunk headers; the payload stays the caller's and goes from there to the output in one copy. Several
//! messages may be open, one for each chunk stream, and take turns at chunk boundaries.
//!
//! ```text
//!   begin             header out, payload out          end of the message
//!  ───────► boundary ───────────────────────► in a chunk ────────────────► closed
//!                ▲        (any output space)      │
//!                └───────── end of the chunk ─────┘
//! ```

use core::fmt;
use core::num::NonZeroU32;

use heapless::Vec;

use super::header::{self, ChunkHeader, EXTENDED, MessageHeader};
use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::bytes::copy;
use crate::message::{self, Header, Kind, StreamId, Timestamp};

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

/// The last message header on one chunk stream, and how much of its message is out.
#[derive(Debug, Clone, Copy)]
struct Track {
    csid: ChunkStreamId,
    header: Header,
    /// The delta of the last type 1 or 2 header, which a type 3 header repeats; none after a type 0 header, since
    /// readers do not agree on what type 3 means there.
    delta: Option<u32>,
    /// How the message's first chunk begins; none once that is out.
    first: Option<MessageHeader>,
    /// Payload bytes not yet out.
    left: u32,
    open: bool,
    /// What `header` and `delta` say counts for the next message.
    remembered: bool,
}

impl Track {
    const fn new(csid: ChunkStreamId) -> Self {
        let header = Header { timestamp: Timestamp(0), length: 0, kind: Kind(0), stream: StreamId::CONNECTION };
        Self { csid, header, delta: None, first: None, left: 0, open: false, remembered: false }
    }

    fn begin(&mut self, csid: ChunkStreamId, header: Header, first: MessageHeader, delta: Option<u32>) {
        let (left, remembered) = (header.length, self.remembered);
        *self = Track { csid, header, delta, first: Some(first), left, open: true, remembered };
    }
}

/// Writes a chunk stream, with memory for `STREAMS` chunk streams.
#[derive(Debug)]
pub struct Writer<const STREAMS: usize> {
    tracks: Vec<Track, STREAMS>,
    chunk_size: NonZeroU32,
    /// The track of the chunk that is being written.
    current: usize,
    /// Payload bytes that the chunk lacks.
    chunk_left: u32,
    /// The header of the chunk, and which part of it is not out yet.
    chunk_header: [u8; header::MAX_SIZE],
    header_start: u8,
    header_end: u8,
}

const DEFAULT: NonZeroU32 = NonZeroU32::new(DEFAULT_CHUNK_SIZE).expect("is not 0");

impl<const STREAMS: usize> Default for Writer<STREAMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const STREAMS: usize> Writer<STREAMS> {
    /// A writer at the beginning of a chunk stream, which is the end of the handshake.
    pub const fn new() -> Self {
        Self {
            tracks: Vec::new(),
            chunk_size: DEFAULT,
            current: 0,
            chunk_left: 0,
            chunk_header: [0; header::MAX_SIZE],
            header_start: 0,
            header_end: 0,
        }
    }

    /// The size of the chunks that are begun from now on, in bytes.
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size.get()
    }

    /// Sets the chunk size, in bytes; it counts from the next chunk on. To be called when the Set Chunk Size message that
    /// announces it is out. Sizes are taken into 1 to 0xFF_FFFF.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = NonZeroU32::new(size.min(MAX_CHUNK_SIZE)).unwrap_or(NonZeroU32::MIN);
    }

    /// Whether the output so far ends between two chunks, where a chunk of any stream may follow.
    pub const fn is_at_boundary(&self) -> bool {
        self.chunk_left == 0 && self.header_start == self.header_end
    }

    /// The chunk stream whose chunk is unfinished, and the payload bytes that the chunk lacks; `None` at a boundary.
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        let track = self.tracks.get(self.current).filter(|_| !self.is_at_boundary())?;
        Some((track.csid, self.chunk_left))
    }

    /// Whether a message is begun and not finished.
    pub fn has_open(&self) -> bool {
        self.tracks.iter().any(|track| track.open)
    }

    /// Payload bytes that the message on a chunk stream lacks; `None` where no message is open.
    pub fn left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.tracks.iter().find(|track| track.open && track.csid == csid).map(|track| track.left)
    }

    /// Payload bytes that the chunk which is being written lacks.
    pub(crate) const fn chunk_left(&self) -> u32 {
        self.chunk_left
    }

    /// Bytes that the message on a chunk stream lacks, headers and all.
    pub(crate) fn wire_left(&self, csid: ChunkStreamId) -> usize {
        let Some(index) = self.tracks.iter().position(|track| track.open && track.csid == csid) else { return 0 };
        let Some(track) = self.tracks.get(index) else { return 0 };
        let size = |message| ChunkHeader { csid, message }.emit(extended(track)).1;
        let (header, chunk_left) = match track.first {
            Some(first) => (size(first), track.left.min(self.chunk_size.get())),
            None if index != self.current => (0, 0),
            None => (usize::from(self.header_end.saturating_sub(self.header_start)), self.chunk_left),
        };
        let more = track.left.saturating_sub(chunk_left).div_ceil(self.chunk_size.get()) as usize;
        header.saturating_add(track.left as usize).saturating_add(more.saturating_mul(size(MessageHeader::Same)))
    }

    /// Begins a message; [`Self::poll`] puts it out. A new chunk stream takes the place of one that has no open message
    /// where there is no other room.
    ///
    /// # Errors
    /// The message before it on the chunk stream is open, it is too long, or all of the table has open messages.
    pub fn begin(&mut self, csid: ChunkStreamId, header: Header) -> Result<(), WriteError> {
        let track = self.track(csid, &header)?;
        let (first, delta) = if track.remembered { shortest(track, &header) } else { (full(&header), None) };
        track.begin(csid, header, first, delta);
        track.remembered = true;
        Ok(())
    }

    /// Begins a message whose first header says all, whatever went before, and which is not remembered.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_full(&mut self, csid: ChunkStreamId, header: Header) -> Result<(), WriteError> {
        let track = self.track(csid, &header)?;
        track.begin(csid, header, full(&header), None);
        track.remembered = false;
        Ok(())
    }

    /// The track of a chunk stream: its own, a fresh one, or one that is not needed.
    fn track(&mut self, csid: ChunkStreamId, header: &Header) -> Result<&mut Track, WriteError> {
        if header.length > message::MAX_LENGTH {
            return Err(WriteError::TooLong(header.length));
        }
        let place = |wanted: &dyn Fn(&Track) -> bool| self.tracks.iter().position(wanted);
        let index = place(&|track| track.csid == csid).or_else(|| place(&|track| !track.open && !track.remembered));
        let index = match index {
            Some(index) => index,
            None if !self.tracks.is_full() => {
                let index = self.tracks.len();
                let _ = self.tracks.push(Track::new(csid));
                index
            }
            None => place(&|track| !track.open).ok_or(WriteError::TooManyChunkStreams(STREAMS))?,
        };
        let Some(track) = self.tracks.get_mut(index) else { return Err(WriteError::TooManyChunkStreams(STREAMS)) };
        if track.csid != csid {
            *track = Track::new(csid);
        }
        if track.open { Err(WriteError::MessageOpen(csid)) } else { Ok(track) }
    }

    /// Puts out the message that is open on `csid`, of whose payload `rest` is what is not yet taken, or the next part of
    /// that. Answers how much of `rest` it took and how much of `out` it filled.
    ///
    /// It writes until the message, `rest` or `out` ends; nothing while another chunk stream's chunk is unfinished.
    pub fn poll(&mut self, csid: ChunkStreamId, mut rest: &[u8], mut out: &mut [u8]) -> (usize, usize) {
        let Some(index) = self.tracks.iter().position(|track| track.open && track.csid == csid) else { return (0, 0) };
        if !self.is_at_boundary() && index != self.current {
            return (0, 0);
        }
        let Some(track) = self.tracks.get_mut(index) else { return (0, 0) };
        self.current = index;
        let lengths = (rest.len(), out.len());
        loop {
            // The header that is begun, then payload as far as it goes.
            let header = self.chunk_header.get(usize::from(self.header_start)..usize::from(self.header_end));
            let written = copy(header.unwrap_or(&[]), out);
            out = out.get_mut(written..).unwrap_or(&mut []);
            self.header_start = self.header_start.wrapping_add(written as u8);
            if self.header_start != self.header_end {
                break;
            }
            let room = out.len().min(self.chunk_left as usize);
            let taken = copy(rest, out.get_mut(..room).unwrap_or(&mut []));
            rest = rest.get(taken..).unwrap_or(&[]);
            out = out.get_mut(taken..).unwrap_or(&mut []);
            self.chunk_left = self.chunk_left.wrapping_sub(taken as u32);
            track.left = track.left.wrapping_sub(taken as u32);
            if self.chunk_left > 0 {
                break;
            }
            if track.left == 0 && track.first.is_none() {
                track.open = false;
                break;
            }
            if out.is_empty() || (rest.is_empty() && track.left > 0) {
                break;
            }
            if track.first.is_none()
                && let Some(byte) = plain_continuation(track)
            {
                let whole = whole_chunks(byte, self.chunk_size, track.left, rest, out);
                track.left = track.left.wrapping_sub(whole.taken as u32);
                rest = rest.get(whole.taken..).unwrap_or(&[]);
                out = out.get_mut(whole.written..).unwrap_or(&mut []);
                if out.is_empty() || rest.is_empty() {
                    break;
                }
            }
            let message = track.first.take().unwrap_or(MessageHeader::Same);
            let (bytes, length) = ChunkHeader { csid, message }.emit(extended(track));
            (self.chunk_header, self.header_start, self.header_end) = (bytes, 0, length as u8);
            self.chunk_left = track.left.min(self.chunk_size.get());
        }
        (lengths.0.saturating_sub(rest.len()), lengths.1.saturating_sub(out.len()))
    }
}

/// The type 0 header of a message.
fn full(header: &Header) -> MessageHeader {
    let timestamp = header.timestamp.0.min(EXTENDED);
    MessageHeader::Full { timestamp, length: header.length, kind: header.kind, stream: header.stream }
}

/// The shortest header that says `header` after what `track` had, and the delta that it leaves behind.
///
/// A delta that would need the extended form is not used: readers do not agree on what its repetition holds.
fn shortest(track: &Track, header: &Header) -> (MessageHeader, Option<u32>) {
    let (last, delta) = (&track.header, header.timestamp.since(track.header.timestamp));
    if header.stream != last.stream || delta < 0 || delta as u32 >= EXTENDED {
        return (full(header), None);
    }
    let delta = delta as u32;
    let message = if (header.length, header.kind) != (last.length, last.kind) {
        MessageHeader::SameStream { delta, length: header.length, kind: header.kind }
    } else if track.delta != Some(delta) {
        MessageHeader::SameLength { delta }
    } else {
        MessageHeader::Same
    };
    (message, Some(delta))
}

/// The extended timestamp that stands in every chunk header of the track's message.
fn extended(track: &Track) -> Option<u32> {
    // Only type 0 headers, which leave no delta behind, are ever extended.
    (track.delta.is_none() && track.header.timestamp.0 >= EXTENDED).then_some(track.header.timestamp.0)
}

/// The header of a chunk that continues the track's message, where it is one byte.
fn plain_continuation(track: &Track) -> Option<u8> {
    let id = track.csid.value();
    (id < 64 && extended(track).is_none()).then_some(0xC0 | id as u8)
}

struct Whole {
    taken: usize,
    written: usize,
}

/// Writes whole chunks that continue a message, as many as `rest` and `out` have room for; none is the message's last.
fn whole_chunks(byte: u8, chunk_size: NonZeroU32, left: u32, rest: &[u8], out: &mut [u8]) -> Whole {
    let size = chunk_size.get() as usize;
    let mut whole = Whole { taken: 0, written: 0 };
    let rest = rest.get(..(left.saturating_sub(1) as usize).min(rest.len())).unwrap_or(&[]);
    let Some(stride) = size.checked_add(1) else { return whole };
    for (chunk, payload) in out.chunks_exact_mut(stride).zip(rest.chunks_exact(size)) {
        if let Some((first, to)) = chunk.split_first_mut() {
            *first = byte;
            copy(payload, to);
        }
        whole.taken = whole.taken.wrapping_add(size);
        whole.written = whole.written.wrapping_add(stride);
    }
    whole
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
