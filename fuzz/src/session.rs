//! Runs a session with the bytes of a peer, cut into any pieces.

use embedded_rtmp::chunk::Fragment;
use embedded_rtmp::session::{Connection, Role, SessionError};
use embedded_rtmp::time::Instant;

use crate::Message;

/// An event without a borrow.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A message whose fragments have been put together, as far as they came.
    Media(Message),
    /// Any other event, as its `Debug` has it.
    Other(String),
}

/// One side of a connection, and its application.
pub trait Side<'b> {
    /// Client or server.
    type Role: Role;
    /// The connection.
    fn session(&mut self) -> &mut Connection<'b, Self::Role, 4>;
    /// Consumes input up to the next event, adds it to `log` and decides about its request. Returns whether there was one.
    fn next(&mut self, now: Instant, input: &mut &[u8], log: &mut Vec<Entry>) -> Result<bool, SessionError>;
    /// Writes bytes to send to `out`.
    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize;
}

/// The result of a stream.
#[derive(Debug, PartialEq)]
pub struct Happened {
    /// The events.
    pub log: Vec<Entry>,
    /// What ended it.
    pub error: Option<SessionError>,
}

/// Adds a piece of a message to the log.
pub fn note(log: &mut Vec<Entry>, fragment: Fragment<'_>) {
    let Fragment { csid, header, .. } = fragment;
    let offset = fragment.offset as usize;
    assert!(offset + fragment.data.len() <= header.length as usize, "the payload is longer than the header says");
    let open = log.iter_mut().rev().find_map(|entry| match entry {
        Entry::Media(message) if message.csid == csid && !fragment.is_first() => Some(&mut message.payload),
        _ => None,
    });
    // The session passes on only the rest of a message that began before its stream was published.
    match open.filter(|payload| payload.len() == offset) {
        Some(payload) => payload.extend_from_slice(fragment.data),
        None => log.push(Entry::Media(Message { csid, header, payload: fragment.data.to_vec() })),
    }
}

/// Drives a session with what a peer sends, in pieces and through output windows that `cut` chooses.
pub fn run<'b>(mut side: impl Side<'b>, stream: &[u8], mut cut: impl FnMut() -> usize) -> Happened {
    let now = Instant::from_millis(1);
    let (mut rest, mut log, mut error, mut sent) = (stream, Vec::new(), None, 0);
    while error.is_none() {
        let mut window = vec![0; cut().min(4096)];
        let written = side.transmit(now, &mut window);
        assert!(written <= window.len());
        sent += written;
        let mut piece = &rest[..cut().min(rest.len())];
        let offered = piece.len();
        let happened = side.next(now, &mut piece, &mut log);
        let taken = offered - piece.len();
        rest = &rest[taken..];
        match happened {
            Ok(false) if taken == 0 && written == 0 && (offered > 0 || rest.is_empty()) => break,
            Ok(_) => {}
            Err(found) => error = Some(found),
        }
        assert!(sent <= 16_000 + 100 * stream.len(), "the side does not stop sending");
    }
    match error {
        None => {
            assert!(rest.is_empty() || !side.session().wants_input(), "the side wants input, but did not consume it")
        }
        Some(error) => {
            assert_eq!(side.next(now, &mut &rest[..], &mut log), Err(error), "an error is final");
            assert_eq!((side.transmit(now, &mut [0; 64]), side.session().wants_input()), (0, false));
        }
    }
    let later = Instant::from_millis(100_000);
    let timed_out = side.session().handle_timeout(later);
    let _ = side.transmit(later, &mut [0; 4096]);
    assert!(error.is_none() || timed_out == Err(error.expect("there is an error")));
    Happened { log, error }
}
