//! The memory of one session.

use crate::fmt::impl_format;
use embedded_rtmp::handshake;
use embedded_rtmp::session::{MIN_CONTROL, SessionBuffers};

/// All the memory that one session and its socket need, except the session itself. The caller usually puts it in a static.
///
/// ```
/// use embedded_rtmp_embassy::Memory;
///
/// // 4 KiB each for TCP's receive and send rings, 1,536 bytes of scratch memory, 512 bytes for outgoing commands.
/// static MEMORY: Memory<4096, 4096> = Memory::new();
/// assert_eq!(size_of_val(&MEMORY), 4096 + 4096 + 1536 + 512);
/// ```
///
/// | Bytes | What they are for | How many |
/// |---|---|---|
/// | `RX` | TCP's receive ring. Its size is the window that the peer sees. Received payload is lent from here. | A publisher
/// works with 512, but needs more round trips: with 4,096, the handshake of 3,073 bytes arrives in one. A server: bytes per
/// second times the round-trip time, and at least two segments (3,000). |
/// | `TX` | TCP's send ring. A frame is copied here once. Bytes stay here until the peer acknowledges them. | A publisher:
/// bytes per second times the round-trip time, and at least two segments. A server works with 512, but needs more round
/// trips. |
/// | `SCRATCH` | First the handshake, then received commands and data messages, which are read when they are complete. | At
/// least 1,536; more if the peer sends longer commands. |
/// | `CONTROL` | Commands that wait to be sent. | 512 for stream keys of up to 105 bytes; 1,024 for keys of up to 275;
/// 1,700 for keys of up to 499. |
/// | `GATHER` | Messages that wait for the next request of a client's tunnel (RTMPT). A longer message is sent from the
/// caller's memory. | 0 for a server, without tunnels, or if one message per round trip is enough. With a round-trip time of
/// 50 ms, the clip of the demo is sent at 70 kbit/s with 512 bytes, 230 with 2,048, 430 with 4,096. |
pub struct Memory<
    const RX: usize,
    const TX: usize,
    const SCRATCH: usize = { handshake::SCRATCH },
    const CONTROL: usize = 512,
    const GATHER: usize = 0,
> {
    pub(crate) rx: [u8; RX],
    pub(crate) tx: [u8; TX],
    pub(crate) scratch: [u8; SCRATCH],
    pub(crate) control: [u8; CONTROL],
    gather: [u8; GATHER],
}

/// The parts of a [`Memory`].
pub(crate) struct Lent<'a> {
    /// The socket's rings.
    pub(crate) rx: &'a mut [u8],
    pub(crate) tx: &'a mut [u8],
    /// Memory for bytes that wait for a tunnel's next request.
    #[cfg_attr(not(feature = "rtmpt"), expect(dead_code, reason = "only tunnels use it"))]
    pub(crate) gather: &'a mut [u8],
    /// The buffers of the session.
    pub(crate) buffers: SessionBuffers<'a>,
}

impl_format!(
    Debug,
    [
        const RX: usize,
        const TX: usize,
        const SCRATCH: usize,
        const CONTROL: usize,
        const GATHER: usize
    ] Memory<RX, TX, SCRATCH, CONTROL, GATHER>,
    _ => "Memory<{}, {}, {}, {}, {}>", RX, TX, SCRATCH, CONTROL, GATHER
);

impl<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize>
    Memory<RX, TX, SCRATCH, CONTROL, GATHER>
{
    /// Creates memory that is all zeros. Sizes that are too small do not compile. `RX` and `TX` must be at least 1.
    pub const fn new() -> Self {
        const {
            assert!(RX > 0 && TX > 0, "RX and TX must be 1 or more: TCP needs both rings");
            assert!(SCRATCH >= handshake::SCRATCH, "SCRATCH must be 1,536 or more: it stores the handshake");
            assert!(CONTROL >= MIN_CONTROL, "CONTROL must be 384 or more: it stores the session's commands");
        }
        Self { rx: [0; RX], tx: [0; TX], scratch: [0; SCRATCH], control: [0; CONTROL], gather: [0; GATHER] }
    }

    /// Lends the buffers for a session over a transport that has its own memory, such as [`Pipe`](crate::transport::Pipe).
    /// `RX` and `TX` are then not used, and can be 1.
    pub fn session(&mut self) -> SessionBuffers<'_> {
        self.split().buffers
    }

    pub(crate) fn split(&mut self) -> Lent<'_> {
        let Self { rx, tx, scratch, control, gather } = self;
        Lent { rx, tx, gather, buffers: SessionBuffers { scratch, control } }
    }
}

impl<const RX: usize, const TX: usize, const SCRATCH: usize, const CONTROL: usize, const GATHER: usize> Default
    for Memory<RX, TX, SCRATCH, CONTROL, GATHER>
{
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_rtmp::command::ConnectOptions;
    use embedded_rtmp::session::{Client, ClientConfig, RequestError};

    #[test]
    fn the_least_sizes_are_those_of_the_messages() {
        assert_eq!((handshake::SCRATCH, MIN_CONTROL), (1536, 384));
    }

    #[test]
    fn item_155_stream_keys_fit_as_documented() {
        for (size, longest) in [(512, 105), (1_024, 275), (1_700, 499)] {
            let publish = |length| {
                let (mut scratch, mut control) = ([0; handshake::SCRATCH], std::vec![0; size]);
                let buffers = SessionBuffers { scratch: &mut scratch, control: &mut control };
                let mut client: Client<'_> = Client::new(buffers, ClientConfig::new(), &[1; 32]).unwrap();
                let options = ConnectOptions::new("live", &["rtmp://media.example/live"]);
                client.connect(&options).and_then(|()| client.publish(&"k".repeat(length)))
            };
            assert_eq!(publish(longest), Ok(()), "{size}");
            assert!(
                matches!(publish(longest + 1), Err(RequestError::ControlBuffer(needed)) if needed > size),
                "{size}"
            );
        }
    }

    #[test]
    fn memory_is_shown_by_its_sizes() {
        assert_eq!(std::format!("{:?}", Memory::<100, 200>::new()), "Memory<100, 200, 1536, 512, 0>");
    }
}
