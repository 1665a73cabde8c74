//! Verifiers, which decide which servers are trusted, and the record of what was verified.

use core::cell::RefCell;
use core::net::IpAddr;
use core::time::Duration;

use embassy_sync::blocking_mutex::CriticalSectionMutex;
use embedded_tls::{
    CertificateEntryRef, CertificateRef, CertificateVerifyRef, CryptoProvider, SignatureScheme, TlsError as Engine,
    TlsVerifier,
};
use heapless::Vec;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm, UnixTime,
};
use sha2::{Digest, Sha256};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::algorithms::{Algorithm, Algorithms, Key, P256, Signed};
use super::cipher::Suite;
use super::deferred::{Check, Deferred};
use super::der::{Certificate, PublicKey};
use super::entropy::Random;
use super::error::{Refusal, TlsError};
use crate::fmt::{impl_format, info};

/// The largest number of certificates of a server. The verifier searches a path among them, and the work grows with the
/// factorial of their number: with 5, there are at most 65 paths to each trust anchor.
const MOST: usize = 5;

/// The largest number of certificates that embedded-tls reads.
const MOST_SENT: usize = 16;

/// Verifies the identity of a server: [`Pin`], [`Roots`] or a verifier of the caller.
///
/// For each connection, `certificate` is called with the certificates of the server. If it returns `Ok`, `signature` is
/// called with the signature that the server has made with the key of the first certificate. [`Pin`] and
/// [`Roots`] put checks off with `later`; a verifier of the caller checks at once. A connection is used only if each of them was called exactly once, in this order, both returned `Ok`,
/// and the checks that were put off have passed.
pub trait Verifier {
    /// Whether the ClientHello offers RSA for the signature.
    const OFFERS_RSA: bool;

    /// Verifies the certificates of a server, in DER. The first one is the server's. `host` is the name or the address from
    /// the URL. The verifier stores the key of the first certificate for [`signature`](Self::signature).
    ///
    /// # Errors
    /// The server is not trusted.
    fn certificate(&mut self, host: &str, chain: &[&[u8]], later: &mut Deferred) -> Result<(), Refusal>;

    /// Verifies that `signature` is a signature of `message` with the key of the first certificate. `scheme` is a
    /// signature scheme of RFC 8446, section 4.2.3.
    ///
    /// # Errors
    /// The signature is wrong, or the scheme is not supported.
    fn signature(&mut self, scheme: u16, message: &[u8], signature: &[u8], later: &mut Deferred)
    -> Result<(), Refusal>;
}

impl<V: Verifier + ?Sized> Verifier for &mut V {
    const OFFERS_RSA: bool = V::OFFERS_RSA;

    fn certificate(&mut self, host: &str, chain: &[&[u8]], later: &mut Deferred) -> Result<(), Refusal> {
        (**self).certificate(host, chain, later)
    }

    fn signature(
        &mut self,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
        later: &mut Deferred,
    ) -> Result<(), Refusal> {
        (**self).signature(scheme, message, signature, later)
    }
}

/// Verifies the signature of a CertificateVerify with the key that was stored, or puts the check off.
fn verify<A: Algorithms>(key: &A::Key, scheme: u16, signed: Signed<'_>, later: &mut Deferred) -> Result<(), Refusal> {
    let key = PublicKey::parse(key.spki()).ok_or(Refusal::Malformed)?;
    A::verify(scheme, key, signed, later)
}

/// Trusts servers by their keys. The name and the validity of the certificate are not checked, because only the
/// intended server has the pinned key.
///
/// The server must have one of the keys, and must sign with it: a copy of its certificate proves nothing.
pub struct Pin<'p, A: Algorithms = P256> {
    pins: &'p [[u8; 32]],
    key: A::Key,
}

impl_format!(Debug, ['p, A: Algorithms] Pin<'p, A>, this => "Pin {{ {} }}", this.pins.len());

impl<'p, A: Algorithms> Pin<'p, A> {
    /// Trusts servers that have one of the keys. Each pin is the SHA-256 hash of a SubjectPublicKeyInfo in DER. Pin a
    /// second key as a backup, so that a device can still connect when the first key must be replaced. This command
    /// computes the hash from a certificate:
    ///
    /// ```sh
    /// openssl x509 -in cert.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256
    /// ```
    pub const fn new(pins: &'p [[u8; 32]]) -> Self {
        Self { pins, key: A::Key::NONE }
    }
}

impl<A: Algorithms> Verifier for Pin<'_, A> {
    const OFFERS_RSA: bool = A::OFFERS_RSA;

    fn certificate(&mut self, _: &str, chain: &[&[u8]], _: &mut Deferred) -> Result<(), Refusal> {
        let certificate = chain.first().and_then(|first| Certificate::parse(first)).ok_or(Refusal::Malformed)?;
        let hash: [u8; 32] = Sha256::digest(certificate.spki).into();
        if !self.pins.contains(&hash) {
            return Err(Refusal::WrongKey);
        }
        self.key.store(certificate.spki)
    }

    fn signature(
        &mut self,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
        later: &mut Deferred,
    ) -> Result<(), Refusal> {
        verify::<A>(&self.key, scheme, Signed { message, signature }, later)
    }
}

/// The time at which certificates must be valid.
#[derive(Debug, Clone, Copy)]
pub enum Time {
    /// Returns the seconds since the beginning of 1970, in UTC. A clock that is not set refuses every certificate.
    Clock(fn() -> u64),
    /// There is no clock. The time is at least the one at which the newest certificate of the server became valid, so
    /// that time is used. Certificates that are valid now are always accepted. An expired certificate is accepted, too,
    /// unless the server also sends one that became valid after the other one had expired. A log line reports once for
    /// each [`Roots`] that the validity is not checked.
    NoClock,
}

impl_format!([] Time, this => "{}", match this { Self::Clock(_) => "Clock", Self::NoClock => "NoClock" });

/// Trusts servers whose certificates a trusted CA has signed, for the name or the address in the URL.
///
/// The path is validated by `rustls-webpki` (RFC 5280): signatures, basicConstraints, extended key usage, name
/// constraints and critical extensions. keyUsage is not checked. Names are compared as in RFC 9525: only dNSName
/// entries count, `*` only as the whole left-most label, and an address only as an iPAddress entry. Revocation is not
/// checked.
pub struct Roots<'r, A: Algorithms = P256> {
    anchors: &'r [&'r [u8]],
    time: Time,
    has_warned: bool,
    key: A::Key,
}

impl_format!(Debug, ['r, A: Algorithms] Roots<'r, A>, this => "Roots {{ {}, {:?} }}", this.anchors.len(), this.time);

impl<'r, A: Algorithms> Roots<'r, A> {
    /// Trusts the CAs whose certificates in DER are `anchors`. An anchor may be an intermediate CA. Its own issuer is
    /// then not needed.
    pub const fn new(anchors: &'r [&'r [u8]], time: Time) -> Self {
        Self { anchors, time, has_warned: false, key: A::Key::NONE }
    }

    /// Whether every certificate with the name of the leaf's issuer has the same key. The signature of the leaf then has one
    /// result on all paths, so its check can be put off until a path is found.
    fn has_one_issuer(&self, leaf: &Certificate<'_>, intermediates: &[CertificateDer<'_>]) -> bool {
        let mut key = None;
        let all = intermediates.iter().map(|it| &**it).chain(self.anchors.iter().copied());
        let mut parsed = all.map(Certificate::parse);
        parsed.all(|it| it.is_some_and(|it| it.subject != leaf.issuer || *key.get_or_insert(it.spki) == it.spki))
    }

    /// Returns the time at which the certificates must be valid.
    fn time(&mut self, chain: &[&[u8]]) -> u64 {
        match self.time {
            Time::Clock(clock) => clock(),
            Time::NoClock => {
                if !self.has_warned {
                    info!("TLS: there is no clock, so the validity of certificates is not checked");
                    self.has_warned = true;
                }
                let mut last = 0;
                // Malformed certificates are skipped, because a path may not need them.
                for begin in chain.iter().filter_map(|certificate| Certificate::parse(certificate)?.not_before()) {
                    last = begin.max(last);
                }
                last
            }
        }
    }
}

impl<A: Algorithms> Verifier for Roots<'_, A> {
    const OFFERS_RSA: bool = A::OFFERS_RSA;

    // This function is not inlined, so that its memory is not on the stack when the signature is verified.
    #[inline(never)]
    fn certificate(&mut self, host: &str, chain: &[&[u8]], later: &mut Deferred) -> Result<(), Refusal> {
        let name = ServerName::try_from(host).map_err(|_| Refusal::WrongName)?;
        if chain.len() > MOST {
            return Err(Refusal::ChainTooLong);
        }
        let certificates: Vec<CertificateDer<'_>, MOST> =
            chain.iter().map(|bytes| CertificateDer::from(*bytes)).collect();
        let (first, intermediates) = certificates.split_first().ok_or(Refusal::Malformed)?;
        let certificate = EndEntityCert::try_from(first).map_err(refusal)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(self.time(chain)));
        let leaf = Certificate::parse(first).ok_or(Refusal::Malformed)?;
        let last = Last {
            puts_off: self.has_one_issuer(&leaf, intermediates),
            check: CriticalSectionMutex::new(RefCell::new(None)),
        };
        let lagging: Vec<Lagging<'_>, ALGORITHMS> =
            A::of_certificates().iter().map(|algorithm| Lagging { algorithm: *algorithm, last: &last }).collect();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm, ALGORITHMS> =
            lagging.iter().map(|it| it as &dyn SignatureVerificationAlgorithm).collect();
        let mut refused = Refusal::UnknownIssuer;
        let is_trusted = self.anchors.iter().any(|anchor| {
            let anchor = CertificateDer::from(*anchor);
            let anchors = anchor_from_trusted_cert(&anchor);
            let result = anchors.and_then(|anchor| {
                let usage = KeyUsage::server_auth();
                let anchors = core::slice::from_ref(&anchor);
                certificate.verify_for_usage(&algorithms, anchors, intermediates, time, usage, None, None).map(|_| ())
            });
            let Err(error) = result else { return true };
            // A specific reason from one anchor is more useful than `UnknownIssuer` from another.
            refused = Some(refusal(error)).filter(|it| *it != Refusal::UnknownIssuer).unwrap_or(refused);
            false
        });
        if !is_trusted {
            return Err(refused);
        }
        if let Some(check) = last.take() {
            later.push(check)?;
        }
        certificate.verify_is_valid_for_subject_name(&name).map_err(refusal)?;
        self.key.store(leaf.spki)
    }

    fn signature(
        &mut self,
        scheme: u16,
        message: &[u8],
        signature: &[u8],
        later: &mut Deferred,
    ) -> Result<(), Refusal> {
        verify::<A>(&self.key, scheme, Signed { message, signature }, later)
    }
}

/// The largest number of algorithms of a profile.
const ALGORITHMS: usize = 6;

/// The last signature of a path, which is that of the leaf. rustls-webpki verifies a path from its anchor to the leaf, in
/// one call.
struct Last {
    puts_off: bool,
    check: CriticalSectionMutex<RefCell<Option<Check>>>,
}

impl Last {
    fn take(&self) -> Option<Check> {
        self.check.lock(|check| check.try_borrow_mut().ok()?.take())
    }
}

/// An algorithm whose checks lag one signature behind: it stores the check of a signature, and runs the one before.
struct Lagging<'l> {
    algorithm: &'static dyn Algorithm,
    last: &'l Last,
}

impl core::fmt::Debug for Lagging<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Lagging")
    }
}

impl SignatureVerificationAlgorithm for Lagging<'_> {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        if let Some(check) = self.last.take() {
            check.run().map_err(|_| InvalidSignature)?;
        }
        let check = self.algorithm.check(key, message, signature).filter(|_| self.last.puts_off);
        let Some(check) = check else { return self.algorithm.verify_signature(key, message, signature) };
        self.last
            .check
            .lock(|last| last.try_borrow_mut().map(|mut last| *last = Some(check)))
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

fn refusal(error: webpki::Error) -> Refusal {
    use webpki::Error;
    match error {
        Error::CertNotValidForName(_) => Refusal::WrongName,
        Error::CertExpired { .. } => Refusal::Expired,
        Error::CertNotValidYet { .. } => Refusal::NotYetValid,
        Error::UnknownIssuer => Refusal::UnknownIssuer,
        Error::CaUsedAsEndEntity | Error::EndEntityUsedAsCa => Refusal::NotCa,
        Error::InvalidSignatureForPublicKey => Refusal::BadSignature,
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            Refusal::Algorithm
        }
        _ => Refusal::Malformed,
    }
}

/// **Verifies nothing.** An attacker on the path to the server can read and change the stream, and learns the stream
/// key. Use it only for tests.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DangerousNoVerification;

impl Verifier for DangerousNoVerification {
    const OFFERS_RSA: bool = true;

    fn certificate(&mut self, _: &str, _: &[&[u8]], _: &mut Deferred) -> Result<(), Refusal> {
        Ok(())
    }

    fn signature(&mut self, _: u16, _: &[u8], _: &[u8], _: &mut Deferred) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What the server has proved. embedded-tls also completes a handshake without Certificate and CertificateVerify, so
/// this must be checked afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Nothing,
    Certificate,
    Signature,
    /// A message was repeated, out of order or refused.
    Invalid(TlsError),
}

/// How far the server has proved its identity.
pub(super) struct Progress {
    proof: Proof,
    later: Deferred,
}

impl Progress {
    pub(super) const fn new() -> Self {
        Self { proof: Proof::Nothing, later: Deferred::new() }
    }

    /// Returns why the server was refused, if embedded-tls has reported an error.
    pub(super) fn refused(&self) -> Option<TlsError> {
        match self.proof {
            Proof::Invalid(error) => Some(error),
            _ => None,
        }
    }

    /// Runs one of the checks that were put off. Returns `false` if there is none left and the server has proved its
    /// identity.
    ///
    /// # Errors
    /// The server has not proved its identity.
    pub(super) fn step(&mut self) -> Result<bool, TlsError> {
        match self.proof {
            Proof::Signature => self.later.step().map_err(|refusal| self.refuse(refusal.into())),
            Proof::Invalid(error) => Err(error),
            Proof::Nothing | Proof::Certificate => Err(TlsError::Unauthenticated),
        }
    }

    /// Stores the reason for a refusal.
    fn refuse(&mut self, error: TlsError) -> TlsError {
        self.proof = Proof::Invalid(error);
        error
    }

    /// Goes from one state to the next if `verified` is `Ok`.
    fn record(&mut self, from: Proof, to: Proof, verified: Result<(), Refusal>) -> Result<(), Engine> {
        self.proof = match verified {
            _ if self.proof != from => Proof::Invalid(self.refused().unwrap_or(TlsError::Unauthenticated)),
            Ok(()) => to,
            Err(refusal) => Proof::Invalid(refusal.into()),
        };
        if self.proof == to { Ok(()) } else { Err(Engine::InvalidCertificate) }
    }
}

/// Connects embedded-tls to a verifier, and records the calls.
pub(super) struct Provider<'v, V> {
    host: &'v str,
    verifier: &'v mut V,
    random: Random,
    /// The hash of the handshake up to the certificate.
    transcript: [u8; 32],
    progress: &'v RefCell<Progress>,
}

impl<'v, V: Verifier> Provider<'v, V> {
    pub(super) fn new(host: &'v str, verifier: &'v mut V, entropy: [u8; 32], progress: &'v RefCell<Progress>) -> Self {
        Self { host, verifier, random: Random::new(entropy), transcript: [0; 32], progress }
    }
}

impl<V: Verifier> TlsVerifier<Suite> for Provider<'_, V> {
    fn set_hostname_verification(&mut self, _: &str) -> Result<(), Engine> {
        Ok(())
    }

    fn verify_certificate(&mut self, transcript: &Sha256, certificate: CertificateRef<'_>) -> Result<(), Engine> {
        self.transcript = transcript.clone().finalize().into();
        let mut chain = Vec::<&[u8], MOST_SENT>::new();
        let is_whole = certificate.entries.iter().all(|entry| {
            let (CertificateEntryRef::X509(bytes) | CertificateEntryRef::RawPublicKey(bytes)) = entry;
            chain.push(bytes).is_ok()
        });
        let progress = &mut *self.progress.try_borrow_mut().map_err(|_| Engine::InternalError)?;
        let verified = match progress.proof {
            Proof::Nothing if is_whole => self.verifier.certificate(self.host, &chain, &mut progress.later),
            Proof::Nothing => Err(Refusal::ChainTooLong),
            _ => Ok(()),
        };
        progress.record(Proof::Nothing, Proof::Certificate, verified)
    }

    // RFC 8446, section 4.4.3.
    fn verify_signature(&mut self, verify: CertificateVerifyRef<'_>) -> Result<(), Engine> {
        const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
        const LENGTH: usize = 64 + CONTEXT.len() + 32;
        let mut message = [0x20; LENGTH];
        let signed = CONTEXT.iter().chain(&self.transcript);
        message.iter_mut().skip(64).zip(signed).for_each(|(to, from)| *to = *from);
        let progress = &mut *self.progress.try_borrow_mut().map_err(|_| Engine::InternalError)?;
        let (scheme, signature, later) = (scheme(verify.signature_scheme), verify.signature, &mut progress.later);
        let verified = match progress.proof {
            Proof::Certificate => self.verifier.signature(scheme, &message, signature, later),
            _ => Ok(()),
        };
        progress.record(Proof::Certificate, Proof::Signature, verified)
    }
}

/// Returns the number of a scheme. All schemes that no verifier supports have the same number.
fn scheme(scheme: SignatureScheme) -> u16 {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => 0x0403,
        SignatureScheme::EcdsaSecp384r1Sha384 => 0x0503,
        SignatureScheme::EcdsaSecp521r1Sha512 => 0x0603,
        SignatureScheme::RsaPssRsaeSha256 => 0x0804,
        SignatureScheme::RsaPssRsaeSha384 => 0x0805,
        SignatureScheme::RsaPssRsaeSha512 => 0x0806,
        SignatureScheme::Ed25519 => 0x0807,
        _ => 0,
    }
}

impl<V: Verifier> CryptoProvider for Provider<'_, V> {
    type CipherSuite = Suite;
    type Signature = p256::ecdsa::DerSignature;

    fn rng(&mut self) -> impl embedded_tls::CryptoRngCore {
        &mut self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, Engine> {
        Ok(self)
    }
}

/// The host in the form that is verified: an address, or a DNS name in ASCII without the last dot.
pub(super) struct Host<'h> {
    pub(super) name: &'h str,
    /// Whether the ClientHello contains the name (SNI). It never contains an address: RFC 6066, section 3.
    pub(super) is_dns: bool,
}

impl<'h> Host<'h> {
    /// # Errors
    /// The host is neither an address nor a name.
    pub(super) fn new(host: &'h str) -> Result<Self, TlsError> {
        let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if name.parse::<IpAddr>().is_ok() {
            return Ok(Self { name, is_dns: false });
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 253 || !name.bytes().all(is_valid) {
            return Err(TlsError::Name);
        }
        Ok(Self { name, is_dns: true })
    }
}
