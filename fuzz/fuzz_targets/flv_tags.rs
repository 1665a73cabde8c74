//! The iterator over tags ends. An aggregate that is cut anywhere gives the same messages as the whole one. Headers are
//! written as they were read.
#![no_main]

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::media::aggregate::Splitter;
use embedded_rtmp::media::flv::{BACK_POINTER, TagHeader, Tags};
use embedded_rtmp::media::metadata::Metadata;
use embedded_rtmp::media::{FrameClass, aac, audio, video};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use embedded_rtmp_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

const AT: Timestamp = Timestamp(0xFFFF_FF00);

/// A kind, a timestamp, a payload.
type Message = (MessageKind, Timestamp, Vec<u8>);

fn whole(tags: &mut Tags<'_>) -> Vec<Message> {
    let length = tags.rest().len();
    let messages: Vec<_> = tags.map(|tag| (tag.kind, tag.timestamp, tag.data.to_vec())).collect();
    let bytes: usize = messages.iter().map(|(_, _, data)| TagHeader::SIZE + data.len()).sum();
    assert!(bytes <= length, "there is payload without input");
    messages
}

fn split(body: &[u8], cuts: &mut Cuts) -> Vec<Message> {
    let (mut splitter, mut messages, mut rest) = (Splitter::new(), Vec::<Message>::new(), body);
    let header =
        MessageHeader { timestamp: AT, length: body.len() as u32, kind: MessageKind::AGGREGATE, stream: StreamId(1) };
    while !rest.is_empty() {
        let offset = (body.len() - rest.len()) as u32;
        let data = cuts.piece(&mut rest);
        let mut fragment = Fragment { csid: ChunkStreamId::COMMAND, header, offset, data };
        let (mut most, mut came) = (splitter.next_length(), 0);
        while let Some(inside) = splitter.next_fragment(&mut fragment) {
            came += 1;
            if inside.is_first() {
                messages.push((inside.header.kind, inside.header.timestamp, Vec::new()));
            }
            let (_, _, payload) = messages.last_mut().expect("the message began");
            assert_eq!(payload.len(), inside.offset as usize, "the fragments have a gap");
            payload.extend_from_slice(inside.data);
            assert!(payload.len() <= inside.header.length as usize);
            assert_eq!(inside.is_last(), payload.len() == inside.header.length as usize);
        }
        assert!(fragment.data.is_empty(), "a byte was not consumed");
        if offset == 0 {
            most = 1;
        }
        assert!(data.len() > most || came <= 1, "more than one fragment out of the next length");
        assert!(splitter.next_length() > 0);
    }
    messages
}

fn look_at(kind: MessageKind, data: &[u8]) {
    let class = FrameClass::of(kind, data);
    let prefix = data.get(..FrameClass::PREFIX).unwrap_or(data);
    let of_prefix = FrameClass::of_prefix(kind, prefix);
    assert!(
        of_prefix.is_none_or(|of_prefix| of_prefix == class || prefix.len() < data.len()),
        "more bytes change the class"
    );
    assert!(of_prefix.is_some() || prefix.len() < FrameClass::PREFIX, "the prefix is too short");
    if let Some((header, body)) = video::VideoTagHeader::parse(data) {
        let mut buffer = [0; video::HEADER_SIZE];
        assert_eq!([header.emit(&mut buffer), body].concat(), data);
    }
    if let Some((header, body)) = audio::AudioTagHeader::parse(data) {
        let mut buffer = [0; audio::HEADER_SIZE];
        let written = header.emit(&mut buffer);
        assert_eq!(audio::AudioTagHeader::parse(&[written, body].concat()), Some((header, body)));
        if let Some(config) = aac::AacConfig::parse(body) {
            let mut buffer = [0; aac::BUFFER_SIZE];
            if let Some([_, _, again @ ..]) = config.sequence_header(&mut buffer)
                && !matches!(config.object_type.0, 5 | 29)
            {
                assert_eq!(aac::AacConfig::parse(again), Some(config));
            }
        }
    }
    if let Some(metadata) = Metadata::parse(embedded_rtmp::amf0::Decoder::new(data)) {
        let mut buffer = vec![0; data.len() + 512];
        metadata.emit(&mut buffer).expect("the buffer is large enough");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, bytes)) = data.split_first() else { return };
    if let Ok(mut tags) = Tags::file(bytes) {
        whole(&mut tags);
    }
    let messages = whole(&mut Tags::aggregate(AT, bytes));
    assert_eq!(split(bytes, &mut Cuts::new(seed)), messages);
    for (kind, _, payload) in &messages {
        look_at(*kind, payload);
    }
    look_at(MessageKind(seed), bytes);
    if let Some(header) = bytes.first_chunk() {
        let (tag, mut expected) = (TagHeader::parse(header), *header);
        // Two bits and the stream id have no meaning.
        expected[0] &= 0x3F;
        expected[8..].fill(0);
        assert_eq!(tag.emit(), expected);
        assert_eq!(tag.back_pointer().len(), BACK_POINTER);
    }
});
