//! The messages that a player needs before it begins: metadata and the configurations of decoders. They are cached
//! outside the ring.

use super::record::Position;
use crate::bytes::{copy, low_u32, move_down};
use crate::fmt::impl_format;
use crate::media::enhanced::FourCc;
use crate::message::MessageKind;

/// The largest number of [`HeaderEntry`] values that a ring uses, because each player has 32 bits for them.
pub const MAX_HEADERS: usize = 32;

/// The track and the part of a cached message. One message is cached for each key. Players get the messages in the
/// order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The track number. Metadata belongs to track 0 and comes first.
    pub(super) track: u8,
    pub(super) part: Part,
}

/// The parts of a track's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Metadata,
    /// The sequence header of video.
    Video,
    /// `colorInfo`.
    VideoColor,
    /// The sequence header of audio.
    Audio,
    /// The assignment of channels to speakers.
    AudioChannels,
}

impl Part {
    pub(super) const fn kind(self) -> MessageKind {
        match self {
            Self::Metadata => MessageKind::DATA,
            Self::Video | Self::VideoColor => MessageKind::VIDEO,
            Self::Audio | Self::AudioChannels => MessageKind::AUDIO,
        }
    }

    /// Returns whether the part determines the codec of the track.
    const fn starts_track(self) -> bool {
        matches!(self, Self::Video | Self::Audio)
    }
}

/// The entry of a cached message: metadata, or one part of the configuration of a track.
#[derive(Debug, Clone, Copy)]
pub struct HeaderEntry {
    key: Key,
    codec: FourCc,
    /// Its position in the ring when it last changed. The bytes change only together with this.
    position: Position,
    /// A serial number, which is different for each cached message.
    serial: u32,
    /// The position of its bytes. Entries do not overlap, and there are no gaps between them.
    start: u32,
    length: u32,
    state: State,
}

/// Whether an entry has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has no message and no bytes.
    Free,
    /// New players do not get its message. The bytes stay for a player that has begun the message, until another
    /// message needs the room.
    Cleared,
    /// It has a message.
    Cached,
}

impl_format!([] HeaderEntry, this => "HeaderEntry {{ {} bytes }}", this.length);

impl HeaderEntry {
    /// Creates an entry without a message.
    pub const fn new() -> Self {
        Self {
            key: Key { track: 0, part: Part::Metadata },
            codec: FourCc([0; 4]),
            position: Position(0),
            serial: 0,
            start: 0,
            length: 0,
            state: State::Free,
        }
    }

    pub(super) const fn kind(&self) -> MessageKind {
        self.key.part.kind()
    }

    pub(super) const fn track(&self) -> u8 {
        self.key.track
    }

    pub(super) const fn position(&self) -> u64 {
        self.position.0
    }

    pub(super) const fn serial(&self) -> u32 {
        self.serial
    }

    pub(super) fn is_cached(&self) -> bool {
        self.state == State::Cached
    }

    /// Returns whether it is a sequence header of video whose publisher has ended.
    pub(super) fn is_cleared_video(&self) -> bool {
        self.state == State::Cleared && self.key.part == Part::Video
    }
}

impl Default for HeaderEntry {
    fn default() -> Self {
        Self::new()
    }
}

/// The result of caching a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The message is cached. There was no message with the same key.
    First,
    /// The message is cached. It has replaced a different one.
    Changed,
    /// The same message was cached already.
    Same,
    /// There is no room for the message. No message with this key is cached now.
    NoRoom,
}

/// The cached messages of a stream.
#[derive(Debug)]
pub(super) struct Headers<'b> {
    bytes: &'b mut [u8],
    entries: &'b mut [HeaderEntry],
    /// The number of bytes in use.
    used: u32,
    /// The number of messages that have been cached so far.
    serial: u32,
    /// The number of messages of higher tracks that were evicted.
    pub(super) evicted: u32,
}

impl<'b> Headers<'b> {
    pub(super) const fn new(bytes: &'b mut [u8], entries: &'b mut [HeaderEntry]) -> Self {
        Self { bytes, entries, used: 0, serial: 0, evicted: 0 }
    }

    /// Returns all entries, each with its bit in the set of entries that are due.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, &HeaderEntry)> {
        (0..MAX_HEADERS).zip(self.entries.iter()).map(|(index, entry)| (1 << index, entry))
    }

    /// Returns the entry of a set that a player gets first, with its bit.
    pub(super) fn first_of(&self, set: u32) -> Option<(u32, &HeaderEntry)> {
        self.entries().filter(|(bit, _)| set & bit != 0).min_by_key(|(_, entry)| entry.key)
    }

    /// Returns the payload of an entry from position `start` on.
    pub(super) fn rest(&self, entry: &HeaderEntry, start: u32) -> &[u8] {
        let payload = self.bytes.get(entry.start as usize..).unwrap_or_default();
        payload.get(start as usize..entry.length as usize).unwrap_or_default()
    }

    /// Caches a message that lies in several parts.
    ///
    /// If there is no room, metadata is evicted first, and then the highest tracks above that of the message. A
    /// sequence header of another codec discards everything that is cached for its track.
    pub(super) fn keep(&mut self, key: Key, codec: FourCc, parts: &[&[u8]], position: u64) -> Outcome {
        let before = self.entries().find(|(_, entry)| entry.is_cached() && entry.key == key);
        if before.is_some_and(|(_, entry)| is_same(self.rest(entry, 0), parts)) {
            return Outcome::Same;
        }
        let had_one = before.is_some();
        self.discard(|entry| {
            let is_other_codec = key.part.starts_track()
                && entry.key.track == key.track
                && entry.key.part.kind() == key.part.kind()
                && entry.codec != codec;
            entry.is_cached() && (entry.key == key || is_other_codec)
        });
        let length = parts.iter().fold(0, |length: usize, part| length.saturating_add(part.len()));
        let Some(index) = self.make_room(key, length) else { return Outcome::NoRoom };
        let mut to = self.bytes.get_mut(self.used as usize..).unwrap_or_default();
        for part in parts {
            let copied = copy(part, to);
            to = to.get_mut(copied..).unwrap_or_default();
        }
        self.serial = self.serial.wrapping_add(1);
        let (start, length, serial) = (self.used, low_u32(length), self.serial);
        self.used = start.wrapping_add(length);
        let position = Position(position);
        let entry = HeaderEntry { key, codec, position, serial, start, length, state: State::Cached };
        self.entries.iter_mut().skip(index).take(1).for_each(|place| *place = entry);
        if had_one { Outcome::Changed } else { Outcome::First }
    }

    /// Evicts entries until there is room for a message. Returns the index of a free entry.
    fn make_room(&mut self, key: Key, length: usize) -> Option<usize> {
        loop {
            let free = self.entries.iter().take(MAX_HEADERS).position(|entry| entry.state == State::Free);
            let room = self.bytes.len().saturating_sub(self.used as usize);
            if let Some(index) = free.filter(|_| length <= room) {
                return Some(index);
            }
            let cleared = self.entries.iter().find(|entry| entry.state == State::Cleared).copied();
            let cached = || self.entries.iter().filter(|entry| entry.is_cached());
            // The next entry to evict: metadata, or otherwise the last key. Metadata does not evict metadata.
            let rank = |key: Key| (key.part == Part::Metadata, key.track, key.part);
            let highest = || cached().max_by_key(|entry| rank(entry.key)).copied();
            let evicted = cleared.or_else(|| highest().filter(|entry| rank(entry.key) > rank(key)))?;
            if evicted.is_cached() {
                self.evicted = self.evicted.wrapping_add(1);
            }
            self.discard(|entry| entry.serial == evicted.serial);
        }
    }

    /// Removes entries. A player that has begun to receive one of them cannot complete it.
    fn discard(&mut self, is_it: impl Fn(&HeaderEntry) -> bool) {
        while let Some(place) = self.entries.iter_mut().find(|entry| entry.state != State::Free && is_it(entry)) {
            let HeaderEntry { start, length, .. } = core::mem::take(place);
            move_down(self.bytes.get_mut(start as usize..self.used as usize).unwrap_or_default(), length as usize);
            self.used = self.used.wrapping_sub(length);
            for other in self.entries.iter_mut().filter(|other| other.start > start) {
                other.start = other.start.wrapping_sub(length);
            }
        }
    }

    /// Clears metadata.
    pub(super) fn clear_metadata(&mut self) {
        self.clear(|entry| entry.key.part == Part::Metadata);
    }

    /// Clears all entries.
    pub(super) fn clear_all(&mut self) {
        self.clear(|_| true);
    }

    fn clear(&mut self, is_it: impl Fn(&HeaderEntry) -> bool) {
        let cached = self.entries.iter_mut().filter(|entry| entry.is_cached() && is_it(entry));
        cached.for_each(|entry| entry.state = State::Cleared);
    }

    /// Swaps the memory with that of `other`, and empties both. A player that has begun to receive a message cannot
    /// complete it.
    pub(super) fn swap_memory(&mut self, other: &mut Self) {
        core::mem::swap(&mut self.bytes, &mut other.bytes);
        core::mem::swap(&mut self.entries, &mut other.entries);
        for headers in [self, other] {
            headers.entries.fill(HeaderEntry::new());
            headers.used = 0;
        }
    }
}

/// Returns whether a payload equals the concatenation of `parts`.
fn is_same(mut payload: &[u8], parts: &[&[u8]]) -> bool {
    let is_next = |part: &&[u8]| {
        payload.split_at_checked(part.len()).is_some_and(|(first, rest)| {
            payload = rest;
            first == *part
        })
    };
    parts.iter().all(is_next) && payload.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const fn key(track: u8, part: Part) -> Key {
        Key { track, part }
    }

    fn shown(headers: &Headers<'_>) -> Vec<(Key, Vec<u8>)> {
        let mut shown: Vec<_> = headers.entries().filter(|(_, entry)| entry.is_cached()).collect();
        shown.sort_by_key(|(_, entry)| entry.key);
        shown.into_iter().map(|(_, entry)| (entry.key, headers.rest(entry, 0).to_vec())).collect()
    }

    #[test]
    fn a_message_that_is_the_same_is_not_new() {
        let (mut bytes, mut entries) = ([0; 4], [HeaderEntry::new()]);
        let mut headers = Headers::new(&mut bytes, &mut entries);
        let mut keep = |parts: [&[u8]; 2], at| {
            let outcome = headers.keep(key(0, Part::Audio), FourCc::AAC, &parts, at);
            let entry = headers.entries().next().unwrap().1;
            (outcome, headers.rest(entry, 0).to_vec(), entry.position())
        };
        assert_eq!(keep([b"ab", b"c"], 7), (Outcome::First, b"abc".to_vec(), 7));
        assert_eq!(keep([b"abc", b""], 9), (Outcome::Same, b"abc".to_vec(), 7));
        assert_eq!(keep([b"abd", b""], 9), (Outcome::Changed, b"abd".to_vec(), 9));
        assert_eq!(keep([b"abcd", b"e"], 10), (Outcome::NoRoom, b"".to_vec(), 0));
        assert_eq!(keep([b"", b""], 11), (Outcome::First, b"".to_vec(), 11));
        assert_eq!(keep([b"abcd", b""], 12), (Outcome::Changed, b"abcd".to_vec(), 12));
        headers.clear_all();
        let entry = *headers.entries().next().unwrap().1;
        assert_eq!((entry.is_cached(), headers.rest(&entry, 1)), (false, &b"bcd"[..]), "it can be completed");
    }

    #[test]
    fn low_tracks_stay_and_metadata_makes_room_first() {
        let (mut bytes, mut entries) = ([0; 10], [HeaderEntry::new(); 4]);
        let mut headers = Headers::new(&mut bytes, &mut entries);
        let mut keep = |track, part, bytes: &[u8]| {
            let outcome = headers.keep(key(track, part), FourCc::AVC, &[bytes], 1);
            (outcome, shown(&headers).iter().map(|(key, _)| (key.track, key.part)).collect::<Vec<_>>(), headers.evicted)
        };
        use Part::*;
        assert_eq!(keep(0, Metadata, b"meta").0, Outcome::First);
        assert_eq!(keep(2, Video, b"v2").0, Outcome::First);
        assert_eq!(keep(1, Video, b"v1").0, Outcome::First);
        assert_eq!(
            keep(0, Audio, b"a0"),
            (Outcome::First, [(0, Metadata), (0, Audio), (1, Video), (2, Video)].to_vec(), 0)
        );
        // Metadata, then the highest track.
        assert_eq!(
            keep(0, Video, b"v0"),
            (Outcome::First, [(0, Video), (0, Audio), (1, Video), (2, Video)].to_vec(), 1)
        );
        assert_eq!(
            keep(0, VideoColor, b"c"),
            (Outcome::First, [(0, Video), (0, VideoColor), (0, Audio), (1, Video)].to_vec(), 2)
        );
        // A track does not evict itself, and metadata is always evicted first.
        assert_eq!(keep(3, Video, b"v3").0, Outcome::NoRoom);
        assert_eq!(keep(0, Metadata, b"m").0, Outcome::NoRoom);
        assert_eq!(keep(1, Video, b"too long it is").0, Outcome::NoRoom);
        let left =
            [(key(0, Video), b"v0".to_vec()), (key(0, VideoColor), b"c".to_vec()), (key(0, Audio), b"a0".to_vec())];
        assert_eq!(shown(&headers), left);
    }

    #[test]
    fn a_sequence_header_of_another_codec_ends_what_is_cached_for_its_track() {
        let (mut bytes, mut entries) = ([0; 100], [HeaderEntry::new(); 8]);
        let mut headers = Headers::new(&mut bytes, &mut entries);
        use Part::*;
        for (track, part, codec) in [
            (0, Video, FourCc::HEVC),
            (0, VideoColor, FourCc::HEVC),
            (1, Video, FourCc::HEVC),
            (0, Audio, FourCc::OPUS),
            (0, AudioChannels, FourCc::OPUS),
        ] {
            assert_eq!(headers.keep(key(track, part), codec, &[b"one"], 1), Outcome::First);
        }
        assert_eq!(headers.keep(key(0, Video), FourCc::HEVC, &[b"two"], 2), Outcome::Changed);
        assert_eq!(shown(&headers).len(), 5, "the same codec");
        assert_eq!(headers.keep(key(0, Video), FourCc::AVC, &[b"three"], 2), Outcome::Changed);
        assert_eq!(headers.keep(key(0, Audio), FourCc::AAC, &[b"four"], 2), Outcome::Changed);
        let keys: Vec<_> = shown(&headers).into_iter().map(|(key, _)| (key.track, key.part)).collect();
        assert_eq!(keys, [(0, Video), (0, Audio), (1, Video)]);
    }
}
