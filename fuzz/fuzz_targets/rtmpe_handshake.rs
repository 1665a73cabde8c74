//! Both sides of RTMPE's handshake against a peer whose digest is right. The outcome does not depend on the cuts. Keys
//! are agreed on only with a valid public key and a right digest, and never more than 3,073 bytes are taken or sent.
//!
//! The input is [`Peer`] (4 bytes), the length at which the peer stops (2), the peer's block (1,536), its answer
//! (1,536), and its chunks. Missing bytes are zeros.
#![no_main]

use std::sync::LazyLock;

use embedded_rtmp::crypt::{Cipher, KeyPair};
use embedded_rtmp::handshake::{Handshake, HandshakeConfig, HandshakeError, HandshakeEvent, SCRATCH, Style, Versions};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::{Cuts, WHOLE, rtmpe};
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_millis(0);

static OURS: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::new(&[0x11; 32]));
static THEIRS: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::new(&[0x22; 32]));

/// What the first bytes of the input choose.
struct Peer {
    choice: u8,
    version: u8,
    key: u8,
    cuts: u8,
}

impl Peer {
    fn is_server(&self) -> bool {
        self.choice & 1 == 0
    }

    fn is_strict(&self) -> bool {
        self.choice & 4 != 0
    }

    fn version(&self) -> u8 {
        match self.version & 7 {
            0..3 => 6,
            3..6 => 8,
            6 => 3,
            _ => self.version,
        }
    }

    /// The public key. `None` is the one in the input.
    fn key(&self) -> Option<[u8; 128]> {
        match self.key & 15 {
            0..6 => Some(*THEIRS.public_key()),
            6 => Some(with_low([0; 128], 0)),
            7 => Some(with_low([0; 128], 1)),
            8 => Some(with_low([0; 128], 2)),
            9 => Some(with_low(rtmpe::PRIME, 0xFD)),
            10 => Some(with_low(rtmpe::PRIME, 0xFE)),
            11 => Some(with_low(rtmpe::PRIME, 0xFF)),
            12 => Some([0xFF; 128]),
            13 => Some(*OURS.public_key()),
            _ => None,
        }
    }

    fn is_signed(&self) -> bool {
        self.choice & 0x30 != 0x30
    }

    /// Returns what the peer sends, and whether its block is right.
    fn stream(&self, stop: usize, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut stream = vec![0; WHOLE];
        stream[0] = self.version();
        let (block, rest) = bytes.split_at(bytes.len().min(SCRATCH));
        stream[1..][..block.len()].copy_from_slice(block);
        let bytes = stream[1..=SCRATCH].try_into().expect("a block");
        let mut block = rtmpe::Block { bytes, is_second: self.choice & 2 != 0 };
        if let Some(key) = self.key() {
            *block.key() = key;
        }
        let key = *block.key();
        // From 2 to p - 2.
        let is_valid = key >= with_low([0; 128], 2) && key <= with_low(rtmpe::PRIME, 0xFD);
        if self.is_signed() {
            block.sign(if self.is_server() { rtmpe::SERVER } else { rtmpe::CLIENT });
        }
        stream[1..=SCRATCH].copy_from_slice(&block.bytes);
        let (answer, chunks) = rest.split_at(rest.len().min(SCRATCH));
        stream[1 + SCRATCH..][..answer.len()].copy_from_slice(answer);
        stream.extend(chunks);
        stream.truncate(stop);
        (stream, is_valid && self.is_signed())
    }

    /// The side that is tested. The first byte of its handshake is 6 if it is a client.
    fn side(&self, scratch: &mut [u8]) -> Handshake {
        if self.is_server() {
            let config = HandshakeConfig::Client { style: Style::Simple, strict: self.is_strict() };
            let mut client = Handshake::new(config, 7);
            assert!(client.encrypt(&OURS, scratch));
            client
        } else {
            Handshake::new(HandshakeConfig::Server { versions: Versions::Rtmpe }, 7)
        }
    }
}

/// The number with another last byte.
fn with_low(mut number: [u8; 128], low: u8) -> [u8; 128] {
    number[127] = low;
    number
}

#[derive(Debug, PartialEq)]
struct Outcome {
    taken: usize,
    sent: Vec<u8>,
    has_agreed: bool,
    done: bool,
    error: Option<HandshakeError>,
    /// The chunks, deciphered.
    chunks: Vec<u8>,
}

fn run(peer: &Peer, stream: &[u8], mut cut: impl FnMut() -> usize) -> Outcome {
    let mut scratch = [0; SCRATCH];
    let mut side = peer.side(&mut scratch);
    let mut cipher: Option<Cipher> = None;
    let (mut rest, mut received, mut sent, mut chunks) = (stream, Vec::new(), Vec::new(), Vec::new());
    let (mut taken, mut error, mut events) = (0, None, 0);
    loop {
        if side.awaits_keys() {
            assert!(!side.wants_input() && !side.wants_transmit(), "everything waits for the keys");
            cipher = side.agree(NOW, &OURS, &mut scratch);
            assert!(cipher.is_some() && !side.awaits_keys());
        }
        let mut window = vec![0; cut().min(WHOLE)];
        let announced = side.transmit_len();
        let written = side.poll_transmit(NOW, &mut window, &mut scratch);
        assert_eq!(written, announced.min(window.len()));
        let plain = window.clone();
        if let Some(cipher) = &mut cipher {
            cipher.encipher(&mut window[..written]);
        }
        assert_eq!(plain, window, "the handshake is not enciphered");
        sent.extend_from_slice(&window[..written]);
        let (piece, after) = rest.split_at(cut().min(rest.len()));
        received.extend_from_slice(piece);
        rest = after;
        let lent = match &mut cipher {
            None => &mut received[..],
            Some(cipher) => cipher.decipher(&mut received),
        };
        let mut left = &*lent;
        let is_over = taken == WHOLE;
        if is_over {
            chunks.extend_from_slice(left);
            left = &[];
        } else {
            match side.next_event(NOW, &mut left, &mut scratch) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    assert_eq!(event, HandshakeEvent::PeerDone(side.kind()));
                    events += 1;
                }
                Err(found) => error = error.or(Some(found)),
            }
        }
        let consumed = lent.len() - left.len();
        taken += if is_over { 0 } else { consumed };
        if let Some(cipher) = &mut cipher {
            cipher.consume(consumed);
        }
        received.drain(..consumed);
        if consumed == 0 && written == 0 && piece.is_empty() && !side.awaits_keys() {
            break;
        }
        if error.is_some() {
            assert_eq!(side.poll_transmit(NOW, &mut [0; 8], &mut scratch), 0, "an error is final");
            break;
        }
    }
    let is_whole = taken == WHOLE;
    assert_eq!(events, usize::from(is_whole && error.is_none()), "one event, when the handshake is complete");
    assert!(!is_whole || error.is_some() || received.is_empty(), "chunks that were not read");
    Outcome { taken, sent, has_agreed: cipher.is_some(), done: side.is_done(), error, chunks }
}

fuzz_target!(|data: &[u8]| {
    let [choice, version, key, cuts, high, low, bytes @ ..] = data else { return };
    let peer = Peer { choice: *choice, version: *version, key: *key, cuts: *cuts };
    let (stream, is_right) = peer.stream(u16::from_be_bytes([*high, *low]).into(), bytes);
    let whole = run(&peer, &stream, || usize::MAX);
    assert!(whole.taken <= WHOLE && whole.sent.len() <= WHOLE);
    let is_rtmpe = matches!(peer.version(), 6 | 8);
    assert_eq!(whole.has_agreed, is_rtmpe && is_right && stream.len() > SCRATCH, "{:?}", whole.error);
    assert!(!peer.is_server() || whole.has_agreed || !whole.done, "a client without keys");
    if whole.has_agreed && !peer.is_strict() {
        assert_eq!(whole.error, None);
        assert_eq!(whole.chunks.len(), stream.len().saturating_sub(WHOLE));
    }
    let mut cuts = Cuts::new(peer.cuts);
    let cut = run(&peer, &stream, || cuts.length());
    if whole.error.is_none() {
        assert_eq!(cut, whole);
    } else {
        // How much is taken and sent before an error is found depends on the cuts.
        assert_eq!((cut.error, cut.has_agreed), (whole.error, whole.has_agreed));
    }
});
