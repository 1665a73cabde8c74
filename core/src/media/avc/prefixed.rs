//! NAL units behind their lengths, as RTMP carries them (ISO/IEC 14496-15, 5.3.4.2).

use core::fmt;

use super::annex_b::{LENGTH_SIZE, START_CODE};
use crate::bytes::Cursor;
use crate::fmt::impl_format;

/// An iterator over the NAL units of a picture, each of which stands behind its length.
///
/// It ends at the first unit that is cut off; [`Self::rest`] tells. Empty units are left out. Each step takes off a
/// length at least.
///
/// With [`START_CODE`] before each unit this is what a decoder for Annex B takes.
#[derive(Debug, Clone)]
pub struct Units<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl_format!(['a] Units<'a>, this => "Units {{ rest: {} bytes }}", this.rest.len());

impl<'a> Units<'a> {
    /// The NAL units of a picture: what stands behind the [`video::VideoTagHeader`](crate::media::video::VideoTagHeader). `length_size`
    /// is that of the [`AvcConfig`](super::AvcConfig): 1 to 4 bytes; with another one there are no units.
    pub const fn new(length_size: usize, picture: &'a [u8]) -> Self {
        Self { rest: picture, length_size }
    }

    /// What has not been iterated over. Where it is not empty at the end, the last unit was cut off.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let mut input = Cursor(self.rest);
            let length = match *input.take(self.length_size)? {
                [a] => u32::from(a),
                [a, b] => u32::from_be_bytes([0, 0, a, b]),
                [a, b, c] => u32::from_be_bytes([0, a, b, c]),
                [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
                _ => return None,
            };
            let unit = input.take(length as usize)?;
            self.rest = input.0;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    }
}

impl core::iter::FusedIterator for Units<'_> {}

/// The last NAL unit is cut off. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the last NAL unit is cut off")
    }
}

impl core::error::Error for Truncated {}

/// Puts start codes of four bytes in the place of lengths of four bytes, in place: the way back from
/// [`annex_b::to_length_prefixed`](super::annex_b::to_length_prefixed). For other lengths there is [`Units`].
///
/// # Errors
/// [`Truncated`].
pub fn to_annex_b(picture: &mut [u8]) -> Result<(), Truncated> {
    let mut units = Units::new(LENGTH_SIZE, picture);
    units.by_ref().for_each(drop);
    if !units.rest().is_empty() {
        return Err(Truncated);
    }
    let mut rest = picture;
    while let Some((prefix, behind)) = rest.split_first_chunk_mut::<LENGTH_SIZE>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        // Where there is no unit, zeros may stand before the next start code.
        if length > 0 {
            *prefix = START_CODE;
        }
        rest = behind.get_mut(length..).unwrap_or_default();
    }
    Ok(())
}
