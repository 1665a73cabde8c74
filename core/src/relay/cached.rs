//! The messages that a player needs before it begins. They are cached whole, outside the ring.

use crate::bytes::{copy, low_u32};
use crate::message::MessageKind;

/// A message that is cached.
#[derive(Debug)]
pub(super) struct HeaderCache<'b> {
    pub(super) kind: MessageKind,
    buffer: &'b mut [u8],
    length: u32,
    is_there: bool,
    /// Its position in the ring when it last changed. The bytes change only together with this.
    pub(super) position: u64,
}

impl<'b> HeaderCache<'b> {
    pub(super) const fn new(kind: MessageKind, buffer: &'b mut [u8]) -> Self {
        Self { kind, buffer, length: 0, is_there: false, position: 0 }
    }

    /// The payload, if there is one.
    pub(super) fn payload(&self) -> Option<&[u8]> {
        self.buffer.get(..self.length as usize).filter(|_| self.is_there)
    }

    /// The payload from `start` on, also if it was cleared.
    pub(super) fn rest(&self, start: u32) -> &[u8] {
        self.buffer.get(start as usize..self.length as usize).unwrap_or(&[])
    }

    /// Caches a message that lies in two parts. Returns whether it differs from the one before. If it does not fit, the
    /// one before is cleared and the result is `None`.
    pub(super) fn keep(&mut self, parts: [&[u8]; 2], position: u64) -> Option<bool> {
        let [first, second] = parts;
        let is_new = self.payload().and_then(|cached| cached.split_at_checked(first.len())) != Some((first, second));
        if is_new {
            (self.position, self.length, self.is_there) = (position, 0, false);
            copy(first, self.buffer);
            copy(second, self.buffer.get_mut(first.len()..).unwrap_or(&mut []));
            let length = first.len().wrapping_add(second.len());
            if length > self.buffer.len() {
                return None;
            }
            (self.length, self.is_there) = (low_u32(length), true);
        }
        Some(is_new)
    }

    /// Swaps the memory with that of another. Both are empty then. Players that have begun a message cannot complete it.
    pub(super) fn swap_memory(&mut self, other: &mut Self, positions: [u64; 2]) {
        core::mem::swap(&mut self.buffer, &mut other.buffer);
        for (cached, position) in [self, other].into_iter().zip(positions) {
            (cached.position, cached.length, cached.is_there) = (position, 0, false);
        }
    }

    /// Clears it. A player that has begun it can complete it.
    pub(super) fn clear(&mut self) {
        self.is_there = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_the_same_is_not_new() {
        let mut buffer = [0; 4];
        let mut cached = HeaderCache::new(MessageKind::AUDIO, &mut buffer);
        assert_eq!(cached.payload(), None);
        assert_eq!(
            (cached.keep([b"ab", b"c"], 7), cached.payload(), cached.position),
            (Some(true), Some(&b"abc"[..]), 7)
        );
        assert_eq!((cached.keep([b"abc", b""], 9), cached.position), (Some(false), 7));
        assert_eq!((cached.keep([b"abd", b""], 9), cached.position), (Some(true), 9));
        assert_eq!((cached.keep([b"abcd", b"e"], 10), cached.payload()), (None, None));
        assert_eq!((cached.keep([b"", b""], 11), cached.payload()), (Some(true), Some(&b""[..])));
        assert_eq!(cached.keep([b"abcd", b""], 12), Some(true));
        cached.clear();
        assert_eq!((cached.payload(), cached.rest(1)), (None, &b"bcd"[..]));
    }
}
