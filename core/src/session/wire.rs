//! What goes over the wire: first the handshake, then the chunk stream.

use super::link::Link;
use crate::bytes::Cursor;
use crate::handshake;

/// Either side's handshake.
pub(super) trait Handshake {
    fn transmit(&mut self, scratch: &mut [u8], out: &mut [u8]) -> usize;
    fn transmit_len(&self) -> usize;
    fn wants_input(&self) -> bool;
    fn has_read(&self) -> bool;
    fn is_done(&self) -> bool;
}

macro_rules! handshakes {
    ($($side:ty),*) => {$(
        impl Handshake for $side {
            fn transmit(&mut self, scratch: &mut [u8], out: &mut [u8]) -> usize {
                self.transmit(scratch, out)
            }

            fn transmit_len(&self) -> usize {
                self.transmit_len()
            }

            fn wants_input(&self) -> bool {
                self.wants_input()
            }

            fn has_read(&self) -> bool {
                self.has_read()
            }

            fn is_done(&self) -> bool {
                self.is_done()
            }
        }
    )*};
}

handshakes!(handshake::Client, handshake::Server);

/// Puts out what is left of the handshake, then what waits in the queue.
pub(super) fn transmit<const STREAMS: usize>(
    handshake: &mut impl Handshake,
    link: &mut Link<'_, STREAMS>,
    out: &mut [u8],
) -> usize {
    let mut written = 0;
    if !handshake.is_done() {
        written = handshake.transmit(link.scratch(), out);
        if !handshake.is_done() {
            return written;
        }
    }
    written.saturating_add(link.transmit(out.get_mut(written..).unwrap_or(&mut [])))
}

/// The bytes that [`transmit`] can put out.
pub(super) fn transmit_len<const STREAMS: usize>(handshake: &impl Handshake, link: &Link<'_, STREAMS>) -> usize {
    let length = handshake.transmit_len();
    if handshake.has_read() { length.saturating_add(link.transmit_len()) } else { length }
}

/// Whether [`transmit`] can put out anything; what it is need not be counted for that.
pub(super) fn wants_transmit<const STREAMS: usize>(handshake: &impl Handshake, link: &Link<'_, STREAMS>) -> bool {
    handshake.transmit_len() > 0 || (handshake.has_read() && link.wants_transmit())
}

/// Whether input can be taken: for the handshake, or for a chunk stream whose queue has room for `reserve` bytes.
pub(super) fn reads<const STREAMS: usize>(
    handshake: &impl Handshake,
    link: &Link<'_, STREAMS>,
    reserve: usize,
) -> bool {
    if handshake.is_done() { link.has_room(reserve) } else { handshake.wants_input() }
}

/// The handshake's filler, from the part of the entropy that is for everyone to see.
pub(super) fn seed(entropy: &[u8; 32]) -> u64 {
    Cursor(entropy).array().map_or(0, u64::from_le_bytes)
}
