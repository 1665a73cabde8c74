//! The parts of a request that are stored together until it is answered.

use base64ct::{Base64, Encoding as _};
use core::cell::Cell;

use super::HeadError;
use crate::bytes::{copy, low_u16};

/// A part of the stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) length: u16,
}

/// Texts in one buffer of `SIZE` bytes, at most 32,768. It has no `Debug`, because they may be secret.
pub(crate) struct Texts<const SIZE: usize> {
    pub(crate) bytes: [u8; SIZE],
    pub(crate) used: u16,
}

impl<const SIZE: usize> Texts<SIZE> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; SIZE], used: 0 }
    }

    pub(crate) fn get(&self, span: Span) -> &[u8] {
        let start = usize::from(span.start);
        self.bytes.get(start..start.wrapping_add(usize::from(span.length))).unwrap_or_default()
    }

    /// The place after the texts.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        self.bytes.get_mut(usize::from(self.used)..).unwrap_or_default()
    }

    /// Marks the next `length` bytes as used.
    fn take(&mut self, length: usize) -> Span {
        let span = Span { start: self.used, length: low_u16(length) };
        self.used = self.used.wrapping_add(span.length);
        span
    }

    /// Stores a text. If there is too little room, it is [`HeadError::TooLong`].
    pub(crate) fn store(&mut self, text: &[u8]) -> Result<Span, HeadError> {
        if copy(text, self.free()) < text.len() {
            return Err(HeadError::TooLong);
        }
        Ok(self.take(text.len()))
    }

    /// Stores the user, a colon and the password of a field `Authorization` (RFC 7617). Returns `None` if it has another
    /// scheme, or cannot be decoded.
    pub(crate) fn store_basic(&mut self, value: &[u8], is_cut: bool) -> Result<Option<Span>, HeadError> {
        let scheme = value.split_at_checked(6).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"basic "));
        let Some((_, text)) = scheme else { return Ok(None) };
        let text = text.trim_ascii();
        if is_cut || self.free().len() < (text.len() / 4).wrapping_mul(3) {
            return Err(HeadError::TooLong);
        }
        let decoded = Base64::decode(text, self.free()).map_or(None, |decoded| Some(decoded.len()));
        Ok(decoded.map(|length| self.take(length)))
    }

    /// The user and the password of a text that [`Self::store_basic`] has stored.
    pub(crate) fn user_and_password(&self, basic: Span) -> Option<(&[u8], &[u8])> {
        let text = self.get(basic);
        let (user, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b':')?)?;
        Some((user, rest.get(1..)?))
    }

    /// Whether `Origin` is the site that `Host` names.
    pub(crate) fn is_own_origin(&self, origin: Span, host: Option<Span>) -> bool {
        let origin = self.get(origin);
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        let host = host.map(|host| self.get(host));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    }
}

/// Decodes `%` sequences in place. `plain` returns what any other byte stands for, and `accepts` says which decoded bytes
/// are valid. Returns the new length, or `None` if a sequence is invalid.
pub(crate) fn decode(text: &mut [u8], plain: fn(u8) -> u8, accepts: fn(u8) -> bool) -> Option<usize> {
    let cells = Cell::from_mut(text).as_slice_of_cells();
    let (mut from, mut to, mut length) = (cells.iter(), cells.iter(), 0_usize);
    while let Some(cell) = from.next() {
        let byte = match cell.get() {
            b'%' => {
                let mut digit = || char::from(from.next()?.get()).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high << 4 | low).ok().filter(|byte| accepts(*byte))?
            }
            byte => plain(byte),
        };
        to.next()?.set(byte);
        length = length.wrapping_add(1);
    }
    Some(length)
}
