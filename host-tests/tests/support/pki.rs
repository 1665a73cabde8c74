//! Certificates that openssl makes, and `openssl s_server` processes that use them.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use host_tests::peers::{free_port, wait_until};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a private key. `kind` is `P-256`, `P-384`, or `RSA-` and the number of bits.
fn make_key(directory: &Path, kind: &str, name: &str) {
    let option = match kind.strip_prefix("RSA-") {
        Some(bits) => ["RSA".to_owned(), format!("rsa_keygen_bits:{bits}")],
        None => ["EC".to_owned(), format!("ec_paramgen_curve:{kind}")],
    };
    openssl(directory, &["genpkey", "-algorithm", &option[0], "-pkeyopt", &option[1], "-out", name]);
}

/// Returns the hash for signatures of a key: SHA-384 with P-384.
fn hash(kind: &str) -> &'static str {
    if kind == "P-384" { "-sha384" } else { "-sha256" }
}

/// A CA. All CAs of one test share a directory.
pub(crate) struct Authority {
    directory: Rc<TempDir>,
    count: Rc<Cell<usize>>,
    kind: String,
    name: String,
    /// The names of the certificates that a server sends after its own certificate.
    chain: Vec<String>,
}

/// A server's certificate with its key.
pub(crate) struct Leaf {
    directory: Rc<TempDir>,
    name: String,
    chain: Vec<String>,
}

impl Leaf {
    /// Returns the same certificate without the intermediate certificates.
    pub(crate) fn without_chain(self) -> Self {
        Self { chain: Vec::new(), ..self }
    }
}

impl Authority {
    /// A root.
    pub(crate) fn new(kind: &str) -> Self {
        let directory = Rc::new(tempfile::tempdir().unwrap());
        make_key(directory.path(), kind, "0.key");
        let made = ["req", "-x509", "-key", "0.key", "-days", "3650", "-subj", "/CN=root", hash(kind), "-out", "0.pem"];
        openssl(directory.path(), &made);
        let count = Rc::new(Cell::new(0));
        Self { directory, count, kind: kind.to_owned(), name: "0".to_owned(), chain: Vec::new() }
    }

    /// Its certificate, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        der(self.directory.path(), &self.name)
    }

    fn sign(&self, kind: &str, subject: &str, extensions: &str) -> String {
        self.count.set(self.count.get() + 1);
        let (directory, name) = (self.directory.path(), self.count.get().to_string());
        let [key, request, certificate] = ["key", "csr", "pem"].map(|ending| format!("{name}.{ending}"));
        make_key(directory, kind, &key);
        fs::write(directory.join("extensions"), extensions).unwrap();
        openssl(directory, &["req", "-new", "-key", &key, "-subj", subject, "-out", &request]);
        let [ca, ca_key] = ["pem", "key"].map(|ending| format!("{}.{ending}", self.name));
        let made = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "365"];
        openssl(directory, &[&made[..], &[hash(&self.kind), "-extfile", "extensions", "-out", &certificate]].concat());
        name
    }

    /// Creates a CA below this one, with or without the CA flag.
    pub(crate) fn intermediate(&self, kind: &str, is_ca: bool) -> Self {
        let extensions = format!("basicConstraints=critical,CA:{}", if is_ca { "TRUE" } else { "FALSE" });
        let subject = format!("/CN=intermediate {}", self.count.get());
        let name = self.sign(kind, &subject, &extensions);
        let chain = [std::slice::from_ref(&name), &self.chain].concat();
        Self { directory: self.directory.clone(), count: self.count.clone(), kind: kind.to_owned(), name, chain }
    }

    /// The certificate of a server.
    pub(crate) fn leaf(&self, kind: &str, host: &str) -> Leaf {
        let extensions = format!("subjectAltName=DNS:{host}\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth");
        let name = self.sign(kind, "/CN=server", &extensions);
        Leaf { directory: self.directory.clone(), name, chain: self.chain.clone() }
    }

    /// Returns the certificate of the CA itself, for use by a server.
    pub(crate) fn itself(&self) -> Leaf {
        Leaf { directory: self.directory.clone(), name: self.name.clone(), chain: Vec::new() }
    }
}

fn der(directory: &Path, name: &str) -> Vec<u8> {
    let arguments = ["x509", "-in", &format!("{name}.pem"), "-outform", "der"];
    let output = Command::new("openssl").current_dir(directory).args(arguments).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Returns the hash of the SubjectPublicKeyInfo in a certificate, computed with the command in the documentation of
/// `Pin`.
pub(crate) fn pin(certificate: &[u8]) -> [u8; 32] {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("der"), certificate).unwrap();
    openssl(directory.path(), &["x509", "-inform", "der", "-in", "der", "-noout", "-pubkey", "-out", "pub"]);
    openssl(directory.path(), &["pkey", "-pubin", "-in", "pub", "-outform", "der", "-out", "spki"]);
    Sha256::digest(fs::read(directory.path().join("spki")).unwrap()).into()
}

/// A running `openssl s_server`.
pub(crate) struct Endpoint {
    child: Child,
    port: u16,
    leaf: Leaf,
}

impl Endpoint {
    /// Starts a server that sends each line back reversed.
    pub(crate) fn start(leaf: Leaf, options: &[&str]) -> Self {
        Self::run(leaf, &[options, &["-rev"]].concat())
    }

    /// Starts a server that sends what [`Self::command`] writes. `K` asks for new keys.
    pub(crate) fn interactive(leaf: Leaf, options: &[&str]) -> Self {
        Self::run(leaf, options)
    }

    fn run(leaf: Leaf, options: &[&str]) -> Self {
        let port = free_port().unwrap();
        let (directory, name) = (leaf.directory.path(), &leaf.name);
        let chain: PathBuf = directory.join(format!("{name}.chain"));
        let pem = leaf.chain.iter().map(|name| fs::read_to_string(directory.join(format!("{name}.pem"))).unwrap());
        fs::write(&chain, pem.collect::<String>()).unwrap();
        let mut command = Command::new("openssl");
        command.current_dir(directory).args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-naccept", "99"]);
        command.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
        if !leaf.chain.is_empty() {
            command.arg("-cert_chain").arg(&chain);
        }
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut endpoint = Self { child, port, leaf };
        // A test connection would use up the session.
        wait_until("s_server listens", Duration::from_secs(10), || endpoint.is_listening()).unwrap();
        endpoint
    }

    /// Whether the port is open, from the kernel's table.
    fn is_listening(&mut self) -> bool {
        let address = format!("0100007F:{:04X}", self.port);
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        table.lines().any(|line| line.contains(&address) && line.contains(" 0A "))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The server's certificate, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        der(self.leaf.directory.path(), &self.leaf.name)
    }

    /// Writes to the server's standard input.
    pub(crate) fn command(&self, text: &str) {
        self.child.stdin.as_ref().unwrap().write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
