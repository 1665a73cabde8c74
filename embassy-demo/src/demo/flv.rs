//! FLV files: read whole from memory, written tag by tag (Adobe Flash Video File Format 10.1, annex E).

use std::fmt;
use std::io::{self, Write};

use nom::bytes::complete::{tag, take};
use nom::number::complete::{be_u8, be_u24, be_u32};
use nom::{IResult, Parser};

/// The type of audio tags, as of RTMP's audio messages.
pub(crate) const AUDIO: u8 = 8;
/// The type of video tags, as of RTMP's video messages.
pub(crate) const VIDEO: u8 = 9;
/// The type of script data tags, as of RTMP's data messages.
pub(crate) const SCRIPT: u8 = 18;

/// The string which, in a data message, asks a server to keep what follows as the stream's metadata; in AMF0.
pub(crate) const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// One tag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    /// 8, 9 or 18; others are possible and mean nothing here.
    pub(crate) kind: u8,
    /// In milliseconds.
    pub(crate) timestamp: u32,
    /// What RTMP carries as a message's payload.
    pub(crate) data: &'a [u8],
}

impl fmt::Debug for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tag of type {} at {} ms, {} bytes", self.kind, self.timestamp, self.data.len())
    }
}

/// Why a file is no FLV file that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FlvError {
    /// It does not begin as an FLV file does.
    NotFlv,
    /// The tag that begins at this byte is cut off or damaged.
    BadTag(usize),
    /// There is no audio and no video in it.
    NoMedia,
}

impl fmt::Display for FlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFlv => f.write_str("this is not an FLV file"),
            Self::BadTag(at) => write!(f, "the tag at byte {at} is cut off or damaged"),
            Self::NoMedia => f.write_str("there is neither audio nor video in this file"),
        }
    }
}

impl std::error::Error for FlvError {}

/// Reads a file's audio, video and script tags.
///
/// # Errors
/// The file is damaged anywhere, or holds no audio and no video.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Tag<'_>>, FlvError> {
    let (mut rest, ()) = file_header(file).map_err(|_| FlvError::NotFlv)?;
    let mut tags = Vec::new();
    while !rest.is_empty() {
        let (after, tag) = whole_tag(rest).map_err(|_| FlvError::BadTag(file.len() - rest.len()))?;
        if matches!(tag.kind, AUDIO | VIDEO | SCRIPT) {
            tags.push(tag);
        }
        rest = after;
    }
    if tags.iter().any(|tag| tag.kind != SCRIPT) { Ok(tags) } else { Err(FlvError::NoMedia) }
}

fn file_header(input: &[u8]) -> IResult<&[u8], ()> {
    let (input, (_, _flags, length)) = (tag(&b"FLV\x01"[..]), be_u8, be_u32).parse(input)?;
    let (input, _) = take(length.saturating_sub(9))(input)?;
    let (input, _) = tag(&[0; 4][..]).parse(input)?;
    Ok((input, ()))
}

fn whole_tag(input: &[u8]) -> IResult<&[u8], Tag<'_>> {
    let (input, (kind, length, low, high, _stream)) = (be_u8, be_u24, be_u24, be_u8, be_u24).parse(input)?;
    let (input, data) = take(length)(input)?;
    let (input, _) = tag(&(length + TAG_HEADER).to_be_bytes()[..]).parse(input)?;
    Ok((input, Tag { kind: kind & 0x1F, timestamp: u32::from(high) << 24 | low, data }))
}

const TAG_HEADER: u32 = 11;

/// Writes the header of a file that holds audio and video.
pub(crate) fn write_header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")
}

/// Writes one tag.
pub(crate) fn write_tag(out: &mut impl Write, tag: Tag<'_>) -> io::Result<()> {
    let length = u32::try_from(tag.data.len()).ok().filter(|length| *length <= 0xFF_FFFF);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a tag holds at most 16 MiB"))?;
    let [_, length_bytes @ ..] = length.to_be_bytes();
    let [high, low @ ..] = tag.timestamp.to_be_bytes();
    out.write_all(&[tag.kind])?;
    out.write_all(&length_bytes)?;
    out.write_all(&low)?;
    out.write_all(&[high, 0, 0, 0])?;
    out.write_all(tag.data)?;
    out.write_all(&(length + TAG_HEADER).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tags: &[Tag<'_>]) -> Vec<u8> {
        let mut file = Vec::new();
        write_header(&mut file).unwrap();
        tags.iter().for_each(|tag| write_tag(&mut file, *tag).unwrap());
        file
    }

    const TAGS: [Tag<'_>; 3] = [
        Tag { kind: SCRIPT, timestamp: 0, data: b"meta" },
        Tag { kind: VIDEO, timestamp: 0x0123_4567, data: b"" },
        Tag { kind: AUDIO, timestamp: u32::MAX, data: &[7; 300] },
    ];

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&file(&TAGS)).unwrap(), TAGS);
    }

    #[test]
    fn a_file_cut_anywhere_but_between_tags_is_an_error() {
        let whole = file(&TAGS);
        let ends = [28 + 4, 28 + 4 + 11 + 4, whole.len()];
        for length in 0..whole.len() {
            match read(&whole[..length]) {
                Err(FlvError::NotFlv) => assert!(length < 13),
                Err(FlvError::NoMedia) => assert!(length == 13 || length == ends[0]),
                Err(FlvError::BadTag(at)) => assert!(at == 13 || ends.contains(&at)),
                Ok(tags) => assert_eq!((length, tags.len()), (ends[1], 2)),
            }
        }
    }

    #[test]
    fn damage_is_found_and_strange_tags_are_passed_over() {
        let mut damaged = file(&TAGS);
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(read(&damaged), Err(FlvError::BadTag(47)));
        let strange = file(&[TAGS[1], Tag { kind: 15, timestamp: 0, data: b"?" }]);
        assert_eq!(read(&strange).unwrap(), [TAGS[1]]);
        assert_eq!(read(b"RIFF and so on and on"), Err(FlvError::NotFlv));
    }

    #[test]
    fn the_bundled_clip_is_whole() {
        let tags = read(crate::demo::BUNDLED_CLIP).unwrap();
        assert!(tags.iter().filter(|tag| tag.kind == VIDEO).count() > 50);
        assert!(tags.iter().filter(|tag| tag.kind == AUDIO).count() > 50);
    }
}
