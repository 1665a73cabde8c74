//! How the reader takes chunk headers, whole or in pieces, and goes over from one chunk stream to another.

use super::track::{Repeat, Track};
use super::{Failure, NO_CONTINUATION, ReadError, Reader, TypeThreeDelta};
use crate::chunk::ChunkStreamId;
use crate::chunk::header::{self, EXTENDED, Format};
use crate::message::Timestamp;

impl<const STREAMS: usize> Reader<STREAMS> {
    /// Takes a header; answers whether it is complete.
    pub(super) fn next_header(&mut self, input: &mut &[u8]) -> Result<bool, ReadError> {
        if let (false, Some(window)) = (self.has_pending(), input.first_chunk()) {
            let length = self.apply(window, header::MAX_SIZE)?;
            if length > 0 {
                *input = input.get(length..).unwrap_or(&[]);
                return Ok(true);
            }
        }
        // The header is cut: it is collected in `pending`, no more than it needs.
        self.compact();
        loop {
            let window = self.pending;
            let length = self.apply(&window, usize::from(self.pending_end))?;
            if length != usize::from(self.pending_end) {
                self.continuation = NO_CONTINUATION;
            }
            if length > 0 {
                self.pending_start = length as u8;
                return Ok(true);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
            let Some(place) = self.pending.get_mut(usize::from(self.pending_end)) else { return Ok(false) };
            (*place, *input) = (byte, rest);
            self.pending_end = self.pending_end.wrapping_add(1);
        }
    }

    /// Moves what waits in `pending` to its front.
    fn compact(&mut self) {
        let waiting = self.pending;
        let (start, end) = (usize::from(self.pending_start), usize::from(self.pending_end));
        let moved = crate::bytes::copy(waiting.get(start..end).unwrap_or(&[]), &mut self.pending);
        (self.pending_start, self.pending_end) = (0, moved as u8);
    }

    /// Reads the header at the front of `window`, of which `have` bytes are there, and begins its chunk; answers how long
    /// it is. Where it is not complete, that is 0 and nothing has changed.
    fn apply(&mut self, window: &[u8; header::MAX_SIZE], have: usize) -> Result<usize, ReadError> {
        let length = header::size(window[0]);
        let Some(after) = window.get(length..have) else { return Ok(0) };
        let after = after.get(..4).unwrap_or(after);
        let (csid, fields) = header::parse(window);
        let extended = fields.format != Format::Same && fields.time == EXTENDED;
        let (time, mut total) = match (extended, after.first_chunk()) {
            (false, _) => (fields.time, length),
            (true, Some(value)) => (u32::from_be_bytes(*value), length + 4),
            (true, None) => return Ok(0),
        };
        if self.track.csid() != csid {
            self.switch(csid, matches!(fields.format, Format::Full | Format::SameStream))?;
        }
        let track = &mut self.track;
        if fields.format == Format::Same {
            match track.repeat(after) {
                Repeat::Absent => {}
                Repeat::Present => total = length + 4,
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
        self.continuation = match csid.value() {
            id @ 2..64 if !track.is_extended() => 0xC0 | id as u16,
            _ => NO_CONTINUATION,
        };
        Ok(total)
    }

    /// Goes over to another chunk stream: one that is known, or one that may begin.
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

    /// Makes room for another chunk stream in place of the current one.
    fn evict(&mut self) -> Result<(), ReadError> {
        for _ in 0..2 {
            if let Some(old) = self.others.iter_mut().find(|track| track.is_idle()) {
                old.swap(&mut self.track);
                return Ok(());
            }
            // All have been in use since the last time: from now on that is long ago.
            self.others.iter_mut().for_each(Track::age);
        }
        if self.track.is_partial() {
            return Err(self.fail(Failure::TooManyChunkStreams, (STREAMS as u32).saturating_add(1)));
        }
        Ok(())
    }
}
