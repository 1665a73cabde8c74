//! Reads an FLV file, one tag after another.

use std::fmt;
use std::io::{self, Read};

use embedded_rtmp::message::Kind;

use super::parse::{FILE_HEADER, file_header, tag_header};
use super::{TAG_HEADER, Tag};

/// Why a file cannot be read on.
#[derive(Debug)]
pub enum ReadError {
    /// The file does not begin as an FLV file does.
    NotFlv,
    /// The file ends within a tag, which begins at this byte.
    Truncated(u64),
    /// The tag that begins at this byte is encrypted.
    Encrypted(u64),
    /// The back pointer behind the tag that begins at this byte names another length.
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

/// Reads tags; an iterator over them that ends behind the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Where the next tag begins.
    position: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the file's header. `input` should be buffered.
    ///
    /// # Errors
    /// The header is none of an FLV file, or `input` fails.
    pub fn new(mut input: R) -> Result<Self, ReadError> {
        let mut bytes = [0; FILE_HEADER];
        if fill(&mut input, &mut bytes)? < bytes.len() {
            return Err(ReadError::NotFlv);
        }
        let (_, header) = file_header(&bytes).map_err(|_| ReadError::NotFlv)?;
        // What a longer header holds, and the first back pointer, say nothing.
        let skip = u64::from(header.data_offset) - FILE_HEADER as u64 + 4;
        io::copy(&mut (&mut input).take(skip), &mut io::sink())?;
        Ok(Self { input, position: u64::from(header.data_offset) + 4, ended: false })
    }

    fn read_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        let at = self.position;
        let mut bytes = [0; TAG_HEADER];
        match fill(&mut self.input, &mut bytes)? {
            0 => return Ok(None),
            TAG_HEADER => {}
            _ => return Err(ReadError::Truncated(at)),
        }
        let (_, header) = tag_header(&bytes).map_err(|_| ReadError::Truncated(at))?;
        if header.filtered {
            return Err(ReadError::Encrypted(at));
        }
        let mut payload = Vec::new();
        (&mut self.input).take(u64::from(header.length)).read_to_end(&mut payload)?;
        if payload.len() < header.length as usize {
            return Err(ReadError::Truncated(at));
        }
        let mut pointer = [0; 4];
        let length = TAG_HEADER as u32 + header.length;
        match fill(&mut self.input, &mut pointer)? {
            // Some writers leave out the very last pointer.
            0 => {}
            4 if u32::from_be_bytes(pointer) == length => {}
            4 => return Err(ReadError::BackPointer(at)),
            _ => return Err(ReadError::Truncated(at)),
        }
        self.position += u64::from(length) + 4;
        Ok(Some(Tag { kind: Kind(header.kind), timestamp: header.timestamp, payload }))
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

/// Reads until `bytes` is full or the input ends; answers how much that was.
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
