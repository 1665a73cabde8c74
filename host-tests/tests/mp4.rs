//! Fragmented MP4 that the core makes of a stream, read by ffmpeg and ffprobe.

mod support;

use std::fs;
use std::path::Path;

use embedded_rtmp::chunk::{ChunkStreamId, Fragment};
use embedded_rtmp::media::mp4::{self, Configuration, Muxer, Step};
use embedded_rtmp::message::{MessageHeader, StreamId, Timestamp};
use embedded_rtmp::relay::{Cursor, HeaderEntry, RelayConfig, Ring, StreamBuffers};
use embedded_rtmp::time::Instant;
use host_tests::flv::Tag;
use host_tests::peers::{Program, TimedFrame, finish_within, timed_frames};
use support::{LIMIT, clip, tags};

/// What a viewer is inside of.
#[derive(Debug)]
enum Inside {
    Nothing,
    /// The initialization segment, of which this many bytes were written.
    Init(u32),
    /// A message, of whose payload `taken` bytes were passed on or dropped. If it has a fragment, `head` bytes of its
    /// head were written.
    Message {
        fragment: Option<mp4::Fragment>,
        head: u32,
        taken: u32,
        length: u32,
    },
}

/// A viewer of a ring, which writes into any room that there is.
struct Output {
    cursor: Cursor,
    muxer: Muxer,
    inside: Inside,
    /// The initialization segments so far.
    inits: usize,
    codecs: String,
}

impl Output {
    fn new() -> Self {
        let (cursor, muxer) = (Cursor::new(), Muxer::new());
        Self { cursor, muxer, inside: Inside::Nothing, inits: 0, codecs: String::new() }
    }

    /// Writes what there is, up to the end of `out`. Returns the number of bytes written.
    fn pump(&mut self, ring: &Ring<'_>, out: &mut [u8]) -> usize {
        let mut written = 0;
        loop {
            let room = &mut out[written..];
            match &mut self.inside {
                Inside::Init(sent) => {
                    let configuration = Configuration::new(ring.cached());
                    assert!(self.muxer.is_configured_as(&configuration));
                    let length = configuration.write(*sent, room);
                    (*sent, written) = (*sent + length as u32, written + length);
                    if *sent < configuration.length() {
                        return written;
                    }
                    self.inside = Inside::Nothing;
                }
                Inside::Message { fragment: Some(fragment), head, .. } if *head < mp4::Fragment::HEAD => {
                    let length = fragment.write_head(*head, room);
                    (*head, written) = (*head + length as u32, written + length);
                    if *head < mp4::Fragment::HEAD {
                        return written;
                    }
                }
                Inside::Message { fragment, taken, length, .. } => {
                    if taken == length {
                        ring.finish_message(&mut self.cursor);
                        self.inside = Inside::Nothing;
                        continue;
                    }
                    let piece = ring.peek(&mut self.cursor, NOW).unwrap();
                    let Some(part) = piece.and_then(|piece| piece.parts.into_iter().find(|part| !part.is_empty()))
                    else {
                        return written;
                    };
                    let (start, end) = fragment.map_or((*length, *length), |one| (one.start, one.start + one.length));
                    let (is_sent, until) = match *taken {
                        at if at < start => (false, start),
                        at if at < end => (true, end),
                        _ => (false, *length),
                    };
                    let mut count = part.len().min((until - *taken) as usize);
                    if is_sent {
                        count = count.min(room.len());
                        room[..count].copy_from_slice(&part[..count]);
                        written += count;
                    }
                    ring.advance(&mut self.cursor, count);
                    *taken += count as u32;
                    if count == 0 {
                        return written;
                    }
                }
                Inside::Nothing => {
                    let Some(piece) = ring.peek(&mut self.cursor, NOW).unwrap() else { return written };
                    let header = piece.begin.expect("it is between two messages");
                    let fragment = match self.muxer.begin(&header, piece.parts) {
                        None => return written,
                        Some(Step::Init) => {
                            let configuration = Configuration::new(ring.cached());
                            if self.muxer.configure(&configuration) {
                                self.codecs = configuration.codecs().as_str().to_owned();
                                self.inits += 1;
                                self.inside = Inside::Init(0);
                            }
                            continue;
                        }
                        Some(Step::Fragment(fragment)) => Some(fragment),
                        Some(_) => None,
                    };
                    ring.begin_message(&mut self.cursor);
                    self.inside = Inside::Message { fragment, head: 0, taken: 0, length: header.length };
                }
            }
        }
    }
}

const NOW: Instant = Instant::from_millis(0);

/// Publishes tags into a ring in pieces, while a viewer reads. Returns the viewer and what it has written.
fn muxed(tags: &[Tag]) -> (Output, Vec<u8>) {
    let (mut bytes, mut headers, mut entries) = (vec![0; 1 << 20], [0; 4096], [HeaderEntry::new(); 8]);
    let buffers = StreamBuffers { ring: &mut bytes, headers: &mut headers, entries: &mut entries };
    let mut ring = Ring::new(buffers, &RelayConfig::new());
    let (mut viewer, mut output, mut out) = (Output::new(), Vec::new(), [0; 977]);
    for (index, tag) in tags.iter().enumerate() {
        let (timestamp, length) = (Timestamp(tag.timestamp), tag.payload.len() as u32);
        let header = MessageHeader { timestamp, length, kind: tag.kind, stream: StreamId(1) };
        let csid = ChunkStreamId::new(tag.kind.0.into()).unwrap();
        let size = 1 + index * 37 % 900;
        let mut offset = 0;
        loop {
            let data = &tag.payload[offset..tag.payload.len().min(offset + size)];
            ring.push(NOW, &Fragment { csid, header, offset: offset as u32, data });
            offset += data.len();
            loop {
                let written = viewer.pump(&ring, &mut out[..1 + (offset + index) % 977]);
                output.extend_from_slice(&out[..written]);
                if written == 0 {
                    break;
                }
            }
            if offset == tag.payload.len() {
                break;
            }
        }
    }
    (viewer, output)
}

/// The codecs of each clip, by ffmpeg 9, and its type for Media Source Extensions.
const CLIPS: [(&str, &[&str], &str); 4] = [
    ("avc-aac", &["-c:v", "libx264", "-g", "25", "-c:a", "aac"], "avc1.64000b,mp4a.40.2"),
    (
        "hevc-opus",
        &["-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:min-keyint=25", "-c:a", "libopus"],
        "hvc1.1.6.L30.90,opus",
    ),
    (
        "av1-flac",
        &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "flac"],
        "av01.0.00M.08,flac",
    ),
    (
        "vp9-opus",
        &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-c:a", "libopus"],
        "vp09.00.10.08,opus",
    ),
];

/// Runs ffmpeg 9, which must not complain, and returns its output.
fn ffmpeg(arguments: &[&str], file: &Path, more: &[&str]) -> String {
    let mut command = Program::Ffmpeg9.ffmpeg();
    let finished = finish_within(LIMIT, command.args(arguments).arg(file).args(more)).unwrap().successful().unwrap();
    assert_eq!(finished.stderr, "", "{}", file.display());
    String::from_utf8(finished.stdout).unwrap()
}

/// The frames of video, then those of audio, without decoding them.
fn copied(file: &Path) -> [Vec<TimedFrame>; 2] {
    ["0:v", "0:a"].map(|map| {
        let hashes = ffmpeg(&["-copyts", "-i"], file, &["-map", map, "-c", "copy", "-f", "framemd5", "-"]);
        // The FLAC encoder writes empty frames.
        timed_frames(&hashes).unwrap().into_iter().filter(|frame| frame.hash != EMPTY).collect()
    })
}

/// The MD5 of zero bytes.
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// Checks the frames of a file, and their times in ms, against those of the FLV file that it was made of.
fn check(flv: &Path, mp4: &Path) {
    let hashes = |frames: &[TimedFrame]| -> Vec<_> { frames.iter().map(|frame| frame.hash.clone()).collect() };
    let times = |frames: &[TimedFrame], offset| -> Vec<_> {
        frames.iter().map(|frame| (frame.dts + offset, frame.pts + offset)).collect()
    };
    let (published, found) = (copied(flv), copied(mp4));
    // One of the tracks begins at 0, and both have the same offset.
    assert_eq!(found.iter().map(|frames| frames[0].dts).min(), Some(0), "{}", mp4.display());
    let offset = found[0][0].dts - published[0][0].dts;
    for (published, found) in published.iter().zip(&found) {
        // Audio before the first picture is missing.
        let missing = published.len() - found.len();
        assert!(missing < 4, "{}: {} of {} frames", mp4.display(), found.len(), published.len());
        assert_eq!(hashes(&published[missing..]), hashes(found), "{}", mp4.display());
        assert_eq!(times(&published[missing..], offset), times(found, 0), "{}", mp4.display());
    }
    ffmpeg(&["-xerror", "-i"], mp4, &["-f", "null", "-"]);
}

#[test]
#[ignore = "needs ffmpeg 9: host-tests/run runs it"]
fn item_330_item_332_ffmpeg_reads_the_frames_of_a_stream_from_fragmented_mp4() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let check = |name: &str, flv: &Path, codecs: &str| {
        let (viewer, output) = muxed(&tags(flv));
        assert_eq!((viewer.codecs.as_str(), viewer.inits), (codecs, 1), "{name}");
        let mp4 = path(&format!("{name}.mp4"));
        fs::write(&mp4, output).unwrap();
        check(flv, &mp4);
    };
    check("clip", &clip(), "avc1.4d4015,mp4a.40.2");
    for (name, encoders, codecs) in CLIPS {
        let inputs = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", SOUND, "-t", "2"];
        let flv = path(&format!("{name}.flv"));
        ffmpeg(&[&inputs, encoders, &["-f", "flv"]].concat(), &flv, &[]);
        check(name, &flv, codecs);
    }
}

const SOUND: &str = "sine=440:sample_rate=48000";
