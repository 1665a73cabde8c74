//! The pull decoder.
//!
//! What may come next depends on the innermost open container alone:
//!
//! | Innermost | Next | Its end |
//! |---|---|---|
//! | none: the message | a value | the last byte: `None` |
//! | map: object, typed object, ECMA array | a key, then a value | `00 00 09`, or the message's last byte |
//! | strict array with n values to come | a value, then n is one less | n = 0 |
//!
//! A start opens a container within the innermost one, and an end goes back to that one. AMF3 takes the rest of the
//! message; then, whatever is open, only ends come. An error stays.
//!
//! An explicit stack of [`MAX_DEPTH`] counts takes the place of recursion.

use core::fmt;

use super::{Text, Token, marker};
use crate::bytes::Cursor;
use crate::fmt::impl_format;

/// How many containers may be open within each other.
pub const MAX_DEPTH: usize = 16;

/// Why bytes are no AMF0 that can be decoded. The fault is the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeError {
    /// The message ends within a value, or a length or count says more than the message holds.
    Truncated,
    /// More than [`MAX_DEPTH`] containers are open within each other.
    TooDeep,
    /// A key without a name that is no end marker.
    EmptyKey,
    /// A marker that stands for no value, or for one whose length nobody knows (movie clip, record set).
    UnknownMarker(u8),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("AMF0 value longer than its message"),
            Self::TooDeep => f.write_str("AMF0 value nested too deep"),
            Self::EmptyKey => f.write_str("AMF0 key without a name"),
            Self::UnknownMarker(marker) => write!(f, "unknown AMF0 marker {marker:#04x}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// How many values the innermost container still has to get: a strict array's count, or one of these two.
type Left = u32;
/// Pairs, as many as there are.
const MAP: Left = u32::MAX;
/// Values without end: the message itself.
const MESSAGE: Left = u32::MAX - 1;

/// What comes next.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Expect {
    Value,
    Key,
    /// After an error, or after AMF3.
    Nothing,
}

/// Decodes the values of one message, token by token, without copying anything.
///
/// Bytes behind the last value of interest are no concern: just stop asking. An error stays: every later call repeats
/// it. A copy of a decoder is a bookmark.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    left: Left,
    expect: Expect,
    error: Option<DecodeError>,
    depth: u8,
    /// `left` of each container around the innermost one, the message first.
    outer: [Left; MAX_DEPTH],
}

impl_format!(
    ['a] Decoder<'a>,
    this => "Decoder {{ rest: {} bytes, depth: {}, error: {} }}", this.rest.len(), this.depth, this.error
);

impl<'a> Decoder<'a> {
    /// A decoder of the values in `input`: the payload of a message, behind the format selector where there is one.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, left: MESSAGE, expect: Expect::Value, error: None, depth: 0, outer: [0; MAX_DEPTH] }
    }

    /// What is not decoded yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether the message is decoded whole, and well.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty() && self.depth == 0 && self.error.is_none()
    }

    /// The next token; `None` at the end of the message.
    ///
    /// Each start of a container has its [`Token::End`], also where the message does not mark it. The work of each call
    /// is bounded, and the tokens of a message are at most its bytes and [`MAX_DEPTH`].
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

    /// Takes the value that comes next, whole; before a key, the key as well.
    ///
    /// Where there is none, this takes the [`Token::End`] of the container; at the end of the message it does nothing.
    pub fn skip_value(&mut self) -> Result<(), DecodeError> {
        let depth = self.depth;
        if let Some(Token::Key(_)) = self.next_token()? {
            self.next_token()?;
        }
        self.skip_to(depth)
    }

    /// Takes the next pair of the innermost map, whole, to look for known keys in a map whose start has been taken.
    ///
    /// A value that is a container is given as its start, and what is in it is skipped. `None` when the map's end has
    /// been taken, or where no key can stand. A key that comes twice is handed on twice: who assigns what comes keeps
    /// the last, as an object of the sender's would.
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

    /// Takes tokens until no more than `depth` containers are open.
    fn skip_to(&mut self, depth: u8) -> Result<(), DecodeError> {
        while self.depth > depth {
            self.next_token()?;
        }
        Ok(())
    }

    /// What is left after an error, or after AMF3 has taken the rest: the error, or the ends of what is open.
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
            if cursor.u8().ok_or(DecodeError::Truncated)? != marker::OBJECT_END {
                return Err(DecodeError::EmptyKey);
            }
            self.rest = cursor.0;
            return Ok(Some(self.close()));
        }
        let key = cursor.take(usize::from(length)).ok_or(DecodeError::Truncated)?;
        self.rest = cursor.0;
        self.expect = Expect::Value;
        Ok(Some(Token::Key(Text::new(key))))
    }

    /// Takes a scalar or the start of a container; or the end of a strict array, or of the message.
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
                    opens = Some(MAP);
                    Token::TypedObjectStart(text)
                }
            }
            marker::OBJECT => {
                opens = Some(MAP);
                Token::ObjectStart
            }
            marker::NULL => Token::Null,
            marker::UNDEFINED => Token::Undefined,
            marker::REFERENCE => Token::Reference(cursor.u16().ok_or(DecodeError::Truncated)?),
            marker::ECMA_ARRAY | marker::STRICT_ARRAY => {
                let len = cursor.u32().ok_or(DecodeError::Truncated)?;
                if marker == marker::ECMA_ARRAY {
                    opens = Some(MAP);
                    Token::EcmaArrayStart { len }
                } else {
                    // A value takes a byte at least. So the count is below MESSAGE in any message that can be.
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
        self.expect = if self.left == MAP { Expect::Key } else { Expect::Value };
        Ok(Some(token))
    }

    /// Closes the innermost container. At least one is open.
    fn close(&mut self) -> Token<'a> {
        self.depth = self.depth.wrapping_sub(1);
        self.left = self.outer.get(usize::from(self.depth)).copied().unwrap_or(MESSAGE);
        self.expect = if self.left == MAP { Expect::Key } else { Expect::Value };
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
