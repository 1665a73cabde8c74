//! The byte stream format: NAL units behind start codes (ISO/IEC 14496-10, annex B).
//!
//! A start code is 00 00 01, or 00 00 00 01; more zeros may stand before and behind a unit. Within a unit these bytes
//! never occur, since encoders put a byte 3 between (emulation prevention). Those bytes belong to the unit in both
//! formats, so nothing here touches them.

use crate::bytes::low_u32;
use crate::fmt::impl_format;
use core::cell::Cell;
use core::fmt;
use core::ops::Range;

/// A start code of four bytes, which is right before any unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The size of the length field that replaces a start code.
pub(super) const LENGTH_SIZE: usize = START_CODE.len();

/// An iterator over the NAL units of a byte stream, without the start codes and zeros around them.
///
/// Bytes before the first start code and empty units are skipped. Every byte is read at most once.
#[derive(Debug, Clone)]
pub struct Units<'a> {
    stream: &'a [u8],
    /// The position at which the search for the next start code begins.
    at: usize,
}

impl_format!(['a] Units<'a>, this => "Units {{ {} of {} bytes }}", this.at, this.stream.len());

impl<'a> Units<'a> {
    /// The NAL units of `stream`, such as an encoder's output for one picture.
    pub const fn new(stream: &'a [u8]) -> Self {
        Self { stream, at: 0 }
    }

    fn next_range(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.behind_start_code()?;
            let mut end = self.start_code(start).unwrap_or(self.stream.len());
            self.at = end;
            // A unit does not end with a zero byte (7.4.1).
            while end > start && self.stream.get(end.wrapping_sub(1)) == Some(&0) {
                end = end.wrapping_sub(1);
            }
            if end > start {
                return Some(start..end);
            }
        }
    }

    fn behind_start_code(&self) -> Option<usize> {
        self.start_code(self.at).map(|at| at.wrapping_add(3))
    }

    /// The position of the next 00 00 01 at or after `from`.
    fn start_code(&self, from: usize) -> Option<usize> {
        let mut start = from;
        // The last of three bytes shows how far away the next start code is at least.
        loop {
            start = match self.stream.get(start..)? {
                [0, 0, 1, ..] => return Some(start),
                [_, _, 0, ..] => start.wrapping_add(1),
                [_, _, _, ..] => start.wrapping_add(3),
                _ => return None,
            };
        }
    }
}

impl<'a> Iterator for Units<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let range = self.next_range()?;
        self.stream.get(range)
    }
}

impl core::iter::FusedIterator for Units<'_> {}

/// The buffer is too small. It was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoRoom {
    /// The number of bytes that the buffer must have.
    pub needed: usize,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for the lengths of NAL units: {} bytes needed", self.needed)
    }
}

impl core::error::Error for NoRoom {}

/// Replaces start codes by lengths of four bytes, in place. The stream is the first `length` bytes of `buffer`. Returns the
/// length of the result, which begins at the start of `buffer`.
///
/// If every start code has four bytes and there are no other zeros between units, nothing is moved. Most hardware encoders
/// write such streams. A start code of three bytes is one byte too short for a length: everything after the first one is
/// moved, and the buffer must have one byte more than the stream for each. A caller without that room or time sends the
/// units from where they are: see [`Message`](super::Message).
///
/// ```
/// use embedded_rtmp::media::avc::annex_b::to_length_prefixed;
///
/// let mut buffer = *b"\0\0\0\x01\x09\xF0\0\0\x01\x65\x88\x84____";
/// let length = to_length_prefixed(&mut buffer, 12)?;
/// assert_eq!(buffer[..length], *b"\0\0\0\x02\x09\xF0\0\0\0\x03\x65\x88\x84");
/// # Ok::<(), embedded_rtmp::media::avc::annex_b::NoRoom>(())
/// ```
///
/// # Errors
/// [`NoRoom`] if the buffer is too small, or shorter than `length`.
pub fn to_length_prefixed(buffer: &mut [u8], length: usize) -> Result<usize, NoRoom> {
    let stream = buffer.get(..length).ok_or(NoRoom { needed: length })?;
    // How far the stream must be moved, and from which position, so that no unit is overwritten before it is moved.
    let (mut end, mut shift, mut from) = (0_usize, 0_usize, length);
    let mut units = Units::new(stream);
    while let Some(unit) = units.next_range() {
        let place = end.wrapping_add(LENGTH_SIZE);
        if shift == 0 && place > unit.start {
            from = unit.start.wrapping_sub(3);
        }
        shift = shift.max(place.saturating_sub(unit.start));
        end = place.wrapping_add(unit.len());
    }
    let needed = length.saturating_add(shift);
    let buffer = buffer.get_mut(..needed).ok_or(NoRoom { needed })?;
    move_up(buffer.get_mut(from..).unwrap_or_default(), shift);

    let (mut at, mut end) = (0, 0_usize);
    loop {
        let mut units = Units { stream: buffer, at };
        let Some(unit) = units.next_range() else { return Ok(end) };
        at = units.at;
        let length = unit.len();
        let Some(room) = buffer.get_mut(end..unit.end) else { return Ok(end) };
        // The unit is everything after the place of its length.
        let unit_at = room.len().wrapping_sub(length);
        if let Some((prefix, place)) = room.split_first_chunk_mut() {
            *prefix = low_u32(length).to_be_bytes();
            move_down(place, unit_at.wrapping_sub(LENGTH_SIZE));
        }
        end = end.wrapping_add(LENGTH_SIZE).wrapping_add(length);
    }
}

/// Moves all bytes except the last `by` up by `by`, and sets the first `by` to zero.
fn move_up(bytes: &mut [u8], by: usize) {
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    let both = cells.get(by..).unwrap_or_default().iter().zip(cells);
    both.rev().for_each(|(to, from)| to.set(from.get()));
    cells.iter().take(by).for_each(|cell| cell.set(0));
}

/// Moves all bytes except the first `by` down by `by`.
fn move_down(bytes: &mut [u8], by: usize) {
    let cells = Cell::from_mut(bytes).as_slice_of_cells();
    if by > 0 {
        cells.iter().zip(cells.get(by..).unwrap_or_default()).for_each(|(to, from)| to.set(from.get()));
    }
}
