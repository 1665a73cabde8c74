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

mod error;
mod track;

pub use error::WriteError;

use core::num::NonZeroU32;

use super::header::Format;
use super::{ChunkStreamId, DEFAULT_CHUNK_SIZE, MAX_CHUNK_SIZE};
use crate::bytes::{copy, copy_in_line};
use crate::fmt::impl_format;
use crate::message::{self, MessageHeader};
use track::{Stage, Track};

/// Writes a chunk stream, with memory for `STREAMS` chunk streams, at most 255.
#[derive(Debug)]
pub struct Writer<const STREAMS: usize> {
    tracks: [Track; STREAMS],
    pub(crate) chunk_size: NonZeroU32,
    /// Payload bytes that the chunk lacks.
    chunk_left: u32,
    /// The type of the chunk's header, and how many bytes of that are not out yet.
    header: Format,
    header_left: u8,
    /// The track of the chunk that is being written.
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

/// No header is so long: all of it is to be put out.
const WHOLE: u8 = u8::MAX;

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
        self.chunk_left == 0 && self.header_left == 0
    }

    /// The chunk stream whose chunk is unfinished, and the payload bytes that the chunk lacks; `None` at a boundary.
    pub fn open_chunk(&self) -> Option<(ChunkStreamId, u32)> {
        let track = self.tracks.get(usize::from(self.current)).filter(|_| !self.is_at_boundary())?;
        Some((track.csid, self.chunk_left))
    }

    /// Whether a message is begun and not finished.
    pub fn has_open(&self) -> bool {
        self.tracks.iter().any(Track::is_open)
    }

    /// Payload bytes that the message on a chunk stream lacks; `None` where no message is open.
    pub fn left(&self, csid: ChunkStreamId) -> Option<u32> {
        self.open(csid).map(|(_, track)| track.left)
    }

    /// Payload bytes that the chunk which is being written lacks.
    pub(crate) const fn chunk_left(&self) -> u32 {
        self.chunk_left
    }

    /// Bytes that [`Self::poll`] can put out of the message on a chunk stream, where it is passed `at_hand` bytes of
    /// payload: headers and all.
    pub(crate) fn wire_len(&self, csid: ChunkStreamId, at_hand: u32) -> usize {
        let Some((index, track)) = self.open(csid) else { return 0 };
        if !self.is_at_boundary() && index != usize::from(self.current) {
            // Another message's chunk is to be finished first.
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
            // No header without payload behind it.
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

    /// Begins a message; [`Self::poll`] puts it out. A new chunk stream takes the place of one that has no open message
    /// where there is no other room.
    ///
    /// # Errors
    /// The message before it on the chunk stream is open, it is too long, or all of the table has open messages.
    pub fn begin(&mut self, csid: ChunkStreamId, header: MessageHeader) -> Result<(), WriteError> {
        if header.length > message::MAX_MESSAGE_LENGTH {
            return Err(WriteError::TooLong(header.length));
        }
        // Its own track; else one that was never used, or that can be done without.
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
        self.current = index as u8;
        let lengths = (rest.len(), out.len());
        loop {
            // The header that is begun, then payload as far as it goes.
            if self.header_left > 0 {
                let (header, start, end) = track.header(self.header);
                let left = self.header_left.min(end.wrapping_sub(start));
                let header = header.get(usize::from(end.wrapping_sub(left))..usize::from(end));
                let written = copy(header.unwrap_or(&[]), out);
                out = out.get_mut(written..).unwrap_or(&mut []);
                self.header_left = left.wrapping_sub(written as u8);
                if self.header_left > 0 {
                    break;
                }
            }
            let room = out.len().min(self.chunk_left as usize);
            let taken = copy_in_line(rest, out.get_mut(..room).unwrap_or(&mut []));
            rest = rest.get(taken..).unwrap_or(&[]);
            out = out.get_mut(taken..).unwrap_or(&mut []);
            self.chunk_left = self.chunk_left.wrapping_sub(taken as u32);
            track.left = track.left.wrapping_sub(taken as u32);
            if self.chunk_left > 0 {
                break;
            }
            if track.left == 0 && track.stage == Stage::Continues {
                track.stage = Stage::Closed;
                break;
            }
            let plain = track.plain_continuation();
            if let Some(byte) = plain {
                let whole = whole_chunks(byte, self.chunk_size, track.left, rest, out);
                track.left = track.left.wrapping_sub(whole.taken as u32);
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

/// Writes whole chunks that continue a message, as many as `rest` and `out` have room for; none is the message's last.
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
