//! NAL units after their lengths, as RTMP carries them (ISO/IEC 14496-15, 5.3.4.2).

use core::fmt;

use super::annex_b::{LENGTH_SIZE, START_CODE};
use crate::bytes::Cursor;
use crate::fmt::impl_format;

/// An iterator over the NAL units of a picture, each of which follows its length.
///
/// It ends at the first truncated unit; [`Self::rest`] shows that. Empty units are skipped. Each step consumes at least one
/// length.
///
/// A decoder for Annex B takes the units with a [`START_CODE`] before each.
#[derive(Debug, Clone)]
pub struct Units<'a> {
    rest: &'a [u8],
    length_size: usize,
}

impl_format!(['a] Units<'a>, this => "Units {{ rest: {} bytes }}", this.rest.len());

impl<'a> Units<'a> {
    /// The NAL units of `picture`, which is the body after the
    /// [`VideoTagHeader`](crate::media::video::VideoTagHeader). `length_size` is that of the
    /// [`AvcConfig`](super::AvcConfig), from 1 to 4 bytes. With another size the iterator is empty.
    pub const fn new(length_size: usize, picture: &'a [u8]) -> Self {
        Self { rest: picture, length_size }
    }

    /// The bytes that were not iterated over. If they are not empty at the end, the last unit was truncated.
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

/// The last NAL unit is truncated. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the last NAL unit is truncated")
    }
}

impl core::error::Error for Truncated {}

/// Replaces lengths of four bytes by start codes of four bytes, in place: the inverse of
/// [`annex_b::to_length_prefixed`](super::annex_b::to_length_prefixed). For lengths of other sizes use [`Units`].
///
/// # Errors
/// [`Truncated`] if the last unit is longer than the rest of the picture.
pub fn to_annex_b(picture: &mut [u8]) -> Result<(), Truncated> {
    let mut units = Units::new(LENGTH_SIZE, picture);
    units.by_ref().for_each(drop);
    if !units.rest().is_empty() {
        return Err(Truncated);
    }
    let mut rest = picture;
    while let Some((prefix, behind)) = rest.split_first_chunk_mut::<LENGTH_SIZE>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        // An empty unit leaves zeros, which are allowed before the next start code.
        if length > 0 {
            *prefix = START_CODE;
        }
        rest = behind.get_mut(length..).unwrap_or_default();
    }
    Ok(())
}
