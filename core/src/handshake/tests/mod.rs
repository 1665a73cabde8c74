//! Scenarios of whole handshakes. `simple` holds those of the specification, `digests` those with digests, `pairs` our
//! two sides against each other.

use std::vec::Vec;

use super::*;
use crate::time::Instant;

#[cfg(feature = "digest")]
mod digests;
mod pairs;
mod simple;

/// When a side is created, and when it reads the peer's bytes: 1234 ms later.
const START: Instant = Instant::from_micros(u32::MAX as u64 - 500);
const LATER: Instant = Instant::from_micros(u32::MAX as u64 - 500 + 1_234_567);

/// Either side, with the scratch that it is lent.
struct Side<T> {
    machine: T,
    scratch: [u8; SCRATCH],
}

trait Machine {
    fn read(&mut self, now: Instant, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError>;
    fn transmit(&mut self, scratch: &[u8], out: &mut [u8]) -> usize;
    fn transmit_len(&self) -> usize;
    fn wants_transmit(&self) -> bool;
    fn wants_input(&self) -> bool;
    fn is_done(&self) -> bool;
}

macro_rules! machine {
    ($($name:ident reads $read:expr),*) => { $(impl Machine for $name {
        fn read(&mut self, now: Instant, input: &mut &[u8], scratch: &mut [u8]) -> Result<(), HandshakeError> {
            $read(self, now, input, scratch)
        }
        fn transmit(&mut self, scratch: &[u8], out: &mut [u8]) -> usize {
            $name::transmit(self, scratch, out)
        }
        fn transmit_len(&self) -> usize {
            $name::transmit_len(self)
        }
        fn wants_transmit(&self) -> bool {
            $name::wants_transmit(self)
        }
        fn wants_input(&self) -> bool {
            $name::wants_input(self)
        }
        fn is_done(&self) -> bool {
            $name::is_done(self)
        }
    })* };
}

fn read_as_server(
    server: &mut Server,
    _: Instant,
    input: &mut &[u8],
    scratch: &mut [u8],
) -> Result<(), HandshakeError> {
    server.read(input, scratch)
}

machine!(Client reads Client::read, Server reads read_as_server);

fn client(config: ClientConfig) -> Side<Client> {
    Side { machine: Client::new(config, 0xC11E_0000_0000_0001, START), scratch: [0xEE; SCRATCH] }
}

fn server(config: ServerConfig) -> Side<Server> {
    Side { machine: Server::new(config, 0x5E_0000_0000_0002), scratch: [0xEE; SCRATCH] }
}

impl<T: Machine> Side<T> {
    /// Feeds one piece; answers what stayed.
    fn feed<'i>(&mut self, mut input: &'i [u8]) -> Result<&'i [u8], HandshakeError> {
        self.machine.read(LATER, &mut input, &mut self.scratch)?;
        Ok(input)
    }

    /// All that can be written now, through windows of `window` bytes.
    fn drain(&mut self, window: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3073);
        let mut out = std::vec![0xAA; window];
        while self.machine.wants_transmit() {
            let promised = self.machine.transmit_len();
            let written = self.machine.transmit(&self.scratch, &mut out);
            assert_eq!(written, promised.min(window), "transmit_len is what transmit gives");
            assert_eq!(self.machine.transmit_len(), promised - written);
            bytes.extend(&out[..written]);
        }
        assert_eq!(self.machine.transmit(&self.scratch, &mut [0]), 0);
        bytes
    }

    /// Feeds `input` in pieces of `cut` bytes, draining after each; answers what was written and what stayed.
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

/// A peer's stream: version, block, answer, and the beginning of a first chunk.
fn stream(version: u8, block: &[u8], answer: &[u8]) -> Vec<u8> {
    assert_eq!((block.len(), answer.len()), (BLOCK, BLOCK));
    [&[version], block, answer, CHUNK].concat()
}

const CHUNK: &[u8] = b"\x03\x00\x00\x00\x00\x00\x19\x14\x00\x00\x00\x00\x02\x00\x07connect";

/// Some block of a peer's: neither time nor version are zero.
fn any_block(salt: u8) -> Vec<u8> {
    (0..BLOCK).map(|at| (at as u8).wrapping_mul(31).wrapping_add(salt) ^ (at >> 8) as u8).collect()
}

/// What answers `block` when it was read at `LATER`.
fn echo(block: &[u8]) -> Vec<u8> {
    [&block[..4], &1234_u32.to_be_bytes(), &block[8..]].concat()
}
