//! How long a connection has for what is under way.
//!
//! A head has its time from its first byte on. A body and an answer have as long as a pause between requests, and each of
//! their bytes earns some more: who sends or takes a byte now and then is shown out, and who is slow is not.

use super::super::{TunnelId, TunnelRefusal, Tunnels};
use super::{In, Out, TunnelConnection};
use crate::time::Instant;

/// The time that each byte of a body or an answer earns it, in ms: who is slower than 250 bytes a second for
/// [`TunnelConfig::idle_timeout`](super::TunnelConfig::idle_timeout) is too slow.
const MILLIS_PER_BYTE: u32 = 4;

impl TunnelConnection {
    /// When [`Self::poll_transmit`] may have something to put out that it had not before, or
    /// [`Self::handle_timeout`] is to be called. To be asked again after every other call.
    pub fn poll_timeout<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Instant {
        let limit = self.limit(tunnels);
        self.held.map_or(limit, |held| held.min(limit))
    }

    /// Tells the time: a request that comes too slowly is answered with 408, and a connection on which nothing moves for too
    /// long is over. Answers the tunnel that is over with it.
    pub fn handle_timeout<const N: usize>(&mut self, tunnels: &mut Tunnels<'_, N>, now: Instant) -> Option<TunnelId> {
        if now < self.limit(tunnels) || self.is_over() {
            return None;
        }
        let comes = matches!(self.incoming, In::Data | In::Skip) || self.is_within_head();
        let is_answered = self.is_early || self.out != Out::None;
        let tunnel = self.ended(tunnels, now);
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

    /// Until when what is under way has time.
    fn limit<const N: usize>(&self, tunnels: &Tunnels<'_, N>) -> Instant {
        let millis = if self.is_within_head() { tunnels.head_millis() } else { tunnels.idle_millis() };
        self.since.after_millis(millis)
    }

    /// So many bytes of a body have come, or of an answer gone.
    pub(super) fn progress(&mut self, now: Instant, bytes: usize) {
        let earned = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(MILLIS_PER_BYTE);
        self.since = self.since.after_millis(earned).min(now);
    }
}
