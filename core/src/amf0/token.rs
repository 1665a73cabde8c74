//! The parts of an AMF0 message: tokens, and the text in them.

use core::fmt::{self, Write};
use core::str::Utf8Error;

use super::{number_to_u32, u32_to_number};

/// One piece of an AMF0 value: a scalar, the start or end of a container, or a key in one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Token<'a> {
    /// A number (section 2.2).
    Number(f64),
    /// A boolean (2.3). Every byte except 0 is true.
    Boolean(bool),
    /// A string (2.4), or a long string (2.14), which is the form of more than 65,535 bytes.
    String(Text<'a>),
    /// An object (2.5): pairs of [`Token::Key`] and a value follow, up to [`Token::End`].
    ObjectStart,
    /// An object of the class with this name (2.18). Like [`Token::ObjectStart`] otherwise.
    TypedObjectStart(Text<'a>),
    /// An ECMA array (2.10): pairs follow like in an object, up to [`Token::End`].
    EcmaArrayStart {
        /// The number of pairs that the sender announced. It is often wrong, so do not rely on it.
        len: u32,
    },
    /// A strict array (2.12): this many values follow, then [`Token::End`], which has no bytes.
    StrictArrayStart {
        /// The number of values. At most the number of bytes after it.
        len: u32,
    },
    /// The key of the value that follows.
    Key(Text<'a>),
    /// The end of the innermost open container (2.11).
    End,
    /// Null (2.7).
    Null,
    /// Undefined (2.8).
    Undefined,
    /// A date (2.13).
    Date {
        /// Milliseconds since 1970-01-01T00:00Z.
        ms: f64,
        /// Minutes from UTC. Reserved: should be 0, and must not be used.
        tz: i16,
    },
    /// An XML document (2.17).
    Xml(Text<'a>),
    /// A repetition of the complex value with this number, counted in the order of the message (2.9). The caller should
    /// refuse it.
    Reference(u16),
    /// A value that the sender cannot express in AMF0 (2.15).
    Unsupported,
    /// A value in AMF3 (3.1), and the rest of the message.
    ///
    /// The size of an AMF3 value depends on tables of strings, objects and classes that earlier values have filled. Its end
    /// cannot be found without a full AMF3 decoder. So the decoding of the message ends here: only [`Token::End`] for each
    /// open container follows.
    Amf3(&'a [u8]),
}

#[cfg(feature = "defmt")]
impl defmt::Format for Token<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Number(number) => defmt::write!(f, "Number({})", number),
            Self::Boolean(boolean) => defmt::write!(f, "Boolean({})", boolean),
            Self::String(text) => defmt::write!(f, "String({})", text),
            Self::ObjectStart => defmt::write!(f, "ObjectStart"),
            Self::TypedObjectStart(class) => defmt::write!(f, "TypedObjectStart({})", class),
            Self::EcmaArrayStart { len } => defmt::write!(f, "EcmaArrayStart({})", len),
            Self::StrictArrayStart { len } => defmt::write!(f, "StrictArrayStart({})", len),
            Self::Key(key) => defmt::write!(f, "Key({})", key),
            Self::End => defmt::write!(f, "End"),
            Self::Null => defmt::write!(f, "Null"),
            Self::Undefined => defmt::write!(f, "Undefined"),
            Self::Date { ms, tz } => defmt::write!(f, "Date {{ ms: {}, tz: {} }}", ms, tz),
            Self::Xml(document) => defmt::write!(f, "Xml({})", document),
            Self::Reference(number) => defmt::write!(f, "Reference({})", number),
            Self::Unsupported => defmt::write!(f, "Unsupported"),
            Self::Amf3(rest) => defmt::write!(f, "Amf3({} bytes)", rest.len()),
        }
    }
}

impl<'a> Token<'a> {
    /// Returns whether this starts a container of pairs. All three kinds are accepted as a map.
    #[must_use]
    pub const fn opens_map(&self) -> bool {
        matches!(self, Token::ObjectStart | Token::TypedObjectStart(_) | Token::EcmaArrayStart { .. })
    }

    /// Returns the text of a string, or `None` for any other token.
    #[must_use]
    pub const fn as_text(&self) -> Option<Text<'a>> {
        match self {
            Token::String(text) => Some(*text),
            _ => None,
        }
    }

    /// Returns the value of a number that is an integer from 0 to `u32::MAX`: see [`number_to_u32`].
    #[must_use]
    pub const fn as_u32(&self) -> Option<u32> {
        match self {
            Token::Number(number) => number_to_u32(*number),
            _ => None,
        }
    }
}

impl<'a> From<Text<'a>> for Token<'a> {
    fn from(text: Text<'a>) -> Self {
        Token::String(text)
    }
}

impl<'a> From<&'a str> for Token<'a> {
    fn from(text: &'a str) -> Self {
        Token::String(text.into())
    }
}

impl From<u32> for Token<'_> {
    fn from(value: u32) -> Self {
        Token::Number(u32_to_number(value))
    }
}

impl From<f64> for Token<'_> {
    fn from(number: f64) -> Self {
        Token::Number(number)
    }
}

impl From<bool> for Token<'_> {
    fn from(value: bool) -> Self {
        Token::Boolean(value)
    }
}

/// Text of the peer: bytes that should be UTF-8, and may be anything.
///
/// Only [`to_str`](Self::to_str) checks whether they are UTF-8, because most text is only compared. `Display` writes U+FFFD
/// for an invalid sequence, `Debug` writes escaped bytes. `defmt::Format` writes only the length, because stream keys and
/// tokens are secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Returns the text that consists of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Returns the text as a string.
    ///
    /// # Errors
    /// The bytes are not UTF-8.
    pub const fn to_str(self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.0)
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Returns whether the text is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl PartialEq<str> for Text<'_> {
    // A loop instead of memcmp, which takes more flash. A session makes few and short comparisons.
    #[inline(never)]
    fn eq(&self, other: &str) -> bool {
        self.0.len() == other.len() && self.0.iter().zip(other.as_bytes()).all(|(a, b)| a == b)
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            write!(f, "{}{}", chunk.valid().escape_debug(), chunk.invalid().escape_ascii())?;
        }
        f.write_char('"')
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Text<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} bytes of text", self.0.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn item_061_text_that_is_no_utf_8_is_still_text() {
        let text = Text::new(b"caf\xE9 \"x\"\n");
        assert!(text.to_str().is_err());
        assert_eq!(text.as_bytes(), b"caf\xE9 \"x\"\n");
        assert_eq!(format!("{text}"), "caf\u{FFFD} \"x\"\n");
        assert_eq!(format!("{text:?}"), r#""caf\xe9 \"x\"\n""#);
    }

    #[test]
    fn text_compares_with_strings() {
        let text = Text::from("live");
        assert!(text == "live" && text == *"live" && text != "live2" && !text.is_empty());
        assert_eq!((text.to_str(), text.len()), (Ok("live"), 4));
        assert_eq!(format!("{}", Text::from("größe")), "größe");
    }
}
