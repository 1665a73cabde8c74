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
    /// The first `N` bytes of `text`.
    pub fn new(text: amf0::Text<'_>) -> Self {
        const { assert!(N <= u8::MAX as usize, "no longer text can be stored") }
        let mut stored = Self { bytes: [0; N], length: 0 };
        for (to, from) in stored.bytes.iter_mut().zip(text.as_bytes()) {
            *to = *from;
            stored.length = stored.length.wrapping_add(1);
        }
        stored
    }

    /// Returns the stored bytes. A character at the end may be cut.
    pub fn as_text(&self) -> amf0::Text<'_> {
        amf0::Text::new(self.bytes.get(..self.length.into()).unwrap_or_default())
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
