//! Counts and checks the messages of a received stream.

use embedded_rtmp_embassy::embedded_rtmp::chunk::Fragment;
use embedded_rtmp_embassy::embedded_rtmp::media::FrameClass;
use embedded_rtmp_embassy::embedded_rtmp::message::{MessageKind, Timestamp};

/// Bytes at the beginning of a message that are kept: enough to tell a sequence header.
const START: usize = 5;

/// The frames of one kind; sequence headers are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Track {
    /// Whole frames.
    pub frames: u32,
    /// Their bytes.
    pub bytes: u64,
    /// The timestamps of the first and the last one, in milliseconds.
    pub span: Option<(u32, u32)>,
    /// All their bytes in their order: FNV-1a of each one's FNV-1a, least byte first.
    pub digest: Fnv,
    /// Sequence headers.
    pub headers: u32,
    /// Frames whose timestamp is earlier than that of the previous frame.
    pub backwards: u32,
    /// Messages that do not go on where they stopped, or have another length than they said.
    pub torn: u32,
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    next: u32,
    start: [u8; START],
    digest: Fnv,
}

impl Track {
    /// Takes a piece of a message.
    pub fn take(&mut self, fragment: &Fragment<'_>) {
        if fragment.offset == 0 {
            self.torn += u32::from(self.open.is_some());
            self.open = Some(Open { next: 0, start: [0; START], digest: Fnv::default() });
        }
        let Some(open) = self.open.as_mut().filter(|open| open.next == fragment.offset) else {
            self.torn += 1;
            return;
        };
        let room = open.start.iter_mut().skip(fragment.offset as usize);
        room.zip(fragment.data).for_each(|(to, from)| *to = *from);
        open.digest.take(fragment.data);
        open.next += fragment.data.len() as u32;
        if fragment.is_last() {
            self.finish(fragment.header.kind, fragment.header.timestamp, fragment.header.length);
        }
    }

    fn finish(&mut self, kind: MessageKind, timestamp: Timestamp, length: u32) {
        let Some(open) = self.open.take() else { return };
        self.torn += u32::from(open.next != length);
        if FrameClass::of(kind, &open.start[..START.min(length as usize)]) == FrameClass::Configuration {
            self.headers += 1;
            return;
        }
        self.frames += 1;
        self.bytes += u64::from(length);
        self.digest.take(&open.digest.0.to_le_bytes());
        let (first, last) = self.span.unwrap_or((timestamp.0, timestamp.0));
        self.backwards += u32::from((timestamp.0.wrapping_sub(last) as i32) < 0);
        self.span = Some((first, timestamp.0));
    }

    /// Returns whether all received messages were correct, and none is incomplete.
    pub fn is_good(&self) -> bool {
        self.backwards == 0 && self.torn == 0 && self.open.is_none()
    }
}

/// FNV-1a, 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fnv(pub u32);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x811C_9DC5)
    }
}

impl Fnv {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// The messages of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stream {
    /// Sound.
    pub audio: Track,
    /// Pictures.
    pub video: Track,
    /// Data messages.
    pub data: u32,
}

impl Stream {
    /// Takes a piece of a message.
    pub fn take(&mut self, fragment: &Fragment<'_>) {
        match fragment.header.kind {
            MessageKind::AUDIO => self.audio.take(fragment),
            MessageKind::VIDEO => self.video.take(fragment),
            _ => self.data += u32::from(fragment.is_last()),
        }
    }

    /// Whether nothing was wrong.
    pub fn is_good(&self) -> bool {
        self.audio.is_good() && self.video.is_good()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_rtmp_embassy::embedded_rtmp::chunk::ChunkStreamId;
    use embedded_rtmp_embassy::embedded_rtmp::message::{MessageHeader, StreamId};

    fn piece(timestamp: u32, length: u32, offset: u32, data: &[u8]) -> Fragment<'_> {
        let header =
            MessageHeader { kind: MessageKind::VIDEO, stream: StreamId(1), timestamp: Timestamp(timestamp), length };
        Fragment { csid: ChunkStreamId::new(6).expect("is one"), header, offset, data }
    }

    #[test]
    fn pieces_make_the_same_digest_as_the_whole() {
        let frame = [0x27, 1, 0, 0, 0, 1, 2, 3];
        let (mut whole, mut cut) = (Track::default(), Track::default());
        for at in [0, 40] {
            whole.take(&piece(at, 8, 0, &frame));
            for (offset, byte) in frame.iter().enumerate() {
                cut.take(&piece(at, 8, offset as u32, core::slice::from_ref(byte)));
            }
        }
        assert_eq!(whole, cut);
        assert_eq!((whole.frames, whole.bytes, whole.span, whole.is_good()), (2, 16, Some((0, 40)), true));
        // FNV-1a of "a", as its authors give it.
        let mut a = Fnv::default();
        a.take(b"a");
        assert_eq!(a, Fnv(0xE40C_292C));
    }

    #[test]
    fn sequence_headers_are_no_frames() {
        let mut track = Track::default();
        track.take(&piece(0, 5, 0, &[0x17]));
        track.take(&piece(0, 5, 1, &[0, 0, 0, 0]));
        assert_eq!((track.headers, track.frames, track.digest, track.is_good()), (1, 0, Fnv::default(), true));
    }

    #[test]
    fn faults_are_counted() {
        let mut back = Track::default();
        back.take(&piece(40, 1, 0, b"a"));
        back.take(&piece(39, 1, 0, b"b"));
        assert_eq!((back.backwards, back.is_good()), (1, false));
        let mut torn = Track::default();
        torn.take(&piece(0, 4, 0, b"ab"));
        assert!(!torn.is_good(), "a half is not good");
        torn.take(&piece(0, 4, 3, b"d"));
        assert_eq!(torn.torn, 1);
        torn.take(&piece(0, 1, 0, b"a"));
        assert_eq!((torn.torn, torn.is_good()), (2, false));
    }

    #[test]
    fn time_goes_on_over_the_end_of_its_counter() {
        let mut track = Track::default();
        track.take(&piece(u32::MAX, 1, 0, b"a"));
        track.take(&piece(5, 1, 0, b"b"));
        assert!(track.is_good());
    }
}
