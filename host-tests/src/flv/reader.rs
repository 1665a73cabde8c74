//! Reads an FLV file, one tag after another.

use std::fmt;
use std::io::{self, Read};

use embedded_rtmp::media::flv::{BACK_POINTER, FileHeader, TagHeader};
use embedded_rtmp::message::MessageKind;

use super::Tag;

/// Why a file cannot be read further.
#[derive(Debug)]
pub enum ReadError {
    /// The file does not begin with an FLV header.
    NotFlv,
    /// The file cannot be read.
    Io(io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFlv => f.write_str("not an FLV file"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// A fault of a file after which the reader continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The file ends within the tag that begins at this byte.
    Truncated(u64),
    /// The back pointer after the tag that begins at this byte does not have the length of the tag.
    BackPointer(u64),
    /// The tag that begins at this byte is encrypted.
    Encrypted(u64),
    /// The bytes from the first position to before the second one are not tags.
    Garbage(u64, u64),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(at) => write!(f, "the file ends within the tag at byte {at}, which is left out"),
            Self::BackPointer(at) => write!(f, "the back pointer after the tag at byte {at} is wrong"),
            Self::Encrypted(at) => write!(f, "the tag at byte {at} is encrypted, and is skipped"),
            Self::Garbage(from, to) => {
                write!(f, "{} bytes from byte {from} on are not tags, and are skipped", to - from)
            }
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An iterator over tags. It ends after the first error. It continues after other faults of a file, as ffprobe does.
/// [`Self::take_notices`] returns these faults.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Bytes that were read and are not consumed yet.
    ahead: Vec<u8>,
    /// The position of the first byte of `ahead` in the file.
    position: u64,
    notices: Vec<Notice>,
    ended: bool,
}

/// What begins at a position.
enum Candidate {
    /// A tag whose back pointer is right, or missing at the end of the file.
    Tag(TagHeader),
    /// A tag with a wrong back pointer, or garbage that looks like one.
    WrongBackPointer(TagHeader),
    /// A tag within which the file ends, or garbage that looks like one.
    Truncated,
    Garbage,
    End,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a file. `input` should be buffered.
    ///
    /// # Errors
    /// The header is not that of an FLV file, or `input` fails.
    pub fn new(mut input: R) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        input.by_ref().take(FileHeader::SIZE as u64).read_to_end(&mut bytes)?;
        let header = FileHeader::parse(&bytes).map_err(|_| ReadError::NotFlv)?;
        // The rest of a longer header, and the first back pointer, have no meaning.
        let position = u64::from(header.length) + BACK_POINTER as u64;
        io::copy(&mut (&mut input).take(position - FileHeader::SIZE as u64), &mut io::sink())?;
        Ok(Self { input, ahead: Vec::new(), position, notices: Vec::new(), ended: false })
    }

    /// Takes the faults that were found since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Skips bytes that are not a tag. Returns the header of the next tag, which begins at the new position.
    fn read_header(&mut self) -> Result<Option<TagHeader>, ReadError> {
        let header = match self.find(0)? {
            Candidate::Tag(header) => header,
            Candidate::End => return Ok(None),
            // It is a tag if another one follows.
            Candidate::WrongBackPointer(header) if self.is_start(whole(&header))? => {
                self.notices.push(Notice::BackPointer(self.position));
                header
            }
            first => {
                let Some((garbage, header)) = self.search()? else {
                    let end = self.position + self.ahead.len() as u64;
                    self.notices.push(match first {
                        Candidate::Truncated => Notice::Truncated(self.position),
                        _ => Notice::Garbage(self.position, end),
                    });
                    return Ok(None);
                };
                self.notices.push(Notice::Garbage(self.position, self.position + garbage as u64));
                self.consume(garbage);
                header
            }
        };
        Ok(Some(header))
    }

    /// Reads the next tag that is not encrypted.
    fn read_tag(&mut self) -> Result<Option<Tag>, ReadError> {
        while let Some(header) = self.read_header()? {
            if header.filtered {
                self.notices.push(Notice::Encrypted(self.position));
                self.consume(whole(&header));
                continue;
            }
            let payload = self.ahead[TagHeader::SIZE..][..header.length as usize].to_vec();
            self.consume(whole(&header));
            return Ok(Some(Tag { kind: header.kind, timestamp: header.timestamp.0, payload }));
        }
        Ok(None)
    }

    /// What begins `at` bytes after the position.
    fn find(&mut self, at: usize) -> Result<Candidate, ReadError> {
        let Some(header) = self.look(at, TagHeader::SIZE)?.first_chunk().map(TagHeader::parse) else {
            let rest = self.ahead.len() - at;
            return Ok(if rest == 0 { Candidate::End } else { Candidate::Truncated });
        };
        let media = [MessageKind::AUDIO, MessageKind::VIDEO, MessageKind::DATA].contains(&header.kind);
        let bytes = self.look(at, whole(&header))?;
        let Some(pointer) = bytes.get(TagHeader::SIZE + header.length as usize..) else {
            return Ok(if media { Candidate::Truncated } else { Candidate::Garbage });
        };
        // Some writers omit the last back pointer of a file.
        Ok(match pointer {
            [] if media => Candidate::Tag(header),
            pointer if pointer == header.back_pointer() => Candidate::Tag(header),
            [_, _, _, _] if media => Candidate::WrongBackPointer(header),
            _ if media => Candidate::Truncated,
            _ => Candidate::Garbage,
        })
    }

    /// Whether a tag may begin `at` bytes after the position, or the file ends there.
    fn is_start(&mut self, at: usize) -> Result<bool, ReadError> {
        Ok(!matches!(self.find(at)?, Candidate::Garbage))
    }

    /// Searches for the next tag after garbage. Returns the number of bytes before it, and its header.
    fn search(&mut self) -> Result<Option<(usize, TagHeader)>, ReadError> {
        for at in 1.. {
            match self.find(at)? {
                Candidate::End => break,
                Candidate::Tag(header) if header.length > 0 => return Ok(Some((at, header))),
                _ => {}
            }
        }
        Ok(None)
    }

    /// The `length` bytes that begin `at` bytes after the position, or fewer if the file ends before.
    fn look(&mut self, at: usize, length: usize) -> io::Result<&[u8]> {
        let missing = (at + length).saturating_sub(self.ahead.len());
        self.input.by_ref().take(missing as u64).read_to_end(&mut self.ahead)?;
        let rest = self.ahead.get(at..).unwrap_or_default();
        Ok(&rest[..length.min(rest.len())])
    }

    fn consume(&mut self, length: usize) {
        let length = length.min(self.ahead.len());
        self.ahead.drain(..length);
        self.position += length as u64;
    }
}

/// The length of a tag with its back pointer.
fn whole(header: &TagHeader) -> usize {
    TagHeader::SIZE + header.length as usize + BACK_POINTER
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
