//! Windows and acknowledgements (RTMP 1.0, sections 5.4.3 to 5.4.5).
//!
//! Bytes are counted from the end of the handshake, modulo 2³². Missing acknowledgements never stop us: real peers count
//! from another point, in constant steps, modulo 2³¹, or not at all.

use crate::bytes::low_u32;
use crate::control::{Control, Limit, UserControlEvent};
use crate::fmt::info;

/// The window of a peer that has not announced one, in bytes.
const DEFAULT_WINDOW: u32 = 2_500_000;

/// The window of a peer that wants no acknowledgements. An acknowledgement is still sent after this many bytes.
const NO_WINDOW: u32 = u32::MAX;

/// The state of both directions.
#[derive(Debug)]
pub(super) struct Flow {
    /// Bytes received.
    received: u32,
    /// The value of `received` in the last acknowledgement.
    acknowledged: u32,
    /// An acknowledgement is due each time this many bytes have been received.
    window: u32,
    /// The window that we announced last, or will announce first.
    announced: u32,
    /// Whether the last limit that the peer set was a hard one.
    hard: bool,
    /// The number in the peer's last acknowledgement, if there was one.
    peer_acknowledged: u32,
    has_acknowledged: bool,
    /// The time in the peer's last ping.
    pinged: u32,
    /// The messages that are due: at most one of each, no matter how many the peer asked for.
    pong_due: bool,
    announcement_due: bool,
}

impl Flow {
    /// No bytes yet, and `window` to be announced. FFmpeg closes the connection if the size, as a signed number, is 0 or
    /// less.
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
        self.received = self.received.wrapping_add(low_u32(bytes));
    }

    /// Removes bytes from the count of received bytes, because the caller passes them again.
    pub(super) fn put_back(&mut self, bytes: usize) {
        self.received = self.received.wrapping_sub(low_u32(bytes));
    }

    fn acknowledgement_due(&self) -> bool {
        self.received.wrapping_sub(self.acknowledged) >= self.window
    }

    /// Bytes received, modulo 2³².
    pub(super) const fn received(&self) -> u32 {
        self.received
    }

    /// The number in the peer's last acknowledgement.
    pub(super) const fn peer_acknowledged(&self) -> Option<u32> {
        if self.has_acknowledged { Some(self.peer_acknowledged) } else { None }
    }

    /// Sets the window: the peer expects an acknowledgement each time it has sent this many bytes.
    pub(super) fn set_window(&mut self, size: u32) {
        info!("the peer's window: {} bytes", size);
        // A peer that announces 0 or a negative size wants no acknowledgements.
        self.window = if size as i32 <= 0 { NO_WINDOW } else { size };
    }

    /// Handles the peer's limit. We answer with a window of that size, unless we announced the same size last.
    pub(super) fn limit(&mut self, size: u32, limit: Limit) {
        let (size, hard) = match limit {
            Limit::Hard => (size, true),
            Limit::Soft => (size.min(self.announced), false),
            Limit::Dynamic if self.hard => (size, true),
            Limit::Dynamic => return,
        };
        self.hard = hard;
        // As in `new`.
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

    /// Stores a ping of the peer. It replaces one that is not answered yet.
    pub(super) fn ping(&mut self, time: u32) {
        (self.pinged, self.pong_due) = (time, true);
    }

    /// Takes the next message that is due.
    pub(super) fn take_due(&mut self) -> Option<Control> {
        if core::mem::take(&mut self.pong_due) {
            return Some(Control::User(UserControlEvent::PingResponse(self.pinged)));
        }
        if self.acknowledgement_due() {
            self.acknowledged = self.received;
            return Some(Control::Acknowledgement(self.received));
        }
        core::mem::take(&mut self.announcement_due).then_some(Control::WindowAckSize(self.announced))
    }

    /// The payload bytes of the messages that are due, and the number of these messages.
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

    /// Takes all messages that are due.
    fn drain(flow: &mut Flow) -> std::vec::Vec<Control> {
        core::iter::from_fn(|| flow.take_due()).collect()
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
