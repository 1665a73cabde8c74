//! A stream as FLV.

use crate::bytes::{copy, copy_in_line, low_u8, low_u32};
use crate::chunk::WriteProgress;
use crate::media::flv::{BACK_POINTER, FileHeader, TagHeader};
use crate::message::MessageHeader;
use crate::relay::{Begin, Overtaken, Ring, Sink};

/// The longest header: that of the file, with the first back pointer.
const MAX: usize = FileHeader::SIZE + BACK_POINTER;

/// Writes the messages of a stream as the tags of an FLV file. The payload goes from the ring to the output.
#[derive(Debug)]
pub(super) struct FlvTags {
    /// A header or a back pointer, and the part of it that was not written yet.
    bytes: [u8; MAX],
    start: u8,
    end: u8,
    /// The back pointer of the open message, and the number of bytes of its payload that are missing.
    open: Option<([u8; BACK_POINTER], u32)>,
}

impl FlvTags {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; MAX], start: 0, end: 0, open: None }
    }

    /// Begins the file.
    pub(super) fn begin_file(&mut self, audio: bool, video: bool) {
        let length = low_u32(FileHeader::SIZE);
        self.load(&FileHeader { audio, video, length }.emit());
    }

    fn load(&mut self, bytes: &[u8]) {
        (self.start, self.end) = (0, low_u8(copy(bytes, &mut self.bytes)));
    }

    fn flush(&mut self, out: &mut [u8]) -> usize {
        let rest = self.bytes.get(usize::from(self.start)..usize::from(self.end)).unwrap_or_default();
        let written = copy(rest, out);
        self.start = self.start.wrapping_add(low_u8(written));
        written
    }
}

impl Sink for FlvTags {
    type Error = Overtaken;

    fn poll_between(&mut self, _ring: &Ring<'_>, out: &mut [u8]) -> Result<usize, Overtaken> {
        Ok(self.flush(out))
    }

    fn is_idle(&self) -> bool {
        self.start == self.end && self.open.is_none()
    }

    fn begin(&mut self, _ring: &Ring<'_>, header: MessageHeader, _parts: [&[u8]; 2]) -> Result<Begin, Overtaken> {
        let MessageHeader { kind, length, timestamp, .. } = header;
        let tag = TagHeader { kind, filtered: false, length, timestamp };
        self.load(&tag.emit());
        self.open = Some((tag.back_pointer(), length));
        Ok(Begin::Open)
    }

    fn poll_media(&mut self, rest: &[u8], out: &mut [u8]) -> WriteProgress {
        let Some((back_pointer, left)) = self.open else { return WriteProgress::none(true) };
        let mut written = self.flush(out);
        if self.start < self.end {
            return WriteProgress { taken: 0, written, done: false };
        }
        let rest = rest.get(..left as usize).unwrap_or(rest);
        let taken = copy_in_line(rest, out.get_mut(written..).unwrap_or_default());
        written = written.wrapping_add(taken);
        let left = left.wrapping_sub(low_u32(taken));
        self.open = Some((back_pointer, left)).filter(|_| left > 0);
        if left == 0 {
            self.load(&back_pointer);
            written = written.wrapping_add(self.flush(out.get_mut(written..).unwrap_or_default()));
        }
        WriteProgress { taken, written, done: left == 0 }
    }

    fn media_left(&self) -> Option<u32> {
        self.open.map(|(_, left)| left)
    }
}
