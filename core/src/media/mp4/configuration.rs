//! The tracks of a stream, by its sequence headers.

use core::fmt;

use super::boxes;
use super::codecs::Codecs;
use super::content;
use super::sample::Sample;
use super::window::Window;
use crate::amf0::number_to_u32;
use crate::command::DataMessage;
use crate::fmt::impl_format;
use crate::media::FrameClass;
use crate::media::metadata::Metadata;
use crate::message::{FourCc, MessageHeader, MessageKind, StreamId, Timestamp};

/// Why there is no track of video or of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NoTrack {
    /// There is no sequence header: the stream has no such track, or its codec has none, such as MP3 and G.711.
    NoConfiguration,
    /// The codec is not supported.
    Codec(FourCc),
    /// The sequence header is not valid.
    Invalid(FourCc),
    /// Neither the sequence header nor the metadata has the size of the pictures.
    NoSize(FourCc),
}

impl fmt::Display for NoTrack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConfiguration => f.write_str("the stream has no sequence header for this track"),
            Self::Codec(codec) => write!(f, "the codec {codec} is not supported in MP4"),
            Self::Invalid(codec) => write!(f, "the sequence header of {codec} is not valid"),
            Self::NoSize(codec) => write!(f, "the size of the pictures of {codec} is unknown: send onMetaData with it"),
        }
    }
}

impl core::error::Error for NoTrack {}

/// Metadata that replaces what a sequence header does not have.
#[derive(Debug, Clone, Copy, Default)]
struct Described {
    size: Option<(u32, u32)>,
    frame_rate: Option<u32>,
}

/// The sequence header of a track.
#[derive(Debug, Clone, Copy)]
struct Header<'a> {
    codec: FourCc,
    identity: u32,
    body: &'a [u8],
}

/// The tracks of a stream, by its sequence headers. It borrows them, and writes the initialization segment.
///
/// It costs the parsing of the sequence headers and of the metadata, so make it only when [`Step::Init`](super::Step::Init) asks for it.
#[derive(Debug, Clone)]
pub struct Configuration<'a> {
    tracks: [Result<Sample<'a>, NoTrack>; 2],
    frame_rate: Option<u32>,
}

impl_format!(['a] Configuration<'a>, this => "Configuration {{ video: {}, audio: {} }}", this.video(), this.audio());

impl<'a> Configuration<'a> {
    /// Creates the configuration from the payloads of whole messages, such as [`Ring::cached`](crate::relay::Ring::cached)
    /// returns them: `onMetaData`, and the sequence headers of video and audio. The last one of a kind counts. Other
    /// messages, and other tracks than track 0, are ignored.
    pub fn new(messages: impl IntoIterator<Item = (MessageKind, &'a [u8])>) -> Self {
        let (mut headers, mut described) = ([None; 2], Described::default());
        for (kind, payload) in messages {
            match content::track(kind) {
                Some(index) => {
                    let header = Header::of(kind, payload);
                    headers.iter_mut().skip(index).take(1).for_each(|place| *place = header.or(*place));
                }
                None => described = Described::of(payload).unwrap_or(described),
            }
        }
        let tracks = headers.map(|header| match header {
            Some(Header { codec, identity, body }) => Sample::new(codec, identity, body, described.size),
            None => Err(NoTrack::NoConfiguration),
        });
        Self { tracks, frame_rate: described.frame_rate }
    }

    /// Returns the codec of the track of video.
    ///
    /// # Errors
    /// Why there is no such track.
    pub fn video(&self) -> Result<FourCc, NoTrack> {
        let [video, _] = &self.tracks;
        video.as_ref().map(|sample| sample.codec).map_err(|error| *error)
    }

    /// Returns the codec of the track of audio.
    ///
    /// # Errors
    /// Why there is no such track.
    pub fn audio(&self) -> Result<FourCc, NoTrack> {
        let [_, audio] = &self.tracks;
        audio.as_ref().map(|sample| sample.codec).map_err(|error| *error)
    }

    /// Returns the names of the codecs, for the type of the media (RFC 6381).
    pub fn codecs(&self) -> Codecs {
        Codecs::new(self.samples().into_iter().flatten())
    }

    /// The length of the initialization segment in bytes: some 600 bytes for each track, and the sequence headers. It is
    /// valid without a track, but of no use.
    pub fn length(&self) -> u32 {
        let mut to = Window::new(0, &mut []);
        boxes::initialization(&mut to, self.samples());
        to.length
    }

    /// Writes the initialization segment from byte `offset` on into `out`, as much as there is room for. Returns the number
    /// of bytes written. At [`Self::length`] and behind it, nothing is left to write.
    ///
    /// It consists of `ftyp` and of `moov` with `mvex` (ISO/IEC 14496-12, 4.3, 8.2.1 and 8.8.1).
    pub fn write(&self, offset: u32, out: &mut [u8]) -> usize {
        let mut to = Window::new(offset, out);
        boxes::initialization(&mut to, self.samples());
        to.stored
    }

    fn samples(&self) -> [Option<&Sample<'a>>; 2] {
        self.tracks.each_ref().map(|track| track.as_ref().ok())
    }

    /// The [`identity`] of the sequence header of each track, or 0.
    pub(super) fn identities(&self) -> [u32; 2] {
        self.samples().map(|sample| sample.map_or(0, |sample| sample.identity))
    }

    /// The duration of the first frame of each track in ms, which is at least 1.
    pub(super) fn durations(&self) -> [u32; 2] {
        let mut durations = self.samples().map(|sample| sample.map_or(1, |sample| sample.duration.max(1)));
        let by_rate = self.frame_rate.and_then(|rate| 1_000_u32.checked_div(rate)).unwrap_or(33);
        let [video, _] = &mut durations;
        *video = by_rate.max(1);
        durations
    }
}

/// A number that stands for the sequence header of track 0 in a message, which is not 0. Two sequence headers that differ
/// have different ones, with the exception of one in 4 thousand million. Returns `None` if the message has none.
pub(super) fn identity(header: &MessageHeader, parts: [&[u8]; 2]) -> Option<u32> {
    // FNV-1a.
    let mut hash = 0x811C_9DC5_u32;
    let mut length = 0_usize;
    content::configuration(header, parts, &mut |codec, body| {
        let bytes = if length == 0 { &codec.0[..] } else { &[] }.iter().chain(body);
        hash = bytes.fold(hash, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        length = length.saturating_add(body.len());
    });
    (length > 0).then_some(hash.max(1))
}

impl<'a> Header<'a> {
    fn of(kind: MessageKind, payload: &'a [u8]) -> Option<Self> {
        if FrameClass::of(kind, payload) != FrameClass::Configuration {
            return None;
        }
        let length = u32::try_from(payload.len()).ok()?;
        let header = MessageHeader { timestamp: Timestamp(0), length, kind, stream: StreamId::CONNECTION };
        let mut found = None;
        content::configuration(&header, [payload, &[]], &mut |codec, body| {
            if !body.is_empty() {
                found = Some((codec, body));
            }
        });
        let ((codec, body), identity) = (found?, identity(&header, [payload, &[]])?);
        Some(Self { codec, identity, body })
    }
}

impl Described {
    fn of(payload: &[u8]) -> Option<Self> {
        let message = DataMessage::parse(payload)?;
        let metadata = Metadata::parse(message.values).filter(|_| message.name == *Metadata::NAME)?;
        let frame_rate = metadata.frame_rate.and_then(number_to_u32);
        Some(Self { size: metadata.width.zip(metadata.height), frame_rate })
    }
}
