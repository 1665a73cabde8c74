//! Our two sides against each other, and each against noise.

use proptest::prelude::*;

use super::*;

/// All ways in which a client can begin.
fn styles() -> Vec<Style> {
    std::vec![
        Style::Simple,
        #[cfg(feature = "digest")]
        Style::Digest,
    ]
}

fn configs() -> impl Iterator<Item = (Style, bool)> {
    styles().into_iter().flat_map(|style| [true, false].map(|strict| (style, strict)))
}

/// Passes bytes in both directions, in pieces of at most `to_server` and `to_client` bytes, until nothing moves.
fn converse((style, strict): (Style, bool), to_server: usize, to_client: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (client(style, strict), server(Versions::Offer3));
    let (mut up, mut down) = (Pipe::default(), Pipe::default());
    while up.step(&mut client, &mut server, to_server) | down.step(&mut server, &mut client, to_client) {}
    assert!(client.machine.is_done() && server.machine.is_done());
    assert_eq!((up.taken, down.taken), (3073, 3073));
    assert_eq!(client.machine.kind(), server.machine.kind());
    assert_eq!(client.machine.kind() == HandshakeKind::Simple, style == Style::Simple);
    (up.bytes, down.bytes)
}

/// One direction: all bytes so far, and how many of them the receiver has taken.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    taken: usize,
}

impl Pipe {
    /// Lets `from` write a piece and `to` read one. Returns whether anything moved.
    fn step(&mut self, from: &mut Side, to: &mut Side, window: usize) -> bool {
        let mut out = std::vec![0; window];
        let written = from.machine.poll_transmit(START, &mut out, &mut from.scratch);
        self.bytes.extend(&out[..written]);
        let waiting = &self.bytes[self.taken..];
        let piece = &waiting[..window.min(waiting.len())];
        let taken = piece.len() - to.feed(piece).unwrap().len();
        self.taken += taken;
        assert!(taken == piece.len() || !to.machine.wants_input(), "what is wanted is taken");
        written > 0 || taken > 0
    }
}

#[test]
fn every_kind_of_client_and_the_server_understand_each_other() {
    for config in configs() {
        let whole = converse(config, 4096, 4096);
        for window in [1, 2, 3, 5, 64, 1460, 1536, 1537] {
            assert!(converse(config, window, window) == whole, "{config:?} {window}");
            assert!(converse(config, window, 4096) == whole, "{config:?} {window} up");
            assert!(converse(config, 4096, window) == whole, "{config:?} {window} down");
        }
    }
}

#[test]
fn two_seeds_make_two_handshakes() {
    let mut blocks = Vec::new();
    for seed in [0, 1, u64::MAX] {
        blocks.push(side(HandshakeConfig::CLIENT, seed).drain(4096));
    }
    assert!(blocks[0] != blocks[1] && blocks[1] != blocks[2] && blocks[0] != blocks[2]);
}

/// Feeds noise in pieces. No byte beyond the handshake is taken.
fn survive(mut side: Side, noise: &[u8], cuts: &[usize]) {
    let mut taken = 0;
    let mut written = 0;
    for &cut in cuts.iter().cycle().take(200) {
        let rest = &noise[taken.min(noise.len())..];
        let piece = &rest[..cut.min(rest.len())];
        let mut input = piece;
        let result = side.machine.next_event(LATER, &mut input, &mut side.scratch);
        taken += piece.len() - input.len();
        assert!(taken <= 3073);
        assert!(result.is_ok() || !side.machine.wants_input());
        written += side.machine.poll_transmit(START, &mut std::vec![0; cut / 2], &mut side.scratch);
        assert!(written <= 3073);
        assert!(!side.machine.is_done() || (taken, written) == (3073, 3073));
    }
}

proptest! {
    #[test]
    fn noise_does_no_harm(
        mut noise in proptest::collection::vec(any::<u8>(), 0..4000),
        version in prop_oneof![Just(3_u8), any::<u8>()],
        cuts in proptest::collection::vec(0..2000_usize, 1..9),
    ) {
        if let Some(first) = noise.first_mut() {
            *first = version;
        }
        for (style, strict) in configs() {
            survive(client(style, strict), &noise, &cuts);
        }
        for versions in [Versions::Offer3, Versions::Only3] {
            survive(server(versions), &noise, &cuts);
        }
    }
}
