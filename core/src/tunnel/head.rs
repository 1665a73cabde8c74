//! HTTP heads, a line at a time (RFC 9112, sections 2 to 6).
//!
//! Heads may be long, and few of their fields matter. Therefore one line at a time is collected and parsed, and the next line
//! replaces it. A buffer for one line is enough for heads of thousands of bytes.
//!
//! A proxy must read the same head as we do. Otherwise a sender can hide a request from one of the two inside the body of
//! another request. Therefore heads that can be read in two ways are refused:
//!
//! - The first 128 bytes of a line are stored, and every byte is checked. Control bytes other than a tab, and a CR without an
//!   LF, are refused anywhere. So no proxy can read a line of its own in the part that is not stored.
//! - The name of a field and its colon must be in the stored part, without a space before the name or the colon. A line that
//!   continues the one before it (obs-fold) is refused.
//! - `Content-Length` must be digits only, all in the stored part. It may be repeated with the same number.
//! - `Transfer-Encoding` is refused.
//!
//! A value that is cut belongs to a field that is ignored. Of `Connection` only the stored part counts.

use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{rest, success, verify};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

/// The number of bytes of a line that are stored. Every line that matters is shorter.
const LINE: usize = 128;
/// The longest head in bytes that is accepted.
pub(super) const MAX_HEAD: u16 = 16_384;
/// The longest body in bytes that a head may announce.
pub(super) const MAX_LENGTH: u32 = 0xFF_FFFF;

/// Why a head cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HeadError {
    /// It is not an HTTP/1 head.
    NotHttp,
    /// It is longer than 16,384 bytes.
    TooLong,
    /// It must announce the length of its body, and does not.
    LengthMissing,
    /// The length is not a number, or there are two different lengths.
    LengthInvalid,
    /// Its body is longer than 16,777,215 bytes.
    LengthTooLarge,
    /// Its body uses HTTP's chunked encoding. No known server or proxy of RTMPT uses it.
    Chunked,
}

/// The progress of reading a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// All input is consumed.
    More,
    /// The first line is complete: see [`Head::line`].
    FirstLine,
    /// The head is complete, with these fields.
    Done(Fields),
}

/// The fields of a head that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) length: Option<u32>,
    /// `Connection: close`, and `Connection: keep-alive`.
    pub(super) close: bool,
    pub(super) keep_alive: bool,
}

/// Parses one head after another.
#[derive(Debug)]
pub(super) struct Head {
    /// The line that is being collected, without its end.
    line: [u8; LINE],
    stored: u8,
    /// The line is longer than the stored part.
    is_cut: bool,
    /// The last byte was CR, which is not stored.
    is_ending: bool,
    /// The line is complete. The next byte begins another one.
    is_whole: bool,
    /// The first line was read.
    begun: bool,
    fields: Fields,
    /// The number of bytes of this head.
    total: u16,
}

impl Head {
    pub(super) const fn new() -> Self {
        let fields = Fields { length: None, close: false, keep_alive: false };
        Self {
            line: [0; LINE],
            stored: 0,
            is_cut: false,
            is_ending: false,
            is_whole: true,
            begun: false,
            fields,
            total: 0,
        }
    }

    /// Returns `true` if no byte of the next head was read, except empty lines.
    pub(super) const fn is_empty(&self) -> bool {
        !self.begun && self.stored == 0
    }

    /// Consumes `input` up to the end of the first line, and then up to the end of the head.
    pub(super) fn read(&mut self, input: &mut &[u8]) -> Result<Progress, HeadError> {
        while self.read_line(input)? {
            let is_empty = self.stored == 0;
            if !self.begun {
                // Empty lines before the first line are ignored (section 2.2).
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

    /// The stored part of the line, and whether it was cut.
    pub(super) fn line(&self) -> (&[u8], bool) {
        (self.line.get(..usize::from(self.stored)).unwrap_or(&[]), self.is_cut)
    }

    /// Collects a line. Returns whether it is complete.
    fn read_line(&mut self, input: &mut &[u8]) -> Result<bool, HeadError> {
        if self.is_whole && !input.is_empty() {
            (self.stored, self.is_cut, self.is_whole) = (0, false, false);
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
            match self.line.get_mut(usize::from(self.stored)) {
                Some(place) => {
                    *place = *byte;
                    self.stored = self.stored.wrapping_add(1);
                }
                None => self.is_cut = true,
            }
        }
        Ok(false)
    }

    /// Stores the value of a field that matters.
    fn field(&mut self) -> Result<(), HeadError> {
        let (line, is_cut) = self.line();
        let Ok((_, (name, value))) = field(line) else { return Err(HeadError::NotHttp) };
        let (value, mut fields) = (value.trim_ascii(), self.fields);
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value).filter(|_| !is_cut).ok_or(HeadError::LengthInvalid)?;
            let length = u32::try_from(length).ok().filter(|length| *length <= MAX_LENGTH);
            let length = length.ok_or(HeadError::LengthTooLarge)?;
            if fields.length.is_some_and(|other| other != length) {
                return Err(HeadError::LengthInvalid);
            }
            fields.length = Some(length);
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

/// Parses `HTTP/1.0` or `HTTP/1.1` (section 2.3). Returns whether it is 1.0. Later 1.x versions count as 1.1.
pub(super) fn version(text: &[u8]) -> IResult<&[u8], bool> {
    let (rest, minor) = preceded(tag("HTTP/1."), take(1_usize)).parse(text)?;
    verify(success(minor == b"0"), |_| minor.iter().all(u8::is_ascii_digit)).parse(rest)
}

/// Returns `true` if a method or field name may contain `byte` (RFC 9110, section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7F
}

/// Parses a number of any number of digits. Larger numbers saturate.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    let number = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, number) }
}

#[cfg(test)]
mod tests;
