//! Tests the handshake of RTMPE against a second implementation of C1, S1 and the signatures.

use super::digests::{CLIENT_NAME, SCHEMES, SERVER_NAME, sign, signature, signing_key, verified};
use super::*;
use crate::crypt::{Cipher, KeyPair, PublicKey, encipher_signature};

const PLAIN: &[u8] = b"the first chunks of this side";

fn pairs() -> [KeyPair; 2] {
    [KeyPair::new(&[0x11; 32]), KeyPair::new(&[0x22; 32])]
}

/// The position of the public key in a block.
fn place(block: &[u8], scheme: DigestScheme) -> usize {
    let (base, first) = if scheme == DigestScheme::Scheme0 { (1532, 772) } else { (768, 8) };
    block[base..base + 4].iter().map(|&byte| usize::from(byte)).sum::<usize>() % 632 + first
}

/// The C1 or S1 of a peer with a public key.
fn block_with(key: &PublicKey, scheme: DigestScheme, name: &[u8], salt: u8) -> Vec<u8> {
    let mut block = any_block(salt);
    let at = place(&block, scheme);
    block[at..at + 128].copy_from_slice(key);
    sign(&mut block, scheme, name);
    block
}

/// Returns the public key in a block. The digest of the block must cover it.
fn key_of(block: &[u8], scheme: DigestScheme, name: &[u8]) -> PublicKey {
    verified(block, scheme, name);
    let at = place(block, scheme);
    block[at..at + 128].try_into().unwrap()
}

/// The signature in C2 or S2 with XTEA in type 8.
fn signature_of(answer: &[u8], name: &[u8], digest: &[u8; 32], version: u8) -> [u8; 32] {
    let mut signature = signature(answer, name, digest);
    if version == 8 {
        encipher_signature(&mut signature, &signing_key(name, digest));
    }
    signature
}

/// Drains a side, through its cipher once it has one.
fn drained(side: &mut Side, pair: &KeyPair, cipher: &mut Option<Cipher>) -> Vec<u8> {
    if side.machine.awaits_keys() {
        assert!(!side.machine.wants_input() && !side.machine.wants_transmit(), "everything waits for the keys");
        *cipher = side.machine.agree(LATER, pair, &mut side.scratch);
        assert!(cipher.is_some() && !side.machine.awaits_keys());
    }
    let mut bytes = side.drain(100);
    if let Some(cipher) = cipher {
        cipher.encipher(&mut bytes);
    }
    bytes
}

fn encrypted_server() -> Side {
    server(Versions::Rtmpe)
}

fn encrypted_client(pair: &KeyPair, strict: bool) -> Side {
    let mut side = client(Style::Simple, strict);
    assert!(side.machine.encrypt(pair, &mut side.scratch));
    side
}

/// Feeds all of `input` in pieces of `cut` bytes. Returns what the side writes, and the bytes after the handshake.
fn converse(
    side: &mut Side,
    pair: &KeyPair,
    input: &[u8],
    cut: usize,
) -> Result<(Vec<u8>, Vec<u8>, Cipher), HandshakeError> {
    let (mut cipher, mut received, mut after) = (None, Vec::new(), Vec::new());
    let mut written = drained(side, pair, &mut cipher);
    for piece in input.chunks(cut) {
        received.extend(piece);
        loop {
            let lent = match &mut cipher {
                None => &mut received[..],
                Some(cipher) => cipher.decipher(&mut received),
            };
            let mut rest = &*lent;
            if side.machine.is_done() {
                after.extend(std::mem::take(&mut rest));
            }
            let _ = side.machine.next_event(LATER, &mut rest, &mut side.scratch)?;
            let taken = lent.len() - rest.len();
            if let Some(cipher) = &mut cipher {
                cipher.consume(taken);
            }
            received.drain(..taken);
            let more = drained(side, pair, &mut cipher);
            if taken == 0 && more.is_empty() {
                break;
            }
            written.extend(more);
        }
    }
    assert!(side.machine.is_done() && received.is_empty());
    Ok((written, after, cipher.unwrap()))
}

#[test]
fn item_015_item_205_a_server_agrees_with_a_client_of_either_scheme_and_type() {
    let [ours, theirs] = pairs();
    for (scheme, version) in SCHEMES.into_iter().flat_map(|scheme| [(scheme, 6), (scheme, 8)]) {
        for cut in [1, 31, 1536, 1537, 3073, 9999] {
            let c1 = block_with(theirs.public_key(), scheme, CLIENT_NAME, 3);
            let digest = verified(&c1, scheme, CLIENT_NAME);
            // The client learns the server's key only now, so a second cipher makes the bytes of the peer.
            let mut peer = Cipher::new(&theirs, ours.public_key(), [0, 0]).unwrap();
            let mut chunks = PLAIN.to_vec();
            peer.encipher(&mut chunks);
            // FFmpeg does not sign C2 when it publishes.
            let input = [&[version][..], &c1, &any_block(9), &chunks].concat();
            let mut side = encrypted_server();
            let (written, after, mut cipher) = converse(&mut side, &ours, &input, cut).unwrap();
            assert_eq!(after, PLAIN, "cut {cut}");
            assert_eq!((written.len(), written[0]), (3073, version));
            let (s1, s2) = written[1..].split_at(1536);
            assert!(s1[4] >= 3, "FFmpeg looks for a digest only then");
            assert_eq!(key_of(s1, DigestScheme::Scheme0, SERVER_NAME), *ours.public_key());
            assert_eq!(s2[1504..], signature_of(s2, SERVER_NAME, &digest, version));
            let mut answer = PLAIN.to_vec();
            cipher.encipher(&mut answer);
            assert_ne!(answer, PLAIN);
            assert_eq!(peer.decipher(&mut answer), PLAIN);
        }
    }
}

#[test]
fn item_015_item_206_a_client_agrees_with_a_server_of_either_scheme_and_type() {
    let [ours, theirs] = pairs();
    for (scheme, version) in SCHEMES.into_iter().flat_map(|scheme| [(scheme, 6), (scheme, 8)]) {
        for (cut, strict) in [(1, false), (31, true), (1536, false), (1537, true), (3073, false), (9999, true)] {
            let mut side = encrypted_client(&ours, strict);
            let mut first = side.machine.clone();
            let mut c1 = [0; 1537];
            assert_eq!(first.poll_transmit(START, &mut c1, &mut side.scratch.clone()), 1537);
            assert_eq!((c1[0], &c1[5..9]), (6, &[128, 0, 3, 2][..]));
            assert_eq!(key_of(&c1[1..], DigestScheme::Scheme1, CLIENT_NAME), *ours.public_key());
            let digest = verified(&c1[1..], DigestScheme::Scheme1, CLIENT_NAME);
            let s1 = block_with(theirs.public_key(), scheme, SERVER_NAME, 3);
            let mut s2 = any_block(9);
            let sealed = signature_of(&s2, SERVER_NAME, &digest, version);
            s2[1504..].copy_from_slice(&sealed);
            let mut peer = Cipher::new(&theirs, ours.public_key(), [0, 0]).unwrap();
            let mut chunks = PLAIN.to_vec();
            peer.encipher(&mut chunks);
            let input = [&[version][..], &s1, &s2, &chunks].concat();
            let (written, after, mut cipher) = converse(&mut side, &ours, &input, cut).unwrap();
            assert_eq!(after, PLAIN, "cut {cut}");
            assert_eq!(written[..1537], c1);
            let c2 = &written[1537..];
            let digest = verified(&s1, scheme, SERVER_NAME);
            assert_eq!(c2[1504..], signature_of(c2, CLIENT_NAME, &digest, version));
            let mut request = PLAIN.to_vec();
            cipher.encipher(&mut request);
            assert_eq!(peer.decipher(&mut request), PLAIN);
        }
    }
}

#[test]
fn item_207_a_tampered_block_is_refused_before_the_keys() {
    let [ours, theirs] = pairs();
    let good = block_with(theirs.public_key(), DigestScheme::Scheme1, CLIENT_NAME, 3);
    for at in (0..1536).step_by(5) {
        let mut c1 = good.clone();
        c1[at] ^= 0x10;
        let mut side = encrypted_server();
        let input = [&[6][..], &c1].concat();
        assert_eq!(side.feed(&input), Err(HandshakeError::Digest), "at {at}");
        assert!(!side.machine.awaits_keys() && side.machine.agree(LATER, &ours, &mut side.scratch).is_none());
        assert_eq!(side.feed(&[1]), Err(HandshakeError::Digest), "final");
    }
    let mut s1 = block_with(theirs.public_key(), DigestScheme::Scheme0, SERVER_NAME, 3);
    s1[100] ^= 1;
    let mut side = encrypted_client(&ours, false);
    assert_eq!(side.drain(4096).len(), 1537);
    assert_eq!(side.feed(&[&[6][..], &s1].concat()), Err(HandshakeError::Digest));
}

#[test]
fn item_200_a_bad_public_key_is_refused_before_the_keys() {
    let [ours, _] = pairs();
    let number = |low: u8| core::array::from_fn(|at| if at == 127 { low } else { 0 });
    for (key, scheme) in
        [number(0), number(1), [0xFF; 128]].into_iter().flat_map(|key| SCHEMES.map(|scheme| (key, scheme)))
    {
        let mut side = encrypted_server();
        let input = [&[8][..], &block_with(&key, scheme, CLIENT_NAME, 4)].concat();
        assert_eq!(side.feed(&input), Err(HandshakeError::PublicKey));
        let mut side = encrypted_client(&ours, false);
        side.drain(4096);
        let input = [&[6][..], &block_with(&key, scheme, SERVER_NAME, 4)].concat();
        assert_eq!(side.feed(&input), Err(HandshakeError::PublicKey));
    }
}

#[test]
fn item_208_a_client_that_wants_encryption_does_not_continue_without() {
    let [ours, _] = pairs();
    for (version, expected) in
        [(3, HandshakeError::Unencrypted(3)), (9, HandshakeError::Version(9)), (b'H', HandshakeError::Version(b'H'))]
    {
        let mut side = encrypted_client(&ours, false);
        assert!(!side.machine.wants_input(), "S1 must not take the place of the key before C1 has left");
        assert_eq!(side.feed(&[version]), Ok(&[version][..]));
        side.drain(4096);
        assert_eq!(side.feed(&[version]), Err(expected));
    }
}

#[test]
fn item_208_encryption_cannot_begin_late() {
    let [ours, _] = pairs();
    let mut side = client(Style::Simple, false);
    assert_eq!(side.machine.poll_transmit(START, &mut [0], &mut side.scratch), 1);
    assert!(!side.machine.encrypt(&ours, &mut side.scratch));
    assert!(!client(Style::Simple, false).machine.encrypt(&ours, &mut [0; 100]));
    let mut side = encrypted_server();
    assert!(!side.machine.encrypt(&ours, &mut side.scratch));
}

#[test]
fn item_008_a_server_takes_6_and_8_only_with_rtmpe_on() {
    for (versions, is_on) in [(Versions::Offer3, false), (Versions::Only3, false), (Versions::Rtmpe, true)] {
        for version in [6, 8] {
            let refused = server(versions).feed(&[version]) == Err(HandshakeError::Encrypted(version));
            assert_eq!(refused, !is_on);
        }
        assert!(server(versions).feed(&[3]).is_ok());
        assert_eq!(server(versions).feed(&[9]).is_ok(), versions != Versions::Only3);
    }
    let mut side = encrypted_server();
    side.feed(&[&[3][..], &any_block(1)].concat()).unwrap();
    assert!(!side.machine.awaits_keys() && side.machine.transmit_len() == 3073, "plain clients go on as before");
}

#[test]
fn item_209_our_own_sides_agree_at_every_seed() {
    let [ours, theirs] = pairs();
    for seed in 0..40_u64 {
        let mut sides = [(&ours, encrypted_client(&ours, true)), (&theirs, encrypted_server())];
        for (_, side) in &mut sides {
            let config = side.machine.config;
            side.machine = Handshake::new(config, seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        }
        let [(_, client), _] = &mut sides;
        assert!(client.machine.encrypt(&ours, &mut client.scratch));
        let (mut ciphers, mut wires) = ([None, None], [Vec::new(), Vec::new()]);
        for _ in 0..9 {
            for side in 0..2 {
                let (pair, machine) = &mut sides[side];
                let bytes = drained(machine, pair, &mut ciphers[side]);
                wires[1 - side].extend(bytes);
                let left = machine.feed(&wires[side]).unwrap().to_vec();
                wires[side] = left;
            }
        }
        assert!(sides.iter().all(|(_, side)| side.machine.is_done()));
        let [Some(mut a), Some(mut b)] = ciphers else { panic!("both have keys") };
        // Each cipher has counted the sent bytes. `consume` counts the received bytes.
        a.consume(1536);
        b.consume(1536);
        let mut bytes = PLAIN.to_vec();
        a.encipher(&mut bytes);
        assert_eq!(b.decipher(&mut bytes), PLAIN);
    }
}
