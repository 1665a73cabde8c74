//! AV1: the configuration record for a sequence header of [Enhanced RTMP](super::enhanced).
//!
//! The output of an encoder consists of temporal units. Each is a list of OBUs with their sizes (AV1 Bitstream &
//! Decoding Process Specification, 5.2). A temporal unit is sent unchanged.

use core::fmt;

use super::bits::Bits;
use crate::bytes::{copy, low_u8};
use crate::fmt::impl_format;

/// The type of an OBU (6.2.2), in four bits. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ObuType(pub u8);

impl ObuType {
    /// A sequence header.
    pub const SEQUENCE_HEADER: ObuType = ObuType(1);
    /// A temporal delimiter.
    pub const TEMPORAL_DELIMITER: ObuType = ObuType(2);
}

/// One OBU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Its type.
    pub kind: ObuType,
    /// The whole OBU, including its header.
    pub bytes: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

impl_format!(['a] Obu<'a>, this => "Obu {{ kind: {}, {} bytes }}", this.kind, this.bytes.len());

/// An iterator over the OBUs of a temporal unit. It ends at an incomplete OBU.
#[derive(Debug, Clone)]
pub struct Obus<'a>(&'a [u8]);

impl_format!(['a] Obus<'a>, this => "Obus {{ {} bytes }}", this.0.len());

impl<'a> Obus<'a> {
    /// Creates an iterator over the OBUs of `unit`. The last OBU need not have a size.
    pub const fn new(unit: &'a [u8]) -> Self {
        Self(unit)
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Obu<'a>;

    fn next(&mut self) -> Option<Obu<'a>> {
        let (first, rest) = self.0.split_first()?;
        let extension = usize::from(*first >> 2 & 1);
        let mut rest = rest.get(extension..)?;
        let mut length = rest.len();
        if *first & 2 != 0 {
            (length, rest) = leb128(rest)?;
        }
        let (payload, behind) = rest.split_at_checked(length)?;
        let end = self.0.len().wrapping_sub(behind.len());
        let bytes = self.0.get(..end)?;
        self.0 = behind;
        Some(Obu { kind: ObuType(*first >> 3 & 0x0F), bytes, payload })
    }
}

impl core::iter::FusedIterator for Obus<'_> {}

/// Parses a number with 7 bits in each byte, the lowest bits first (4.10.5). Returns the number and the bytes that
/// follow.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(*byte & 0x7F) << index.wrapping_mul(7);
        if *byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, bytes.get(index.wrapping_add(1)..)?));
        }
    }
    None
}

/// Why a configuration record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Av1ConfigError {
    /// There is no sequence header, or it cannot be parsed.
    SequenceHeader,
    /// The buffer is too small.
    BufferFull {
        /// The number of bytes that the buffer must have.
        needed: usize,
    },
}

impl fmt::Display for Av1ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SequenceHeader => f.write_str("the AV1 sequence header is missing or cannot be parsed"),
            Self::BufferFull { needed } => write!(f, "AV1 configuration buffer too small: {needed} bytes needed"),
        }
    }
}

impl core::error::Error for Av1ConfigError {}

/// The properties of the pictures in a sequence header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SequenceHeader {
    /// `seq_profile`: 0 is Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx` and `seq_tier` of the first operating point.
    pub level: u8,
    /// Whether it is the high tier.
    pub is_high_tier: bool,
    /// The number of bits of a sample: 8, 10 or 12.
    pub depth: u8,
    /// Whether there is only luma.
    pub is_monochrome: bool,
    /// Whether chroma has half the horizontal resolution, and whether it has half the vertical resolution.
    pub is_subsampled: [bool; 2],
    /// `chroma_sample_position`.
    pub chroma_position: u8,
    /// The largest width of a picture, in pixels.
    pub width: u32,
    /// The largest height of a picture, in pixels.
    pub height: u32,
}

impl SequenceHeader {
    /// Parses the payload of a sequence header (5.5.1). Returns `None` if it is truncated or has reserved values.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let bits = &mut Bits::new(payload);
        let profile = small(bits, 3)?;
        let _still = bits.bit()?;
        let is_reduced = bits.bit()?;
        let (level, is_high_tier) = if is_reduced { (small(bits, 5)?, false) } else { operating_points(bits)? };
        let [width_bits, height_bits] = [bits.number(4)?, bits.number(4)?];
        let width = bits.number(width_bits.wrapping_add(1))?.wrapping_add(1);
        let height = bits.number(height_bits.wrapping_add(1))?.wrapping_add(1);
        if !is_reduced && bits.bit()? {
            bits.number(7)?;
        }
        bits.number(3)?;
        if !is_reduced {
            skip_tools(bits)?;
        }
        bits.number(3)?;
        let header = Self {
            profile,
            level,
            is_high_tier,
            depth: 8,
            is_monochrome: false,
            is_subsampled: [true; 2],
            chroma_position: 0,
            width,
            height,
        };
        (profile < 3).then(|| header.with_color(bits))?
    }

    /// Parses `color_config` (5.5.2).
    fn with_color(mut self, bits: &mut Bits<'_>) -> Option<Self> {
        if bits.bit()? {
            self.depth = if self.profile == 2 && bits.bit()? { 12 } else { 10 };
        }
        self.is_monochrome = self.profile != 1 && bits.bit()?;
        let color = if bits.bit()? { bits.number(24)? } else { 0x02_02_02 };
        if self.is_monochrome {
            let _range = bits.bit()?;
            return Some(self);
        }
        // BT.709 primaries, sRGB transfer, identity matrix.
        if color == 0x01_0D_00 {
            self.is_subsampled = [false; 2];
            return Some(self);
        }
        let _range = bits.bit()?;
        self.is_subsampled = match (self.profile, self.depth) {
            (0, _) => [true, true],
            (1, _) => [false, false],
            (_, 12) => {
                let horizontal = bits.bit()?;
                [horizontal, horizontal && bits.bit()?]
            }
            _ => [true, false],
        };
        if self.is_subsampled == [true; 2] {
            self.chroma_position = small(bits, 2)?;
        }
        Some(self)
    }
}

fn small(bits: &mut Bits<'_>, count: u32) -> Option<u8> {
    bits.number(count).map(|number| low_u8(number as usize))
}

/// Reads the timing, the decoder model and the operating points. Returns the level and the tier of the first operating
/// point.
fn operating_points(bits: &mut Bits<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.number(32)?;
        bits.number(32)?;
        if bits.bit()? {
            bits.exp_golomb()?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.number(5)?.wrapping_add(1));
            bits.number(32)?;
            bits.number(10)?;
        }
    }
    let has_display_delay = bits.bit()?;
    let more_points = bits.number(5)?;
    let mut first = None;
    for _ in 0..=more_points {
        bits.number(12)?;
        let level = small(bits, 5)?;
        let is_high_tier = level > 7 && bits.bit()?;
        if let Some(delay_bits) = delay_bits
            && bits.bit()?
        {
            bits.number(delay_bits)?;
            bits.number(delay_bits)?;
            bits.bit()?;
        }
        if has_display_delay && bits.bit()? {
            bits.number(4)?;
        }
        first = first.or(Some((level, is_high_tier)));
    }
    first
}

/// Skips the flags for coding tools.
fn skip_tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.number(4)?;
    let has_order_hint = bits.bit()?;
    if has_order_hint {
        bits.number(2)?;
    }
    let chooses_screen_content = bits.bit()?;
    if (chooses_screen_content || bits.bit()?) && !bits.bit()? {
        bits.bit()?;
    }
    if has_order_hint {
        bits.number(3)?;
    }
    Some(())
}

/// Writes an AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding, 2.3.3) into `buffer` and returns it.
/// `obus` must contain a sequence header, as the first temporal unit of an encoder does. Other OBUs are skipped.
///
/// # Errors
/// There is no sequence header, it cannot be parsed, or the buffer is too small.
pub fn configuration_record<'a, 'b>(
    mut obus: impl Iterator<Item = Obu<'a>>,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Av1ConfigError> {
    let obu = obus.find(|obu| obu.kind == ObuType::SEQUENCE_HEADER).ok_or(Av1ConfigError::SequenceHeader)?;
    let header = SequenceHeader::parse(obu.payload).ok_or(Av1ConfigError::SequenceHeader)?;
    let needed = obu.bytes.len().saturating_add(4);
    let to = buffer.get_mut(..needed).ok_or(Av1ConfigError::BufferFull { needed })?;
    let [horizontal, vertical] = header.is_subsampled;
    let flags = [header.is_high_tier, header.depth > 8, header.depth > 10, header.is_monochrome, horizontal, vertical];
    let flags = flags.into_iter().fold(0, |flags, flag| flags << 1 | u8::from(flag));
    // Without an initial presentation delay.
    copy(&[0x81, header.profile << 5 | header.level, flags << 2 | header.chroma_position, 0], to);
    copy(obu.bytes, to.get_mut(4..).unwrap_or_default());
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// The first temporal unit and the record of files of FFmpeg 9, with libsvtav1: 320 × 180 pixels.
    const UNIT: &[u8] = b"\x12\x00\x0A\x0B\x02\x00\x00\x05\x21\xE7\xF6\x60\x17\xC0\x02\x32\x02ab";
    const RECORD: &[u8] = b"\x81\x00\x0C\x00\x0A\x0B\x02\x00\x00\x05\x21\xE7\xF6\x60\x17\xC0\x02";

    #[test]
    fn the_sequence_header_of_an_encoder_is_parsed() {
        let kinds: Vec<_> = Obus::new(UNIT).map(|obu| (obu.kind.0, obu.bytes.len(), obu.payload.len())).collect();
        assert_eq!(kinds, [(2, 2, 0), (1, 13, 11), (6, 4, 2)]);
        let obu = Obus::new(UNIT).nth(1).unwrap();
        let header = SequenceHeader::parse(obu.payload).unwrap();
        assert_eq!((header.width, header.height, header.depth, header.profile, header.level), (320, 180, 8, 0, 0));
        assert!(!header.is_high_tier && !header.is_monochrome && header.is_subsampled == [true; 2]);
        for length in 0..9 {
            assert_eq!(SequenceHeader::parse(&obu.payload[..length]), None);
        }
    }

    #[test]
    fn a_record_is_that_of_ffmpeg() {
        assert_eq!(configuration_record(Obus::new(UNIT), &mut [0; 50]), Ok(RECORD));
        let full = Err(Av1ConfigError::BufferFull { needed: RECORD.len() });
        for room in 0..RECORD.len() {
            assert_eq!(configuration_record(Obus::new(UNIT), &mut [0; 50][..room]), full);
        }
        for unit in [&UNIT[..2], &UNIT[..9], b"", b"\x0A\xFF", b"\x0A\x00"] {
            assert_eq!(configuration_record(Obus::new(unit), &mut [0; 50]), Err(Av1ConfigError::SequenceHeader));
        }
    }

    #[test]
    fn sizes_of_obus_have_up_to_eight_bytes_and_the_last_may_have_none() {
        let obu = |bytes: &'static [u8]| Obus::new(bytes).next().map(|obu| (obu.kind.0, obu.payload));
        assert_eq!(obu(b"\x32\x83\x80\x00abc"), Some((6, &b"abc"[..])));
        assert_eq!(obu(b"\x36\x10\x03abcd"), Some((6, &b"abc"[..])), "an extension");
        assert_eq!(obu(b"\x30abcd"), Some((6, &b"abcd"[..])), "no size");
        for bytes in
            [&b"\x32"[..], b"\x36\x10", b"\x32\x04abc", b"\x32\x80", b"\x32\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"]
        {
            assert_eq!(obu(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn any_temporal_unit_is_read_or_refused(unit: Vec<u8>) {
            prop_assert!(Obus::new(&unit).map(|obu| obu.bytes.len()).sum::<usize>() <= unit.len());
            let _ = configuration_record(Obus::new(&unit), &mut [0; 300]);
            let _ = SequenceHeader::parse(&unit);
        }
    }
}
