//! Aggregate messages, taken apart while they arrive (RTMP 1.0, section 7.1.6).
//!
//! The body of an aggregate (message type 22) is a run of FLV tags, each an audio, video or data message. It arrives as
//! [`Fragment`]s that may end anywhere, also within a tag's header; [`Splitter`] makes them into the fragments of the
//! messages inside, which are lent from the same bytes:
//!
//! ```text
//!  fragments of the aggregate   ├──────────────────┤├──────┤├─────────────────────────┤
//!  its body                     hdr│ video ········│ptr│hdr│ audio ···│ptr│hdr│ video …
//!  fragments that come out         ├───────────────┤       ├──┤├──────┤       ├───────┤
//! ```
//!
//! The specification draws the header of the messages inside like that of a message; what is sent are FLV tags, with
//! the upper byte of the timestamp behind the others and a back pointer of four bytes behind each.

use super::flv::{BACK_POINTER, Shift, TagHeader};
use crate::bytes;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, MessageKind, Timestamp};

/// Makes fragments of aggregate messages into fragments of the messages inside. Nothing is collected but what is there
/// of a header.
///
/// The fragments come out under the aggregate's chunk stream and message stream. The first message inside has the
/// aggregate's timestamp, and the others keep their distance from it. Left out is what [`Tags`](super::flv::Tags)
/// leaves out: a last tag that the aggregate is too short for, encrypted tags, aggregates in an aggregate. Each
/// fragment that comes out, and each that is passed over, takes off at least one byte or ends a tag, so the work is
/// bounded by the bytes.
///
/// One splitter takes one aggregate at a time: one that begins, on whichever chunk stream, ends the one before, of
/// which nothing more comes. As everywhere, a message that begins says that the one before it on its chunk stream is
/// over.
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
    /// Of the aggregate that is being taken apart.
    csid: ChunkStreamId,
    shift: Shift,
    /// The header of the tag that comes, or is there.
    header: [u8; TagHeader::SIZE],
    /// Of the message that is handed on, when there is one.
    message: Timestamp,
    at: At,
}

/// Where in the body of an aggregate the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum At {
    /// Into a header, of which so many bytes are there.
    MessageHeader(usize),
    /// Into the data of a tag that is handed on, at this offset.
    Data(u32),
    /// So many bytes are of no use: a back pointer, and the data of a tag that is left out before it.
    Skip(u32),
    /// Nowhere: no aggregate has begun, or what follows is of a tag that is cut off.
    End,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// A splitter that waits for an aggregate to begin.
    pub const fn new() -> Self {
        Self {
            csid: ChunkStreamId::CONTROL,
            shift: Shift::first_is(Timestamp(0)),
            header: [0; TagHeader::SIZE],
            message: Timestamp(0),
            at: At::End,
        }
    }

    /// Takes bytes off the front of `aggregate`, which is a fragment of an aggregate message, up to the end of the next
    /// fragment of a message inside; `None` once all of it is taken.
    ///
    /// Fragments belong in here in the order in which they came; those of an aggregate whose beginning is missing give
    /// nothing. The kind of `aggregate` is not looked at.
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
                    let left = left.wrapping_sub(take(aggregate, left as usize).len() as u32);
                    self.at = if left == 0 { At::MessageHeader(0) } else { At::Skip(left) };
                }
                At::End => {
                    take(aggregate, usize::MAX);
                }
            }
        }
    }

    /// How many bytes of the aggregate may come next without more than one fragment coming out of them; at least 1.
    ///
    /// Who cannot keep the rest of a fragment, since it must hand on what came out first, lets the reader see no more
    /// bytes than this at a time.
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
        // What is left of the aggregate says whether this tag is whole, long before its last byte is here.
        let left = aggregate.header.length.saturating_sub(aggregate.offset);
        self.at = if header.length > left {
            At::End
        } else if header.filtered || header.kind == MessageKind::AGGREGATE {
            At::Skip(header.length.wrapping_add(BACK_POINTER as u32))
        } else {
            At::Data(0)
        };
    }

    /// A fragment of the message inside; `None` where the input ends first.
    fn data<'i>(&mut self, offset: u32, aggregate: &mut Fragment<'i>) -> Option<Fragment<'i>> {
        let TagHeader { kind, length, .. } = TagHeader::parse(&self.header);
        let left = length.wrapping_sub(offset);
        if left > 0 && aggregate.data.is_empty() {
            return None;
        }
        let data = take(aggregate, left as usize);
        let next = offset.wrapping_add(data.len() as u32);
        self.at = if next == length { At::Skip(BACK_POINTER as u32) } else { At::Data(next) };
        let header = MessageHeader { timestamp: self.message, length, kind, stream: aggregate.header.stream };
        Some(Fragment { csid: self.csid, header, offset, data })
    }
}

/// Takes up to `most` bytes off the front of a fragment.
fn take<'i>(fragment: &mut Fragment<'i>, most: usize) -> &'i [u8] {
    let (taken, rest) = fragment.data.split_at_checked(most).unwrap_or((fragment.data, &[]));
    fragment.data = rest;
    fragment.offset = fragment.offset.wrapping_add(taken.len() as u32);
    taken
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;
