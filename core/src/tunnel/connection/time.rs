//! Time limits of a connection.
//!
//! The limit of a head begins with its first byte. A body and a response have as long as a pause between requests, and
//! each of their bytes adds to that. A peer that sends or reads only a byte from time to time is disconnected. A slow
//! peer is not.

use super::super::{TunnelId, TunnelRefusal, Tunnels};
use super::{In, Out, TunnelConnection};
use crate::time::Instant;

/// The time in ms that each byte of a body or a response adds. A peer that is slower than 250 bytes per second for
/// [`TunnelConfig::idle_timeout`](super::TunnelConfig::idle_timeout) is too slow.
const MILLIS_PER_BYTE: u32 = 4;

impl TunnelConnection {
    /// When to call [`Self::handle_timeout`] and [`Self::poll_transmit`] at the latest. Always `Some`. May change after every
    /// other call.
    #[must_use]
    pub fn poll_timeout<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Option<Instant> {
        let limit = self.limit(tunnels);
        Some(self.held.map_or(limit, |held| held.min(limit)))
    }

    /// Sends 408 if a request arrives too slowly, and ends a connection on which nothing has moved for too long.
    /// Returns the tunnel that ended with it.
    pub fn handle_timeout<const N: usize>(&mut self, now: Instant, tunnels: &mut Tunnels<'_, N>) -> Option<TunnelId> {
        if now < self.limit(tunnels) || self.is_over() {
            return None;
        }
        let comes = matches!(self.incoming, In::Data | In::Skip) || self.is_within_head();
        let is_answered = self.is_early || self.out != Out::None;
        let tunnel = self.ended(now, tunnels);
        if comes && !is_answered {
            self.fail(TunnelRefusal::TooSlow, 408);
            self.since = now;
        } else {
            (self.incoming, self.out) = (In::Over, Out::None);
        }
        tunnel
    }

    fn is_within_head(&self) -> bool {
        self.incoming == In::Head && !self.head.is_empty()
    }

    /// The deadline of the current head, body, response or pause.
    fn limit<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Instant {
        let millis = if self.is_within_head() { tunnels.head_millis() } else { tunnels.idle_millis() };
        self.since.after_millis(millis)
    }

    /// `bytes` of a body were received, or of a response written.
    pub(super) fn progress(&mut self, now: Instant, bytes: usize) {
        let earned = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(MILLIS_PER_BYTE);
        self.since = self.since.after_millis(earned).min(now);
    }
}
