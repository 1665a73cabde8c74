//! A limit for wrong answers from one address.

use core::time::Duration;

use crate::fmt::impl_format;
use crate::time::Instant;

/// The number of wrong answers of an address that have no consequence.
const FREE: u8 = 5;

/// The first and the longest wait, in milliseconds. Each further wrong answer doubles the wait.
const FIRST: u32 = 1_000;
const LONGEST: u32 = 60_000;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// An IPv6 network or a mapped IPv4 address.
    address: [u8; 16],
    /// 0 for an unused entry.
    failures: u8,
    /// When the next answer is allowed.
    until: Instant,
}

impl Entry {
    fn is(&self, address: [u8; 16]) -> bool {
        self.failures > 0 && self.address == address
    }
}

const UNUSED: Entry = Entry { address: [0; 16], failures: 0, until: Instant::from_micros(0) };

/// The addresses from which wrong answers came. After 5 wrong answers, an address must wait for 1 s. Each further wrong
/// answer doubles the wait, up to 60 s. A right answer resets the count, so use a table for each user if one address
/// may have several users.
///
/// `N` is the number of addresses that are stored. If there are more, the address whose wait ends first is forgotten.
/// All IPv6 addresses with the same first 64 bits count as one address. Give an IPv4 address in its IPv4-mapped form.
#[derive(Debug, Clone)]
pub struct Failures<const N: usize = 16> {
    entries: [Entry; N],
}

impl_format!([const N: usize] Failures<N>, _ => "Failures");

impl<const N: usize> Failures<N> {
    /// Creates an empty table.
    pub const fn new() -> Self {
        const { assert!(N > 0, "there must be room for an address") }
        Self { entries: [UNUSED; N] }
    }

    /// Returns whether an answer from this address may be checked now. If it returns `false`, refuse the client without
    /// a check.
    pub fn may_try(&self, now: Instant, address: [u8; 16]) -> bool {
        let address = network(address);
        self.entries.iter().find(|entry| entry.is(address)).is_none_or(|entry| now >= entry.until)
    }

    /// Returns how long an answer from this address may not be checked: zero if it may be checked now.
    pub fn wait(&self, now: Instant, address: [u8; 16]) -> Duration {
        let address = network(address);
        let entry = self.entries.iter().find(|entry| entry.is(address));
        entry.map_or(Duration::ZERO, |entry| entry.until.saturating_duration_since(now))
    }

    /// Records a wrong answer from this address.
    pub fn note_failure(&mut self, now: Instant, address: [u8; 16]) {
        let address = network(address);
        let index = self.entries.iter().position(|entry| entry.is(address));
        let entry = match index.and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => entry,
            None => {
                let Some(entry) = self.entries.iter_mut().min_by_key(|entry| entry.until) else { return };
                *entry = Entry { address, failures: 0, until: now };
                entry
            }
        };
        entry.failures = entry.failures.saturating_add(1);
        let wait = entry
            .failures
            .checked_sub(FREE)
            .map_or(0, |doublings| FIRST.saturating_mul(1_u32.checked_shl(doublings.into()).unwrap_or(u32::MAX)));
        entry.until = now.after_millis(wait.min(LONGEST));
    }

    /// Records a right answer from this address.
    pub fn note_success(&mut self, address: [u8; 16]) {
        let address = network(address);
        for entry in self.entries.iter_mut().filter(|entry| entry.is(address)) {
            *entry = UNUSED;
        }
    }
}

impl<const N: usize> Default for Failures<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the part of an address that a client cannot choose.
fn network(address: [u8; 16]) -> [u8; 16] {
    match address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, _, _, _, _] => address,
        [a, b, c, d, e, f, g, h, ..] => [a, b, c, d, e, f, g, h, 0, 0, 0, 0, 0, 0, 0, 0],
    }
}
