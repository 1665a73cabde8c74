//! A stand-in for an encoder of H.264.

use embassy_time::{Duration, Instant, Timer};

/// 20 pictures of 160 × 120, the first of them a keyframe. Made with
/// `ffmpeg -f lavfi -i testsrc=size=160x120:rate=10 -t 2 -c:v libx264 -profile:v baseline -tune zerolatency
/// -preset veryslow -crf 34 -x264-params keyint=20:scenecut=0:slices=1:aud=1:threads=1 -bsf:v filter_units=remove_types=6`.
static PICTURES: &[u8] = include_bytes!("../camera.h264");

/// An access unit delimiter with its start code. Every picture begins with one.
const DELIMITER: [u8; 5] = [0, 0, 0, 1, 9];

/// The time from one picture to the next.
pub const PICTURE_INTERVAL: Duration = Duration::from_millis(100);

/// One picture, as the encoder wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Coded {
    /// When it was taken, in microseconds since the device was started.
    pub at: u64,
    /// Whether it is a keyframe.
    pub is_key: bool,
    /// H.264 with start codes (Annex B): a delimiter, the parameter sets if it is a keyframe, the slices.
    pub bytes: &'static [u8],
}

/// Delivers a picture every 100 ms, from flash, over and over. It makes a keyframe every 2 s, and when it is asked to.
///
/// Like an encoder in hardware, it skips the pictures that were due while no task waited for one.
pub struct Encoder {
    rest: &'static [u8],
    /// When the next picture is due.
    next: Instant,
}

impl Encoder {
    /// An encoder whose first picture is a keyframe.
    pub fn new() -> Self {
        Self { rest: PICTURES, next: Instant::MIN }
    }

    /// Waits for the next picture. The future can be dropped.
    pub async fn picture(&mut self) -> Coded {
        Timer::at(self.next).await;
        let now = Instant::now();
        let on_time = self.next + PICTURE_INTERVAL;
        self.next = if on_time > now { on_time } else { now + PICTURE_INTERVAL };
        let is_key = self.rest.len() == PICTURES.len();
        let (bytes, rest) = first(self.rest, &DELIMITER);
        self.rest = if rest.is_empty() { PICTURES } else { rest };
        Coded { at: now.as_micros(), is_key, bytes }
    }

    /// Makes the next picture a keyframe.
    pub fn make_keyframe(&mut self) {
        self.rest = PICTURES;
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// The pictures in their order, each with start codes: a delimiter, the parameter sets if it is a keyframe, the slices.
pub fn pictures() -> impl Iterator<Item = &'static [u8]> {
    split(PICTURES, &DELIMITER)
}

/// The pictures of a stream, each of which begins with `delimiter`.
pub(crate) fn split(mut rest: &'static [u8], delimiter: &'static [u8; 5]) -> impl Iterator<Item = &'static [u8]> {
    core::iter::from_fn(move || {
        let (picture, behind) = first(rest, delimiter);
        rest = behind;
        (!picture.is_empty()).then_some(picture)
    })
}

/// The first picture of a stream, and the rest of it. Every picture begins with `delimiter`.
fn first<'p>(pictures: &'p [u8], delimiter: &[u8; 5]) -> (&'p [u8], &'p [u8]) {
    let next = pictures.windows(delimiter.len()).skip(1).position(|bytes| bytes == delimiter);
    pictures.split_at(next.map_or(pictures.len(), |at| at + 1))
}
