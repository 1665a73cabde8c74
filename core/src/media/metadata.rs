//! `onMetaData`, the description of a stream (Video File Format Specification 10.1, annex E.5).

use crate::amf0::{BufferFull, Decoder, Text, Token, marker};
use crate::bytes::Output;

/// The known properties of a stream. Players and servers display them. Decoders use the sequence headers instead.
///
/// ```
/// use embedded_rtmp::media::metadata::Metadata;
/// use embedded_rtmp::media::{audio, video};
///
/// let metadata = Metadata {
///     width: Some(1280),
///     height: Some(720),
///     frame_rate: Some(25.0),
///     video_codec: Some(video::Codec::AVC.0.into()),
///     audio_codec: Some(audio::Format::AAC.0.into()),
///     audio_sample_rate: Some(44_100),
///     stereo: Some(true),
///     encoder: Some("door camera".into()),
///     ..Metadata::new()
/// };
/// let mut buffer = [0; 256];
/// let payload = metadata.emit(&mut buffer)?; // of a data message, before the first audio and video
/// assert_eq!(payload.len(), 195);
/// # Ok::<(), embedded_rtmp::amf0::BufferFull>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Metadata<'a> {
    /// `width` of the pictures in pixels.
    pub width: Option<u32>,
    /// `height` of the pictures in pixels.
    pub height: Option<u32>,
    /// `framerate`: pictures per second.
    pub frame_rate: Option<f64>,
    /// `videocodecid`: a [`video::Codec`](super::video::Codec), or the FourCC of an Enhanced RTMP codec as a number.
    pub video_codec: Option<u32>,
    /// `videodatarate`: kbit/s.
    pub video_data_rate: Option<f64>,
    /// `audiocodecid`: an [`audio::Format`](super::audio::Format), or the FourCC of an Enhanced RTMP codec as a number.
    pub audio_codec: Option<u32>,
    /// `audiodatarate`: kbit/s.
    pub audio_data_rate: Option<f64>,
    /// `audiosamplerate`: samples per second.
    pub audio_sample_rate: Option<u32>,
    /// `audiosamplesize`: bits per sample.
    pub audio_sample_size: Option<u32>,
    /// `stereo`: whether there are two channels.
    pub stereo: Option<bool>,
    /// `duration`: seconds. Live streams have none.
    pub duration: Option<f64>,
    /// `encoder`: the name of the encoder.
    pub encoder: Option<Text<'a>>,
}

impl<'a> Metadata<'a> {
    /// The name of the data message.
    pub const NAME: &'static str = "onMetaData";

    /// Metadata without any property.
    pub const fn new() -> Self {
        Self {
            width: None,
            height: None,
            frame_rate: None,
            video_codec: None,
            video_data_rate: None,
            audio_codec: None,
            audio_data_rate: None,
            audio_sample_rate: None,
            audio_sample_size: None,
            stereo: None,
            duration: None,
            encoder: None,
        }
    }

    /// Writes the payload of a publisher's data message: `@setDataFrame`, which asks the server to store it for late
    /// players, `onMetaData`, and an ECMA array of the known properties. Returns what it wrote. 512 bytes are enough for
    /// all properties with an encoder name of 120 bytes.
    ///
    /// # Errors
    /// The buffer is too small.
    pub fn emit<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], BufferFull> {
        let mut out = Properties { out: Output::new(buffer), count: 0 };
        out.out.put(HEAD);
        out.number("duration", self.duration);
        out.integer("width", self.width);
        out.integer("height", self.height);
        out.number("videodatarate", self.video_data_rate);
        out.number("framerate", self.frame_rate);
        out.integer("videocodecid", self.video_codec);
        out.number("audiodatarate", self.audio_data_rate);
        out.integer("audiosamplerate", self.audio_sample_rate);
        out.integer("audiosamplesize", self.audio_sample_size);
        if let Some(stereo) = self.stereo {
            out.key("stereo").put(&[marker::BOOLEAN, stereo.into()]);
        }
        out.integer("audiocodecid", self.audio_codec);
        if let Some(encoder) = self.encoder {
            out.key("encoder").text(encoder);
        }
        out.out.put(b"\0\0\x09");
        let (needed, count) = (out.out.needed, out.count);
        if let Some(place) = buffer.get_mut(HEAD.len().wrapping_sub(1)) {
            *place = count;
        }
        buffer.get(..needed).ok_or(BufferFull { needed })
    }

    /// Parses the values after the name of an `onMetaData` message, as [`DataMessage`](crate::command::DataMessage) has them.
    /// Returns `None` if they are not a map.
    ///
    /// Unknown properties, properties of another type, and a missing end of the map are ignored.
    pub fn parse(mut values: Decoder<'a>) -> Option<Metadata<'a>> {
        values.next_token().ok()?.filter(Token::opens_map)?;
        let mut metadata = Self::new();
        while let Ok(Some((key, value))) = values.next_property() {
            metadata.set(key.as_bytes(), value);
        }
        Some(metadata)
    }

    fn set(&mut self, key: &[u8], value: Token<'a>) {
        let number = match value {
            Token::Number(number) => Some(number),
            _ => None,
        };
        match key {
            b"width" => self.width = value.as_u32(),
            b"height" => self.height = value.as_u32(),
            b"framerate" => self.frame_rate = number,
            b"videocodecid" => self.video_codec = value.as_u32(),
            b"videodatarate" => self.video_data_rate = number,
            b"audiocodecid" => self.audio_codec = value.as_u32(),
            b"audiodatarate" => self.audio_data_rate = number,
            b"audiosamplerate" => self.audio_sample_rate = value.as_u32(),
            b"audiosamplesize" => self.audio_sample_size = value.as_u32(),
            b"stereo" => {
                self.stereo = match value {
                    Token::Boolean(stereo) => Some(stereo),
                    _ => None,
                };
            }
            b"duration" => self.duration = number,
            b"encoder" => self.encoder = value.as_text(),
            _ => {}
        }
    }
}

/// `@setDataFrame`, `onMetaData` and the start of an ECMA array without properties.
const HEAD: &[u8] = b"\x02\0\x0D@setDataFrame\x02\0\x0AonMetaData\x08\0\0\0\0";

/// Writes properties, and counts them. One call follows another, because a property that is always unknown then costs no
/// flash.
struct Properties<'b> {
    out: Output<'b>,
    count: u8,
}

impl<'b> Properties<'b> {
    fn key(&mut self, key: &str) -> &mut Output<'b> {
        self.count = self.count.wrapping_add(1);
        self.out.key(key);
        &mut self.out
    }

    #[inline(always)]
    fn integer(&mut self, key: &str, value: Option<u32>) {
        if let Some(value) = value {
            self.known_integer(key, value);
        }
    }

    #[inline(never)]
    fn known_integer(&mut self, key: &str, value: u32) {
        self.key(key).integer(value);
    }

    #[inline(always)]
    fn number(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.known(key, value);
        }
    }

    #[inline(never)]
    fn known(&mut self, key: &str, value: f64) {
        self.key(key).number(value.to_bits());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::DataMessage;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn parsed(payload: &[u8]) -> Option<Metadata<'_>> {
        let message = DataMessage::parse(payload)?;
        assert!(message.name == Metadata::NAME);
        Metadata::parse(message.values)
    }

    #[test]
    fn item_090_metadata_is_a_data_frame_with_an_ecma_array() {
        let metadata =
            Metadata { width: Some(640), stereo: Some(false), encoder: Some("cam".into()), ..Metadata::new() };
        let expected = [
            &b"\x02\0\x0d@setDataFrame\x02\0\x0aonMetaData\x08\0\0\0\x03"[..],
            b"\0\x05width\0\x40\x84\0\0\0\0\0\0",
            b"\0\x06stereo\x01\0",
            b"\0\x07encoder\x02\0\x03cam",
            b"\0\0\x09",
        ]
        .concat();
        let mut buffer = [0; 128];
        assert_eq!(metadata.emit(&mut buffer), Ok(&expected[..]));
        for length in 0..expected.len() {
            assert!(metadata.emit(&mut buffer[..length]).is_err());
        }
        assert!(metadata.emit(&mut buffer[..expected.len()]).is_ok());
        assert_eq!(Metadata::default().emit(&mut buffer).map(parsed), Ok(Some(Metadata::new())));
    }

    #[test]
    fn item_063_unknown_properties_and_a_missing_end_are_ignored() {
        let payload = [
            &b"\x02\0\x0aonMetaData\x08\0\0\0\xFF"[..],
            b"\0\x05width\x02\0\x03640\0\x06height\0\x40\x76\x80\0\0\0\0\0",
            b"\0\x05other\x03\0\x05width\0\0\0\0\0\0\0\0\0\0\0\x09",
            b"\0\x0cvideocodecid\x02\0\x04avc1\0\x09framerate\0\x40\x3d\xf8\x53\xe2\x55\x6b\x28",
        ]
        .concat();
        let expected = Metadata { height: Some(360), frame_rate: Some(30_000.0 / 1_001.0), ..Metadata::new() };
        assert_eq!(parsed(&payload), Some(expected));
        assert_eq!(parsed(b"\x02\0\x0aonMetaData\x05"), None);
        assert_eq!(parsed(b"\x02\0\x0aonMetaData"), None);
    }

    #[test]
    fn everything_fits_in_512_bytes() {
        let name: Vec<u8> = [b'x'; 120].into();
        let whole = every(u32::MAX, f64::MAX, &name);
        assert!(whole.emit(&mut [0; 512]).is_ok());
    }

    fn every(integer: u32, number: f64, text: &[u8]) -> Metadata<'_> {
        Metadata {
            width: Some(integer),
            height: Some(integer ^ 1),
            frame_rate: Some(number),
            video_codec: Some(integer ^ 2),
            video_data_rate: Some(number / 2.0),
            audio_codec: Some(integer ^ 3),
            audio_data_rate: Some(number / 3.0),
            audio_sample_rate: Some(integer ^ 4),
            audio_sample_size: Some(integer ^ 5),
            stereo: Some(integer & 1 == 1),
            duration: Some(number / 4.0),
            encoder: Some(Text::new(text)),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(integer: u32, number in -1e9..1e9, text: Vec<u8>) {
            let metadata = every(integer, number, &text);
            let mut buffer = std::vec![0; 1024 + text.len()];
            prop_assert_eq!(parsed(metadata.emit(&mut buffer).unwrap()), Some(metadata));
        }
    }
}
