//! The description of a track's samples, made of its sequence header.

use super::NoTrack;
use crate::bytes::{Cursor, low_u8, low_u16, low_u32};
use crate::fmt::impl_format;
use crate::media::aac::AacConfig;
use crate::media::av1::{ObuType, Obus, SequenceHeader};
use crate::media::avc::{self, AvcConfig};
use crate::media::bits::Bits;
use crate::media::hevc;
use crate::message::FourCc;
use crate::text::put;

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
        let mut sample = Self {
            codec,
            identity,
            format: Format::Video { width: 0, height: 0 },
            duration: 0,
            kind: b"avcC",
            start: [0; START],
            start_length: 0,
            body,
            end: &[],
        };
        let parsed = match codec {
            FourCc::AVC => sample.avc(),
            FourCc::HEVC => sample.hevc(),
            FourCc::AV1 => sample.av1(),
            FourCc::VP9 => sample.vp9(),
            FourCc::AAC => sample.aac(),
            FourCc::OPUS => sample.opus(),
            FourCc::FLAC => sample.flac(),
            _ => return Err(NoTrack::Codec(codec)),
        };
        parsed.ok_or(NoTrack::Invalid(codec))?;
        if let Format::Video { width, height } = &mut sample.format
            && *width == 0
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

    /// Sets the size of the pictures.
    fn set_size(&mut self, width: u32, height: u32) -> Option<()> {
        self.format = Format::Video { width: size(width)?, height: size(height)? };
        Some(())
    }

    /// Writes the start of the box.
    fn put_start(&mut self, parts: &[&[u8]]) {
        self.start_length = put(parts, 0, &mut self.start).0;
    }

    /// AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
    fn avc(&mut self) -> Option<()> {
        let sps = AvcConfig::parse(self.body).ok()?.sps().next();
        match sps.and_then(avc::Sps::parse) {
            Some(sps) => self.set_size(sps.width, sps.height),
            None => Some(()),
        }
    }

    /// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
    fn hevc(&mut self) -> Option<()> {
        self.kind = b"hvcC";
        let mut fields = Cursor(self.body);
        let _properties = fields.take(22)?;
        let arrays = fields.u8()?;
        match hevc_sps(arrays, fields).and_then(hevc::Sps::parse) {
            Some(sps) => self.set_size(sps.width, sps.height),
            None => Some(()),
        }
    }

    /// AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding, 2.3.3).
    fn av1(&mut self) -> Option<()> {
        self.kind = b"av1C";
        let [0x81, _, _, _, obus @ ..] = self.body else { return None };
        let header = Obus::new(obus).find(|obu| obu.kind == ObuType::SEQUENCE_HEADER);
        match header.and_then(|obu| SequenceHeader::parse(obu.payload)) {
            Some(header) => self.set_size(header.width, header.height),
            None => Some(()),
        }
    }

    /// VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding). It has no size. FFmpeg writes the version and
    /// the flags of the box before it.
    fn vp9(&mut self) -> Option<()> {
        const VERSION: &[u8] = &[1, 0, 0, 0];
        self.kind = b"vpcC";
        self.body = self.body.strip_prefix(VERSION).unwrap_or(self.body);
        self.put_start(&[VERSION]);
        self.body.get(..8).map(drop)
    }

    /// AudioSpecificConfig, in the descriptors of ISO/IEC 14496-1, 7.2.6.
    fn aac(&mut self) -> Option<()> {
        const ES: u8 = 3;
        const DECODER_CONFIG: u8 = 4;
        const DECODER_SPECIFIC: u8 = 5;
        const AUDIO_14496_3: u8 = 0x40;
        const AUDIO_STREAM: u8 = 5 << 2 | 1;
        let config = AacConfig::parse(self.body)?;
        let channels = match config.channels {
            0 => 2,
            channels => channels.into(),
        };
        self.format = Format::Audio { channels, bits: 16, rate: config.rate };
        self.duration = 1_024_000_u32.div_ceil(config.rate.max(1));
        self.kind = b"esds";
        let length = low_u32(self.body.len());
        // A tag, and a size in four bytes of 7 bits.
        let descriptor = |tag, before: u32| {
            let size = length.wrapping_add(before);
            let [a, b, c, d] = [21, 14, 7, 0].map(|shift| low_u8((size >> shift) as usize) | 0x80);
            [tag, a, b, c, d & 0x7F]
        };
        self.put_start(&[
            &[0; 4],
            &descriptor(ES, 32),
            // The id 0, and no flags.
            &[0; 3],
            &descriptor(DECODER_CONFIG, 18),
            // The size of the decoder's buffer and the bit rates are unknown.
            &[AUDIO_14496_3, AUDIO_STREAM, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &descriptor(DECODER_SPECIFIC, 0),
        ]);
        // SLConfigDescriptor, as for MP4 files (ISO/IEC 14496-14, 3.1.2).
        self.end = &[6, 0x80, 0x80, 0x80, 1, 2];
        Some(())
    }

    /// `OpusHead` (RFC 7845, 5.1), whose numbers are little-endian. OpusSpecificBox has the same fields, big-endian.
    fn opus(&mut self) -> Option<()> {
        let mut fields = Cursor(self.body.strip_prefix(b"OpusHead")?);
        let [_version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family] = fields.array()?;
        self.format = Format::Audio { channels: channels.into(), bits: 16, rate: 48_000 };
        self.duration = 20;
        self.kind = b"dOps";
        // The rest is the table of channels, if there is one.
        self.body = if family == 0 { &[] } else { fields.0 };
        self.put_start(&[&[0, channels, s1, s0, r3, r2, r1, r0, g1, g0, family]]);
        Some(())
    }

    /// The stream information block (FLAC, RFC 9639, 8.2), also after the marker and the header that a file has.
    fn flac(&mut self) -> Option<()> {
        const LENGTH: u8 = 34;
        let block = match self.body.strip_prefix(b"fLaC").unwrap_or(self.body) {
            [0 | 0x80, 0, 0, LENGTH, block @ ..] | block => block,
        };
        self.body = block.get(..LENGTH.into())?;
        let bits = &mut Bits::new(self.body);
        let (_least, most) = (bits.number(16)?, bits.number(16)?);
        let _frame_sizes = (bits.number(24)?, bits.number(24)?);
        let rate = bits.number(20).filter(|rate| *rate > 0)?;
        let number = |number: u32| low_u16(number as usize).wrapping_add(1);
        let (channels, bits) = (number(bits.number(3)?), number(bits.number(5)?));
        self.format = Format::Audio { channels, bits, rate };
        self.duration = most.wrapping_mul(1_000).div_ceil(rate);
        self.kind = b"dfLa";
        // The version and the flags, and the header of the last block.
        self.put_start(&[&[0, 0, 0, 0, 0x80, 0, 0, LENGTH]]);
        Some(())
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
