//! nginx as a TLS endpoint in front of another server: RTMPS.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::{Running, free_port, nginx};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A running nginx that accepts TLS 1.3 and hands the bytes to a port of 127.0.0.1. Its certificate is made for it, and
/// nobody has signed it.
#[derive(Debug)]
pub struct TlsProxy {
    // Declared before the directory, so that the process has ended when the directory is removed.
    _process: Running,
    _directory: TempDir,
    port: u16,
}

impl TlsProxy {
    /// Starts it before the server on port `to`.
    ///
    /// # Errors
    /// nginx, its stream module or openssl is not installed, or nginx does not listen in time.
    pub fn start(to: u16) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("nginx-tls-").tempdir()?;
        let path = directory.path();
        let (key, certificate) = (path.join("key.pem"), path.join("certificate.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
            .args(["-days", "1", "-subj", "/CN=server.example", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port()?;
        let (shown, key, certificate) = (path.display(), key.display(), certificate.display());
        let configuration = format!(
            "daemon off; master_process off; pid {shown}/nginx.pid; error_log {shown}/error.log info;
load_module {MODULE};
events {{ worker_connections 256; }}
stream {{ server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3;
  ssl_certificate {certificate}; ssl_certificate_key {key}; proxy_pass 127.0.0.1:{to}; }} }}
"
        );
        fs::write(path.join("nginx.conf"), configuration)?;
        Ok(Self { _process: nginx::run(path, port)?, _directory: directory, port })
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}
