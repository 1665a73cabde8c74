//! RTMPE between a session and its connection.

use embedded_rtmp::crypt::Cipher;

/// The ciphers of a connection. Without them, bytes pass unchanged.
#[derive(Debug, Default)]
pub(crate) struct Keys(pub(crate) Option<Cipher>);

impl Keys {
    /// Deciphers received bytes in place, and passes them to `consume`, which removes bytes from the front. Returns the
    /// number of removed bytes, and the result of `consume`.
    pub(crate) fn receive<R>(&mut self, input: &mut [u8], consume: impl FnOnce(&mut &[u8]) -> R) -> (usize, R) {
        let lent = match &mut self.0 {
            None => input,
            Some(cipher) => cipher.decipher(input),
        };
        let mut rest = &*lent;
        let result = consume(&mut rest);
        let consumed = lent.len() - rest.len();
        if let Some(cipher) = &mut self.0 {
            cipher.consume(consumed);
        }
        (consumed, result)
    }

    /// Enciphers in place the bytes that are sent next.
    pub(crate) fn send(&mut self, output: &mut [u8]) {
        if let Some(cipher) = &mut self.0 {
            cipher.encipher(output);
        }
    }
}
