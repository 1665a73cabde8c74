//! The cipher suite, with a check of each record between its decryption and embedded-tls.
//!
//! embedded-tls 0.19 panics on an empty inner plaintext, and on handshake messages after Finished except tickets. It
//! does not check the lengths of handshake messages, and it does not report the description of an encrypted alert. The
//! cipher sees the plaintext first, so it refuses or replaces such records. It learns the phase of the connection from
//! the version bytes in the header of the record, which embedded-tls passes on without checking them: see
//! [`PHASE_OPEN`].

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::consts::{U12, U16, U54};
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::{AeadCore, AeadInPlace, Error, Key, KeyInit, KeySizeUser, Nonce, Tag};
use embedded_tls::TlsCipherSuite;

/// The last version byte of a record's header before the client's Finished, and in every record on the wire.
pub(super) const PHASE_HANDSHAKE: u8 = 3;
/// The last version byte that the relay writes into the headers of records that come later.
pub(super) const PHASE_OPEN: u8 = 4;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

const NEW_SESSION_TICKET: u8 = 4;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

const CLOSE_NOTIFY: u8 = 0;
const INTERNAL_ERROR: u8 = 80;

/// `TLS_AES_128_GCM_SHA256`.
pub(super) const SUITE: u16 = 0x1301;

/// `TLS_AES_128_GCM_SHA256` with the check.
pub(super) struct Suite;

impl TlsCipherSuite for Suite {
    const CODE_POINT: u16 = SUITE;
    type Cipher = Checked;
    type KeyLen = U16;
    type IvLen = U12;
    type Hash = sha2::Sha256;
    type LabelBufferSize = U54;
}

/// AES-128-GCM with a check of the decrypted plaintext.
pub(super) struct Checked(Aes128Gcm);

impl KeySizeUser for Checked {
    type KeySize = U16;
}

impl KeyInit for Checked {
    fn new(key: &Key<Self>) -> Self {
        Self(Aes128Gcm::new(key))
    }
}

impl AeadCore for Checked {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = <Aes128Gcm as AeadCore>::CiphertextOverhead;
}

impl AeadInPlace for Checked {
    fn encrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
    ) -> Result<GenericArray<u8, U16>, Error> {
        self.0.encrypt_in_place_detached(nonce, header, buffer)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
        tag: &Tag<Self>,
    ) -> Result<(), Error> {
        let &[kind, major, phase, high, low] = header else { return Err(Error) };
        let header = [kind, major, PHASE_HANDSHAKE, high, low];
        self.0.decrypt_in_place_detached(nonce, &header, buffer, tag)?;
        screen(phase == PHASE_OPEN, buffer).ok_or(Error)
    }
}

/// Checks an inner plaintext. If embedded-tls cannot report its meaning, replaces it with a plaintext for which
/// embedded-tls reports a known error.
///
/// Returns `None` if the record is not valid.
fn screen(is_open: bool, plain: &mut [u8]) -> Option<()> {
    let end = plain.iter().rposition(|byte| *byte != 0)?;
    let (content, rest) = plain.split_at_mut(end);
    match (rest.first()?, is_open) {
        (&APPLICATION_DATA, true) => Some(()),
        (&ALERT, _) => {
            let [_, description] = content else { return None };
            if *description != CLOSE_NOTIFY {
                // embedded-tls does not know every description, so all alerts except `close_notify` get the same one.
                *description = INTERNAL_ERROR;
            }
            Some(())
        }
        (&HANDSHAKE, _) => match messages(is_open, content)? {
            Messages::Known => Some(()),
            Messages::Cut => replace(plain, &[ENCRYPTED_EXTENSIONS, 0, 0, 0, HANDSHAKE]),
            Messages::KeyUpdate => replace(plain, &[KEY_UPDATE, 0, 0, 0, HANDSHAKE]),
            Messages::Tickets => replace(plain, &[APPLICATION_DATA]),
        },
        _ => None,
    }
}

/// The handshake messages of a record.
enum Messages {
    /// Complete messages of the server's flight. embedded-tls parses them.
    Known,
    /// The record ends inside a message. It is replaced by a message without the length of its extensions, for which
    /// embedded-tls has a separate error.
    Cut,
    /// There is a KeyUpdate, for which embedded-tls has a separate error.
    KeyUpdate,
    /// There are only tickets, which are not used. They are replaced by a record without data.
    Tickets,
}

/// Classifies the handshake messages of a record. Returns `None` if one of them is not allowed there.
fn messages(is_open: bool, mut content: &[u8]) -> Option<Messages> {
    let mut found = if is_open { Messages::Tickets } else { Messages::Known };
    if content.is_empty() {
        return None;
    }
    while let Some((kind, rest)) = content.split_first() {
        match (*kind, is_open) {
            (NEW_SESSION_TICKET, true) => {}
            (KEY_UPDATE, true) => found = Messages::KeyUpdate,
            (ENCRYPTED_EXTENSIONS | CERTIFICATE | CERTIFICATE_REQUEST | CERTIFICATE_VERIFY | FINISHED, false) => {}
            _ => return None,
        }
        let Some(([a, b, c], body)) = rest.split_first_chunk() else { return Some(Messages::Cut) };
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some((body, rest)) = body.split_at_checked(length) else { return Some(Messages::Cut) };
        // The length of the extensions must be present, because its absence stands for a cut message. Nothing follows
        // Finished with the same keys.
        if (*kind == ENCRYPTED_EXTENSIONS && body.len() < 2) || (*kind == FINISHED && !rest.is_empty()) {
            return None;
        }
        content = rest;
    }
    Some(found)
}

/// Replaces a plaintext with `by` and padding. Returns `None` if `by` is longer.
fn replace(plain: &mut [u8], by: &[u8]) -> Option<()> {
    plain.fill(0);
    let shorter = plain.len() < by.len();
    for (to, from) in plain.iter_mut().zip(by) {
        *to = *from;
    }
    (!shorter).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Returns the plaintext that embedded-tls gets, without its padding.
    fn screened(is_open: bool, plain: &[u8]) -> Option<Vec<u8>> {
        let mut plain = plain.to_vec();
        screen(is_open, &mut plain)?;
        let end = plain.iter().rposition(|byte| *byte != 0).unwrap();
        Some(plain[..=end].to_vec())
    }

    #[test]
    fn item_231_what_makes_embedded_tls_panic_is_refused() {
        for is_open in [false, true] {
            assert_eq!(screened(is_open, &[]), None, "an empty plaintext");
            assert_eq!(screened(is_open, &[0; 20]), None, "only padding");
            assert_eq!(screened(is_open, &[HANDSHAKE]), None, "no message");
            assert_eq!(screened(is_open, &[1, CHANGE_CIPHER_SPEC]), None);
            assert!(screened(is_open, &[1, 0, ALERT]).is_some());
            assert_eq!(screened(is_open, &[1, ALERT]), None, "half an alert");
        }
        for kind in 0..=255 {
            let message = [kind, 0, 0, 2, 0, 0, HANDSHAKE];
            let after = screened(true, &message);
            match kind {
                NEW_SESSION_TICKET => assert_eq!(after.as_deref(), Some(&[APPLICATION_DATA][..])),
                KEY_UPDATE => assert_eq!(after.as_deref(), Some(&[KEY_UPDATE, 0, 0, 0, HANDSHAKE][..])),
                _ => assert_eq!(after, None, "message {kind} after Finished"),
            }
            let before = screened(false, &message);
            let is_known = [8, 11, 13, 15, 20].contains(&kind);
            assert_eq!(before.is_some(), is_known, "message {kind} before Finished");
        }
    }

    #[test]
    fn a_message_that_is_cut_is_told_apart() {
        let message = [CERTIFICATE, 0, 0, 3, 1, 2, 3];
        for cut in 1..message.len() {
            let record = [&message[..cut], &[HANDSHAKE]].concat();
            let expected = (record.len() >= 5).then(|| std::vec![ENCRYPTED_EXTENSIONS, 0, 0, 0, HANDSHAKE]);
            assert_eq!(screened(false, &record), expected);
        }
        assert_eq!(screened(false, &[&message[..], &[HANDSHAKE]].concat()).unwrap().len(), 8);
    }

    #[test]
    fn alerts_keep_only_whether_they_close() {
        assert_eq!(screened(true, &[1, 0, ALERT]).unwrap(), [1, 0, ALERT]);
        assert_eq!(screened(true, &[2, 255, ALERT]).unwrap(), [2, INTERNAL_ERROR, ALERT]);
    }
}
