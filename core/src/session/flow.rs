//! Windows and acknowledgements (RTMP 1.0, sections 5.4.3 to 5.4.5).
//!
//! Bytes are counted from the end of the handshake on, modulo 2³². What the peer acknowledges never stops us: real
//! peers count from elsewhere, in constant steps, modulo 2³¹, or not at all.

use crate::control::Limit;
use crate::fmt::info;
use crate::message::MessageKind;

/// What a peer is taken to expect before it has announced a window, in bytes.
const DEFAULT_WINDOW: u32 = 2_500_000;

/// Where no acknowledgements are wanted: so many bytes never go without one.
const NO_WINDOW: u32 = u32::MAX;

/// The state of both directions.
#[derive(Debug)]
pub(super) struct Flow {
    /// Bytes received.
    received: u32,
    /// What `received` was when it was last acknowledged.
    acknowledged: u32,
    /// An acknowledgement is due each time so many bytes have come.
    window: u32,
    /// The window that we announced last, or are to announce first.
    announced: u32,
    /// The last limit that the peer set, where it was a hard one.
    hard: bool,
    /// What the peer acknowledged last, where it did.
    peer_acknowledged: u32,
    has_acknowledged: bool,
    /// The time in the last ping.
    pinged: u32,
    /// What is to be sent: at most one of each, however many were asked for.
    pong_due: bool,
    announcement_due: bool,
}

impl Flow {
    /// No bytes yet, and `window` to be announced: a size of 0 or less must not be, FFmpeg closes the connection over it.
    pub(super) fn new(window: u32) -> Self {
        Self {
            received: 0,
            acknowledged: 0,
            window: DEFAULT_WINDOW,
            announced: window.clamp(1, i32::MAX as u32),
            hard: false,
            peer_acknowledged: 0,
            has_acknowledged: false,
            pinged: 0,
            pong_due: false,
            announcement_due: false,
        }
    }

    /// Counts received bytes.
    #[inline]
    pub(super) fn receive(&mut self, bytes: usize) {
        self.received = self.received.wrapping_add(bytes as u32);
    }

    fn acknowledgement_due(&self) -> bool {
        self.received.wrapping_sub(self.acknowledged) >= self.window
    }

    /// Bytes received, modulo 2³².
    pub(super) const fn received(&self) -> u32 {
        self.received
    }

    /// What the peer acknowledged last.
    pub(super) const fn peer_acknowledged(&self) -> Option<u32> {
        if self.has_acknowledged { Some(self.peer_acknowledged) } else { None }
    }

    /// The peer expects an acknowledgement after so many bytes.
    pub(super) fn set_window(&mut self, size: u32) {
        info!("the peer's window: {} bytes", size);
        // A peer that announces 0 or a negative size means none.
        self.window = if size as i32 <= 0 { NO_WINDOW } else { size };
    }

    /// The peer limits what we send. We answer with a window of that size where it is not the one announced last.
    pub(super) fn limit(&mut self, size: u32, limit: Limit) {
        let (size, hard) = match limit {
            Limit::Hard => (size, true),
            Limit::Soft => (size.min(self.announced), false),
            Limit::Dynamic if self.hard => (size, true),
            Limit::Dynamic => return,
        };
        self.hard = hard;
        // A size of 0 or less must not be announced: FFmpeg closes the connection over it.
        if size != self.announced && (1..=i32::MAX as u32).contains(&size) {
            self.announced = size;
            self.announcement_due = true;
        }
    }

    /// The window that we announce.
    pub(super) const fn announced(&self) -> u32 {
        self.announced
    }

    pub(super) fn acknowledge(&mut self, sequence: u32) {
        (self.peer_acknowledged, self.has_acknowledged) = (sequence, true);
    }

    /// The peer wants to know whether we are there. A later ping takes the place of one that is not answered yet.
    pub(super) fn ping(&mut self, time: u32) {
        (self.pinged, self.pong_due) = (time, true);
    }

    /// Takes the next message that is due: its type, and the number that is its payload, behind the event's where it is a
    /// pong.
    pub(super) fn take_due(&mut self) -> Option<(MessageKind, u32)> {
        if core::mem::take(&mut self.pong_due) {
            return Some((MessageKind::USER_CONTROL, self.pinged));
        }
        if self.acknowledgement_due() {
            self.acknowledged = self.received;
            return Some((MessageKind::ACKNOWLEDGEMENT, self.received));
        }
        core::mem::take(&mut self.announcement_due).then_some((MessageKind::WINDOW_ACK_SIZE, self.announced))
    }

    /// The payload bytes of the messages that are due, and how many there are.
    pub(super) fn due(&self) -> (usize, usize) {
        let numbers = usize::from(self.acknowledgement_due()).wrapping_add(usize::from(self.announcement_due));
        let pongs = usize::from(self.pong_due);
        (numbers.wrapping_mul(4).wrapping_add(pongs.wrapping_mul(6)), numbers.wrapping_add(pongs))
    }

    /// Whether a message is due.
    #[inline(never)]
    pub(super) fn is_due(&self) -> bool {
        self.pong_due || self.announcement_due || self.acknowledgement_due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Control;

    /// All that is due, sent.
    fn drain(flow: &mut Flow) -> std::vec::Vec<Control> {
        let sent = core::iter::from_fn(|| flow.take_due());
        sent.map(|(kind, value)| Control::parse(kind, &value.to_be_bytes()).unwrap()).collect()
    }

    #[test]
    fn item_051_an_acknowledgement_for_each_window() {
        let mut flow = Flow::new(2_500_000);
        flow.set_window(1_000);
        flow.receive(999);
        assert_eq!(drain(&mut flow), []);
        flow.receive(1);
        assert_eq!(drain(&mut flow), [Control::Acknowledgement(1_000)]);
        flow.receive(5_500);
        assert_eq!(drain(&mut flow), [Control::Acknowledgement(6_500)]);
        flow.receive(999);
        assert_eq!(drain(&mut flow), []);
    }

    #[test]
    fn item_051_item_116_acknowledgements_wrap_at_2_32() {
        let mut flow = Flow::new(2_500_000);
        flow.set_window(0x4000_0000);
        for expected in [0x4000_0000, 0x8000_0000, 0xC000_0000, 0, 0x4000_0000] {
            flow.receive(0x4000_0000);
            assert_eq!(drain(&mut flow), [Control::Acknowledgement(expected)]);
        }
    }

    #[test]
    fn item_052_no_window_means_no_acknowledgements() {
        let mut flow = Flow::new(2_500_000);
        for window in [0, 0x8000_0000, u32::MAX] {
            flow.set_window(window);
            flow.receive(0x7000_0000);
            assert_eq!(drain(&mut flow), []);
        }
        // A window smaller than what comes at once: one acknowledgement for all of it.
        flow.set_window(1);
        flow.receive(1_460);
        assert_eq!(drain(&mut flow).len(), 1);
    }

    #[test]
    fn item_054_a_bandwidth_is_answered_where_it_is_news() {
        let mut flow = Flow::new(2_500_000);
        flow.limit(2_500_000, Limit::Hard);
        assert_eq!(drain(&mut flow), []);
        flow.limit(5_000, Limit::Hard);
        assert_eq!(drain(&mut flow), [Control::WindowAckSize(5_000)]);
        flow.limit(9_000, Limit::Soft);
        assert_eq!(drain(&mut flow), [], "soft takes the smaller");
        flow.limit(4_000, Limit::Dynamic);
        assert_eq!(drain(&mut flow), [], "the last one was not hard");
        flow.limit(4_000, Limit::Hard);
        flow.limit(3_000, Limit::Dynamic);
        assert_eq!(drain(&mut flow), [Control::WindowAckSize(3_000)]);
        for size in [0, 0x8000_0000, u32::MAX] {
            flow.limit(size, Limit::Hard);
            assert_eq!(drain(&mut flow), [], "never a size of 0 or less");
        }
    }
}
