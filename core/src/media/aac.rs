//! The configuration of AAC: AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), the body of an AAC sequence header.
//!
//! ```text
//!  object type (5, or 31 and 6) · rate (4, or 15 and 24) · channels (4)
//!  with an extension, after object type 5 or 29: its rate (4, or 15 and 24) · object type (5, or 31 and 6)
//!  then three bits that are 0
//! ```
//!
//! ```
//! use embedded_rtmp::media::aac::{BUFFER_SIZE, AacConfig, ObjectType};
//!
//! let config = AacConfig::new(ObjectType::LOW_COMPLEXITY, 44_100, 2);
//! assert_eq!(config.sequence_header(&mut [0; BUFFER_SIZE]), Some(&[0xAF, 0, 0x12, 0x10][..]));
//! assert_eq!(AacConfig::parse(&[0x12, 0x10]), Some(config));
//! ```

use super::audio::{AacPacket, AudioTagHeader, HEADER_SIZE};
use super::bits::Bits;
use crate::bytes::{low_u8, low_u32};
use crate::fmt::impl_format;

/// The length of the longest sequence header in bytes.
pub const BUFFER_SIZE: usize = HEADER_SIZE + 11;

/// The audio object type (ISO/IEC 14496-3, table 1.17), from 1 to 95. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ObjectType(pub u8);

impl ObjectType {
    /// AAC Main.
    pub const MAIN: ObjectType = ObjectType(1);
    /// AAC LC. Nearly all encoders and players support it.
    pub const LOW_COMPLEXITY: ObjectType = ObjectType(2);

    /// Spectral band replication (SBR). The object type that it extends follows.
    const SPECTRAL_BAND: ObjectType = ObjectType(5);
    /// SBR with parametric stereo (PS): the decoder makes two channels from one.
    const PARAMETRIC_STEREO: ObjectType = ObjectType(29);
}

/// The extension of HE-AAC: the decoder reconstructs the upper half of the spectrum (SBR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extension {
    /// The decoder's output in samples per second. Usually twice the rate of the configuration.
    pub rate: u32,
    /// Whether two channels are made from one (PS).
    pub parametric_stereo: bool,
}

/// The configuration of an AAC decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AacConfig {
    /// The audio object type.
    pub object_type: ObjectType,
    /// Samples per second.
    pub rate: u32,
    /// The number of channels: 1 to 6, or 8. 0 if the frames contain the number.
    pub channels: u8,
    /// HE-AAC, if the configuration says so explicitly.
    pub extension: Option<Extension>,
}

/// The rates that have an index (table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// The rate itself follows.
const RATE_FOLLOWS: u32 = 15;
/// The object type minus 32 follows.
const TYPE_FOLLOWS: u32 = 31;
/// The channel configuration of eight channels. Up to six, the configuration is the number of channels (table 1.19).
const EIGHT_CHANNELS: u32 = 7;

impl AacConfig {
    /// A configuration without an extension. `rate` is in samples per second.
    pub const fn new(object_type: ObjectType, rate: u32, channels: u8) -> Self {
        Self { object_type, rate, channels, extension: None }
    }

    /// Parses an AudioSpecificConfig, which is the body of an AAC sequence header.
    ///
    /// Returns `None` if it is truncated or has a reserved value. Bytes after these fields are not read. Some encoders
    /// signal HE-AAC only there, for compatibility with old decoders. It is returned as the AAC that it extends.
    pub fn parse(bytes: &[u8]) -> Option<AacConfig> {
        let bits = &mut Bits::new(bytes);
        let mut object_type = read_type(bits)?;
        let rate = read_rate(bits)?;
        let channels = match bits.number(4)? {
            channels @ 0..=6 => low_u8(channels as usize),
            EIGHT_CHANNELS => 8,
            _ => return None,
        };
        let mut extension = None;
        if matches!(object_type, ObjectType::SPECTRAL_BAND | ObjectType::PARAMETRIC_STEREO) {
            let parametric_stereo = object_type == ObjectType::PARAMETRIC_STEREO;
            extension = Some(Extension { rate: read_rate(bits)?, parametric_stereo });
            object_type = read_type(bits)?;
        }
        Some(AacConfig { object_type, rate, channels, extension })
    }

    /// Writes an AAC sequence header, the whole payload of its audio message, into `buffer` and returns what it wrote.
    /// Send it before the first frame, and again after each reconnection.
    ///
    /// Returns `None` if the configuration cannot be encoded: the object type is 0 or more than 94, the rate is 2²⁴ or
    /// more, or the number of channels is not 0 to 6 or 8.
    pub fn sequence_header<'b>(&self, buffer: &'b mut [u8; BUFFER_SIZE]) -> Option<&'b [u8]> {
        let channels = match self.channels {
            channels @ 0..=6 => channels.into(),
            8 => EIGHT_CHANNELS,
            _ => return None,
        };
        *buffer = [0; BUFFER_SIZE];
        let (header, body) = buffer.split_first_chunk_mut()?;
        AudioTagHeader::Aac(AacPacket::SEQUENCE_HEADER).emit(header);
        let mut out = Out { bytes: body, written: 0 };
        match self.extension {
            None => out.put_type(self.object_type)?,
            Some(Extension { parametric_stereo: true, .. }) => out.put_type(ObjectType::PARAMETRIC_STEREO)?,
            Some(_) => out.put_type(ObjectType::SPECTRAL_BAND)?,
        }
        out.put_rate(self.rate)?;
        out.put(4, channels);
        if let Some(extension) = self.extension {
            out.put_rate(extension.rate)?;
            out.put_type(self.object_type)?;
        }
        // GASpecificConfig (4.4.1): frames of 1,024 samples, no core coder, no extension.
        out.put(3, 0);
        let length = HEADER_SIZE.wrapping_add(out.written.div_ceil(8));
        buffer.get(..length)
    }
}

/// A frame of an ADTS stream (ISO/IEC 14496-3, 1.A.2.2), which many encoders write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsFrame<'a> {
    /// The configuration in the header of the frame. [`AacConfig::sequence_header`] makes a sequence header from it.
    pub config: AacConfig,
    /// The raw frame, which is the body of an audio message.
    pub raw: &'a [u8],
}

impl_format!(['a] AdtsFrame<'a>, this => "AdtsFrame {{ config: {}, {} bytes }}", this.config, this.raw.len());

/// An iterator over the frames of an ADTS stream. It ends at an incomplete frame, at a frame that contains several raw
/// data blocks, and at bytes that are not a frame. No byte is copied.
///
/// ```
/// use embedded_rtmp::media::aac::AdtsFrames;
///
/// let stream = b"\xFF\xF1\x50\x80\x01\x3F\xFCab";
/// let frame = AdtsFrames::new(stream).next().expect("a frame");
/// assert_eq!((frame.config.rate, frame.config.channels, frame.raw), (44_100, 2, &b"ab"[..]));
/// ```
#[derive(Debug, Clone)]
pub struct AdtsFrames<'a>(&'a [u8]);

impl_format!(['a] AdtsFrames<'a>, this => "AdtsFrames {{ {} bytes }}", this.0.len());

impl<'a> AdtsFrames<'a> {
    /// Creates an iterator over the frames of `stream`, such as the output of an encoder.
    pub const fn new(stream: &'a [u8]) -> Self {
        Self(stream)
    }

    /// Returns the bytes after the last frame that was returned.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for AdtsFrames<'a> {
    type Item = AdtsFrame<'a>;

    fn next(&mut self) -> Option<AdtsFrame<'a>> {
        let bits = &mut Bits::new(self.0);
        let (sync, _version, layer) = (bits.number(12)?, bits.bit()?, bits.number(2)?);
        let has_no_checksum = bits.bit()?;
        let object_type = ObjectType(low_u8(bits.number(2)? as usize).wrapping_add(1));
        let rate = bits.number(4)?;
        let _private = bits.bit()?;
        let channels = bits.number(3)?;
        let _copyright = bits.number(4)?;
        let length = bits.number(13)? as usize;
        let _fullness = bits.number(11)?;
        let more_frames = bits.number(2)?;
        let header = if has_no_checksum { 7 } else { 9 };
        if sync != 0xFFF || layer != 0 || more_frames != 0 || length < header {
            return None;
        }
        let rate = *RATES.get(rate as usize)?;
        let channels = if channels == EIGHT_CHANNELS { 8 } else { low_u8(channels as usize) };
        let (frame, rest) = self.0.split_at_checked(length)?;
        let raw = frame.get(header..)?;
        self.0 = rest;
        Some(AdtsFrame { config: AacConfig::new(object_type, rate, channels), raw })
    }
}

impl core::iter::FusedIterator for AdtsFrames<'_> {}

fn read_type(bits: &mut Bits<'_>) -> Option<ObjectType> {
    match bits.number(5)? {
        0 => None,
        TYPE_FOLLOWS => Some(ObjectType(low_u8(bits.number(6)? as usize).wrapping_add(32))),
        number => Some(ObjectType(low_u8(number as usize))),
    }
}

fn read_rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.number(4)? {
        RATE_FOLLOWS => bits.number(24),
        number => RATES.get(number as usize).copied(),
    }
}

/// Writes bits into zeroed bytes, the most significant bit of each byte first.
struct Out<'b> {
    bytes: &'b mut [u8],
    written: usize,
}

impl Out<'_> {
    /// Writes the lower `count` bits of a number.
    fn put(&mut self, count: u32, number: u32) {
        for bit in (0..count).rev() {
            if let Some(byte) = self.bytes.get_mut(self.written / 8) {
                *byte |= low_u8((number >> bit & 1) as usize) << (7 ^ self.written & 7);
            }
            self.written = self.written.wrapping_add(1);
        }
    }

    fn put_type(&mut self, object_type: ObjectType) -> Option<()> {
        match u32::from(object_type.0) {
            0 | TYPE_FOLLOWS | 95.. => return None,
            number @ 32.. => self.put(11, TYPE_FOLLOWS << 6 | (number & 0x3F ^ 0x20)),
            number => self.put(5, number),
        }
        Some(())
    }

    fn put_rate(&mut self, rate: u32) -> Option<()> {
        match RATES.iter().position(|known| *known == rate) {
            Some(number) => self.put(4, low_u32(number)),
            None if rate < 1 << 24 => self.put(28, RATE_FOLLOWS << 24 | rate),
            None => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LC: ObjectType = ObjectType::LOW_COMPLEXITY;

    const fn extended(rate: u32, channels: u8, extension: u32, parametric_stereo: bool) -> AacConfig {
        let extension = Some(Extension { rate: extension, parametric_stereo });
        AacConfig { extension, ..AacConfig::new(LC, rate, channels) }
    }

    /// The first four are FFmpeg's, without the three bytes that it appends to say that there is no extension.
    const VECTORS: [(&[u8], AacConfig); 10] = [
        (&[0x12, 0x10], AacConfig::new(LC, 44_100, 2)),
        (&[0x11, 0x88], AacConfig::new(LC, 48_000, 1)),
        (&[0x14, 0x08], AacConfig::new(LC, 16_000, 1)),
        (&[0x15, 0x88], AacConfig::new(LC, 8_000, 1)),
        (&[0x0A, 0x38], AacConfig::new(ObjectType::MAIN, 44_100, 8)),
        (&[0x17, 0x80, 0x27, 0x10, 0x10], AacConfig::new(LC, 20_000, 2)),
        (&[0x2B, 0x92, 0x08, 0x00], extended(22_050, 2, 44_100, false)),
        (&[0xEB, 0x8A, 0x08, 0x00], extended(22_050, 1, 44_100, true)),
        (&[0xF9, 0x48, 0x40], AacConfig::new(ObjectType(42), 44_100, 2)),
        (&[0x12, 0x00], AacConfig::new(LC, 44_100, 0)),
    ];

    #[test]
    fn item_110_configurations_are_read_and_written() {
        for (bytes, config) in VECTORS {
            assert_eq!(AacConfig::parse(bytes), Some(config));
            assert_eq!(AacConfig::parse(&[bytes, &[0x56, 0xE5, 0]].concat()), Some(config));
            let mut buffer = [0xEE; BUFFER_SIZE];
            let payload = config.sequence_header(&mut buffer).unwrap();
            assert_eq!((&payload[..2], &payload[2..]), (&[0xAF, 0][..], bytes), "{config:?}");
        }
    }

    #[test]
    fn item_110_a_configuration_that_is_cut_off_or_reserved_is_none() {
        for (bytes, config) in VECTORS {
            // The last byte may hold nothing but the three zeros.
            for length in 0..bytes.len() - 1 {
                assert_eq!(AacConfig::parse(&bytes[..length]), None, "{config:?} in {length} bytes");
            }
        }
        // Object type 0; rates 13 and 14; channel configurations 8 and 15.
        for bytes in [[0x02, 0x10], [0x16, 0x90], [0x17, 0x10], [0x12, 0x40], [0x12, 0x78]] {
            assert_eq!(AacConfig::parse(&bytes), None);
        }
    }

    #[test]
    fn item_110_a_configuration_that_cannot_be_encoded_is_not_written() {
        let none = [
            AacConfig::new(ObjectType(0), 44_100, 2),
            AacConfig::new(ObjectType(31), 44_100, 2),
            AacConfig::new(ObjectType(95), 44_100, 2),
            AacConfig::new(LC, 1 << 24, 2),
            AacConfig::new(LC, 44_100, 7),
            AacConfig::new(LC, 44_100, 9),
            extended(44_100, 2, u32::MAX, true),
        ];
        for config in none {
            assert_eq!(config.sequence_header(&mut [0; BUFFER_SIZE]), None, "{config:?}");
        }
        let longest = AacConfig { object_type: ObjectType(94), ..extended(1, 8, 2, false) };
        assert_eq!(longest.sequence_header(&mut [0; BUFFER_SIZE]).unwrap().len(), 2 + 10);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_and_read_again(bytes: [u8; 11]) {
            if let Some(config) = AacConfig::parse(&bytes)
                && !matches!(config.object_type, ObjectType(5 | 29 | 95))
            {
                let mut buffer = [0; BUFFER_SIZE];
                prop_assert_eq!(AacConfig::parse(&config.sequence_header(&mut buffer).unwrap()[2..]), Some(config));
            }
        }
    }

    #[test]
    fn frames_of_adts_lose_their_headers() {
        let frame = |channels: u8, protection: u8, raw: &[u8]| {
            let header = if protection == 1 { 7 } else { 9 };
            let length = header + raw.len();
            // AAC-LC at 48 kHz.
            let start = [
                0xFF,
                0xF0 | protection,
                0x4C | channels >> 2,
                (channels & 3) << 6 | (length >> 11) as u8,
                (length >> 3) as u8,
                ((length & 7) << 5) as u8 | 0x1F,
                0xFC,
            ];
            [&start[..], &[0xCC; 2][..header - 7], raw].concat()
        };
        let stream = [frame(2, 1, b"one"), frame(1, 0, b"two"), frame(7, 1, b""), b"\xFF\xF1\x4C".to_vec()].concat();
        let mut frames = AdtsFrames::new(&stream);
        let found: std::vec::Vec<_> = frames.by_ref().map(|frame| (frame.config, frame.raw)).collect();
        let config = |channels| AacConfig::new(LC, 48_000, channels);
        assert_eq!(found, [(config(2), &b"one"[..]), (config(1), b"two"), (config(8), b"")]);
        assert_eq!(frames.rest(), b"\xFF\xF1\x4C", "the next one is not whole");
        let long = frame(2, 1, &[7; 5000]);
        assert_eq!(AdtsFrames::new(&long).next().unwrap().raw, [7; 5000]);
        // No sync word, another layer, an unknown rate, two raw frames, and less than a header.
        for (index, byte) in [(0, 0xFE), (1, 0xF3), (2, 0x7C), (6, 0xFD), (4, 0)] {
            let mut broken = frame(2, 1, b"one");
            broken[index] = byte;
            assert_eq!(AdtsFrames::new(&broken).next(), None, "{index}");
        }
    }
}
