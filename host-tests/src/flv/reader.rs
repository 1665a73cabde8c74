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
    /// The back pointer after the tag that begins at this byte has another length.
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
        let mut bytes = [0; FileHeader::SIZE];
        let filled = fill(&mut input, &mut bytes)?;
        let header = FileHeader::parse(&bytes[..filled]).map_err(|_| ReadError::NotFlv)?;
        // The rest of a longer header, and the first back pointer, have no meaning.
        let position = u64::from(header.length) + BACK_POINTER as u64;
        io::copy(&mut (&mut input).take(position - FileHeader::SIZE as u64), &mut io::sink())?;
        Ok(Self { input, position, ended: false })
    }

    fn read_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        let at = self.position;
        let mut bytes = [0; TagHeader::SIZE];
        match fill(&mut self.input, &mut bytes)? {
            0 => return Ok(None),
            TagHeader::SIZE => {}
            _ => return Err(ReadError::Truncated(at)),
        }
        let header = TagHeader::parse(&bytes);
        if header.filtered {
            return Err(ReadError::Encrypted(at));
        }
        let mut payload = Vec::new();
        (&mut self.input).take(u64::from(header.length)).read_to_end(&mut payload)?;
        if payload.len() < header.length as usize {
            return Err(ReadError::Truncated(at));
        }
        let mut pointer = [0; BACK_POINTER];
        match fill(&mut self.input, &mut pointer)? {
            // Some writers omit the very last back pointer.
            0 => {}
            BACK_POINTER if pointer == header.back_pointer() => {}
            BACK_POINTER => return Err(ReadError::BackPointer(at)),
            _ => return Err(ReadError::Truncated(at)),
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

/// Reads until `bytes` is full or the input ends. Returns the number of bytes.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match input.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
