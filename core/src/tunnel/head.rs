//! HTTP heads, a line at a time (RFC 9112, sections 2 to 6).
//!
//! A head is as long as its sender likes, and little of it matters. So a line is collected and parsed, and the next line
//! takes its place: a buffer for one line serves for heads of thousands of bytes.
//!
//! Whoever stands between, a proxy, must read the same head as we do: otherwise a sender can hide a request in another's
//! body from one of them. So what can be read in two ways is refused rather than mended:
//!
//! - A line is kept up to its first 128 bytes, and every byte of it is looked at. A control byte other than a tab is refused
//!   anywhere, and a CR that no LF follows. So nothing behind the kept part can be a line of its own for anybody.
//! - A field's name and its colon lie within the kept part, and no space stands before the colon or the name: a line that
//!   goes on in the next one (obs-fold) is refused.
//! - `Content-Length` is digits alone, all within the kept part. It may come twice if the numbers are the same.
//! - `Transfer-Encoding` is refused whatever it says.
//!
//! A value that is cut is that of a field of no interest; of `TunnelConnection` only what is kept counts.

use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{rest, success, verify};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

/// Bytes of a line that are kept; a longer one is cut. Every line that matters is shorter.
const LINE: usize = 128;
/// The longest head that is read, in bytes.
pub(super) const MAX_HEAD: u16 = 16_384;
/// The longest body that a head may announce.
pub(super) const MAX_LENGTH: u32 = 0xFF_FFFF;

/// Why a head is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadError {
    /// It is no HTTP/1 head.
    NotHttp,
    /// It is longer than 16,384 bytes.
    TooLong,
    /// It announces a body without its length, where there must be one.
    LengthMissing,
    /// Its length is no number, or there are two that differ.
    LengthInvalid,
    /// Its body is longer than 16,777,215 bytes.
    LengthTooLarge,
    /// Its body comes in chunks of HTTP. No known server or proxy sends these here.
    Chunked,
}

/// What has come of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The input is used up.
    More,
    /// [`Head::line`] is the first line.
    FirstLine,
    /// The head is complete, and said so much.
    Done(Fields),
}

/// What matters in a head's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) length: Option<u32>,
    /// `Connection: close`, and `Connection: keep-alive`.
    pub(super) close: bool,
    pub(super) keep_alive: bool,
}

/// Reads one head after another.
#[derive(Debug)]
pub(super) struct Head {
    /// The line as it comes, without its end.
    line: [u8; LINE],
    kept: u8,
    /// It was longer than what is kept.
    is_cut: bool,
    /// Its last byte was CR, which is not kept.
    is_ending: bool,
    /// It is complete: what comes begins the next one.
    is_whole: bool,
    /// The first line has come.
    begun: bool,
    fields: Fields,
    /// Bytes of this head.
    total: u16,
}

impl Head {
    pub(super) const fn new() -> Self {
        let fields = Fields { length: None, close: false, keep_alive: false };
        Self {
            line: [0; LINE],
            kept: 0,
            is_cut: false,
            is_ending: false,
            is_whole: true,
            begun: false,
            fields,
            total: 0,
        }
    }

    /// Whether nothing of the next head has come, but for empty lines.
    pub(super) const fn is_empty(&self) -> bool {
        !self.begun && self.kept == 0
    }

    /// Takes bytes off `input` up to the end of the first line, and then up to the end of the head.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Progress, HeadError> {
        while self.read_line(input)? {
            let is_empty = self.kept == 0;
            if !self.begun {
                // Empty lines before the first one do not count (section 2.2).
                if !is_empty {
                    self.begun = true;
                    return Ok(Progress::FirstLine);
                }
            } else if is_empty {
                (self.begun, self.total) = (false, 0);
                return Ok(Progress::Done(core::mem::take(&mut self.fields)));
            } else {
                self.field()?;
            }
        }
        Ok(Progress::More)
    }

    /// The line without its end, and whether it was cut since it was too long.
    pub(super) fn line(&self) -> (&[u8], bool) {
        (self.line.get(..usize::from(self.kept)).unwrap_or(&[]), self.is_cut)
    }

    /// Collects a line; answers whether it is complete.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<bool, HeadError> {
        if self.is_whole && !input.is_empty() {
            (self.kept, self.is_cut, self.is_whole) = (0, false, false);
        }
        while let Some((byte, rest)) = input.split_first() {
            if self.total >= MAX_HEAD {
                return Err(HeadError::TooLong);
            }
            self.total = self.total.wrapping_add(1);
            *input = rest;
            if *byte == b'\n' {
                (self.is_whole, self.is_ending) = (true, false);
                return Ok(true);
            }
            let is_cr = *byte == b'\r';
            if self.is_ending || (is_control(*byte) && *byte != b'\t' && !is_cr) {
                return Err(HeadError::NotHttp);
            }
            self.is_ending = is_cr;
            if is_cr {
                continue;
            }
            match self.line.get_mut(usize::from(self.kept)) {
                Some(place) => {
                    *place = *byte;
                    self.kept = self.kept.wrapping_add(1);
                }
                None => self.is_cut = true,
            }
        }
        Ok(false)
    }

    /// Notes what a field says, where that matters.
    fn field(&mut self) -> Result<(), HeadError> {
        let (line, is_cut) = self.line();
        let Ok((_, (name, value))) = field(line) else { return Err(HeadError::NotHttp) };
        let (value, mut fields) = (value.trim_ascii(), self.fields);
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value).filter(|_| !is_cut).ok_or(HeadError::LengthInvalid)?;
            if length > u64::from(MAX_LENGTH) {
                return Err(HeadError::LengthTooLarge);
            }
            if fields.length.is_some_and(|other| u64::from(other) != length) {
                return Err(HeadError::LengthInvalid);
            }
            fields.length = Some(length as u32);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(HeadError::Chunked);
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                fields.close |= option.eq_ignore_ascii_case(b"close");
                fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        self.fields = fields;
        Ok(())
    }
}

/// `field-name ":" field-value` (section 5).
fn field(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_while1(is_token), tag(":"), rest).parse(line)
}

/// `HTTP/1.0` or `HTTP/1.1` (section 2.3): whether it is the first. Later ones are as 1.1.
pub(super) fn version(text: &[u8]) -> IResult<&[u8], bool> {
    let (rest, minor) = preceded(tag("HTTP/1."), take(1_usize)).parse(text)?;
    verify(success(minor == b"0"), |_| minor.iter().all(u8::is_ascii_digit)).parse(rest)
}

/// Whether a byte may stand in a method or a field's name (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7F
}

/// A number in digits and nothing else, however many; the largest there is where it is larger.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let number = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, number) }
}

#[cfg(test)]
mod tests;
