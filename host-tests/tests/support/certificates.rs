//! Certificates. Each test makes its own.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData, date_time_ymd,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The name in all certificates, unless the test uses another one. Their address is 127.0.0.1.
pub const NAME: &str = "localhost";

/// A certificate authority.
pub struct Authority {
    pub certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The chain and the key of a server, and files with them.
pub struct Identity {
    directory: TempDir,
    pub key: KeyPair,
}

/// The dates of a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    Valid,
    Expired,
    Future,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// Creates an intermediate authority.
    pub fn under(parent: &Self, name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &parent.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    /// Creates the identity of a server with this name. Its chain continues with `others`.
    pub fn identity(&self, name: &str, dates: Dates, others: &[&Authority]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = server(name, dates).signed_by(&key, &self.issuer).unwrap();
        let chain: String = others.iter().map(|other| other.certificate.pem()).collect();
        Identity::new(key, certificate.pem() + &chain)
    }

    /// Writes its certificate to a file, and returns the path.
    pub fn file(&self, directory: &TempDir) -> String {
        let path = directory.path().join("authority.pem");
        fs::write(&path, self.certificate.pem()).unwrap();
        path.display().to_string()
    }
}

fn server(name: &str, dates: Dates) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    match dates {
        Dates::Valid => {}
        Dates::Expired => {
            (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 2, 29));
        }
        Dates::Future => params.not_before = date_time_ymd(2999, 12, 31),
    }
    params
}

impl Identity {
    pub fn self_signed(name: &str) -> Self {
        Self::own(server(name, Dates::Valid))
    }

    /// Creates a self-signed certificate that claims to be an authority, as `openssl req -x509` does.
    pub fn self_signed_authority(name: &str, dates: Dates) -> Self {
        let mut params = server(name, dates);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self::own(params)
    }

    fn own(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self::new(key, certificate.pem())
    }

    fn new(key: KeyPair, chain: String) -> Self {
        let identity = Self { directory: tempfile::tempdir().unwrap(), key };
        fs::write(identity.chain_file(), chain).unwrap();
        fs::write(identity.key_file(), identity.key.serialize_pem()).unwrap();
        identity
    }

    pub fn chain_file(&self) -> PathBuf {
        self.directory.path().join("chain.pem")
    }

    pub fn key_file(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// The options of `serve`.
    pub fn arguments(&self) -> [String; 4] {
        let text = |path: PathBuf| path.display().to_string();
        ["--tls-cert".into(), text(self.chain_file()), "--tls-key".into(), text(self.key_file())]
    }

    /// The SHA-256 of the SubjectPublicKeyInfo, in hex.
    pub fn pin(&self) -> String {
        Sha256::digest(self.key.subject_public_key_info()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
