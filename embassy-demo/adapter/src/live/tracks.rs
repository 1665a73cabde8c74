//! The tracks of a stream, and the headers that a server needs before the first frame.

use embedded_rtmp::media::audio::{self, AacPacket, AudioTagHeader, HEADER_SIZE, Sound};
#[cfg(not(feature = "enhanced"))]
use embedded_rtmp::media::avc;
use embedded_rtmp::media::avc::sequence_header;
use embedded_rtmp::media::metadata::Metadata;
use embedded_rtmp::media::video::{AvcPacket, Codec, FrameType, VideoTagHeader};
#[cfg(feature = "enhanced")]
use embedded_rtmp::message::FourCc;

#[cfg(feature = "enhanced")]
use super::enhanced::{EnhancedAudio, VideoCodec, emit};
use super::format::Format;
#[cfg(feature = "enhanced")]
use super::slot::AUDIO;
#[cfg(feature = "thumbnail")]
use super::slot::THUMBNAIL;
use super::slot::{DATA, VIDEO};
use crate::fmt::impl_format;

/// The most bytes that the parameter sets of a video track can have together, or the configuration of AV1 or VP9.
pub const MAX_PARAMETER_SETS: usize = 128;
/// The most bytes of the configuration in [`Tracks::aac`].
pub const MAX_AAC_CONFIG: usize = 8;

/// The size of the longest header: the metadata, or a sequence header. That of AVC has 16 bytes in addition to its parameter
/// sets, and that of HEVC has 45.
const HEADER: usize = 192;

/// The tracks of a stream: video, audio, or both.
///
/// The library makes the metadata and the sequence headers from the tracks, and sends them on every connection before the
/// first frame. Parameter sets in band, among the units of a [`Picture`](crate::Picture), replace those that are given here.
/// For an encoder that sends them before every keyframe, [`Tracks::h264_in_band`] is enough.
///
/// ```
/// use embedded_rtmp_embassy::Tracks;
///
/// const SPS: &[u8] = b"\x67\x42\xC0\x1E\xDA\x02\x80\xBF\xE5\x84";
/// const PPS: &[u8] = b"\x68\xCE\x3C\x80";
/// // AAC LC, 44,100 Hz, stereo.
/// const TRACKS: Tracks = Tracks::h264(SPS, PPS).size(640, 360).aac(&[0x12, 0x10]);
/// ```
#[derive(Clone, Copy)]
pub struct Tracks {
    pub(super) has_video: bool,
    /// The sequence parameter set, the picture parameter set, and HEVC's video parameter set. Of AV1 and VP9, the
    /// configuration, whose length is in `sps`.
    pub(super) sets: [u8; MAX_PARAMETER_SETS],
    pub(super) sps: u8,
    pub(super) pps: u8,
    /// The length of HEVC's video parameter set, after the others.
    #[cfg(feature = "enhanced")]
    pub(super) vps: u8,
    /// The codec of Enhanced RTMP. `None` for H.264.
    #[cfg(feature = "enhanced")]
    pub(super) codec: Option<&'static VideoCodec>,
    /// The number of the video track. `None` for the only track, or the first one.
    #[cfg(feature = "thumbnail")]
    pub(super) number: Option<u8>,
    /// The width and the height of the pictures, if the caller has given them.
    size: Option<(u16, u16)>,
    audio: Audio,
}

#[derive(Clone, Copy)]
enum Audio {
    None,
    Aac([u8; MAX_AAC_CONFIG], u8),
    Other(Sound),
    #[cfg(feature = "enhanced")]
    Enhanced(EnhancedAudio),
}

impl_format!(
    Debug,
    [] Tracks,
    this => "Tracks {{ parameter sets: {} and {} bytes, audio: {} }}", this.sps, this.pps, this.has_audio()
);

impl Tracks {
    /// No tracks: nothing is sent.
    pub const NONE: Self = Self {
        has_video: false,
        sets: [0; MAX_PARAMETER_SETS],
        sps: 0,
        pps: 0,
        #[cfg(feature = "enhanced")]
        vps: 0,
        #[cfg(feature = "enhanced")]
        codec: None,
        #[cfg(feature = "thumbnail")]
        number: None,
        size: None,
        audio: Audio::None,
    };

    /// H.264 video with these parameter sets: NAL units of type 7 and 8, without start codes.
    ///
    /// # Panics
    /// If the two have more than [`MAX_PARAMETER_SETS`] bytes together. In a `const`, this is a compile-time error.
    pub const fn h264(sps: &[u8], pps: &[u8]) -> Self {
        assert!(sps.len() + pps.len() <= MAX_PARAMETER_SETS, "the parameter sets have more than 128 bytes");
        let mut tracks = Self { has_video: true, sps: sps.len() as u8, pps: pps.len() as u8, ..Self::NONE };
        let (first, second) = tracks.sets.split_at_mut(sps.len());
        first.copy_from_slice(sps);
        let (second, _) = second.split_at_mut(pps.len());
        second.copy_from_slice(pps);
        tracks
    }

    /// H.264 video whose parameter sets are in band. Pictures are dropped until one has both sets.
    pub const fn h264_in_band() -> Self {
        Self { has_video: true, ..Self::NONE }
    }

    /// The same tracks with the size of the pictures in pixels, for the metadata. If it is not set, the metadata has no
    /// size, and decoders read it from the parameter sets. `embedded_rtmp::media::avc::Sps` parses it.
    pub const fn size(self, width: u16, height: u16) -> Self {
        Self { size: Some((width, height)), ..self }
    }

    /// The same video, with AAC audio. `config` is an AudioSpecificConfig (ISO/IEC 14496-3, section 1.6.2.1), which the
    /// encoder provides or `embedded_rtmp::media::aac::AacConfig` makes. Frames are sent without ADTS headers.
    ///
    /// # Panics
    /// If the configuration has more than [`MAX_AAC_CONFIG`] bytes.
    pub const fn aac(self, config: &[u8]) -> Self {
        assert!(config.len() <= MAX_AAC_CONFIG, "the AudioSpecificConfig has more than 8 bytes");
        let mut bytes = [0; MAX_AAC_CONFIG];
        bytes.split_at_mut(config.len()).0.copy_from_slice(config);
        Self { audio: Audio::Aac(bytes, config.len() as u8), ..self }
    }

    /// The same video, with audio of a codec that has no configuration: G.711, MP3 or PCM.
    pub const fn sound(self, sound: Sound) -> Self {
        Self { audio: Audio::Other(sound), ..self }
    }

    /// No video. Add the audio with [`Self::aac`], [`Self::sound`] or a method of another codec.
    pub const fn audio() -> Self {
        Self::NONE
    }

    /// Video of a codec of Enhanced RTMP, without parameter sets.
    #[cfg(feature = "enhanced")]
    pub(super) const fn of_codec(codec: &'static VideoCodec) -> Self {
        Self { has_video: true, codec: Some(codec), ..Self::NONE }
    }

    /// The same video, with audio of a codec of Enhanced RTMP.
    #[cfg(feature = "enhanced")]
    pub(super) const fn with_audio(self, audio: EnhancedAudio) -> Self {
        Self { audio: Audio::Enhanced(audio), ..self }
    }

    /// How the units of a picture are sent.
    pub(super) fn format(&self) -> Format {
        #[cfg(feature = "enhanced")]
        if let Some(codec) = self.codec {
            return codec.format;
        }
        Format::Avc
    }

    /// The number of the video track in its header.
    #[cfg(feature = "enhanced")]
    fn number(&self) -> Option<u8> {
        #[cfg(feature = "thumbnail")]
        return self.number;
        #[cfg(not(feature = "thumbnail"))]
        None
    }

    /// Returns whether the track of a slot needs Enhanced RTMP.
    #[cfg(feature = "enhanced")]
    pub(super) fn is_enhanced(&self, slot: usize) -> bool {
        match slot {
            VIDEO => self.codec.is_some(),
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => true,
            AUDIO => matches!(self.audio, Audio::Enhanced(_)),
            _ => false,
        }
    }

    pub(super) const fn has_audio(&self) -> bool {
        !matches!(self.audio, Audio::None)
    }

    pub(super) const fn has_video(&self) -> bool {
        self.has_video
    }

    /// Returns whether the parameter sets are known.
    pub(super) fn is_configured(&self) -> bool {
        #[cfg(feature = "enhanced")]
        if let Some(codec) = self.codec {
            return match codec.format {
                Format::Avc => self.sps > 0 && self.pps > 0,
                Format::Hevc => self.sps > 0 && self.pps > 0 && self.vps > 0,
                Format::Whole => self.sps > 0,
            };
        }
        self.sps > 0 && self.pps > 0
    }

    pub(super) fn sps(&self) -> &[u8] {
        self.sets.get(..self.sps.into()).unwrap_or_default()
    }

    pub(super) fn pps(&self) -> &[u8] {
        self.sets.get(usize::from(self.sps)..usize::from(self.sps) + usize::from(self.pps)).unwrap_or_default()
    }

    /// Returns the sequence, picture and video parameter sets, if they are known.
    #[cfg(feature = "enhanced")]
    fn configuration(&self) -> Option<[&[u8]; 3]> {
        let from = usize::from(self.sps) + usize::from(self.pps);
        let vps = self.sets.get(from..from + usize::from(self.vps)).unwrap_or_default();
        self.is_configured().then_some([self.sps(), self.pps(), vps])
    }

    /// Copies the parameter sets from the units of a picture. Returns whether they differ from those known before.
    // Without other codecs, this takes 100 bytes less than the function for all codecs.
    #[cfg(not(feature = "enhanced"))]
    pub(super) fn take_in_band(&mut self, units: &[&[u8]]) -> bool {
        let find = |kind| units.iter().copied().find(|unit| avc::UnitType::of(unit) == Some(kind));
        let (Some(sps), Some(pps)) = (find(avc::UnitType::SPS), find(avc::UnitType::PPS)) else { return false };
        if !self.has_video || (sps, pps) == (self.sps(), self.pps()) {
            return false;
        }
        let Some((sets, _)) = self.sets.split_at_mut_checked(sps.len() + pps.len()) else { return false };
        sets.iter_mut().zip(sps.iter().chain(pps)).for_each(|(to, from)| *to = *from);
        (self.sps, self.pps) = (sps.len() as u8, pps.len() as u8);
        true
    }

    /// Writes the bytes before a picture. Returns their number.
    pub(super) fn video_header(&self, frame: FrameType, composition_time: i32, buffer: &mut HeaderOfMessage) -> u8 {
        #[cfg(feature = "enhanced")]
        if let Some(codec) = self.codec {
            return emit(codec.codec, Some(frame), Some(composition_time), self.number(), buffer) as u8;
        }
        let header = VideoTagHeader::Avc { frame, packet: AvcPacket::NAL_UNITS, composition_time };
        let Some(buffer) = buffer.first_chunk_mut() else { return 0 };
        header.emit(buffer).len() as u8
    }

    /// Writes the bytes before an audio frame. Returns their number, which is 0 if there is no audio.
    pub(super) fn audio_header(&self, buffer: &mut HeaderOfMessage) -> u8 {
        #[cfg(feature = "enhanced")]
        if let Audio::Enhanced(audio) = &self.audio {
            return emit(audio.codec, None, Some(0), None, buffer) as u8;
        }
        let Some(buffer) = buffer.first_chunk_mut() else { return 0 };
        let header = match self.audio {
            Audio::None => return 0,
            Audio::Aac(..) => AudioTagHeader::Aac(AacPacket::RAW),
            Audio::Other(sound) => AudioTagHeader::Other(sound),
            #[cfg(feature = "enhanced")]
            Audio::Enhanced(_) => return 0,
        };
        header.emit(buffer).len() as u8
    }
}

/// Memory for the header of a message.
#[cfg(feature = "enhanced")]
pub(super) type HeaderOfMessage = [u8; embedded_rtmp::media::enhanced::HEADER_SIZE];
#[cfg(not(feature = "enhanced"))]
pub(super) type HeaderOfMessage = [u8; embedded_rtmp::media::video::HEADER_SIZE];
pub(super) const HEADER_OF_MESSAGE: HeaderOfMessage = [0; size_of::<HeaderOfMessage>()];

/// Memory for one header while it is sent.
pub(super) type HeaderBuffer = [u8; HEADER];
pub(super) const HEADER_BUFFER: HeaderBuffer = [0; HEADER];

impl Tracks {
    /// The message that is sent in a slot before the first frame; `None` if the tracks need none.
    pub(super) fn header<'b>(&self, slot: usize, buffer: &'b mut HeaderBuffer) -> Option<&'b [u8]> {
        match slot {
            #[cfg(feature = "enhanced")]
            VIDEO if self.codec.is_some() => self.codec?.header(self.configuration()?, None, buffer),
            #[cfg(feature = "thumbnail")]
            THUMBNAIL => self.codec?.header(self.configuration()?, self.number, buffer),
            VIDEO => sequence_header(&[self.sps()], &[self.pps()], buffer).ok(),
            DATA if self.has_video && !self.is_configured() => None,
            DATA => self.metadata(buffer),
            _ => match &self.audio {
                #[cfg(feature = "enhanced")]
                Audio::Enhanced(audio) => audio.header(buffer),
                Audio::Aac(config, length) => {
                    let (header, body) = buffer.split_first_chunk_mut::<HEADER_SIZE>()?;
                    AudioTagHeader::Aac(AacPacket::SEQUENCE_HEADER).emit(header);
                    *body.split_first_chunk_mut()?.0 = *config;
                    buffer.get(..HEADER_SIZE + usize::from(*length))
                }
                _ => None,
            },
        }
    }

    /// The number of the video codec in the metadata.
    fn video_codec(&self) -> u32 {
        #[cfg(feature = "enhanced")]
        if let Some(VideoCodec { codec: FourCc(name), .. }) = self.codec {
            return u32::from_be_bytes(*name);
        }
        Codec::AVC.0.into()
    }

    fn metadata<'b>(&self, buffer: &'b mut HeaderBuffer) -> Option<&'b [u8]> {
        let metadata = Metadata {
            width: self.size.map(|(width, _)| width.into()),
            height: self.size.map(|(_, height)| height.into()),
            video_codec: self.is_configured().then(|| self.video_codec()),
            audio_codec: match self.audio {
                Audio::None => None,
                Audio::Aac(..) => Some(audio::Format::AAC.0.into()),
                Audio::Other(sound) => Some(sound.format.0.into()),
                #[cfg(feature = "enhanced")]
                Audio::Enhanced(EnhancedAudio { codec: FourCc(name), .. }) => Some(u32::from_be_bytes(name)),
            },
            ..Metadata::new()
        };
        metadata.emit(buffer).ok()
    }
}
