//! What is written of each message.

use std::vec::Vec;

use proptest::prelude::*;

use super::super::{Configuration, Fragment, Muxer, Skip, Step};
use super::*;
use crate::media::FrameClass;
use crate::message::{MessageHeader, StreamId, Timestamp};

fn header(kind: MessageKind, millis: u32, payload: &[u8]) -> MessageHeader {
    MessageHeader { timestamp: Timestamp(millis), length: payload.len() as u32, kind, stream: StreamId::CONNECTION }
}

/// A viewer, and the cached messages of its stream.
struct Pair {
    muxer: Muxer,
    cached: Vec<(MessageKind, &'static [u8])>,
    inits: usize,
}

impl Pair {
    fn new(cached: &[(MessageKind, &'static [u8])]) -> Self {
        let mut pair = Self { muxer: Muxer::new(), cached: cached.to_vec(), inits: 0 };
        for (kind, payload) in cached {
            assert_eq!(pair.pass(*kind, 0, payload), Step::Skip(Skip::NoFrame));
        }
        pair
    }

    /// Passes a whole message.
    fn pass(&mut self, kind: MessageKind, millis: u32, payload: &[u8]) -> Step {
        loop {
            let step = self.muxer.begin(&header(kind, millis, payload), [payload, &[]]).expect("it is complete");
            if step != Step::Init {
                return step;
            }
            let configuration = Configuration::new(self.cached.iter().copied());
            if self.muxer.configure(&configuration) {
                assert!(self.muxer.is_configured_as(&configuration) && self.muxer.has_begun());
                self.inits += 1;
            }
        }
    }

    fn fragment(&mut self, kind: MessageKind, millis: u32, payload: &[u8]) -> Fragment {
        match self.pass(kind, millis, payload) {
            Step::Fragment(fragment) => fragment,
            other => panic!("{other:?} of {payload:?}"),
        }
    }

    fn skip(&mut self, kind: MessageKind, payload: &[u8]) -> Skip {
        match self.pass(kind, 0, payload) {
            Step::Skip(skip) => skip,
            other => panic!("{other:?} of {payload:?}"),
        }
    }
}

/// A keyframe of AVC, and a frame of AAC.
const KEY: &[u8] = b"\x17\x01\0\0\x28\0\0\0\x02\x65\x88";
const RAW: &[u8] = b"\xaf\x01\x21\x4c";

#[test]
fn item_331_frames_follow_the_initialization_segment() {
    let mut pair = Pair::new(&[(MessageKind::DATA, METADATA), (V, AVC), (A, AAC)]);
    assert!(!pair.muxer.has_begun());
    let key = pair.fragment(V, 1_000, KEY);
    assert_eq!(pair.inits, 1);
    assert_eq!((key.start, key.length, key.time, key.composition_time, key.is_keyframe), (5, 6, 0, 40, true));
    // Two pictures per second, by the metadata.
    assert_eq!((key.duration, key.sequence, key.track), (500, 1, 0));
    let raw = pair.fragment(A, 1_007, RAW);
    assert_eq!((raw.start, raw.length, raw.time, raw.duration, raw.is_keyframe), (2, 2, 7, 22, true));
    assert_eq!((raw.sequence, raw.track), (2, 1));
    let inter = pair.fragment(V, 1_040, b"\x27\x01\xff\xff\xfe\0\0\0\x02\x41\x88");
    assert_eq!((inter.time, inter.composition_time, inter.is_keyframe, inter.is_disposable), (40, -2, false, false));
    let disposable = pair.fragment(V, 1_080, b"\x27\x01\0\0\0\0\0\0\x02\x01\x88");
    assert!(!disposable.is_keyframe && disposable.is_disposable);
    // The same sequence header again changes nothing.
    assert_eq!(pair.skip(V, AVC), Skip::NoFrame);
    pair.fragment(V, 1_120, KEY);
    assert_eq!(pair.inits, 1);
}

#[test]
fn item_330_frames_are_found_behind_every_header() {
    /// The sequence header, a message, and the position, the length and the composition time of its frame.
    type Case = (MessageKind, &'static [u8], &'static [u8], u32, u32, i32);
    let cases: [Case; 12] = [
        (V, HEVC, b"\x91hvc1\0\0\x50data", 8, 4, 80),
        (V, HEVC, b"\x93hvc1data", 5, 4, 0),
        (V, HEVC, b"\xa3hvc1d", 5, 1, 0),
        // A track number; two tracks, of which the first is used; a modifier.
        (V, HEVC, b"\x96\x01hvc1\0\0\0\x50data", 10, 4, 80),
        (V, HEVC, b"\x96\x11hvc1\0\0\0\x05\0\0\x50ab\x01\0\0\x05\0\0\0cd", 13, 2, 80),
        (V, HEVC, b"\x97\x02\0\0\x01\x03hvc1data", 10, 4, 0),
        (V, HEVC, b"\x1c\x01\0\0\x28data", 5, 4, 40),
        (V, AV1, b"\x91av01\x12\0\x0a", 5, 3, 0),
        (V, VP9, b"\x91vp09frame", 5, 5, 0),
        (A, OPUS, b"\x91Opusab", 5, 2, 0),
        (A, FLAC, b"\x95\x01fLaC\0ab", 7, 2, 0),
        (A, AAC, b"\x91mp4aab", 5, 2, 0),
    ];
    for (kind, sequence_header, payload, start, length, composition_time) in cases {
        let mut pair = Pair::new(&[(MessageKind::DATA, METADATA), (kind, sequence_header)]);
        let fragment = pair.fragment(kind, 0, payload);
        assert_eq!((fragment.start, fragment.length), (start, length), "{payload:?}");
        assert_eq!(fragment.composition_time, composition_time, "{payload:?}");
    }
}

#[test]
fn messages_without_a_frame_are_skipped() {
    let mut pair = Pair::new(&[(MessageKind::DATA, METADATA), (V, HEVC), (A, AAC)]);
    for (kind, payload) in [
        (V, &b"\x17\x02\0\0\0"[..]),
        (V, b"\x17\x01\0\0\0"),
        (V, b"\x57\0"),
        (V, b"\x57\x01\0\0\0x"),
        (V, b"\x92hvc1"),
        (V, b"\x94hvc1\x02"),
        (V, b"\xd4hvc1\x02"),
        (V, b"\x91hvc1\0\0"),
        (V, b"\x93hvc1"),
        (V, b"\x9fhvc1x"),
        (V, b""),
        (V, b"\x96\x71hvc1\0x"),
        (A, b"\xaf\x01"),
        (A, b"\xaf\x02x"),
        (A, b"\x92mp4a"),
        (A, b"\x94mp4a\x01\x02"),
        (A, b""),
        (MessageKind::DATA, METADATA),
        (MessageKind::COMMAND, b"\x17\x01\0\0\0x"),
    ] {
        assert_eq!(pair.skip(kind, payload), Skip::NoFrame, "{payload:?}");
    }
    assert_eq!(pair.skip(V, b"\x96\x01hvc1\x01\0\0\0x"), Skip::OtherTrack);
    assert_eq!(pair.skip(V, b"\x12\x01\0\0\0x"), Skip::Codec);
    assert_eq!(pair.skip(A, b"\x2fx"), Skip::Codec);
    assert_eq!(pair.inits, 0);
    assert_eq!(Pair::new(&[(V, AVC)]).skip(A, RAW), Skip::NoConfiguration);
}

#[test]
fn a_codec_that_is_not_supported_leaves_the_other_track() {
    let mut pair = Pair::new(&[(V, b"\x90vp08x"), (A, AAC)]);
    assert_eq!(pair.skip(V, b"\x91vp08x"), Skip::NotCurrent);
    assert_eq!((pair.muxer.has_begun(), pair.inits), (true, 1), "that of audio");
    pair.fragment(A, 0, RAW);
    assert_eq!((pair.skip(V, b"\x91vp08x"), pair.inits), (Skip::NotCurrent, 1));
    let mut pair = Pair::new(&[(V, b"\x90vp08x")]);
    assert_eq!(pair.skip(V, b"\x91vp08x"), Skip::NotCurrent);
    assert_eq!((pair.muxer.has_begun(), pair.inits), (false, 0));
}

#[test]
fn metadata_may_arrive_after_the_first_frames() {
    let mut pair = Pair::new(&[(V, VP9)]);
    const FRAME: &[u8] = b"\x91vp09frame";
    assert_eq!((pair.skip(V, FRAME), pair.skip(V, FRAME)), (Skip::NotCurrent, Skip::NotCurrent));
    pair.cached.push((MessageKind::DATA, METADATA));
    assert_eq!(pair.skip(MessageKind::DATA, METADATA), Skip::NoFrame);
    pair.fragment(V, 40, FRAME);
    assert_eq!(pair.inits, 1);
}

#[test]
fn item_331_a_frame_is_written_only_after_its_own_configuration() {
    const OTHER: &[u8] = b"\xaf\0\x12\x10";
    let mut pair = Pair::new(&[(V, AVC), (A, AAC)]);
    pair.fragment(V, 0, KEY);
    pair.fragment(A, 0, RAW);
    // The ring has a newer configuration already. What the viewer gets still has the one before.
    pair.cached[1].1 = OTHER;
    pair.fragment(A, 23, RAW);
    assert_eq!(pair.inits, 1);
    let stale = Configuration::new(pair.cached.iter().copied());
    assert!(!pair.muxer.is_configured_as(&stale));
    assert_eq!(pair.skip(A, OTHER), Skip::NoFrame);
    // The video is unchanged, and needs no other initialization segment.
    pair.fragment(V, 40, KEY);
    assert_eq!(pair.inits, 1);
    let raw = pair.fragment(A, 46, RAW);
    assert_eq!((pair.inits, raw.time), (2, 46));
    pair.fragment(V, 80, KEY);
    assert_eq!(pair.inits, 2);

    // If the ring has yet another one, frames are skipped until that arrives.
    assert_eq!(pair.skip(A, AAC), Skip::NoFrame);
    assert_eq!(pair.skip(A, RAW), Skip::NotCurrent);
    pair.fragment(V, 120, KEY);
    assert_eq!(pair.skip(A, OTHER), Skip::NoFrame);
    pair.fragment(A, 120, RAW);
    assert_eq!(pair.inits, 2);
}

#[test]
fn a_track_that_begins_later_changes_the_configuration() {
    let mut pair = Pair::new(&[(V, AVC)]);
    pair.fragment(V, 0, KEY);
    assert_eq!(pair.skip(A, RAW), Skip::NoConfiguration);
    pair.cached.push((A, AAC));
    assert_eq!(pair.skip(A, AAC), Skip::NoFrame);
    pair.fragment(V, 40, KEY);
    assert_eq!(pair.inits, 1);
    pair.fragment(A, 60, RAW);
    assert_eq!(pair.inits, 2);
}

#[test]
fn audio_before_the_first_frame_is_skipped() {
    let mut pair = Pair::new(&[(V, AVC), (A, AAC)]);
    pair.fragment(V, 500, KEY);
    assert_eq!(pair.pass(A, 490, RAW), Step::Skip(Skip::BeforeStart));
    assert_eq!(pair.fragment(A, 513, RAW).time, 13);
}

/// The steps of a message whose bytes arrive one by one, in one part or around the end of a ring.
fn arriving(muxer: &mut Muxer, kind: MessageKind, payload: &[u8], split: usize) -> (usize, Step) {
    let header = header(kind, 40, payload);
    for arrived in 0..=payload.len() {
        let (one, other) = payload[..arrived].split_at(split.min(arrived));
        if let Some(step) = muxer.begin(&header, [one, other]) {
            return (arrived, step);
        }
    }
    panic!("a complete message has a step");
}

#[test]
fn item_333_a_message_begins_as_soon_as_its_header_has_arrived() {
    let long = [&b"\x97\x11"[..], &[0; 18], b"\x13hvc1data"].concat();
    let modified = [&b"\x97\x40"[..], &[0; 65], b"\x13hvc1data"].concat();
    let configured = {
        let mut pair = Pair::new(&[(V, HEVC), (A, AAC)]);
        pair.fragment(V, 0, b"\x91hvc1\0\0\0x");
        pair.fragment(A, 0, RAW);
        pair.muxer
    };
    for (kind, payload, enough) in [
        (V, &b"\x91hvc1\0\0\x50data and more"[..], 9),
        (V, b"\x93hvc1data", 6),
        (V, b"\x1c\x01\0\0\x28data", 5),
        // It may be disposable, which the header of the NAL unit says.
        (V, b"\x27\x01\0\0\x28\0\0\0\x02\x01\x88", 10),
        (V, b"\x27\x01\0\0\x28\0", 6),
        (A, b"\xaf\x01\x21\x4c", 2),
        (V, &long, 26),
        // The header is longer than what is looked at.
        (V, &modified, FrameClass::PREFIX),
        // A configuration must be complete.
        (V, HEVC, HEVC.len()),
        (A, AAC, AAC.len()),
    ] {
        for split in 0..payload.len() {
            let mut muxer = configured.clone();
            let (arrived, step) = arriving(&mut muxer, kind, payload, split);
            assert_eq!(arrived, enough, "{payload:?}");
            let mut whole = configured.clone();
            assert_eq!(whole.begin(&header(kind, 40, payload), [payload, &[]]), Some(step));
            let next = |muxer: &mut Muxer| muxer.begin(&header(V, 80, KEY), [KEY, &[]]);
            assert_eq!(next(&mut muxer), next(&mut whole));
        }
    }
}

proptest! {
    /// Whatever the messages are, a fragment is inside of its message, and its step does not depend on how much has
    /// arrived.
    #[test]
    fn any_message_is_skipped_or_has_its_fragment(
        payloads: Vec<(bool, u8, Vec<u8>)>,
        timestamps: Vec<u32>,
    ) {
        const STARTS: [&[u8]; 8] =
            [b"", b"\x17\x01", b"\x27\x01\0\0", b"\x91hvc1", b"\x96\x01hvc1\0", b"\xaf\x01", b"\x91mp4a", b"\x97\x02"];
        let mut pair = Pair::new(&[(V, HEVC), (A, AAC)]);
        for ((is_audio, start, rest), at) in payloads.into_iter().zip(timestamps) {
            let payload = [STARTS[usize::from(start) % STARTS.len()], &rest].concat();
            let kind = if is_audio { A } else { V };
            let prefix = &payload[..payload.len().min(FrameClass::PREFIX)];
            let header = header(kind, at, &payload);
            let early = pair.muxer.clone().begin(&header, [prefix, &[]]);
            let step = pair.pass(kind, at, &payload);
            if let Step::Fragment(fragment) = step {
                prop_assert!(fragment.length > 0 && fragment.start + fragment.length <= header.length);
                prop_assert!(early.is_some_and(|early| early == step || early == Step::Init));
            }
        }
    }
}
