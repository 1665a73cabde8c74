//! Reads in one pass what a client needs from a command of the server.

use super::{Status, without_selector};
use crate::amf0::{MAX_DEPTH, Text, marker};
use crate::bytes::Cursor;

/// A command of the server. Missing values are empty.
///
/// It is read without a [`Decoder`](crate::amf0::Decoder): a publisher does not need the decoder's tokens and errors, which
/// take flash. If the command is malformed, the bytes from the fault on are ignored.
#[derive(Default)]
pub(crate) struct Answer<'a> {
    /// The name of the procedure, or `_result` or `_error`. Empty if the message is not a command.
    pub(crate) name: Text<'a>,
    /// The number to which the answer refers: the second value.
    pub(crate) transaction: Number<'a>,
    /// The first number after the transaction id that is not in a map, such as a stream id.
    pub(crate) argument: Number<'a>,
    /// As [`Status::parse`] returns it.
    pub(crate) status: Status<'a>,
}

/// The bytes of a number; empty if there is none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Number<'a>(Text<'a>);

impl Number<'_> {
    /// Returns the bits of the number.
    pub(crate) fn bits(self) -> Option<u64> {
        Cursor(self.0.as_bytes()).array().map(u64::from_be_bytes)
    }
}

/// Any number of pairs.
const MAP: u32 = u32::MAX;
/// More values than a message can have.
const MESSAGE: u32 = u32::MAX - 1;

impl<'a> Answer<'a> {
    pub(crate) fn parse(payload: &'a [u8]) -> Answer<'a> {
        let values = without_selector(payload);
        let mut answer = Answer { status: Status::of(values), ..Answer::default() };
        let _ = answer.read(Cursor(values));
        answer
    }

    /// Reads all values, including those in containers. Returns `None` at the end, or at a fault.
    fn read(&mut self, mut rest: Cursor<'a>) -> Option<()> {
        // The number of values that are missing from the innermost container, and from each one around it.
        let (mut left, mut outer, mut depth) = (MESSAGE, [0; MAX_DEPTH], 0_usize);
        let (mut place, mut key) = (0_u32, Text::default());
        loop {
            // A strict array has no marker at its end.
            let mut marker = marker::OBJECT_END;
            if left == MAP {
                let length = rest.u16()?;
                key = Text::new(rest.take(length.into())?);
                marker = rest.u8()?;
            } else if left > 0 {
                left = left.wrapping_sub(1);
                marker = rest.u8()?;
            }
            if marker == marker::OBJECT_END {
                depth = depth.wrapping_sub(1);
                left = *outer.get(depth)?;
                continue;
            }
            let length = match marker {
                marker::STRING | marker::TYPED_OBJECT => rest.u16()?.into(),
                marker::LONG_STRING | marker::XML => rest.u32()? as usize,
                marker::OBJECT | marker::NULL | marker::UNDEFINED | marker::UNSUPPORTED => 0,
                marker::BOOLEAN => 1,
                marker::REFERENCE => 2,
                marker::ECMA_ARRAY | marker::STRICT_ARRAY => 4,
                marker::NUMBER => 8,
                marker::DATE => 10,
                _ => return None,
            };
            let content = rest.take(length)?;
            let field = match marker {
                marker::STRING | marker::LONG_STRING if place == 0 => Some(&mut self.name),
                _ if place == 0 => return None,
                marker::STRING | marker::LONG_STRING => self.status.field(key),
                marker::NUMBER if place == 1 => Some(&mut self.transaction.0),
                marker::NUMBER if key.is_empty() && self.argument.0.is_empty() => Some(&mut self.argument.0),
                _ => None,
            };
            if let Some(field) = field {
                *field = Text::new(content);
            }
            place = place.wrapping_add(1);
            if matches!(marker, marker::OBJECT | marker::TYPED_OBJECT | marker::ECMA_ARRAY | marker::STRICT_ARRAY) {
                *outer.get_mut(depth)? = left;
                depth = depth.wrapping_add(1);
                left = if marker == marker::STRICT_ARRAY { Cursor(content).u32()? } else { MAP };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf0::{Decoder, Token};
    use crate::command::Command;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn number(number: Number<'_>) -> Option<u64> {
        number.bits()
    }

    /// Reads the same with the pull decoder. Returns `None` if the message is malformed.
    fn decoded(payload: &[u8]) -> Option<Answer<'_>> {
        let mut values = Decoder::new(without_selector(payload));
        let mut answer = Answer::default();
        let (mut place, mut key, mut outer) = (0, Text::default(), Vec::new());
        while let Some(token) = values.next_token().ok()? {
            match token {
                Token::Key(found) => {
                    key = found;
                    continue;
                }
                Token::End => {
                    key = outer.pop()?;
                    continue;
                }
                Token::String(text) if place == 0 => answer.name = text,
                _ if place == 0 => return Some(answer),
                Token::String(text) => _ = answer.status.field(key).map(|field| *field = text),
                // The number as it was encoded: the rest begins at its end.
                Token::Number(_) if place == 1 || (key.is_empty() && answer.argument.bits().is_none()) => {
                    let end = payload.len() - values.rest().len();
                    let bytes = Number(Text::new(&payload[end - 8..end]));
                    *if place == 1 { &mut answer.transaction } else { &mut answer.argument } = bytes;
                }
                Token::StrictArrayStart { .. } => outer.push(key),
                token if token.opens_map() => outer.push(Text::default()),
                _ => {}
            }
            place += 1;
        }
        Some(answer)
    }

    fn check(payload: &[u8]) {
        let answer = Answer::parse(payload);
        let Some(decoded) = decoded(payload) else { return };
        assert_eq!((answer.name, answer.status), (decoded.name, decoded.status), "{payload:02x?}");
        assert_eq!(number(answer.transaction), number(decoded.transaction), "{payload:02x?}");
        assert_eq!(number(answer.argument), number(decoded.argument), "{payload:02x?}");
    }

    #[test]
    fn item_063_item_075_item_081_answers_are_found_among_containers_of_any_kind() {
        let map: &[u8] = b"\0\x01a\x02\0\x01b\0\x01c\0\x40\x14\0\0\0\0\0\0\0\0\x09";
        let info: &[u8] =
            b"\x03\0\x05level\x02\0\x05error\0\x04code\x02\0\x01c\0\x0Bdescription\x0C\0\0\0\x02no\0\0\x09";
        let befores = [
            &[][..],
            b"\x05",
            b"\x06\x05\x0D",
            &[b"\x03", map].concat(),
            &[b"\x08\0\0\0\x63", map].concat(),
            &[b"\x10\0\x01T", map].concat(),
            &[b"\x03\0\x01o\x0A\0\0\0\x02\x03", map, b"\x08\0\0\0\0\0\0\x09\0\0\x09"].concat(),
            b"\x0A\0\0\0\x02\x0A\0\0\0\0\x01\x01",
            b"\x0B\0\0\0\0\0\0\0\0\0\0\x07\0\x01\x0F\0\0\0\x02\x09\x09",
        ];
        for before in befores {
            let payload =
                [b"\0\x02\0\x07_result\0\x40\x10\0\0\0\0\0\0", before, b"\0\x3F\xF0\0\0\0\0\0\0", info].concat();
            let answer = Answer::parse(&payload);
            let numbers = [answer.transaction, answer.argument].map(|number| number.bits().map(f64::from_bits));
            assert_eq!((answer.name, numbers), ("_result".into(), [Some(4.0), Some(1.0)]), "{before:02x?}");
            assert_eq!(answer.status, Status::error("c", "no"), "{before:02x?}");
            assert_eq!(answer.status, Status::parse(Command::parse(&payload).unwrap().values), "{before:02x?}");
            for length in 0..payload.len() {
                check(&payload[..length]);
            }
        }
    }

    #[test]
    fn item_071_what_follows_a_fault_is_ignored() {
        let head = b"\x02\0\x06_error\0\x3F\xF0\0\0\0\0\0\0\x03\0\x04code\x02\0\x01c";
        let tail = b"\0\x05level\x02\0\x05error\0\0\x09";
        let deep = b"\0\x01a\x03".repeat(MAX_DEPTH);
        for fault in [&b"\0\x01a\x04"[..], b"\0\x01a\x0E", b"\0\x01a\x11\x0A", b"\0\x01a\x02\xFF\xFF", b"\xFF", &deep] {
            let payload = [head, fault, tail].concat();
            let Status { level, code, description, .. } = Answer::parse(&payload).status;
            assert_eq!([level, code, description], ["", "c", ""].map(Text::from), "{fault:02x?}");
        }
        for other in [&b"\x05\x02\0\x01a"[..], b"\x03\0\0\x09", b"\x01\x01", b"", b"\0"] {
            assert!(Answer::parse(other).name.is_empty(), "{other:02x?}");
        }
    }

    proptest! {
        #[test]
        fn answers_are_read_as_the_decoder_reads_them(pieces in proptest::collection::vec(0..12_usize, 0..24)) {
            const PIECES: [&[u8]; 12] = [
                b"\0\x05level", b"\0\x04code", b"\0\x0Bdescription", b"\0\x01x", b"\x02\0\x01s", b"\x0C\0\0\0\x01t",
                b"\0\x3F\xF0\0\0\0\0\0\0", b"\x03", b"\x08\0\0\0\x09", b"\x0A\0\0\0\x02", b"\0\0\x09", b"\x05",
            ];
            let pieces: Vec<&[u8]> = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            check(&[b"\x02\0\x01n", &pieces.concat()[..]].concat());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            check(&payload);
        }
    }
}
