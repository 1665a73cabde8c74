//! The memory of a server's tunnels.

use embedded_rtmp::session::SessionBuffers;
use embedded_rtmp::{handshake, tunnel};

use crate::fmt::impl_format;

/// The memory of `TUNNELS` tunnels. The caller usually puts it in a static. It has no rings: tunnels use those of the
/// server's sockets.
///
/// ```
/// use embedded_rtmp_embassy::TunnelMemory;
///
/// static MEMORY: TunnelMemory<2> = TunnelMemory::new();
/// assert_eq!(size_of_val(&MEMORY), 2 * (1536 + 1024));
/// ```
///
/// | Bytes of each | What they are for | How many |
/// |---|---|---|
/// | `SCRATCH` | First the handshake, then commands and data messages that are collected. | At least 1,536; more for longer commands. |
/// | `CONTROL` | Output other than media. One request may have many commands, and their answers wait for the end of the
/// request. | At least 512, which is enough for known clients; 1,024 for stream keys of more than 200 bytes. |
pub struct TunnelMemory<
    const TUNNELS: usize,
    const SCRATCH: usize = { handshake::SCRATCH },
    const CONTROL: usize = 1024,
> {
    scratch: [[u8; SCRATCH]; TUNNELS],
    control: [[u8; CONTROL]; TUNNELS],
}

impl_format!(
    Debug,
    [const TUNNELS: usize, const SCRATCH: usize, const CONTROL: usize] TunnelMemory<TUNNELS, SCRATCH, CONTROL>,
    _ => "TunnelMemory<{}, {}, {}>", TUNNELS, SCRATCH, CONTROL
);

impl<const TUNNELS: usize, const SCRATCH: usize, const CONTROL: usize> TunnelMemory<TUNNELS, SCRATCH, CONTROL> {
    /// Creates memory that is all zeros. Sizes that are too small do not compile.
    pub const fn new() -> Self {
        const {
            assert!(TUNNELS > 0 && TUNNELS < 256, "1 to 255 tunnels");
            assert!(SCRATCH >= handshake::SCRATCH, "the handshake needs its scratch");
            assert!(CONTROL >= tunnel::MIN_CONTROL, "a session in a tunnel needs more room for answers");
        }
        Self { scratch: [[0; SCRATCH]; TUNNELS], control: [[0; CONTROL]; TUNNELS] }
    }

    /// The buffers of each session.
    pub(crate) fn split(&mut self) -> [SessionBuffers<'_>; TUNNELS] {
        let mut control = self.control.iter_mut();
        self.scratch.each_mut().map(|scratch| {
            let control = control.next().map_or(&mut [][..], |control| control);
            SessionBuffers { scratch, control }
        })
    }
}

impl<const TUNNELS: usize, const SCRATCH: usize, const CONTROL: usize> Default
    for TunnelMemory<TUNNELS, SCRATCH, CONTROL>
{
    fn default() -> Self {
        Self::new()
    }
}
