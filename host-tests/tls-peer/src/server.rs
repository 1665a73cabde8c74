//! A TLS 1.3 server that sends what a test specifies, in any order. Its keys are right.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use p256::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

use crate::certificates::Key;

/// Content types of records.
pub const CHANGE_CIPHER_SPEC: u8 = 20;
/// An alert.
pub const ALERT: u8 = 21;
/// Handshake messages.
pub const HANDSHAKE: u8 = 22;
/// Application data, and every encrypted record.
pub const APPLICATION_DATA: u8 = 23;

/// A part of the server's flight after the ServerHello.
#[derive(Debug, Clone)]
pub enum Step {
    /// EncryptedExtensions, without extensions.
    Extensions,
    /// Certificate, with these certificates in DER.
    Certificate(Vec<Vec<u8>>),
    /// CertificateVerify, signed with this key.
    Verify(Key),
    /// CertificateRequest.
    Request,
    /// Finished.
    Finished,
    /// A handshake message.
    Message(Vec<u8>),
    /// An inner plaintext in a record of its own.
    Inner(Vec<u8>),
    /// A record that is not encrypted.
    Plain(u8, Vec<u8>),
}

/// The keys of one direction.
pub struct Direction {
    secret: [u8; 32],
    cipher: Aes128Gcm,
    iv: [u8; 12],
    counter: u64,
}

impl Direction {
    fn new(secret: [u8; 32]) -> Self {
        let key: [u8; 16] = expand(&secret, b"key", &[]);
        Self { secret, cipher: Aes128Gcm::new(&key.into()), iv: expand(&secret, b"iv", &[]), counter: 0 }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, counter) in nonce[4..].iter_mut().zip(self.counter.to_be_bytes()) {
            *byte ^= counter;
        }
        self.counter += 1;
        nonce
    }

    fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        let length = (inner.len() + 16) as u16;
        let header = [&[APPLICATION_DATA, 3, 3][..], &length.to_be_bytes()].concat();
        let nonce = self.nonce();
        let sealed = self.cipher.encrypt(Nonce::from_slice(&nonce), Payload { msg: inner, aad: &header }).unwrap();
        [header, sealed].concat()
    }

    /// Returns the content and its type.
    fn open(&mut self, record: &[u8]) -> (Vec<u8>, u8) {
        let (header, body) = record.split_at(5);
        let nonce = self.nonce();
        let opened = self.cipher.decrypt(Nonce::from_slice(&nonce), Payload { msg: body, aad: header });
        let mut inner = opened.expect("the client's record is right");
        while inner.last() == Some(&0) {
            inner.pop();
        }
        let kind = inner.pop().unwrap();
        (inner, kind)
    }
}

fn expand<const N: usize>(secret: &[u8], label: &[u8], context: &[u8]) -> [u8; N] {
    let label = [b"tls13 ", label].concat();
    let length = (N as u16).to_be_bytes();
    let info = [&length[..], &[label.len() as u8], &label, &[context.len() as u8], context].concat();
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).unwrap().expand(&info, &mut out).unwrap();
    out
}

fn extract(salt: &[u8], input: &[u8]) -> [u8; 32] {
    Hkdf::<Sha256>::extract(Some(salt), input).0.into()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HKDF-Extract is HMAC.
    extract(key, message)
}

fn empty_hash() -> [u8; 32] {
    Sha256::digest([]).into()
}

/// A handshake message.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// A record that is not encrypted.
pub fn plain(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn server_hello(key: &[u8]) -> Vec<u8> {
    let extensions = [&[0, 43, 0, 2, 3, 4, 0, 51, 0, 69, 0, 23, 0, 65][..], key].concat();
    let length = (extensions.len() as u16).to_be_bytes();
    message(2, &[&[3, 3][..], &[7; 32], &[0, 0x13, 0x01, 0], &length, &extensions].concat())
}

/// Changes a message.
pub type Change = Box<dyn FnMut(&mut Vec<u8>)>;

/// The server's state.
pub struct Server {
    /// The flight after the ServerHello.
    pub steps: Vec<Step>,
    is_in_one_record: bool,
    change_hello: Change,
    received: Vec<u8>,
    transcript: Vec<u8>,
    /// The end of the server's flight in the transcript. An empty Certificate of the client may follow.
    flight_end: usize,
    master: [u8; 32],
    client: Option<Direction>,
    server: Option<Direction>,
    is_finished: bool,
    /// The ClientHello.
    pub hello: Vec<u8>,
    /// The application data of the client.
    pub data: Vec<u8>,
    /// The alerts of the client.
    pub alerts: Vec<Vec<u8>>,
    /// Encrypted records of the client after its Finished.
    pub records: usize,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server {{ {:?} }}", self.steps)
    }
}

impl Server {
    /// A server that sends these steps after its ServerHello.
    pub fn new(steps: &[Step]) -> Self {
        Self {
            steps: steps.to_vec(),
            is_in_one_record: true,
            change_hello: Box::new(|_| {}),
            received: Vec::new(),
            transcript: Vec::new(),
            flight_end: 0,
            master: [0; 32],
            client: None,
            server: None,
            is_finished: false,
            hello: Vec::new(),
            data: Vec::new(),
            alerts: Vec::new(),
            records: 0,
        }
    }

    /// Sends all messages of the flight in one record, which is the default, or each one in a record.
    #[must_use]
    pub fn packed(self, is_in_one_record: bool) -> Self {
        Self { is_in_one_record, ..self }
    }

    /// Changes the ServerHello before it is sent.
    #[must_use]
    pub fn with_hello(self, change_hello: Change) -> Self {
        Self { change_hello, ..self }
    }

    /// Whether the client has sent its Finished.
    pub fn is_open(&self) -> bool {
        self.is_finished
    }

    /// Handles bytes of the client. Returns the answer.
    ///
    /// # Panics
    /// If the client breaks the protocol.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.received.extend(bytes);
        let mut answer = Vec::new();
        while let Some(length) = self.received.get(3..5).map(|it| 5 + usize::from(u16::from_be_bytes([it[0], it[1]]))) {
            if self.received.len() < length {
                break;
            }
            let record: Vec<u8> = self.received.drain(..length).collect();
            answer.extend(self.record(&record));
        }
        answer
    }

    fn record(&mut self, record: &[u8]) -> Vec<u8> {
        if self.client.is_none() {
            assert_eq!(record[0], HANDSHAKE, "the client begins with a ClientHello");
            return self.accept(&record[5..]);
        }
        assert_eq!(record[0], APPLICATION_DATA, "the client encrypts everything: {record:02x?}");
        let (content, kind) = self.client.as_mut().unwrap().open(record);
        match kind {
            HANDSHAKE => {
                // Certificate, which is empty, and Finished.
                if content[0] == 20 {
                    let secret = self.client.as_ref().unwrap().secret;
                    let key: [u8; 32] = expand(&secret, b"finished", &[]);
                    assert_eq!(content[4..], hmac(&key, &Sha256::digest(&self.transcript)), "the client's Finished");
                    self.switch();
                }
                self.transcript.extend(content);
            }
            ALERT => self.alerts.push(content),
            APPLICATION_DATA => self.data.extend(content),
            _ => panic!("content type {kind}"),
        }
        self.records += usize::from(kind != HANDSHAKE);
        Vec::new()
    }

    /// Handles the ClientHello. Returns the flight.
    fn accept(&mut self, hello: &[u8]) -> Vec<u8> {
        self.hello = hello.to_vec();
        self.transcript.extend(hello);
        // The key share of P-256: its group, its length, and an uncompressed point.
        let at = hello.windows(5).position(|window| window == [0, 23, 0, 65, 4]).expect("a key share of P-256");
        let theirs = PublicKey::from_sec1_bytes(&hello[at + 4..at + 69]).unwrap();
        let ours = SecretKey::from_slice(&[0x42; 32]).unwrap();
        let shared = diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());
        let mut answer = server_hello(ours.public_key().to_encoded_point(false).as_bytes());
        (self.change_hello)(&mut answer);
        self.transcript.extend(&answer);
        let mut out = plain(HANDSHAKE, &answer);
        let early = extract(&[0; 32], &[0; 32]);
        let handshake = extract(&expand::<32>(&early, b"derived", &empty_hash()), shared.raw_secret_bytes());
        let hash: [u8; 32] = Sha256::digest(&self.transcript).into();
        self.client = Some(Direction::new(expand(&handshake, b"c hs traffic", &hash)));
        self.server = Some(Direction::new(expand(&handshake, b"s hs traffic", &hash)));
        self.master = extract(&expand::<32>(&handshake, b"derived", &empty_hash()), &[0; 32]);
        let mut pending = Vec::new();
        for step in self.steps.clone() {
            let message = match &step {
                Step::Plain(kind, body) => {
                    out.extend(plain(*kind, body));
                    continue;
                }
                Step::Inner(inner) => {
                    out.extend(self.server.as_mut().unwrap().seal(inner));
                    continue;
                }
                step => self.message(step),
            };
            // What follows Finished with the same keys is no part of the handshake.
            if self.flight_end == 0 {
                self.transcript.extend(&message);
            }
            if matches!(step, Step::Finished) {
                self.flight_end = self.transcript.len();
            }
            pending.extend(message);
            if !self.is_in_one_record {
                out.extend(self.seal(HANDSHAKE, &std::mem::take(&mut pending)));
            }
        }
        if !pending.is_empty() {
            out.extend(self.seal(HANDSHAKE, &pending));
        }
        out
    }

    fn message(&self, step: &Step) -> Vec<u8> {
        let hash = Sha256::digest(&self.transcript);
        match step {
            Step::Extensions => message(8, &[0, 0]),
            Step::Certificate(chain) => {
                let entries: Vec<u8> = chain
                    .iter()
                    .flat_map(|bytes| [&(bytes.len() as u32).to_be_bytes()[1..], bytes, &[0, 0]].concat())
                    .collect();
                message(11, &[&[0], &(entries.len() as u32).to_be_bytes()[1..], &entries].concat())
            }
            Step::Verify(key) => {
                let signed = [&[0x20; 64][..], b"TLS 1.3, server CertificateVerify\0", &hash].concat();
                let signature = key.sign(&signed);
                message(15, &[&[4, 3][..], &(signature.len() as u16).to_be_bytes(), &signature].concat())
            }
            Step::Request => message(13, &[0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]),
            Step::Finished => {
                let key: [u8; 32] = expand(&self.server.as_ref().unwrap().secret, b"finished", &[]);
                message(20, &hmac(&key, &hash))
            }
            Step::Message(message) => message.clone(),
            Step::Inner(_) | Step::Plain(..) => unreachable!("these are records"),
        }
    }

    /// Switches to the keys of the application data.
    fn switch(&mut self) {
        let hash: [u8; 32] = Sha256::digest(&self.transcript[..self.flight_end]).into();
        self.client = Some(Direction::new(expand(&self.master, b"c ap traffic", &hash)));
        self.server = Some(Direction::new(expand(&self.master, b"s ap traffic", &hash)));
        self.is_finished = true;
    }

    /// An encrypted record.
    ///
    /// # Panics
    /// If there are no keys yet, which is the case until the ClientHello.
    pub fn seal(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        self.seal_inner(&[content, &[kind]].concat())
    }

    /// An encrypted record with this inner plaintext.
    ///
    /// # Panics
    /// Those of [`Self::seal`].
    pub fn seal_inner(&mut self, inner: &[u8]) -> Vec<u8> {
        self.server.as_mut().unwrap().seal(inner)
    }
}
