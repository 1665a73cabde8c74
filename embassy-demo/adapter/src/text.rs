//! Stores text that the peer sent.

use core::fmt;

use embedded_rtmp::amf0;

/// The beginning of a text that the peer sent: at most `N` bytes, and at most 255.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Text<N> {
    /// No text.
    pub(crate) const EMPTY: Self = {
        assert!(N <= u8::MAX as usize, "no longer text can be stored");
        Self { bytes: [0; N], length: 0 }
    };

    /// The first `N` bytes of `text`.
    pub fn new(text: amf0::Text<'_>) -> Self {
        let mut stored = Self::EMPTY;
        stored.set(text);
        stored
    }

    /// Stores the first `N` bytes of `text` instead of no text.
    pub(crate) fn set(&mut self, text: amf0::Text<'_>) {
        self.length = copy(text.as_bytes(), &mut self.bytes);
    }

    /// The text, if all of it fits.
    #[cfg(feature = "redirect")]
    pub(crate) fn whole(text: amf0::Text<'_>) -> Option<Self> {
        (text.len() <= N).then(|| Self::new(text))
    }

    /// These texts one after another, if all of them fit.
    #[cfg(feature = "redirect")]
    pub(crate) fn of_parts(parts: &[&str]) -> Option<Self> {
        let mut stored = Self::EMPTY;
        for byte in parts.iter().flat_map(|part| part.bytes()) {
            *stored.bytes.get_mut(usize::from(stored.length))? = byte;
            stored.length = stored.length.wrapping_add(1);
        }
        Some(stored)
    }

    /// Returns the stored bytes. A character at the end may be cut.
    pub fn as_text(&self) -> amf0::Text<'_> {
        amf0::Text::new(self.bytes.get(..self.length.into()).unwrap_or_default())
    }
}

/// Copies bytes until either side ends. Returns the number of bytes copied, which is at most 255.
// Not inlined, because it is called for texts of several sizes.
#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "a text has room for at most 255 bytes")]
fn copy(from: &[u8], to: &mut [u8]) -> u8 {
    let length = from.len().min(to.len());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    length as u8
}

#[cfg(any(feature = "redirect", feature = "rtmpt"))]
impl<const N: usize> Text<N> {
    /// Returns the text. It is empty if it is not valid UTF-8.
    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_text().as_bytes()).unwrap_or_default()
    }
}

#[cfg(feature = "rtmpt")]
impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_text().fmt(f)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_text(), f)
    }
}

#[cfg(feature = "defmt")]
impl<const N: usize> defmt::Format for Text<N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[u8]:a}", self.as_text().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn what_does_not_fit_is_cut() {
        let text = Text::<5>::new("ab\u{e9}d".into());
        assert_eq!((text.as_text().as_bytes(), &*text.to_string()), ("ab\u{e9}d".as_bytes(), "ab\u{e9}d"));
        let text = Text::<3>::new("ab\u{e9}d".into());
        assert_eq!((text.as_text().as_bytes(), &*text.to_string()), (&b"ab\xC3"[..], "ab\u{fffd}"));
        assert_eq!(Text::<3>::new("".into()).to_string(), "");
    }
}
