//! Tests of the reader. Every stream is read whole, cut once at every byte, and one byte at a time, with the same result.

mod messages;
mod time;

use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// A message that arrived. `payload` is shorter than the header says if the message was not finished.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    csid: u32,
    header: MessageHeader,
    payload: Vec<u8>,
}

fn message(csid: u32, timestamp: u32, kind: u8, stream: u32, payload: &[u8]) -> Message {
    let length = payload.len() as u32;
    let header =
        MessageHeader { timestamp: Timestamp(timestamp), length, kind: MessageKind(kind), stream: StreamId(stream) };
    Message { csid, header, payload: payload.to_vec() }
}

type Outcome = (Vec<Message>, Result<(), ReadError>);

/// Reads `pieces` one after the other. Applies Set Chunk Size and Abort like a session.
fn read_pieces<'a>(reader: &mut Reader<4>, pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut messages = Vec::new();
    let mut partial: Vec<Message> = Vec::new();
    for mut input in pieces {
        loop {
            let fragment = match reader.next_fragment(&mut input) {
                Ok(Some(fragment)) => fragment,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_fragment(&mut &[0xC3][..]), Err(error), "an error repeats");
                    return (messages, Err(error));
                }
            };
            assert!(!fragment.data.is_empty() || fragment.header.length == 0, "an empty fragment");
            let csid = fragment.csid.value();
            if fragment.is_first() {
                partial.retain(|message| message.csid != csid);
                partial.push(Message { csid, header: fragment.header, payload: Vec::new() });
            }
            let index = partial.iter().position(|message| message.csid == csid).expect("begins with offset 0");
            assert_eq!(partial[index].header, fragment.header);
            assert_eq!(partial[index].payload.len(), fragment.offset as usize);
            partial[index].payload.extend_from_slice(fragment.data);
            if !fragment.is_last() {
                continue;
            }
            let message = partial.remove(index);
            let argument = message.payload.first_chunk().copied().map(u32::from_be_bytes);
            match (message.header.kind, argument) {
                (MessageKind::SET_CHUNK_SIZE, Some(size)) => {
                    if let Err(error) = reader.set_chunk_size(size) {
                        return (messages, Err(error));
                    }
                }
                (MessageKind::ABORT, Some(csid)) => {
                    ChunkStreamId::new(csid).into_iter().for_each(|csid| reader.abort(csid));
                    partial.retain(|message| message.csid != csid);
                }
                _ => {}
            }
            messages.push(message);
        }
        assert_eq!(input, b"", "what is not consumed would be lost");
    }
    (messages, Ok(()))
}

/// Reads `stream` whole, cut at every byte, and byte by byte. Returns the outcome, which is the same for each.
fn read_with(new: impl Fn() -> Reader<4>, stream: &[u8]) -> Outcome {
    let whole = read_pieces(&mut new(), [stream].into_iter());
    for size in [1, 2, 3, 5] {
        assert_eq!(read_pieces(&mut new(), stream.chunks(size)), whole, "in pieces of {size}");
    }
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(read_pieces(&mut new(), [front, back].into_iter()), whole, "cut at {cut}");
    }
    whole
}

/// The messages of a valid stream.
fn read(stream: &[u8]) -> Vec<Message> {
    let (messages, result) = read_with(Reader::new, stream);
    assert_eq!(result, Ok(()));
    messages
}

/// The error of a stream that breaks the protocol, and the messages before it.
fn fails(stream: &[u8]) -> (usize, ReadError) {
    let (messages, result) = read_with(Reader::new, stream);
    (messages.len(), result.expect_err("breaks the protocol"))
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A type 0 header with chunk stream `csid` < 64 and message stream 1.
fn full(csid: u8, timestamp: u32, length: u32, kind: u8) -> Vec<u8> {
    let [_, t @ ..] = timestamp.to_be_bytes();
    let [_, l @ ..] = length.to_be_bytes();
    bytes(&[&[csid], &t, &l, &[kind, 1, 0, 0, 0]])
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    bytes(&[&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0], &size.to_be_bytes()])
}

/// `length` bytes that differ by position.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| place as u8 ^ 0x5A).collect()
}

#[test]
fn item_017_every_form_of_a_chunk_stream_id_is_the_same_stream() {
    let stream = bytes(&[
        &[0x01, 0, 0, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'a'],
        &[0xC0, 0, b'b'],
        &[0x01, 255, 255, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, b'c'],
        &[0xC1, 255, 255, b'd'],
        // A header whose first byte is 0.
        &[0x00, 255, 0, 0, 9, 0, 0, 1, 8, 1, 0, 0, 0, b'e'],
    ]);
    let expected = vec![
        message(64, 5, 8, 1, b"a"),
        message(64, 10, 8, 1, b"b"),
        message(65_599, 5, 8, 1, b"c"),
        message(65_599, 10, 8, 1, b"d"),
        message(319, 9, 8, 1, b"e"),
    ];
    assert_eq!(read(&stream), expected);
}

#[test]
fn item_019_each_type_keeps_what_it_leaves_out() {
    let stream = bytes(&[
        &[4, 0, 0, 100, 0, 0, 2, 8, 7, 0, 0, 0, 1, 2],
        &[0x44, 0, 0, 10, 0, 0, 1, 9, 3],
        &[0x84, 0, 0, 20, 4],
        &[0xC4, 5],
    ]);
    let expected = vec![
        message(4, 100, 8, 7, &[1, 2]),
        message(4, 110, 9, 7, &[3]),
        message(4, 130, 9, 7, &[4]),
        message(4, 150, 9, 7, &[5]),
    ];
    assert_eq!(read(&stream), expected);
}

#[test]
fn whether_the_stream_ends_between_messages() {
    let payload = pattern(200);
    let stream = bytes(&[&full(4, 1, 200, 9), &payload[..128], &[0xC4], &payload[128..]]);
    for end in 0..=stream.len() {
        let mut reader = Reader::<4>::new();
        read_pieces(&mut reader, [&stream[..end]].into_iter()).1.unwrap();
        assert_eq!(reader.is_at_boundary(), end == 0 || end == stream.len(), "{end}");
    }
}

#[test]
fn error_texts_contain_the_cause() {
    assert_eq!(
        format!("{}", ReadError::ChunkSize(0)),
        "the peer announced a chunk size of 0x0; it must be 1 to 0x7fffffff"
    );
}

proptest::proptest! {
    /// Random bytes give the same outcome for every cut, and never more payload than the stream has.
    #[test]
    fn item_114_random_bytes_are_read_the_same_in_any_pieces(stream in proptest::collection::vec(proptest::num::u8::ANY, 0..400), size in 1_usize..40) {
        let whole = read_pieces(&mut Reader::new(), [&stream[..]].into_iter());
        let cut = read_pieces(&mut Reader::new(), stream.chunks(size));
        proptest::prop_assert_eq!(&whole, &cut);
        proptest::prop_assert!(whole.0.iter().map(|message| message.payload.len() + 1).sum::<usize>() <= stream.len());
    }
}
