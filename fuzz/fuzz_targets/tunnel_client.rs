//! A tunnel's client against arbitrary bytes of a server. The lent bytes, the requests and the end do not depend on the
//! cuts of the responses or on the output windows. The first byte chooses the cuts. The rest is steps, separated by a
//! byte FE. The first byte of a step chooses what the client does (see [`Step`]), the others are bytes of the server.
#![no_main]

use embedded_rtmp::time::Instant;
use embedded_rtmp::tunnel::{MAX_BODY, TunnelClient, TunnelError};
use embedded_rtmp_fuzz::{Cuts, head};
use libfuzzer_sys::fuzz_target;

/// A step's first byte.
struct Step(u8);

impl Step {
    /// The session has this number of bytes to send.
    fn bytes(&self) -> usize {
        [0, 1, 2, 100, 1_000, 10_000, 65_536, 70_000][usize::from(self.0 & 7)]
    }

    /// The session cannot read more before it has sent something.
    fn hurries(&self) -> bool {
        self.0 & 0x08 != 0
    }

    fn closes(&self) -> bool {
        self.0 & 0x10 != 0
    }

    /// The connection ends, and another one begins.
    fn is_cut_off(&self) -> bool {
        self.0 & 0x20 != 0
    }

    /// The time in ms in which nothing happens.
    fn pause(&self) -> u64 {
        [300, 3, 700, 30_000][usize::from(self.0 >> 6)]
    }
}

/// The lent bytes, the requests and the outcome.
#[derive(Debug, Default, PartialEq)]
struct Happened {
    lent: Vec<u8>,
    asked: Vec<u8>,
    errors: Vec<TunnelError>,
    states: Vec<[bool; 4]>,
}

fn ask(
    client: &mut TunnelClient,
    now: Instant,
    waiting: &mut usize,
    window: &mut dyn FnMut() -> usize,
    asked: &mut Vec<u8>,
) {
    loop {
        let mut out = vec![0; window().min(100_000)];
        let wants = client.wants_transmit(now, *waiting);
        let written = client.poll_transmit(now, &mut out, *waiting, |room| {
            assert!(room.len() <= (*waiting).min(MAX_BODY), "more bytes were written than announced");
            room.fill(b'!');
            *waiting -= room.len();
            room.len()
        });
        assert_eq!(wants, written > 0);
        asked.extend_from_slice(&out[..written]);
        if written == 0 {
            return;
        }
    }
}

/// Returns `true` if bytes are requests whose bodies have the announced length. The last one may be incomplete.
fn are_requests(mut bytes: &[u8]) -> bool {
    while let Some((head, length, rest)) = head(bytes) {
        if !head.starts_with("POST /") || !(1..=MAX_BODY).contains(&length) {
            return false;
        }
        bytes = rest.get(length..).unwrap_or(&[]);
    }
    true
}

fn happened(steps: &[u8], mut cut: impl FnMut() -> usize) -> Happened {
    let (mut client, mut happened, mut waiting) = (TunnelClient::new("::1", 80), Happened::default(), 0);
    let mut now = Instant::from_millis(1);
    for step in steps.split(|byte| *byte == 0xFE) {
        let Some((first, mut says)) = step.split_first() else { continue };
        let step = Step(*first);
        now = Instant::from_millis(now.as_millis() + step.pause());
        let mut results = vec![client.handle_timeout(now)];
        if step.is_cut_off() || client.needs_connection() {
            results.push(client.connection_ended());
            client.connected();
        }
        if step.closes() {
            client.close();
        }
        waiting += step.bytes();
        ask(&mut client, now, &mut waiting, &mut cut, &mut happened.asked);
        while !says.is_empty() {
            let offered = cut().min(says.len());
            let mut piece = &says[..offered];
            let lent = &mut happened.lent;
            let result = client.receive(now, &mut piece, |bytes| {
                let length = cut().min(bytes.len());
                lent.extend_from_slice(&bytes[..length]);
                *bytes = &bytes[length..];
            });
            let taken = offered - piece.len();
            says = &says[taken..];
            if result.is_err() {
                results.push(result);
                break;
            }
            assert!(taken > 0, "the client neither consumed input nor failed");
        }
        if step.hurries() {
            client.send_early();
            ask(&mut client, now, &mut waiting, &mut cut, &mut happened.asked);
        }
        for error in results.into_iter().filter_map(Result::err) {
            assert!(happened.errors.iter().all(|before| *before == error), "an error is final");
            happened.errors.push(error);
        }
        if let Some(error) = happened.errors.first() {
            assert_eq!(client.handle_timeout(now), Err(*error));
            assert!(!client.wants_transmit(now, 1) && client.poll_timeout().is_none());
        }
        let states = [client.is_open(), client.is_closed(), client.is_under_way(), client.needs_connection()];
        happened.states.push(states);
    }
    assert!(are_requests(&happened.asked));
    happened
}

fuzz_target!(|data: &[u8]| {
    let [seed, steps @ ..] = data else { return };
    let whole = happened(steps, || usize::MAX);
    let mut cuts = Cuts::new(*seed);
    assert_eq!(happened(steps, || cuts.length()), whole);
});
