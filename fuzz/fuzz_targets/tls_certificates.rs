//! The verifiers of TLS against chains of certificates that were valid before the input changed them. Nothing panics. An
//! accepted chain has the signed parts of the original one, and an accepted signature is that of the original message.
//!
//! The input is the case (1), [`Mode`] (1), the number of the signature scheme (1), and either edits of 5 bytes (see
//! [`edit`]) or a certificate.
#![no_main]

use embedded_rtmp_embassy::transport::tls::{
    Algorithms, Deferred, P256, P256Rsa, P256RsaP384, Pin, Roots, Time, Verifier,
};
use embedded_rtmp_fuzz::{has_signed_part, spki};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

const HOST: &str = "server.example";
const MESSAGE: &[u8] = include_bytes!("../../host-tests/chains/message");
/// The schemes of CertificateVerify that some verifier supports, and one that none supports.
const SCHEMES: [u16; 5] = [0x0403, 0x0804, 0x0503, 0x0805, 0x0807];

/// A valid chain.
struct Chain {
    leaf: &'static [u8],
    middle: &'static [u8],
    root: &'static [u8],
    /// The scheme and the signature of [`MESSAGE`].
    signed: (u16, &'static [u8]),
}

macro_rules! chain {
    ($folder:literal, $scheme:literal) => {
        Chain {
            leaf: include_bytes!(concat!("../../host-tests/chains/", $folder, "/leaf.der")),
            middle: include_bytes!(concat!("../../host-tests/chains/", $folder, "/middle.der")),
            root: include_bytes!(concat!("../../host-tests/chains/", $folder, "/root.der")),
            signed: ($scheme, include_bytes!(concat!("../../host-tests/chains/", $folder, "/signature"))),
        }
    };
}

/// Each chain with the profiles that accept it.
static CASES: [(Chain, Profile); 8] = [
    (chain!("p256", 0x0403), Profile::P256),
    (chain!("p256", 0x0403), Profile::Rsa),
    (chain!("rsa", 0x0804), Profile::Rsa),
    (chain!("mixed", 0x0403), Profile::Rsa),
    (chain!("p384", 0x0503), Profile::P384),
    (chain!("mixed384", 0x0403), Profile::P384),
    (chain!("rsa", 0x0804), Profile::P384),
    (chain!("p256", 0x0403), Profile::P384),
];

enum Profile {
    P256,
    Rsa,
    P384,
}

/// What the second byte of the input chooses.
#[derive(Clone, Copy)]
struct Mode(u8);

impl Mode {
    /// Whether the rest of the input replaces a certificate.
    fn replaces(self) -> Option<usize> {
        (self.0 & 1 != 0).then_some(usize::from(self.0 >> 6))
    }

    fn has_clock(self) -> bool {
        self.0 & 2 == 0
    }

    /// Whether another certificate of the same name is trusted, too.
    fn has_two_anchors(self) -> bool {
        self.0 & 4 != 0
    }

    fn is_pinned(self) -> bool {
        self.0 & 8 != 0
    }
}

/// What the server sends.
struct Sent {
    chain: Vec<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// Changes one thing. The bytes are what to do and to which certificate, a position (2), and a value. The positions after
/// the certificates are the message and the signature.
fn edit(sent: &mut Sent, [what, which, high, low, value]: [u8; 5]) {
    let (count, which) = (sent.chain.len(), usize::from(which & 7));
    match (what & 7, which < count) {
        (5, true) => return sent.chain.swap(which, (which + 1) % count),
        (6, true) if count < 8 => return sent.chain.insert(which, sent.chain[usize::from(value) % count].clone()),
        (7, true) => return drop(sent.chain.remove(which)),
        _ => {}
    }
    let bytes = match which {
        6 => &mut sent.message,
        7 => &mut sent.signature,
        _ => match sent.chain.get_mut(which) {
            Some(bytes) => bytes,
            None => return,
        },
    };
    let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
    match what & 7 {
        0 if at < bytes.len() => bytes[at] = value,
        1 if at < bytes.len() => bytes[at] ^= value,
        2 => bytes.insert(at, value),
        3 if at < bytes.len() => drop(bytes.remove(at)),
        4 => bytes.truncate(at),
        _ => {}
    }
}

/// Returns whether the verifier accepts the chain, and whether it then accepts the signature.
fn verify(mut verifier: impl Verifier, sent: &Sent, scheme: u16) -> [bool; 2] {
    let chain: Vec<&[u8]> = sent.chain.iter().map(Vec::as_slice).collect();
    let mut later = Deferred::default();
    if verifier.certificate(HOST, &chain, &mut later).is_err() || later.run().is_err() {
        return [false; 2];
    }
    let signed = verifier.signature(scheme, &sent.message, &sent.signature, &mut later);
    [true, signed.is_ok() && later.run().is_ok()]
}

/// 2030, or no clock.
fn time(mode: Mode) -> Time {
    if mode.has_clock() { Time::Clock(|| 1_893_456_000) } else { Time::NoClock }
}

fn check<A: Algorithms>(original: &Chain, mode: Mode, scheme: u16, sent: &Sent, is_changed: bool) {
    let other = CASES.iter().map(|(chain, _)| chain.root).find(|root| *root != original.root).expect("several roots");
    let anchors = if mode.has_two_anchors() { &[other, original.root][..] } else { &[original.root] };
    let pins = [Sha256::digest(spki(original.leaf)).into()];
    let [is_trusted, is_signed] = if mode.is_pinned() {
        verify(Pin::<A>::new(&pins), sent, scheme)
    } else {
        verify(Roots::<A>::new(anchors, time(mode)), sent, scheme)
    };
    if is_trusted && mode.is_pinned() {
        let key = spki(original.leaf);
        assert!(sent.chain[0].windows(key.len()).any(|window| window == key), "another key");
    } else if is_trusted {
        assert!(has_signed_part(&sent.chain[0], original.leaf), "the leaf was changed");
        assert!(sent.chain[1..].iter().any(|it| has_signed_part(it, original.middle)), "the intermediate was changed");
    }
    if is_signed {
        assert_eq!((scheme, &sent.message[..]), (original.signed.0, MESSAGE), "a signature of another message");
    }
    assert!(is_changed || is_trusted && is_signed == (scheme == original.signed.0), "the original chain is valid");
}

fuzz_target!(|data: &[u8]| {
    let [case, mode, scheme, rest @ ..] = data else { return };
    let (original, profile) = &CASES[usize::from(*case) % CASES.len()];
    let (mode, scheme) = (Mode(*mode), SCHEMES[usize::from(*scheme) % SCHEMES.len()]);
    let chain = vec![original.leaf.to_vec(), original.middle.to_vec()];
    let mut sent = Sent { chain, message: MESSAGE.to_vec(), signature: original.signed.1.to_vec() };
    match mode.replaces() {
        Some(which) => sent.chain[which % 2] = rest.to_vec(),
        None => rest.as_chunks().0.iter().for_each(|bytes| edit(&mut sent, *bytes)),
    }
    let is_changed = mode.replaces().is_some() || rest.len() >= 5;
    match profile {
        Profile::P256 => check::<P256>(original, mode, scheme, &sent, is_changed),
        Profile::Rsa => check::<P256Rsa>(original, mode, scheme, &sent, is_changed),
        Profile::P384 => check::<P256RsaP384>(original, mode, scheme, &sent, is_changed),
    }
});
