//! Reads an FLV file, one tag after another.

use std::fmt;
use std::io::{self, Read};

use embedded_rtmp::media::flv::{BACK_POINTER, FileHeader, TagHeader};

use super::Tag;

/// Why a file cannot be read further.
#[derive(Debug)]
pub enum ReadError {
    /// The file does not begin with an FLV header.
    NotFlv,
    /// The file ends inside the tag that begins at this byte.
    Truncated(u64),
    /// The tag that begins at this byte is encrypted.
    Encrypted(u64),
    /// The back pointer after the tag that begins at this byte does not have the length of the tag.
    BackPointer(u64),
    /// The file cannot be read.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFlv => f.write_str("not an FLV file"),
            Self::Truncated(at) => write!(f, "the file ends within the tag at byte {at}"),
            Self::Encrypted(at) => write!(f, "the tag at byte {at} is encrypted"),
            Self::BackPointer(at) => write!(f, "the back pointer behind the tag at byte {at} is wrong"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An iterator over tags. It ends after the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// The position of the next tag.
    position: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a file. `input` should be buffered.
    ///
    /// # Errors
    /// The header is not that of an FLV file, or `input` fails.
    pub fn new(mut input: R) -> Result<Self, ReadError> {
        let bytes = read(&mut input, FileHeader::SIZE as u64)?;
        let header = FileHeader::parse(&bytes).map_err(|_| ReadError::NotFlv)?;
        // The rest of a longer header, and the first back pointer, have no meaning.
        let position = u64::from(header.length) + BACK_POINTER as u64;
        io::copy(&mut (&mut input).take(position - FileHeader::SIZE as u64), &mut io::sink())?;
        Ok(Self { input, position, ended: false })
    }

    fn read_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        let at = self.position;
        let bytes = read(&mut self.input, TagHeader::SIZE as u64)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let header = TagHeader::parse(bytes.first_chunk().ok_or(ReadError::Truncated(at))?);
        if header.filtered {
            return Err(ReadError::Encrypted(at));
        }
        let payload = read(&mut self.input, header.length.into())?;
        if payload.len() < header.length as usize {
            return Err(ReadError::Truncated(at));
        }
        let pointer = read(&mut self.input, BACK_POINTER as u64)?;
        // Some writers omit the last back pointer of a file.
        if !pointer.is_empty() && pointer != header.back_pointer() {
            let is_whole = pointer.len() == BACK_POINTER;
            return Err(if is_whole { ReadError::BackPointer(at) } else { ReadError::Truncated(at) });
        }
        self.position += (TagHeader::SIZE + payload.len() + BACK_POINTER) as u64;
        Ok(Some(Tag { kind: header.kind, timestamp: header.timestamp.0, payload }))
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Tag, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let tag = self.read_tag().transpose();
        self.ended = !matches!(tag, Some(Ok(_)));
        tag
    }
}

/// Reads `length` bytes, or fewer if the input ends.
fn read(input: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
