//! Sequence parameter sets: of x264, and made bit by bit.

use std::vec::Vec;

use proptest::prelude::*;

use super::config::{SPS, hex};
use crate::media::avc::{AvcConfigError, Sps, sequence_header};

#[test]
fn sizes_and_formats_are_those_that_x264_was_given() {
    for (unit, (profile, constraints, level), chroma_format, depth, size) in [
        (SPS[0], (66, 0xC0, 30), 1, 8, (640, 480)),
        (SPS[1], (77, 0x40, 40), 1, 8, (1920, 1080)),
        (SPS[2], (100, 0, 13), 1, 8, (322, 182)),
        (SPS[3], (100, 0, 40), 1, 8, (1920, 1080)),
        (SPS[4], (110, 0, 30), 1, 10, (854, 480)),
        (SPS[5], (122, 0, 30), 2, 10, (642, 362)),
        (SPS[6], (244, 0, 13), 3, 8, (321, 181)),
        (SPS[7], (100, 0, 12), 0, 8, (318, 178)),
    ] {
        let (width, height) = size;
        let (luma_depth, chroma_depth) = (depth, depth);
        let expected = Sps { profile, constraints, level, chroma_format, luma_depth, chroma_depth, width, height };
        assert_eq!(Sps::parse(&hex(unit)), Some(expected), "{unit}");
    }
}

#[test]
fn item_110_the_shortest_parameter_sets_are_parsed() {
    // Baseline, 128×96. Three bytes follow the level.
    let unit = hex("6742000af841a2");
    assert_eq!(Sps::parse(&unit).map(|sps| (sps.profile, sps.level, sps.width, sps.height)), Some((66, 10, 128, 96)));
    let mut buffer = [0; 64];
    assert_eq!(sequence_header(&[&unit], &[&[0x68, 0xCE]], &mut buffer).map(<[u8]>::len), Ok(25));
    // The id of the parameter set is missing.
    assert_eq!(sequence_header(&[&unit[..4]], &[&[0x68, 0xCE]], &mut buffer), Err(AvcConfigError::Sps));
    // High: the bit depth of chroma is missing.
    let high = [0x67, 100, 0, 10, 0b1010_0011];
    assert_eq!(sequence_header(&[&high], &[&[0x68, 0xCE]], &mut buffer), Err(AvcConfigError::Sps));
}

/// Writes bits, and Exp-Golomb codes.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn number(&mut self, count: u32, number: u32) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| number >> bit & 1 == 1));
        self
    }

    fn codes(&mut self, numbers: &[u32]) -> &mut Self {
        for number in numbers {
            let bits = (number + 1).ilog2();
            self.number(bits, 0).number(bits + 1, number + 1);
        }
        self
    }

    /// The NAL unit, with its stop bit and with emulation prevention.
    fn unit(&mut self) -> Vec<u8> {
        self.number(1, 1);
        let bytes = self
            .0
            .chunks(8)
            .map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit)) << (8 - bits.len()));
        let (mut unit, mut zeros) = (Vec::new(), 0);
        for byte in bytes {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

/// A sequence parameter set of `profile` up to its id.
fn begin(profile: u32) -> Bits {
    let mut bits = Bits::default();
    bits.number(8, 0x67).number(8, profile).number(8, 0).number(8, 30).codes(&[0]);
    bits
}

#[test]
fn scaling_lists_and_picture_order_are_skipped() {
    let mut bits = begin(100);
    // 4:4:4 in separate planes, 9 and 14 bits, a scaling matrix of 12 lists.
    bits.codes(&[3]).number(1, 1).codes(&[1, 6]).number(1, 0).number(1, 1);
    // The first ends at once (a step of -8, which is code 16), the second is flat, the third is not there; of the large
    // ones, one goes through all its values.
    bits.number(1, 1).codes(&[16]).number(1, 1).codes(&[0; 16]).number(4, 0);
    bits.number(1, 1).codes(&[1, 2].repeat(32)).number(5, 0);
    // Frame numbers; picture order of type 1 with three offsets; references.
    bits.codes(&[0, 1]).number(1, 0).codes(&[5, 6, 3, 1, 2, 3]).codes(&[4]).number(1, 0);
    // 20 by 6 macroblocks, fields, cropped by 1, 2 and by 3, 4 in steps of one pixel and of two.
    bits.codes(&[19, 5]).number(1, 0).number(1, 0).number(1, 1).number(1, 1).codes(&[1, 2, 3, 4]).number(1, 0);
    let sps = Sps::parse(&bits.unit()).unwrap();
    assert_eq!((sps.width, sps.height), (320 - 3, 2 * 96 - 14));
    assert_eq!((sps.chroma_format, sps.luma_depth, sps.chroma_depth), (3, 9, 14));
}

/// A Baseline set with these sizes in macroblocks less one, cropped by these edges.
fn baseline(columns: u32, rows: u32, crop: [u32; 4]) -> Vec<u8> {
    let mut bits = begin(66);
    bits.codes(&[0, 2, 1]).number(1, 0).codes(&[columns, rows]).number(1, 1).number(1, 1);
    bits.number(1, 1).codes(&crop).number(1, 0);
    bits.unit()
}

#[test]
fn impossible_sizes_are_none() {
    let size = |unit: Vec<u8>| Sps::parse(&unit).map(|sps| (sps.width, sps.height));
    assert_eq!(size(baseline(19, 14, [0; 4])), Some((320, 240)));
    assert_eq!(size(baseline(19, 14, [159, 0, 0, 0])), Some((2, 240)));
    assert_eq!(size(baseline(19, 14, [160, 0, 0, 0])), None, "cropped to nothing");
    assert_eq!(size(baseline(19, 14, [0, 0, 100, 21])), None, "cropped to less than nothing");
    assert_eq!(size(baseline(0x0FFF_FFFF, 14, [0; 4])), None, "wider than 32 bits");
    assert_eq!(size(baseline(19, 14, [0x8000_0000, 0, 0, 0])), None, "cropped by more than 32 bits");
}

#[test]
fn reserved_values_are_none() {
    // A chroma format, a depth and a type of picture order beyond the last one, and more offsets than there may be.
    for codes in [&[4, 0, 0][..], &[1, 7, 0], &[1, 0, 7]] {
        assert_eq!(Sps::parse(&begin(100).codes(codes).number(32, u32::MAX).unit()), None);
    }
    assert_eq!(Sps::parse(&begin(66).codes(&[0, 3]).number(32, u32::MAX).unit()), None);
    assert_eq!(
        Sps::parse(&begin(66).codes(&[0, 1]).number(1, 0).codes(&[0, 0, 256]).number(32, u32::MAX).unit()),
        None
    );
    let mut other = hex(SPS[0]);
    other[0] = 0x68;
    assert_eq!(Sps::parse(&other), None, "another type of unit");
}

#[test]
fn a_truncated_set_is_none() {
    // The size is known before the rest, so only so many bytes are needed.
    for (unit, needed) in [(baseline(119, 67, [0, 0, 0, 4]), 10), (hex(SPS[2]), 11)] {
        for length in 0..=unit.len() {
            assert_eq!(Sps::parse(&unit[..length]).is_some(), length >= needed, "{length} bytes");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(mut bytes: Vec<u8>) {
        if let Some(first) = bytes.first_mut() {
            *first = 0x67;
        }
        if let Some(sps) = Sps::parse(&bytes) {
            prop_assert!(sps.width > 0 && sps.height > 0 && sps.chroma_format <= 3);
            prop_assert!((8..=14).contains(&sps.luma_depth) && (8..=14).contains(&sps.chroma_depth));
        }
    }

    #[test]
    fn sizes_are_read_back(columns in 0..2000_u32, rows in 0..2000_u32, crop: [u8; 4]) {
        let [left, right, top, bottom] = crop.map(u32::from);
        let unit = baseline(columns, rows, [left, right, top, bottom]);
        let (width, height) = ((columns + 1) * 16, (rows + 1) * 16);
        let expected = (width.saturating_sub(2 * (left + right)), height.saturating_sub(2 * (top + bottom)));
        let found = Sps::parse(&unit).map(|sps| (sps.width, sps.height));
        prop_assert_eq!(found, Some(expected).filter(|(width, height)| *width > 0 && *height > 0));
    }
}
