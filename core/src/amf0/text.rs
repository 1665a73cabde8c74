//! Text of the peer's.

use core::fmt::{self, Write};
use core::str::Utf8Error;

/// Text as it came: bytes that should be UTF-8, and need not be.
///
/// Whether they are is checked when [`to_str`](Self::to_str) asks, and not before: most text is only compared.
/// `Display` writes each fault as U+FFFD, `Debug` as escaped bytes. `defmt::Format` tells the length alone: stream keys and
/// tokens are such texts, too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Text of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, where it is UTF-8.
    pub const fn to_str(self) -> Result<&'a str, Utf8Error> {
        core::str::from_utf8(self.0)
    }

    /// The length in bytes.
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there is no text.
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
    // A loop of our own, since the comparisons of a session are short and few, and memcmp takes more flash than they do.
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
