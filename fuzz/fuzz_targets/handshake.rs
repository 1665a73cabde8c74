//! Both sides of the handshake against arbitrary bytes. They consume at most 3,073 bytes and write at most as many.
//! Cuts do not change the outcome. The first byte chooses the side and its configuration, the second one the cuts.
#![no_main]

use embedded_rtmp::handshake::{
    Handshake, HandshakeConfig, HandshakeError, HandshakeEvent, HandshakeKind, SCRATCH, Style, Versions,
};
use embedded_rtmp::time::Instant;
use embedded_rtmp_fuzz::{Cuts, WHOLE};
use libfuzzer_sys::fuzz_target;

const NOW: Instant = Instant::from_millis(0);

fn side(choice: u8) -> Handshake {
    let config = if choice & 1 == 0 {
        let style = if choice & 2 == 0 { Style::Simple } else { Style::Digest };
        HandshakeConfig::Client { style, strict: choice & 4 != 0 }
    } else {
        HandshakeConfig::Server { versions: if choice & 2 == 0 { Versions::Offer3 } else { Versions::Only3 } }
    };
    Handshake::new(config, u64::from(choice >> 3))
}

/// The outcome: how many bytes were taken, what was sent, and the error.
#[derive(Debug, PartialEq)]
struct Outcome {
    taken: usize,
    sent: Vec<u8>,
    done: bool,
    kind: HandshakeKind,
    error: Option<HandshakeError>,
}

fn run(choice: u8, stream: &[u8], mut cut: impl FnMut() -> usize) -> Outcome {
    let mut side = side(choice);
    let mut scratch = [0; SCRATCH];
    let (mut rest, mut sent, mut error, mut events) = (stream, Vec::new(), None, 0);
    loop {
        let mut window = vec![0; cut().min(WHOLE)];
        let announced = side.transmit_len();
        let written = side.poll_transmit(NOW, &mut window, &mut scratch);
        assert_eq!(written, announced.min(window.len()));
        sent.extend_from_slice(&window[..written]);
        let (mut piece, _) = rest.split_at(cut().min(rest.len()));
        let offered = piece.len();
        match side.next_event(NOW, &mut piece, &mut scratch) {
            Ok(None) => {}
            Ok(Some(event)) => {
                assert_eq!(event, HandshakeEvent::PeerDone(side.kind()));
                events += 1;
            }
            Err(found) => error = error.or(Some(found)),
        }
        let taken = offered - piece.len();
        rest = &rest[taken..];
        if taken == 0 && written == 0 && (offered > 0 || rest.is_empty()) {
            break;
        }
    }
    let (done, taken) = (side.is_done(), stream.len() - rest.len());
    assert!(rest.is_empty() || !side.wants_input() || error.is_some(), "the side wants input, but did not consume it");
    assert_eq!(
        events,
        usize::from(taken == WHOLE && error.is_none()),
        "exactly one event, when the handshake is complete"
    );
    Outcome { taken, sent, done, kind: side.kind(), error }
}

fuzz_target!(|data: &[u8]| {
    let [choice, seed, stream @ ..] = data else { return };
    let whole = run(*choice, stream, || usize::MAX);
    assert!(whole.taken <= WHOLE && whole.sent.len() <= WHOLE);
    assert!(!whole.done || (whole.taken, whole.sent.len(), whole.error) == (WHOLE, WHOLE, None));
    let mut cuts = Cuts::new(*seed);
    let cut = run(*choice, stream, || cuts.length());
    if whole.error.is_none() {
        assert_eq!(cut, whole);
    } else {
        // How much is taken and sent before an error is found depends on the cuts.
        assert_eq!(cut.error, whole.error);
    }
});
