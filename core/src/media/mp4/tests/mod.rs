//! Tests of the boxes, and of what is written of each message.

mod boxes;
mod messages;

use std::vec::Vec;

use super::Configuration;
use crate::message::MessageKind;

/// Video and audio.
pub(super) const V: MessageKind = MessageKind::VIDEO;
pub(super) const A: MessageKind = MessageKind::AUDIO;

/// Sequence headers of FFmpeg 9, for pictures of 160 × 90 pixels.
pub(super) const AVC: &[u8] = b"\x17\0\0\0\0\x01\x64\0\x0b\xff\xe1\0\x19\x67\x64\0\x0b\xac\xd9\x42\x8d\xf9\x30\x11\
    \0\0\x03\0\x01\0\0\x03\0\x32\x0f\x14\x29\x96\x01\0\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\0";
pub(super) const HEVC: &[u8] = b"\x90hvc1\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x1e\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x02\
    \x20\0\x01\0\x18\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1e\x95\x98\x09\
    \x21\0\x01\0\x2a\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x1e\xa0\x14\x20\x61\xf2\x65\x95\x9a\x49\x32\
    \xbc\x05\xa0\x20\0\0\x03\0\x20\0\0\x03\x03\x21";
pub(super) const AV1: &[u8] = b"\x90av01\x81\0\x0c\0\x0a\x0a\0\0\0\x03\xb4\xfd\x93\x6b\xe4\x01";
pub(super) const VP9: &[u8] = b"\x90vp09\x01\0\0\0\0\x0a\x82\x02\x02\x02\0\0";
pub(super) const AAC: &[u8] = b"\xaf\0\x11\x90\x56\xe5\0";
pub(super) const OPUS: &[u8] = b"\x90OpusOpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
pub(super) const FLAC: &[u8] =
    b"\x90fLaC\x04\x80\x04\x80\0\0\0\0\0\0\x0b\xb8\0\xf0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// `onMetaData` with 320 × 180 pixels and 2 pictures per second.
pub(super) const METADATA: &[u8] = b"\x02\0\x0aonMetaData\x08\0\0\0\x03\0\x05width\0\x40\x74\0\0\0\0\0\0\
    \0\x06height\0\x40\x66\x80\0\0\0\0\0\0\x09framerate\0\x40\0\0\0\0\0\0\0\0\0\x09";

/// The initialization segment of a configuration.
pub(super) fn written(configuration: &Configuration<'_>) -> Vec<u8> {
    let mut bytes = std::vec![0; configuration.length() as usize + 1];
    let length = configuration.write(0, &mut bytes);
    assert_eq!(length, configuration.length() as usize);
    bytes.truncate(length);
    bytes
}
