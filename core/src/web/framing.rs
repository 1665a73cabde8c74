//! The bytes around the parts of an answer whose length is not known beforehand, and WebSocket's frames.

use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};

use crate::bytes::{low_u8, low_u16, move_down};

/// How the end of an answer is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By the end of the connection.
    Close,
    /// By an empty chunk (RFC 9112, section 7.1).
    Chunked,
    /// Each part is a binary message (RFC 6455).
    WebSocket,
}

/// The longest part.
pub(super) const MAX_PART: usize = 0xFFFF;

/// The last chunk, and the end of the answer.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

impl Framing {
    /// The room before and after a part.
    pub(super) const fn overhead(self) -> (usize, usize) {
        match self {
            Self::Close => (0, 0),
            Self::Chunked => (6, 2),
            Self::WebSocket => (4, 0),
        }
    }

    /// Writes the bytes around a part of `length` bytes, which [`Self::overhead`] precedes and follows. Returns the length
    /// of all. The header of a WebSocket frame may become shorter.
    pub(super) fn enclose(self, out: &mut [u8], length: usize) -> usize {
        let (before, after) = self.overhead();
        let whole = before.wrapping_add(length).wrapping_add(after);
        let [high, low] = low_u16(length).to_be_bytes();
        match self {
            _ if length == 0 => return 0,
            Self::Close => {}
            Self::Chunked => {
                let digits = [hex(high >> 4), hex(high & 15), hex(low >> 4), hex(low & 15), b'\r', b'\n'];
                put(out, 0, &digits);
                put(out, before.wrapping_add(length), b"\r\n");
            }
            Self::WebSocket if length < 126 => {
                move_down(out.get_mut(..whole).unwrap_or_default(), 2);
                put(out, 0, &[FINAL | Opcode::Binary as u8, low]);
                return whole.wrapping_sub(2);
            }
            Self::WebSocket => put(out, 0, &[FINAL | Opcode::Binary as u8, 126, high, low]),
        }
        whole
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    crate::bytes::copy(bytes, out.get_mut(at..).unwrap_or_default());
}

const fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0'.wrapping_add(digit) } else { (b'a' - 10).wrapping_add(digit) }
}

/// The answer to the key of a request for a WebSocket (RFC 6455, section 4.2.2), in base64.
pub(super) fn accept_key(key: &[u8], to: &mut [u8; 28]) {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash: [u8; 20] = hash.finalize().into();
    // 20 bytes take 28 digits.
    let _ = Base64::encode(&hash, to);
}

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// The kinds of frames (RFC 6455, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// The status of a connection that ends because its peer broke the protocol (RFC 6455, section 7.4.1).
pub(super) const PROTOCOL_ERROR: u16 = 1002;
/// The status of a connection that has served its purpose.
pub(super) const NORMAL: u16 = 1000;

/// A control frame of the client. Its payload is in the scratch of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) opcode: Opcode,
    pub(super) length: usize,
}

/// The client broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads the frames of a client. Messages are skipped.
#[derive(Debug)]
pub(super) struct FrameReader {
    header: [u8; 14],
    stored: u8,
    /// The bytes of the payload that are missing, after the header is complete.
    left: u64,
    /// The number of bytes of the payload that were read, modulo 2³².
    read: u32,
    in_payload: bool,
}

impl FrameReader {
    pub(super) const fn new() -> Self {
        Self { header: [0; 14], stored: 0, left: 0, read: 0, in_payload: false }
    }

    /// Consumes frames up to the end of a control frame, whose payload it stores in `scratch`.
    pub(super) fn read(&mut self, input: &mut &[u8], scratch: &mut [u8]) -> Result<Option<Control>, Broken> {
        loop {
            if !self.in_payload {
                let Some((byte, rest)) = input.split_first() else { return Ok(None) };
                *input = rest;
                self.header.iter_mut().skip(usize::from(self.stored)).take(1).for_each(|place| *place = *byte);
                self.stored = self.stored.wrapping_add(1);
                let [first, second, ..] = self.header;
                let extended = match second & !MASKED {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                if self.stored < 2 {
                    continue;
                }
                self.check(first, second)?;
                if self.stored < 6_u8.wrapping_add(extended) {
                    continue;
                }
                let length = self.header.iter().skip(2).take(usize::from(extended));
                self.left = match extended {
                    0 => u64::from(second & !MASKED),
                    _ => length.fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
                };
                (self.in_payload, self.read) = (true, 0);
            }
            let opcode = self.opcode();
            let available = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
            let (data, rest) = input.split_at_checked(available).unwrap_or_default();
            if opcode.is_some() {
                let mask = self.mask();
                let places = scratch.iter_mut().skip(self.read as usize);
                for (place, (byte, key)) in
                    places.zip(data.iter().zip(mask.iter().cycle().skip(self.read as usize & 3)))
                {
                    *place = byte ^ key;
                }
            }
            *input = rest;
            self.left = self.left.wrapping_sub(data.len() as u64);
            self.read = self.read.wrapping_add(crate::bytes::low_u32(data.len()));
            if self.left > 0 {
                return Ok(None);
            }
            (self.in_payload, self.stored) = (false, 0);
            if let Some(opcode) = opcode {
                return Ok(Some(Control { opcode, length: self.read as usize }));
            }
        }
    }

    /// Checks the first two bytes of a frame.
    fn check(&self, first: u8, second: u8) -> Result<(), Broken> {
        let is_control = first & 0x08 != 0;
        let is_known = matches!(first & 0x0F, 0..=2 | 8..=10);
        let is_short = first & FINAL != 0 && usize::from(second & !MASKED) <= MAX_CONTROL;
        let has_reserved = first & 0x70 != 0;
        if !is_known || has_reserved || second & MASKED == 0 || is_control && !is_short { Err(Broken) } else { Ok(()) }
    }

    /// The kind of a control frame; `None` for a message.
    fn opcode(&self) -> Option<Opcode> {
        let [first, ..] = self.header;
        match first & 0x0F {
            8 => Some(Opcode::Close),
            9 => Some(Opcode::Ping),
            10 => Some(Opcode::Pong),
            _ => None,
        }
    }

    fn mask(&self) -> [u8; 4] {
        let mut mask = [0; 4];
        let start = usize::from(self.stored.saturating_sub(4));
        mask.iter_mut().zip(self.header.iter().skip(start)).for_each(|(to, from)| *to = *from);
        mask
    }
}

/// Writes a control frame to the front of `out`, and returns its length.
pub(super) fn put_control(opcode: Opcode, payload: &[u8], out: &mut [u8]) -> usize {
    put(out, 0, &[FINAL | opcode as u8, low_u8(payload.len())]);
    put(out, 2, payload);
    payload.len().wrapping_add(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_specification() {
        let mut accepted = [0; 28];
        accept_key(b"dGhlIHNhbXBsZSBub25jZQ==", &mut accepted);
        assert_eq!(&accepted, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn parts_are_enclosed_as_the_specifications_say() {
        let enclose = |framing: Framing, length: usize| {
            let (before, after) = framing.overhead();
            let mut out = std::vec![0xEE; before + length + after];
            out[before..before + length].fill(b'x');
            let whole = framing.enclose(&mut out, length);
            out.truncate(whole);
            out
        };
        assert_eq!(enclose(Framing::Close, 3), b"xxx");
        assert_eq!(enclose(Framing::Chunked, 3), b"0003\r\nxxx\r\n");
        assert_eq!(enclose(Framing::Chunked, 0), b"");
        assert_eq!(&enclose(Framing::Chunked, MAX_PART)[..8], b"ffff\r\nxx");
        assert_eq!(enclose(Framing::WebSocket, 3), b"\x82\x03xxx");
        assert_eq!(enclose(Framing::WebSocket, 0), b"");
        assert_eq!(enclose(Framing::WebSocket, 125)[..3], [0x82, 125, b'x']);
        assert_eq!(enclose(Framing::WebSocket, 126)[..5], [0x82, 126, 0, 126, b'x']);
        assert_eq!(enclose(Framing::WebSocket, 126).len(), 130);
    }

    /// A frame as a client sends it.
    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = std::vec![first];
        match payload.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length @ ..0x1_0000 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// The control frames of a client in pieces of `cut` bytes.
    fn controls(bytes: &[u8], cut: usize) -> Result<Vec<(Opcode, Vec<u8>)>, Broken> {
        let (mut reader, mut scratch, mut all) = (FrameReader::new(), [0; 256], Vec::new());
        for piece in bytes.chunks(cut) {
            let mut input = piece;
            while let Some(Control { opcode, length }) = reader.read(&mut input, &mut scratch)? {
                all.push((opcode, scratch[..length].to_vec()));
            }
            assert!(input.is_empty());
        }
        Ok(all)
    }

    #[test]
    fn control_frames_of_a_client_are_read_and_messages_are_skipped_at_any_cut() {
        let frames = [
            masked(0x89, b"ping"),
            masked(0x81, &[b'a'; 200]),
            masked(0x8A, b""),
            masked(0x02, &[b'b'; 70_000]),
            masked(0x89, &[b'p'; 125]),
            masked(0x80, b"rest"),
            masked(0x88, b"\x03\xE8bye"),
        ];
        let bytes = frames.concat();
        let expected = [
            (Opcode::Ping, b"ping".to_vec()),
            (Opcode::Pong, Vec::new()),
            (Opcode::Ping, [b'p'; 125].to_vec()),
            (Opcode::Close, b"\x03\xE8bye".to_vec()),
        ];
        for cut in [1, 2, 3, 5, 7, 13, 1_000, usize::MAX] {
            assert_eq!(controls(&bytes, cut).unwrap(), expected, "{cut}");
        }
    }

    #[test]
    fn frames_that_break_the_protocol_are_an_error() {
        for bytes in [
            &b"\x89\x04ping"[..],    // not masked
            b"\x09\x84\0\0\0\0ping", // a control frame in fragments
            b"\x89\xFE\0\x7E",       // a control frame that is too long
            b"\x83\x80\0\0\0\0",     // an unknown kind
            b"\xC1\x80\0\0\0\0",     // an extension that was not agreed on
            b"\x8B\x80\0\0\0\0",
        ] {
            assert_eq!(controls(bytes, 1), Err(Broken), "{bytes:?}");
        }
    }
}
