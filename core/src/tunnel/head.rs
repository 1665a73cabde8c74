//! HTTP heads, a line at a time (RFC 9112, sections 2 to 6).
//!
//! A head is as long as its sender likes, and little of it matters. So a line is collected and parsed, and the next line
//! takes its place: a buffer for one line serves for heads of thousands of bytes.

use nom::bytes::complete::{tag, take, take_while, take_while1};
use nom::combinator::{all_consuming, success, verify};
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
        Self { line: [0; LINE], kept: 0, is_cut: false, is_whole: true, begun: false, fields, total: 0 }
    }

    /// Whether nothing of the next head has come.
    pub(super) const fn is_empty(&self) -> bool {
        self.total == 0
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
                if !self.is_cut
                    && self.kept > 0
                    && self.line.get(usize::from(self.kept).wrapping_sub(1)) == Some(&b'\r')
                {
                    self.kept = self.kept.wrapping_sub(1);
                }
                self.is_whole = true;
                return Ok(true);
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
        let Ok((_, (name, value))) = all_consuming(field).parse(line) else { return Err(HeadError::NotHttp) };
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
    separated_pair(take_while1(is_token), tag(":"), take_while(|byte| byte == b'\t' || !is_control(byte))).parse(line)
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
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    /// The first line and the fields of a head that comes in pieces of `cut` bytes, and what is left behind it.
    fn read(text: &[u8], cut: usize) -> Result<(String, Fields, usize), HeadError> {
        let (mut head, mut first) = (Head::new(), String::new());
        let mut taken = 0;
        for piece in text.chunks(cut) {
            let mut rest = piece;
            loop {
                match head.read(&mut rest)? {
                    Progress::More => break,
                    Progress::FirstLine => first = String::from_utf8_lossy(head.line().0).trim_end().into(),
                    Progress::Done(fields) => return Ok((first, fields, taken + piece.len() - rest.len())),
                }
            }
            taken += piece.len();
        }
        panic!("the head does not end")
    }

    fn everywhere(text: &str) -> Result<(String, Fields, usize), HeadError> {
        let whole = read(text.as_bytes(), usize::MAX);
        for cut in 1..text.len() {
            assert_eq!(read(text.as_bytes(), cut), whole, "{cut}");
        }
        whole
    }

    #[test]
    fn a_head_ends_at_its_empty_line_however_it_is_cut() {
        let text = "\r\nHTTP/1.1 200 OK\r\nContent-Length:  17 \r\nServer: x\r\n\r\nbody";
        let fields = Fields { length: Some(17), close: false, keep_alive: false };
        assert_eq!(everywhere(text), Ok(("HTTP/1.1 200 OK".into(), fields, text.len() - 4)));
    }

    #[test]
    fn item_098_names_of_fields_have_no_case_and_lines_may_end_in_lf_alone() {
        let text = "POST /a HTTP/1.1\ncontent-LENGTH: 3\nCONNECTION: Keep-Alive , x,CLOSE\n\n";
        let fields = Fields { length: Some(3), close: true, keep_alive: true };
        assert_eq!(everywhere(text), Ok(("POST /a HTTP/1.1".into(), fields, text.len())));
    }

    #[test]
    fn lines_that_are_too_long_are_cut_and_do_no_harm() {
        let long: String = core::iter::repeat_n('x', 5_000).collect();
        let text = std::format!("GET /{long} HTTP/1.1\r\nCookie: {long}\r\nContent-Length: 5\r\n\r\n");
        let (first, fields, _) = read(text.as_bytes(), 700).unwrap();
        assert_eq!((first.len(), fields.length), (LINE, Some(5)));
    }

    #[test]
    fn item_098_lengths_that_are_none_are_refused() {
        // CVE-2016-10190 among them: -1, and 2^63.
        for (value, error) in [
            ("-1", HeadError::LengthInvalid),
            ("+1", HeadError::LengthInvalid),
            ("", HeadError::LengthInvalid),
            ("1 2", HeadError::LengthInvalid),
            ("0x10", HeadError::LengthInvalid),
            ("16777216", HeadError::LengthTooLarge),
            ("9223372036854775808", HeadError::LengthTooLarge),
            ("99999999999999999999999999", HeadError::LengthTooLarge),
            ("5\r\nContent-Length: 6", HeadError::LengthInvalid),
            ("5\r\nTransfer-Encoding: chunked", HeadError::Chunked),
        ] {
            let text = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
            assert_eq!(everywhere(&text), Err(error), "{value}");
        }
        let zeros: String = core::iter::repeat_n('0', 200).collect();
        let text = std::format!("HTTP/1.1 200 OK\r\nContent-Length: {zeros}5\r\n\r\n");
        assert_eq!(everywhere(&text), Err(HeadError::LengthInvalid), "it is cut");
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 0016777215\r\nContent-Length: 16777215\r\n\r\n";
        assert_eq!(everywhere(text).unwrap().1.length, Some(MAX_LENGTH));
    }

    #[test]
    fn a_head_without_an_end_is_an_error() {
        let lines: Vec<u8> =
            b"HTTP/1.1 200 OK\r\n".iter().chain(b"x: y\r\n".iter().cycle()).copied().take(20_000).collect();
        for text in [lines, [b'\n'; 20_000].to_vec(), [b'x'; 20_000].to_vec()] {
            assert_eq!(read(&text, 1_000), Err(HeadError::TooLong));
        }
    }

    #[test]
    fn fields_that_are_none_are_refused() {
        for line in ["no colon", " folded", "Content-Length : 5", ": x", "a\0b: c"] {
            let text = std::format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            assert_eq!(everywhere(&text), Err(HeadError::NotHttp), "{line}");
        }
    }
}
