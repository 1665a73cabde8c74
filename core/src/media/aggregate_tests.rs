use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::flv::tests::body;
use super::super::flv::{Tag, Tags};
use super::*;
use crate::message::StreamId;

/// A message inside the aggregate: kind, timestamp, payload.
type Message = (u8, u32, Vec<u8>);

fn fragment(csid: u32, length: u32, offset: usize, data: &[u8]) -> Fragment<'_> {
    let header =
        MessageHeader { timestamp: Timestamp(1000), length, kind: MessageKind::AGGREGATE, stream: StreamId(5) };
    Fragment { csid: ChunkStreamId::new(csid).unwrap(), header, offset: offset as u32, data }
}

/// Splits an aggregate that arrives in pieces, which end at the positions `ends`.
fn split(splitter: &mut Splitter, body: &[u8], ends: impl IntoIterator<Item = usize>) -> Vec<Message> {
    let (mut messages, mut done, mut expected) = (Vec::<Message>::new(), 0, 0);
    for end in ends.into_iter().chain([body.len()]) {
        let mut piece = fragment(6, body.len() as u32, done, &body[done..end]);
        while let Some(inside) = splitter.next_fragment(&mut piece) {
            assert_eq!((inside.csid.value(), inside.header.stream), (6, StreamId(5)));
            assert_eq!(inside.offset, expected, "the fragments have a gap");
            if inside.is_first() {
                messages.push((inside.header.kind.0, inside.header.timestamp.0, Vec::new()));
            }
            let (_, _, payload) = messages.last_mut().unwrap();
            payload.extend_from_slice(inside.data);
            assert!(!inside.data.is_empty() || inside.header.length == 0);
            expected = if inside.is_last() { 0 } else { expected + inside.data.len() as u32 };
        }
        assert!(piece.data.is_empty());
        assert_eq!(piece.offset as usize, end);
        done = end;
    }
    assert_eq!(expected, 0, "a message inside is incomplete");
    messages
}

/// The messages of an aggregate in one piece.
fn whole(body: &[u8]) -> Vec<Message> {
    Tags::aggregate(Timestamp(1000), body).map(|tag| (tag.kind.0, tag.timestamp.0, tag.data.to_vec())).collect()
}

fn aggregate() -> Vec<u8> {
    let at = |kind, millis, data| Tag { kind, timestamp: Timestamp(millis), data };
    let mut bytes = body(&[
        at(MessageKind::VIDEO, 0x0100_0000, &[1, 2, 3, 4, 5]),
        at(MessageKind::AUDIO, 0x0100_0017, &[]),
        at(MessageKind::AGGREGATE, 0x0100_0018, &[9; 20]),
        at(MessageKind::AUDIO, 0x0100_0019, &[6]),
        at(MessageKind::AUDIO, 0x0100_0020, &[7, 7]),
        at(MessageKind::DATA, 0x0100_002E, &[8, 9]),
    ]);
    // The last but one is encrypted.
    let filtered = bytes.len() - 2 * (11 + 2 + 4);
    bytes[filtered] |= 0x20;
    bytes
}

#[test]
fn item_109_an_aggregate_is_split_wherever_its_fragments_end() {
    let bytes = aggregate();
    let expected = [
        (9, 1000, Vec::from([1, 2, 3, 4, 5])),
        (8, 1000 + 0x17, Vec::new()),
        (8, 1000 + 0x19, Vec::from([6])),
        (18, 1000 + 0x2E, Vec::from([8, 9])),
    ];
    assert_eq!(whole(&bytes), expected);
    let mut splitter = Splitter::new();
    for cut in 0..=bytes.len() {
        for second in cut..=bytes.len() {
            assert_eq!(split(&mut splitter, &bytes, [cut, second]), expected, "cut at {cut} and {second}");
        }
    }
    assert_eq!(split(&mut splitter, &bytes, 1..bytes.len()), expected, "byte by byte");
}

#[test]
fn item_109_a_truncated_last_tag_is_dropped_before_a_byte_of_it_comes_out() {
    let bytes = aggregate();
    let mut splitter = Splitter::new();
    for length in 0..bytes.len() {
        let cut = &bytes[..length];
        assert_eq!(split(&mut splitter, cut, []), whole(cut), "{length} bytes");
        assert_eq!(split(&mut splitter, cut, 1..length.max(1)), whole(cut), "{length} bytes, one by one");
    }
}

#[test]
fn item_109_no_length_inside_reaches_beyond_the_aggregate() {
    for length in [[0xFF, 0xFF, 0xFF], [0, 0, 6], [0, 1, 0]] {
        let mut bytes = aggregate();
        bytes[1..4].copy_from_slice(&length);
        assert_eq!(split(&mut Splitter::new(), &bytes, []), whole(&bytes));
    }
    let empty = fragment(6, 0, 0, &[]);
    assert_eq!(Splitter::new().next_fragment(&mut empty.clone()), None);
}

#[test]
fn item_109_an_aggregate_that_begins_ends_the_one_before() {
    let bytes = aggregate();
    let length = bytes.len() as u32;
    let mut splitter = Splitter::new();
    // Cut off within the data of its first tag, and within a header.
    for cut in [13, 7] {
        let mut piece = fragment(6, length, 0, &bytes[..cut]);
        while splitter.next_fragment(&mut piece).is_some() {}
        assert_eq!(split(&mut splitter, &bytes, []), whole(&bytes));
    }
    let mut piece = fragment(6, length, 0, &bytes[..13]);
    assert_eq!(splitter.next_fragment(&mut piece).map(|inside| inside.data), Some(&bytes[11..13]));
    let mut other = fragment(7, length, 0, &bytes[..13]);
    assert_eq!(splitter.next_fragment(&mut other).map(|inside| inside.csid.value()), Some(7));
    // Further bytes of the first aggregate, and of one whose beginning is missing, give nothing.
    for (mut splitter, csid) in [(splitter, 6), (Splitter::new(), 2), (Splitter::new(), 6)] {
        let mut late = fragment(csid, length, 13, &bytes[13..]);
        assert_eq!((splitter.next_fragment(&mut late), late.data.len()), (None, 0));
    }
}

#[test]
fn at_most_one_fragment_comes_out_of_the_next_length() {
    let bytes = aggregate();
    let (mut splitter, mut done, mut seen) = (Splitter::new(), 0, 0);
    // Before an aggregate begins, its next length is not known.
    let mut next = 1;
    while done < bytes.len() {
        let end = bytes.len().min(done + next);
        let mut piece = fragment(6, bytes.len() as u32, done, &bytes[done..end]);
        let first = splitter.next_fragment(&mut piece);
        assert_eq!(splitter.next_fragment(&mut piece), None);
        assert!(first.is_none_or(|inside| inside.is_first() && inside.is_last()));
        seen += usize::from(first.is_some());
        next = splitter.next_length();
        assert!(next > 0);
        done = end;
    }
    assert_eq!(seen, whole(&bytes).len());
}

proptest! {
    #[test]
    fn item_109_any_bytes_cut_anywhere_give_what_they_give_when_whole(
        tags in vec((0..=255_u8, any::<u32>(), vec(any::<u8>(), 0..40)), 0..6),
        tail in vec(any::<u8>(), 0..30),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let tags: Vec<_> = tags.iter().map(|(kind, millis, data)| {
            Tag { kind: MessageKind(*kind), timestamp: Timestamp(*millis), data }
        }).collect();
        let bytes = [body(&tags), tail].concat();
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.sort();
        prop_assert_eq!(split(&mut Splitter::new(), &bytes, ends), whole(&bytes));
    }
}
