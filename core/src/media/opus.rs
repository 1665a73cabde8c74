//! Opus: the body of a sequence header of [Enhanced RTMP](super::enhanced).
//!
//! The body of each audio message is one packet of the encoder.
//!
//! ```
//! use embedded_rtmp::media::enhanced::{FourCc, HEADER_SIZE, TrackHeader};
//! use embedded_rtmp::media::opus;
//!
//! // A microphone with one channel at 48 kHz. The encoder's look-ahead is 312 samples.
//! let head = opus::head(1, 312, 48_000).expect("one or two channels");
//! let mut buffer = [0; HEADER_SIZE];
//! let header = TrackHeader::audio(FourCc::OPUS).configuration().emit(&mut buffer);
//! assert_eq!((header, &head[..8]), (&b"\x90Opus"[..], &b"OpusHead"[..]));
//! ```

/// The length of the identification header in bytes.
pub const HEAD_SIZE: usize = 19;

/// Returns the identification header `OpusHead` (RFC 7845, section 5.1) of a stream with one channel or two.
///
/// `pre_skip` is the number of samples at 48 kHz that a player discards at the start. It is the look-ahead of the
/// encoder. `input_rate` is the sampling rate of the microphone in samples per second. Decoding does not depend on it.
/// Returns `None` for other numbers of channels, because they need a channel mapping table.
pub const fn head(channels: u8, pre_skip: u16, input_rate: u32) -> Option<[u8; HEAD_SIZE]> {
    if channels == 0 || channels > 2 {
        return None;
    }
    let ([s0, s1], [r0, r1, r2, r3]) = (pre_skip.to_le_bytes(), input_rate.to_le_bytes());
    // Version 1, no gain, and mapping family 0.
    Some([b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, channels, s0, s1, r0, r1, r2, r3, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_ffmpeg() {
        assert_eq!(head(1, 312, 48_000).as_ref(), Some(b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0"));
        assert_eq!(head(2, 0, 16_000).as_ref(), Some(b"OpusHead\x01\x02\0\0\x80\x3E\0\0\0\0\0"));
        assert_eq!((head(0, 0, 0), head(3, 0, 0)), (None, None));
    }
}
