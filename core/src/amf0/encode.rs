//! The encoder.

use core::fmt;

use super::{Text, Token, marker, u32_to_bits};
use crate::bytes::{self, Output};
use crate::fmt::impl_format;

/// The buffer is too small for a token. No byte of the token is written. The tokens before it stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BufferFull {
    /// The least size of the buffer in bytes, for all tokens up to this one. `usize::MAX` if no buffer is large enough:
    /// AMF0 has no form for a key or a class name of more than 65,535 bytes, nor for a string of 4 GiB.
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
/// The bytes of the buffer after the written ones may be changed as well. Every start of a container needs a
/// [`Token::End`], which writes nothing for a strict array and the end marker otherwise. (This works for up to 32 nested
/// containers.) Keys must not be empty, the count of a strict array must be correct, and nothing may follow
/// [`Token::Amf3`].
#[derive(Debug)]
pub struct Encoder<'b> {
    buf: &'b mut [u8],
    /// At most the length of `buf`.
    len: usize,
    /// One bit for each open container: whether it is a strict array. The innermost one is the lowest bit.
    open: u32,
}

impl_format!(['b] Encoder<'b>, this => "Encoder {{ {} of {} bytes }}", this.len, this.buf.len());

impl<'b> Encoder<'b> {
    /// Creates an encoder that fills `buf` from its start.
    #[must_use]
    pub const fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0, open: 0 }
    }

    /// Returns the number of bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nothing is written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the written bytes.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// Writes one token.
    ///
    /// This function is inlined. If the kind of token is known at compile time, only the code of that kind remains.
    ///
    /// # Errors
    /// [`BufferFull`] if the token does not fit.
    #[inline(always)]
    pub fn put(&mut self, token: Token<'_>) -> Result<&mut Self, BufferFull> {
        match token {
            Token::Number(number) => self.number(number)?,
            Token::Boolean(value) => self.emit([marker::BOOLEAN, u8::from(value), 0, 0], 2, &[])?,
            Token::String(text) => self.string(text)?,
            Token::ObjectStart => self.object()?,
            Token::TypedObjectStart(name) => self.typed_object(name)?,
            Token::EcmaArrayStart { len } => self.array(marker::ECMA_ARRAY, len, MAP)?,
            Token::StrictArrayStart { len } => self.array(marker::STRICT_ARRAY, len, STRICT)?,
            Token::Key(key) => self.key(key)?,
            Token::End => self.end()?,
            Token::Null => self.bare(marker::NULL)?,
            Token::Undefined => self.bare(marker::UNDEFINED)?,
            Token::Date { ms, tz } => self.date(ms, tz)?,
            Token::Xml(text) => self.long(marker::XML, length(text.len())?, text.as_bytes())?,
            Token::Reference(number) => self.emit(three(marker::REFERENCE, number), 3, &[])?,
            Token::Unsupported => self.bare(marker::UNSUPPORTED)?,
            Token::Amf3(rest) => self.emit([marker::AMF3, 0, 0, 0], 1, rest)?,
        }
        Ok(self)
    }

    /// Writes tokens, one after another. For several tokens this takes less flash than [`Self::put`], and is slower.
    ///
    /// # Errors
    /// [`BufferFull`] if a token does not fit. The tokens before it are written.
    #[inline(never)]
    pub fn put_all(&mut self, tokens: &[Token<'_>]) -> Result<&mut Self, BufferFull> {
        for token in tokens {
            self.put(*token)?;
        }
        Ok(self)
    }

    /// Writes a key and its value: a scalar, or the start of a container.
    ///
    /// # Errors
    /// [`BufferFull`] if they do not fit. The key may be written.
    #[inline(always)]
    pub fn property(&mut self, key: &str, value: Token<'_>) -> Result<&mut Self, BufferFull> {
        self.key(key.into())?;
        self.put(value)
    }

    /// Writes one string that consists of all `parts`. The parts of a URL, for example, need no buffer of their own.
    ///
    /// # Errors
    /// [`BufferFull`] if the string does not fit.
    pub fn put_string_parts(&mut self, parts: &[&str]) -> Result<&mut Self, BufferFull> {
        self.string_parts(parts.iter().map(|part| part.as_bytes()))
    }

    /// As [`Self::put_string_parts`], for parts that need not be UTF-8.
    pub(crate) fn string_parts<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p [u8]> + Clone,
    ) -> Result<&mut Self, BufferFull> {
        let total = parts.clone().fold(0, |sum: usize, part| sum.saturating_add(part.len()));
        let short = u16::try_from(total);
        let needed = self.len.saturating_add(if short.is_ok() { 3 } else { 5 }).saturating_add(total);
        if needed > self.buf.len() {
            return Err(BufferFull { needed });
        }
        match short {
            Ok(length) => self.emit(three(marker::STRING, length), 3, &[])?,
            Err(_) => self.long(marker::LONG_STRING, length(total)?, &[])?,
        }
        for part in parts {
            if let Some(room) = self.buf.get_mut(self.len..) {
                self.len = self.len.wrapping_add(bytes::copy(part, room));
            }
        }
        Ok(self)
    }

    /// As [`Self::put_string_parts`], for at most 65,535 bytes, which is enough for a session's commands.
    pub(crate) fn short_string(&mut self, parts: &[&str]) -> Result<&mut Self, BufferFull> {
        let length = u16::try_from(parts_len(parts)).map_err(|_| NO_FORM)?;
        self.emit(three(marker::STRING, length), 3, &[])?;
        for part in parts {
            self.emit([0; 4], 0, part.as_bytes())?;
        }
        Ok(self)
    }

    /// Writes bytes that are AMF0 already.
    #[inline(never)]
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<&mut Self, BufferFull> {
        self.emit([0; 4], 0, bytes)?;
        Ok(self)
    }

    /// Writes what `write` puts, all of it or nothing. One check for all of it takes less flash than one for each token.
    #[inline]
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Output<'_>)) -> Result<(), BufferFull> {
        self.fill(|room| {
            let mut out = Output::new(room);
            write(&mut out);
            out.needed
        })
    }

    /// Writes bytes that are AMF0 already. `write` gets the room that is left, and returns how many bytes it needs.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) -> Result<(), BufferFull> {
        let length = write(self.buf.get_mut(self.len..).unwrap_or_default());
        let needed = self.len.saturating_add(length);
        if needed > self.buf.len() {
            return Err(BufferFull { needed });
        }
        self.len = needed;
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), BufferFull> {
        let needed = self.len.wrapping_add(9);
        let room = self.buf.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut::<9>);
        let [first, rest @ ..] = room.ok_or(BufferFull { needed })?;
        *first = marker::NUMBER;
        *rest = number.to_be_bytes();
        self.len = needed;
        Ok(())
    }

    #[cold]
    fn date(&mut self, ms: f64, tz: i16) -> Result<(), BufferFull> {
        let ([a, b, c, d, e, f, g, h], [i, j]) = (ms.to_be_bytes(), tz.to_be_bytes());
        self.emit([marker::DATE, 0, 0, 0], 1, &[a, b, c, d, e, f, g, h, i, j])
    }

    fn string(&mut self, text: Text<'_>) -> Result<(), BufferFull> {
        match u16::try_from(text.len()) {
            Ok(length) => self.emit(three(marker::STRING, length), 3, text.as_bytes()),
            Err(_) => self.long(marker::LONG_STRING, length(text.len())?, text.as_bytes()),
        }
    }

    fn key(&mut self, key: Text<'_>) -> Result<(), BufferFull> {
        let [a, b] = short(key)?.to_be_bytes();
        self.emit([a, b, 0, 0], 2, key.as_bytes())
    }

    /// Writes a marker without a value.
    fn bare(&mut self, marker: u8) -> Result<(), BufferFull> {
        self.emit([marker, 0, 0, 0], 1, &[])
    }

    fn object(&mut self) -> Result<(), BufferFull> {
        self.bare(marker::OBJECT)?;
        self.opened(MAP)
    }

    fn typed_object(&mut self, name: Text<'_>) -> Result<(), BufferFull> {
        self.emit(three(marker::TYPED_OBJECT, short(name)?), 3, name.as_bytes())?;
        self.opened(MAP)
    }

    fn array(&mut self, marker: u8, len: u32, kind: u32) -> Result<(), BufferFull> {
        self.long(marker, len, &[])?;
        self.opened(kind)
    }

    fn end(&mut self) -> Result<(), BufferFull> {
        if self.open & STRICT == 0 {
            self.emit([0, 0, marker::OBJECT_END, 0], 3, &[])?;
        }
        self.open >>= 1;
        Ok(())
    }

    /// Stores that a container is open.
    fn opened(&mut self, kind: u32) -> Result<(), BufferFull> {
        self.open = self.open << 1 | kind;
        Ok(())
    }

    /// Writes a marker, a number of four bytes, and `tail`: all of it, or nothing.
    #[cold]
    fn long(&mut self, marker: u8, number: u32, tail: &[u8]) -> Result<(), BufferFull> {
        let [a, b, c, d] = number.to_be_bytes();
        let start = self.len;
        let written = self.emit([marker, a, b, c], 4, &[]).and_then(|()| self.emit([d, 0, 0, 0], 1, tail));
        if written.is_err() {
            self.len = start;
        }
        written
    }

    /// Writes the first `size` bytes of `head`, and `tail`: all of it, or nothing.
    fn emit(&mut self, head: [u8; 4], size: usize, tail: &[u8]) -> Result<(), BufferFull> {
        let start = self.len.wrapping_add(size);
        // No slice is longer than half of `usize::MAX`.
        let needed = start.wrapping_add(tail.len());
        if needed > self.buf.len() {
            return Err(BufferFull { needed });
        }
        if let Some(room) = self.buf.get_mut(self.len..) {
            // One store of four bytes. The next write replaces those that are not part of `head`.
            let [a, b, c, _] = head;
            match room {
                [to_a, to_b, to_c, to_d, ..] => [*to_a, *to_b, *to_c, *to_d] = head,
                [to_a, to_b, to_c] => [*to_a, *to_b, *to_c] = [a, b, c],
                [to_a, to_b] => [*to_a, *to_b] = [a, b],
                [to_a] => *to_a = a,
                [] => {}
            }
        }
        self.len = needed;
        match self.buf.get_mut(start..) {
            Some(room) if !tail.is_empty() => bytes::copy_in_line(tail, room),
            _ => 0,
        };
        Ok(())
    }
}

/// AMF0 values without a check of the room.
impl Output<'_> {
    /// Writes what `emit` encodes.
    // Not inlined, because it has several callers.
    #[inline(never)]
    pub(crate) fn encode(&mut self, emit: Encode<'_>) {
        self.fill(|room| {
            let mut encoder = Encoder::new(room);
            match emit(&mut encoder) {
                Ok(()) => encoder.len(),
                Err(full) => full.needed,
            }
        });
    }

    /// Writes one string that consists of all `parts`, or a long string.
    #[inline(never)]
    pub(crate) fn string(&mut self, parts: &[&str]) {
        self.string_head(parts_len(parts));
        parts.iter().for_each(|part| self.put(part.as_bytes()));
    }

    /// Writes a string, or a long string.
    pub(crate) fn text(&mut self, text: Text<'_>) {
        self.string_head(text.len());
        self.put(text.as_bytes());
    }

    /// Writes what stands before the bytes of a string.
    #[inline(never)]
    fn string_head(&mut self, length: usize) {
        let Ok(length) = u32::try_from(length) else { return self.needed = NO_FORM.needed };
        let bytes = length.to_be_bytes();
        let (marker, bytes) = match &bytes {
            [0, 0, short @ ..] => (marker::STRING, short.as_slice()),
            all => (marker::LONG_STRING, all.as_slice()),
        };
        self.put(&[marker]);
        self.put(bytes);
    }

    /// Writes a key of at most 255 bytes.
    pub(crate) fn key(&mut self, key: &str) {
        self.put(&[0, bytes::low_u8(key.len())]);
        self.put(key.as_bytes());
    }

    /// Writes bytes that are AMF0 already. `write` gets the room that is left, and returns how many bytes it needs.
    pub(crate) fn fill(&mut self, write: impl FnOnce(&mut [u8]) -> usize) {
        let length = write(self.buffer.get_mut(self.needed..).unwrap_or_default());
        self.needed = self.needed.saturating_add(length);
    }

    /// Writes a number, of which `bits` are the bits.
    #[inline(never)]
    pub(crate) fn number(&mut self, bits: u64) {
        self.put(&[marker::NUMBER]);
        self.put(&bits.to_be_bytes());
    }

    #[inline(never)]
    pub(crate) fn integer(&mut self, value: u32) {
        self.number(u32_to_bits(value));
    }
}

/// The length of a string that consists of parts.
#[inline(never)]
pub(crate) fn parts_len(parts: &[&str]) -> usize {
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()))
}

/// Encodes values.
pub(crate) type Encode<'e> = &'e mut dyn FnMut(&mut Encoder<'_>) -> Result<(), BufferFull>;

/// AMF0 has no form for the value.
const NO_FORM: BufferFull = BufferFull { needed: usize::MAX };

/// The two kinds of open containers.
const MAP: u32 = 0;
const STRICT: u32 = 1;

/// A marker and a number of two bytes.
fn three(marker: u8, number: u16) -> [u8; 4] {
    let [a, b] = number.to_be_bytes();
    [marker, a, b, 0]
}

/// The length of a key or a class name.
fn short(text: Text<'_>) -> Result<u16, BufferFull> {
    u16::try_from(text.len()).map_err(|_| NO_FORM)
}

/// The length of a long string.
fn length(bytes: usize) -> Result<u32, BufferFull> {
    u32::try_from(bytes).map_err(|_| NO_FORM)
}
