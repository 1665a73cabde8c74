//! The payload of an audio or video message, read from the memory of its parts.

use core::slice::from_ref;

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::media::avc::UnitType;
use embedded_rtmp::media::video::{AvcPacket, FrameType, HEADER_SIZE, VideoTagHeader};
use embedded_rtmp::message::Timestamp;

use super::tracks::Tracks;
use crate::fmt::impl_format;

/// One picture in H.264, lent until it is sent.
///
/// ```
/// use embedded_rtmp_embassy::Picture;
///
/// // A slice of an IDR picture, which the encoder wrote after its start code.
/// let units: [&[u8]; 1] = [b"\x65\x88\x84"];
/// let picture = Picture::new(40_000, 40_000, true, &units);
/// ```
#[derive(Clone, Copy)]
pub struct Picture<'f> {
    /// When the picture is to be shown, in microseconds on the source's clock.
    pub pts: u64,
    /// When the picture is to be decoded; the same as `pts` without B-frames.
    pub dts: u64,
    /// Whether decoding can begin with this picture (IDR).
    pub is_key: bool,
    /// The NAL units without start codes, each in one piece. `embedded_rtmp::media::avc::annex_b::Units` finds them in an
    /// encoder's output. Parameter sets among them are copied into the sequence header. Delimiters are not sent.
    pub units: &'f [&'f [u8]],
}

impl_format!(
    Debug,
    ['f] Picture<'f>,
    this => "Picture {{ pts: {}, dts: {}, is_key: {}, {} units }}", this.pts, this.dts, this.is_key, this.units.len()
);

impl<'f> Picture<'f> {
    /// A picture. Times are in microseconds on the source's clock, which may begin anywhere and is the same for audio.
    pub const fn new(pts: u64, dts: u64, is_key: bool, units: &'f [&'f [u8]]) -> Self {
        Self { pts, dts, is_key, units }
    }

    /// Returns the class of the picture, which says whether later pictures depend on it.
    pub(super) fn class(&self) -> FrameClass {
        // A slice that is no reference: `nal_ref_idc` is 0 (ISO/IEC 14496-10, section 7.4.1).
        let is_disposable = |unit: &&[u8]| unit.first().is_some_and(|first| first & 0x7F == UnitType::SLICE.0);
        let mut slices = self.units.iter().filter(|unit| is_slice(unit));
        match slices.next() {
            _ if self.is_key => FrameClass::Keyframe,
            Some(first) if is_disposable(first) => FrameClass::Disposable,
            _ => FrameClass::Inter,
        }
    }
}

fn is_slice(unit: &[u8]) -> bool {
    UnitType::of(unit).is_some_and(|kind| kind.0 <= UnitType::IDR_SLICE.0)
}

/// The length before each NAL unit.
const LENGTH_SIZE: usize = 4;

/// The content of a message.
#[derive(Clone, Copy)]
pub(super) enum Content<'f> {
    Picture(Picture<'f>),
    Sound(u64, &'f [u8]),
}

/// A message: the header of its FLV tag data, and its content.
pub(super) struct Message<'f> {
    pub(super) content: Content<'f>,
    /// The header, which is made when the message is accepted.
    header: [u8; HEADER_SIZE],
    header_size: u8,
    pub(super) timestamp: Timestamp,
    /// The length of the payload in bytes, including the header.
    pub(super) length: u32,
}

impl<'f> Message<'f> {
    pub(super) fn new(content: Content<'f>) -> Self {
        Self { content, header: [0; HEADER_SIZE], header_size: 0, timestamp: Timestamp(0), length: 0 }
    }

    /// A message of this payload.
    pub(super) fn header(payload: &'f [u8], timestamp: Timestamp) -> Self {
        Self { timestamp, length: payload.len() as u32, ..Self::new(Content::Sound(0, payload)) }
    }

    /// A message that repeats this payload. Its length is 0, because a read at any position returns the same bytes.
    pub(super) fn repeating(payload: &'f [u8]) -> Self {
        Self::new(Content::Sound(0, payload))
    }

    /// When it is to be decoded, in microseconds of the source's clock.
    pub(super) fn time(&self) -> u64 {
        match &self.content {
            Content::Picture(picture) => picture.dts,
            Content::Sound(pts, _) => *pts,
        }
    }

    pub(super) fn class(&self) -> FrameClass {
        match &self.content {
            Content::Picture(picture) => picture.class(),
            Content::Sound(..) => FrameClass::Audio,
        }
    }

    /// Writes the header and sets the length. Returns whether the tracks include this kind of content.
    pub(super) fn make_header(&mut self, tracks: &Tracks) -> bool {
        self.header_size = match &self.content {
            Content::Picture(_) if !tracks.is_configured() => 0,
            Content::Picture(picture) => {
                let frame = if picture.is_key { FrameType::KEY } else { FrameType::INTER };
                let ahead = picture.pts.wrapping_sub(picture.dts) as i64;
                // No encoder reorders over more than the 35 minutes of 32 bits.
                let composition_time = (ahead as i32) / 1_000;
                let header = VideoTagHeader::Avc { frame, packet: AvcPacket::NAL_UNITS, composition_time };
                header.emit(&mut self.header).len() as u8
            }
            Content::Sound(..) => tracks.audio_header(&mut self.header),
        };
        let (units, length_size) = self.units();
        let length =
            units.fold(self.header_size.into(), |sum: usize, unit| sum.saturating_add(length_size + unit.len()));
        self.length = u32::try_from(length).unwrap_or(u32::MAX);
        self.header_size > 0
    }

    /// The units of which the payload consists, and the bytes of the length before each.
    fn units(&self) -> (impl Iterator<Item = &[u8]>, usize) {
        let (units, length_size) = match &self.content {
            Content::Picture(picture) => (picture.units, LENGTH_SIZE),
            Content::Sound(_, frame) => (from_ref(frame), 0),
        };
        let is_left_out = move |unit: &[u8]| {
            let kind = UnitType::of(unit);
            length_size > 0 && matches!(kind, None | Some(UnitType::SPS | UnitType::PPS | UnitType::DELIMITER))
        };
        (units.iter().copied().filter(move |unit| !is_left_out(unit)), length_size)
    }

    /// Returns the payload from `at` to the end of the part that contains it. `length` is memory for the length of a unit.
    pub(super) fn part<'p>(&'p self, mut at: usize, length: &'p mut [u8; LENGTH_SIZE]) -> &'p [u8] {
        let header = self.header.get(..self.header_size.into()).unwrap_or_default();
        if let Some(rest @ [_, ..]) = header.get(at..) {
            return rest;
        }
        at -= header.len();
        let (units, length_size) = self.units();
        for unit in units {
            if at < length_size {
                *length = (unit.len() as u32).to_be_bytes();
                return length.get(at..).unwrap_or_default();
            }
            at -= length_size;
            match unit.get(at..) {
                Some(rest @ [_, ..]) => return rest,
                _ => at -= unit.len(),
            }
        }
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TRACKS: Tracks = Tracks::h264(&[0x67, 1, 2, 3], &[0x68, 4]).aac(&[0x12, 0x10]);

    /// The payload, put together from parts that begin at every byte.
    fn payload(content: Content<'_>) -> Vec<u8> {
        let mut message = Message::new(content);
        assert!(message.make_header(&TRACKS));
        let mut whole = Vec::new();
        while let Some(first) = message.part(whole.len(), &mut [0; 4]).first() {
            whole.push(*first);
        }
        let mut in_parts = Vec::new();
        while in_parts.len() < message.length as usize {
            in_parts.extend_from_slice(message.part(in_parts.len(), &mut [0; 4]));
        }
        assert_eq!(whole, in_parts);
        whole
    }

    #[test]
    fn a_picture_is_its_units_behind_their_lengths() {
        let units: [&[u8]; 6] = [&[9, 0xF0], &[0x67, 1], &[0x68, 2], &[0x65, 5, 6], &[], &[0x65]];
        let picture = Picture::new(120_999, 40_000, true, &units);
        let expected = [0x17, 1, 0, 0, 80, 0, 0, 0, 3, 0x65, 5, 6, 0, 0, 0, 1, 0x65];
        assert_eq!(payload(Content::Picture(picture)), expected);
    }

    #[test]
    fn sound_stands_behind_its_header() {
        assert_eq!(payload(Content::Sound(0, &[7, 8])), [0xAF, 1, 7, 8]);
        assert!(!Message::new(Content::Sound(0, &[7])).make_header(&Tracks::h264(&[0x67], &[0x68])));
    }

    #[test]
    fn classes_come_from_the_first_slice() {
        let class = |is_key, units: &[&[u8]]| Picture::new(0, 0, is_key, units).class();
        assert_eq!(class(true, &[&[0x65]]), FrameClass::Keyframe);
        assert_eq!(class(false, &[&[9], &[6], &[0x41]]), FrameClass::Inter);
        assert_eq!(class(false, &[&[9], &[6], &[0x01], &[0x01]]), FrameClass::Disposable);
        assert_eq!(class(false, &[]), FrameClass::Inter);
    }
}
