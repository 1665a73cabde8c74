//! A silent audio track, for a camera without a microphone. Some services refuse or stop a stream without audio.
//!
//! ```
//! use embedded_rtmp::media::aac;
//! use embedded_rtmp::media::silence::Silence;
//! use embedded_rtmp::message::Timestamp;
//! # fn send_audio(_: Timestamp, _: &[u8]) {}
//!
//! let mut silence = Silence::aac(44_100, false).expect("a rate of AAC");
//! let mut buffer = [0; aac::BUFFER_SIZE];
//! if let Some(header) = silence.sequence_header(&mut buffer) {
//!     send_audio(Timestamp(0), header);
//! }
//! // Before each picture, everything up to its time.
//! let picture = Timestamp(40);
//! while let Some((at, message)) = silence.next_message(picture) {
//!     send_audio(at, message);
//! }
//! ```

use super::aac::{self, AacConfig, ObjectType};
use crate::message::Timestamp;

/// The codec of a silent track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Codec {
    Aac(AacConfig),
    MuLaw,
    ALaw,
}

/// A silent audio track. It generates messages with timestamps, in order and without drift.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Silence {
    codec: Codec,
    /// The start of the current period, and the number of frames in it so far. The length of a period is a whole number
    /// of milliseconds.
    start: u32,
    frames: u32,
}

/// Audio messages of AAC-LC with an empty spectrum, for one channel and for two (ISO/IEC 14496-3, 4.4.2.1).
const AAC_MONO: &[u8] = &[0xAF, 1, 0, 0, 0, 7];
const AAC_STEREO: &[u8] = &[0xAF, 1, 0x21, 0, 0, 0, 0, 0x1C];

/// The number of samples in a frame of AAC, and in a message of G.711 (20 ms).
const AAC_SAMPLES: u32 = 1024;
const G711_SAMPLES: u32 = 160;
/// The length of a message of G.711, in bytes.
const G711_LENGTH: usize = 161;

/// An audio message of G.711 with the quietest sample.
const fn g711(header: u8, sample: u8) -> [u8; G711_LENGTH] {
    let mut message = [sample; G711_LENGTH];
    let [first, ..] = &mut message;
    *first = header;
    message
}

static MU_LAW: [u8; G711_LENGTH] = g711(0x82, 0xFF);
static A_LAW: [u8; G711_LENGTH] = g711(0x72, 0xD5);

impl Silence {
    /// Creates a track of AAC-LC with `rate` samples per second: 7,350 to 96,000. Returns `None` if AAC does not have
    /// this rate.
    pub fn aac(rate: u32, stereo: bool) -> Option<Self> {
        let config = AacConfig::new(ObjectType::LOW_COMPLEXITY, rate, if stereo { 2 } else { 1 });
        config.sequence_header(&mut [0; aac::BUFFER_SIZE])?;
        (7_350..=96_000).contains(&rate).then_some(Self::of(Codec::Aac(config)))
    }

    /// Creates a track of G.711 mu-law: 8,000 samples per second, in messages of 20 ms.
    pub const fn mu_law() -> Self {
        Self::of(Codec::MuLaw)
    }

    /// Creates a track of G.711 A-law: 8,000 samples per second, in messages of 20 ms.
    pub const fn a_law() -> Self {
        Self::of(Codec::ALaw)
    }

    const fn of(codec: Codec) -> Self {
        Self { codec, start: 0, frames: 0 }
    }

    /// Writes the sequence header into `buffer` and returns it. G.711 has none.
    pub fn sequence_header<'b>(&self, buffer: &'b mut [u8; aac::BUFFER_SIZE]) -> Option<&'b [u8]> {
        match &self.codec {
            Codec::Aac(config) => config.sequence_header(buffer),
            Codec::MuLaw | Codec::ALaw => None,
        }
    }

    /// Restarts the track at the timestamp `at`, such as that of the first picture after a reconnection.
    pub const fn restart(&mut self, at: Timestamp) {
        (self.start, self.frames) = (at.0, 0);
    }

    /// Returns the next message with its timestamp. Returns `None` if the timestamp would be after `until`.
    pub fn next_message(&mut self, until: Timestamp) -> Option<(Timestamp, &'static [u8])> {
        let (samples, rate, message) = match &self.codec {
            Codec::Aac(config) => (AAC_SAMPLES, config.rate, if config.channels == 1 { AAC_MONO } else { AAC_STEREO }),
            Codec::MuLaw => (G711_SAMPLES, 8_000, &MU_LAW[..]),
            Codec::ALaw => (G711_SAMPLES, 8_000, &A_LAW[..]),
        };
        let millis = u64::from(self.frames).wrapping_mul(u64::from(samples)).wrapping_mul(1000);
        let at = Timestamp(self.start.wrapping_add((millis.checked_div(rate.into())? & 0xFFFF_FFFF) as u32));
        if at.0.wrapping_sub(until.0).cast_signed() > 0 {
            return None;
        }
        self.frames = self.frames.wrapping_add(1);
        // `rate` frames last a whole number of milliseconds.
        if self.frames >= rate {
            self.frames = 0;
            self.start = self.start.wrapping_add(samples.wrapping_mul(1000));
        }
        Some((at, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::audio::{AacPacket, AudioTagHeader, Sound};
    use std::vec::Vec;

    fn all(silence: &mut Silence, until: u32) -> Vec<(u32, &'static [u8])> {
        core::iter::from_fn(|| silence.next_message(Timestamp(until))).map(|(at, message)| (at.0, message)).collect()
    }

    #[test]
    fn item_258_silence_has_a_message_for_each_frame_up_to_a_time() {
        let mut aac = Silence::aac(44_100, false).unwrap();
        let times: Vec<_> = all(&mut aac, 100).into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [0, 23, 46, 69, 92]);
        assert_eq!(all(&mut aac, 114), [], "the next one is later");
        assert_eq!(all(&mut aac, 116).len(), 1);
        for (mut law, sound, sample) in
            [(Silence::mu_law(), Sound::G711_MU_LAW, 0xFF), (Silence::a_law(), Sound::G711_A_LAW, 0xD5)]
        {
            let messages = all(&mut law, 59);
            assert_eq!(messages.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 20, 40]);
            for (_, message) in messages {
                let expected = Some((AudioTagHeader::Other(sound), &[sample; 160][..]));
                assert_eq!(AudioTagHeader::parse(message), expected);
            }
            assert_eq!(law.sequence_header(&mut [0; aac::BUFFER_SIZE]), None);
        }
    }

    #[test]
    fn item_258_silence_does_not_drift_and_can_begin_again_where_timestamps_wrap() {
        for rate in [44_100, 48_000, 11_025] {
            let mut silence = Silence::aac(rate, true).unwrap();
            let mut count = 0_u64;
            for hour in 1..=3_u32 {
                let until = hour * 3_600_000;
                while silence.next_message(Timestamp(until)).is_some() {
                    count += 1;
                }
                assert_eq!(count, (u64::from(until + 1) * u64::from(rate)).div_ceil(1_024_000), "{rate}");
            }
            silence.restart(Timestamp(u32::MAX - 10));
            let first: Vec<_> = all(&mut silence, 15).into_iter().map(|(at, _)| at).take(2).collect();
            assert_eq!(first[0], u32::MAX - 10);
        }
    }

    #[test]
    fn silence_of_aac_has_its_sequence_header() {
        let mut buffer = [0; aac::BUFFER_SIZE];
        let silence = Silence::aac(48_000, true).unwrap();
        assert_eq!(silence.sequence_header(&mut buffer), Some(&[0xAF, 0, 0x11, 0x90][..]));
        let (header, frame) = AudioTagHeader::parse(AAC_STEREO).unwrap();
        assert_eq!((header, frame.len()), (AudioTagHeader::Aac(AacPacket::RAW), 6));
        assert!(Silence::aac(0, false).is_none() && Silence::aac(1_000_000, false).is_none());
    }
}
