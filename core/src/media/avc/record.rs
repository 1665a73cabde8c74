//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): the body of an AVC sequence header.
//!
//! ```text
//!  1 · profile · constraints · level · length size - 1 · sets · (length (2) · SPS) … · sets · (length (2) · PPS) …
//!  with High and above, at the end: chroma format · luma depth - 8 · chroma depth - 8 · sets · (length (2) · SPS ext) …
//! ```

use core::fmt;

use super::UnitType;
use super::sps::{Start, is_plain};
use crate::bytes::{Cursor, Output, low_u8};
use crate::fmt::impl_format;
use crate::media::video;

/// Why a configuration cannot be parsed or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AvcConfigError {
    /// The record is truncated.
    Truncated,
    /// The record has this version instead of 1.
    Version(u8),
    /// A sequence parameter set is missing or cannot be parsed.
    Sps,
    /// A picture parameter set is missing, or a unit is not one.
    Pps,
    /// There are more than 31 sequence or 255 picture parameter sets, or one is longer than 65,535 bytes.
    TooMany,
    /// The buffer is too small.
    BufferFull {
        /// The number of bytes that the buffer must have.
        needed: usize,
    },
}

impl fmt::Display for AvcConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the AVC configuration is truncated"),
            Self::Version(version) => write!(f, "an AVC configuration of version {version}"),
            Self::Sps => f.write_str("a sequence parameter set is missing or cannot be parsed"),
            Self::Pps => f.write_str("a picture parameter set is missing or is not one"),
            Self::TooMany => f.write_str("more than 31 SPS or 255 PPS, or one is longer than 65535 bytes"),
            Self::BufferFull { needed } => write!(f, "AVC configuration buffer too small: {needed} bytes needed"),
        }
    }
}

impl core::error::Error for AvcConfigError {}

/// A received decoder configuration.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AvcConfig<'a> {
    /// `profile_idc` of the first sequence parameter set.
    pub profile: u8,
    /// Its constraint flags.
    pub constraints: u8,
    /// Its `level_idc`.
    pub level: u8,
    /// The number of bytes of the length before each NAL unit: 1, 2 or 4. 3 is not in the standard, but is accepted.
    pub length_size: usize,
    sps: Sets<'a>,
    pps: Sets<'a>,
}

impl<'a> AvcConfig<'a> {
    /// Parses a record, which is the body of an AVC sequence header after its [`video::VideoTagHeader`].
    ///
    /// All parameter sets must be complete. There may be none, because some encoders send them with the pictures. The
    /// fields at the end for the High profile are not read: the sequence parameter sets contain the same, and some
    /// encoders omit them.
    ///
    /// # Errors
    /// [`AvcConfigError::Truncated`] or [`AvcConfigError::Version`].
    pub fn parse(record: &'a [u8]) -> Result<Self, AvcConfigError> {
        let mut fields = Cursor(record);
        let [version, profile, constraints, level, lengths, sps] = fields.array().ok_or(AvcConfigError::Truncated)?;
        if version != 1 {
            return Err(AvcConfigError::Version(version));
        }
        let sps = Sets::take(sps & 0x1F, &mut fields).ok_or(AvcConfigError::Truncated)?;
        let pps = fields.u8().and_then(|count| Sets::take(count, &mut fields)).ok_or(AvcConfigError::Truncated)?;
        let length_size = usize::from(lengths & 3).wrapping_add(1);
        Ok(Self { profile, constraints, level, length_size, sps, pps })
    }

    /// The sequence parameter sets, NAL units without start codes.
    pub fn sps(&self) -> Sets<'a> {
        self.sps.clone()
    }

    /// The picture parameter sets, NAL units without start codes.
    pub fn pps(&self) -> Sets<'a> {
        self.pps.clone()
    }
}

/// An iterator over parameter sets.
#[derive(Debug, Clone)]
pub struct Sets<'a> {
    left: u8,
    bytes: &'a [u8],
}

impl_format!(['a] Sets<'a>, this => "Sets {{ left: {} }}", this.left);

impl<'a> Sets<'a> {
    /// Consumes `count` sets, each after its length.
    fn take(count: u8, fields: &mut Cursor<'a>) -> Option<Self> {
        let bytes = fields.0;
        for _ in 0..count {
            let length = fields.u16()?;
            fields.take(length.into())?;
        }
        Some(Self { left: count, bytes })
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let mut fields = Cursor(self.bytes);
        let length = fields.u16()?;
        let set = fields.take(length.into())?;
        self.bytes = fields.0;
        Some(set)
    }
}

impl core::iter::FusedIterator for Sets<'_> {}

/// The length in bytes of the [`sequence_header`] for these parameter sets.
pub fn sequence_header_size(sps: &[&[u8]], pps: &[&[u8]]) -> usize {
    let sets = sps.iter().chain(pps).fold(0, |sum: usize, set| sum.saturating_add(2).saturating_add(set.len()));
    let plain = sps.first().and_then(|sps| sps.get(1)).is_none_or(|profile| is_plain(*profile));
    sets.saturating_add(video::HEADER_SIZE + 7).saturating_add(if plain { 0 } else { 4 })
}

/// Writes an AVC sequence header, the whole payload of its video message, into `buffer` and returns what it wrote. Send it
/// before the first picture, and again after each reconnection.
///
/// Parameter sets are NAL units without start codes. [`annex_b::Units`](super::annex_b::Units) finds them in the output of
/// an encoder. The NAL units of the pictures that follow must have lengths of four bytes.
///
/// ```
/// use embedded_rtmp::media::avc::{UnitType, annex_b::Units, sequence_header};
///
/// let from_encoder = b"\0\0\0\x01\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84\0\0\0\x01\x68\xCE\x3C\x80";
/// let find = |kind| Units::new(from_encoder).find(|unit| UnitType::of(unit) == Some(kind));
/// let (sps, pps) = (find(UnitType::SPS).unwrap(), find(UnitType::PPS).unwrap());
/// let mut buffer = [0; 64];
/// let payload = sequence_header(&[sps], &[pps], &mut buffer)?;
/// assert_eq!(payload[..11], [0x17, 0, 0, 0, 0, 1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1]);
/// # Ok::<(), embedded_rtmp::media::avc::AvcConfigError>(())
/// ```
///
/// # Errors
/// [`AvcConfigError::Sps`] or [`AvcConfigError::Pps`] if a set is missing or is another unit, or if the first SPS ends before
/// the fields that the header repeats; [`AvcConfigError::TooMany`], or [`AvcConfigError::BufferFull`].
pub fn sequence_header<'b>(sps: &[&[u8]], pps: &[&[u8]], buffer: &'b mut [u8]) -> Result<&'b [u8], AvcConfigError> {
    let first = sps.first().and_then(|first| Start::parse(first)).ok_or(AvcConfigError::Sps)?;
    let mut out = Output::new(buffer);
    out.put(&HEADER);
    out.put(&[1, first.profile, first.constraints, first.level, 0xFC | 3]);
    put_sets(&mut out, sps, UnitType::SPS, 0xE0, 31)?;
    put_sets(&mut out, pps, UnitType::PPS, 0, 255)?;
    if !is_plain(first.profile) {
        out.put(&[0xFC | first.chroma_format, 0xF8 | first.more_luma, 0xF8 | first.more_chroma, 0]);
    }
    out.written().map_err(|needed| AvcConfigError::BufferFull { needed })
}

/// [`AVC_SEQUENCE_HEADER`](video::VideoTagHeader::AVC_SEQUENCE_HEADER) in bytes.
const HEADER: [u8; video::HEADER_SIZE] = [0x17, 0, 0, 0, 0];

/// Writes the number of sets, with `flags`, and each set after its length.
#[inline(never)]
fn put_sets(
    out: &mut Output<'_>,
    sets: &[&[u8]],
    kind: UnitType,
    flags: u8,
    most: usize,
) -> Result<(), AvcConfigError> {
    let wrong = if kind == UnitType::SPS { AvcConfigError::Sps } else { AvcConfigError::Pps };
    out.put(&[flags | low_u8(sets.len())]);
    for set in sets {
        if UnitType::of(set) != Some(kind) {
            return Err(wrong);
        }
        let length = u16::try_from(set.len()).map_err(|_| AvcConfigError::TooMany)?;
        out.put(&length.to_be_bytes());
        out.put(set);
    }
    match sets.len() {
        0 => Err(wrong),
        count if count > most => Err(AvcConfigError::TooMany),
        _ => Ok(()),
    }
}
