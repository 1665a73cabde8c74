//! The block that we send: C1 or S1, generated from a seed instead of stored.

use super::OwnKey;
#[cfg(feature = "digest")]
use super::{BLOCK, DigestScheme, digest};

/// C1 or S1: time (always 0), zero or a version, and 1,528 bytes of filler (section 5.2.3).
///
/// The seed and the position determine each byte. So the block can be written in pieces of any size, and read again: to
/// compute the digest, which lies within the bytes that it covers, and to compare the peer's echo.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Block {
    seed: [u32; 2],
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
        let [a, b, c, d, e, f, g, h] = seed.to_le_bytes();
        Self {
            seed: [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])],
            #[cfg(feature = "digest")]
            signed: None,
        }
    }

    /// The byte at position `at`, of 1,536. A session makes one or two blocks, so this is written for size, not speed.
    pub(super) fn byte(&self, at: u16, key: &OwnKey<'_>) -> u8 {
        #[cfg(feature = "digest")]
        if let Some(signed) = &self.signed
            && let Some(place) = at.checked_sub(self.digest_offset(signed.scheme))
            && let Some(byte) = signed.digest.get(usize::from(place))
        {
            return *byte;
        }
        key.byte(at).unwrap_or_else(|| self.filler(at))
    }

    /// Whether `echo` is equal to the block from position `at` on. Bytes 4 to 7 are ignored: the peer puts the time of
    /// reading there (section 5.2.4).
    pub(super) fn matches(&self, at: u16, echo: &[u8], key: &OwnKey<'_>) -> bool {
        (at..).zip(echo).all(|(at, theirs)| matches!(at, 4..8) || self.byte(at, key) == *theirs)
    }

    /// The byte at position `at`, without the digest and the public key.
    fn filler(&self, at: u16) -> u8 {
        let [byte, ..] = (self.word(at >> 2) >> ((at & 3) << 3)).to_le_bytes();
        byte
    }

    /// Four bytes of the filler, the first one lowest.
    #[inline(never)]
    fn word(&self, index: u16) -> u32 {
        match index {
            0 => 0,
            1 => self.version(),
            _ => {
                // The finalizer of MurmurHash3 over a counter: looks random, costs two multiplications.
                let [low, high] = self.seed;
                let mut word = u32::from(index).wrapping_mul(0x9E37_79B9).wrapping_add(low);
                word = (word ^ (word >> 16)).wrapping_mul(0x85EB_CA6B) ^ high;
                word = (word ^ (word >> 13)).wrapping_mul(0xC2B2_AE35);
                word ^ (word >> 16)
            }
        }
    }

    #[cfg(not(feature = "digest"))]
    const fn version(&self) -> u32 {
        0
    }

    #[cfg(feature = "digest")]
    fn version(&self) -> u32 {
        self.signed.as_ref().map_or(0, |signed| u32::from_le_bytes(signed.version))
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
        for at in (0..offset).chain(offset.saturating_add(digest::LENGTH)..BLOCK) {
            mac.update(&[self.byte(at, own)]);
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
        super::encrypted::offset(scheme, self.word(super::encrypted::base(scheme) >> 2).to_le_bytes())
    }

    fn digest_offset(&self, scheme: DigestScheme) -> u16 {
        digest::offset(scheme, self.word(scheme.base() >> 2).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::SCRATCH;
    use super::*;

    fn whole(block: &Block) -> [u8; SCRATCH] {
        core::array::from_fn(|at| block.byte(at as u16, &OwnKey::NONE))
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
