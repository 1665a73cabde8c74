//! Tracks with the codecs of Enhanced RTMP.

use embedded_rtmp::media::av1::{self, Av1ConfigError, Obus};
use embedded_rtmp::media::opus;
use embedded_rtmp::message::FourCc;

use super::enhanced::{AV1, EnhancedAudio, HEVC, VP9};
use super::tracks::{MAX_PARAMETER_SETS, Tracks};

impl Tracks {
    /// HEVC (H.265) video with these parameter sets: NAL units of type 32, 33 and 34, without start codes. Sets in band
    /// replace them, as for H.264.
    ///
    /// # Panics
    /// If the three have more than [`MAX_PARAMETER_SETS`] bytes together. In a `const`, this is a compile-time error.
    pub const fn hevc(vps: &[u8], sps: &[u8], pps: &[u8]) -> Self {
        let others = sps.len() + pps.len();
        assert!(others + vps.len() <= MAX_PARAMETER_SETS, "the parameter sets have more than 128 bytes");
        let mut tracks = Self::h264(sps, pps);
        (tracks.codec, tracks.vps) = (Some(&HEVC), vps.len() as u8);
        let (_, rest) = tracks.sets.split_at_mut(others);
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
}
