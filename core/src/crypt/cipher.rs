//! The keystreams of a session, and the position in each of them.

use core::fmt;

use rc4::{KeyInit, Rc4, StreamCipher};
use zeroize::Zeroize;

use super::group::{KeyPair, PublicKey};
use crate::fmt::impl_format;
use crate::mac::{self, Mac};

/// The length of a direction's key.
const KEY: usize = 16;
/// The number of pieces of 32 bytes at the beginning of each keystream that are not used.
const UNUSED: usize = 1536 / mac::LENGTH as usize;

/// The ciphers of an encrypted session. They stand between the transport and the session as long as the connection
/// exists. They change bytes in place and need no buffer.
///
/// The rest of the handshake passes unchanged. The cipher counts its bytes. The keystreams are overwritten when the
/// value is dropped, and are never formatted.
///
/// ```
/// use embedded_rtmp::crypt::Cipher;
/// use embedded_rtmp::session::Client;
/// use embedded_rtmp::time::Instant;
///
/// /// Passes received bytes to the session. Returns how many it has consumed. Pass the others again, unchanged.
/// fn receive(client: &mut Client<'_>, cipher: &mut Cipher, now: Instant, received: &mut [u8]) -> usize {
///     let lent = cipher.decipher(received);
///     let mut rest = &*lent;
///     while let Ok(Some(event)) = client.next_event(now, &mut rest) {
///         println!("{event:?}");
///     }
///     let consumed = lent.len() - rest.len();
///     cipher.consume(consumed);
///     consumed
/// }
///
/// /// Fills `out` with bytes to send. Returns their number. Each byte must be sent.
/// fn send(client: &mut Client<'_>, cipher: &mut Cipher, now: Instant, out: &mut [u8]) -> usize {
///     let length = client.poll_transmit(now, out);
///     cipher.encipher(&mut out[..length]);
///     length
/// }
/// ```
pub struct Cipher {
    incoming: Keystream,
    outgoing: Keystream,
    /// The number of bytes at the start of the input that are deciphered and not yet consumed.
    deciphered: usize,
}

/// One direction.
struct Keystream {
    rc4: Rc4,
    /// The number of bytes of the handshake that are left. They pass unchanged.
    plain: u16,
}

impl Cipher {
    /// Creates the ciphers of the side that has the keys `ours`. `left` is the number of bytes of the handshake that
    /// are left to receive and to send. Returns `None` if `theirs` cannot be a public key.
    pub(crate) fn new(ours: &KeyPair, theirs: &PublicKey, left: [u16; 2]) -> Option<Self> {
        let secret = ours.shared_secret(theirs)?;
        let [incoming, outgoing] = left;
        Some(Self {
            incoming: Keystream::new(&secret[..], ours.public_key(), incoming)?,
            outgoing: Keystream::new(&secret[..], theirs, outgoing)?,
            deciphered: 0,
        })
    }

    /// Deciphers received bytes in place, and returns the bytes that the session may read now. Until the handshake is
    /// complete, these are the bytes that belong to the handshake. Afterwards, these are all bytes.
    ///
    /// `input` must begin with the bytes that the session has not consumed, as the previous call left them. More bytes
    /// may follow. No byte is deciphered twice.
    pub fn decipher<'i>(&mut self, input: &'i mut [u8]) -> &'i mut [u8] {
        if self.incoming.plain > 0 {
            let length = input.len().min(self.incoming.plain.into());
            return input.get_mut(..length).unwrap_or_default();
        }
        if let Some(new) = input.get_mut(self.deciphered..) {
            self.incoming.rc4.apply_keystream(new);
            self.deciphered = input.len();
        }
        input
    }

    /// Records that the session has consumed the first `count` of the bytes that [`Self::decipher`] has returned.
    pub fn consume(&mut self, count: usize) {
        let plain = usize::from(self.incoming.plain);
        self.incoming.plain = crate::bytes::low_u16(plain.saturating_sub(count));
        if plain == 0 {
            self.deciphered = self.deciphered.saturating_sub(count);
        }
    }

    /// Enciphers output of the session in place. Each byte must be passed and sent exactly once, in order.
    pub fn encipher(&mut self, output: &mut [u8]) {
        let plain = output.len().min(self.outgoing.plain.into());
        self.outgoing.plain = self.outgoing.plain.saturating_sub(crate::bytes::low_u16(plain));
        if let Some(output) = output.get_mut(plain..) {
            self.outgoing.rc4.apply_keystream(output);
        }
    }
}

impl Keystream {
    /// Creates the direction to the owner of the public key `receiver`.
    fn new(secret: &[u8], receiver: &PublicKey, plain: u16) -> Option<Self> {
        let mut mac = Mac::new(secret);
        mac.update(receiver);
        let mut digest = mac.finish();
        let mut rc4 = Rc4::new_from_slice(digest.first_chunk::<KEY>()?).ok()?;
        digest.zeroize();
        for _ in 0..UNUSED {
            rc4.apply_keystream(&mut digest);
        }
        digest.zeroize();
        Some(Self { rc4, plain })
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher")
    }
}

impl_format!([] Cipher, _ => "Cipher");
