//! A TLS 1.3 server in memory for the tests and the fuzz targets of `embedded-rtmp-embassy`.
//!
//! [`Server`] has the right keys, and sends what a test specifies, in any order. It panics if the client does something
//! wrong. [`Wire`] joins it to the client, through the connector [`Servers`]. [`Site`] has the certificates of an honest
//! server.

mod certificates;
mod server;
mod wire;

pub use certificates::{Certificate, Key};
pub use server::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, Change, Direction, HANDSHAKE, Server, Step, message, plain,
};
pub use wire::{Application, Half, Servers, Wire};

/// The name in the certificate of a [`Site`].
pub const HOST: &str = "server.example";

/// The keys and the certificates of a server: a root, an intermediate, and the server's.
#[derive(Debug)]
pub struct Site {
    /// The certificate of the root, in DER.
    pub root: Vec<u8>,
    /// The certificates that the server sends, in DER. The first one is its own.
    pub chain: Vec<Vec<u8>>,
    /// The server's key.
    pub key: Key,
}

impl Site {
    /// A site for [`HOST`]. All sites are equal.
    pub fn new() -> Self {
        let (root, middle, key) = (Key::new(1), Key::new(2), Key::new(3));
        let leaf = Certificate::new("leaf", "middle", &key, &[HOST]).sign(&middle);
        let middle = Certificate::ca("middle", "root", &middle).sign(&root);
        let root = Certificate::ca("root", "root", &root).sign(&root);
        Self { root, chain: vec![leaf, middle], key }
    }

    /// The server's Certificate.
    pub fn certificate(&self) -> Step {
        Step::Certificate(self.chain.clone())
    }

    /// The server's CertificateVerify.
    pub fn verify(&self) -> Step {
        Step::Verify(self.key.clone())
    }

    /// Returns the messages of an honest server.
    pub fn flight(&self) -> Vec<Step> {
        vec![Step::Extensions, self.certificate(), self.verify(), Step::Finished]
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}
