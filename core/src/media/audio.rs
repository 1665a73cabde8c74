//! The header of audio data (Video File Format Specification 10.1, annex E.4.2).
//!
//! ```text
//!  AAC     format 10 (4) 3 (2) 1 (1) 1 (1) · packet type (8) · body
//!  others  format (4) rate (2) 16 bits (1) stereo (1) · body
//! ```
//!
//! The body of an AAC frame is one raw frame without an ADTS header. [`aac`](super::aac) makes the body of an AAC sequence
//! header. G.711, PCM and MP3 have no sequence header.
//!
//! ```
//! use embedded_rtmp::media::audio::{AacPacket, HEADER_SIZE, AudioTagHeader, Sound};
//!
//! let mut buffer = [0; HEADER_SIZE];
//! assert_eq!(AudioTagHeader::Aac(AacPacket::RAW).emit(&mut buffer), [0xAF, 1]);
//! assert_eq!(AudioTagHeader::Other(Sound::G711_MU_LAW).emit(&mut buffer), [0x82]);
//! ```

use crate::bytes::Cursor;

/// The length of the longest header in bytes.
pub const HEADER_SIZE: usize = 2;

/// The format of the sound, in four bits. Unknown formats survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format(pub u8);

impl Format {
    /// Linear PCM in the byte order of the machine that recorded it.
    pub const PCM: Format = Format(0);
    /// ADPCM.
    pub const ADPCM: Format = Format(1);
    /// MP3.
    pub const MP3: Format = Format(2);
    /// Linear PCM, little-endian. Samples of 8 bits are unsigned.
    pub const PCM_LITTLE_ENDIAN: Format = Format(3);
    /// Nellymoser at 16 kHz, mono.
    pub const NELLYMOSER_16_KHZ: Format = Format(4);
    /// Nellymoser at 8 kHz, mono.
    pub const NELLYMOSER_8_KHZ: Format = Format(5);
    /// Nellymoser.
    pub const NELLYMOSER: Format = Format(6);
    /// G.711 with A-law.
    pub const G711_A_LAW: Format = Format(7);
    /// G.711 with mu-law.
    pub const G711_MU_LAW: Format = Format(8);
    /// AAC.
    pub const AAC: Format = Format(10);
    /// Speex at 16 kHz, mono.
    pub const SPEEX: Format = Format(11);
    /// MP3 at 8 kHz.
    pub const MP3_8_KHZ: Format = Format(14);
}

/// The sampling rate in the header. The rate inside the coded data takes precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rate {
    /// 5,512.5 Hz. Also written for formats with a fixed rate, such as G.711.
    Hz5512 = 0,
    /// 11,025 Hz.
    Hz11025 = 1,
    /// 22,050 Hz.
    Hz22050 = 2,
    /// 44,100 Hz.
    Hz44100 = 3,
}

impl Rate {
    /// The rate for a number of Hz. Returns `None` for rates that the header cannot express.
    pub const fn from_hz(hz: u32) -> Option<Rate> {
        Some(match hz {
            5_512 | 5_513 => Self::Hz5512,
            11_025 => Self::Hz11025,
            22_050 => Self::Hz22050,
            44_100 => Self::Hz44100,
            _ => return None,
        })
    }

    const fn from_bits(bits: u8) -> Rate {
        match bits & 3 {
            0 => Self::Hz5512,
            1 => Self::Hz11025,
            2 => Self::Hz22050,
            _ => Self::Hz44100,
        }
    }
}

/// The AAC packet type. Unknown types survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AacPacket(pub u8);

impl AacPacket {
    /// The sequence header: an AudioSpecificConfig.
    pub const SEQUENCE_HEADER: AacPacket = AacPacket(0);
    /// One frame.
    pub const RAW: AacPacket = AacPacket(1);
}

/// The first byte of audio data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sound {
    /// The format.
    pub format: Format,
    /// The sampling rate.
    pub rate: Rate,
    /// Whether samples have 16 bits. Otherwise they have 8. Compressed formats have 16.
    pub sixteen_bits: bool,
    /// Whether there are two channels. Otherwise there is one.
    pub stereo: bool,
}

impl Sound {
    /// G.711 with A-law: 8,000 Hz, mono.
    pub const G711_A_LAW: Sound = Sound::g711(Format::G711_A_LAW);
    /// G.711 with mu-law: 8,000 Hz, mono.
    pub const G711_MU_LAW: Sound = Sound::g711(Format::G711_MU_LAW);

    const fn g711(format: Format) -> Sound {
        Sound { format, rate: Rate::Hz5512, sixteen_bits: true, stereo: false }
    }

    /// MP3 at `hz` samples per second: 8,000, 11,025, 22,050, 44,100 or 48,000. Returns `None` for other rates. 48,000 is
    /// written as 44,100, because decoders read the rate from the frames.
    pub const fn mp3(hz: u32, stereo: bool) -> Option<Sound> {
        let (format, rate) = match hz {
            8_000 => (Format::MP3_8_KHZ, Rate::Hz5512),
            48_000 => (Format::MP3, Rate::Hz44100),
            11_025 | 22_050 | 44_100 => match Rate::from_hz(hz) {
                Some(rate) => (Format::MP3, rate),
                None => return None,
            },
            _ => return None,
        };
        Some(Sound { format, rate, sixteen_bits: true, stereo })
    }

    /// Linear PCM, little-endian, with signed samples of 16 bits or unsigned samples of 8 bits, at `hz` samples per second:
    /// 5,512, 11,025, 22,050 or 44,100. Returns `None` for other rates.
    pub const fn pcm(hz: u32, sixteen_bits: bool, stereo: bool) -> Option<Sound> {
        match Rate::from_hz(hz) {
            Some(rate) => Some(Sound { format: Format::PCM_LITTLE_ENDIAN, rate, sixteen_bits, stereo }),
            None => None,
        }
    }

    const fn parse(byte: u8) -> Sound {
        Sound {
            format: Format(byte >> 4),
            rate: Rate::from_bits(byte >> 2),
            sixteen_bits: byte & 2 != 0,
            stereo: byte & 1 != 0,
        }
    }

    const fn emit(&self) -> u8 {
        self.format.0 << 4 | (self.rate as u8) << 2 | (self.sixteen_bits as u8) << 1 | self.stereo as u8
    }
}

/// The header before the body of audio data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AudioTagHeader {
    /// AAC. Rate, sample size and channels are those of its AudioSpecificConfig. The first byte always says 44,100 Hz,
    /// 16 bits and stereo, as the specification demands, and readers ignore that.
    Aac(AacPacket),
    /// Another format, whose own header, if it has one, is part of the body.
    Other(Sound),
    /// Enhanced RTMP: the first byte, whose upper half is 9. Its other fields are part of the body.
    Enhanced(u8),
}

impl AudioTagHeader {
    /// Parses the header at the front of an audio message. Returns the header and the body, or `None` if the header is
    /// incomplete.
    pub fn parse(data: &[u8]) -> Option<(AudioTagHeader, &[u8])> {
        let mut fields = Cursor(data);
        let first = fields.u8()?;
        let header = match Format(first >> 4) {
            Format::AAC => Self::Aac(AacPacket(fields.u8()?)),
            Format(ENHANCED) => Self::Enhanced(first),
            _ => Self::Other(Sound::parse(first)),
        };
        Some((header, fields.0))
    }

    /// Writes the header into `buffer` and returns it. Bits that a field does not have are ignored.
    pub fn emit<'b>(&self, buffer: &'b mut [u8; HEADER_SIZE]) -> &'b [u8] {
        let byte = match *self {
            Self::Aac(packet) => {
                *buffer = [0xAF, packet.0];
                return buffer;
            }
            Self::Other(sound) => sound.emit(),
            Self::Enhanced(first) => ENHANCED << 4 | first & 0x0F,
        };
        let [a, ..] = buffer;
        *a = byte;
        core::slice::from_ref(a)
    }
}

/// The format that marks Enhanced RTMP.
pub(super) const ENHANCED: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes as FFmpeg writes them, except MP3 at 8 kHz and unknown formats.
    const VECTORS: [(&[u8], AudioTagHeader); 12] = [
        (&[0xAF, 0], AudioTagHeader::Aac(AacPacket::SEQUENCE_HEADER)),
        (&[0xAF, 1], AudioTagHeader::Aac(AacPacket::RAW)),
        (&[0x72], AudioTagHeader::Other(Sound::G711_A_LAW)),
        (&[0x82], AudioTagHeader::Other(Sound::G711_MU_LAW)),
        (&[0x2F], AudioTagHeader::Other(Sound::mp3(44_100, true).unwrap())),
        (&[0x2A], AudioTagHeader::Other(Sound::mp3(22_050, false).unwrap())),
        (&[0xE2], AudioTagHeader::Other(Sound::mp3(8_000, false).unwrap())),
        (&[0x3E], AudioTagHeader::Other(Sound::pcm(44_100, true, false).unwrap())),
        (&[0x35], AudioTagHeader::Other(Sound::pcm(11_025, false, true).unwrap())),
        (
            &[0xD0],
            AudioTagHeader::Other(Sound { format: Format(13), rate: Rate::Hz5512, sixteen_bits: false, stereo: false }),
        ),
        // ADPCM, which has ended others' sessions (part B, SRS).
        (&[0x1E], AudioTagHeader::Other(Sound { format: Format::ADPCM, ..Sound::pcm(44_100, true, false).unwrap() })),
        (&[0x91], AudioTagHeader::Enhanced(0x91)),
    ];

    #[test]
    fn item_110_every_header_is_read_and_written() {
        for (bytes, header) in VECTORS {
            assert_eq!(AudioTagHeader::parse(&[bytes, b"body"].concat()), Some((header, &b"body"[..])));
            assert_eq!(header.emit(&mut [0xEE; HEADER_SIZE]), bytes);
            assert_eq!(AudioTagHeader::parse(&bytes[1..]).filter(|_| bytes.len() == 1), None);
        }
        assert_eq!(AudioTagHeader::parse(&[0xAF]), None);
    }

    #[test]
    fn rates_that_the_header_cannot_express_are_refused() {
        assert_eq!(Sound::mp3(48_000, true), Sound::mp3(44_100, true));
        for hz in [0, 1, 8_001, 16_000, 24_000, 32_000, 48_001, u32::MAX] {
            assert_eq!((Sound::mp3(hz, true), Sound::pcm(hz, true, true)), (None, None));
        }
        assert_eq!(Sound::pcm(5_513, true, true).unwrap().rate, Rate::Hz5512);
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(bytes: [u8; 2]) {
            let (header, body) = AudioTagHeader::parse(&bytes).unwrap();
            let mut buffer = [0; HEADER_SIZE];
            let written = [header.emit(&mut buffer), body].concat();
            // AAC's flags are written as the specification says, whatever they were in the input.
            let expected = if bytes[0] >> 4 == 10 { [0xAF, bytes[1]] } else { bytes };
            prop_assert_eq!(written, expected);
        }
    }
}
