//! Responses to a tunnel's client.

use nom::branch::alt;
use nom::bytes::complete::{tag, take};
use nom::combinator::{eof, map_opt};
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

use super::super::{MAX_ID, TunnelError};
use super::{In, Request, TunnelClient};
use crate::bytes::{copy, low_u8, low_u32};
use crate::http::{HeadError, Progress, digits, version};
use crate::time::Instant;

/// The shortest pause in ms before a poll, after a response with data.
const FLOOR: u32 = 4;
/// Half of the pause in ms after the first empty response, and how often the pause doubles after that.
const PAUSE: u32 = 16;
const DOUBLINGS: u8 = 4;

impl<H: AsRef<str>> TunnelClient<H> {
    /// Consumes the bytes of `input` that are not for the session. Returns how many bytes for the session follow.
    #[inline(never)]
    pub(super) fn unwrap(&mut self, now: Instant, input: &mut &[u8]) -> Result<usize, TunnelError> {
        let before = input.len();
        let result = self.unwrap_all(now, input);
        if input.len() < before && self.is_under_way() {
            self.since = now;
        }
        result
    }

    fn unwrap_all(&mut self, now: Instant, input: &mut &[u8]) -> Result<usize, TunnelError> {
        loop {
            if self.incoming != In::Head && self.left == 0 {
                self.complete(now)?;
            }
            if input.is_empty() {
                return Ok(0);
            }
            if self.outstanding == 0 {
                return Err(TunnelError::Unasked);
            }
            match self.incoming {
                In::Head => match self.head.read(input, ())? {
                    Progress::More => return Ok(0),
                    Progress::FirstLine => self.status()?,
                    Progress::Done(_) if self.is_interim => {}
                    Progress::Done(fields) => {
                        self.is_last = fields.close || (self.is_last && !fields.keep_alive);
                        self.begin_body(fields.length)?;
                    }
                },
                In::Id => {
                    let (id, rest) = input.split_at_checked(self.left as usize).unwrap_or((input, &[]));
                    let place = self.id.get_mut(usize::from(self.id_length)..).unwrap_or(&mut []);
                    // An id that is too long is detected when it is complete.
                    let copied = copy(id, place);
                    self.id_length = self.id_length.wrapping_add(low_u8(copied));
                    if id.get(copied..).is_some_and(|rest| !rest.trim_ascii().is_empty()) {
                        return Err(TunnelError::IdTooLong);
                    }
                    self.left = self.left.wrapping_sub(low_u32(id.len()));
                    *input = rest;
                }
                In::Hint => {
                    if let Some((hint, rest)) = input.split_first() {
                        (self.hint, *input) = (*hint, rest);
                        (self.incoming, self.left) = (In::Data, self.left.wrapping_sub(1));
                    }
                }
                In::Data => return Ok(input.len().min(self.left as usize)),
                In::Skip => {
                    let skipped = input.len().min(self.left as usize);
                    *input = input.get(skipped..).unwrap_or(&[]);
                    self.left = self.left.wrapping_sub(low_u32(skipped));
                }
            }
        }
    }

    /// Parses the status line.
    fn status(&mut self) -> Result<(), TunnelError> {
        let Ok((_, (is_old, status))) = status_line(self.head.line().0) else { return Err(HeadError::NotHttp.into()) };
        // With HTTP/1.0 the connection ends, unless a header field keeps it open.
        self.is_last = is_old;
        self.is_interim = (100..200).contains(&status);
        let is_fine = status == 200 || self.is_interim || self.request == Request::Close;
        if is_fine { Ok(()) } else { Err(TunnelError::Status(status)) }
    }

    fn begin_body(&mut self, length: Option<u32>) -> Result<(), TunnelError> {
        (self.incoming, self.left) = match (self.request, length) {
            (Request::Close, length) => (In::Skip, length.unwrap_or(0)),
            (_, None) => return Err(HeadError::LengthMissing.into()),
            (_, Some(0)) => return Err(HeadError::LengthInvalid.into()),
            (Request::Open, Some(length)) if length as usize > MAX_ID.saturating_add(2) => {
                return Err(TunnelError::IdTooLong);
            }
            (Request::Open, Some(length)) => (In::Id, length),
            (Request::Send | Request::Idle, Some(length)) => (In::Hint, length),
        };
        self.has_data = false;
        Ok(())
    }

    /// The session has consumed `bytes` bytes.
    #[inline(never)]
    pub(super) fn took(&mut self, now: Instant, bytes: usize) {
        if bytes > 0 {
            (self.left, self.has_data) = (self.left.wrapping_sub(low_u32(bytes)), true);
            self.since = now;
            if self.left == 0 {
                self.failed = self.complete(now).err();
            }
        }
    }

    /// A response is complete.
    fn complete(&mut self, now: Instant) -> Result<(), TunnelError> {
        match self.incoming {
            In::Id => self.check_id()?,
            In::Skip => self.closed = true,
            _ => {}
        }
        self.incoming = In::Head;
        self.outstanding = self.outstanding.saturating_sub(1);
        self.send_early = false;
        self.needs_connection = self.is_last;
        if self.is_under_way() {
            if self.is_last {
                // The request that was sent early is lost.
                return Err(TunnelError::Interrupted);
            }
            return Ok(());
        }
        self.quiet = match (self.has_data, self.request) {
            (true, _) => 0,
            (_, Request::Idle) => self.quiet.saturating_add(1).min(DOUBLINGS),
            _ => 1,
        };
        let pause = if self.quiet == 0 { FLOOR } else { PAUSE << self.quiet };
        let hinted = u32::from(self.hint.saturating_sub(1)).wrapping_mul(1_000) / 64;
        self.since = now.after_millis(pause.max(hinted));
        Ok(())
    }

    fn check_id(&mut self) -> Result<(), TunnelError> {
        let id = self.id.get(..usize::from(self.id_length)).unwrap_or(&[]).trim_ascii_end();
        let is_fit = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'?' | b'#');
        if id.is_empty() || !id.iter().all(is_fit) {
            return Err(TunnelError::IdInvalid);
        }
        self.id_length = low_u8(id.len());
        Ok(())
    }
}

/// Parses `HTTP-version SP status-code SP [reason-phrase]` (RFC 9112, section 4). Returns whether the version is 1.0, and the
/// code. Some servers omit the second space.
fn status_line(line: &[u8]) -> IResult<&[u8], (bool, u16)> {
    let code = map_opt(take(3_usize), |code| digits(code).and_then(|code| u16::try_from(code).ok()));
    let (rest, (is_old, code)) = separated_pair(version, tag(" "), code).parse(line)?;
    let (rest, _) = alt((tag(" "), eof)).parse(rest)?;
    Ok((rest, (is_old, code)))
}
