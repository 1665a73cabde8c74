//! The fixed parts of an FLV file, parsed from whole bytes.

use nom::bytes::complete::{tag, take};
use nom::combinator::verify;
use nom::number::complete::{be_u8, be_u24, be_u32};
use nom::{IResult, Parser};

/// The least length of a file header, in bytes.
pub(super) const FILE_HEADER: usize = 9;

/// What the header of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Where the first back pointer stands.
    pub(super) data_offset: u32,
}

/// What the header of a tag says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TagHeader {
    pub(super) kind: u8,
    /// The payload must be decrypted before it is used.
    pub(super) filtered: bool,
    pub(super) length: u32,
    pub(super) timestamp: u32,
}

pub(super) fn file_header(input: &[u8]) -> IResult<&[u8], FileHeader> {
    let (input, _) = tag(&b"FLV\x01"[..]).parse(input)?;
    let (input, _flags) = be_u8.parse(input)?;
    let (input, data_offset) = verify(be_u32, |offset| *offset >= FILE_HEADER as u32).parse(input)?;
    Ok((input, FileHeader { data_offset }))
}

pub(super) fn tag_header(input: &[u8]) -> IResult<&[u8], TagHeader> {
    let (input, (kind, length, low, high, _stream)) = (be_u8, be_u24, be_u24, be_u8, take(3_usize)).parse(input)?;
    let timestamp = u32::from(high) << 24 | low;
    Ok((input, TagHeader { kind: kind & 0x1F, filtered: kind & 0x20 != 0, length, timestamp }))
}
