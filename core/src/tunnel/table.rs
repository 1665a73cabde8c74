//! The tunnels of a listener.

use core::time::Duration;

use super::request::hex;
use crate::fmt::impl_format;
use crate::time::{Instant, millis};

/// The bytes of an id; two digits stand for each.
pub(super) const ID: usize = 16;

/// The hints after so many empty answers to polls in a row, as other servers give them.
const HINTS: [u8; 6] = [1, 3, 5, 9, 17, 33];

/// How tunnels are served.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TunnelConfig<'p> {
    /// What a plain request for `/` is answered with, as text. Without it the answer is 404, as it is to all other
    /// requests that are none of a tunnel's.
    pub page: Option<&'p str>,
    /// How long a tunnel may be without a request, and a TCP connection without one. A request's body and its answer have as
    /// long to begin with, and then 4 ms for each of their bytes: nobody keeps a connection with a byte now and then.
    pub idle_timeout: Duration,
    /// How long a request's head may take from its first byte to its last.
    pub head_timeout: Duration,
    /// How long the answer to a poll may be held back until there is something to say.
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

/// A tunnel's place in its table: whoever has the sessions keeps each at [`Self::index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TunnelId(pub(super) u8);

impl TunnelId {
    /// Its place, less than the table's `N`. It is given to another tunnel when this one is over.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    id: [u8; ID],
    is_open: bool,
    /// The number of the next request; any, before the first.
    next: Option<u32>,
    /// Who is at a request, or 0.
    owned_by: u32,
    /// Empty answers in a row.
    quiet: u8,
    heard: Instant,
}

/// The tunnels of a listener, at most `N` at a time, and at most 255. All its [`TunnelConnection`](super::TunnelConnection)s share it.
#[derive(Debug)]
pub struct Tunnels<'p, const N: usize> {
    slots: [Slot; N],
    /// The last that was at work.
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
    /// No tunnel yet.
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

    /// How many tunnels there are.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_open).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends a tunnel, whose session is over. Its id is unknown from now on.
    pub fn close(&mut self, tunnel: TunnelId) {
        if let Some(slot) = self.slot(tunnel) {
            (slot.is_open, slot.owned_by, slot.id) = (false, 0, [0; ID]);
        }
    }

    /// When [`Self::handle_timeout`] is to be called. To be asked again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let idle = self.slots.iter().filter(|slot| slot.is_open && slot.owned_by == 0);
        idle.map(|slot| slot.heard.after_millis(self.idle_millis)).min()
    }

    /// Tells the time. Answers a tunnel that is over since nobody asked for it any more, and its session with it; to be
    /// called until it answers `None`.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<TunnelId> {
        let limit = self.idle_millis;
        let is_over = |slot: &Slot| slot.is_open && slot.owned_by == 0 && now >= slot.heard.after_millis(limit);
        let place = self.slots.iter().position(is_over)?;
        let tunnel = TunnelId(place as u8);
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

    /// Until when a poll may be held back that came at `now`.
    pub(super) fn hold(&self, now: Instant) -> Instant {
        now.after_millis(self.hold_millis)
    }

    /// Opens a tunnel whose id is made of the second half of `entropy`; answers its place and its digits. `None` where there
    /// is no place, or where the id is taken: then the entropy is none.
    pub(super) fn open(&mut self, now: Instant, entropy: &[u8; 32]) -> Option<(TunnelId, [u8; 2 * ID])> {
        let id = *entropy.last_chunk::<ID>()?;
        if self.find(&id).is_some() {
            return None;
        }
        let (place, slot) = self.slots.iter_mut().take(255).enumerate().find(|(_, slot)| !slot.is_open)?;
        *slot = Slot { id, is_open: true, next: None, owned_by: 0, quiet: 0, heard: now };
        Some((TunnelId(place as u8), hex(&id)))
    }

    /// The tunnel of an id. How long that takes does not depend on how much of it is right.
    pub(super) fn find(&self, id: &[u8; ID]) -> Option<TunnelId> {
        let is_it = |slot: &Slot| slot.id.iter().zip(id).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        self.slots.iter().position(|slot| slot.is_open && is_it(slot)).map(|place| TunnelId(place as u8))
    }

    /// Begins a request of a tunnel; answers who is at work there now. `None` where someone else is, or the number is not
    /// the next.
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

    /// Whether a tunnel is still there, and `worker`, which is none where it is 0, at work there.
    pub(super) fn has(&self, tunnel: TunnelId, owner: u32) -> bool {
        owner != 0 && self.slots.get(tunnel.index()).is_some_and(|slot| slot.owned_by == owner)
    }

    /// The request is answered.
    pub(super) fn end(&mut self, now: Instant, tunnel: TunnelId) {
        if let Some(slot) = self.slot(tunnel) {
            (slot.owned_by, slot.heard) = (0, now);
        }
    }

    /// The hint for an answer: to a poll or not, with something in it or not.
    pub(super) fn hint(&mut self, tunnel: TunnelId, is_poll: bool, is_empty: bool) -> u8 {
        let Some(slot) = self.slot(tunnel) else { return 0 };
        slot.quiet = if is_poll && is_empty { slot.quiet.saturating_add(1).min(HINTS.len() as u8) } else { 0 };
        HINTS.get(usize::from(slot.quiet.saturating_sub(1))).copied().unwrap_or(1)
    }

    fn slot(&mut self, tunnel: TunnelId) -> Option<&mut Slot> {
        self.slots.get_mut(tunnel.index())
    }
}
