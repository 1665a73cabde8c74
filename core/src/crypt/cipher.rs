//! The keystreams of a session, and how far each direction is.

use core::fmt;

use rc4::{KeyInit, Rc4, StreamCipher};
use zeroize::Zeroize;

use super::group::{KeyPair, PublicKey};
use crate::fmt::impl_format;
use crate::mac::{self, Mac};

/// The length of a direction's key.
const KEY: usize = 16;
/// How many pieces of 32 bytes at the beginning of each keystream are not used.
const UNUSED: usize = 1536 / mac::LENGTH as usize;

/// The ciphers of an encrypted session, which stands between the transport and the session for as long as the connection
/// lives. It changes bytes in place, and needs no buffer.
///
/// The rest of the handshake passes unchanged: the cipher counts its bytes. The keystreams are overwritten when the value is
/// dropped, and are never printed.
///
/// ```
/// use embedded_rtmp::crypt::Cipher;
/// use embedded_rtmp::session::Client;
/// use embedded_rtmp::time::Instant;
///
/// /// Passes received bytes to the session. Returns how many it has consumed; the others must come again, as they are now.
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
    /// How many bytes at the front of the input are deciphered and not consumed.
    deciphered: usize,
}

/// One direction.
struct Keystream {
    rc4: Rc4,
    /// How many bytes of the handshake are left, which pass unchanged.
    plain: u16,
}

impl Cipher {
    /// The ciphers of the side that has `ours`. `left` is how many bytes of the handshake are left to receive and to send.
    /// Returns `None` if `theirs` cannot be a public key.
    pub(crate) fn new(ours: &KeyPair, theirs: &PublicKey, left: [u16; 2]) -> Option<Self> {
        let secret = ours.shared_secret(theirs)?;
        let [incoming, outgoing] = left;
        Some(Self {
            incoming: Keystream::new(&secret[..], ours.public_key(), incoming)?,
            outgoing: Keystream::new(&secret[..], theirs, outgoing)?,
            deciphered: 0,
        })
    }

    /// Deciphers received bytes in place, and returns those that the session may read now. While the handshake lasts, these
    /// are the rest of the handshake; afterwards they are all.
    ///
    /// `input` begins with the bytes that the session has not consumed, as they are after the previous call. More bytes may
    /// follow them. No byte is deciphered twice.
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

    /// Records that the session has consumed `count` of the bytes that [`Self::decipher`] has returned, from the front.
    pub fn consume(&mut self, count: usize) {
        let plain = usize::from(self.incoming.plain);
        self.incoming.plain = crate::bytes::low_u16(plain.saturating_sub(count));
        if plain == 0 {
            self.deciphered = self.deciphered.saturating_sub(count);
        }
    }

    /// Enciphers bytes of the session in place. They are sent exactly once, in this order.
    pub fn encipher(&mut self, output: &mut [u8]) {
        let plain = output.len().min(self.outgoing.plain.into());
        self.outgoing.plain = self.outgoing.plain.saturating_sub(crate::bytes::low_u16(plain));
        if let Some(output) = output.get_mut(plain..) {
            self.outgoing.rc4.apply_keystream(output);
        }
    }
}

impl Keystream {
    /// The direction to the owner of the public key `receiver`.
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
