//! The handshake of the specification.

use super::*;

#[test]
fn item_001_client_writes_c0_and_c1_and_no_more_before_s1() {
    let mut side = client(Style::Simple, false);
    assert_eq!(side.machine.transmit_len(), 1537);
    let first = side.drain(4096);
    assert_eq!((first.len(), first[0]), (1537, 3));
    let peer = stream(3, &any_block(1), &any_block(2));
    side.feed(&peer[..1536]).unwrap();
    assert_eq!((side.machine.transmit_len(), side.machine.wants_input()), (0, true));
    side.feed(&peer[1536..1537]).unwrap();
    assert_eq!(side.machine.transmit_len(), 1536);
}

#[test]
fn item_002_simple_c1_has_time_zero_and_four_zeros() {
    let first = client(Style::Simple, false).drain(4096);
    assert_eq!(first[1..9], [0; 8]);
    assert!(first[9..].iter().any(|&byte| byte != first[9]));
}

#[test]
fn item_003_c2_is_s1_with_the_time_of_reading() {
    let s1 = any_block(9);
    let mut side = client(Style::Simple, false);
    let (bytes, rest) = side.run(&stream(3, &s1, &any_block(2)), 4096, 4096).map(|(b, r)| (b, r.to_vec())).unwrap();
    assert_eq!(bytes[1537..], echo(&s1));
    assert_eq!(bytes.len(), 3073);
    assert_eq!(rest, CHUNK);
    assert!(side.machine.is_done());
}

#[test]
fn item_003_s2_is_c1_to_the_byte() {
    let c1 = any_block(9);
    let mut side = server(Versions::Offer3);
    assert_eq!(side.machine.transmit_len(), 0);
    let (bytes, _) = side.run(&stream(3, &c1, &any_block(2)), 4096, 4096).map(|(b, r)| (b, r.to_vec())).unwrap();
    assert_eq!((bytes.len(), bytes[0]), (3073, 3));
    assert_eq!(bytes[1..9], [0; 8]);
    assert_eq!(bytes[1537..], c1);
}

#[test]
fn item_004_any_s2_is_accepted_by_default() {
    let mut side = client(Style::Simple, false);
    side.run(&stream(3, &any_block(1), &any_block(2)), 4096, 4096).unwrap();
    assert!(side.machine.is_done());
}

#[test]
fn item_004_a_strict_client_wants_its_c1_back() {
    let c1 = client(Style::Simple, true).drain(4096).split_off(1);
    for cut in [1, 7, 1536, 4096] {
        let mut side = client(Style::Simple, true);
        side.run(&stream(3, &any_block(1), &echo(&c1)), cut, 4096).unwrap();
        assert!(side.machine.is_done());
        for at in [0, 3, 8, 9, 40, 1535] {
            let mut s2 = echo(&c1);
            s2[at] ^= 1;
            let mut side = client(Style::Simple, true);
            assert_eq!(side.run(&stream(3, &any_block(1), &s2), cut, 4096), Err(HandshakeError::Echo), "{at}");
            // The error is final.
            assert_eq!(side.feed(&[]), Err(HandshakeError::Echo));
            let machine = side.machine;
            assert!(!machine.is_done() && !machine.wants_input() && !machine.wants_transmit());
        }
    }
}

#[test]
fn item_005_a_version_in_s1_is_accepted() {
    let mut s1 = any_block(1);
    s1[4..8].copy_from_slice(&[0x0D, 0x0E, 0x0A, 0x0D]);
    let mut side = client(Style::Simple, false);
    side.run(&stream(3, &s1, &any_block(2)), 4096, 4096).unwrap();
    assert!(side.machine.is_done());
    assert_eq!(side.machine.kind(), HandshakeKind::Simple);
}

#[test]
fn item_006_splits_make_no_difference() {
    let peer = stream(3, &any_block(1), &any_block(2));
    let whole = client(Style::Simple, false).run(&peer, 4096, 4096).unwrap().0;
    for at in [1, 1536, 1537, 3072] {
        let mut side = client(Style::Simple, false);
        let mut bytes = side.run(&peer[..at], at, 4096).unwrap().0;
        let (more, rest) = side.run(&peer[at..], 4096, 4096).unwrap();
        bytes.extend(more);
        assert_eq!((bytes, rest), (whole.clone(), CHUNK), "{at}");
        assert!(side.machine.is_done());
    }
    // 3073 reads of one byte.
    let mut side = client(Style::Simple, false);
    assert_eq!(side.run(&peer, 1, 4096).unwrap(), (whole, CHUNK));
}

/// Both sides, cut at every byte. Some cuts also with windows of 1 byte.
#[test]
fn item_006_cut_at_every_byte() {
    fn check(new: impl Fn() -> Side) {
        let peer = stream(3, &any_block(1), &any_block(2));
        let whole = new().run(&peer, 4096, 4096).unwrap().0;
        for at in 0..peer.len() {
            for window in [1, 4096] {
                if window == 1 && at % 64 > 1 {
                    continue;
                }
                let mut side = new();
                let (mut bytes, left) = side.run(&peer[..at], 4096, window).unwrap();
                let mut input = left.to_vec();
                input.extend(&peer[at..]);
                let (more, rest) = side.run(&input, 4096, window).unwrap();
                bytes.extend(more);
                assert!(bytes == whole && rest == CHUNK && side.machine.is_done(), "cut at {at}, window {window}");
            }
        }
    }
    check(|| client(Style::Simple, false));
    check(|| server(Versions::Offer3));
}

#[test]
fn item_007_what_is_glued_to_s2_stays_in_the_input() {
    let mut side = client(Style::Simple, false);
    let peer = stream(3, &any_block(1), &any_block(2));
    // S2 is taken before C2, and even before C1, is written.
    assert_eq!(side.feed(&peer).unwrap(), CHUNK);
    assert!(!side.machine.is_done() && !side.machine.wants_input());
    assert_eq!(side.feed(CHUNK).unwrap(), CHUNK);
    let bytes = side.drain(100);
    assert_eq!(bytes[1537..], echo(&any_block(1)));
    assert!(side.machine.is_done());
    assert_eq!(side.feed(CHUNK).unwrap(), CHUNK);
}

#[test]
fn item_008_item_168_a_server_offers_version_3_or_refuses() {
    for (version, lenient, strict) in [
        (0, Err(HandshakeError::Version(0)), Err(HandshakeError::Version(0))),
        (2, Err(HandshakeError::Version(2)), Err(HandshakeError::Version(2))),
        (3, Ok(()), Ok(())),
        (4, Ok(()), Err(HandshakeError::Version(4))),
        (6, Err(HandshakeError::Encrypted(6)), Err(HandshakeError::Encrypted(6))),
        (8, Err(HandshakeError::Encrypted(8)), Err(HandshakeError::Encrypted(8))),
        (31, Ok(()), Err(HandshakeError::Version(31))),
        // The first bytes of a PROXY header, and of TLS.
        (13, Err(HandshakeError::Version(13)), Err(HandshakeError::Version(13))),
        (22, Err(HandshakeError::Version(22)), Err(HandshakeError::Version(22))),
        (32, Err(HandshakeError::Version(32)), Err(HandshakeError::Version(32))),
        (b'G', Err(HandshakeError::Version(b'G')), Err(HandshakeError::Version(b'G'))),
        (255, Err(HandshakeError::Version(255)), Err(HandshakeError::Version(255))),
    ] {
        for (versions, expected) in [(Versions::Offer3, lenient), (Versions::Only3, strict)] {
            let peer = stream(version, &any_block(1), &any_block(2));
            let mut side = server(versions);
            let result = side.run(&peer, 1, 4096).map(|(bytes, _)| assert_eq!((bytes.len(), bytes[0]), (3073, 3)));
            assert_eq!(result, expected, "{version} {versions:?}");
            assert_eq!(side.machine.is_done(), expected.is_ok());
        }
    }
}

#[test]
fn item_008_a_client_takes_version_3_alone() {
    for version in 0..=255 {
        let peer = stream(version, &any_block(1), &any_block(2));
        let expected = match version {
            3 => Ok(()),
            6 | 8 => Err(HandshakeError::Encrypted(version)),
            _ => Err(HandshakeError::Version(version)),
        };
        let mut side = client(Style::Simple, false);
        assert_eq!(side.run(&peer, 4096, 4096).map(|_| ()), expected);
        let mut input = &peer[..];
        assert_eq!(side.machine.next_event(LATER, &mut input, &mut side.scratch), expected.map(|()| None));
        assert!(expected.is_ok() || input.len() == peer.len(), "a refused byte is not taken");
    }
}

#[test]
fn item_009_a_server_takes_c2_and_leaves_what_is_glued_to_it() {
    let mut side = server(Versions::Offer3);
    let peer = stream(3, &any_block(1), &any_block(2));
    assert_eq!(side.feed(&peer[..1537]).unwrap(), []);
    side.drain(4096);
    assert_eq!(side.feed(&peer[1537..]).unwrap(), CHUNK);
    assert!(side.machine.is_done());
}

#[test]
fn item_009_a_server_takes_all_of_an_eager_client_in_one_segment() {
    let mut side = server(Versions::Offer3);
    assert_eq!(side.feed(&stream(3, &any_block(1), &any_block(2))).unwrap(), CHUNK);
    assert_eq!(side.drain(4096).len(), 3073);
    assert!(side.machine.is_done());
}

#[test]
fn a_scratch_that_is_too_small_is_an_error() {
    let mut input: &[u8] = &[3];
    let mut client = Handshake::new(HandshakeConfig::CLIENT, 0);
    assert_eq!(client.next_event(START, &mut input, &mut [0; SCRATCH - 1]), Err(HandshakeError::ScratchTooSmall));
    let mut server = Handshake::new(HandshakeConfig::SERVER, 0);
    assert_eq!(server.next_event(START, &mut input, &mut []), Err(HandshakeError::ScratchTooSmall));
    assert_eq!(input, [3]);
    assert_eq!(Handshake::new(HandshakeConfig::CLIENT, 0).poll_transmit(START, &mut [0; 9], &mut []), 0);
}

#[test]
fn item_016_a_side_is_a_few_words() {
    // Seed 8, two positions 2 each, configuration 2, kind or error 2. A digest is 32, and 8 around it.
    let limit = if cfg!(feature = "digest") { 60 } else { 16 };
    assert!(size_of::<Handshake>() <= limit, "{}", size_of::<Handshake>());
}
