//! HMAC-SHA256, for the digests of the handshake, the keys of RTMPE, and the challenges of a server.

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;

/// The result of HMAC-SHA256.
pub(crate) type Digest = [u8; LENGTH as usize];

/// The length of a [`Digest`].
pub(crate) const LENGTH: u16 = 32;

/// HMAC-SHA256, in pieces.
pub(crate) struct Mac(Option<Hmac<Sha256>>);

impl Mac {
    pub(crate) fn new(key: &[u8]) -> Self {
        // HMAC accepts keys of any length, so this is always `Some`.
        Self(Hmac::new_from_slice(key).ok())
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        if let Some(mac) = &mut self.0 {
            mac.update(data);
        }
    }

    pub(crate) fn finish(self) -> Digest {
        self.0.map_or([0; LENGTH as usize], |mac| mac.finalize().into_bytes().into())
    }
}
