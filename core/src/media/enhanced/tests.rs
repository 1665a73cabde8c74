use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::message::{MessageHeader, StreamId, Timestamp};

const VIDEO: MessageKind = MessageKind::VIDEO;
const AUDIO: MessageKind = MessageKind::AUDIO;

/// A complete track: its header and its body.
type Track = (TrackHeader, Vec<u8>);

/// Reads a message that arrives in pieces, which end at `cuts`. The body of each track must begin at 0, have no gap,
/// and have the announced length, unless there is an error.
fn read(kind: MessageKind, payload: &[u8], cuts: &[usize]) -> (Vec<Track>, Option<TrackError>) {
    let header = MessageHeader { timestamp: Timestamp(0), length: payload.len() as u32, kind, stream: StreamId(1) };
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|cut| *cut > 0 && *cut < payload.len()).collect();
    ends.push(payload.len());
    ends.sort_unstable();
    let (mut reader, mut start) = (TrackReader::new(), 0);
    let (mut tracks, mut error, mut open) = (Vec::<Track>::new(), None, 0);
    for end in ends {
        let data = &payload[start..end];
        let mut rest = Fragment { csid: ChunkStreamId::new(5).unwrap(), header, offset: start as u32, data };
        loop {
            match reader.next_piece(&mut rest) {
                Ok(Some(piece)) => {
                    assert_eq!(piece.data, &payload[piece.position as usize..][..piece.data.len()]);
                    if piece.offset == 0 {
                        assert_eq!(open, 0);
                        tracks.push((piece.header, Vec::new()));
                        open = piece.length;
                    }
                    let (header, body) = tracks.last_mut().unwrap();
                    assert_eq!((*header, body.len() as u32), (piece.header, piece.offset));
                    body.extend_from_slice(piece.data);
                    open -= piece.data.len() as u32;
                    assert!(!piece.data.is_empty() || piece.length == 0);
                }
                Ok(None) => break,
                Err(found) => {
                    assert_eq!(error, None, "an error is returned once");
                    error = Some(found);
                    assert_eq!(reader.next_piece(&mut rest), Ok(None), "the rest is skipped");
                }
            }
        }
        assert!(rest.data.is_empty());
        start = end;
    }
    assert_eq!(open, 0, "a body is whole");
    (tracks, error)
}

/// Reads a message whole, byte by byte and in two pieces. All results must be equal.
fn read_all_ways(kind: MessageKind, payload: &[u8]) -> (Vec<Track>, Option<TrackError>) {
    let whole = read(kind, payload, &[]);
    let each: Vec<usize> = (0..payload.len()).collect();
    assert_eq!(read(kind, payload, &each), whole, "byte by byte: {payload:02x?}");
    (0..payload.len().min(40)).for_each(|cut| assert_eq!(read(kind, payload, &[cut]), whole, "{cut}: {payload:02x?}"));
    whole
}

/// The one track of a message.
fn one(kind: MessageKind, payload: &[u8]) -> Track {
    let (mut tracks, error) = read_all_ways(kind, payload);
    assert_eq!((tracks.len(), error), (1, None), "{payload:02x?}");
    tracks.remove(0)
}

fn key(codec: FourCc) -> TrackHeader {
    TrackHeader::video(codec, FrameType::KEY, 0)
}

fn emitted(header: &TrackHeader) -> Vec<u8> {
    header.emit(&mut [0xEE; HEADER_SIZE]).to_vec()
}

#[test]
fn item_101_the_video_header_has_a_bit_a_frame_type_a_packet_type_and_a_name() {
    assert_eq!(FourCc::HEVC.0, [0x68, 0x76, 0x63, 0x31]);
    for (frame, byte) in [(1, 0x91), (2, 0xA1), (3, 0xB1), (4, 0xC1)] {
        let message = [&[byte][..], b"hvc1\0\0\x28body"].concat();
        let (header, body) = one(VIDEO, &message);
        assert_eq!(header, TrackHeader::video(FourCc::HEVC, FrameType(frame), 40));
        assert_eq!((&body[..], [emitted(&header), body.clone()].concat()), (&b"body"[..], message));
    }
    // Without the bit, it is a header of FLV.
    assert_eq!(read_all_ways(VIDEO, b"\x17\x01\0\0\0abc"), (vec![], Some(TrackError::NotEnhanced)));
    assert_eq!(read_all_ways(AUDIO, b"\xAF\x01abc"), (vec![], Some(TrackError::NotEnhanced)));
}

#[test]
fn item_102_video_packet_types_and_composition_times() {
    use FourCc as Codec;
    for (payload, header, body) in [
        (&b"\x90av01cfg"[..], key(Codec::AV1).configuration(), &b"cfg"[..]),
        (b"\x91avc1\xFF\xFF\xDEabc", TrackHeader::video(Codec::AVC, FrameType::KEY, -34), b"abc"),
        (b"\xA1vvc1\x7F\xFF\xFFabc", TrackHeader::video(Codec::VVC, FrameType::INTER, 0x7F_FFFF), b"abc"),
        (b"\xB1hvc1\x80\0\0", TrackHeader::video(Codec::HEVC, FrameType::DISPOSABLE, -0x80_0000), b""),
        // These have no composition time.
        (b"\x91av01abc", key(Codec::AV1), b"abc"),
        (b"\x91vp08abc", key(Codec::VP8), b"abc"),
        (b"\x91vp09abc", key(Codec::VP9), b"abc"),
        (b"\x92hvc1", TrackHeader { packet: Packet::SequenceEnd, ..key(Codec::HEVC) }, b""),
        (b"\x93hvc1abc", TrackHeader { packet: Packet::CodedFramesX, ..key(Codec::HEVC) }, b"abc"),
        (
            b"\x94hvc1\x02\0\x09colorInfo",
            TrackHeader { packet: Packet::Metadata, ..key(Codec::HEVC) },
            b"\x02\0\x09colorInfo",
        ),
        (b"\x95av01abc", TrackHeader { packet: Packet::Mpeg2TsSequenceStart, ..key(Codec::AV1) }, b"abc"),
        // As FFmpeg writes it.
        (
            b"\xD4hvc1abc",
            TrackHeader { packet: Packet::Metadata, frame: Some(FrameType::COMMAND), ..key(Codec::HEVC) },
            b"abc",
        ),
    ] {
        assert_eq!(one(VIDEO, payload), (header, body.to_vec()));
        assert_eq!([emitted(&header), body.to_vec()].concat(), payload);
    }
    for packet in 8..16 {
        let payload = [&[0x90 | packet][..], b"hvc1abc"].concat();
        assert_eq!(read_all_ways(VIDEO, &payload), (vec![], Some(TrackError::Packet(packet))));
    }
}

#[test]
fn item_103_audio_packet_types_and_codecs() {
    for codec in [b"Opus", b"fLaC", b"ac-3", b"ec-3", b".mp3", b"mp4a"] {
        let frame = TrackHeader::audio(FourCc(*codec));
        for (first, header) in [
            (0x90, frame.configuration()),
            (0x91, frame),
            (0x92, TrackHeader { packet: Packet::SequenceEnd, ..frame }),
            (0x94, TrackHeader { packet: Packet::MultichannelConfig, ..frame }),
        ] {
            let payload = [&[first][..], codec, b"body"].concat();
            assert_eq!(one(AUDIO, &payload), (header, b"body".to_vec()));
            assert_eq!(emitted(&header), payload[..5]);
        }
    }
    for packet in [3, 6, 8, 15] {
        let payload = [&[0x90 | packet][..], b"Opusabc"].concat();
        assert_eq!(read_all_ways(AUDIO, &payload), (vec![], Some(TrackError::Packet(packet))));
    }
    // An empty message is silence.
    assert_eq!(read_all_ways(AUDIO, b""), (vec![], None));
}

/// A modifier with `size` bytes before the packet type `next`, without the packet type before it.
fn modifier(kind: u8, next: u8, data: &[u8], is_long: bool) -> Vec<u8> {
    let size = data.len() - 1;
    let size = if is_long { vec![0xFF, (size >> 8) as u8, size as u8] } else { vec![size as u8] };
    [&size[..], data, &[kind << 4 | next]].concat()
}

#[test]
fn item_104_modifiers_of_every_size_are_skipped_and_nanoseconds_are_read() {
    let plain = key(FourCc::AV1);
    for (size, is_long) in
        [(1, false), (2, false), (254, false), (255, false), (1, true), (256, true), (257, true), (65_536, true)]
    {
        for kind in [1, 7, 15] {
            let payload = [&[0x97][..], &modifier(kind, 1, &vec![0xAA; size], is_long), b"av01abc"].concat();
            assert_eq!(one(VIDEO, &payload), (plain, b"abc".to_vec()), "{size}");
        }
    }
    for (data, nanoseconds) in [(&[0, 0, 1][..], 1), (&[0x0F, 0x42, 0x3F], 999_999), (&[0, 0, 2, 0xFF, 0xFF], 2)] {
        let payload = [&[0x97][..], &modifier(0, 1, data, false), b"av01abc"].concat();
        assert_eq!(one(VIDEO, &payload), (TrackHeader { nanoseconds, ..plain }, b"abc".to_vec()));
        let audio = [&[0x97][..], &modifier(0, 5, data, false), b"\x01Opus\x02abc"].concat();
        let expected = TrackHeader { nanoseconds, track: Some(2), ..TrackHeader::audio(FourCc::OPUS) };
        assert_eq!(one(AUDIO, &audio), (expected, b"abc".to_vec()));
        if data.len() == 3 {
            assert_eq!([emitted(&expected), b"abc".to_vec()].concat(), audio);
        }
    }
    // Fewer than 3 bytes; a whole millisecond.
    for (data, value) in [(&[1][..], 1), (&[1, 2], 0x102), (&[0x0F, 0x42, 0x40], 1_000_000), (&[0xFF; 3], 0xFF_FFFF)] {
        let payload = [&[0x97][..], &modifier(0, 1, data, false), b"av01abc"].concat();
        assert_eq!(read_all_ways(VIDEO, &payload), (vec![], Some(TrackError::Nanoseconds(value))));
    }
}

#[test]
fn item_104_chains_of_modifiers_end_with_the_message() {
    let mut chain = vec![0x97];
    for _ in 0..3 {
        chain.extend(modifier(9, 7, &[0xAA; 5], false));
    }
    let whole = [&chain[..], &modifier(0, 3, &[0, 0, 7], false), b"hvc1abc"].concat();
    let expected = TrackHeader { packet: Packet::CodedFramesX, nanoseconds: 7, ..key(FourCc::HEVC) };
    assert_eq!(one(VIDEO, &whole), (expected, b"abc".to_vec()));
    for _ in 0..20_000 {
        chain.extend(modifier(9, 7, &[0xAA], false));
    }
    let error = Some(TrackError::Truncated);
    assert_eq!(read(VIDEO, &chain, &[]), (vec![], error));
    // Modifiers that are longer than the message.
    for payload in [&b"\x97"[..], b"\x97\x05ab", b"\x97\xFF", b"\x97\xFF\xFF", b"\x97\xFF\xFF\xFFabc", b"\x97\x00a"] {
        assert_eq!(read_all_ways(VIDEO, payload), (vec![], error), "{payload:02x?}");
    }
}

#[test]
fn item_105_messages_of_one_track_of_many_and_of_many_codecs() {
    let of = |header: TrackHeader, track, body: &[u8]| (TrackHeader { track: Some(track), ..header }, body.to_vec());
    let hevc = |time| TrackHeader::video(FourCc::HEVC, FrameType::KEY, time);
    assert_eq!(one(VIDEO, b"\x96\x01hvc1\xFF\0\0\x01abc"), of(hevc(1), 255, b"abc"));
    assert_eq!(emitted(&TrackHeader { track: Some(255), ..hevc(1) }), b"\x96\x01hvc1\xFF\0\0\x01");
    // The size includes the composition time. A track may be empty.
    let many = b"\x96\x11hvc1\x00\0\0\x06\0\0\x01abc\x01\0\0\x03\0\0\x02\x02\0\0\x04\0\0\x03d";
    let expected = vec![of(hevc(1), 0, b"abc"), of(hevc(2), 1, b""), of(hevc(3), 2, b"d")];
    assert_eq!(read_all_ways(VIDEO, many), (expected, None));
    let codecs = b"\x96\x21hvc1\x00\0\0\x06\0\0\x01abcav01\x01\0\0\0av01\x05\0\0\x02xy";
    let av1 = TrackHeader::video(FourCc::AV1, FrameType::KEY, 0);
    let expected = vec![of(hevc(1), 0, b"abc"), of(av1, 1, b""), of(av1, 5, b"xy")];
    assert_eq!(read_all_ways(VIDEO, codecs), (expected, None));
    let audio = b"\x95\x11Opus\x00\0\0\x03abc\x01\0\0\x00";
    let opus = TrackHeader::audio(FourCc::OPUS);
    assert_eq!(read_all_ways(AUDIO, audio), (vec![of(opus, 0, b"abc"), of(opus, 1, b"")], None));
}

#[test]
fn item_105_tracks_past_the_end_are_errors_and_earlier_tracks_are_returned() {
    let first = (TrackHeader { track: Some(0), ..key(FourCc::AV1) }, b"abc".to_vec());
    let start = b"\x96\x11av01\x00\0\0\x03abc";
    for (rest, error) in [
        (&b"\x01\0\0\x04abc"[..], TrackError::TrackSize { size: 4, left: 3 }),
        (b"\x01\xFF\xFF\xFFabc", TrackError::TrackSize { size: 0xFF_FFFF, left: 3 }),
        (b"\x01\0\0\x01", TrackError::TrackSize { size: 1, left: 0 }),
        (b"\x01\0\0", TrackError::Truncated),
        (b"\x01", TrackError::Truncated),
    ] {
        let payload = [&start[..], rest].concat();
        assert_eq!(read_all_ways(VIDEO, &payload), (vec![first.clone()], Some(error)), "{rest:02x?}");
    }
    // Shorter than its composition time.
    let error = TrackError::TrackSize { size: 2, left: 2 };
    assert_eq!(read_all_ways(VIDEO, b"\x96\x11hvc1\x00\0\0\x02ab"), (vec![], Some(error)));
    for (payload, error) in [
        (&b"\x96\x06hvc1\x01abc"[..], TrackError::Packet(6)),
        (b"\x96\x07hvc1\x01abc", TrackError::Packet(7)),
        (b"\x96\x31hvc1\x01abc", TrackError::Multitrack(3)),
        (b"\x96\xF1hvc1\x01abc", TrackError::Multitrack(15)),
        (b"\x96", TrackError::Truncated),
        (b"\x96\x01hv", TrackError::Truncated),
        (b"\x96\x01hvc1", TrackError::Truncated),
        (b"\x96\x01hvc1\x01\0\0", TrackError::Truncated),
        (b"\x91hvc1\0\0", TrackError::Truncated),
        (b"\x91hvc", TrackError::Truncated),
    ] {
        assert_eq!(read_all_ways(VIDEO, payload), (vec![], Some(error)), "{payload:02x?}");
    }
    assert_eq!(read_all_ways(AUDIO, b"\x95\x05Opus\x01abc"), (vec![], Some(TrackError::Packet(5))));
}

#[test]
fn item_106_a_command_has_one_byte_and_no_codec() {
    for payload in [&b"\xD0\x00"[..], b"\xD1\x01", b"\xD3\x01hvc1abc", b"\xD6\x01", b"\xD1", b"\xD7\x00\xAA\x91\x00"] {
        assert_eq!(read_all_ways(VIDEO, payload), (vec![], None), "{payload:02x?}");
    }
    // FFmpeg writes the metadata of a track like this.
    let (header, body) = one(VIDEO, b"\xD6\x04hvc1\x01abc");
    assert_eq!((header.packet, header.track, &body[..]), (Packet::Metadata, Some(1), &b"abc"[..]));
}

#[test]
fn item_108_unknown_codecs_are_returned_and_after_an_unknown_packet_type_reading_continues() {
    assert_eq!(one(VIDEO, b"\x91what12345"), (key(FourCc(*b"what")), b"12345".to_vec()));
    assert_eq!(one(AUDIO, b"\x91\0\xFF\x01\x02abc").0.codec, FourCc([0, 0xFF, 1, 2]));
    let mut reader = TrackReader::new();
    let mut next = |payload: &'static [u8]| {
        let header =
            MessageHeader { timestamp: Timestamp(0), length: payload.len() as u32, kind: VIDEO, stream: StreamId(1) };
        let csid = ChunkStreamId::new(5).unwrap();
        reader.next_piece(&mut Fragment { csid, header, offset: 0, data: payload })
    };
    assert_eq!(next(b"\x9Fhvc1abc"), Err(TrackError::Packet(15)));
    assert_eq!(next(b"\x91av01abc").map(|piece| piece.map(|piece| piece.data)), Ok(Some(&b"abc"[..])));
    assert_eq!(format!("{} {}", FourCc::MP3, FourCc([0, b'a', 0xFF, b'"'])), r#".mp3 \x00a\xff\""#);
}

#[test]
fn a_fragment_that_is_missing_ends_the_message() {
    let header = MessageHeader { timestamp: Timestamp(0), length: 20, kind: VIDEO, stream: StreamId(1) };
    let (csid, mut reader) = (ChunkStreamId::new(5).unwrap(), TrackReader::new());
    let mut read = |offset, data: &'static [u8]| reader.next_piece(&mut Fragment { csid, header, offset, data });
    assert!(matches!(read(0, b"\x91av01abc"), Ok(Some(_))));
    assert_eq!(read(12, b"later"), Ok(None));
    assert_eq!(read(17, b"abc"), Ok(None));
}

const UNKNOWN: FourCc = FourCc(*b"xxxx");

fn any_header(is_video: bool) -> impl Strategy<Value = TrackHeader> {
    let codecs: &[FourCc] = if is_video {
        &[FourCc::AVC, FourCc::HEVC, FourCc::VVC, FourCc::AV1, FourCc::VP8, FourCc::VP9, UNKNOWN]
    } else {
        &[FourCc::AAC, FourCc::OPUS, FourCc::FLAC, FourCc::AC3, FourCc::EAC3, FourCc::MP3]
    };
    let packets: &[Packet] = if is_video {
        &[
            Packet::SequenceStart,
            Packet::CodedFrames,
            Packet::SequenceEnd,
            Packet::CodedFramesX,
            Packet::Metadata,
            Packet::Mpeg2TsSequenceStart,
        ]
    } else {
        &[Packet::SequenceStart, Packet::CodedFrames, Packet::SequenceEnd, Packet::MultichannelConfig]
    };
    let fields = (
        prop::sample::select(packets),
        prop::sample::select(codecs),
        any::<Option<u8>>(),
        1_u8..5,
        -0x80_0000..0x80_0000,
        prop_oneof![Just(0), 0_u32..1_000_000],
    );
    fields.prop_map(move |(packet, codec, track, frame, time, nanoseconds)| {
        let has_time = packet == Packet::CodedFrames && codec.has_composition_time();
        let composition_time = if has_time { time } else { 0 };
        TrackHeader { packet, codec, track, frame: is_video.then_some(FrameType(frame)), composition_time, nanoseconds }
    })
}

proptest! {
    #[test]
    fn a_message_of_one_track_is_read_as_it_was_written(
        (is_video, header) in any::<bool>().prop_flat_map(|is_video| (Just(is_video), any_header(is_video))),
        body: Vec<u8>,
        cuts in prop::collection::vec(0_usize..80, 0..6),
    ) {
        let payload = [emitted(&header), body.clone()].concat();
        let kind = if is_video { VIDEO } else { AUDIO };
        prop_assert_eq!(read(kind, &payload, &cuts), (vec![(header, body)], None));
    }

    #[test]
    fn messages_of_many_tracks_are_read_as_they_were_written(
        (is_video, first, codecs) in any::<bool>().prop_flat_map(|is_video| {
            (Just(is_video), any_header(is_video), prop_oneof![Just(Codecs::Same), Just(Codecs::Many)])
        }),
        tracks in prop::collection::vec((any::<u8>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..30)), 0..6),
        cuts in prop::collection::vec(0_usize..200, 0..8),
    ) {
        let mut payload = first.emit_tracks(codecs, &mut [0; HEADER_SIZE]).to_vec();
        let mut expected = Vec::new();
        for (track, is_other, body) in tracks {
            let codec = if is_other && codecs == Codecs::Many { FourCc(*b"zzzz") } else { first.codec };
            let mut header = TrackHeader { track: Some(track), codec, ..first };
            if !(header.packet == Packet::CodedFrames && codec.has_composition_time()) {
                header.composition_time = 0;
            }
            payload.extend_from_slice(header.emit_next_track(codecs, body.len() as u32, &mut [0; HEADER_SIZE]));
            payload.extend_from_slice(&body);
            expected.push((header, body));
        }
        let kind = if is_video { VIDEO } else { AUDIO };
        let error = expected.is_empty().then_some(TrackError::Truncated);
        prop_assert_eq!(read(kind, &payload, &cuts), (expected, error));
    }

    #[test]
    fn whatever_arrives_is_read_the_same_in_any_pieces(
        mut payload: Vec<u8>,
        is_video: bool,
        cuts in prop::collection::vec(0_usize..100, 0..8),
    ) {
        payload.iter_mut().take(1).for_each(|first| *first |= 0x90);
        let kind = if is_video { VIDEO } else { AUDIO };
        prop_assert_eq!(read(kind, &payload, &cuts), read(kind, &payload, &[]));
    }
}
