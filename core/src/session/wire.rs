//! What goes over the wire: first the handshake, then the chunk stream.

use super::link::Link;
use crate::bytes::Cursor;
use crate::handshake::Handshake;
use crate::time::Instant;

/// Puts out what is left of the handshake, then what waits in the queue.
pub(super) fn transmit<const STREAMS: usize>(
    handshake: &mut Handshake,
    link: &mut Link<'_, STREAMS>,
    now: Instant,
    out: &mut [u8],
) -> usize {
    let written = handshake.poll_transmit(now, out, link.scratch());
    if !handshake.is_done() {
        return written;
    }
    written.saturating_add(link.transmit(out.get_mut(written..).unwrap_or(&mut [])))
}

/// The bytes that [`transmit`] can put out.
pub(super) fn transmit_len<const STREAMS: usize>(handshake: &Handshake, link: &Link<'_, STREAMS>) -> usize {
    let length = handshake.transmit_len();
    if handshake.has_read() { length.saturating_add(link.transmit_len()) } else { length }
}

/// Whether [`transmit`] can put out anything; what it is need not be counted for that.
pub(super) fn wants_transmit<const STREAMS: usize>(handshake: &Handshake, link: &Link<'_, STREAMS>) -> bool {
    handshake.transmit_len() > 0 || (handshake.has_read() && link.wants_transmit())
}

/// Whether input can be taken: for the handshake, or for a chunk stream whose queue has room for `reserve` bytes.
pub(super) fn reads<const STREAMS: usize>(handshake: &Handshake, link: &Link<'_, STREAMS>, reserve: usize) -> bool {
    if handshake.is_done() { link.has_room(reserve) } else { handshake.wants_input() }
}

/// The handshake's filler, from the part of the entropy that is for everyone to see.
pub(super) fn seed(entropy: &[u8; 32]) -> u64 {
    Cursor(entropy).array().map_or(0, u64::from_le_bytes)
}
