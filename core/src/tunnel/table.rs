//! The table of a listener's tunnels.

use core::time::Duration;

use super::request::{ID, hex};
use crate::bytes::low_u8;
use crate::fmt::impl_format;
use crate::time::{Instant, millis};

/// The polling hints after 0, 1, 2 … consecutive empty responses to polls, as other servers send them.
const HINTS: [u8; 6] = [1, 3, 5, 9, 17, 33];

/// The configuration of a server's tunnels.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TunnelConfig<'p> {
    /// The text that answers a plain request for `/`. With `None` the answer is 404, as for all other plain requests.
    pub page: Option<&'p str>,
    /// How long a tunnel, and a TCP connection, may be without a request. The body of a request and its response get
    /// the same time, and 4 ms more for each of their bytes. So a client cannot keep a connection open by sending a
    /// byte from time to time.
    pub idle_timeout: Duration,
    /// How long the head of a request may take from its first byte to its last.
    pub head_timeout: Duration,
    /// How long the response to a poll may be held back until there is something to send.
    pub hold: Duration,
}

impl TunnelConfig<'_> {
    /// No page, 30 s of silence, 10 s for a head, polls held for 50 ms.
    pub const fn new() -> Self {
        Self {
            page: None,
            idle_timeout: Duration::from_secs(30),
            head_timeout: Duration::from_secs(10),
            hold: Duration::from_millis(50),
        }
    }
}

impl Default for TunnelConfig<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The index of a tunnel in its table. The caller stores the session of each tunnel at [`Self::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TunnelId(pub(super) u8);

impl TunnelId {
    /// The index, less than the table's `N`. It is reused after the tunnel has ended.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    id: [u8; ID],
    is_open: bool,
    /// The number of the next request. `None` before the first request, which may have any number.
    next: Option<u32>,
    /// The owner of the request under way, or 0.
    owned_by: u32,
    /// The number of consecutive empty responses.
    quiet: u8,
    heard: Instant,
}

/// The tunnels of a listener: at most `N` at the same time, and at most 255. All [`TunnelConnection`](super::TunnelConnection)s
/// of the listener share it.
#[derive(Debug)]
pub struct Tunnels<'p, const N: usize> {
    slots: [Slot; N],
    /// The number that was given to the last owner.
    owner: u32,
    page: Option<&'p str>,
    idle_millis: u32,
    head_millis: u32,
    hold_millis: u32,
}

impl_format!(
    ['p, const N: usize] Tunnels<'p, N>,
    this => "Tunnels {{ owner: {}, idle: {} ms }}", this.owner, this.idle_millis
);

impl<'p, const N: usize> Tunnels<'p, N> {
    /// An empty table.
    pub fn new(config: TunnelConfig<'p>) -> Self {
        let heard = Instant::from_micros(0);
        let slot = Slot { id: [0; ID], is_open: false, next: None, owned_by: 0, quiet: 0, heard };
        Self {
            slots: [slot; N],
            owner: 0,
            page: config.page,
            idle_millis: millis(config.idle_timeout),
            head_millis: millis(config.head_timeout),
            hold_millis: millis(config.hold),
        }
    }

    /// The number of open tunnels.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_open).count()
    }

    /// Returns `true` if no tunnel is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends a tunnel whose session has ended. Its id is unknown from now on.
    pub fn close(&mut self, tunnel: TunnelId) {
        if let Some(slot) = self.slot(tunnel) {
            (slot.is_open, slot.owned_by, slot.id) = (false, 0, [0; ID]);
        }
    }

    /// When to call [`Self::handle_timeout`] at the latest. `None` if no tunnel waits for a request. May change after every
    /// call on the table or on one of its connections.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let idle = self.slots.iter().filter(|slot| slot.is_open && slot.owned_by == 0);
        idle.map(|slot| slot.heard.after_millis(self.idle_millis)).min()
    }

    /// Ends a tunnel that had no request for too long, and returns it. Its session has ended, too. Call it until it returns
    /// `None`.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<TunnelId> {
        let limit = self.idle_millis;
        let is_over = |slot: &Slot| slot.is_open && slot.owned_by == 0 && now >= slot.heard.after_millis(limit);
        let place = self.slots.iter().position(is_over)?;
        let tunnel = TunnelId(low_u8(place));
        self.close(tunnel);
        Some(tunnel)
    }

    pub(super) fn page(&self) -> Option<&'p str> {
        self.page
    }

    pub(super) fn idle_millis(&self) -> u32 {
        self.idle_millis
    }

    pub(super) fn head_millis(&self) -> u32 {
        self.head_millis
    }

    /// The time until which a poll of `now` may be held back.
    pub(super) fn hold(&self, now: Instant) -> Instant {
        now.after_millis(self.hold_millis)
    }

    /// Opens a tunnel whose id is made from the second half of `entropy`. Returns its index and the digits of its id. Returns
    /// `None` if the table is full, or if the id exists already, which means that `entropy` is not random.
    pub(super) fn open(&mut self, now: Instant, entropy: &[u8; 32]) -> Option<(TunnelId, [u8; 2 * ID])> {
        let id = *entropy.last_chunk::<ID>()?;
        if self.find(&id).is_some() {
            return None;
        }
        let (place, slot) = self.slots.iter_mut().take(255).enumerate().find(|(_, slot)| !slot.is_open)?;
        *slot = Slot { id, is_open: true, next: None, owned_by: 0, quiet: 0, heard: now };
        Some((TunnelId(low_u8(place)), hex(&id)))
    }

    /// Returns the tunnel with this id. The time does not depend on how many bytes match.
    pub(super) fn find(&self, id: &[u8; ID]) -> Option<TunnelId> {
        let is_it = |slot: &Slot| slot.id.iter().zip(id).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        self.slots.iter().position(|slot| slot.is_open && is_it(slot)).map(|place| TunnelId(low_u8(place)))
    }

    /// Begins a request of a tunnel and returns the number of its owner. Returns `None` if the tunnel has an owner, or if
    /// `number` is not the next one.
    pub(super) fn begin(&mut self, now: Instant, tunnel: TunnelId, number: u32) -> Option<u32> {
        self.owner = self.owner.wrapping_add(1).max(1);
        let owner = self.owner;
        let slot = self.slot(tunnel)?;
        if slot.owned_by != 0 || slot.next.is_some_and(|next| next != number) {
            return None;
        }
        (slot.owned_by, slot.next, slot.heard) = (owner, Some(number.wrapping_add(1)), now);
        Some(owner)
    }

    /// Returns `true` if the tunnel is open and `owner`, which is not 0, owns it.
    pub(super) fn has(&self, tunnel: TunnelId, owner: u32) -> bool {
        owner != 0 && self.slots.get(tunnel.index()).is_some_and(|slot| slot.owned_by == owner)
    }

    /// The request was answered.
    pub(super) fn end(&mut self, now: Instant, tunnel: TunnelId) {
        if let Some(slot) = self.slot(tunnel) {
            (slot.owned_by, slot.heard) = (0, now);
        }
    }

    /// The polling hint for a response.
    pub(super) fn hint(&mut self, tunnel: TunnelId, is_poll: bool, is_empty: bool) -> u8 {
        let Some(slot) = self.slot(tunnel) else { return 0 };
        slot.quiet = if is_poll && is_empty { slot.quiet.saturating_add(1).min(low_u8(HINTS.len())) } else { 0 };
        HINTS.get(usize::from(slot.quiet.saturating_sub(1))).copied().unwrap_or(1)
    }

    fn slot(&mut self, tunnel: TunnelId) -> Option<&mut Slot> {
        self.slots.get_mut(tunnel.index())
    }
}
