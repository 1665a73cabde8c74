//! The description of a track's samples, made of its sequence header.

use super::NoTrack;
use super::window::Window;
use crate::bytes::{Cursor, low_u16, low_u32};
use crate::fmt::impl_format;
use crate::media::aac::AacConfig;
use crate::media::av1::{ObuType, Obus, SequenceHeader};
use crate::media::avc::{self, AvcConfig};
use crate::media::bits::Bits;
use crate::media::hevc;
use crate::message::FourCc;

/// What a sample entry has beside the configuration of the decoder.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Format {
    Video {
        width: u16,
        height: u16,
    },
    Audio {
        channels: u16,
        bits: u16,
        /// Samples per second.
        rate: u32,
    },
}

/// The track, and the box that configures its decoder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    /// The type of the sample entry is the same.
    pub(super) codec: FourCc,
    pub(super) identity: u32,
    pub(super) format: Format,
    /// The duration of a frame of audio in ms, or 0.
    pub(super) duration: u32,
    /// The type of the box.
    pub(super) kind: &'static [u8; 4],
    start: [u8; START],
    start_length: usize,
    /// The configuration of the decoder, which the box contains after `start`.
    pub(super) body: &'a [u8],
    /// The end of the box.
    pub(super) end: &'static [u8],
}

impl_format!(['a] Sample<'a>, this => "Sample {{ codec: {}, format: {} }}", this.codec, this.format);

/// The longest start of a box: that of `esds`.
const START: usize = 35;

impl<'a> Sample<'a> {
    /// Parses the body of a sequence header. `described` is the size of the pictures in the metadata.
    pub(super) fn new(
        codec: FourCc,
        identity: u32,
        body: &'a [u8],
        described: Option<(u32, u32)>,
    ) -> Result<Self, NoTrack> {
        let format = Format::Video { width: 0, height: 0 };
        let empty = Self {
            codec,
            identity,
            format,
            duration: 0,
            kind: b"avcC",
            start: [0; START],
            start_length: 0,
            body,
            end: &[],
        };
        let sample = match codec {
            FourCc::AVC => empty.avc(),
            FourCc::HEVC => empty.hevc(),
            FourCc::AV1 => empty.av1(),
            FourCc::VP9 => empty.vp9(),
            FourCc::AAC => empty.aac(),
            FourCc::OPUS => empty.opus(),
            FourCc::FLAC => empty.flac(),
            _ => return Err(NoTrack::Codec(codec)),
        };
        let mut sample = sample.ok_or(NoTrack::Invalid(codec))?;
        if let Format::Video { width, height } = &mut sample.format
            && (*width == 0 || *height == 0)
        {
            let size = described.and_then(|(width, height)| Some((size(width)?, size(height)?)));
            (*width, *height) = size.ok_or(NoTrack::NoSize(codec))?;
        }
        Ok(sample)
    }

    /// The start of the box that configures the decoder, before the body.
    pub(super) fn start(&self) -> &[u8] {
        self.start.get(..self.start_length).unwrap_or_default()
    }

    /// Sets the size of the pictures, if it is known.
    fn with_size(self, sizes: Option<(u32, u32)>) -> Option<Self> {
        let (width, height) = match sizes {
            Some((width, height)) => (size(width)?, size(height)?),
            None => (0, 0),
        };
        Some(Self { format: Format::Video { width, height }, ..self })
    }

    fn with_start(mut self, write: impl FnOnce(&mut Window<'_>)) -> Self {
        let mut to = Window::new(0, &mut self.start);
        write(&mut to);
        self.start_length = to.stored;
        self
    }

    /// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
    fn avc(self) -> Option<Self> {
        let sps = AvcConfig::parse(self.body).ok()?.sps().next();
        self.with_size(sps.and_then(avc::Sps::parse).map(|sps| (sps.width, sps.height)))
    }

    /// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
    fn hevc(self) -> Option<Self> {
        let mut fields = Cursor(self.body);
        let _properties = fields.take(22)?;
        let arrays = fields.u8()?;
        let sps = hevc_sps(arrays, fields).and_then(hevc::Sps::parse);
        Self { kind: b"hvcC", ..self }.with_size(sps.map(|sps| (sps.width, sps.height)))
    }

    /// AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding, 2.3.3).
    fn av1(self) -> Option<Self> {
        let obus = self.body.get(4..).filter(|_| self.body.first() == Some(&0x81))?;
        let header = Obus::new(obus).find(|obu| obu.kind == ObuType::SEQUENCE_HEADER);
        let header = header.and_then(|obu| SequenceHeader::parse(obu.payload));
        Self { kind: b"av1C", ..self }.with_size(header.map(|header| (header.width, header.height)))
    }

    /// VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding). It has no size. FFmpeg writes the version and
    /// the flags of the box before it.
    fn vp9(self) -> Option<Self> {
        const VERSION: [u8; 4] = [1, 0, 0, 0];
        let record = match self.body.split_first_chunk() {
            Some((&VERSION, record)) => record,
            _ => self.body,
        };
        let _fields = record.get(..8)?;
        Self { kind: b"vpcC", body: record, ..self }.with_start(|to| to.put(&VERSION)).with_size(None)
    }

    /// AudioSpecificConfig, in the descriptors of ISO/IEC 14496-1, 7.2.6.
    fn aac(self) -> Option<Self> {
        const ES: u8 = 3;
        const DECODER_CONFIG: u8 = 4;
        const DECODER_SPECIFIC: u8 = 5;
        const AUDIO_14496_3: u8 = 0x40;
        const AUDIO_STREAM: u8 = 5 << 2 | 1;
        /// A size in four bytes of 7 bits.
        fn descriptor(to: &mut Window<'_>, tag: u8, size: u32) {
            to.byte(tag);
            let seven = |shift: u32| (size >> shift & 0x7F) as u8;
            to.put(&[seven(21) | 0x80, seven(14) | 0x80, seven(7) | 0x80, seven(0)]);
        }
        let config = AacConfig::parse(self.body)?;
        let length = low_u32(self.body.len());
        let channels = match config.channels {
            0 => 2,
            channels => channels.into(),
        };
        let duration = 1_024_000_u32.div_ceil(config.rate.max(1));
        let format = Format::Audio { channels, bits: 16, rate: config.rate };
        // SLConfigDescriptor, as for MP4 files (ISO/IEC 14496-14, 3.1.2).
        let end = &[6, 0x80, 0x80, 0x80, 1, 2];
        let sample = Self { kind: b"esds", format, duration, end, ..self };
        Some(sample.with_start(|to| {
            to.u32(0);
            descriptor(to, ES, length.saturating_add(32));
            // The id 0, and no flags.
            to.put(&[0; 3]);
            descriptor(to, DECODER_CONFIG, length.saturating_add(18));
            // The size of the decoder's buffer and the bit rates are unknown.
            to.put(&[AUDIO_14496_3, AUDIO_STREAM, 0, 0, 0]);
            to.put(&[0; 8]);
            descriptor(to, DECODER_SPECIFIC, length);
        }))
    }

    /// `OpusHead` (RFC 7845, 5.1), whose numbers are little-endian. OpusSpecificBox has the same fields, big-endian.
    fn opus(self) -> Option<Self> {
        let mut fields = Cursor(self.body);
        fields.take(8).filter(|magic| *magic == b"OpusHead")?;
        let [_version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family] = fields.array()?;
        let format = Format::Audio { channels: channels.into(), bits: 16, rate: 48_000 };
        // The rest is the table of channels, if there is one.
        let table = if family == 0 { &[] } else { fields.0 };
        let sample = Self { kind: b"dOps", format, duration: 20, body: table, ..self };
        Some(sample.with_start(|to| to.put(&[0, channels, s1, s0, r3, r2, r1, r0, g1, g0, family])))
    }

    /// The stream information block (FLAC, RFC 9639, 8.2), also after the marker and the header that a file has.
    fn flac(self) -> Option<Self> {
        const LENGTH: u8 = 34;
        let block = self.body.strip_prefix(b"fLaC").unwrap_or(self.body);
        let block = match block {
            [0 | 0x80, 0, 0, LENGTH, block @ ..] => block,
            block => block,
        };
        let block = block.get(..LENGTH.into())?;
        let bits = &mut Bits::new(block);
        let (_least, most) = (bits.number(16)?, bits.number(16)?);
        let _frame_sizes = (bits.number(24)?, bits.number(24)?);
        let rate = bits.number(20).filter(|rate| *rate > 0)?;
        let number = |number: u32| low_u16(number as usize).wrapping_add(1);
        let (channels, bits) = (number(bits.number(3)?), number(bits.number(5)?));
        let format = Format::Audio { channels, bits, rate };
        let duration = most.wrapping_mul(1_000).div_ceil(rate);
        let sample = Self { kind: b"dfLa", format, duration, body: block, ..self };
        // The version and the flags, and the header of the last block.
        Some(sample.with_start(|to| to.put(&[0, 0, 0, 0, 0x80, 0, 0, LENGTH])))
    }
}

/// A size that a sample entry can have.
fn size(pixels: u32) -> Option<u16> {
    u16::try_from(pixels).ok().filter(|pixels| *pixels > 0)
}

/// Finds the first sequence parameter set in the arrays of NAL units of a record.
fn hevc_sps<'a>(arrays: u8, mut fields: Cursor<'a>) -> Option<&'a [u8]> {
    for _ in 0..arrays {
        let kind = hevc::UnitType(fields.u8()? & 0x3F);
        for _ in 0..fields.u16()? {
            let length = fields.u16()?;
            let unit = fields.take(length.into())?;
            if kind == hevc::UnitType::SPS {
                return Some(unit);
            }
        }
    }
    None
}
