//! RTMPE between a session and its transport. Without the feature `rtmpe`, bytes pass unchanged, and nothing is stored.

#[cfg(feature = "rtmpe")]
use embedded_rtmp::crypt::{Cipher, KeyPair};
#[cfg(feature = "rtmpe")]
use embedded_rtmp::session::{Client, Connection, RequestError, Role};
#[cfg(feature = "rtmpe")]
use embedded_rtmp::time::Instant;

/// The keys of a session.
#[cfg(feature = "rtmpe")]
#[allow(clippy::large_enum_variant, reason = "there is no heap, and the keys must have room for the largest variant")]
pub(crate) enum Keys {
    /// The session is not encrypted, or the client has not sent its version yet.
    None,
    /// The key pair, before the agreement.
    Pair(KeyPair),
    /// The ciphers, after the agreement. The rest of the handshake still passes unchanged.
    Ciphers(Cipher),
}

/// The keys of a session.
#[cfg(not(feature = "rtmpe"))]
pub(crate) enum Keys {
    /// The session is not encrypted.
    None,
}

#[cfg(feature = "rtmpe")]
impl Keys {
    /// Passes received bytes to `f`, which removes bytes from the front. Returns how many it has removed.
    #[inline]
    pub(crate) fn read(&mut self, input: &mut [u8], f: impl FnOnce(&mut &[u8])) -> usize {
        let lent = match self {
            Self::Ciphers(cipher) => cipher.decipher(input),
            _ => input,
        };
        let mut rest = &*lent;
        f(&mut rest);
        let consumed = lent.len().saturating_sub(rest.len());
        if let Self::Ciphers(cipher) = self {
            cipher.consume(consumed);
        }
        consumed
    }

    /// Enciphers the first `written` bytes of `room`, which the session has written and which are sent next. Returns
    /// their number.
    #[inline]
    pub(crate) fn write(&mut self, room: &mut [u8], written: usize) -> usize {
        if let Self::Ciphers(cipher) = self {
            cipher.encipher(room.get_mut(..written).unwrap_or_default());
        }
        written
    }

    /// Makes the keys of a client. Its session then begins with them.
    pub(crate) fn begin<const STREAMS: usize, const PLAYS: usize>(
        &mut self,
        client: &mut Client<'_, STREAMS, PLAYS>,
        entropy: &[u8; 32],
    ) -> Result<(), RequestError> {
        let pair = KeyPair::new(entropy);
        client.encrypt(&pair)?;
        *self = Self::Pair(pair);
        Ok(())
    }

    /// Agrees with the peer on keys, if the session needs keys and there is a key pair. Returns whether it did.
    #[inline]
    pub(crate) fn agree<R: Role, const STREAMS: usize>(
        &mut self,
        session: &mut Connection<'_, R, STREAMS>,
        now: Instant,
    ) -> bool {
        let Self::Pair(pair) = self else { return false };
        let Some(cipher) = session.agree(now, pair) else { return false };
        *self = Self::Ciphers(cipher);
        true
    }
}

#[cfg(not(feature = "rtmpe"))]
impl Keys {
    /// Passes received bytes to `f`, which removes bytes from the front. Returns how many it has removed.
    #[inline(always)]
    pub(crate) fn read(&mut self, input: &mut [u8], f: impl FnOnce(&mut &[u8])) -> usize {
        let mut rest = &*input;
        f(&mut rest);
        input.len().wrapping_sub(rest.len())
    }

    /// Returns `written`.
    #[inline(always)]
    pub(crate) fn write(&mut self, _: &mut [u8], written: usize) -> usize {
        written
    }
}
