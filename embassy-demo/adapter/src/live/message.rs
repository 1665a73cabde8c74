//! The payload of an audio or video message, read from the memory of its parts.

use core::slice::from_ref;

use embedded_rtmp::media::FrameClass;
use embedded_rtmp::media::avc::UnitType;
use embedded_rtmp::media::video::FrameType;
use embedded_rtmp::message::Timestamp;

use super::format::Format;
use super::tracks::{HEADER_OF_MESSAGE, HeaderOfMessage, Tracks};
use crate::fmt::impl_format;

/// One picture of an encoder, lent until it is sent.
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
    /// H.264 and HEVC: the NAL units without start codes, each in one piece.
    /// `embedded_rtmp::media::avc::annex_b::Units` finds them in an encoder's output. Parameter sets among them are copied
    /// into the sequence header. Delimiters are not sent. AV1 and VP9: the temporal unit or the frame, in one piece or in
    /// several.
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

    /// Returns the class of the picture, which says whether later pictures depend on it. Only H.264 says so in the header
    /// of a unit.
    fn class(&self, format: Format) -> FrameClass {
        // A slice that is no reference: `nal_ref_idc` is 0 (ISO/IEC 14496-10, section 7.4.1).
        let is_disposable = |unit: &&[u8]| unit.first().is_some_and(|first| first & 0x7F == UnitType::SLICE.0);
        let mut slices = self.units.iter().filter(|unit| is_slice(unit));
        match slices.next() {
            _ if self.is_key => FrameClass::Keyframe,
            _ if format != Format::Avc => FrameClass::Inter,
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
    header: HeaderOfMessage,
    header_size: u8,
    /// How the units of a picture are sent.
    format: Format,
    pub(super) timestamp: Timestamp,
    /// The length of the payload in bytes, including the header.
    pub(super) length: u32,
}

impl<'f> Message<'f> {
    pub(super) fn new(content: Content<'f>) -> Self {
        Self {
            content,
            header: HEADER_OF_MESSAGE,
            header_size: 0,
            format: Format::Avc,
            timestamp: Timestamp(0),
            length: 0,
        }
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

    pub(super) fn class(&self, tracks: &Tracks) -> FrameClass {
        match &self.content {
            Content::Picture(picture) => picture.class(tracks.format()),
            Content::Sound(..) => FrameClass::Audio,
        }
    }

    /// Writes the header and sets the length. Returns whether the tracks include this kind of content.
    pub(super) fn make_header(&mut self, tracks: &Tracks) -> bool {
        self.format = tracks.format();
        self.header_size = match &self.content {
            Content::Picture(_) if !tracks.is_configured() => 0,
            Content::Picture(picture) => {
                let frame = if picture.is_key { FrameType::KEY } else { FrameType::INTER };
                let ahead = picture.pts.wrapping_sub(picture.dts) as i64;
                // No encoder reorders over more than the 35 minutes of 32 bits.
                let composition_time = (ahead as i32) / 1_000;
                tracks.video_header(frame, composition_time, &mut self.header)
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
        let format = self.format;
        let (units, length_size) = match &self.content {
            Content::Picture(picture) if format.has_lengths() => (picture.units, LENGTH_SIZE),
            Content::Picture(picture) => (picture.units, 0),
            Content::Sound(_, frame) => (from_ref(frame), 0),
        };
        let is_left_out = move |unit: &[u8]| length_size > 0 && format.leaves_out(unit);
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
    #[cfg(feature = "enhanced")]
    use super::super::slot::{AUDIO, DATA, VIDEO};
    #[cfg(feature = "enhanced")]
    use super::super::tracks::HEADER_BUFFER;
    use super::*;
    #[cfg(feature = "enhanced")]
    use embedded_rtmp::media::{avc::annex_b::Units, hevc};
    use std::vec::Vec;

    /// The parameter sets of libx265 for 320 × 180 pixels.
    #[cfg(feature = "enhanced")]
    const HEVC: &[u8] = b"\0\0\0\x01\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\x95\x98\x09\
        \0\0\0\x01\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\xa0\x0a\x08\x0b\x9f\x79\x65\x66\x92\x4c\xaf\
        \x01\x68\x08\0\0\x03\0\x08\0\0\x03\0\xc8\x40\
        \0\0\x01\x44\x01\xc1\x72\xb4\x62\x40";
    /// The sequence header of libsvtav1, the record of FFmpeg 9 for libvpx-vp9, and its Opus header.
    #[cfg(feature = "enhanced")]
    const AV1: &[u8] = b"\x0A\x0B\x02\x00\x00\x05\x21\xE7\xF6\x60\x17\xC0\x02";
    #[cfg(feature = "enhanced")]
    const VP9: &[u8] = b"\x01\0\0\0\0\x0A\x82\x02\x02\x02\0\0";
    #[cfg(feature = "enhanced")]
    const OPUS: &[u8; 19] = b"OpusHead\x01\x01\x38\x01\x80\xBB\0\0\0\0\0";

    const TRACKS: Tracks = Tracks::h264(&[0x67, 1, 2, 3], &[0x68, 4]).aac(&[0x12, 0x10]);

    /// The payload, put together from parts that begin at every byte.
    fn payload(content: Content<'_>) -> Vec<u8> {
        payload_of(&TRACKS, content)
    }

    fn payload_of(tracks: &Tracks, content: Content<'_>) -> Vec<u8> {
        let mut message = Message::new(content);
        assert!(message.make_header(tracks));
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

    #[cfg(feature = "enhanced")]
    #[test]
    fn item_268_pictures_and_sound_of_enhanced_rtmp_stand_behind_the_header_of_their_codec() {
        let hevc = Tracks::hevc(&[0x40, 1], &[0x42, 1], &[0x44, 1]).opus(&[0; 19]);
        let units: [&[u8]; 6] = [&[0x46, 1, 0x50], &[0x40, 1], &[0x42, 1], &[0x44, 1], &[0x4E, 1, 5], &[0x26, 1, 7]];
        let picture = Content::Picture(Picture::new(120_999, 40_000, true, &units));
        let expected = b"\x91hvc1\0\0\x50\0\0\0\x03\x4E\x01\x05\0\0\0\x03\x26\x01\x07";
        assert_eq!(payload_of(&hevc, picture), expected);
        assert_eq!(payload_of(&hevc, Content::Sound(0, b"xyz")), b"\x91Opusxyz");
        // A temporal unit in two pieces.
        let av1 = Tracks::av1(AV1).unwrap().ac3();
        let inter = Content::Picture(Picture::new(7, 0, false, &[b"\x12\0", b"\x09ab"]));
        assert_eq!(payload_of(&av1, inter), b"\xA1av01\x12\0\x09ab");
        assert_eq!(payload_of(&av1, Content::Sound(0, b"x")), b"\x91ac-3x");
        let vp9 = Tracks::vp9(VP9).flac(&[0; 34]);
        let key = Content::Picture(Picture::new(0, 0, true, &[b"\x82"]));
        assert_eq!(payload_of(&vp9, key), b"\x91vp09\x82");
        assert_eq!(payload_of(&vp9, Content::Sound(0, b"x")), b"\x91fLaCx");
        assert_eq!(payload_of(&Tracks::audio().eac3(), Content::Sound(0, b"x")), b"\x91ec-3x");
    }

    #[cfg(feature = "enhanced")]
    #[test]
    fn item_268_headers_of_enhanced_rtmp_have_the_configuration() {
        let units: Vec<&[u8]> = Units::new(HEVC).collect();
        let tracks = Tracks::hevc(units[0], units[1], units[2]).opus(OPUS);
        let mut buffer = HEADER_BUFFER;
        let mut record = [0; 200];
        let record = hevc::configuration_record(units.into_iter(), &mut record).unwrap();
        assert_eq!(tracks.header(VIDEO, &mut buffer).unwrap(), [b"\x90hvc1", record].concat());
        assert_eq!(tracks.header(AUDIO, &mut buffer).unwrap(), [b"\x90Opus", &OPUS[..]].concat());
        let metadata = tracks.header(DATA, &mut buffer).unwrap();
        for (key, codec) in [(&b"videocodecid\0"[..], b"hvc1"), (b"audiocodecid\0", b"Opus")] {
            let property = [key, &f64::from(u32::from_be_bytes(*codec)).to_be_bytes()].concat();
            assert!(metadata.windows(property.len()).any(|part| part == property));
        }
        assert_eq!(Tracks::audio().ac3().header(AUDIO, &mut buffer), Some(&b"\x90ac-3"[..]));
        assert_eq!(Tracks::vp9(VP9).header(VIDEO, &mut buffer).unwrap(), [b"\x90vp09", VP9].concat());
        let av1 = Tracks::av1(&[b"\x12\0", AV1].concat()).unwrap();
        let expected = [&b"\x90av01\x81\x00\x0C\x00"[..], AV1].concat();
        assert_eq!(av1.header(VIDEO, &mut buffer).unwrap(), expected);
        assert!(Tracks::av1(b"\x12\0").is_err());
    }

    #[cfg(feature = "enhanced")]
    #[test]
    fn item_269_parameter_sets_of_hevc_are_taken_from_the_pictures() {
        let mut tracks = Tracks::hevc_in_band();
        let units: Vec<&[u8]> = Units::new(HEVC).collect();
        assert!(!tracks.is_configured() && tracks.header(VIDEO, &mut HEADER_BUFFER.clone()).is_none());
        assert!(!tracks.take_in_band(&units[1..]), "the video parameter set is missing");
        assert!(!tracks.is_configured() && tracks.take_in_band(&units) && tracks.is_configured());
        assert!(!tracks.take_in_band(&units), "they are the same");
        let given = Tracks::hevc(units[0], units[1], units[2]);
        let header = |tracks: &Tracks| tracks.header(VIDEO, &mut HEADER_BUFFER.clone()).unwrap().to_vec();
        assert_eq!(header(&tracks), header(&given));
        assert!(tracks.take_in_band(&[units[0], units[1], b"\x44\x01\xC1"]));
        assert!(!tracks.take_in_band(&[units[0], units[1], &[0x44; 128]]), "they are too long");
        assert!(!Tracks::av1(AV1).unwrap().take_in_band(&units));
    }

    #[test]
    fn classes_come_from_the_first_slice() {
        let class = |is_key, units: &[&[u8]]| Picture::new(0, 0, is_key, units).class(Format::Avc);
        assert_eq!(class(true, &[&[0x65]]), FrameClass::Keyframe);
        assert_eq!(class(false, &[&[9], &[6], &[0x41]]), FrameClass::Inter);
        assert_eq!(class(false, &[&[9], &[6], &[0x01], &[0x01]]), FrameClass::Disposable);
        assert_eq!(class(false, &[]), FrameClass::Inter);
    }
}
