//! Scenarios of whole handshakes. `simple` has those of the specification, `digests` those with digests, and `pairs` has
//! our two sides against each other.

use std::vec::Vec;

use super::*;
use crate::time::Instant;

#[cfg(feature = "digest")]
mod digests;
#[cfg(feature = "rtmpe")]
mod encrypted;
mod pairs;
mod simple;

/// When a side writes, and when it reads: 71 minutes after the start, when the low 32 bits of the microseconds wrap.
const START: Instant = Instant::from_micros(u32::MAX as u64 - 500);
const LATER: Instant = Instant::from_micros(u32::MAX as u64 - 500 + 1_234_567);

/// One side, with the scratch that it is lent.
struct Side {
    machine: Handshake,
    scratch: [u8; SCRATCH],
}

fn client(style: Style, strict: bool) -> Side {
    side(HandshakeConfig::Client { style, strict }, 0xC11E_0000_0000_0001)
}

fn server(versions: Versions) -> Side {
    side(HandshakeConfig::Server { versions }, 0x5E_0000_0000_0002)
}

fn side(config: HandshakeConfig, seed: u64) -> Side {
    Side { machine: Handshake::new(config, seed), scratch: [0xEE; SCRATCH] }
}

impl Side {
    /// Feeds one piece. Returns the rest.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<&'i [u8], HandshakeError> {
        let had_read = self.machine.has_read();
        let event = self.machine.next_event(LATER, &mut input, &mut self.scratch)?;
        let expected = (self.machine.has_read() && !had_read).then(|| HandshakeEvent::PeerDone(self.machine.kind()));
        assert_eq!(event, expected, "the event comes once");
        Ok(input)
    }

    /// Returns all that can be written now, through windows of `window` bytes.
    fn drain(&mut self, window: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3073);
        let mut out = std::vec![0xAA; window];
        while self.machine.wants_transmit() {
            let promised = self.machine.transmit_len();
            let written = self.machine.poll_transmit(START, &mut out, &mut self.scratch);
            assert_eq!(written, promised.min(window), "transmit_len is what poll_transmit writes");
            assert_eq!(self.machine.transmit_len(), promised - written);
            bytes.extend(&out[..written]);
        }
        assert_eq!(self.machine.poll_transmit(START, &mut [0], &mut self.scratch), 0);
        bytes
    }

    /// Feeds `input` in pieces of `cut` bytes, draining after each. Returns what was written, and the rest of the input.
    fn run<'i>(
        &mut self,
        mut input: &'i [u8],
        cut: usize,
        window: usize,
    ) -> Result<(Vec<u8>, &'i [u8]), HandshakeError> {
        let mut bytes = self.drain(window);
        while self.machine.wants_input() && !input.is_empty() {
            let (piece, rest) = input.split_at(cut.min(input.len()));
            let left = self.feed(piece)?;
            input = &input[piece.len() - left.len()..];
            assert_eq!(input.len(), left.len() + rest.len());
            bytes.extend(self.drain(window));
        }
        Ok((bytes, input))
    }
}

/// The stream of a peer: version, block, echo, and the start of the first chunk.
fn stream(version: u8, block: &[u8], answer: &[u8]) -> Vec<u8> {
    assert_eq!((block.len(), answer.len()), (SCRATCH, SCRATCH));
    [&[version], block, answer, CHUNK].concat()
}

const CHUNK: &[u8] = b"\x03\x00\x00\x00\x00\x00\x19\x14\x00\x00\x00\x00\x02\x00\x07connect";

/// A block of a peer. Neither time nor version is zero.
fn any_block(salt: u8) -> Vec<u8> {
    (0..SCRATCH).map(|at| (at as u8).wrapping_mul(31).wrapping_add(salt) ^ (at >> 8) as u8).collect()
}

/// The echo of `block`, read at `LATER`.
fn echo(block: &[u8]) -> Vec<u8> {
    [&block[..4], &4_296_201_u32.to_be_bytes(), &block[8..]].concat()
}
