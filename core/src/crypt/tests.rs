//! Tests the key agreement, the keystreams and the signatures of type 8 against `vectors.txt`, which other programs
//! made.

use std::collections::BTreeMap;
use std::format;
use std::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::group::is_valid;
use super::*;
use crate::time::Instant;

const PRIME: &str = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a\
     431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6\
     49286651ece65381ffffffffffffffff";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Returns the cases whose name contains `word`.
fn cases(word: &str) -> Vec<BTreeMap<&'static str, Vec<u8>>> {
    let (mut cases, mut is_wanted) = (Vec::new(), false);
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once(' ').unwrap();
        if name == "case" {
            is_wanted = value.contains("signature") == (word == "signature");
            cases.extend(is_wanted.then(BTreeMap::new));
        } else if is_wanted {
            cases.last_mut().unwrap().insert(name, hex(value));
        }
    }
    cases
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap()
}

#[test]
fn item_015_keys_are_those_of_the_vectors() {
    let cases = cases("agreement");
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let [a, b] = ["entropy_a", "entropy_b"].map(|name| KeyPair::new(&array(&case[name])));
        assert_eq!([*a.public_key(), *b.public_key()], ["public_a", "public_b"].map(|name| array(&case[name])));
        assert_eq!(a.shared_secret(b.public_key()).unwrap()[..], case["secret"]);
        assert_eq!(b.shared_secret(a.public_key()).unwrap()[..], case["secret"]);
        let mut ciphers =
            [(&a, &b), (&b, &a)].map(|(ours, theirs)| Cipher::new(ours, theirs.public_key(), [0; 2]).unwrap());
        let mut streams = [[0; 64]; 4];
        let [to_b, to_a, at_a, at_b] = &mut streams;
        ciphers[0].encipher(to_b);
        ciphers[1].encipher(to_a);
        ciphers[0].decipher(at_a);
        ciphers[1].decipher(at_b);
        assert!([to_a, at_a].iter().all(|stream| stream[..] == case["to_a"]));
        assert!([to_b, at_b].iter().all(|stream| stream[..] == case["to_b"]));
        let mut far = std::vec![0; 100_000 - 64];
        ciphers[1].encipher(&mut far);
        assert_eq!(Sha256::digest([&case["to_a"][..], &far].concat())[..], case["far_to_a"]);
    }
    let leading = |name| cases.iter().filter(|case| case[name][0] == 0).count();
    assert!(leading("public_a") >= 2 && leading("secret") >= 2, "numbers with leading zeros are among them");
}

#[test]
fn item_200_public_keys_that_make_the_secret_known_are_invalid() {
    let prime: PublicKey = array(&hex(PRIME));
    let number = |low: u8| core::array::from_fn(|at| if at == 127 { low } else { 0 });
    let below = |by: u8| core::array::from_fn(|at| if at == 127 { 0xFF - by } else { prime[at] });
    let pair = KeyPair::new(&[7; 32]);
    for (key, is_right) in [
        (number(0), false),
        (number(1), false),
        (number(2), true),
        (below(2), true),
        (below(1), false),
        (prime, false),
        ([0xFF; 128], false),
        (*pair.public_key(), true),
    ] {
        assert_eq!(is_valid(&key), is_right, "{key:?}");
        assert_eq!(pair.shared_secret(&key).is_some(), is_right);
        assert_eq!(Cipher::new(&pair, &key, [0; 2]).is_some(), is_right);
    }
}

#[test]
fn item_201_signatures_of_type_8_are_those_of_the_vectors() {
    let cases = cases("signature");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let mut signature = array(&case["signature"]);
        encipher_signature(&mut signature, &array(&case["key"]));
        assert_eq!(signature[..], case["enciphered"]);
    }
}

#[test]
fn item_202_no_byte_is_deciphered_twice_however_it_is_cut() {
    let (a, b) = (KeyPair::new(&[1; 32]), KeyPair::new(&[2; 32]));
    let plain: Vec<u8> = (0..3000_u32).map(|at| (at * 7) as u8).collect();
    // 10 bytes of the handshake are left in this direction.
    for (piece, consumed) in [(1, 1), (1, 0), (7, 3), (64, 64), (64, 1), (3000, 11), (3000, 3000)] {
        let mut sender = Cipher::new(&b, a.public_key(), [0, 10]).unwrap();
        let mut receiver = Cipher::new(&a, b.public_key(), [10, 0]).unwrap();
        let mut wire = plain.clone();
        for piece in wire.chunks_mut(piece) {
            sender.encipher(piece);
        }
        assert_eq!(wire[..10], plain[..10]);
        assert_ne!(wire[10..], plain[10..]);
        let (mut read, mut start, mut lent, mut calls) = (Vec::<u8>::new(), 0, 0, 0_usize);
        while start < wire.len() {
            // The piece grows until the session consumes some of it.
            lent = (lent + piece).min(wire.len() - start);
            calls += 1;
            let bytes = receiver.decipher(&mut wire[start..start + lent]);
            let count = if calls.is_multiple_of(3) { bytes.len() } else { consumed.min(bytes.len()) };
            assert!(start >= 10 || start + bytes.len() <= 10, "the handshake's end is a boundary");
            read.extend(&bytes[..count]);
            receiver.consume(count);
            (start, lent) = (start + count, lent - count);
        }
        assert!(read == plain, "pieces of {piece}, of which {consumed} are consumed");
    }
}

#[test]
fn item_203_at_most_two_agreements_begin_in_a_second() {
    let mut limit = AgreementLimit::DEFAULT;
    let begun = (0..10_000).filter(|at| limit.try_begin(Instant::from_millis(at * 3)).is_ok()).count();
    assert!((58..=60).contains(&begun), "{begun} in 30 s");
    let now = Instant::from_millis(40_000);
    assert_eq!(limit.try_begin(now), Ok(()));
    assert_eq!(limit.try_begin(now), Err(Instant::from_millis(40_500)));
    assert_eq!(limit.try_begin(Instant::from_millis(40_500)), Ok(()));
}

#[test]
fn item_204_secrets_are_not_printed() {
    let pair = KeyPair::new(&[0x5A; 32]);
    let cipher = Cipher::new(&pair, KeyPair::new(&[1; 32]).public_key(), [0; 2]).unwrap();
    assert_eq!(format!("{pair:?} {cipher:?}"), "KeyPair Cipher");
    assert!(size_of::<Cipher>() <= 560 && size_of::<KeyPair>() <= 160, "{}", size_of::<Cipher>());
}
