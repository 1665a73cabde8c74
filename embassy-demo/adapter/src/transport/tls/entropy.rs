//! Random numbers for one handshake, from 32 bytes of the caller.

use rand_core_06::{CryptoRng, Error, RngCore};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// SHA-256 in counter mode. A handshake takes 64 bytes: the random number of the ClientHello, and the key.
pub(super) struct Random {
    seed: [u8; 32],
    counter: u32,
}

impl Random {
    pub(super) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.counter = self.counter.wrapping_add(1);
        let hash = Sha256::new().chain_update(b"embedded-rtmp tls").chain_update(self.seed);
        hash.chain_update(self.counter.to_be_bytes()).finalize().into()
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core_06::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core_06::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut block = self.block();
            chunk.iter_mut().zip(block).for_each(|(to, from)| *to = from);
            block.zeroize();
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Random {}
