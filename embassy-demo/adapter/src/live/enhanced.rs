//! The codecs of Enhanced RTMP.
//!
//! The functions of a video codec are in a table, so that an image contains only those of the codecs that it uses.

use embedded_rtmp::media::av1::{self, Av1ConfigError, Obus};
use embedded_rtmp::media::avc;
use embedded_rtmp::media::enhanced::{HEADER_SIZE, Packet, TrackHeader};
use embedded_rtmp::media::hevc::{self, UnitType};
use embedded_rtmp::media::opus;
use embedded_rtmp::media::video::FrameType;
use embedded_rtmp::message::FourCc;

use super::tracks::{Format, HeaderBuffer, MAX_PARAMETER_SETS, Tracks};

/// The length of a stream information block of FLAC, the longest configuration.
const STREAM_INFO: usize = 34;

/// The audio of a codec of Enhanced RTMP.
#[derive(Clone, Copy)]
pub(super) struct EnhancedAudio {
    pub(super) codec: FourCc,
    configuration: [u8; STREAM_INFO],
    length: u8,
}

impl EnhancedAudio {
    const fn new<const N: usize>(codec: FourCc, configuration: &[u8; N]) -> Self {
        const { assert!(N <= STREAM_INFO) }
        let mut bytes = [0; STREAM_INFO];
        bytes.split_at_mut(N).0.copy_from_slice(configuration);
        Self { codec, configuration: bytes, length: N as u8 }
    }

    /// Writes the sequence header.
    pub(super) fn header<'b>(&self, buffer: &'b mut HeaderBuffer) -> Option<&'b [u8]> {
        let at = emit(self.codec, None, None, buffer.first_chunk_mut()?);
        let (to, _) = buffer.get_mut(at..)?.split_first_chunk_mut()?;
        *to = self.configuration;
        buffer.get(..at + usize::from(self.length))
    }
}

/// A video codec of Enhanced RTMP.
pub(super) struct VideoCodec {
    pub(super) codec: FourCc,
    pub(super) format: Format,
    /// Writes the configuration of the decoder. Returns its length, or `None` if it is not known.
    configure: fn(&Tracks, &mut [u8]) -> Option<usize>,
}

impl VideoCodec {
    /// A codec whose configuration is known.
    const fn configured(codec: FourCc) -> Self {
        Self {
            codec,
            format: Format::Whole,
            configure: |tracks, buffer| {
                let configuration = tracks.sps();
                buffer.iter_mut().zip(configuration).for_each(|(to, from)| *to = *from);
                Some(configuration.len())
            },
        }
    }

    /// Writes the sequence header.
    pub(super) fn header<'b>(&self, tracks: &Tracks, buffer: &'b mut HeaderBuffer) -> Option<&'b [u8]> {
        if !tracks.is_configured() {
            return None;
        }
        let at = emit(self.codec, Some(FrameType::KEY), None, buffer.first_chunk_mut()?);
        let length = (self.configure)(tracks, buffer.get_mut(at..)?)?;
        buffer.get(..at + length)
    }
}

static HEVC: VideoCodec = VideoCodec {
    codec: FourCc::HEVC,
    format: Format::Hevc,
    configure: |tracks, buffer| {
        let sets = [tracks.vps(), tracks.sps(), tracks.pps()];
        hevc::configuration_record(sets.iter().copied(), buffer).ok().map(<[u8]>::len)
    },
};
static AV1: VideoCodec = VideoCodec::configured(FourCc::AV1);
static VP9: VideoCodec = VideoCodec::configured(FourCc::VP9);

/// Writes the header of a message. `frame` is `None` for audio. Without a composition time, it is a sequence header.
/// Returns the length of the header.
// The one caller of `TrackHeader::emit`, which is then inlined without what is never used.
#[inline(never)]
pub(super) fn emit(
    codec: FourCc,
    frame: Option<FrameType>,
    composition_time: Option<i32>,
    buffer: &mut [u8; HEADER_SIZE],
) -> usize {
    let packet = if composition_time.is_some() { Packet::CodedFrames } else { Packet::SequenceStart };
    let composition_time = composition_time.unwrap_or(0);
    TrackHeader { packet, codec, track: None, frame, composition_time, nanoseconds: 0 }.emit(buffer).len()
}

impl Format {
    /// The types of the parameter sets: sequence, picture, and HEVC's video parameter set.
    const fn sets(self) -> &'static [u8] {
        match self {
            Self::Avc => &[avc::UnitType::SPS.0, avc::UnitType::PPS.0],
            Self::Hevc => &[UnitType::SPS.0, UnitType::PPS.0, UnitType::VPS.0],
            Self::Whole => &[],
        }
    }

    /// Returns the type of a NAL unit, or `None` if its header is incomplete.
    fn unit_type(self, unit: &[u8]) -> Option<u8> {
        match self {
            Self::Hevc => UnitType::of(unit).map(|kind| kind.0),
            _ => avc::UnitType::of(unit).map(|kind| kind.0),
        }
    }
}

/// Returns whether a unit of HEVC is not sent in a picture: a parameter set, a delimiter, or a unit without a header.
pub(super) fn leaves_out(unit: &[u8]) -> bool {
    const DELIMITER: u8 = UnitType::PPS.0 + 1;
    UnitType::of(unit).is_none_or(|kind| (UnitType::VPS.0..=DELIMITER).contains(&kind.0))
}

impl Tracks {
    /// HEVC (H.265) video with these parameter sets: NAL units of type 32, 33 and 34, without start codes. Sets in band
    /// replace them, as for H.264.
    ///
    /// # Panics
    /// If the three have more than [`MAX_PARAMETER_SETS`] bytes together. In a `const`, this is a compile-time error.
    pub const fn hevc(vps: &[u8], sps: &[u8], pps: &[u8]) -> Self {
        let length = sps.len() + pps.len() + vps.len();
        assert!(length <= MAX_PARAMETER_SETS, "the parameter sets have more than 128 bytes");
        let mut tracks = Self::hevc_in_band();
        (tracks.sps, tracks.pps, tracks.vps) = (sps.len() as u8, pps.len() as u8, vps.len() as u8);
        let (first, rest) = tracks.sets.split_at_mut(sps.len());
        first.copy_from_slice(sps);
        let (second, rest) = rest.split_at_mut(pps.len());
        second.copy_from_slice(pps);
        rest.split_at_mut(vps.len()).0.copy_from_slice(vps);
        tracks
    }

    /// HEVC (H.265) video whose parameter sets are in band. Pictures are dropped until one has all three sets.
    pub const fn hevc_in_band() -> Self {
        Self::of_codec(&HEVC)
    }

    /// AV1 video. `obus` contains the sequence header, as the first temporal unit of an encoder does. If the encoder
    /// changes it, set the tracks again.
    ///
    /// # Errors
    /// There is no sequence header, it cannot be parsed, or it has more than 124 bytes.
    pub fn av1(obus: &[u8]) -> Result<Self, Av1ConfigError> {
        let mut tracks = Self::of_codec(&AV1);
        tracks.sps = av1::configuration_record(Obus::new(obus), &mut tracks.sets)?.len() as u8;
        Ok(tracks)
    }

    /// VP9 video. `record` is the VPCodecConfigurationRecord (VP Codec ISO Media File Format Binding, section 2.2) with
    /// its version and flags: 12 bytes for a stream without further data.
    ///
    /// # Panics
    /// If it has more than [`MAX_PARAMETER_SETS`] bytes. In a `const`, this is a compile-time error.
    pub const fn vp9(record: &[u8]) -> Self {
        assert!(record.len() <= MAX_PARAMETER_SETS, "the record has more than 128 bytes");
        let mut tracks = Self::of_codec(&VP9);
        tracks.sps = record.len() as u8;
        tracks.sets.split_at_mut(record.len()).0.copy_from_slice(record);
        tracks
    }

    /// The same video, with Opus audio. `embedded_rtmp::media::opus::head` makes the header.
    pub const fn opus(self, head: &[u8; opus::HEAD_SIZE]) -> Self {
        self.with_audio(EnhancedAudio::new(FourCc::OPUS, head))
    }

    /// The same video, with FLAC audio. `stream_info` is the stream information block (RFC 9639, section 8.2), without
    /// its header.
    pub const fn flac(self, stream_info: &[u8; 34]) -> Self {
        self.with_audio(EnhancedAudio::new(FourCc::FLAC, stream_info))
    }

    /// The same video, with AC-3 audio.
    pub const fn ac3(self) -> Self {
        self.with_audio(EnhancedAudio::new(FourCc::AC3, &[]))
    }

    /// The same video, with Enhanced AC-3 audio.
    pub const fn eac3(self) -> Self {
        self.with_audio(EnhancedAudio::new(FourCc::EAC3, &[]))
    }

    /// Copies the parameter sets from the units of a picture. Returns whether they differ from those known before.
    pub(super) fn take_in_band(&mut self, units: &[&[u8]]) -> bool {
        let (format, mut sets) = (self.format(), [&[][..]; 3]);
        for (set, kind) in sets.iter_mut().zip(format.sets()) {
            let found = units.iter().copied().find(|unit| format.unit_type(unit) == Some(*kind));
            let Some(found) = found else { return false };
            *set = found;
        }
        let length = sets.iter().fold(0, |sum: usize, set| sum.saturating_add(set.len()));
        if !self.has_video || length == 0 || length > MAX_PARAMETER_SETS {
            return false;
        }
        let lengths = sets.map(|set| set.len() as u8);
        let mut is_new = lengths != [self.sps, self.pps, self.vps];
        [self.sps, self.pps, self.vps] = lengths;
        for (to, from) in self.sets.iter_mut().zip(sets.as_slice().iter().copied().flatten()) {
            is_new |= to != from;
            *to = *from;
        }
        is_new
    }

    /// The video parameter set of HEVC.
    fn vps(&self) -> &[u8] {
        let from = usize::from(self.sps) + usize::from(self.pps);
        self.sets.get(from..from + usize::from(self.vps)).unwrap_or_default()
    }
}
