//! The codecs of Enhanced RTMP.
//!
//! The functions of a video codec are in a table, so that an image contains only those of the codecs that it uses.

#[cfg(feature = "thumbnail")]
use core::cell::Cell;

use embedded_rtmp::media::enhanced::{HEADER_SIZE, Packet, TrackHeader};
use embedded_rtmp::media::hevc;
use embedded_rtmp::media::video::FrameType;
#[cfg(feature = "thumbnail")]
use embedded_rtmp::media::{avc, video};
use embedded_rtmp::message::FourCc;

use super::format::Format;

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
    pub(super) const fn new<const N: usize>(codec: FourCc, configuration: &[u8; N]) -> Self {
        const { assert!(N <= STREAM_INFO) }
        let mut bytes = [0; STREAM_INFO];
        bytes.split_at_mut(N).0.copy_from_slice(configuration);
        Self { codec, configuration: bytes, length: N as u8 }
    }

    /// Writes the sequence header.
    pub(super) fn header<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let at = emit(self.codec, None, None, None, buffer.first_chunk_mut()?);
        let (to, _) = buffer.get_mut(at..)?.split_first_chunk_mut()?;
        *to = self.configuration;
        buffer.get(..at + usize::from(self.length))
    }
}

/// A video codec of Enhanced RTMP.
pub(super) struct VideoCodec {
    pub(super) codec: FourCc,
    pub(super) format: Format,
    /// Writes the configuration of the decoder, from the sequence, picture and video parameter sets, or from the
    /// configuration itself, given as the first set. Returns its length, or `None` if it has no room.
    configure: fn([&[u8]; 3], &mut [u8]) -> Option<usize>,
}

impl VideoCodec {
    /// A codec whose configuration is known.
    const fn configured(codec: FourCc) -> Self {
        Self {
            codec,
            format: Format::Whole,
            configure: |[configuration, ..], buffer| {
                buffer.iter_mut().zip(configuration).for_each(|(to, from)| *to = *from);
                Some(configuration.len())
            },
        }
    }

    /// Writes the sequence header of a track, from the parameter sets for `configure`.
    pub(super) fn header<'b>(&self, sets: [&[u8]; 3], track: Option<u8>, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let at = emit(self.codec, Some(FrameType::KEY), None, track, buffer.first_chunk_mut()?);
        let length = (self.configure)(sets, buffer.get_mut(at..)?)?;
        buffer.get(..at + length)
    }
}

/// H.264 in a track with a number, which has the header of Enhanced RTMP.
#[cfg(feature = "thumbnail")]
pub(super) static AVC: VideoCodec = VideoCodec {
    codec: FourCc::AVC,
    format: Format::Avc,
    configure: |[sps, pps, _], buffer| {
        let message = avc::sequence_header(&[sps], &[pps], buffer).ok()?.len();
        // The record comes after the header without Enhanced RTMP, which is removed.
        let bytes = Cell::from_mut(buffer).as_slice_of_cells();
        bytes.iter().zip(bytes.iter().skip(video::HEADER_SIZE)).for_each(|(to, from)| to.set(from.get()));
        message.checked_sub(video::HEADER_SIZE)
    },
};
pub(super) static HEVC: VideoCodec = VideoCodec {
    codec: FourCc::HEVC,
    format: Format::Hevc,
    configure: |[sps, pps, vps], buffer| {
        hevc::configuration_record([vps, sps, pps].iter().copied(), buffer).ok().map(<[u8]>::len)
    },
};
pub(super) static AV1: VideoCodec = VideoCodec::configured(FourCc::AV1);
pub(super) static VP9: VideoCodec = VideoCodec::configured(FourCc::VP9);

/// Writes the header of a message. `frame` is `None` for audio. Without a composition time, it is a sequence header. `track`
/// is `None` for the first track. Returns the length of the header.
// The one caller of `TrackHeader::emit`, which is then inlined without what is never used.
#[inline(never)]
pub(super) fn emit(
    codec: FourCc,
    frame: Option<FrameType>,
    composition_time: Option<i32>,
    track: Option<u8>,
    buffer: &mut [u8; HEADER_SIZE],
) -> usize {
    let packet = if composition_time.is_some() { Packet::CodedFrames } else { Packet::SequenceStart };
    let composition_time = composition_time.unwrap_or(0);
    TrackHeader { packet, codec, track, frame, composition_time, nanoseconds: 0 }.emit(buffer).len()
}
