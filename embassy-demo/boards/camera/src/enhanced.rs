//! A recorded stream with the codecs of Enhanced RTMP: HEVC and Opus.

use crate::encoder::split;

/// 50 pictures of 160 × 90, 25 per second, in Annex B. Every 25th picture is a keyframe, with the parameter sets. Made with
/// `ffmpeg -f lavfi -i testsrc2=size=160x90:rate=25 -t 2 -c:v libx265 -preset slow -crf 36
/// -x265-params keyint=25:min-keyint=25:scenecut=0:bframes=0:aud=1:repeat-headers=1:info=0:slices=1`.
static PICTURES: &[u8] = include_bytes!("../camera.h265");

/// 101 packets of 20 ms in Ogg, each of less than 255 bytes. Made with
/// `ffmpeg -f lavfi -i sine=440:sample_rate=48000 -t 2 -c:a libopus -b:a 24k -bitexact`.
static SOUND: &[u8] = include_bytes!("../camera.opus");

/// An access unit delimiter of HEVC with its start code. Every picture begins with one.
const DELIMITER: [u8; 5] = [0, 0, 0, 1, 0x46];

/// Microseconds from one picture to the next.
pub const PICTURE_MICROS: u64 = 40_000;

/// Microseconds from one packet of Opus to the next.
pub const PACKET_MICROS: u64 = 20_000;

/// The pictures of HEVC, each with start codes: a delimiter, the parameter sets if it is a keyframe, the slices.
pub fn hevc_pictures() -> impl Iterator<Item = &'static [u8]> {
    split(PICTURES, &DELIMITER)
}

/// The header of the sound, `OpusHead`.
pub fn opus_head() -> Option<&'static [u8; 19]> {
    opus_stream().next()?.try_into().ok()
}

/// The packets of the sound.
pub fn opus_packets() -> impl Iterator<Item = &'static [u8]> {
    // The first packet is the header, and the second one has tags.
    opus_stream().skip(2)
}

/// All packets of the Ogg stream. Each is one segment of a page (RFC 3533, section 6).
fn opus_stream() -> impl Iterator<Item = &'static [u8]> {
    let (mut rest, mut lengths) = (SOUND, &[][..]);
    core::iter::from_fn(move || {
        if lengths.is_empty() {
            let (header, behind) = rest.split_first_chunk::<27>()?;
            (lengths, rest) = behind.split_at_checked(usize::from(header[26]))?;
        }
        let (length, more) = lengths.split_first()?;
        let packet;
        (packet, rest) = rest.split_at_checked(usize::from(*length))?;
        lengths = more;
        Some(packet)
    })
}
