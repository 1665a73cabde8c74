//! The boxes that are written, and the names of codecs.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::{Configuration, Fragment, NoTrack};
use super::*;
use crate::message::FourCc;

/// The length of what a box has before the boxes inside of it, if it has any.
fn fields(kind: &[u8]) -> Option<usize> {
    Some(match kind {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"mvex" | b"moof" | b"traf" => 0,
        b"stsd" | b"dref" => 8,
        b"avc1" | b"hvc1" | b"av01" | b"vp09" => 78,
        b"mp4a" | b"Opus" | b"fLaC" => 28,
        _ => return None,
    })
}

/// The path and the content of every box without boxes inside. Checks that the sizes of all boxes are exact.
fn boxes(bytes: &[u8]) -> Vec<(String, &[u8])> {
    let (mut found, mut open) = (Vec::new(), std::vec![(String::new(), bytes)]);
    while let Some((path, bytes)) = open.pop() {
        if bytes.is_empty() {
            continue;
        }
        let (header, rest) = bytes.split_at(8);
        let size = u32::from_be_bytes(header[..4].try_into().unwrap()) as usize;
        let (content, rest) = rest.split_at(size - 8);
        open.push((path.clone(), rest));
        let inner = path + str::from_utf8(&header[4..]).unwrap();
        match fields(&header[4..]) {
            Some(fields) => open.push((inner + "/", &content[fields..])),
            None => found.push((inner, content)),
        }
    }
    found
}

/// The content of the box with this path, of which there is one.
fn one<'b>(segment: &'b [u8], path: &str) -> &'b [u8] {
    let found: Vec<_> = boxes(segment).into_iter().filter(|(name, _)| name == path).collect();
    assert_eq!(found.len(), 1, "{path}");
    found[0].1
}

const ENTRY: &str = "moov/trak/mdia/minf/stbl/stsd/";

fn entry<'b>(segment: &'b [u8], path: &str) -> &'b [u8] {
    one(segment, &(String::from(ENTRY) + path))
}

#[test]
fn two_tracks_are_described() {
    let configuration = Configuration::new([(V, AVC), (A, AAC)]);
    let segment = written(&configuration);
    let paths: Vec<_> = boxes(&segment).into_iter().map(|(path, _)| path).collect();
    let track = |header: &str, entry: &str| {
        ["tkhd", "mdia/mdhd", "mdia/hdlr", header, "mdia/minf/dinf/dref/url ", entry]
            .map(|path| String::from("moov/trak/") + path)
    };
    let expected: Vec<String> = [String::from("ftyp"), "moov/mvhd".into()]
        .into_iter()
        .chain(track("mdia/minf/vmhd", "mdia/minf/stbl/stsd/avc1/avcC"))
        .chain(["stts", "stsc", "stco", "stsz"].map(|table| String::from("moov/trak/mdia/minf/stbl/") + table))
        .chain(track("mdia/minf/smhd", "mdia/minf/stbl/stsd/mp4a/esds"))
        .chain(["stts", "stsc", "stco", "stsz"].map(|table| String::from("moov/trak/mdia/minf/stbl/") + table))
        .chain([String::from("moov/mvex/trex"), "moov/mvex/trex".into()])
        .collect();
    assert_eq!(paths, expected);
    assert_eq!(one(&segment, "ftyp"), b"iso6\0\0\0\0iso6mp41");
    let headers: Vec<_> = boxes(&segment).into_iter().filter(|(path, _)| path == "moov/trak/tkhd").collect();
    // The track id, and the size of the pictures in 16.16.
    assert_eq!(
        (&headers[0].1[..16], &headers[0].1[76..]),
        (&[0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0, 160, 0, 0, 0, 90, 0, 0][..])
    );
    assert_eq!((headers[1].1[15], &headers[1].1[76..]), (2, &[0; 8][..]));
    assert_eq!((configuration.video(), configuration.audio()), (Ok(FourCc::AVC), Ok(FourCc::AAC)));
}

#[test]
fn item_330_each_codec_has_the_box_of_its_specification() {
    let video = |header| written(&Configuration::new([(V, header), (MessageKind::DATA, METADATA)]));
    let audio = |header| written(&Configuration::new([(A, header)]));
    assert_eq!(entry(&video(AVC), "avc1/avcC"), &AVC[5..]);
    assert_eq!(entry(&video(HEVC), "hvc1/hvcC"), &HEVC[5..]);
    assert_eq!(entry(&video(AV1), "av01/av1C"), &AV1[5..]);
    assert_eq!(one(&video(AV1), "ftyp"), b"iso6\0\0\0\0iso6mp41av01");
    assert_eq!(entry(&video(VP9), "vp09/vpcC"), &VP9[5..]);
    // The same without the version and the flags of the box.
    assert_eq!(entry(&video(&[b"\x90vp09", &VP9[9..]].concat()), "vp09/vpcC"), &VP9[5..]);
    assert_eq!(
        entry(&audio(AAC), "mp4a/esds"),
        b"\0\0\0\0\x03\x80\x80\x80\x25\0\0\0\x04\x80\x80\x80\x17\x40\x15\0\0\0\
        \0\0\0\0\0\0\0\0\x05\x80\x80\x80\x05\x11\x90\x56\xe5\0\x06\x80\x80\x80\x01\x02"
    );
    assert_eq!(entry(&audio(OPUS), "Opus/dOps"), b"\0\x02\x01\x38\0\0\xbb\x80\0\0\0");
    let surround = [&OPUS[..14], b"\x06", &OPUS[15..23], b"\x01\x04\x02\0\x04\x01\x02\x03\x05"].concat();
    assert_eq!(
        entry(&audio(&surround), "Opus/dOps"),
        b"\0\x06\x01\x38\0\0\xbb\x80\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05"
    );
    let flac = [b"\0\0\0\0\x80\0\0\x22", &FLAC[5..]].concat();
    assert_eq!(entry(&audio(FLAC), "fLaC/dfLa"), flac);
    let in_a_file = [b"\x90fLaCfLaC\0\0\0\x22", &FLAC[5..], b"more"].concat();
    assert_eq!(entry(&audio(&in_a_file), "fLaC/dfLa"), flac);
}

/// The size of the pictures, or the channels, the bits of a sample and the rate, in the sample entry.
fn format(segment: &[u8]) -> Vec<u16> {
    let at = segment.windows(4).position(|four| four == b"stsd").unwrap() + 12;
    let numbers: Vec<_> = segment[at + 8..].chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect();
    match segment.windows(4).any(|four| four == b"vide") {
        true => numbers[12..14].to_vec(),
        false => [8, 9, 12, 13].map(|place| numbers[place]).to_vec(),
    }
}

#[test]
fn sizes_rates_and_channels_are_those_of_the_sequence_headers() {
    let of =
        |kind, header: &[u8]| format(&written(&Configuration::new([(kind, header), (MessageKind::DATA, METADATA)])));
    for header in [AVC, HEVC, AV1] {
        assert_eq!(of(V, header), [160, 90]);
    }
    // Without parameter sets, and for a codec that has none, the size is that of the metadata.
    let without = b"\x17\0\0\0\0\x01\x64\0\x0b\xff\xe0\0";
    for header in [VP9, without] {
        assert_eq!(of(V, header), [320, 180]);
        let unknown = Configuration::new([(V, header)]).video();
        assert!(matches!(unknown, Err(NoTrack::NoSize(FourCc::VP9 | FourCc::AVC))));
    }
    assert_eq!(of(A, AAC), [2, 16, 48_000, 0]);
    assert_eq!(of(A, b"\xaf\0\x12\x08"), [1, 16, 44_100, 0]);
    assert_eq!(of(A, OPUS), [2, 16, 48_000, 0]);
    assert_eq!(of(A, FLAC), [1, 16, 48_000, 0]);
    // 24 bits, stereo, at 192 kHz, which the field cannot have.
    let high = [&FLAC[..15], b"\x2e\xe0\x03\x70", &FLAC[19..]].concat();
    assert_eq!(of(A, &high), [2, 24, 48_000, 0]);
}

#[test]
fn item_330_a_track_that_cannot_be_written_is_left_out_and_reported() {
    use NoTrack::*;
    let tracks = |video: &[u8], audio: &[u8]| {
        let configuration = Configuration::new([(V, video), (A, audio)]);
        let paths = boxes(&written(&configuration)).len();
        (configuration.video(), configuration.audio(), paths)
    };
    assert_eq!(tracks(b"", b""), (Err(NoConfiguration), Err(NoConfiguration), 2));
    assert_eq!(tracks(b"\x90vp08x", b"\x90.mp3"), (Err(Codec(FourCc::VP8)), Err(NoConfiguration), 2));
    assert_eq!(tracks(AVC, b"\x90ac-3x"), (Ok(FourCc::AVC), Err(Codec(FourCc::AC3)), 13));
    let invalid: [(&[u8], FourCc, &[u8], FourCc); 5] = [
        (b"\x17\0\0\0\0\x01\x64", FourCc::AVC, b"\xaf\0\xff", FourCc::AAC),
        (b"\x90avc1\0", FourCc::AVC, b"\x90mp4a\0", FourCc::AAC),
        (b"\x90hvc1\x01\x02", FourCc::HEVC, b"\x90OpusOpusTags\0", FourCc::OPUS),
        (b"\x90av01\x01\0\x0c\0", FourCc::AV1, b"\x90OpusOpusHead\x01", FourCc::OPUS),
        (b"\x90vp09\x01\0\0\0\0", FourCc::VP9, &FLAC[..38], FourCc::FLAC),
    ];
    for (video, video_codec, audio, audio_codec) in invalid {
        assert_eq!(tracks(video, audio), (Err(Invalid(video_codec)), Err(Invalid(audio_codec)), 2));
    }
    // Frames, other tracks, and messages without a body configure nothing.
    for other in [&b"\x17\x01\0\0\0x"[..], b"\x96\0hvc1\x01x", b"\x90hvc1", b"\x94hvc1\x02", b"\x17\0\0\0\0"] {
        assert_eq!(Configuration::new([(V, AVC), (V, other)]).video(), Ok(FourCc::AVC), "{other:?}");
    }
    // With a track number, the configuration is that of track 0.
    let numbered = [b"\x96\0hvc1\0", &HEVC[5..]].concat();
    assert_eq!(Configuration::new([(V, &numbered[..])]).video(), Ok(FourCc::HEVC));
}

#[test]
fn item_330_codecs_have_the_names_that_browsers_know() {
    let of = |messages: &[(MessageKind, &[u8])]| {
        let metadata = [(MessageKind::DATA, METADATA)];
        String::from(Configuration::new(messages.iter().chain(&metadata).copied()).codecs().as_str())
    };
    assert_eq!(of(&[]), "");
    assert_eq!(of(&[(A, AAC), (V, AVC)]), "avc1.64000b,mp4a.40.2");
    assert_eq!(of(&[(V, HEVC), (A, OPUS)]), "hvc1.1.6.L30.90,opus");
    assert_eq!(of(&[(V, AV1), (A, FLAC)]), "av01.0.00M.08,flac");
    assert_eq!(of(&[(V, VP9)]), "vp09.00.10.08");
    let hevc = |start: &[u8; 13]| of(&[(V, &[b"\x90hvc1", &start[..], &HEVC[18..]].concat())]);
    assert_eq!(hevc(b"\x01\x02\x20\0\0\0\xb0\0\0\0\0\0\x99"), "hvc1.2.4.L153.b0");
    assert_eq!(hevc(b"\x01\x64\x08\0\0\0\x9d\x08\0\0\0\x01\x7b"), "hvc1.A4.10.H123.9d.08.00.00.00.01");
    assert_eq!(hevc(b"\x01\xdf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").len(), 40);
    assert_eq!(hevc(b"\x01\x01\0\0\0\0\0\0\0\0\0\0\x1e"), "hvc1.1.0.L30");
    let av1 = |profile: u8, flags: u8| of(&[(V, &[b"\x90av01\x81", &[profile, flags][..], &AV1[8..]].concat())]);
    assert_eq!(
        (av1(0x04, 0x0c), av1(0x2d, 0xcc), av1(0x5f, 0x6c)),
        ("av01.0.04M.08".into(), "av01.1.13H.10".into(), "av01.2.31M.12".into())
    );
    assert_eq!(of(&[(V, b"\x90vp09\x02\x1e\xa2\x01\x01\x01\0\0")]), "vp09.02.30.10");
    let aac = |config: &[u8]| of(&[(A, &[b"\xaf\0", config].concat())]);
    assert_eq!(
        (aac(b"\x0a\x10"), aac(b"\x2b\x11\x88"), aac(b"\xeb\x09\x88")),
        ("mp4a.40.1".into(), "mp4a.40.5".into(), "mp4a.40.29".into())
    );
}

#[test]
fn item_332_the_first_frame_of_flac_without_a_block_size_is_1_ms_long() {
    let unknown = [&FLAC[..5], &[0; 4], &FLAC[9..]].concat();
    assert_eq!(Configuration::new([(V, HEVC), (A, &unknown[..])]).durations(), [33, 1]);
}

#[test]
fn item_333_the_initialization_segment_is_the_same_through_every_window() {
    let configuration = Configuration::new([(V, HEVC), (A, FLAC)]);
    let whole = written(&configuration);
    for offset in 0..=whole.len() {
        for room in [0, 1, 7, whole.len() - offset, whole.len()] {
            let mut out = std::vec![0xEE; room];
            let length = configuration.write(offset as u32, &mut out);
            assert_eq!(length, room.min(whole.len() - offset));
            assert_eq!(out[..length], whole[offset..offset + length]);
        }
    }
    assert_eq!(configuration.write(u32::MAX, &mut [0; 8]), 0);
}

const FRAGMENT: Fragment = Fragment {
    start: 5,
    length: 0x01_0203,
    is_keyframe: false,
    time: 0x1_2345_6789,
    duration: 40,
    composition_time: -2,
    track: 1,
    sequence: 7,
    is_disposable: false,
};

#[test]
fn item_333_a_head_has_one_sample_and_is_the_same_through_every_window() {
    let mut head = [0; 200];
    assert_eq!(FRAGMENT.write_head(0, &mut head), Fragment::HEAD as usize);
    let head = &head[..Fragment::HEAD as usize];
    assert_eq!(FRAGMENT.total(), 112 + 0x01_0203);
    let (moof, mdat) = head.split_at(104);
    assert_eq!(mdat, b"\0\x01\x02\x0bmdat");
    let found = boxes(moof);
    let expected: [(&str, &[u8]); 4] = [
        ("moof/mfhd", b"\0\0\0\0\0\0\0\x07"),
        ("moof/traf/tfhd", b"\0\x02\0\0\0\0\0\x02"),
        ("moof/traf/tfdt", b"\x01\0\0\0\0\0\0\x01\x23\x45\x67\x89"),
        ("moof/traf/trun", b"\x01\0\x0f\x01\0\0\0\x01\0\0\0\x70\0\0\0\x28\0\x01\x02\x03\x01\x01\0\0\xff\xff\xff\xfe"),
    ];
    assert!(found.iter().map(|(path, content)| (path.as_str(), *content)).eq(expected), "{found:?}");
    for offset in 0..=head.len() {
        for room in 0..=head.len() {
            let mut out = std::vec![0xEE; room];
            let length = FRAGMENT.write_head(offset as u32, &mut out);
            assert_eq!(out[..length], head[offset..(offset + room).min(head.len())]);
        }
    }
}

#[test]
fn the_flags_of_a_sample_are_those_of_its_picture() {
    let flags = |is_keyframe, is_disposable| {
        let mut head = [0; Fragment::HEAD as usize];
        Fragment { is_keyframe, is_disposable, ..FRAGMENT }.write_head(0, &mut head);
        u32::from_be_bytes(head[96..100].try_into().unwrap())
    };
    assert_eq!(flags(true, false), 0x0200_0000);
    assert_eq!((flags(false, false), flags(false, true)), (0x0101_0000, 0x0181_0000));
}

proptest! {
    /// Whatever the sequence headers are, all boxes are closed, and what the text says is short.
    #[test]
    fn any_sequence_header_is_written_or_refused(
        video: Vec<u8>,
        audio: Vec<u8>,
        codec in 0_usize..7,
        cut in 0_usize..60,
        change: (prop::sample::Index, u8),
    ) {
        let all = [AVC, HEVC, AV1, VP9, AAC, OPUS, FLAC];
        let mut header = all[codec].to_vec();
        header.truncate(header.len().saturating_sub(cut).max(5));
        let at = change.0.index(header.len());
        header[at] = change.1;
        let random = [b"\x90hvc1", &video[..]].concat();
        for messages in [[(V, &header[..]), (A, &audio)], [(V, &random), (A, &header)], [(V, &video), (A, &audio)]] {
            let configuration = Configuration::new(messages);
            boxes(&written(&configuration));
            prop_assert!(configuration.codecs().as_str().len() <= 64);
        }
    }
}
