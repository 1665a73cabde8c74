//! The clip, as an encoder and a microphone would give it.

use embassy_time::{Duration, Instant, Timer};
use embedded_rtmp_embassy::embedded_rtmp::media::audio::AudioTagHeader;
use embedded_rtmp_embassy::embedded_rtmp::media::avc::{AvcConfig, prefixed};
use embedded_rtmp_embassy::embedded_rtmp::media::flv::{Tag, Tags};
use embedded_rtmp_embassy::embedded_rtmp::media::video::{AvcPacket, FrameType, VideoTagHeader};
use embedded_rtmp_embassy::embedded_rtmp::media::{FrameClass, audio};
use embedded_rtmp_embassy::embedded_rtmp::message::MessageKind;
use embedded_rtmp_embassy::{LocalPublisher, Picture, Tracks};
use heapless::Vec;
use mps2_an386::CLIP;

/// From one round of the clip to the next, in microseconds.
pub(crate) const PERIOD: u64 = 4_097_000;
/// NAL units of one picture.
const UNITS: usize = 16;

/// A frame of the clip.
pub(crate) enum Frame<'t> {
    Sound(&'t [u8]),
    Picture { pts: u64, is_key: bool, units: Vec<&'t [u8], UNITS> },
}

impl<'t> Frame<'t> {
    /// Returns the frame in a tag of the clip, or `None` if it is not a frame. `at` is its time in microseconds.
    pub(crate) fn of(tag: &Tag<'t>, at: u64) -> Option<Self> {
        match tag.kind {
            MessageKind::AUDIO if FrameClass::of(tag.kind, tag.data) == FrameClass::Audio => {
                Some(Self::Sound(tag.data.get(audio::HEADER_SIZE..)?))
            }
            MessageKind::VIDEO => {
                let (header, body) = VideoTagHeader::parse(tag.data)?;
                let VideoTagHeader::Avc { frame, packet: AvcPacket::NAL_UNITS, composition_time } = header else {
                    return None;
                };
                let units = prefixed::Units::new(4, body).take(UNITS).collect();
                let pts = at.wrapping_add_signed(i64::from(composition_time) * 1_000);
                Some(Self::Picture { pts, is_key: frame == FrameType::KEY, units })
            }
            _ => None,
        }
    }
}

/// The tracks of the clip, from its sequence headers.
pub(crate) fn tracks() -> Option<Tracks> {
    let find = |kind| {
        let mut tags = Tags::file(CLIP).ok()?;
        tags.find(|tag| tag.kind == kind && FrameClass::of(kind, tag.data) == FrameClass::Configuration)
    };
    let (_, record) = VideoTagHeader::parse(find(MessageKind::VIDEO)?.data)?;
    let config = AvcConfig::parse(record).ok()?;
    let tracks = Tracks::h264(config.sps().next()?, config.pps().next()?);
    let (_, config) = AudioTagHeader::parse(find(MessageKind::AUDIO)?.data)?;
    Some(tracks.aac(config))
}

/// Publishes the clip again and again through the server of this device.
pub(crate) async fn publish(local: &LocalPublisher<'_>) {
    let (Some(tracks), Ok(tags)) = (tracks(), Tags::file(CLIP)) else { return };
    local.set_tracks(tracks);
    let start = Instant::now();
    for round in 0_u64.. {
        for tag in tags.clone() {
            let at = round * PERIOD + u64::from(tag.timestamp.0) * 1_000;
            Timer::at(start + Duration::from_micros(at)).await;
            match Frame::of(&tag, at) {
                Some(Frame::Sound(frame)) => _ = local.audio(at, frame),
                Some(Frame::Picture { pts, is_key, units }) => _ = local.video(Picture::new(pts, at, is_key, &units)),
                None => {}
            }
        }
    }
}

/// Logs the wishes of players. A clip cannot fulfil them; its next keyframe comes within two seconds.
pub(crate) async fn log_wishes(local: &LocalPublisher<'_>) {
    loop {
        local.keyframe_wanted().await;
        defmt::info!("a player waits for a keyframe");
    }
}
