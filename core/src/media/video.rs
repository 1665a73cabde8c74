//! The header of video data (Video File Format Specification 10.1, annex E.4.3).
//!
//! ```text
//!  AVC     frame type (4) codec 7 (4) · packet type (8) · composition time (24, signed) · body
//!  others  frame type (4) codec (4) · body
//! ```
//!
//! The body of an AVC picture is a list of NAL units, each after its length. For encoders that write start codes instead,
//! see [`annex_b`](super::avc::annex_b). [`avc`](super::avc) makes the body of an AVC sequence header.
//!
//! ```
//! use embedded_rtmp::media::video::{AvcPacket, FrameType, HEADER_SIZE, VideoTagHeader};
//!
//! let mut buffer = [0; HEADER_SIZE];
//! let header = VideoTagHeader::Avc { frame: FrameType::KEY, packet: AvcPacket::NAL_UNITS, composition_time: 40 };
//! assert_eq!(header.emit(&mut buffer), [0x17, 1, 0, 0, 40]);
//! ```

use crate::bytes::Cursor;

/// The length of the longest header in bytes.
pub const HEADER_SIZE: usize = 5;

/// The frame type, in four bits: how a picture can be decoded. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrameType(pub u8);

impl FrameType {
    /// A keyframe: decoding can begin here.
    pub const KEY: FrameType = FrameType(1);
    /// A picture that needs others.
    pub const INTER: FrameType = FrameType(2);
    /// A picture that needs others and that no other picture needs. The specification defines it for H.263; AVC decoders
    /// accept it.
    pub const DISPOSABLE: FrameType = FrameType(3);
    /// A keyframe that a server made.
    pub const GENERATED_KEY: FrameType = FrameType(4);
    /// No picture: a command or information.
    pub const COMMAND: FrameType = FrameType(5);
}

/// The video codec, in four bits. Unknown codecs survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Codec(pub u8);

impl Codec {
    /// Sorenson H.263.
    pub const SORENSON_H263: Codec = Codec(2);
    /// Screen video.
    pub const SCREEN: Codec = Codec(3);
    /// On2 VP6.
    pub const VP6: Codec = Codec(4);
    /// On2 VP6 with an alpha channel.
    pub const VP6_ALPHA: Codec = Codec(5);
    /// Screen video, version 2.
    pub const SCREEN_2: Codec = Codec(6);
    /// AVC (H.264).
    pub const AVC: Codec = Codec(7);
}

/// The AVC packet type. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AvcPacket(pub u8);

impl AvcPacket {
    /// The sequence header: an AVCDecoderConfigurationRecord.
    pub const SEQUENCE_HEADER: AvcPacket = AvcPacket(0);
    /// NAL units, each after its length.
    pub const NAL_UNITS: AvcPacket = AvcPacket(1);
    /// The end of the sequence. There is no body.
    pub const END_OF_SEQUENCE: AvcPacket = AvcPacket(2);
}

/// The header before the body of video data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum VideoTagHeader {
    /// AVC.
    Avc {
        /// How the picture can be decoded.
        frame: FrameType,
        /// The type of the body.
        packet: AvcPacket,
        /// The time from the timestamp to the presentation of the picture in milliseconds: 24 bits, signed. 0 without
        /// B-frames.
        composition_time: i32,
    },
    /// Another codec, whose own header, if it has one, is part of the body; or a command, whose body is one byte.
    Other {
        /// How the picture can be decoded.
        frame: FrameType,
        /// The codec. [`Codec::AVC`] only together with [`FrameType::COMMAND`].
        codec: Codec,
    },
    /// Enhanced RTMP: the first byte, whose top bit is set. Its other fields are part of the body.
    Enhanced(u8),
}

impl VideoTagHeader {
    /// The header of an AVC sequence header.
    pub const AVC_SEQUENCE_HEADER: VideoTagHeader =
        VideoTagHeader::Avc { frame: FrameType::KEY, packet: AvcPacket::SEQUENCE_HEADER, composition_time: 0 };

    /// Parses the header at the front of a video message. Returns the header and the body, or `None` if the header is
    /// incomplete.
    pub fn parse(data: &[u8]) -> Option<(VideoTagHeader, &[u8])> {
        let mut fields = Cursor(data);
        let first = fields.u8()?;
        let (frame, codec) = (FrameType(first >> 4), Codec(first & 0x0F));
        let header = if first & ENHANCED != 0 {
            Self::Enhanced(first)
        } else if codec == Codec::AVC && frame != FrameType::COMMAND {
            let [packet, high, middle, low] = fields.array()?;
            // The value is at the top of 32 bits, so that the shift extends the sign.
            let composition_time = i32::from_be_bytes([high, middle, low, 0]) >> 8;
            Self::Avc { frame, packet: AvcPacket(packet), composition_time }
        } else {
            Self::Other { frame, codec }
        };
        Some((header, fields.0))
    }

    /// Writes the header into `buffer` and returns it. Bits that a field does not have are ignored.
    pub fn emit<'b>(&self, buffer: &'b mut [u8; HEADER_SIZE]) -> &'b [u8] {
        let first = |frame: FrameType, codec: Codec| (frame.0 & 0x07) << 4 | codec.0 & 0x0F;
        let byte = match *self {
            Self::Avc { frame, packet, composition_time } => {
                let [_, high, middle, low] = composition_time.to_be_bytes();
                *buffer = [first(frame, Codec::AVC), packet.0, high, middle, low];
                return buffer;
            }
            Self::Other { frame, codec } => first(frame, codec),
            Self::Enhanced(first) => first | ENHANCED,
        };
        let [a, ..] = buffer;
        *a = byte;
        core::slice::from_ref(a)
    }
}

/// The bit of the first byte that marks Enhanced RTMP.
pub(super) const ENHANCED: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn avc(frame: FrameType, packet: AvcPacket, composition_time: i32) -> VideoTagHeader {
        VideoTagHeader::Avc { frame, packet, composition_time }
    }

    const VECTORS: [(&[u8], VideoTagHeader); 10] = [
        (&[0x17, 0, 0, 0, 0], VideoTagHeader::AVC_SEQUENCE_HEADER),
        (&[0x17, 1, 0, 0, 0x50], avc(FrameType::KEY, AvcPacket::NAL_UNITS, 80)),
        (&[0x27, 1, 0xFF, 0xFF, 0xDE], avc(FrameType::INTER, AvcPacket::NAL_UNITS, -34)),
        (&[0x27, 1, 0x7F, 0xFF, 0xFF], avc(FrameType::INTER, AvcPacket::NAL_UNITS, 0x7F_FFFF)),
        (&[0x37, 1, 0x80, 0, 0], avc(FrameType::DISPOSABLE, AvcPacket::NAL_UNITS, -0x80_0000)),
        (&[0x17, 2, 0, 0, 0], avc(FrameType::KEY, AvcPacket::END_OF_SEQUENCE, 0)),
        (&[0x22], VideoTagHeader::Other { frame: FrameType::INTER, codec: Codec::SORENSON_H263 }),
        (&[0x1C], VideoTagHeader::Other { frame: FrameType::KEY, codec: Codec(12) }),
        (&[0x57], VideoTagHeader::Other { frame: FrameType::COMMAND, codec: Codec::AVC }),
        (&[0x91], VideoTagHeader::Enhanced(0x91)),
    ];

    #[test]
    fn item_110_composition_times_are_sign_extended_and_all_headers_read_and_written() {
        for (bytes, header) in VECTORS {
            assert_eq!(VideoTagHeader::parse(&[bytes, b"body"].concat()), Some((header, &b"body"[..])));
            assert_eq!(header.emit(&mut [0xEE; HEADER_SIZE]), bytes);
        }
    }

    #[test]
    fn item_110_less_than_a_header_is_none() {
        for (bytes, _) in VECTORS {
            for length in 0..bytes.len() {
                assert_eq!(VideoTagHeader::parse(&bytes[..length]), None);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(bytes: [u8; 5]) {
            let (header, body) = VideoTagHeader::parse(&bytes).unwrap();
            let mut buffer = [0; HEADER_SIZE];
            prop_assert_eq!([header.emit(&mut buffer), body].concat(), bytes);
        }
    }
}
