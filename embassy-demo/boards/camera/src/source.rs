//! From the encoders to RTMP.

use embedded_rtmp_embassy::embedded_rtmp::media::audio::{self, Format, Sound};
use embedded_rtmp_embassy::embedded_rtmp::media::avc::annex_b::Units;
use embedded_rtmp_embassy::embedded_rtmp::media::avc::{Message, Sps, UnitType, sequence_header};
use embedded_rtmp_embassy::embedded_rtmp::media::metadata::Metadata;
use embedded_rtmp_embassy::embedded_rtmp::media::video;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};
use embedded_rtmp_embassy::{Frame, Source};

use crate::encoders::{Coded, Encoders};

/// Slices that a picture may have; each is sent from where the encoder left it.
const SLICES: usize = 3;

/// A camera and a microphone.
pub struct Camera {
    encoders: Encoders,
    /// The bytes of metadata or of a sequence header, while they are sent.
    header: [u8; 256],
    picture: Option<Message<'static, SLICES>>,
    sound: [u8; audio::HEADER_SIZE],
}

impl Camera {
    pub const fn new() -> Self {
        Self { encoders: Encoders::new(), header: [0; 256], picture: None, sound: [0; audio::HEADER_SIZE] }
    }
}

impl Default for Camera {
    fn default() -> Self {
        Self::new()
    }
}

impl Source for Camera {
    fn header(&mut self, number: usize) -> Option<Frame<'_>> {
        let find = |kind| Units::new(Encoders::first_picture()).find(|unit| UnitType::of(unit) == Some(kind));
        let (sps, pps) = (find(UnitType::SPS)?, find(UnitType::PPS)?);
        let (kind, payload) = match number {
            0 => {
                let size = Sps::parse(sps)?;
                let metadata = Metadata {
                    width: Some(size.width),
                    height: Some(size.height),
                    video_codec: Some(video::Codec::AVC.0.into()),
                    audio_codec: Some(Format::G711_A_LAW.0.into()),
                    ..Metadata::new()
                };
                (MessageKind::DATA, metadata.emit(&mut self.header).ok()?)
            }
            // G.711 needs none.
            1 => (MessageKind::VIDEO, sequence_header(&[sps], &[pps], &mut self.header).ok()?),
            _ => return None,
        };
        Some(Frame::new(kind, Timestamp(0), &[payload]))
    }

    async fn next(&mut self) -> Option<Frame<'_>> {
        loop {
            let (at, coded) = self.encoders.next().await;
            match coded {
                Coded::Sound(sound) => {
                    let header = audio::AudioTagHeader::Other(Sound::G711_A_LAW).emit(&mut self.sound);
                    return Some(Frame::new(MessageKind::AUDIO, Timestamp(at), &[header, sound]));
                }
                Coded::Picture(picture) => {
                    // The server has the parameter sets already, and needs no delimiters.
                    let is_slice =
                        |unit: &&[u8]| matches!(UnitType::of(unit), Some(UnitType::SLICE | UnitType::IDR_SLICE));
                    // One in more slices is left out: players wait for the next keyframe then.
                    if let Ok(message) = Message::new(Units::new(picture).filter(is_slice), 0) {
                        let parts = self.picture.insert(message).parts().collect();
                        return Some(Frame { kind: MessageKind::VIDEO, timestamp: Timestamp(at), parts });
                    }
                }
            }
        }
    }
}
