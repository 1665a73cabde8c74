//! Aggregate messages, split as they arrive (RTMP 1.0, section 7.1.6).
//!
//! The body of an aggregate (message type 22) is a list of FLV tags, each of which is an audio, video or data message. The
//! body arrives as [`Fragment`]s that may end anywhere, even inside a tag's header. [`Splitter`] turns them into the
//! fragments of the messages inside, which borrow the same bytes:
//!
//! ```text
//!  fragments of the aggregate   ├──────────────────┤├──────┤├─────────────────────────┤
//!  its body                     hdr│ video ········│ptr│hdr│ audio ···│ptr│hdr│ video …
//!  fragments that come out         ├───────────────┤       ├──┤├──────┤       ├───────┤
//! ```
//!
//! The specification shows message headers inside the aggregate. Real senders send FLV tags: the upper byte of the
//! timestamp comes after the other three, and a back pointer of four bytes follows each tag.

use super::flv::{BACK_POINTER, Shift, TagHeader};
use crate::bytes;
use crate::bytes::low_u32;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, MessageKind, Timestamp};

/// Turns fragments of aggregate messages into fragments of the messages inside. Only a partial tag header is stored.
///
/// The fragments have the chunk stream and the message stream of the aggregate. The first message inside gets the
/// timestamp of the aggregate, and the others keep their distance from it. Like [`Tags`](super::flv::Tags), the splitter
/// skips a last tag that is longer than the rest of the aggregate, encrypted tags, and aggregates in an aggregate. Each
/// fragment consumes at least one byte or ends a tag, so the work is bounded by the number of bytes.
///
/// A splitter handles one aggregate at a time. When an aggregate begins on any chunk stream, the one before it has ended.
/// When a message begins, the message before it on its chunk stream has ended, as everywhere in RTMP.
///
/// ```
/// use embedded_rtmp::chunk::Fragment;
/// use embedded_rtmp::media::aggregate::Splitter;
/// use embedded_rtmp::message::MessageKind;
///
/// # fn show(_: Fragment<'_>) {}
/// # fn received(splitter: &mut Splitter, mut fragment: Fragment<'_>) {
/// if fragment.header.kind == MessageKind::AGGREGATE {
///     while let Some(inside) = splitter.next_fragment(&mut fragment) {
///         show(inside);
///     }
/// } else {
///     show(fragment);
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Splitter {
    /// The chunk stream of the aggregate that is being split.
    csid: ChunkStreamId,
    shift: Shift,
    /// The header of the current tag, or the part of it that has arrived.
    header: [u8; TagHeader::SIZE],
    /// The header of the message that is being returned, if there is one.
    message: Timestamp,
    at: At,
}

/// What the next byte of an aggregate's body belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum At {
    /// A tag header, of which this many bytes have arrived.
    MessageHeader(usize),
    /// The data of a tag that is being returned, at this offset.
    Data(u32),
    /// This many bytes to skip: a back pointer, and before it the data of a tag that is skipped.
    Skip(u32),
    /// Nothing: no aggregate has begun, or the rest belongs to a truncated tag.
    End,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// A splitter that waits for the beginning of an aggregate.
    pub const fn new() -> Self {
        Self {
            csid: ChunkStreamId::CONTROL,
            shift: Shift::first_is(Timestamp(0)),
            header: [0; TagHeader::SIZE],
            message: Timestamp(0),
            at: At::End,
        }
    }

    /// Consumes bytes from the front of `aggregate`, a fragment of an aggregate message, and returns the next fragment of a
    /// message inside. Returns `None` when all bytes are consumed.
    ///
    /// Pass fragments in the order of their arrival. An aggregate whose beginning is missing returns nothing. The kind of
    /// `aggregate` is ignored.
    pub fn next_fragment<'i>(&mut self, aggregate: &mut Fragment<'i>) -> Option<Fragment<'i>> {
        if aggregate.is_first() {
            self.csid = aggregate.csid;
            self.shift = Shift::first_is(aggregate.header.timestamp);
            self.at = At::MessageHeader(0);
        }
        if aggregate.csid != self.csid {
            take(aggregate, usize::MAX);
            return None;
        }
        loop {
            match self.at {
                At::MessageHeader(_) | At::Skip(_) | At::End if aggregate.data.is_empty() => return None,
                At::MessageHeader(filled) => self.fill_header(filled, aggregate),
                At::Data(offset) => return self.data(offset, aggregate),
                At::Skip(left) => {
                    let left = left.wrapping_sub(low_u32(take(aggregate, left as usize).len()));
                    self.at = if left == 0 { At::MessageHeader(0) } else { At::Skip(left) };
                }
                At::End => {
                    take(aggregate, usize::MAX);
                }
            }
        }
    }

    /// The number of bytes of the aggregate that give at most one fragment, at least 1.
    ///
    /// A caller that cannot keep the rest of a fragment while it passes on the first message lets the chunk reader see at
    /// most this many bytes at a time.
    pub fn next_length(&self) -> usize {
        match self.at {
            At::MessageHeader(filled) => TagHeader::SIZE.wrapping_sub(filled),
            At::Data(offset) => TagHeader::parse(&self.header).length.wrapping_sub(offset) as usize,
            At::Skip(left) => left as usize,
            At::End => usize::MAX,
        }
    }

    fn fill_header(&mut self, filled: usize, aggregate: &mut Fragment<'_>) {
        let room = self.header.get_mut(filled..).unwrap_or_default();
        let filled = filled.wrapping_add(bytes::copy(take(aggregate, room.len()), room));
        self.at = At::MessageHeader(filled);
        if filled < TagHeader::SIZE {
            return;
        }
        let header = TagHeader::parse(&self.header);
        self.message = self.shift.apply(header.timestamp);
        // The rest of the aggregate's length shows now whether this tag is complete.
        let left = aggregate.header.length.saturating_sub(aggregate.offset);
        self.at = if header.length > left {
            At::End
        } else if header.filtered || header.kind == MessageKind::AGGREGATE {
            At::Skip(header.length.wrapping_add(low_u32(BACK_POINTER)))
        } else {
            At::Data(0)
        };
    }

    /// Returns a fragment of the message inside, or `None` if the input ends first.
    fn data<'i>(&mut self, offset: u32, aggregate: &mut Fragment<'i>) -> Option<Fragment<'i>> {
        let TagHeader { kind, length, .. } = TagHeader::parse(&self.header);
        let left = length.wrapping_sub(offset);
        if left > 0 && aggregate.data.is_empty() {
            return None;
        }
        let data = take(aggregate, left as usize);
        let next = offset.wrapping_add(low_u32(data.len()));
        self.at = if next == length { At::Skip(low_u32(BACK_POINTER)) } else { At::Data(next) };
        let header = MessageHeader { timestamp: self.message, length, kind, stream: aggregate.header.stream };
        Some(Fragment { csid: self.csid, header, offset, data })
    }
}

/// Takes up to `most` bytes off the front of a fragment.
fn take<'i>(fragment: &mut Fragment<'i>, most: usize) -> &'i [u8] {
    let (taken, rest) = fragment.data.split_at_checked(most).unwrap_or((fragment.data, &[]));
    fragment.data = rest;
    fragment.offset = fragment.offset.wrapping_add(low_u32(taken.len()));
    taken
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
