//! The publisher's side of a ring: storing messages that arrive.

use super::cached::{HeaderEntry, Headers, Key, Outcome, Part};
use super::config::RelayConfig;
use super::record::{PartialMessage, Place, RECORD, Record, payload};
use super::store::Store;
use crate::bytes::low_u32;
use crate::chunk::{ChunkStreamId, Fragment};
use crate::fmt::{impl_format, warning};
use crate::media::FrameClass;
use crate::media::aggregate::Splitter;
use crate::media::enhanced::{self, Packet, TrackHeader, TrackReader, is_enhanced, legacy_codec};
use crate::message::{MessageHeader, MessageKind, StreamId, Timestamp};
use crate::time::{Instant, millis};

/// Messages that may be incomplete at a time: one each of audio, video and data, and one more.
const PARTIALS: usize = 4;

/// Bytes of the ring that each message takes beside its payload.
pub const OVERHEAD: usize = RECORD;

/// The memory that a ring is lent.
#[derive(Debug)]
pub struct StreamBuffers<'b> {
    /// The messages that players were not sent yet, and that new players begin with. Each message takes 8 bytes more than
    /// its payload; a message that is longer than the ring cannot be relayed. A player starts with the last keyframe if that
    /// is still there, and may be half the ring late before frames are skipped. Room for two groups of pictures is good
    /// (1 MB at 2 Mbit/s with a keyframe every 2 s); twice the largest keyframe is the minimum.
    pub ring: &'b mut [u8],
    /// Memory for the last metadata and for the decoder configuration of each track. Encoders send 300 to 500 bytes of
    /// metadata. A sequence header has 40 to 60 bytes for AVC, 100 to 200 for HEVC, 4 to 7 for AAC and
    /// 24 for Opus. That of HEVC from FFmpeg with x265 also has the encoder's settings: 2,500 bytes.
    pub headers: &'b mut [u8],
    /// The entries for these messages: one for metadata, and one or two for each track of video and of audio. At most
    /// [`MAX_HEADERS`](super::MAX_HEADERS) are used. If `headers` or `entries` is too small, metadata is evicted first,
    /// and then the highest tracks. These messages are still relayed, and are [counted](Counts::not_kept).
    pub entries: &'b mut [HeaderEntry],
}

impl_format!(['b] StreamBuffers<'b>, this => "StreamBuffers {{ ring: {} bytes }}", this.ring.len());

/// Counts of messages that were not relayed or cached whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Longer than the ring.
    pub too_long: u32,
    /// The length of the longest of these from the current publisher, in bytes.
    pub longest: u32,
    /// Incomplete, and discarded because four others have begun since.
    pub too_many: u32,
    /// Left incomplete by the publisher: it ended, or began another message on the same chunk stream.
    pub cut: u32,
    /// Metadata and decoder configurations that were relayed, but were not cached for lack of memory or were evicted by
    /// a lower track.
    pub not_kept: u32,
}

/// The messages of one stream, until they are overwritten by newer ones. See the [module](super).
#[derive(Debug)]
pub struct Ring<'b> {
    pub(super) store: Store<'b>,
    /// Metadata and the configurations of decoders.
    pub(super) headers: Headers<'b>,
    pub(super) partials: [PartialMessage; PARTIALS],
    /// The last keyframe of track 0, if a player can begin with it.
    pub(super) key: Option<Place>,
    /// The highest track of video so far.
    pub(super) highest: u8,
    /// Messages so far, modulo 2³².
    pub(super) messages: u32,
    pub(super) has_video: bool,
    #[cfg(feature = "web")]
    pub(super) has_audio: bool,
    /// Something of this publisher has arrived.
    pub(super) is_live: bool,
    pub(super) fill_cut: u32,
    pub(super) fill_overtaken: u32,
    /// What is added to the publisher's timestamps.
    shift: u32,
    /// The latest timestamp for players.
    latest: u32,
    /// The time of `latest`, if players wait for the first frame of another publisher and must continue without a jump.
    since: Option<Instant>,
    splitter: Splitter,
    counts: Counts,
}

impl_format!(['b] Ring<'b>, this => "Ring {{ is_live: {}, counts: {} }}", this.is_live, this.counts);

impl<'b> Ring<'b> {
    /// An empty ring.
    pub const fn new(buffers: StreamBuffers<'b>, config: &RelayConfig) -> Self {
        const NONE: PartialMessage = PartialMessage {
            csid: None,
            class: None,
            track: 0,
            place: Place { at: 0, number: 0 },
            length: 0,
            arrived: 0,
        };
        Self {
            store: Store::new(buffers.ring, config.late_percent),
            headers: Headers::new(buffers.headers, buffers.entries),
            partials: [NONE; PARTIALS],
            key: None,
            highest: 0,
            messages: 0,
            has_video: false,
            #[cfg(feature = "web")]
            has_audio: false,
            is_live: false,
            fill_cut: config.fill_cut,
            fill_overtaken: config.fill_overtaken,
            shift: 0,
            latest: 0,
            since: None,
            splitter: Splitter::new(),
            counts: Counts { too_long: 0, longest: 0, too_many: 0, cut: 0, not_kept: 0 },
        }
    }

    /// Returns the counts since the ring was created.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Messages that have begun since the ring was created, modulo 2³².
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// Returns the cached messages of track 0, each with its payload: metadata without the bytes for servers, and the
    /// configurations of decoders. There are none between two publishers.
    pub fn cached(&self) -> impl Iterator<Item = (MessageKind, &[u8])> {
        let entries = self.headers.entries().map(|(_, entry)| entry);
        let cached = entries.filter(|entry| entry.is_cached() && entry.track() == 0);
        cached.map(|entry| (entry.kind(), self.headers.rest(entry, 0)))
    }

    /// Ends the publishers of two rings and swaps their memory, if one ring has memory that the other needs. Both are empty
    /// then. Their players stay, and continue with the messages of the next publisher. A player that is inside of a message
    /// is overtaken.
    pub fn swap_memory(&mut self, other: &mut Self) {
        self.end();
        other.end();
        self.store.swap_memory(&mut other.store);
        self.headers.swap_memory(&mut other.headers);
    }

    /// Copies a piece of a message into the ring. Push all pieces, in the order in which they arrived. Aggregate messages are
    /// split. Messages other than audio, video and data are ignored.
    pub fn push(&mut self, now: Instant, fragment: &Fragment<'_>) {
        if fragment.header.kind != MessageKind::AGGREGATE {
            return self.copy(now, fragment);
        }
        let mut rest = *fragment;
        while let Some(inside) = self.splitter.next_fragment(&mut rest) {
            self.copy(now, &inside);
        }
    }

    fn copy(&mut self, now: Instant, fragment: &Fragment<'_>) {
        if fragment.is_first() {
            self.cut_off(Some(fragment.csid));
            self.begin(now, fragment);
        }
        let found = self.partials.iter().copied().enumerate().find(|(_, partial)| partial.csid == Some(fragment.csid));
        let Some((index, mut partial)) = found else { return };
        let room = partial.length.wrapping_sub(partial.arrived) as usize;
        // If others have filled the ring since it began, no player is inside of it any longer.
        if self.store.is_gone(partial.place.at) || fragment.offset != partial.arrived || fragment.data.len() > room {
            return self.cut_off(Some(fragment.csid));
        }
        self.store.write(payload(partial.place.at).wrapping_add(u64::from(partial.arrived)), fragment.data);
        partial.arrived = partial.arrived.wrapping_add(low_u32(fragment.data.len()));
        let is_last = partial.arrived == partial.length;
        if partial.class.is_none() {
            self.classify(&mut partial, fragment, is_last);
        }
        if is_last {
            partial.csid = None;
            self.keep(&partial);
        }
        self.partials.iter_mut().skip(index).take(1).for_each(|place| *place = partial);
    }

    /// Ends the publisher. Players keep their positions and continue with the messages of the next publisher; new
    /// players wait for it. The cached messages are cleared.
    ///
    /// An incomplete message is cut: no player begins it any longer. For players that are inside of it, the rest is filled
    /// with zeros. Otherwise every player that is up to date would be disconnected when a publisher is lost.
    pub fn end(&mut self) {
        self.cut_off(None);
        (self.key, self.highest, self.has_video, self.is_live) = (None, 0, false, false);
        #[cfg(feature = "web")]
        {
            self.has_audio = false;
        }
        self.splitter = Splitter::new();
        (self.shift, self.since, self.counts.longest) = (0, None, 0);
        self.headers.clear_all();
    }

    /// Lets players continue with another publisher without a jump of the timestamps. Call it after [`Self::end`]. The
    /// timestamps of its first frame of audio or video and of all messages before it are the latest one before this call
    /// plus the time from `since` to their arrival, at least 1 ms. After that, the distances between timestamps are those
    /// of the publisher.
    pub fn resume(&mut self, since: Instant) {
        self.latest = self.latest.wrapping_add(1);
        self.since = Some(since.after_millis(1));
    }

    /// The timestamp of a message for players.
    fn shifted(&mut self, now: Instant, timestamp: Timestamp) -> u32 {
        if let Some(since) = self.since {
            self.latest = self.latest.wrapping_add(millis(now.saturating_duration_since(since)));
            self.since = Some(since.max(now));
            return self.latest;
        }
        let word = timestamp.0.wrapping_add(self.shift);
        if !self.is_live || word.wrapping_sub(self.latest) as i32 > 0 {
            self.latest = word;
        }
        word
    }

    /// Sets the offset of the timestamps at the first frame of a publisher with which players continue. Metadata and
    /// sequence headers before it often have the timestamp 0, even if that of the frames is larger.
    #[cold]
    fn rebase(&mut self, at: u32, timestamp: Timestamp) {
        self.since = None;
        self.shift = at.wrapping_sub(timestamp.0);
    }

    /// Reserves room for the message that `fragment` begins.
    fn begin(&mut self, now: Instant, fragment: &Fragment<'_>) {
        let header = fragment.header;
        if !header.kind.is_media() {
            return;
        }
        let Some(at) = self.store.reserve((header.length as usize).saturating_add(RECORD)) else {
            if self.counts.longest == 0 {
                let room = self.store.capacity().saturating_sub(RECORD);
                warning!("a message of {} bytes is not relayed: the ring has room for {}", header.length, room);
            }
            self.counts.too_long = self.counts.too_long.wrapping_add(1);
            self.counts.longest = self.counts.longest.max(header.length);
            return;
        };
        if self.partials.iter().all(|partial| partial.csid.is_some()) {
            // The oldest is given up. If all of them stalled, nothing would ever be relayed again.
            let oldest = self.partials.iter().map(|partial| partial.place.at).min();
            let given_up = self.cut(&|partial| Some(partial.place.at) == oldest);
            self.counts.too_many = self.counts.too_many.wrapping_add(given_up);
        }
        let Some(partial) = self.partials.iter_mut().find(|partial| partial.csid.is_none()) else { return };
        let place = Place { at, number: self.messages };
        *partial = PartialMessage {
            csid: Some(fragment.csid),
            class: None,
            track: 0,
            place,
            length: header.length,
            arrived: 0,
        };
        self.messages = self.messages.wrapping_add(1);
        let word = self.shifted(now, header.timestamp);
        let first = !core::mem::replace(&mut self.is_live, true);
        self.has_video |= header.kind == MessageKind::VIDEO;
        #[cfg(feature = "web")]
        {
            self.has_audio |= header.kind == MessageKind::AUDIO;
        }
        let record = Record { kind: header.kind.0, wrapped: false, cut: false, first, length: header.length, word };
        self.store.write(at, &record.emit());
    }

    /// Cuts the message that the publisher has left incomplete on a chunk stream, or all of them.
    fn cut_off(&mut self, csid: Option<ChunkStreamId>) {
        let is_it = |partial: &PartialMessage| partial.csid.is_some() && (csid.is_none() || partial.csid == csid);
        if !self.partials.iter().any(is_it) {
            return;
        }
        let count = self.cut(&is_it);
        self.counts.cut = self.counts.cut.wrapping_add(count);
    }

    /// Cuts incomplete messages. Returns how many.
    #[cold]
    fn cut(&mut self, which: &dyn Fn(&PartialMessage) -> bool) -> u32 {
        let mut count: u32 = 0;
        for index in 0..PARTIALS {
            let Some(partial) = self.partials.get_mut(index).filter(|partial| which(partial)) else { continue };
            partial.csid = None;
            let partial = *partial;
            count = count.wrapping_add(1);
            if self.key == Some(partial.place) {
                self.key = None;
            }
            if !self.store.is_gone(partial.place.at) {
                let record = Record { cut: true, word: partial.arrived, ..self.record(partial.place.at) };
                self.store.write(partial.place.at, &record.emit());
            }
        }
        count
    }

    /// Classifies a message by the bytes that have arrived so far, including `fragment`. The message stays without a
    /// class if more bytes are needed.
    fn classify(&mut self, partial: &mut PartialMessage, fragment: &Fragment<'_>, is_last: bool) {
        let mut collected = [0; FrameClass::PREFIX];
        let mut prefix = fragment.data;
        if !fragment.is_first() {
            prefix = self.prefix(partial.place.at, partial.arrived, &mut collected);
        }
        let kind = fragment.header.kind;
        let (class, track) = match (FrameClass::of_prefix(kind, prefix), FrameClass::track(kind, prefix)) {
            (Some(class), Some(track)) => (class, track),
            (_, track) if is_last => (FrameClass::of(kind, prefix), track.unwrap_or(0)),
            _ => return,
        };
        (partial.class, partial.track) = (Some(class), track);
        let mut record = self.record(partial.place.at);
        if self.since.is_some() && (class.is_picture() || class == FrameClass::Audio) {
            self.rebase(record.word, fragment.header.timestamp);
        }
        if kind == MessageKind::VIDEO {
            self.highest = self.highest.max(track);
        }
        match class {
            FrameClass::Keyframe if track == 0 => {
                self.key = Some(partial.place);
                return;
            }
            FrameClass::Data(skip) | FrameClass::Metadata(skip) => record.wrapped = skip >= 16,
            FrameClass::ClearMetadata => {
                record.kind = 0;
                self.headers.clear_metadata();
            }
            _ => return,
        }
        self.store.write(partial.place.at, &record.emit());
    }

    /// Caches a complete message if it is metadata or configures a decoder.
    fn keep(&mut self, partial: &PartialMessage) {
        let (Some(class @ (FrameClass::Configuration | FrameClass::Metadata(_))), at) =
            (partial.class, partial.place.at)
        else {
            return;
        };
        let record = self.record(at);
        let kind = MessageKind(record.kind);
        let mut first = [0];
        self.store.read(payload(at), 1, &mut first);
        if is_enhanced(kind, first[0]) {
            return self.keep_tracks(at, &record);
        }
        // It configures nothing, so the cached one is still valid.
        if class.is_empty(kind, record.length as usize) {
            return;
        }
        let (skip, codec) = (record.skip(), legacy_codec(kind, first[0]));
        let part = match kind {
            MessageKind::VIDEO => Part::Video,
            MessageKind::AUDIO => Part::Audio,
            _ => Part::Metadata,
        };
        let length = record.length.saturating_sub(skip) as usize;
        let parts = self.store.parts(payload(at).wrapping_add(u64::from(skip)), length);
        let key = Key { track: 0, part };
        let outcome = self.headers.keep(key, codec, &parts, at);
        self.was_kept(key, outcome, at);
    }

    /// Caches a complete message of Enhanced RTMP for each of its tracks. A message of several tracks is split, so that each
    /// configuration can be replaced by a later one.
    #[cold]
    fn keep_tracks(&mut self, at: u64, record: &Record) {
        let (timestamp, stream, csid) = (Timestamp(0), StreamId::CONNECTION, ChunkStreamId(0));
        let header = MessageHeader { timestamp, length: record.length, kind: MessageKind(record.kind), stream };
        // Track numbers have 8 bits.
        let (mut reader, mut offset, mut tracks) = (TrackReader::new(), 0, 0..=u8::MAX);
        while offset < record.length {
            let left = record.length.wrapping_sub(offset) as usize;
            let [data, _] = self.store.parts(payload(at).wrapping_add(u64::from(offset)), left);
            let mut rest = Fragment { csid, header, offset, data };
            let read = reader.next_piece(&mut rest);
            offset = rest.offset;
            let (header, is_of_many, position, length) = match read {
                Ok(Some(piece)) if piece.offset == 0 && configures(&piece.header, piece.length) => {
                    (piece.header, piece.is_of_many, piece.position, piece.length)
                }
                Ok(_) => continue,
                // The tracks before the fault are valid.
                Err(_) => return,
            };
            let Some(part) = part_of(&header).filter(|_| tracks.next().is_some()) else { return };
            let key = Key { track: header.track.unwrap_or(0), part };
            let (from, length) = if is_of_many { (position, length) } else { (0, record.length) };
            let mut buffer = [0; enhanced::HEADER_SIZE];
            let start = if is_of_many { header.emit(&mut buffer) } else { &[] };
            let [one, two] = self.store.parts(payload(at).wrapping_add(u64::from(from)), length as usize);
            let outcome = self.headers.keep(key, header.codec, &[start, one, two], at);
            self.was_kept(key, outcome, at);
        }
    }

    /// Counts messages that are not cached, and forgets the keyframe if a new sequence header follows it.
    fn was_kept(&mut self, key: Key, outcome: Outcome, at: u64) {
        let lost = core::mem::take(&mut self.headers.evicted).wrapping_add(u32::from(outcome == Outcome::NoRoom));
        self.counts.not_kept = self.counts.not_kept.wrapping_add(lost);
        let is_new = outcome == Outcome::Changed || key.track == 0 && outcome != Outcome::Same;
        // A new player would get the new sequence header, and then frames that need the old one.
        if is_new && key.part == Part::Video && self.key.is_some_and(|key| key.at < at) {
            self.key = None;
        }
    }

    /// The record at a position that is not gone.
    pub(super) fn record(&self, at: u64) -> Record {
        let mut bytes = [0; RECORD];
        self.store.read(at, RECORD, &mut bytes);
        Record::parse(bytes)
    }

    /// The first bytes of the payload of a message at a position that is not gone. `arrived` bytes of the message have
    /// arrived. `to` is used only if the bytes wrap around the end of the ring.
    fn prefix<'p>(&'p self, at: u64, arrived: u32, to: &'p mut [u8; FrameClass::PREFIX]) -> &'p [u8] {
        let length = FrameClass::PREFIX.min(arrived as usize);
        match self.store.parts(payload(at), length) {
            [whole, []] => whole,
            _ => {
                let length = self.store.read(payload(at), length, to);
                to.get(..length).unwrap_or_default()
            }
        }
    }

    /// The class of a message at a position that is not gone. The class of an incomplete message must be known already.
    pub(super) fn class(&self, at: u64) -> FrameClass {
        if let Some(class) = self.partial(at).and_then(|partial| partial.class) {
            return class;
        }
        let (record, mut prefix) = (self.record(at), [0; FrameClass::PREFIX]);
        FrameClass::of(MessageKind(record.kind), self.prefix(at, record.length, &mut prefix))
    }

    /// The track of a message at a position that is not gone.
    pub(super) fn track(&self, at: u64) -> u8 {
        if let Some(partial) = self.partial(at) {
            return partial.track;
        }
        let (record, mut prefix) = (self.record(at), [0; FrameClass::PREFIX]);
        FrameClass::track(MessageKind(record.kind), self.prefix(at, record.length, &mut prefix)).unwrap_or(0)
    }

    /// The incomplete message at a position.
    pub(super) fn partial(&self, at: u64) -> Option<&PartialMessage> {
        self.partials.iter().find(|partial| partial.csid.is_some() && partial.place.at == at)
    }

    /// The incomplete messages that a new player may need.
    pub(super) fn pending(&self) -> impl Iterator<Item = Place> {
        let needed = |partial: &&PartialMessage| {
            partial.csid.is_some() && partial.must_be_whole() && !self.store.is_gone(partial.place.at)
        };
        self.partials.iter().filter(needed).map(|partial| partial.place)
    }
}

/// Returns whether a body of `length` bytes configures anything. If it does not, the cached configuration is still
/// valid.
fn configures(header: &TrackHeader, length: u32) -> bool {
    length > 0 || header.packet == Packet::SequenceStart && !header.codec.has_configuration()
}

/// Returns which part of a track's configuration the body of a message is.
const fn part_of(header: &TrackHeader) -> Option<Part> {
    Some(match (header.packet, header.frame) {
        (Packet::SequenceStart | Packet::Mpeg2TsSequenceStart, Some(_)) => Part::Video,
        (Packet::Metadata, _) => Part::VideoColor,
        (Packet::SequenceStart, None) => Part::Audio,
        (Packet::MultichannelConfig, _) => Part::AudioChannels,
        _ => return None,
    })
}
