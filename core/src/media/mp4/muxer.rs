//! What is written of each message.

use super::AUDIO;
use super::configuration::{Configuration, identity};
use super::content::{self, Content};
use super::fragment::Fragment;
use super::timeline::{Timeline, Times};
use crate::bytes::{copy, low_u8};
use crate::media::FrameClass;
use crate::message::MessageHeader;

/// What a server does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Step {
    /// Nothing of the message is written.
    Skip(Skip),
    /// Call [`Muxer::configure`] with the current configuration of the stream, write the initialization segment if it
    /// returns `true`, and call [`Muxer::begin`] again with the same message.
    Init,
    /// Write the fragment.
    Fragment(Fragment),
}

/// Why nothing of a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Skip {
    /// It has no frame: metadata, a configuration, another kind of data, or an empty body; or its header is not valid.
    NoFrame,
    /// Its first track is not track 0.
    OtherTrack,
    /// Its codec cannot be written: see [`Configuration::video`] and [`Configuration::audio`].
    Codec,
    /// No sequence header has preceded it.
    NoConfiguration,
    /// The ring has a newer sequence header than the one that precedes it, or the codec is not supported.
    NotCurrent,
    /// Its time is before that of the first frame.
    BeforeStart,
}

/// The sequence headers of a track, by their [`identity`]. 0 stands for none.
#[derive(Debug, Clone, Copy)]
struct Track {
    /// The last one in the stream.
    last: u32,
    /// That of the initialization segment.
    written: u32,
    /// One that cannot be written.
    refused: u32,
}

/// Makes fragmented MP4 from the messages of a stream: the state of one viewer. See the [module](super).
#[derive(Debug, Clone)]
pub struct Muxer {
    tracks: [Track; 2],
    timeline: Timeline,
    /// The number of fragments so far.
    sequence: u32,
}

crate::fmt::impl_format!([] Muxer, this => "Muxer {{ {} fragments }}", this.sequence);

impl Default for Muxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Muxer {
    /// Creates the state of a viewer to whom nothing was written.
    pub const fn new() -> Self {
        const NONE: Track = Track { last: 0, written: 0, refused: 0 };
        Self { tracks: [NONE; 2], timeline: Timeline::new(), sequence: 0 }
    }

    /// Returns whether an initialization segment was begun. If it was, and [`Self::begin`] returns [`Step::Init`], then the
    /// configuration of the stream has changed.
    pub fn has_begun(&self) -> bool {
        self.tracks.iter().any(|track| track.written != 0)
    }

    /// Begins a message. `parts` are its first bytes: its payload, or as much of it as has arrived. Pass every message
    /// that [`Ring::peek`](crate::relay::Ring::peek) returns, also metadata and configurations.
    ///
    /// Returns `None` if more bytes of the message are needed. The first [`FrameClass::PREFIX`] are enough for a frame. A
    /// configuration must be complete, and a ring returns it only then. After `None` and [`Step::Init`], call it again with
    /// the same message. After [`Step::Skip`] and [`Step::Fragment`], the next message can begin.
    pub fn begin(&mut self, header: &MessageHeader, parts: [&[u8]; 2]) -> Option<Step> {
        let Some(index) = content::track(header.kind) else {
            // Metadata may have the size of the pictures, without which the sequence header was of no use.
            self.tracks.iter_mut().for_each(|track| track.refused = 0);
            return Some(Step::Skip(Skip::NoFrame));
        };
        let [one, other] = parts;
        let (mut buffer, mut prefix) = ([0; FrameClass::PREFIX], one.get(..FrameClass::PREFIX).unwrap_or(one));
        if one.len() < FrameClass::PREFIX && !other.is_empty() {
            let copied = copy(one, &mut buffer);
            let more = copy(other, buffer.get_mut(copied..).unwrap_or_default());
            prefix = buffer.get(..copied.wrapping_add(more)).unwrap_or_default();
        }
        let arrived = one.len().saturating_add(other.len());
        let is_complete = arrived >= header.length as usize;
        let class = match FrameClass::of_prefix(header.kind, prefix) {
            Some(class) => class,
            None if is_complete => FrameClass::of(header.kind, prefix),
            None => return None,
        };
        let track = self.tracks.get_mut(index)?;
        if class == FrameClass::Configuration {
            if !is_complete {
                return None;
            }
            // A message without a configuration of track 0 changes nothing.
            if let Some(identity) = identity(header, parts) {
                track.last = identity;
            }
            return Some(Step::Skip(Skip::NoFrame));
        }
        let (start, length, composition_time) = match content::content(header, prefix)? {
            Content::Frame { start, length, composition_time } => (start, length, composition_time),
            Content::Nothing => return Some(Step::Skip(Skip::NoFrame)),
            Content::OtherTrack => return Some(Step::Skip(Skip::OtherTrack)),
            Content::OtherCodec => return Some(Step::Skip(Skip::Codec)),
        };
        match track.last {
            0 => return Some(Step::Skip(Skip::NoConfiguration)),
            last if last == track.written => {}
            last if last == track.refused => return Some(Step::Skip(Skip::NotCurrent)),
            _ => return Some(Step::Init),
        }
        let Some(Times { decoding, early, duration }) = self.timeline.add(index, header.timestamp) else {
            return Some(Step::Skip(Skip::BeforeStart));
        };
        self.sequence = self.sequence.wrapping_add(1);
        Some(Step::Fragment(Fragment {
            start,
            length,
            is_keyframe: index == AUDIO || class == FrameClass::Keyframe,
            time: decoding,
            duration,
            composition_time: composition_time.saturating_add_unsigned(early),
            track: low_u8(index),
            sequence: self.sequence,
            is_disposable: class == FrameClass::Disposable,
        }))
    }

    /// Sets the configuration whose initialization segment the viewer gets, after [`Step::Init`]. It is that of
    /// [`Ring::cached`](crate::relay::Ring::cached).
    ///
    /// Returns whether the initialization segment must be written. It need not if it has no track that the viewer awaits:
    /// then [`Self::begin`] skips the frames of this track, until another sequence header precedes them.
    pub fn configure(&mut self, configuration: &Configuration<'_>) -> bool {
        let identities = configuration.identities();
        let tracks = || self.tracks.iter().zip(identities);
        let is_awaited = tracks().any(|(track, new)| new != 0 && new == track.last && new != track.written);
        for (track, new) in self.tracks.iter_mut().zip(identities) {
            if is_awaited {
                track.written = new;
            } else if track.last != track.written {
                track.refused = track.last;
            }
        }
        for (index, first) in configuration.durations().into_iter().enumerate() {
            if !self.timeline.has(index) {
                self.timeline.durations.iter_mut().skip(index).take(1).for_each(|duration| *duration = first);
            }
        }
        is_awaited
    }

    /// Returns whether `configuration` is the one that was passed to [`Self::configure`]. If the initialization segment is
    /// written in several calls, this must be so in each of them. Otherwise the viewer cannot continue.
    pub fn is_configured_as(&self, configuration: &Configuration<'_>) -> bool {
        self.tracks.iter().map(|track| track.written).eq(configuration.identities())
    }
}

const _: () = assert!(size_of::<Muxer>() <= 160);
