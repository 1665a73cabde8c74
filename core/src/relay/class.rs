//! What the first bytes of a message say about it.

use crate::command::SET_DATA_FRAME;
use crate::media::{is_keyframe, is_sequence_header};
use crate::message::MessageKind;

/// What a message is to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Nothing else than media.
    Plain,
    /// A video frame that needs none before it.
    Key,
    /// What decoders need before all else: kept for players that come later.
    Configuration,
    /// Data for players, behind a wrapping of so many bytes that is for servers alone.
    Data(u8),
    /// The same, and it is kept: the stream's metadata.
    Metadata(u8),
    /// The metadata holds no longer. That is for servers alone.
    Clear,
}

/// As many bytes from the front of a payload as a class may depend on.
pub(super) const PREFIX: usize = 32;

/// AMF0 strings at the front of data messages.
const CLEAR_DATA_FRAME: &[u8] = b"\x02\x00\x0F@clearDataFrame";
const METADATA: &[u8] = b"\x02\x00\x0AonMetaData";

/// The class of a message whose payload begins with `prefix`; `None` where more of it must come first, which it does
/// unless the prefix `is_all`.
pub(super) fn classify(kind: MessageKind, prefix: &[u8], is_all: bool) -> Option<Class> {
    let class = match kind {
        MessageKind::VIDEO | MessageKind::AUDIO => media(kind, prefix),
        MessageKind::DATA => data(prefix, 0),
        MessageKind::DATA_AMF3 => data(prefix.get(1..).unwrap_or(&[]), 1),
        _ => Some(Class::Plain),
    };
    // One that is too short for what it says it is has no class of its own.
    class.or(is_all.then_some(match kind {
        MessageKind::DATA => Class::Data(0),
        MessageKind::DATA_AMF3 => Class::Data(1),
        _ => Class::Plain,
    }))
}

/// Audio and video. Two bytes tell what it is, but for Enhanced RTMP's modifiers (packet type 7), which may be long.
fn media(kind: MessageKind, prefix: &[u8]) -> Option<Class> {
    if is_sequence_header(kind, prefix) {
        return Some(Class::Configuration);
    }
    if is_keyframe(kind, prefix) {
        return Some(Class::Key);
    }
    let is_modified = match kind {
        MessageKind::VIDEO => prefix.first().is_some_and(|first| first & 0x8F == 0x87),
        _ => prefix.first() == Some(&0x97),
    };
    (prefix.len() >= if is_modified { PREFIX } else { 2 }).then_some(Class::Plain)
}

/// Data behind a format selector of `selector` bytes.
fn data(payload: &[u8], selector: u8) -> Option<Class> {
    if begins(payload, CLEAR_DATA_FRAME)? {
        return Some(Class::Clear);
    }
    let wrapped = begins(payload, SET_DATA_FRAME)?;
    let wrapping = if wrapped { SET_DATA_FRAME.len() } else { 0 };
    let is_metadata = begins(payload.get(wrapping..).unwrap_or(&[]), METADATA)?;
    let skip = selector.wrapping_add(wrapping as u8);
    Some(if is_metadata { Class::Metadata(skip) } else { Class::Data(skip) })
}

/// Whether `bytes` begin with `text`; `None` where it takes more of them to say.
fn begins(bytes: &[u8], text: &[u8]) -> Option<bool> {
    let length = bytes.len().min(text.len());
    let is_so = bytes.get(..length) == text.get(..length);
    if is_so && length < text.len() { None } else { Some(is_so) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: MessageKind, prefix: &[u8]) -> Option<Class> {
        classify(kind, prefix, false)
    }

    #[test]
    fn audio_and_video_are_told_by_two_bytes() {
        for (kind, prefix, class) in [
            (MessageKind::VIDEO, &[0x17, 0][..], Class::Configuration),
            (MessageKind::VIDEO, &[0x17, 1], Class::Key),
            (MessageKind::VIDEO, &[0x17, 2], Class::Plain),
            (MessageKind::VIDEO, &[0x27, 1], Class::Plain),
            (MessageKind::VIDEO, b"\x90hvc1", Class::Configuration),
            (MessageKind::VIDEO, b"\x93hvc1", Class::Key),
            (MessageKind::VIDEO, b"\xA1hvc1", Class::Plain),
            (MessageKind::VIDEO, b"\x96\x00hvc1", Class::Configuration),
            (MessageKind::AUDIO, &[0xAF, 0], Class::Configuration),
            (MessageKind::AUDIO, &[0xAF, 1], Class::Plain),
            (MessageKind::AUDIO, b"\x90Opus", Class::Configuration),
        ] {
            assert_eq!(of(kind, prefix), Some(class), "{prefix:?}");
            assert_eq!(of(kind, &[]), None);
        }
        assert_eq!(of(MessageKind::VIDEO, &[0x17]), None);
        assert_eq!(classify(MessageKind::VIDEO, &[0x17], true), Some(Class::Plain));
    }

    #[test]
    fn a_modifier_takes_more() {
        let modified = b"\x97\x02abc\x01hvc1";
        for cut in 0..6 {
            assert_eq!(of(MessageKind::VIDEO, &modified[..cut]), None, "{cut}");
        }
        assert_eq!(of(MessageKind::VIDEO, &modified[..6]), Some(Class::Key));
        assert_eq!(of(MessageKind::VIDEO, &[0x97; PREFIX]), Some(Class::Plain));
    }

    #[test]
    fn data_in_its_wrapping() {
        let metadata = b"\x02\x00\x0AonMetaData";
        assert_eq!(of(MessageKind::DATA, metadata), Some(Class::Metadata(0)));
        assert_eq!(of(MessageKind::DATA_AMF3, &[b"\0", &metadata[..]].concat()), Some(Class::Metadata(1)));
        let wrapped = [SET_DATA_FRAME, metadata].concat();
        assert!(wrapped.len() < PREFIX);
        for cut in 0..wrapped.len() {
            assert_eq!(of(MessageKind::DATA, &wrapped[..cut]), None, "{cut}");
        }
        assert_eq!(of(MessageKind::DATA, &wrapped), Some(Class::Metadata(16)));
        assert_eq!(of(MessageKind::DATA_AMF3, &[b"\0", &wrapped[..]].concat()), Some(Class::Metadata(17)));
        assert_eq!(of(MessageKind::DATA, &[SET_DATA_FRAME, b"\x02\0\x03abc"].concat()), Some(Class::Data(16)));
        assert_eq!(of(MessageKind::DATA, b"\x02\0\x09onCuePoint"), Some(Class::Data(0)));
        assert_eq!(of(MessageKind::DATA, CLEAR_DATA_FRAME), Some(Class::Clear));
        assert_eq!(classify(MessageKind::DATA, b"\x02", true), Some(Class::Data(0)));
    }
}
