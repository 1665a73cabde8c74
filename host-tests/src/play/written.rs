//! What was written of a stream, and which messages of another connection continue it.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::media::FrameClass;
use embedded_rtmp::media::enhanced::{Packet, TrackReader};
use embedded_rtmp::message::{MessageHeader, MessageKind, StreamId, Timestamp};

/// If the timestamps of two connections differ by more than this, in ms, they have nothing to do with each other.
const FAR: i32 = 30_000;

/// The most messages with the same timestamp that are remembered.
const MAX_MESSAGES: usize = 256;

/// The part of a stream that a message configures: its kind, its track, and the type of its packet in Enhanced RTMP.
type Part = (MessageKind, u8, Option<Packet>);

/// The last messages of one kind that were written.
#[derive(Debug, Default)]
struct Last {
    timestamp: u32,
    /// The hashes of the last messages with this timestamp.
    messages: VecDeque<u64>,
    /// Whether messages are skipped until one continues this one.
    is_awaited: bool,
}

/// What was written of audio, of video and of data messages. All timestamps are those of the file, except when the text says
/// otherwise.
#[derive(Debug, Default)]
pub(super) struct Written {
    last: BTreeMap<MessageKind, Last>,
    /// The hashes of the metadata and of the configurations of decoders that are valid.
    configurations: HashMap<Part, u64>,
    /// What is added to the timestamps of the connection.
    shift: u32,
    /// Whether the connection continues another one, and nothing of it was written yet.
    is_joining: bool,
    /// How much later than the last message of a connection the first one of the next is, in ms, if it is not known that
    /// nothing is between them.
    pub(super) gap: Option<i32>,
}

impl Written {
    /// Another connection continues what was written. `is_seamless` says that it is known to miss nothing.
    pub(super) fn join(&mut self, is_seamless: bool) {
        self.is_joining = !is_seamless && !self.last.is_empty();
        self.last.values_mut().for_each(|last| last.is_awaited = true);
    }

    /// Returns the timestamp with which a message is written, or `None` if it is not written.
    pub(super) fn place(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> Option<u32> {
        let is_awaited = self.last.values().any(|last| last.is_awaited);
        if let Some(part) = part(kind, payload) {
            let hash = hash(payload);
            if self.configurations.insert(part, hash) == Some(hash) && is_awaited {
                return None;
            }
            let latest = if is_awaited { self.latest() } else { None };
            return Some(latest.unwrap_or(timestamp.wrapping_add(self.shift)));
        }
        if self.is_joining && kind != MessageKind::DATA {
            self.begin(kind, timestamp, payload)?;
        }
        let timestamp = timestamp.wrapping_add(self.shift);
        let is_written = is_awaited && !self.is_new(kind, timestamp, payload);
        let last = self.last.entry(kind).or_default();
        if last.is_awaited && is_written {
            return None;
        }
        last.is_awaited = false;
        if last.messages.is_empty() || since(last.timestamp, timestamp) > 0 {
            last.timestamp = timestamp;
            last.messages.clear();
        }
        if last.timestamp == timestamp {
            if last.messages.len() == MAX_MESSAGES {
                last.messages.pop_front();
            }
            last.messages.push_back(hash(payload));
        }
        Some(timestamp)
    }

    /// The first audio or video of a connection that is not known to continue the last one. Returns `None` if it is not
    /// written.
    fn begin(&mut self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> Option<()> {
        self.is_joining = false;
        let Some(latest) = self.latest() else { return Some(()) };
        if since(latest, timestamp.wrapping_add(self.shift)).unsigned_abs() > FAR.unsigned_abs() {
            // It begins again, so its first picture is whole.
            if self.pivot() == MessageKind::VIDEO && FrameClass::of(kind, payload) != FrameClass::Keyframe {
                self.is_joining = true;
                return None;
            }
            self.shift = latest.wrapping_add(1).wrapping_sub(timestamp);
        }
        let gap = since(latest, timestamp.wrapping_add(self.shift));
        self.gap = Some(gap).filter(|gap| *gap > 0);
        Some(())
    }

    /// The timestamp of the latest audio or video.
    fn latest(&self) -> Option<u32> {
        let media = self.last.iter().filter(|(kind, _)| **kind != MessageKind::DATA).map(|(_, last)| last.timestamp);
        media.reduce(|a, b| if since(a, b) > 0 { b } else { a })
    }

    /// The kind of messages that decides when another connection continues.
    pub(super) fn pivot(&self) -> MessageKind {
        if self.last.contains_key(&MessageKind::VIDEO) { MessageKind::VIDEO } else { MessageKind::AUDIO }
    }

    /// Whether neither audio nor video was written.
    pub(super) fn is_empty(&self) -> bool {
        self.latest().is_none()
    }

    /// The timestamp, on the connection, of the last message of the kind that decides.
    pub(super) fn position(&self) -> Option<u32> {
        self.last.get(&self.pivot()).map(|last| last.timestamp.wrapping_sub(self.shift))
    }

    /// Whether a message of another connection is later than what was written. Both connections have the same timestamps.
    pub(super) fn is_later(&self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> bool {
        self.is_new(kind, timestamp.wrapping_add(self.shift), payload)
    }

    fn is_new(&self, kind: MessageKind, timestamp: u32, payload: &[u8]) -> bool {
        self.last.get(&kind).is_none_or(|last| match since(last.timestamp, timestamp) {
            0 => !last.messages.contains(&hash(payload)),
            later => later > 0,
        })
    }
}

/// The time from `a` to `b`, in ms. It is negative if `b` is earlier.
fn since(a: u32, b: u32) -> i32 {
    b.wrapping_sub(a) as i32
}

/// Whether `b` is `a`, or later.
pub(super) fn is_after(a: u32, b: u32) -> bool {
    since(a, b) >= 0
}

/// Whether a timestamp is too far from another one to belong to the same stream: before it, or after it.
pub(super) fn is_far(from: u32, timestamp: u32) -> (bool, bool) {
    let time = since(from, timestamp);
    (time < -FAR, time > FAR)
}

fn hash(payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// The part that a message configures. `None` for a frame, and for data messages except metadata.
pub(super) fn part(kind: MessageKind, payload: &[u8]) -> Option<Part> {
    match FrameClass::of(kind, payload) {
        FrameClass::Configuration => {}
        FrameClass::Metadata(_) => return Some((kind, 0, None)),
        _ => return None,
    }
    let length = payload.len() as u32;
    let header = MessageHeader { kind, stream: StreamId::CONNECTION, timestamp: Timestamp(0), length };
    let mut rest = Fragment { csid: ChunkStreamId::CONTROL, header, offset: 0, data: payload };
    Some(match TrackReader::new().next_piece(&mut rest) {
        Ok(Some(piece)) => (kind, piece.header.track.unwrap_or(0), Some(piece.header.packet)),
        // It is not one of Enhanced RTMP.
        _ => (kind, 0, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIO: MessageKind = MessageKind::AUDIO;
    const VIDEO: MessageKind = MessageKind::VIDEO;
    const DATA: MessageKind = MessageKind::DATA;
    const AVC: &[u8] = b"\x17\0\0\0\0avc";
    const KEY: &[u8] = b"\x17\x01\0\0\0key";
    const INTER: &[u8] = b"\x27\x01\0\0\0inter";
    const SOUND: &[u8] = b"\xAF\x01sound";

    /// The timestamps with which these messages are written.
    fn placed(written: &mut Written, messages: &[(MessageKind, u32, &[u8])]) -> Vec<Option<u32>> {
        messages.iter().map(|(kind, timestamp, payload)| written.place(*kind, *timestamp, payload)).collect()
    }

    fn begun() -> Written {
        let mut written = Written::default();
        let first = [(VIDEO, 0, AVC), (VIDEO, 100, KEY), (AUDIO, 110, SOUND), (VIDEO, 140, INTER), (AUDIO, 150, SOUND)];
        assert_eq!(placed(&mut written, &first), [Some(0), Some(100), Some(110), Some(140), Some(150)]);
        written
    }

    #[test]
    fn item_385_messages_that_were_written_are_skipped_for_audio_and_for_video() {
        let mut written = begun();
        written.join(true);
        let again = [(VIDEO, 0, AVC), (VIDEO, 100, KEY), (AUDIO, 110, SOUND), (VIDEO, 140, INTER)];
        assert_eq!(placed(&mut written, &again), [None; 4]);
        // Another message with the timestamp of the last one, such as that of another track, is new.
        let more = [(VIDEO, 140, b"\x27\x01\0\0\0other".as_slice()), (AUDIO, 150, SOUND), (AUDIO, 190, SOUND)];
        assert_eq!(placed(&mut written, &more), [Some(140), None, Some(190)]);
        // From then on, everything is written, also what is late.
        assert_eq!(placed(&mut written, &[(VIDEO, 120, INTER), (AUDIO, 190, SOUND)]), [Some(120), Some(190)]);
        assert_eq!(written.gap, None);
    }

    #[test]
    fn item_385_configurations_are_written_again_only_if_they_have_changed() {
        let mut written = begun();
        let (color, metadata) = (b"\x94hvc1color".as_slice(), b"\x02\0\x0AonMetaData\x08".as_slice());
        let track = b"\x96\x00hvc1\x01hvcc".as_slice();
        let parts = [(VIDEO, 150, color), (DATA, 150, metadata), (VIDEO, 150, track)];
        assert_eq!(placed(&mut written, &parts), [Some(150); 3]);
        written.join(true);
        assert_eq!(placed(&mut written, &parts), [None; 3]);
        // They get the time of the last frame, because that of the connection may be much earlier.
        let other = [b"\x17\0\0\0\0hevc".as_slice(), b"\x94hvc1other", b"\x96\x00av01\x01av1c"];
        assert_eq!(placed(&mut written, &other.map(|payload| (VIDEO, 0, payload))), [Some(150); 3]);
        assert_eq!(placed(&mut written, &[(VIDEO, 0, AVC), (VIDEO, 0, AVC)]), [Some(150), None]);
    }

    #[test]
    fn item_385_a_gap_is_counted() {
        let mut written = begun();
        written.join(false);
        assert_eq!(placed(&mut written, &[(AUDIO, 400, SOUND), (VIDEO, 380, KEY)]), [Some(400), Some(380)]);
        assert_eq!(written.gap, Some(250));
    }

    #[test]
    fn item_385_what_is_remembered_of_equal_timestamps_is_bounded() {
        let mut written = Written::default();
        let messages: Vec<_> = (0..MAX_MESSAGES as u32 + 50).map(|number| (number, number.to_be_bytes())).collect();
        for (_, payload) in &messages {
            assert_eq!(written.place(VIDEO, 7, payload), Some(7));
        }
        assert_eq!(written.last[&VIDEO].messages.len(), MAX_MESSAGES);
        written.join(true);
        assert!(messages[50..].iter().all(|(_, payload)| written.place(VIDEO, 7, payload).is_none()));
        assert_eq!(written.place(VIDEO, 7, b"other"), Some(7));
    }

    #[test]
    fn item_385_other_timestamps_continue_those_of_the_file_from_a_keyframe_on() {
        for begin in [7_000_000, u32::MAX - 40_000_000, (1 << 31) + 150] {
            let mut written = begun();
            written.join(false);
            let next =
                [(VIDEO, begin, INTER), (AUDIO, begin, SOUND), (VIDEO, begin + 40, KEY), (AUDIO, begin + 50, SOUND)];
            assert_eq!(placed(&mut written, &next), [None, None, Some(151), Some(161)], "{begin}");
            assert_eq!(written.position(), Some(begin + 40));
            assert!(written.is_later(AUDIO, begin + 51, SOUND) && !written.is_later(AUDIO, begin + 49, SOUND));
        }
        assert_eq!(
            [is_far(7, 30_008), is_far(30_008, 7), is_far(7, 30_007)],
            [(false, true), (true, false), (false, false)]
        );
    }
}
