//! TLS: the verifier of a client, and the certificate of a server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use clap::Args;
use embedded_rtmp::port_plan::Failure;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

/// The options for verifying a server inside TLS.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArguments {
    /// A PEM file with certificate authorities or server certificates to trust, instead of the authorities of the
    /// system (rtmps and rtmpts)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tls_pin", "tls_insecure"])]
    tls_ca: Option<PathBuf>,
    /// Trust only a server whose key has this SHA-256 hash of its SubjectPublicKeyInfo. The name, the dates and the
    /// authority of its certificate are not checked
    #[arg(long, value_name = "SHA256-HEX", conflicts_with = "tls_insecure")]
    tls_pin: Option<Pin>,
    /// Trust every server. An attacker on the path to the server can then read and change everything, including the
    /// stream key
    #[arg(long)]
    tls_insecure: bool,
}

/// The SHA-256 of the SubjectPublicKeyInfo of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// Makes the TLS connections of a client to one host.
#[derive(Debug, Clone)]
pub(super) struct TlsClient {
    config: Arc<ClientConfig>,
    verifier: Arc<Verifier>,
    host: ServerName<'static>,
}

/// The certificate of a server, and its key.
#[derive(Debug, Clone)]
pub struct TlsServer(pub(crate) Arc<ServerConfig>);

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    /// The reason why the last certificate was refused.
    refusal: Mutex<String>,
}

#[derive(Debug)]
enum Trust {
    /// A chain to one of these roots, or one of the certificates that the user listed.
    Roots(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    /// A key.
    Key(Pin),
    Everyone,
}

impl TlsClient {
    /// # Errors
    /// The authorities cannot be read, or `host` cannot be the name of a server.
    pub(super) fn new(arguments: &TlsArguments, host: &str) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let trust = match arguments {
            TlsArguments { tls_insecure: true, .. } => Trust::Everyone,
            TlsArguments { tls_pin: Some(pin), .. } => Trust::Key(*pin),
            TlsArguments { tls_ca, .. } => {
                let listed = tls_ca.as_deref().map_or(Ok(Vec::new()), certificates)?;
                let roots = if tls_ca.is_some() { roots(&listed) } else { system_roots() }?;
                Trust::Roots(
                    WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build()?,
                    listed,
                )
            }
        };
        let verifier = Arc::new(Verifier { trust, provider: provider.clone(), refusal: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.dangerous().with_custom_certificate_verifier(verifier.clone()).with_no_client_auth();
        let host =
            ServerName::try_from(host.to_owned()).with_context(|| format!("{host} cannot be a certificate name"))?;
        Ok(Self { config: Arc::new(config), verifier, host })
    }

    pub(super) fn connection(&self) -> Result<Connection, Error> {
        Ok(ClientConnection::new(self.config.clone(), self.host.clone())?.into())
    }

    /// Returns the reason why a connection failed, and the text for the user.
    pub(super) fn failure(&self, error: &Error) -> (Failure, String) {
        match error {
            Error::InvalidCertificate(_) => {
                (Failure::Certificate, self.verifier.refusal.lock().map(|text| text.clone()).unwrap_or_default())
            }
            Error::InvalidMessage(_) => (Failure::Tls, "the answer is not TLS".into()),
            error => (Failure::Tls, error.to_string()),
        }
    }
}

fn system_roots() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
    ensure!(added > 0, "the system has no certificate authorities{why}; name some with --tls-ca");
    Ok(roots)
}

fn roots(listed: &[CertificateDer<'static>]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in listed {
        roots.add(certificate.clone()).context("--tls-ca: not a certificate")?;
    }
    Ok(roots)
}

/// Reads the certificates of a PEM file, which must have at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let name = || file.display().to_string();
    let found: Vec<_> =
        CertificateDer::pem_file_iter(file).with_context(name)?.collect::<Result<_, _>>().with_context(name)?;
    ensure!(!found.is_empty(), "{}: there is no certificate in it", file.display());
    Ok(found)
}

impl TlsServer {
    /// Reads the chain of a server, its own certificate first, and its key, both in PEM.
    ///
    /// # Errors
    /// A file cannot be read, or the key does not match the certificate.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self> {
        let chain = certificates(certificate)?;
        let found = PrivateKeyDer::from_pem_file(key).with_context(|| key.display().to_string())?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, found)
            .with_context(|| format!("{} and {}", certificate.display(), key.display()))?;
        Ok(Self(Arc::new(config)))
    }
}

impl Verifier {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        match &self.trust {
            Trust::Everyone => Ok(()),
            Trust::Key(pin) => {
                let key = Pin::of(certificate)?;
                if key == *pin {
                    return Ok(());
                }
                self.refuse(format!("its key has the SHA-256 {key}, not that of --tls-pin"));
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Trust::Roots(roots, listed) => {
                let is_listed = listed.contains(certificate);
                let verified = match roots.verify_server_cert(certificate, others, host, ocsp, now) {
                    // The certificate claims to be an authority, but the user has listed exactly this certificate. Its
                    // dates were checked before.
                    Err(Error::InvalidCertificate(CertificateError::Other(error)))
                        if is_listed && matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
                    {
                        is_for(certificate, host)
                    }
                    verified => verified.map(|_| ()),
                };
                verified.inspect_err(|error| self.refuse(refusal(error, certificate, others, is_listed)))
            }
        }
    }

    fn refuse(&self, why: String) {
        if let Ok(mut refusal) = self.refusal.lock() {
            *refusal = why;
        }
    }
}

/// Checks the name of a certificate.
fn is_for(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| CertificateError::BadEncoding)?;
    parsed.verify_is_valid_for_subject_name(host).map_err(|error| match error {
        webpki::Error::CertNotValidForName(context) => {
            let (expected, presented) = (host.to_owned(), context.presented);
            CertificateError::NotValidForNameContext { expected, presented }.into()
        }
        _ => CertificateError::NotValidForName.into(),
    })
}

/// Returns why a chain was refused. `is_listed` means that the user has listed its first certificate.
fn refusal(error: &Error, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>], is_listed: bool) -> String {
    let parsed = EndEntityCert::try_from(certificate);
    if !is_listed && parsed.as_ref().is_ok_and(|parsed| parsed.issuer() == parsed.subject()) {
        let pin =
            Pin::of(certificate).map_or_else(|_| String::new(), |pin| format!(": --tls-pin {pin} would trust it"));
        return format!("it is self-signed{pin}");
    }
    let Error::InvalidCertificate(error) = error else { return error.to_string() };
    match error {
        CertificateError::UnknownIssuer if others.is_empty() => {
            "its issuer is an unknown CA, and the server sends no intermediate certificate".into()
        }
        CertificateError::UnknownIssuer => "its issuer is an unknown CA".into(),
        CertificateError::ExpiredContext { not_after, .. } => format!("it expired on {}", Day(*not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", Day(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => {
            format!("it has no name, and is not for {}", expected.to_str())
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            // As in `DnsName("media.example")`.
            let name = |name: &String| {
                let inner = name.split_once('(').map_or(&**name, |(_, inner)| inner);
                inner.trim_matches(['"', ')']).to_owned()
            };
            let names: Vec<_> = presented.iter().map(name).collect();
            format!("it is for {}, and not for {}", names.join(", "), expected.to_str())
        }
        error => error.to_string(),
    }
}

/// A day in UTC, as `2026-11-29`.
struct Day(UnixTime);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let (mut days, mut year) = (self.0.as_secs() / 86_400, 1970);
        while days >= 365 + u64::from(is_leap(year)) {
            days -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while days >= lengths[month] {
            days -= lengths[month];
            month += 1;
        }
        write!(f, "{year}-{:02}-{:02}", month + 1, days + 1)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.refuse(String::new());
        self.check(certificate, others, host, ocsp, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Pin {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        Ok(Self(Sha256::digest(parsed.subject_public_key_info()).into()))
    }
}

impl FromStr for Pin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.filter(|digits| digits.len() == 64).context("not 64 hexadecimal digits")?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(Day(UnixTime::since_unix_epoch(Duration::from_secs(seconds))).to_string(), day);
        }
    }

    #[test]
    fn a_pin_is_64_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Pin>().unwrap().to_string(), text);
        for wrong in ["", "00", &text[1..], &format!("{text}0"), &text.replace("0f", "0g"), &"é".repeat(32)] {
            assert!(wrong.parse::<Pin>().is_err(), "{wrong}");
        }
    }
}
