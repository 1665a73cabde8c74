//! HEVC (H.265): the configuration record for a sequence header of [Enhanced RTMP](super::enhanced).
//!
//! The byte stream of an encoder has the same format as that of AVC: [`annex_b::Units`](super::avc::annex_b::Units)
//! finds the NAL units, and [`annex_b::to_length_prefixed`](super::avc::annex_b::to_length_prefixed) converts a picture
//! in place.
//!
//! ```
//! use embedded_rtmp::media::avc::annex_b::Units;
//! use embedded_rtmp::media::enhanced::{FourCc, HEADER_SIZE, TrackHeader};
//! use embedded_rtmp::media::hevc;
//! use embedded_rtmp::media::video::FrameType;
//! # fn write(_: &[u8]) {}
//! # fn configure(from_encoder: &[u8]) -> Result<(), hevc::HevcConfigError> {
//!
//! // A keyframe of the encoder, with its parameter sets.
//! let mut buffer = [0; 256];
//! let record = hevc::configuration_record(Units::new(from_encoder), &mut buffer)?;
//! let header = TrackHeader::video(FourCc::HEVC, FrameType::KEY, 0).configuration();
//! write(header.emit(&mut [0; HEADER_SIZE]));
//! write(record);
//! # Ok(())
//! # }
//! ```

use core::fmt;

use super::bits::Bits;
use crate::bytes::{Output, copy, low_u8};

/// The type of a NAL unit (ISO/IEC 23008-2, table 7-1), in six bits. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnitType(pub u8);

impl UnitType {
    /// A video parameter set.
    pub const VPS: UnitType = UnitType(32);
    /// A sequence parameter set.
    pub const SPS: UnitType = UnitType(33);
    /// A picture parameter set.
    pub const PPS: UnitType = UnitType(34);

    /// Returns the type of a NAL unit without start code or length, or `None` if its header is incomplete.
    pub const fn of(unit: &[u8]) -> Option<UnitType> {
        match unit {
            [first, _, ..] => Some(UnitType(*first >> 1 & 0x3F)),
            _ => None,
        }
    }

    /// Returns whether it is a slice of a picture with which decoding can begin: IDR, CRA or BLA.
    pub const fn is_random_access(self) -> bool {
        matches!(self.0, 16..=23)
    }
}

/// Returns whether decoding can begin with the picture that has these NAL units.
pub fn is_keyframe<'a>(units: impl IntoIterator<Item = &'a [u8]>) -> bool {
    units.into_iter().filter_map(UnitType::of).any(UnitType::is_random_access)
}

/// Why a configuration record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HevcConfigError {
    /// A parameter set of this type is missing.
    Missing(UnitType),
    /// The sequence parameter set cannot be parsed.
    Sps,
    /// A parameter set is longer than 65,535 bytes, or there are more than 65,535 of one type.
    TooLong,
    /// The buffer is too small.
    BufferFull {
        /// The number of bytes that the buffer must have.
        needed: usize,
    },
}

impl fmt::Display for HevcConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(UnitType(kind)) => write!(f, "no parameter set of HEVC type {kind}"),
            Self::Sps => f.write_str("the HEVC sequence parameter set cannot be parsed"),
            Self::TooLong => f.write_str("a parameter set of HEVC is longer than 65535 bytes"),
            Self::BufferFull { needed } => write!(f, "HEVC configuration buffer too small: {needed} bytes needed"),
        }
    }
}

impl core::error::Error for HevcConfigError {}

/// The properties of the pictures in a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sps {
    /// The profile, the tier, the compatibility flags, the constraint flags and the level, in the encoding of the
    /// parameter set.
    pub profile_tier_level: [u8; 12],
    /// The number of temporal layers: 1 to 7.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`: whether a decoder can switch to a higher temporal layer at any picture.
    pub is_nested: bool,
    /// `chroma_format_idc`: 0 is monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format: u8,
    /// The number of bits of a luma sample: 8 to 15.
    pub luma_depth: u8,
    /// The number of bits of a chroma sample: 8 to 15.
    pub chroma_depth: u8,
    /// The width of the pictures in pixels, after cropping.
    pub width: u32,
    /// The height of the pictures in pixels, after cropping.
    pub height: u32,
}

impl Sps {
    /// Parses a sequence parameter set: a NAL unit of type 33, without a start code (ISO/IEC 23008-2, 7.3.2.2).
    ///
    /// Returns `None` if the unit has another type, is truncated, or has values that the standard does not allow.
    /// Fields after the bit depths are not read.
    pub fn parse(unit: &[u8]) -> Option<Sps> {
        let (mut sps, has_separate_planes, [left, right, top, bottom]) = Self::read(unit)?;
        let horizontal = if matches!(sps.chroma_format, 1 | 2) && !has_separate_planes { 2_u32 } else { 1 };
        let vertical = if sps.chroma_format == 1 { 2_u32 } else { 1 };
        let (columns, rows) = (left.checked_add(right)?, top.checked_add(bottom)?);
        sps.width = sps.width.checked_sub(columns.checked_mul(horizontal)?)?;
        sps.height = sps.height.checked_sub(rows.checked_mul(vertical)?)?;
        Some(sps)
    }

    /// Reads the fields: the width and the height before cropping, whether the chroma planes are separate, and how many
    /// samples of chroma are cropped on each side.
    fn read(unit: &[u8]) -> Option<(Sps, bool, [u32; 4])> {
        if UnitType::of(unit)? != UnitType::SPS {
            return None;
        }
        let bits = &mut Bits::of_unit(unit, 16);
        let _vps = bits.number(4)?;
        let more_layers = bits.number(3).filter(|layers| *layers <= 6)?;
        let is_nested = bits.bit()?;
        let mut profile_tier_level = [0; 12];
        for byte in &mut profile_tier_level {
            *byte = low_u8(bits.number(8)? as usize);
        }
        skip_layers(more_layers, bits)?;
        let _id = bits.exp_golomb()?;
        let chroma_format = bits.exp_golomb_up_to(3)?;
        let has_separate_planes = chroma_format == 3 && bits.bit()?;
        let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let mut crop = [0; 4];
        if bits.bit()? {
            for side in &mut crop {
                *side = bits.exp_golomb()?;
            }
        }
        let [luma, chroma] = [bits.exp_golomb_up_to(7)?, bits.exp_golomb_up_to(7)?];
        let sps = Sps {
            profile_tier_level,
            temporal_layers: low_u8(more_layers as usize).wrapping_add(1),
            is_nested,
            chroma_format,
            luma_depth: luma.wrapping_add(8),
            chroma_depth: chroma.wrapping_add(8),
            width,
            height,
        };
        Some((sps, has_separate_planes, crop))
    }
}

/// Skips the profile and the level of each temporal layer except the highest one (7.3.3).
fn skip_layers(more_layers: u32, bits: &mut Bits<'_>) -> Option<()> {
    if more_layers == 0 {
        return Some(());
    }
    // Two bits for each layer: whether it has a profile, in 11 bytes, and whether it has a level, in one byte.
    let flags = bits.number(16)? >> 16_u32.saturating_sub(more_layers.wrapping_mul(2));
    let (profiles, levels) = ((flags & 0xAAAA).count_ones(), (flags & 0x5555).count_ones());
    for _ in 0..profiles.wrapping_mul(11).wrapping_add(levels) {
        bits.number(8)?;
    }
    Some(())
}

/// Writes an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) into `buffer` and returns it. `units` are NAL units
/// without start codes, with at least one parameter set of each type. Other units are skipped.
///
/// # Errors
/// A parameter set is missing, too long or cannot be parsed, or the buffer is too small.
pub fn configuration_record<'a, 'b>(
    units: impl Iterator<Item = &'a [u8]> + Clone,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], HevcConfigError> {
    const TYPES: [UnitType; 3] = [UnitType::VPS, UnitType::SPS, UnitType::PPS];
    let of = |kind: UnitType| units.clone().filter(move |unit| UnitType::of(unit) == Some(kind));
    let first = of(UnitType::SPS).next().ok_or(HevcConfigError::Missing(UnitType::SPS))?;
    let (sps, ..) = Sps::read(first).ok_or(HevcConfigError::Sps)?;
    let mut to = Output::new(buffer);
    to.put(&[1]);
    to.put(&sps.profile_tier_level);
    // No segmentation, and unknown parallelism and frame rates. Lengths have four bytes.
    let [luma, chroma] = [sps.luma_depth, sps.chroma_depth].map(|depth| 0xF8 | depth.wrapping_sub(8));
    let layers = sps.temporal_layers << 3 | u8::from(sps.is_nested) << 2 | 3;
    to.put(&[0xF0, 0, 0xFC, 0xFC | sps.chroma_format, luma, chroma, 0, 0, layers, low_u8(TYPES.len())]);
    for kind in TYPES {
        // The pictures have no other parameter sets of this type.
        to.put(&[0x80 | kind.0]);
        let (at_count, mut count) = (to.needed, 0_u16);
        to.put(&[0; 2]);
        for unit in of(kind) {
            count = count.checked_add(1).ok_or(HevcConfigError::TooLong)?;
            let length = u16::try_from(unit.len()).map_err(|_| HevcConfigError::TooLong)?;
            to.put(&length.to_be_bytes());
            to.put(unit);
        }
        if count == 0 {
            return Err(HevcConfigError::Missing(kind));
        }
        copy(&count.to_be_bytes(), to.buffer.get_mut(at_count..).unwrap_or_default());
    }
    to.written().map_err(|needed| HevcConfigError::BufferFull { needed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::avc::annex_b::Units;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The output of libx265 for 320 × 180 pixels, from a file that FFmpeg 9 wrote.
    const STREAM: &[u8] = b"\0\0\0\x01\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\x95\x98\x09\
        \0\0\0\x01\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\xa0\x0a\x08\x0b\x9f\x79\x65\x66\x92\x4c\xaf\
        \x01\x68\x08\0\0\x03\0\x08\0\0\x03\0\xc8\x40\
        \0\0\x01\x44\x01\xc1\x72\xb4\x62\x40\0\0\x01\x28\x01\xaf";
    const LEVEL: [u8; 12] = [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x3C];

    #[test]
    fn the_parameter_set_of_an_encoder_is_parsed() {
        let unit = Units::new(STREAM).nth(1).unwrap();
        let sps = Sps::parse(unit).unwrap();
        assert_eq!(sps.profile_tier_level, LEVEL);
        let Sps { temporal_layers, is_nested, chroma_format, luma_depth, chroma_depth, width, height, .. } = sps;
        assert_eq!((temporal_layers, is_nested, chroma_format, luma_depth, chroma_depth), (1, true, 1, 8, 8));
        assert_eq!((width, height), (320, 180));
        for length in 0..20 {
            assert_eq!(Sps::parse(&unit[..length]), None);
        }
        assert_eq!(Sps::parse(Units::new(STREAM).next().unwrap()), None, "another unit");
    }

    #[test]
    fn a_record_has_the_parameter_sets_of_the_stream() {
        let mut buffer = [0xEE; 200];
        let record = configuration_record(Units::new(STREAM), &mut buffer).unwrap();
        assert_eq!(record[0], 1);
        assert_eq!(record[1..13], LEVEL);
        assert_eq!(record[13..23], [0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 3]);
        let mut rest = &record[23..];
        for (unit, kind) in Units::new(STREAM).zip([0xA0, 0xA1, 0xA2]) {
            let length = unit.len();
            assert_eq!(rest[..5], [kind, 0, 1, 0, length as u8]);
            assert_eq!(&rest[5..][..length], unit);
            rest = &rest[5 + length..];
        }
        assert_eq!(rest, b"");
        let needed = record.len();
        for room in 0..needed {
            let full = Err(HevcConfigError::BufferFull { needed });
            assert_eq!(configuration_record(Units::new(STREAM), &mut [0; 200][..room]), full);
        }
    }

    #[test]
    fn missing_parameter_sets_are_errors() {
        for (skip, kind) in [UnitType::VPS, UnitType::SPS, UnitType::PPS].into_iter().enumerate() {
            let units = Units::new(STREAM).enumerate().filter(|(index, _)| *index != skip).map(|(_, unit)| unit);
            assert_eq!(configuration_record(units, &mut [0; 200]), Err(HevcConfigError::Missing(kind)));
        }
        let broken = [&[0x42, 1, 1][..], &[0x40, 1], &[0x44, 1]];
        assert_eq!(configuration_record(broken.into_iter(), &mut [0; 200]), Err(HevcConfigError::Sps));
    }

    #[test]
    fn pictures_with_which_decoding_can_begin_are_keyframes() {
        assert!(is_keyframe(Units::new(STREAM)), "IDR");
        for (kind, is_key) in [(0, false), (1, false), (9, false), (16, true), (21, true), (23, true), (24, false)] {
            assert_eq!(is_keyframe([&[kind << 1, 1, 0][..]]), is_key, "{kind}");
        }
        assert!(!is_keyframe([&[0x26][..], &[]]), "a header has two bytes");
    }

    proptest! {
        #[test]
        fn any_parameter_set_is_parsed_or_refused(mut unit: Vec<u8>) {
            unit.splice(0..0, [0x42, 1]);
            if let Some(sps) = Sps::parse(&unit) {
                prop_assert!((1..=7).contains(&sps.temporal_layers) && sps.chroma_format < 4 && sps.luma_depth < 16);
            }
        }
    }
}
