//! The block that we send: C1 or S1, generated from a seed instead of stored.

use super::OwnKey;
#[cfg(feature = "digest")]
use super::{BLOCK, DigestScheme, digest};
use crate::bytes;

/// The number of bytes that are generated at a time to compute the digest.
#[cfg(feature = "digest")]
const PIECE: usize = 64;

/// C1 or S1: time (always 0), zero or a version, and 1,528 bytes of filler (section 5.2.3).
///
/// The seed and the position determine each byte. So the block can be written in pieces of any size, and read again: to
/// compute the digest, which lies within the bytes that it covers, and to compare the peer's echo.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Block {
    /// As bytes, which need no alignment.
    step: [u8; 8],
    #[cfg(feature = "digest")]
    signed: Option<Signed>,
}

/// What the digest handshake puts into the block.
#[cfg(feature = "digest")]
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Signed {
    version: [u8; 4],
    scheme: DigestScheme,
    digest: digest::Digest,
}

impl Block {
    pub(super) const fn new(seed: u64) -> Self {
        // Small seeds have large steps, too.
        Self {
            step: (seed ^ 0x9E37_79B9_7F4A_7C15).to_le_bytes(),
            #[cfg(feature = "digest")]
            signed: None,
        }
    }

    /// Fills `out` with the bytes from position `at` on, of 1,536.
    pub(super) fn write(&self, at: u16, out: &mut [u8], key: &OwnKey<'_>) {
        self.fill(at, out);
        #[cfg(feature = "digest")]
        if let Some(signed) = &self.signed {
            bytes::overlay(&signed.version, 4, at, out);
            bytes::overlay(&signed.digest, self.digest_offset(signed.scheme), at, out);
        }
        key.write(at, out);
    }

    /// As [`Self::write`], without the version, the digest and the public key. Each eight bytes are a multiple of the step.
    /// The first eight are 0.
    fn fill(&self, mut at: u16, mut out: &mut [u8]) {
        while !out.is_empty() {
            let eight = u64::from(at >> 3).wrapping_mul(u64::from_le_bytes(self.step));
            let written = bytes::copy_in_line(eight.to_le_bytes().get(usize::from(at & 7)..).unwrap_or_default(), out);
            out = out.get_mut(written..).unwrap_or_default();
            at = at.wrapping_add(bytes::low_u16(written));
        }
    }

    /// Whether `echo` is equal to the block from position `at` on. Bytes 4 to 7 are ignored: the peer puts the time of
    /// reading there (section 5.2.4).
    pub(super) fn matches(&self, at: u16, echo: &[u8], key: &OwnKey<'_>) -> bool {
        (at..).zip(echo).all(|(at, theirs)| {
            let mut ours = [0];
            self.write(at, &mut ours, key);
            matches!(at, 4..8) || ours == [*theirs]
        })
    }
}

#[cfg(feature = "digest")]
impl Block {
    /// Puts the version and the digest into the block. A second call does nothing. The digest covers `own`, the public
    /// key in the block, if there is one.
    pub(super) fn sign(&mut self, version: [u8; 4], scheme: DigestScheme, key: digest::Key, own: &OwnKey<'_>) {
        if self.signed.is_some() {
            return;
        }
        // The digest covers the version, and all bytes except its own.
        self.signed = Some(Signed { version, scheme, digest: [0; digest::LENGTH as usize] });
        let offset = self.digest_offset(scheme);
        let mut mac = digest::Mac::new(key.signing());
        for part in [0..offset, offset.saturating_add(digest::LENGTH)..BLOCK] {
            let end = part.end;
            for at in part.step_by(PIECE) {
                let mut piece = [0; PIECE];
                let length = usize::from(end.saturating_sub(at)).min(PIECE);
                let piece = piece.get_mut(..length).unwrap_or_default();
                self.write(at, piece, own);
                mac.update(piece);
            }
        }
        let digest = mac.finish();
        if let Some(signed) = &mut self.signed {
            signed.digest = digest;
        }
    }

    /// Our digest; `None` in the simple handshake.
    pub(super) fn digest(&self) -> Option<&digest::Digest> {
        self.signed.as_ref().map(|signed| &signed.digest)
    }

    /// The position of the public key in a block of this scheme.
    #[cfg(feature = "rtmpe")]
    pub(super) fn key_offset(&self, scheme: DigestScheme) -> u16 {
        super::encrypted::offset(scheme, self.pointer(super::encrypted::base(scheme)))
    }

    fn digest_offset(&self, scheme: DigestScheme) -> u16 {
        digest::offset(scheme, self.pointer(scheme.base()))
    }

    /// The four bytes of the filler that determine a position.
    fn pointer(&self, base: u16) -> [u8; 4] {
        let mut pointer = [0; 4];
        self.fill(base, &mut pointer);
        pointer
    }
}

#[cfg(test)]
mod tests {
    use super::super::SCRATCH;
    use super::*;

    fn whole(block: &Block) -> [u8; SCRATCH] {
        let mut bytes = [0; SCRATCH];
        block.write(0, &mut bytes, &OwnKey::NONE);
        bytes
    }

    #[test]
    fn item_002_time_and_zero_come_first_then_filler() {
        let bytes = whole(&Block::new(0x0123_4567_89AB_CDEF));
        assert_eq!(bytes[..8], [0; 8]);
        assert!(bytes[8..].chunks(8).all(|piece| piece != [0; 8]));
        let mut counts = [0; 256];
        bytes[8..].iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        assert!(counts.iter().all(|&count| count < 30), "no value dominates: {counts:?}");
    }

    #[test]
    fn pieces_of_any_length_are_the_same_bytes() {
        let block = Block::new(5);
        let all = whole(&block);
        for length in 1..10 {
            let mut at = 0;
            while at < SCRATCH {
                let mut piece = [0; 9];
                let piece = &mut piece[..length.min(SCRATCH - at)];
                block.write(at as u16, piece, &OwnKey::NONE);
                assert_eq!(*piece, all[at..at + piece.len()], "{length} bytes at {at}");
                at += piece.len();
            }
        }
    }

    #[test]
    fn both_halves_of_the_seed_matter() {
        let [a, b, c] = [0, 1, 1 << 32].map(|seed| whole(&Block::new(seed)));
        assert!(a[8..] != b[8..] && a[8..] != c[8..] && b[8..] != c[8..]);
    }

    #[test]
    fn a_difference_is_seen_everywhere_but_in_the_time_of_the_answer() {
        let block = Block::new(7);
        for at in 0..SCRATCH {
            let mut bytes = whole(&block);
            bytes[at] ^= 0x40;
            assert_eq!(block.matches(0, &bytes, &OwnKey::NONE), (4..8).contains(&at), "{at}");
        }
    }
}
