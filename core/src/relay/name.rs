//! Names of streams.

use core::fmt;

use crate::fmt::impl_format;

/// The name of a stream: the application and the stream key as one path.
///
/// Clients split a URL in different ways. From `rtmp://host/a/b/c`, some take the application `a/b`, some `a`, and some the
/// whole path with an empty key. In each case, the name is `a/b/c`. Clients also spell a name in different ways. These rules
/// give the name:
///
/// 1. Queries (from a `?` on) are dropped. They are for access control.
/// 2. Empty segments and segments `_definst_` are dropped. `_definst_` is the default instance of an application.
/// 3. The last segment loses one prefix `mp4:`, `flv:`, `mp3:` or `f4v:`, and then a suffix `.flv`. If nothing is left of
///    the segment, it is dropped, too.
///
/// So `live/_definst_/x`, `live/flv:x` and `live/x.flv` are `live/x`. `live/x.mp4` is another stream.
///
/// ```
/// use embedded_rtmp::relay::StreamName;
///
/// let mut buffer = [0; 16];
/// assert_eq!(StreamName::new(b"live/", b"camera?token=1").emit(&mut buffer), Ok(&b"live/camera"[..]));
/// assert!(StreamName::new(b"live/_definst_", b"camera.flv").is(b"live/camera"));
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

    /// Shows the name in pieces, in order.
    // This is not an iterator, because that takes more flash.
    #[inline(never)]
    fn visit(&self, show: &mut dyn FnMut(&[u8])) {
        let (mut last, mut is_first): (&[u8], _) = (&[], true);
        let mut show_segment = |segment: &[u8]| {
            if !segment.is_empty() {
                if !core::mem::take(&mut is_first) {
                    show(b"/");
                }
                show(segment);
            }
        };
        for text in [self.application, self.key] {
            for segment in without_query(text).split(|byte| *byte == b'/') {
                if !segment.is_empty() && segment != b"_definst_" {
                    show_segment(last);
                    last = segment;
                }
            }
        }
        show_segment(without_type(last));
    }

    /// The length of the name in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an empty name is valid")]
    pub fn len(&self) -> usize {
        let mut length: usize = 0;
        self.visit(&mut |piece| length = length.wrapping_add(piece.len()));
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
        self.visit(&mut |piece| to.by_ref().zip(piece).for_each(|(to, byte)| *to = *byte));
        Ok(name)
    }

    /// Whether this is the name that [`Self::emit`] wrote.
    pub fn is(&self, name: &[u8]) -> bool {
        let mut rest = Some(name);
        self.visit(&mut |piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        rest.is_some_and(<[u8]>::is_empty)
    }
}

/// Drops the query.
fn without_query(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// Drops the prefix and the suffix that name the type of a file.
fn without_type(segment: &[u8]) -> &[u8] {
    let prefixes = [b"mp4:", b"flv:", b"mp3:", b"f4v:"];
    let name = prefixes.iter().find_map(|prefix| segment.strip_prefix(*prefix)).unwrap_or(segment);
    name.strip_suffix(b".flv").unwrap_or(name)
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

    /// Checks that an application and a key give the name `expected`, and no other.
    fn check(application: &str, key: &str, expected: &str) {
        let name = StreamName::new(application.as_bytes(), key.as_bytes());
        let mut buffer = [0; 64];
        assert_eq!(name.emit(&mut buffer), Ok(expected.as_bytes()), "{application} {key}");
        assert!(name.is(expected.as_bytes()) && name.len() == expected.len(), "{application} {key}");
        for other in ["a/b/c/d", "b", "x.flv", &std::format!("{expected}/"), &std::format!("{expected}x")] {
            assert!(!name.is(other.as_bytes()), "{application} {key} {other}");
        }
    }

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
            check(application, key, expected);
        }
    }

    #[test]
    fn item_160_a_stream_has_one_name_in_all_spellings() {
        for (application, key, expected) in [
            // The default instance, anywhere.
            ("live/_definst_", "x", "live/x"),
            ("live", "_definst_/x", "live/x"),
            ("live/_definst_/", "", "live"),
            ("_definst_", "x", "x"),
            ("live/cam.flv", "_definst_", "live/cam"),
            ("live/_definst_?token=1", "x?y", "live/x"),
            // The type of the file, in the last segment.
            ("live", "flv:x", "live/x"),
            ("live", "x.flv", "live/x"),
            ("live", "flv:x.flv", "live/x"),
            ("live", "mp3:x", "live/x"),
            ("live", "f4v:x.f4v", "live/x.f4v"),
            ("live", "mp4:x.mp4", "live/x.mp4"),
            ("live", "x.mp4", "live/x.mp4"),
            ("live", "mp4:x", "live/x"),
            ("live", "x.flv?token=a/b.flv", "live/x"),
            ("live/_definst_", "a/flv:x.flv/", "live/a/x"),
            ("live/flv:x.flv", "", "live/x"),
            // One prefix and one suffix.
            ("live", "flv:mp4:x", "live/mp4:x"),
            ("live", "x.flv.flv", "live/x.flv"),
            ("live", "mp4:", "live"),
            ("live", "flv:.flv", "live"),
            // Not the last segment, not the whole of a prefix or suffix, or another case.
            ("live.flv", "x", "live.flv/x"),
            ("mp4:live", "x", "mp4:live/x"),
            ("live", "_definst_x", "live/_definst_x"),
            ("live", "x_definst_", "live/x_definst_"),
            ("live", "xflv", "live/xflv"),
            ("live", "x.flv1", "live/x.flv1"),
            ("live", "x.FLV", "live/x.FLV"),
            ("live", "raw:x", "live/raw:x"),
        ] {
            check(application, key, expected);
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
