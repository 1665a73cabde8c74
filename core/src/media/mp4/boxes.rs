//! The boxes of the initialization segment (ISO/IEC 14496-12).

use super::TIMESCALE;
use super::sample::{Format, Sample};
use super::window::Window;
use crate::bytes::low_u32;
use crate::message::FourCc;

/// The sizes of the boxes that contain no sequence header.
const MVHD: u32 = 108;
const TREX: u32 = 32;
const TKHD: u32 = 92;
const MDHD: u32 = 32;
const HDLR: u32 = 33;
const VMHD: u32 = 20;
const SMHD: u32 = 16;
const URL: u32 = 12;
const DREF: u32 = 16 + URL;
const DINF: u32 = 8 + DREF;
/// `stts`, `stsc` and `stco`; and `stsz`.
const EMPTY_TABLE: u32 = 16;
const STSZ: u32 = 20;
const VIDEO_ENTRY: u32 = 86;
const AUDIO_ENTRY: u32 = 36;

/// No rotation and no scaling (6.2.2).
const MATRIX: [u8; 36] = {
    let mut matrix = [0; 36];
    (matrix[1], matrix[17], matrix[32]) = (1, 1, 0x40);
    matrix
};

/// The size of a track's boxes, from the inside to the outside.
struct Sizes {
    config: u32,
    entry: u32,
    stsd: u32,
    stbl: u32,
    minf: u32,
    mdia: u32,
    trak: u32,
}

impl Sizes {
    fn of(sample: &Sample<'_>) -> Self {
        let (entry, header) = match sample.format {
            Format::Video { .. } => (VIDEO_ENTRY, VMHD),
            Format::Audio { .. } => (AUDIO_ENTRY, SMHD),
        };
        let config = [sample.start(), sample.body, sample.end];
        let config = config.iter().fold(8_u32, |size, part| size.saturating_add(low_u32(part.len())));
        let entry = entry.saturating_add(config);
        let stsd = entry.saturating_add(16);
        let stbl = stsd.saturating_add(8 + 3 * EMPTY_TABLE + STSZ);
        let minf = stbl.saturating_add(8 + DINF).saturating_add(header);
        let mdia = minf.saturating_add(8 + MDHD + HDLR);
        Self { config, entry, stsd, stbl, minf, mdia, trak: mdia.saturating_add(8 + TKHD) }
    }
}

/// Writes `ftyp` and `moov` for the tracks with the ids 1 and 2.
// Not inlined, because it has two callers.
#[inline(never)]
pub(super) fn initialization(to: &mut Window<'_>, tracks: [Option<&Sample<'_>>; 2]) {
    let samples = || (1_u32..).zip(tracks).filter_map(|(id, sample)| Some((id, sample?)));
    let has_av1 = samples().any(|(_, sample)| sample.codec == FourCc::AV1);
    let brands: [&[u8; 4]; 3] = [b"iso6", b"mp41", b"av01"];
    to.header(if has_av1 { 28 } else { 24 }, b"ftyp");
    to.put(b"iso6\0\0\0\0");
    brands.iter().take(if has_av1 { 3 } else { 2 }).for_each(|brand| to.put(*brand));

    let (mvex, moov) = samples().fold((8_u32, 8 + MVHD), |(mvex, moov), (_, sample)| {
        (mvex.saturating_add(TREX), moov.saturating_add(Sizes::of(sample).trak))
    });
    to.header(moov.saturating_add(mvex), b"moov");
    to.header(MVHD, b"mvhd");
    // The version, the flags and two dates; the duration is unknown; the speed 1, the volume 1.
    to.zeros(12);
    to.u32(TIMESCALE);
    to.zeros(4);
    to.put(&[0, 1, 0, 0, 1, 0]);
    to.zeros(10);
    to.put(&MATRIX);
    to.zeros(24);
    // The next track id: there are at most two tracks.
    to.u32(3);
    for (id, sample) in samples() {
        track(to, id, sample);
    }
    to.header(mvex, b"mvex");
    for (id, _) in samples() {
        to.header(TREX, b"trex");
        to.u32(0);
        to.u32(id);
        // The first sample entry, and no defaults.
        to.u32(1);
        to.zeros(12);
    }
}

fn track(to: &mut Window<'_>, id: u32, sample: &Sample<'_>) {
    let sizes = Sizes::of(sample);
    let (volume, width, height, handler) = match sample.format {
        Format::Video { width, height } => (0, width, height, b"vide"),
        Format::Audio { .. } => (0x100, 0, 0, b"soun"),
    };
    to.header(sizes.trak, b"trak");
    to.header(TKHD, b"tkhd");
    // The track is enabled, and part of the presentation. The dates are unknown.
    to.u32(3);
    to.zeros(8);
    to.u32(id);
    to.zeros(20);
    to.u16(volume);
    to.zeros(2);
    to.put(&MATRIX);
    to.u32(u32::from(width) << 16);
    to.u32(u32::from(height) << 16);

    to.header(sizes.mdia, b"mdia");
    to.header(MDHD, b"mdhd");
    to.zeros(12);
    to.u32(TIMESCALE);
    to.zeros(4);
    // The language `und`, in three times five bits.
    to.put(&[0x55, 0xC4, 0, 0]);
    to.header(HDLR, b"hdlr");
    to.zeros(8);
    to.put(handler);
    to.zeros(13);

    to.header(sizes.minf, b"minf");
    match sample.format {
        Format::Video { .. } => {
            to.header(VMHD, b"vmhd");
            to.u32(1);
            to.zeros(8);
        }
        Format::Audio { .. } => {
            to.header(SMHD, b"smhd");
            to.zeros(8);
        }
    }
    to.header(DINF, b"dinf");
    to.header(DREF, b"dref");
    to.put(&[0, 0, 0, 0, 0, 0, 0, 1]);
    // The media is in the same file.
    to.header(URL, b"url ");
    to.u32(1);

    to.header(sizes.stbl, b"stbl");
    to.header(sizes.stsd, b"stsd");
    to.put(&[0, 0, 0, 0, 0, 0, 0, 1]);
    entry(to, &sizes, sample);
    for table in [b"stts", b"stsc", b"stco"] {
        to.header(EMPTY_TABLE, table);
        to.zeros(8);
    }
    to.header(STSZ, b"stsz");
    to.zeros(12);
}

/// The sample entry (8.5.2.2, 12.1.3.2 and 12.2.3.2).
fn entry(to: &mut Window<'_>, sizes: &Sizes, sample: &Sample<'_>) {
    to.header(sizes.entry, &sample.codec.0);
    to.zeros(6);
    // The data reference.
    to.u16(1);
    match sample.format {
        Format::Video { width, height } => {
            to.zeros(16);
            to.u16(width);
            to.u16(height);
            // 72 dpi, and one frame in each sample.
            to.put(&[0, 72, 0, 0, 0, 72, 0, 0, 0, 0, 0, 0, 0, 1]);
            // No name of the compressor.
            to.zeros(32);
            to.put(&[0, 24, 0xFF, 0xFF]);
        }
        Format::Audio { channels, bits, mut rate } => {
            to.zeros(8);
            to.u16(channels);
            to.u16(bits);
            to.zeros(4);
            // The field has 16 bits. The decoder knows the rate by its configuration.
            while rate > 0xFFFF {
                rate /= 2;
            }
            to.u32(rate << 16);
        }
    }
    to.header(sizes.config, sample.kind);
    for part in [sample.start(), sample.body, sample.end] {
        to.put(part);
    }
}
