//! The handshake with digests, against a second computation of them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::*;

pub(super) const CLIENT_NAME: &[u8] = b"Genuine Adobe Flash Player 001";
pub(super) const SERVER_NAME: &[u8] = b"Genuine Adobe Flash Media Server 001";
const TAIL: &[u8] = &[
    0xF0, 0xEE, 0xC2, 0x4A, 0x80, 0x68, 0xBE, 0xE8, 0x2E, 0x00, 0xD0, 0xD1, 0x02, 0x9E, 0x7E, 0x57, //
    0x6E, 0xEC, 0x5D, 0x2D, 0x29, 0x80, 0x6F, 0xAB, 0x93, 0xB8, 0xE6, 0x36, 0xCF, 0xEB, 0x31, 0xAE,
];
pub(super) const SCHEMES: [DigestScheme; 2] = [DigestScheme::Scheme0, DigestScheme::Scheme1];

pub(super) fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().into()
}

fn place(block: &[u8], scheme: DigestScheme) -> usize {
    let base = if scheme == DigestScheme::Scheme0 { 8 } else { 772 };
    block[base..base + 4].iter().map(|&byte| usize::from(byte)).sum::<usize>() % 728 + base + 4
}

/// The position and the value that the digest of `block` must have.
fn digest_of(block: &[u8], scheme: DigestScheme, name: &[u8]) -> (usize, [u8; 32]) {
    let at = place(block, scheme);
    (at, hmac(name, &[&block[..at], &block[at + 32..]].concat()))
}

/// Signs a C1 or S1. Returns the digest.
pub(super) fn sign(block: &mut [u8], scheme: DigestScheme, name: &[u8]) -> [u8; 32] {
    let (at, digest) = digest_of(block, scheme, name);
    block[at..at + 32].copy_from_slice(&digest);
    digest
}

/// The digest in `block`, which must be right.
pub(super) fn verified(block: &[u8], scheme: DigestScheme, name: &[u8]) -> [u8; 32] {
    let (at, digest) = digest_of(block, scheme, name);
    assert_eq!(block[at..at + 32], digest);
    digest
}

/// The key of the signature for an answer to `digest`.
pub(super) fn signing_key(name: &[u8], digest: &[u8; 32]) -> [u8; 32] {
    hmac(&[name, TAIL].concat(), digest)
}

/// The signature at the end of a C2 or S2, for an answer to `digest`.
pub(super) fn signature(answer: &[u8], name: &[u8], digest: &[u8; 32]) -> [u8; 32] {
    hmac(&signing_key(name, digest), &answer[..1504])
}

#[test]
fn item_010_both_schemes_are_found_in_c1_and_s1() {
    for scheme in SCHEMES {
        for salt in 0..16 {
            let mut c1 = any_block(salt);
            sign(&mut c1, scheme, CLIENT_NAME);
            let mut side = server(Versions::Offer3);
            side.run(&stream(3, &c1, &any_block(2)), 4096, 4096).unwrap();
            assert_eq!(side.machine.kind(), HandshakeKind::Digest(scheme));

            let mut s1 = any_block(salt);
            sign(&mut s1, scheme, SERVER_NAME);
            // From S1 alone: nothing was sent, and the rest is missing.
            let mut side = client(Style::Digest, false);
            side.feed(&stream(3, &s1, &any_block(2))[..1537]).unwrap();
            assert_eq!(side.machine.kind(), HandshakeKind::Digest(scheme));
        }
    }
}

#[test]
fn item_010_a_digest_of_the_other_side_is_none() {
    for scheme in SCHEMES {
        let mut block = any_block(1);
        sign(&mut block, scheme, SERVER_NAME);
        let mut side = server(Versions::Offer3);
        side.run(&stream(3, &block, &any_block(2)), 4096, 4096).unwrap();
        assert_eq!(side.machine.kind(), HandshakeKind::Simple);
    }
}

#[test]
fn item_011_c1_has_a_version_and_a_digest_of_scheme_0() {
    let first = client(Style::Digest, false).drain(4096);
    assert_eq!(first.len(), 1537);
    assert_eq!(first[..9], [3, 0, 0, 0, 0, 9, 0, 124, 2]);
    verified(&first[1..], DigestScheme::Scheme0, CLIENT_NAME);
    assert_eq!(client(Style::Digest, false).drain(1), first);
}

#[test]
fn item_011_many_seeds_make_right_digests() {
    for seed in 0..200 {
        let first = side(HandshakeConfig::Client { style: Style::Digest, strict: false }, seed).drain(4096);
        verified(&first[1..], DigestScheme::Scheme0, CLIENT_NAME);
    }
}

#[test]
fn item_012_s1_and_s2_answer_c1_in_its_scheme() {
    for scheme in SCHEMES {
        let mut c1 = any_block(5);
        let digest = sign(&mut c1, scheme, CLIENT_NAME);
        let (bytes, _) = server(Versions::Offer3).run(&stream(3, &c1, &c1), 4096, 4096).unwrap();
        let (s1, s2) = bytes[1..].split_at(SCRATCH);
        assert!(s1[4] >= 3, "clients check this");
        verified(s1, scheme, SERVER_NAME);
        assert_eq!(s2[..1504], c1[..1504]);
        assert_eq!(s2[1504..], signature(s2, SERVER_NAME, &digest));
    }
}

#[test]
fn item_012_c2_answers_s1() {
    for scheme in SCHEMES {
        let mut s1 = any_block(5);
        let digest = sign(&mut s1, scheme, SERVER_NAME);
        let (bytes, _) = client(Style::Digest, false).run(&stream(3, &s1, &any_block(2)), 4096, 4096).unwrap();
        let c2 = &bytes[1537..];
        assert_eq!(c2[..1504], echo(&s1)[..1504]);
        assert_eq!(c2[1504..], signature(c2, CLIENT_NAME, &digest));
    }
}

#[test]
fn item_004_a_strict_client_wants_s2_signed_by_a_server_with_digests() {
    let c1 = client(Style::Digest, true).drain(4096).split_off(1);
    let mut s1 = any_block(5);
    sign(&mut s1, DigestScheme::Scheme1, SERVER_NAME);
    let mut s2 = any_block(6);
    let right = signature(&s2, SERVER_NAME, &verified(&c1, DigestScheme::Scheme0, CLIENT_NAME));
    s2[1504..].copy_from_slice(&right);
    for cut in [1, 1000, 4096] {
        let mut side = client(Style::Digest, true);
        let peer = stream(3, &s1, &s2);
        // S2 waits until C2 has left the scratch.
        let rest = side.feed(&peer).unwrap();
        assert!(rest.len() == SCRATCH + CHUNK.len() && !side.machine.wants_input());
        assert_eq!(side.run(rest, cut, 4096).unwrap().1, CHUNK);
        assert!(side.machine.is_done());
        for at in [0, 700, 1503, 1504, 1535] {
            let mut s2 = s2.clone();
            s2[at] ^= 1;
            assert_eq!(
                client(Style::Digest, true).run(&stream(3, &s1, &s2), cut, 4096),
                Err(HandshakeError::Echo),
                "{at}"
            );
        }
    }
}

#[test]
fn item_004_a_strict_client_with_a_digest_wants_all_of_c1_back_from_another_server() {
    let c1 = client(Style::Digest, true).drain(4096).split_off(1);
    let mut s2 = echo(&c1);
    let mut side = client(Style::Digest, true);
    side.run(&stream(3, &any_block(1), &s2), 100, 100).unwrap();
    assert!(side.machine.is_done() && side.machine.kind() == HandshakeKind::Simple);
    s2[place(&c1, DigestScheme::Scheme0)] ^= 1;
    assert_eq!(client(Style::Digest, true).run(&stream(3, &any_block(1), &s2), 100, 100), Err(HandshakeError::Echo));
}

#[test]
fn item_013_without_a_right_digest_it_is_the_plain_handshake() {
    for scheme in SCHEMES {
        let mut c1 = any_block(5);
        sign(&mut c1, scheme, CLIENT_NAME);
        for at in [0, 9, place(&c1, scheme), place(&c1, scheme) + 31, 1535] {
            let mut c1 = c1.clone();
            c1[at] ^= 1;
            let mut side = server(Versions::Offer3);
            let bytes = side.run(&stream(3, &c1, &any_block(2)), 4096, 4096).unwrap().0;
            assert_eq!(side.machine.kind(), HandshakeKind::Simple, "{at}");
            assert_eq!(bytes[1..9], [0; 8]);
            assert_eq!(bytes[1537..], c1);
        }
    }
    let s1 = any_block(5);
    let mut side = client(Style::Digest, false);
    let bytes = side.run(&stream(3, &s1, &any_block(2)), 4096, 4096).unwrap().0;
    assert_eq!(side.machine.kind(), HandshakeKind::Simple);
    assert_eq!(bytes[1537..], echo(&s1));
}

#[test]
fn item_013_a_block_with_version_0_has_no_digest() {
    for scheme in SCHEMES {
        let mut c1 = any_block(5);
        c1[4..8].fill(0);
        sign(&mut c1, scheme, CLIENT_NAME);
        let mut side = server(Versions::Offer3);
        let bytes = side.run(&stream(3, &c1, &any_block(2)), 4096, 4096).unwrap().0;
        assert_eq!(side.machine.kind(), HandshakeKind::Simple);
        assert_eq!(bytes[1537..], c1);
    }
}

#[test]
fn item_014_every_sum_keeps_the_digest_in_the_block() {
    for scheme in SCHEMES {
        for sum in 0..=1020_u16 {
            let pointer: [u8; 4] = core::array::from_fn(|index| ((sum + index as u16) / 4) as u8);
            assert_eq!(pointer.iter().map(|&byte| u16::from(byte)).sum::<u16>(), sum);
            let at = usize::from(digest::offset(scheme, pointer));
            let base = if scheme == DigestScheme::Scheme0 { 12 } else { 776 };
            assert_eq!(at, base + usize::from(sum) % 728);
            assert!(at + usize::from(digest::LENGTH) <= SCRATCH);

            let mut c1 = any_block(3);
            c1[base - 4..base].copy_from_slice(&pointer);
            sign(&mut c1, scheme, CLIENT_NAME);
            let c1: [u8; SCRATCH] = c1.try_into().unwrap();
            assert!(sum % 17 != 0 || digest::find(&c1, digest::CLIENT_KEY).is_some_and(|(found, _)| found == scheme));
        }
    }
}

#[test]
fn item_006_digests_cut_anywhere() {
    fn check(new: impl Fn() -> Side, name: &[u8]) {
        let mut block = any_block(1);
        sign(&mut block, DigestScheme::Scheme1, name);
        let peer = stream(3, &block, &any_block(2));
        let whole = new().run(&peer, 4096, 4096).unwrap().0;
        for at in (0..peer.len()).step_by(37).chain([1, 2, 1536, 1537, 1538, 3072, 3073]) {
            for window in [1, 31, 4096] {
                let mut side = new();
                let (mut bytes, left) = side.run(&peer[..at], 4096, window).unwrap();
                let mut input = left.to_vec();
                input.extend(&peer[at..]);
                let (more, rest) = side.run(&input, 4096, window).unwrap();
                bytes.extend(more);
                assert!(bytes == whole && rest == CHUNK && side.machine.is_done(), "cut at {at}, window {window}");
            }
        }
        assert_eq!(new().run(&peer, 1, 1).unwrap().0, whole);
    }
    check(|| client(Style::Digest, false), SERVER_NAME);
    check(|| server(Versions::Offer3), CLIENT_NAME);
}
