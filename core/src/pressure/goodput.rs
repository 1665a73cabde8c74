//! Measurement of how many bytes arrive at the peer, and of how long they are in flight.

use crate::time::Instant;

/// Some peers count modulo one of these, instead of 2³² (RTMP 1.0, section 5.4.3).
const MODULI: [u32; 2] = [1 << 31, 0xF000_0000];

/// The minimum time for an estimate, in µs. Acknowledgements that arrive close together say little.
const LEAST_SPAN: u64 = 20_000;

/// Measures goodput from the peer's acknowledgements.
///
/// A peer sends an acknowledgement each time it has received as many bytes as the window that we announced. Set
/// [`ClientConfig::window`](crate::session::ClientConfig::window) to what is sent in about a quarter of a second. Some
/// peers count wrongly: an acknowledgement of more bytes than were sent is ignored.
///
/// ```
/// use embedded_rtmp::pressure::Goodput;
/// use embedded_rtmp::time::Instant;
///
/// let mut goodput = Goodput::new();
/// for tenth in 1..=20_u32 {
///     // 10,000 bytes are sent each 100 ms, and 8,000 of them arrive.
///     goodput.update(Instant::from_millis(u64::from(tenth) * 100), tenth * 10_000, Some(tenth * 8_000));
/// }
/// assert_eq!(goodput.bytes_per_second(), Some(80_000));
/// assert_eq!(goodput.in_flight(), Some(40_000));
/// assert_eq!(goodput.delay_millis(), Some(500));
/// ```
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Goodput {
    /// The last acknowledgement as it came, and its time.
    last: Option<(u32, Instant)>,
    /// Bytes that had been sent at that time, modulo 2³².
    sent_then: u32,
    /// Bytes that were sent, modulo 2³².
    sent: u32,
    /// Bytes that were sent and are not acknowledged, as far as that is known.
    in_flight: u32,
    /// Bytes per second; 0 if it is not known.
    rate: u32,
}

impl Goodput {
    /// A measurement without a result.
    pub const fn new() -> Self {
        Self { last: None, sent_then: 0, sent: 0, in_flight: 0, rate: 0 }
    }

    /// Takes the state of the connection: the bytes that were sent since the handshake, modulo 2³², and the last
    /// acknowledgement of the peer ([`Client::acknowledged`](crate::session::Client::acknowledged)). Call this at least once
    /// between two acknowledgements.
    pub fn update(&mut self, now: Instant, sent: u32, acknowledged: Option<u32>) {
        self.in_flight = self.in_flight.saturating_add(sent.wrapping_sub(self.sent));
        self.sent = sent;
        let Some(acknowledged) = acknowledged else { return };
        if let Some((before, then)) = self.last {
            if acknowledged == before {
                return;
            }
            let span = now.as_micros().saturating_sub(then.as_micros());
            if let Some(arrived) = self.arrived(before, acknowledged) {
                if span < LEAST_SPAN {
                    return;
                }
                self.in_flight = self.in_flight.saturating_sub(arrived);
                let rate = u64::from(arrived).wrapping_mul(1_000_000).checked_div(span).unwrap_or(0);
                let rate = u32::try_from(rate).unwrap_or(u32::MAX);
                // The mean of the old rate and the new one.
                self.rate = if self.rate == 0 { rate } else { self.rate.midpoint(rate) };
            } else {
                // The peer counts in another way. Only the bytes that were sent since then are known to be in flight.
                self.in_flight = sent.wrapping_sub(self.sent_then).min(self.in_flight);
            }
        } else {
            // The first acknowledgement gives the peer's count, if it is near ours.
            self.in_flight = self.in_flight.min(sent.wrapping_sub(acknowledged));
        }
        (self.last, self.sent_then) = (Some((acknowledged, now)), sent);
    }

    /// The bytes that arrived between two acknowledgements, by the first modulus with which they are at most those in flight.
    fn arrived(&self, before: u32, now: u32) -> Option<u32> {
        let step = now.wrapping_sub(before);
        let wrapped = MODULI.into_iter().filter(|modulus| now < before && before < *modulus);
        let mut steps = core::iter::once(step).chain(wrapped.map(|modulus| step.wrapping_add(modulus)));
        steps.find(|step| *step <= self.in_flight)
    }

    /// Bytes that arrive per second, averaged over the last few acknowledgements; `None` if that is not known yet. If less is
    /// sent than the network would take, this is the rate at which it is sent.
    pub const fn bytes_per_second(&self) -> Option<u32> {
        if self.rate == 0 { None } else { Some(self.rate) }
    }

    /// Bytes that were sent and are not acknowledged; `None` before the first acknowledgement. Up to one window of them may
    /// have arrived.
    pub fn in_flight(&self) -> Option<u32> {
        self.last.map(|_| self.in_flight)
    }

    /// The time in milliseconds until a byte that is sent now is acknowledged; `None` if that is not known. If it grows from
    /// one acknowledgement to the next, more is sent than arrives.
    pub fn delay_millis(&self) -> Option<u32> {
        let rate = u64::from(self.bytes_per_second()?);
        u64::from(self.in_flight)
            .wrapping_mul(1_000)
            .checked_div(rate)
            .map(|millis| u32::try_from(millis).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 bytes each 100 ms, all of which arrive 300 ms later and are acknowledged as `style` does: from the number of
    /// bytes that arrived.
    fn measure(steps: u64, from: u64, style: impl Fn(u64) -> Option<u32>) -> Goodput {
        let mut goodput = Goodput::new();
        goodput.update(Instant::from_micros(0), from as u32, None);
        for step in 1..=steps {
            let arrived = step.checked_sub(3).map(|step| from + step * 10_000);
            let acknowledged = arrived.and_then(&style);
            goodput.update(Instant::from_millis(step * 100), (from + step * 10_000) as u32, acknowledged);
        }
        goodput
    }

    #[test]
    fn item_053_every_style_of_acknowledgement_gives_the_rate() {
        let wrap = |modulus: u64| move |bytes: u64| Some((bytes % modulus) as u32);
        // At the end of a second each count has wrapped.
        for modulus in [1 << 32, 1 << 31, 0xF000_0000] {
            let goodput = measure(40, modulus - 200_000, wrap(modulus));
            assert_eq!(goodput.bytes_per_second(), Some(100_000), "modulo {modulus}");
            assert_eq!(goodput.delay_millis(), Some(300), "modulo {modulus}");
        }
        // From another place: what is under way is not known so well, but the rate is.
        let goodput = measure(40, 0, |bytes| Some(bytes as u32 + 1_000_000));
        assert_eq!(goodput.bytes_per_second(), Some(100_000));
        // In constant steps, and seldom: all of 50,000 bytes.
        let goodput = measure(60, 0, |bytes| Some((bytes / 50_000 * 50_000) as u32));
        assert_eq!(goodput.bytes_per_second(), Some(100_000));
        assert!((300..=800).contains(&goodput.delay_millis().unwrap()));
    }

    #[test]
    fn item_053_impossible_acknowledgements_are_ignored() {
        let mut goodput = measure(20, 0, |bytes| Some(bytes as u32));
        let rate = goodput.bytes_per_second();
        for (number, nonsense) in [u32::MAX, 0, 0x8000_0000, 5].into_iter().enumerate() {
            goodput.update(Instant::from_millis(2_100 + number as u64 * 100), 200_000, Some(nonsense));
            assert!(goodput.in_flight().unwrap() <= 200_000);
        }
        assert!(goodput.bytes_per_second() <= rate.map(|rate| rate * 2));
        // None at all: nothing is known, and what is under way grows.
        let goodput = measure(20, 0, |_| None);
        assert_eq!((goodput.bytes_per_second(), goodput.in_flight(), goodput.delay_millis()), (None, None, None));
    }

    #[test]
    fn a_slower_network_lowers_the_rate_and_raises_the_delay() {
        let mut goodput = Goodput::new();
        let mut delays = std::vec::Vec::new();
        for step in 0..60_u64 {
            let (sent, arrived) = (step * 10_000, step * 10_000 - step.saturating_sub(20) * 6_000);
            goodput.update(Instant::from_millis(step * 100), sent as u32, Some(arrived as u32));
            delays.push(goodput.delay_millis().unwrap_or(0));
        }
        let rate = goodput.bytes_per_second().unwrap();
        assert!((40_000..=41_000).contains(&rate), "{rate}");
        assert_eq!(delays[20], 0);
        assert!(delays[21..].windows(2).all(|pair| pair[0] < pair[1]) && delays[59] > 5_000, "{delays:?}");
    }

    #[test]
    fn acknowledgements_in_one_burst_give_one_measurement() {
        let mut goodput = Goodput::new();
        goodput.update(Instant::from_millis(0), 0, Some(0));
        for burst in 1..=10_u32 {
            for part in 0..5 {
                let now = Instant::from_micros(u64::from(burst) * 1_000_000 + part * 100);
                let acknowledged = burst * 100_000 - 80_000 + part as u32 * 20_000;
                goodput.update(now, burst * 100_000, Some(acknowledged));
            }
        }
        let rate = goodput.bytes_per_second().unwrap();
        assert!((60_000..=140_000).contains(&rate), "{rate}");
    }
}
