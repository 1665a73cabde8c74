//! The writing side of a chunk stream (RTMP 1.0, section 5.3).
//!
//! The writer makes chunk headers. The payload stays in the caller's memory and is copied to the output once. One message
//! for each chunk stream may be open. Open messages can take turns at chunk boundaries.
//!
//! ```text
//!   begin             header out, payload out          end of the message
//!  ───────► boundary ───────────────────────► in a chunk ────────────────► closed
//!                ▲        (any output space)      │
//!                └───────── end of the chunk ─────┘
//! ```

mod track;

use core::fmt;
use core::num::NonZeroU32;

use super::header::Format;
use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::bytes::{copy, copy_in_line, low_u8, low_u32};
use crate::fmt::impl_format;
use crate::message::{self, MessageHeader};
use track::{Stage, Track};

/// Why a message cannot be begun. The writer has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WriteError {
    /// The caller's fault: the previous message on this chunk stream is not finished.
    MessageOpen(ChunkStreamId),
    /// The caller's fault: a message cannot have this many bytes.
    TooLong(u32),
    /// Our table is too small: this many chunk streams, which is all that it has room for, have an open message.
    TooManyChunkStreams(usize),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageOpen(csid) => write!(f, "the message on chunk stream {csid} is not finished"),
            Self::TooLong(length) => write!(f, "a message of {length} bytes is too long: at most 16,777,215"),
            Self::TooManyChunkStreams(room) => write!(f, "more than {room} chunk streams have an open message"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Writes a chunk stream. It has memory for `STREAMS` chunk streams. More than 255 do not compile.
#[derive(Debug)]
pub struct Writer<const STREAMS: usize> {
    tracks: [Track; STREAMS],
    pub(crate) chunk_size: NonZeroU32,
    /// Payload bytes of the chunk that are not written yet.
    chunk_left: u32,
    /// The type of the chunk's header, and how many bytes of the header are not written yet.
    header: Format,
    header_left: u8,
    /// The index of the track whose chunk is being written.
    current: u8,
}

impl_format!([const STREAMS: usize] Writer<STREAMS>, this => "Writer {{ chunk_size: {} }}", this.chunk_size.get());

/// What [`Writer::poll`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[must_use = "the output must be sent, and what was taken must not be passed again"]
pub struct WriteProgress {
    /// How many bytes of the payload were taken. The next call gets the payload behind them.
    pub taken: usize,
    /// How many bytes of the output were filled: headers and payload.
    pub written: usize,
    /// Whether no message is open on the chunk stream any longer. All of the message is written then.
    pub done: bool,
}

impl WriteProgress {
    /// Nothing moved.
    pub(crate) const fn none(done: bool) -> Self {
        Self { taken: 0, written: 0, done }
    }
}

/// More than the length of any header: the whole header is to be written.
const WHOLE: u8 = u8::MAX;

const DEFAULT: NonZeroU32 = NonZeroU32::new(DEFAULT_CHUNK_SIZE).expect("is not 0");

impl<const STREAMS: usize> Default for Writer<STREAMS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const STREAMS: usize> Writer<STREAMS> {
    /// Creates a writer at the start of a chunk stream, which follows the handshake.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(STREAMS <= u8::MAX as usize, "a writer has room for at most 255 chunk streams") };
        Self {
            tracks: [Track::NONE; STREAMS],
            chunk_size: DEFAULT,
            current: 0,
            chunk_left: 0,
            header: Format::Full,
            header_left: 0,
        }
    }

    /// Becomes a new writer in place, without a second one on the stack.
    pub(crate) fn reset(&mut self) {
        self.tracks.iter_mut().for_each(Track::reset);
        self.chunk_size = DEFAULT;
        (self.current, self.chunk_left, self.header, self.header_left) = (0, 0, Format::Full, 0);
    }

    /// Returns the size of the chunks that will be begun, in bytes.
    #[must_use]
    pub const fn chunk_size(&self) -> u32 {
        self.chunk_size.get()
    }

    /// Sets the chunk size, in bytes. It applies from the next chunk on. Call this when the Set Chunk Size message that
    /// announces it has been written. The size is clamped to 1 to 0xFF_FFFF.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = NonZeroU32::new(size.min(MAX_CHUNK_SIZE)).unwrap_or(NonZeroU32::MIN);
    }

    /// Returns whether the output so far ends between two chunks, so that a chunk of any chunk stream may follow.
    #[must_use]
    pub const fn is_at_boundary(&self) -> bool {
        self.chunk_left == 0 && self.header_left == 0
    }

    /// Returns the chunk stream whose chunk is unfinished, and the missing payload bytes of the chunk; `None` at a boundary.
    #[must_use]
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        let track = self.tracks.get(usize::from(self.current)).filter(|_| !self.is_at_boundary())?;
        Some((track.csid, self.chunk_left))
    }

    /// Returns whether a message is open: begun and not finished.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.tracks.iter().any(Track::is_open)
    }

    /// Returns the missing payload bytes of the message on a chunk stream; `None` if no message is open there.
    #[must_use]
    pub fn left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.open(csid).map(|(_, track)| track.left)
    }

    /// Payload bytes of the current chunk that are not written yet.
    pub(crate) const fn chunk_left(&self) -> u32 {
        self.chunk_left
    }

    /// The number of bytes, headers included, that [`Self::poll`] can write of the message on a chunk stream if it gets
    /// `at_hand` bytes of payload.
    pub(crate) fn wire_len(&self, csid: ChunkStreamId, at_hand: u32) -> usize {
        let Some((index, track)) = self.open(csid) else { return 0 };
        if !self.is_at_boundary() && index != usize::from(self.current) {
            // A chunk of another message is unfinished.
            return 0;
        }
        let size = |format| {
            let (_, start, end) = track.header(format);
            usize::from(end.wrapping_sub(start))
        };
        let begins = matches!(track.stage, Stage::Begins(_));
        let (header, chunk_left) = match track.stage {
            Stage::Begins(first) => (size(first), track.left.min(self.chunk_size.get())),
            _ if index != usize::from(self.current) => (0, 0),
            _ => (usize::from(self.header_left), self.chunk_left),
        };
        let payload = track.left.min(at_hand);
        if begins && payload == 0 && track.left > 0 {
            // A header is only written together with payload.
            return 0;
        }
        let more = payload.saturating_sub(chunk_left).div_ceil(self.chunk_size.get()) as usize;
        header.saturating_add(payload as usize).saturating_add(more.saturating_mul(size(Format::Same)))
    }

    /// The track of the message that is open on a chunk stream.
    #[inline(never)]
    fn open(&self, csid: ChunkStreamId) -> Option<(usize, &Track)> {
        self.tracks.iter().enumerate().find(|(_, track)| track.csid == csid && track.is_open())
    }

    /// Begins a message, which [`Self::poll`] writes. If the table is full, a new chunk stream evicts one that has no open
    /// message.
    ///
    /// # Errors
    /// The previous message on the chunk stream is open, the message is too long, or every chunk stream of a full table has
    /// an open message.
    pub fn begin(&mut self, csid: ChunkStreamId, header: MessageHeader) -> Result<(), WriteError> {
        if header.length > message::MAX_MESSAGE_LENGTH {
            return Err(WriteError::TooLong(header.length));
        }
        // Its own track, or one that was never used, or one without an open message.
        let mut place: Option<&mut Track> = None;
        for track in &mut self.tracks {
            if track.csid == csid {
                place = Some(track);
                break;
            }
            if !track.is_open() && place.as_ref().is_none_or(|place| place.is_used()) {
                place = Some(track);
            }
        }
        let track = place.ok_or(WriteError::TooManyChunkStreams(STREAMS))?;
        if track.is_open() {
            return Err(WriteError::MessageOpen(csid));
        }
        track.begin(csid, header);
        Ok(())
    }

    /// Takes back the message that was begun on `csid`, if no byte of it has been written. Returns whether it did. The
    /// next message on that chunk stream has a full header.
    pub fn cancel(&mut self, csid: ChunkStreamId) -> bool {
        let begun = self.tracks.iter_mut().find(|track| track.csid == csid && matches!(track.stage, Stage::Begins(_)));
        begun.map(Track::reset).is_some()
    }

    /// Writes the message that is open on `csid` to `out`. `rest` is the payload that was not taken before, or the next
    /// part of it.
    ///
    /// It writes until the message, `rest` or `out` ends. It writes nothing while a chunk of another chunk stream is
    /// unfinished.
    pub fn poll(&mut self, csid: ChunkStreamId, mut rest: &[u8], mut out: &mut [u8]) -> WriteProgress {
        let Some((index, _)) = self.open(csid) else { return WriteProgress::none(true) };
        if !self.is_at_boundary() && index != usize::from(self.current) {
            return WriteProgress::none(false);
        }
        let Some(track) = self.tracks.get_mut(index) else { return WriteProgress::none(true) };
        self.current = low_u8(index);
        let lengths = (rest.len(), out.len());
        loop {
            // The rest of the header, then as much payload as there is room for.
            if self.header_left > 0 {
                let (header, start, end) = track.header(self.header);
                let left = self.header_left.min(end.wrapping_sub(start));
                let header = header.get(usize::from(end.wrapping_sub(left))..usize::from(end));
                let written = copy(header.unwrap_or(&[]), out);
                out = out.get_mut(written..).unwrap_or(&mut []);
                self.header_left = left.wrapping_sub(low_u8(written));
                if self.header_left > 0 {
                    break;
                }
            }
            if self.chunk_left > 0 {
                let length = rest.len().min(out.len()).min(self.chunk_left as usize);
                let Some((part, more)) = rest.split_at_checked(length) else { break };
                let Some((place, behind)) = core::mem::take(&mut out).split_at_mut_checked(length) else { break };
                copy_in_line(part, place);
                (rest, out) = (more, behind);
                self.chunk_left = self.chunk_left.wrapping_sub(low_u32(length));
                track.left = track.left.wrapping_sub(low_u32(length));
                if self.chunk_left > 0 {
                    break;
                }
            }
            if track.left == 0 && track.stage == Stage::Continues {
                track.stage = Stage::Closed;
                break;
            }
            let plain = track.plain_continuation();
            if let Some(byte) = plain {
                let whole = whole_chunks(byte, self.chunk_size, track.left, rest, out);
                track.left = track.left.wrapping_sub(low_u32(whole.taken));
                rest = rest.get(whole.taken..).unwrap_or(&[]);
                out = out.get_mut(whole.written..).unwrap_or(&mut []);
            }
            if out.is_empty() || (rest.is_empty() && track.left > 0) {
                break;
            }
            match plain {
                Some(byte) => {
                    let Some((first, behind)) = core::mem::take(&mut out).split_first_mut() else { break };
                    *first = byte;
                    out = behind;
                }
                None => {
                    self.header = if let Stage::Begins(format) = track.stage { format } else { Format::Same };
                    self.header_left = WHOLE;
                    track.stage = Stage::Continues;
                }
            }
            self.chunk_left = track.left.min(self.chunk_size.get());
        }
        let (taken, written) = (lengths.0.wrapping_sub(rest.len()), lengths.1.wrapping_sub(out.len()));
        WriteProgress { taken, written, done: !track.is_open() }
    }
}

struct Whole {
    taken: usize,
    written: usize,
}

/// Writes whole chunks that continue a message, as many as fit in `rest` and `out`, except the message's last one.
fn whole_chunks(byte: u8, chunk_size: NonZeroU32, left: u32, rest: &[u8], out: &mut [u8]) -> Whole {
    let size = chunk_size.get() as usize;
    let mut whole = Whole { taken: 0, written: 0 };
    let rest = rest.get(..(left.saturating_sub(1) as usize).min(rest.len())).unwrap_or(&[]);
    let Some(stride) = size.checked_add(1) else { return whole };
    for (chunk, payload) in out.chunks_exact_mut(stride).zip(rest.chunks_exact(size)) {
        if let Some((first, to)) = chunk.split_first_mut() {
            *first = byte;
            copy_in_line(payload, to);
        }
        whole.taken = whole.taken.wrapping_add(size);
        whole.written = whole.written.wrapping_add(stride);
    }
    whole
}

/// What was taken and what was written.
#[cfg(test)]
pub(crate) fn moved(progress: WriteProgress) -> (usize, usize) {
    (progress.taken, progress.written)
}

#[cfg(test)]
mod tests;
