//! The pull decoder.
//!
//! The innermost open container determines what may follow:
//!
//! | Innermost | Next | End |
//! |---|---|---|
//! | none: the message | a value | the last byte: `None` |
//! | map: object, typed object, ECMA array | a key, then a value | `00 00 09`, or the message's last byte |
//! | strict array with n missing values | a value, then n is one less | n = 0 |
//!
//! A start token opens a container within the innermost one, and an end token closes it. AMF3 takes the rest of the
//! message. After it, only the ends of the open containers follow.
//!
//! A stack of [`MAX_DEPTH`] counts replaces recursion.

use core::fmt;

use super::{Text, Token, marker};
use crate::bytes::Cursor;
use crate::fmt::impl_format;

/// The largest number of nested containers.
pub const MAX_DEPTH: usize = 16;

/// Why bytes cannot be decoded as AMF0. It is the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends within a value, or a length or count is larger than the rest of the message.
    Truncated,
    /// More than [`MAX_DEPTH`] containers are nested.
    TooDeep,
    /// An empty key in an object that is not followed by an end marker. In an ECMA array, keys may be empty.
    EmptyKey,
    /// An unknown marker, or one of a value without a known length (movie clip, record set).
    UnknownMarker(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("AMF0 value is longer than its message"),
            Self::TooDeep => write!(f, "AMF0 containers are nested more than {MAX_DEPTH} deep"),
            Self::EmptyKey => f.write_str("AMF0 key is empty"),
            Self::UnknownMarker(marker) => write!(f, "unknown AMF0 marker {marker:#04x}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The number of values that are missing from the innermost container: a number for a strict array, otherwise one of the
/// three constants below.
type Left = u32;
/// Any number of pairs: an object.
const OBJECT: Left = u32::MAX;
/// Any number of pairs, with keys that may be empty: an ECMA array.
const ECMA_ARRAY: Left = u32::MAX - 1;
/// Any number of values: the message itself.
const MESSAGE: Left = u32::MAX - 2;

/// What is expected next.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Expect {
    Value,
    Key,
    /// After an error, or after AMF3.
    Nothing,
}

/// Decodes the values of one message, token by token, without copying.
///
/// The caller may stop before the end of the message. An error is final: every later call returns it again. A copy of a
/// decoder is a bookmark.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    left: Left,
    expect: Expect,
    error: Option<DecodeError>,
    depth: u8,
    /// `left` of each container around the innermost one. The message is the first.
    outer: [Left; MAX_DEPTH],
}

impl_format!(
    ['a] Decoder<'a>,
    this => "Decoder {{ rest: {} bytes, depth: {}, error: {} }}", this.rest.len(), this.depth, this.error
);

impl<'a> Decoder<'a> {
    /// Creates a decoder of the values in `input`: the payload of a message, without a format selector.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, left: MESSAGE, expect: Expect::Value, error: None, depth: 0, outer: [0; MAX_DEPTH] }
    }

    /// Returns the bytes that are not decoded yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns whether the whole message is decoded, without an error.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.depth == 0 && self.error.is_none()
    }

    /// Returns the next token, or `None` at the end of the message.
    ///
    /// Every start of a container has its [`Token::End`], even if the message does not mark it. The work of each call is
    /// bounded. A message has at most as many tokens as bytes, and [`MAX_DEPTH`] more.
    ///
    /// # Errors
    /// The bytes are not AMF0, or are nested too deep.
    pub fn next_token(&mut self) -> Result<Option<Token<'a>>, DecodeError> {
        let token = match self.expect {
            Expect::Key => self.key(),
            Expect::Value => self.value(),
            Expect::Nothing => self.nothing(),
        };
        if let Err(error) = token {
            self.expect = Expect::Nothing;
            self.error = Some(error);
        }
        token
    }

    /// Takes the next value with all its content. If a key is next, takes the key and its value.
    ///
    /// At the end of a container, takes its [`Token::End`]. At the end of the message, does nothing.
    ///
    /// # Errors
    /// Those of [`Self::next_token`].
    pub fn skip_value(&mut self) -> Result<(), DecodeError> {
        let depth = self.depth;
        if let Some(Token::Key(_)) = self.next_token()? {
            self.next_token()?;
        }
        self.skip_to(depth)
    }

    /// Takes the next pair of the innermost map, whose start token has been taken.
    ///
    /// If the value is a container, returns its start token and skips its content. Returns `None` when it has taken the end
    /// of the map, or if the innermost container is not a map. A repeated key is returned again. The last value counts, as
    /// in an object of the sender.
    ///
    /// # Errors
    /// Those of [`Self::next_token`].
    pub fn next_property(&mut self) -> Result<Option<(Text<'a>, Token<'a>)>, DecodeError> {
        if matches!(self.expect, Expect::Value) {
            return Ok(None);
        }
        let depth = self.depth;
        let Some(Token::Key(key)) = self.next_token()? else { return Ok(None) };
        let Some(value) = self.next_token()? else { return Ok(None) };
        self.skip_to(depth)?;
        Ok(Some((key, value)))
    }

    /// Takes tokens until at most `depth` containers are open.
    fn skip_to(&mut self, depth: u8) -> Result<(), DecodeError> {
        while self.depth > depth {
            self.next_token()?;
        }
        Ok(())
    }

    /// Returns the error again, or, after AMF3 has taken the rest, the ends of the open containers.
    #[cold]
    fn nothing(&mut self) -> Result<Option<Token<'a>>, DecodeError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.depth == 0 {
            return Ok(None);
        }
        let end = self.close();
        self.expect = Expect::Nothing;
        Ok(Some(end))
    }

    /// Takes a key, or the end of a map.
    fn key(&mut self) -> Result<Option<Token<'a>>, DecodeError> {
        let mut cursor = Cursor(self.rest);
        if cursor.0.is_empty() {
            return Ok(Some(self.close()));
        }
        let length = cursor.u16().ok_or(DecodeError::Truncated)?;
        if length == 0 {
            let before = cursor.0;
            if cursor.u8().ok_or(DecodeError::Truncated)? == marker::OBJECT_END {
                self.rest = cursor.0;
                return Ok(Some(self.close()));
            }
            if self.left != ECMA_ARRAY {
                return Err(DecodeError::EmptyKey);
            }
            cursor = Cursor(before);
        }
        let key = cursor.take(usize::from(length)).ok_or(DecodeError::Truncated)?;
        self.rest = cursor.0;
        self.expect = Expect::Value;
        Ok(Some(Token::Key(Text::new(key))))
    }

    /// Takes a scalar or the start of a container, or the end of a strict array or of the message.
    fn value(&mut self) -> Result<Option<Token<'a>>, DecodeError> {
        if self.left == 0 {
            return Ok(Some(self.close()));
        }
        let mut cursor = Cursor(self.rest);
        let Some(marker) = cursor.u8() else {
            return if self.left == MESSAGE { Ok(None) } else { Err(DecodeError::Truncated) };
        };
        let mut opens = None;
        let token = match marker {
            marker::NUMBER => Token::Number(number(&mut cursor)?),
            marker::BOOLEAN => Token::Boolean(cursor.u8().ok_or(DecodeError::Truncated)? != 0),
            marker::STRING | marker::TYPED_OBJECT => {
                let length = cursor.u16().ok_or(DecodeError::Truncated)?;
                let text = text(&mut cursor, u32::from(length))?;
                if marker == marker::STRING {
                    Token::String(text)
                } else {
                    opens = Some(OBJECT);
                    Token::TypedObjectStart(text)
                }
            }
            marker::OBJECT => {
                opens = Some(OBJECT);
                Token::ObjectStart
            }
            marker::NULL => Token::Null,
            marker::UNDEFINED => Token::Undefined,
            marker::REFERENCE => Token::Reference(cursor.u16().ok_or(DecodeError::Truncated)?),
            marker::ECMA_ARRAY | marker::STRICT_ARRAY => {
                let len = cursor.u32().ok_or(DecodeError::Truncated)?;
                if marker == marker::ECMA_ARRAY {
                    opens = Some(ECMA_ARRAY);
                    Token::EcmaArrayStart { len }
                } else {
                    // A value has at least one byte, so a valid count is at most the number of remaining bytes.
                    if len >= MESSAGE || usize::try_from(len).map_or(true, |len| len > cursor.0.len()) {
                        return Err(DecodeError::Truncated);
                    }
                    opens = Some(len);
                    Token::StrictArrayStart { len }
                }
            }
            marker::DATE => {
                let ms = number(&mut cursor)?;
                Token::Date { ms, tz: cursor.u16().ok_or(DecodeError::Truncated)?.cast_signed() }
            }
            marker::LONG_STRING | marker::XML => {
                let length = cursor.u32().ok_or(DecodeError::Truncated)?;
                let text = text(&mut cursor, length)?;
                if marker == marker::LONG_STRING { Token::String(text) } else { Token::Xml(text) }
            }
            marker::UNSUPPORTED => Token::Unsupported,
            marker::AMF3 => {
                self.rest = &[];
                self.expect = Expect::Nothing;
                return Ok(Some(Token::Amf3(cursor.0)));
            }
            _ => return Err(DecodeError::UnknownMarker(marker)),
        };
        if self.left < MESSAGE {
            self.left = self.left.wrapping_sub(1);
        }
        if let Some(left) = opens {
            *self.outer.get_mut(usize::from(self.depth)).ok_or(DecodeError::TooDeep)? = self.left;
            self.depth = self.depth.wrapping_add(1);
            self.left = left;
        }
        self.rest = cursor.0;
        self.expect = if self.left > MESSAGE { Expect::Key } else { Expect::Value };
        Ok(Some(token))
    }

    /// Closes the innermost container. At least one is open.
    fn close(&mut self) -> Token<'a> {
        self.depth = self.depth.wrapping_sub(1);
        self.left = self.outer.get(usize::from(self.depth)).copied().unwrap_or(MESSAGE);
        self.expect = if self.left > MESSAGE { Expect::Key } else { Expect::Value };
        Token::End
    }
}

/// Eight bytes as a double.
fn number(cursor: &mut Cursor<'_>) -> Result<f64, DecodeError> {
    cursor.array().map(f64::from_be_bytes).ok_or(DecodeError::Truncated)
}

/// Text of `length` bytes.
fn text<'a>(cursor: &mut Cursor<'a>, length: u32) -> Result<Text<'a>, DecodeError> {
    let bytes = usize::try_from(length).ok().and_then(|length| cursor.take(length));
    bytes.map(Text::new).ok_or(DecodeError::Truncated)
}
