//! What was sent and what was not.

use embedded_rtmp::message::MessageKind;

/// What became of the messages of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// Taken from the source.
    pub taken: u32,
    /// Put into the socket, to the last byte.
    pub sent: u32,
}

impl Tally {
    /// Taken and not sent: left out, or cut off by the end of a connection.
    pub const fn dropped(&self) -> u32 {
        self.taken.wrapping_sub(self.sent)
    }
}

/// What a [`Station`](crate::Station) has done so far; headers are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Audio frames.
    pub audio: Tally,
    /// Video frames.
    pub video: Tally,
    /// Other messages.
    pub data: Tally,
    /// Bytes of payload that were sent.
    pub bytes: u64,
    /// How often the stream was accepted by a server.
    pub connections: u32,
}

impl Counters {
    pub(super) fn tally(&mut self, kind: MessageKind) -> &mut Tally {
        match kind {
            MessageKind::AUDIO => &mut self.audio,
            MessageKind::VIDEO => &mut self.video,
            _ => &mut self.data,
        }
    }
}
