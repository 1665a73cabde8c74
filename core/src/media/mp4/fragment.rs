//! The boxes before a frame.

use crate::text::put;

/// One frame in its message, and the boxes before it.
///
/// The output of a fragment is its head, which [`Self::write_head`] writes, and then the bytes from [`Self::start`] on of
/// the message's payload, [`Self::length`] of them. The other bytes of the message are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fragment {
    /// The position of the frame in the payload of the message, in bytes.
    pub start: u32,
    /// The length of the frame in bytes. More bytes may follow in the message.
    pub length: u32,
    /// Whether decoding can begin with it. All frames of audio are such frames.
    pub is_keyframe: bool,
    /// The time of decoding in ms. It increases from each frame of the track to the next.
    pub time: u64,
    /// The duration in ms.
    pub duration: u32,
    /// The time of presentation minus that of decoding in ms.
    pub composition_time: i32,
    pub(super) track: u8,
    pub(super) sequence: u32,
    pub(super) is_disposable: bool,
}

impl Fragment {
    /// The length of the head in bytes: a `moof` box, and the header of an `mdat` box.
    pub const HEAD: u32 = 104 + 8;

    /// The length of the whole output in bytes: the head and the frame.
    pub const fn total(&self) -> u32 {
        self.length.saturating_add(Self::HEAD)
    }

    /// Writes the head from byte `offset` on into `out`, as much as there is room for. Returns the number of bytes
    /// written. At [`Self::HEAD`] and behind it, nothing is left to write.
    ///
    /// The head consists of `moof` with `mfhd`, `tfhd`, `tfdt` and `trun` for one sample, and the header of `mdat`
    /// (ISO/IEC 14496-12, 8.8.4 to 8.8.8, 8.8.12 and 8.1.1).
    pub fn write_head(&self, offset: u32, out: &mut [u8]) -> usize {
        let numbers = [
            self.duration,
            self.length,
            self.flags(),
            self.composition_time.cast_unsigned(),
            self.length.saturating_add(8),
        ]
        .map(u32::to_be_bytes);
        let parts: [&[u8]; 9] = [
            b"\0\0\0\x68moof\0\0\0\x10mfhd\0\0\0\0",
            &self.sequence.to_be_bytes(),
            // The flag default-base-is-moof.
            b"\0\0\0\x50traf\0\0\0\x10tfhd\0\x02\0\0\0\0\0",
            &[self.track.wrapping_add(1)],
            b"\0\0\0\x14tfdt\x01\0\0\0",
            &self.time.to_be_bytes(),
            // Version 1, whose composition times are signed. One sample has all fields, and begins after the head.
            b"\0\0\0\x24trun\x01\0\x0f\x01\0\0\0\x01\0\0\0\x70",
            numbers.as_flattened(),
            b"mdat",
        ];
        put(&parts, offset as usize, out).0
    }

    /// The flags of the sample (8.8.3.1).
    const fn flags(&self) -> u32 {
        const DEPENDS_ON_NONE: u32 = 2 << 24;
        const DEPENDS_ON_OTHERS: u32 = 1 << 24;
        const NOT_NEEDED_BY_OTHERS: u32 = 2 << 22;
        const NO_SYNC_SAMPLE: u32 = 1 << 16;
        match (self.is_keyframe, self.is_disposable) {
            (true, _) => DEPENDS_ON_NONE,
            (false, true) => DEPENDS_ON_OTHERS | NOT_NEEDED_BY_OTHERS | NO_SYNC_SAMPLE,
            (false, false) => DEPENDS_ON_OTHERS | NO_SYNC_SAMPLE,
        }
    }
}
