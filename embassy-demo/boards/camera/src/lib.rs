//! The stand-ins for a camera that the boards publish, and the tasks that publish them.
//!
//! [`Encoder`] and [`Microphone`] stand in for the hardware: H.264 as Annex B, from flash, and silence in G.711. For a real
//! camera, replace these two; the tasks [`video`] and [`audio`] stay. [`hevc_pictures`] and [`opus_packets`] are a recorded
//! stream with the codecs of Enhanced RTMP.
#![no_std]

#[cfg(test)]
extern crate std;

mod encoder;
mod enhanced;
mod microphone;
#[cfg(test)]
mod tests;

pub use encoder::{Coded, Encoder, PICTURE_INTERVAL, pictures};
pub use enhanced::{PACKET_MICROS, PICTURE_MICROS, hevc_pictures, opus_head, opus_packets};
pub use microphone::Microphone;

use embassy_futures::select::{Either, select};
use embedded_rtmp_embassy::embedded_rtmp::media::audio::Sound;
use embedded_rtmp_embassy::embedded_rtmp::media::avc::annex_b::Units;
use embedded_rtmp_embassy::{Live, Picture, Tracks};
use heapless::Vec;

/// The tracks of the stand-ins. The parameter sets are sent with every keyframe.
pub const TRACKS: Tracks = Tracks::h264_in_band().sound(Sound::G711_A_LAW);

/// NAL units of one picture: delimiter, two parameter sets, slices.
const UNITS: usize = 8;

/// Sends the pictures of an encoder, which makes a keyframe whenever the stream wants one.
#[embassy_executor::task]
pub async fn video(live: Live) -> ! {
    let mut encoder = Encoder::new();
    loop {
        match select(encoder.picture(), live.keyframe_wanted()).await {
            Either::First(Coded { at, is_key, bytes }) => {
                let units: Vec<&[u8], UNITS> = Units::new(bytes).take(UNITS).collect();
                live.video().send(Picture::new(at, at, is_key, &units)).await;
            }
            Either::Second(()) => encoder.make_keyframe(),
        }
    }
}

/// Sends the sound of a microphone.
#[embassy_executor::task]
pub async fn audio(live: Live) -> ! {
    let mut microphone = Microphone::new();
    loop {
        let (at, sound) = microphone.sound().await;
        live.audio().send(at, sound).await;
    }
}
