//! Sequence parameter sets (ISO/IEC 14496-10, 7.3.2.1.1).

use super::UnitType;
use crate::bytes::{copy, low_u8};
use crate::media::bits::Bits;

/// The profiles whose parameter sets have no chroma format and no bit depths (7.3.2.1.1): Baseline, Main and Extended. They
/// are 4:2:0 with 8 bits.
pub(super) const fn is_plain(profile: u8) -> bool {
    matches!(profile, 66 | 77 | 88)
}

/// The first fields of a sequence parameter set. A decoder configuration repeats them.
pub(super) struct Start<'a> {
    pub(super) profile: u8,
    pub(super) constraints: u8,
    pub(super) level: u8,
    pub(super) chroma_format: u8,
    has_separate_planes: bool,
    /// Bits of a sample, above 8.
    pub(super) more_luma: u8,
    pub(super) more_chroma: u8,
    /// The bits after the level, and how many of them these fields take.
    rest: &'a [u8],
    end: u32,
}

impl<'a> Start<'a> {
    pub(super) fn parse(unit: &'a [u8]) -> Option<Self> {
        let &[_, profile, constraints, level, ref rest @ ..] = unit else { return None };
        // These fields have 27 bits at most, and emulation prevention cannot be among them: no level is 0, and no value has
        // so many zeros. The shortest units have only 3 bytes here.
        let mut word = [0; 4];
        let known = copy(rest, &mut word).wrapping_mul(8);
        let (bits, mut end) = (u32::from_be_bytes(word), 0);
        let _id = code(bits, &mut end, 31);
        let (mut chroma_format, mut has_separate_planes, mut more_luma, mut more_chroma) = (1, false, 0, 0);
        if !is_plain(profile) {
            chroma_format = code(bits, &mut end, 3);
            if chroma_format == 3 {
                has_separate_planes = bits.wrapping_shl(end) >> 31 != 0;
                end = end.saturating_add(1);
            }
            more_luma = code(bits, &mut end, 6);
            more_chroma = code(bits, &mut end, 6);
        }
        let start =
            Self { profile, constraints, level, chroma_format, has_separate_planes, more_luma, more_chroma, rest, end };
        (end as usize <= known).then_some(start)
    }
}

/// Reads an Exp-Golomb code at the bit `at`, and moves `at` to its end. If there is no code, or the number is more than
/// `most`, moves `at` past the last bit and returns 0.
#[inline(never)]
fn code(bits: u32, at: &mut u32, most: u32) -> u8 {
    let bits = bits.checked_shl(*at).unwrap_or(0);
    let zeros = bits.leading_zeros();
    let number = (bits >> 31_u32.saturating_sub(zeros.wrapping_mul(2))).wrapping_sub(1);
    if zeros > 15 || number > most {
        *at = u32::MAX;
        return 0;
    }
    *at = at.wrapping_add(zeros.wrapping_mul(2)).wrapping_add(1);
    low_u8(number as usize)
}

/// The properties of the pictures in a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sps {
    /// `profile_idc`: 66 is Baseline, 77 Main, 100 High.
    pub profile: u8,
    /// The constraint flags, `constraint_set0_flag` at the top.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
    /// `chroma_format_idc`: 0 is monochrome, 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample: 8 to 14.
    pub luma_depth: u8,
    /// Bits of a chroma sample: 8 to 14.
    pub chroma_depth: u8,
    /// The width of the pictures in pixels, after cropping.
    pub width: u32,
    /// The height of the pictures in pixels, after cropping.
    pub height: u32,
}

impl Sps {
    /// Parses a sequence parameter set: a NAL unit of type 7, without a start code.
    ///
    /// Returns `None` for another unit, a truncated unit, and values that the standard does not have. Fields after the size
    /// of the pictures are not read.
    pub fn parse(unit: &[u8]) -> Option<Sps> {
        if UnitType::of(unit)? != UnitType::SPS {
            return None;
        }
        let start = Start::parse(unit)?;
        let Start { profile, constraints, level, chroma_format, has_separate_planes, rest, end, .. } = start;
        let (luma_depth, chroma_depth) = (start.more_luma.wrapping_add(8), start.more_chroma.wrapping_add(8));
        let bits = &mut Bits::of_unit(rest, end as usize);
        if !is_plain(profile) {
            let _lossless = bits.bit()?;
            if bits.bit()? {
                skip_scaling_lists(if chroma_format == 3 { 12 } else { 8 }, bits)?;
            }
        }
        let _max_frame_num = bits.exp_golomb()?;
        skip_picture_order(bits)?;
        let (_references, _gaps) = (bits.exp_golomb()?, bits.bit()?);
        let (columns, rows) = (bits.exp_golomb()?, bits.exp_golomb()?);
        let frames_only = bits.bit()?;
        if !frames_only {
            let _adaptive = bits.bit()?;
        }
        let _direct_8x8 = bits.bit()?;

        let fields = if frames_only { 1 } else { 2 };
        let is_subsampled = |from, to| !has_separate_planes && (from..=to).contains(&chroma_format);
        let unit_width = if is_subsampled(1, 2) { 2 } else { 1 };
        let unit_height = if is_subsampled(1, 1) { 2_u32.wrapping_mul(fields) } else { fields };
        let (mut width, mut height) = (blocks(columns, 1)?, blocks(rows, fields)?);
        if bits.bit()? {
            let mut edge = |unit: u32| bits.exp_golomb()?.checked_mul(unit);
            let (left, right, top, bottom) =
                (edge(unit_width)?, edge(unit_width)?, edge(unit_height)?, edge(unit_height)?);
            width = width.checked_sub(left)?.checked_sub(right)?;
            height = height.checked_sub(top)?.checked_sub(bottom)?;
        }
        let is_picture = width > 0 && height > 0;
        is_picture.then_some(Sps {
            profile,
            constraints,
            level,
            chroma_format,
            luma_depth,
            chroma_depth,
            width,
            height,
        })
    }
}

/// The pixels in `less_one + 1` macroblocks of 16 pixels.
fn blocks(less_one: u32, fields: u32) -> Option<u32> {
    less_one.checked_add(1)?.checked_mul(16)?.checked_mul(fields)
}

/// Skips scaling lists (7.3.2.1.1.1).
fn skip_scaling_lists(count: u32, bits: &mut Bits<'_>) -> Option<()> {
    for list in 0..count {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8_u32, 8_u32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.signed_exp_golomb()?) & 0xFF;
                last = if next == 0 { last } else { next };
            }
        }
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.exp_golomb()? {
        0 => bits.exp_golomb().map(drop),
        1 => {
            let _zero = bits.bit()?;
            let (_non_ref, _bottom) = (bits.signed_exp_golomb()?, bits.signed_exp_golomb()?);
            for _ in 0..bits.exp_golomb_up_to(255)? {
                bits.signed_exp_golomb()?;
            }
            Some(())
        }
        2 => Some(()),
        _ => None,
    }
}
