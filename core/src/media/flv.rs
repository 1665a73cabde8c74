//! FLV tags in a slice (Video File Format Specification 10.1, annexes E.2 to E.4).
//!
//! ```text
//!  file       file header (9) · 0 (4) · tag · back pointer (4) · tag · back pointer (4) · …
//!  aggregate                           tag · back pointer (4) · tag · back pointer (4) · …
//!  tag        kind (1) · length (3) · time (3) · its upper byte (1) · stream, 0 (3) · data
//! ```
//!
//! ```
//! use embedded_rtmp::media::flv::Tags;
//! use embedded_rtmp::message::{MessageKind, Timestamp};
//!
//! const CLIP: &[u8] = b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x02\0\0\x28\0\0\0\0\x17\x01\0\0\0\x0D";
//! for tag in Tags::file(CLIP)? {
//!     assert_eq!((tag.kind, tag.timestamp, tag.data), (MessageKind::VIDEO, Timestamp(40), &[0x17, 1][..]));
//! }
//! # Ok::<(), embedded_rtmp::media::flv::NotFlv>(())
//! ```

use core::fmt;

use crate::bytes::{Cursor, low_u8, low_u32};
use crate::fmt::impl_format;
use crate::message::{MessageKind, Timestamp};

/// The length in bytes of the back pointer after each tag: the length of the tag and its header. Readers here ignore its
/// value.
pub const BACK_POINTER: usize = 4;

/// The bit of a tag's first byte that marks encrypted data (annex E.4.1).
const FILTERED: u8 = 0x20;
/// The bits of that byte that are the kind.
const KIND: u8 = 0x1F;

/// The input does not begin with the header of an FLV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotFlv;

impl fmt::Display for NotFlv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an FLV file")
    }
}

impl core::error::Error for NotFlv {}

/// The header of a file (annex E.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FileHeader {
    /// Whether there are audio tags. Often wrong.
    pub audio: bool,
    /// Whether there are video tags. Often wrong.
    pub video: bool,
    /// The length of the header in bytes, at least 9. The first back pointer follows.
    pub length: u32,
}

impl FileHeader {
    /// The length of the header in bytes, without extensions of later versions.
    pub const SIZE: usize = 9;

    const VIDEO: u8 = 0x01;
    const AUDIO: u8 = 0x04;

    /// Parses the header at the front of a file.
    ///
    /// # Errors
    /// [`NotFlv`] if signature or version differ, the header is too short, or there are fewer than [`Self::SIZE`] bytes.
    pub fn parse(file: &[u8]) -> Result<Self, NotFlv> {
        let mut fields = Cursor(file);
        let (Some(signature), Some(flags), Some(length)) = (fields.u32(), fields.u8(), fields.u32()) else {
            return Err(NotFlv);
        };
        if signature != u32::from_be_bytes(*b"FLV\x01") || length < low_u32(Self::SIZE) {
            return Err(NotFlv);
        }
        Ok(Self { audio: flags & Self::AUDIO != 0, video: flags & Self::VIDEO != 0, length })
    }

    /// The header of a file and the first back pointer, which is 0. The length is always 9 bytes.
    pub const fn emit(&self) -> [u8; Self::SIZE + BACK_POINTER] {
        let audio = if self.audio { Self::AUDIO } else { 0 };
        let video = if self.video { Self::VIDEO } else { 0 };
        [b'F', b'L', b'V', 1, audio | video, 0, 0, 0, low_u8(Self::SIZE), 0, 0, 0, 0]
    }
}

/// The header of a tag (annex E.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TagHeader {
    /// Audio, video or data: the type of the RTMP message that carries it.
    pub kind: MessageKind,
    /// Whether the data is encrypted.
    pub filtered: bool,
    /// The length of the data in bytes: at most [`MAX_LENGTH`](crate::message::MAX_MESSAGE_LENGTH).
    pub length: u32,
    /// Milliseconds. The lower 24 bits come first, then the upper 8.
    pub timestamp: Timestamp,
}

impl TagHeader {
    /// The length of the header in bytes.
    pub const SIZE: usize = 11;

    /// Parses a header. Its last three bytes, a stream id that is always 0, are ignored.
    pub const fn parse(bytes: &[u8; Self::SIZE]) -> Self {
        let [kind, l0, l1, l2, t1, t2, t3, t0, ..] = *bytes;
        Self {
            kind: MessageKind(kind & KIND),
            filtered: kind & FILTERED != 0,
            length: u32::from_be_bytes([0, l0, l1, l2]),
            timestamp: Timestamp(u32::from_be_bytes([t0, t1, t2, t3])),
        }
    }

    /// Returns the bytes of the header. Only the lower 5 bits of the kind and the lower 24 bits of the length are written.
    pub const fn emit(&self) -> [u8; Self::SIZE] {
        let filtered = if self.filtered { FILTERED } else { 0 };
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.0.to_be_bytes();
        [self.kind.0 & KIND | filtered, l0, l1, l2, t1, t2, t3, t0, 0, 0, 0]
    }

    /// Returns the back pointer that follows the tag: the length of header and data.
    pub const fn back_pointer(&self) -> [u8; BACK_POINTER] {
        self.length.wrapping_add(low_u32(Self::SIZE)).to_be_bytes()
    }
}

/// A tag: one audio, video or data message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Audio, video or data. Unknown kinds survive.
    pub kind: MessageKind,
    /// The timestamp.
    pub timestamp: Timestamp,
    /// The payload of the message.
    pub data: &'a [u8],
}

impl_format!(['a] Tag<'a>, this => "Tag {{ kind: {}, timestamp: {}, {} bytes }}", this.kind, this.timestamp, this.data.len());

/// An iterator over the tags of a file, or of a complete aggregate message.
///
/// It ends at the first truncated tag; [`Self::rest`] shows that. Back pointers are skipped unread, and the last one may be
/// missing. Encrypted tags and tags that are aggregates themselves are skipped. Each step consumes at least the header of
/// a tag, so the iterator ends on every input.
#[derive(Debug, Clone)]
pub struct Tags<'a> {
    rest: &'a [u8],
    shift: Shift,
}

impl_format!(['a] Tags<'a>, this => "Tags {{ rest: {} bytes }}", this.rest.len());

impl<'a> Tags<'a> {
    /// The tags of a file, with unchanged timestamps.
    ///
    /// # Errors
    /// [`NotFlv`] if `file` does not begin with the header of an FLV file.
    pub fn file(file: &'a [u8]) -> Result<Self, NotFlv> {
        let header = FileHeader::parse(file)?;
        let mut rest = Cursor(file);
        rest.take(header.length as usize).ok_or(NotFlv)?;
        let rest = rest.0.get(BACK_POINTER..).unwrap_or_default();
        Ok(Self { rest, shift: Shift::NONE })
    }

    /// The tags in the body of an aggregate message with this timestamp (RTMP 1.0, section 7.1.6).
    ///
    /// Timestamps are shifted so that the first tag has the timestamp of the message. For an aggregate that is not complete
    /// yet use [`Splitter`](super::aggregate::Splitter).
    pub const fn aggregate(timestamp: Timestamp, body: &'a [u8]) -> Self {
        Self { rest: body, shift: Shift::first_is(timestamp) }
    }

    /// The bytes that were not iterated over. If they are not empty at the end, the last tag was truncated.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let mut input = Cursor(self.rest);
            let header = TagHeader::parse(&input.array()?);
            let data = input.take(header.length as usize)?;
            self.rest = input.0.get(BACK_POINTER..).unwrap_or_default();
            let timestamp = self.shift.apply(header.timestamp);
            if !header.filtered && header.kind != MessageKind::AGGREGATE {
                return Some(Tag { kind: header.kind, timestamp, data });
            }
        }
    }
}

impl core::iter::FusedIterator for Tags<'_> {}

/// The offset that is added to the timestamps of tags. The first tag may determine it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Shift {
    /// Milliseconds modulo 2³². The offset if it is decided, otherwise the timestamp that the first tag gets.
    millis: u32,
    decided: bool,
}

impl Shift {
    /// Timestamps do not change.
    const NONE: Shift = Shift { millis: 0, decided: true };

    /// The first tag gets `timestamp`, and the others keep their distance from it (item 109).
    pub(super) const fn first_is(timestamp: Timestamp) -> Shift {
        Shift { millis: timestamp.0, decided: false }
    }

    pub(super) fn apply(&mut self, timestamp: Timestamp) -> Timestamp {
        if !self.decided {
            *self = Shift { millis: self.millis.wrapping_sub(timestamp.0), decided: true };
        }
        timestamp.plus(self.millis)
    }
}

#[cfg(test)]
#[path = "flv_tests.rs"]
pub(super) mod tests;
