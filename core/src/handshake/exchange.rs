//! What both sides do alike: the same three parts go either way.

use super::block::Block;
use super::{BLOCK, SCRATCH};
use crate::bytes;

/// Where the first block (C1, S1) ends in a direction's stream of bytes: the version byte and the block.
const BLOCK_END: u16 = 1 + BLOCK as u16;
/// Where the answer (C2, S2), and with it the handshake, ends in a direction's stream of bytes.
const END: u16 = BLOCK_END + BLOCK as u16;

/// The positions in both streams, and what is needed to write ours.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Exchange {
    /// C1 or S1.
    pub(super) block: Block,
    /// Bytes of the peer's stream taken.
    received: u16,
    /// Bytes of ours given.
    sent: u16,
}

impl Exchange {
    pub(super) const fn new(seed: u64) -> Self {
        Self { block: Block::new(seed), received: 0, sent: 0 }
    }

    /// The version byte, still in the input; `None` when it was taken, or has not come.
    pub(super) fn peek_version(&self, input: &[u8]) -> Option<u8> {
        if self.received == 0 { input.first().copied() } else { None }
    }

    /// Takes the version byte, then the peer's block into the scratch; true when that has just become complete.
    pub(super) fn read_block(&mut self, input: &mut &[u8], scratch: &mut [u8; SCRATCH]) -> bool {
        if self.received == 0 {
            self.take(input, 1);
        }
        let before = self.received;
        if let Some(at) = before.checked_sub(1)
            && let Some(room) = scratch.get_mut(usize::from(at)..)
        {
            bytes::copy(self.take(input, BLOCK_END), room);
        }
        before < BLOCK_END && self.has_block()
    }

    /// Takes bytes of the peer's answer; together with the position of the first one in it.
    pub(super) fn read_echo<'i>(&mut self, input: &mut &'i [u8]) -> (usize, &'i [u8]) {
        let at = self.received.saturating_sub(BLOCK_END);
        (usize::from(at), if self.has_block() { self.take(input, END) } else { &[] })
    }

    /// Takes what there is of the peer's stream before position `end`.
    fn take<'i>(&mut self, input: &mut &'i [u8], end: u16) -> &'i [u8] {
        let length = input.len().min(usize::from(end.saturating_sub(self.received)));
        let Some((taken, rest)) = input.split_at_checked(length) else { return &[] };
        *input = rest;
        self.received = self.received.saturating_add(length as u16);
        taken
    }

    /// Writes to `out` what fits and may be sent: nothing until `may_begin`, and the answer, which lies in the
    /// scratch, when the peer's block is complete.
    pub(super) fn transmit(&mut self, may_begin: bool, scratch: &[u8; SCRATCH], out: &mut [u8]) -> usize {
        let length = self.transmit_len(may_begin).min(out.len());
        for byte in out.iter_mut().take(length) {
            *byte = match self.sent {
                0 => super::VERSION,
                at @ 1..BLOCK_END => self.block.byte(usize::from(at - 1)),
                at => scratch.get(usize::from(at.wrapping_sub(BLOCK_END))).copied().unwrap_or_default(),
            };
            self.sent = self.sent.wrapping_add(1);
        }
        length
    }

    pub(super) fn transmit_len(&self, may_begin: bool) -> usize {
        let end = match (self.has_block(), may_begin) {
            (true, _) => END,
            (false, true) => BLOCK_END,
            (false, false) => 0,
        };
        usize::from(end.saturating_sub(self.sent))
    }

    /// Whether the peer's block has come whole.
    pub(super) const fn has_block(&self) -> bool {
        self.received >= BLOCK_END
    }

    /// Whether the peer's answer has come whole: nothing more is to be read.
    pub(super) const fn has_echo(&self) -> bool {
        self.received >= END
    }

    /// Whether both answers have gone their way.
    pub(super) const fn is_done(&self) -> bool {
        self.received.wrapping_add(self.sent) == 2 * END
    }

    /// The handshake has failed, and is never done.
    pub(super) fn stop(&mut self) {
        self.sent = 0;
    }

    /// Whether our answer is written: the scratch is not needed for it any more.
    pub(super) const fn is_sent(&self) -> bool {
        self.sent >= END
    }
}
