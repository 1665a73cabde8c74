//! What a message is good for, by its first bytes: what a relay keeps, where a player may begin, what may be dropped.
//!
//! The functions take the kind of a message and its first fragment. Where that is too short to tell, the answer is no,
//! which does no harm: nothing is begun with that cannot be, and nothing dropped. Two bytes tell nearly all; for an AVC
//! picture without its own mark, 10 bytes tell whether it is disposable.

use super::audio::{self, AacPacket, Format};
use super::video::{self, AvcPacket, Codec, FrameType};
use crate::message::MessageKind;

/// Whether decoding can begin with this video message: a keyframe, in which there are pictures. Its sequence header
/// must have gone before.
///
/// Audio needs no keyframes, and has none.
pub fn is_keyframe(kind: MessageKind, start: &[u8]) -> bool {
    matches!(picture(kind, start), Some(FrameType::KEY | FrameType::GENERATED_KEY))
}

/// Whether no other picture needs this one, so that it is the first to be dropped: it is marked so (frame type 3), or
/// it is AVC and its first NAL unit is a slice that is no reference (`nal_ref_idc` is 0; ISO/IEC 14496-10, 7.4.1),
/// behind a length of four bytes.
pub fn is_disposable(kind: MessageKind, start: &[u8]) -> bool {
    match (picture(kind, start), start) {
        (Some(FrameType::DISPOSABLE), _) => true,
        (Some(FrameType::INTER), [0x27, _, _, _, _, _, _, _, _, nal, ..]) => nal & 0x7F == 1,
        _ => false,
    }
}

/// Whether this message configures a decoder and holds no frame: an AVC or AAC sequence header, or its like in Enhanced
/// RTMP. It is never dropped, and whoever begins to play needs the last one of audio and of video.
pub fn is_sequence_header(kind: MessageKind, start: &[u8]) -> bool {
    let Some((&first, rest)) = start.split_first() else { return false };
    match kind {
        MessageKind::VIDEO if first & video::ENHANCED != 0 => {
            FrameType(first >> 4 & 0x07) != FrameType::COMMAND
                && matches!(enhanced_packet(first & 0x0F, rest, VIDEO_MULTITRACK), Some(0 | 5))
        }
        MessageKind::AUDIO if first >> 4 == audio::ENHANCED => {
            matches!(enhanced_packet(first & 0x0F, rest, AUDIO_MULTITRACK), Some(0 | 4))
        }
        MessageKind::VIDEO => {
            let is_avc = Codec(first & 0x0F) == Codec::AVC && FrameType(first >> 4) != FrameType::COMMAND;
            is_avc && rest.first() == Some(&AvcPacket::SEQUENCE_HEADER.0)
        }
        MessageKind::AUDIO => Format(first >> 4) == Format::AAC && rest.first() == Some(&AacPacket::SEQUENCE_HEADER.0),
        _ => false,
    }
}

/// The type of the picture in a video message, where there is one.
fn picture(kind: MessageKind, start: &[u8]) -> Option<FrameType> {
    let (&first, rest) = start.split_first().filter(|_| kind == MessageKind::VIDEO)?;
    let has_picture = if first & video::ENHANCED != 0 {
        matches!(enhanced_packet(first & 0x0F, rest, VIDEO_MULTITRACK), Some(1 | 3))
    } else {
        Codec(first & 0x0F) != Codec::AVC || rest.first() == Some(&AvcPacket::NAL_UNITS.0)
    };
    has_picture.then_some(FrameType(first >> 4 & 0x07))
}

/// The packet types of Enhanced RTMP which say that another follows: several tracks, and modifiers, of any length.
const VIDEO_MULTITRACK: u8 = 6;
const AUDIO_MULTITRACK: u8 = 5;
const MODIFIED: u8 = 7;

/// The type of the packet in Enhanced RTMP, behind modifiers and whatever says that there are several tracks (E-RTMP
/// v2, "ExVideoTagHeader" and "ExAudioTagHeader").
fn enhanced_packet(mut packet: u8, mut rest: &[u8], multitrack: u8) -> Option<u8> {
    // Each round takes two bytes at least.
    while packet == MODIFIED {
        let (size, behind) = match rest {
            [0xFF, high, low, behind @ ..] => (usize::from(*high) << 8 | usize::from(*low), behind),
            [0xFF, ..] | [] => return None,
            [size, behind @ ..] => (usize::from(*size), behind),
        };
        // One more than stands there, and then the type of the modifier and of what comes behind it, half a byte each.
        match behind.split_at_checked(size.wrapping_add(1)) {
            Some((_, [types, behind @ ..])) => (packet, rest) = (*types & 0x0F, behind),
            _ => return None,
        }
    }
    match rest {
        [types, ..] if packet == multitrack => Some(*types & 0x0F),
        [] if packet == multitrack => None,
        _ => Some(packet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A kind, the first bytes, and whether they are a keyframe, a sequence header, disposable.
    const CASES: &[(MessageKind, &[u8], [bool; 3])] = &[
        (MessageKind::VIDEO, &[0x17, 0, 0, 0, 0, 1], [false, true, false]),
        (MessageKind::VIDEO, &[0x17, 1, 0, 0, 0], [true, false, false]),
        (MessageKind::VIDEO, &[0x47, 1], [true, false, false]),
        (MessageKind::VIDEO, &[0x17, 2, 0, 0, 0], [false, false, false]),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41], [false, false, false]),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x01], [false, false, true]),
        (MessageKind::VIDEO, &[0x27, 1, 0, 0, 0, 0, 0, 0, 2, 0x09], [false, false, false]),
        (MessageKind::VIDEO, &[0x27, 0, 0, 0, 0, 0, 0, 0, 9, 0x01], [false, true, false]),
        (MessageKind::VIDEO, &[0x37, 1], [false, false, true]),
        (MessageKind::VIDEO, &[0x37, 2], [false, false, false]),
        (MessageKind::VIDEO, &[0x32], [false, false, true]),
        (MessageKind::VIDEO, &[0x12, 0], [true, false, false]),
        (MessageKind::VIDEO, &[0x22, 0], [false, false, false]),
        // A command, of one byte, though what it belongs to is AVC.
        (MessageKind::VIDEO, &[0x57, 0], [false, false, false]),
        (MessageKind::VIDEO, &[0x57, 1], [false, false, false]),
        // Enhanced RTMP: sequence start, coded frames with and without composition time, end, metadata, MPEG-2 TS.
        (MessageKind::VIDEO, b"\x90hvc1", [false, true, false]),
        (MessageKind::VIDEO, b"\x91hvc1", [true, false, false]),
        (MessageKind::VIDEO, b"\x93hvc1", [true, false, false]),
        (MessageKind::VIDEO, b"\xA1hvc1", [false, false, false]),
        (MessageKind::VIDEO, b"\xB1hvc1", [false, false, true]),
        (MessageKind::VIDEO, b"\x92hvc1", [false, false, false]),
        (MessageKind::VIDEO, b"\x94hvc1", [false, false, false]),
        (MessageKind::VIDEO, b"\x95hvc1", [false, true, false]),
        // Several tracks; a modifier of one byte; of 3 bytes told in the long form; two modifiers.
        (MessageKind::VIDEO, b"\x96\x00hvc1", [false, true, false]),
        (MessageKind::VIDEO, b"\x96\x01hvc1", [true, false, false]),
        (MessageKind::VIDEO, b"\x97\x00\xAA\x00hvc1", [false, true, false]),
        (MessageKind::VIDEO, b"\x97\xFF\x00\x02\xAA\xAA\xAA\x01hvc1", [true, false, false]),
        (MessageKind::VIDEO, b"\x97\x00\xAA\x07\x01\xAA\xAA\x06\x01hvc1", [true, false, false]),
        (MessageKind::AUDIO, &[0xAF, 0], [false, true, false]),
        (MessageKind::AUDIO, &[0xAF, 1], [false, false, false]),
        (MessageKind::AUDIO, &[0x2F, 0], [false, false, false]),
        (MessageKind::AUDIO, &[0x17, 0], [false, false, false]),
        (MessageKind::AUDIO, b"\x90Opus", [false, true, false]),
        (MessageKind::AUDIO, b"\x91Opus", [false, false, false]),
        (MessageKind::AUDIO, b"\x94Opus", [false, true, false]),
        (MessageKind::AUDIO, b"\x95\x00Opus", [false, true, false]),
        (MessageKind::AUDIO, b"\x97\x00\xAA\x00Opus", [false, true, false]),
        (MessageKind::DATA, &[0x17, 0], [false, false, false]),
        (MessageKind::DATA, &[0x37, 1], [false, false, false]),
    ];

    #[test]
    fn messages_are_told_apart_by_their_first_bytes() {
        for (kind, start, [key, header, disposable]) in CASES {
            assert_eq!(is_keyframe(*kind, start), *key, "keyframe: {kind} {start:02x?}");
            assert_eq!(is_sequence_header(*kind, start), *header, "sequence header: {kind} {start:02x?}");
            assert_eq!(is_disposable(*kind, start), *disposable, "disposable: {kind} {start:02x?}");
        }
    }

    #[test]
    fn item_106_commands_are_no_sequence_headers() {
        // Two of them say that a seek starts and ends; the packet types of sequence headers are 0 and 5.
        for start in [[0xD0, 0], [0xD0, 1], [0xD5, 0], [0x57, 0], [0x57, 1]] {
            assert!(
                !is_sequence_header(MessageKind::VIDEO, &start) && !is_keyframe(MessageKind::VIDEO, &start),
                "{start:02x?}"
            );
        }
    }

    #[test]
    fn too_few_bytes_are_never_a_yes_that_more_would_take_back() {
        for (kind, start, [key, header, disposable]) in CASES {
            for length in 0..start.len() {
                let few = &start[..length];
                assert!(!is_keyframe(*kind, few) || *key, "keyframe: {few:02x?}");
                assert!(!is_sequence_header(*kind, few) || *header, "sequence header: {few:02x?}");
                assert!(!is_disposable(*kind, few) || *disposable, "disposable: {few:02x?}");
            }
        }
    }

    #[test]
    fn modifiers_without_an_end_take_as_long_as_they_are() {
        let chain: Vec<u8> = core::iter::once(0x97).chain([0, 0xAA, 7].into_iter().cycle().take(30_000)).collect();
        assert!(!is_keyframe(MessageKind::VIDEO, &chain) && !is_sequence_header(MessageKind::VIDEO, &chain));
    }
}
