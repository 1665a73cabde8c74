//! Names of streams.

use core::fmt;

use crate::fmt::impl_format;

/// The name of a stream: the application and the stream key as one path.
///
/// Clients split a URL differently. Of `rtmp://host/a/b/c`, some make the application `a/b`, some `a`, and some all of it
/// with an empty key. All of these are the name `a/b/c`. Queries (from a `?` on) are for access control and do not belong
/// to the name. Empty segments are dropped.
///
/// ```
/// use embedded_rtmp::relay::StreamName;
///
/// let mut buffer = [0; 16];
/// assert_eq!(StreamName::new(b"live/", b"camera?token=1").emit(&mut buffer), Ok(&b"live/camera"[..]));
/// assert!(StreamName::new(b"live", b"a-key-of-22-characters").emit(&mut buffer).is_err());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StreamName<'a> {
    application: &'a [u8],
    key: &'a [u8],
}

impl_format!(
    ['a] StreamName<'a>, this => "StreamName {{ {=[u8]:a}, {=[u8]:a} }}", this.application, this.key
);

impl<'a> StreamName<'a> {
    /// The name of the stream with this key in this application. Both may be any bytes, with or without a query.
    pub const fn new(application: &'a [u8], key: &'a [u8]) -> Self {
        Self { application, key }
    }

    /// Shows the bytes of the name in order.
    // Not an iterator, which would take three times the flash.
    #[inline(never)]
    fn visit(&self, show: &mut dyn FnMut(u8)) {
        let mut is_empty = true;
        for text in [self.application, self.key] {
            let mut begins = true;
            for byte in text.iter().copied().take_while(|byte| *byte != b'?') {
                if byte == b'/' {
                    begins = true;
                    continue;
                }
                if begins && !is_empty {
                    show(b'/');
                }
                (begins, is_empty) = (false, false);
                show(byte);
            }
        }
    }

    /// The length of the name in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty name is valid")]
    pub fn len(&self) -> usize {
        let mut length: usize = 0;
        self.visit(&mut |_| length = length.wrapping_add(1));
        length
    }

    /// Writes the name to the start of `buffer` and returns it.
    ///
    /// # Errors
    /// The name is longer than the buffer.
    pub fn emit<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], NameTooLong> {
        let (needed, room) = (self.len(), buffer.len());
        let name = buffer.get_mut(..needed).ok_or(NameTooLong { needed, room })?;
        let mut to = name.iter_mut();
        self.visit(&mut |byte| to.by_ref().take(1).for_each(|to| *to = byte));
        Ok(name)
    }

    /// Whether this is the name that [`Self::emit`] wrote.
    pub fn is(&self, name: &[u8]) -> bool {
        let (mut rest, mut is_same) = (name.iter(), true);
        self.visit(&mut |byte| is_same &= rest.next() == Some(&byte));
        is_same && rest.next().is_none()
    }
}

/// A stream's name is too long for the memory that was lent for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NameTooLong {
    /// The length of the name in bytes.
    pub needed: usize,
    /// The size of the memory for the name.
    pub room: usize,
}

impl fmt::Display for NameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream's name has {} bytes, and there is room for {}", self.needed, self.room)
    }
}

impl core::error::Error for NameTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_name_wherever_its_path_is_split() {
        for (application, key, expected) in [
            // librtmp and FFmpeg; OBS without a stream key, and gortmplib (MediaMTX); a key alone; a slash too many.
            ("a/b", "c", "a/b/c"),
            ("a", "b/c", "a/b/c"),
            ("a/b/c", "", "a/b/c"),
            ("", "a/b/c", "a/b/c"),
            ("/a/b/", "/c/", "a/b/c"),
            ("a//b", "c", "a/b/c"),
            // Queries, with a slash inside.
            ("a?x=/y", "b?z", "a/b"),
            ("a/b?user=u&pass=p", "", "a/b"),
            ("a", "b", "a/b"),
            // Other names.
            ("ab", "", "ab"),
            ("studio", "x", "studio/x"),
            ("public", "x", "public/x"),
            ("", "", ""),
            ("/", "?", ""),
        ] {
            let name = StreamName::new(application.as_bytes(), key.as_bytes());
            let mut buffer = [0; 64];
            assert_eq!(name.emit(&mut buffer), Ok(expected.as_bytes()), "{application} {key}");
            assert!(name.is(expected.as_bytes()) && name.len() == expected.len(), "{application} {key}");
            assert!(!name.is(b"a/b/c/d") && !name.is(b"b"), "{application} {key}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_refused_with_its_length() {
        let name = StreamName::new(b"live", b"camera");
        let mut buffer = [0; 11];
        assert_eq!(name.emit(&mut buffer[..10]), Err(NameTooLong { needed: 11, room: 10 }));
        assert_eq!(name.emit(&mut buffer), Ok(&b"live/camera"[..]));
    }
}
