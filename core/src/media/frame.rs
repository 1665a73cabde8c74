//! The class of a message, by its first bytes: whether a relay caches it, a player may begin with it, or it may be
//! dropped.

use super::audio::{self, AacPacket};
use super::enhanced::{AUDIO_MULTITRACK, MODIFIED, VIDEO_MULTITRACK, is_enhanced};
use super::video::{self, AvcPacket, FrameType};
use crate::bytes::low_u8;
use crate::command::SET_DATA_FRAME;
use crate::message::MessageKind;

/// The class of a message, for a relay, a player and [`DropPolicy`](crate::pressure::DropPolicy).
///
/// ```
/// use embedded_rtmp::media::FrameClass;
/// use embedded_rtmp::message::MessageKind;
///
/// assert_eq!(FrameClass::of(MessageKind::VIDEO, &[0x17, 1, 0, 0, 0]), FrameClass::Keyframe);
/// assert_eq!(FrameClass::of(MessageKind::AUDIO, &[0xAF, 0, 0x12, 0x10]), FrameClass::Configuration);
/// // One byte of an AVC message does not say whether it is a sequence header.
/// assert_eq!(FrameClass::of_prefix(MessageKind::VIDEO, &[0x17]), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameClass {
    /// A message that configures a decoder and contains no frame: the sequence header of AVC, AAC or another [codec
    /// that has one](Self::of), or a sequence header, the speakers of the channels or `colorInfo` of Enhanced RTMP. A
    /// new player needs the last message of each of these kinds for each [track](Self::track).
    Configuration,
    /// Audio.
    Audio,
    /// A picture that needs no other picture. Decoding can begin with it, after its sequence header.
    Keyframe,
    /// A picture that needs earlier pictures, or a video message without a picture.
    Inter,
    /// A picture that no other picture needs: its frame type is 3, or it is AVC and its first NAL unit is a slice with
    /// `nal_ref_idc` 0 (ISO/IEC 14496-10, 7.4.1).
    Disposable,
    /// `onMetaData`. The value is the number of bytes before it that are for servers alone: an AMF3 selector, and
    /// `@setDataFrame`.
    Metadata(u8),
    /// Other data for players, after the same number of bytes for servers.
    Data(u8),
    /// `@clearDataFrame`: the metadata is not valid any longer. It is for servers alone.
    ClearMetadata,
    /// Not audio, video or data.
    Other,
}

/// AMF0 strings at the start of data messages.
const CLEAR_DATA_FRAME: &[u8] = b"\x02\x00\x0F@clearDataFrame";
const METADATA: &[u8] = b"\x02\x00\x0AonMetaData";

impl FrameClass {
    /// The longest prefix that [`Self::of_prefix`] looks at, in bytes.
    pub const PREFIX: usize = 32;

    /// The class of a message whose payload is `payload`, or begins with it.
    ///
    /// The video codecs 7 (AVC), 12 (HEVC), 13 (AV1) and 14 (VVC) and the audio formats 10 (AAC) and 13 (Opus) have a
    /// packet type in the second byte. The packet type 0 marks a sequence header. No other codec without Enhanced RTMP has a
    /// packet type.
    ///
    /// If there are too few bytes, the result is a safe class: a player does not begin with the message, and it is not
    /// dropped as disposable.
    pub fn of(kind: MessageKind, payload: &[u8]) -> Self {
        Self::of_prefix(kind, payload).unwrap_or(match kind {
            MessageKind::AUDIO => Self::Audio,
            MessageKind::VIDEO => Self::Inter,
            MessageKind::DATA_AMF3 => Self::Data(1),
            _ => Self::Data(0),
        })
    }

    /// The class of a message whose payload begins with `prefix`. Returns `None` if more bytes are needed: 2 are enough
    /// for most messages, 10 for a picture of AVC, and [`Self::PREFIX`] for all.
    pub fn of_prefix(kind: MessageKind, prefix: &[u8]) -> Option<Self> {
        match kind {
            MessageKind::VIDEO => video(prefix),
            MessageKind::AUDIO => audio(prefix),
            MessageKind::DATA => data(prefix, 0),
            MessageKind::DATA_AMF3 => data(prefix.get(1..)?, 1),
            _ => Some(Self::Other),
        }
    }

    /// Returns the track of an audio or video message whose payload begins with `prefix`. If the message has several
    /// tracks, this is the first one. A message without a track number belongs to track 0. Returns `None` if more bytes
    /// are needed: 7 bytes are enough for most messages that have a track number, and [`Self::PREFIX`] bytes for all.
    pub fn track(kind: MessageKind, prefix: &[u8]) -> Option<u8> {
        let (&first, rest) = prefix.split_first()?;
        if !is_enhanced(kind, first) {
            return Some(0);
        }
        let multitrack = if kind == MessageKind::VIDEO { VIDEO_MULTITRACK } else { AUDIO_MULTITRACK };
        let track = match unmodified(first & 0x0F, rest) {
            Some((packet, _)) if packet != multitrack => return Some(0),
            // The type and the FourCC.
            Some((_, rest)) => rest.get(5).copied(),
            None => None,
        };
        track.or_else(|| (prefix.len() >= Self::PREFIX).then_some(0))
    }

    /// Whether it is video and not a sequence header. It may have no picture.
    pub(crate) const fn is_picture(self) -> bool {
        matches!(self, Self::Keyframe | Self::Inter | Self::Disposable)
    }

    /// Returns whether a message of the class [`Self::Configuration`] or [`Self::Metadata`] has nothing after its
    /// header. The message must not be one of Enhanced RTMP. `length` is the length of its payload.
    pub(crate) fn is_empty(self, kind: MessageKind, length: usize) -> bool {
        let header = match (self, kind) {
            (Self::Metadata(skip), _) => usize::from(skip).wrapping_add(METADATA.len()),
            (_, MessageKind::VIDEO) => video::HEADER_SIZE,
            _ => audio::HEADER_SIZE,
        };
        length <= header
    }
}

/// A bit for each codec without Enhanced RTMP that has a packet type in the second byte.
pub(super) const VIDEO_WITH_PACKETS: u16 = 1 << 7 | 1 << 12 | 1 << 13 | 1 << 14;
pub(super) const AUDIO_WITH_PACKETS: u16 = 1 << 10 | 1 << 13;

fn video(prefix: &[u8]) -> Option<FrameClass> {
    let (&first, rest) = prefix.split_first()?;
    let frame = FrameType(first >> 4 & 0x07);
    let (is_header, has_picture) = if first & video::ENHANCED != 0 {
        let packet = enhanced_packet(first & 0x0F, rest, VIDEO_MULTITRACK);
        if packet.is_none() && prefix.len() < needed(first & 0x0F) {
            return None;
        }
        if packet == Some(METADATA_PACKET) {
            return Some(FrameClass::Configuration);
        }
        (matches!(packet, Some(0 | 5)), matches!(packet, Some(1 | 3)))
    } else {
        let packet = AvcPacket(*rest.first()?);
        let has_packets = VIDEO_WITH_PACKETS >> (first & 0x0F) & 1 != 0;
        (has_packets && packet == AvcPacket::SEQUENCE_HEADER, !has_packets || packet == AvcPacket::NAL_UNITS)
    };
    Some(match frame {
        FrameType::COMMAND => FrameClass::Inter,
        _ if is_header => FrameClass::Configuration,
        _ if !has_picture => FrameClass::Inter,
        FrameType::KEY | FrameType::GENERATED_KEY => FrameClass::Keyframe,
        FrameType::DISPOSABLE => FrameClass::Disposable,
        // The header has 5 bytes, and the length of the first NAL unit 4.
        FrameType::INTER if first == 0x27 && *prefix.get(9)? & 0x7F == 1 => FrameClass::Disposable,
        _ => FrameClass::Inter,
    })
}

fn audio(prefix: &[u8]) -> Option<FrameClass> {
    let (&first, rest) = prefix.split_first()?;
    let is_header = if first >> 4 == audio::ENHANCED {
        let packet = enhanced_packet(first & 0x0F, rest, AUDIO_MULTITRACK);
        if packet.is_none() && prefix.len() < needed(first & 0x0F) {
            return None;
        }
        matches!(packet, Some(0 | 4))
    } else {
        AUDIO_WITH_PACKETS >> (first >> 4) & 1 != 0 && AacPacket(*rest.first()?) == AacPacket::SEQUENCE_HEADER
    };
    Some(if is_header { FrameClass::Configuration } else { FrameClass::Audio })
}

/// Data after a format selector of `selector` bytes.
fn data(payload: &[u8], selector: u8) -> Option<FrameClass> {
    if begins(payload, CLEAR_DATA_FRAME)? {
        return Some(FrameClass::ClearMetadata);
    }
    let wrapping = if begins(payload, SET_DATA_FRAME)? { SET_DATA_FRAME.len() } else { 0 };
    let is_metadata = begins(payload.get(wrapping..).unwrap_or(&[]), METADATA)?;
    let skip = selector.wrapping_add(low_u8(wrapping));
    Some(if is_metadata { FrameClass::Metadata(skip) } else { FrameClass::Data(skip) })
}

/// Whether `bytes` begin with `text`. Returns `None` if more bytes are needed.
fn begins(bytes: &[u8], text: &[u8]) -> Option<bool> {
    let length = bytes.len().min(text.len());
    let is_so = bytes.get(..length) == text.get(..length);
    if is_so && length < text.len() { None } else { Some(is_so) }
}

/// `colorInfo`. FFmpeg writes it as a command.
const METADATA_PACKET: u8 = 4;

/// The number of bytes that determine the packet type. If it is still unknown then, it stays unknown.
const fn needed(packet: u8) -> usize {
    if packet == MODIFIED { FrameClass::PREFIX } else { 2 }
}

/// The packet type of Enhanced RTMP after all modifiers and the type that announces several tracks (E-RTMP v2,
/// "ExVideoTagHeader" and "ExAudioTagHeader").
fn enhanced_packet(packet: u8, rest: &[u8], multitrack: u8) -> Option<u8> {
    match unmodified(packet, rest)? {
        (packet, [types, ..]) if packet == multitrack => Some(*types & 0x0F),
        (packet, []) if packet == multitrack => None,
        (packet, _) => Some(packet),
    }
}

/// Returns the packet type after all modifiers, and the bytes that follow it.
fn unmodified(mut packet: u8, mut rest: &[u8]) -> Option<(u8, &[u8])> {
    // Each round takes two bytes at least.
    while packet == MODIFIED {
        let (size, behind) = match rest {
            [0xFF, high, low, behind @ ..] => (usize::from(*high) << 8 | usize::from(*low), behind),
            [0xFF, ..] | [] => return None,
            [size, behind @ ..] => (usize::from(*size), behind),
        };
        // The size field is one less than the size. Then come the type of the modifier and of the next packet, 4 bits each.
        match behind.split_at_checked(size.wrapping_add(1)) {
            Some((_, [types, behind @ ..])) => (packet, rest) = (*types & 0x0F, behind),
            _ => return None,
        }
    }
    Some((packet, rest))
}

#[cfg(test)]
mod tests {
    use super::FrameClass::*;
    use super::*;
    use std::vec::Vec;

    /// A kind, the first bytes of a message, and its class.
    const CASES: &[(MessageKind, &[u8], FrameClass)] = &[
        (MessageKind::VIDEO, &[0x17, 0, 0, 0, 0, 1], Configuration),
        (MessageKind::VIDEO, &[0x17, 1, 0, 0, 0], Keyframe),
        (MessageKind::VIDEO, &[0x47, 1], Keyframe),
        (MessageKind::VIDEO, &[0x17, 2, 0, 0, 0], Inter),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41], Inter),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x01], Disposable),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x09], Inter),
        (MessageKind::VIDEO, &[0x27, 0, 0, 0, 0, 0, 0, 0, 9, 0x01], Configuration),
        (MessageKind::VIDEO, &[0x27, 2], Inter),
        (MessageKind::VIDEO, &[0x37, 1], Disposable),
        (MessageKind::VIDEO, &[0x37, 2], Inter),
        (MessageKind::VIDEO, &[0x32, 0], Disposable),
        (MessageKind::VIDEO, &[0x12, 0], Keyframe),
        (MessageKind::VIDEO, &[0x22, 0], Inter),
        // HEVC, AV1 and VVC have packet types, too. The other codecs have none.
        (MessageKind::VIDEO, &[0x1C, 0, 0, 0, 0, 1], Configuration),
        (MessageKind::VIDEO, &[0x1D, 0], Configuration),
        (MessageKind::VIDEO, &[0x1E, 0], Configuration),
        (MessageKind::VIDEO, &[0x1C, 1, 0, 0, 0], Keyframe),
        (MessageKind::VIDEO, &[0x1D, 1], Keyframe),
        (MessageKind::VIDEO, &[0x2E, 1], Inter),
        (MessageKind::VIDEO, &[0x1C, 2], Inter),
        (MessageKind::VIDEO, &[0x16, 0], Keyframe),
        (MessageKind::VIDEO, &[0x18, 0], Keyframe),
        (MessageKind::VIDEO, &[0x1B, 0], Keyframe),
        (MessageKind::VIDEO, &[0x1F, 0], Keyframe),
        // A command has one byte, also if it belongs to AVC.
        (MessageKind::VIDEO, &[0x57, 0], Inter),
        (MessageKind::VIDEO, &[0x57, 1], Inter),
        // Enhanced RTMP: sequence start, coded frames with and without composition time, end, metadata, MPEG-2 TS.
        (MessageKind::VIDEO, b"\x90hvc1", Configuration),
        (MessageKind::VIDEO, b"\x91hvc1", Keyframe),
        (MessageKind::VIDEO, b"\x93hvc1", Keyframe),
        (MessageKind::VIDEO, b"\xA1hvc1", Inter),
        (MessageKind::VIDEO, b"\xB1hvc1", Disposable),
        (MessageKind::VIDEO, b"\x92hvc1", Inter),
        (MessageKind::VIDEO, b"\x94hvc1", Configuration),
        (MessageKind::VIDEO, b"\xD4hvc1", Configuration),
        (MessageKind::VIDEO, b"\xD6\x04hvc1\x01", Configuration),
        (MessageKind::VIDEO, b"\x95hvc1", Configuration),
        // Several tracks; a modifier of one byte; of 3 bytes with the long form of its size; two modifiers.
        (MessageKind::VIDEO, b"\x96\x00hvc1", Configuration),
        (MessageKind::VIDEO, b"\x96\x01hvc1", Keyframe),
        (MessageKind::VIDEO, b"\x97\x00\xAA\x00hvc1", Configuration),
        (MessageKind::VIDEO, b"\x97\xFF\x00\x02\xAA\xAA\xAA\x01hvc1", Keyframe),
        (MessageKind::VIDEO, b"\x97\x00\xAA\x07\x01\xAA\xAA\x06\x01hvc1", Keyframe),
        (MessageKind::AUDIO, &[0xAF, 0], Configuration),
        (MessageKind::AUDIO, &[0xAF, 1], Audio),
        (MessageKind::AUDIO, &[0x2F, 0], Audio),
        (MessageKind::AUDIO, &[0x17, 0], Audio),
        // Opus has packet types, too.
        (MessageKind::AUDIO, &[0xDF, 0], Configuration),
        (MessageKind::AUDIO, &[0xD2, 0], Configuration),
        (MessageKind::AUDIO, &[0xDF, 1], Audio),
        (MessageKind::AUDIO, &[0xBF, 0], Audio),
        (MessageKind::AUDIO, &[0xCF, 0], Audio),
        (MessageKind::AUDIO, &[0xEF, 0], Audio),
        (MessageKind::AUDIO, &[0xFF, 0], Audio),
        (MessageKind::AUDIO, b"\x90Opus", Configuration),
        (MessageKind::AUDIO, b"\x91Opus", Audio),
        (MessageKind::AUDIO, b"\x94Opus", Configuration),
        (MessageKind::AUDIO, b"\x95\x00Opus", Configuration),
        (MessageKind::AUDIO, b"\x97\x00\xAA\x00Opus", Configuration),
        (MessageKind::DATA, &[0x17, 0], Data(0)),
        (MessageKind::DATA, &[0x37, 1], Data(0)),
        (MessageKind::DATA, METADATA, Metadata(0)),
        (MessageKind::DATA, b"\x02\0\x09onCuePoint", Data(0)),
        (MessageKind::DATA, b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData", Metadata(16)),
        (MessageKind::DATA, b"\x02\0\x0D@setDataFrame\x02\0\x03abc", Data(16)),
        (MessageKind::DATA, CLEAR_DATA_FRAME, ClearMetadata),
        (MessageKind::DATA_AMF3, b"\0\x02\0\x0AonMetaData", Metadata(1)),
        (MessageKind::DATA_AMF3, b"\0\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData", Metadata(17)),
        (MessageKind::COMMAND, METADATA, Other),
    ];

    #[test]
    fn the_first_bytes_determine_the_class() {
        for (kind, payload, class) in CASES {
            assert_eq!(FrameClass::of(*kind, payload), *class, "{kind} {payload:02x?}");
            let long = [payload, &[0; FrameClass::PREFIX][..]].concat();
            assert_eq!(FrameClass::of_prefix(*kind, &long), Some(*class), "{kind} {payload:02x?}");
        }
    }

    #[test]
    fn item_125_codecs_with_packet_types_are_those_of_the_first_byte() {
        for codec in 0..16 {
            let (video, audio) = ([0x10 | codec, 0], [codec << 4, 0]);
            let is_header = [7, 12, 13, 14].contains(&codec);
            let class = if is_header { Configuration } else { Keyframe };
            assert_eq!(FrameClass::of(MessageKind::VIDEO, &video), class, "video codec {codec}");
            // 9 marks Enhanced RTMP, with the packet type in the first byte.
            let class = if [9, 10, 13].contains(&codec) { Configuration } else { Audio };
            assert_eq!(FrameClass::of(MessageKind::AUDIO, &audio), class, "audio format {codec}");
        }
    }

    #[test]
    fn item_126_a_configuration_that_is_only_a_header_is_empty() {
        for (kind, header) in [
            (MessageKind::VIDEO, &[0x17, 0, 0, 0, 0][..]),
            (MessageKind::VIDEO, &[0x1C, 0, 0, 0, 0]),
            (MessageKind::AUDIO, &[0xAF, 0]),
            (MessageKind::AUDIO, &[0xDF, 0]),
            (MessageKind::DATA, METADATA),
            (MessageKind::DATA_AMF3, b"\0\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData"),
        ] {
            let (class, length) = (FrameClass::of(kind, header), header.len());
            assert!(matches!(class, Configuration | Metadata(_)) && class.is_empty(kind, length), "{header:02x?}");
            assert!(!class.is_empty(kind, length + 1) && class.is_empty(kind, 0), "{header:02x?}");
        }
    }

    #[test]
    fn item_250_a_message_without_a_track_number_is_of_track_0() {
        for (kind, payload, track, needed) in [
            (MessageKind::VIDEO, &b"\x17\x01abcde"[..], 0, 1),
            (MessageKind::VIDEO, b"\x91hvc1\x05\x05", 0, 1),
            (MessageKind::VIDEO, b"\x96\x01hvc1\x05", 5, 7),
            (MessageKind::VIDEO, b"\x96\x11hvc1\xFF\0\0\0", 255, 7),
            (MessageKind::VIDEO, b"\x96\x21hvc1\x02\0\0\0", 2, 7),
            (MessageKind::VIDEO, b"\x97\x02abc\x06\x01hvc1\x07", 7, 12),
            (MessageKind::VIDEO, b"\x97\x02abc\x01hvc1\x07", 0, 6),
            (MessageKind::AUDIO, b"\xAF\x01abcde", 0, 1),
            (MessageKind::AUDIO, b"\x91Opus\x05\x05", 0, 1),
            (MessageKind::AUDIO, b"\x95\x01Opus\x03", 3, 7),
            (MessageKind::VIDEO, &[0x97; FrameClass::PREFIX], 0, FrameClass::PREFIX),
        ] {
            for cut in 0..payload.len() {
                let expected = (cut >= needed).then_some(track);
                assert_eq!(FrameClass::track(kind, &payload[..cut]), expected, "{payload:02x?} {cut}");
            }
            assert_eq!(FrameClass::track(kind, payload), Some(track));
        }
    }

    #[test]
    fn item_106_commands_are_not_sequence_headers() {
        // Two of them say that a seek starts and ends; the packet types of sequence headers are 0 and 5.
        for start in [[0xD0, 0], [0xD0, 1], [0xD5, 0], [0x57, 0], [0x57, 1]] {
            assert_eq!(FrameClass::of(MessageKind::VIDEO, &start), Inter, "{start:02x?}");
        }
    }

    #[test]
    fn a_class_from_few_bytes_is_not_contradicted_by_more_bytes() {
        for (kind, payload, class) in CASES {
            for length in 0..payload.len() {
                let few = &payload[..length];
                let harmless = matches!(FrameClass::of(*kind, few), Audio | Inter | Data(_));
                assert!(harmless || FrameClass::of(*kind, few) == *class, "{few:02x?}");
                let prefix = FrameClass::of_prefix(*kind, few);
                assert!(prefix.is_none() || prefix == Some(*class), "{few:02x?}");
            }
        }
    }

    #[test]
    fn a_prefix_that_is_too_short_has_no_class() {
        for kind in [MessageKind::VIDEO, MessageKind::AUDIO, MessageKind::DATA, MessageKind::DATA_AMF3] {
            assert_eq!(FrameClass::of_prefix(kind, &[]), None);
        }
        let data = b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData";
        for (kind, payload, needed) in [
            (MessageKind::VIDEO, &b"\x17\x01"[..], 2),
            (MessageKind::VIDEO, b"\x27\x01\0\0\0\0\0\0\x09\x41", 10),
            (MessageKind::VIDEO, b"\x97\x02abc\x01hvc1", 6),
            (MessageKind::VIDEO, &[0x97; FrameClass::PREFIX], FrameClass::PREFIX),
            (MessageKind::AUDIO, b"\xAF\x01", 2),
            (MessageKind::DATA, data, data.len()),
        ] {
            for cut in 0..needed {
                assert_eq!(FrameClass::of_prefix(kind, &payload[..cut]), None, "{payload:02x?} {cut}");
            }
            assert!(FrameClass::of_prefix(kind, &payload[..needed]).is_some() && needed <= FrameClass::PREFIX);
        }
    }

    #[test]
    fn modifiers_without_an_end_take_as_long_as_they_are() {
        let chain: Vec<u8> = core::iter::once(0x97).chain([0, 0xAA, 7].into_iter().cycle().take(30_000)).collect();
        assert_eq!(FrameClass::of(MessageKind::VIDEO, &chain), Inter);
    }
}
