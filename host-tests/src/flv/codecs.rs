//! What a file needs of Enhanced RTMP.

use std::fmt;
use std::io::Read;

use embedded_rtmp::amf0::Encoder;
use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::command::{Capabilities, CodecSupport, Extensions};
use embedded_rtmp::media::enhanced::TrackReader;
use embedded_rtmp::message::{FourCc, MessageHeader, MessageKind, StreamId, Timestamp};

use super::{Reader, Tag};

/// The codecs and the extensions of Enhanced RTMP that the tags of a file use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnhancedCodecs {
    /// The video codecs, in the order in which they first occur.
    pub video: Vec<FourCc>,
    /// The audio codecs.
    pub audio: Vec<FourCc>,
    /// Several tracks, modifiers, nanoseconds.
    pub extensions: Extensions,
}

impl fmt::Display for EnhancedCodecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.all().map(|codec| codec.to_string()).collect();
        f.write_str(&names.join(", "))
    }
}

impl EnhancedCodecs {
    /// Reads all tags of a file, as far as it can be read.
    pub fn of<R: Read>(mut reader: Reader<R>) -> Self {
        let mut codecs = Self::default();
        while let Some(Ok(tag)) = reader.next() {
            codecs.add(&tag);
        }
        codecs
    }

    /// All codecs: video, then audio.
    pub fn all(&self) -> impl Iterator<Item = FourCc> {
        self.video.iter().chain(&self.audio).copied()
    }

    /// Whether the file needs nothing of Enhanced RTMP.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The properties that announce them, and requests to reconnect, in `connect`, in AMF0.
    pub fn properties(&self) -> Vec<u8> {
        let with_support =
            |codecs: &[FourCc]| -> Vec<_> { codecs.iter().map(|codec| (*codec, CodecSupport::ENCODE)).collect() };
        let (video, audio) = (with_support(&self.video), with_support(&self.audio));
        let capabilities = Capabilities {
            video: &video,
            audio: &audio,
            extensions: self.extensions.with(Extensions::RECONNECT),
            has_list: true,
        };
        encoded(&[capabilities])
    }

    fn add(&mut self, tag: &Tag) {
        let is_modified = match (tag.kind, tag.payload.first()) {
            (MessageKind::VIDEO, Some(first)) => first & 0x8F == 0x87,
            (MessageKind::AUDIO, Some(first)) => *first == 0x97,
            _ => return,
        };
        let header = MessageHeader {
            kind: tag.kind,
            stream: StreamId::CONNECTION,
            timestamp: Timestamp(tag.timestamp),
            length: tag.payload.len() as u32,
        };
        let mut rest = Fragment { csid: ChunkStreamId::CONTROL, header, offset: 0, data: &tag.payload };
        let mut tracks = TrackReader::new();
        while let Ok(Some(piece)) = tracks.next_piece(&mut rest) {
            let track = piece.header;
            let list = if track.frame.is_some() { &mut self.video } else { &mut self.audio };
            if !list.contains(&track.codec) {
                list.push(track.codec);
            }
            let uses = [
                (Extensions::MULTITRACK, track.track.is_some()),
                (Extensions::MODIFIERS, is_modified),
                (Extensions::NANOSECONDS, track.nanoseconds > 0),
            ];
            for (extension, _) in uses.into_iter().filter(|(_, is_used)| *is_used) {
                self.extensions = self.extensions.with(extension);
            }
        }
    }
}

/// The properties of a client that stores every codec unchanged, and handles requests to reconnect.
pub fn every_codec() -> Vec<u8> {
    let extensions = Capabilities::PASSES_ON.extensions.with(Extensions::RECONNECT);
    let any = &[(FourCc::ANY, CodecSupport::DECODE)];
    // The wildcard is in the list once, and in both maps.
    encoded(&[
        Capabilities { video: any, has_list: true, ..Capabilities::default() },
        Capabilities { audio: any, extensions, ..Capabilities::default() },
    ])
}

fn encoded(capabilities: &[Capabilities<'_>]) -> Vec<u8> {
    let codecs: usize = capabilities.iter().map(|these| these.video.len() + these.audio.len()).sum();
    let mut buffer = vec![0; 90 + 22 * codecs];
    let mut encoder = Encoder::new(&mut buffer);
    // A file may have any number of codecs, and the buffer is large enough for them.
    let is_complete = capabilities.iter().all(|these| these.emit(&mut encoder).is_ok());
    if is_complete { encoder.finish().to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codecs(tags: &[(MessageKind, &[u8])]) -> EnhancedCodecs {
        let mut codecs = EnhancedCodecs::default();
        for (kind, payload) in tags {
            codecs.add(&Tag { kind: *kind, timestamp: 0, payload: payload.to_vec() });
        }
        codecs
    }

    #[test]
    fn item_265_a_file_needs_the_codecs_of_its_tags() {
        let (video, audio) = (MessageKind::VIDEO, MessageKind::AUDIO);
        let legacy = codecs(&[(video, b"\x17\x01\0\0\0x"), (audio, b"\xAF\x01x"), (MessageKind::DATA, b"\x91hvc1")]);
        // Every publisher handles requests to reconnect.
        assert_eq!((legacy.is_empty(), legacy.properties()), (true, b"\0\x06capsEx\0\x3F\xF0\0\0\0\0\0\0".to_vec()));
        let one = codecs(&[(video, b"\x90hvc1x"), (audio, b"\x90Opusx"), (video, b"\xA3hvc1x"), (audio, b"\xAF\x01x")]);
        assert_eq!((one.to_string().as_str(), one.extensions), ("hvc1, Opus", Extensions(0)));
        let list = b"\0\x0AfourCcList\x0A\0\0\0\x02\x02\0\x04hvc1\x02\0\x04Opus";
        assert!(one.properties().starts_with(list));
        // Two tracks with codecs of their own, and a modifier with nanoseconds.
        let many =
            codecs(&[(video, b"\xA6\x21av01\0\0\0\x01xvp09\x01\0\0\x01x"), (audio, b"\x97\x02\0\0\x01\x01fLaCx")]);
        assert_eq!(many.to_string(), "av01, vp09, fLaC");
        assert_eq!(many.extensions, Extensions(2 | 4 | 8));
        // Headers that are cut off name no codec.
        assert!(codecs(&[(video, b"\x90hv"), (audio, b""), (video, b"\x96")]).is_empty());
    }

    #[test]
    fn item_265_a_recorder_has_the_wildcard_once_in_each_property() {
        let properties = every_codec();
        let count = |text: &[u8]| properties.windows(text.len()).filter(|part| *part == text).count();
        assert_eq!((count(b"\0\x01*"), count(b"\x02\0\x01*"), count(b"fourCcList"), count(b"capsEx")), (3, 1, 1, 1));
    }
}
