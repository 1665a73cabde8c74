//! A stand-in for the encoders of a camera and a microphone.

use embassy_time::{Duration, Instant, Timer};

/// What an encoder has put out, where it lies.
#[derive(Clone, Copy)]
pub enum Coded {
    /// One picture in H.264, with start codes (Annex B): delimiter, parameter sets where it is a keyframe, slices.
    Picture(&'static [u8]),
    /// 100 ms of sound, 8,000 Hz in A-law.
    Sound(&'static [u8]),
}

/// 20 pictures of 160 × 120, the first of them a keyframe. Made with
/// `ffmpeg -f lavfi -i testsrc=size=160x120:rate=10 -t 2 -c:v libx264 -profile:v baseline -tune zerolatency
/// -preset veryslow -crf 34 -x264-params keyint=20:scenecut=0:slices=1:aud=1:threads=1 -bsf:v filter_units=remove_types=6`.
static PICTURES: &[u8] = include_bytes!("../camera.h264");
/// Silence, in A-law.
static SILENCE: [u8; 800] = [0xD5; 800];

/// An access unit delimiter with its start code: every picture begins with one.
const DELIMITER: [u8; 5] = [0, 0, 0, 1, 9];

/// From one picture to the next.
const PERIOD: Duration = Duration::from_millis(100);

/// Plays what encoders have put out, in real time and over and over: a picture and its sound every 100 ms.
pub struct Encoders {
    rest: &'static [u8],
    /// When the first picture was asked for.
    start: Option<Instant>,
    count: u32,
    sound_is_next: bool,
}

impl Encoders {
    pub const fn new() -> Self {
        Self { rest: PICTURES, start: None, count: 0, sound_is_next: false }
    }

    /// The first picture, a keyframe with parameter sets.
    pub fn first_picture() -> &'static [u8] {
        first(PICTURES).0
    }

    /// Waits for what comes next, and when that was taken: in milliseconds since the beginning. The future can be
    /// dropped.
    pub async fn next(&mut self) -> (u32, Coded) {
        if self.sound_is_next {
            self.sound_is_next = false;
            let at = self.count.wrapping_sub(1).wrapping_mul(PERIOD.as_millis() as u32);
            return (at, Coded::Sound(&SILENCE));
        }
        let start = *self.start.get_or_insert_with(Instant::now);
        // 32 bits of periods are 13 years.
        Timer::at(start + PERIOD * self.count).await;
        let (picture, rest) = first(self.rest);
        self.rest = if rest.is_empty() { PICTURES } else { rest };
        let at = self.count.wrapping_mul(PERIOD.as_millis() as u32);
        self.count = self.count.wrapping_add(1);
        self.sound_is_next = true;
        (at, Coded::Picture(picture))
    }
}

impl Default for Encoders {
    fn default() -> Self {
        Self::new()
    }
}

/// The first picture of a stream, and the rest of that.
fn first(pictures: &[u8]) -> (&[u8], &[u8]) {
    let next = pictures.windows(DELIMITER.len()).skip(1).position(|bytes| bytes == DELIMITER);
    pictures.split_at(next.map_or(pictures.len(), |at| at + 1))
}
