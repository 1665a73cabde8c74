//! FLV files: read from memory, written tag by tag. The tag types are those of the core.

use std::fmt;
use std::io::{self, Write};

use embedded_rtmp_embassy::embedded_rtmp::media::flv::{FileHeader, TagHeader, Tags};
use embedded_rtmp_embassy::embedded_rtmp::message::{MAX_MESSAGE_LENGTH, MessageKind};

pub use embedded_rtmp_embassy::embedded_rtmp::media::flv::Tag;

/// Audio tags.
pub const AUDIO: MessageKind = MessageKind::AUDIO;
/// Video tags.
pub const VIDEO: MessageKind = MessageKind::VIDEO;
/// Script data tags: RTMP's data messages.
pub const SCRIPT: MessageKind = MessageKind::DATA;

/// Why a file cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlvError {
    /// It does not begin with the header of an FLV file.
    NotFlv,
    /// The tag that begins at this byte is cut off.
    BadTag(usize),
    /// It contains neither audio nor video.
    NoMedia,
}

impl fmt::Display for FlvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFlv => f.write_str("this is not an FLV file"),
            Self::BadTag(at) => write!(f, "the tag at byte {at} is cut off"),
            Self::NoMedia => f.write_str("this file contains neither audio nor video"),
        }
    }
}

impl std::error::Error for FlvError {}

/// Reads a file's audio, video and script tags.
///
/// # Errors
/// The file is cut off within a tag, or contains neither audio nor video.
pub fn read(file: &[u8]) -> Result<Vec<Tag<'_>>, FlvError> {
    let mut tags = Tags::file(file).map_err(|_| FlvError::NotFlv)?;
    let known: Vec<_> = tags.by_ref().filter(|tag| matches!(tag.kind, AUDIO | VIDEO | SCRIPT)).collect();
    if !tags.rest().is_empty() {
        return Err(FlvError::BadTag(file.len() - tags.rest().len()));
    }
    if known.iter().any(|tag| tag.kind != SCRIPT) { Ok(known) } else { Err(FlvError::NoMedia) }
}

/// Writes the header of a file that contains audio and video.
pub fn write_header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&FileHeader { audio: true, video: true, length: FileHeader::SIZE as u32 }.emit())
}

/// Writes one tag.
pub fn write_tag(out: &mut impl Write, tag: Tag<'_>) -> io::Result<()> {
    let length = u32::try_from(tag.data.len()).ok().filter(|length| *length <= MAX_MESSAGE_LENGTH);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a tag has at most 16 MiB"))?;
    let header = TagHeader { kind: tag.kind, filtered: false, length, timestamp: tag.timestamp };
    out.write_all(&header.emit())?;
    out.write_all(tag.data)?;
    out.write_all(&header.back_pointer())
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_rtmp_embassy::embedded_rtmp::message::Timestamp;

    fn file(tags: &[Tag<'_>]) -> Vec<u8> {
        let mut file = Vec::new();
        write_header(&mut file).unwrap();
        tags.iter().for_each(|tag| write_tag(&mut file, *tag).unwrap());
        file
    }

    const TAGS: [Tag<'_>; 3] = [
        Tag { kind: SCRIPT, timestamp: Timestamp(0), data: b"meta" },
        Tag { kind: VIDEO, timestamp: Timestamp(0x0123_4567), data: b"" },
        Tag { kind: AUDIO, timestamp: Timestamp(u32::MAX), data: &[7; 300] },
    ];

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&file(&TAGS)).unwrap(), TAGS);
    }

    #[test]
    fn a_file_cut_within_a_tag_is_an_error() {
        let whole = file(&TAGS);
        // Each tag's data ends here; the back pointer behind it may be cut off.
        let ends = [28, 28 + 4 + 11, whole.len() - 4];
        for length in 0..whole.len() {
            match read(&whole[..length]) {
                Err(FlvError::NotFlv) => assert!(length < 9),
                Err(FlvError::NoMedia) => assert!(length <= 13 || (ends[0]..=ends[0] + 4).contains(&length)),
                Err(FlvError::BadTag(at)) => assert!(at < length && [13, ends[0] + 4, ends[1] + 4].contains(&at)),
                Ok(tags) => {
                    let last = ends[tags.len() - 1];
                    assert!(tags.len() >= 2 && (last..=last + 4).contains(&length));
                }
            }
        }
    }

    #[test]
    fn unknown_tags_are_skipped() {
        let strange = file(&[TAGS[1], Tag { kind: MessageKind(15), timestamp: Timestamp(0), data: b"?" }]);
        assert_eq!(read(&strange).unwrap(), [TAGS[1]]);
        assert_eq!(read(b"RIFF and so on and on"), Err(FlvError::NotFlv));
    }

    #[test]
    fn the_bundled_clip_is_whole() {
        let tags = read(crate::clip::BUNDLED).unwrap();
        assert!(tags.iter().filter(|tag| tag.kind == VIDEO).count() > 50);
        assert!(tags.iter().filter(|tag| tag.kind == AUDIO).count() > 50);
    }
}
