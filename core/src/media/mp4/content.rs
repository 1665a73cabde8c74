//! The place of a frame, or of a decoder's configuration, in its message.

use super::{AUDIO, VIDEO};
use crate::bytes::low_u32;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::media::enhanced::{Packet, TrackReader, is_enhanced, legacy_codec};
use crate::media::frame::{AUDIO_WITH_PACKETS, VIDEO_WITH_PACKETS};
use crate::media::{FrameClass, audio, video};
use crate::message::{FourCc, MessageHeader, MessageKind};

/// The index of the track of a message.
pub(super) const fn track(kind: MessageKind) -> Option<usize> {
    match kind {
        MessageKind::VIDEO => Some(VIDEO),
        MessageKind::AUDIO => Some(AUDIO),
        _ => None,
    }
}

/// The place of a frame in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Frame {
        /// The position of the frame in the payload, and its length.
        start: u32,
        length: u32,
        composition_time: i32,
    },
    /// No frame.
    Nothing,
    /// A frame of another track than 0.
    OtherTrack,
    /// A codec that has no sequence header.
    OtherCodec,
}

/// Returns the content of a message of audio or video that begins with `prefix` and is no configuration. Returns `None`
/// if more bytes are needed: [`FrameClass::PREFIX`] are enough.
pub(super) fn content(header: &MessageHeader, prefix: &[u8]) -> Option<Content> {
    let MessageHeader { kind, length, .. } = *header;
    let Some(&first) = prefix.first() else { return (length == 0).then_some(Content::Nothing) };
    let is_whole = prefix.len() >= FrameClass::PREFIX.min(length as usize);
    let or_nothing = is_whole.then_some(Content::Nothing);
    let frame = |start: u32, length, composition_time| match length {
        0 => Content::Nothing,
        _ => Content::Frame { start, length, composition_time },
    };
    if is_enhanced(kind, first) {
        let fragment = Fragment { csid: ChunkStreamId::CONTROL, header: *header, offset: 0, data: prefix };
        let Ok(piece) = TrackReader::new().next_piece(&mut { fragment }) else { return Some(Content::Nothing) };
        let Some(piece) = piece else { return or_nothing };
        return Some(match piece.header.packet {
            _ if piece.header.track.unwrap_or(0) != 0 => Content::OtherTrack,
            Packet::CodedFrames | Packet::CodedFramesX => {
                frame(piece.position, piece.length, piece.header.composition_time)
            }
            _ => Content::Nothing,
        });
    }
    if !has_packets(kind, first) {
        return Some(Content::OtherCodec);
    }
    let start = start(kind);
    match (kind, prefix) {
        (MessageKind::VIDEO, _) if first >> 4 == video::FrameType::COMMAND.0 => Some(Content::Nothing),
        (MessageKind::VIDEO, &[_, packet, high, middle, low, ..]) if packet == video::AvcPacket::NAL_UNITS.0 => {
            // The value is at the top of 32 bits, so that the shift extends the sign.
            let composition_time = i32::from_be_bytes([high, middle, low, 0]) >> 8;
            Some(frame(start, length.saturating_sub(start), composition_time))
        }
        (MessageKind::AUDIO, &[_, packet, ..]) if packet == audio::AacPacket::RAW.0 => {
            Some(frame(start, length.saturating_sub(start), 0))
        }
        _ => or_nothing,
    }
}

/// Passes the body of the sequence header of track 0, in pieces, to `take`. `parts` are the whole message, which is of
/// the class [`FrameClass::Configuration`]. If it has no such body, `take` is not called.
pub(super) fn configuration<'d>(header: &MessageHeader, parts: [&'d [u8]; 2], take: &mut dyn FnMut(FourCc, &'d [u8])) {
    let [one, other] = parts;
    let Some(&first) = one.first().or(other.first()) else { return };
    if is_enhanced(header.kind, first) {
        let (mut reader, mut offset) = (TrackReader::new(), 0);
        for data in parts {
            let mut rest = Fragment { csid: ChunkStreamId::CONTROL, header: *header, offset, data };
            while let Ok(Some(piece)) = reader.next_piece(&mut rest) {
                if piece.header.packet == Packet::SequenceStart && piece.header.track.unwrap_or(0) == 0 {
                    take(piece.header.codec, piece.data);
                }
            }
            offset = rest.offset;
        }
    } else if has_packets(header.kind, first) {
        let mut skip = start(header.kind) as usize;
        for part in parts {
            take(legacy_codec(header.kind, first), part.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(part.len());
        }
    }
}

/// Whether the codec of a message without Enhanced RTMP has a packet type in the second byte.
const fn has_packets(kind: MessageKind, first: u8) -> bool {
    match kind {
        MessageKind::VIDEO => VIDEO_WITH_PACKETS >> (first & 0x0F) & 1 != 0,
        _ => AUDIO_WITH_PACKETS >> (first >> 4) & 1 != 0,
    }
}

/// The length of the header of a message whose codec has a packet type.
const fn start(kind: MessageKind) -> u32 {
    low_u32(match kind {
        MessageKind::VIDEO => video::HEADER_SIZE,
        _ => audio::HEADER_SIZE,
    })
}
