//! What an AMF0 message is made of.

use super::{Text, number_to_u32, u32_to_number};

/// One piece of an AMF0 value: a scalar, the start or end of a container, or a key in one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Token<'a> {
    /// A number (section 2.2).
    Number(f64),
    /// A boolean (2.3). Any byte but 0 is true.
    Boolean(bool),
    /// A string (2.4), or a long string (2.14): more than 65,535 bytes need, and get, the long form.
    String(Text<'a>),
    /// An object (2.5): pairs of [`Token::Key`] and a value follow, up to [`Token::End`].
    ObjectStart,
    /// An object of a class that has this name (2.18); else like [`Token::ObjectStart`].
    TypedObjectStart(Text<'a>),
    /// An ECMA array (2.10): pairs follow as in an object, up to [`Token::End`].
    EcmaArrayStart {
        /// How many pairs the sender announced. Senders announce 0, or anything: do not rely on it.
        len: u32,
    },
    /// A strict array (2.12): this many values follow, then [`Token::End`] (which takes no bytes).
    StrictArrayStart {
        /// The number of values. At most as many as there are bytes behind it.
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
        /// Minutes from UTC. Reserved: should be 0, and is not to be used.
        tz: i16,
    },
    /// An XML document (2.17).
    Xml(Text<'a>),
    /// The complex value with this number in the order of the message, once more (2.9). It is for the caller to refuse.
    Reference(u16),
    /// A value that the sender's types cannot express (2.15).
    Unsupported,
    /// A value in AMF3 (3.1), and all of the message behind it.
    ///
    /// The size of an AMF3 value depends on tables of strings, objects and classes that the values before it have
    /// filled, so that what follows it cannot be found without decoding AMF3 whole. So the decoding of this message
    /// ends here: only [`Token::End`] for each open container follows.
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
    /// Whether this opens a container of pairs: wherever a map is expected, any of the three kinds will do.
    pub const fn opens_map(&self) -> bool {
        matches!(self, Token::ObjectStart | Token::TypedObjectStart(_) | Token::EcmaArrayStart { .. })
    }

    /// The text of a string.
    pub const fn as_text(&self) -> Option<Text<'a>> {
        match self {
            Token::String(text) => Some(*text),
            _ => None,
        }
    }

    /// The value of a number that is an integer between 0 and `u32::MAX`, see [`number_to_u32`].
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
