//! HTTP heads, a line at a time (RFC 9112, sections 2 to 6).
//!
//! Heads may be long, and few of their fields matter. Therefore one line at a time is collected and parsed, and the next line
//! replaces it. A buffer for one line is enough for heads of thousands of bytes.
//!
//! A proxy must read the same head as we do. Otherwise a sender can hide a request from one of the two inside the body of
//! another request. Therefore heads that can be read in two ways are refused:
//!
//! - The first bytes of a line are stored, and every byte is checked. Control bytes other than a tab, and a CR without an
//!   LF, are refused anywhere. So no proxy can read a line of its own in the part that is not stored.
//! - The name of a field and its colon must be in the stored part, without a space before the name or the colon. A line that
//!   continues the one before it (obs-fold) is refused.
//! - `Content-Length` must be digits only, all in the stored part. It may be repeated with the same number.
//! - `Transfer-Encoding` is refused, except in a request for another server.
//!
//! A value that is cut belongs to a field that is ignored. Of `Connection` only the stored part counts.
//!
//! A tunnel stores 128 bytes of a line. A connection of the `web` module stores more, because it reads longer fields.

use core::fmt;

use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{all_consuming, rest, success, verify};
use nom::sequence::{preceded, separated_pair};
use nom::{IResult, Parser};

/// The number of bytes of a line that a tunnel stores. Every line that matters to it is shorter.
pub(crate) const LINE: usize = 128;
/// The longest head in bytes that is accepted.
pub(crate) const MAX_HEAD: u16 = 16_384;
/// The longest body in bytes that a head may announce.
pub(crate) const MAX_LENGTH: u32 = 0xFF_FFFF;

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
pub(crate) enum Progress {
    /// All input is consumed.
    More,
    /// The first line is complete: see [`Head::line`].
    FirstLine,
    /// The head is complete, with these fields.
    Done(Fields),
}

/// The fields of a head that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Fields {
    pub(crate) length: Option<u32>,
    /// `Connection: close`, and `Connection: keep-alive`.
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
}

/// Receives the fields that a [`Head`] does not parse itself, and `Connection`.
pub(crate) trait FieldReader {
    /// The longest body in bytes that a head may announce.
    const MAX_LENGTH: u32 = MAX_LENGTH;

    /// Reads a field. `is_cut` says that only the start of the value is stored.
    fn read(&mut self, name: &[u8], value: &[u8], is_cut: bool) -> Result<(), HeadError>;

    /// Reads `Transfer-Encoding`.
    fn read_encoding(&mut self) -> Result<(), HeadError> {
        Err(HeadError::Chunked)
    }
}

impl<R: FieldReader> FieldReader for &mut R {
    const MAX_LENGTH: u32 = R::MAX_LENGTH;

    fn read(&mut self, name: &[u8], value: &[u8], is_cut: bool) -> Result<(), HeadError> {
        R::read(self, name, value, is_cut)
    }

    fn read_encoding(&mut self) -> Result<(), HeadError> {
        R::read_encoding(self)
    }
}

/// Ignores all fields.
impl FieldReader for () {
    fn read(&mut self, _: &[u8], _: &[u8], _: bool) -> Result<(), HeadError> {
        Ok(())
    }
}

/// Parses one head after another. Stores up to `SIZE` bytes of a line.
#[derive(Debug)]
pub(crate) struct Head<const SIZE: usize = LINE> {
    /// The line that is being collected, without its end.
    line: [u8; SIZE],
    stored: usize,
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

impl<const SIZE: usize> Head<SIZE> {
    pub(crate) const fn new() -> Self {
        let fields = Fields { length: None, close: false, keep_alive: false };
        Self {
            line: [0; SIZE],
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
    pub(crate) const fn is_empty(&self) -> bool {
        !self.begun && self.stored == 0
    }

    /// Consumes `input` up to the end of the first line, and then up to the end of the head.
    pub(crate) fn read(&mut self, input: &mut &[u8], mut others: impl FieldReader) -> Result<Progress, HeadError> {
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
                self.field(&mut others)?;
            }
        }
        Ok(Progress::More)
    }

    /// The stored part of the line, and whether it was cut.
    pub(crate) fn line(&self) -> (&[u8], bool) {
        (self.line.get(..self.stored).unwrap_or(&[]), self.is_cut)
    }

    /// The memory of a line, for a caller that reads no further head.
    #[cfg(feature = "web")]
    pub(crate) const fn scratch(&mut self) -> &mut [u8; SIZE] {
        &mut self.line
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
            match self.line.get_mut(self.stored) {
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
    fn field<R: FieldReader>(&mut self, others: &mut R) -> Result<(), HeadError> {
        let (line, is_cut) = self.line();
        let Ok((_, (name, value))) = field(line) else { return Err(HeadError::NotHttp) };
        let (value, mut fields) = (value.trim_ascii(), self.fields);
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = digits(value).filter(|_| !is_cut).ok_or(HeadError::LengthInvalid)?;
            let length = u32::try_from(length).ok().filter(|length| *length <= R::MAX_LENGTH);
            let length = length.ok_or(HeadError::LengthTooLarge)?;
            if fields.length.is_some_and(|other| other != length) {
                return Err(HeadError::LengthInvalid);
            }
            fields.length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            others.read_encoding()?;
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                fields.close |= option.eq_ignore_ascii_case(b"close");
                fields.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        others.read(name, value, is_cut)?;
        self.fields = fields;
        Ok(())
    }
}

/// `field-name ":" field-value` (section 5).
fn field(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_while1(is_token), tag(":"), rest).parse(line)
}

/// Method, target, and whether the version is 1.0.
pub(crate) type RequestLine<'l> = (&'l [u8], &'l [u8], bool);

/// Parses `method SP request-target SP HTTP-version` (RFC 9112, section 3).
pub(crate) fn request_line(line: &[u8]) -> Result<RequestLine<'_>, HeadError> {
    let space = || tag(" ");
    let target = take_while1(|byte: u8| byte.is_ascii_graphic());
    let words = (take_while1(is_token), space(), target, space(), version);
    let parsed: IResult<&[u8], _> = all_consuming(words).parse(line);
    let Ok((_, (method, _, target, _, is_old))) = parsed else { return Err(HeadError::NotHttp) };
    Ok((method, target, is_old))
}

/// Splits a target that is a whole URL, as clients send it to proxies, into the authority and the path. Proxies may pass it
/// on. The authority is `None` if the target is a path.
pub(crate) fn authority_and_path(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let Some(rest) = target.strip_prefix(b"http://") else { return (None, target) };
    let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    (rest.get(..end), rest.get(end..).unwrap_or(&[]))
}

/// Parses `HTTP/1.0` or `HTTP/1.1` (section 2.3). Returns whether it is 1.0. Later 1.x versions count as 1.1.
pub(crate) fn version(text: &[u8]) -> IResult<&[u8], bool> {
    let (rest, minor) = preceded(tag("HTTP/1."), take(1_usize)).parse(text)?;
    verify(success(minor == b"0"), |_| minor.iter().all(u8::is_ascii_digit)).parse(rest)
}

/// Returns `true` if a method or field name may contain `byte` (RFC 9110, section 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

const fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7F
}

/// Parses a number of any number of digits. Larger numbers saturate.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    let number = |sum: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte.wrapping_sub(b'0')))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    };
    if text.is_empty() { None } else { text.iter().try_fold(0, number) }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "not HTTP",
            Self::TooLong => "an HTTP head of more than 16384 bytes",
            Self::LengthMissing => "an HTTP body without a length",
            Self::LengthInvalid => "an HTTP body with an invalid length",
            Self::LengthTooLarge => "an HTTP body of more than 16777215 bytes",
            Self::Chunked => "an HTTP body in chunks",
        })
    }
}

impl core::error::Error for HeadError {}

#[cfg(any(feature = "admin", feature = "web"))]
mod texts;
#[cfg(any(feature = "admin", feature = "web"))]
pub(crate) use texts::{Span, Texts, decode};

#[cfg(test)]
mod tests;
