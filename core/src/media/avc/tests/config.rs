//! Sequence headers are byte for byte those that FFmpeg makes of the same parameter sets.

use std::string::ToString;
use std::vec::Vec;

use crate::media::avc::*;
use crate::media::video;

/// Baseline, Main, High, High with fields, High 10, High 4:2:2, High 4:4:4, High in monochrome; by x264.
pub(super) const SPS: [&str; 8] = [
    "6742c01ed900a03db011000003000100000300320f162e48",
    "674d4028eca03c0113f2e022000003000200000300641e30632c",
    "6764000dacd941519e226c0440000003004000000c83c50a6580",
    "67640028acd94078044fde0220000003002000000643e2c5b2c0",
    "676e001ea6cd940d83de6f011000000300100000030320f162d960",
    "677a001eb6cd940a42fe227c0440000003004000000c83c58b6580",
    "67f4000d919b282a33c2119808800000030080000019078a14cb",
    "6764000cf36505067b8fc05b20000003002000000641e28532c0",
];
const PPS: [&str; 8] = [
    "68cb83cb20",
    "68ebe3cb20",
    "68ebe3cb3002c0",
    "68fba3cb22c0",
    "68ebe3cb22c0",
    "68ebe3cb22c0",
    "68ebe3c44844",
    "68ebe3cb22c0",
];
/// The bytes that FFmpeg appends to the parameter sets.
const EXTENSIONS: [&str; 8] = ["", "", "fdf8f800", "fdf8f800", "fdfafa00", "fefafa00", "fff8f800", "fcf8f800"];

pub(super) fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The sequence header for one set of each kind, and the record in it.
fn made(index: usize) -> Vec<u8> {
    let mut buffer = [0xEE; 64];
    sequence_header(&[&hex(SPS[index])], &[&hex(PPS[index])], &mut buffer).unwrap().to_vec()
}

#[test]
fn item_110_a_sequence_header_is_as_ffmpeg_makes_it() {
    for index in 0..SPS.len() {
        let (sps, pps) = (hex(SPS[index]), hex(PPS[index]));
        let expected = [
            &[0x17, 0, 0, 0, 0, 1, sps[1], sps[2], sps[3], 0xFF, 0xE1, 0, sps.len() as u8][..],
            &sps,
            &[1, 0, pps.len() as u8],
            &pps,
            &hex(EXTENSIONS[index]),
        ]
        .concat();
        assert_eq!(made(index), expected, "{index}");
        assert_eq!(sequence_header_size(&[&sps], &[&pps]), expected.len());
    }
}

#[test]
fn item_110_a_written_record_is_parsed() {
    for index in 0..SPS.len() {
        let payload = made(index);
        let (header, record) = video::VideoTagHeader::parse(&payload).unwrap();
        assert_eq!(header, video::VideoTagHeader::AVC_SEQUENCE_HEADER);
        let config = AvcConfig::parse(record).unwrap();
        assert!(config.sps().eq([&hex(SPS[index])[..]]) && config.pps().eq([&hex(PPS[index])[..]]));
        let sps = Sps::parse(config.sps().next().unwrap()).unwrap();
        assert_eq!((config.profile, config.constraints, config.level), (sps.profile, sps.constraints, sps.level));
        assert_eq!(config.length_size, 4);
    }
}

#[test]
fn several_sets_of_each_kind_are_written_and_read() {
    let (sps, pps) = (SPS.map(hex), PPS.map(hex));
    let sps: Vec<_> = sps.iter().map(Vec::as_slice).collect();
    let pps: Vec<_> = pps.iter().map(Vec::as_slice).cycle().take(255).collect();
    let mut buffer = [0; 4096];
    let payload = sequence_header(&sps, &pps, &mut buffer).unwrap();
    let config = AvcConfig::parse(&payload[5..]).unwrap();
    assert!(config.sps().eq(sps) && config.pps().eq(pps));
    assert!(config.sps().nth(8).is_none());
}

#[test]
fn item_110_an_invalid_configuration_is_refused() {
    let (sps, pps) = (hex(SPS[0]), hex(PPS[0]));
    let long = [&pps[..], &[1; 65_535]].concat();
    let mut buffer = std::vec![0; 100_000];
    let mut check = |sps: &[&[u8]], pps: &[&[u8]], error| {
        assert_eq!(sequence_header(sps, pps, &mut buffer), Err(error));
        assert!(!error.to_string().is_empty());
    };
    check(&[], &[&pps], AvcConfigError::Sps);
    check(&[&sps[..3]], &[&pps], AvcConfigError::Sps);
    check(&[&hex(SPS[3])[..4]], &[&pps], AvcConfigError::Sps);
    check(&[&pps], &[&pps], AvcConfigError::Sps);
    check(&[&sps, &pps], &[&pps], AvcConfigError::Sps);
    check(&[&sps], &[], AvcConfigError::Pps);
    check(&[&sps], &[&sps], AvcConfigError::Pps);
    check(&[&sps], &[&pps, &[]], AvcConfigError::Pps);
    check(&[&sps[..]; 32], &[&pps], AvcConfigError::TooMany);
    check(&[&sps], &[&pps[..]; 256], AvcConfigError::TooMany);
    check(&[&sps], &[&long], AvcConfigError::TooMany);
    let needed = sequence_header_size(&[&sps], &[&pps]);
    for length in 0..needed {
        let error = AvcConfigError::BufferFull { needed };
        assert_eq!(sequence_header(&[&sps], &[&pps], &mut buffer[..length]), Err(error));
    }
    assert!(sequence_header(&[&sps], &[&pps], &mut buffer[..needed]).is_ok());
}

/// Part B, MediaMTX: AVCC of 0 to 6 bytes, and one without parameter sets.
#[test]
fn item_110_a_record_that_is_cut_off_anywhere_is_an_error_and_one_without_sets_is_none() {
    for (index, extension) in EXTENSIONS.into_iter().enumerate() {
        let record = made(index).split_off(5);
        let sets = record.len() - hex(extension).len();
        for length in 0..sets {
            assert_eq!(AvcConfig::parse(&record[..length]).err(), Some(AvcConfigError::Truncated), "{length} bytes");
        }
        for length in sets..=record.len() {
            assert!(AvcConfig::parse(&record[..length]).is_ok(), "High's bytes may be missing");
        }
    }
    let empty = AvcConfig::parse(&[1, 66, 0, 30, 0xFF, 0xE0, 0]).unwrap();
    assert_eq!((empty.sps().next(), empty.pps().next()), (None, None));
    assert_eq!(AvcConfig::parse(&[0, 66, 0, 30, 0xFF, 0xE0, 0]).err(), Some(AvcConfigError::Version(0)));
    assert_eq!(AvcConfigError::Version(0).to_string(), "an AVC configuration of version 0");
    assert_eq!(AvcConfigError::Truncated.to_string(), "the AVC configuration is truncated");
}

/// Part B, MediaMTX: a picture before any sequence header.
#[test]
fn item_110_a_picture_without_a_sequence_header_is_read_up_to_its_end() {
    let payload = [0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0x88, 0, 0, 1, 0, 0x41];
    let (header, picture) = video::VideoTagHeader::parse(&payload).unwrap();
    let (frame, packet) = (video::FrameType::KEY, video::AvcPacket::NAL_UNITS);
    assert_eq!(header, video::VideoTagHeader::Avc { frame, packet, composition_time: 0 });
    let mut units = prefixed::Units::new(4, picture);
    assert!(units.by_ref().eq([[0x65, 0x88]]));
    assert_eq!(units.rest(), [0, 0, 1, 0, 0x41]);
}

#[test]
fn item_110_counts_and_lengths_in_a_record_reach_no_further_than_it() {
    for record in [
        &[1, 66, 0, 30, 0xFF, 0xFF][..],
        &[1, 66, 0, 30, 0xFF, 0xE1, 0xFF, 0xFF, 0x67, 0],
        &[1, 66, 0, 30, 0xFF, 0xE0, 0xFF, 0, 1, 0x68],
        &[1, 66, 0, 30, 0xFF, 0xE2, 0, 1, 0x67, 1],
    ] {
        assert_eq!(AvcConfig::parse(record).err(), Some(AvcConfigError::Truncated), "{record:02x?}");
    }
    // The reserved bits are ignored, and each size of length is accepted.
    for size in 0..4 {
        let record = [1, 66, 0, 30, size, 0, 0];
        let config = AvcConfig::parse(&record).unwrap();
        assert_eq!(config.length_size, usize::from(size) + 1);
    }
}
