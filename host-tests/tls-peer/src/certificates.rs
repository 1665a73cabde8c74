//! Certificates that the tests make: X.509 in DER, signed with P-256.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use sha2::{Digest, Sha256};

/// A key pair. Equal seeds give equal keys.
#[derive(Debug, Clone)]
pub struct Key(SigningKey);

impl Key {
    /// The key of a seed from 1 to 254.
    ///
    /// # Panics
    /// If the seed is 0 or 255.
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    /// The SubjectPublicKeyInfo.
    fn spki(&self) -> Vec<u8> {
        let algorithm = sequence(&[&oid(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1]), &oid(P256)]);
        let point = self.0.verifying_key().to_encoded_point(false);
        sequence(&[&algorithm, &element(3, &[&[0], point.as_bytes()])])
    }

    /// The hash of the SubjectPublicKeyInfo.
    pub fn pin(&self) -> [u8; 32] {
        Sha256::digest(self.spki()).into()
    }

    /// The signature of a message, in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }
}

const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7];
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];

/// The fields of a certificate.
#[derive(Debug, Clone)]
pub struct Certificate<'c> {
    /// The common name of its owner.
    pub subject: &'c str,
    /// The common name of its issuer.
    pub issuer: &'c str,
    /// The key of its owner.
    pub key: &'c Key,
    /// The dNSName entries.
    pub names: &'c [&'c str],
    /// An iPAddress entry.
    pub address: Option<[u8; 4]>,
    /// basicConstraints, if there is one.
    pub is_ca: Option<bool>,
    /// The time from which it is valid, as UTCTime.
    pub from: &'c str,
    /// The time until which it is valid, as UTCTime.
    pub to: &'c str,
    /// Whether it has an unknown critical extension.
    pub is_odd: bool,
}

impl<'c> Certificate<'c> {
    /// Describes a server's certificate that is valid from 2020 to 2040.
    pub fn new(subject: &'c str, issuer: &'c str, key: &'c Key, names: &'c [&'c str]) -> Self {
        let (from, to) = ("200101000000Z", "400101000000Z");
        Self { subject, issuer, key, names, address: None, is_ca: None, from, to, is_odd: false }
    }

    /// Describes a CA's certificate.
    pub fn ca(subject: &'c str, issuer: &'c str, key: &'c Key) -> Self {
        Self { is_ca: Some(true), ..Self::new(subject, issuer, key, &[]) }
    }

    /// Returns the certificate, signed with the key of its issuer.
    pub fn sign(&self, issuer: &Key) -> Vec<u8> {
        let algorithm = sequence(&[&oid(ECDSA_SHA256)]);
        let validity = sequence(&[&element(0x17, &[self.from.as_bytes()]), &element(0x17, &[self.to.as_bytes()])]);
        let mut extensions = Vec::new();
        let mut add = |id: &[u8], is_critical: bool, value: Vec<u8>| {
            let critical = if is_critical { element(1, &[&[0xFF]]) } else { Vec::new() };
            extensions.extend(sequence(&[&oid(id), &critical, &element(4, &[&value])]));
        };
        if let Some(is_ca) = self.is_ca {
            let value = if is_ca { element(1, &[&[0xFF]]) } else { Vec::new() };
            add(&[0x55, 0x1D, 0x13], true, sequence(&[&value]));
        }
        if !self.names.is_empty() || self.address.is_some() {
            let names = self.names.iter().map(|name| element(0x82, &[name.as_bytes()]));
            let names: Vec<u8> =
                names.chain(self.address.map(|address| element(0x87, &[&address]))).flatten().collect();
            add(&[0x55, 0x1D, 0x11], false, sequence(&[&names]));
        }
        if self.is_odd {
            add(&[0x2A, 3, 4, 5], true, vec![5, 0]);
        }
        let extensions = if extensions.is_empty() { Vec::new() } else { element(0xA3, &[&sequence(&[&extensions])]) };
        let body = sequence(&[
            &element(0xA0, &[&[2, 1, 2]]),
            &[2, 1, 1],
            &algorithm,
            &name(self.issuer),
            &validity,
            &name(self.subject),
            &self.key.spki(),
            &extensions,
        ]);
        let signature = issuer.sign(&body);
        sequence(&[&body, &algorithm, &element(3, &[&[0], &signature])])
    }
}

fn name(text: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid(&[0x55, 4, 3]), &element(0x0C, &[text.as_bytes()])]);
    sequence(&[&element(0x31, &[&attribute])])
}

fn oid(bytes: &[u8]) -> Vec<u8> {
    element(6, &[bytes])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, parts)
}

fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}
