//! The names of codecs (RFC 6381).

use super::sample::Sample;
use super::window::Window;
use crate::bytes::low_u8;
use crate::fmt::impl_format;
use crate::media::aac::{AacConfig, Extension};
use crate::message::FourCc;
use crate::text::Decimal;

/// The names of the codecs of an initialization segment, as in `video/mp4; codecs="avc1.64001f,mp4a.40.2"`.
///
/// | Codec | Name | Specification |
/// |---|---|---|
/// | AVC | `avc1.PPCCLL` | RFC 6381, 3.3 |
/// | HEVC | `hvc1.P.C.LN.CC` | ISO/IEC 14496-15, E.3 |
/// | AV1 | `av01.P.LLT.DD` | AV1 Codec ISO Media File Format Binding, 5 |
/// | VP9 | `vp09.PP.LL.DD` | VP Codec ISO Media File Format Binding, "Codecs Parameter String" |
/// | AAC | `mp4a.40.N` | RFC 6381, 3.3 |
/// | Opus, FLAC | `opus`, `flac` | as browsers name them |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codecs {
    text: [u8; LENGTH],
    length: usize,
}

impl_format!([] Codecs, this => "Codecs {{ {} }}", this.as_str());

/// The longest text: HEVC with 40 characters, and AAC with 11 and a comma.
const LENGTH: usize = 64;

impl Codecs {
    pub(super) fn new<'s, 'a: 's>(samples: impl Iterator<Item = &'s Sample<'a>>) -> Self {
        let mut text = [0; LENGTH];
        let mut to = Window::new(0, &mut text);
        for sample in samples {
            if to.stored > 0 {
                to.byte(b',');
            }
            put(&mut to, sample);
        }
        let length = to.stored;
        Self { text, length }
    }

    /// Returns the names with commas between them, video first: at most 64 ASCII characters. It is empty without a track.
    pub fn as_str(&self) -> &str {
        self.text.get(..self.length).and_then(|text| str::from_utf8(text).ok()).unwrap_or_default()
    }
}

fn put(to: &mut Window<'_>, sample: &Sample<'_>) {
    let body = sample.body;
    match (sample.codec, body) {
        (FourCc::OPUS, _) => to.put(b"opus"),
        (FourCc::FLAC, _) => to.put(b"flac"),
        (FourCc(codec), _) => {
            to.put(&codec);
            to.byte(b'.');
        }
    }
    match (sample.codec, body) {
        (FourCc::AVC, &[_, profile, constraints, level, ..]) => {
            hex(to, &[profile, constraints, level]);
        }
        (FourCc::HEVC, &[_, profile, c0, c1, c2, c3, ref constraints @ ..]) => {
            match profile >> 6 {
                0 => {}
                space => to.byte(b'A'.wrapping_sub(1).wrapping_add(space)),
            }
            decimal(to, profile & 0x1F);
            to.byte(b'.');
            compatibility(to, u32::from_be_bytes([c0, c1, c2, c3]));
            let Some((constraints, [level, ..])) = constraints.split_at_checked(6) else { return };
            to.put(if profile & 0x20 == 0 { b".L" } else { b".H" });
            decimal(to, *level);
            let mut constraints = constraints;
            while let [rest @ .., 0] = constraints {
                constraints = rest;
            }
            for constraint in constraints {
                to.byte(b'.');
                hex(to, &[*constraint]);
            }
        }
        (FourCc::AV1, &[_, profile_and_level, flags, ..]) => {
            decimal(to, profile_and_level >> 5);
            to.byte(b'.');
            two_digits(to, profile_and_level & 0x1F);
            to.put(if flags & 0x80 == 0 { b"M." } else { b"H." });
            two_digits(
                to,
                match flags >> 5 & 3 {
                    0 | 1 => 8,
                    2 => 10,
                    _ => 12,
                },
            );
        }
        (FourCc::VP9, &[profile, level, depth, ..]) => {
            two_digits(to, profile);
            to.byte(b'.');
            two_digits(to, level);
            to.byte(b'.');
            two_digits(to, depth >> 4);
        }
        (FourCc::AAC, body) => {
            to.put(b"40.");
            let config = AacConfig::parse(body);
            let kind = config.map_or(2, |config| match config.extension {
                Some(Extension { parametric_stereo: true, .. }) => 29,
                Some(_) => 5,
                None => config.object_type.0,
            });
            decimal(to, kind);
        }
        _ => {}
    }
}

/// The compatibility flags: the bits in reverse order, without leading zeros.
fn compatibility(to: &mut Window<'_>, flags: u32) {
    let flags = flags.reverse_bits();
    let mut shift = 32_u32.saturating_sub(flags.leading_zeros()).div_ceil(4).max(1);
    while let Some(next) = shift.checked_sub(1) {
        shift = next;
        to.byte(digit(low_u8((flags >> next.wrapping_mul(4)) as usize)));
    }
}

fn hex(to: &mut Window<'_>, bytes: &[u8]) {
    for byte in bytes {
        to.put(&[digit(byte >> 4), digit(*byte)]);
    }
}

/// The digit of the low four bits.
const fn digit(bits: u8) -> u8 {
    match bits & 0x0F {
        digit @ 0..=9 => b'0'.wrapping_add(digit),
        letter => b'a'.wrapping_sub(10).wrapping_add(letter),
    }
}

fn decimal(to: &mut Window<'_>, number: u8) {
    to.put(Decimal::new(number.into()).as_bytes());
}

fn two_digits(to: &mut Window<'_>, number: u8) {
    if number < 10 {
        to.byte(b'0');
    }
    decimal(to, number);
}
