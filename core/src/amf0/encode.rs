//! The encoder.

use core::fmt;

use super::{Text, Token, marker};
use crate::bytes;

/// The buffer is too small for a token. Nothing of the token is written, and what was written before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferFull {
    /// How many bytes the buffer must hold, for all tokens up to this one. `usize::MAX` where no buffer will do: AMF0
    /// has no form for a key or a class name of more than 65,535 bytes, nor for a string of 4 GiB.
    pub needed: usize,
}

impl fmt::Display for BufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AMF0 buffer too small: {} bytes needed", self.needed)
    }
}

impl core::error::Error for BufferFull {}

/// Encodes tokens into a slice.
///
/// The caller's order of tokens is the order of the bytes. A [`Token::End`] belongs to each start of a container: for a
/// strict array it writes nothing, for the others the end marker. (Up to 32 containers within each other are told
/// apart.) Keys must not be empty, the count of a strict array must be true, and nothing can follow [`Token::Amf3`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Encoder<'b> {
    buf: &'b mut [u8],
    /// Never more than `buf` has.
    len: usize,
    /// A bit for each open container, the innermost lowest: whether it is a strict array.
    strict: u32,
}

impl<'b> Encoder<'b> {
    /// An encoder that fills `buf` from its start.
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0, strict: 0 }
    }

    /// The number of bytes written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What has been written.
    pub fn finish(self) -> &'b [u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// Writes one token.
    ///
    /// # Errors
    /// [`BufferFull`] where it does not fit.
    pub fn put(&mut self, token: Token<'_>) -> Result<&mut Self, BufferFull> {
        match token {
            Token::Number(number) => {
                let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
                self.prefixed([marker::NUMBER, a, b, c, d, e, f, g, h], &[])?;
            }
            Token::Boolean(value) => self.prefixed([marker::BOOLEAN, u8::from(value)], &[])?,
            Token::String(text) => match short(text) {
                Some([a, b]) => self.prefixed([marker::STRING, a, b], text.as_bytes())?,
                None => self.long(marker::LONG_STRING, text)?,
            },
            Token::ObjectStart => {
                self.prefixed([marker::OBJECT], &[])?;
                self.open(MAP);
            }
            Token::TypedObjectStart(name) => {
                let [a, b] = short(name).ok_or(NO_FORM)?;
                self.prefixed([marker::TYPED_OBJECT, a, b], name.as_bytes())?;
                self.open(MAP);
            }
            Token::EcmaArrayStart { len } => {
                self.counted(marker::ECMA_ARRAY, len, &[])?;
                self.open(MAP);
            }
            Token::StrictArrayStart { len } => {
                self.counted(marker::STRICT_ARRAY, len, &[])?;
                self.open(STRICT);
            }
            Token::Key(key) => self.prefixed(short(key).ok_or(NO_FORM)?, key.as_bytes())?,
            Token::End => {
                if self.strict & STRICT == 0 {
                    self.prefixed([0, 0, marker::OBJECT_END], &[])?;
                }
                self.strict >>= 1;
            }
            Token::Null => self.prefixed([marker::NULL], &[])?,
            Token::Undefined => self.prefixed([marker::UNDEFINED], &[])?,
            Token::Date { ms, tz } => {
                let ([a, b, c, d, e, f, g, h], [i, j]) = (ms.to_be_bytes(), tz.to_be_bytes());
                self.prefixed([marker::DATE, a, b, c, d, e, f, g, h, i, j], &[])?;
            }
            Token::Xml(text) => self.long(marker::XML, text)?,
            Token::Reference(number) => {
                let [a, b] = number.to_be_bytes();
                self.prefixed([marker::REFERENCE, a, b], &[])?;
            }
            Token::Unsupported => self.prefixed([marker::UNSUPPORTED], &[])?,
            Token::Amf3(rest) => self.prefixed([marker::AMF3], rest)?,
        }
        Ok(self)
    }

    /// Writes a key and the scalar that it stands for; both, or nothing.
    ///
    /// # Errors
    /// [`BufferFull`] where they do not fit.
    pub fn property(&mut self, key: &str, value: Token<'_>) -> Result<&mut Self, BufferFull> {
        let len = self.len;
        let written = self.put(Token::Key(key.into())).and_then(|this| this.put(value).map(|_| ()));
        if written.is_err() {
            self.len = len;
        }
        written.map(|()| self)
    }

    /// Writes one string of all `parts`, one after another: a URL, say, without a place to put it together first.
    ///
    /// # Errors
    /// [`BufferFull`] where it does not fit.
    pub fn put_string_parts(&mut self, parts: &[&str]) -> Result<&mut Self, BufferFull> {
        let length = parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let count = u32::try_from(length).map_err(|_| NO_FORM)?;
        let short = u16::try_from(count);
        let needed = self.len.saturating_add(if short.is_ok() { 3 } else { 5 }).saturating_add(length);
        if needed > self.buf.len() {
            return Err(BufferFull { needed });
        }
        match short.map(u16::to_be_bytes) {
            Ok([a, b]) => self.prefixed([marker::STRING, a, b], &[])?,
            Err(_) => self.counted(marker::LONG_STRING, count, &[])?,
        }
        for part in parts {
            self.prefixed([], part.as_bytes())?;
        }
        Ok(self)
    }

    /// Remembers that a container is open.
    fn open(&mut self, kind: u32) {
        self.strict = self.strict << 1 | kind;
    }

    /// Writes text behind a length of four bytes.
    fn long(&mut self, marker: u8, text: Text<'_>) -> Result<(), BufferFull> {
        self.counted(marker, u32::try_from(text.len()).map_err(|_| NO_FORM)?, text.as_bytes())
    }

    /// Writes a marker, a number of four bytes, and `tail`.
    fn counted(&mut self, marker: u8, count: u32, tail: &[u8]) -> Result<(), BufferFull> {
        let [a, b, c, d] = count.to_be_bytes();
        self.prefixed([marker, a, b, c, d], tail)
    }

    /// Writes `head` and `tail`; both, or nothing.
    fn prefixed<const N: usize>(&mut self, head: [u8; N], tail: &[u8]) -> Result<(), BufferFull> {
        let room = self.buf.get_mut(self.len..).unwrap_or_default();
        match room.split_first_chunk_mut::<N>() {
            Some((to, room)) if tail.len() <= room.len() => {
                *to = head;
                bytes::copy(tail, room);
                self.len = self.len.wrapping_add(N).wrapping_add(tail.len());
                Ok(())
            }
            _ => Err(BufferFull { needed: self.len.saturating_add(N).saturating_add(tail.len()) }),
        }
    }
}

/// What AMF0 cannot express, in any buffer.
const NO_FORM: BufferFull = BufferFull { needed: usize::MAX };

const MAP: u32 = 0;
const STRICT: u32 = 1;

/// The length of text as two bytes, where it is that short.
fn short(text: Text<'_>) -> Option<[u8; 2]> {
    u16::try_from(text.len()).ok().map(u16::to_be_bytes)
}
