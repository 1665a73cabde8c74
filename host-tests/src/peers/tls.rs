//! nginx as a TLS endpoint in front of another server: RTMPS.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::nginx::{Instance, configuration};

const LOAD_STREAM: &str = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;";

const DER: &str = "certificate.der";

/// A running nginx that accepts TLS 1.3 and forwards the bytes to a port of 127.0.0.1.
#[derive(Debug)]
pub struct TlsProxy(Instance);

impl TlsProxy {
    /// Starts nginx as a proxy for the server on port `to`, with a new self-signed certificate.
    ///
    /// # Errors
    /// nginx, its stream module or openssl is not installed, or nginx does not listen in time.
    pub fn start(to: u16) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (key, certificate) = (directory.path().join("key.pem"), directory.path().join("certificate.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-days", "1", "-subj", "/CN=server.example"]);
        let made = openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output()?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        Self::with(to, &certificate, &key, "TLSv1.3")
    }

    /// Starts nginx as a proxy for the server on port `to`, with this chain and key in PEM. `protocols` is the list of
    /// TLS versions in the syntax of nginx.
    ///
    /// # Errors
    /// nginx or its stream module is not installed, or nginx does not listen in time.
    pub fn with(to: u16, certificate: &Path, key: &Path, protocols: &str) -> Result<Self> {
        let chain = certificate;
        let (key, certificate) = (key.display(), certificate.display());
        let instance = Instance::start(|directory, port| {
            let mut openssl = Command::new("openssl");
            openssl.args(["x509", "-outform", "der", "-in"]).arg(chain).arg("-out").arg(directory.join(DER));
            ensure!(openssl.output()?.status.success(), "openssl converts the certificate");
            let servers = format!(
                "stream {{ server {{ listen 127.0.0.1:{port} ssl; ssl_protocols {protocols};
  ssl_certificate {certificate}; ssl_certificate_key {key}; proxy_pass 127.0.0.1:{to}; }} }}"
            );
            Ok(configuration(directory, LOAD_STREAM, &servers))
        })?;
        Ok(Self(instance))
    }

    /// Starts nginx as a web server inside TLS 1.3 that forwards requests to port `to`, and closes each connection after
    /// this number of requests.
    ///
    /// # Errors
    /// nginx is not installed, or does not listen in time.
    pub fn for_tunnels(to: u16, certificate: &Path, key: &Path, requests: u32) -> Result<Self> {
        let (key, certificate) = (key.display(), certificate.display());
        let instance = Instance::start(|directory, port| {
            let path = directory.display();
            let http = format!(
                "http {{ access_log off; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
  fastcgi_temp_path {path}/f; uwsgi_temp_path {path}/u; scgi_temp_path {path}/s; keepalive_requests {requests};
  server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;
  ssl_certificate {certificate}; ssl_certificate_key {key};
  location / {{ proxy_pass http://127.0.0.1:{to}; proxy_buffering off; }} }} }}"
            );
            Ok(configuration(directory, "", &http))
        })?;
        Ok(Self(instance))
    }

    /// Returns its certificate in DER.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.0.directory.path().join(DER))?)
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.0.port
    }
}
